"""What both flows share: checked times and losses, the solver, its tolerances, progress, rest."""

import sys
import time as clock
import warnings
from functools import partial
from math import inf, sqrt
from numbers import Real

import numpy as np
import scipy

from ..errors import FlowError, InputError
from .checks import as_real, check_fraction
from .scaling import norms

# The default atol, in rtol times the size of the filter: what an entry that passes through zero
# is measured by.
FOLLOWING = 1e-3
# The solver gets other tolerances when a size has shrunk to this fraction, or grown so many times:
# too small a size costs steps only, too large a one costs digits.
SHRUNK, GROWN = 0.3, 1e6
# A filter of less than this fraction of the largest is about to vanish.
LEAST_RATIO = 1e-9
# Below this nothing is resolved any more; squares of numbers above it are in range.
LEAST_SIZE = 1e-153
# Above so many numbers in one flow LSODA's matrices cost more than explicit steps.
LARGE = 2000
# So many steps in a row that do not move the time are the end of a flow.
STUCK = 20
# The moment at which a flow is to stop is looked for in this fraction, 2 to the power of minus
# this, of the solver's step.
HALVINGS = 40
METHODS = ("LSODA", "DOP853", "RK45", "RK23", "Radau", "BDF")


def as_times(t):
    """Checked times, shape (T,)."""
    t = as_real(t, "t")
    if t.ndim != 1 or t.size == 0 or (np.diff(t) <= 0).any():
        raise InputError(
            "t: expected a one-dimensional array of increasing times, the first one that of the "
            f"start, got shape {t.shape}"
            + ("" if t.ndim != 1 else "; sort it and remove repetitions")
        )
    return t


def check_tolerances(rtol, atol):
    """InputError unless 0 < rtol < 1, and atol is None or a number >= 0."""
    check_fraction(rtol)
    if not (atol is None or (isinstance(atol, Real) and 0 <= atol < inf)):
        raise InputError("atol: expected a number >= 0, or None for one that follows the state, "
                         f"got {atol!r}")


def slope_of(loss):
    """The loss's gradient as a function of v, without checks where the loss is one of ours."""
    unchecked = getattr(getattr(type(loss), "gradient", None), "unchecked", None)
    return loss.gradient if unchecked is None else partial(unchecked, loss)


def check_loss(loss, v, batch):
    """InputError unless `loss` gives finite values and gradients of the right shape at v."""
    checked(loss, "value", v, batch)
    checked(loss, "gradient", v, v.shape)


def checked(loss, name, v, shape):
    """The finite array of the given shape that the method `name` of the loss returns at v."""
    method = getattr(loss, name, None)
    if not callable(method):
        raise InputError("loss: expected an object with methods value(v) and gradient(v), got "
                         f"{type(loss).__name__} without {name}")
    got = as_real(method(v), f"loss.{name}(v)")
    if got.shape != shape:
        raise InputError(f"loss.{name}(v): expected shape {shape} for v of shape {v.shape}, got "
                         f"{got.shape}")
    return got


def layer_sizes(p, theta):
    """For each number of theta (B, P) the size that its error is measured by, (B, P).

    That of its filter; but next to a far larger filter, one of almost no size is about to vanish.
    """
    sizes = norms(p, theta)
    sizes = np.maximum(sizes, LEAST_RATIO * sizes.max(axis=1, keepdims=True))
    return np.repeat(np.maximum(sizes, LEAST_SIZE), p.sizes, axis=1)


def whole_size(v):
    """The same for end-to-end filters: the norm of each, (B, |k|)."""
    top = np.maximum(np.abs(v).max(axis=1, keepdims=True), LEAST_SIZE)
    norm = top * np.sqrt(((v / top) ** 2).sum(axis=1, keepdims=True))
    return np.broadcast_to(np.maximum(norm, LEAST_SIZE), v.shape)


class Stop:
    """Ends single flows of a batch early, where a rule holds.

    Parameters
    ----------
    rule : function (flows, times, states (n, N)) -> n truth values
        For the n flows of these numbers; times count from the start.
    y0 : ndarray, shape (B, N)
        The start: where the rule holds there, a flow stops at once.

    Attributes
    ----------
    ended : ndarray, shape (B,)
        When each flow was stopped, nan for those under way.
    """

    def __init__(self, rule, y0):
        self.rule = rule
        self.ended = np.full(len(y0), np.nan)
        self.ended[self.holds(np.arange(len(y0)), np.zeros(len(y0)), y0)] = 0.0

    @classmethod
    def of(cls, stop, slow, told, y0):
        """From the argument `stop` of a flow: `slow` is the rule for a number; None for None."""
        if stop is None:
            return None
        if callable(stop):
            return cls(told, y0)
        if isinstance(stop, Real) and 0 < stop < inf:
            return cls(slow, y0)
        raise InputError("stop: expected None, a positive norm of the gradient, or a function of "
                         f"the time and the state that tells whether to stop, got {stop!r}")

    def holds(self, flows, times, y):
        return np.fromiter(map(bool, self.rule(flows, times, y)), bool, len(y))

    def first(self, flows, low, high, y, at):
        """Which of the flows stop in a step from low to high, (n,), and in which states.

        Parameters
        ----------
        low, high : ndarrays, shape (n,)
        y : ndarray, shape (n, N)
            States at `high`.
        at : function (indices into flows, their times) -> states
        """
        hit = np.flatnonzero(self.holds(flows, high, y)) if len(flows) else np.zeros(0, int)
        if not len(hit):
            return hit, y[hit]
        low, high, y = low[hit], high[hit], y[hit]
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            there = at(hit, middle)
            holds = self.holds(flows[hit], middle, there)
            y[holds] = there[holds]
            low, high = np.where(holds, low, middle), np.where(holds, middle, high)
        self.ended[flows[hit]] = high
        return hit, y


def integrate(rhs, y0, t, *, sizes, method, rtol, atol, hessian=None, hold=None, progress=False,
              event=None, stop=None, **options):
    """States (T, B, N) at the times t, evaluations, message, by a method of `solve_ivp`.

    The tolerances are those wanted of the reported states.  A solver controls each step by itself,
    and averages over all flows: it gets a tenth of them, over the square root of B.  Without an
    `atol` it follows the state: `sizes` (B, N) -> (B, N) says by what each number is measured, and
    the solver starts anew with other tolerances when one of these has changed much.

    Parameters
    ----------
    rhs, hessian : functions (time, (B, N)) -> (B, N), and (B, N) -> (B, N, N), for one flow
    hold : function (B, N) -> (B, N), optional
        Puts the state back to what it conserves, when the solver starts anew.
    event : function (time, (B, N)), optional
        Called at the start and at the end of each step; to stop, it raises.
    stop : Stop, optional
    """
    b, n = y0.shape
    out = np.empty((len(t), b, n))
    out[0] = y0
    if len(t) == 1 or b == 0:
        return out, 0, "One time only: nothing to integrate."
    if stop is not None and not np.isnan(stop.ended).any():
        out[1:] = y0
        return out, 0, "Every flow stops at the start."
    if method is None:
        method = "LSODA" if n <= LARGE else "DOP853"
    solver_class = _solver_class(method)
    scale = 0.1 / sqrt(b)
    rtol = max(rtol * scale, 100 * np.finfo(float).eps)
    show = progress_of(progress, t)
    alive = np.ones((b, 1)) if stop is None else 1.0 * np.isnan(stop.ended)[:, None]
    lsoda = solver_class is scipy.integrate.LSODA
    if lsoda and b > 1 and not {"lband", "uband", "jac"} & set(options):
        options = {"lband": n - 1, "uband": n - 1, **options}  # flows do not meet
    elif hessian is not None and b == 1 and method in ("LSODA", "Radau", "BDF"):
        options = {"jac": lambda _, y: -hessian(y[None])[0], **options}
    finite = True

    def slopes(time, y):
        nonlocal finite
        out = (np.asarray(rhs(t[0] + time, y.reshape(b, n))) * alive).reshape(-1)
        fine = np.isfinite(out).all()
        finite = finite and bool(fine)
        if lsoda and not fine:  # it does not look: show it something that it will not take
            out = np.full_like(y, 1e30 * (1.0 + np.abs(np.nan_to_num(y)).max()))
        return out

    times = t - t[0]  # counted from the start, where small steps may be needed

    def begin(now, y):
        old = sizes(y.reshape(b, n)) if atol is None else None
        tolerance = atol * scale if old is None else (FOLLOWING * rtol * old).reshape(-1)
        return old, solver_class(slopes, now, y, times[-1], rtol=rtol, atol=tolerance, **options)

    done, evaluations, stuck, last_states = 1, 0, 0, y0.copy()
    # A trial step may overflow; the solver then takes a smaller one.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("error", message="The following arguments have no effect")
        warnings.filterwarnings("ignore", message="lsoda")
        if event is not None:
            event(t[0], y0)
        try:
            old, solver = begin(0.0, y0.reshape(-1))
        except (UserWarning, TypeError, ValueError) as unused:
            raise InputError(f"options: expected options of the method {method!r} of "
                             "scipy.integrate.solve_ivp, got "
                             f"{str(unused).rsplit(': ')[-1]}") from None
        while done < len(t):
            if not stuck:
                finite = True
            message = solver.step()
            time, y = t[0] + solver.t, solver.y.reshape(b, n)
            moved = solver.t_old is not None and solver.t - solver.t_old > 1e-13 * solver.t
            stuck = 0 if moved else stuck + 1
            if solver.status == "failed" or stuck > STUCK or not np.isfinite(y).all():
                time = time if solver.t_old is None else t[0] + solver.t_old
                why = message or "the steps become too small"
                hint = "" if finite else "; the velocity is not finite there: look at the gradient"
                raise FlowError(f"the flow cannot be continued past t = {time:.6g} ({why}{hint}); "
                                f"expected to reach t = {t[-1]:.6g}. Either it blows up there (is "
                                "the loss bounded below?) or it is stiff: end earlier, or try "
                                "method='Radau' or a larger rtol", time=time)
            ended = False
            if stop is not None:
                going, path = np.flatnonzero(alive), solver.dense_output()
                low, high = (np.full(len(going), x) for x in (solver.t_old, solver.t))
                hit, states = stop.first(going, low, high, y[going],
                                         partial(_rows_at, path, (b, n), going))
                if len(hit):
                    ended, y = True, y.copy()
                    y[going[hit]] = last_states[going[hit]] = states
                    alive[going[hit]] = 0.0
            show(solver.t)
            if event is not None:
                event(time, y)
            last, done = done, int(np.searchsorted(times, solver.t, "right"))
            if done > last:
                out[last:done] = solver.dense_output()(times[last:done]).T.reshape(-1, b, n)
            if not alive.any():
                break
            if done < len(t):
                ratio = np.ones(1) if old is None else sizes(y) / old
                if ended or ratio.min() < SHRUNK or ratio.max() > GROWN:
                    evaluations += solver.nfev
                    options.pop("first_step", None)
                    y = y.copy() if hold is None or ended else hold(y)
                    old, solver = begin(solver.t, y.reshape(-1))
    show(times[-1], True)
    message = "The solver successfully reached the end of the integration interval."
    for i in np.flatnonzero(alive == 0):
        out[times > stop.ended[i], i] = last_states[i]
    return out, evaluations + solver.nfev, message


def _rows_at(path, shape, rows, which, times):
    """States of the flows rows[which], each at its own time."""
    return np.stack([path(x).reshape(shape)[i] for i, x in zip(rows[which], times)])


def _solver_class(method):
    """The class behind a method of `solve_ivp`."""
    if isinstance(method, str) and method in METHODS:
        return getattr(scipy.integrate, method)
    if isinstance(method, type) and issubclass(method, scipy.integrate.OdeSolver):
        return method
    raise InputError(f"method: expected one of {', '.join(METHODS)} or a subclass of "
                     f"scipy.integrate.OdeSolver, got {method!r}")


def progress_of(progress, t):
    """A function of the time since the start that tells how far the flow is."""
    if progress is False or progress is None:
        return lambda time, done=False: None
    span, last = t[-1] - t[0], clock.monotonic()

    def show(time, done=False):
        nonlocal last
        now = clock.monotonic()
        if done or now - last > 0.5:
            last = now
            fraction = min(1.0, time / span)
            if callable(progress):
                progress(fraction)
            else:
                sys.stderr.write(f"\rflow: t = {t[0] + time:.4g}, {fraction:4.0%}" + "\n" * done)
                sys.stderr.flush()

    return show


def hold_at_rest(value, values, t, rtol, v, *states):
    """Where rounding would raise the loss, keep the earlier state, in place.

    Parameters
    ----------
    value : function (*batch, *k) -> (*batch,)
    values, v, *states : ndarrays, shapes (T, *batch), (T, *batch, *k), ...

    Raises
    ------
    FlowError
        When the loss rises by more than the solver's tolerance explains.
    """
    def change(n):
        """Of the loss, when v moves somewhere by the tolerance: beside zero all there is."""
        k = v.shape[values.ndim :]
        size = np.linalg.norm(v[n].reshape(*values.shape[1:], -1), axis=-1)
        way = size[(...,) + (None,) * len(k)] * np.random.default_rng(0).standard_normal(k)
        return np.abs(np.nan_to_num(value(v[n] + rtol * way) - values[n]))

    for n in range(1, len(values)):
        rise = values[n] - values[n - 1]
        worse = rise > 0
        if not worse.any():
            continue
        allowed = 1e3 * rtol * (np.abs(values[0]) + np.abs(values[n]))
        if (rise > allowed).any() and (rise > allowed + 1e3 * change(n - 1)).any():
            raise FlowError(f"the loss rises by {rise.max():.3g} between t = {t[n - 1]:.6g} and t "
                            f"= {t[n]:.6g}, which a gradient flow cannot do; expected at most the "
                            "solver's tolerance: check that loss.gradient is the gradient of "
                            "loss.value, or lower rtol", time=t[n - 1])
        for a in (values, v, *states):
            a[n, worse] = a[n - 1, worse]
