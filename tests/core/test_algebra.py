"""The algebra inside: factors, multiplicities, degrees, radii, paths.

Public answers hide these and may get them right by luck.
"""

from dataclasses import replace
from functools import reduce
from itertools import product

import numpy as np
import pytest
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
from lcnlib._core.plan import plan
from lcnlib.projection import _starts


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
