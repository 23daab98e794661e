"""Gradient flow in parameter space (S2, chapter 3)."""

from dataclasses import dataclass

import numpy as np

from ._core.checks import as_filters
from ._core.collocation import FINEST, StepTooSmall, collocate
from ._core.hessian import QuadraticFlow
from ._core.plan import cofactor_values, plan
from ._core.solver import (
    as_times,
    check_loss,
    check_tolerances,
    hold_at_rest,
    integrate,
    progress_of,
)
from .convolution import end_to_end
from .invariants import _norm, invariants, rescale
from .losses import QuadraticLoss

__all__ = ["FlowResult", "gradient_flow"]

# Up to this many parameters the Hessian's eigenvectors cost less than the steps that they save.
COLLOCATION_LIMIT = 128


@dataclass(frozen=True)
class FlowResult:
    """What a flow did, at the requested times.

    The solver keeps the invariants up to its tolerance only.  At every reported time the
    filters are therefore scaled by the positive tuple of Proposition 2 (S3, chapter 3) back to
    the initial invariants: this moves them along the fibre, so that the end-to-end filter
    stays the same.  (A filter that is exactly zero cannot be scaled and is left alone.)
    Where the flow has come to rest up to the solver's tolerance, so that the next
    state would have a higher loss, the better state is kept.

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
    net, loss, filters, t, *, method=None, rtol=1e-9, atol=1e-12, progress=False, **options
):
    """Gradient flow dw_i/dt = -dL/dw_i of the loss L = l o mu, from given filters.

    Statements S2 and S4, chapters 3 and 4.  Batch axes hold independent flows.

    Parameters
    ----------
    net : LCN
    loss : object with methods ``value(v)`` and ``gradient(v)``
        For v of shape (*batch, *k) they return shapes (*batch,) and (*batch, *k).
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
        Filters at time t[0].
    t : array_like, shape (T,)
        Increasing times at which to report.
    rtol, atol : floats, optional
        Tolerances of the reported states.
    method, **options
        For `scipy.integrate.solve_ivp`.  It controls the error of one step, on average
        over a batch; it is given a tenth of the tolerances, divided by the square root
        of the number of flows, so that the reported states come close to them.
        Without a method or options, flows of a `QuadraticLoss` with few parameters go by
        implicit collocation with the exact Hessian, each in steps of its own: it does
        not slow down when the flow comes to rest.  All others go by "DOP853".
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
    velocity = _velocity(net, loss, batch)
    check_loss(loss, velocity.end_to_end(start), batch)

    done = None
    if method is None and not options:
        done = _collocation(net, loss, start, t, rtol, atol, progress)
    if done is None:

        def rhs(_, y):
            return velocity(y.reshape(start.shape)).reshape(-1)

        done = integrate(
            rhs, start.reshape(-1), t, n_flows=len(start), method=method or "DOP853",
            progress=progress, rtol=rtol, atol=atol, **options,
        )
    y, n_evaluations, message = done
    path = p.unpack(y.reshape(len(t) * len(start), -1), (len(t), *batch))
    path = [np.ascontiguousarray(w) for w in path]
    for w, w0 in zip(path, ws):
        w[0] = w0
    delta = invariants(net, ws)
    _project(net, path, delta)
    v = end_to_end(net, path)
    values = np.stack([np.asarray(loss.value(x), dtype=float) for x in v])
    hold_at_rest(values, t, rtol, v, *path)
    return FlowResult(
        t, path, v, values, invariants(net, path), n_evaluations, True, message
    )


def _collocation(net, loss, start, t, rtol, atol, progress):
    """States at t, evaluations and message; None where collocation does not apply."""
    # A class that builds on QuadraticLoss may have another gradient.
    small = net.n_parameters <= COLLOCATION_LIMIT and type(loss) is QuadraticLoss
    if not small or len(t) == 1 or not (FINEST <= rtol < 1 and atol > 0):
        return None
    quadratic = QuadraticFlow(net, loss)
    show = progress_of(progress, t)
    try:
        y, count = collocate(quadratic.velocity, quadratic.hessian, start, t, rtol, atol, show)
    except (StepTooSmall, np.linalg.LinAlgError):
        return None
    if show is not None:
        show(t[-1], True)
    return y, count, "Implicit collocation reached the last time."


def _velocity(net, loss, batch):
    """The function theta (B, P) -> -dL/dtheta, with `end_to_end` as an attribute."""
    p = plan(net)
    shape = batch + net.end_to_end_shape

    def values(theta):
        w = p.spectra(theta)
        c = cofactor_values(w)
        return c, p.mask(p.coefficients(c[-1] * w[-1])).reshape(shape)

    def velocity(theta):
        c, v = values(theta)
        g = p.analyse(np.asarray(loss.gradient(v), dtype=float).reshape(len(theta), -1))
        np.conjugate(c, out=c)
        c *= g
        return -p.samples(c)

    velocity.end_to_end = lambda theta: values(theta)[1]
    return velocity


def _project(net, path, delta):
    """Scale the filters of all times after the first back to `delta`, in place (S3)."""
    rows = len(path[0]) - 1
    if rows == 0 or net.depth == 1:
        return
    alive = np.all([_norm(w[1:], net.ndim) > 0 for w in path], axis=0)
    goal = np.broadcast_to(delta, (rows, *delta.shape))[alive]
    scaled = rescale(net, [w[1:][alive] for w in path], goal)
    for w, s in zip(path, scaled):
        w[1:][alive] = s
