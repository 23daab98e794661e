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
    (lambda: relu.function(([1.0], [[1.0, 2.0]]), np.eye(3)), "x: expected points"),
    (lambda: relu.rescale(([0.0], [[1.0, 2.0]]), 1.0), "different from zero"),
    (lambda: relu.rescale(([1.0], [[1.0, 2.0]]), [1.0, 2.0]), "invariants: expected shape"),
    (lambda: relu.recover(lambda x: x[:, 0], n=7), "n: expected an even"),
    (lambda: relu.recover(lambda x: np.ones(3)), "f: expected values"),
    (lambda: relu.gradient_flow(([1.0], [[1.0]]), [[1.0]], [1.0, 2.0], [0, 1]), "y: expected"),
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
