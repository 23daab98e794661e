"""Collocation at Radau's points for y' = -grad L(y), each flow of a batch in steps of its own.

Near a minimum a gradient flow is stiff: an explicit method must take steps of the size of the
fastest decay, however little still happens.  Over one step of length h, collocation finds
the polynomial of degree STAGES that starts at y and obeys the differential equation at the points
t + c_i h; with Radau's points (the last is 1) its end is exact to order 2 STAGES - 1 and it decays
where the flow does (Hairer and Wanner, Solving Ordinary Differential Equations II, IV.5 and IV.8).

The values Z_i = y(t + c_i h) - y solve A^-1 Z / h = F(y + Z), by Newton's method.  The Hessian of
L is symmetric (in function space, self-adjoint for the metric), so in its eigenbasis, and in that
of A^-1, every linear system is diagonal: neither another h nor another stage asks for a new
factorisation.

Arrays: B flows of P numbers; stages first, (STAGES, B, P).
"""

from math import factorial

import numpy as np
from numpy.polynomial import legendre

# Newton stops when what is left of its steps is this fraction of the tolerance.
NEWTON_GOAL = 0.02
NEWTON_LIMIT = 10
# As many iterations as this ask for a new Hessian.
NEWTON_SLOW = 5
# Up to this many parameters the Hessian's eigenvectors cost less than the steps that they save.
LIMIT = 128
# Flows go in groups of so many numbers: their arrays stay in a core's own cache.
GROUP = 2500
# What both flows say when it has served them.
MESSAGE = "Implicit collocation reached the last time."
# The finest relative tolerance that rounding in the tables leaves room for.
FINEST = 1e-13
# Of the collocation polynomial.
STAGES = 7


def _tables():
    """c; A^-1; rows for the last two Legendre coefficients of h y'; values -> Legendre."""
    s = STAGES
    difference = np.zeros(s + 1)
    difference[[s - 1, s]] = -1.0, 1.0
    x = np.sort(legendre.legroots(difference).real)
    for _ in range(3):
        x -= legendre.legval(x, difference) / legendre.legval(x, legendre.legder(difference))
    x[-1] = 1.0
    vander = legendre.legvander(x, s - 1)
    to_coefficients = np.linalg.inv(vander)
    integrals = [legendre.legval(x, legendre.legint(e, lbnd=-1)) / 2 for e in np.eye(s)]
    inverse = np.linalg.inv(np.stack(integrals, axis=1) @ to_coefficients)
    rows = to_coefficients[-2:] @ inverse
    # The polynomial through 0 at c = 0 and Z at c.
    through = np.linalg.inv(legendre.legvander(np.concatenate([[-1.0], x]), s))[:, 1:]
    return (x + 1) / 2, inverse, rows, through


C, A_INVERSE, TAIL, THROUGH = _tables()


def _diagonal():
    """Eigenvalues of A^-1, one of each conjugate pair; V^-1, and what the real part of V is of."""
    values, v = np.linalg.eig(A_INVERSE)
    keep = values.imag > -1e-8
    twice = np.where(np.abs(values[keep].imag) < 1e-8, 1.0, 2.0)
    return values[keep], np.linalg.inv(v)[keep], v[:, keep] * twice


LAMBDA, V_INVERSE, V = _diagonal()


def _polynomial(x):
    """Matrix from Z to the collocation polynomial at x, in steps: (*x.shape, STAGES)."""
    return legendre.legvander(2 * x - 1, STAGES) @ THROUGH


# Matrix from Z to the coefficients of that polynomial in powers of x - 1, but for the first.
POWERS = np.arange(1, STAGES + 1)
TAYLOR = np.stack([
    legendre.legval(1.0, legendre.legder(np.eye(STAGES + 1), j)) * 2.0**j / factorial(j)
    for j in POWERS.tolist()]) @ THROUGH


def _norm(a, scale):
    """Root mean square of a / scale over the last axis."""
    a = a / scale
    return np.sqrt(np.einsum("...p,...p->...", a, a) / a.shape[-1])


def _turn(z, q):
    """Every flow's rows (STAGES, B, P) times its own matrix (B, P, P), transposed."""
    return np.matmul(z.transpose(1, 0, 2), q.transpose(0, 2, 1)).transpose(1, 0, 2)


def _solve(g, inverse, q, q_inverse):
    """The solution dZ of (A^-1/h + q d q^-1) dZ = G; `inverse` is that of LAMBDA / h + d."""
    w = (V_INVERSE @ _turn(g, q_inverse).reshape(STAGES, -1)).reshape(inverse.shape) * inverse
    return _turn((V @ w.reshape(len(w), -1)).real.reshape(g.shape), q)


def _newton(field, flows, modes, y, z, h, scale):
    """Improves z in place; iterations used by each flow, NEWTON_LIMIT + 1 where it failed."""
    d, q, q_inverse = modes
    inverse = 1 / (LAMBDA[:, None, None] / h[:, None] + d)
    used = np.full(len(y), NEWTON_LIMIT + 1)
    live, last = np.arange(len(y)), None
    for n in range(1, NEWTON_LIMIT + 1):
        here = live if len(live) < len(y) else slice(None)  # no copies as long as all go on
        x = z[:, here]
        f = field.velocity((y[here] + x).reshape(-1, y.shape[-1]), flows[here]).reshape(x.shape)
        f -= (A_INVERSE @ x.reshape(STAGES, -1)).reshape(x.shape) / h[here, None]
        dz = _solve(f, inverse[:, here], q[here], q_inverse[here])
        z[:, here] += dz
        size = _norm(dz, scale[here]).max(axis=0)
        left = size
        if last is not None:
            rate = np.minimum(size / np.maximum(last, 1e-300), 0.999)
            left = np.where(rate < 0.9, size * rate / (1 - rate), np.inf)
        used[live[left <= NEWTON_GOAL]] = n
        going = (left > NEWTON_GOAL) & ((size < 1e8) if n < 3 else (left < np.inf))
        live, last = live[going], size[going]
        if not len(live):
            break
    return used


def suits(net, t, method, options, rtol, atol):
    """Whether flows of a quadratic loss go by collocation: small ones, with nothing else asked."""
    return (method is None and not options and net.n_parameters <= LIMIT and len(t) > 1
            and FINEST <= rtol and (atol is None or atol > 0))


def collocate(field, y0, t, rtol, atol, show, stop):
    """States at the times t, and the number of evaluations of the velocity.

    Parameters
    ----------
    field : object with the methods
        ``velocity(y, flows)``: of rows y (n * b, P), n states of each of the flows, an array of b
        numbers of rows of y0;
        ``modes(y, flows)``: d (b, P), q and q^-1 (b, P, P), so that q d q^-1 is minus the
        derivative of the velocity, nearly: it serves Newton's method;
        ``refuses(flows, h)``: who is to try a smaller step than h, as truth values (b,);
        ``again(flows)``: these do;
        ``shortest``, the part of the time that a step must not fall below: where flows may reach
        an edge.  Without one, steps may be too short to be seen in the time: a flow that
        left a saddle after 1e100 units goes on at its own pace;
        ``hold(y, flows, times)``, called at the end of each step: y put back to what it
        conserves, and which flows, as truth values (b,), are to be given up.
    y0 : ndarray, shape (B, P)
        States at time t[0].
    t : ndarray, shape (T,)
    rtol : float
    atol : function of the state, (B, P) -> a number or (B, P)
        For the polynomials between steps; the ends of the steps are better.
    show : function of the time reached
    stop : Stop or None
        Ends single flows early.

    Returns
    -------
    out : ndarray, shape (T, B, P)
    count : int
    lost : ndarray of bool, shape (B,)
        Flows that were given up, or whose steps became too small; their states mean nothing.
    """
    out = np.empty((len(t), *y0.shape))
    out[0] = y0
    flows = np.arange(len(y0))
    if stop is not None:
        out[:] = y0
        flows = np.flatnonzero(np.isnan(stop.ended))
    lost, count = np.zeros(len(y0), bool), 0
    groups = -(-len(flows) * y0.shape[1] // GROUP)  # rounded up
    for n, group in enumerate(np.array_split(flows, groups) if groups else ()):
        count += _group(field, group, out, lost, t, rtol, atol,
                        lambda time, n=n: show((n * t[-1] + time) / groups), stop)
    return out, count, lost


@np.errstate(all="ignore")  # what is not finite is rejected, and tried again with a smaller step
def _group(field, flows, out, lost, t, rtol, atol, show, stop):
    """The flows of one group, into `out` and `lost`; evaluations."""
    y = out[0, flows]
    modes = field.modes(y, flows)
    time, end = np.full(len(y), t[0]), t[-1]
    h = np.minimum(1.0 / np.maximum(np.abs(modes[0]).max(axis=1), 1e-300), end - t[0])
    old_z, old_h = np.zeros((STAGES, *y.shape)), h.copy()
    count = 0
    while len(flows):
        h = np.minimum(h, end - time)
        scale = atol(y) + rtol * np.abs(y)
        # Predict by the last polynomial, continued from its end.
        matrix = np.outer(h / old_h, C)[..., None] ** POWERS @ TAYLOR
        z = np.ascontiguousarray(np.matmul(matrix, old_z.transpose(1, 0, 2)).transpose(1, 0, 2))
        used = _newton(field, flows, modes, y, z, h, scale)
        count += STAGES * int(used.max())
        solved = (used <= NEWTON_LIMIT) & ~field.refuses(flows, h)
        # The last Legendre coefficient of h y' times the ratio of the last two estimates the
        # first that is left out.
        tail = _norm((TAIL @ z.reshape(STAGES, -1)).reshape(2, *y.shape), scale)
        error = tail[1] * np.minimum(1.0, tail[1] / np.maximum(tail[0], 1e-300)) / STAGES
        error = np.where(solved, error, np.inf)
        good = error <= 1.0
        factor = (0.5 / error) ** (1 / (STAGES + 1))
        factor = np.where(solved, np.minimum(np.maximum(factor, 0.3), 3.0), 0.3)
        new = np.where(good, np.where(h >= end - time, end, time + h), time)
        hit = _stopped(stop, flows, good, time, new, h, y, z)
        _report(out, t, flows, time, new, h, y, z)
        y, time, old_h = np.where(good[:, None], y + z[-1], y), new, np.where(good, h, old_h)
        # Where Newton failed the predictor may be to blame.
        old_z = np.where(good[:, None], z, old_z * solved[:, None])
        field.again(flows[~good])
        gone = ~good & (h * factor < np.maximum(field.shortest * np.abs(time), 1e-290))
        if good.any():
            y[good], gone[good] = field.hold(y[good], flows[good], time[good])
        for i, state in zip(*hit):
            out[t > stop.ended[flows[i]], flows[i]] = state
            time[i] = end
        lost[flows[gone]] = True
        h = h * factor
        show(float(time.min()))
        going = (time < end) & ~gone
        if not going.all():
            flows, y, time, h, used = flows[going], y[going], time[going], h[going], used[going]
            modes = tuple(part[going] for part in modes)
            old_z, old_h = old_z[:, going], old_h[going]
        stale = np.flatnonzero(used >= NEWTON_SLOW)
        if len(stale):
            for part, fresh in zip(modes, field.modes(y[stale], flows[stale])):
                part[stale] = fresh
    return count


def _report(out, t, flows, time, new, h, y, z):
    """Write the states at the times that the steps from `time` to `new` pass."""
    low, high = np.searchsorted(t, time, "right"), np.searchsorted(t, new, "right")
    many = high - low
    if not many.any():
        return
    row = np.repeat(np.arange(len(flows)), many)
    which = np.arange(len(row)) + np.repeat(high - np.cumsum(many), many)
    values = _polynomial((t[which] - time[row]) / h[row])
    out[which, flows[row]] = y[row] + np.einsum("ks,skp->kp", values, z[:, row])


def _stopped(stop, flows, good, time, new, h, y, z):
    """Rows of the flows that a step, where it is good, brings to their stop, and their states."""
    if stop is None:
        return (), ()
    some = np.flatnonzero(good)

    def at(which, times):
        i = some[which]
        return y[i] + np.einsum("bs,sbp->bp", _polynomial((times - time[i]) / h[i]), z[:, i])

    hit, states = stop.first(flows[some], time[some], new[some], (y + z[-1])[some], at)
    return some[hit], states
