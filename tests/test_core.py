"""The one test that looks inside: numbers and parts that no public function returns.

Of the flows: velocities, Hessians, steps.  Of the algebra: a factor, a multiplicity, a degree, a
radius, a number of paths, which the public answers hide and may get right by luck.
"""

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from itertools import product
from math import comb

import mpmath
import numpy as np
import pytest
from numpy.polynomial import legendre
from scipy.signal import convolve

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss
from lcnlib._algebra import homotopy, newton, polyphase, several_variables
from lcnlib._algebra.gram import turned_pairs
from lcnlib._algebra.homotopy import CriticalSystem, random_loss, start_points, track
from lcnlib._algebra.newton import directions, distinct, isolation, polish
from lcnlib._algebra.polynomials import divide, multiply, scaled_values, upsample
from lcnlib._algebra.polyphase import split_first
from lcnlib._algebra.roots import _refined, real_factors
from lcnlib._algebra.several_variables import factor_candidates
from lcnlib._algebra.splitting import distributions
from lcnlib._algebra.tolerances import MERGE
from lcnlib._core import collocation
from lcnlib._core.collocation import GROUP, NEWTON_LIMIT, STAGES, collocate
from lcnlib._core.connect import cone, connect, shortest
from lcnlib._core.fields import QuadraticFlow
from lcnlib._core.follow import Branch, Edge, _least_squares, hermite
from lcnlib._core.orbit import PANEL, Orbit, _turning_point, integrate, ray_length
from lcnlib._core.plan import DensePlan, FFTPlan, plan
from lcnlib._core.resultants import common_root_pairs, resultants, root_groups
from lcnlib._core.scaling import (
    along_the_level,
    norms,
    scaling_factors,
    sharp_invariants,
    to_invariants,
)
from lcnlib._core.tangent import Frame, gaps, split_vectors, weights
from lcnlib.projection import _starts

from . import exact
from .cases import NAMED, random_nets
from .test_flow import problem

NETS = {**NAMED, "large": LCN((20, 20), 9), "large 2-D": LCN([(7, 7), (7, 6)]),
        "large, three layers": LCN((30, 20, 10), 3)}


def test_paths_that_got_lost_are_followed_again(monkeypatch):
    """And once only, with paths that end at infinity, when all of them are accounted for."""
    net, cares = LCN((2, 2), 2), []

    def follow(*arguments):
        w, arrived = track(*arguments)
        if not cares:
            arrived[np.flatnonzero(arrived)[:lose]] = False
        cares.append(arguments[-1])
        return w, arrived

    generic, special = QuadraticLoss([3.0, 1, 0, 1], np.diag([1.0, 2, 3, 5])), [3.0, 0, 0, 1]
    lcn.critical_points(net, generic)  # the start points
    monkeypatch.setattr("lcnlib.critical.track", follow)
    for loss, points, lose in ((generic, 6, 1), (QuadraticLoss(special), 2, 0)):
        cares.clear()
        found = lcn.critical_points(net, loss)
        assert found.complete and len(found) == points and len(cares) == 1 + lose


@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 1)])
def test_starts_of_a_projection_are_as_symmetric_as_v(axes):
    net, rng = LCN([(3, 2), (2, 3)]), np.random.default_rng(0)
    starts, v, p = lcn.random_filters(net, rng, 6), rng.uniform(0.6, 1, (4, 4)), plan(net)
    before = [w.copy() for w in starts]
    want = [w.copy() for w in starts]
    for axis in axes:
        v = (v + np.flip(v, axis)) / 2 + rng.uniform(0, 3e-7, v.shape)  # nearly symmetric will do
        for w in want:
            w[::2] += np.flip(w[::2], 1 + axis)
    got = p.unpack(_starts(p, starts, v), (6,))
    for w, x, old, new in zip(got, want, before, starts):
        size = np.linalg.norm(w, axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(w / size, x / np.linalg.norm(x, axis=(1, 2), keepdims=True),
                                   rtol=0, atol=1e-14)
        np.testing.assert_allclose(size, np.linalg.norm(got[0], axis=(1, 2), keepdims=True))
        np.testing.assert_array_equal(old, new)  # one set of starts serves the whole batch


def test_a_critical_point_that_was_missed_is_no_certificate(monkeypatch):
    """A search that ends lower than all of them says so."""
    net, v = LCN((2, 2), 2), [3.0, 0, 0, 1]

    def all_but_the_first(net, loss):
        found = lcn.critical_points(net, loss)
        return replace(found, filters=[w[1:] for w in found.filters], real=found.real[1:])

    assert lcn.project(net, v).certified
    monkeypatch.setattr("lcnlib.projection.critical_points", all_but_the_first)
    near = lcn.project(net, v)
    assert near.distance == pytest.approx(1, rel=1e-12) and not near.certified


@pytest.mark.parametrize("name", NETS)
def test_velocity_and_hessian(name):
    """Against the Jacobian, and by the slope of the Taylor error; with and without a weight."""
    net = NETS[name]
    weighted, start = problem(net, 8, batch=(3,))
    rng = np.random.default_rng(9)
    for loss in (weighted, QuadraticLoss(weighted.target)):
        quadratic = QuadraticFlow(net, loss.target, loss.weight)
        theta = quadratic.plan.pack(start)
        j = lcn.jacobian(net, start)
        g = loss.gradient(lcn.end_to_end(net, start)).reshape(3, -1)
        want = -np.einsum("bnp,bn->bp", j, g)
        size = np.abs(want).max() * 10
        np.testing.assert_allclose(quadratic.velocity(theta), want, atol=1e-14 * size)
        hessian = quadratic.hessian(theta)
        np.testing.assert_allclose(hessian, hessian.transpose(0, 2, 1), atol=1e-13 * size)
        direction = rng.standard_normal(theta.shape)
        slope = -np.einsum("bij,bj->bi", hessian, direction)
        errors = []
        for h in (1e-2, 1e-3):
            change = quadratic.velocity(theta + h * direction) - quadratic.velocity(theta)
            errors.append(np.linalg.norm(change - h * slope))
        if net.depth > 1:  # of one layer the velocity is affine
            assert 60 < errors[0] / errors[1] < 160
        else:
            assert max(errors) <= 1e-13 * size


@pytest.mark.parametrize("net", [
    *random_nets(5, 2, depths=range(1, 5), limit=400), LCN((1,)), LCN((5, 1, 1), 3),
    LCN((1, 4), 3), LCN([(1, 1), (1, 1)], 2), LCN([(7, 2), (1, 3), (2, 1)], [(3, 1), (1, 2), 1]),
], ids=str)
def test_matrices_and_transforms_are_one_algebra(net):
    """Whatever serves, for a batch, against plain sums over the exponents of both factors."""
    rng = np.random.default_rng(0)
    ws, us = lcn.random_filters(net, rng, (2,)), lcn.random_filters(net, rng, (2,))
    g = rng.standard_normal((2, *net.end_to_end_shape))
    dense, fft = DensePlan(net), FFTPlan(net)
    theta, direction, flat = dense.pack(ws), dense.pack(us), g.reshape(2, -1)
    want = []
    for b in range(2):
        cofactors = [exact.cofactor(net, [w[b] for w in ws], i) for i in range(net.depth)]
        moved = [exact.multiply(c, exact.polynomial(u[b], s)) for c, u, s in zip(
            cofactors, us, net.cumulative_strides)]
        jvp = np.zeros(net.end_to_end_shape)
        for terms in moved:
            for j, x in terms.items():
                jvp[j] += float(x)
        vjp = [[sum(float(x) * g[(b, *(m * t + n for m, t, n in zip(i, s, j)))]
                    for j, x in c.items()) for i in np.ndindex(k)]
               for c, k, s in zip(cofactors, net.filter_shapes, net.cumulative_strides)]
        want.append((jvp.ravel(), np.concatenate(vjp)))
    jvp, vjp = (np.stack(x) for x in zip(*want))
    for way in (dense, fft):
        assert np.array_equal(way.pack(way.unpack(theta, (2,))), theta)
        np.testing.assert_allclose(way.coefficients(way.analyse(flat)), flat, atol=1e-13)
        np.testing.assert_allclose(way.jvp(theta, direction), jvp, atol=1e-12)
        np.testing.assert_allclose(way.vjp(theta, flat), vjp, atol=1e-12)
        np.testing.assert_allclose(way.product(theta) * net.depth, way.jvp(theta, theta),
                                   atol=1e-12)
        back, there = way.there_and_back(theta, flat)
        np.testing.assert_allclose(back, vjp, atol=1e-12)
        np.testing.assert_allclose(there, way.jvp(theta, vjp), atol=1e-11)
        np.testing.assert_allclose(np.einsum("bnp,bp->bn", way.jacobian(theta), direction), jvp,
                                   atol=1e-12)
        flow = QuadraticFlow(net, g[0], None)
        flow.plan, flow.goal = way, way.analyse(flat[:1])
        np.testing.assert_allclose(flow.hessian(theta), QuadraticFlow(
            net, g[0], None).hessian(theta), atol=1e-11)


class Field:
    """y' = velocity(y), with minus its derivative: nothing to refuse, nothing to hold."""

    shortest = 1e-14

    def __init__(self, velocity, matrix):
        self.function, self.matrix = velocity, matrix
        self.rows = self.most = 0  # states at which the velocity was asked for: all, at a time

    def velocity(self, y, flows):
        self.rows, self.most = self.rows + len(y), max(self.most, y.size)
        return self.function(y)

    def modes(self, y, flows):
        d, q = np.linalg.eig(self.matrix(y))
        return d, q, np.linalg.inv(q)

    def refuses(self, flows, h):
        return np.zeros(len(flows), bool)

    def again(self, flows):
        pass

    def hold(self, y, flows, times):
        return y, np.zeros(len(y), bool)


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


def run(field, y0, t, rtol, atol, show=lambda time: None):
    return collocate(field, y0, t, rtol, lambda y: atol, show, None)


def test_collocation_against_closed_forms_each_flow_in_its_own_steps():
    """Decays of very different speed, y' = -d y, and the logistic y' = y (1 - y)."""
    d = np.array([1e-3, 1.0, 1e4])
    t = np.array([0.0, 0.001, 0.7, 5.0])
    start = np.array([[1.0, 1.0, 1.0], [1e3, 1e-3, 0.0], [0.0, 0.0, 1e-6]])
    decay = Field(lambda y: -d * y, lambda y: np.tile(np.diag(d), (len(y), 1, 1)))
    y, _, lost = run(decay, start, t, 1e-11, 1e-12)
    np.testing.assert_allclose(y, start * np.exp(-d * t[:, None, None]), rtol=2e-11, atol=2e-12)
    y0 = np.array([[0.1], [0.999], [1e-4]])
    logistic = Field(lambda y: y * (1 - y), lambda y: (2 * y - 1)[:, :, None])
    y, count, lost = run(logistic, y0, t * 6, 1e-10, 1e-13)
    growth = np.exp(6 * t)[:, None, None]
    np.testing.assert_allclose(y, y0 * growth / (1 + y0 * (growth - 1)), rtol=1e-9)
    assert count < 2000 and not lost.any()


def test_collocation_gives_up_where_there_is_no_solution():
    """y' = y^2 from 1 leaves at time 1, from 0.1 at time 10."""
    square = Field(lambda y: y * y, lambda y: -2 * y[:, :, None])
    y, _, lost = run(square, np.array([[1.0], [0.1]]), np.array([0.0, 2.0]), 1e-9, 1e-12)
    assert lost.tolist() == [True, False] and abs(y[1, 1, 0] - 0.125) < 1e-9


def test_newtons_method_solves_a_linear_equation_at_once():
    """The second iteration sees that nothing is left; the matrix need not be symmetric."""
    q = np.array([[1.0, 2, 0], [0, 1, -1], [1, 0, 1]])
    matrix = q @ np.diag([0.1, 3.0, 40.0]) @ np.linalg.inv(q)
    linear = Field(lambda y: -y @ matrix.T, lambda y: np.tile(matrix, (len(y), 1, 1)))
    t, steps = np.array([0.0, 0.3, 2.0]), []
    y, count, lost = run(linear, np.array([[1.0, -2.0, 3.0]]), t, 1e-6, 1e-9, steps.append)
    want = np.exp(-t[:, None] * [0.1, 3.0, 40.0]) * np.linalg.solve(q, [1.0, -2, 3]) @ q.T
    np.testing.assert_allclose(y[:, 0], want, atol=1e-6)
    assert not lost.any() and count == linear.rows <= 2 * STAGES * len(steps)


def test_the_tables_of_collocation():
    """On polynomials of degree STAGES: their derivative, their values, their Taylor series."""
    c = collocation.C
    assert (np.diff(c) > 0).all() and c[0] > 0 and c[-1] == 1
    # Radau's rule, of highest order for an end of the interval: exact up to degree 2 STAGES - 2.
    weights = np.linalg.inv(collocation.A_INVERSE)[-1]
    degrees = np.arange(2 * STAGES - 1)
    np.testing.assert_allclose(c ** degrees[:, None] @ weights, 1 / (degrees + 1), rtol=1e-11)
    for degree in range(1, STAGES + 1):
        z = c**degree
        slope = degree * c ** (degree - 1)
        np.testing.assert_allclose(collocation.A_INVERSE @ z, slope, rtol=1e-9, atol=1e-11)
        series = [comb(degree, j) for j in collocation.POWERS]  # x^n = (1 + (x - 1))^n
        np.testing.assert_allclose(collocation.TAYLOR @ z, series, rtol=1e-8, atol=1e-7)
        tail = legendre.Legendre.fit(2 * c - 1, slope, STAGES - 1, domain=[-1, 1]).coef[-2:]
        np.testing.assert_allclose(collocation.TAIL @ z, tail, atol=1e-10)
        x = np.array([[0.0, 0.3], [1.0, 1.7]])  # the last beyond the step
        np.testing.assert_allclose(collocation._polynomial(x) @ z, x**degree, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("derivative", [0.0, -30.0])
def test_a_wrong_derivative_costs_steps_and_no_digits(derivative):
    """Where Newton's method does not converge, a step is not taken."""
    wrong = Field(lambda y: -50 * y * y, lambda y: np.full((len(y), 1, 1), derivative))
    t = np.array([0.0, 0.2, 1.0])
    y, count, lost = run(wrong, np.array([[1.0]]), t, 1e-9, 1e-12)
    np.testing.assert_allclose(y[:, 0, 0], 1 / (1 + 50 * t), rtol=1e-8)
    assert not lost.any() and count > wrong.rows > (NEWTON_LIMIT + 1) * STAGES


def test_a_number_of_the_size_of_both_tolerances():
    """Where atol is rtol times the state, what moves is measured by their sum."""
    logistic = Field(lambda y: y * (1 - y), lambda y: (2 * y - 1)[:, :, None])
    y, _, lost = run(logistic, np.array([[1.0], [0.1]]), np.array([0.0, 1.0]), 1e-9, 1e-9)
    assert not lost.any() and y[1, 0] == 1
    assert abs(y[1, 1, 0] - np.e / (9 + np.e)) < 1e-9


def test_a_large_batch_goes_in_parts():
    """As many numbers at a time for many flows as for few; the progress is that of all."""
    t, told, most = np.array([0.0, 2.0, 5.0]), [], []
    for n in (4000, 12000):
        decay = Field(lambda y: -y, lambda y: np.ones((len(y), 1, 1)))
        told.clear()
        y, _, _ = run(decay, np.linspace(1, 2, n)[:, None], t, 1e-6, 1e-9, told.append)
        np.testing.assert_allclose(y[:, :, 0], np.exp(-t)[:, None] * y[0, :, 0], rtol=1e-5)
        most.append(decay.most)
    assert max(most) <= STAGES * GROUP
    assert told == sorted(told) and 0 <= told[0] < 0.5 and told[-1] == 5
    assert max(np.diff(told)) < 1


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


@pytest.mark.parametrize("excess", range(4))
def test_exchange_degree(excess):
    """split_first finds u and g of v = u(x) g(x^2) whatever part of g the layer had."""
    rng = np.random.default_rng(excess)
    u, g = rng.standard_normal(4), rng.standard_normal(6)
    v = np.convolve(u, upsample(g, (2,)))
    ((u1, g1, e),) = split_first(v, (4 + 2 * excess,), (2,), 1e-14)
    assert e == (excess,) and u1.shape == u.shape and g1.shape == g.shape
    assert np.abs(np.outer(u1, g1) - np.outer(u, g)).max() < 1e-12


@pytest.mark.parametrize(("p", "q"), [((3,), (5,)), ((1,), (4,)), ((2, 3), (4, 1)),
                                      ((1, 2, 3), (3, 1, 2))])
def test_products_of_polynomials(p, q):
    rng = np.random.default_rng(0)
    p, q = rng.standard_normal(p), rng.standard_normal(q)
    want = convolve(p, q, method="direct")
    np.testing.assert_allclose(multiply(p, q), want, atol=1e-14)
    strides = tuple(range(2, 2 + p.ndim))
    wide = upsample(p, strides)
    assert wide.shape == tuple(1 + (n - 1) * s for n, s in zip(p.shape, strides))
    assert {n: wide[n] for n in zip(*np.nonzero(wide))} == {
        tuple(a * s for a, s in zip(n, strides)): p[n] for n in np.ndindex(p.shape)}


def test_values_of_polynomials_do_not_overflow():
    p = np.array([2.0, -3.0, 0.5, 4.0])
    x = np.array([0.0, 0.5, -1.0, 2.0, 1 + 2j, 0.3j])
    size = np.maximum(1, np.abs(x)) ** 3
    np.testing.assert_allclose(scaled_values(p, x), np.polyval(p[::-1], x) / size, rtol=1e-14)
    np.testing.assert_allclose(scaled_values(p, np.array([1e300, -1e-300])), [4, 2], rtol=1e-14)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("net", [
    LCN((3, 2, 2), (1, 2, 1)), LCN([(2, 2), (2, 3)], [(2, 1), 1]), LCN((1, 3), 2)], ids=str)
def test_a_step_of_gauss_newton(net, dense, monkeypatch):
    """The shortest solution of c J step = v - c mu, with a matrix and, for large ones, without."""
    entries = np.prod(net.end_to_end_shape) * net.n_parameters
    monkeypatch.setattr(newton, "DENSE_ENTRIES", entries if dense else entries - 1)
    rng = np.random.default_rng(0)
    w = lcn.random_filters(net, rng)
    v = rng.standard_normal(net.end_to_end_shape)
    at = directions(net, 1e-200 * v, [1e3 * w[0], *w[1:]])
    assert at.dense == dense
    units = [x / np.linalg.norm(x) for x in w]
    j = lcn.jacobian(net, units).reshape(-1, net.n_parameters)
    mu, v = lcn.end_to_end(net, units).ravel(), v.ravel() / np.linalg.norm(v)
    c = mu @ v / (mu @ mu)
    np.testing.assert_allclose(at.flat, np.concatenate(units, axis=None), rtol=1e-14)
    assert at.c == pytest.approx(c, rel=1e-12)
    assert at.residual == pytest.approx(np.linalg.norm(v - c * mu), rel=1e-12)
    want = np.linalg.pinv(c * j, rcond=1e-12) @ (v - c * mu)
    np.testing.assert_allclose(at.step(), want, atol=1e-8)
    s = np.linalg.svd(j, compute_uv=False)
    np.testing.assert_allclose(at.singular_values(), s[: net.dimension], rtol=1e-12)
    # The product nearest to a noisy v: nothing is left along the directions in which it moves.
    noisy = mu + 1e-3 * rng.standard_normal(v.shape)
    start = directions(net, noisy, [x + 0.1 * rng.standard_normal(x.shape) for x in units])
    end = polish(start)
    j = lcn.jacobian(net, end.filters).reshape(-1, net.n_parameters)
    assert np.abs(j.T @ end.defect).max() < 1e-6 and end.residual <= start.residual


def test_a_step_that_is_too_long_is_shortened():
    """Far from v: where the full step leads farther away, a part of it does not."""
    net, too_long = LCN((3, 3)), 0
    v = np.array([1.0, -2.0, 0.5, 3.0, 1.0])
    for seed in range(30):
        at = directions(net, v, lcn.random_filters(net, seed))
        step = at.step()
        full, part = (directions(net, v, np.split(at.flat + t * step, [3])) for t in (1, 1 / 64))
        if full.residual > at.residual > part.residual:
            too_long += 1
            assert polish(at, 1).residual < at.residual
    assert too_long > 3


def test_a_filter_that_vanishes_has_no_direction():
    at = polish(directions(LCN((2, 2), 2), np.ones(4), np.array([[0.0, 0.0], [1.0, 2.0]])))
    assert at.c == 0 and at.residual == np.inf and at.flat.any()


def test_division_where_the_usual_grid_points_are_roots():
    u = [np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [0.0, -1.0]])]
    g = np.random.default_rng(0).standard_normal((3, 4))
    parts = [multiply(x, g) for x in u]
    assert np.abs(divide(parts, u, (3, 4)) - g).max() < 1e-12


def test_distributions_by_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(40):
        d = int(rng.integers(1, 3))
        degrees = [tuple(map(int, rng.integers(0, 3, d))) for _ in range(rng.integers(1, 5))]
        degrees = [x for x in degrees if any(x)] or [(1,) * d]
        mult = [int(m) for m in rng.integers(1, 4, len(degrees))]
        total = sum(m * np.array(x) for m, x in zip(mult, degrees))
        first = np.array([rng.integers(0, t + 1) for t in total])
        rooms = [tuple(first.tolist()), tuple((total - first).tolist())]
        want = {
            ((*c,), tuple(m - x for m, x in zip(mult, c)))
            for c in product(*(range(m + 1) for m in mult))
            if (sum(x * np.array(y) for x, y in zip(c, degrees)) == first).all()
        }
        count, ways = distributions(degrees, mult, rooms)
        assert count == len(want) and set(ways) == want
        assert distributions(degrees, mult, rooms, limit=count - 1) == (count, None)
        assert len(distributions(degrees, mult, rooms, limit=count)[1]) == count


def test_real_roots_and_multiplicities():
    p = reduce(np.convolve, [[-1, 1]] * 4 + [[1, 0, 1]] * 3 + [[2, 1], [0, 1], [1, 0], [1, 0]])
    found = {(tuple((f / np.abs(f).max()).round(6)), m) for f, m in real_factors(p, MERGE)}
    sizes = sorted((len(f), m) for f, m in found)
    assert sizes == [(2, 1), (2, 1), (2, 2), (2, 4), (3, 3)]
    again = reduce(np.convolve, [f for f, m in real_factors(p, MERGE) for _ in range(m)])
    c = again @ p / (again @ again)
    assert np.abs(c * again - p).max() < 1e-13 * np.abs(p).max()


def test_several_multiple_roots():
    """Multiplicities up to five of roots 0.4 apart, whose clusters are 0.006 wide."""
    rng = np.random.default_rng(0)
    cases = 0
    while cases < 60:
        roots, mult = np.sort(rng.uniform(-2, 2, 3)), rng.integers(1, 6, 3)
        if np.diff(roots).min() < 0.4:
            continue
        cases += 1
        p = reduce(np.convolve, [[-x, 1] for x, m in zip(roots, mult) for _ in range(m)])
        found = sorted((-f[0] / f[1], m) for f, m in real_factors(p, MERGE))
        assert [m for _, m in found] == mult.tolist()
        # With its multiplicity held fixed a root is conditioned like 1e3 here.
        assert np.abs([x for x, _ in found] - roots).max() < 1e-11


@pytest.mark.parametrize("net", [
    LCN((5, 4), 3), LCN((5, 4)), LCN([(4, 4), (3, 3)]), LCN([(4, 3), (3, 3)], 2),
    LCN([(2, 2, 3), (2, 3, 2)])], ids=str)
def test_what_is_refused_is_the_size_of_the_matrix(net, monkeypatch):
    """The number of entries that is compared with the limit, beside those of what is made."""
    said, made, parts, qr, svd = [], [], [], np.linalg.qr, np.linalg.svd

    def recorded(a, *args, **kwargs):
        out = svd(a, *args, **kwargs)
        parts.extend(x.size for x in (out if isinstance(out, tuple) else [out]))
        return out

    for module in (polyphase, several_variables):
        monkeypatch.setattr(module, "check_size", said.append)
    monkeypatch.setattr(np.linalg, "qr", lambda a, **k: made.append(a.size) or qr(a, **k))
    monkeypatch.setattr(np.linalg, "svd", recorded)
    assert lcn.factorizations(net, lcn.end_to_end(net, lcn.random_filters(net, 0)))
    assert made and (np.divide(said, made) >= 1).all() and (np.divide(said, made) < 3).all()
    assert max(parts) <= max(said)


def test_multiple_roots_are_refined_to_rounding():
    """Gauss-Newton with fixed multiplicities, on real roots and a conjugate pair."""
    rng = np.random.default_rng(0)
    exact = [np.array(f) / np.linalg.norm(f) for f in ([2.0, 1], [-1.0, 1.5], [1.0, 0.4, 1])]
    for mult in ((1, 3, 2), (4, 1, 1), (2, 2, 2)):
        p = reduce(np.convolve, [f for f, m in zip(exact, mult) for _ in range(m)])
        near = [(f + 1e-4 * rng.standard_normal(len(f)), m) for f, m in zip(exact, mult)]
        found = _refined(p / np.linalg.norm(p), near)
        assert [m for _, m in found] == list(mult)
        for (f, _), g in zip(found, exact):
            np.testing.assert_allclose(f, g, atol=1e-12)


@pytest.mark.parametrize(
    "shapes",
    [[(3, 3)], [(5, 4)], [(3, 3), (2, 4)], [(2, 2)] * 4, [(2, 2, 2)], [(2, 3, 2), (2, 2, 1)],
     [(2, 2, 1), (1, 2, 2), (2, 1, 2)]],
)  # fmt: skip
def test_irreducible_factors_of_random_products(shapes):
    """Generic polynomials with two long axes are irreducible: as many factors as layers."""
    rng = np.random.default_rng(7)
    factors = [rng.standard_normal(s) for s in shapes]
    p = reduce(multiply, factors)
    (found,) = factor_candidates(p, MERGE)
    assert sorted(f.shape for f, _ in found) == sorted(shapes)
    assert all(m == 1 for _, m in found)
    for f, _ in found:
        f = f / np.linalg.norm(f)
        near = [abs(np.vdot(f, q)) / np.linalg.norm(q) for q in factors if q.shape == f.shape]
        assert max(near) > 1 - 1e-9


LINE = np.array([[1.0, 2], [3, 0]])  # 1 + 2y + 3x
CURVE = np.array([[1.0, 2], [3, -1]])
CIRCLE = np.array([[0.0, 0, 1], [0, 0, 0], [1, 0, 0]])  # x^2 + y^2, two lines over C
X, Y, ENDS = np.array([[0.0], [1]]), np.array([[0.0, 1]]), np.array([[1.0, 0]])
PLANE = np.zeros((2, 2, 2))
PLANE[0, 0, 0], PLANE[1, 0, 0], PLANE[0, 1, 0], PLANE[0, 0, 1] = 1, 2, -3, 1
CROSS = np.zeros((2, 2, 2))
CROSS[1, 1, 0], CROSS[0, 0, 1] = 1, -1  # xy - z


@pytest.mark.parametrize("want", [
    [(CURVE, 1)], [(CURVE, 3)], [(LINE, 2), (CURVE, 1)], [(CIRCLE, 1), (LINE, 1)],
    [(CIRCLE, 2), (CURVE, 1)], [(X, 2), (Y, 1), (ENDS, 3), (CURVE, 1)], [(X, 1), (ENDS, 1)],
    [(np.array([[1.0], [2]]), 2), (np.array([[3.0, 1]]), 1), (CURVE, 1)],
    [(np.array([[1.0], [0], [1]]), 1), (np.array([[2.0, 1]]), 2)],
    [(np.array([[1.0, 2, 5]]), 2), (np.array([[2.0, 1]]), 3), (Y, 1)],  # one variable of two
    [(PLANE, 1), (CROSS, 1)], [(PLANE, 2), (CROSS, 1)], [(CURVE[:, None], 2), (PLANE, 1)],
    [(CURVE[:, :, None], 1), (LINE[None], 1)], [(LINE[:, :, None], 1), (np.ones((1, 1, 2)), 2)]])
def test_factors_with_their_multiplicities(want):
    p = reduce(multiply, [f for f, m in want for _ in range(m)])
    candidates = factor_candidates(-3 * p, MERGE)
    for found in candidates:
        near = [[(m == n, abs((f * g).sum()) / np.linalg.norm(f) / np.linalg.norm(g))
                 for g, n in found if g.shape == f.shape] for f, m in want]
        if len(found) == len(want) and all((True, pytest.approx(1, abs=1e-10)) in x for x in near):
            break
    else:
        pytest.fail(f"not among {candidates}")


def test_complex_pairs_of_curves_stay_together():
    pair = np.array([[0.0, 0, 2], [0, 2, 0], [5, 0, 0]])  # 5x^2 + 2xy + 2y^2, definite
    other = np.array([[1.0, 2], [3, -1]])
    for p, sizes in [(pair, [(3, 3)]), (multiply(pair, other), [(2, 2), (3, 3)])]:
        (found,) = factor_candidates(p, MERGE)
        assert sorted(f.shape for f, _ in found) == sizes


@pytest.mark.parametrize("scales", [(1, 1), (1e-150, 1e-150), (1e150, 1e150), (1e3, 1e-3),
                                    (1e-8, 1)])
@pytest.mark.parametrize("shapes", [((2, 3), (4, 2)), ((3, 3), (3, 3)), ((1, 2), (2, 1))])
def test_pairs_with_one_product_and_one_difference(shapes, scales):
    """One pair (G W_1, W_2 G^-1) for each turn, of whatever size the two matrices are."""
    rng = np.random.default_rng(0)
    first, second = (c * rng.standard_normal(s) for c, s in zip(scales, shapes))
    h, n = shapes[0]
    turns = np.linalg.qr(rng.standard_normal((2, 3, h, h)))[0]
    one, two = turned_pairs(first, second, turns)
    assert one.shape == (2, 3, h, n) and two.shape == (2, 3, *shapes[1])
    w = (second / scales[1]) @ (first / scales[0])
    got = (two / scales[1]) @ (one / scales[0])
    np.testing.assert_allclose(got, np.broadcast_to(w, got.shape), atol=1e-12)
    size = max(scales)
    delta, *rest = ((b / size).mT @ (b / size) - (a / size) @ (a / size).mT
                    for a, b in ((first, second), (one, two)))
    np.testing.assert_allclose(rest[0], np.broadcast_to(delta, rest[0].shape), atol=1e-11)
    # As many pairs as turns: they are no copies of one another, but for signs of one unit.
    gaps = [np.abs(one[0, 0] - x).max() / scales[0] for x in one.reshape(6, h, n)[1:]]
    assert h == 1 or min(gaps) > 1e-3


def test_every_pair_has_a_family():
    """Newton's method for the condition on Delta arrives from the balanced pair of each product."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        first, second = rng.standard_normal((2, 3, 3))
        one, two = turned_pairs(first, second, np.linalg.qr(rng.standard_normal((3, 3, 3)))[0])
        np.testing.assert_allclose(two @ one, np.tile(second @ first, (3, 1, 1)), atol=1e-10)


@pytest.mark.parametrize(
    ("net", "degree"),
    [
        (LCN((2, 2), 2), 6),
        (LCN((3, 2), 2), 10),  # a projection of the Segre cone, with a self-crossing
        (LCN((2, 3), 2), 10),  # the Segre cone itself
        (LCN((3, 3), 2), 39),
        (LCN((2, 2, 2), 2), 34),
        (LCN([(2, 1), (2, 2)], 2), 14),
        (LCN((4,)), 1),
        (LCN((3, 1), 1), 1),
    ],
    ids=str,
)
def test_monodromy_finds_exactly_the_ed_degree(net, degree):
    """Further loops find no further point: the count does not rest on the formula."""
    _, w = start_points(net, 10**6, np.random.default_rng(1), patience=2)
    assert len(w) == degree


def complex_product(net, w):
    """End-to-end filter of complex filters: polynomials multiplied one by one."""
    out = np.ones((1,) * net.ndim)
    for x, k, s in zip(w, net.filter_shapes, net.cumulative_strides):
        wide = np.zeros([1 + (n - 1) * m for n, m in zip(k, s)], complex)
        wide[tuple(slice(None, None, m) for m in s)] = x.reshape(k)
        out = convolve(out, wide, method="direct")
    return out.ravel()


@pytest.mark.parametrize("net", [
    LCN((4,)), LCN((3, 2), 2), LCN((2, 2, 3), (2, 3, 1)), LCN((2, 1, 2), (2, 1, 1)),
    LCN((2, 2), 4), LCN([(2, 1), (2, 2)], 2), LCN((2, 2, 2, 2), 2)], ids=str)
def test_the_equations_of_critical_points(net):
    """F = dmu^T (A mu - b) of three complex points and losses at once, by differences."""
    rng = np.random.default_rng(0)
    system = CriticalSystem(net)
    w = rng.standard_normal((3, system.n)) + 1j * rng.standard_normal((3, system.n))
    losses = np.stack([random_loss(system.k, rng) for _ in range(3)])
    rates = np.stack([random_loss(system.k, rng) for _ in range(3)])
    steps, moves = system.step(w, losses), system.step(w, losses, rates)
    cut = np.cumsum(system.sizes)[:-1]
    for i, x in enumerate(w):
        parts = np.split(x, cut)

        def product_of(y):
            return complex_product(net, np.split(y, cut))[system.reached]

        def slopes(y):
            # mu is affine in each single entry.
            return np.array([product_of(y + e) - product_of(y) for e in np.eye(system.n)])

        def equations(y, loss):
            return slopes(y) @ (loss[:, :-1] @ product_of(y) + loss[:, -1])

        np.testing.assert_allclose(system.mu(w)[i], product_of(x), atol=1e-12)
        assert not np.delete(complex_product(net, parts), system.reached).any()
        np.testing.assert_allclose(system.jacobian(w)[i], slopes(x), atol=1e-12)
        assert (losses[i, :, :-1] == losses[i, :, :-1].T).all()
        h = 1e-5
        m = np.array([equations(x + h * e, losses[i]) - equations(x - h * e, losses[i])
                      for e in np.eye(system.n)]) / (2 * h)
        # The scaling directions of neighbours: along them a step does not go.
        for j in range(net.depth - 1):
            z = np.concatenate([y * ((n == j) - (n == j + 1)) for n, y in enumerate(parts)])
            m += np.outer(z.conj(), z.conj())
        size = np.abs(m).max()
        for step, loss in ((steps[i], losses[i]), (moves[i], rates[i])):
            gap = m @ step + equations(x, loss)
            assert np.abs(gap).max() < 1e-7 * size * (1 + np.abs(step).max())
    level = system.balance(w)
    np.testing.assert_allclose(system.mu(level), system.mu(w), atol=1e-11)
    norms = [np.linalg.norm(y, axis=1) for y in np.split(level, cut, axis=1)]
    np.testing.assert_allclose(norms, np.broadcast_to(norms[0], (net.depth, 3)), rtol=1e-12)


def test_paths_of_critical_points():
    """All points of one loss lead to all points of each other one, and back."""
    net, rng = LCN((2, 2), 2), np.random.default_rng(3)
    system = CriticalSystem(net)
    base, w = start_points(net, 6, rng)
    others = [random_loss(system.k, rng) for _ in range(3)]
    stops = np.repeat(others, 6, axis=0)

    def check(w, losses):
        assert np.linalg.norm(system.step(w, losses), axis=1).max() < 1e-9
        sizes = [np.linalg.norm(w[:, part], axis=1) for part in system.parts]
        np.testing.assert_allclose(*sizes, rtol=1e-12)

    check(w, base)
    there, arrived = track(system, np.tile(w, (3, 1)), base, stops)
    assert arrived.all() and len(distinct(system.mu(there))) == 18
    check(there, stops)
    back, arrived = track(system, there, stops, base)
    assert arrived.all()
    for group in np.split(system.mu(back), 3):
        for v in system.mu(w):
            assert np.abs(group - v).max(axis=1).min() < 1e-8
    # A path that is lost, too large or too small, takes no other one with it.
    for c in (1e7, 3e5, 1e-7):
        mixed = np.concatenate([w[:2], c * w[2:3], w[3:]])
        end, arrived = track(system, mixed, base, others[0])
        assert arrived.tolist() == [True, True, False, True, True, True]
        np.testing.assert_allclose(system.mu(end[arrived]), system.mu(
            np.delete(there[:6], 2, axis=0)), atol=1e-8)
    # With the weight 1 two terms of a singular value decomposition are left: the others leave.
    target = np.array([3.0, 1.0, 2.0, -1.0])
    end, arrived = track(system, w, base, np.column_stack([np.eye(4), -target]).astype(complex))
    u, s, vt = np.linalg.svd(target.reshape(2, 2))
    terms = [(s[i] * np.outer(u[:, i], vt[i])).ravel() for i in range(2)]
    assert arrived.sum() == 2
    for v in system.mu(end[arrived]):
        assert min(np.abs(v - x).max() for x in terms) < 1e-9


def test_a_singular_matrix_stops_one_path_only():
    system, rng = CriticalSystem(LCN((2, 2, 2), 2)), np.random.default_rng(0)
    w, loss = rng.standard_normal((2, 6)) + 0j, random_loss(8, rng)
    steps = system.step(np.concatenate([w, np.zeros((1, 6))]), loss)
    np.testing.assert_allclose(steps[:2], system.step(w, loss), rtol=1e-9)
    assert not steps[2].any()


def test_a_loop_that_breaks_adds_no_point(monkeypatch):
    """Of each second leg the first path is lost: what is found is critical all the same."""
    net, legs, follow = LCN((2, 2), 2), [], homotopy.track

    def broken(system, w, start, stop):
        w, arrived = follow(system, w, start, stop)
        legs.append(len(w))
        if len(legs) % 3 == 2:
            w[0], arrived[0] = 1.0, False
        return w, arrived

    monkeypatch.setattr(homotopy, "track", broken)
    base, w = start_points(net, 10**6, np.random.default_rng(1), patience=2)
    assert len(w) == 6
    assert np.linalg.norm(CriticalSystem(net).step(w, base), axis=1).max() < 1e-9
    assert len(legs) % 3 == 0 and max(legs) <= homotopy.BATCH


def proven(net, filters):
    """The radius of the docstring, with the tuples that meet in one coefficient counted."""
    units = [w / np.linalg.norm(w) for w in filters]
    sigma = np.linalg.svd(lcn.jacobian(net, units).reshape(-1, net.n_parameters))[1]
    meet = lcn.end_to_end(net, [np.ones(k) for k in net.filter_shapes]).max()
    return 0.63 * sigma[net.dimension - 1] / (np.sqrt(meet) * net.depth)


def test_no_factorisation_within_the_isolation_radius():
    """A radius larger than proven would show in `lift` only for a rare guess."""
    rng = np.random.default_rng(0)
    tight = 0.0
    for net in (LCN((2, 2)), LCN((3, 3)), LCN((3, 2, 2)), LCN([(2, 2), (2, 2)])):
        for _ in range(10):
            v = lcn.end_to_end(net, lcn.random_filters(net, rng))
            found = lcn.factorizations(net, v)
            for i, f in enumerate(found):
                radius = isolation(directions(net, v, f))
                assert radius <= proven(net, f) * (1 + 1e-9)
                for j, g in enumerate(found):
                    distance = np.sqrt(sum(
                        min(np.sum((a - b) ** 2), np.sum((a + b) ** 2)) for a, b in zip(f, g)
                    ))
                    if i != j:
                        assert distance > radius
                        tight = max(tight, radius / distance)
    assert tight > 0.02  # the bound says something
