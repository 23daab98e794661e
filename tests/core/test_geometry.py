"""The geometry inside: norms, tangent vectors, orbits, lines between two points."""

import tracemalloc
from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN
from lcnlib._core.connect import cone, connect, shortest
from lcnlib._core.orbit import PANEL, Orbit, _turning_point, integrate, ray_length
from lcnlib._core.plan import plan
from lcnlib._core.scaling import (
    along_the_level,
    norms,
    scaling_factors,
    sharp_invariants,
    to_invariants,
)
from lcnlib._core.tangent import Frame, gaps, split_vectors, weights

# ------------------------------------------------------------- geodesics between two points

POINTS = {"balanced": [0, 0, 0], "unbalanced": [0, 1.3, 0.4], "tied": [0, 0, 2.5],
          "the first larger": [3.0, 0, 1], "hardly unbalanced": [0, 1e-7, 1e-4]}


def dots(ws, others):
    return np.array([np.vdot(x, y) for x, y in zip(ws, others)])


@pytest.mark.parametrize("sizes", [(3,), (2, 2), (3, 1), (1, 2, 3), (2, 2, 2)], ids=str)
@pytest.mark.parametrize("kind", POINTS)
def test_the_shortest_line_arrives(kind, sizes):
    """In either direction, with the signs that make it shortest; it is as long as its velocity."""
    rng, depth = np.random.default_rng(len(kind)), len(sizes)
    gap = np.array(POINTS[kind][:depth], float)
    gap -= gap.min()
    for scale in (1.0, 1e-8, 1e8):
        r, end = (scale * np.sqrt(x + gap) for x in 10 ** rng.uniform(-1, 1, 2))
        u, y = ([x / np.linalg.norm(x) for x in (rng.standard_normal(n) for n in sizes)]
                for _ in range(2))
        if [1] == [n for n in sizes if n == 1]:  # its sign is the other layers' business
            y[sizes.index(1)] *= rng.choice([-1, 1])
        line, back = shortest(r, u, end, y), shortest(end, y, r, u)
        assert line.length == pytest.approx(back.length, rel=1e-12)
        assert line.ray == pytest.approx(ray_length(r), rel=1e-12)
        assert back.ray == pytest.approx(ray_length(end), rel=1e-12)
        h = line.velocity
        assert np.sqrt(dots(h, h).sum()) == pytest.approx(line.length, rel=1e-13)
        along = dots(h, u) * r  # horizontal: all <w_i, h_i> are one number
        assert np.ptp(along) <= 1e-13 * line.length * r.max()
        # The orbit with this start is, at the time one, at the end or at its opposites.
        across = [x - np.vdot(x, e) * e for x, e in zip(h, u)]
        swing = np.array([np.linalg.norm(x) for x in across])
        least = r.min()
        radial = along[0] * np.sqrt((1 / r**2).sum()) / line.length
        orbit = Orbit(r / least, radial, swing / line.length)
        z, phi = orbit.path(np.array([line.length / least]))
        there = [np.cos(a) * e + np.sin(a) * x / (n or 1.0)
                 for a, e, x, n in zip(phi[0], u, across, swing)]
        signs = np.sign(dots(there, y))
        assert signs.prod() == 1
        for x, sign, goal in zip(there, signs, y):
            np.testing.assert_allclose(x, sign * goal, rtol=0, atol=1e-11)
        np.testing.assert_allclose(least * np.sqrt(orbit.tau(z)[0] + orbit.a), end, rtol=1e-11)
        # No other choice of signs is shorter.
        rays, angles = np.array([ray_length(r), ray_length(end)]) / least, np.arccos(dots(u, y))
        for flips in product((0, 1), repeat=depth):
            turn = np.where(flips, np.pi - angles, angles)
            if sum(flips) % 2 == 0 and all(a < 1 for a, n in zip(turn, sizes) if n == 1):
                x = connect(r / least, end / least, turn, rays, kind == "balanced")
                assert x is None or np.linalg.norm(x) * least >= line.length * (1 - 1e-11)


@pytest.mark.parametrize("balanced", [False, True])
def test_lines_without_turns_and_of_a_quarter(balanced):
    """To the same directions the line is a piece of the ray; to itself it is no line."""
    r = np.sqrt([1.0, 1.0, 1.0 if balanced else 1.7])
    for far in (0.2, 1.0, 3.0):
        end = np.sqrt(r**2 + far - 1)
        u = [np.array([0.6, 0.8]), np.array([1.0]), np.array([0.0, 1.0, 0.0])]
        line = shortest(r, u, end, u)
        gap = ray_length(end) - ray_length(r)
        assert line.length == pytest.approx(abs(gap), rel=1e-12, abs=0)
        inverse = r * np.sqrt((1 / r**2).sum())
        for x, e, part in zip(line.velocity, u, inverse):
            np.testing.assert_allclose(x, gap / part * e, rtol=0, atol=1e-12)
        opposite = shortest(r, u, end, [-u[0], u[1], -u[2]])
        assert opposite.length == pytest.approx(abs(gap), rel=1e-12, abs=0)
    quarter = [np.array([-0.8, 0.6]), np.array([1.0]), np.array([0.0, 1.0, 0.0])]
    line = shortest(r, u, r, quarter)
    x, _, z = line.velocity
    assert np.vdot(x, quarter[0]) == pytest.approx(np.sqrt(np.vdot(x, x) - (x @ u[0]) ** 2))
    assert 0 < line.length < np.pi / 2 and z[0] == z[2] == 0


@pytest.mark.parametrize("angle", [1e-12, 1e-9, 1e-4, np.pi - 1e-6, np.pi])
@pytest.mark.parametrize("radii", [(1, 1), (1, 1.3), (1.3, 1), (3, 1), (0.2, 0.9)])
def test_lines_to_near_and_to_opposite_directions(radii, angle):
    """The second layer has the size one, so that the first cannot take the other sign."""
    r, whole = np.array(radii, float), [np.array([0.6, 0.8, 0.0]), np.array([-0.8, 0.6, 0.0])]
    for end, length in ((r, 2), (np.sqrt(r**2 + 1), 3)):
        u, across = [whole[0][:length], np.ones(1)], whole[1][:length]
        y = [np.cos(angle) * u[0] + np.sin(angle) * across, u[1]]
        line = shortest(r, u, end, y)
        h, across = line.velocity, line.velocity[0] - (line.velocity[0] @ u[0]) * u[0]
        assert np.ptp(dots(h, u) * r) <= 1e-13 * np.linalg.norm(across) * r.max() + (
            1e-15 * line.length)
        assert np.sqrt(dots(h, h).sum()) == pytest.approx(line.length, rel=1e-12)
        least, swing = r.min(), np.array([np.linalg.norm(across), 0.0])
        radial = (dots(h, u) @ (1 / r)) / np.sqrt((1 / r**2).sum())
        orbit = Orbit(r / least, radial / line.length, swing / line.length)
        z, phi = orbit.path(np.array([line.length / least]))
        assert phi[0, 0] == pytest.approx(angle, rel=1e-3 if angle < 1e-10 else 1e-6)
        np.testing.assert_allclose(least * np.sqrt(orbit.tau(z)[0] + orbit.a), end, rtol=1e-9)


def test_the_line_of_a_flat_cone():
    """Its ends, and the law of cosines."""
    for start, end, angle in ((1.0, 2.0, 0.3), (2.0, 0.5, 1.6), (1.0, 1.0, 3.0), (0.7, 0.7, 0.0)):
        radial, turn = cone(start, end, angle)
        assert (start + radial, turn) == pytest.approx(
            (end * np.cos(angle), end * np.sin(angle)), abs=1e-15)
        assert radial**2 + turn**2 == pytest.approx(
            start**2 + end**2 - 2 * start * end * np.cos(angle), abs=1e-14)
    # From a point to one nearby, without loss of digits.
    radial, turn = cone(1.0, 1.0, 1e-9)
    assert radial == pytest.approx(-5e-19, rel=1e-12) and turn == pytest.approx(1e-9, rel=1e-15)


# ------------------------------------------------------------------- norms and the level set


def exactly(x):
    return [Fraction(float(y)) for y in np.ravel(x)]


def squares_of(p, row):
    """Squared norms of the layers of one row of packed filters, exactly."""
    return [sum(x * x for x in exactly(row[part])) for part in p.parts]


def test_norms_and_invariants_of_filters_of_any_size():
    p = plan(LCN((3, 1, 2), 2))
    theta = np.random.default_rng(0).standard_normal((5, 6))
    theta[1] *= np.repeat([1e-200, 1e200, 1.0], p.sizes)
    theta[2, 3] = 1.0
    theta[3, :3] = 0.0
    theta[4, :3], theta[4, 4:] = 0.0, 1.0  # a largest entry of one beside a zero filter
    before = theta.copy()
    got = norms(p, theta)
    with mpmath.workdps(30):
        for row, sizes in zip(theta, got):
            for square, size in zip(squares_of(p, row), sizes, strict=True):
                want = mpmath.sqrt(mpmath.mpf(square.numerator) / square.denominator)
                assert abs(size - want) <= 1e-15 * want
    np.testing.assert_array_equal(theta, before)


def test_sharp_invariants_are_correctly_rounded():
    p = plan(LCN((3, 1, 2), 2))
    theta = np.random.default_rng(1).standard_normal((3, 6))
    theta[1] *= np.repeat(1e8 / norms(p, theta[1:2])[0], p.sizes)  # nearly equal, and large
    got = sharp_invariants(p, theta)
    assert got.shape == (3, 2) and 0 < np.abs(got[1]).max() < 100
    for row, delta in zip(theta, got):
        assert delta.tolist() == [float(b - a) for a, b in zip(
            squares_of(p, row)[:-1], squares_of(p, row)[1:])]
    assert sharp_invariants(plan(LCN((2,))), theta[:, :2]).shape == (3, 0)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_factors_that_lead_to_given_invariants(depth, batch):
    """Positive, with product one; each row of a batch for itself, whatever its size."""
    rng = np.random.default_rng(depth)
    sizes = np.exp(rng.standard_normal((*batch, depth)))
    delta = rng.integers(-2, 3, (*batch, depth - 1)) * 1.0
    for spread, scale in ((0, 1), (0, 1e60), (60, 1), (60, 1e40), (3, 1e-30)):
        r = sizes * 10.0 ** rng.uniform(-spread, spread, sizes.shape)
        d = delta * scale
        factors = scaling_factors(r, d)
        assert factors.shape == r.shape and (factors > 0).all()
        new = (factors * r).reshape(-1, depth)
        for x, f, goal in zip(new, factors.reshape(-1, depth), d.reshape(len(new), depth - 1)):
            assert abs(mpmath.log(mpmath.fprod(f))) < 1e-14 * depth
            top = x.max()
            np.testing.assert_allclose(np.diff((x / top) ** 2), goal / top / top, rtol=0,
                                       atol=4e-15)


def test_back_to_the_invariants_row_by_row():
    """Filters of which one is zero stay where they are, and so do those beyond all numbers."""
    net = LCN((3, 1, 2), 2)
    p, rng = plan(net), np.random.default_rng(2)
    theta = rng.standard_normal((4, 6))
    theta[1, :3] = 0.0
    theta[3] *= np.repeat([1e230, 1e-235, 1e-235], p.sizes)
    delta = np.array([[1.0, -2.0], [1.0, 1.0], [1e6, 1e-6], [0.0, 0.0]])
    before = theta.copy()
    got = to_invariants(p, theta, delta)
    np.testing.assert_array_equal(theta, before)
    np.testing.assert_array_equal(got[1], theta[1])
    for b in (0, 2):
        want = lcn.rescale(net, p.unpack(theta[b : b + 1], ()), delta[b])
        np.testing.assert_allclose(got[b], np.concatenate(want), rtol=1e-14)
    two = LCN((2, 4))
    want = lcn.rescale(two, [theta[0, :2], theta[0, 2:]], [5.0])
    got = to_invariants(plan(two), theta[:1], np.array([[5.0]]))
    np.testing.assert_allclose(got[0], np.concatenate(want), rtol=1e-14)
    one = plan(LCN((4,)))
    x = rng.standard_normal((2, 4))
    np.testing.assert_array_equal(to_invariants(one, x, np.zeros((2, 0))), x)


def test_a_velocity_along_the_level_set():
    """All <w_i, dw_i/dt> become their mean, and nothing else moves; in place."""
    p, rng = plan(LCN((3, 1, 2), 2)), np.random.default_rng(3)
    theta, velocity = rng.standard_normal((2, 3, 6))
    theta[1] *= np.repeat([1e-3, 1.0, 1e4], p.sizes)
    theta[2, 3] = 0.0
    before = velocity.copy()
    with np.errstate(all="ignore"):
        assert along_the_level(p, theta, velocity) is velocity
    for w, old, new in zip(theta, before, velocity):
        push = np.array([w[part] @ old[part] for part in p.parts])
        for part, x in zip(p.parts, push):
            w_i, change = w[part], new[part] - old[part]
            if w_i.any():
                assert w_i @ new[part] == pytest.approx(push.mean(), abs=1e-12)
                want = (push.mean() - x) / (w_i @ w_i) * w_i
                np.testing.assert_allclose(change, want, atol=1e-12)
            else:
                assert not change.any()


# ----------------------------------------------------------------------------- tangent vectors


def test_gaps_and_weights_of_norms():
    """(r_i^2 - r^2) / r^2 for the least r, and 1 / (r_i^2 S), to rounding; no overflow."""
    eps = 2.0**-52
    radii = np.array([[[1.0, 3.0, 1.5], [2.0, 2 + 8e-8, 2.0]],
                      [[1e-170, 1e-175, 1e-172], [1e140, 1e-140, 1e130]]])
    got, p = gaps(radii), weights(radii)
    inverse = Frame((2, 2), radii, None, None, None, None).inverse_s
    for i in np.ndindex(2, 2):
        r = exactly(radii[i])
        s = sum(1 / x**2 for x in r)
        for x, gap, weight in zip(r, got[i], p[i]):
            exact = (x / min(r)) ** 2 - 1
            assert abs(Fraction(gap) - min(exact, Fraction(1e300))) <= 4 * Fraction(eps) * exact
            assert weight == pytest.approx(float(1 / (x**2 * s)), rel=8 * eps, abs=0)
        if min(r) > 1e-150:
            assert inverse[i] == pytest.approx(float(1 / s), rel=8 * eps, abs=0)
    # What rounding of norms leaves does not count, the next number does.
    assert gaps(np.array([1.0, 1 + 8 * eps])).tolist() == [0.0, 0.0]
    assert gaps(np.array([1.0, 1 + 10 * eps]))[1] == pytest.approx(20 * eps, rel=1e-12)


@pytest.mark.parametrize("net", [LCN((3, 1, 2), 2), LCN((2, 3)), LCN([(2, 2), (1, 3)], (1, 2)),
                                 LCN((4,), 3), LCN((1, 1))], ids=str)
def test_the_parts_of_tangent_vectors_of_any_size(net):
    """a = dmu of sum_i r_i (p_i eta u_i + g_i): leading axes, a batch, and sizes far apart."""
    rng = np.random.default_rng(5)
    w = lcn.random_filters(net, rng, (3,))
    w[0][1] = 0.0
    w[0][1].flat[0] = 2.0  # zero entries
    push = [np.array([1.0, 1e-9, 1e-9])[:, None, None] * rng.standard_normal((3, 2, 1))]
    along = [x[:, None].reshape(3, 1, -1) * push[0] / net.depth for x in w]
    across = [rng.standard_normal((3, 2, x[0].size)) * np.array([1e-9, 1.0, 1.0])[:, None, None]
              for x in w]
    size = np.array([1.0, 1e-100, 1e100])[:, None, None]
    h = [((x + y) * size).reshape(3, 2, *k).swapaxes(0, 1)
         for x, y, k in zip(along, across, net.filter_shapes)]
    a = lcn.jvp(net, [np.stack([x, x]) for x in w], h)  # (2, 3, *k)
    a[1, 2] = 0.0
    before = a.copy()
    fr, (eta, g) = split_vectors(net, w, 1e-8, a=a)
    np.testing.assert_array_equal(a, before)
    lift = lcn.horizontal_lift(net, w, a)
    back = lcn.jvp(net, [np.stack([x, x]) for x in w], lift)
    for i in np.ndindex(2, 3):
        top = np.abs(a[i]).max()
        np.testing.assert_allclose(back[i], a[i], rtol=0, atol=1e-13 * top)
        total = np.linalg.norm([np.linalg.norm(x[i]) for x in lift])
        inner = [np.vdot(x[i[1]], y[i]) for x, y in zip(w, lift)]
        assert np.ptp(inner) <= 1e-13 * total * fr.radii.max()
        for unit, x in zip(fr.units, g):
            assert abs(unit[i[1]] @ x[i]) <= 1e-15 * np.linalg.norm(x[i])
        single = split_vectors(net, [x[i[1]] for x in w], 1e-8, a=a[i])[1]
        assert eta[i] == pytest.approx(single[0], rel=1e-9, abs=1e-12 * top)
    gram = np.einsum("bki,bkj->bij", fr.left, fr.left)
    np.testing.assert_allclose(gram, [np.eye(net.dimension)] * 3, atol=1e-14)


def test_a_tangent_space_of_a_large_batch_and_of_a_long_filter():
    """What counts as singular does not depend on the batch; the memory is that of the basis."""
    net, near = LCN((2, 2)), [np.array([1.0, 1.0]), np.array([1.0, 1.0 + 2e-12])]
    assert lcn.tangent_basis(net, near).shape == (3, 3)
    many = [np.broadcast_to(w, (1, 5000, 2)) for w in near]
    assert lcn.tangent_basis(net, many).shape == (1, 5000, 3, 3)
    net = LCN((2,) * 11, 2)
    w = lcn.random_filters(net, 0)
    tracemalloc.start()
    basis = lcn.tangent_basis(net, w)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert basis.shape == (12, 2048) and peak < 20 * 8 * 22 * 2048


def test_quadrature_reaches_rounding():
    """1/cosh has the nearest poles that are allowed, at i pi/2; its integral is known."""
    edges = np.arange(-4.0, 5.0, PANEL)
    pieces = integrate(lambda z: 1 / np.cosh(z)[..., None], edges[:-1], edges[1:])[:, 0]
    exact = 2 * (np.arctan(np.exp(edges[1:])) - np.arctan(np.exp(-4.0)))
    assert np.abs(np.cumsum(pieces) - exact).max() < 1e-15 * len(edges)


# Radii, radial speed and speeds on the spheres, before these are scaled to the speed one.
ORBITS = {
    "one layer": ([1.0], -0.6, [0.8]),
    "balanced": ([1.0, 1, 1], -0.6, [0, 0.5, 0.6]),
    "unbalanced": ([1.0, 1.5, 4], 0.3, [0.5, 0.4, 0.7]),
    "two least radii": ([1.4, 0.7, 0.7], -0.8, [0.5, 0.3, 0.2]),
    "the least does not turn, inwards": ([1.0, 2], -0.8, [0, 0.6]),
    "the least does not turn, outwards": ([1.0, 2], 0.8, [0, 0.6]),
    "a larger one turns it back": ([1.0, 1.001, 3], -0.5, [0, 0.1, 1]),
    "a larger one turns it back soon": ([1.0, 1.2, 3], -0.5, [0, 0.8, 0.3]),
    "radial, inwards": ([1.0, 2], -1, [0, 0]),
    "radial, radii close": ([1.0, 1 + 1e-5], -1, [0, 0]),
    "radial, outwards": ([1.0, 1], 1, [0, 0]),
    "at the turning point": ([1.0, 2], 0, [0.6, 0.8]),
    "almost radial": ([1.0, 1, 2], -1, [1e-5, 0, 0.3]),
    "hardly turning": ([1.0, 1.2], -1, [0, 1e-9]),
    "far apart": ([1e10, 1.0, 1e6], -0.7, [0.1, 0.5, 0.2]),
    "close": ([1.0, 1 + 1e-9, 1 + 1e-5], -0.7, [0, 0.5, 0.2]),
}


def an_orbit(name):
    """The orbit, its radii, radial speed and speeds on the spheres."""
    radii, radial, swing = ORBITS[name]
    speed = np.hypot(radial, np.linalg.norm(swing))
    start = np.array(radii), radial / speed, np.array(swing) / speed
    return Orbit(*start), *start


def velocities(orbit, z):
    """Radial speed and angular speeds phi_i' at z, (n,) and (n, H), from tau(z) and the rates."""
    ds, *dphi = orbit.sign * orbit.rates(z).T
    h = 1e-3
    weights = np.array([1, -8, 8, -1]) / (12 * h)
    slope = weights @ orbit.tau(z + h * np.array([-2, -1, 1, 2])[:, None]) / ds  # d tau / ds
    inverse = (1 / (orbit.tau(z)[:, None] + orbit.a)).sum(axis=1)
    return slope / 2 * np.sqrt(inverse), np.array(dphi).T / ds[:, None]


@pytest.mark.parametrize("name", ORBITS)
def test_an_orbit_keeps_its_speed_and_momenta(name):
    """With these and the start, what `path` and `integrals` return is the geodesic."""
    orbit, radii, radial, swing = an_orbit(name)
    reach = min(abs(orbit.exit), 5.0)
    side = -1.0 if orbit.exit < 0 else 1.0
    s = side * reach * np.array([0.3, -0.7, 0.999, 0.0, -2.0, 0.9, 0.3, -30.0])
    z, phi = orbit.path(s)
    assert z[3] == pytest.approx(orbit.z0, abs=1e-15) and not phi[3].any()
    squares = orbit.tau(z)[:, None] + orbit.a
    np.testing.assert_allclose(np.sqrt(squares[3]), radii, rtol=1e-15)
    speed, turn = velocities(orbit, z)
    np.testing.assert_allclose(turn, radii * swing / squares, rtol=1e-14, atol=0)
    np.testing.assert_allclose(speed**2 + (turn**2 * squares).sum(axis=1), 1, rtol=1e-8)
    assert abs(speed[3] - radial) < 1e-9
    lengths = orbit.integrals(z)
    np.testing.assert_allclose(lengths, np.column_stack([s, phi]), rtol=1e-13, atol=1e-14)
    if np.isfinite(orbit.exit):
        assert abs(orbit.path(np.array([orbit.exit]))[0][0]) < 1e-14
    assert np.isfinite(orbit.exit) == (not orbit.turns)
    if not swing.any():
        assert abs(orbit.exit) == pytest.approx(ray_length(radii), rel=1e-14)
    # By another quadrature; the longest way is some panels long.
    x, weight = np.polynomial.legendre.leggauss(24)
    x = (np.arange(60)[:, None] + (x + 1) / 2).ravel() / 60
    way = z[:, None] - orbit.z0
    want = orbit.sign * np.einsum("nqj,q->nj", orbit.rates(orbit.z0 + way * x),
                                  np.tile(weight / 120, 60)) * way
    np.testing.assert_allclose(lengths, want, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in ORBITS if "far" not in name])
def test_transport_is_orthogonal_and_keeps_the_velocity(name):
    """Its rates are those of the docstring, in both directions and any order of the places."""
    orbit, radii, radial, swing = an_orbit(name)
    side = -1.0 if orbit.exit < 0 else 1.0
    s = side * min(abs(orbit.exit), 5.0) * np.array([0.6, -0.8, 0.0, 0.6])
    h = 1e-4
    z, _ = orbit.path(np.concatenate([s, s + h, s - h]))
    turned = orbit.transport(z)
    here, after, before = turned[:4], turned[4:8], turned[8:]
    one = np.eye(1 + len(radii))
    np.testing.assert_allclose(here @ here.transpose(0, 2, 1), [one] * 4, atol=1e-12)
    np.testing.assert_allclose(here[2], one, atol=1e-13)
    speed, turn = velocities(orbit, z[:4])
    r = np.sqrt(orbit.tau(z[:4])[:, None] + orbit.a)
    carried = here @ np.concatenate([[radial], swing])
    np.testing.assert_allclose(carried, np.column_stack([speed, turn * r]), atol=1e-9)
    rate = (after - before) / (2 * h)
    omega = turn / (r * np.sqrt((1 / r**2).sum(axis=1, keepdims=True)))
    np.testing.assert_allclose(orbit.radial(z[:4]) * turn, omega, rtol=1e-13)
    np.testing.assert_allclose(rate[:, 0], np.einsum("ni,nij->nj", omega, here[:, 1:]), atol=1e-6)
    np.testing.assert_allclose(rate[:, 1:], -omega[..., None] * here[:, :1], atol=1e-6)


@pytest.mark.parametrize("kappa", [0.0, 1e-20, 1e-3, 0.25, 0.4, 1.0, 1e3, 1e20])
@pytest.mark.parametrize("squares", [[1.0], [4.0, 1.0, 1.0], [1.0, 1 + 1e-12], [1e-3, 1e9]])
def test_both_distances_of_a_turning_point_to_full_precision(squares, kappa):
    omega = [0.3, 1e-9, 2.0][: len(squares)]
    fall, gap = _turning_point(np.array(squares), kappa, np.array(omega))
    with mpmath.workdps(60):
        least = mpmath.mpf(min(squares))
        low, high = mpmath.mpf(0), least
        for _ in range(190):  # the excess grows with the fall
            middle = (low + high) / 2
            excess = sum(mpmath.mpf(w) * middle / (mpmath.mpf(x) - middle)
                         for w, x in zip(omega, squares)) - mpmath.mpf(kappa)
            low, high = (low, middle) if excess > 0 else (middle, high)
        assert abs(fall - low) <= 4e-15 * low and abs(gap - (least - low)) <= 4e-15 * (least - low)
