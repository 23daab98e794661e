"""Gradient flow in parameter space."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ._core.checks import as_filters
from ._core.collocation import FINEST, StepTooSmall, collocate
from ._core.hessian import LossFlow, QuadraticFlow
from ._core.plan import plan
from ._core.scaling import layer_norms, sharp_invariants, to_invariants
from ._core.solver import (
    FOLLOWING,
    as_times,
    check_loss,
    check_tolerances,
    hold_at_rest,
    integrate,
    layer_sizes,
    progress_of,
    slope_of,
)
from .losses import QuadraticLoss

__all__ = ["FlowResult", "gradient_flow"]

# Up to this many parameters the Hessian's eigenvectors cost less than the steps that they save.
COLLOCATION_LIMIT = 128


@dataclass(frozen=True)
class FlowResult:
    """What a flow did, at the requested times.

    The solver keeps the invariants up to its tolerance only.  At every reported time the
    filters are therefore scaled by the positive tuple of Proposition 2 back to
    the initial invariants: this moves them along the fibre, so that the end-to-end filter
    stays the same.  (A filter that is exactly zero cannot be scaled and is left alone.)
    Where the flow has come to rest up to the solver's tolerance, so that the next
    state would have a higher loss, the better state is kept.

    Book: prop-03-fibre.

    Attributes
    ----------
    t : ndarray, shape (T,)
        Times.
    filters : list of H ndarrays, shapes (T, *batch, *k_i)
    end_to_end : ndarray, shape (T, *batch, *k)
    loss : ndarray, shape (T, *batch)
        Never increases along the first axis.
    invariants : ndarray, shape (T, *batch, H-1)
    n_evaluations : int
        Evaluations of the velocity.
    success : bool
        True; a flow that cannot be continued raises `FlowError` instead.
    message : str
        What the solver said.
    """

    t: np.ndarray
    filters: list
    end_to_end: np.ndarray
    loss: np.ndarray
    invariants: np.ndarray
    n_evaluations: int
    success: bool
    message: str


def gradient_flow(
    net, loss, filters, t, *, method=None, rtol=1e-9, atol=None, progress=False, **options
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
    progress : bool or callable, optional
        True writes the time reached to the error stream about twice a second; a
        callable receives the fraction done, between 0 and 1.

    Returns
    -------
    FlowResult

    Raises
    ------
    InputError
        When an argument does not fit.
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
    t = as_times(t)
    check_tolerances(rtol, atol)
    batch = ws[0].shape[: -net.ndim]
    p = plan(net)
    start = p.pack(ws)
    with np.errstate(over="ignore", invalid="ignore"):
        check_loss(loss, p.product(start).reshape(batch + net.end_to_end_shape), batch)
    # A class that builds on QuadraticLoss may have another gradient.
    quadratic = type(loss) is QuadraticLoss
    if quadratic:
        field = QuadraticFlow(net, loss.target, loss.weight)
    else:
        field = LossFlow(net, slope_of(loss), batch)

    delta = sharp_invariants(p, start)
    done = None
    small = net.n_parameters <= COLLOCATION_LIMIT
    if quadratic and small and method is None and not options and len(t) > 1:
        done = _collocation(field, start, delta, t, rtol, atol, progress)
    if done is None:
        done = integrate(
            lambda _, theta: field.velocity(theta), start, t, sizes=partial(layer_sizes, p),
            hessian=field.hessian if quadratic else None, method=method, progress=progress,
            hold=lambda theta: to_invariants(p, theta, delta), rtol=rtol, atol=atol, **options,
        )
    y, n_evaluations, message = done
    for x in y[1:]:
        x[...] = to_invariants(p, x, delta)
    y[0] = start
    path = p.unpack(y.reshape(-1, y.shape[-1]), (len(t), *batch))
    path = [np.ascontiguousarray(w) for w in path]
    return record(net, loss, t, path, rtol, n_evaluations, message)


def record(net, loss, t, path, rtol, n_evaluations, message):
    """The result of a flow with these filters, a list of H arrays (T, *batch, *k_i)."""
    p, batch = plan(net), path[0].shape[1 : -net.ndim]
    v = p.product(p.pack(path)).reshape(len(t), *batch, *net.end_to_end_shape)
    values = np.stack([np.asarray(loss.value(x), dtype=float) for x in v])
    hold_at_rest(values, t, rtol, v, *path)
    delta = np.diff(layer_norms(path, net.ndim) ** 2, axis=-1)
    return FlowResult(t, path, v, values, delta, n_evaluations, True, message)


def _collocation(field, start, delta, t, rtol, atol, progress):
    """States at t, evaluations and message; None where collocation does not apply."""
    if not (FINEST <= rtol < 1 and (atol is None or atol > 0)):
        return None
    p = field.plan
    if atol is None:

        def atol(theta):
            return FOLLOWING * rtol * layer_sizes(p, theta)

    show = progress_of(progress, t)
    try:
        y, count = collocate(
            field.velocity, field.hessian, start, t - t[0], rtol, atol,
            show and (lambda time: show(t[0] + time)),
            lambda flows, y: to_invariants(p, y, delta[flows]))
    except (StepTooSmall, np.linalg.LinAlgError):
        return None
    if show is not None:
        show(t[-1], True)
    return y, count, "Implicit collocation reached the last time."
