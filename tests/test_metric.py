"""The metric g_delta, its warped product form and the distance to zero (S5, S7, S11)."""

import mpmath
import numpy as np
import pytest

import lcnlib
from lcnlib import LCN, errors
from lcnlib.metric import horizontal_lift, inner, riemannian_gradient, tangent_basis
from lcnlib.warped import (
    distance_to_zero,
    from_warped_coordinates,
    warped_coordinates,
    warped_velocity,
)

from .geometry_cases import NETS, every_point, name, point, tangents


def length_scale(net, w, *vectors):
    return np.prod([np.sqrt(inner(net, w, a, a)) for a in vectors])


@every_point
def test_inner_is_the_pseudoinverse_of_the_kernel(net, kind):
    w = point(net, kind, seed=1)
    a, b = tangents(net, w, 2, seed=2)
    # The eigenvalues of K below the dimension are zero in exact arithmetic.
    values, vectors = np.linalg.eigh(lcnlib.ntk(net, w))
    values, vectors = values[-net.dimension :], vectors[:, -net.dimension :]
    expected = (a.ravel() @ vectors / values) @ (vectors.T @ b.ravel())
    # K's rounding is its condition number times 1e-16; these cases stay below 1e5.
    assert abs(inner(net, w, a, b) - expected) < 1e-10 * length_scale(net, w, a, b)


@every_point
def test_inner_is_a_metric(net, kind):
    w = point(net, kind, seed=3)
    basis = tangent_basis(net, w)
    gram = inner(net, w, basis[:, None], basis[None])
    assert np.abs(gram - gram.T).max() <= 1e-14 * np.abs(gram).max()
    assert np.linalg.eigvalsh(gram)[0] > 0
    a, b, c = tangents(net, w, 3, seed=4)
    linear = inner(net, w, a, 2 * b - c) - 2 * inner(net, w, a, b) + inner(net, w, a, c)
    assert abs(linear) < 1e-11 * length_scale(net, w, a) * (
        length_scale(net, w, b) + length_scale(net, w, c)
    )


@every_point
def test_inner_equals_the_warped_product(net, kind):
    w = point(net, kind, seed=5)
    a, b = tangents(net, w, 2, seed=6)
    (dt_a, du_a), (dt_b, du_b) = (warped_velocity(net, w, x) for x in (a, b))
    squares = np.array([(x * x).sum() for x in w])
    closed = 0.25 * (1 / squares).sum() * dt_a * dt_b
    closed += sum(r2 * (x * y).sum() for r2, x, y in zip(squares, du_a, du_b))
    assert abs(inner(net, w, a, b) - closed) < 1e-13 * length_scale(net, w, a, b)
    assert all(abs((w_i * x).sum()) < 1e-12 * np.linalg.norm(w_i) for w_i, x in zip(w, du_a))


@every_point
def test_warped_velocity_is_the_velocity(net, kind):
    """Finite differences of the coordinates along a curve of filters in the level set."""
    w = point(net, kind, seed=7)
    a = tangents(net, w, 1, seed=8)[0]
    a /= np.sqrt(inner(net, w, a, a))
    lift = horizontal_lift(net, w, a)
    dt, du = warped_velocity(net, w, a)
    h = 1e-5 * min(np.linalg.norm(x) for x in w)
    ends = [warped_coordinates(net, [x + s * h * y for x, y in zip(w, lift)]) for s in (1, -1)]
    # Central differences: error h^2 and 1e-16/h.
    scale = 1 / min(np.linalg.norm(x) for x in w)
    assert abs((ends[0].t - ends[1].t) / (2 * h) - dt) < 1e-7 * max(np.linalg.norm(x) for x in w)
    for x, y, z in zip(ends[0].directions, ends[1].directions, du):
        assert np.abs((x - y) / (2 * h) - z).max() < 1e-7 * scale
    assert np.abs(ends[0].invariants - ends[1].invariants).max() < 1e-8 * h


@every_point
def test_horizontal_lift_is_the_shortest_preimage(net, kind):
    w = point(net, kind, seed=9)
    a = tangents(net, w, 1, seed=10)[0]
    lift = horizontal_lift(net, w, a)
    assert [x.shape for x in lift] == list(net.filter_shapes)
    flat = np.concatenate([x.ravel() for x in lift])
    jac = lcnlib.jacobian(net, w)
    assert np.allclose(jac @ flat, a.ravel(), rtol=0, atol=1e-12 * np.abs(a).max())
    shortest = np.linalg.lstsq(jac, a.ravel(), rcond=1e-12)[0]
    assert np.allclose(flat, shortest, rtol=0, atol=1e-10 * np.abs(flat).max())
    # At right angles to the scaling directions (S5): all <w_i, h_i> agree.
    along = [(x * y).sum() for x, y in zip(w, lift)]
    assert np.ptp(along) < 1e-12 * np.linalg.norm(flat) * max(np.linalg.norm(x) for x in w)
    assert np.isclose(flat @ flat, inner(net, w, a, a), rtol=1e-12)


@every_point
def test_gradient_represents_the_differential(net, kind):
    w = point(net, kind, seed=11)
    rng = np.random.default_rng(12)
    m = rng.standard_normal((np.prod(net.end_to_end_shape),) * 2)
    loss = lcnlib.QuadraticLoss(rng.standard_normal(net.end_to_end_shape), m @ m.T)
    grad = riemannian_gradient(net, w, loss)
    v = lcnlib.end_to_end(net, w)
    g = loss.gradient(v)
    for a in tangents(net, w, 3, seed=13):
        expected = (g * a).sum()
        assert abs(inner(net, w, grad, a) - expected) < 1e-9 * length_scale(net, w, grad, a)
    # The flow in warped coordinates (S11).
    dt, du = warped_velocity(net, w, -grad)
    pulled = lcnlib.vjp(net, w, g)
    assert np.isclose(dt, -2 * (v * g).sum(), rtol=1e-9, atol=1e-9 * np.linalg.norm(v))
    for x, y, z in zip(w, pulled, du):
        r = np.linalg.norm(x)
        expected = -(y - x * (x * y).sum() / r**2) / r
        assert np.abs(z - expected).max() < 1e-9 * np.linalg.norm(y) / r


def test_delta_changes_the_metric_and_signs_do_not():
    net = LCN((3, 2), 2)
    w = point(net, "balanced", seed=14)
    a = tangents(net, w, 1, seed=15)[0]
    there = lcnlib.rescale(net, w, [3.0])
    assert np.isclose(inner(net, w, a, a), inner(net, [-x for x in w], a, a), rtol=1e-13)
    assert abs(inner(net, w, a, a) / inner(net, there, a, a) - 1) > 0.05


def test_batches_agree_with_single_points():
    net = LCN([(2, 2), (2, 3)], 1)
    w = lcnlib.random_filters(net, 16, batch=(4, 3))
    a = lcnlib.jvp(net, w, lcnlib.random_filters(net, 17, batch=(4, 3)))
    g, d, basis = inner(net, w, a, a), distance_to_zero(net, w), tangent_basis(net, w)
    lift = horizontal_lift(net, w, a)
    assert g.shape == d.shape == (4, 3)
    assert basis.shape == (4, 3, net.dimension, *net.end_to_end_shape)
    one = [x[2, 1] for x in w]
    assert np.isclose(g[2, 1], inner(net, one, a[2, 1], a[2, 1]), rtol=1e-12)
    assert np.isclose(d[2, 1], distance_to_zero(net, one), rtol=1e-14)
    assert np.allclose(lift[0][2, 1], horizontal_lift(net, one, a[2, 1])[0], rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_scaling_laws(scale):
    """w -> c w multiplies v by c^H and lengths in parameter space by c."""
    net = LCN((3, 2), 2)
    w = point(net, "unbalanced", seed=18)
    a = tangents(net, w, 1, seed=19)[0]
    big = [scale * x for x in w]
    assert np.isclose(inner(net, big, a * scale**2, a * scale**2) / scale / scale,
                      inner(net, w, a, a), rtol=1e-12)
    assert np.isclose(distance_to_zero(net, big), scale * distance_to_zero(net, w), rtol=1e-14)


def test_very_unequal_norms_do_no_harm():
    """K has condition number 1e32 here; the closed form does not see it."""
    net = LCN((3, 2), 2)
    w = point(net, "balanced", seed=20)
    w = [w[0] * 1e-8, w[1] * 1e8]
    h = [np.array([1.0, 0.0, -w[0][0] / w[0][2]]) * 1e-8, np.zeros(2)]  # orthogonal to w_1
    a = lcnlib.jvp(net, w, h)
    assert np.isclose(inner(net, w, a, a), (h[0] ** 2).sum(), rtol=1e-12)


@pytest.mark.parametrize("net", NETS, ids=name)
def test_coordinates_round_trip(net):
    w = point(net, "unbalanced", seed=21, batch=(2,))
    p = warped_coordinates(net, w)
    for x, y in zip(w, from_warped_coordinates(net, *p)):
        assert np.allclose(x, y, rtol=1e-13, atol=0)


def radial_length(norms):
    """The integral of 1/2 sqrt(sum 1/(t + sigma_i)) dt with 30 digits."""
    with mpmath.workdps(30):
        r2 = [mpmath.mpf(float(r)) ** 2 for r in norms]
        gap = [x - min(r2) for x in r2]
        # With t + min sigma = x^2 the singularity at the end is gone.
        rate = lambda x: mpmath.sqrt(sum(x * x / (x * x + g) if g else 1 for g in gap))  # noqa: E731
        top = mpmath.sqrt(min(r2))
        marks = {c * mpmath.sqrt(g) for g in gap if g for c in (0.1, 1, 10)}
        return mpmath.quad(rate, [0, *sorted(x for x in marks if x < top), top])


@pytest.mark.parametrize(
    "norms",
    [(1, 1), (1, 2, 3), (1, 1 + 1e-9, 50), (1e-6, 1, 1e5), (3, 3, 3, 1e4), (2,), (1, 1 + 1e-14)],
    ids=str,
)
def test_distance_to_zero_is_the_integral(norms):
    net = LCN((1,) * len(norms))
    distance = distance_to_zero(net, [[r] for r in norms])
    assert abs(distance / radial_length(norms) - 1) < 1e-14


@pytest.mark.parametrize("net", [LCN((3, 2), 3), LCN((2, 3, 4), (2, 3, 1))], ids=name)
def test_balanced_distance_is_a_root_of_the_norm_on_segre_cones(net):
    """Where k_i <= s_i the norm of v is the product of the norms, so d = sqrt(H) |v|^(1/H)."""
    w = point(net, "balanced", seed=22)
    v = lcnlib.end_to_end(net, w)
    expected = np.sqrt(net.depth) * np.linalg.norm(v) ** (1 / net.depth)
    assert np.isclose(distance_to_zero(net, w), expected, rtol=1e-13)


def test_no_curve_to_zero_is_shorter():
    """Random curves of filters in one level set towards zero, measured by inner."""
    net = LCN((3, 2), 2)
    start, delta = point(net, "balanced", seed=23), [1.5]
    rng = np.random.default_rng(24)
    start = lcnlib.rescale(net, start, delta)
    s = np.linspace(0, 1, 400)
    for wobble in (0.0, 0.3, 1.0):
        turn = [wobble * rng.standard_normal(k) for k in net.filter_shapes]
        # The factor goes down to 0.01; the invariants are then put back.
        raw = [(1 - 0.99 * s)[:, None] * x + np.sin(3 * s)[:, None] * (1 - s)[:, None] * y
               for x, y in zip(start, turn)]
        path = lcnlib.rescale(net, raw, delta)
        v = lcnlib.end_to_end(net, path)
        # A chord of M is tangent only to first order: use the derivative of the curve.
        mid = [(x[1:] + x[:-1]) / 2 for x in path]
        velocity = lcnlib.jvp(net, mid, [x[1:] - x[:-1] for x in path])
        length = np.sqrt(inner(net, mid, velocity, velocity)).sum()
        fall = distance_to_zero(net, start) - distance_to_zero(net, [x[-1] for x in path])
        # The midpoint rule on 400 steps is good to about 1e-4.
        assert length > fall * (1 - 1e-4)
        if wobble == 0:
            assert length < fall * 1.01
        assert np.linalg.norm(v[-1]) < 0.02 * np.linalg.norm(v[0])


def test_bad_input():
    net = LCN((3, 2), 2)
    w = point(net, "unbalanced", seed=25)
    v = lcnlib.end_to_end(net, w)
    with pytest.raises(errors.NotTangentError, match="normal part"):
        inner(net, w, v, v + 1e-3 * np.eye(5)[2])
    tangent = lcnlib.tangent_basis(net, w)
    normal = np.linalg.svd(tangent.reshape(-1, 5))[2][-1]
    with pytest.raises(errors.NotTangentError, match=r"normal part is 6\.0e-01 of its length"):
        inner(net, w, v, 1.6 * v / np.linalg.norm(v) + 1.2 * normal)
    for rtol in (2, 0, np.nan, None):
        with pytest.raises(errors.InputError, match="rtol"):
            inner(net, w, v, v, rtol=rtol)
    for loss in (None, lcnlib.LCN((2, 2))):
        with pytest.raises(errors.InputError, match=r"loss: .*without gradient"):
            riemannian_gradient(net, w, loss)
    with pytest.raises(errors.InputError, match="shape"):
        inner(net, w, v[:-1], v)
    with pytest.raises(errors.InputError, match="broadcast"):
        inner(net, [np.stack([x] * 3) for x in w], np.stack([v] * 2), v)
    with pytest.raises(errors.ZeroFilterError, match=r"filters\[1\]"):
        horizontal_lift(net, [w[0], [0, 0]], v)
    with pytest.raises(errors.ZeroFilterError):
        distance_to_zero(net, [[0, 0, 0], w[1]])
    # The pinch point of S12: p_1 = x^2 + a, p_2 = x + a.
    for f in (tangent_basis, lambda *x: riemannian_gradient(*x, lcnlib.QuadraticLoss(v))):
        with pytest.raises(errors.SingularPointError, match="rank 3"):
            f(net, [[0.7, 0, 1], [0.7, 1]])
    with pytest.raises(errors.SingularPointError, match="rank 2"):
        tangent_basis(LCN((2, 2)), [[1, 2], [2, 4]])
    with pytest.raises(errors.SingularPointError, match="rank 2"):  # the least of a batch
        tangent_basis(LCN((2, 2)), [[[1, 2], [1, 2]], [[3, 4], [2, 4]]])
    both = np.stack([v, 1.6 * v / np.linalg.norm(v) + 1.2 * normal])
    with pytest.raises(errors.NotTangentError, match=r"normal part is 6\.0e-01 of its length"):
        inner(net, w, both, both)
    units = warped_coordinates(net, w).directions
    for layer in range(2):  # one of the batch will do
        off = [np.stack([x, x, x * (1 + 1e-6 * (i == layer))]) for i, x in enumerate(units)]
        with pytest.raises(errors.InputError, match=rf"directions\[{layer}\]: .* norm one"):
            from_warped_coordinates(net, 1.0, off, [0])
    two = [np.stack([x, x]) for x in units]
    for t, directions in ((np.ones(2), units), (np.ones(3), two), (np.ones((1, 2)), two)):
        with pytest.raises(errors.InputError, match="t: expected leading axes"):
            from_warped_coordinates(net, t, directions, [0])
    with pytest.raises(errors.InputError, match="min sigma"):
        from_warped_coordinates(net, 1.0, units, [-1])


def test_a_zero_vector_is_tangent():
    net = LCN((3, 2), 2)
    w = point(net, "balanced", seed=26)
    assert inner(net, w, np.zeros(5), lcnlib.end_to_end(net, w)) == 0


@pytest.mark.parametrize("size", [1e-160, 1e160])
def test_squares_of_norms_may_leave_double_precision(size):
    """Where the inner product and the distance do not.

    K = |w_1|^2 + |w_2|^2 is 1e320; zero is as far away as the smaller filter, whose norm goes
    down alone.
    """
    net, w = LCN((1, 1)), [[2 * size], [1 / size]]
    assert inner(net, w, [1e160], [1e160]) == pytest.approx(1 / (4 if size > 1 else 1), rel=1e-12)
    assert distance_to_zero(net, w) == pytest.approx(min(2 * size, 1 / size), rel=1e-12)


def test_an_inner_product_that_overflows_is_refused():
    with pytest.raises(errors.InputError, match="inner product overflows"):
        inner(LCN((1,)), [[1.0]], [1e200], [1e200])
