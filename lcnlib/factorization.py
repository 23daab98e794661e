"""All real factorisations of an end-to-end filter."""

from math import sqrt
from numbers import Integral

import numpy as np

from ._algebra.newton import directions, distinct, polish
from ._algebra.polyphase import components
from ._algebra.splitting import split
from ._algebra.tolerances import EXACT, MERGE, NEAR, RTOL, RTOL_SINGLE, SIGN
from ._core.checks import as_end_to_end, as_real, check_fraction
from .errors import InputError, ZeroFilterError

# Coefficients that change by less than this power of two from one to the next need no balance;
# leaving them as they are keeps the last digit of v.
STEEP = 3


def factorizations(net, v, *, rtol=None, limit=10_000):
    """All real factorisations of v into filters of the given shapes and strides, up to scalars.

    Book: thm-05-one-kernel, prop-05-exchange, thm-08-unique, thm-groups, prop-10-singular.

    All real (p_1, ..., p_H) with v(x) = c p_1(x^{S_1}) ... p_H(x^{S_H}): finitely many, because
    polynomials, with their roots at infinity, factor uniquely.

    *Method.*  Polyphase components split off the layers that a stride separates from later
    ones, by linear algebra, and every way to exchange what is left in common is followed.
    Layers that no stride separates share out the irreducible factors: by the roots in one
    variable, by Ruppert's matrix in two or more.  Gauss-Newton polishes each answer.

    *What is certain.*  In exact arithmetic the list is complete for every architecture and
    every non-zero v.  In floating point every answer is verified: its product is v up to `rtol`.
    Completeness rests on numerical ranks (at 1e-12 and 1e-7 relative; when these disagree both
    are followed) and multiplicities (a root is multiple when a polynomial with that
    multiplicity is within 2e-14 relative).  It can fail only when v is that near to a
    point where the number of factorisations changes.  A v that is only near to M, within
    a given rtol above about 1e-6, may be missed in D >= 2 when layers share out factors.

    Parameters
    ----------
    net : LCN
    v : ndarray, shape k, not zero
    rtol : float, optional
        Largest distance |c mu(w) - v| / |v| of the nearest answer; all others are at most 100
        times as far away (or 1e-12).  If none is exact, multiple roots within rtol are tried, too.
        By default 1e-10, and 1e-5 for a v in single precision.
    limit : int, optional
        Refuse to list more than this many.

    Returns
    -------
    list of lists of H ndarrays, shapes k_i
        Empty when v is not in M.  Every filter has norm one, and its first entry that is not
        negligible (above 1e-8 of its largest) is positive; the product is a
        multiple of v, positive or negative.  Sorted by the entries, first layer first.

    Raises
    ------
    ZeroFilterError
        When v is zero: then one factor is zero and the others are arbitrary.
    InputError
        When v does not fit `net`, there are more than `limit` factorisations, or the linear
        systems are too large for memory.

    Examples
    --------
    (1 + x)(2 + x) at stride one has two factorisations, (1 + x)(2 + x^2) at stride two has one.

    >>> [[round(w[0] / w[1], 9).item() for w in f]
    ...  for f in factorizations(LCN((2, 2)), [2, 3, 1])]
    [[1.0, 2.0], [2.0, 1.0]]
    >>> len(factorizations(LCN((2, 2), strides=2), [2, 2, 1, 1]))
    1

    An exchange: (1 + x^2)(2 + x^2), with either factor in the first layer.

    >>> len(factorizations(LCN((3, 2), strides=2), [2, 0, 3, 0, 1]))
    2
    """
    rtol = tolerance(v, rtol, limit)
    v = as_one_end_to_end(net, v)
    v, powers = _balanced(v)
    layers = list(zip(net.filter_shapes, net.cumulative_strides))
    for tol in dict.fromkeys((MERGE, max(MERGE, rtol))):
        near = max(NEAR, sqrt(rtol))
        candidates = [directions(net, v, filters) for filters in split(v, layers, tol, limit)]
        found = [polish(at) for at in candidates if at.residual <= near]
        best = min((at.residual for at in found), default=1.0)
        if best <= rtol:
            bound = min(rtol, max(EXACT, 100 * best))
            return _answers(net, [at for at in found if at.residual <= bound], powers)
    return []


def polyphase(v, strides):
    """Polyphase components: v_c holds the coefficients of v of index = c modulo the stride.

    Book: lem-05-combing, prop-05-linear.

    For v(x) = p(x) r(x^s) every component is v_c = p_c r.

    Parameters
    ----------
    v : array_like, D axes
        Coefficients of a polynomial in D variables.
    strides : int or tuple of D ints
        s; an int serves every axis.

    Returns
    -------
    list of prod(s) ndarrays
        In C order of c = (c_1, ..., c_D), 0 <= c_a < s_a; copies.

    Examples
    --------
    >>> [c.tolist() for c in polyphase([1, 2, 3, 4, 5], 2)]
    [[1.0, 3.0, 5.0], [2.0, 4.0]]
    """
    v = as_real(v, "v")
    if v.ndim == 0:
        raise InputError("v: expected an array with an axis for each variable, got a number")
    strides = tuple(strides) if np.ndim(strides) else (strides,) * v.ndim
    if len(strides) != v.ndim or not all(
            isinstance(s, (int, np.integer)) and s >= 1 for s in strides):
        raise InputError(f"strides: expected an int >= 1 or {v.ndim} of them, one for each axis of "
                         f"v, got {strides}")
    return [p.copy() for p in components(v, strides)]


def _balanced(v):
    """v(2^powers x) with coefficients of like size on every axis, and the powers.

    Factoring must not depend on the unit of x.  The logarithms of the coefficients get no slope:
    the geometric mean of the moduli of the roots becomes about one.  Powers of two are exact.
    """
    v = v / np.abs(v).max()
    places = np.argwhere(v)
    size = np.log2(np.abs(v[v != 0]))
    lines = np.column_stack([places, np.ones(len(places))])
    fit = np.linalg.lstsq(lines, size, rcond=None)[0]
    # Roots of one size leave binomial coefficients, of at most a bit for each degree.  What is
    # farther from a line is no matter of units: rounding in place of zeros, say.
    straight = np.abs(lines @ fit - size).max() < sum(v.shape)
    powers = -np.where(straight & (np.abs(fit[:-1]) > STEEP), np.round(fit[:-1]), 0).astype(int)
    out = np.ldexp(v, np.indices(v.shape).T.dot(powers).T)
    return out / np.abs(out).max(), powers


def _unbalanced(net, filters, powers):
    """Filters of v from those of its balanced form."""
    out = []
    for w, s in zip(filters, net.cumulative_strides):
        shift = np.indices(w.shape).T.dot(powers * s).T
        out.append(np.ldexp(w, shift.max() - shift))
    return _canonical(out)


def as_one_end_to_end(net, v):
    """`v` as one non-zero end-to-end filter."""
    v = as_end_to_end(net, v)
    if v.ndim != net.ndim:
        raise InputError(f"v: expected one end-to-end filter of shape {net.end_to_end_shape}, got "
                         f"{v.shape}; loop over the batch")
    if not v.any():
        raise ZeroFilterError("v: expected a non-zero end-to-end filter, got zero; it has "
                              "infinitely many factorisations (one factor zero, the others "
                              "arbitrary)")
    return v


def tolerance(v, rtol, limit):
    """`rtol`, by default what rounding to the type of `v` needs; `limit` is checked, too."""
    if not (isinstance(limit, Integral) and limit >= 1):
        raise InputError(f"limit: expected an int >= 1, got {limit!r}")
    if rtol is None:
        single = str(getattr(v, "dtype", "")).endswith("float32")  # of NumPy or of torch
        return RTOL_SINGLE if single else RTOL
    check_fraction(rtol)
    return rtol


def _canonical(filters):
    """Each filter with norm one and its first entry that is not negligible positive."""
    out = []
    for w in filters:
        size = np.abs(w)
        first = w.flat[(size > SIGN * size.max()).argmax()]
        out.append(w * (np.sign(first) / np.linalg.norm(w)))
    return out


def _answers(net, found, powers):
    """The distinct ones, the most accurate copy of each, for v itself and in order."""
    found = [_canonical(at.filters) for at in sorted(found, key=lambda at: at.residual)]
    rows = [np.concatenate(filters, axis=None) for filters in found]
    kept = [_unbalanced(net, found[i], powers) for i in distinct(rows)]
    return sorted(kept, key=lambda filters: np.concatenate(filters, axis=None).round(8).tolist())
