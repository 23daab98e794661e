"""Fully connected linear networks W = W_N ... W_1, for contrast.

A network is a list of matrices ``weights``, layer 1 first; W_j has shape (*batch, n_j, n_{j-1}).
A kernel K acts on matrices Z of the shape of W; as an array it has shape (*batch, mn, mn), with Z
read in C order.
"""

import operator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ._core.checks import as_real, finite_result, quiet
from .errors import FlowError, InputError, SingularPointError
from .network import standard_normal

__all__ = ["MatrixFlow", "balanced_ntk", "end_to_end", "gradient_flow", "invariants", "ntk",
           "random_weights", "relaxed_ntk", "siblings"]

LARGEST_TURN = 0.1  # of log G in one step: small enough to stay near the path of the proof
STEPS = 2000


def _weights(weights, name="weights"):
    """Checked matrices with equal batch axes and fitting sizes."""
    try:
        n = len(weights)
    except TypeError:  # refused below, with words
        raise InputError(f"{name}: expected a list of matrices, layer 1 first, got "
                         f"{type(weights).__name__}") from None
    if n == 0:
        raise InputError(f"{name}: expected at least one matrix, got none")
    out = [as_real(w, f"{name}[{j}]") for j, w in enumerate(weights)]
    for j, w in enumerate(out):
        if w.ndim < 2 or 0 in w.shape:
            raise InputError(f"{name}[{j}]: expected a matrix of shape (*batch, outputs, inputs), "
                             f"got shape {w.shape}")
        if w.shape[:-2] != out[0].shape[:-2]:
            raise InputError(f"{name}[{j}]: expected the batch axes {out[0].shape[:-2]} of "
                             f"{name}[0], got {w.shape[:-2]}; use numpy.broadcast_to to match them")
        if j and w.shape[-1] != out[j - 1].shape[-2]:
            raise InputError(f"{name}[{j}]: expected {out[j - 1].shape[-2]} columns, the outputs "
                             f"of {name}[{j - 1}], got {w.shape[-1]}; layer 1 comes first")
    return out


def _t(a):
    return np.swapaxes(a, -1, -2)


def _product(ws, start):
    for w in ws:
        start = w @ start
    return start


def _kron(a, b):
    """The matrix of Z -> a Z b for symmetric a and b."""
    k = np.einsum("...ac,...bd->...abcd", a, b)
    n = a.shape[-1] * b.shape[-1]
    return k.reshape(*k.shape[:-4], n, n)


def random_weights(sizes, seed, batch=()):
    """Matrices with independent standard normal entries.

    Parameters
    ----------
    sizes : sequence of N + 1 ints
        Inputs, hidden sizes, outputs.
    seed : int or numpy.random.Generator
    batch : tuple of ints, optional

    Returns
    -------
    list of N ndarrays, shapes (*batch, n_j, n_{j-1})

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> [w.shape for w in fc.random_weights((5, 2, 1), 0)]
    [(2, 5), (1, 2)]
    """
    try:
        sizes = [operator.index(n) for n in sizes]
    except TypeError:  # refused below, with words
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1:
        raise InputError("sizes: expected at least two ints >= 1, inputs first, such as (5, 2, 1)")
    return standard_normal(seed, batch, [(m, n) for n, m in pairwise(sizes)])


@quiet
def end_to_end(weights):
    """The matrix W = W_N ... W_1 that the network computes.

    Parameters
    ----------
    weights : sequence of N ndarrays, shapes (*batch, n_j, n_{j-1})

    Returns
    -------
    ndarray, shape (*batch, n_N, n_0)

    Raises
    ------
    InputError
        When shapes do not fit, or the result overflows.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> fc.end_to_end([[[1, 2]], [[3], [4]]]).tolist()
    [[3.0, 6.0], [4.0, 8.0]]
    """
    ws = _weights(weights)
    return finite_result(_product(ws[1:], ws[0]), "the end-to-end matrix")


@quiet
def invariants(weights):
    """The conserved matrices Delta_j = W_{j+1}^T W_{j+1} - W_j W_j^T, j = 1 ... N-1.

    Book: prop-connected-conserved.

    Parameters
    ----------
    weights : sequence of N ndarrays, shapes (*batch, n_j, n_{j-1})

    Returns
    -------
    list of N-1 symmetric ndarrays, shapes (*batch, n_j, n_j)

    Raises
    ------
    InputError
        When shapes do not fit, or an entry overflows.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> fc.invariants([[[1, 2]], [[3], [4]]])[0].tolist()
    [[20.0]]
    """
    ws = _weights(weights)
    return [finite_result(_t(b) @ b - a @ _t(a), "an invariant") for a, b in pairwise(ws)]


@quiet
def ntk(weights):
    """The neural tangent kernel: gradient flow moves W by -K(grad l(W)).

    K(Z) = sum_j L_j L_j^T Z R_j^T R_j with L_j the layers after layer j and R_j those before.

    Parameters
    ----------
    weights : sequence of N ndarrays, shapes (*batch, n_j, n_{j-1})

    Returns
    -------
    ndarray, shape (*batch, mn, mn)
        Acts on Z of shape (m, n) in C order; symmetric and positive semidefinite.

    Raises
    ------
    InputError
        When shapes do not fit, or an entry overflows.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> fc.ntk([[[1, 2]], [[3]]]).tolist()
    [[10.0, 2.0], [2.0, 13.0]]
    """
    ws = _weights(weights)
    batch, n, m = ws[0].shape[:-2], ws[0].shape[-1], ws[-1].shape[-2]
    before, after = [np.broadcast_to(np.eye(n), (*batch, n, n))], [np.eye(m)]
    for w in ws[:-1]:
        before.append(w @ before[-1])
    for w in ws[:0:-1]:
        after.append(after[-1] @ w)
    k = sum(_kron(a @ _t(a), _t(b) @ b) for a, b in zip(after[::-1], before))
    return finite_result(k, "the kernel")


def _svd(w):
    w = as_real(w, "w")
    if w.ndim < 2 or 0 in w.shape:
        raise InputError(f"w: expected a matrix of shape (*batch, m, n), got shape {w.shape}")
    u, s, vt = np.linalg.svd(w, full_matrices=True)
    return u, s, _t(vt)


def _from_spectrum(u, values):
    """sum of values_i u_i u_i^T over the first columns of u."""
    u = u[..., : values.shape[-1]]
    return (u * values[..., None, :]) @ _t(u)


@quiet
def balanced_ntk(w, depth=2):
    """The kernel of every balanced network that computes W: it depends on W alone.

    K(Z) = sum_j (W W^T)^((N-j)/N) Z (W^T W)^((j-1)/N), with the power 0 meaning the identity.

    Book: prop-connected-balanced.

    Parameters
    ----------
    w : ndarray, shape (*batch, m, n)
    depth : int, optional
        N, the number of layers.

    Returns
    -------
    ndarray, shape (*batch, mn, mn)

    Raises
    ------
    InputError
        When `depth` is not an int >= 1, or an entry overflows.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> fc.balanced_ntk([[3, 0], [0, 4]]).round(12).diagonal().tolist()
    [6.0, 7.0, 7.0, 8.0]
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise InputError(f"depth: expected an int >= 1, the number of layers, got {depth!r}")
    u, s, v = _svd(w)
    k = 0.0
    for j in range(1, depth + 1):
        left, right = (np.broadcast_to(np.eye(a.shape[-1]), a.shape) if p == 0 else
                       _from_spectrum(a, s ** (2 * p / depth))
                       for a, p in ((u, depth - j), (v, j - 1)))
        k = k + _kron(left, right)
    return finite_result(k, "the kernel")


@quiet
def relaxed_ntk(w, level, width):
    """The kernel of the two-layer networks with W_2^T W_2 - W_1 W_1^T = level * identity.

    A = W_2 W_2^T solves A^2 - level A = W W^T, and B = W_1^T W_1 solves B^2 + level B = W^T W.

    Book: prop-connected-relaxed.

    Parameters
    ----------
    w : ndarray, shape (*batch, m, n)
    level : float
    width : int
        Number of hidden units.

    Returns
    -------
    ndarray, shape (*batch, mn, mn)

    Raises
    ------
    SingularPointError
        When W has a rank below `width`, so that W and `level` leave several kernels.
    InputError
        When no weights have this W, `level` and `width`.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> fc.relaxed_ntk([[2.0]], 3.0, 1).tolist()
    [[5.0]]
    """
    u, s, v = _svd(w)
    level = float(as_real(level, "level"))
    m, n = u.shape[-1], v.shape[-1]
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise InputError(f"width: expected an int >= 1, the number of hidden units, got {width!r}")
    side = m if level > 0 else n
    if level and width > side:
        raise InputError(f"width: expected at most {side}, as level * identity has the rank of a "
                         f"matrix of that size, got {width}")
    tiny = np.finfo(float).eps * max(m, n) * s[..., :1]
    if (s[..., width:] > tiny).any():
        raise InputError(f"w: expected a rank of at most width = {width}, got more")
    full = width <= s.shape[-1] and (s[..., width - 1 : width] > tiny).all()
    if level and not full and width != side:
        raise SingularPointError(
            f"w: expected the rank {width} of the hidden layer, got less: then W and level leave "
            "several kernels; compute ntk from the weights")
    root = np.hypot(level, 2 * s)
    large = (abs(level) + root) / 2
    small = s * np.divide(s, large, out=np.zeros_like(s), where=large > 0)
    a, b = (large, small) if level >= 0 else (small, large)
    # Beyond the singular values of a tall or wide W, the larger of A and B still has `level`.
    kept = min(width, s.shape[-1])
    rest = np.full((*s.shape[:-1], width - kept), abs(level)) if level else s[..., :0]
    a, b = a[..., :kept], b[..., :kept]
    if level > 0:
        a = np.concatenate([a, rest], axis=-1)
    elif level < 0:
        b = np.concatenate([b, rest], axis=-1)
    k = _kron(_from_spectrum(u, a), np.eye(n)) + _kron(np.eye(m), _from_spectrum(v, b))
    return finite_result(k, "the kernel")


def _root(a, power):
    """A power of symmetric positive definite matrices."""
    x, u = np.linalg.eigh(a)
    return (u * x[..., None, :] ** power) @ _t(u)


def siblings(weights, turns):
    """Weights with the same W and the same Delta, one pair for each orthogonal matrix.

    All pairs with the product W of rank h are (G W_1, W_2 G^-1).  The condition on Delta is
    followed from the balanced pair turned by `turns`, along the direction that is symmetric.
    Every kernel that belongs to (W, Delta) is reached.

    Book: thm-connected-family.

    Parameters
    ----------
    weights : two ndarrays, shapes (h, n) and (m, h), of rank h
    turns : ndarray, shape (*batch, h, h)
        Orthogonal matrices.

    Returns
    -------
    list of two ndarrays, shapes (*batch, h, n), (*batch, m, h)

    Raises
    ------
    SingularPointError
        When a matrix has a rank below h.
    InputError
        When there are not two layers, or `turns` are not orthogonal.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> w = fc.random_weights((2, 2, 2), 0)
    >>> other = fc.siblings(w, np.eye(2))
    >>> bool(np.allclose(fc.end_to_end(other), fc.end_to_end(w)))
    True
    >>> bool(np.allclose(fc.invariants(other)[0], fc.invariants(w)[0]))
    True
    >>> bool(np.allclose(fc.ntk(other), fc.ntk(w)))
    False
    """
    ws = _weights(weights)
    if len(ws) != 2 or ws[0].ndim != 2:
        raise InputError("weights: expected two matrices without batch axes, got "
                         f"{[w.shape for w in ws]}")
    first, second = ws
    h = len(first)
    turns = as_real(turns, "turns")
    if turns.ndim < 2 or turns.shape[-2:] != (h, h):
        raise InputError(f"turns: expected shape (*batch, {h}, {h}), got {turns.shape}")
    if np.abs(turns @ _t(turns) - np.eye(h)).max() > 1e-8:
        raise InputError("turns: expected orthogonal matrices, got others")
    for j, w in enumerate(ws):
        if np.linalg.matrix_rank(w) < h:
            raise SingularPointError(f"weights[{j}]: expected rank {h}, the number of hidden "
                                     "units, got less; then there are still more kernels")
    size = max(np.linalg.norm(first), np.linalg.norm(second))
    p, q = second.T @ second / size**2, first @ first.T / size**2
    delta, half = p - q, _root(q, 0.5)
    x = _root(q, -0.5) @ _root(half @ p @ half, 0.5) @ _root(q, -0.5)  # P = X Q X: balanced
    g = turns @ _root(x, 0.5)
    for _ in range(STEPS):
        inverse = np.linalg.inv(g)
        mine, his = _t(inverse) @ p @ inverse, g @ q @ _t(g)
        gap = mine - his - delta
        total, u = np.linalg.eigh(mine + his)
        # The symmetric E with E M + M E = gap: one Newton step for G -> exp(E) G.
        e = (_t(u) @ gap @ u) / (total[..., :, None] + total[..., None, :])
        e = u @ e @ _t(u)
        length = np.linalg.norm(e, axis=(-2, -1), keepdims=True)
        if (length < 1e-13).all():
            break
        y, v = np.linalg.eigh((e + _t(e)) / 2 * np.minimum(1, LARGEST_TURN / (length + 1e-300)))
        g = (v * np.exp(y)[..., None, :]) @ _t(v) @ g
        if (length < 1e-9).all():
            break
    else:
        raise SingularPointError("weights: expected matrices of full rank, far from losing it; the "
                                 f"condition on Delta was not met in {STEPS} steps")
    return [g @ first, second @ np.linalg.inv(g)]


@dataclass(frozen=True)
class MatrixFlow:
    """What a flow of a fully connected network did.

    Attributes
    ----------
    t : ndarray, shape (T,)
    weights : list of N ndarrays, shapes (T, *batch, n_j, n_{j-1})
    end_to_end : ndarray, shape (T, *batch, n_N, n_0)
    loss : ndarray, shape (T, *batch)
    invariants : list of N-1 ndarrays, shapes (T, *batch, n_j, n_j)
    n_evaluations : int
    """

    t: np.ndarray
    weights: list
    end_to_end: np.ndarray
    loss: np.ndarray
    invariants: list
    n_evaluations: int


def gradient_flow(weights, loss, t, *, rtol=1e-9, atol=None, method="LSODA", **options):
    """Gradient flow of the loss l(W_N ... W_1) from given weights.

    Parameters
    ----------
    weights : sequence of N ndarrays, shapes (*batch, n_j, n_{j-1})
        At time t[0].
    loss : object with methods ``value(W)`` and ``gradient(W)``
        Such as ``QuadraticLoss(target)`` with a target of the shape of W.
    t : array_like, shape (T,)
        Increasing times.
    rtol, atol : floats, optional
        For the solver; by default `atol` is 1e-3 rtol times the largest entry of the layer.
    method, **options
        For `scipy.integrate.solve_ivp`.

    Returns
    -------
    MatrixFlow

    Raises
    ------
    InputError
        When an argument does not fit.
    FlowError
        When the flow blows up or the solver cannot continue.

    Examples
    --------
    >>> import lcnlib.fully_connected as fc
    >>> from lcnlib import QuadraticLoss
    >>> flow = fc.gradient_flow([[[1.0]], [[1.0]]], QuadraticLoss([[2.0]]), [0.0, 20.0])
    >>> flow.end_to_end[-1].round(6).tolist()
    [[2.0]]
    """
    ws = _weights(weights)
    t = as_real(t, "t")
    if t.ndim != 1 or len(t) < 1 or (np.diff(t) <= 0).any():
        raise InputError(f"t: expected increasing times, got {t}")
    w = end_to_end(ws)
    if np.shape(loss.gradient(w)) != w.shape:
        raise InputError(f"loss: expected a gradient of shape {w.shape}, that of W, got "
                         f"{np.shape(loss.gradient(w))}")
    from scipy.integrate import solve_ivp  # takes longer than all of lcnlib to import

    sizes = np.cumsum([x.size for x in ws])[:-1]
    if atol is None:
        atol = np.concatenate([np.full(x.size, 1e-3 * rtol * (np.abs(x).max() or 1)) for x in ws])

    def unpack(y):
        return [x.reshape(*y.shape[:-1], *w.shape)
                for x, w in zip(np.split(y, sizes, axis=-1), ws)]

    def velocity(_, y):
        now = unpack(y)
        after, g = [], np.asarray(loss.gradient(_product(now[1:], now[0])), dtype=float)
        for x in now[:0:-1]:
            after.append(g)
            g = _t(x) @ g
        after.append(g)
        before, out = None, []
        for x, h in zip(now, after[::-1]):
            out.append(-h if before is None else -h @ _t(before))
            before = x if before is None else x @ before
        return np.concatenate([x.reshape(-1) for x in out])

    start, y, count = np.concatenate([x.reshape(-1) for x in ws]), None, 0
    if len(t) == 1:
        y = start[None]
    else:
        done = solve_ivp(velocity, (t[0], t[-1]), start, method=method, t_eval=t, rtol=rtol,
                         atol=atol, **options)
        if done.status < 0 or not np.isfinite(done.y).all():
            last = done.t[-1] if len(done.t) else t[0]
            raise FlowError(f"the flow could not be continued after t = {last:g}: {done.message}; "
                            "try a shorter time", last)
        y, count = done.y.T, done.nfev
    path = unpack(y)
    v = end_to_end(path)
    return MatrixFlow(t, path, v, np.asarray(loss.value(v)), invariants(path), count)
