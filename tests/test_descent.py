"""Discrete training: exact drift of the invariants, and the limit of small steps."""

from itertools import pairwise

import numpy as np
import pytest

import lcnlib as lcn

from .cases import NAMED


def problem(net, seed, batch=()):
    rng = np.random.default_rng(seed)
    loss = lcn.QuadraticLoss(rng.standard_normal(net.end_to_end_shape))
    return loss, [0.6 * w for w in lcn.random_filters(net, rng, batch)]


@pytest.mark.parametrize("name", NAMED)
def test_one_step_and_its_drift(name):
    """delta changes by step^2 (|grad_{i+1}|^2 - |grad_i|^2), exactly."""
    net = NAMED[name]
    loss, start = problem(net, 0, (3,))
    gradient = lcn.vjp(net, start, loss.gradient(lcn.end_to_end(net, start)))
    run = lcn.gradient_descent(net, loss, start, 0.01, 1)
    for w, w0, g in zip(run.filters, start, gradient):
        np.testing.assert_allclose(w[1], w0 - 0.01 * g, rtol=0, atol=1e-15 * np.abs(w0).max())
    squares = np.array([(g.reshape(3, -1) ** 2).sum(axis=1) for g in gradient])
    want = 0.01**2 * np.diff(squares, axis=0).T
    got = run.invariants[1] - run.invariants[0]
    size = max(float((w * w).reshape(3, -1).sum(1).max()) for w in start)
    np.testing.assert_allclose(got, want, atol=4e-16 * 10 * size)


def test_record_and_batch_as_single():
    net = lcn.LCN((3, 2), 2)
    loss, start = problem(net, 1, (2, 4))
    run = lcn.gradient_descent(net, loss, start, 0.02, 50, momentum=0.5)
    assert run.end_to_end.shape == (51, 2, 4, 5) and run.loss.shape == (51, 2, 4)
    assert run.invariants.shape == (51, 2, 4, 1) and run.success
    np.testing.assert_array_equal(run.t, 0.02 * np.arange(51))
    for b in np.ndindex(2, 4):
        one = lcn.gradient_descent(net, loss, [w[b] for w in start], 0.02, 50, momentum=0.5)
        np.testing.assert_allclose(run.end_to_end[:, *b], one.end_to_end, rtol=0, atol=1e-13)


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_converges_to_the_flow_at_first_order(momentum):
    net = lcn.LCN((3, 2), 2)
    loss, start = problem(net, 2)
    errors = []
    for n in (500, 1000, 2000):
        run = lcn.gradient_descent(net, loss, start, (1 - momentum) / n, n, momentum)
        want = lcn.gradient_flow(net, loss, start, [0, 1.0]).end_to_end[-1]
        errors.append(np.linalg.norm(run.end_to_end[-1] - want))
    for a, b in pairwise(errors):
        assert 1.9 < a / b < 2.1


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1.0, 1e8])
def test_any_scale(scale):
    """Filters c w, target c^2 v, step s / c^2: the same run, c times as large."""
    net = lcn.LCN((3, 2), 2)
    loss, start = problem(net, 3)
    plain = lcn.gradient_descent(net, loss, start, 0.05, 100).filters
    big = lcn.QuadraticLoss(scale**2 * loss.target)
    run = lcn.gradient_descent(net, big, [scale * w for w in start], 0.05 / scale**2, 100)
    for a, b in zip(run.filters, plain):
        np.testing.assert_allclose(a / scale, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [
    lambda x: x.astype(np.float32), lambda x: x.astype(int), lambda x: x.astype(object),
    np.ndarray.tolist], ids=["float32", "int", "object", "list"])
def test_numbers_of_any_type_from_a_loss(kind):
    """Small whole ones, held by all types; the record is in double precision."""
    net, loss = lcn.LCN((2, 1), 2), lcn.QuadraticLoss([4.0, 2])
    same = lcn.Loss(*(lambda v, f=f: kind(np.asarray(f(v))) for f in (loss.value, loss.gradient)))
    start = [np.array([[2, 4], [-6, 2]]), np.array([[2], [1]])]
    for batch in (slice(None), 1):
        run, want = (lcn.gradient_descent(net, x, [w[batch] for w in start], 1, 1)
                     for x in (same, loss))
        assert run.loss.dtype == float
        np.testing.assert_array_equal(run.loss, want.loss)
        np.testing.assert_array_equal(run.end_to_end, want.end_to_end)


@pytest.mark.parametrize(("start", "step", "finite"), [(1e60, 1e-80, 0), (2.0, 1e30, 1),
                                                       (2.0, 1e160, 0)])
def test_the_last_finite_state(start, step, finite):
    """k = (1, 1): first the loss of a finite v overflows, or v itself."""
    net, loss = lcn.LCN((1, 1)), lcn.QuadraticLoss([1.0])
    for n_steps in (finite + 1, finite + 5):
        with pytest.raises(lcn.FlowError, match=f"blow-up in step {finite + 1},") as caught:
            lcn.gradient_descent(net, loss, [[start], [start]], step, n_steps)
        assert caught.value.time == finite * step
    if finite:
        run = lcn.gradient_descent(net, loss, [[start], [start]], step, finite)
        assert np.isfinite(run.loss).all() and run.t[-1] == finite * step


def test_the_edge_of_stability():
    """k = (1, 1) at the minimum (1, 1): the step 2 / 2 = 1 is the largest stable one."""
    net, loss = lcn.LCN((1, 1)), lcn.QuadraticLoss([1.0])
    near = [[1.001], [1.001]]
    assert lcn.gradient_descent(net, loss, near, 0.9, 200).loss[-1] < 1e-20
    assert lcn.gradient_descent(net, loss, near, 1.05, 200).loss[-1] > 1e-4


def test_blow_up_and_bad_input():
    net = lcn.LCN((3, 2), 2)
    loss, start = problem(net, 4)
    with pytest.raises(lcn.FlowError, match="step: expected") as e:
        lcn.gradient_descent(net, loss, start, 50.0, 100)
    assert 0 <= e.value.time < 5000
    for arguments, word in (((0.0, 5), "step"), ((float("nan"), 5), "step"), ((0.1, 0), "n_steps"),
                            ((0.1, 2.5), "n_steps"), ((0.1, 5, 1.0), "momentum"),
                            (("a", 5), "step")):
        with pytest.raises(lcn.InputError, match=f"{word}: expected"):
            lcn.gradient_descent(net, loss, start, *arguments)
    for bad in (lcn.QuadraticLoss([1.0]), lcn.Loss(loss.value, lambda v: v[:1]), None):
        with pytest.raises(lcn.InputError, match=r"expected .* got"):
            lcn.gradient_descent(net, bad, start, 0.1, 5)
