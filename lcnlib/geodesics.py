"""Geodesics of the metric g_delta, and parallel transport along them."""

import numpy as np
import scipy

from ._core.checks import as_real
from ._core.orbit import Orbit
from ._core.plan import plan
from ._core.resultants import common_root_pairs, resultants
from ._core.tangent import RTOL_TANGENT, lifted, split_vectors
from .errors import FlowError, InputError

# Larger ratios of norms overflow when squared.
MAX_RATIO = 1e100
# Angular velocities below this fraction of the others are rounding: such a filter does not turn.
NO_TURN = 1e-12
# Points of each panel at which two filters are tested for a common root.
FOLD_POINTS = 32


def geodesic(net, filters, velocity, s, rtol=RTOL_TANGENT):
    """Points of M along the geodesic of g_delta from v with initial tangent `velocity`.

    It is mu of the curve that `geodesic_filters` returns.  No differential equation is
    stepped, so the accuracy is that of rounding at every s.

    Book: prop-09-geodesics.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes k_i
        One set of filters (no batch axes); they fix v and the invariants.
    velocity : ndarray, shape k
        Tangent vector of M at v; its length in g_delta is the speed.
    s : float or ndarray, shape (*m,)
        Parameters in any order, negative ones included.
    rtol : float, optional
        Largest normal part of `velocity`, relative to its length.

    Returns
    -------
    ndarray, shape (*m, *k)

    Raises
    ------
    FlowError
        When the geodesic leaves the smooth part of M before one of the `s`: it runs into the zero
        filter, or onto the fold where two filters of equal stride get a common root.
        Its attribute ``time`` is the parameter at which that happens.
    NotTangentError
        When `velocity` is not in the image of dmu.
    SingularPointError, ZeroFilterError
        When dmu drops rank at the filters.

    Examples
    --------
    Balanced radial geodesics are the rays of a cone: here |v|^(1/2) decreases linearly.

    >>> net, w = LCN((2, 2), strides=2), [[1, 0], [0, 1]]
    >>> geodesic(net, w, [0, 0, -2, 0], [0, 0.5, -1])[:, 2].round(12).tolist()
    [1.0, 0.25, 4.0]
    """
    curve = _Curve(net, filters, velocity, rtol)
    s = as_real(s, "s")
    *_, theta = curve.smooth(s.reshape(-1))
    return plan(net).product(theta).reshape(s.shape + net.end_to_end_shape)


def geodesic_filters(net, filters, velocity, s, rtol=RTOL_TANGENT):
    """Filters along the horizontal lift of the geodesic of `geodesic`.

    Each filter stays in the plane of w_i and its initial velocity, the invariants and the
    angular momenta are constant, and what remains is an integral of the common parameter t.
    When the invariants vanish, the spheres' great circles share one angle, as in any cone.

    Book: prop-09-geodesics.

    Parameters
    ----------
    net, filters, velocity, s, rtol
        As in `geodesic`.

    Returns
    -------
    list of H ndarrays, shapes (*m, *k_i)
        A geodesic of the level set of the invariants in parameter space.  It may cross
        parameters where dmu drops rank; `geodesic` stops there.

    Raises
    ------
    FlowError
        When a filter vanishes before one of the `s`; its attribute ``time`` says where.
    NotTangentError, SingularPointError, ZeroFilterError, InputError
        As in `geodesic`.

    Examples
    --------
    >>> net, w = LCN((2, 1)), [[1, 0], [1]]
    >>> [x.round(6).tolist() for x in geodesic_filters(net, w, [0, 1], [0, 1.0])]
    [[[1.0, 0.0], [0.789355, 0.936439]], [[1.0], [1.224745]]]
    """
    curve = _Curve(net, filters, velocity, rtol)
    s = as_real(s, "s")
    ws = curve.filters(*curve.locate(s.reshape(-1)))
    return [w.reshape(s.shape + k) for w, k in zip(ws, net.filter_shapes)]


def parallel_transport(net, filters, velocity, a, s, rtol=RTOL_TANGENT):
    """Tangent vectors of M carried along a geodesic by the connection of g_delta.

    In the orthonormal frame of the radial direction and the directions in which the filters
    turn, the parts (a_0, a_1 ... a_H) of a parallel vector obey

        a_0' = sum_i omega_i a_i,    a_i' = -omega_i a_0,    omega_i = phi_i' / (r_i sqrt(S)),

    with S = sum_j 1/r_j^2; what is orthogonal to them does not change at all.  So lengths and
    angles in g_delta stay, and the velocity of the geodesic is parallel.

    Book: prop-09-geodesics.

    Parameters
    ----------
    net, filters, velocity, s, rtol
        As in `geodesic`; `rtol` is for `a`, too.
    a : ndarray, shape (*lead, *k)
        The tangent vectors at v to carry.

    Returns
    -------
    ndarray, shape (*m, *lead, *k)
        Tangent vectors at ``geodesic(net, filters, velocity, s)``.

    Raises
    ------
    FlowError, NotTangentError, SingularPointError, ZeroFilterError, InputError
        As in `geodesic`.

    Examples
    --------
    The balanced metric of k = (2, 1) is a cone: this curve goes a fifth of a turn around its tip.

    >>> net, w = LCN((2, 1)), [[1, 0], [1]]
    >>> a = parallel_transport(net, w, [0, 1], [0, 1], [0, 1.0])
    >>> a[0].tolist(), [round(inner(net, x, b, b), 12) for x, b in zip(
    ...     ([[1, 0], [1]], [y[1] for y in geodesic_filters(net, w, [0, 1], [0, 1.0])]), a)]
    ([0.0, 1.0], [1.0, 1.0])
    """
    curve = _Curve(net, filters, velocity, rtol, a=a)
    s, (h,) = as_real(s, "s"), curve.others
    lead, h = h[0].shape[:-1], [x.reshape(-1, x.shape[-1]) for x in h]
    z, phi, theta = curve.smooth(s.reshape(-1))
    carried = curve.carry(z, phi, h)
    theta = np.repeat(theta, carried.shape[1], axis=0)
    out = plan(net).jvp(theta, carried.reshape(-1, carried.shape[-1]))
    return out.reshape(s.shape + lead + net.end_to_end_shape)


class _Curve:
    """The geodesic in lengths of the smallest filter and with speed one."""

    def __init__(self, net, filters, velocity, rtol, **others):
        self.net = net
        fr, (eta, g), *others = split_vectors(net, filters, rtol, velocity=velocity, **others)
        if fr.batch:
            raise InputError("filters: expected one set of filters without batch axes, got "
                             f"{fr.batch}; call geodesic for each")
        if np.ndim(eta):
            raise InputError(f"velocity: expected shape {net.end_to_end_shape}, got "
                             f"{np.shape(velocity)}; call geodesic for each")
        h, *self.others = (lifted(fr, *x) for x in ((eta, g), *others))
        speed = np.sqrt(sum((x * x).sum() for x in h))
        self.length = fr.radii.min()
        if fr.radii.max() > MAX_RATIO * self.length:
            raise InputError(f"filters: expected norms within a factor {MAX_RATIO:.0e} of each "
                             f"other, got {fr.radii}; balance them more with rescale")
        self.clock = speed / self.length  # unit-speed parameter of the scaled curve, per s
        safe = speed if speed > 0 else 1.0
        turn = np.array([np.linalg.norm(x) for x in g])
        turn[turn <= NO_TURN * max(abs(eta), turn.max())] = 0.0
        swing = fr.radii * turn / safe
        radial = eta * fr.length / safe
        self.orbit = Orbit(fr.radii / self.length, radial, swing)
        self.units = fr.units
        self.normals = [x / (n if (n := np.linalg.norm(x)) > 0 else 1.0) for x in g]

    def locate(self, s):
        """Positions z and angles phi at the parameters `s`, shape (n,)."""
        end = self.orbit.exit
        gone = s * self.clock * np.sign(end) >= abs(end)
        if gone.any():
            time = end / self.clock
            raise FlowError(f"s: the geodesic runs into the zero filter at s = {time:.10g}, got s "
                            f"= {s[gone][0]:.10g}; the metric is incomplete there: keep s on this "
                            "side", time=time)
        return self.orbit.path(s * self.clock)

    def smooth(self, s):
        """Positions, angles and packed filters at `s`; FlowError behind a fold."""
        z, phi = self.locate(s)
        self.check_folds(z, s)
        return z, phi, plan(self.net).pack(self.filters(z, phi))

    def filters(self, z, phi):
        r = self.length * np.sqrt(self.orbit.tau(z)[:, None] + self.orbit.a)
        return [(r[:, i, None] * self.turned(i, phi)).reshape(-1, *k)
                for i, k in enumerate(self.net.filter_shapes)]

    def turned(self, i, phi):
        """Directions of filter i at the angles phi (n, H), (n, |k_i|)."""
        return np.cos(phi[:, i, None]) * self.units[i] + np.sin(phi[:, i, None]) * self.normals[i]

    def carry(self, z, phi, h):
        """Horizontal vectors h, H arrays (n, |k_i|), carried to m places: (m, n, n_parameters)."""
        turned = self.orbit.transport(z)  # (m, 1 + H, 1 + H)
        start, end = self.orbit.radial(np.array([self.orbit.z0]))[0], self.orbit.radial(z).T
        parts = turned @ np.stack([
            sum((x @ u) * c for x, u, c in zip(h, self.units, start)),
            *(x @ e for x, e in zip(h, self.normals))])  # (m, 1 + H, n)
        out = []
        for i, (x, u, e, c) in enumerate(zip(h, self.units, self.normals, end)):
            cos, sin = np.cos(phi[:, i, None]), np.sin(phi[:, i, None])
            rest = x - np.outer(x @ u, u) - np.outer(x @ e, e)
            out.append(rest + (c[:, None] * parts[:, 0])[..., None] * (cos * u + sin * e)[:, None]
                       + parts[:, 1 + i, :, None] * (cos * e - sin * u)[:, None])
        return np.concatenate(out, axis=-1)

    def check_folds(self, z, s):
        """FlowError when two filters in one variable get a common real root on the way.

        The curve in M is folded back there.  Every other loss of rank takes at least two
        conditions, which a geodesic misses unless it is sent there on purpose.
        """
        pairs = common_root_pairs(self.net)
        for far in {int(s.argmax()), int(s.argmin())} if pairs and s.size else ():
            way = abs(z[far] - self.orbit.z0)
            grid = np.linspace(self.orbit.z0, z[far], FOLD_POINTS * int(2 + way))
            # A resultant is one at the start.
            crossed = np.array([self._resultant(grid, pair) <= 0 for pair in pairs])
            if crossed.any():
                n = crossed.any(axis=0).argmax()

                def root(pair, ends=grid[n - 1 : n + 1]):
                    return scipy.optimize.brentq(
                        lambda z: self._resultant(np.array([z]), pair)[0], *ends, xtol=1e-14)

                pair = min((pair for pair, behind in zip(pairs, crossed[:, n]) if behind),
                           key=lambda pair: abs(root(pair) - self.orbit.z0))
                time = float(self.orbit.integrals(np.array([root(pair)]))[0, 0]) / self.clock
                raise FlowError(f"s: filters {pair[0]} and {pair[1]} get a common root at s = "
                                f"{time:.10g}, where dmu drops rank and the geodesic leaves the "
                                "smooth part of M; keep s on this side, or follow the curve with "
                                "geodesic_filters", time=time)

    def _resultant(self, z, pair):
        """Sylvester determinants of two filters, over that at the start, shape (n,)."""
        phi = np.concatenate([np.zeros((1, len(self.units))), self.orbit.integrals(z)[:, 1:]])
        sign, log = resultants(*(self.turned(i, phi) for i in pair))
        return sign[0] * sign[1:] * np.exp(log[1:] - log[0])
