"""Critical points of complex quadratic losses by following paths.

Unknown are the filters W = (w_1 ... w_H) over the complex numbers, up to scalars with product
one.  For a loss with gradient A v - b the equations are F(W) = dmu^T (A mu(W) - b) = 0.  Their
derivative M is a complex symmetric matrix; at an isolated critical point its kernel is the
space Z of scaling directions, so that the bordered matrix [[M, conj Z], [Z^*, 0]] is
invertible and every step moves at right angles to Z.
"""

from math import prod

import numpy as np

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
        self.sizes = [prod(k) for k in net.filter_shapes]
        self.depth = net.depth
        self.n = net.n_parameters
        self.cuts = np.cumsum(self.sizes)[:-1]
        # entry[j_1, ..., j_H] = position in v of the monomial w_1[j_1] ... w_H[j_H].
        position = 0
        for k, s in zip(net.filter_shapes, net.cumulative_strides):
            grid = np.stack(np.unravel_index(np.arange(prod(k)), k)) * np.array(s)[:, None]
            flat = np.ravel_multi_index(tuple(grid), net.end_to_end_shape)
            position = np.add.outer(position, flat)
        # Only those entries of v count that some monomial meets; the others are always zero.
        self.reached, place = np.unique(position, return_inverse=True)
        self.k = len(self.reached)
        self.entry = np.zeros((position.size, self.k))
        self.entry[np.arange(position.size), place.ravel()] = 1

    def split(self, w):
        return np.split(w, self.cuts, axis=-1)

    def mu(self, w):
        """End-to-end filters, shape (N, k)."""
        out = np.ones((len(w), 1))
        for x in self.split(w):
            out = _outer(out, x)
        return out @ self.entry

    def jacobian(self, w):
        """dmu, shape (N, k, n_parameters)."""
        xs, n = self.split(w), len(w)
        after = [np.ones((n, 1))]  # products of the filters behind, the last layer first
        for x in xs[:0:-1]:
            after.append(_outer(x, after[-1]))
        out, start, before = np.empty((n, self.k, self.n), complex), 0, np.ones((n, 1))
        for x, size, rest in zip(xs, self.sizes, after[::-1]):
            part = before @ self.entry.reshape(before.shape[1], -1)
            part = part.reshape(n, size, rest.shape[1], self.k)
            out[:, :, start : start + size] = np.einsum("njqk,nq->nkj", part, rest)
            before = _outer(before, x)
            start += size
        return out

    def hessian_term(self, w, g):
        """The derivative of dmu^T g for constant g, shape (N, n_parameters, n_parameters)."""
        xs = self.split(w)
        tensor = (g @ self.entry.T).reshape(len(w), *self.sizes)
        out = np.zeros((len(w), self.n, self.n), complex)
        edges = [0, *self.cuts, self.n]
        for i in range(self.depth):
            for j in range(i + 1, self.depth):
                block = tensor  # the last layers first, so that axes keep their numbers
                for m in sorted(set(range(self.depth)) - {i, j}, reverse=True):
                    block = np.matmul(np.moveaxis(block, m + 1, -1),
                                      xs[m].reshape(len(w), *(1,) * (block.ndim - 3), -1, 1))
                    block = block[..., 0]
                out[:, edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = block
                out[:, edges[j] : edges[j + 1], edges[i] : edges[i + 1]] = block.swapaxes(1, 2)
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
        edges = [0, *self.cuts, n]
        for i in range(extra):
            for j, sign in ((i, 1), (i + 1, -1)):
                part = slice(edges[j], edges[j + 1])
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


def _outer(x, y):
    """Products of all entries, row by row, shape (N, p q)."""
    return (x[:, :, None] * y[:, None, :]).reshape(len(x), x.shape[1] * y.shape[1])


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
