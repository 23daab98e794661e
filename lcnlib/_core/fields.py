"""Velocities -grad L of L = l o mu on packed filters (B, P), and what `collocate` asks of them.

With l(v) = 1/2 (v - v*)^T A (v - v*) the Hessian is J^T A J + (second derivatives of mu, paired
with the gradient of l).  mu is linear in every layer, so the second part has no diagonal blocks,
and its block of the layers i and j samples one correlation: of grad l with the product of all
other layers, at the lags S_i a + S_j b.
"""

import numpy as np

from .collocation import A_INVERSE, STAGES, collocate
from .plan import cofactor_values, pair_values, plan
from .scaling import to_invariants
from .solver import FOLLOWING, progress_of

# A flow that has shrunk to this fraction is put back to its invariants: an error in them that was
# small beside the squared filters must not become large.
SHRUNK = 0.7
# A Gauss-Newton step, relative to the norms of the filters, may be so large.
FAR = 0.7
# Closer to a singular point than so many times the distance at which `Edge` looks, it has to.
CAUTION = 3.0
# Lifts that are so far, relative to the filters, from where their velocity carries them have
# jumped from one branch to another one.
JUMP = 1e-5


class LossFlow:
    """The velocity for any loss; `slope` is its gradient, of v of shape (*batch, *k)."""

    def __init__(self, net, slope, batch):
        self.plan, self.slope = plan(net), slope
        self.shape = (*batch, *net.end_to_end_shape)

    def velocity(self, theta):
        p = self.plan
        w = p.spectra(theta)
        c = cofactor_values(w)
        return -p.pull_back(c, self.slope_values(c[-1] * w[-1]))

    def slope_values(self, values):
        """The values of grad l from those of v."""
        p = self.plan
        v = p.mask(p.coefficients(values))
        g = np.asarray(self.slope(v.reshape(self.shape)), dtype=float).reshape(v.shape)
        return p.analyse(g)


class QuadraticFlow(LossFlow):
    """The velocity and the Hessian of a quadratic loss; any B."""

    def __init__(self, net, target, weight):
        super().__init__(net, self.slope_at, ())
        self.shape = -1, target.size
        self.target, self.weight = target.reshape(-1), weight
        self.goal = self.plan.analyse(target.reshape(1, -1))

    def slope_values(self, values):  # without a weight there is no need to interpolate
        return values - self.goal if self.weight is None else super().slope_values(values)

    def slope_at(self, v):
        """The gradient of l at rows v (B, |k|)."""
        g = v - self.target
        return g if self.weight is None else g @ self.weight

    def hessian(self, theta):
        p, a = self.plan, self.weight
        j = p.jacobian(theta)
        out = j.transpose(0, 2, 1) @ (j if a is None else a @ j)
        w = p.spectra(theta)
        if len(w) == 1:
            return out
        g = p.analyse(self.slope(p.product(theta)))
        layers, values = zip(*pair_values(w))
        values = [np.conjugate(rest) * g for rest in values]
        values = [p.fold(x) if i else x for (i, _), x in zip(layers, values)]
        b, m = g.shape
        u = p.coefficients(np.stack(values).reshape(-1, m)).reshape(len(values), b, -1)
        for (i, j), row in zip(layers, u):
            block = row[:, np.add.outer(p.places[i], p.places[j])]
            out[:, p.parts[i], p.parts[j]] += block
            out[:, p.parts[j], p.parts[i]] += block.transpose(0, 2, 1)
        return out


class LevelField:
    """What `collocate` asks in parameter space, on the level set of the invariants (B, H-1)."""

    shortest = 0.0

    def __init__(self, field, delta, start):
        self.field, self.delta = field, delta
        self.peak = np.abs(start).max(axis=1, initial=0.0)

    def velocity(self, theta, flows):
        return self.field.velocity(theta)

    def modes(self, theta, flows):
        d, q = np.linalg.eigh(self.field.hessian(theta))
        return d, q, q.transpose(0, 2, 1).copy()

    def refuses(self, flows, h):
        return np.zeros(len(flows), bool)

    def again(self, flows):
        pass

    def hold(self, theta, flows, _):
        """Back to the invariants, where a flow has shrunk."""
        top = np.abs(theta).max(axis=1)
        small = top < SHRUNK * self.peak[flows]
        if small.any():
            theta[small] = to_invariants(self.field.plan, theta[small], self.delta[flows[small]])
            self.peak[flows[small]] = top[small]
        return theta, np.zeros(len(flows), bool)


class LiftedField:
    """What `collocate` asks in function space; flows near the edge are given up.

    What is integrated is v' = -K_delta(v) grad l(v).  A lift of each state of v, at the points
    inside of a step too, is found by Gauss-Newton from that of the last Newton iteration, or of
    the step's start: it is needed for the kernel and nothing else.

    Parameters
    ----------
    branch : Branch
        Its theta are the lifts of the start.
    flow : QuadraticFlow
    floor : ndarray, shape (B,)
        Margins at which `Edge` says that a flow has left the smooth locus.
    """

    shortest = 1e-14

    def __init__(self, branch, flow, floor):
        self.branch, self.flow, self.plan = branch, flow, branch.plan
        self.ends = branch.theta.copy()
        self.stages = np.repeat(self.ends[None], STAGES, axis=0)
        self.speeds = np.empty_like(self.stages)
        self.floor = CAUTION * floor
        self.sign = branch.edges(branch.theta)[0]
        # (numbers of flows, times, lifts) at the ends of the steps.
        self.trail = [(np.arange(len(self.ends)), np.zeros(len(self.ends)), branch.theta.copy())]

    def velocity(self, v, flows):
        n = len(v) // len(flows)
        theta = self.stages[:n, flows].reshape(len(v), -1)
        lost = self.branch.lift(v, theta, np.tile(flows, n), FAR)
        self.stages[:n, flows] = theta.reshape(n, len(flows), -1)
        force, push = self.plan.there_and_back(theta, self.flow.slope(v))
        self.speeds[:n, flows] = -force.reshape(n, len(flows), -1)
        out = -push
        out[lost] = np.nan
        return out

    def modes(self, v, flows):
        """The Hessian of l for the metric, in a basis of the tangent space; zero across."""
        theta, dim = self.ends[flows], self.branch.net.dimension
        u, s, wt = np.linalg.svd(self.plan.jacobian(theta))
        wt, s = wt[:, :dim], s[:, :dim]
        d, q = np.linalg.eigh(wt @ self.flow.hessian(theta) @ wt.transpose(0, 2, 1))
        forth, back = u.copy(), u.transpose(0, 2, 1).copy()
        forth[:, :, :dim] = (u[:, :, :dim] * s[:, None]) @ q
        back[:, :dim] = q.transpose(0, 2, 1) @ (back[:, :dim] / s[..., None])
        return np.pad(d, ((0, 0), (0, u.shape[1] - dim))), forth, back

    def refuses(self, flows, h):
        """Which of the flows are to take a smaller step: where lifts jumped to another branch.

        Lifts on one branch move along the gradient, as v does.
        """
        moved = self.stages[:, flows] - self.ends[flows]
        moved = (A_INVERSE @ moved.reshape(STAGES, -1)).reshape(moved.shape)
        moved -= h[:, None] * self.speeds[:, flows]
        size = np.abs(self.ends[flows]).max(axis=1)
        return ~(np.abs(moved).max(axis=(0, 2)) < JUMP * size)

    def again(self, flows):
        """These flows repeat their step."""
        self.stages[:, flows] = self.ends[flows]

    def hold(self, v, flows, time):
        """v as it is; flows to give up for a solver that looks more closely."""
        stages = self.stages[:, flows]
        theta = stages[-1].copy()
        gone = self.branch.lift(v, theta, flows, FAR)
        passed = np.concatenate([self.ends[None, flows], stages[:-1], theta[None]])
        sign = self.branch.edges(passed.reshape(-1, passed.shape[-1]))[0]
        sign = sign.reshape(*passed.shape[:2], sign.shape[1])
        gone |= (sign != self.sign[flows]).any(axis=(0, 2))
        turns = np.add.reduceat(passed[1:] * passed[:-1], self.plan.offsets[:-1], axis=-1)
        gone |= (turns <= 0).any(axis=(0, 2))
        gone |= self.branch.margin(theta) < self.floor[flows]
        self.ends[flows] = theta
        self.stages[:, flows] = theta
        self.trail.append((flows, time, theta))
        return v, gone

    def path(self, t, vs):
        """Lifts (T, B, P) of vs (T, B, |k|) at the times t since the start; flows without one."""
        flows, times, thetas = (np.concatenate(x) for x in zip(*self.trail))
        every, order = np.arange(len(self.ends)), np.argsort(flows, kind="stable")
        out, lost = np.empty((*vs.shape[:2], thetas.shape[1])), np.zeros(len(every), bool)
        for b, mine in enumerate(np.split(order, np.cumsum(np.bincount(flows))[:-1])):
            out[:, b] = thetas[mine[np.abs(times[mine] - t[:, None]).argmin(axis=1)]]
        for v, theta in zip(vs, out):
            lost |= self.branch.lift(v, theta, every, FAR)
        return out, lost


def by_collocation(field, y0, t, rtol, atol, sizes, progress, stop=None):
    """States (T, B, P), the number of evaluations, and which flows are left to a solver (B,).

    Without `atol`, errors are measured by `sizes` of the state, as in `integrate`.
    """
    def absolute(y):
        return FOLLOWING * rtol * sizes(y) if atol is None else atol

    show = progress_of(progress, t)
    try:
        y, count, lost = collocate(field, y0, t - t[0], rtol, absolute, show, stop)
    except np.linalg.LinAlgError:  # the solver takes all of them
        return np.repeat(y0[None], len(t), axis=0), 0, np.ones(len(y0), bool)
    if not lost.any():
        show(t[-1] - t[0], True)
    return y, count, lost
