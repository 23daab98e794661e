"""Shallow ReLU networks (S15)."""

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import shallow_relu as relu


def test_kernel_is_the_product_of_the_differentials():
    a, b = relu.random_neurons(3, 2, 0)
    x = np.random.default_rng(1).standard_normal((5, 2))

    def outputs(theta):
        return relu.function((theta[:3], theta[3:].reshape(3, 2)), x)

    theta = np.concatenate([a, b.ravel()])
    steps = 1e-6 * np.eye(9)
    j = np.array([(outputs(theta + h) - outputs(theta - h)) / 2e-6 for h in steps]).T
    np.testing.assert_allclose(relu.ntk((a, b), x), j @ j.T, atol=1e-8)
    np.testing.assert_allclose(relu.ntk((a, b), x, x[:2]), relu.ntk((a, b), x)[:, :2])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_rescaling_keeps_the_function(scale):
    a, b = relu.random_neurons(4, 3, 2, (2,))
    a, b = a * scale, b * scale
    x = np.random.default_rng(3).standard_normal((6, 3))
    delta = np.array([-1.0, 0.0, 2.0, 5.0]) * scale**2
    new = relu.rescale((a, b), delta)
    np.testing.assert_allclose(relu.function(new, x), relu.function((a, b), x), rtol=0,
                               atol=1e-13 * scale**2 * 10)
    np.testing.assert_allclose(relu.invariants(new), np.broadcast_to(delta, (2, 4)), rtol=0,
                               atol=1e-13 * scale**2 * 10)
    back = relu.rescale(new, relu.invariants((a, b)))
    np.testing.assert_allclose(back[1], b, rtol=1e-10)


@pytest.mark.parametrize("neurons", [
    ([1.0, 0.0], [[1.0, 2.0], [1.0, 0.0]]), ([1.0, 2.0], [[0.0, 0.0], [1.0, 0.0]])])
def test_one_zero_among_the_neurons_is_refused(neurons):
    for level in (-1.0, 0.0, 1.0):
        with pytest.raises(lcn.ZeroFilterError, match="different from zero"):
            relu.rescale(neurons, level)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_a_neuron_whose_norms_leave_double_precision(size):
    """Refused where a |b| does; what is in range is right though squares of its entries are not."""
    with pytest.raises(lcn.InputError, match="leave double precision"):
        relu.rescale(([1.0, size], [[1.0, 2.0], [size, size]]), 0.0)
    a, b = relu.rescale(([1 / size], [[3 * size, -4 * size]]), 0.0)
    np.testing.assert_allclose([a[0], *b[0]], np.sqrt(5) * np.array([1, 0.6, -0.8]), rtol=1e-14)


def test_rescaling_towards_huge_invariants_does_not_cancel():
    a, b = relu.rescale(([1.0], [[1.0, 0.0]]), [1e16])
    assert abs(a[0] - 1e8) < 1 and abs(b[0, 0] * a[0] - 1) < 1e-14


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("seed", range(12))
def test_function_and_invariants_determine_the_neurons(seed, scale):
    m = 2 + seed % 5
    a, b = relu.rescale(relu.random_neurons(m, 2, seed), 0.5)
    a, b = a * scale, b * scale
    got_a, got_b = relu.recover(lambda x: relu.function((a, b), x), 0.5 * scale**2)
    order = np.argsort(np.mod(np.arctan2(b[:, 1], b[:, 0]) + np.pi / 2, np.pi))
    # Angles near 0 and pi may change places: compare as sets.
    mine = np.column_stack([a, b]) / scale
    his = np.column_stack([got_a, got_b]) / scale
    assert len(his) == m == len(order)
    for row in mine:
        assert np.abs(his - row).max(axis=1).min() < 1e-7


def line(b):
    """The angle of the line on which a neuron has its kink, in [0, pi)."""
    return np.mod(np.arctan2(b[..., 1], b[..., 0]) + np.pi / 2, np.pi)


@pytest.mark.parametrize(("m", "n"), [(1, 8), (3, 64), (16, 4096)])
def test_neurons_come_in_the_order_of_their_lines(m, n):
    """From the coarsest grid to the largest number of neurons."""
    angle = np.pi * (np.arange(m) + 0.5) / m + 0.1
    side = (-1.0) ** np.random.default_rng(m).integers(0, 2, m)
    b = side[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    a, b = relu.rescale((np.random.default_rng(0).uniform(-2, 2, m), b), -0.3)
    order = np.argsort(line(b))
    got = relu.recover(lambda x: relu.function((a, b), x), -0.3, n=n)
    np.testing.assert_allclose(got[0], a[order], rtol=1e-6)
    np.testing.assert_allclose(got[1], b[order], atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-4])
def test_a_line_at_angle_zero_comes_first(angle):
    b = np.array([[-np.sin(angle), np.cos(angle)], [1.0, 1.0], [1.0, -0.5]])
    a, b = relu.rescale(([1.0, 2.0, -1.0], b), 0.0)
    got = relu.recover(lambda x: relu.function((a, b), x))
    order = [0, 2, 1]
    np.testing.assert_allclose(got[0], a[order], atol=1e-6)
    np.testing.assert_allclose(got[1], b[order], atol=1e-6)


def test_a_function_without_kinks_has_no_neurons():
    """Zero is the sum of none; a linear function, which has no kink either, is no network."""
    a, b = relu.recover(lambda x: np.zeros(len(x)))
    assert a.shape == (0,) and b.shape == (0, 2)
    with pytest.raises(lcn.AmbiguousFactorizationError, match="no choice of sides"):
        relu.recover(lambda x: x[:, 0])


def test_a_small_neuron_beside_a_large_one_is_found():
    b = np.array([[0.3, 1.0], [1.0, 0.2]])
    a, b = relu.rescale(([1.0, -1e-4], b), 0.0)
    got = relu.recover(lambda x: relu.function((a, b), x))
    np.testing.assert_allclose(got[0], a[::-1], rtol=1e-6)
    np.testing.assert_allclose(got[1], b[::-1], rtol=1e-6)


@pytest.mark.parametrize(("angles", "n"), [
    ([0.5, 0.5 + 2 * np.pi / 64], 64),  # in neighbouring arcs
    ([np.pi / 2 - np.pi / 64, np.pi / 2 + 1.4 * np.pi / 64], 64),  # lines at both ends of [0, pi)
    (np.pi * (np.arange(17) + 0.5) / 17, 4096)])
def test_kinks_too_close_or_too_many_are_refused(angles, n):
    b = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    with pytest.raises(lcn.InputError, match="pass a larger n"):
        relu.recover(lambda x: relu.function((1.0 + np.arange(len(b)), b), x), n=n)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_what_is_no_network_is_refused(scale):
    """Neurons with an odd cubic term that no choice of sides explains."""
    with pytest.raises(lcn.AmbiguousFactorizationError, match="no choice of sides"):
        relu.recover(lambda x: scale * (relu.function(([1.0], [[1.0, 0.3]]), x) + x[:, 0]))


def test_sides_that_cannot_be_told():
    # |x_0| + |x_0| turned: a_j b_j sum to zero, so that both sides give one function.
    b = np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])
    f = [relu.function((np.ones(3), s * b), np.eye(2)) for s in (1, -1)]
    assert np.allclose(*f)
    with pytest.raises(lcn.AmbiguousFactorizationError, match="several choices"):
        relu.recover(lambda x: relu.function((np.ones(3), b), x))


def test_parallel_neurons_are_not_determined():
    x = np.random.default_rng(0).standard_normal((5, 2))
    pairs = []
    for share in (0.3, 0.5):
        c = np.array([share, 1 - share])
        pairs.append(relu.rescale((np.ones(2), c[:, None] * np.array([[1.0, 2.0]])), [1.0, -1.0]))
    np.testing.assert_allclose(relu.function(pairs[0], x), relu.function(pairs[1], x), atol=1e-14)
    assert np.abs(relu.ntk(pairs[0], x) - relu.ntk(pairs[1], x)).max() > 0.05


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_flow_conserves(scale):
    a, b = relu.random_neurons(4, 2, 7)
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((8, 2)), rng.standard_normal(8) * scale**2
    flow = relu.gradient_flow((a * scale, b * scale), x, y, np.linspace(0, 1, 6) / scale**2)
    drift = np.abs(flow.invariants - flow.invariants[0]).max()
    assert drift < 1e-6 * scale**2
    assert (np.diff(flow.loss) <= 0).all()


def test_a_flow_that_slides_along_a_kink_is_refused():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((8, 2)), rng.standard_normal(8)
    with pytest.raises(lcn.FlowError, match="slides along the kink") as caught:
        relu.gradient_flow(relu.random_neurons(4, 2, 9), x, y, [0, 1])
    assert 0.2 < caught.value.time < 0.3


@pytest.mark.parametrize("call, words", [
    (lambda: relu.function(3, np.eye(2)), "neurons: expected the pair"),
    (lambda: relu.function(([1.0], [[1.0, 2.0], [3.0, 4.0]]), np.eye(2)), "neurons: expected shap"),
    (lambda: relu.function((1.0, [1.0]), [[1.0]]), "neurons: expected shap"),
    (lambda: relu.function(([], np.ones((0, 2))), np.eye(2)), "neurons: expected shap"),
    (lambda: relu.function(([1.0], [[1.0, 2.0]]), np.eye(3)), "x: expected points"),
    (lambda: relu.function(([1.0], [[1.0, 2.0]]), [1.0, 2.0]), "x: expected points"),
    (lambda: relu.function(([1.0], [[1.0, 2.0]]), [np.eye(2)]), "x: expected points"),
    (lambda: relu.ntk(([1.0], [[1.0, 2.0]]), np.eye(2), [1.0, 2.0]), "other: expected points"),
    (lambda: relu.rescale(([0.0], [[1.0, 2.0]]), 1.0), "different from zero"),
    (lambda: relu.rescale(([1.0], [[1.0, 2.0]]), [1.0, 2.0]), "invariants: expected shape"),
    (lambda: relu.recover(lambda x: x[:, 0], n=6), "n: expected an even"),
    (lambda: relu.recover(lambda x: x[:, 0], n=9), "n: expected an even"),
    (lambda: relu.recover(lambda x: x[:, 0], n=True), "n: expected an even"),
    (lambda: relu.recover(lambda x: x[:, 0], n=64.0), "n: expected an even"),
    (lambda: relu.recover(lambda x: np.ones(3)), "f: expected values"),
    (lambda: relu.recover(lambda x: x[:, 0], np.nan), "invariants: expected finite"),
    (lambda: relu.recover(lambda x: x[:, 0], [1.0, 2.0]), "invariants: expected a number"),
    (lambda: relu.gradient_flow(([1.0], [[1.0]]), [[1.0]], [1.0, 2.0], [0, 1]), "y: expected"),
    (lambda: relu.gradient_flow(([[1.0]], [[[1.0]]]), [[1.0]], [1.0], [0, 1]), "batch axes"),
    (lambda: relu.gradient_flow(([1.0], [[1.0]]), [[1.0]], [1.0], [1, 0]), "increasing"),
    (lambda: relu.gradient_flow(([1.0], [[1.0]]), [[1.0]], [1.0], [0, 1, 1]), "increasing"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_on_a_kink_every_slope_keeps_the_invariants(slope):
    """Sliding is refused for the kernel's sake: it has no one value; the law does not care."""
    rng = np.random.default_rng(4)
    a, b, x, y = rng.normal(size=3), rng.normal(size=(3, 2)), rng.normal(size=(5, 2)), np.ones(5)
    x[0] = [-b[1, 1], b[1, 0]]  # on the kink of the second neuron
    hidden = x @ b.T
    hidden[0, 1] = 0.0
    active = np.where(hidden > 0, 1.0, np.where(hidden < 0, 0.0, slope))
    error = np.maximum(hidden, 0) @ a - y
    da, db = -error @ np.maximum(hidden, 0), -a[:, None] * ((active * error[:, None]).T @ x)
    assert np.abs(a * da - (b * db).sum(axis=1)).max() < 1e-14
    # The kernel of the point with itself, where only the second neuron's part is in question.
    with_it, without = active[0] * a, active[0] * a * (hidden[0] > 0)
    more = (x[0] @ x[0]) * (with_it @ with_it - without @ without)
    assert more == pytest.approx(slope**2 * a[1] ** 2 * (x[0] @ x[0]))


def test_at_a_kink_the_slope_is_zero():
    """In the kernel, in its first and its second points; and in the flow, which stays there."""
    neuron, kink, beside = ([2.0], [[1.0, 0.0]]), [[0.0, 1.0]], [[3.0, 1.0]]
    assert relu.ntk(neuron, kink, beside) == relu.ntk(neuron, beside, kink) == 0
    assert relu.ntk(neuron, beside) == 9 + 4 * 10
    flow = relu.gradient_flow(neuron, kink, [5.0], [0.0, 1.0])
    assert flow.output.tolist() == [[0.0], [0.0]] and flow.b.tolist() == [[[1.0, 0.0]]] * 2


def test_what_a_flow_tells_is_that_of_its_neurons():
    """The velocity is that of the kernel: df/dt = -K (f - y)."""
    (a, b), rng = relu.random_neurons(3, 2, 1), np.random.default_rng(2)
    x, y = rng.standard_normal((4, 2)), rng.standard_normal(4)
    given, h = [z.copy() for z in (a, b, x, y)], 1e-5
    flow = relu.gradient_flow((a, b), x, y, [0.5, 0.5 + h, 0.5 + 2 * h], rtol=1e-12)
    assert flow.t[0] == 0.5 and flow.n_evaluations > 3
    f = np.maximum(flow.b @ x.T, 0)
    f = np.einsum("tm,tmn->tn", flow.a, f)
    np.testing.assert_allclose(flow.output, f, atol=1e-14)
    np.testing.assert_allclose(flow.loss, ((f - y) ** 2).sum(axis=1) / 2, rtol=1e-13)
    np.testing.assert_allclose(flow.invariants, flow.a**2 - (flow.b**2).sum(axis=2), atol=1e-14)
    slope = (-3 * f[0] + 4 * f[1] - f[2]) / (2 * h)
    np.testing.assert_allclose(slope, -relu.ntk((a, b), x) @ (f[0] - y), atol=1e-5)
    for z, kept in zip((a, b, x, y), given):
        np.testing.assert_array_equal(z, kept)


def test_a_flow_of_far_more_evaluations_than_usual_is_not_taken_to_slide():
    """One neuron on one point, a = |b|: its output f follows f' = 2 f (4 - f)."""
    t = np.linspace(0, 1, 4)
    flow = relu.gradient_flow(([1.0], [[1.0, 0.0]]), [[1.0, 0.0]], [4.0], t, method="RK45",
                              max_step=1 / 2000)
    assert flow.n_evaluations > 12_000
    np.testing.assert_allclose(flow.output[:, 0], 4 / (1 + 3 * np.exp(-8 * t)), rtol=1e-9)
