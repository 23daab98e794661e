"""Real irreducible factors of a polynomial in one variable: real roots and conjugate pairs.

Roots live on the projective line, because a vanishing leading coefficient is a root at infinity
that a layer can have like any other.  A root is a pair (x, y) of norm one, standing for x / y;
its factor is y t - x, so every factor keeps its formal degree.

Rounding splits an m-fold root into a cluster of size eps^(1/m).  A cluster is taken as one root
when a polynomial with that multiplicity structure is as near to p as rounding is: the nearest
one is found by Gauss-Newton on the factors, which is well conditioned although the
single roots are not (Z. Zeng, Computing multiple roots of inexact polynomials, 2005).
"""

from functools import reduce

import numpy as np
import scipy

from .polynomials import convolution_matrix
from .tolerances import OUTER_COEFFICIENT, RANK, ROUGH, WIDEST


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
    p = np.asarray(p) / np.linalg.norm(p)
    roots = _projective_roots(p)
    factors = _factors(roots, [[i] for i in range(len(roots))])
    if len(roots) < 2:
        return factors
    distance = np.abs(roots[:, :1] * roots[:, 1] - roots[:, 1:] * roots[:, 0])
    nearest = distance[np.triu_indices(len(roots), 1)]
    free, clusters = list(range(len(roots))), []
    tau = WIDEST
    while len(free) > 1 and tau > 1e-12 and (nearest <= tau).any():
        near = _linked(free, distance, tau)
        # All of them first: one alone is ill conditioned while another is still split.
        for group in (near, *([members] for members in near)):
            family = {i for members in group for i in (*members, *_mirror(roots, members))}
            if not family or not family <= set(free):
                continue
            rest = [[i] for i in free if i not in family]
            trial = _factors(roots, [*clusters, *group, *rest])
            if _distance_to(p, trial) > ROUGH:
                continue
            trial = _refined(p, trial)
            if _distance_to(p, trial) <= merge:
                factors = trial
                clusters += group
                free = [i for i in free if i not in family]
        tau /= 4
    return factors


def _projective_roots(p):
    """All roots, shape (n - 1, 2), conjugate pairs side by side."""
    kept = np.flatnonzero(np.abs(p) > OUTER_COEFFICIENT * np.abs(p).max())
    low, high = kept[0], kept[-1]
    z = np.roots(p[low : high + 1][::-1])
    real, upper = z[z.imag == 0], z[z.imag > 0]
    z = np.concatenate([np.zeros(low), real, np.stack([upper, upper.conj()], 1).reshape(-1)])
    finite = np.stack([z, np.ones_like(z)], axis=1)
    at_infinity = np.tile([1.0 + 0j, 0.0], (len(p) - 1 - high, 1))
    roots = np.concatenate([at_infinity, finite])
    return roots / np.linalg.norm(roots, axis=1, keepdims=True)


def _mirror(roots, members):
    """Indices of the conjugates; a real root is its own."""
    return [i + int(np.sign(roots[i, 0].imag)) for i in members]


def _linked(free, distance, tau):
    """Single-linkage clusters of two and more of the indices `free` at distance tau."""
    near = distance[np.ix_(free, free)] <= tau
    count, label = scipy.sparse.csgraph.connected_components(near)
    clusters = [np.array(free)[label == c].tolist() for c in range(count)]
    return [members for members in clusters if len(members) > 1]


def _factors(roots, clusters):
    """Each cluster contracted to its mean: real factors of norm one with multiplicities."""
    out, done = [], set()
    for members in clusters:
        if done.intersection(members):
            continue
        mirrored = _mirror(roots, members)
        done.update(members, mirrored)
        x, y = _mean(roots[members])
        if set(mirrored) == set(members):
            f = np.array([-x.real, y.real])
        else:
            f = np.convolve([-x, y], np.conj([-x, y])).real
        out.append((f / np.linalg.norm(f), len(members)))
    return out


def _mean(roots):
    """The mean, in the chart of the first root."""
    first = roots[0]
    if abs(first[1]) >= abs(first[0]):
        return (roots[:, 0] / roots[:, 1]).mean(), 1.0 + 0j
    return 1.0 + 0j, (roots[:, 1] / roots[:, 0]).mean()


def _product(factors):
    return reduce(np.convolve, [f for f, m in factors for _ in range(m)], np.ones(1))


def _distance_to(p, factors):
    """Distance of p (norm one) from the line of the product."""
    q = _product(factors)
    q /= np.linalg.norm(q)
    return np.linalg.norm(p - np.dot(p, q) * q)


def _refined(p, factors, steps=6):
    """Gauss-Newton on the factors, their multiplicities held fixed."""
    best = _distance_to(p, factors)
    for _ in range(steps):
        q = _product(factors)
        c = np.dot(p, q) / np.dot(q, q)
        blocks = []
        for j, (f, m) in enumerate(factors):
            rest = _product([*factors[:j], (f, m - 1), *factors[j + 1 :]])
            blocks.append(convolution_matrix(c * m * rest, f.shape))
        step = np.linalg.lstsq(np.concatenate(blocks, axis=1), p - c * q, rcond=RANK)[0]
        moves = np.split(step, np.cumsum([len(f) for f, _ in factors]))
        moved = [(f + move, m) for (f, m), move in zip(factors, moves)]
        trial = [(f / np.linalg.norm(f), m) for f, m in moved]
        new = _distance_to(p, trial)
        if not new < best:
            break
        factors, best = trial, new
    return factors
