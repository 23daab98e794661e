"""Gauss-Newton on directions: unit filters u_i and one scalar c with c mu(u) = v.

Nothing here sees the scale of v, of the filters or of the invariants.
"""

from math import inf, sqrt

import numpy as np
import scipy

from .._core.plan import plan
from .._core.scaling import norms
from .tolerances import RANK, ROUNDING, SAME

# Above this many entries the Jacobian is not formed: its products with vectors are.
DENSE_ENTRIES = 1 << 22


class Directions:
    """Unit filters, and the multiple of their product nearest to v.

    Parameters
    ----------
    net : LCN
    v : ndarray, shape (|k|,), norm one
    flat : ndarray, shape (n_parameters,)
        Filters one after the other; only their directions matter.

    Attributes
    ----------
    flat : ndarray, shape (n_parameters,)
        The unit filters.
    c : float
        c mu(filters) is nearest to v; zero when a filter or the product vanishes.
    residual : float
        |c mu(filters) - v|, infinite when c is zero.
    dense : bool
        Whether the Jacobian may be formed.
    """

    def __init__(self, net, v, flat):
        p = plan(net)
        self.net, self.v, self.c, self.residual = net, v, 0.0, inf
        self.dense = v.size * flat.size <= DENSE_ENTRIES
        size = norms(p, flat[None])[0]
        self.flat = flat / np.repeat(np.where(size == 0, 1, size), p.sizes)
        product = p.product(self.flat[None])[0]
        square = product.dot(product)
        if square > 0.0:
            self.c = product.dot(v) / square
        if self.c:
            self.defect = v - self.c * product
            self.residual = sqrt(self.defect.dot(self.defect))

    @property
    def filters(self):
        """The H unit filters, views of `flat`."""
        return plan(self.net).unpack(self.flat[None], ())

    def singular_values(self):
        """Those of the Jacobian across the scaling directions, its kernel when immersive."""
        j = plan(self.net).jacobian(self.flat[None])[0]
        return np.linalg.svd(j, compute_uv=False)[: self.net.dimension]

    def step(self):
        """The shortest solution of c J step = v - c mu, least squares."""
        p, c, flat = plan(self.net), self.c, self.flat[None]
        if self.dense:
            return np.linalg.lstsq(c * p.jacobian(flat)[0], self.defect, rcond=RANK)[0]
        operator = scipy.sparse.linalg.LinearOperator(
            (self.v.size, flat.size), dtype=float,
            matvec=lambda d: c * p.jvp(flat, d.reshape(1, -1))[0],
            rmatvec=lambda g: c * p.vjp(flat, g.reshape(1, -1))[0])
        # LSMR from zero: the answer has no part along the null space.
        return scipy.sparse.linalg.lsmr(operator, self.defect, atol=1e-10, btol=1e-10)[0]


def directions(net, v, filters):
    """`Directions` of unpacked filters and of any non-zero v."""
    v = v.reshape(-1)
    v = v / np.abs(v).max()
    return Directions(net, v / np.linalg.norm(v), plan(net).pack(filters)[0])


def polish(at, steps=30):
    """`Directions` where |c mu(filters) - v| is least, by damped Gauss-Newton steps from `at`."""
    for _ in range(steps):
        if not at.c or at.residual < 2e-16:
            break
        step, last = at.step(), at
        # Near rounding a full step that does not help is the end; far away, a shorter one may.
        tries = range(1 if at.residual < ROUNDING else 5)
        trials = (Directions(at.net, at.v, last.flat + step / 4**n) for n in tries)
        at = next((trial for trial in trials if trial.residual < last.residual), last)
        if at is last or (last.residual < ROUNDING and at.residual > 0.3 * last.residual):
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
    sigma = at.singular_values()[-1]
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
