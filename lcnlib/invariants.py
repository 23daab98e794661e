"""Invariants of the gradient flow and the scaling fibre."""

import numpy as np

from ._core.checks import as_invariants, as_net, as_packed, finite_result, quiet
from ._core.scaling import fibre_factors, norms
from .errors import InputError

# 2^(H-1) tuples are listed one by one; beyond this depth that is a mistake, not a wish.
MAX_DEPTH_LISTED = 21


@quiet
def invariants(net, filters):
    """The conserved numbers delta_i = |w_{i+1}|^2 - |w_i|^2, i = 1 ... H-1.

    Constant along every gradient flow of every loss on
    end-to-end filters.

    Book: prop-03-conservation, cor-04-laws.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i)

    Returns
    -------
    ndarray, shape (*batch, H-1)

    Examples
    --------
    >>> invariants(LCN((2, 2, 1)), [[3, 4], [1, 2], [5]]).tolist()
    [-20.0, 20.0]
    """
    p, theta, batch = as_packed(net, filters)
    squares = finite_result(norms(p, theta) ** 2, "a squared norm")
    return np.diff(squares).reshape(*batch, net.depth - 1)


def _factors(net, filters, delta):
    """What `as_packed` returns, and the positive factors (B, H)."""
    p, theta, batch = as_packed(net, filters)
    delta = as_invariants(net, delta, batch).reshape(len(theta), net.depth - 1)
    return p, theta, batch, fibre_factors(p, theta, delta, batch)


def rescale(net, filters, invariants):
    """Scale each filter by a positive number so that the invariants take given values.

    Proposition 2 of Achour, Kohn and Rauhut: exactly one positive
    tuple with product one does it, so the end-to-end filter stays the same.

    Book: prop-03-fibre, prop-03-newton, alg-03-newton.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i), none of them zero
    invariants : array_like, shape (H-1,) or (*batch, H-1)

    Returns
    -------
    list of H ndarrays, shapes (*batch, *k_i)

    Raises
    ------
    ZeroFilterError
        When a filter is zero.
    InputError
        When shapes do not fit or the result leaves double precision.

    Examples
    --------
    >>> net = LCN((2, 2))
    >>> w = rescale(net, [[3, 4], [0, 1]], [0])
    >>> [x.round(6).tolist() for x in w]
    [[1.341641, 1.788854], [0.0, 2.236068]]
    """
    p, theta, batch, lam = _factors(net, filters, invariants)
    return p.unpack(theta * np.repeat(lam, p.sizes, axis=1), batch)


def scalings(net, filters, invariants):
    """All scalar tuples lambda with product one that give the filters these invariants.

    Proposition 2 of Achour, Kohn and Rauhut: there are exactly
    2^(H-1), and they differ only by signs.

    Book: prop-03-fibre.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes (*batch, *k_i), none of them zero
    invariants : array_like, shape (H-1,) or (*batch, H-1)

    Returns
    -------
    ndarray, shape (*batch, 2^(H-1), H)
        The first row is positive, as in `rescale`.

    Raises
    ------
    ZeroFilterError
        When a filter is zero.
    InputError
        When shapes do not fit, or the depth exceeds 21 (a million tuples).

    Examples
    --------
    >>> scalings(LCN((2, 2)), [[0, 2], [0.5, 0]], [0]).tolist()
    [[0.5, 2.0], [-0.5, -2.0]]
    """
    depth = as_net(net).depth
    if depth > MAX_DEPTH_LISTED:
        raise InputError(f"net: expected a depth of at most {MAX_DEPTH_LISTED} to list 2^(H-1) "
                         f"tuples, got {depth}; use rescale, which gives the positive one")
    *_, batch, lam = _factors(net, filters, invariants)
    signs = 1 - 2 * ((np.arange(2 ** (depth - 1))[:, None] >> np.arange(depth - 1)) & 1)
    signs = np.concatenate([signs, signs.prod(axis=1, keepdims=True)], axis=1)
    return (lam[:, None] * signs).reshape(*batch, *signs.shape)
