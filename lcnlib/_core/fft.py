"""Evaluation and interpolation by real fast Fourier transforms, for large filters (S1, S4)."""

from math import prod

import numpy as np
import scipy

from .nested import nested
from .plan import Plan

# Up to this many values all layers go through one FFT call; above, level by level is cheaper.
STACK_LIMIT = 1 << 15


class FFTPlan(Plan):
    """Evaluation and interpolation by real fast Fourier transforms; for large filters."""

    def __init__(self, net):
        super().__init__(net)
        self.grid = tuple(scipy.fft.next_fast_len(n, real=True) for n in self.shape)
        self.half = self.grid[:-1] + (self.grid[-1] // 2 + 1,)
        self.axes = tuple(range(-net.ndim, 0))
        self.n_values = prod(self.half)
        self.crop = tuple(slice(0, n) for n in self.shape)
        self.lattice = [
            tuple(slice(0, (n - 1) * d + 1, d) for n, d in zip(k, s))
            for k, s in zip(net.filter_shapes, net.cumulative_strides)
        ]

    def spectra(self, theta):
        depth, b = self.net.depth, len(theta)
        stuffed = np.zeros((depth, b, *self.shape))
        for i, (p, k) in enumerate(zip(self.parts, self.net.filter_shapes)):
            stuffed[(i, slice(None), *self.lattice[i])] = theta[:, p].reshape(b, *k)
        values = scipy.fft.rfftn(stuffed, self.grid, axes=self.axes)
        return values.reshape(depth, b, self.n_values)

    def analyse(self, v):
        values = scipy.fft.rfftn(v.reshape(-1, *self.shape), self.grid, axes=self.axes)
        return values.reshape(len(v), -1)

    def coefficients(self, values):
        full = scipy.fft.irfftn(values.reshape(-1, *self.half), self.grid, axes=self.axes)
        return full[(slice(None), *self.crop)].reshape(len(values), -1)

    def samples(self, values):
        depth, b, _ = values.shape
        full = scipy.fft.irfftn(values.reshape(depth, b, *self.half), self.grid, axes=self.axes)
        out = np.empty((b, self.offsets[-1]))
        for i, p in enumerate(self.parts):
            out[:, p] = full[(i, slice(None), *self.lattice[i])].reshape(b, self.sizes[i])
        return out

    def _nested(self, b):
        """The nested computation for a batch of b, or None while one call for all is cheaper."""
        small = self.net.depth * b * self.n_values <= STACK_LIMIT
        return None if small else nested(self)

    def product(self, theta):
        n = self._nested(len(theta))
        return super().product(theta) if n is None else self.mask(n.product(theta))

    def jvp(self, theta, direction):
        n = self._nested(len(theta))
        return super().jvp(theta, direction) if n is None else self.mask(n.jvp(theta, direction))

    def vjp(self, theta, g):
        n = self._nested(len(theta))
        return super().vjp(theta, g) if n is None else n.vjp(theta, g)

    def ntk_apply(self, theta, g):
        n = self._nested(len(theta))
        return super().ntk_apply(theta, g) if n is None else self.mask(n.ntk_apply(theta, g))
