"""The kernels of fully connected networks that W and Delta leave: one, or a family of siblings."""

import numpy as np

from ._algebra.gram import from_spectrum, kron, turned_pairs
from ._core.checks import as_real, as_weights, finite_result, quiet
from .errors import InputError, SingularPointError


def _svd(w):
    w = as_real(w, "w")
    if w.ndim < 2 or 0 in w.shape:
        raise InputError(f"w: expected a matrix of shape (*batch, m, n), got shape {w.shape}")
    u, s, vt = np.linalg.svd(w, full_matrices=True)
    return u, s, vt.mT


def _count(value, name, what):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name}: expected an int >= 1, the number of {what}, got {value!r}")


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
    _count(depth, "depth", "layers")
    u, s, v = _svd(w)
    k = 0.0
    for j in range(1, depth + 1):
        left, right = (np.broadcast_to(np.eye(a.shape[-1]), a.shape) if p == 0 else
                       from_spectrum(a, s ** (2 * p / depth))
                       for a, p in ((u, depth - j), (v, j - 1)))
        k = k + kron(left, right)
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
    _count(width, "width", "hidden units")
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
    kept = min(width, s.shape[-1])
    large, small = large[..., :kept], small[..., :kept]
    if level:  # beyond the singular values of a tall or wide W, the larger of A and B has `level`
        rest = np.full((*s.shape[:-1], width - kept), abs(level))
        large = np.concatenate([large, rest], axis=-1)
    a, b = (large, small) if level >= 0 else (small, large)
    k = kron(from_spectrum(u, a), np.eye(n)) + kron(np.eye(m), from_spectrum(v, b))
    return finite_result(k, "the kernel")


def siblings(weights, turns):
    """Weights with the same W and the same Delta, one pair for each orthogonal matrix.

    All pairs with the product W of rank h are (G W_1, W_2 G^-1).  Every kernel that belongs to
    (W, Delta) is reached.

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
    ws = as_weights(weights)
    if len(ws) != 2 or ws[0].ndim != 2:
        raise InputError("weights: expected two matrices without batch axes, got "
                         f"{[w.shape for w in ws]}")
    first, second = ws
    h = len(first)
    turns = as_real(turns, "turns")
    if turns.ndim < 2 or turns.shape[-2:] != (h, h):
        raise InputError(f"turns: expected shape (*batch, {h}, {h}), got {turns.shape}")
    if np.abs(turns @ turns.mT - np.eye(h)).max(initial=0) > 1e-8:
        raise InputError("turns: expected orthogonal matrices, got others")
    for j, w in enumerate(ws):
        if np.linalg.matrix_rank(w) < h:
            raise SingularPointError(f"weights[{j}]: expected rank {h}, the number of hidden "
                                     "units, got less; then there are still more kernels")
    return turned_pairs(first, second, turns)
