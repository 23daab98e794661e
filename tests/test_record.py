"""Records of flows: parts of a batch, files, named axes; flows that stop early."""

import dataclasses
import sys

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN, FlowResult, Loss, QuadraticLoss

NET, LOSS = LCN((3, 2), 2), QuadraticLoss([1.0, 2, 3, 2, 1])
TIMES = 2.0 + np.array([0.0, 1, 3, 30])  # a start at another time than zero


def same(a, b):
    """Bit for bit."""
    assert all(np.array_equal(x, y) for x, y in zip(a.filters, b.filters, strict=True))
    for name in ("t", "end_to_end", "loss", "invariants"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
        assert getattr(a, name).dtype == getattr(b, name).dtype
    assert (a.n_evaluations, a.success, a.message) == (b.n_evaluations, b.success, b.message)
    assert (a.stopped is None) == (b.stopped is None)
    assert a.stopped is None or np.array_equal(a.stopped, b.stopped, equal_nan=True)


def flow(batch=(4,), **options):
    return lcn.gradient_flow(NET, LOSS, lcn.random_filters(NET, 3, batch), TIMES, **options)


def test_parts_of_a_batch():
    a = flow((4, 2), stop=1e-2)
    for index in (3, -1, slice(1, 3), (2, 1), (slice(None), 0), [0, 2], np.arange(4) > 1, ...):
        part = a[index]
        assert np.array_equal(part.loss, np.stack([x[index] for x in a.loss]))
        assert np.array_equal(part.invariants, np.stack([x[index] for x in a.invariants]))
        assert np.array_equal(lcn.end_to_end(NET, part.filters), part.end_to_end)
        assert np.array_equal(part.stopped, a.stopped[index], equal_nan=True)
        assert part.t is a.t and part.end_to_end.shape == (*part.loss.shape, 5)
    assert [x.loss.shape for x in a] == [(4, 2)] * 4
    same(next(iter(a))[1], a[0, 1])
    run = lcn.gradient_descent(NET, LOSS, lcn.random_filters(NET, 3, (4,)), 0.01, 5)
    assert run[2].filters[0].shape == (6, 3) and run.stopped is None


def test_an_index_outside_of_the_batch():
    a = flow()
    for index in (4, (0, 0), "first", [True]):
        with pytest.raises(lcn.InputError, match=r"index: expected .*\(4,\).*got"):
            a[index]
    with pytest.raises(lcn.InputError, match="one flow only"):
        flow(())[0]
    with pytest.raises(lcn.InputError, match="one flow"):
        iter(flow(()))


@pytest.mark.parametrize("options", [{}, {"stop": 1e-2}])
@pytest.mark.parametrize("batch", [(), (3,), (0,)])
def test_one_file(tmp_path, batch, options):
    a = flow(batch, **options)
    a.save(tmp_path / "flow")
    assert [x.name for x in tmp_path.iterdir()] == ["flow"]
    same(FlowResult.load(tmp_path / "flow"), a)


def test_damaged_and_other_files(tmp_path):
    a, path = flow(), tmp_path / "flow.npz"
    a.save(path)
    data = path.read_bytes()
    np.savez(tmp_path / "other.npz", x=1)
    for bad in (data[:-100], b"", b"no archive", (tmp_path / "other.npz").read_bytes()):
        path.write_bytes(bad)
        with pytest.raises(lcn.InputError, match=r"path: expected a whole file .* got .*save"):
            FlowResult.load(path)
    with pytest.raises(FileNotFoundError):
        FlowResult.load(tmp_path / "none")


def test_named_axes():
    pytest.importorskip("xarray", reason="the extra `ensemble` (xarray) is not installed")
    a = flow((4, 2), stop=1e-2)
    data = a.to_xarray()
    assert data.w_1.dims == ("t", "batch_0", "batch_1", "w_1_0") and data.w_2.shape == (4, 4, 2, 2)
    assert np.array_equal(data.loss.sel(t=5.0, batch_0=1), a.loss[2, 1])
    assert data.stopped.dims == ("batch_0", "batch_1") and data.attrs["message"] == a.message
    net = LCN([(2, 2), (1, 3)])
    one = lcn.gradient_flow(net, QuadraticLoss(np.ones((2, 4))), lcn.random_filters(net, 0), [0, 1])
    data = one.to_xarray()
    assert data.end_to_end.dims == ("t", "v_0", "v_1") and "stopped" not in data
    assert data.invariants.dims == ("t", "delta")


def test_without_xarray(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(lcn.InputError, match=r"expected the package xarray, got none; install"):
        flow().to_xarray()


def own(loss):
    """The same loss as one of the user's, which goes by LSODA."""
    return Loss(loss.value, loss.gradient)


def of_filters(stop):
    """A rule of (t, v) as one of (t, filters)."""
    return (lambda t, w: stop(t, lcn.end_to_end(NET, w))) if callable(stop) else stop


def by_function(loss, w, t, stop):
    v, delta = lcn.end_to_end(NET, w), lcn.invariants(NET, w)
    return lcn.function_space_flow(NET, loss, v, delta, t, stop=stop)


WAYS = {
    "collocation": lambda loss, w, t, stop: lcn.gradient_flow(
        NET, loss, w, t, stop=of_filters(stop)),
    "LSODA": lambda loss, w, t, stop: lcn.gradient_flow(
        NET, own(loss), w, t, stop=of_filters(stop)),
    "in function space": by_function,
}


@pytest.mark.parametrize("way", WAYS)
def test_each_flow_stops_by_itself(way):
    w = lcn.rescale(NET, lcn.random_filters(NET, 3, (3,)), [0.0])
    full = lcn.gradient_flow(NET, LOSS, w, np.linspace(2, 32, 3001))
    a = WAYS[way](LOSS, w, TIMES, 1e-2)
    gradient = lcn.vjp(NET, full.filters, LOSS.gradient(full.end_to_end))
    sizes = np.sqrt(sum((x * x).sum(axis=-1) for x in gradient))
    for b in range(3):
        first = full.t[(sizes[:, b] <= 1e-2).argmax()]
        assert first - 0.011 < a.stopped[b] < first + 1e-6
        late = a.t > a.stopped[b]
        assert np.ptp(a.loss[late, b]) == 0 and late.sum() == 1
        np.testing.assert_allclose(a.loss[~late, b], full.loss[[0, 100, 300], b], atol=1e-6)
        end = lcn.vjp(NET, [x[-1, b] for x in a.filters], LOSS.gradient(a.end_to_end[-1, b]))
        assert abs(np.sqrt(sum((x * x).sum() for x in end)) - 1e-2) < 1e-8


@pytest.mark.parametrize("way", WAYS)
def test_stop_by_a_function(way):
    w = lcn.rescale(NET, lcn.random_filters(NET, 3, (3,)), [0.0])
    a = WAYS[way](LOSS, w, TIMES, lambda t, v: LOSS.value(v) <= 2.0 + t / 100)
    np.testing.assert_allclose(a.loss[-1], 2 + a.stopped / 100, rtol=1e-8)
    never = WAYS[way](LOSS, w, TIMES, lambda t, v: False)
    assert np.isnan(never.stopped).all()
    at_once = WAYS[way](LOSS, w, TIMES, lambda t, v: True)
    assert (at_once.stopped == 2.0).all() and np.ptp(at_once.loss, axis=0).max() == 0
    assert at_once.n_evaluations == 0
    by_time = WAYS[way](LOSS, [x[0] for x in w], TIMES, lambda t, v: t >= 3.5)
    assert by_time.stopped == pytest.approx(3.5, abs=1e-9)


def test_a_stopped_flow_need_not_live_on():
    """k = (1, 1), v' = 2 v^2: it blows up at t = 1/(2 v_0), but has stopped when v = 10."""
    loss = Loss(lambda v: -v[..., 0] ** 2 / 2, lambda v: -v)
    w = np.sqrt([[0.5], [0.25]])
    a = lcn.gradient_flow(LCN((1, 1)), loss, [w, w], [0.0, 0.5, 9.0],
                          stop=lambda t, w: w[0][0] ** 2 >= 10)
    # Balanced: w' = w^3, v = v_0 / (1 - 2 v_0 t).
    np.testing.assert_allclose(a.end_to_end[-1, :, 0], 10, rtol=1e-8)
    np.testing.assert_allclose(a.stopped, [(1 / v - 0.1) / 2 for v in (0.5, 0.25)], rtol=1e-8)


def test_a_flow_that_has_stopped_beside_others():
    """One stops at the start, and not even rounding moves it; the others as each would alone."""
    w = [np.array([[1.0, 2, 3], [0.3, 1, -1], [2, 0.1, 1]]), np.array([[1.0, 1], [1, 2], [1, -3]])]
    values = LOSS.value(lcn.end_to_end(NET, w))
    level = 1.01 * values[1]
    for loss in (LOSS, own(LOSS)):
        def stop(t, x, loss=loss):
            return loss.value(lcn.end_to_end(NET, x)) <= level

        order = np.argsort(values)
        a = lcn.gradient_flow(NET, loss, [x[order] for x in w], TIMES, stop=stop)
        at_once = values[order] <= level
        assert 0 < at_once.sum() < 3 and np.array_equal(a.stopped == TIMES[0], at_once)
        for b, i in enumerate(order):
            alone = lcn.gradient_flow(NET, loss, [x[i] for x in w], TIMES, stop=stop)
            assert a.stopped[b] == pytest.approx(float(alone.stopped), abs=1e-6)
            for x, x0, start in zip(a.filters, alone.filters, w):
                np.testing.assert_allclose(x[:, b], x0, atol=1e-6)
                if at_once[b]:
                    assert (x[:, b] == start[i]).all()


@pytest.mark.parametrize("stop", [None, 1e-1])
def test_where_collocation_gives_up_a_flow_all_go_by_a_solver(monkeypatch, stop):
    """From the start, as if nothing had stopped on the way."""
    w = lcn.rescale(NET, lcn.random_filters(NET, 3, (3,)), [0.0])
    w = [np.concatenate([x, [[*([1.0] * x.shape[1])]]]) for x in w]
    # The last one is nearly at rest: it stops at once.
    loss = QuadraticLoss(lcn.end_to_end(NET, [1.001 * x[-1] for x in w]))
    inside = lcn.gradient_flow.__globals__["by_collocation"]

    def gives_up(*arguments, **options):
        y, count, lost = inside(*arguments, **options)
        return np.nan * y, count, np.arange(len(lost)) == 0

    want = lcn.gradient_flow(NET, loss, w, TIMES, stop=stop)
    monkeypatch.setattr("lcnlib.flow.by_collocation", gives_up)
    got = lcn.gradient_flow(NET, loss, w, TIMES, stop=stop)
    assert "collocation" in want.message and "collocation" not in got.message
    np.testing.assert_allclose(got.end_to_end, want.end_to_end, atol=1e-6)
    if stop:
        assert want.stopped[-1] == got.stopped[-1] == 2 and (want.stopped[:-1] < 4.9).any()
        np.testing.assert_allclose(got.stopped, want.stopped, atol=1e-6)


def test_records_cannot_be_changed():
    names = [x for module in (lcn, lcn.fully_connected, lcn.shallow_relu)
             for x in vars(module).values() if dataclasses.is_dataclass(x)]
    assert FlowResult in names and len(names) > 6
    for x in names:
        assert x.__dataclass_params__.frozen, x
    with pytest.raises(dataclasses.FrozenInstanceError):
        flow().loss = 0.0


def test_a_file_with_objects_is_refused(tmp_path):
    """Objects of Python would be made by code that a file may choose."""
    path = tmp_path / "flow"
    flow().save(path)
    with np.load(path) as data:
        arrays = dict(data)
    arrays["t"] = arrays["t"].astype(object)
    with open(path, "wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(lcn.InputError, match="path: expected"):
        FlowResult.load(path)


def test_bad_stops():
    for bad in (0, -1.0, np.nan, "soon", [1.0]):
        with pytest.raises(lcn.InputError, match=r"stop: expected None, a positive norm .* got"):
            flow(stop=bad)
