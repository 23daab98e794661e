"""Geodesics (S11): against the geodesic equation, the law of cosines and the metric itself."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import lcnlib
from lcnlib import LCN, errors
from lcnlib.geodesics import geodesic, geodesic_filters
from lcnlib.metric import horizontal_lift, inner, tangent_basis
from lcnlib.warped import distance_to_zero, warped_coordinates

from .geometry_cases import NETS, every_point, name, point, tangents
from .test_curvature import metric_in_a_chart, orthonormal_basis


def start(net, kind, seed):
    """Filters and a unit tangent vector."""
    w = point(net, kind, seed)
    a = tangents(net, w, 1, seed + 1)[0]
    return w, a / np.sqrt(inner(net, w, a, a))


def parameters(net, w, n, reach=0.9):
    """Times at which no geodesic can have reached the zero filter."""
    return np.linspace(-reach, reach, n) * distance_to_zero(net, w)


@every_point
def test_speed_is_kept(net, kind):
    w, a = start(net, kind, seed=1)
    s = parameters(net, w, 7)
    h = 0.01 * distance_to_zero(net, w)
    steps = h * np.arange(-4, 5)
    path = geodesic_filters(net, w, a, s[:, None] + steps)
    # Eighth-order central differences: truncation 1/630 h^8, far below 1e-10.
    weights = np.array([3, -32, 168, -672, 0, 672, -168, 32, -3]) / 840 / h
    at = [x[:, 4] for x in path]
    velocity = lcnlib.jvp(net, at, [np.tensordot(weights, x, (0, 1)) for x in path])
    speed = np.sqrt(inner(net, at, velocity, velocity))
    assert np.abs(speed - 1).max() < 1e-10
    lift = horizontal_lift(net, at, velocity)
    for x, y in zip(lift, path):  # the lift is horizontal
        assert np.abs(x - np.tensordot(weights, y, (0, 1))).max() < 1e-9


@every_point
def test_points_velocity_and_invariants(net, kind):
    w, a = start(net, kind, seed=3)
    s = parameters(net, w, 9)
    path = geodesic_filters(net, w, a, s)
    delta = lcnlib.invariants(net, w)
    top = max((x * x).sum() for x in w)
    assert np.abs(lcnlib.invariants(net, path) - delta).max(initial=0) < 1e-12 * top
    assert np.allclose(path[0][4], w[0], rtol=1e-14, atol=0)
    h = 1e-5 * distance_to_zero(net, w)
    ends = lcnlib.end_to_end(net, geodesic_filters(net, w, a, [h, -h]))
    assert np.allclose((ends[0] - ends[1]) / (2 * h), a, rtol=0, atol=1e-8 * np.abs(a).max())


def geodesic_equation(net):
    """w_i'' = c_i w_i with the multipliers that keep the invariants; the first principles."""
    cuts = np.cumsum([np.prod(k) for k in net.filter_shapes])

    def rhs(s, y):
        n = len(y) // 2
        ws, ds = np.split(y[:n], cuts[:-1]), np.split(y[n:], cuts[:-1])
        squares = np.array([w @ w for w in ws])
        kinetic = np.array([d @ d for d in ds])
        # d^2 |w_i|^2 / ds^2 / 2 = c_i |w_i|^2 + |w_i'|^2 is the same for all i, sum c_i = 0.
        mean = (kinetic / squares).sum() / (1 / squares).sum()
        c = (mean - kinetic) / squares
        return np.concatenate([y[n:], *(x * w for x, w in zip(c, ws))])

    return rhs


@every_point
def test_geodesic_equation(net, kind):
    w, a = start(net, kind, seed=5)
    s = parameters(net, w, 5)
    y = np.concatenate([x.ravel() for x in [*w, *horizontal_lift(net, w, a)]])
    path = geodesic_filters(net, w, a, s)
    for i in (0, 1, 3, 4):
        sol = solve_ivp(geodesic_equation(net), (0, s[i]), y, method="DOP853", rtol=1e-12,
                        atol=1e-14)
        expected = sol.y[: len(y) // 2, -1]
        got = np.concatenate([x[i].ravel() for x in path])
        # The solver's tolerance, with room for its accumulation.
        assert np.abs(got - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("kind", ["balanced", "unbalanced"])
def test_christoffel_symbols_of_the_metric_in_coordinates(kind):
    """The textbook equation, from nothing but values of the metric in a chart."""
    net = LCN((3, 2), 2)
    w, a = start(net, kind, seed=7)
    dim, delta = net.dimension, lcnlib.invariants(net, w)
    basis = orthonormal_basis(net, w)
    lifts = horizontal_lift(net, w, basis)
    length = distance_to_zero(net, w)
    h = 0.01 * length

    def rhs(s, state):
        y, u = state[:dim], state[dim:]
        steps = np.concatenate([[y], *(y + n * h * np.eye(dim) for n in (-2, -1, 1, 2))])
        g = metric_in_a_chart(net, w, delta, steps)
        d = np.einsum("n,nkij->kij", np.array([1, -8, 8, -1]) / (12 * h),
                      g[1:].reshape(4, dim, dim, dim))
        force = np.einsum("kij,k,j->i", d, u, u) - 0.5 * np.einsum("ikj,k,j->i", d, u, u)
        return np.concatenate([u, -np.linalg.solve(g[0], force)])

    u = np.linalg.lstsq(basis.reshape(dim, -1).T, a.ravel())[0]
    sol = solve_ivp(rhs, (0, 0.5 * length), np.concatenate([np.zeros(dim), u]), rtol=1e-8,
                    atol=1e-8)
    end = [x + np.tensordot(sol.y[:dim, -1], d, 1) for x, d in zip(w, lifts)]
    got = geodesic(net, w, a, 0.5 * length)
    # Fourth-order differences of the metric with steps of one percent: 1e-8.
    assert np.abs(got - lcnlib.end_to_end(net, end)).max() < 1e-6 * np.abs(got).max()


@pytest.mark.parametrize("net", NETS, ids=name)
def test_law_of_cosines_on_the_balanced_cone(net):
    """r^2 = H t, and the angle of two rays is the distance on the product of spheres / sqrt(H)."""
    w, a = start(net, "balanced", seed=9)
    s = np.array([-1.3, -0.4, 0.2, 0.7, 2.5]) * distance_to_zero(net, w)
    path = geodesic_filters(net, w, a, s)
    here, there = warped_coordinates(net, w), warped_coordinates(net, path)
    p, q = np.sqrt(net.depth * here.t), np.sqrt(net.depth * there.t)
    angles = 0
    for x, y in zip(here.directions, there.directions):
        cos = np.tensordot(y, x, net.ndim)
        sin = np.sqrt(np.maximum(0, np.sum((y - cos.reshape(-1, *[1] * net.ndim) * x) ** 2,
                                           axis=tuple(range(1, net.ndim + 1)))))
        angles = angles + np.arctan2(sin, cos) ** 2
    angle = np.sqrt(angles / net.depth)
    near = angle < 3  # where no sphere was passed half round
    assert near.sum() >= 3
    assert np.allclose(s[near] ** 2, (p * p + q * q - 2 * p * q * np.cos(angle))[near], rtol=1e-10)


@pytest.mark.parametrize("kind", ["balanced", "unbalanced"])
def test_geodesics_are_shortest(kind):
    """A fixed-end variation of a geodesic is longer, by a quadratic function of its size."""
    net = LCN((3, 2), 2)
    w, a = start(net, kind, seed=11)
    s = np.linspace(0, 0.6 * distance_to_zero(net, w), 201)
    path, delta = geodesic_filters(net, w, a, s), lcnlib.invariants(net, w)
    rng = np.random.default_rng(12)
    bump = np.sin(np.pi * s / s[-1])[:, None] ** 2

    def length(size, turn):
        bent = lcnlib.rescale(net, [x + size * bump * y for x, y in zip(path, turn)], delta)
        # The length of the broken line in parameter space, extrapolated in the step.
        fine, coarse = (
            np.sqrt(sum((np.diff(x[::n], axis=0) ** 2).sum(1) for x in bent)).sum() for n in (1, 2)
        )
        return fine + (fine - coarse) / 3

    for _ in range(4):
        turn = [rng.standard_normal(k) for k in net.filter_shapes]
        excess = np.array([length(e, turn) - s[-1] for e in (0, 0.005, 0.01, -0.005)])
        assert abs(excess[0]) < 1e-8
        assert (excess[1:] > 1e-5).all()
        assert 3 < (excess[2] - excess[0]) / (excess[1] - excess[0]) < 5


def test_totally_geodesic_submanifolds():
    """What isometries of the spheres fix, geodesics do not leave."""
    net = LCN((4, 3), 4)
    rng = np.random.default_rng(13)
    w = [np.array([*rng.standard_normal(2), 0, 0]), np.array([*rng.standard_normal(2), 0])]
    h = [np.array([*rng.standard_normal(2), 0, 0]), np.array([*rng.standard_normal(2), 0])]
    path = geodesic_filters(net, w, lcnlib.jvp(net, w, h), np.linspace(-2, 2, 9))
    assert max(np.abs(path[0][:, 2:]).max(), np.abs(path[1][:, 2:]).max()) < 1e-13
    # A balanced geodesic with equal angular speeds stays on the diagonal.
    net = LCN((3, 3), 3)
    x, d = rng.standard_normal((2, 3))
    a = lcnlib.jvp(net, [x, x], [d, d])
    path = geodesic_filters(net, [x, x], a, np.linspace(-1, 1, 9))
    assert np.abs(path[0] - path[1]).max() < 1e-13


def test_order_shape_and_reparametrisation():
    net = LCN((3, 2), 2)
    w, a = start(net, "unbalanced", seed=14)
    s = np.array([[0.3, -0.2, 0.0], [0.1, 0.3, -0.25]])
    v = geodesic(net, w, a, s)
    assert v.shape == (2, 3, 5)
    assert np.array_equal(v[0, 0], v[1, 1])
    assert np.allclose(v[0, 2], lcnlib.end_to_end(net, w), rtol=1e-14)
    assert np.allclose(geodesic(net, w, a, 0.3), v[0, 0], rtol=1e-13)
    assert np.allclose(geodesic(net, w, -10 * a, s / -10), v, rtol=0, atol=1e-13)
    # Restarting on the way gives the same curve.
    mid = geodesic_filters(net, w, a, [0.1 - 1e-4, 0.1, 0.1 + 1e-4])
    velocity = lcnlib.jvp(net, [x[1] for x in mid], [(x[2] - x[0]) / 2e-4 for x in mid])
    again = geodesic(net, [x[1] for x in mid], velocity, 0.2)
    assert np.allclose(again, v[0, 0], rtol=0, atol=1e-7)
    rest = geodesic(net, w, 0 * a, s)
    assert np.allclose(rest, lcnlib.end_to_end(net, w), rtol=1e-14)


def regular_equation(s, y):
    """The geodesic equation of two layers, in a form that is regular where one vanishes."""
    p, q, dp, dq = np.split(y, 4)
    gap = (dq @ dq - dp @ dp) / (p @ p + q @ q)
    return np.concatenate([dp, dq, gap * p, -gap * q])


@pytest.mark.parametrize("miss", [1.0, 1e-3, 1e-6, 1e-9])
def test_near_misses_of_the_zero_filter(miss):
    """|w_1| < |w_2|: a geodesic aimed almost at zero turns w_1 round by nearly a half turn."""
    net = LCN((3, 3), 3)
    e = np.eye(3)
    w = [e[0], 2 * e[0]]
    a = lcnlib.jvp(net, w, [-e[0] + miss * e[1], -0.5 * e[0] + 0.3 * e[1]])
    y = np.concatenate([*w, *horizontal_lift(net, w, a)])

    s = np.array([0.5, 1.0, 1.5, 3.0])
    path = geodesic_filters(net, w, a, s)
    for i, end in enumerate(s):
        sol = solve_ivp(regular_equation, (0, end), y, method="DOP853", rtol=3e-14, atol=1e-16)
        got = np.concatenate([path[0][i], path[1][i]])
        assert np.abs(got - sol.y[:6, -1]).max() < 1e-12


@pytest.mark.parametrize("kind", ["balanced", "unbalanced", "tied"])
@pytest.mark.parametrize("net", NETS, ids=name)
def test_radial_geodesics_end_at_the_zero_filter(net, kind):
    w = point(net, kind, seed=15)
    v = lcnlib.end_to_end(net, w)
    a = -v / np.sqrt(inner(net, w, v, v))
    end = distance_to_zero(net, w)
    near = geodesic(net, w, a, [0.999 * end, -5 * end])
    assert np.linalg.norm(near[0]) < 2e-3 * np.linalg.norm(v)
    for s in (end * 1.0001, [0.1, 3 * end]):
        with pytest.raises(errors.FlowError, match="zero filter") as info:
            geodesic(net, w, a, s)
        assert np.isclose(info.value.time, end, rtol=1e-13)
    # The rays are straight: all points are multiples of v.
    ray = near / np.linalg.norm(near, axis=tuple(range(1, net.ndim + 1)), keepdims=True)
    assert np.abs(ray - v / np.linalg.norm(v)).max() < 1e-10


@pytest.mark.parametrize("direction", [1, -1])
def test_zero_is_reached_while_other_filters_turn(direction):
    """The smallest filter shrinks along itself while the larger one turns: not a radial line."""
    net = LCN((3, 3), 3)
    e = np.eye(3)
    w = [e[0], 2 * e[0]]
    a = direction * lcnlib.jvp(net, w, [-e[0], -0.5 * e[0] + 0.3 * e[1]])
    with pytest.raises(errors.FlowError) as info:
        geodesic(net, w, a, direction * 10.0)
    end = info.value.time
    assert end * direction > 0
    y = np.concatenate([*w, *horizontal_lift(net, w, a)])
    for s in (0.9 * end, -2 * end):
        sol = solve_ivp(regular_equation, (0, s), y, method="DOP853", rtol=3e-14, atol=1e-16)
        got = np.concatenate(geodesic_filters(net, w, a, s))
        assert np.abs(got - sol.y[:6, -1]).max() < 1e-12
    path = geodesic_filters(net, w, a, end * np.array([1 - 1e-6, 1 - 1e-9]))
    norms = np.linalg.norm(path[0], axis=1)
    assert norms[0] < 1e-5 and np.isclose(norms[1] / norms[0], 1e-3, rtol=1e-3)
    assert np.linalg.norm(path[1][1]) > 1.7  # sqrt(delta): the other filter survives


def test_the_fold_at_stride_one():
    """Two filters that get a common root: dmu drops rank there, found to 1e-10."""
    net = LCN((2, 2))
    w = [np.array([1.0, 0.3]), np.array([1.0, -0.4])]
    a = lcnlib.jvp(net, w, [[0.0, -1.0], [0.0, 1.0]])
    with pytest.raises(errors.FlowError, match="common root") as info:
        geodesic(net, w, a, [0.1, 0.6])
    time = info.value.time
    p, q = geodesic_filters(net, w, a, time)
    assert abs(p[0] * q[1] - p[1] * q[0]) < 1e-12
    assert geodesic(net, w, a, [-0.5, 0.999 * time]).shape == (2, 3)
    # The same filters at stride two have no fold.
    net = LCN((2, 2), 2)
    assert geodesic(net, w, lcnlib.jvp(net, w, [[0, -1], [0, 1]]), [0.1, 0.6]).shape == (2, 4)
    # Two dimensions: layers that are long on one and the same axis only.
    net = LCN([(2, 1), (1, 2), (2, 1)])
    w = [np.array([[1.0], [0.3]]), np.array([[1.0, 1.0]]), np.array([[1.0], [-0.4]])]
    a = lcnlib.jvp(net, w, [[[0], [-1]], [[0, 0]], [[0], [1]]])
    with pytest.raises(errors.FlowError, match="filters 0 and 2"):
        geodesic(net, w, a, 1.0)


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.3])
@pytest.mark.parametrize("later", [1e-3, -1e-3])
@pytest.mark.parametrize("way", [1, -1])
def test_the_first_of_several_folds_in_closed_form(rho, later, way):
    """Three folds close together, forwards or backwards, on the cone: which comes first, and when.

    Balanced filters of norm one turn by angles in proportion to the angle psi of the cone, seen
    from the tip at the distance sqrt(3): there the geodesic is a straight line.
    """
    net, angles, turns = LCN((2, 2, 2)), np.array([0.0, 0.5, 1.0 - later]), np.array([1.0, 0, -1])
    w, normals = np.stack([[np.cos(angles), np.sin(angles)], [-np.sin(angles), np.cos(angles)]]).mT
    a = lcnlib.jvp(net, w, way * (rho * w + turns[:, None] * normals))
    folds = {}
    for i, j in ((0, 1), (0, 2), (1, 2)):
        psi = (angles[j] - angles[i]) / (turns[i] - turns[j]) * np.sqrt(turns @ turns / 3)
        slope = np.tan(psi) / np.sqrt(turns @ turns / 3)  # s / (1 + rho s)
        folds[slope / (1 - rho * slope)] = i, j
    i, j = folds[min(folds)]
    with pytest.raises(errors.FlowError, match=f"filters {i} and {j}") as info:
        geodesic(net, w, a, [0.1 * way, 20 * way])
    assert info.value.time == pytest.approx(way * min(folds), rel=1e-11)
    before = way * min(folds) * (1 - 1e-9)
    assert np.allclose(geodesic(net, w, a, before), lcnlib.end_to_end(
        net, geodesic_filters(net, w, a, before)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("gap", [1.0, 0.1, 3e-3, 1e-3])
def test_a_fold_is_found_to_rounding_of_the_way(gap):
    """Two filters turn towards each other, on the cone as above: psi = gap / 2, at tan(psi)."""
    net, w = LCN((2, 2)), [[1.0, 0], [np.cos(gap), np.sin(gap)]]
    a = lcnlib.jvp(net, w, [[0.0, 1], [np.sin(gap), -np.cos(gap)]])
    with pytest.raises(errors.FlowError, match="filters 0 and 1") as info:
        geodesic(net, w, a, 50.0)
    assert abs(info.value.time - np.tan(gap / 2)) < 3e-14


@pytest.mark.parametrize("way", [1, -1])
def test_a_common_root_for_a_short_while(way):
    """Almost aimed at zero, a filter turns, and its root passes two close roots of another one.

    On the cone, as above: y = c s and x = sqrt(2) (1 - s) on the line, turn = sqrt(2) psi.
    """
    net, c, begin = LCN((2, 3)), 0.02, np.pi / 2 - 0.05
    first, second = (np.sqrt(2) * (begin + x) for x in (0, 0.1))
    q = np.convolve([np.cos(first), np.sin(first)], [np.cos(second), np.sin(second)])
    w = [np.array([1.0, 0]), q / np.linalg.norm(q)]
    a = lcnlib.jvp(net, w, [[-way, way * c], -way * w[1]])
    time = np.sqrt(2) * np.sin(begin) / (c * np.cos(begin) + np.sqrt(2) * np.sin(begin))
    for end in np.linspace(1.2, 4, 15):
        with pytest.raises(errors.FlowError, match="filters 0 and 1") as info:
            geodesic(net, w, a, way * end)
        assert info.value.time == pytest.approx(way * time, rel=1e-9)


def test_long_filters_are_not_taken_for_filters_on_a_fold():
    """Their resultant is e^-400 and less: far below all numbers when it is squared."""
    net, rng = LCN((93, 93)), np.random.default_rng(19)
    w = [np.convolve(rng.standard_normal(90), np.poly(roots))
         for roots in ((-1, -0.95, -1.1), (-0.9, -1.05, -0.8))]
    v = lcnlib.end_to_end(net, w)
    ends = geodesic(net, w, v, [-0.1, 0.1])
    for end, s in zip(ends, (-0.1, 0.1)):  # a ray
        assert np.abs(end / np.linalg.norm(end) - v / np.linalg.norm(v)).max() < 1e-10
        assert (np.linalg.norm(end) > np.linalg.norm(v)) == (s > 0)


def test_one_layer_is_flat():
    """Lines, vectors that do not change, and lengths as usual: up to the zero filter only."""
    net, rng = LCN([(2, 3)]), np.random.default_rng(18)
    w, velocity, *a = rng.standard_normal((4, 2, 3))
    s = np.array([[0.3, -2.0], [0.0, 7.0]])
    line = w + s[..., None, None] * velocity
    assert np.allclose(geodesic(net, [w], velocity, s), line, rtol=1e-13, atol=1e-13)
    assert np.allclose(geodesic_filters(net, [w], velocity, s)[0], line, rtol=1e-13, atol=1e-13)
    carried = lcnlib.parallel_transport(net, [w], velocity, a, s)
    assert carried.shape == (2, 2, 2, 2, 3)
    assert np.allclose(carried, a, rtol=0, atol=1e-12)
    assert np.allclose(lcnlib.log_map(net, [w], [w + velocity]), velocity, rtol=0, atol=1e-12)
    assert inner(net, [w], *a) == pytest.approx((a[0] * a[1]).sum(), rel=1e-12)
    assert distance_to_zero(net, [w]) == pytest.approx(np.linalg.norm(w), rel=1e-14)
    assert abs(lcnlib.sectional_curvature(net, [w], *a)) < 1e-13
    with pytest.raises(errors.FlowError, match="zero filter") as info:
        geodesic(net, [w], -w / 4, 5.0)
    assert info.value.time == pytest.approx(4, rel=1e-14)


def test_bad_input():
    net = LCN((3, 2), 2)
    w, a = start(net, "unbalanced", seed=17)
    with pytest.raises(errors.NotTangentError, match="velocity"):
        geodesic(net, w, a + np.eye(5)[2], 1.0)
    with pytest.raises(errors.InputError, match="velocity"):
        geodesic(net, w, np.stack([a, a]), 1.0)
    with pytest.raises(errors.InputError, match="velocity"):
        geodesic(net, w, [a, a[:2]], 1.0)
    with pytest.raises(errors.InputError, match="without batch"):
        geodesic(net, [np.stack([x, x]) for x in w], a, 1.0)
    with pytest.raises(errors.InputError, match="s: "):
        geodesic(net, w, a, [0.0, np.nan])
    with pytest.raises(errors.SingularPointError):
        geodesic(net, [[0.7, 0, 1], [0.7, 1]], a, 1.0)
    with pytest.raises(errors.ZeroFilterError):
        geodesic(net, [[0, 0, 0], [0.7, 1]], a, 1.0)
    with pytest.raises(errors.InputError, match="factor"):
        v = lcnlib.end_to_end(net, w)
        geodesic(net, [w[0] * 1e60, w[1] * 1e-60], v, 1.0)
    assert tangent_basis(net, w).shape == (4, 5)


def test_no_times_and_no_points():
    """An empty list of parameters and an empty batch are answered by arrays without rows."""
    for stride, size in ((2, 5), (1, 4)):  # with stride one, folds are looked for on the way
        net, w = LCN((3, 2), stride), [[2.0, 1, 1], [1.0, 1]]
        velocity = lcnlib.jvp(net, w, [[0.0, 1, 0], [1.0, 0]])
        assert lcnlib.geodesic(net, w, velocity, []).shape == (0, size)
        assert [x.shape for x in lcnlib.geodesic_filters(net, w, velocity, [])] == [(0, 3), (0, 2)]
        assert lcnlib.parallel_transport(net, w, velocity, velocity, []).shape == (0, size)
    none = lcnlib.from_warped_coordinates(
        net, np.ones(0), [np.ones((0, 3)), np.ones((0, 2))], np.ones((0, 1)))
    assert [x.shape for x in none] == [(0, 3), (0, 2)]
