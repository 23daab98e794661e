"""Distances, the geodesic between two points, and parallel transport (S11)."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

import lcnlib as lcn
from lcnlib import LCN

from .geometry_cases import KINDS, NETS, every_point, name, point, tangents

SOME = [NETS[i] for i in (0, 4, 6)]
some_points = pytest.mark.parametrize(
    ("net", "kind"), [pytest.param(n, k, id=f"{name(n)}-{k}") for n in SOME for k in KINDS])


def same_sheet(net, w, n, seed):
    """n further points with the invariants of w."""
    rng = np.random.default_rng(seed)
    return [lcn.rescale(net, [x * 10 ** rng.uniform(-0.3, 0.3) for x in
                              lcn.random_filters(net, rng)], lcn.invariants(net, w))
            for _ in range(n)]


@some_points
def test_distance_and_log(net, kind):
    w = point(net, kind, seed=1)
    o, m = same_sheet(net, w, 2, seed=2)
    d = lcn.distance(net, w, o)
    assert isinstance(d, float) and 0 < d < np.inf
    assert lcn.distance(net, o, w) == pytest.approx(d, rel=1e-11)
    assert d <= lcn.distance(net, w, m) + lcn.distance(net, m, o)
    # The curve that is met first by a straight line in parameter space is no shorter.
    assert d >= (1 - 1e-12) * min(np.sqrt(sum(((x - e * y) ** 2).sum() for x, y, e in zip(
        w, o, signs))) for signs in sign_choices(net.depth))
    a = lcn.log_map(net, w, o)
    assert lcn.inner(net, w, a, a) == pytest.approx(d * d, rel=1e-11)
    v = lcn.end_to_end(net, o)
    there = lcn.geodesic_filters(net, w, a, 1.0)  # may cross the fold
    np.testing.assert_allclose(lcn.end_to_end(net, there), v, atol=1e-11 * np.abs(v).max())
    # Two signs change neither.
    o[0], o[1] = -o[0], -o[1]
    np.testing.assert_allclose(lcn.log_map(net, w, o), a, atol=1e-10 * np.abs(a).max())


def sign_choices(depth):
    for bits in range(2**depth):
        e = 1 - 2 * (bits >> np.arange(depth) & 1)
        if e.prod() == 1:
            yield e


@some_points
def test_the_logarithm_undoes_the_geodesic(net, kind):
    w = point(net, kind, seed=3)
    a = tangents(net, w, 1, seed=4)[0]
    a *= 0.4 * lcn.distance_to_zero(net, w) / np.sqrt(lcn.inner(net, w, a, a))
    o = lcn.geodesic_filters(net, w, a, 1.0)
    np.testing.assert_allclose(lcn.log_map(net, w, o), a, atol=1e-10 * np.abs(a).max())
    assert lcn.distance(net, w, o) == pytest.approx(np.sqrt(lcn.inner(net, w, a, a)), rel=1e-11)
    assert lcn.distance(net, w, w) == 0 and not lcn.log_map(net, w, w).any()


@pytest.mark.parametrize("c", [1e-8, 1e8])
@pytest.mark.parametrize("kind", KINDS)
def test_scale(kind, c):
    net = LCN((3, 2, 2), 2)
    w = point(net, kind, seed=5)
    (o,) = same_sheet(net, w, 1, seed=6)
    cw, co = ([c * x for x in side] for side in (w, o))
    assert lcn.distance(net, cw, co) == pytest.approx(c * lcn.distance(net, w, o), rel=1e-11)
    a = lcn.log_map(net, w, o)
    np.testing.assert_allclose(lcn.log_map(net, cw, co) / c**3, a, atol=1e-10 * np.abs(a).max())


@pytest.mark.parametrize("seed", [12, 35])
def test_a_stalled_search_is_no_answer(seed):
    """To a filter of size 1e-6, Newton's method first stalls far from the geodesic."""
    net, rng = LCN((2, 2), 2), np.random.default_rng(seed)
    w = lcn.random_filters(net, rng)
    o = lcn.rescale(net, [1e-3 * x for x in lcn.random_filters(net, rng)], lcn.invariants(net, w))
    there = lcn.geodesic_filters(net, w, lcn.log_map(net, w, o), 1.0)
    np.testing.assert_allclose(lcn.end_to_end(net, there), lcn.end_to_end(net, o), atol=1e-13)


def test_batches_are_single_ones():
    net = LCN((3, 2), 2)
    w = lcn.rescale(net, lcn.random_filters(net, 7, (2, 2)), [1.5])
    o = lcn.rescale(net, lcn.random_filters(net, 8, (2, 2)), [1.5])
    d, a = lcn.distance(net, w, o), lcn.log_map(net, w, o)
    assert d.shape == (2, 2) and a.shape == (2, 2, 5)
    for i in np.ndindex(2, 2):
        pair = [x[i] for x in w], [x[i] for x in o]
        assert lcn.distance(net, *pair) == d[i]
        np.testing.assert_allclose(lcn.log_map(net, *pair), a[i], rtol=0, atol=1e-14)


def test_each_pair_of_a_batch_has_its_own_size():
    """Invariants that differ are seen beside filters that are far larger."""
    net, large = LCN((3, 2), 2), [[3e9, 0, 0], [0, 4e9]]
    w, o = [[1.0, 2, 2], [0, 5]], [[0, 1.0, 0], [2, 2]]
    pair = [np.stack(x) for x in zip(large, w)], [np.stack(x) for x in zip(large, o)]
    for function in (lcn.distance, lcn.log_map):
        for sides in (pair, pair[::-1], [[x[::-1] for x in side] for side in pair]):
            with pytest.raises(lcn.InputError, match="other: expected the invariants of filters"):
                function(net, *sides)
    for none in (lcn.distance(net, *[[np.ones((0, 3)), np.ones((0, 2))]] * 2),
                 lcn.log_map(net, *[[np.ones((0, 3)), np.ones((0, 2))]] * 2)):
        assert none.shape in ((0,), (0, 5)) and none.dtype == float


def reduced_length(r, end, phi, knots):
    """Length of the curve whose least radius goes through exp(knots); angles at best."""
    s, c = np.linspace(0, 1, 401), np.concatenate([[r.min()], np.exp(knots), [end.min()]])
    tau = np.exp(2 * np.interp(s, np.linspace(0, 1, len(c)), np.log(c)))
    radii = np.sqrt(tau[:, None] + r**2 - r.min() ** 2)
    middle = (radii[1:] ** 2 + radii[:-1] ** 2) / 2
    radial = 400 * (np.diff(radii, axis=0) ** 2).sum()
    return np.sqrt(radial + (phi**2 / (1 / middle).mean(axis=0)).sum())


@pytest.mark.parametrize("seed", range(6))
def test_no_curve_is_shorter(seed):
    """Direct minimisation from several curves, for angles that no sign makes smaller."""
    rng = np.random.default_rng(seed)
    net, phi = LCN((2, 2, 2)), rng.uniform(0, np.pi / 2, 3)
    if seed % 2:
        phi[seed // 2] = np.pi - phi[seed // 2] / 3
    gap = rng.exponential(1, 3) * [0, 1, seed % 3]
    r, end = (np.sqrt(t + gap) for t in 10 ** rng.uniform(-1, 1, 2))
    w = [np.array([x, 0]) for x in r]
    o = [x * np.array([np.cos(p), np.sin(p)]) for x, p in zip(end, phi)]
    best = np.inf
    for dip in (1, 0.1):
        line = np.interp(np.linspace(0, 1, 11)[1:-1], [0, 0.5, 1],
                         [r.min(), dip * min(r.min(), end.min()), end.min()])
        for turns in ([1, 1, 1], *(2 * (np.arange(3) == i) - 1 for i in range(3))):
            angle = np.where(np.equal(turns, 1), phi, np.pi - phi)
            best = min(best, minimize(lambda x, a=angle: reduced_length(r, end, a, x),
                                      np.log(line), options={"maxiter": 30}).fun)
    d = lcn.distance(net, w, o)
    assert d < best * (1 + 1e-4) and best < 1.03 * d


def test_half_turns_size_one_and_one_layer():
    one = LCN((3,))
    assert lcn.distance(one, [[1, 2, 2]], [[4, 6, 2]]) == pytest.approx(5, rel=1e-14)
    assert lcn.distance(one, [[1, 2, 2]], [[-2, -4, -4]]) == pytest.approx(9, rel=1e-14)
    with pytest.raises(lcn.FlowError, match="through the zero filter") as caught:
        lcn.log_map(one, [[1, 2, 2]], [[-2, -4, -4]])
    assert caught.value.time == pytest.approx(1 / 3)
    # Both layers of size one: v > 0 and v < 0 are not joined.
    line = LCN((1, 1))
    assert lcn.distance(line, [[1], [1]], [[-1], [1]]) == np.inf
    assert lcn.distance(line, [[1], [1]], [[-1], [-1]]) == 0
    with pytest.raises(lcn.FlowError, match="no way: layers of size one"):
        lcn.log_map(line, [[1], [1]], [[-1], [1]])
    # The longer filter turns half round, as the scalar cannot take the sign: two ways, one length.
    net = LCN((2, 1))
    for r in ([1.0, 1.0], [1.0, 2.0], [2.0, 1.0]):
        w, o = [[r[0], 0], [r[1]]], [[-r[0], 1e-9], [r[1]]]
        d = lcn.distance(net, w, [[-r[0], 0], [r[1]]])
        assert d == pytest.approx(lcn.distance(net, w, lcn.rescale(
            net, o, lcn.invariants(net, w))), rel=1e-8)
        assert d < sum(2 * x for x in r)


def test_what_does_not_fit():
    net = LCN((3, 2), 2)
    w, o = lcn.random_filters(net, 0), lcn.random_filters(net, 1)
    for function in (lcn.distance, lcn.log_map):
        with pytest.raises(lcn.InputError, match=r"other: expected the invariants .* rescale"):
            function(net, w, o)
        with pytest.raises(lcn.InputError, match=r"other: expected the batch axes"):
            function(net, w, [np.stack([x, x]) for x in o])
        with pytest.raises(lcn.ZeroFilterError):
            function(net, w, [0 * o[0], o[1]])
        with pytest.raises(lcn.InputError, match=r"other\[1\]"):
            function(net, w, [o[0], o[0]])


def start(net, kind, seed):
    """A point, a unit velocity, further tangent vectors."""
    w = point(net, kind, seed)
    velocity, *a = tangents(net, w, 4, seed + 1)
    return w, velocity / np.sqrt(lcn.inner(net, w, velocity, velocity)), np.stack(a)


def by_projection(net, w, velocity, vector, s):
    """The first principles: the derivative of a parallel vector is normal to the level set.

    With Q the projection to the scaling directions, X' = Q X' = -Q' X.
    """
    ends = np.cumsum([0, *(x.size for x in w)])

    def normals(path, n):
        out = np.zeros((n, net.depth - 1, ends[-1]))
        for i in range(net.depth - 1):
            for sign, j in ((-1, i), (1, i + 1)):
                out[:, i, ends[j] : ends[j + 1]] = sign * path[j].reshape(n, -1)
        q, _ = np.linalg.qr(out.transpose(0, 2, 1))
        return q @ q.transpose(0, 2, 1)

    h = 1e-3 * lcn.distance_to_zero(net, w)

    def rhs(x, y):
        q = normals(lcn.geodesic_filters(net, w, velocity, x + h * np.array([-2, -1, 1, 2])), 4)
        return -np.tensordot(np.array([1, -8, 8, -1]) / (12 * h), q, (0, 0)) @ y

    y = np.concatenate([x.ravel() for x in lcn.horizontal_lift(net, w, vector)])
    return solve_ivp(rhs, (0, s), y, method="DOP853", rtol=1e-8, atol=1e-10).y[:, -1]


@pytest.mark.parametrize(("net", "kind"), [(NETS[0], "unbalanced"), (NETS[2], "tied"),
                                           (NETS[2], "balanced"), (NETS[6], "unbalanced")])
def test_transport_from_first_principles(net, kind):
    w, velocity, a = start(net, kind, seed=5)
    for part in (0.5, -0.4):
        s = part * lcn.distance_to_zero(net, w)
        at = lcn.geodesic_filters(net, w, velocity, s)
        got = lcn.horizontal_lift(net, at, lcn.parallel_transport(net, w, velocity, a[0], s))
        want = by_projection(net, w, velocity, a[0], s)
        got = np.concatenate([x.ravel() for x in got])
        np.testing.assert_allclose(got, want, atol=1e-7 * np.abs(want).max())


@every_point
def test_transport_keeps_lengths_and_the_velocity(net, kind):
    w, velocity, a = start(net, kind, seed=7)
    s = np.array([[0.0, 0.3], [-0.4, 0.8]]) * lcn.distance_to_zero(net, w)
    s *= 1.0 if net.cumulative_strides[-1] != (1,) else 0.1  # before the fold
    out = lcn.parallel_transport(net, w, velocity, a, s)
    assert out.shape == (2, 2, 3, *net.end_to_end_shape)
    np.testing.assert_allclose(out[0, 0], a, atol=1e-13 * np.abs(a).max())
    path = lcn.geodesic_filters(net, w, velocity, s)
    gram = np.array([lcn.inner(net, w, x, a) for x in a])
    h = 1e-3 * lcn.distance_to_zero(net, w)
    for i in np.ndindex(2, 2):
        at = [x[i] for x in path]
        got = np.array([lcn.inner(net, at, x, out[i]) for x in out[i]])
        np.testing.assert_allclose(got, gram, atol=1e-9 * np.abs(gram).max())
        ends = lcn.end_to_end(net, lcn.geodesic_filters(
            net, w, velocity, s[i] + h * np.array([-2, -1, 1, 2])))
        speed = np.tensordot(np.array([1, -8, 8, -1]) / (12 * h), ends, (0, 0))
        np.testing.assert_allclose(lcn.parallel_transport(net, w, velocity, velocity, s[i]), speed,
                                   atol=1e-8 * np.abs(speed).max())
        single = lcn.parallel_transport(net, w, velocity, a[1], s[i])
        np.testing.assert_allclose(single, out[i][1], atol=1e-12 * np.abs(single).max())
    # And back again.
    (there,), at = out[1, 1:], [x[1, 1] for x in path]
    speed = lcn.parallel_transport(net, w, velocity, velocity, s[1, 1])
    np.testing.assert_allclose(lcn.parallel_transport(net, at, -speed, there, s[1, 1]), a,
                               atol=1e-8 * np.abs(a).max())


def test_transport_does_not_fit():
    net = LCN((3, 2), 2)
    w, velocity, a = start(net, "unbalanced", seed=9)
    with pytest.raises(lcn.NotTangentError, match="a: "):
        lcn.parallel_transport(net, w, velocity, a + np.eye(5)[2], 0.1)
    with pytest.raises(lcn.InputError, match="a: expected shape"):
        lcn.parallel_transport(net, w, velocity, a[:, :4], 0.1)
    with pytest.raises(lcn.FlowError, match="zero filter"):
        v = lcn.end_to_end(net, w)
        lcn.parallel_transport(net, w, -v, a, 1e3)
    rest = lcn.parallel_transport(net, w, 0 * velocity, a, [0.0, 2.0])
    np.testing.assert_allclose(rest[1], a, atol=1e-13)
