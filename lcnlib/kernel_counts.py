"""How many kernels belong to one function and one choice of invariants."""

from collections import Counter
from math import factorial, prod
from operator import index

import numpy as np

from ._core import resultants
from ._core.checks import as_net
from ._core.scaling import offsets
from .errors import InputError
from .factorization import as_one_end_to_end, factorizations, tolerance
from .lifting import distinct_kernels, not_in_function_space, one_invariants, scaled

# Squared norms that agree to this, relative to the largest, count as equal.
SAME_NORM = 1e-12


def kernel_count(net, v, invariants=None, *, rtol=None, limit=10_000):
    """The number of kernels K at a given end-to-end filter v, counted on its factorisations.

    Book: thm-05-one-kernel, prop-07-branches, prop-08-kernels.

    Parameters
    ----------
    net : LCN
    v : ndarray, shape k, not zero
    invariants : array_like, shape (H-1,), optional
        By default generic ones: then every factorisation has its own kernel.
    rtol, limit : optional
        As in `factorizations`.

    Returns
    -------
    int

    Raises
    ------
    NotInFunctionSpaceError
        When v has no real factorisation.
    ZeroFilterError, InputError
        As in `factorizations`.

    Examples
    --------
    (1 + x)(2 + x) at stride one: either layer may have either root.  Equal norms make the two
    choices one kernel.

    >>> net = LCN((2, 2))
    >>> kernel_count(net, [2, 3, 1]), kernel_count(net, [2, 3, 1], [0]), kernel_count(
    ...     net, [2, 3, 1], [1])
    (2, 1, 2)
    """
    rtol = tolerance(v, rtol, limit)
    v = as_one_end_to_end(net, v)
    delta = None if invariants is None else one_invariants(net, invariants)
    found = factorizations(net, v, rtol=rtol, limit=limit)
    if not found:
        raise not_in_function_space(rtol)
    if delta is None:
        return len(found)
    return len(distinct_kernels(net, [scaled(net, v, delta, f) for f in found]))


def root_groups(net):
    """Groups of layers that can exchange roots at a generic v.

    Book: thm-groups.

    Layers that depend on one and the same variable with one and the same cumulative stride share
    the roots of the product of their polynomials.  (In D = 1 without strides that is all layers;
    with strides above one no two.)

    Parameters
    ----------
    net : LCN

    Returns
    -------
    list of tuples of ints
        Layer indices, from 0, of every group of two or more layers, in order of first layers.
        Layers of size one belong to no group.

    Examples
    --------
    >>> root_groups(LCN((3, 2, 1, 2), strides=(1, 2, 1, 1))), root_groups(LCN((3, 2), strides=2))
    ([(0, 1)], [])
    """
    return resultants.root_groups(as_net(net))


def generic_kernel_count(net, invariants=None, real_roots=None):
    """The number of kernels K at a generic end-to-end filter, in closed form.

    Book: prop-07-branches, thm-08-unique, prop-08-kernels, thm-groups.

    * Factorisations.  A generic polynomial in two or more variables is irreducible: layers with
      two or more long axes can only be permuted among those of the same shape and the
      same cumulative stride, m! ways.  A group of `root_groups` with degrees d_1, ..., d_m
      whose product has r real roots and c conjugate pairs shares them out in r! c! times the
      coefficient of z^c in the product of the sums sum_n z^n / (n! (d_i - 2n)!) ways:
      layer i takes n pairs and d_i - 2n real roots.
    * Kernels.  Two factorisations have one kernel when they differ by a permutation of
      *interchangeable* layers (same shape, same stride on the long axes) of equal norm.
      Such a permutation moves every factorisation, because no two layers of a generic
      one have a factor in common: divide by the product of the m!.

    Parameters
    ----------
    net : LCN
    invariants : array_like, shape (H-1,), optional
        By default generic: no two layers have equal norms.  Zeros: balanced.
    real_roots : int or sequence of ints, optional
        r for each group of `root_groups`; an int serves a single group.  By default all.

    Returns
    -------
    int
        Zero when no v in M has so few real roots.

    Raises
    ------
    InputError
        When `real_roots` does not fit the degrees of the groups.

    Examples
    --------
    >>> net = LCN((3, 3))
    >>> [generic_kernel_count(net, d, real_roots=r) for d in (None, [0]) for r in (4, 2, 0)]
    [6, 2, 2, 3, 1, 1]
    >>> three = LCN([(2, 2)] * 3)
    >>> generic_kernel_count(three), generic_kernel_count(three, [0, 0])
    (6, 1)
    """
    groups = root_groups(net)
    total = 1
    for group, real in zip(groups, _real_roots(net, groups, real_roots)):
        degrees = [max(net.filter_shapes[i]) - 1 for i in group]
        total *= _ways(degrees, real, (sum(degrees) - real) // 2)
    kinds = [_kind(k, s) for k, s in zip(net.filter_shapes, net.cumulative_strides)]
    several = Counter(kind for kind in kinds if len(kind) > 1)
    total *= prod(map(factorial, several.values()))
    if invariants is None:
        return total
    norms = _norm_classes(one_invariants(net, invariants))
    equal = Counter((kind, n) for kind, n in zip(kinds, norms) if kind)
    return total // prod(map(factorial, equal.values()))


def _ways(degrees, real, pairs):
    """Ways to share out single roots and pairs, all different, among layers of these degrees."""
    series = np.array([1], dtype=object)  # integers of any size: the sums times d_i!
    for d in degrees:
        terms = [factorial(d) // (factorial(n) * factorial(d - 2 * n)) for n in range(d // 2 + 1)]
        series = np.convolve(series, np.array(terms, dtype=object))
    if pairs >= len(series):
        return 0
    return factorial(real) * factorial(pairs) * series[pairs] // prod(map(factorial, degrees))


def _kind(shape, strides):
    """What two layers must share to be interchangeable; empty for a layer of size one."""
    return tuple((a, n, s) for a, (n, s) in enumerate(zip(shape, strides)) if n > 1)


def _norm_classes(delta):
    """An integer for each layer: equal where the invariants make the norms equal."""
    sigma = offsets(delta)
    gaps = np.abs(sigma[:, None] - sigma)
    return (gaps <= SAME_NORM * np.abs(delta).max(initial=0.0)).argmax(axis=1).tolist()


def _real_roots(net, groups, real_roots):
    degrees = [sum(max(net.filter_shapes[i]) - 1 for i in g) for g in groups]
    if real_roots is None:
        return degrees
    try:
        given = [index(r) for r in np.atleast_1d(np.array(real_roots, dtype=object))]
    except TypeError:  # refused below, with words
        given = None
    if given is None or len(given) != len(groups):
        raise InputError("real_roots: expected one int for each group of root_groups(net), "
                         f"{groups}, got {real_roots!r}")
    for r, d in zip(given, degrees):
        if not 0 <= r <= d or (d - r) % 2:
            raise InputError("real_roots: expected numbers between 0 and the degrees "
                             f"{degrees} of the groups, of the same parity (other roots come in "
                             f"conjugate pairs), got {given}")
    return given
