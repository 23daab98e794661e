"""Shallow ReLU networks f(x) = sum_j a_j max(0, <b_j, x>) (chapter "Beyond convolution").

``neurons`` is the pair (a, b) of arrays of shapes (*batch, m) and (*batch, m, d).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from ._core.arrays_flow import solve
from ._core.checks import as_real, finite_result, quiet
from ._core.solver import as_times
from .errors import AmbiguousFactorizationError, FlowError, InputError, ZeroFilterError
from .network import standard_normal

__all__ = ["ReluFlow", "function", "gradient_flow", "invariants", "ntk", "random_neurons",
           "recover", "rescale"]

MOST_EVALUATIONS = 20_000  # hundreds are usual
MOST_SIGNS = 16  # 2^16 sums are compared to tell on which side of its kink a neuron is active


def _neurons(neurons):
    try:
        a, b = neurons
    except (TypeError, ValueError):
        raise InputError("neurons: expected the pair (a, b) of outer and inner weights") from None
    a, b = as_real(a, "neurons[0]"), as_real(b, "neurons[1]")
    if a.ndim < 1 or a.shape[-1] < 1 or b.ndim != a.ndim + 1 or b.shape[:-1] != a.shape:
        raise InputError("neurons: expected shapes (*batch, m) and (*batch, m, d), got "
                         f"{a.shape} and {b.shape}")
    return a, b


def _points(x, b, name="x"):
    x = as_real(x, name)
    if x.ndim != 2 or x.shape[-1] != b.shape[-1]:
        raise InputError(f"{name}: expected points of shape (n, {b.shape[-1]}), got {x.shape}")
    return x


def random_neurons(m, d, seed, batch=()):
    """m neurons in d dimensions with independent standard normal weights.

    Returns
    -------
    a, b : ndarrays, shapes (*batch, m) and (*batch, m, d)

    Examples
    --------
    >>> import lcnlib.shallow_relu as relu
    >>> [x.shape for x in relu.random_neurons(3, 2, 0)]
    [(3,), (3, 2)]
    """
    return tuple(standard_normal(seed, batch, [(m,), (m, d)]))


@quiet
def function(neurons, x):
    """The values f(x) at points x.

    Parameters
    ----------
    neurons : (a, b), shapes (*batch, m) and (*batch, m, d)
    x : ndarray, shape (n, d)

    Returns
    -------
    ndarray, shape (*batch, n)

    Examples
    --------
    >>> import lcnlib.shallow_relu as relu
    >>> relu.function(([2.0], [[1.0, 0.0]]), [[3.0, 1.0], [-3.0, 1.0]]).tolist()
    [6.0, 0.0]
    """
    a, b = _neurons(neurons)
    hidden = np.maximum(_points(x, b) @ b.mT, 0)
    return finite_result((hidden * a[..., None, :]).sum(axis=-1), "the output")


@quiet
def invariants(neurons):
    """The conserved numbers a_j^2 - |b_j|^2, one for each neuron.

    Book: prop-relu-balance.

    Parameters
    ----------
    neurons : (a, b), shapes (*batch, m) and (*batch, m, d)

    Returns
    -------
    ndarray, shape (*batch, m)

    Examples
    --------
    >>> import lcnlib.shallow_relu as relu
    >>> relu.invariants(([2.0], [[1.0, 1.0]])).tolist()
    [2.0]
    """
    a, b = _neurons(neurons)
    return finite_result(a * a - (b * b).sum(axis=-1), "an invariant")


@quiet
def ntk(neurons, x, other=None):
    """The neural tangent kernel: training moves f(x) by -sum over n of K(x, x_n) dl/df(x_n).

    At a kink max(0, .) is given the slope zero.

    Parameters
    ----------
    neurons : (a, b), shapes (*batch, m) and (*batch, m, d)
    x, other : ndarrays, shapes (n, d) and (n', d)
        `other` is `x` by default.

    Returns
    -------
    ndarray, shape (*batch, n, n')

    Examples
    --------
    >>> import lcnlib.shallow_relu as relu
    >>> relu.ntk(([2.0], [[1.0, 0.0]]), [[1.0, 1.0], [-1.0, 0.0]]).tolist()
    [[9.0, 0.0], [0.0, 0.0]]
    """
    a, b = _neurons(neurons)
    x = _points(x, b)
    y = x if other is None else _points(other, b, "other")
    left, right = (p @ b.mT for p in (x, y))
    outer = np.maximum(left, 0) @ np.maximum(right, 0).mT
    inner = ((left > 0) * (a * a)[..., None, :]) @ (right > 0).mT
    return finite_result(outer + inner * (x @ y.T), "the kernel")


def _radii(c, delta):
    """|b| of the neuron with a |b| = c and a^2 - |b|^2 = delta, without cancellation."""
    root = np.hypot(delta, 2 * c)
    large = np.sqrt((np.abs(delta) + root) / 2)
    return np.where(delta <= 0, large, np.abs(c) / large)


@quiet
def rescale(neurons, invariants):
    """The same function with given invariants: (a_j, b_j) becomes (a_j / t_j, t_j b_j), t_j > 0.

    Parameters
    ----------
    neurons : (a, b), shapes (*batch, m) and (*batch, m, d), none of them zero
    invariants : array_like, shape (m,) or (*batch, m)

    Returns
    -------
    a, b : ndarrays

    Raises
    ------
    ZeroFilterError
        When some a_j or b_j is zero.

    Examples
    --------
    >>> import lcnlib.shallow_relu as relu
    >>> a, b = relu.rescale(([2.0], [[0.0, 8.0]]), [0.0])
    >>> a.round(12).tolist(), b.round(12).tolist()
    ([4.0], [[0.0, 4.0]])
    """
    a, b = _neurons(neurons)
    delta = as_real(invariants, "invariants")
    try:
        delta = np.broadcast_to(delta, a.shape)
    except ValueError:
        raise InputError(f"invariants: expected shape {a.shape} or one that broadcasts to it, got "
                         f"{delta.shape}") from None
    scale = np.abs(b).max(axis=-1)
    if not (a.all() and scale.all()):
        raise ZeroFilterError("neurons: expected a_j and b_j different from zero, got a zero; "
                              "scaling cannot change its norm: leave the neuron out")
    norm = scale * np.linalg.norm(b / scale[..., None], axis=-1)
    r = _radii(a * norm, delta)
    if not (np.isfinite(r).all() and (r > 0).all()):
        raise InputError("invariants: the scaled neurons leave double precision; expected norms "
                         "and roots of invariants between 1e-150 and 1e150")
    return a * (norm / r), b * (r / norm)[..., None]


def recover(f, invariants=0.0, n=4096, rtol=1e-7):
    """The neurons of a function of two variables, up to order, from its values on a circle.

    Book: thm-relu-neurons.

    Parameters
    ----------
    f : callable
        ``f(x)`` with x of shape (n, 2) returns shape (n,).
    invariants : float
        The common value of a_j^2 - |b_j|^2.
    n : int
        Number of points on the circle, even; two kinks must lie three or more of them apart.
    rtol : float
        Relative size below which a change of slope counts as rounding.

    Returns
    -------
    a, b : ndarrays, shapes (m,) and (m, 2)
        Ordered by the angle of the line on which the neuron has its kink, in [0, pi); no neurons
        for the function zero.

    Raises
    ------
    AmbiguousFactorizationError
        When several choices of sides give this function, or none does.
    InputError
        When two kinks are too close, or more than 16.

    Examples
    --------
    >>> import lcnlib.shallow_relu as relu
    >>> a, b = relu.recover(lambda x: relu.function(([2.0], [[0.0, 2.0]]), x))
    >>> a.round(9).tolist(), (b.round(9) + 0.0).tolist()
    ([2.0], [[0.0, 2.0]])
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 8 or n % 2:
        raise InputError(f"n: expected an even int >= 8, got {n!r}")
    delta = as_real(invariants, "invariants")
    if delta.ndim:
        raise InputError(f"invariants: expected a number, got shape {delta.shape}")
    step = 2 * np.pi / n
    angle = step * (np.arange(n) + 0.5 / np.e)  # off the kinks at round angles
    x = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    y = as_real(f(x), "f(x)")
    if y.shape != (n,):
        raise InputError(f"f: expected values of shape ({n},), got {y.shape}")
    # Linear functions, on the circle sines, are annihilated by this difference.
    e = np.roll(y, -1) + np.roll(y, 1) - 2 * np.cos(step) * y
    big = np.abs(e) > rtol * np.abs(y).max() * step
    where = [k for k in range(n // 2) if big[k] and big[k + 1]]
    if any((k + 1) % (n // 2) in where for k in where) or len(where) > MOST_SIGNS:
        raise InputError(f"n: expected kinks three points apart and at most {MOST_SIGNS}, got "
                         "closer ones or more; pass a larger n")
    k = np.array(where, int)
    u = np.arctan2(e[k + 1] * np.sin(step), e[k] + e[k + 1] * np.cos(step))
    u = np.where((0 <= u) & (u <= step), u, u - np.pi * np.sign(u))
    c = (e[k] + e[k + 1]) / (np.sin(u) + np.sin(step - u))
    line = angle[k] + u
    order = np.argsort((line + 1e-9) % np.pi)  # at angle 0 despite rounding
    c, line = c[order], line[order]
    normal = np.stack([-np.sin(line), np.cos(line)], axis=-1)
    # f(x) - f(-x) = <sum of side_j c_j n_j, x>: it tells the sides.
    odd = x.T @ (y - np.roll(y, n // 2)) * (2 / n)
    sides = np.array(list(product((1, -1), repeat=len(c))))
    gap = np.linalg.norm(sides @ (c[:, None] * normal) - odd, axis=-1)
    good = gap <= 1e3 * rtol * np.abs(c).sum()
    if good.sum() != 1:
        what = "several choices of sides give" if good.any() else "no choice of sides gives"
        raise AmbiguousFactorizationError(
            f"f: {what} this function; expected a network whose a_j b_j have no signed sum of zero "
            "and whose b_j lie on different lines")
    b = sides[gap.argmin()][:, None] * normal
    r = _radii(c, np.full_like(c, delta))
    return c / r, b * r[:, None]


@dataclass(frozen=True)
class ReluFlow:
    """What a flow of a shallow ReLU network did.

    Attributes
    ----------
    t : ndarray, shape (T,)
    a : ndarray, shape (T, m)
    b : ndarray, shape (T, m, d)
    output : ndarray, shape (T, n)
    loss : ndarray, shape (T,)
    invariants : ndarray, shape (T, m)
    n_evaluations : int
    """

    t: np.ndarray
    a: np.ndarray
    b: np.ndarray
    output: np.ndarray
    loss: np.ndarray
    invariants: np.ndarray
    n_evaluations: int


def gradient_flow(neurons, x, y, t, *, rtol=1e-9, atol=None, method="LSODA", **options):
    """Gradient flow of 1/2 sum over data of (f(x_n) - y_n)^2.

    The velocity jumps where a data point lies on the kink of a neuron.  Flows that cross go on;
    one that is pushed back from both sides would slide along, with a slope of max(0, .) between
    0 and 1 that the loss picks.  The invariants would be constant for every such slope, but
    the kernel, which f and they determine elsewhere, has no one value there: what slides
    is no gradient flow of a metric, and is refused.

    Parameters
    ----------
    neurons : (a, b), shapes (m,) and (m, d)
    x, y : ndarrays, shapes (n, d) and (n,)
    t : array_like, shape (T,)
        Increasing times.
    rtol, atol, method, **options
        For `scipy.integrate.solve_ivp`; by default `atol` is 1e-3 rtol times the largest weight.

    Returns
    -------
    ReluFlow

    Raises
    ------
    FlowError
        When the flow slides along a kink, or the solver cannot continue.

    Examples
    --------
    >>> import lcnlib.shallow_relu as relu
    >>> flow = relu.gradient_flow(([1.0], [[1.0, 0.0]]), [[1.0, 0.0]], [4.0], [0.0, 20.0])
    >>> flow.output[-1].round(6).tolist()
    [4.0]
    """
    a, b = _neurons(neurons)
    if a.ndim != 1:
        raise InputError(f"neurons: expected one network without batch axes, got {a.shape}")
    x, y, t = _points(x, b), as_real(y, "y"), as_times(t)
    if y.shape != x.shape[:1]:
        raise InputError(f"y: expected shape {x.shape[:1]}, one value for each point, got "
                         f"{y.shape}")
    count = 0

    def velocity(now, neurons):
        nonlocal count
        count += 1
        if count > MOST_EVALUATIONS:
            raise FlowError(f"the flow is stuck at t = {now:g} after {count - 1} evaluations: it "
                            "slides along the kink of a data point, where the velocity jumps; stop "
                            "earlier, or start elsewhere", now)
        a, b = neurons
        hidden = x @ b.T
        relu = np.maximum(hidden, 0)
        error = relu @ a - y
        turn = ((hidden > 0) * error[:, None]).T @ x
        return -(error @ relu), -(a[:, None] * turn)

    (a, b), n_evaluations = solve(velocity, (a, b), t, rtol=rtol, atol=atol, method=method,
                                  **options)
    f = function((a, b), x)
    loss = 0.5 * ((f - y) ** 2).sum(axis=-1)
    return ReluFlow(t, a, b, f, loss, invariants((a, b)), n_evaluations)
