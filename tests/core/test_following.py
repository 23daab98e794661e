"""A factorisation that is followed as v moves, up to the edges of the smooth locus."""

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN
from lcnlib._core.follow import Branch, Edge, _least_squares, hermite
from lcnlib._core.plan import plan
from lcnlib._core.resultants import common_root_pairs, resultants, root_groups
from lcnlib._core.scaling import norms, sharp_invariants, to_invariants


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 1), (1, 2), (3, 2), (2, 4)])
def test_resultants_are_products_over_the_roots(m, n):
    """Res(p, q) = a^n b^m prod (alpha_i - beta_j), leading coefficients first in the matrix."""
    rng = np.random.default_rng(m + 10 * n)
    alpha, beta = rng.standard_normal((3, m)), rng.standard_normal((3, n))
    p = np.array([2.0 * np.poly(x) for x in alpha])
    q = np.array([-3.0 * np.poly(x) for x in beta])
    sign, log = resultants(p, q)
    exact = 2.0**n * (-3.0) ** m * (alpha[:, :, None] - beta[:, None, :]).prod(axis=(1, 2))
    np.testing.assert_allclose(sign * np.exp(log), exact, rtol=1e-10)


def test_pairs_of_layers_in_one_power_of_one_variable():
    """In the order of the later layer: layers long on one axis, that a stride does not part."""
    assert common_root_pairs(LCN((2, 3, 1, 2, 2), (1, 1, 1, 2, 1))) == [(0, 1), (0, 3), (1, 3)]
    assert common_root_pairs(LCN((2,) * 4)) == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    plane = LCN([(2, 1), (1, 2), (2, 2), (3, 1), (1, 1), (1, 2)], [1, 1, 1, (1, 2), 1, 1])
    assert common_root_pairs(plane) == [(0, 3)]
    assert common_root_pairs(LCN((4,))) == common_root_pairs(LCN((2, 3), 2)) == []
    assert root_groups(plane) == [(0, 3)] and root_groups(LCN((2, 3), 2)) == []


# ------------------------------------------------------- a factorisation followed as v moves


def test_a_cubic_through_two_points_and_velocities():
    cubic = np.random.default_rng(0).standard_normal((4, 2, 3))

    def at(t):
        value = sum(c * t**n for n, c in enumerate(cubic))
        return t, value, sum(n * c * t ** (n - 1) for n, c in enumerate(cubic) if n)

    for t in (-1.0, 0.4, 0.9, 2.0, 3.5):
        np.testing.assert_allclose(hermite(at(0.4), at(2.0), t), at(t)[1], atol=1e-13)
        np.testing.assert_allclose(hermite(at(2.0), at(0.4), t), at(t)[1], atol=1e-13)
    # What a branch expects next: as the last two lifts go on, or the last one, if they are near.
    net = LCN((2, 1))
    branch = Branch(net, np.zeros((2, 1)), at(0.4)[1])
    assert branch.predict(0.6) is branch.theta
    branch.remember(*at(0.4)[::2])
    np.testing.assert_allclose(branch.predict(0.6), at(0.4)[1] + 0.2 * at(0.4)[2], atol=1e-14)
    branch.theta = at(0.7)[1]
    branch.remember(0.7, np.zeros((2, 3)))
    branch.remember(0.7, at(0.7)[2])  # the same time again: the later velocity counts
    for t in (0.9, 0.5, 1.5):
        np.testing.assert_allclose(branch.predict(t), at(t)[1], atol=1e-13)
    np.testing.assert_allclose(branch.predict(9.7), at(0.7)[1] + 9 * at(0.7)[2], atol=1e-13)
    branch.theta = at(1.0)[1]
    branch.remember(1.0, at(1.0)[2])
    np.testing.assert_allclose(branch.predict(1.2), at(1.2)[1], atol=1e-13)


def test_least_squares_of_one_system_and_of_many():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((4, 7, 3)), rng.standard_normal((4, 7))
    want = np.array([np.linalg.lstsq(x, y)[0] for x, y in zip(a, b)])
    for n in (1, 4):
        np.testing.assert_allclose(_least_squares(a[:n], b[:n]), want[:n], atol=1e-12)
    steep = np.array([[[1.0, 1.0], [0.0, 2.0**-30], [0.0, 0.0]]])  # its square is singular
    np.testing.assert_allclose(_least_squares(steep, steep @ [1.0, 2.0]), [[1.0, 2.0]], atol=1e-6)
    a[2, :, 1] = 0.0
    assert _least_squares(a, b) is None and _least_squares(a[2:3], b[2:3]) is None


@pytest.mark.parametrize("size", ["balanced", 1e-60, 1.0, 1e60])
@pytest.mark.parametrize("net", [LCN((3, 2, 2), 2), LCN((2, 3)), LCN([(2, 2), (1, 3)], (1, 2)),
                                 LCN((1, 2, 1)), LCN((4,))], ids=str)
def test_a_lift_by_newtons_method(net, size):
    """Rows of any flows, layers of any size; the error is squared; what is too far is told."""
    rng, p = np.random.default_rng(2), plan(net)
    theta = rng.standard_normal((3, net.n_parameters))
    if size == "balanced":
        theta /= np.repeat(norms(p, theta), p.sizes, axis=1)
    else:
        theta *= size * np.repeat(10.0 ** rng.integers(-3, 4, net.depth), p.sizes)
    branch = Branch(net, sharp_invariants(p, theta), theta)
    flows = np.array([2, 0, 2, 1])
    want, v = theta[flows], p.product(theta)[flows]
    sizes = np.repeat(norms(p, want), p.sizes, axis=1)
    direction = rng.standard_normal(want.shape) / sizes.shape[1]
    errors = []
    for size in (1e-3, 1e-5):
        start = want + size * sizes * direction
        step, columns = branch.correction(v, start, branch.delta[flows])
        np.testing.assert_allclose(columns, np.repeat(norms(p, start), p.sizes, axis=1))
        errors.append(np.abs((start + columns * step - want) / sizes).max(axis=1))
    assert (errors[0] < 1e-3).all() and (errors[1] <= 1e-3 * errors[0] + 1e-12).all()
    margin = branch.margin(want)
    start = want + 1e-3 * margin[:, None] * sizes * direction
    assert not branch.lift(v, start, flows, 0.3).any()
    np.testing.assert_allclose(start / sizes, want / sizes, rtol=0, atol=1e-12)
    # In place, and only where a step is short enough.
    start = want + 1e-3 * margin[:, None] * sizes * direction
    start[1] += 0.1 * (sizes * direction)[1] / np.linalg.norm(direction[1])
    assert branch.lift(v, start, flows, 0.01).tolist() == [False, True, False, False]
    np.testing.assert_allclose(np.delete(start / sizes, 1, 0), np.delete(want / sizes, 1, 0),
                               rtol=0, atol=1e-12)
    # All flows, to where v has moved; back along the path from the nearest of the lifts.
    near = theta + 1e-3 * branch.margin(theta)[:, None] * direction[:3] * np.repeat(
        norms(p, theta), p.sizes, axis=1)
    near = to_invariants(p, near, branch.delta)
    assert branch.follow(p.product(near))
    top = np.abs(theta).max()
    np.testing.assert_allclose(branch.theta, near, rtol=0, atol=1e-11 * top)
    trail = [(-4.0, theta, None), (-3.0, near, None)]
    path = branch.path([-4.0, -3.6, -3.0], np.stack([p.product(x) for x in (theta, theta, near)]),
                       trail)
    np.testing.assert_allclose(path, [theta, theta, near], rtol=0, atol=1e-11 * top)
    branch.theta = near  # without a trail: from where the flows stand
    path = branch.path([2.0], p.product(near)[None], [])
    np.testing.assert_allclose(path, near[None], rtol=0, atol=1e-11 * top)
    if net.dimension > 1:
        assert not branch.follow(-1e3 * p.product(theta)[::-1])


def test_margins_and_edges_of_a_branch():
    """Neither sees the sizes of the filters; an edge is a determinant."""
    net = LCN((2, 1, 3, 2), (1, 1, 2, 1))
    p, rng = plan(net), np.random.default_rng(3)
    theta = rng.standard_normal((3, 8))
    big = theta * np.repeat(np.exp2(rng.integers(-9, 9, (3, 4))), p.sizes, axis=1)
    branch = Branch(net, sharp_invariants(p, theta), theta)
    units = theta / np.repeat(norms(p, theta), p.sizes, axis=1)
    for x, margin in zip(units, branch.margin(big)):
        s = np.linalg.svd(lcn.jacobian(net, p.unpack(x[None], ())), compute_uv=False)
        assert margin == pytest.approx(s[net.dimension - 1] / s[0], rel=1e-10)
    sign, log = branch.edges(theta)
    assert sign.shape == log.shape == (3, 2)
    a, b, c = theta[:, :2], theta[:, 2], theta[:, 3:6]
    resultant = [x[0] ** 2 * y[2] - x[0] * x[1] * y[1] + x[1] ** 2 * y[0] for x, y in zip(a, c)]
    np.testing.assert_allclose(np.abs(sign * np.exp(log)), np.abs(np.transpose([b, resultant])),
                               rtol=1e-12)
    assert (sign[:, 0] == np.sign(b)).all()
    changes = sign[:, 1] * np.sign(resultant)
    assert (changes == changes[0]).all()
    # At a zero filter nothing is infinite, and in a line there is no apex to run into.
    theta[0, 2] = 0.0
    assert np.isfinite(branch.margin(theta)).all()
    assert Branch(LCN((1, 1)), np.zeros((1, 1)), np.ones((1, 2))).edges(np.ones((1, 2)))[
        0].shape == (1, 0)
    line, one = LCN((2, 2)), np.array([[1.0, 2, 3, 1], [1.0, 2, 2, 4]])
    with pytest.raises(lcn.SingularPointError, match="rank 3"):
        Branch(line, sharp_invariants(plan(line), one), one)


def turning(angle):
    return np.array([np.cos(angle), np.sin(angle)])


# Curves of filters in one level set, that leave the smooth locus when x is zero.
LEAVING = {
    "two roots meet": (LCN((2, 2)), "have met", lambda x: [turning(0.4), 1.5 * turning(0.4 + x)]),
    "two of three": (LCN((2, 2, 2), (2, 1, 1)), "have met", lambda x: [
        turning(1 + x), 1.2 * turning(0.4), 1.5 * turning(0.4 + x)]),
    "a scalar vanishes": (LCN((2, 1)), "goes to zero", lambda x: [
        np.sqrt(1 + x * x) * turning(0.5 + x), np.array([x])]),
    "a filter vanishes": (LCN((2, 2), 2), "goes to zero", lambda x: [
        x * turning(0.5), np.sqrt(1 + x * x) * turning(0.2 + x)]),
    "the last vanishes": (LCN((3, 2), 3), "goes to zero", lambda x: [
        np.sqrt(1 + x * x) * np.array([0.6, 0, 0.8]), x * turning(-0.5)]),
    "the rank drops": (LCN([(2, 2), (2, 2)]), "drops rank", lambda x: [
        np.diag(turning(0.4)), 1.5 * np.diag(turning(0.4 + x))]),
    "the rank drops, a scalar shrinks": (LCN([(2, 2), (2, 2), (1, 1)]), "drops rank", lambda x: [
        np.sqrt(1 + x / 4) * np.diag(turning(0.4)), np.sqrt(2 + x / 4) * np.diag(turning(0.4 + x)),
        np.sqrt([[3 + x / 4]])]),
}


def walk(net, curves, times, unit=1.0, rtol=1e-9):
    """Calls an `Edge` at these times of a batch of curves, as a solver does."""
    p = plan(net)

    def at(t):
        return np.concatenate([p.pack(curve(t)) for curve in curves])

    def speed(t):
        h = 1e-3 * unit
        return np.tensordot([1, -8, 8, -1], [at(t + n * h) for n in (-2, -1, 1, 2)], 1) / (12 * h)

    branch = Branch(net, sharp_invariants(p, at(times[0])), at(times[0]))
    edge = Edge(branch, rtol, lambda theta: speed(now))
    for now in times:
        edge(now, p.product(at(now)))
        branch.remember(now, speed(now))
    return branch, edge, at


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(("start", "size", "unit"), [
    (-3.0, 1.0, 1.0), (50.0, 1.0, 1.0), (0.0, 1e-8, 1e6), (0.0, 1e8, 1e-6)])
@pytest.mark.parametrize("name", LEAVING)
def test_the_time_at_which_one_flow_of_two_leaves(name, start, size, unit, first):
    """Whether a step passes it, or ends in front of it, whatever the units."""
    net, words, curve = LEAVING[name]

    def of(x):
        return lambda t: [size * w for w in curve(x((t - start) / unit))]

    curves = [of(lambda s: 0.37 - s), of(lambda s: 0.67 - 0.1 * s)][:: 1 if first else -1]

    def go(*s, rtol=1e-9):
        return walk(net, curves, start + unit * np.array([0.0, 0.1, 0.2, 0.3, *s]), unit, rtol)

    branch, edge, at = go()
    assert len(edge.trail) == 4
    np.testing.assert_allclose(edge.trail[2][1], at(start + 0.2 * unit), atol=1e-9 * size)
    inside = start + unit * np.array([0.0, 0.1, 0.17, 0.2, 0.3])
    path = branch.path(inside, np.stack([plan(net).product(at(t)) for t in inside]), edge.trail)
    np.testing.assert_allclose(path, [at(t) for t in inside], atol=1e-9 * size)
    across, near = [(0.33, 0.4), (0.369, 0.372)], [(0.37 - 1e-6,)]
    behind = [(0.37 + 1e-6,)] if name.startswith("the rank drops") else []
    for further in {"zero": across, "rank": near + behind}.get(words[-4:], across + near):
        with pytest.raises(lcn.FlowError, match=words) as caught:
            go(*further)
        assert abs((caught.value.time - start) / unit - 0.37) < 2e-5
    if "rank" not in words:  # at the beginning of a step
        with pytest.raises(lcn.FlowError, match=words) as caught:
            go(0.3698, 0.45, rtol=1e-12)
        assert abs((caught.value.time - start) / unit - 0.37) < 2e-5
    if "zero" not in words:  # farther away, for a tolerance that sees no nearer
        with pytest.raises(lcn.FlowError, match=words) as caught:
            go(0.3695, rtol=1e-4)
        assert abs((caught.value.time - start) / unit - 0.37) < 2e-5


@pytest.mark.parametrize("name", [name for name in LEAVING if "vanish" not in name])
def test_to_come_near_is_not_to_leave(name):
    """Nor to begin near to where the rank drops."""
    net, _, curve = LEAVING[name]
    for x in (lambda t: 2e-4 + (t - 0.3) ** 2, lambda t: 1e-4 + t):
        curves = [lambda t, x=x: curve(x(t))]
        branch, edge, at = walk(net, curves, np.linspace(0, 0.6, 61), rtol=1e-12)
        assert len(edge.trail) == 61
        np.testing.assert_allclose(branch.theta, at(0.6), atol=1e-9)


def test_a_filter_that_turns_is_not_one_that_vanishes():
    """Nor does the same time twice end anything."""
    net = LCN((2, 2), 2)
    times = [0.0, 0.0, 0.1, 0.1, *np.linspace(0.2, 4.0, 39)]
    branch, edge, at = walk(net, [lambda t: [turning(t), 2 * turning(0.3)],
                                  lambda t: [turning(0.2), 2 * turning(2 * t)]], times)
    np.testing.assert_allclose(branch.theta, at(4.0), atol=1e-9)
    # One that turns by two thirds of a half turn in one step.
    edge.trail[-1] = (2.0, *edge.trail[-1][1:])
    edge._look_back((0.0, at(0.0), np.zeros((2, 4))), (1.0, at(2.0), np.zeros((2, 4))),
                    np.zeros(0, bool))
