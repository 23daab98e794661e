"""Critical points of complex quadratic losses by following paths.

Unknown are the filters W = (w_1 ... w_H) over the complex numbers, up to scalars with product
one.  For a loss with gradient A v - b the equations are F(W) = dmu^T (A mu(W) - b) = 0.  Their
derivative M is a complex symmetric matrix; at an isolated critical point its kernel is the
space Z of scaling directions, so that the bordered matrix [[M, conj Z], [Z^*, 0]] is
invertible and every step moves at right angles to Z.
"""

from functools import reduce
from math import prod

import numpy as np

from .._core.plan import cofactor_values, pair_values, plan
from .newton import distinct

# A corrector may move a point by this fraction of its size at first ...
FIRST_CORRECTION = 1e-3
# ... and has converged when it moves it by less than this.
CONVERGED = 1e-10
SMALLEST_STEP = 1e-12
LARGEST_STEP = 0.1
# Beyond this size (targets have size one), or within this of zero, a path leaves the cone.
INFINITE = 1e6
# Paths followed at once while looking for start points.
BATCH = 64


class CriticalSystem:
    """F and its derivatives at N parameter points at once.

    W has shape (N, n_parameters).  Below, v means its k entries `reached`, those that can be other
    than zero: A has shape (N, k, k) or (k, k), b (N, k) or (k,).
    """

    def __init__(self, net):
        p = plan(net)
        self.depth, self.n, self.parts = net.depth, net.n_parameters, p.parts
        # Only those entries of v count that can be other than zero.
        self.reached = np.arange(prod(p.shape)) if p.support is None else np.flatnonzero(p.support)
        self.k = len(self.reached)
        # Values at all roots of unity of a grid; row m of `powers` has those of x^m.
        exponents, shape = _without_gaps(net)
        n = prod(shape)
        powers = np.fft.fftn(np.eye(n).reshape(n, *shape), axes=range(1, net.ndim + 1))
        powers = powers.reshape(n, n)
        rows = [np.ravel_multi_index(tuple(e), shape) for e in exponents]
        self.evaluation = [powers[row] for row in rows]
        self.interpolation = powers.conj()[:, np.unique(reduce(np.add.outer, rows))] / n

    def split(self, w):
        return [w[..., part] for part in self.parts]

    def values(self, w):
        """Values of the layers, shape (H, N, points)."""
        return np.stack([x @ e for x, e in zip(self.split(w), self.evaluation)])

    def mu(self, w):
        """End-to-end filters, shape (N, k)."""
        return self.values(w).prod(axis=0) @ self.interpolation

    def jacobian(self, w):
        """dmu, shape (N, k, n_parameters)."""
        rows = [c[:, None] * e for c, e in zip(cofactor_values(self.values(w)), self.evaluation)]
        return (np.concatenate(rows, axis=1) @ self.interpolation).swapaxes(1, 2)

    def hessian_term(self, w, g):
        """The derivative of dmu^T g for constant g, shape (N, n_parameters, n_parameters)."""
        out = np.zeros((len(w), self.n, self.n), complex)
        g = g @ self.interpolation.T
        for (i, j), rest in pair_values(self.values(w)):
            block = (rest * g)[:, None] * self.evaluation[i] @ self.evaluation[j].T
            out[:, self.parts[i], self.parts[j]] = block
            out[:, self.parts[j], self.parts[i]] = block.swapaxes(1, 2)
        return out

    def bordered(self, w, a, b):
        """F, (N, n), the bordered derivative, (N, n + H - 1, n + H - 1), and dmu."""
        jac = self.jacobian(w)
        g = (a @ self.mu(w)[:, :, None])[:, :, 0] - b
        f = (g[:, None, :] @ jac)[:, 0]
        m = jac.swapaxes(1, 2) @ (a @ jac) + self.hessian_term(w, g)
        n, extra = self.n, self.depth - 1
        out = np.zeros((len(w), n + extra, n + extra), complex)
        out[:, :n, :n] = m
        for i in range(extra):
            for part, sign in ((self.parts[i], 1), (self.parts[i + 1], -1)):
                out[:, part, n + i] = sign * w[:, part].conj()
                out[:, n + i, part] = sign * w[:, part].conj()
        return f, out, jac

    def step(self, w, a, b):
        """The Newton step at W."""
        f, m, _ = self.bordered(w, a, b)
        return self.solve(m, -f)

    def solve(self, m, right):
        right = np.concatenate([right, np.zeros((len(right), self.depth - 1))], axis=1)
        try:
            return np.linalg.solve(m, right[:, :, None])[:, : self.n, 0]
        except np.linalg.LinAlgError:  # one of the matrices is singular: give that one up
            return (np.linalg.pinv(np.nan_to_num(m)) @ right[:, :, None])[:, : self.n, 0]

    def balance(self, w):
        """The same end-to-end filters with all norms of one point equal."""
        xs = self.split(w)
        norms = np.stack([np.linalg.norm(x, axis=1) for x in xs], axis=1)
        mean = np.exp(np.log(norms).mean(axis=1))
        return np.concatenate([x * (mean / norms[:, i])[:, None] for i, x in enumerate(xs)], axis=1)


def _without_gaps(net):
    """Exponents of the layers' entries, (D, |k_i|) each, and the shape of the product.

    Where a stride is larger than the product of the layers before, products meet as they do when
    it is as large; a grid with fewer points then does.
    """
    strides, shape = [], []
    for axis in range(net.ndim):
        size, base, unit, column = 1, 1, 1, []
        for k, s in zip(net.filter_shapes, net.cumulative_strides):
            if s[axis] // base * unit > size:
                base, unit = s[axis], size
            column.append(s[axis] // base * unit)
            size += (k[axis] - 1) * column[-1]
        strides.append(column)
        shape.append(size)
    return [np.indices(k).reshape(net.ndim, -1) * np.array(s)[:, None]
            for k, s in zip(net.filter_shapes, zip(*strides))], tuple(shape)


def track(system, w, start, stop, care=1.0):
    """Follow critical points while the loss moves on the segment from `start` to `stop`.

    Parameters
    ----------
    system : CriticalSystem
    w : ndarray, shape (N, n_parameters), complex
    start, stop : pairs (A, b), one for all or one for each path
    care : float
        Divides the largest step and the largest correction.

    Returns
    -------
    w : ndarray, shape (N, n_parameters)
    arrived : ndarray of bool, shape (N,)
        False where the path ran off to infinity or into a degenerate point.
    """
    w, count = system.balance(w), len(w)
    shapes = (count, system.k, system.k), (count, system.k)
    a0, b0 = (np.broadcast_to(p, n) for p, n in zip(start, shapes))
    a1, b1 = (np.broadcast_to(p, n) for p, n in zip(stop, shapes))
    da, db = a1 - a0, b1 - b0
    tau, h = np.zeros(count), np.full(count, 0.02)
    arrived, lost = np.zeros(count, bool), np.zeros(count, bool)

    def loss(i, t):
        return a0[i] + t[:, None, None] * da[i], b0[i] + t[:, None] * db[i]

    def velocity(i, x, t):
        _, m, jac = system.bordered(x, *loss(i, t))
        rate = (da[i] @ system.mu(x)[:, :, None])[:, :, 0] - db[i]
        return system.solve(m, -(rate[:, None, :] @ jac)[:, 0])

    while True:
        i = np.flatnonzero(~arrived & ~lost)
        if not i.size:
            return w, arrived
        x, t, s = w[i], tau[i], np.minimum(h[i], 1 - tau[i])
        col = s[:, None]
        with np.errstate(all="ignore"):
            k1 = velocity(i, x, t)
            k2 = velocity(i, x + col / 2 * k1, t + s / 2)
            k3 = velocity(i, x + col / 2 * k2, t + s / 2)
            k4 = velocity(i, x + col * k3, t + s)
            y = x + col / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            end = t + s
            good = np.ones(len(i), bool)
            for n in range(4):
                step = system.step(y, *loss(i, end))
                y = y + step
                moved = np.linalg.norm(step, axis=1) / np.linalg.norm(y, axis=1)
                good &= moved < FIRST_CORRECTION / care * 1e-2**n
                if n and (moved[good] < CONVERGED).all():
                    break
            good &= moved < CONVERGED
        ok = i[good]
        w[ok], tau[ok] = system.balance(y[good]), end[good]
        arrived[ok] = tau[ok] >= 1
        h[ok] = np.minimum(1.5 * s[good], LARGEST_STEP / care)
        h[i[~good]] = s[~good] / 3
        size = np.linalg.norm(w[i], axis=1)
        lost[i] = ~arrived[i] & ((h[i] < SMALLEST_STEP) | (size > INFINITE) | (size < 1 / INFINITE))


def random_loss(system, rng):
    """A generic complex pair (A, b)."""
    k = system.k
    a, b = _complex_normal(rng, k, k), _complex_normal(rng, k)
    return (a + a.T) / (2 * np.sqrt(k)), b / np.sqrt(k)


def _complex_normal(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def start_points(net, count, rng, patience=40):
    """A generic loss and all its critical points, `count` in number, by monodromy.

    Every smooth point is critical for the losses whose gradient there is normal; those pairs form
    a vector bundle over the smooth points, which is irreducible.  Hence loops in the space of
    losses lead from one critical point to all others.

    Returns
    -------
    loss : pair (A, b)
    w : ndarray, shape (N, n_parameters)
        N = `count`, or less when `patience` rounds of loops in a row found nothing new.
    """
    system = CriticalSystem(net)
    a, _ = random_loss(system, rng)
    w = system.balance(_complex_normal(rng, 1, system.n) / np.sqrt(system.n / net.depth))
    left = np.linalg.svd(system.jacobian(w)[0])[0][:, net.dimension :].conj()
    base = (a, a @ system.mu(w)[0] - left @ _complex_normal(rng, left.shape[1]))
    idle = 0
    while len(w) < count and idle < patience:
        # Several loops at once while there are few points: a step costs the same.
        many = max(1, BATCH // len(w))
        x, arrived, here = np.tile(w, (many, 1)), True, base
        for last in (False, False, True):
            stops = [base if last else random_loss(system, rng) for _ in range(many)]
            stop = tuple(np.repeat(np.stack(p), len(w), axis=0) for p in zip(*stops))
            x, good = track(system, x, here, stop)
            arrived, here = arrived & good, stop
        x = x[arrived]
        every = np.concatenate([w, x])
        new = every[distinct(system.mu(every))]
        idle = idle + 1 if len(new) == len(w) else 0
        w = new
    return base, w
