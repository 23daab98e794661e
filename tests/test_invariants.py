"""Invariants and the scaling fibre: Proposition 2 (S2, S3)."""

import mpmath
import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN

from .cases import NAMED


def test_invariants_by_hand_and_in_batches():
    net = LCN((2, 1, 2), 2)
    w = [[3, 4], [1], [0, 2]]
    np.testing.assert_array_equal(lcn.invariants(net, w), [-24, 3])
    batch = [np.stack([np.array(x, float), 2 * np.array(x, float)]) for x in w]
    np.testing.assert_array_equal(lcn.invariants(net, batch), [[-24, 3], [-96, 12]])
    assert lcn.invariants(LCN((3,)), [[1, 2, 3]]).shape == (0,)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1.0, 1e20, 1e150])
def test_rescale_reaches_the_invariants_and_keeps_the_directions(name, scale):
    net = NAMED[name]
    rng = np.random.default_rng(5)
    filters = [scale * w for w in lcn.random_filters(net, rng, batch=(7,))]
    goal = scale**2 * rng.standard_normal((7, net.depth - 1)) * 3
    new = lcn.rescale(net, filters, goal)
    largest = max(np.abs(w).max() for w in new) ** 2 * max(w[0].size for w in new)
    np.testing.assert_allclose(lcn.invariants(net, new), goal, rtol=0, atol=4e-15 * largest)
    logs = 0
    for a, b in zip(filters, new):
        ratio = b / a
        flat = ratio.reshape(7, -1)
        assert (flat > 0).all()
        np.testing.assert_allclose(flat / flat[:, :1], 1, rtol=1e-15)  # one factor each
        logs = logs + np.log(flat[:, 0])
    np.testing.assert_allclose(logs, 0, atol=1e-12)


def mp_product_and_invariants(lam, norms, delta):
    with mpmath.workdps(60):
        product = mpmath.mpf(1)
        for x in lam:
            product *= mpmath.mpf(float(x))
        squares = [(mpmath.mpf(float(x)) * mpmath.mpf(float(n))) ** 2 for x, n in zip(lam, norms)]
        largest = max(squares)
        off = [abs(b - a - mpmath.mpf(float(d))) / largest
               for a, b, d in zip(squares, squares[1:], delta)]
        return float(product - 1), float(max(off, default=mpmath.mpf(0)))


def test_rescale_is_exact_at_any_scale_and_depth():
    """Product one to a few eps, whatever the scale; 60 digits decide."""
    rng = np.random.default_rng(0)
    tried = 0
    for trial in range(200):
        depth = int(rng.integers(1, 51))
        spread = 150 if trial % 2 else 2
        norms = 10.0 ** rng.uniform(-spread, spread, depth)
        delta = 10.0 ** rng.uniform(-2 * spread, 2 * spread, depth - 1)
        delta *= rng.choice([-1, 1], depth - 1)
        if trial % 5 == 0:
            delta[:] = 0
        net = LCN((1,) * depth)
        try:
            lam = lcn.scalings(net, norms[:, None], delta)[0] if depth < 8 else np.array(
                [float(b[0] / a) for a, b in zip(norms, lcn.rescale(net, norms[:, None], delta))])
        except lcn.InputError as error:
            assert "double precision" in str(error)  # the answer itself is beyond 1e+-308
            continue
        tried += 1
        product, off = mp_product_and_invariants(lam, norms, delta)
        assert abs(product) <= 4e-16 * (depth + 4) and off <= 4e-15
    assert tried > 120


def test_rescale_keeps_the_end_to_end_filter():
    net = NAMED["mixed 2-D"]
    w = lcn.random_filters(net, 1)
    v = lcn.end_to_end(net, w)
    new = lcn.end_to_end(net, lcn.rescale(net, w, [5.0, -7.0]))
    np.testing.assert_allclose(new, v, rtol=0, atol=1e-14 * np.abs(v).max())


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_scalings_are_all_of_them(depth):
    net = LCN((2,) * depth, 2)
    w = lcn.random_filters(net, depth)
    goal = np.random.default_rng(0).standard_normal(depth - 1)
    lam = lcn.scalings(net, w, goal)
    assert lam.shape == (2 ** (depth - 1), depth)
    assert len(np.unique(np.sign(lam), axis=0)) == len(lam)
    np.testing.assert_allclose(lam.prod(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.abs(lam), np.abs(lam[:1]) * np.ones((len(lam), 1)))
    assert (lam[0] > 0).all()
    for row in lam:
        moved = [x * f for x, f in zip(w, row)]
        np.testing.assert_allclose(lcn.invariants(net, moved), goal, atol=1e-13)
        np.testing.assert_allclose(lcn.end_to_end(net, moved), lcn.end_to_end(net, w), atol=1e-13)


def test_the_positive_solution_in_closed_form_for_two_layers():
    # |w_1|^2 = a, |w_2|^2 = b: x(x + delta) = ab
    net = LCN((1, 1))
    lam = lcn.scalings(net, [[2.0], [3.0]], [1.0])[0]
    x = (-1 + np.sqrt(1 + 4 * 36)) / 2
    np.testing.assert_allclose(lam, [np.sqrt(x) / 2, np.sqrt(x + 1) / 3], rtol=1e-15)


def test_scaling_errors():
    net = LCN((2, 2), 2)
    with pytest.raises(lcn.ZeroFilterError, match=r"filters\[1\].*non-zero.*got zero;"):
        lcn.rescale(net, [[1, 2], [0, 0]], [0])
    stack = [np.ones((3, 2)), np.array([[1.0, 0], [0, 0], [1, 1]])]
    with pytest.raises(lcn.ZeroFilterError, match=r"batch index \(1,\)"):
        lcn.rescale(net, stack, [0])
    stacks = [np.stack([np.ones_like(w), w]) for w in stack]
    with pytest.raises(lcn.ZeroFilterError, match=r"filters\[1\].*batch index \(1, 1\)"):
        lcn.rescale(net, stacks, [0])
    with pytest.raises(lcn.InputError, match=r"invariants: expected shape \(\.\.\., 1\)"):
        lcn.rescale(net, [[1, 2], [1, 0]], [0, 1])
    with pytest.raises(lcn.InputError, match="broadcast"):
        lcn.rescale(net, stack, np.zeros((2, 1)))
    with pytest.raises(lcn.InputError, match="finite"):
        lcn.scalings(net, [[1, 2], [1, 0]], [np.nan])
    with pytest.raises(lcn.InputError, match="depth of at most"):
        lcn.scalings(LCN((1,) * 22), np.ones((22, 1)), np.zeros(21))
    with pytest.raises(lcn.InputError, match="filters: expected 21 arrays"):  # 21 are few enough
        lcn.scalings(LCN((1,) * 21), [], np.zeros(20))
    with pytest.raises(lcn.InputError, match="overflows"):
        lcn.invariants(net, [[1e200, 0], [1, 1]])


def test_factors_that_underflow_are_refused():
    """Though all of them are finite."""
    with pytest.raises(lcn.InputError, match="leave double precision"):
        lcn.rescale(LCN((1, 1, 1)), [[1e230], [1e-235], [1e-235]], [0.0, 0.0])


@pytest.mark.parametrize("delta", [1.0, 5.0, 30.0])
def test_one_light_layer_among_sixty(delta):
    """Newton's method crosses many kinks at once."""
    net = LCN((1,) * 60)
    w = [[1.0], *[[np.sqrt(1 + delta)]] * 59]
    start = lcn.rescale(net, w, np.zeros(59))
    again = np.ravel(lcn.rescale(net, start, [delta, *[0.0] * 58]))
    np.testing.assert_allclose(again, np.ravel(w), rtol=1e-12)


def test_the_fibre_of_a_batch_with_two_axes():
    """Each point its own goal, or one goal for all."""
    net = LCN((2, 3, 1), 2)
    w = lcn.random_filters(net, 0, (2, 3))
    for goal in (np.random.default_rng(1).standard_normal((2, 3, 2)), np.array([2.0, -1.0])):
        lam, new = lcn.scalings(net, w, goal), lcn.rescale(net, w, goal)
        assert lam.shape == (2, 3, 4, 3)
        for i in np.ndindex(2, 3):
            one = [x[i] for x in w]
            delta = np.broadcast_to(goal, (2, 3, 2))[i]
            np.testing.assert_allclose(lam[i], lcn.scalings(net, one, delta), rtol=1e-13)
            for x, y, z in zip(new, one, lam[i][0]):
                np.testing.assert_allclose(x[i], y * z, rtol=1e-13)
