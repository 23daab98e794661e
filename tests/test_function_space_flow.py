"""The flow in function space alone (S7), and where it ends (S8)."""


import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss

from .cases import NAMED
from .test_flow import problem

NETS = [
    LCN((3, 2), 2),
    LCN((2, 2, 2), 2),
    LCN((3, 3, 2), 2),
    LCN((4, 3), 3),
    LCN((2, 3, 2), (2, 3, 1)),
    LCN([(2, 2), (2, 3)]),
    LCN([(3, 3), (2, 2)], 2),
    LCN([(3, 2), (2, 3)], [(2, 1), 1]),
    LCN([(2, 1, 2), (1, 2, 2)]),
    LCN([(3, 3), (3, 3)]),
]


def without_guess(net):
    """Interchangeable layers at generic invariants have several kernels: those need a guess."""
    return len(set(zip(net.filter_shapes, net.cumulative_strides))) == net.depth


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("net", NETS, ids=str)
def test_both_flows_agree(net, seed):
    """Fifty random problems, to 100 times the tolerance."""
    rtol = 1e-9
    loss, start = problem(net, 100 + seed)
    t = np.linspace(0, 4, 5)
    a = lcn.gradient_flow(net, loss, start, t, rtol=rtol)
    guess = None if without_guess(net) else start
    b = lcn.function_space_flow(
        net, loss, a.end_to_end[0], a.invariants[0], t, guess=guess, rtol=rtol
    )
    size = np.abs(a.end_to_end).max()
    np.testing.assert_allclose(b.end_to_end, a.end_to_end, rtol=0, atol=100 * rtol * size)
    np.testing.assert_allclose(lcn.end_to_end(net, b.filters), b.end_to_end, atol=1e-13 * size)
    scale = max(float((w * w).sum(axis=tuple(range(1, w.ndim))).max()) for w in b.filters)
    np.testing.assert_allclose(b.invariants, a.invariants, rtol=0, atol=1e-12 * scale)
    assert (np.diff(b.loss) <= 0).all()
    # The lifted filters are those of the parameter flow, up to signs.
    for x, y in zip(a.filters, b.filters):
        np.testing.assert_allclose(np.abs(x), np.abs(y), atol=1e-5 * np.abs(x).max())


def test_cost():
    """It asks for few slopes more than the parameter flow by the same solver; not timed."""
    ratios = []
    for net in NETS:
        loss, start = problem(net, 7)
        t = [0.0, 5.0]
        v, delta = lcn.end_to_end(net, start), lcn.invariants(net, start)
        one = lcn.gradient_flow(net, loss, start, t, method="LSODA").n_evaluations
        two = lcn.function_space_flow(net, loss, v, delta, t, start).n_evaluations
        ratios.append(two / one)
    assert np.median(ratios) < 3, ratios


def test_batches_and_shared_invariants():
    net = NAMED["stride two"]
    loss, start = problem(net, 8, batch=(2, 2))
    t = np.linspace(0, 2, 3)
    a = lcn.gradient_flow(net, loss, start, t)
    b = lcn.function_space_flow(net, loss, a.end_to_end[0], a.invariants[0], t)
    assert b.filters[0].shape == (3, 2, 2, 3) and b.loss.shape == (3, 2, 2)
    np.testing.assert_allclose(b.end_to_end, a.end_to_end, atol=1e-7)
    balanced = lcn.rescale(net, start, [0, 0])
    c = lcn.gradient_flow(net, loss, balanced, t)
    d = lcn.function_space_flow(net, loss, c.end_to_end[0], [0, 0], t)
    np.testing.assert_allclose(d.end_to_end, c.end_to_end, atol=1e-7)
    # Same v, same loss, other invariants: another path.
    assert np.abs(c.end_to_end[0] - a.end_to_end[0]).max() < 1e-12
    assert np.abs(c.end_to_end[-1] - a.end_to_end[-1]).max() > 1e-3


def crossing(net, loss, start, end):
    """First time at which the two filters of a (2, 2) network become parallel, or None."""
    t = np.linspace(0, end, 2001)
    flow = lcn.gradient_flow(net, loss, start, t)
    (a, b), (c, d) = flow.filters[0].T, flow.filters[1].T
    det = a * d - b * c
    change = np.flatnonzero(det[1:] * det[:-1] < 0)
    if change.size == 0:
        return None
    return CubicSpline(t, det).roots(extrapolate=False)[0]  # steps of 0.0025, to the fourth power


def test_the_flow_ends_where_two_factorisations_meet():
    """Stride one, unbalanced: it ends at the discriminant, exactly when the true flow is there."""
    net, errors = LCN((2, 2)), []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        start = lcn.random_filters(net, rng)
        loss = QuadraticLoss(rng.standard_normal(3))
        v, delta = lcn.end_to_end(net, start), lcn.invariants(net, start)
        when = crossing(net, loss, start, 5.0)
        if when is None:
            flow = lcn.function_space_flow(net, loss, v, delta, [0, 5.0], guess=start)
            full = lcn.gradient_flow(net, loss, start, [0, 5.0])
            np.testing.assert_allclose(flow.end_to_end, full.end_to_end, atol=1e-7)
        else:
            words = "leaves the smooth locus.*two factorisations of v have met"
            with pytest.raises(lcn.FlowError, match=words) as caught:
                lcn.function_space_flow(net, loss, v, delta, [0, 5.0], guess=start)
            errors.append(abs(caught.value.time - when))
    assert 5 < len(errors) < 20
    assert max(errors) < 1e-5 and np.median(errors) < 1e-8


@pytest.mark.parametrize("seed", [7, 14, 16, 19])
def test_the_rank_drops_where_no_pair_of_roots_tells(seed):
    """The same in the plane, with z = x y: there the margin alone says when."""
    line, plane, rng = LCN((2, 2)), LCN([(2, 2), (2, 2)]), np.random.default_rng(seed)
    start = lcn.random_filters(line, rng)
    loss = QuadraticLoss(rng.standard_normal(3))
    when, wide = crossing(line, loss, start, 5.0), [np.diag(w) for w in start]
    v, delta = lcn.end_to_end(plane, wide), lcn.invariants(plane, wide)
    with pytest.raises(lcn.FlowError, match="drops rank") as caught:
        lcn.function_space_flow(plane, QuadraticLoss(np.diag(loss.target)), v, delta, [0, 5.0],
                                guess=wide)
    assert abs(caught.value.time - when) < 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_no_start_where_the_rank_drops(seed):
    """Both filters vanish at infinity in y; rounding must not carry the start away from there."""
    net = LCN([(2, 2), (2, 2)])
    start = [np.column_stack([w, 0 * w]) for w in lcn.random_filters(LCN((2, 2)), seed)]
    v, delta = lcn.end_to_end(net, start), lcn.invariants(net, start)
    with pytest.raises(lcn.SingularPointError, match="rank 7"):
        lcn.function_space_flow(net, QuadraticLoss(np.eye(3)), v, delta, [0, 1.0], guess=start)


def test_two_layers_of_three_meet():
    """Strides (2, 1, 1): M is smaller than R^6, and layers 2 and 3 share their roots."""
    net, found = LCN((2, 2, 2), (2, 1, 1)), 0
    for seed in (1, 9, *range(10, 16)):
        rng = np.random.default_rng(seed)
        start = lcn.random_filters(net, rng)
        loss = QuadraticLoss(rng.standard_normal(6))
        t = np.linspace(0, 5, 1001)
        full = lcn.gradient_flow(net, loss, start, t)
        (a, b), (c, d) = full.filters[1].T, full.filters[2].T
        when = CubicSpline(t, a * d - b * c).roots(extrapolate=False)
        arguments = full.end_to_end[0], full.invariants[0], [0, 5.0]
        if when.size:
            found += 1
            with pytest.raises(lcn.FlowError, match="leaves the smooth locus") as caught:
                lcn.function_space_flow(net, loss, *arguments, guess=start)
            assert abs(caught.value.time - when[0]) < 1e-3
        else:
            flow = lcn.function_space_flow(net, loss, *arguments, guess=start)
            np.testing.assert_allclose(flow.end_to_end[-1], full.end_to_end[-1], atol=1e-7)
    assert found > 1


def test_balanced_flows_do_not_end_there():
    net = LCN((2, 2))
    for seed in range(8):
        rng = np.random.default_rng(seed)
        start = lcn.rescale(net, lcn.random_filters(net, rng), [0])
        loss = QuadraticLoss(rng.standard_normal(3))
        flow = lcn.function_space_flow(net, loss, lcn.end_to_end(net, start), [0], [0, 3.0])
        assert flow.success


@pytest.mark.parametrize("order", [1, -1])
def test_the_flow_ends_at_zero(order):
    """k = (2, 1): the scalar layer passes through zero, and v with it, in finite time.

    The other way round with stride two: the same, in a plane of R^3.
    """
    net = LCN((2, 1)[::order], 2)
    start = [np.array([2.0, 1.0]), np.array([0.5])][::order]
    loss = QuadraticLoss([-2.0, -1.0] if order == 1 else [-2.0, 0.0, -1.0])
    v, delta = lcn.end_to_end(net, start), lcn.invariants(net, start)
    flow = lcn.gradient_flow(net, loss, start, np.linspace(0, 0.3, 301))
    scalar = flow.filters[1 if order == 1 else 0][:, 0]
    when = CubicSpline(flow.t, scalar).roots(extrapolate=False)[0]
    with pytest.raises(lcn.FlowError, match="zero") as caught:
        lcn.function_space_flow(net, loss, v, delta, [0, 0.3])
    assert abs(caught.value.time - when) < 1e-7


def test_bad_starts():
    net = LCN((2, 2), 2)
    loss = QuadraticLoss(np.ones(4))
    with pytest.raises(lcn.NotInFunctionSpaceError):
        lcn.function_space_flow(net, loss, [1.0, 0, 0, 1.0], [0], [0, 1])
    with pytest.raises(lcn.InputError, match="invariants"):
        lcn.function_space_flow(net, loss, [1.0, 1, 1, 1], [0, 0], [0, 1])
    line = LCN((2, 2))
    v = lcn.end_to_end(line, [[1, 2], [3, 1]])
    with pytest.raises(lcn.AmbiguousFactorizationError):
        lcn.function_space_flow(line, QuadraticLoss(np.ones(3)), v, [1.0], [0, 1])
    v = lcn.end_to_end(line, [[1, 2], [1, 2]])
    with pytest.raises(lcn.SingularPointError):
        lcn.function_space_flow(
            line, QuadraticLoss(np.ones(3)), v, [0.0], [0, 1], guess=[[1, 2], [1, 2]]
        )


def test_starts_of_a_batch():
    """Lifted together where strides make the factorisation unique; the others one by one."""
    net, loss = LCN((3, 2, 2), (2, 3, 1)), QuadraticLoss(np.ones(11))
    w = lcn.random_filters(net, 0, (4,))
    v, delta = lcn.end_to_end(net, w), lcn.invariants(net, w)
    flow = lcn.function_space_flow(net, loss, v, delta, [0, 0.1])
    for b in range(4):
        for x, y in zip(lcn.lift(net, v[b], delta[b]), flow.filters):
            np.testing.assert_allclose(y[0, b], x, atol=1e-12)
    single = lcn.function_space_flow(net, loss, v.astype(np.float32), delta, [0, 0.1])
    np.testing.assert_allclose(single.end_to_end, flow.end_to_end, atol=1e-5)
    crossing = lcn.end_to_end(net, [[1.0, 0, 2], [1, 3], [2, 1]])
    for bad, error in ((crossing, lcn.AmbiguousFactorizationError), (0 * v[0], lcn.ZeroFilterError),
                       (np.arange(11.0), lcn.NotInFunctionSpaceError)):
        with pytest.raises(error):
            lcn.function_space_flow(net, loss, [v[0], bad], delta[:2], [0, 0.1])


def test_each_flow_of_a_batch_keeps_to_its_own_branch():
    """The same function, the roots dealt out the other way round: other filters at every time."""
    net, loss, t = LCN((2, 2)), QuadraticLoss([1.0, -1, -2]), np.linspace(0, 2, 5)
    (a, b), (c, d) = [1.0, 2.0], [1.0, -0.5]
    w = lcn.rescale(net, [np.array([[a, b], [c, d]]), np.array([[c, d], [a, b]])], [0.0])
    both = lcn.gradient_flow(net, loss, w, t)
    flow = lcn.function_space_flow(net, loss, both.end_to_end[0], [0.0], t, guess=w)
    assert np.abs(both.filters[0][:, 0] - both.filters[0][:, 1]).max(axis=-1).min() > 0.1
    for x, y in zip(flow.filters, both.filters):
        np.testing.assert_allclose(x, y, atol=1e-6)


def test_a_refused_step_of_a_network_with_ffts():
    """Nothing moves when the only flow repeats its step: once a bare ValueError of NumPy."""
    net, t = LCN(((3, 3),) * 3, 2), [0, 0.03]
    loss = QuadraticLoss(np.random.default_rng(2).standard_normal(net.end_to_end_shape))
    w = lcn.random_filters(net, 1)
    a = lcn.gradient_flow(net, loss, w, t)
    b = lcn.function_space_flow(net, loss, a.end_to_end[0], a.invariants[0], t, guess=w)
    np.testing.assert_allclose(a.end_to_end, b.end_to_end, atol=1e-7)


def test_one_layer():
    net, loss = LCN((4,), 3), QuadraticLoss(np.ones(4))
    w = lcn.random_filters(net, 0)
    a = lcn.gradient_flow(net, loss, w, [0, 1])
    b = lcn.function_space_flow(net, loss, w[0], [], [0, 1])
    np.testing.assert_allclose(a.end_to_end, b.end_to_end, atol=1e-9)


@pytest.mark.parametrize("size", [1e-8, 1e-60])
def test_tiny_starts(size):
    net, loss = LCN((3, 2), 2), QuadraticLoss([1.0, 2, 3, 2, 1])
    w = [size * x / np.linalg.norm(x) for x in lcn.random_filters(net, 1)]
    t = [0.0, 4.06 * np.log(1 / size) / np.log(1e8)]
    a = lcn.gradient_flow(net, loss, w, t)
    b = lcn.function_space_flow(net, loss, a.end_to_end[0], [0.0], t)
    np.testing.assert_allclose(a.end_to_end[-1], b.end_to_end[-1], rtol=1e-6)
    if size == 1e-8:  # an absolute tolerance of 1e-12 gave 0.59938
        assert abs(b.end_to_end[-1, 0] - 0.600151) < 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_the_zero_filter_is_not_on_the_sheet(seed):
    """A linear loss aimed through zero: w_1 vanishes at artanh of the ratio of the norms."""
    net, rng = LCN((2, 2), 2), np.random.default_rng(seed)
    units = [x / np.linalg.norm(x) for x in rng.standard_normal((2, 2))]
    r = np.sort(rng.uniform(0.3, 2, 2))
    w, g = [r[0] * units[0], r[1] * units[1]], lcn.end_to_end(net, units)
    loss = lcn.Loss(lambda v: v @ g, lambda v: np.broadcast_to(g, v.shape))
    v, delta, when = lcn.end_to_end(net, w), lcn.invariants(net, w), np.arctanh(r[0] / r[1])
    assert lcn.function_space_flow(net, loss, v, delta, [0, 0.9 * when]).success
    with pytest.raises(lcn.FlowError, match="zero") as caught:
        lcn.function_space_flow(net, loss, v, delta, [0, 1.2 * when])
    assert abs(caught.value.time - when) < 1e-5 * when


@pytest.mark.parametrize(("depth", "seed"), [(19, 1), (20, 0)])
def test_deep_networks_of_stride_one(depth, seed):
    """Real roots lie close together: the condition of dmu is 2e7, and 2e9 for the second one."""
    net = LCN((2,) * depth)
    w = [1.1 * x / np.linalg.norm(x) for x in lcn.random_filters(net, np.random.default_rng(seed))]
    loss, t = QuadraticLoss(np.ones(depth + 1)), [0, 0.1]
    v, delta = lcn.end_to_end(net, w), lcn.invariants(net, w)
    flow = lcn.function_space_flow(net, loss, v, delta, t, guess=w)
    full = lcn.gradient_flow(net, loss, w, t)
    np.testing.assert_allclose(flow.end_to_end, full.end_to_end, atol=1e-8)


def test_a_jump_to_another_factorisation_is_noticed():
    """Long steps passed a self-crossing of M and came down on the wrong sheet: 358 and 706."""
    net, loss, t = LCN((3, 2), 2), QuadraticLoss([1.0, 2, 3, 2, 1]), [0, 1.0, 10.0]
    w = [x[[358, 706]] for x in lcn.random_filters(net, 0, (1000,))]
    full = lcn.gradient_flow(net, loss, w, t)
    flow = lcn.function_space_flow(net, loss, full.end_to_end[0], full.invariants[0], t)
    np.testing.assert_allclose(flow.end_to_end, full.end_to_end, atol=1e-7)
