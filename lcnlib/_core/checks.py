"""Checked conversion of what a caller passes in; the messages say how to mend it."""

from numbers import Real

import numpy as np

from ..errors import InputError
from ..network import LCN
from .plan import plan

# Decorator: an overflow is found in the result and raised as an error, not warned about.
quiet = np.errstate(over="ignore", invalid="ignore")


def as_net(net):
    if not isinstance(net, LCN):
        raise InputError("net: expected an LCN (the architecture comes first), got "
                         f"{type(net).__name__}")
    return net


def as_real(value, name):
    """`value` as a float64 array with finite entries; InputError otherwise."""
    try:
        a = np.asarray(value)
        if a.dtype.kind == "O":  # fractions, whole numbers of any length, ...
            if any(np.iscomplexobj(x) or isinstance(x, str | bytes) for x in a.flat):
                raise TypeError
            a = np.reshape([float(x) for x in a.flat], a.shape)
        elif a.dtype.kind not in "biuf":  # complex, text, dates
            raise TypeError
        a = a.astype(float, copy=False)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InputError(f"{name}: expected an array of real numbers, got {type(value).__name__}; "
                         "convert it with numpy.asarray(..., dtype=float), a tensor with "
                         ".detach().cpu().double().numpy()") from None
    if not np.isfinite(a).all():
        bad = tuple(np.argwhere(~np.isfinite(a))[0].tolist())
        raise InputError(f"{name}: expected finite entries, got {a[bad]} at index {bad}; remove or "
                         "replace it")
    return a


def as_filters(net, filters, name="filters"):
    """`filters` as a list of H float64 arrays of shape (*batch, *k_i), one batch for all.

    Raises
    ------
    InputError
        On a wrong count, trailing shape, batch shape, type or a non-finite entry.
    """
    as_net(net)
    try:
        n = len(filters)
    except TypeError:
        raise InputError(f"{name}: expected a sequence of {net.depth} arrays, got "
                         f"{type(filters).__name__}") from None
    if n != net.depth:
        raise InputError(f"{name}: expected {net.depth} arrays, one for each layer, got {n}")
    out = []
    for i, (w, k) in enumerate(zip(filters, net.filter_shapes)):
        out.append(as_shaped(w, k, f"{name}[{i}]", f"whose last {net.ndim} axes are the filter"))
        batch, lead = (x.shape[: -net.ndim] for x in (out[0], out[i]))
        same_batch(lead, batch, f"{name}[{i}]", of=f"{name}[0]")
    return out


def as_packed(net, filters, name="filters"):
    """The plan of the network, the filters packed, (B, P), and their batch axes."""
    ws = as_filters(net, filters, name)
    p = plan(net)
    return p, p.pack(ws), ws[0].shape[: -net.ndim]


def as_weights(weights):
    """Matrices of a fully connected network, with equal batch axes and fitting sizes."""
    try:
        n = len(weights)
    except TypeError:  # refused below, with words
        raise InputError("weights: expected a list of matrices, layer 1 first, got "
                         f"{type(weights).__name__}") from None
    if n == 0:
        raise InputError("weights: expected at least one matrix, got none")
    out = [as_real(w, f"weights[{j}]") for j, w in enumerate(weights)]
    for j, w in enumerate(out):
        if w.ndim < 2 or 0 in w.shape:
            raise InputError(f"weights[{j}]: expected a matrix of shape (*batch, outputs, inputs), "
                             f"got shape {w.shape}")
        same_batch(w.shape[:-2], out[0].shape[:-2], f"weights[{j}]", of="weights[0]")
        if j and w.shape[-1] != out[j - 1].shape[-2]:
            raise InputError(f"weights[{j}]: expected {out[j - 1].shape[-2]} columns, the outputs "
                             f"of weights[{j - 1}], got {w.shape[-1]}; layer 1 comes first")
    return out


def as_end_to_end(net, v, name="v"):
    """`v` as a float64 array of shape (*batch, *k), or InputError."""
    k = as_net(net).end_to_end_shape
    return as_shaped(v, k, name, "the end-to-end shape of the network")


def as_shaped(value, k, name, what):
    """`value` as a float64 array of shape (*batch, *k), or InputError; `what` explains k."""
    a = as_real(value, name)
    if a.shape[max(0, a.ndim - len(k)) :] != k:
        raise InputError(f"{name}: expected shape (*batch, {', '.join(map(str, k))}), {what}, got "
                         f"{a.shape}")
    return a


def same_batch(lead, batch, name, of="filters"):
    """InputError unless the leading axes of an argument are `batch`."""
    if lead != batch:
        raise InputError(f"{name}: expected the batch axes {batch} of {of}, got {lead}; use "
                         "numpy.broadcast_to to match them")


def fits_batch(lead, batch, name, grow=True):
    """InputError unless leading axes broadcast against `batch`, or to it when they may not grow."""
    try:
        both = np.broadcast_shapes(lead, batch)
    except ValueError:  # refused below, with words
        both = None
    if both is None or not (grow or both == batch):
        raise InputError(f"{name}: expected leading axes that broadcast "
                         f"{'against' if grow else 'to'} the batch axes {batch}, got {lead}; "
                         "insert axes of length one where they differ")


def as_invariants(net, invariants, batch=None, name="invariants"):
    """`invariants` as float64, shape (*batch, H-1); broadcast to `batch` when it is given."""
    d = as_real(invariants, name)
    want = net.depth - 1
    if d.ndim < 1 or d.shape[-1] != want:
        raise InputError(f"{name}: expected shape (..., {want}), one number between each layer and "
                         f"the next, got {d.shape}")
    if batch is None:
        return d
    fits_batch(d.shape[:-1], batch, name, grow=False)
    return np.broadcast_to(d, (*batch, want))


def check_fraction(value, name="rtol"):
    """InputError unless `value` is a number strictly between 0 and 1."""
    if not (isinstance(value, Real) and 0 < value < 1):
        raise InputError(f"{name}: expected a number in (0, 1), got {value!r}")


def finite_result(a, what):
    """`a` unless it overflowed: an InputError in place of a silent inf or NaN."""
    if not np.isfinite(a).all():
        raise InputError(f"{what} overflows double precision; rescale the filters first "
                         "(their norms multiply up to the norm of the result)")
    return a
