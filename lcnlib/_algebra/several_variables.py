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

from itertools import combinations, product
from math import prod
from operator import itemgetter

import numpy as np
import scipy
from numpy.polynomial.polynomial import polyder, polyval

from .polynomials import check_size, convolution_matrix, scaled_values
from .polyphase import common_factor
from .roots import real_factors
from .tolerances import OUTER_SLAB, SEPARATED, rank_tolerances

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
    further = factor_candidates if 1 in p.shape else _irreducible
    return [monomials + factors for factors in further(p, tol)]


def _strip(p):
    """Split off the factors x_a and, when the top slab vanishes, the ones at infinity."""
    factors = []
    for a, side in product(range(p.ndim), (0, -1)):
        f, count = np.zeros([1 + (b == a) for b in range(p.ndim)]), 0
        f.flat[side + 1] = 1.0
        while np.linalg.norm(p.take(side, axis=a)) <= OUTER_SLAB and p.shape[a] > 1:
            p, count = np.delete(p, side, axis=a), count + 1
        factors += [(f, count)] * (count > 0)
    return p, factors


def _irreducible(p, tol):
    """The factors of p / gcd(p, Dp), which has those of p once each.

    D = sum_a r_a x_a d_a, and r is such that it multiplies no two monomials by the same number.
    """
    reduced = [p]
    if min(_line(p, axis)[0] for axis in range(p.ndim)) < SEPARATED:
        slope = p * np.tensordot(np.sqrt(np.arange(2, p.ndim + 2)), np.indices(p.shape), 1)
        reduced = [f for (f, _), _, _ in common_factor([p, slope], [p.shape] * 2, tol)]
    for f in reduced:
        if min(f.shape) < 2:
            continue  # what a wrong degree of the repeated part leads to
        f = f / np.linalg.norm(f)
        s, forms = _ruppert(f)
        for nullity in dict.fromkeys(
                max(1, int((s <= level * s[0]).sum())) for level in rank_tolerances(tol)):
            factors = [f] if nullity == 1 else _from_forms(f, [g[-nullity:] for g in forms])
            yield _with_multiplicities(p, factors)


def _with_multiplicities(p, factors):
    """log|p| is a constant and the sum of m_i log|f_i|: least squares at some complex points."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((8 * len(factors) + 8, 2 * p.ndim)).view(complex)
    logs = np.log(np.abs([[_restrict(f, -1, x) for x in points] for f in (p, *factors)]))
    logs -= logs.mean(axis=1, keepdims=True)
    return list(zip(factors, np.rint(np.linalg.lstsq(logs[1:].T, logs[0])[0]).astype(int).tolist()))


def _ruppert(f):
    """Singular values of the closedness of sum (g_a / f) dx_a, and the singular g_a.

    The equation of axes a < b is f d_b g_a - g_a d_b f = f d_a g_b - g_b d_a f.
    """
    d = f.ndim
    shapes = [tuple(np.array(f.shape) - (np.arange(d) == a)) for a in range(d)]
    sizes = [prod(shape) for shape in shapes]
    check_size(d * (d - 1) // 2 * prod(2 * n for n in f.shape) * sum(sizes))
    slopes, blocks = [polyder(f, axis=a) for a in range(d)], []
    for a, b in combinations(range(d), 2):
        own, other = _equation(f, slopes[b], shapes[a], b), _equation(f, slopes[a], shapes[b], a)
        row = [np.zeros((len(own), size)) for size in sizes]
        row[a], row[b] = own, -other
        blocks.append(np.hstack(row))
    s, forms = np.linalg.svd(np.linalg.qr(np.concatenate(blocks), mode="r"))[1:]
    forms = np.split(forms, np.cumsum(sizes)[:-1], axis=1)
    return s, [g.reshape(-1, *shape) for g, shape in zip(forms, shapes)]


def _equation(f, g, shape, axis):
    """The matrix of q -> f dq/dx_axis - g q for q of this shape."""
    out = -convolution_matrix(g, shape)
    if shape[axis] > 1:
        slope = polyder(np.eye(out.shape[1]).reshape(*shape, -1), axis=axis)
        out += convolution_matrix(f, slope.shape[:-1]) @ slope.reshape(-1, out.shape[1])
    return out


def _from_forms(f, forms):
    """The factors from a basis of closed forms; none when the residues contradict it."""
    residues = [_residues(f, g, axis) for axis, g in enumerate(forms)]
    table, count = np.concatenate(residues, axis=1), len(forms[0])
    if table.shape[1] < count:  # more factors than degrees
        return []
    pick = scipy.linalg.qr(table, mode="r", pivoting=True)[1][:count]
    dual = np.linalg.pinv(table[:, pick])
    coordinates = np.abs(dual @ table)
    owner = coordinates.argmax(axis=0)
    if (np.abs(coordinates - np.eye(count)[:, owner]) > 0.2).any():
        return []
    degrees = np.zeros((count, f.ndim), dtype=int)
    np.add.at(degrees, (owner, np.repeat(range(f.ndim), [r.shape[1] for r in residues])), 1)
    out = []
    for i, j in enumerate(np.abs(dual @ table[:, pick].conj()).argmax(axis=0)):
        if j >= i:  # a real factor, or the first of a conjugate pair
            weight = (1 + (i < j)) * dual[i].real
            shape = tuple((1 + (i < j)) * degrees[i] + 1)
            out.append(_integrate(f, [np.tensordot(weight, g, 1) for g in forms], shape))
    return out


def _line(f, axis):
    """Of some lines along `axis` the best, by the least slope of f where it vanishes on the line.

    That slope, the other coordinates, the roots and their slopes.
    """

    def look(at):
        line = _restrict(f, axis, at)
        points = np.roots(line[::-1])
        slope = scaled_values(polyder(line), points)
        return np.abs(slope).min(initial=np.inf) / np.abs(line).sum(), at, points, slope

    rng, size = np.random.default_rng(axis), (LINES, f.ndim - 1)
    lines = rng.uniform(0.6, 1.4, size) * rng.choice([-1.0, 1.0], size)
    return max(map(look, lines), key=itemgetter(0))


def _residues(f, forms, axis):
    """Residues where f vanishes on a line, one row for each of the `forms`: their g of dx_axis."""
    _, at, points, slope = _line(f, axis)
    return np.array([scaled_values(_restrict(g, axis, at), points) for g in forms]) / slope


def _restrict(p, axis, at):
    """p as a polynomial in one variable, the others fixed; its value when all are."""
    p = np.moveaxis(p, axis, -1)
    for x in at:
        p = polyval(x, p)
    return p


def _integrate(f, g, shape):
    """q of the given shape with f d_a q = g_a q on every axis: the factor behind a closed form."""
    blocks = [_equation(f, g[a], shape, a) for a in range(f.ndim)]
    return np.linalg.svd(np.concatenate(blocks), full_matrices=False)[2][-1].reshape(shape)
