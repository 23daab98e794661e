"""Networks from a deep-learning framework, which this module does not import."""

import numpy as np

from .errors import ArchitectureError
from .network import LCN

KINDS = {"Conv1d": 1, "Conv2d": 2, "Conv3d": 3}


def from_torch(module):
    """Architecture and filters of a torch ``nn.Sequential`` of one-channel convolutions.

    torch, too, computes cross-correlations on valid outputs, so that the numbers are taken as
    they are: ``lcnlib.apply(net, filters, x)`` is what the module computes.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of ``Conv1d``, ``Conv2d`` or ``Conv3d``, all of one kind, with one channel in and out, no
        bias, dilation 1 and padding 0.  A single such layer will do, too.

    Returns
    -------
    net : LCN
    filters : list of H ndarrays, shapes k_i
        Copies, in double precision.

    Raises
    ------
    ArchitectureError
        When a layer is anything else; the message names the layer and the reason.

    Examples
    --------
    With torch, ``from_torch(nn.Sequential(nn.Conv1d(1, 1, 3, stride=2, bias=False),
    nn.Conv1d(1, 1, 2, bias=False)))`` gives ``LCN((3, 2), strides=(2, 1))`` and two filters.

    >>> from_torch([1, 2])
    Traceback (most recent call last):
    ...
    lcnlib.errors.ArchitectureError: module[0]: expected a Conv1d, Conv2d or Conv3d, got int; ...
    """
    layers = [module] if type(module).__name__ in KINDS else None
    if layers is None:
        try:
            layers = list(module)
        except TypeError:
            raise ArchitectureError("module: expected an nn.Sequential of convolutions, got "
                                    f"{type(module).__name__}") from None
    if not layers:
        raise ArchitectureError("module: expected at least one layer, got none")
    shapes, strides, filters = [], [], []
    for i, layer in enumerate(layers):
        shape, stride, w = _layer(layer, f"module[{i}]")
        if shapes and len(shape) != len(shapes[0]):
            raise ArchitectureError(f"module[{i}]: expected a Conv{len(shapes[0])}d like "
                                    f"module[0], got {type(layer).__name__}")
        shapes.append(shape)
        strides.append(stride)
        filters.append(w)
    return LCN(shapes, strides), filters


def _layer(layer, name):
    """Filter shape, stride and filter of one convolution, or ArchitectureError."""
    kind = type(layer).__name__
    if kind not in KINDS:
        raise ArchitectureError(
            f"{name}: expected a Conv1d, Conv2d or Conv3d, got {kind}; a linear convolutional "
            "network has no other layers: leave it out, or put what it does into a convolution")
    d = KINDS[kind]
    for what in ("in_channels", "out_channels", "groups"):
        if (got := getattr(layer, what)) != 1:
            raise ArchitectureError(f"{name}: expected {what} = 1, got {got}; networks of lcnlib "
                                    "have one channel (take the channels one by one)")
    if getattr(layer, "bias", None) is not None:
        raise ArchitectureError(f"{name}: expected no bias, got one; a bias is not linear: "
                                "build the layer with bias=False")
    for what, want in (("dilation", 1), ("padding", 0)):
        got = getattr(layer, what)
        if got == "valid" and what == "padding":
            continue
        if isinstance(got, str) or any(n != want for n in np.atleast_1d(got)):
            mend = ("spread the filter with zeros" if want else "pad the signal before the network")
            raise ArchitectureError(f"{name}: expected {what} = {want}, got {got!r}; {mend}")
    if hasattr(layer, "parametrizations"):
        raise ArchitectureError(f"{name}: expected a plain weight, got a parametrised one; remove "
                                "the parametrisation first")
    w = layer.weight
    for step in ("detach", "cpu", "double", "numpy"):
        w = getattr(w, step)() if hasattr(w, step) else w
    w = np.array(w, dtype=np.float64)
    if w.shape[:2] != (1, 1) or w.ndim != d + 2:
        raise ArchitectureError(f"{name}: expected a weight of shape (1, 1, *k) with {d} axes in "
                                f"k, got {w.shape}")
    stride = tuple(int(n) for n in np.broadcast_to(np.atleast_1d(layer.stride), d))
    return w.shape[2:], stride, w[0, 0]
