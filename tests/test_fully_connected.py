"""Fully connected linear networks, the contrast (S10)."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import fully_connected as fc

SIZES = [(3, 2, 4), (2, 2, 2), (4, 3), (3, 2, 2, 5), (5, 2, 1), (2, 3, 3, 3, 2)]


def turn(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.moveaxis(np.array([[c, -s], [s, c]]), (0, 1), (-2, -1))


def orthogonal(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def balanced(sizes, seed, scale=1.0):
    """Balanced weights: singular values of one product, dealt out evenly."""
    h = min(sizes)
    s = np.random.default_rng(seed).uniform(0.5, 2, h) * scale
    frames = [orthogonal(m, seed + 10 + j)[:, :h] for j, m in enumerate(sizes)]
    return [b @ np.diag(s) @ a.T for a, b in pairwise(frames)]


@pytest.mark.parametrize("sizes", SIZES)
def test_kernel_is_the_square_of_the_differential(sizes):
    w = fc.random_weights(sizes, 1)
    columns = []
    for j, x in enumerate(w):
        for index in np.ndindex(x.shape):
            moved = [np.zeros_like(y) for y in w]
            moved[j][index] = 1.0
            columns.append(fc.end_to_end([*w[:j], moved[j], *w[j + 1 :]]).ravel())
    jacobian = np.array(columns).T
    np.testing.assert_allclose(fc.ntk(w), jacobian @ jacobian.T, rtol=0, atol=1e-12 * 1e2)


@pytest.mark.parametrize("sizes", SIZES)
def test_batches(sizes):
    w = fc.random_weights(sizes, 2, (2, 3))
    one = [x[1, 2] for x in w]
    np.testing.assert_allclose(fc.end_to_end(w)[1, 2], fc.end_to_end(one))
    np.testing.assert_allclose(fc.ntk(w)[1, 2], fc.ntk(one))
    for a, b in zip(fc.invariants(w), fc.invariants(one)):
        np.testing.assert_allclose(a[1, 2], b)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("sizes", SIZES)
def test_balanced_kernel(sizes, scale):
    w = balanced(sizes, 3, scale)
    assert all(np.abs(d).max() < 1e-13 * scale**2 * 4 for d in fc.invariants(w))
    k = fc.ntk(w)
    got = fc.balanced_ntk(fc.end_to_end(w), len(w))
    # Roots of the rounded zeros of W W^T, of relative size eps^(1/N).
    full = len(set(sizes)) == 1 or min(sizes) in (sizes[0], sizes[-1])
    tolerance = 1e-12 if full and len(w) < 3 else 1e-5 if len(w) < 4 else 1e-3
    np.testing.assert_allclose(got, k, rtol=0, atol=tolerance * np.abs(k).max())


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("level", [-2.0, 0.0, 3.0])
@pytest.mark.parametrize("sizes", [(2, 2, 2), (4, 2, 3), (3, 3, 5), (5, 3, 3)])
def test_relaxed_kernel(sizes, level, scale):
    n, h, m = sizes
    p = np.random.default_rng(4).uniform(1, 3, h)
    q = p**2 - level
    if (q < 0).any():
        p = p + 2
        q = p**2 - level
    o = orthogonal(h, 5)
    second = orthogonal(m, 6)[:, :h] * p @ o * scale
    first = o.T * np.sqrt(q) @ orthogonal(n, 7)[:h] * scale
    k = fc.ntk([first, second])
    got = fc.relaxed_ntk(second @ first, level * scale**2, h)
    np.testing.assert_allclose(got, k, rtol=0, atol=1e-12 * np.abs(k).max())


@pytest.mark.parametrize("level", [0.5, 2.0])
def test_relaxed_kernel_of_a_small_rank(level):
    # W of rank one, width two = outputs: level stays on the rest of the output space.
    first = np.array([[1.0, 0, 0], [0, 0, 0]])
    second = np.diag([np.sqrt(1 + level), np.sqrt(level)])
    assert np.allclose(fc.invariants([first, second])[0], level * np.eye(2))
    np.testing.assert_allclose(fc.relaxed_ntk(second @ first, level, 2), fc.ntk([first, second]),
                               atol=1e-12)
    tall = np.concatenate([second, [[0.0, 0.0]]])
    with pytest.raises(lcn.SingularPointError, match="rank 2"):
        fc.relaxed_ntk(tall @ first, level, 2)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 2, 4), (4, 3, 3), (3, 1, 2)])
def test_siblings_share_function_and_invariants(sizes, scale):
    w = [x * scale for x in fc.random_weights(sizes, 5)]
    h = sizes[1]
    turns = np.stack([orthogonal(h, s) for s in range(6)])
    other = fc.siblings(w, turns)
    assert other[0].shape == (6, h, sizes[0])
    assert fc.siblings(w, turns[:0])[1].shape == (0, sizes[2], h)
    w0, d0 = fc.end_to_end(w), fc.invariants(w)[0]
    size = max(np.abs(x).max() for x in w) ** 2
    np.testing.assert_allclose(fc.end_to_end(other), np.broadcast_to(w0, (6, *w0.shape)),
                               rtol=0, atol=1e-11 * size)
    np.testing.assert_allclose(fc.invariants(other)[0], np.broadcast_to(d0, (6, h, h)),
                               rtol=0, atol=1e-11 * size)
    spread = np.abs(fc.ntk(other) - fc.ntk(w)).max() / size
    assert spread > 1e-2 if h > 1 else spread < 1e-10


def test_the_family_is_a_closed_curve_through_the_weights():
    w = fc.random_weights((2, 2, 2), 8)
    angle = np.linspace(0, np.pi, 721)
    k = fc.ntk(fc.siblings(w, turn(angle)))
    np.testing.assert_allclose(k[0], k[-1], atol=1e-9)  # half a turn closes it
    steps = np.linalg.norm(np.diff(k, axis=0), axis=(1, 2))
    assert steps.max() < 10 * steps.mean()  # no jump
    nearest = np.linalg.norm(k - fc.ntk(w), axis=(1, 2)).min()
    assert nearest < steps.max()


def test_siblings_of_relaxed_weights_have_one_kernel():
    w = [np.array([[1.0, 0.5], [0.0, 1.0]]), None]
    p = w[0] @ w[0].T + 2 * np.eye(2)
    w[1] = np.linalg.cholesky(p).T
    k = fc.ntk(fc.siblings(w, turn(np.linspace(0, 3, 5))))
    np.testing.assert_allclose(k, np.broadcast_to(fc.ntk(w), k.shape), atol=1e-10)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e4])
@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 2, 2, 2)])
def test_flow_conserves_and_descends(sizes, scale):
    w = [x * scale for x in fc.random_weights(sizes, 6)]
    target = fc.end_to_end(fc.random_weights(sizes, 7)) * scale ** len(w)
    # Time in units in which the scaled problem is the same problem.
    t = np.linspace(0, 1, 5) / scale ** (2 * len(w) - 2)
    flow = fc.gradient_flow(w, lcn.QuadraticLoss(target), t)
    for d in flow.invariants:
        assert np.abs(d - d[0]).max() < 1e-7 * np.abs(d[0]).max()
    assert (np.diff(flow.loss) < 0).all()
    one = fc.gradient_flow(fc.random_weights(sizes, 6), lcn.QuadraticLoss(
        fc.end_to_end(fc.random_weights(sizes, 7))), np.linspace(0, 1, 5))
    np.testing.assert_allclose(flow.end_to_end / scale ** len(w), one.end_to_end, rtol=0,
                               atol=1e-6)


def test_flow_is_that_of_the_kernel():
    w = fc.random_weights((3, 2, 2), 9)
    loss = lcn.QuadraticLoss(np.ones((2, 3)))
    step = 1e-6
    flow = fc.gradient_flow(w, loss, [0, step], rtol=1e-12)
    velocity = (flow.end_to_end[1] - flow.end_to_end[0]) / step
    want = -(fc.ntk(w) @ loss.gradient(fc.end_to_end(w)).ravel()).reshape(2, 3)
    np.testing.assert_allclose(velocity, want, rtol=1e-4)


@pytest.mark.parametrize("call, words", [
    (lambda: fc.ntk(3), "weights: expected a list of matrices"),
    (lambda: fc.ntk([]), "at least one matrix"),
    (lambda: fc.ntk([[1.0]]), r"weights\[0\]: expected a matrix"),
    (lambda: fc.ntk([np.ones((2, 3)), np.ones((2, 3))]), r"weights\[1\]: expected 2 columns"),
    (lambda: fc.ntk([np.ones((2, 2, 3)), np.ones((2, 2))]), "batch axes"),
    (lambda: fc.ntk([[[np.nan]]]), "finite"),
    (lambda: fc.ntk([[[1e200]], [[1e200]]]), "overflows"),
    (lambda: fc.balanced_ntk(np.eye(2), 0), "depth: expected"),
    (lambda: fc.balanced_ntk(np.eye(2), True), "depth: expected an int"),
    (lambda: fc.balanced_ntk(np.eye(2), 2.0), "depth: expected an int"),
    (lambda: fc.balanced_ntk(np.ones(3), 2), "w: expected a matrix"),
    (lambda: fc.balanced_ntk(np.ones((0, 3)), 2), "w: expected a matrix"),
    (lambda: fc.relaxed_ntk(np.eye(2), 1.0, 3), "width: expected at most 2"),
    (lambda: fc.relaxed_ntk(np.eye(2), 1.0, 0), "width: expected an int >= 1"),
    (lambda: fc.relaxed_ntk(np.eye(2), 1.0, True), "width: expected an int"),
    (lambda: fc.relaxed_ntk(np.eye(3), -1.0, 2), "rank of at most"),
    (lambda: fc.relaxed_ntk([np.diag([1.0, 0.0]), np.eye(2)], 0.0, 1), "rank of at most"),
    (lambda: fc.siblings(fc.random_weights((2, 2, 2), 0), np.ones((2, 2))), "orthogonal"),
    (lambda: fc.siblings(fc.random_weights((2, 2), 0), np.eye(2)), "two matrices"),
    (lambda: fc.siblings(fc.random_weights((2, 2, 2, 2), 0), np.eye(2)), "two matrices"),
    (lambda: fc.siblings(fc.random_weights((2, 2, 2), 0), 1.0), r"turns: expected shape"),
    (lambda: fc.siblings(fc.random_weights((3, 2, 3), 0), np.eye(3)), r"turns: expected shape"),
    (lambda: fc.siblings([np.zeros((2, 2)), np.eye(2)], np.eye(2)), r"weights\[0\]: expected rank"),
    (lambda: fc.random_weights(3, 0), "sizes: expected"),
    (lambda: fc.random_weights((3,), 0), "sizes: expected"),
    (lambda: fc.random_weights((3, 0), 0), "sizes: expected"),
    (lambda: fc.random_weights((3, 2.0), 0), "sizes: expected"),
    (lambda: fc.gradient_flow([np.eye(2)], lcn.Loss(np.sum, lambda w: w[0]), [0, 1]),
     r"loss: expected a gradient of shape \(2, 2\)"),
    (lambda: fc.gradient_flow([np.eye(2)], lcn.QuadraticLoss(np.eye(2)), [1, 0]), "increasing"),
])
def test_bad_input(call, words):
    with pytest.raises(lcn.LCNError, match=words):
        call()


@pytest.mark.parametrize(("shape", "level", "width"), [
    ((2, 3), 2.0, 2), ((3, 2), -2.0, 2), ((4, 5), 0.0, 7), ((4, 2), 2.0, 4)])
def test_relaxed_kernels_of_a_batch(shape, level, width):
    """Two axes of a batch; some hidden units of the last have no part in W."""
    w = np.random.default_rng(0).standard_normal((2, 3, *shape))
    together = fc.relaxed_ntk(w, level, width)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(together[i, j], fc.relaxed_ntk(w[i, j], level, width),
                                   atol=1e-12)


def test_kernels_of_two_batch_axes_and_where_the_rank_drops():
    rng = np.random.default_rng(5)
    w = rng.standard_normal((2, 3, 4, 2))
    many = fc.balanced_ntk(w, 3)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(many[i, j], fc.balanced_ntk(w[i, j], 3), rtol=0, atol=1e-12)
    low = [[3.0, 0.0], [0.0, 0.0]]  # level zero: balanced layers
    relaxed, balanced = fc.relaxed_ntk(low, 0.0, 2), fc.balanced_ntk(low)
    np.testing.assert_allclose(relaxed, balanced, rtol=0, atol=1e-12)


def test_the_family_of_a_balanced_pair_is_its_turns():
    first, second = balanced((3, 2, 4), 0)
    for r in turn(np.array([0.0, 0.3, 2.0])):
        for x, y in zip(fc.siblings([first, second], r), (r @ first, second @ r.T)):
            np.testing.assert_allclose(x, y, atol=1e-12)


def test_a_batch_that_differs_is_named():
    with pytest.raises(lcn.InputError, match=r"weights\[1\]: expected the batch axes \(3,\) of "
                                             r"weights\[0\], got \(2,\)"):
        fc.end_to_end([np.ones((3, 2, 2)), np.ones((2, 2, 2))])


@pytest.mark.parametrize(("sizes", "level", "width"), [
    ((2, 2), 0.0, 1), ((3, 2), 1.0, 2), ((2, 3), -1.0, 2), ((1, 1), 0.0, 1), ((2, 1), 0.5, 1)])
def test_relaxed_kernel_of_the_zero_matrix(sizes, level, width):
    """One factor zero, the other as many equal singular values as the level asks for."""
    n, m = sizes
    first, second = np.zeros((width, n)), np.zeros((m, width))
    (second if level > 0 else first.T)[...] = np.sqrt(abs(level)) * np.eye(max(m, n))[
        : m if level > 0 else n, :width]
    np.testing.assert_allclose(fc.invariants([first, second])[0], level * np.eye(width),
                               atol=1e-15)
    got = fc.relaxed_ntk(np.zeros((m, n)), level, width)
    np.testing.assert_allclose(got, fc.ntk([first, second]), atol=1e-15)


@pytest.mark.parametrize(("w", "level", "width"), [
    (np.zeros((2, 3)), 1.0, 1), (np.zeros((3, 2)), -1.0, 1), (np.diag([1.0, 0, 0]), 1.0, 2),
    ([np.eye(3)[:, :2], np.diag([1.0, 0, 0])[:, :2]], 1.0, 2)])
def test_a_level_and_a_rank_below_the_width_leave_several_kernels(w, level, width):
    """Also where only one matrix of a batch has so low a rank."""
    with pytest.raises(lcn.SingularPointError, match=f"rank {width} of the hidden layer"):
        fc.relaxed_ntk(w, level, width)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_relaxed_kernel_of_a_narrow_layer_between_wide_ones(level):
    """Of so large a W the singular values that are zero are rounded to more than eps."""
    frames = [orthogonal(16, seed)[:, :2] for seed in range(20)]
    for u, v in pairwise(frames):
        first, second = v.T, u * np.sqrt(1 + level)
        got = fc.relaxed_ntk(second @ first, level, 2)
        np.testing.assert_allclose(got, fc.ntk([first, second]), atol=1e-12)


@pytest.mark.parametrize("sizes", [(3, 2), (3, 2, 2)])
def test_what_a_flow_tells_is_that_of_its_weights(sizes):
    """And the loss may answer with lists; the weights that were given stay."""
    w, target = fc.random_weights(sizes, 3), np.arange(6.0).reshape(2, 3)
    given = [x.copy() for x in w]
    exact = lcn.QuadraticLoss(target)
    flow = fc.gradient_flow(w, lcn.Loss(exact.value, lambda v: exact.gradient(v).tolist()),
                            [0.5, 0.75, 1.5])
    assert flow.t.tolist() == [0.5, 0.75, 1.5] and flow.n_evaluations > 10
    assert len(flow.invariants) == len(w) - 1
    for i in range(3):
        now = [x[i] for x in flow.weights]
        v = reduce(lambda a, b: b @ a, now)
        np.testing.assert_allclose(flow.end_to_end[i], v, atol=1e-14)
        np.testing.assert_allclose(flow.loss[i], ((v - target) ** 2).sum() / 2, rtol=1e-13)
        for d, a, b in zip(flow.invariants, now, now[1:]):
            np.testing.assert_allclose(d[i], b.T @ b - a @ a.T, atol=1e-13)
    for x, y, z in zip(w, given, flow.weights):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(z[0], y)
    if len(w) == 1:  # one layer: straight to the target
        want = target + (w[0] - target) * np.exp(-(flow.t - 0.5))[:, None, None]
        np.testing.assert_allclose(flow.end_to_end, want, atol=1e-7)
    start = fc.gradient_flow(w, exact, [2.0])
    np.testing.assert_array_equal(start.end_to_end, fc.end_to_end(w)[None])
    assert start.n_evaluations == 0 and start.loss.shape == (1,)


@pytest.mark.parametrize("factor", [1, True])
def test_a_gradient_of_whole_numbers_or_truth_values(factor):
    """That of the sum of all max(0, w): one layer with positive entries falls at speed one."""
    loss = lcn.Loss(lambda w: np.maximum(w, 0).sum(axis=(-2, -1)), lambda w: (w > 0) * factor)
    flow = fc.gradient_flow([[[3.0, 2.0]]], loss, [0.0, 0.5, 1.5])
    want = np.array([[3.0, 2.0]]) - flow.t[:, None, None]
    np.testing.assert_allclose(flow.end_to_end, want, atol=1e-8)


@pytest.mark.parametrize("method", ["LSODA", "DOP853"])
def test_a_blow_up_is_reported_with_its_time(method):
    """v = w_1 w_2 with loss -v^2/2: w' = w^3 from 1 ends after half a unit of time."""
    loss = lcn.Loss(lambda v: -v[..., 0, 0] ** 2 / 2, lambda v: -v)
    with pytest.raises(lcn.FlowError, match="blows up") as caught:
        fc.gradient_flow([[[1.0]], [[1.0]]], loss, [3.0, 9.0], method=method)
    assert abs(caught.value.time - 3.5) < 1e-6
