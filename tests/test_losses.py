"""Quadratic losses, from data too (S14)."""

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN, InputError, Loss, QuadraticLoss

from .cases import NAMED


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("lead", [(2, 3), (60,), (1,)])
def test_loss_from_data_is_the_squared_error(name, lead):
    net = NAMED[name]
    rng = np.random.default_rng(0)
    # The last has one window only.
    longer = {(60,): 120 if net.ndim == 1 else 9, (1,): 0}.get(lead, 7)
    x = rng.standard_normal((*lead, *(n + longer for n in net.end_to_end_shape)))
    teacher = lcn.random_filters(net, rng)
    y = lcn.apply(net, teacher, x)
    y = y + 0.1 * rng.standard_normal(y.shape)
    loss = QuadraticLoss.from_data(net, x, y)
    for seed in range(3):
        w = lcn.random_filters(net, seed)
        error = 0.5 * ((lcn.apply(net, w, x) - y) ** 2).sum()
        v = lcn.end_to_end(net, w)
        assert abs(loss.value(v) + loss.constant - error) <= 1e-11 * error


def test_loss_from_data_so_long_that_windows_are_laid_out_in_pieces():
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal(48), rng.standard_normal((2, 50_000))
    y = np.stack([np.correlate(row, w) for row in x]) + rng.standard_normal((2, 49_953))
    loss = QuadraticLoss.from_data(LCN((48,)), x, y)
    for v in (w, rng.standard_normal(48)):
        error = 0.5 * sum(((np.correlate(a, v) - b) ** 2).sum() for a, b in zip(x, y))
        assert abs(loss.value(v) + loss.constant - error) <= 1e-10 * error


def test_least_squares_target_when_the_windows_span():
    net = LCN((3, 2), 2)
    rng = np.random.default_rng(1)
    w = lcn.random_filters(net, rng)
    x = rng.standard_normal((4, 60))
    loss = QuadraticLoss.from_data(net, x, lcn.apply(net, w, x))
    np.testing.assert_allclose(loss.target, lcn.end_to_end(net, w), atol=1e-12)
    assert abs(loss.constant) < 1e-9 and np.linalg.eigvalsh(loss.weight)[0] > 1


def test_gradient_is_the_derivative_of_value():
    rng = np.random.default_rng(2)
    a = rng.standard_normal((6, 6))
    loss = QuadraticLoss(rng.standard_normal((2, 3)), a @ a.T)
    v, d = rng.standard_normal((2, 5, 2, 3))
    # The value is quadratic, so central differences are exact up to rounding.
    slope = (loss.value(v + d) - loss.value(v - d)) / 2
    np.testing.assert_allclose((loss.gradient(v) * d).sum(axis=(1, 2)), slope, rtol=1e-12)
    assert loss.value(v).shape == (5,) and loss.value(loss.target) == 0
    plain = QuadraticLoss([1.0, 2.0])
    np.testing.assert_array_equal(plain.gradient([3.0, 3.0]), [2.0, 1.0])
    assert plain.value([3.0, 3.0]) == 2.5


@pytest.mark.parametrize(
    ("target", "weight", "words"),
    [
        (1.0, None, r"one number for each entry.*got shape \(\)"),
        ([], None, r"one number for each entry.*got shape \(0,\)"),
        ([np.nan, 1], None, "finite"),
        ([1, 2], [[1]], r"expected shape \(2, 2\).*got \(1, 1\)"),
        ([1, 2], [[1, 1], [0, 1]], "symmetric"),
        ([1, 2], [[1, 0], [0, -1]], "eigenvalue -1"),
    ],
)
def test_bad_losses(target, weight, words):
    with pytest.raises(lcn.InputError, match=words):
        QuadraticLoss(target, weight)


def test_bad_data_and_filters():
    net = LCN((2, 2), 2)
    with pytest.raises(lcn.InputError, match="x: expected 1 trailing"):
        QuadraticLoss.from_data(net, np.ones(3), np.ones(1))
    with pytest.raises(lcn.InputError, match="x: expected 2 trailing"):
        QuadraticLoss.from_data(LCN([(2, 2)]), np.ones(8), np.ones(7))
    with pytest.raises(lcn.InputError, match=r"y: expected shape \(2,\).*got \(3,\)"):
        QuadraticLoss.from_data(net, np.ones(8), np.ones(3))
    with pytest.raises(InputError, match="net: expected an LCN"):
        QuadraticLoss.from_data((3, 2), np.ones(8), np.ones(3))
    with pytest.raises(lcn.InputError, match=r"at least one signal, got shape \(0, 8\)"):
        QuadraticLoss.from_data(net, np.ones((0, 8)), np.ones((0, 2)))
    with pytest.raises(lcn.InputError, match="v: expected shape"):
        QuadraticLoss([1.0, 2.0]).value([1.0, 2.0, 3.0])


def test_a_loss_from_two_functions():
    target = np.array([1.0, 2.0, 0.5])
    loss = Loss(lambda v: 0.5 * ((v - target) ** 2).sum(axis=-1), lambda v: v - target)
    same = QuadraticLoss(target)
    net, w = LCN((2, 2)), [[[1.0, 0.5], [0.3, -1.0]], [[0.2, 0.4], [1.0, 1.0]]]
    flows = [lcn.gradient_flow(net, ell, w, [0.5, 1.0, 2.0]) for ell in (loss, same)]
    assert np.abs(flows[0].end_to_end - flows[1].end_to_end).max() < 1e-7
    assert np.abs(flows[0].loss - flows[1].loss).max() < 1e-7


def test_a_loss_wants_functions():
    with pytest.raises(InputError, match=r"gradient: expected a function of v, got float"):
        Loss(lambda v: v, 3.0)
    with pytest.raises(InputError, match=r"value: expected a function of v, got float"):
        Loss(3.0, lambda v: v)


def test_only_data_have_a_constant():
    assert QuadraticLoss([1.0, 2.0]).constant == QuadraticLoss([1.0], [[2.0]]).constant == 0.0


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_symmetry_of_a_weight_is_relative(scale):
    weight = scale * np.array([[2.0, 1], [1, 3]])
    rounded = weight * np.array([[1, 1 + 1e-13], [1, 1]])
    assert np.array_equal(QuadraticLoss([1, 2], rounded).weight, (rounded + rounded.T) / 2)
    with pytest.raises(InputError, match="symmetric"):
        QuadraticLoss([1, 2], weight * np.array([[1, 1 + 1e-9], [1, 1]]))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_weight_is_semidefinite_relative_to_its_size(scale):
    """Rounded zeros among its eigenvalues are none below zero; a small one below zero is."""
    for weight in (np.zeros((2, 2)), np.ones((2, 2)), np.ones((200, 200))):
        target = np.arange(len(weight)) + 1.0
        loss = QuadraticLoss(target, scale * weight)
        value = 0.5 * scale * weight[0, 0] * target.sum() ** 2
        np.testing.assert_allclose(loss.value(0 * target), value, rtol=1e-12)
    with pytest.raises(InputError, match="semidefinite"):
        QuadraticLoss([1.0, 2.0], scale * np.diag([1.0, -1e-6]))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_few_data_have_the_least_filter(scale):
    """From one window, and from the same window again in other sizes; a long one, too."""
    rng = np.random.default_rng(3)
    for size in (1, 2, 40):
        x, factors = rng.standard_normal(size), np.array([1.0, -2.0, 0.5])
        signals = scale * factors[:, None] * x
        for data, goals in ((signals[0], [3.0]), (signals, 3.0 * factors[:, None])):
            loss = QuadraticLoss.from_data(LCN((size,)), data, goals)
            np.testing.assert_allclose(loss.target, 3.0 * x / (x @ x) / scale, rtol=1e-10,
                                       atol=1e-11 / scale)
            assert abs(loss.constant) < 1e-11
