"""Velocities -grad L of L = l o mu on packed filters (B, P), and the Hessian of a quadratic loss.

With l(v) = 1/2 (v - v*)^T A (v - v*) the Hessian is J^T A J + (second derivatives of mu, paired
with the gradient of l).  mu is linear in every layer, so the second part has no diagonal blocks,
and its block of the layers i and j samples one correlation: of grad l with the product of all
other layers, at the lags S_i a + S_j b.
"""

import numpy as np

from .plan import cofactor_values, pair_values, plan

# Arrays of this many complex values stay in a core's own cache.
CHUNK = 1 << 13


class LossFlow:
    """The velocity for any loss; `slope` is its gradient, of v of shape (*batch, *k)."""

    def __init__(self, net, slope, batch):
        self.plan, self.slope = plan(net), slope
        self.shape = (*batch, *net.end_to_end_shape)

    def velocity(self, theta):
        p = self.plan
        w = p.spectra(theta)
        c = cofactor_values(w)
        v = p.mask(p.coefficients(c[-1] * w[-1])).reshape(self.shape)
        g = np.asarray(self.slope(v), dtype=float).reshape(len(theta), -1)
        return -p.pull_back(c, p.analyse(g))


class QuadraticFlow:
    """The velocity and the Hessian of a quadratic loss; any B."""

    def __init__(self, net, target, weight):
        self.plan, self.target, self.weight = plan(net), target.reshape(1, -1), weight
        self.goal = self.plan.analyse(self.target)
        self.rows = max(1, CHUNK // (net.depth * self.plan.n_values))

    def _slope(self, v_values):
        """Values of grad l from those of v."""
        if self.weight is None:
            return v_values - self.goal  # v fits on the grid: no need to interpolate
        v = self.plan.coefficients(v_values)
        return self.plan.analyse((v - self.target) @ self.weight)

    def velocity(self, theta):
        rows = self.rows
        if len(theta) <= rows:
            return self._velocity(theta)
        out = np.empty_like(theta)
        for i in range(0, len(theta), rows):
            out[i : i + rows] = self._velocity(theta[i : i + rows])
        return out

    def _velocity(self, theta):
        w = self.plan.spectra(theta)
        c = cofactor_values(w)
        g = self._slope(c[-1] * w[-1])
        np.negative(g, out=g)
        return self.plan.pull_back(c, g)

    def hessian(self, theta):
        p, a = self.plan, self.weight
        j = p.jacobian(theta)
        out = j.transpose(0, 2, 1) @ (j if a is None else a @ j)
        w = p.spectra(theta)
        if len(w) == 1:
            return out
        g = self._slope(w.prod(axis=0))
        layers, values = zip(*((ij, np.conjugate(rest) * g) for ij, rest in pair_values(w)))
        b, m = g.shape
        u = p.coefficients(np.stack(values).reshape(-1, m)).reshape(len(values), b, -1)
        for (i, j), row in zip(layers, u):
            block = row[:, p.lags[i, j]]
            out[:, p.parts[i], p.parts[j]] += block
            out[:, p.parts[j], p.parts[i]] += block.transpose(0, 2, 1)
        return out
