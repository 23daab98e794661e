"""One factorisation followed as v moves, and the edge of the smooth locus (S7, S8)."""

from math import sqrt

import numpy as np
import scipy

from .._algebra.polynomials import common_root_pairs, resultants
from ..errors import FlowError, SingularPointError
from ..kernel import jacobians
from .plan import plan

ZERO = "a filter, and v with it, goes to zero"


class Left(Exception):
    """The flow has left the smooth locus."""

    def __init__(self, time, why):
        super().__init__(why)
        self.time, self.why = float(time), why


class Branch:
    """One factorisation followed continuously as v moves: theta with mu = v and given delta.

    Gauss-Newton on (mu(theta) - v, delta(theta) - delta): at an immersive point the scaling
    directions that dmu does not see are the normals of the level set of delta (S5), so the
    stacked system has full column rank.
    """

    def __init__(self, net, delta, filters):
        self.net, self.plan, self.delta = net, plan(net), delta
        self.theta = self.plan.pack(filters)
        signs = np.zeros((net.depth - 1, net.n_parameters))
        for i in range(net.depth - 1):
            signs[i, self.plan.parts[i]] = -1.0
            signs[i, self.plan.parts[i + 1]] = 1.0
        self.signs = signs
        self.pairs = common_root_pairs(net)
        # Where a layer of size one vanishes v = 0, the apex unless M is a line.
        self.scalars = [i for i, n in enumerate(self.plan.sizes) if n == 1 and net.dimension > 1]
        self.history = []  # (time, theta, velocity) of the last two lifts
        # J and the differential of delta in one unit, so that neither drowns the other.
        j = jacobians(self.plan, self.theta)
        self.weight = float(np.abs(j).max() / np.abs(self.theta).max())
        # Newton converges quadratically: after a relative step this short the error is 1e-10.
        self.near = 1e-5 / sqrt(max(1, len(self.theta)))

    def predict(self, time):
        """Theta extrapolated to `time` from the last two lifts and their velocities."""
        if not self.history:
            return self.theta
        b = self.history[-1]
        a = self.history[0]
        x = time - b[0]
        h = b[0] - a[0]
        if h == 0 or abs(x) > 3 * abs(h):
            return b[1] + x * b[2]
        # Cubic Hermite: value and slope at both lifts.
        slope = (b[1] - a[1]) / h
        second = (b[2] - slope) / h
        third = (a[2] + b[2] - 2 * slope) / (h * h)
        return b[1] + x * (b[2] + x * (second + (x + h) * third))

    def remember(self, time, velocity):
        """Keep the current lift and its velocity for the next predictions."""
        if self.history and self.history[-1][0] == time:
            self.history.pop()
        self.history = [*self.history[-1:], (time, self.theta, velocity)]

    def follow(self, v, time=None):
        """Move theta to the lift of v (B, |k|); the Jacobian there, (B, |k|, P), or None."""
        if time is not None:
            j = self._newton(v, self.predict(time), 0.3)
            if j is not None:
                return j
        return self._newton(v, self.theta, 1.0)

    def _newton(self, v, theta, first):
        """Gauss-Newton from theta; None where a first step above `first` says: too far."""
        n, depth, weight = v.shape[1], self.net.depth, self.weight
        a = np.empty((len(v), n + depth - 1, theta.shape[1]))
        off = np.empty((len(v), n + depth - 1))
        j = jacobians(self.plan, theta)
        for _ in range(20):
            a[:, :n] = j
            d = np.multiply(self.signs, theta[:, None, :], out=a[:, n:])  # half of d(delta)
            seen = (a @ theta[..., None])[..., 0]
            off[:, :n] = v - seen[:, :n] / depth  # Euler: J theta = H mu(theta)
            off[:, n:] = (0.5 * weight) * (self.delta - seen[:, n:])
            d *= weight
            step = _least_squares(a, off)
            if step is None:
                return None
            size = sqrt(np.vdot(step, step) / np.vdot(theta, theta))
            if not size < first:
                return None
            theta = theta + step
            j = jacobians(self.plan, theta)
            if size < self.near:
                self.theta = theta
                return j
        return None

    def path(self, t, vs, trail):
        """Lifts of vs (T, B, |k|) at times t, each from the nearest of the trail's lifts.

        `trail` lists tuples (time, v, theta, ...).  Returns a list of H arrays (T, B, |k_i|).
        """
        times = np.array([entry[0] for entry in trail])
        out = []
        for time, v in zip(t, vs):
            self.theta = trail[int(np.abs(times - time).argmin())][2]
            if self.follow(v) is None:
                raise FlowError(
                    f"the point reached at t = {time:.6g} is not in the neuromanifold up to the "
                    "solver's tolerance; lower rtol",
                    time=time,
                )
            out.append(self.theta)
        return [np.stack([x[:, part] for x in out]) for part in self.plan.parts]

    def margin(self):
        """How far the current lifts are from the singular locus, (B,).

        The smallest non-trivial singular value of the Jacobian at filters of norm one, relative
        to the largest; the ratio of the least filter norm to the greatest if that is less.
        """
        theta, p = self.theta, self.plan
        norms = np.stack([np.sqrt((theta[:, q] ** 2).sum(axis=1)) for q in p.parts], axis=1)
        j = jacobians(p, theta)
        columns = np.repeat(norms, p.sizes, axis=1)[:, None, :]
        s = np.linalg.svd(j * columns, compute_uv=False)
        sigma = s[:, self.net.dimension - 1] / s[:, 0]
        return np.minimum(sigma, norms.min(axis=1) / norms.max(axis=1))

    def edges(self):
        """Signs and logarithms, (B, E), of what vanishes where one condition makes dmu drop rank.

        The layers of size one, then the resultants of pairs that can get a common root.
        """
        parts = [self.theta[:, q] for q in self.plan.parts]
        out = [np.linalg.slogdet(parts[i][..., None]) for i in self.scalars]
        out += [resultants(parts[i], parts[j]) for i, j in self.pairs]
        return np.array(out).reshape(len(out), 2, len(self.theta)).transpose(1, 2, 0)


def _least_squares(a, b):
    """Solutions of min |a x - b| for a batch (B, m, P), full column rank; None at a singular one.

    By the normal equations: Newton corrects what they lose.
    """
    if len(a) == 1:
        a, b = a[0], b[0]
        _, x, failed = scipy.linalg.lapack.dposv(a.T @ a, b @ a)
        return None if failed else x[None]
    at = a.transpose(0, 2, 1)
    try:
        return np.linalg.solve(at @ a, at @ b[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return None


class Edge:
    """Solver event: raises `Left`, with the time, when a lift comes to a singular point.

    A solver either slows down in front of such a point, where the kernel is no longer smooth in
    v, or steps across it, because the lift is smooth in time.
    """

    terminal = True

    def __init__(self, branch, rtol):
        self.branch, self.rtol = branch, rtol
        margin = branch.margin()
        # Distances in v are about the square of the margin: below this they are lost in rtol.
        self.floor = np.minimum(10 * sqrt(rtol), 0.01 * margin)
        if (margin <= 1e-13).any():
            raise SingularPointError(
                f"v: expected a point where dmu has rank {branch.net.dimension}, got one where it "
                "drops; the metric is not defined there: start elsewhere"
            )
        self.sign, self.log = branch.edges()
        self.trail = []  # (time, v, theta, margin) at every accepted step
        self.rhs = self.pull = None  # velocities of v and of theta, as functions of time and state

    def __call__(self, time, y):
        branch = self.branch
        if branch.follow(y.reshape(len(branch.theta), -1)) is None:
            why = "the factorisation cannot be followed any further"
            raise Left(self._crossing(time, time), why)
        crossed = (self._edges() < 0).any(axis=0)
        if crossed.any():
            zero = crossed[: len(branch.scalars)].any()
            time = self._crossing(time, None)
            if time is None:  # the lift has jumped
                why = "two factorisations are nearer to each other than this rtol can tell apart"
                raise Left(self.trail[-1][0], why)
            raise Left(time, ZERO if zero else "two factorisations of v have met")
        margin = branch.margin()
        near = margin < self.floor
        if near.any():
            why, rest = self._why(), self._rest(time, y, margin, near)
            raise Left(self._crossing(time, time + rest), why)
        self.trail.append((time, y, branch.theta, margin))
        return 1.0

    def _edges(self):
        """Values of `Branch.edges` relative to the start: positive until the first crossing."""
        sign, log = self.branch.edges()
        return sign * self.sign * np.exp(np.minimum(log - self.log, 700.0))

    def _crossing(self, time, otherwise):
        """When the first edge is crossed, near `time`; `otherwise` when none is.

        Next to a singular point the lift of v loses half the digits.  So the last lift that is
        far from one is followed instead, by the gradient flow of the filters.
        """
        if not self.log.size:
            return otherwise
        far = [entry for entry in self.trail if (entry[3] >= 100 * self.floor).all()]
        start, _, theta, _ = (far or self.trail)[-1]

        def least(_, x):
            self.branch.theta = x.reshape(theta.shape)
            return self._edges().min()

        least.terminal = True
        flow = scipy.integrate.solve_ivp(
            self.pull, (start, 2 * time - start), theta.reshape(-1), method="DOP853",
            rtol=self.rtol, atol=1e-3 * self.rtol, events=least,
        )
        return flow.t_events[0][0] if flow.t_events[0].size else otherwise

    def _rest(self, time, y, margin, near):
        """Time left until the margin, which falls linearly, is zero."""
        speed = self.rhs(time, y)
        h = float(margin[near].min()) * 1e-3 * np.abs(y).max() / max(np.abs(speed).max(), 1e-300)
        if self.branch.follow((y + h * speed).reshape(len(margin), -1)) is None:
            return 0.0
        rate = (margin - self.branch.margin())[near] / h
        rest = np.where(rate > 0, margin[near] / np.where(rate > 0, rate, 1.0), 0.0)
        return float(rest.min())

    def _why(self):
        theta, p = self.branch.theta, self.branch.plan
        norms = np.stack([np.sqrt((theta[:, q] ** 2).sum(axis=1)) for q in p.parts], axis=1)
        if (norms.min(axis=1) <= 2 * self.floor * norms.max(axis=1)).any():
            return ZERO
        return "the differential of mu drops rank, as where two factorisations meet"
