"""Gauss-Newton on directions: unit filters u_i and one scalar c with c mu(u) = v.

Nothing here sees the scale of v, of the filters or of the invariants.
"""

from math import inf, sqrt

import numpy as np
import scipy

from .._core.plan import plan
from .tolerances import RANK, ROUNDING, SAME

# Above this many entries the Jacobian is not formed: its products with vectors are.
DENSE_ENTRIES = 1 << 22


class Directions:
    """Unit filters with their Jacobian, and the multiple of their product nearest to v.

    Parameters
    ----------
    net : LCN
    v : ndarray, shape (|k|,), norm one
    flat : ndarray, shape (n_parameters,)
        Filters one after the other; only their directions matter.  Overwritten.

    Attributes
    ----------
    flat : ndarray, shape (n_parameters,)
        The unit filters.
    c : float
        c mu(filters) is nearest to v; zero when a filter or the product vanishes.
    residual : float
        |c mu(filters) - v|, infinite when c is zero.
    """

    def __init__(self, net, v, flat):
        p = plan(net)
        self.net, self.v, self.flat = net, v, flat
        self.c, self.residual = 0.0, inf
        for part in p.parts:
            u = flat[part]
            norm = sqrt(u.dot(u))
            if norm == 0.0:
                return
            u /= norm
        if self.dense:
            self.jacobian = p.jacobian(flat[None])[0]
            self.product = self.jacobian.dot(flat) / net.depth  # Euler
        else:
            self.product = p.product(flat[None])[0]
        square = self.product.dot(self.product)
        if square > 0.0:
            self.c = self.product.dot(v) / square
        if self.c:
            self.defect = v - self.c * self.product
            self.residual = sqrt(self.defect.dot(self.defect))

    @property
    def dense(self):
        """Whether the Jacobian is formed."""
        return self.v.size * self.flat.size <= DENSE_ENTRIES

    @property
    def filters(self):
        """The H unit filters, views of `flat`."""
        p = plan(self.net)
        return [self.flat[part].reshape(k) for part, k in zip(p.parts, self.net.filter_shapes)]

    def singular(self):
        """(U, s, V) of the Jacobian across the scaling directions, its kernel when immersive."""
        u, s, vt = np.linalg.svd(self.jacobian, full_matrices=False)
        n = self.net.dimension
        return u[:, :n], s[:n], vt[:n]

    def step(self):
        """The shortest solution of c J step = v - c mu, least squares."""
        if not self.dense:
            return self._step_by_products()
        u, s, vt = self.singular()
        kept = s > RANK * s[0]
        coefficients = self.defect.dot(u)
        return (np.where(kept, coefficients, 0.0) / np.where(kept, self.c * s, 1.0)).dot(vt)

    def _step_by_products(self):
        """The same by LSMR, from zero, so that the answer has no part along the null space."""
        p, c, flat = plan(self.net), self.c, self.flat[None]
        operator = scipy.sparse.linalg.LinearOperator(
            (self.v.size, self.flat.size), dtype=float,
            matvec=lambda d: c * p.jvp(flat, d.reshape(1, -1))[0],
            rmatvec=lambda g: c * p.vjp(flat, g.reshape(1, -1))[0],
        )
        return scipy.sparse.linalg.lsmr(operator, self.defect, atol=1e-10, btol=1e-10)[0]

    def moved(self, step):
        return Directions(self.net, self.v, self.flat + step)

    def fitted(self, size):
        """Filters of about one norm with product nearest to size v; the last carries the sign."""
        root = abs(self.c) ** (1 / self.net.depth) * size ** (1 / self.net.depth)
        out = [w * root for w in self.filters[:-1]]
        last = self.c * size  # divided, not rooted: powers of 1e150 round badly
        for _ in out:
            last /= root
        return [*out, self.filters[-1] * last]


def directions(net, v, filters):
    """`Directions` of unpacked filters and of any non-zero v."""
    v = v.reshape(-1)
    v = v / np.abs(v).max()
    return Directions(net, v / np.linalg.norm(v), plan(net).pack(filters)[0].copy())


def polish(at, steps=30):
    """`Directions` where |c mu(filters) - v| is least, by damped Gauss-Newton steps from `at`."""
    if at.residual < 2e-16:
        return at
    for _ in range(steps):
        if not at.c:
            break
        step = at.step()
        size, improved = 1.0, False
        # Near rounding a full step that does not help is the end; far away, a shorter one may.
        while not improved and size > (0.5 if at.residual < ROUNDING else 1e-3):
            trial = at.moved(size * step)
            improved = trial.residual < at.residual
            size /= 4
        if not improved:
            break
        stalled = at.residual < ROUNDING and trial.residual > 0.3 * at.residual
        at = trial
        if stalled:
            break
    return at


def isolation(at):
    """A radius around a factorisation, in unit filters, that holds no other one.

    Let u be the unit filters, u + d another factorisation of the same v up to a scalar with
    |d| <= 1 / sqrt(H), and L a bound of the multilinear map mu on unit filters.  Expanding
    mu(u + d), the linear term is at least 0.86 sigma |d|, with sigma the smallest singular value
    of dmu across the scaling directions, and the rest is at most (e/2) L H |d|^2.  So
    |d| >= 0.63 sigma / (L H).  By Cauchy and Schwarz L^2 is the largest number of index tuples
    that meet in one coefficient, the largest entry of mu(1, ..., 1).
    """
    net = at.net
    if not at.dense:
        return 0.0  # the singular value would cost more than all the rest
    meet = plan(net).product(np.ones((1, net.n_parameters))).max()
    sigma = at.singular()[1][-1]
    return min(1 / sqrt(net.depth), 0.63 * sigma / (sqrt(meet) * net.depth))


def distinct(rows):
    """Indices of the rows that differ from every earlier one, and are not one answer found twice.

    `rows` has shape (N, n), real or complex; the difference counts relative to the row.
    """
    rows, kept = np.asarray(rows), []
    for i, x in enumerate(rows):
        gap = np.linalg.norm(rows[kept] - x, axis=1)
        if not (gap <= SAME * np.linalg.norm(x)).any():
            kept.append(i)
    return kept
