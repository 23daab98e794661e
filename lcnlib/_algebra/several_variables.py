"""Real irreducible factors of a polynomial in any number of variables.

Monomials and factors at infinity first, then repeated factors, then Ruppert's matrix; in one
variable the roots.
"""

import numpy as np

from .polynomials import convolution_matrix
from .polyphase import common_factor
from .roots import real_factors
from .ruppert import LINES, random_point, restrict, split_squarefree

# A slab of outer coefficients below this, relative, is a factor x_a or one at infinity.
NEGLIGIBLE = 1e-12
# An m-fold root splits by eps^(1/m) on the projective line: up to m = 7 less than this.
SEPARATION = 0.01


def factor_candidates(p, tol):
    """Candidates for the list of real irreducible factors (ndarray with D axes, multiplicity).

    Exact arithmetic has one answer; rounding near a reducible or repeated one leaves several.
    In one variable: `_roots`.
    """
    axes = [a for a, n in enumerate(p.shape) if n > 1]
    if not axes:
        return [[]]
    if len(axes) == 1:
        shape = [1] * p.ndim
        shape[axes[0]] = -1
        return [[(f.reshape(shape), m) for f, m in real_factors(p.reshape(-1), tol)]]
    p, monomials = _strip(p / np.linalg.norm(p))
    axes = [a for a, n in enumerate(p.shape) if n > 1]
    if len(axes) < 2:
        return [monomials + c for c in factor_candidates(p, tol)]
    core = p.reshape([p.shape[a] for a in axes])
    out = []
    for factors in _squarefree_part_first(core, tol):
        found = [
            (f.reshape([f.shape[axes.index(a)] if a in axes else 1 for a in range(p.ndim)]), m)
            for f, m in factors
        ]
        out.append(monomials + found)
    return out


def _strip(p):
    """Split off the factors x_a and, when the top slab vanishes, the ones at infinity."""
    factors = []
    for a in range(p.ndim):
        for side, entries in ((0, (0.0, 1.0)), (-1, (1.0, 0.0))):
            count = 0
            while np.linalg.norm(p.take(side, axis=a)) <= NEGLIGIBLE and p.shape[a] > 1:
                p = np.delete(p, side, axis=a)
                count += 1
            if count:
                shape = [1] * p.ndim
                shape[a] = 2
                factors.append((np.array(entries).reshape(shape), count))
    return p, factors


def derivative(p, axis):
    """Partial derivative; the shape shrinks by one along `axis`."""
    n = np.arange(1, p.shape[axis])
    shape = [1] * p.ndim
    shape[axis] = -1
    return np.take(p, n, axis=axis) * n.reshape(shape)


def _squarefree_part_first(p, tol):
    """f_red = p / gcd(p, dp) has the same factors once each; multiplicities from the gcd."""
    if _clearly_squarefree(p):
        yield from ([(f, 1) for f in factors] for factors in split_squarefree(p, tol))
        return
    parts = [p] + [derivative(p, a) for a in range(p.ndim)]
    for cofactors, repeated, e in common_factor(parts, [q.shape for q in parts], tol):
        squarefree = cofactors[0]
        for factors in split_squarefree(squarefree, tol):
            yield _multiplicities(factors, repeated if any(e) else None)


def _clearly_squarefree(p):
    """Whether p has well separated roots on a line along every axis: a repeated factor has not."""
    rng = np.random.default_rng(0)
    for axis in range(p.ndim):
        others = [a for a in range(p.ndim) if a != axis]
        lines = (restrict(p, others, random_point(rng, p.ndim - 1)) for _ in range(LINES))
        if not any(map(_separated, lines)):
            return False
    return True


def _separated(line):
    x = np.roots(line[::-1])
    size = np.hypot(np.abs(x), 1)
    distance = np.abs(x[:, None] - x) / (size[:, None] * size) + np.eye(len(x))
    return len(x) == len(line) - 1 and distance.min() > SEPARATION


def _multiplicities(factors, repeated):
    """How often each factor divides p: once more than it divides gcd(p, dp)."""
    out = []
    for f in factors:
        m = 1
        while repeated is not None and all(a >= b for a, b in zip(repeated.shape, f.shape)):
            shape = tuple(a - b + 1 for a, b in zip(repeated.shape, f.shape))
            matrix = convolution_matrix(f, shape)
            q, *_ = np.linalg.lstsq(matrix, repeated.reshape(-1), rcond=None)
            error = np.linalg.norm(matrix @ q - repeated.reshape(-1))
            if error > 1e-5 * np.linalg.norm(repeated):
                break
            repeated, m = q.reshape(shape), m + 1
        out.append((f, m))
    return out
