"""Gradient flow in parameter space."""

from functools import partial

import numpy as np

from ._core import solver
from ._core.checks import as_filters
from ._core.collocation import MESSAGE, suits
from ._core.fields import LevelField, LossFlow, QuadraticFlow, by_collocation
from ._core.plan import plan
from ._core.scaling import along_the_level, norms, sharp_invariants, to_invariants
from .losses import QuadraticLoss
from .record import FlowResult


def gradient_flow(
    net, loss, filters, t, *, method=None, rtol=1e-9, atol=None, stop=None, progress=False,
    **options
):
    """Gradient flow dw_i/dt = -dL/dw_i of the loss L = l o mu, from given filters.

    Batch axes hold independent flows.

    Book: prop-03-conservation, prop-04-flow, thm-03-convergence.

    Parameters
    ----------
    net : LCN
    loss : object with methods ``value(v)`` and ``gradient(v)``
        For v of shape (*batch, *k) they return shapes (*batch,) and (*batch, *k).
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
        Filters at time t[0].
    t : array_like, shape (T,)
        Increasing times at which to report.
    rtol : float, optional
        Relative tolerance of the reported states.
    atol : float, optional
        Absolute tolerance.  By default it follows the state, for each flow and each layer: a
        thousandth of rtol times the norm of the filter, from 1e-150 to 1e150.
    method, **options
        For `scipy.integrate.solve_ivp`.  It controls the error of one step, on average
        over a batch; it is given a tenth of the tolerances, divided by the square root
        of the number of flows, so that the reported states come close to them.
        Without a method or options, flows of a `QuadraticLoss` with few parameters go by
        implicit collocation with the exact Hessian, each in steps of its own.  All others go
        by "LSODA", which notices by itself where a flow is stiff ("DOP853" above 2000
        parameters, where its matrices are too large).
    stop : float or callable, optional
        Ends a flow early, each one of a batch by itself: a number when the norm of the gradient
        dL/dw has fallen to it, a function ``stop(t, filters)`` when that is true for the time and
        the filters, H ndarrays of shapes k_i, of one flow.  The moment is looked for inside
        the solver's step that ends in such a state.  The record keeps all times t and
        repeats the last state; `stopped` says when that was.
    progress : bool or callable, optional
        True writes the time reached to the error stream about twice a second; a
        callable receives the fraction done, between 0 and 1.

    Returns
    -------
    FlowResult

    Raises
    ------
    FlowError
        When the flow blows up or the solver cannot continue; its `time` says when.

    Examples
    --------
    >>> import numpy as np
    >>> net = LCN((2, 2), strides=2)
    >>> loss = QuadraticLoss([1.0, 2.0, 3.0, 6.0])
    >>> flow = gradient_flow(net, loss, [[1.0, 0.5], [0.5, 1.0]], np.linspace(0, 20, 5))
    >>> flow.end_to_end[-1].round(6).tolist(), bool(np.ptp(flow.invariants) < 1e-12)
    ([1.0, 2.0, 3.0, 6.0], True)
    """
    ws = as_filters(net, filters)
    t = solver.as_times(t)
    solver.check_tolerances(rtol, atol)
    batch = ws[0].shape[: -net.ndim]
    p = plan(net)
    start = p.pack(ws)
    with np.errstate(over="ignore", invalid="ignore"):
        solver.check_loss(loss, p.product(start).reshape(batch + net.end_to_end_shape), batch)
    # A class that builds on QuadraticLoss may have another gradient.
    quadratic = type(loss) is QuadraticLoss
    field = (QuadraticFlow(net, loss.target, loss.weight) if quadratic
             else LossFlow(net, solver.slope_of(loss), batch))
    delta = sharp_invariants(p, start)
    stop = _stop(net, stop, field.velocity, start, t)
    done, sizes = None, partial(solver.layer_sizes, p)
    if quadratic and suits(net, t, method, options, rtol, atol):
        y, n_evaluations, lost = by_collocation(
            LevelField(field, delta, start), start, t, rtol, atol, sizes, progress, stop)
        if not lost.any():
            done = y, n_evaluations, MESSAGE
        elif stop is not None:  # the other method begins anew
            stop.ended[stop.ended > 0] = np.nan
    if done is None:
        done = solver.integrate(
            lambda _, theta: along_the_level(p, theta, field.velocity(theta)), start, t,
            sizes=sizes, hessian=field.hessian if quadratic else None, method=method,
            progress=progress, hold=lambda theta: to_invariants(p, theta, delta), rtol=rtol,
            atol=atol, stop=stop, **options)
    return record(net, loss, t, batch, delta, rtol, *done, stop)


def record(net, loss, t, batch, delta, rtol, y, n_evaluations, message, stop):
    """The result of a flow through the packed filters y (T, B, P), put back to delta (B, H-1)."""
    p = plan(net)
    flat = to_invariants(p, y.reshape(-1, y.shape[-1]), np.tile(delta, (len(t), 1)))
    still = (y == y[0]).all(axis=-1).reshape(-1, 1)  # not even rounding moves what stands still
    flat = np.where(still, np.tile(y[0], (len(t), 1)), flat)
    path = [np.ascontiguousarray(w) for w in p.unpack(flat, (len(t), *batch))]
    v = p.product(flat).reshape(len(t), *batch, *net.end_to_end_shape)
    values = np.stack([np.asarray(loss.value(x), dtype=float) for x in v])
    solver.hold_at_rest(loss.value, values, t, rtol, v, *path)
    delta = np.diff(norms(p, flat) ** 2, axis=-1).reshape(len(t), *batch, net.depth - 1)
    stopped = None if stop is None else t[0] + stop.ended.reshape(batch)
    return FlowResult(t, path, v, values, delta, n_evaluations, True, message, stopped)


def _stop(net, stop, velocity, start, t):
    """When to end single flows, as a `Stop`; None for never."""
    p = plan(net)

    def slow(flows, _, theta):
        whole = start.copy()  # a loss may know the batch
        whole[flows] = theta
        return np.linalg.norm(velocity(whole)[flows], axis=1) <= stop

    def told(_, times, theta):
        return [stop(time, [w[0] for w in p.unpack(x[None], (1,))])
                for time, x in zip((t[0] + times).tolist(), theta)]

    return solver.Stop.of(stop, slow, told, start)
