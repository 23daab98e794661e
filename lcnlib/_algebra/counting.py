"""How many critical points a generic quadratic loss has."""

from itertools import product
from math import comb, factorial, prod

from .._core.checks import as_net
from ..errors import InputError

__all__ = ["ed_degree"]


def ed_degree(net):
    """The number of complex critical points of a generic quadratic loss on M, v = 0 excluded.

    It is the generic Euclidean-distance degree of the Segre
    variety X = P^(|k_1|-1) x ... x P^(|k_H|-1), of dimension n,

        sum_{i=0}^{n} (-1)^i (2^(n+1-i) - 1) deg c_i(X),

    computed exactly from c(X) = prod (1 + h_j)^(|k_j|) and the hyperplane h_1 + ... + h_H.

    *Generic* speaks of the quadratic form A: for A = 1 the count is smaller when X is
    in special position to the isotropic quadric, 2 and not 6 for rank-one 2 x 2
    matrices, whose critical points are the terms of the singular value
    decomposition.

    When k_j <= s_j in every layer but the last, M is the cone over X in linear
    disguise, for products of entries of different layers never meet in one entry of
    v.  Otherwise M is a linear projection of that cone.  The degree is a sum of
    polar classes, which projections from general centres preserve; that the centres met
    here are general enough is known from the literature on D = 1 and checked by
    `critical_points` in each case.

    Book: prop-10-critical.

    Parameters
    ----------
    net : LCN
        Strides > 1 on every axis, except of the last layer and of layers of size one.

    Returns
    -------
    int

    Raises
    ------
    InputError
        When a stride is one: then M is not such a projection.

    Examples
    --------
    >>> ed_degree(LCN((2, 2), strides=2)), ed_degree(LCN((3, 2), strides=2))
    (6, 10)
    """
    _check_strides(net)
    dims = [prod(k) - 1 for k in net.filter_shapes]
    n, total = sum(dims), 0
    for chern in product(*(range(d + 1) for d in dims)):
        i = sum(chern)
        rest = [d - c for d, c in zip(dims, chern)]
        degree = factorial(n - i) // prod(map(factorial, rest))
        degree *= prod(comb(d + 1, c) for d, c in zip(dims, chern))
        total += (-1) ** i * (2 ** (n + 1 - i) - 1) * degree
    return total


def _check_strides(net):
    as_net(net)
    last = None
    for i, (k, s) in enumerate(zip(net.filter_shapes, net.cumulative_strides)):
        if prod(k) == 1:
            continue
        if last is not None and any(m <= n for m, n in zip(s, last)):
            raise InputError(
                "net: expected strides > 1 on every axis between layers that do more than scale, "
                f"got cumulative strides {last} and then {s} in layer {i + 1}; with stride one "
                "several factorisations share one v and this count does not apply"
            )
        last = s
