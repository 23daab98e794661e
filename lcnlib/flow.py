"""Gradient flow in parameter space (S2, chapter 3)."""

import sys
import time as clock
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.integrate import solve_ivp

from ._checks import as_filters, as_real
from ._spectral import cofactor_values, plan
from .errors import FlowError, InputError
from .scaling import _norm, invariants, rescale

__all__ = ["FlowResult", "gradient_flow"]


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
    net, loss, filters, t, *, method="DOP853", rtol=1e-9, atol=1e-12, progress=False, **options
):
    """Gradient flow dw_i/dt = -dL/dw_i of the loss L = l o mu, from given filters.

    Statements S2 and S4, chapters 3 and 4.  Batch axes hold independent flows; the
    tolerances are tightened by the square root of their number, so that each
    flow by itself meets the tolerance asked for.

    Parameters
    ----------
    net : LCN
    loss : object with methods ``value(v)`` and ``gradient(v)``
        For v of shape (*batch, *k) they return shapes (*batch,) and (*batch, *k).
    filters : sequence of H ndarrays, shapes (*batch, *k_i)
        Filters at time t[0].
    t : array_like, shape (T,)
        Increasing times at which to report.
    method, rtol, atol, **options
        Passed to `scipy.integrate.solve_ivp`.
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
    batch = ws[0].shape[: -net.ndim]
    p = plan(net)
    start = p.pack(ws)
    velocity = _velocity(net, loss, batch)
    check_loss(loss, velocity.end_to_end(start), batch)

    def rhs(_, y):
        return velocity(y.reshape(start.shape)).reshape(-1)

    scale = 1 / sqrt(max(1, len(start)))
    y, n_evaluations, message = integrate(
        rhs, start.reshape(-1), t, method=method, progress=progress,
        rtol=max(rtol * scale, 100 * np.finfo(float).eps), atol=atol * scale, **options,
    )
    path = p.unpack(y.reshape(len(t) * len(start), -1), (len(t), *batch))
    path = [np.ascontiguousarray(w) for w in path]
    for w, w0 in zip(path, ws):
        w[0] = w0
    delta = invariants(net, ws)
    _project(net, path, delta)
    v = _end_to_end(net, p, path)
    values = np.stack([np.asarray(loss.value(x), dtype=float) for x in v])
    hold_at_rest(values, t, rtol, v, *path)
    return FlowResult(
        t, path, v, values, invariants(net, path), n_evaluations, True, message
    )


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


def _end_to_end(net, p, path):
    w = p.spectra(p.pack(path))
    v = p.mask(p.coefficients(cofactor_values(w)[-1] * w[-1]))
    return v.reshape(path[0].shape[: -net.ndim] + net.end_to_end_shape)


def as_times(t):
    """Checked times, shape (T,)."""
    t = as_real(t, "t")
    if t.ndim != 1 or t.size == 0 or (np.diff(t) <= 0).any():
        raise InputError(
            "t: expected a one-dimensional array of increasing times, starting with the time of "
            f"the initial filters, got shape {t.shape}"
            + ("" if t.ndim != 1 else "; sort it and remove repetitions")
        )
    return t


def check_loss(loss, v, batch):
    """InputError unless `loss` gives finite values and gradients of the right shape at v."""
    for name, want in (("value", batch), ("gradient", v.shape)):
        method = getattr(loss, name, None)
        if not callable(method):
            raise InputError(
                f"loss: expected an object with methods value(v) and gradient(v), got "
                f"{type(loss).__name__} without {name}"
            )
        got = as_real(method(v), f"loss.{name}(v)")
        if got.shape != want:
            raise InputError(
                f"loss.{name}(v): expected shape {want} for v of shape {v.shape}, got {got.shape}"
            )


def integrate(rhs, y0, t, *, method, rtol, atol, progress=False, **options):
    """`solve_ivp` from t[0], reported at t: states (T, n), evaluations, message."""
    if len(t) == 1:
        return y0[None].copy(), 0, "One time only: nothing to integrate."
    show = _progress(progress, t)
    reached = t[0]

    def tracked(time, y):
        nonlocal reached
        reached = max(reached, time)
        if show is not None:
            show(time)
        return rhs(time, y)

    # A trial step may overflow; the solver then takes a smaller one.
    with np.errstate(over="ignore", invalid="ignore"):
        sol = solve_ivp(
            tracked, (t[0], t[-1]), y0, t_eval=t, method=method, rtol=rtol, atol=atol, **options
        )
    if not sol.success or sol.y.shape[1] != len(t) or not np.isfinite(sol.y).all():
        raise FlowError(
            f"the flow cannot be continued past t = {reached:.6g} ({sol.message}); expected "
            f"to reach t = {t[-1]:.6g}. Either it blows up there (is the loss bounded below?) "
            "or it is stiff: end earlier, or try method='Radau' or a larger rtol",
            time=reached,
        )
    if show is not None:
        show(t[-1], True)
    return sol.y.T, int(sol.nfev), sol.message


def _progress(progress, t):
    """A function of the time that tells how far the flow is, or None."""
    if progress is False or progress is None:
        return None
    span, last = t[-1] - t[0], clock.monotonic()

    def show(time, done=False):
        nonlocal last
        now = clock.monotonic()
        if done or now - last > 0.5:
            last = now
            fraction = min(1.0, (time - t[0]) / span)
            if callable(progress):
                progress(fraction)
            else:
                sys.stderr.write(f"\rflow: t = {time:.4g}, {fraction:4.0%}" + "\n" * done)
                sys.stderr.flush()

    return show


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


def hold_at_rest(values, t, rtol, *states):
    """Where rounding would raise the loss, keep the earlier state, in place.

    Raises
    ------
    FlowError
        When the loss rises by more than the solver's tolerance explains.
    """
    for n in range(1, len(values)):
        rise = values[n] - values[n - 1]
        worse = rise > 0
        if not worse.any():
            continue
        allowed = 1e3 * rtol * (np.abs(values[0]) + np.abs(values[n]))
        if (rise > allowed).any():
            raise FlowError(
                f"the loss rises by {rise.max():.3g} between t = {t[n - 1]:.6g} and "
                f"t = {t[n]:.6g}, which a gradient flow cannot do; expected at most the solver's "
                "tolerance: check that loss.gradient is the gradient of loss.value, or lower rtol",
                time=t[n - 1],
            )
        for a in (values, *states):
            a[n, worse] = a[n - 1, worse]
