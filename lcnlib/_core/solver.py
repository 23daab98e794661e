"""What both flows share: checked times and losses, the solver, progress, rest."""

import sys
import time as clock
import warnings
from math import inf, sqrt
from numbers import Real

import numpy as np
import scipy

from ..errors import FlowError, InputError
from .checks import as_real, check_fraction


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


def check_tolerances(rtol, atol):
    """InputError unless 0 < rtol < 1 and 0 <= atol, both numbers."""
    check_fraction(rtol)
    if not (isinstance(atol, Real) and 0 <= atol < inf):
        raise InputError(f"atol: expected a number >= 0, got {atol!r}")


def check_loss(loss, v, batch):
    """InputError unless `loss` gives finite values and gradients of the right shape at v."""
    checked(loss, "value", v, batch)
    checked(loss, "gradient", v, v.shape)


def checked(loss, name, v, shape):
    """The finite array of the given shape that the method `name` of the loss returns at v."""
    method = getattr(loss, name, None)
    if not callable(method):
        raise InputError(
            f"loss: expected an object with methods value(v) and gradient(v), got "
            f"{type(loss).__name__} without {name}"
        )
    got = as_real(method(v), f"loss.{name}(v)")
    if got.shape != shape:
        raise InputError(
            f"loss.{name}(v): expected shape {shape} for v of shape {v.shape}, got {got.shape}"
        )
    return got


def integrate(rhs, y0, t, *, n_flows, method, rtol, atol, progress=False, **options):
    """`solve_ivp` from t[0], reported at t: states (T, n), evaluations, message.

    The tolerances are those wanted of the reported states.  A solver controls each step by itself,
    and averages over all flows: it gets a tenth of them, over the square root of `n_flows`.
    """
    scale = 0.1 / sqrt(max(1, n_flows))
    rtol, atol = max(rtol * scale, 100 * np.finfo(float).eps), atol * scale
    if len(t) == 1:
        return y0[None].copy(), 0, "One time only: nothing to integrate."
    show = progress_of(progress, t)
    reached = t[0]

    def tracked(time, y):
        nonlocal reached
        reached = max(reached, time)
        if show is not None:
            show(time)
        return rhs(time, y)

    # A trial step may overflow; the solver then takes a smaller one.
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("error", message="The following arguments have no effect")
        try:
            sol = scipy.integrate.solve_ivp(
                tracked, (t[0], t[-1]), y0, t_eval=t, method=method, rtol=rtol, atol=atol,
                **options,
            )
        except UserWarning as unused:
            raise InputError(
                f"options: expected options of the method {method!r} of "
                f"scipy.integrate.solve_ivp, got {str(unused).rsplit(': ')[-1]}"
            ) from None
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


def progress_of(progress, t):
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
