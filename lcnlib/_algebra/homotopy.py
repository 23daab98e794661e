"""Critical points of complex quadratic losses by following paths.

Unknown are the filters W = (w_1 ... w_H) over the complex numbers, up to scalars with product
one.  For a loss with gradient A v - b the equations are F(W) = dmu^T (A mu(W) - b) = 0.  Their
derivative M is a complex symmetric matrix; at an isolated critical point its kernel is the space
Z of scaling directions.  So M + conj(Z) Z^* is invertible, and every step moves at right angles
to Z: multiplied by Z^T, which F and M do not survive, the equation of a step says so.
"""

from itertools import count, pairwise
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
    than zero, and a loss is the matrix (A, -b), of shape (N, k, k + 1) or (k, k + 1).
    """

    def __init__(self, net):
        p = plan(net)
        self.n, self.parts, self.sizes = net.n_parameters, p.parts, p.sizes
        self.reached = np.delete(np.arange(prod(net.end_to_end_shape)), p.gaps)
        self.k = len(self.reached)
        # Values at the n-th roots of unity, n the least that tells the entries of v apart.
        n = next(n for n in count(self.k) if len(np.unique(self.reached % n)) == self.k)
        powers = np.fft.fft(np.eye(n))
        self.evaluation = [powers[places % n] for places in p.places]
        self.interpolation = powers.conj()[:, self.reached % n] / n

    def values(self, w):
        """Values of the layers, shape (H, N, points)."""
        return np.stack([w[:, part] @ e for part, e in zip(self.parts, self.evaluation)])

    def mu(self, w):
        """End-to-end filters, shape (N, k)."""
        return self.values(w).prod(axis=0) @ self.interpolation

    def jacobian(self, w):
        """The transpose of dmu, shape (N, n_parameters, k)."""
        rows = [c[:, None] * e for c, e in zip(cofactor_values(self.values(w)), self.evaluation)]
        return np.concatenate(rows, axis=1) @ self.interpolation

    def gradient(self, w, loss):
        """A v - b, shape (N, k, 1)."""
        return loss[..., :-1] @ self.mu(w)[:, :, None] + loss[..., -1:]

    def derivative(self, w, loss, jac):
        """M + conj(Z) Z^*, shape (N, n_parameters, n_parameters)."""
        out = jac @ loss[..., :-1] @ jac.mT
        g = self.gradient(w, loss)[..., 0] @ self.interpolation.T
        for (i, j), rest in pair_values(self.values(w)):
            block = (rest * g)[:, None] * self.evaluation[i] @ self.evaluation[j].T
            out[:, self.parts[i], self.parts[j]] += block
            out[:, self.parts[j], self.parts[i]] += block.mT
        for a, b in pairwise(self.parts):
            z = np.zeros((*w.shape, 1), complex)
            z[:, a, 0], z[:, b, 0] = w[:, a].conj(), -w[:, b].conj()
            out += z * z.mT
        return out

    def step(self, w, loss, rate=None):
        """The Newton step at W; with `rate`, the velocity while the loss moves by it."""
        jac = self.jacobian(w)
        m = self.derivative(w, loss, jac)
        right = -jac @ self.gradient(w, loss if rate is None else rate)
        try:
            return np.linalg.solve(m, right)[..., 0]
        except np.linalg.LinAlgError:  # one of the matrices is singular: give that one up
            return (np.linalg.pinv(np.nan_to_num(m)) @ right)[..., 0]

    def balance(self, w):
        """The same end-to-end filters with all norms of one point equal."""
        norms = np.stack([np.linalg.norm(w[:, part], axis=1) for part in self.parts], axis=1)
        mean = np.exp(np.log(norms).mean(axis=1, keepdims=True))
        return w * np.repeat(mean / norms, self.sizes, axis=1)


def track(system, w, start, stop, care=1.0):
    """Follow critical points while the loss moves on the segment from `start` to `stop`.

    Parameters
    ----------
    system : CriticalSystem
    w : ndarray, shape (N, n_parameters), complex
    start, stop : losses, one for all or one for each path
    care : float
        Divides the largest step and the largest correction.

    Returns
    -------
    w : ndarray, shape (N, n_parameters)
    arrived : ndarray of bool, shape (N,)
        False where the path ran off to infinity or into a degenerate point.
    """
    w = system.balance(w)
    start, stop = (np.broadcast_to(x, (len(w), *x.shape[-2:])) for x in (start, stop))
    rate = stop - start
    tau, h, going = np.zeros(len(w)), np.full(len(w), 0.02), np.ones(len(w), bool)
    while (i := np.flatnonzero(going)).size:
        x, s = w[i], np.minimum(h[i], 1 - tau[i])
        begin, move = start[i] + tau[i, None, None] * rate[i], s[:, None, None] * rate[i]
        with np.errstate(all="ignore"):
            k1 = system.step(x, begin, move)
            k2 = system.step(x + k1 / 2, begin + move / 2, move)
            k3 = system.step(x + k2 / 2, begin + move / 2, move)
            k4 = system.step(x + k3, begin + move, move)
            y = x + (k1 + 2 * k2 + 2 * k3 + k4) / 6
            good = np.ones(len(i), bool)
            for n in range(4):
                step = system.step(y, begin + move)
                y = y + step
                moved = np.linalg.norm(step, axis=1) / np.linalg.norm(y, axis=1)
                good &= moved < FIRST_CORRECTION / care * 1e-2**n
                if n and (moved[good] < CONVERGED).all():
                    break
            good &= moved < CONVERGED
        ok = i[good]
        w[ok], tau[ok] = system.balance(y[good]), (tau[i] + s)[good]
        h[ok] = np.minimum(1.5 * s[good], LARGEST_STEP / care)
        h[i[~good]] = s[~good] / 3
        size = np.linalg.norm(w, axis=1)
        going = (tau < 1) & (h >= SMALLEST_STEP) & (size < INFINITE) & (size > 1 / INFINITE)
    return w, tau >= 1


def random_loss(k, rng):
    """A generic complex loss."""
    a, b = _complex_normal(rng, k, k), _complex_normal(rng, k)
    return np.column_stack([(a + a.T) / (2 * np.sqrt(k)), -b / np.sqrt(k)])


def _complex_normal(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def start_points(net, count, rng, patience=40):
    """A generic loss and all its critical points, `count` in number, by monodromy.

    Every smooth point is critical for the losses whose gradient there is normal; those pairs form
    a vector bundle over the smooth points, which is irreducible.  Hence loops in the space of
    losses lead from one critical point to all others.

    Returns
    -------
    loss : ndarray, shape (k, k + 1)
    w : ndarray, shape (N, n_parameters)
        N = `count`, or less when `patience` rounds of loops in a row found nothing new.
    """
    system = CriticalSystem(net)
    base = random_loss(system.k, rng)
    w = system.balance(_complex_normal(rng, 1, system.n) / np.sqrt(system.n / net.depth))
    left = np.linalg.svd(system.jacobian(w)[0])[2][net.dimension :].conj().T
    base[:, -1] = left @ _complex_normal(rng, left.shape[1]) - base[:, :-1] @ system.mu(w)[0]
    idle = 0
    while len(w) < count and idle < patience:
        # Several loops at once while there are few points: a step costs the same.
        many = max(1, BATCH // len(w))
        x, arrived, here = np.tile(w, (many, 1)), True, base
        for last in (False, False, True):
            stops = [base if last else random_loss(system.k, rng) for _ in range(many)]
            stop = np.repeat(stops, len(w), axis=0)
            x, good = track(system, x, here, stop)
            arrived, here = arrived & good, stop
        x = x[arrived]
        every = np.concatenate([w, x])
        new = every[distinct(system.mu(every))]
        idle = idle + 1 if len(new) == len(w) else 0
        w = new
    return base, w
