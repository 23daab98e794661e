"""Networks taken over from torch: stand-ins always, torch itself where it is installed."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import lcnlib as lcn


class Layer(SimpleNamespace):
    """What torch's convolutions show of themselves."""

    def __init__(self, k, stride=1, **other):
        k = (k,) if isinstance(k, int) else k
        d = len(k)
        rng = np.random.default_rng(sum(k))
        base = {"in_channels": 1, "out_channels": 1, "groups": 1, "bias": None,
                "stride": (stride,) * d if isinstance(stride, int) else stride,
                "padding": (0,) * d, "dilation": (1,) * d,
                "weight": rng.standard_normal((1, 1, *k)).astype(np.float32)}
        super().__init__(**(base | other))


def conv(d):
    return type(f"Conv{d}d", (Layer,), {})


Conv1d, Conv2d, Conv3d = map(conv, (1, 2, 3))


def test_takes_shapes_strides_and_filters():
    layers = [Conv1d(3, 2), Conv1d(2, 3)]
    net, filters = lcn.from_torch(layers)
    assert net == lcn.LCN((3, 2), strides=(2, 3))
    for w, layer in zip(filters, layers, strict=True):
        assert w.dtype == np.float64 and np.array_equal(w, layer.weight[0, 0])
        w[...] = 7
        assert layer.weight[0, 0, 0] != 7  # a copy


@pytest.mark.parametrize("layers, net", [
    ([Conv2d((3, 2), (2, 1)), Conv2d((2, 2))], lcn.LCN([(3, 2), (2, 2)], [(2, 1), 1])),
    ([Conv3d((1, 2, 3))], lcn.LCN([(1, 2, 3)])),
    (Conv1d(4), lcn.LCN((4,))),
    ([Conv1d(2, padding="valid")], lcn.LCN((2,))),
])
def test_dimensions(layers, net):
    assert lcn.from_torch(layers)[0] == net


@pytest.mark.parametrize("layers, words", [
    (5, "module: expected an nn.Sequential"),
    ([], "at least one layer"),
    ([Conv1d(2), SimpleNamespace()], r"module\[1\]: expected a Conv1d.*got SimpleNamespace"),
    ([Conv1d(2, in_channels=3)], "in_channels = 1, got 3"),
    ([Conv1d(2, out_channels=2)], "out_channels = 1, got 2"),
    ([Conv1d(2, bias=np.zeros(1))], "bias=False"),
    ([Conv1d(2, dilation=(2,))], "dilation = 1"),
    ([Conv1d(2, padding=(1,))], "padding = 0"),
    ([Conv1d(2, padding="same")], "padding = 0, got 'same'"),
    ([Conv1d(2), Conv2d((2, 2))], r"module\[1\]: expected a Conv1d like"),
    ([Conv1d(2, weight=np.zeros((2, 1, 2)))], r"shape \(1, 1, \*k\)"),
    ([Conv1d(2, parametrizations=1)], "parametrised"),
])
def test_refuses_the_rest_by_name(layers, words):
    with pytest.raises(lcn.ArchitectureError, match=words):
        lcn.from_torch(layers)


def test_does_not_import_torch():
    code = ("import sys, lcnlib; from tests.test_torch_bridge import Conv1d; "
            "lcnlib.from_torch([Conv1d(2)]); print('torch' in sys.modules)")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_torch_itself_trains_along_the_flow():
    torch = pytest.importorskip("torch", reason="torch is not installed: an optional check")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3, stride=2, bias=False),
                                 torch.nn.Conv1d(1, 1, 2, bias=False)).double()
    net, filters = lcn.from_torch(module)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 11))
    signal = torch.tensor(x[:, None])
    np.testing.assert_allclose(module(signal).detach().numpy()[:, 0],
                               np.stack([lcn.apply(net, filters, s) for s in x]), atol=1e-12)
    y = rng.standard_normal((4, 4))
    loss = lcn.QuadraticLoss.from_data(net, x, y)
    ends = []
    for step in (2e-3, 1e-3):
        copy = torch.nn.Sequential(*[type(m)(1, 1, m.kernel_size, stride=m.stride, bias=False)
                                     for m in module]).double()
        copy.load_state_dict(module.state_dict())
        train = torch.optim.SGD(copy.parameters(), lr=step)
        for _ in range(round(0.2 / step)):
            train.zero_grad()
            (0.5 * ((copy(signal)[:, 0] - torch.tensor(y)) ** 2).sum()).backward()
            train.step()
        ends.append(lcn.end_to_end(net, lcn.from_torch(copy)[1]))
    flow = lcn.gradient_flow(net, loss, filters, [0, 0.2]).end_to_end[-1]
    errors = [np.abs(v - flow).max() for v in ends]
    assert errors[1] < 1e-2 * np.abs(flow).max()
    assert 1.6 < errors[0] / errors[1] < 2.5  # of first order in the step
