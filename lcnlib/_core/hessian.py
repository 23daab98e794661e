"""Gradient and Hessian of a quadratic loss in parameter space, from values of layers (S4, S14).

L = l o mu with l(v) = 1/2 (v - v*)^T A (v - v*) has the Hessian J^T A J + (second derivatives of
mu, paired with the gradient of l).  mu is linear in every layer, so the second part has no
diagonal blocks, and its block of the layers i and j samples one correlation: of grad l with the
product of all other layers, at the lags S_i a + S_j b.
"""

from itertools import combinations

import numpy as np

from ..kernel import jacobians
from .plan import cofactor_values, plan

# Arrays of this many complex values stay in a core's own cache.
CHUNK = 1 << 13


class QuadraticFlow:
    """The velocity -grad L and the Hessian of L on packed filters (B, P)."""

    def __init__(self, net, loss):
        self.net, self.plan, self.loss = net, plan(net), loss
        self.target = loss.target.reshape(1, -1)
        self.goal = self.plan.analyse(self.target)
        self.rows = max(1, CHUNK // (net.depth * self.plan.n_values))
        shape = net.end_to_end_shape
        places = [
            np.indices(k).reshape(net.ndim, -1) * np.array(s)[:, None]
            for k, s in zip(net.filter_shapes, net.cumulative_strides)
        ]
        # Lags S_i a + S_j b of each pair of layers, as flat indices (|k_i|, |k_j|).
        self.lags = {
            (i, j): np.ravel_multi_index(places[i][:, :, None] + places[j][:, None, :], shape)
            for i, j in combinations(range(net.depth), 2)
        }

    def _slope(self, v_values):
        """Values of grad l from those of v."""
        if self.loss.weight is None:
            return v_values - self.goal  # v fits on the grid: no need to interpolate
        v = self.plan.coefficients(v_values)
        return self.plan.analyse((v - self.target) @ self.loss.weight)

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
        p = self.plan
        j = jacobians(p, theta)
        a = self.loss.weight
        out = j.transpose(0, 2, 1) @ (j if a is None else a @ j)
        w = p.spectra(theta)
        depth = len(w)
        if depth == 1:
            return out
        c = cofactor_values(w)
        g = self._slope(c[-1] * w[-1])
        # prefix[i]: product of the layers before i; suffix[j]: of those after j.
        one = np.ones_like(w[0])
        prefix, suffix = [one], [one]
        for i in range(depth - 1):
            prefix.append(prefix[-1] * w[i])
            suffix.append(suffix[-1] * w[depth - 1 - i])
        suffix.reverse()
        values = []
        for i in range(depth):
            left = prefix[i]
            for k in range(i + 1, depth):
                values.append(np.conjugate(left * suffix[k]) * g)
                if k + 1 < depth:
                    left = left * w[k]
        b, m = g.shape
        u = p.coefficients(np.stack(values).reshape(-1, m)).reshape(len(values), b, -1)
        for n, (i, k) in enumerate(combinations(range(depth), 2)):
            block = u[n][:, self.lags[i, k]]
            out[:, p.parts[i], p.parts[k]] += block
            out[:, p.parts[k], p.parts[i]] += block.transpose(0, 2, 1)
        return out
