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
from operator import itemgetter

import numpy as np
import scipy
from numpy.polynomial.polynomial import polyder, polyval

from .polynomials import check_size, convolution_matrix, multiply, scaled_values
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
                shape = [2 if b == a else 1 for b in range(p.ndim)]
                factors.append((np.array(entries).reshape(shape), count))
    return p, factors


def _squarefree_part_first(p, tol):
    """f_red = p / gcd(p, dp) has the same factors once each; multiplicities from the gcd."""
    if all(any(_separated(_restrict(p, a, at)) for at in _points(p, a)) for a in range(p.ndim)):
        yield from ([(f, 1) for f in factors] for factors in _split_squarefree(p, tol))
        return
    parts = [p] + [polyder(p, axis=a) for a in range(p.ndim)]
    for cofactors, repeated, _ in common_factor(parts, [q.shape for q in parts], tol):
        for factors in _split_squarefree(cofactors[0], tol):
            yield _multiplicities(factors, repeated)


def _points(p, axis):
    """Points of all other axes, to lay a line along this one through each."""
    rng, size = np.random.default_rng(axis), (LINES, p.ndim - 1)
    return rng.uniform(0.6, 1.4, size) * rng.choice([-1.0, 1.0], size)


def _separated(line):
    """Whether the roots are well separated, which those of a repeated factor are not."""
    x = np.roots(line[::-1])
    size = np.hypot(np.abs(x), 1)
    distance = np.abs(x[:, None] - x) / (size[:, None] * size) + np.eye(len(x))
    return len(x) == len(line) - 1 and distance.min() > SEPARATION


def _multiplicities(factors, repeated):
    """How often each factor divides p: once more than it divides gcd(p, dp)."""
    out = []
    for f in factors:
        m = 1
        while all(a >= b for a, b in zip(repeated.shape, f.shape)):
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
    s, forms, shapes = _ruppert(f)
    out = []
    for nullity in dict.fromkeys(
            max(1, int((s <= level * s[0]).sum())) for level in rank_tolerances(tol)):
        try:
            out.append([f] if nullity == 1 else _from_forms(f, forms[-nullity:], shapes))
        except np.linalg.LinAlgError:  # a wrong nullity
            continue
    return out


def _ruppert(f):
    """Singular values and vectors of the closedness of sum (g_a / f) dx_a, the shapes of g_a.

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
    r = np.linalg.qr(np.concatenate(blocks), mode="r")
    return *np.linalg.svd(r)[1:], shapes


def _equation(f, g, shape, axis):
    """The matrix of q -> f dq/dx_axis - g q for q of this shape."""
    out = -convolution_matrix(g, shape)
    if shape[axis] > 1:
        slope = polyder(np.eye(out.shape[1]).reshape(*shape, -1), axis=axis)
        out += convolution_matrix(f, slope.shape[:-1]) @ slope.reshape(-1, out.shape[1])
    return out


def _from_forms(f, null, shapes):
    """The factors from a basis of closed forms; LinAlgError when the residues contradict it."""
    contradiction, count = np.linalg.LinAlgError("a wrong nullity"), len(null)
    cuts = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
    forms = [g.reshape(count, *s) for g, s in zip(np.split(null, cuts, axis=1), shapes)]
    residues = [_residues(f, g, axis) for axis, g in enumerate(forms)]
    table = np.concatenate(residues, axis=1)
    pick = scipy.linalg.qr(table, mode="r", pivoting=True)[1][:count]
    dual = np.linalg.inv(table[:, pick])
    coordinates = np.abs(dual @ table)
    owner = coordinates.argmax(axis=0)
    if (np.abs(coordinates - np.eye(count)[:, owner]) > 0.2).any():
        raise contradiction
    degrees = np.zeros((count, f.ndim), dtype=int)
    np.add.at(degrees, (owner, np.repeat(range(f.ndim), [r.shape[1] for r in residues])), 1)
    if (degrees.sum(axis=0) != np.array(f.shape) - 1).any():
        raise contradiction
    partner = np.abs(dual @ table[:, pick].conj()).argmax(axis=0)
    out = []
    for i, j in enumerate(partner):
        if j < i:
            continue
        if partner[j] != i:
            raise contradiction
        weight = dual[i].real if i == j else 2 * dual[i].real
        shape = tuple(degrees[i] + 1 if i == j else 2 * degrees[i] + 1)
        out.append(_integrate(f, [np.tensordot(weight, g, 1) for g in forms], shape))
    product = reduce(multiply, out)
    if abs(np.vdot(product, f)) <= 0.99 * np.linalg.norm(product):
        raise contradiction
    return out


def _residues(f, forms, axis):
    """Residues where f vanishes on a line along `axis`; the best of some lines.

    One row for each of the `forms`, which are their coefficients g of dx_axis.
    """

    def look(at):
        line = _restrict(f, axis, at)
        points = np.roots(line[::-1])
        slope = scaled_values(polyder(line), points)
        return np.abs(slope).min(initial=np.inf) / np.abs(line).sum(), at, points, slope

    _, at, points, slope = max(map(look, _points(f, axis)), key=itemgetter(0))
    values = [scaled_values(_restrict(g, axis, at), points) for g in forms]
    return np.array(values) / slope


def _restrict(p, axis, at):
    """p as a polynomial in one variable, the others fixed."""
    p = np.moveaxis(p, axis, -1)
    for x in at:
        p = polyval(x, p)
    return p


def _integrate(f, g, shape):
    """q of the given shape with f d_a q = g_a q on every axis: the factor behind a closed form."""
    blocks = [_equation(f, g[a], shape, a) for a in range(f.ndim)]
    return np.linalg.svd(np.concatenate(blocks), full_matrices=False)[2][-1].reshape(shape)
