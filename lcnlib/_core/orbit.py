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

import numpy as np
import scipy

from .tangent import gaps, weights

# A panel of 3/4 keeps the strip's edge so far away that 16 Gauss nodes leave an error near
# 9^-32, below rounding.
PANEL = 0.75
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2
# The least that SciPy takes: four units of rounding.
BRENT = {"xtol": 1e-300, "rtol": 4 * np.finfo(float).eps, "maxiter": 2000}
# Of transport, near the least that SciPy takes.
RTOL = 3e-14


class Orbit:
    """Radii and angles along a geodesic of speed one.

    Parameters
    ----------
    radii : ndarray, shape (H,)
        Of about size one.
    radial : float
        Speed along the radial line, positive when the radii grow.
    swing : ndarray, shape (H,)
        Speeds r_i |u_i'| >= 0 on the spheres.
    """

    def __init__(self, radii, radial, swing):
        tau0 = radii.min() ** 2
        self.a = gaps(radii) * tau0
        self.momentum = radii * swing
        self.pole, self.tau_star = np.full_like(radii, np.inf), -np.inf
        moving = swing > 0
        if moving.any():
            r = radii[moving]
            fall, gap = _turning_point(r**2, radial**2, swing[moving] ** 2)
            self.pole[moving] = gap + (r - r.min()) * (r + r.min())
            # tau* = tau0 - fall = gap - a_first: take the one that loses less.
            a_first = self.a[moving].min()
            self.tau_star = tau0 - fall if 0 < a_first and fall < gap else gap - a_first
        self.turns = self.tau_star > 0
        # z grows along with sign * s.
        self.sign = 1.0 if self.turns or radial > 0 else -1.0
        self.exit = np.inf  # the parameter at which the radial motion reaches zero
        if self.turns:
            self.beta = self.tau_star
            self.z0 = np.arcsinh(np.copysign(np.sqrt(fall / self.beta), radial))
        else:
            scales = [tau0, abs(self.tau_star), *self.a[self.a > 0]]
            self.beta = max(min(scales), 1e-280 * tau0)
            self.z0 = np.arcsinh(np.sqrt(tau0 / self.beta))
            self.exit = self.integrals(np.zeros(1))[0, 0]

    def tau(self, z):
        """The square of the smallest radius; never quite zero."""
        c = np.cosh(z) if self.turns else np.sinh(z)
        return np.maximum(self.beta * c * c, 1e-290)

    def rates(self, z):
        """ds/dz and dphi_i/dz, shape (*z.shape, 1 + H)."""
        tau = self.tau(z)[..., None]
        turn = self.momentum / (tau + self.a)
        p = 1.0
        if np.isfinite(self.tau_star):  # P, or its part that does not vanish where it turns
            p = (turn * self.momentum / self.pole).sum(axis=-1)
            p = p * (tau[..., 0] - (0.0 if self.turns else self.tau_star))
        ds = np.sqrt(self.beta * (tau / (tau + self.a)).sum(axis=-1) / p) * np.cosh(z)
        return np.concatenate([ds[..., None], turn * ds[..., None]], axis=-1)

    def radial(self, z):
        """Parts 1/(r_i sqrt(S)) of the unit radial vector in the layers, shape (*z.shape, H)."""
        return np.sqrt(weights(np.sqrt(self.tau(z)[..., None] + self.a)))

    def _table(self, low, high):
        """Edges of panels around z0 that reach from low to high; integrals from z0 to them."""
        below, above = (int(max(x, 0) / PANEL) + 1 for x in (self.z0 - low, high - self.z0))
        edges = self.z0 + PANEL * np.arange(-below, above + 1)
        pieces = integrate(self.rates, edges[:-1], edges[1:])
        down = -np.cumsum(pieces[:below][::-1], axis=0)[::-1]
        up = np.cumsum(pieces[below:], axis=0)
        return edges, np.concatenate([down, np.zeros_like(up[:1]), up])

    def integrals(self, z):
        """s and (phi_1 ... phi_H) at the positions z, shape (n, 1 + H)."""
        edges, table = self._table(z.min(), z.max())
        k = np.searchsorted(edges[1:-1], z)
        return self.sign * (table[k] + integrate(self.rates, edges[k], z))

    def path(self, s):
        """z and (phi_1 ... phi_H) at the parameters s, shapes (n,) and (n, H)."""
        s = self.sign * s
        # y and x move at most with the speed one.
        ends = np.sinh(self.z0) * np.sqrt(self.beta) + np.array([s.min(initial=0),
                                                                 s.max(initial=0)])
        ends = ends if self.turns else np.maximum(ends, 0.0)
        edges, table = self._table(*np.arcsinh(ends / np.sqrt(self.beta)))
        k = np.searchsorted(table[1:-1, 0], s, side="right")
        z = np.interp(s, table[:, 0], edges)
        for _ in range(12):
            found = table[k] + integrate(self.rates, edges[k], z)
            step = (found[:, 0] - s) / self.rates(z)[:, 0]
            z = np.clip(z - step, edges[k], edges[k + 1])
            if (abs(step) <= 4e-16 * np.maximum(1, abs(z))).all():
                break
        return z, self.sign * (table[k] + integrate(self.rates, edges[k], z))[:, 1:]

    def transport(self, z):
        """The orthogonal matrices that carry the parts of a vector from z0 to z, (n, 1+H, 1+H).

        The parts along the radial direction and the directions of motion: only the radial one
        meets the others, at the rates phi_i' / (r_i sqrt(S)).
        """
        n = 1 + len(self.a)

        def turn(z, x):
            omega = self.sign * self.rates(z)[1:] * self.radial(z)
            x = x.reshape(n, n)
            return np.concatenate([omega @ x[1:], np.outer(-omega, x[0]).ravel()])

        z = np.append(z, self.z0)
        path = scipy.integrate.solve_ivp(turn, (z.min(), z.max()), np.eye(n).ravel(),
                                         method="DOP853", rtol=RTOL, atol=RTOL,
                                         dense_output=True).sol
        turned = path(z).T.reshape(-1, n, n)
        return turned[:-1] @ np.linalg.inv(turned[-1])


def _turning_point(r2, kappa, omega):
    """tau0 - tau* and the distance of -tau* from the first pole, each to full precision.

    `r2` are squared radii, kappa the radial energy, omega_i the angular ones, all positive but
    kappa.  With d_i = r_i^2 - min r^2, the first number e and the distance b = min r^2 - e solve
    sum_i omega_i e / (b + d_i) = kappa.  The smaller of the two is solved for.
    """
    least = r2.min()
    d = r2 - least

    def excess(e, b):
        return (omega * e / (b + d)).sum() - kappa

    if excess(least / 2, least / 2) < 0:
        low = least * omega[d == 0].sum() / (kappa + omega[d == 0].sum())
        b = scipy.optimize.brentq(lambda b: excess(least - b, b), low / 2, least / 2, **BRENT)
        return least - b, b
    e = scipy.optimize.brentq(lambda e: excess(e, least - e), 0.0, least / 2, **BRENT)
    return e, least - e


def ray_length(radii):
    """The length of the radial line from the radii down to zero, shape (*batch,).

    The integral of 1/2 sqrt(sum_i 1/(t + sigma_i)) dt from -min sigma.
    """
    # In y = log of the smallest radius the integrand is analytic in |Im y| < pi/2 whatever the
    # scales; what lies below e^-37 of the smallest radius is less than rounding.
    x2 = np.exp(-2 * PANEL * (np.arange(50)[:, None] + NODES).ravel())
    layers = np.moveaxis(gaps(radii), -1, 0)[..., None]  # (sigma_i - min sigma) / least^2
    rate = sum(x2 / (x2 + gap) for gap in layers)
    return np.sqrt(rate * x2) @ np.tile(PANEL * WEIGHTS, 50) * radii.min(axis=-1)


def integrate(f, start, stop):
    """The integral of f from `start` to `stop` (equal shapes), at most a panel apart.

    f maps an array of shape (*shape, 16) to one of shape (*shape, 16, n); the result has
    shape (*shape, n).
    """
    width = (stop - start)[..., None]
    return np.einsum("...qn,q->...n", f(start[..., None] + width * NODES), WEIGHTS) * width
