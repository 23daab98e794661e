"""The Riemannian gradient flow of a quadratic loss: many flows, each in steps of its own.

What is integrated is v' = -K_delta(v) grad l(v).  A lift of each state of v, at the points inside
of a step too, is found by Gauss-Newton from that of the last Newton iteration, or of the step's
start: it is needed for the kernel and nothing else.
"""

import numpy as np

from .collocation import A_INVERSE, STAGES

# Gauss-Newton steps, relative to the norms of the filters: the first ones may be so large; when
# one is as small as NEAR the next would be about its square.
FIRST, NEAR, ITERATIONS = 0.7, 3e-6, 10
# Closer to a singular point than so many times the distance at which `Edge` looks, it has to.
CAUTION = 3.0
# Lifts that are so far, relative to the filters, from where their velocity carries them have
# jumped from one branch to another one.
JUMP = 1e-5


class LiftedField:
    """What `collocate` asks; flows near the edge of the smooth locus are given up.

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
        lost = self._lift(v, theta, np.tile(flows, n))
        self.stages[:n, flows] = theta.reshape(n, len(flows), -1)
        g = v - self.flow.target
        force, push = self.plan.there_and_back(
            theta, g if self.flow.weight is None else g @ self.flow.weight)
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
        gone = self._lift(v, theta, flows)
        passed = np.concatenate([self.ends[None, flows], stages[:-1], theta[None]])
        sign = self.branch.edges(passed.reshape(-1, passed.shape[-1]))[0]
        sign = sign.reshape(*passed.shape[:2], sign.shape[1])
        gone |= (sign != self.sign[flows]).any(axis=(0, 2))
        starts = np.asarray(self.plan.offsets[:-1])
        gone |= (np.add.reduceat(passed[1:] * passed[:-1], starts, axis=-1) <= 0).any(axis=(0, 2))
        self.branch.theta = theta
        gone |= self.branch.margin() < self.floor[flows]
        self.ends[flows] = theta
        self.stages[:, flows] = theta
        self.trail.append((flows, time, theta))
        return v, gone

    def path(self, t, vs):
        """Lifts (T, B, P) of vs (T, B, |k|) at the times t since the start; flows without one."""
        flows, times, thetas = (np.concatenate(x) for x in zip(*self.trail))
        span, every = 2 * (t[-1] + 1), np.arange(len(self.ends))
        key = flows * span + times
        order = np.argsort(key)
        key, flows, times, thetas = key[order], flows[order], times[order], thetas[order]
        out, lost = np.empty((*vs.shape[:2], thetas.shape[1])), np.zeros(len(every), bool)
        for time, v, theta in zip(t, vs, out):
            before = np.searchsorted(key, every * span + time, "right") - 1
            after = np.minimum(before + 1, len(key) - 1)
            nearer = (flows[after] == every) & (times[after] - time < time - times[before])
            theta[:] = thetas[np.where(nearer, after, before)]
            lost |= self._lift(v, theta, every)
        return out, lost

    def _lift(self, v, theta, flows):
        """Gauss-Newton from theta, in place, for rows v of these flows; which rows failed."""
        branch, live = self.branch, np.arange(len(v))
        lost = np.ones(len(v), bool)
        for n in range(ITERATIONS):
            step, columns = branch.correction(v[live], theta[live], branch.delta[flows[live]])
            if step is None:
                break
            size = np.sqrt(np.einsum("rp,rp->r", step, step) / branch.net.depth)
            fits = size < (FIRST if n == 0 else 0.5)
            theta[live[fits]] += (columns * step)[fits]
            done = fits & (size < NEAR)
            lost[live[done]] = False
            live = live[fits & ~done]
            if not len(live):
                break
        return lost
