"""Real irreducible factors of a polynomial in any number of variables.

Monomials and factors at infinity first, then repeated factors, then Ruppert's matrix; in one
variable the roots.

Ruppert's matrix: for a squarefree f of degrees n_1, ..., n_D the closed forms sum_a (g_a / f) dx_a
with deg g_a <= n - e_a are exactly the combinations sum_i c_i df_i / f_i over the absolutely
irreducible factors f_i.  Their number is therefore the nullity of a linear system (one: f is
irreducible, a certificate).  The residues c_i, read off on the axis lines through a random point,
tell which form belongs to which factor, and f_i solves the linear system f d_a f_i = g_a f_i.
After W. Ruppert (1986) and S. Gao (2003).
"""

from functools import reduce
from itertools import combinations, pairwise

import numpy as np
import scipy
from numpy.polynomial.polynomial import polyder

from .polynomials import check_size, convolution_matrix, multiply
from .polyphase import common_factor
from .roots import real_factors
from .tolerances import OUTER_SLAB, REMAINDER, SEPARATION, rank_tolerances

# Random lines tried for a well-conditioned one.
LINES = 6


def factor_candidates(p, tol):
    """Candidates for the list of real irreducible factors (ndarray with D axes, multiplicity).

    Exact arithmetic has one answer; rounding near a reducible or repeated one leaves several.
    In one variable: `real_factors`.
    """
    short = tuple(a for a, n in enumerate(p.shape) if n == 1)
    if short:
        return [[(np.expand_dims(f, short), m) for f, m in factors]
                for factors in factor_candidates(p.squeeze(), tol)]
    if p.ndim < 2:
        return [real_factors(p, tol)] if p.ndim else [[]]
    p, monomials = _strip(p / np.linalg.norm(p))
    further = factor_candidates if 1 in p.shape else _squarefree_part_first
    return [monomials + factors for factors in further(p, tol)]


def _strip(p):
    """Split off the factors x_a and, when the top slab vanishes, the ones at infinity."""
    factors = []
    for a in range(p.ndim):
        for side, entries in ((0, (0.0, 1.0)), (-1, (1.0, 0.0))):
            count = 0
            while np.linalg.norm(p.take(side, axis=a)) <= OUTER_SLAB and p.shape[a] > 1:
                p = np.delete(p, side, axis=a)
                count += 1
            if count:
                shape = [1] * p.ndim
                shape[a] = 2
                factors.append((np.array(entries).reshape(shape), count))
    return p, factors


def _squarefree_part_first(p, tol):
    """f_red = p / gcd(p, dp) has the same factors once each; multiplicities from the gcd."""
    if _clearly_squarefree(p):
        yield from ([(f, 1) for f in factors] for factors in _split_squarefree(p, tol))
        return
    parts = [p] + [polyder(p, axis=a) for a in range(p.ndim)]
    for cofactors, repeated, e in common_factor(parts, [q.shape for q in parts], tol):
        squarefree = cofactors[0]
        for factors in _split_squarefree(squarefree, tol):
            yield _multiplicities(factors, repeated if any(e) else None)


def _clearly_squarefree(p):
    """Whether p has well separated roots on a line along every axis: a repeated factor has not."""
    rng = np.random.default_rng(0)
    for axis in range(p.ndim):
        others = [a for a in range(p.ndim) if a != axis]
        lines = (_restrict(p, others, _random_point(rng, p.ndim - 1)) for _ in range(LINES))
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
            if error > REMAINDER * np.linalg.norm(repeated):
                break
            repeated, m = q.reshape(shape), m + 1
        out.append((f, m))
    return out


def _split_squarefree(f, tol):
    """Candidates for the real irreducible factors of a squarefree f."""
    f = f / np.linalg.norm(f)
    if min(f.shape) == 1:
        return []  # what a wrong degree of the repeated part leads to
    r, pivots, shapes = _ruppert(f)
    diagonal = np.abs(np.diag(r))
    out, seen = [], set()
    for level in rank_tolerances(tol):
        nullity = max(1, int((diagonal <= level * diagonal[0]).sum()))
        if nullity in seen:
            continue
        seen.add(nullity)
        if nullity == 1:
            out.append([f])
            continue
        try:
            factors = _from_forms(f, _null_vectors(r, pivots, nullity), shapes)
        except np.linalg.LinAlgError:  # a wrong nullity
            factors = None
        if factors is not None:
            out.append(factors)
    return out


def _ruppert(f):
    """Pivoted R factor of the closedness system of sum (g_a / f) dx_a, and the shapes of g_a.

    The equation of axes a < b is f d_b g_a - g_a d_b f = f d_a g_b - g_b d_a f.
    """
    d = f.ndim
    n = np.array(f.shape)
    shapes = [tuple(n - (np.arange(d) == a)) for a in range(d)]
    starts = np.concatenate([[0], np.cumsum([np.prod(s) for s in shapes])])
    check_size(d * (d - 1) // 2 * np.prod(2 * n) * starts[-1])
    parts = [slice(*ends) for ends in pairwise(starts)]
    slopes = [polyder(f, axis=a) for a in range(d)]
    blocks = []
    for a, b in combinations(range(d), 2):
        own = _equation(f, slopes[b], shapes[a], b)
        block = np.zeros((len(own), starts[-1]))
        block[:, parts[a]], block[:, parts[b]] = own, -_equation(f, slopes[a], shapes[b], a)
        blocks.append(block)
    # Pivoting reveals the rank, and the null space then costs one triangular solve.  It is slow
    # on tall matrices: a plain factorisation makes the matrix square first.
    r = np.linalg.qr(np.concatenate(blocks), mode="r")
    r, pivots = scipy.linalg.qr(r, mode="r", pivoting=True, check_finite=False)
    return r, pivots, shapes


def _equation(f, g, shape, axis):
    """The matrix of q -> f dq/dx_axis - g q for q of this shape."""
    out = -convolution_matrix(g, shape)
    if shape[axis] > 1:
        slope = polyder(np.eye(out.shape[1]).reshape(*shape, -1), axis=axis)
        out += convolution_matrix(f, slope.shape[:-1]) @ slope.reshape(-1, out.shape[1])
    return out


def _null_vectors(r, pivots, nullity):
    rank = r.shape[1] - nullity
    null = np.zeros((r.shape[1], nullity))
    null[pivots[:rank]] = -np.linalg.solve(r[:rank, :rank], r[:rank, rank:])
    null[pivots[rank:]] = np.eye(nullity)
    return np.linalg.qr(null)[0].T


def _from_forms(f, null, shapes):
    """The factors from a basis of closed forms; None when the residues contradict each other."""
    cuts = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
    forms = [
        [g.reshape(s) for g, s in zip(np.split(vector, cuts), shapes)] for vector in null
    ]
    count = len(forms)
    residues = [_residues(f, forms, axis) for axis in range(f.ndim)]
    if any(r is None for r in residues) or sum(r.shape[1] for r in residues) < count:
        return None
    table = np.concatenate(residues, axis=1)
    pick = scipy.linalg.qr(table, mode="r", pivoting=True)[1][:count]
    dual = np.linalg.inv(table[:, pick])
    degrees = np.zeros((count, f.ndim), dtype=int)
    for axis, r in enumerate(residues):
        coordinates = np.abs(dual @ r)
        owner = coordinates.argmax(axis=0)
        if (np.abs(coordinates - np.eye(count)[:, owner]) > 0.2).any():
            return None
        np.add.at(degrees[:, axis], owner, 1)
    if (degrees.sum(axis=0) != np.array(f.shape) - 1).any():
        return None
    partner = np.abs(dual @ table[:, pick].conj()).argmax(axis=0)
    out = []
    for i, j in enumerate(partner):
        if j < i:
            continue
        if partner[j] != i:
            return None
        weight = dual[i].real if i == j else 2 * dual[i].real
        shape = tuple(degrees[i] + 1 if i == j else 2 * degrees[i] + 1)
        g = [sum(w * form[a] for w, form in zip(weight, forms)) for a in range(f.ndim)]
        out.append(_integrate(f, g, shape))
    product = reduce(multiply, out)
    return out if abs(np.vdot(product, f)) > 0.99 * np.linalg.norm(product) else None


def _random_point(rng, n):
    return rng.uniform(0.6, 1.4, n) * rng.choice([-1.0, 1.0], n)


def _residues(f, forms, axis):
    """Residues (rows: forms) where f vanishes on a line along `axis`; the best of some lines."""
    rng = np.random.default_rng(axis)
    others = [a for a in range(f.ndim) if a != axis]
    best, best_quality = None, 0.0
    for _ in range(LINES):
        at = _random_point(rng, len(others))
        line = _restrict(f, others, at)
        points = np.roots(line[::-1])
        if len(points) < len(line) - 1:
            continue
        slope = _scaled_values(line[1:] * np.arange(1, len(line)), points)
        quality = np.abs(slope).min() / np.abs(line).sum()
        if quality > best_quality:
            values = [
                _scaled_values(_restrict(form[axis], others, at), points) for form in forms
            ]
            best, best_quality = np.array(values) / slope, quality
    return best


def _restrict(p, axes, at):
    for a, x in sorted(zip(axes, at), reverse=True):
        p = np.tensordot(p, x ** np.arange(p.shape[a]), axes=(a, 0))
    return p


def _scaled_values(p, x):
    """p(x) / max(1, |x|)^deg p, without overflow."""
    size, k = np.maximum(1, np.abs(x))[:, None], np.arange(len(p))
    return ((x[:, None] / size) ** k * (1 / size) ** k[::-1]) @ p


def _integrate(f, g, shape):
    """q of the given shape with f d_a q = g_a q on every axis: the factor behind a closed form."""
    blocks = [_equation(f, g[a], shape, a) for a in range(f.ndim)]
    return np.linalg.svd(np.concatenate(blocks), full_matrices=False)[2][-1].reshape(shape)
