"""Unpolished factorisations by recursion: polyphase where strides allow, else irreducible factors.

The recursion is complete in exact arithmetic.  Layers B that are polynomials in x^s against
layers A that are not: v = P(x) R(x^s), every such pair is P = u h(x^s), R = g / h for the one
coprime splitting v = u g(x^s) of `split_first`, so A is solved from P and B, together with h as
one more layer, from g.  Layers that no stride tells apart share out irreducible factors.
What rounding or a v outside M gets wrong on the way, the residual of the answer tells.
"""

from functools import cache, reduce
from itertools import product as cartesian
from math import gcd

import numpy as np

from ..network import LCN
from .newton import directions, polish
from .polynomials import TooLargeError, multiply, upsample
from .polyphase import split_first
from .several_variables import factor_candidates


class TooManyFactorizationsError(TooLargeError):
    """More factorisations than the caller wants listed."""


def split(v, layers, tol, limit):
    """Candidates for all factorisations of v, each a list of filters up to scalars.

    Parameters
    ----------
    v : ndarray, D axes
    layers : list of (shape, strides), both tuples of D ints
        Shape and cumulative stride of each layer.
    tol : float
        How far, relative, structure (multiple roots, degrees) may be from v.
    limit : int
        More answers than this are an InputError.

    Returns
    -------
    list of lists of ndarrays
    """
    # v is taken on the grid on which the layers live that are no scalars; the residual finds out
    # when it has more.
    steps = [[s if n > 1 else 0 for n, s in zip(*layer)] for layer in layers]
    busy = [i for i, s in enumerate(steps) if any(s)]
    grid = [gcd(*(steps[i][a] for i in busy)) or 1 for a in range(v.ndim)]
    v = v[tuple(slice(None, None, g) for g in grid)]
    if not v.any():
        return []
    own = [(layers[i][0], tuple(s // g for s, g in zip(steps[i], grid))) for i in busy]
    scalars = {i: np.ones(shape) for i, (shape, _) in enumerate(layers)}
    return [list((scalars | dict(zip(busy, answer))).values())
            for answer in _split_busy(v / np.linalg.norm(v), own, tol, limit)]


def _split_busy(v, layers, tol, limit):
    if not layers:
        return [[]]
    if len(layers) == 1:
        return [[v]]
    # A, the fewest layers that polyphase components split off, and B, polynomials in x^s.
    sides = [[i for i, (_, t) in enumerate(layers) if t[axis] == 1]
             for axis, n in enumerate(v.shape) if n > 1]
    first = min((side for side in sides if len(side) < len(layers)), key=len, default=None)
    if first is None:
        return _share_out(v, [shape for shape, _ in layers], tol, limit)
    second = [i for i in range(len(layers)) if i not in first]
    a, b = [layers[i] for i in first], [layers[i] for i in second]
    shape = tuple(1 + sum((k[x] - 1) * s[x] for k, s in a) for x in range(v.ndim))
    # A variable that B does not have: any stride beyond A's length says so.
    s = tuple(gcd(*(t[x] for _, t in b)) or shape[x] for x in range(v.ndim))
    b = [(k, tuple(n // m for n, m in zip(t, s))) for k, t in b]
    order, out = np.argsort([*first, *second]), []
    for u, g, e in split_first(v, shape, s, tol):
        if any(e):
            h_layer = (tuple(n + 1 for n in e), (1,) * v.ndim)
            pairs = [(multiply(u, upsample(h, s)), [rest])
                     for h, *rest in split(g, [h_layer, *b], tol, limit)]
        else:
            if len({t for _, t in layers}) < len(layers):  # polished, multiple roots are seen
                u, g = polish(directions(LCN((u.shape, g.shape), (s, 1)), v, [u, g])).filters
            pairs = [(u, split(g, b, tol, limit))]
        for p, b_answers in pairs:
            a_answers = split(p, a, tol, limit) if b_answers else []
            _check_limit(len(out) + len(a_answers) * len(b_answers), limit)
            out += [[(*x, *y)[i] for i in order] for x, y in cartesian(a_answers, b_answers)]
    return out


def _share_out(v, shapes, tol, limit):
    """Layers of one stride pattern: every way to distribute the irreducible factors."""
    rooms = [tuple(n - 1 for n in shape) for shape in shapes]
    out = []
    for factors in factor_candidates(v, tol):
        degrees = [tuple(n - 1 for n in f.shape) for f, _ in factors]
        count, ways = distributions(degrees, [m for _, m in factors], rooms, limit)
        _check_limit(count, limit)

        @cache
        def layer(copies, factors=factors):
            parts = [f for (f, _), n in zip(factors, copies) for _ in range(n)]
            return reduce(multiply, parts, np.ones((1,) * v.ndim))

        out += [[layer(copies) for copies in way] for way in ways]
    return out


def _check_limit(count, limit):
    if count > limit:
        raise TooManyFactorizationsError(
            f"v: expected at most limit = {limit} real factorisations, got {count} or more; pass "
            "a larger limit, or count them with generic_kernel_count")


def distributions(degrees, multiplicities, capacities, limit=None):
    """All ways to give each layer factors whose degrees add up to its own, on every axis.

    Equal factors (multiplicity m) are not told apart.

    Parameters
    ----------
    degrees : sequence of tuples of D ints
        Degree of each distinct factor.
    multiplicities : sequence of ints
    capacities : sequence of tuples of D ints
        Degree of each layer.
    limit : int, optional

    Returns
    -------
    (int, list or None)
        The number of distributions, and the list of them unless there are more than `limit`: each
        one tuple for each layer, with the number of copies of every factor.
    """
    factors = list(zip(degrees, multiplicities))

    @cache
    def count(j, room):
        """Ways to place the factors j, j+1, ... when the layers, in any order, have `room`."""
        if j == len(factors):
            return int(not any(map(any, room)))
        return sum(count(j + 1, tuple(sorted(left))) for _, left in _spread(*factors[j], room))

    total = count(0, tuple(sorted(capacities)))
    if limit is not None and total > limit:
        return total, None
    out = [((), tuple(capacities))]
    for j, factor in enumerate(factors, 1):
        out = [(chosen + (copies,), left)
               for chosen, room in out for copies, left in _spread(*factor, room)
               if count(j, tuple(sorted(left)))]
    return total, [tuple(zip(*chosen)) for chosen, _ in out]


def _spread(degree, copies, room):
    """Ways to give `copies` equal factors of this degree to layers with this room."""
    if not room:
        if copies == 0:
            yield (), ()
        return
    first, rest = room[0], room[1:]
    for n in range(copies + 1):
        left = tuple(r - n * d for r, d in zip(first, degree))
        if min(left) < 0:
            return
        for counts, others in _spread(degree, copies - n, rest):
            yield (n, *counts), (left, *others)
