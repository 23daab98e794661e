"""The architecture of a linear convolutional network: shapes and strides."""

import math
import operator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from .errors import ArchitectureError, InputError


@dataclass(frozen=True)
class LCN:
    """Architecture of a deep linear convolutional network; frozen and hashable.

    Layer i cross-correlates a D-dimensional signal with one filter of shape
    ``filter_shapes[i]`` and keeps every ``strides[i]``-th output: one channel in, one out.
    Layer 1 acts first.  Composition of layers is multiplication of polynomials,
    which is what `end_to_end_shape` and `cumulative_strides` record.

    Book: lem-01-sizes, thm-01-composition, thm-02-dimension.

    Parameters
    ----------
    filter_shapes : sequence of H ints, or of H tuples of D ints
        Shape k_i of each filter; ints stand for D = 1.
    strides : int or sequence of H ints or of H tuples of D ints, optional
        Stride s_i of each layer.  One int serves every layer and axis; an int
        in a sequence serves every axis of its layer.  The last stride matters
        only to `apply`: it never enters the end-to-end filter.

    Attributes
    ----------
    ndim : int
        D, the dimension of the signals.
    depth : int
        H, the number of layers.
    filter_shapes : tuple of H tuples of D ints
    strides : tuple of H tuples of D ints
    cumulative_strides : tuple of H tuples of D ints
        S_1 = 1, ..., S_H with S_{i+1} = S_i s_i, axis by axis.
    end_to_end_shape : tuple of D ints
        k = 1 + sum_i (k_i - 1) S_i on each axis.
    end_to_end_stride : tuple of D ints
        S_{H+1} = S_H s_H, the stride of the composed convolution.
    n_parameters : int
        sum_i |k_i|.
    dimension : int
        Dimension of the neuromanifold, ``n_parameters - depth + 1``: the rank
        of the parametrisation at an immersive point.

    Raises
    ------
    ArchitectureError
        When a shape or stride is not a positive integer, or counts disagree.

    Examples
    --------
    >>> net = LCN((3, 3, 2), strides=2)
    >>> net.end_to_end_shape, net.dimension
    ((11,), 6)
    >>> LCN([(3, 3), (3, 3)]).end_to_end_shape
    (5, 5)
    """

    filter_shapes: tuple
    strides: tuple = 1

    def __post_init__(self):
        shapes = _shapes(self.filter_shapes)
        strides = _strides(self.strides, len(shapes), len(shapes[0]))
        object.__setattr__(self, "filter_shapes", shapes)
        object.__setattr__(self, "strides", strides)

    @property
    def ndim(self):
        return len(self.filter_shapes[0])

    @property
    def depth(self):
        return len(self.filter_shapes)

    @cached_property
    def cumulative_strides(self):
        return tuple(accumulate(self.strides[:-1], _times, initial=(1,) * self.ndim))

    @cached_property
    def end_to_end_shape(self):
        layers = list(zip(self.filter_shapes, self.cumulative_strides))
        return tuple(1 + sum((k[a] - 1) * s[a] for k, s in layers) for a in range(self.ndim))

    @cached_property
    def end_to_end_stride(self):
        return _times(self.cumulative_strides[-1], self.strides[-1])

    @cached_property
    def n_parameters(self):
        return sum(map(math.prod, self.filter_shapes))

    @property
    def dimension(self):
        return self.n_parameters - self.depth + 1


def _times(a, b):
    return tuple(map(operator.mul, a, b))


def _positive_ints(values, what):
    """The entries of a shape or a stride as ints; ArchitectureError otherwise."""
    out = []
    for axis, value in enumerate(values):
        wrong = f"{what}[{axis}]: expected an int >= 1, got {value!r}"
        try:
            out.append(operator.index(value))
        except TypeError:  # refused, with words
            raise ArchitectureError(f"{wrong}; write D = 1 shapes as ints and others as tuples of "
                                    "D ints") from None
        if isinstance(value, (bool, np.bool_)) or out[-1] < 1:
            raise ArchitectureError(wrong)
    return tuple(out)


def _entries(value):
    """`value` as a tuple when it is a sequence of entries, else None."""
    if isinstance(value, (str, bytes, dict, set)):
        return None
    try:
        return tuple(value)
    except TypeError:  # the caller refuses it, with words
        return None


def _shapes(filter_shapes):
    rows = _entries(filter_shapes)
    if not rows:
        raise ArchitectureError("filter_shapes: expected one int or one tuple of D ints for each "
                                f"layer, at least one layer, got {filter_shapes!r}; for a single "
                                "layer of size 3 write (3,)")
    rows = [(r,) if (e := _entries(r)) is None else e for r in rows]
    ndim = len(rows[0])
    if ndim == 0 or any(len(r) != ndim for r in rows):
        raise ArchitectureError("filter_shapes: expected the same number D >= 1 of axes in every "
                                f"layer, got {[len(r) for r in rows]}")
    return tuple(_positive_ints(r, f"filter_shapes[{i}]") for i, r in enumerate(rows))


def _strides(strides, depth, ndim):
    rows = _entries(strides)
    if rows is None:
        rows = (strides,) * depth
    if len(rows) != depth:
        raise ArchitectureError(f"strides: expected {depth} entries, one for each layer (the last "
                                f"matters only to apply), got {len(rows)}")
    out = []
    for i, r in enumerate(rows):
        e = _entries(r)
        e = (r,) * ndim if e is None else e
        if len(e) != ndim:
            raise ArchitectureError(f"strides[{i}]: expected an int or {ndim} ints, one for each "
                                    f"axis, got {r!r}")
        out.append(_positive_ints(e, f"strides[{i}]"))
    return tuple(out)


def random_filters(net, seed, batch=()):
    """Filters with independent standard normal entries.

    Parameters
    ----------
    net : LCN
    seed : int or numpy.random.Generator
        An int gives the same filters every time; a Generator is advanced.
    batch : int or tuple of ints, optional
        Leading axes, the same for every layer.

    Returns
    -------
    list of H ndarrays, shapes (*batch, *k_i)

    Raises
    ------
    InputError
        When `seed` is neither, or `batch` is not a shape.

    Examples
    --------
    >>> [w.shape for w in random_filters(LCN((3, 2), 2), seed=0, batch=(4,))]
    [(4, 3), (4, 2)]
    """
    if not isinstance(net, LCN):
        raise InputError(f"net: expected an LCN, got {type(net).__name__}")
    return standard_normal(seed, batch, net.filter_shapes)


def as_generator(seed):
    """A random generator; one that is given is taken as it is."""
    if isinstance(seed, np.random.Generator):
        return seed
    try:
        return np.random.default_rng(operator.index(seed))
    except (TypeError, ValueError):
        raise InputError(f"seed: expected an int >= 0 or a numpy Generator, got {seed!r}") from None


def standard_normal(seed, batch, shapes):
    """Arrays of independent standard normal numbers, shapes (*batch, *shape)."""
    seed, entries = as_generator(seed), _entries(batch)
    try:
        axes = tuple(map(operator.index, (batch,) if entries is None else entries))
        if min(axes, default=0) < 0:
            raise TypeError
    except TypeError:  # the caller refuses it, with words
        raise InputError(f"batch: expected an int or a tuple of ints >= 0, got {batch!r}") from None
    return [seed.standard_normal(axes + tuple(k)) for k in shapes]
