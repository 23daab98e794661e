"""Real irreducible factors of a polynomial in one variable: real roots and conjugate pairs.

Roots live on the projective line, because a vanishing leading coefficient is a root at infinity
that a layer can have like any other: every factor keeps its formal degree.

Rounding splits an m-fold root into a cluster of size eps^(1/m).  So p = u g and p' = w g with the
common factor g of p and p' are looked for first: u has all roots once, and m = w / u' at a root.
The degree of g is what a polynomial as near to p as rounding is allows: the nearest one with these
multiplicities is found by Gauss-Newton on the factors, which is well conditioned although the
single roots are not (Z. Zeng, Computing multiple roots of inexact polynomials, 2005).
"""

from functools import reduce

import numpy as np
from numpy.polynomial.polynomial import polyder

from .polynomials import convolution_matrix, scaled_values
from .polyphase import cofactors_of, excess, syzygies
from .tolerances import OUTER_COEFFICIENT, RANK, ROUGH, rank_tolerances


def real_factors(p, merge):
    """Irreducible real factors of p with multiplicities.

    Parameters
    ----------
    p : ndarray, shape (n,), not zero
        Degree n - 1, in the projective sense.
    merge : float
        A multiplicity counts when the nearest polynomial that has it is this near, relative.

    Returns
    -------
    list of (ndarray of shape (2,) or (3,), int)
        Linear factors, quadratic factors of conjugate pairs, and their multiplicities.
    """
    size, simple = np.abs(p) / np.abs(p).max(), None
    # What is small is rounding, or yet belongs to a multiple root.
    for low, high in dict.fromkeys(
            tuple(np.flatnonzero(size > least)[[0, -1]].tolist())
            for least in (OUTER_COEFFICIENT, 0.0)):
        core = p[low : high + 1] / np.linalg.norm(p[low : high + 1])
        outer = [(np.array([0.0, 1.0]), low), (np.array([1.0, 0.0]), len(p) - 1 - high)]
        outer = [(f, m) for f, m in outer if m]
        found = _multiple(core, merge)
        if found:
            return outer + found
        simple = simple or outer + _factors(core)
    return simple


def _multiple(p, merge):
    """Factors with multiplicities, as few as possible; None when all of them are single."""
    parts = [p, polyder(p)]
    sizes = [x.shape for x in parts]
    r, columns = syzygies(parts, sizes)
    largest = excess(r, columns, 0, max(rank_tolerances(merge)) * np.linalg.norm(r))
    for e in range(largest, 0, -1):
        trial = _factors(*cofactors_of(r, columns, sizes, (e,)))
        degree = sum((len(f) - 1) * m for f, m in trial)
        if degree != len(p) - 1 or min(m for _, m in trial) < 1 or _distance_to(p, trial) > ROUGH:
            continue
        trial = _refined(p, trial)
        if _distance_to(p, trial) <= merge:
            return trial
    return None


def _factors(u, w=None):
    """The real factors of norm one of u, with the multiplicities that w says."""
    z = np.roots(u[::-1])
    z = z[z.imag >= 0]
    m = np.ones(len(z)) if w is None else scaled_values(w, z) / scaled_values(polyder(u), z)
    factors = [np.array([abs(x) ** 2, -2 * x.real, 1] if x.imag else [-x.real, 1]) for x in z]
    return list(zip([f / np.linalg.norm(f) for f in factors], np.rint(m.real).astype(int).tolist()))


def _product(factors):
    return reduce(np.convolve, [f for f, m in factors for _ in range(m)], np.ones(1))


def _distance_to(p, factors):
    """Distance of p (norm one) from the line of the product."""
    q = _product(factors)
    q /= np.linalg.norm(q)
    return np.linalg.norm(p - np.dot(p, q) * q)


def _refined(p, factors, steps=6):
    """The best of some Gauss-Newton steps on the factors, their multiplicities held fixed."""
    tried = [factors]
    for _ in range(steps):
        q = _product(factors)
        c = np.dot(p, q) / np.dot(q, q)
        rests = [_product([*factors[:j], (f, m - 1), *factors[j + 1 :]])
                 for j, (f, m) in enumerate(factors)]
        blocks = [convolution_matrix(c * m * x, f.shape) for x, (f, m) in zip(rests, factors)]
        step = np.linalg.lstsq(np.concatenate(blocks, axis=1), p - c * q, rcond=RANK)[0]
        moves = np.split(step, np.cumsum([len(f) for f, _ in factors]))
        moved = [(f + move, m) for (f, m), move in zip(factors, moves)]
        factors = [(f / np.linalg.norm(f), m) for f, m in moved]
        tried.append(factors)
    return min(tried, key=lambda factors: _distance_to(p, factors))
