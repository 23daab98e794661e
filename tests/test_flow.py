"""Gradient flow in parameter space (S2)."""

import warnings
from io import StringIO
from itertools import count
from typing import ClassVar

import numpy as np
import pytest
from scipy.integrate import DOP853, solve_ivp

import lcnlib as lcn
from lcnlib import LCN, Loss, QuadraticLoss

from .cases import NAMED


def problem(net, seed, batch=()):
    """A definite quadratic loss and filters of moderate size."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(net.end_to_end_shape))
    a = rng.standard_normal((n, n)) / np.sqrt(n)
    loss = QuadraticLoss(rng.standard_normal(net.end_to_end_shape), a @ a.T + 0.1 * np.eye(n))
    return loss, [0.7 * w for w in lcn.random_filters(net, rng, batch)]


@pytest.fixture(params=["collocation", "LSODA"])
def solver(request):
    """Both ways of integrating give the same answers: a loss of the user's own goes by LSODA."""
    return request.param


def by(solver, loss):
    return loss if solver == "collocation" else Loss(loss.value, loss.gradient)


def test_scalar_network_against_the_closed_form(solver):
    """k = (1, 1), balanced: v' = -2 v (v - c), a logistic equation."""
    c, t = 1.5, np.linspace(0, 4, 9)
    flow = lcn.gradient_flow(LCN((1, 1)), by(solver, QuadraticLoss([c])), [[0.3], [0.3]], t)
    v0 = 0.09
    want = c / (1 + (c / v0 - 1) * np.exp(-2 * c * t))
    np.testing.assert_allclose(flow.end_to_end[:, 0], want, rtol=1e-8)


@pytest.mark.parametrize("name", NAMED)
def test_record_of_a_batch(name, solver):
    net = NAMED[name]
    loss, start = problem(net, 1, batch=(2, 3))
    t = np.array([0.5, 0.6, 1.5, 4.0])
    flow = lcn.gradient_flow(net, by(solver, loss), start, t)
    assert [w.shape for w in flow.filters] == [(4, 2, 3, *k) for k in net.filter_shapes]
    assert flow.end_to_end.shape == (4, 2, 3, *net.end_to_end_shape)
    assert flow.loss.shape == (4, 2, 3) and flow.invariants.shape == (4, 2, 3, net.depth - 1)
    assert flow.success and flow.n_evaluations > 0
    assert ("collocation" in flow.message) == (solver == "collocation")
    assert all(np.array_equal(w[0], w0) for w, w0 in zip(flow.filters, start))
    v = lcn.end_to_end(net, flow.filters)
    np.testing.assert_allclose(flow.end_to_end, v, atol=1e-14 * np.abs(v).max())
    np.testing.assert_allclose(flow.loss, loss.value(v), rtol=1e-12)
    assert (np.diff(flow.loss, axis=0) <= 0).all()
    norms = max(float((w * w).reshape(4, 6, -1).sum(-1).max()) for w in flow.filters)
    drift = np.abs(flow.invariants - lcn.invariants(net, start))
    assert drift.max(initial=0) <= 1e-12 * norms


@pytest.mark.parametrize("name", ["stride two", "mixed strides", "mixed 2-D", "3-D"])
def test_against_an_independent_integration(name, solver):
    """Plain solve_ivp on the Jacobian, at a tighter tolerance, without any projection."""
    net = NAMED[name]
    loss, start = problem(net, 2)
    t = np.linspace(0, 3, 4)

    def rhs(_, y):
        w = np.split(y, np.cumsum([x.size for x in start])[:-1])
        w = [x.reshape(k) for x, k in zip(w, net.filter_shapes)]
        return -lcn.jacobian(net, w).T @ loss.gradient(lcn.end_to_end(net, w)).ravel()

    y0 = np.concatenate([w.ravel() for w in start])
    sol = solve_ivp(rhs, (0, 3), y0, t_eval=t, method="RK45", rtol=1e-11, atol=1e-13)
    flow = lcn.gradient_flow(net, by(solver, loss), start, t)
    got = np.concatenate([w.reshape(4, -1) for w in flow.filters], axis=1)
    np.testing.assert_allclose(got, sol.y.T, atol=1e-7)
    # The conservation law itself, not its projection: the plain integration drifts little.
    end = np.split(sol.y[:, -1], np.cumsum([x.size for x in start])[:-1])
    delta = np.diff([float(w @ w) for w in end])
    np.testing.assert_allclose(delta, lcn.invariants(net, start), atol=1e-8)


def test_a_batch_is_as_accurate_as_each_flow_alone(solver):
    net = LCN((3, 3, 2), 2)
    loss, start = problem(net, 3, batch=(50,))
    t = [0.0, 2.0]
    together = lcn.gradient_flow(net, by(solver, loss), start, t).end_to_end[-1]
    for b in range(0, 50, 7):
        alone = lcn.gradient_flow(net, loss, [w[b] for w in start], t, rtol=1e-12)
        np.testing.assert_allclose(together[b], alone.end_to_end[-1], atol=2e-8)


def test_convergence_and_rest(solver):
    """Long after convergence the loss still never rises, not even by rounding."""
    net = LCN((2, 2), 2)
    target = lcn.end_to_end(net, [[1, -2], [0.5, 3]])
    _, start = problem(net, 4, batch=(20,))
    flow = lcn.gradient_flow(net, by(solver, QuadraticLoss(target)), start, np.linspace(0, 60, 200))
    assert (np.diff(flow.loss, axis=0) <= 0).all()
    assert np.median(flow.loss[-1]) < 1e-15
    shift = np.abs(flow.invariants - flow.invariants[0]).max()
    assert shift <= 1e-12 * np.abs(flow.invariants).max()


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("method", ["LSODA", "RK45"])
def test_a_flow_that_starts_at_a_minimum_stays(method, size):
    """Where the loss is zero, it is all rounding; one of the batch begins elsewhere."""
    net = LCN((3, 2), 2)
    one = lcn.random_filters(net, 0)
    target = lcn.end_to_end(net, one)
    c = np.array([1, *np.linspace(0.3, 3, 11)])  # the first stands still to the last digit
    w = [size * np.multiply.outer(a, x) for a, x in zip((c, 1 / c), one)]
    w[0][-1] *= 1.5
    for loss in (QuadraticLoss(size**2 * target),
                 lcn.Loss(lambda v: ((v - size**2 * target) ** 4).sum(axis=-1),
                          lambda v: 4 * (v - size**2 * target) ** 3)):
        t = np.array([0.0, 1, 3]) / (size**2 if isinstance(loss, QuadraticLoss) else size**6)
        flow = lcn.gradient_flow(net, loss, w, t, method=method)
        assert (np.diff(flow.loss, axis=0) <= 0).all()
        assert flow.loss[-1, -1] < 0.5 * flow.loss[0, -1]
        for x, y in zip(flow.filters, w):
            np.testing.assert_allclose(x[:, :-1], np.stack([y[:-1]] * 3), atol=1e-8 * size)
            np.testing.assert_array_equal(x[:, 0], np.stack([y[0]] * 3))


def test_one_time_zero_filters_and_other_methods(solver):
    net = LCN((3, 2), 2)
    loss, start = problem(net, 5)
    once = lcn.gradient_flow(net, by(solver, loss), start, [1.0])
    assert once.n_evaluations == 0 and len(once.t) == 1
    none = lcn.gradient_flow(net, by(solver, loss), lcn.random_filters(net, 0, (0,)), [0.0, 1.0])
    assert none.end_to_end.shape == (2, 0, 5)
    # A zero filter is allowed: the flow leaves it, and conserves its invariant.
    flow = lcn.gradient_flow(net, by(solver, loss), [start[0], [0.0, 0.0]], [0, 1, 2])
    assert np.ptp(flow.invariants) <= 1e-12 * np.abs(flow.invariants).max()
    saddle = lcn.gradient_flow(net, by(solver, loss), [[0.0] * 3, [0.0] * 2], [0, 1])
    assert not saddle.end_to_end.any()
    a = lcn.gradient_flow(net, by(solver, loss), start, [0, 5.0]).end_to_end[-1]
    for method in ("Radau", "DOP853", "LSODA"):
        other = lcn.gradient_flow(net, by(solver, loss), start, [0, 5.0], method=method, rtol=1e-8)
        np.testing.assert_allclose(a, other.end_to_end[-1], atol=1e-6)


class Watched(DOP853):
    """A method of the user's own, which keeps its solvers and what they were asked for."""

    made: ClassVar = []

    def __init__(self, fun, t0, y0, t_bound, rtol=None, atol=None, **options):
        super().__init__(fun, t0, y0, t_bound, rtol=rtol, atol=atol, **options)
        self.made.append(self)


def both_flows(net, loss, w, t, **options):
    """The flow in parameter space and the one in function space."""
    Watched.made.clear()
    yield lcn.gradient_flow(net, loss, w, t, **options)
    Watched.made.clear()
    v, delta = lcn.end_to_end(net, w), lcn.invariants(net, w)
    yield lcn.function_space_flow(net, loss, v, delta, t, **options)


@pytest.mark.parametrize("batch", [1, 4, 9])
def test_the_tolerances_of_a_method(batch):
    """A tenth of those asked for, over the square root of the number of flows."""
    net = LCN((3, 2), 2)
    loss, w = problem(net, 5, (batch,))
    part = 0.1 / np.sqrt(batch)
    for flow in both_flows(net, loss, w, [0, 1e-3], method=Watched, rtol=1e-4, atol=1e-5):
        assert len(Watched.made) == 1 and "successfully" in flow.message
        np.testing.assert_allclose([Watched.made[0].rtol, Watched.made[0].atol],
                                   [1e-4 * part, 1e-5 * part], rtol=1e-12)
    # By default atol is a thousandth of the norm of each filter, or of the end-to-end filter.
    sizes = [np.linalg.norm(x, axis=1) for x in w]
    whole = np.linalg.norm(lcn.end_to_end(net, w), axis=1)
    wants = np.repeat(np.stack(sizes, axis=1), (3, 2), axis=1), np.repeat(whole[:, None], 5, axis=1)
    for _, want in zip(both_flows(net, loss, w, [0, 1e-3], method=Watched, rtol=1e-4), wants):
        np.testing.assert_allclose(Watched.made[0].atol, 1e-7 * part * want.ravel(), rtol=1e-12)


def test_every_evaluation_is_counted():
    """Of all solvers, where the state shrinks and the flow begins anew with other tolerances."""
    net, loss = LCN((3, 2), 2), Loss(lambda v: (v**2).sum(-1) / 2, lambda v: v)
    t = np.array([1.0, 1.1, 1.5, 3.0])
    w = [3 * x for x in lcn.random_filters(net, 1)]
    results = []
    for flow in both_flows(net, loss, w, t, method=Watched, first_step=1e-3):
        assert len(Watched.made) > 1
        assert flow.n_evaluations == sum(x.nfev for x in Watched.made)
        results.append(flow.end_to_end)
    # A first step longer than what is left once it begins anew.
    again = lcn.gradient_flow(net, loss, w, t, method="DOP853", first_step=1.999)
    for got in (*results[1:], again.end_to_end):
        np.testing.assert_allclose(got, results[0], atol=1e-7)


def test_work_does_not_grow_with_the_batch():
    """Many flows at a time cost LSODA about as many evaluations as one: they do not meet."""
    net = LCN((3, 3, 2), 2)
    loss, w = problem(net, 6)
    many = [np.broadcast_to(x, (40, *x.shape)) for x in w]
    one, all_of_them = (lcn.gradient_flow(net, by("LSODA", loss), x, [0, 20.0]).n_evaluations
                        for x in (w, many))
    assert all_of_them < 2 * one


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA", "DOP853"])
def test_a_batch_by_any_method(method):
    """For two flows of a quadratic loss the exact Jacobian, that of one flow, is not asked."""
    net = LCN((3, 2), 2)
    loss, w = problem(net, 5, (2,))
    want = lcn.gradient_flow(net, loss, w, [0, 2.0])
    got = lcn.gradient_flow(net, loss, w, [0, 2.0], method=method, rtol=1e-7)
    np.testing.assert_allclose(got.end_to_end, want.end_to_end, atol=1e-6)


def test_options_go_to_the_solver(solver):
    """With an option, and for one time too, nothing is changed silently."""
    net = LCN((3, 2), 2)
    loss, w = problem(net, 5)
    for flow in both_flows(net, by(solver, loss), w, [0, 1.0], max_step=0.05):
        assert "successfully" in flow.message and flow.n_evaluations > 20
    for flow in both_flows(net, by(solver, loss), w, [0, 1.0], atol=1e-11):
        assert ("collocation" in flow.message) == (solver == "collocation")
    for flow in both_flows(net, by(solver, loss), w, [3.0]):
        assert flow.n_evaluations == 0 and "nothing to integrate" in flow.message


def test_work_is_bounded(solver):
    net = LCN((3, 3, 2), 2)
    loss, start = problem(net, 6)
    flow = lcn.gradient_flow(net, by(solver, loss), start, [0, 10.0])
    assert flow.n_evaluations < 3000


class Unbounded:
    """l(v) = -|v|^3: flows run to infinity in finite time."""

    def value(self, v):
        return -np.sqrt((v * v).sum(axis=-1)) ** 3

    def gradient(self, v):
        return -3 * np.sqrt((v * v).sum(axis=-1, keepdims=True)) * v


class WrongSign(QuadraticLoss):
    def gradient(self, v):
        return -super().gradient(v)


def test_blow_up_is_reported_with_its_time():
    # That a first step is far too long, and overflows, has nothing to do with it.
    for options in ({}, {"method": "DOP853", "first_step": 5.0}):
        with pytest.raises(lcn.FlowError, match=r"past t = 2\.083.*\(.*too small\)") as caught:
            lcn.gradient_flow(LCN((2, 2), 2), Unbounded(), [[1, 0], [1, 0]], [2, 10], **options)
        # v = (x^2, 0, 0, 0) with x' = 3 x^5 from 1: blow-up after 1/12.
        assert abs(caught.value.time - 2 - 1 / 12) < 1e-3


def test_a_gradient_that_is_finite_at_the_start_only():
    net, w = LCN((3, 2), 2), [np.array([1.0, 2, 3]), np.array([1.0, 1])]
    v = lcn.end_to_end(net, w)
    loss = Loss(lambda v: ((v - 1) ** 2).sum(axis=-1) / 2,
                lambda x: np.where(np.abs(x - v).max() < 1e-13, x - 1, np.nan))
    for run, start in ((lcn.gradient_flow, [w]),
                       (lcn.function_space_flow, [v, lcn.invariants(net, w)])):
        with pytest.raises(lcn.FlowError, match="look at the gradient") as caught:
            run(net, loss, *start, [3.0, 4.0])
        assert caught.value.time == 3


def test_a_gradient_of_the_wrong_sign_is_caught():
    with pytest.raises(lcn.FlowError, match="loss rises"):
        lcn.gradient_flow(LCN((2, 2), 2), WrongSign(np.ones(4)), [[1, 0], [1, 0]], [0, 0.1])


@pytest.mark.parametrize("c", [1e-8, 1e8])
def test_how_far_a_loss_may_rise_is_relative(c):
    """The flow of c l is that of l, c times as fast."""
    net, target = LCN((2, 2), 2), np.array([1.0, 0.5, 1.0, 2.0])
    start = lcn.random_filters(net, 0)

    def half_square(v):
        return c / 2 * ((v - target) ** 2).sum(axis=-1)

    def gradient(v):
        return c * (v - target)

    flow = lcn.gradient_flow(net, lcn.Loss(half_square, gradient), start,
                             np.linspace(0, 200, 30) / c)
    assert (np.diff(flow.loss) <= 0).all()
    upside_down = lcn.Loss(lambda v: 1e3 * c - half_square(v), gradient)
    with pytest.raises(lcn.FlowError, match="loss rises"):
        lcn.gradient_flow(net, upside_down, start, np.array([0, 0.1]) / c)


def test_a_loss_that_rounds_to_a_constant():
    """Where the loss seems to stand still, the state need not."""
    net = LCN((3, 2), 2)
    loss, w = problem(net, 3)
    above = Loss(lambda v: 1e20 + loss.value(v), loss.gradient)
    got, want = (lcn.gradient_flow(net, x, w, [0, 0.5, 2.0]) for x in (above, loss))
    assert np.ptp(got.loss) == 0 and np.ptp(got.end_to_end, axis=0).max() > 0.1
    np.testing.assert_allclose(got.end_to_end, want.end_to_end, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.longdouble, object])
def test_a_loss_in_other_numbers(dtype):
    """Losses of single precision, of long doubles, of Python's own numbers: records of doubles."""
    net, loss = LCN((2, 2), 2), QuadraticLoss([0.5, 1.0, 2.0, 4.0])
    other = Loss(lambda v: loss.value(v).astype(dtype), lambda v: loss.gradient(v).astype(dtype))
    w = [np.array([[1.0, 2.0]]), np.array([[0.5, 1.0]])]
    t = np.array([0, 1, 2]) / 64
    for got, want in zip(both_flows(net, other, w, t, rtol=1e-4),
                         both_flows(net, loss, w, t, rtol=1e-4)):
        for name in ("end_to_end", "loss", "invariants"):
            assert getattr(got, name).dtype == float
            np.testing.assert_allclose(getattr(got, name), getattr(want, name), atol=1e-3)
    descent = lcn.gradient_descent(net, other, w, 0.01, 3)
    assert descent.loss.dtype == descent.filters[0].dtype == float


class Counting(QuadraticLoss):
    def gradient(self, v):
        return super().gradient(v)[..., :-1]


@pytest.mark.parametrize(
    ("loss", "t", "words"),
    [
        (None, [0, 1], "methods value"),
        (Counting(np.ones(4)), [0, 1], r"loss.gradient\(v\): expected shape \(4,\)"),
        (Loss(lambda v: v, lambda v: v), [0, 1], r"loss.value\(v\): expected shape \(\)"),
        (QuadraticLoss(np.ones(5)), [0, 1], "loss's target"),
        (QuadraticLoss(np.ones(4)), [0, 1, 1], "increasing"),
        (QuadraticLoss(np.ones(4)), [1, 0], "increasing"),
        (QuadraticLoss(np.ones(4)), [], "increasing"),
        (QuadraticLoss(np.ones(4)), 1.0, "one-dimensional"),
        (QuadraticLoss(np.ones(4)), [0, np.inf], "t: expected finite"),
    ],
)
def test_bad_arguments(loss, t, words):
    with pytest.raises(lcn.InputError, match=words):
        lcn.gradient_flow(LCN((2, 2), 2), loss, [[1, 0], [1, 0]], t)
    with pytest.raises(lcn.InputError, match=words):
        lcn.function_space_flow(LCN((2, 2), 2), loss, [1.0, 0, 0, 0], [0.0], t)


def test_filters_too_large_for_a_loss():
    with pytest.raises(lcn.InputError, match="finite"):
        lcn.gradient_flow(LCN((2, 2)), QuadraticLoss(np.ones(3)), [[1e200, -1e200], [1e200, 1e200]],
                          [0, 1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rtol": -1}, r"rtol: expected a number in \(0, 1\).*got -1"),
        ({"rtol": 0}, "rtol"),
        ({"rtol": "small"}, "rtol.*got 'small'"),
        ({"atol": -1e-9}, "atol: expected a number >= 0"),
        ({"atol": np.nan}, "atol.*got nan"),
        ({"steps": 7}, "options of the method 'LSODA'.*got `steps`"),
    ],
)
def test_bad_options(options, words):
    net, loss = LCN((2, 2), 2), QuadraticLoss(np.ones(4))
    filters = [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(lcn.InputError, match=words):
        lcn.gradient_flow(net, loss, filters, [0, 1], **options)
    v, delta = lcn.end_to_end(net, filters), lcn.invariants(net, filters)
    with pytest.raises(lcn.InputError, match=words):
        lcn.function_space_flow(net, loss, v, delta, [0, 1], **options)


def test_progress(capsys, solver):
    net = LCN((2, 2), 2)
    loss, start = problem(net, 7)
    for t in ([0, 2], [5, 6, 6.5, 7]):
        for _ in both_flows(net, by(solver, loss), start, t, progress=True):
            told = capsys.readouterr().err
            assert told.endswith(f"t = {t[-1]}, 100%\n") and told.count("\n") == 1
        seen = []
        for _ in both_flows(net, by(solver, loss), start, t, progress=seen.append):
            assert seen[-1] == 1.0
            seen.clear()
        for _ in both_flows(net, by(solver, loss), start, t):
            assert capsys.readouterr().err == ""


@pytest.mark.parametrize("now", [0.0, 1e6])
def test_progress_is_told_twice_a_second(solver, monkeypatch, now):
    """When no time passes only the end is told."""
    monkeypatch.setattr("time.monotonic", lambda: now)
    net, seen = LCN((2, 2), 2), []
    loss, start = problem(net, 7)
    lcn.gradient_flow(net, by(solver, loss), start, [0, 2], progress=seen.append)
    assert seen == [1.0]


def test_progress_is_seen_at_once(monkeypatch):
    """About two lines a second, each written out when it is known."""
    clock = (0.1 * n for n in count())
    monkeypatch.setattr("time.monotonic", lambda: next(clock))

    class Screen(StringIO):
        def flush(self):
            shown.append(self.getvalue())

    shown, net = [], LCN((2, 2), 2)
    monkeypatch.setattr("sys.stderr", Screen())
    loss, start = problem(net, 7)
    lcn.gradient_flow(net, by("LSODA", loss), start, [0, 2], progress=True)
    seconds = next(clock)
    assert 1.5 * seconds < len(shown) < 2.1 * seconds and len(shown) > 8
    assert all(x.count("\r") == i for i, x in enumerate(shown, start=1))


def test_an_absolute_tolerance(solver):
    net = LCN((3, 2), 2)
    loss, start = problem(net, 3)
    t = [0.0, 0.5, 1.0, 4.0]
    given = lcn.gradient_flow(net, by(solver, loss), start, t, atol=1e-11)
    followed = lcn.gradient_flow(net, by(solver, loss), start, t)
    np.testing.assert_allclose(given.end_to_end, followed.end_to_end, atol=1e-8)


def test_the_exact_jacobian_serves_a_stiff_solver():
    """No more slopes than with one by differences, but for chance; not timed."""
    net = LCN((3, 3, 2), 2)
    loss, start = problem(net, 1)
    plain = lcn.Loss(loss.value, loss.gradient)
    exact, differences = (
        lcn.gradient_flow(net, x, start, [0, 10], method="BDF").n_evaluations
        for x in (loss, plain))
    assert exact < 1.3 * differences


@pytest.mark.parametrize("size", [1e-2, 1e-8, 1e-60, 1e-100, 1e-150])
def test_escape_from_the_saddle_at_depth_two(size, solver):
    """k = (1, 1), balanced: v = c / (1 + (c / v_0 - 1) exp(-2 c t)) leaves zero like log(1/|w|)."""
    c = 1.5
    half = np.log(c / size**2 - 1) / (2 * c)  # when v = c / 2
    t = np.array([0.0, half / 2, half, half + 1])
    flow = lcn.gradient_flow(LCN((1, 1)), by(solver, QuadraticLoss([c])), [[size], [size]], t)
    want = c / (1 + np.exp(-2 * c * (t - half)))
    # An error in growth is multiplied by the number of times that the filters grow.
    np.testing.assert_allclose(flow.end_to_end[:, 0], want, rtol=1e-9 * (10 + 2 * c * half))


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_escape_from_the_saddle_at_depth_three(size, solver):
    """k = (1, 1, 1), balanced: w' = w^2 (1 - w^3), so w = 1/2 after about 1/|w|."""
    from scipy.integrate import quad

    time = 1 / size - 2 + quad(lambda w: w / (1 - w**3), size, 0.5, epsabs=1e-13)[0]
    flow = lcn.gradient_flow(LCN((1, 1, 1)), by(solver, QuadraticLoss([1.0])), [[size]] * 3,
                             [0.0, time])
    # An error e of w at the start moves the escape by e / w^2.
    assert abs(flow.filters[0][-1, 0] - 0.5) < 1e-8 / size


@pytest.mark.parametrize(("depth", "size"), [(3, 1e-30), (3, 1e-100), (4, 1e-10), (5, 1e-40)])
def test_the_power_law_of_escape(depth, size, solver):
    """k = (1, ..., 1), balanced: w' = w^(H-1) (1 - w^H), so 1 / |w|^(H-2) falls linearly."""
    power = depth - 2
    t = np.array([0.0, 1 - 2.0**-power, 1 - 4.0**-power, 2]) / (power * size**power)
    # Then LSODA says that its steps, too short to be seen in the time, become too small.
    n = 4 if solver == "collocation" and size >= 1e-30 else 3
    flow = lcn.gradient_flow(LCN((1,) * depth), by(solver, QuadraticLoss([1.0])),
                             [[size]] * depth, t[:n])
    np.testing.assert_allclose(flow.filters[0][1:, 0], [2 * size, 4 * size, 1][:n - 1], rtol=1e-6)


def test_tiny_starts_go_where_scaled_ones_go(solver):
    net, loss = LCN((3, 2), 2), QuadraticLoss([1.0, 2, 3, 2, 1])
    w = [x * 1e-60 for x in lcn.random_filters(net, 2)]
    flow = lcn.gradient_flow(net, by(solver, loss), w, [0.0, 100.0])
    assert abs(flow.loss[-1] - 1 / 6) < 1e-9


def test_an_overflowed_trial_step_is_no_error(solver):
    net = LCN((2,) * 20)
    w = [2 * x / np.linalg.norm(x) for x in lcn.random_filters(net, 0)]
    flow = lcn.gradient_flow(net, by(solver, QuadraticLoss(np.ones(21))), w, [0, 10])
    assert abs(flow.loss[-1] / 10.5007246 - 1) < 1e-6


@pytest.mark.parametrize("start", [1.0, 1e6, -3.0])
def test_only_time_since_the_start_counts(start, solver):
    net = LCN((3, 2), 2)
    loss, w = problem(net, 12)
    t = np.array([0.0, 0.5, 1.0])
    a = lcn.gradient_flow(net, by(solver, loss), w, t)
    b = lcn.gradient_flow(net, by(solver, loss), w, start + t)
    np.testing.assert_allclose(a.end_to_end, b.end_to_end, rtol=1e-8, atol=1e-9)


def test_a_gradient_that_is_not_finite_is_named():
    loss = Loss(lambda v: 0.5 * ((v - 3) ** 2).sum(-1), lambda v: np.where(v > 2, np.nan, v - 3))
    with pytest.raises(lcn.FlowError, match="cannot be continued"):
        lcn.gradient_flow(LCN((2, 2), 2), loss, [[1, 0], [1, 0]], [0, 10])
    with pytest.raises(lcn.InputError, match=r"loss\.gradient"):
        lcn.gradient_flow(LCN((2, 2), 2), Loss(loss.value, lambda v: v * np.nan),
                          [[1, 0], [1, 0]], [0, 10])


@pytest.mark.parametrize("net", [LCN((3, 2), 2), LCN((2, 2, 2), 2), LCN((2, 3, 2), (2, 3, 1))],
                         ids=str)
def test_flows_in_function_space_need_no_solver(net):
    """Small balanced starts, which grow and turn: all of a batch go by collocation, as cheaply."""
    rng = np.random.default_rng(3)
    loss = QuadraticLoss(rng.standard_normal(net.end_to_end_shape))
    w = lcn.rescale(net, [0.3 * x for x in lcn.random_filters(net, rng, (5,))],
                    np.zeros(net.depth - 1))
    t = np.linspace(1, 9, 7)
    one, two = both_flows(net, loss, w, t)
    np.testing.assert_allclose(two.end_to_end, one.end_to_end, atol=1e-7)
    assert "collocation" in two.message and two.n_evaluations < 3 * one.n_evaluations


def test_without_eigenvectors_a_solver_takes_over(monkeypatch):
    net = LCN((3, 2), 2)
    loss, w = problem(net, 5, (2,))
    want = lcn.gradient_flow(net, loss, w, [0, 1.0, 2.0])

    def fails(a):
        raise np.linalg.LinAlgError

    monkeypatch.setattr("numpy.linalg.eigh", fails)
    for flow in both_flows(net, loss, w, [0, 1.0, 2.0]):
        assert "successfully" in flow.message
        np.testing.assert_allclose(flow.end_to_end, want.end_to_end, atol=1e-7)


def test_a_first_step_across_zero():
    """In function space a flow ends at zero even if the first step of all passes it.

    A linear loss aimed through zero: w_1 vanishes at artanh of the ratio of the norms.
    """
    net, rng = LCN((2, 2), 2), np.random.default_rng(0)
    units = [x / np.linalg.norm(x) for x in rng.standard_normal((2, 2))]
    w, g = [0.7 * units[0], 1.3 * units[1]], lcn.end_to_end(net, units)
    loss, when = Loss(lambda v: v @ g, lambda v: np.broadcast_to(g, v.shape)), np.arctanh(0.7 / 1.3)
    with pytest.raises(lcn.FlowError, match="goes to zero") as caught:
        lcn.function_space_flow(
            net, loss, lcn.end_to_end(net, w), lcn.invariants(net, w), [5, 5 + 2 * when],
            method="DOP853", first_step=1.5 * when, rtol=1e-4)
    assert abs(caught.value.time - 5 - when) < 1e-3


def test_warnings_are_of_no_account():
    """An option that SciPy only warns of is an error; what a loss warns of is none."""
    net, w = LCN((2, 2), 2), [[1.0, 2.0], [3.0, 4.0]]
    plain = QuadraticLoss(np.ones(4))

    def gradient(v):
        warnings.warn("it is slow", stacklevel=2)
        return plain.gradient(v)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            with pytest.raises(lcn.InputError, match="got `steps`"):
                lcn.gradient_flow(net, plain, w, [0, 1], steps=7)
        got = lcn.gradient_flow(net, Loss(plain.value, gradient), w, [0, 1]).loss
    np.testing.assert_allclose(got, lcn.gradient_flow(net, plain, w, [0, 1]).loss, rtol=1e-6)


def test_a_flow_goes_on_where_another_ended(solver):
    """At rest, above zero, where rounding raises the loss as often as not."""
    net = LCN((3, 2), 2)
    loss, w = problem(net, 4, (20,))
    first = lcn.gradient_flow(net, by(solver, loss), w, [0, 200.0])
    again = lcn.gradient_flow(net, by(solver, loss), [x[-1] for x in first.filters], [0, 1, 50.0])
    np.testing.assert_allclose(again.loss, np.tile(first.loss[-1], (3, 1)), rtol=1e-8)
    assert (np.diff(again.loss, axis=0) <= 0).all()


def test_methods_have_names():
    with pytest.raises(lcn.InputError, match="method: expected one of LSODA"):
        lcn.gradient_flow(LCN((2, 2), 2), QuadraticLoss(np.ones(4)), [[1, 0], [1, 0]], [0, 1],
                          method="Euler")


@pytest.mark.parametrize(("shapes", "stride", "size", "right"), [
    ((3, 2), 2, 1e6, 0.479906333944),  # in 60 digits, by mpmath
    # In polar coordinates, where nothing can round along the scaling directions.
    ((3, 3, 2), 2, 1e6, 0.8846897966), ((2,) * 8, 1, 30.0, 4.512684106),
    ((16, 16), 1, 1e4, 11379.11443),
], ids=str)
def test_large_starts(shapes, stride, size, right, solver):
    """The filters shrink, up to a million times: what rounds in their squares must not be left."""
    net = LCN(shapes, stride)
    loss = by(solver, QuadraticLoss(np.ones(net.end_to_end_shape)))
    w = [size * x / np.linalg.norm(x) for x in lcn.random_filters(net, 5)]
    flow = lcn.gradient_flow(net, loss, w, [0, 1])
    assert abs(flow.loss[-1] / right - 1) < 1e-8
