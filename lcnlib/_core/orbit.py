"""Geodesics of the level set of the invariants, by two quadratures.

With tau = min_i r_i^2 and a_i = r_i^2 - tau >= 0 (constants), the speed c and the angular
momenta L_i = r_i^2 |u_i'| are conserved, which leaves one equation:

    (tau'/2)^2 sum_i 1/(tau + a_i) = P(tau),   P(tau) = c^2 - sum_i L_i^2 / (tau + a_i).

P increases.  Let tau* be its root above every pole.  If tau* > 0 the radii have one minimum, and
with y^2 = tau - tau*, b_i = tau* + a_i and lambda_i = L_i^2 / b_i

    ds/dy = sqrt( sum_i 1/(y^2 + b_i) / sum_i lambda_i/(y^2 + b_i) ):

the square root at the turning point is gone.  Otherwise the smallest radii never turn and vanish
after a finite length; then x^2 = tau serves.  In z, with y or x = sqrt(beta) sinh z and beta the
smallest of the numbers that set a scale, every integrand is analytic in |Im z| < pi/2.
"""

from itertools import pairwise

import numpy as np

from .tangent import gaps, radial_parts

# A panel shorter than 3/4 keeps the strip's edge so far away that 16 Gauss nodes leave an
# error near 9^-32, below rounding.
PANEL = 0.75
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2


class Orbit:
    """Radii and angles along a geodesic.

    Parameters
    ----------
    radii : ndarray, shape (H,)
    radial : float
        Speed along the radial line, positive when the radii grow.
    swing : ndarray, shape (H,)
        Speeds r_i |u_i'| >= 0 on the spheres.
    """

    def __init__(self, radii, radial, swing):
        self.speed = np.sqrt(radial**2 + (swing**2).sum())
        self.a = gaps(radii) * radii.min() ** 2
        self.momentum = radii * swing
        tau0 = radii.min() ** 2
        moving = swing > 0
        if moving.any():
            fall, gap = _turning_point(radii[moving] ** 2, radial**2, swing[moving] ** 2)
            first = radii[moving].min()
            self.pole = np.where(moving, gap + (radii - first) * (radii + first), np.inf)
            # tau* = tau0 - fall = gap - a_first: take the one that loses less.
            a_first = self.a[moving].min()
            self.tau_star = tau0 - fall if 0 < a_first and fall < gap else gap - a_first
        else:
            fall = self.tau_star = -np.inf
            self.pole = np.full_like(radii, np.inf)
        self.turns = self.tau_star > 0
        scales = [tau0 if np.isinf(self.tau_star) else abs(self.tau_star), *self.a[self.a > 0]]
        self.beta = self.tau_star if self.turns else max(min(scales), 1e-280 * tau0)
        # z grows along with sign * s.
        self.sign = 1.0 if self.turns or radial > 0 else -1.0
        height = np.sqrt(fall if self.turns else tau0)
        self.z0 = np.arcsinh((np.copysign(height, radial) if self.turns else height)
                             / np.sqrt(self.beta))
        self.exit = None  # the parameter at which the radial motion reaches zero
        if not self.turns and self.speed > 0:
            edges = panel_edges(self.z0, 0.0)
            self.exit = self.sign * cumulative(self.rates, edges)[-1, 0]

    def tau(self, z):
        """The square of the smallest radius."""
        c = np.cosh(z) if self.turns else np.sinh(z)
        return self.beta * c * c

    def rates(self, z):
        """ds/dz and dphi_i/dz, shape (*z.shape, 1 + H)."""
        tau = self.tau(z)[..., None]
        r2 = tau + self.a
        turn = self.momentum / np.where(self.momentum > 0, r2, 1.0)
        # P / (tau - tau*), a sum of positive terms.
        q = (turn * self.momentum / self.pole).sum(axis=-1)
        if self.turns:
            ds = np.sqrt((1 / r2).sum(axis=-1) / q)
        else:
            t = np.where(self.a == 0, 1.0, tau / np.where(self.a == 0, 1.0, r2)).sum(axis=-1)
            p = q * (tau[..., 0] - self.tau_star) if np.isfinite(self.tau_star) else self.speed**2
            ds = np.sqrt(t / p)
        ds = ds * np.sqrt(self.beta) * np.cosh(z)
        return np.concatenate([ds[..., None], turn * ds[..., None]], axis=-1)

    def radial(self, z):
        """Parts 1/(r_i sqrt(S)) of the unit radial vector in the layers, shape (*z.shape, H)."""
        return radial_parts(np.sqrt(self.tau(z)[..., None] + self.a))

    def reach(self, s):
        """A bound on z at parameter s: y and x move at most with the speed c."""
        y = np.sinh(self.z0) * np.sqrt(self.beta) + self.speed * self.sign * s
        return np.arcsinh((y if self.turns else max(y, 0.0)) / np.sqrt(self.beta))

    def integrals(self, z):
        """s and (phi_1 ... phi_H) at the positions z, all on one side of z0; shape (n, 1 + H)."""
        far = z[abs(z - self.z0).argmax()]
        edges = panel_edges(self.z0, far)
        if len(edges) == 1:
            return np.zeros((len(z), 1 + len(self.a)))
        k = np.abs(z - self.z0) / abs(edges[1] - edges[0])
        k = np.clip(k.astype(int), 0, len(edges) - 2)
        table = cumulative(self.rates, edges)
        return self.sign * (table[k] + integrate(self.rates, edges[k], z))

    def turn(self, z):
        """d/dz of the parts of a parallel vector, shape (*z.shape, 1 + H, 1 + H).

        The parts along the radial direction and the directions of motion: only the radial one
        meets the others, at the rates phi_i' / (r_i sqrt(S)).
        """
        omega = self.sign * self.rates(z)[..., 1:] * self.radial(z)
        out = np.zeros((*omega.shape[:-1], *2 * (omega.shape[-1] + 1,)))
        out[..., 0, 1:] = omega
        out[..., 1:, 0] = -omega
        return out

    def transport(self, z):
        """The orthogonal matrices that carry the parts of a vector from z0 to z, (n, 1+H, 1+H)."""
        out = np.empty((len(z), *2 * (1 + len(self.a),)))
        for side in (z >= self.z0, z < self.z0):
            if side.any():
                there = z[side]
                edges = panel_edges(self.z0, there[abs(there - self.z0).argmax()])
                if self.speed == 0 or len(edges) == 1:
                    out[side] = np.eye(1 + len(self.a))
                else:
                    out[side] = solve_linear(self.turn, edges, there)
        return out

    def path(self, s):
        """z and (phi_1 ... phi_H) at the parameters s, shapes (n,) and (n, H)."""
        z, phi = np.full(s.shape, self.z0), np.zeros((*s.shape, len(self.a)))
        if self.speed == 0:
            return z, phi
        for side in (1.0, -1.0):
            here = side * self.sign * s > 0
            if here.any():
                end = self.reach(side * self.sign * np.abs(s[here]).max())
                z[here], phi[here] = self._solve(self.sign * s[here], end)
        return z, self.sign * phi

    def _solve(self, s, end):
        """Newton for z(s) inside the panel that holds each s, all s on one side of zero."""
        edges = panel_edges(self.z0, end)
        table = cumulative(self.rates, edges)
        way = abs(table[:, 0])
        k = np.clip(np.searchsorted(way, abs(s), side="right") - 1, 0, len(edges) - 2)
        low, high = edges[k], edges[k + 1]
        part = (abs(s) - way[k]) / (way[k + 1] - way[k])
        z = low + np.clip(part, 0, 1) * (high - low)
        for _ in range(12):
            gap = table[k, 0] + integrate(self.rates, low, z)[:, 0] - s
            step = gap / self.rates(z)[:, 0]
            z = np.clip(z - step, np.minimum(low, high), np.maximum(low, high))
            if (abs(step) <= 4e-16 * np.maximum(1, abs(z))).all():
                break
        return z, table[k, 1:] + integrate(self.rates, low, z)[:, 1:]


def _turning_point(r2, kappa, omega):
    """tau0 - tau* and the distance of -tau* from the first pole, each to full precision.

    `r2` are squared radii, kappa the radial energy, omega_i the angular ones, all positive but
    kappa.  With d_i = r_i^2 - min r^2, the first number e and the distance b = min r^2 - e solve
    sum_i omega_i e / (b + d_i) = kappa.  The left side is convex in e and in b: Newton from the
    side named below falls monotonically onto the root.
    """
    least = r2.min()
    d, m = r2 - least, omega * r2
    b = least * (low := omega[d == 0].sum()) / (kappa + low)  # left of the root
    for _ in range(100):
        step = ((omega * (least - b) / (b + d)).sum() - kappa) / (m / (b + d) ** 2).sum()
        b = b + step
        if abs(step) <= 1e-16 * b:
            break
    if b < least / 2:
        return least - b, b
    e = min(least / 2, (kappa * r2 / (kappa + omega)).min())  # right of the root
    for _ in range(100):
        step = ((omega * e / (r2 - e)).sum() - kappa) / (m / (r2 - e) ** 2).sum()
        e = max(e - step, 0.0)
        if abs(step) <= 1e-16 * e:
            break
    return e, least - e


def ray_length(radii):
    """The length of the radial line from the radii down to zero, shape (*batch,).

    The integral of 1/2 sqrt(sum_i 1/(t + sigma_i)) dt from -min sigma.
    """
    least = radii.min(axis=-1, keepdims=True)
    gap = gaps(radii)  # (sigma_i - min sigma) / least^2
    # In y = log of the smallest radius the integrand is analytic in |Im y| < pi/2 whatever the
    # scales; what lies below e^-38 of the smallest radius is less than rounding.
    y = -(np.arange(50)[:, None] + NODES).ravel() * 0.76
    x2 = np.exp(2 * y)
    rate = np.ones_like(y) * (gap == 0).sum(axis=-1)[..., None]
    for i in range(radii.shape[-1]):
        g = gap[..., i, None]
        rate = rate + np.where(g == 0, 0.0, x2 / (x2 + np.where(g == 0, 1.0, g)))
    return (np.sqrt(rate * x2) * np.tile(WEIGHTS, 50)).sum(axis=-1) * 0.76 * least[..., 0]


# Integrals of functions that are analytic in the strip |Im z| < pi/2.


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
