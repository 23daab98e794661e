"""The one test that looks inside: numbers and parts that no public function returns.

Of the flows: velocities, Hessians, steps.  Of the algebra: a factor, a multiplicity, a degree, a
radius, a number of paths, which the public answers hide and may get right by luck.
"""

from dataclasses import replace
from functools import reduce
from itertools import product

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss
from lcnlib._algebra.homotopy import start_points, track
from lcnlib._algebra.newton import directions, isolation
from lcnlib._algebra.polynomials import divide, multiply, upsample
from lcnlib._algebra.polyphase import split_first
from lcnlib._algebra.roots import real_factors
from lcnlib._algebra.several_variables import factor_candidates
from lcnlib._algebra.splitting import distributions
from lcnlib._algebra.tolerances import MERGE
from lcnlib._core.collocation import collocate
from lcnlib._core.fields import QuadraticFlow
from lcnlib._core.orbit import PANEL, integrate
from lcnlib._core.plan import plan
from lcnlib._core.resultants import resultants
from lcnlib.projection import _starts

from .cases import NAMED
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


class Field:
    """y' = velocity(y), with minus its derivative: nothing to refuse, nothing to hold."""

    shortest = 1e-14

    def __init__(self, velocity, matrix):
        self.function, self.matrix = velocity, matrix

    def velocity(self, y, flows):
        return self.function(y)

    def modes(self, y, flows):
        d, q = np.linalg.eigh(self.matrix(y))
        return d, q, q.transpose(0, 2, 1)

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


def run(field, y0, t, rtol, atol):
    return collocate(field, y0, t, rtol, lambda y: atol, lambda time: None, None)


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


def test_quadrature_reaches_rounding():
    """1/cosh has the nearest poles that are allowed, at i pi/2; its integral is known."""
    edges = np.arange(-4.0, 5.0, PANEL)
    pieces = integrate(lambda z: 1 / np.cosh(z)[..., None], edges[:-1], edges[1:])[:, 0]
    exact = 2 * (np.arctan(np.exp(edges[1:])) - np.arctan(np.exp(-4.0)))
    assert np.abs(np.cumsum(pieces) - exact).max() < 1e-15 * len(edges)


@pytest.mark.parametrize("excess", range(4))
def test_exchange_degree(excess):
    """split_first finds u and g of v = u(x) g(x^2) whatever part of g the layer had."""
    rng = np.random.default_rng(excess)
    u, g = rng.standard_normal(4), rng.standard_normal(6)
    v = np.convolve(u, upsample(g, (2,)))
    ((u1, g1, e),) = split_first(v, (4 + 2 * excess,), (2,), 1e-14)
    assert e == (excess,) and u1.shape == u.shape and g1.shape == g.shape
    assert np.abs(np.outer(u1, g1) - np.outer(u, g)).max() < 1e-12


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


def test_complex_pairs_of_curves_stay_together():
    pair = np.array([[0.0, 0, 2], [0, 2, 0], [5, 0, 0]])  # 5x^2 + 2xy + 2y^2, definite
    other = np.array([[1.0, 2], [3, -1]])
    for p, sizes in [(pair, [(3, 3)]), (multiply(pair, other), [(2, 2), (3, 3)])]:
        (found,) = factor_candidates(p, MERGE)
        assert sorted(f.shape for f, _ in found) == sizes


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
