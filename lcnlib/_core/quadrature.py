"""Integrals of functions that are analytic in the strip |Im z| < pi/2."""

from itertools import pairwise

import numpy as np

# A panel shorter than 3/4 keeps the strip's edge so far away that 16 Gauss nodes leave an
# error near 9^-32, below rounding.
PANEL = 0.75
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2


def panel_edges(start, stop):
    """Edges of equal panels from `start` to `stop`; one edge when they agree."""
    n = int(np.ceil(abs(stop - start) / PANEL))
    return np.linspace(start, stop, n + 1)


def integrate(f, start, stop):
    """The integral of f from `start` to `stop` (equal shapes), one panel each.

    f maps an array of shape (*shape, 16) to one of shape (*shape, 16, n); the result has
    shape (*shape, n).
    """
    start, stop = np.asarray(start, float), np.asarray(stop, float)
    width = (stop - start)[..., None]
    return np.einsum("...qn,q->...n", f(start[..., None] + width * NODES), WEIGHTS) * width


def cumulative(f, edges):
    """Integrals of f from edges[0] to each edge, shape (len(edges), n)."""
    pieces = integrate(f, edges[:-1], edges[1:])
    return np.concatenate([np.zeros_like(pieces[:1]), np.cumsum(pieces, axis=0)])


def _integrals_of_basis():
    """Integrals from 0 to each node of the polynomials that are one at one node, (16, 16)."""
    x = 2 * NODES - 1
    values = np.polynomial.legendre.legvander(x, len(x) - 1)
    integrals = np.stack([np.polynomial.legendre.legval(
        x, np.polynomial.legendre.legint(e, lbnd=-1)) / 2 for e in np.eye(len(x))], axis=1)
    return integrals @ np.linalg.inv(values)


TO_NODES = _integrals_of_basis()


def _step(matrix, start, stop):
    """X(stop) of X' = matrix(z) X, X(start) = 1, by collocation at Gauss's nodes.

    It is exact to the order of the quadrature, and leaves X orthogonal where the matrix is skew.
    """
    m = matrix(start + (stop - start) * NODES) * (stop - start)
    q, n = m.shape[:2]
    # Slopes K_i = M_i (1 + sum_j TO_NODES_ij K_j).
    system = np.eye(q * n) - np.einsum("iab,ij->iajb", m, TO_NODES).reshape(q * n, q * n)
    slopes = np.linalg.solve(system, m.reshape(q * n, n)).reshape(q, n, n)
    return np.eye(n) + np.einsum("q,qab->ab", WEIGHTS, slopes)


def solve_linear(matrix, edges, z):
    """X at the places z, (n, N, N), of X' = matrix(z) X with X(edges[0]) = 1; panels as above."""
    k = np.abs(z - edges[0]) / abs(edges[1] - edges[0])
    k = np.clip(k.astype(int), 0, len(edges) - 2)
    table = [np.eye(matrix(edges[:1]).shape[-1])]
    for start, stop in pairwise(edges):
        table.append(_step(matrix, start, stop) @ table[-1])
    return np.stack([_step(matrix, edges[i], x) @ table[i] for i, x in zip(k, z)])
