"""Geodesics of the metric g_delta."""

import numpy as np
import scipy

from ._core.checks import as_filters, as_real, as_tangents
from ._core.orbit import Orbit
from ._core.plan import plan
from ._core.resultants import common_root_pairs, resultants
from ._core.tangent import RTOL_TANGENT, components, frame, lifted
from .errors import FlowError, InputError

__all__ = ["geodesic", "geodesic_filters"]

# Larger ratios of norms overflow when squared.
MAX_RATIO = 1e100
# Angular velocities below this fraction of the others are rounding: such a filter does not turn.
NO_TURN = 1e-12
# Points of each panel at which two filters are tested for a common root.
FOLD_POINTS = 32


def geodesic(net, filters, velocity, s, rtol=RTOL_TANGENT):
    """Points of M along the geodesic of g_delta from v with initial tangent `velocity`.

    The geodesic is mu of the curve that `geodesic_filters`
    returns; no differential equation is stepped, so the accuracy is that of rounding
    at every s.

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
    InputError
        When shapes do not fit.

    Examples
    --------
    Balanced radial geodesics are the rays of a cone: here |v|^(1/2) decreases linearly.

    >>> net, w = LCN((2, 2), strides=2), [[1, 0], [0, 1]]
    >>> geodesic(net, w, [0, 0, -2, 0], [0, 0.5, -1])[:, 2].round(12).tolist()
    [1.0, 0.25, 4.0]
    """
    curve = _Curve(net, filters, velocity, rtol)
    s = as_real(s, "s")
    z, phi = curve.locate(s.reshape(-1))
    curve.check_folds(z, s.reshape(-1))
    p = plan(net)
    v = p.product(p.pack(curve.filters(z, phi)))
    return v.reshape(s.shape + net.end_to_end_shape)


def geodesic_filters(net, filters, velocity, s, rtol=RTOL_TANGENT):
    """Filters along the horizontal lift of the geodesic of `geodesic`.

    Each filter stays in the plane of w_i and its initial
    velocity, the invariants and the angular momenta are constant, and what remains
    is an integral of the common parameter t.  When the invariants vanish, the
    spheres' great circles share one angle, as in any metric cone.

    Book: prop-09-geodesics.

    Parameters
    ----------
    net : LCN
    filters : sequence of H ndarrays, shapes k_i
    velocity : ndarray, shape k
    s : float or ndarray, shape (*m,)
    rtol : float, optional

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


class _Curve:
    """The geodesic in lengths of the smallest filter and with speed one."""

    def __init__(self, net, filters, velocity, rtol):
        self.net = net
        ws = as_filters(net, filters)
        (velocity,) = as_tangents(net, rtol, velocity=velocity)
        fr = frame(net, ws)
        if fr.batch:
            raise InputError(
                f"filters: expected one set of filters without batch axes, got {fr.batch}; call "
                "geodesic for each"
            )
        if velocity.ndim != net.ndim:
            raise InputError(
                f"velocity: expected shape {net.end_to_end_shape}, got {velocity.shape}; call "
                "geodesic for each"
            )
        eta, g = components(net, fr, velocity, "velocity", rtol)
        h = lifted(fr, eta, g)
        speed = np.sqrt(sum((x * x).sum() for x in h))
        self.length = fr.radii.min()
        if fr.radii.max() > MAX_RATIO * self.length:
            raise InputError(
                f"filters: expected norms within a factor {MAX_RATIO:.0e} of each other, got "
                f"{fr.radii}; balance them more with rescale"
            )
        self.clock = speed / self.length  # unit-speed parameter of the scaled curve, per s
        safe = speed if speed > 0 else 1.0
        turn = np.array([np.linalg.norm(x) for x in g])
        turn[turn <= NO_TURN * max(abs(eta), turn.max())] = 0.0
        swing = fr.radii * turn / safe
        radial = eta * np.sqrt(fr.inverse_s) / safe
        self.orbit = Orbit(fr.radii / self.length, radial, swing)
        self.units = fr.units
        self.normals = [x / (n if (n := np.linalg.norm(x)) > 0 else 1.0) for x in g]

    def locate(self, s):
        """Positions z and angles phi at the parameters `s`, shape (n,)."""
        end = self.orbit.exit
        if end is not None:
            gone = s * self.clock * np.sign(end) >= abs(end)
            if gone.any():
                worst, time = s[gone][0], end / self.clock
                raise FlowError(
                    f"s: the geodesic runs into the zero filter at s = {time:.10g}, got "
                    f"s = {worst:.10g}; the metric is incomplete there: keep s on this side",
                    time=time,
                )
        return self.orbit.path(s * self.clock)

    def filters(self, z, phi):
        r = self.length * np.sqrt(self.orbit.tau(z)[:, None] + self.orbit.a)
        return [
            (r[:, i, None] * (np.cos(phi[:, i, None]) * u + np.sin(phi[:, i, None]) * e)).reshape(
                (-1, *k)
            )
            for i, (u, e, k) in enumerate(zip(self.units, self.normals, self.net.filter_shapes))
        ]

    def check_folds(self, z, s):
        """FlowError when two filters in one variable get a common real root on the way.

        The curve in M is folded back there.  Every other loss of rank takes at least two
        conditions, which a geodesic misses unless it is sent there on purpose.
        """
        pairs = common_root_pairs(self.net)
        if not pairs or self.orbit.speed == 0:
            return
        for far in {int(s.argmax()), int(s.argmin())} if s.size else ():
            n = FOLD_POINTS * int(2 + abs(z[far] - self.orbit.z0))
            grid = np.linspace(self.orbit.z0, z[far], n)
            folds = [(self._first_root(pair, grid), pair) for pair in pairs if s[far] != 0]
            folds = [fold for fold in folds if np.isfinite(fold[0])]
            if folds:
                root, pair = min(folds, key=lambda fold: abs(fold[0] - self.orbit.z0))
                time = float(self.orbit.integrals(np.array([root]))[0, 0]) / self.clock
                raise FlowError(
                    f"s: filters {pair[0]} and {pair[1]} get a common root at s = {time:.10g}, "
                    "where dmu drops rank and the geodesic leaves the smooth part of M; keep "
                    "s on this side, or follow the curve with geodesic_filters",
                    time=time,
                )

    def _first_root(self, pair, grid):
        """The first sign change of the resultant on the grid, refined; inf without one."""
        sign = np.sign(self._resultant(pair, grid))
        change = np.flatnonzero(sign[:-1] * sign[1:] <= 0)
        if not change.size:
            return np.inf
        low, high = grid[change[0]], grid[change[0] + 1]
        if sign[change[0] + 1] == 0:
            return high
        return scipy.optimize.brentq(
            lambda z: self._resultant(pair, np.array([z]))[0], low, high, xtol=1e-14
        )

    def _resultant(self, pair, z):
        """Sylvester determinants of two filters, over that at the start, shape (n,)."""
        phi = np.concatenate([np.zeros((1, len(self.units))), self.orbit.integrals(z)[:, 1:]])
        p, q = (
            np.cos(phi[:, i, None]) * self.units[i] + np.sin(phi[:, i, None]) * self.normals[i]
            for i in pair
        )
        sign, log = resultants(p, q)
        return sign[1:] * np.exp(log[1:] - log[0])
