"""One factorisation followed as v moves, and the edge of the smooth locus."""

from math import sqrt

import numpy as np
import scipy

from ..errors import FlowError, SingularPointError
from .plan import plan
from .resultants import common_root_pairs, resultants
from .scaling import norms

ZERO = "a filter, and v with it, goes to zero"
MET = "two factorisations of v have met"
# A filter that gets nearer to zero than this, relative to the largest one, is at zero: between
# the steps of a solver no more can be told.
AT_ZERO = 1e-5
# Gauss-Newton steps are counted in norms of the filters: when one is as small as NEAR the next
# would be about its square.
NEAR, ITERATIONS = 3e-6, 20
# Below this margin dmu has dropped rank: rounding is 1e-16.
SINGULAR = 1e-13
# Points of a step at which its filters are looked at.
LOOK = np.linspace(0.0, 1.0, 65)


def _left(time, why):
    """The error of a flow that has left the smooth locus."""
    return FlowError("the flow leaves the smooth locus of the neuromanifold at t = "
                     f"{time:.9g}: {why}. The metric is not defined there; end the times before "
                     "it, or use gradient_flow, which goes on in parameter space", time=time)


class Branch:
    """One factorisation followed continuously as v moves: theta with mu = v and given delta.

    Gauss-Newton on (mu(theta) - v, delta(theta) - delta): at an immersive point the scaling
    directions that dmu does not see are the normals of the level set of delta, so the stacked
    system has full column rank.  Steps are counted in norms of the filters, and both parts of
    the system relative to their size: then no scale matters.
    """

    def __init__(self, net, delta, theta):
        self.net, self.plan, self.delta, self.theta = net, plan(net), delta, theta
        # +1 on layer i + 1, -1 on layer i.
        self.signs = np.repeat(np.diff(np.eye(net.depth), axis=0), self.plan.sizes, axis=1)
        self.pairs = common_root_pairs(net)
        # Where a layer of size one vanishes v = 0, the apex unless M is a line.
        self.scalars = [i for i, n in enumerate(self.plan.sizes) if n == 1 and net.dimension > 1]
        self.history = []  # (time, theta, velocity) of the last two lifts
        if (self.margin(theta) <= SINGULAR).any():
            raise SingularPointError(f"v: expected a point where dmu has rank {net.dimension}, got "
                                     "one where it drops; the metric is not defined there: start "
                                     "elsewhere")

    def norms(self, theta):
        """(B, H); a zero filter counts as one of the least size."""
        sizes = norms(self.plan, theta)
        return np.maximum(sizes, 1e-30 * sizes.max(axis=1, keepdims=True))

    def predict(self, time):
        """Theta extrapolated to `time` from the last two lifts and their velocities."""
        if not self.history:
            return self.theta
        a, b = self.history[0], self.history[-1]
        if a[0] == b[0] or abs(time - b[0]) > 3 * abs(b[0] - a[0]):
            return b[1] + (time - b[0]) * b[2]
        return hermite(b, a, time)

    def remember(self, time, velocity):
        """Keep the current lift and its velocity for the next predictions."""
        if self.history and self.history[-1][0] == time:
            self.history.pop()
        self.history = [*self.history[-1:], (time, self.theta, velocity)]

    def follow(self, v, time=None):
        """Move theta to the lift of v (B, |k|); whether that was possible."""
        predicted = [] if time is None else [(self.predict(time), 0.3)]
        for start, far in [*predicted, (self.theta, 1.0)]:
            theta = start.copy()
            if not self.lift(v, theta, np.arange(len(v)), far).any():
                self.theta = theta
                return True
        return False

    def lift(self, v, theta, flows, far):
        """Gauss-Newton from theta, in place, for rows v of these flows; which rows failed.

        A step above `far`, in norms of the filters, says: too far.
        """
        live, lost = np.arange(len(v)), np.ones(len(v), bool)
        for _ in range(ITERATIONS):
            if not len(live):
                break
            step, columns = self.correction(v[live], theta[live], self.delta[flows[live]])
            if step is None:
                break
            size = np.sqrt(np.einsum("rp,rp->r", step, step) / self.net.depth)
            fits = size < far
            theta[live[fits]] += (columns * step)[fits]
            done = fits & (size < NEAR)
            lost[live[done]] = False
            live = live[fits & ~done]
        return lost

    def correction(self, v, theta, delta):
        """A Gauss-Newton step from theta, in norms of the filters, and these norms; rows.

        The step is None where the system is singular.
        """
        n, depth = v.shape[1], self.net.depth
        a = np.empty((len(v), n + depth - 1, theta.shape[1]))
        off = np.empty((len(v), n + depth - 1))
        norms = self.norms(theta)
        columns = np.repeat(norms, self.plan.sizes, axis=1)
        unit = theta / columns
        a[:, :n] = self.plan.jacobian(unit)
        squares = norms[:, :-1] ** 2 + norms[:, 1:] ** 2
        # Half of d(delta), in steps relative to the norms.
        a[:, n:] = self.signs * (unit * columns**2)[:, None, :] / squares[..., None]
        seen = (a @ unit[..., None])[..., 0]
        off[:, :n] = v / norms.prod(axis=1)[:, None] - seen[:, :n] / depth  # Euler
        off[:, n:] = 0.5 * (delta / squares - seen[:, n:])
        return _least_squares(a, off), columns

    def path(self, t, vs, trail):
        """Lifts (T, B, P) of vs (T, B, |k|) at times t, each from the nearest of the trail's."""
        trail = trail or [(t[0], self.theta)]  # without a step: all flows stopped at the start
        times = np.array([entry[0] for entry in trail])
        out = []
        for time, v in zip(t, vs):
            self.theta = trail[int(np.abs(times - time).argmin())][1]
            if not self.follow(v):
                raise FlowError(f"the point reached at t = {time:.6g} is not in the neuromanifold "
                                "up to the solver's tolerance; lower rtol", time=time)
            out.append(self.theta)
        return np.stack(out)

    def margin(self, theta):
        """How far lifts are from the singular locus, (B,).

        The smallest non-trivial singular value of the Jacobian at filters of norm one, relative
        to the largest.
        """
        columns = np.repeat(self.norms(theta), self.plan.sizes, axis=1)
        s = np.linalg.svd(self.plan.jacobian(theta / columns), compute_uv=False)
        return s[:, self.net.dimension - 1] / s[:, 0]

    def edges(self, theta):
        """Signs and logarithms, (B, E), of what vanishes where one condition makes dmu drop rank.

        The layers of size one, then the resultants of pairs that can get a common root.
        """
        parts = [theta[:, q] for q in self.plan.parts]
        out = [np.linalg.slogdet(parts[i][..., None]) for i in self.scalars]
        out += [resultants(parts[i], parts[j]) for i, j in self.pairs]
        return np.array(out).reshape(len(out), 2, len(theta)).transpose(1, 2, 0)


def hermite(a, b, time):
    """The cubic through a and b, both (time, value, velocity), at `time`."""
    h, x = b[0] - a[0], time - a[0]
    slope = (b[1] - a[1]) / h
    second = (slope - a[2]) / h
    third = (a[2] + b[2] - 2 * slope) / (h * h)
    return a[1] + x * (a[2] + x * (second + (x - h) * third))


def _least_squares(a, b):
    """Solutions of min |a x - b| for a batch (B, m, P), full column rank; None at a singular one.

    By the normal equations: Newton corrects what they lose.
    """
    if len(a) == 1:
        a, b = a[0], b[0]
        _, x, failed = scipy.linalg.lapack.dposv(a.T @ a, b @ a)
        if failed:  # the square of the condition is beyond double precision, it itself may not be
            _, x, failed = scipy.linalg.lapack.dgels(a, b)
            x = x[: a.shape[1]]
        return None if failed else x[None]
    at = a.transpose(0, 2, 1)
    try:
        return np.linalg.solve(at @ a, at @ b[..., None])[..., 0]
    except np.linalg.LinAlgError:  # a singular point: see above
        return None


class Edge:
    """Called at every step of a solver: raises `FlowError`, with the time, at a singular point.

    A solver either slows down in front of such a point, where the kernel is no longer smooth in
    v, or steps across it, because the lift is smooth in time.
    """

    def __init__(self, branch, rtol, pull):
        self.branch, self.pull = branch, pull
        margin = branch.margin(branch.theta)
        # Distances in v are about the square of the margin: below this they are lost in rtol.
        self.floor = np.minimum(10 * sqrt(rtol), 0.01 * margin)
        self.sign, self.log = branch.edges(branch.theta)
        self.trail = []  # (time, theta, velocity) at every accepted step

    def __call__(self, time, v):
        branch = self.branch
        if not branch.follow(v, time):
            raise _left(self.trail[-1][0] if self.trail else time,
                        "the factorisation cannot be followed any further")
        here = (time, branch.theta, self.pull(branch.theta))
        crossed = (self._edges(branch.theta) < 0).any(axis=0)
        if self.trail:
            self._look_back(self.trail[-1], here, crossed)
        elif crossed.any():
            raise _left(time, MET)
        margin = branch.margin(branch.theta)
        near = margin < self.floor
        if near.any():
            rest, met = self._rest(here, margin, near)
            raise _left(time + rest, MET if met else "the differential of mu drops rank")
        self.trail.append(here)

    def _look_back(self, last, here, crossed):
        """Raise `FlowError` where an edge, or the zero filter, was crossed since the last step."""
        h = here[0] - last[0]
        if h <= 0:
            return
        if crossed.any():
            # The lift may have been thrown from one branch to another one, near the edge.
            zero = crossed[: len(self.branch.scalars)].any()

            def least(x):
                return self._edges(hermite(last, here, x)).min()

            times = last[0] + h * LOOK
            first = int(np.argmax([least(x) < 0 for x in times]))
            if first:
                times[0] = scipy.optimize.brentq(least, times[first - 1], times[first])
            raise _left(times[0], ZERO if zero else MET)
        turned = np.add.reduceat(last[1] * here[1], self.branch.plan.offsets[:-1], axis=1) < 0
        for b, i in np.argwhere(turned):
            found = scipy.optimize.minimize_scalar(
                lambda x, b=b, i=i: self.branch.norms(hermite(last, here, x))[b, i],
                bounds=(last[0], here[0]), method="bounded", options={"xatol": 1e-12 * h})
            if found.fun < AT_ZERO * self.branch.norms(last[1])[b].max():
                raise _left(found.x, ZERO)

    def _edges(self, theta):
        """Values of `Branch.edges` relative to the start: positive until the first crossing."""
        sign, log = self.branch.edges(theta)
        return sign * self.sign * np.exp(np.clip(log - self.log, -700.0, 700.0))

    def _rest(self, here, margin, near):
        """Time left until the margin, or an edge, which fall linearly, is zero; if an edge is."""
        branch, (_, theta, speed) = self.branch, here
        h = float(margin[near].min()) * 1e-3 * np.abs(theta).max() / max(
            np.abs(speed).max(), 1e-300)
        ahead = theta + h * speed

        def left(now, then):
            falls = now > then
            return (h * (now[falls] / (now - then)[falls])).min(initial=np.inf)

        drops = left(margin[near], branch.margin(ahead)[near])
        meets = left(self._edges(theta)[near], self._edges(ahead)[near])
        # Where the margin does not fall, the time in which it could is what an edge must meet.
        if meets < 10 * (drops if drops < np.inf else 1e3 * h):
            return meets, True
        return drops if drops < np.inf else 0.0, False
