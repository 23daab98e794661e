"""Values of polynomials at the points of a grid, and back: by matrices or by Fourier transforms.

The product of the polynomials p_i(x^{S_i}) is taken at an N-grid of roots of unity with N >= k on
every axis, so that the product is determined by its values.  Only half of the last axis is kept,
because the coefficients are real.  Arrays of values have shape (H, B, M): layers, flattened batch,
M points.
"""

import os
import sys
from functools import cache
from math import prod

import numpy as np
import scipy

# From this many values on, transforms are shared out over the cores.
SHARE_LIMIT = 1 << 16


def places(net):
    """The exponents S_i j of each layer's entries in the end-to-end filter, (D, |k_i|) each."""
    return [
        np.indices(k).reshape(net.ndim, -1) * np.array(s)[:, None]
        for k, s in zip(net.filter_shapes, net.cumulative_strides)
    ]


@cache
def cores():
    """Cores to use: OMP_NUM_THREADS where it is set, as the libraries under NumPy do."""
    if sys.platform == "emscripten":  # no threads in the browser
        return 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdigit() and int(asked):
        return int(asked)
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(usable(0)) if usable else os.cpu_count() or 1


class Layout:
    """Sizes, and the packing of H filters into one row."""

    def __init__(self, net):
        self.net = net
        self.shape = net.end_to_end_shape
        self.sizes = [prod(k) for k in net.filter_shapes]
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)]).tolist()
        self.parts = [slice(a, b) for a, b in zip(self.offsets[:-1], self.offsets[1:])]

    def pack(self, ws):
        """List of (*batch, *k_i) -> one (B, P) array."""
        if ws[0].ndim == self.net.ndim:
            return np.concatenate([w.reshape(-1) for w in ws])[None]
        b = prod(ws[0].shape[: -self.net.ndim])
        return np.concatenate([w.reshape(b, n) for w, n in zip(ws, self.sizes)], axis=1)

    def unpack(self, theta, batch):
        """(B, P) -> list of (*batch, *k_i)."""
        return [
            theta[:, p].reshape(batch + k) for p, k in zip(self.parts, self.net.filter_shapes)
        ]


class Matrices(Layout):
    """Evaluation and interpolation as real matrix products; for small filters."""

    # A block-diagonal matrix does all layers in one product while it and the batch are this
    # small; above, the zeros in it and the strides in its result cost more than further calls.
    BLOCK_LIMIT = 40_000
    BLOCK_ROWS = 16

    def __init__(self, net):
        super().__init__(net)
        grid = self.shape  # N = k: the fewest points
        half = grid[:-1] + (grid[-1] // 2 + 1,)
        m = np.indices(half).reshape(net.ndim, -1)
        self.n_values = m.shape[1]
        # Real coefficients: the dropped half of the spectrum is the conjugate of the rest.
        last = m[-1]
        self.weights = np.where((last == 0) | (2 * last == grid[-1]), 1.0, 2.0) / prod(grid)
        layers = [self._matrix(place, m) for place in places(net)]
        self.analysis = self._matrix(np.indices(grid).reshape(net.ndim, -1), m)
        w2 = np.repeat(self.weights, 2)
        self.synthesis = np.ascontiguousarray((self.analysis * w2).T)
        self.layer_evaluation = layers
        self.layer_sampling = [np.ascontiguousarray((e * w2).T) for e in layers]
        width = 2 * self.n_values
        self.block = self.offsets[-1] * net.depth * width <= self.BLOCK_LIMIT
        if self.block:
            self.evaluation = np.zeros((self.offsets[-1], net.depth * width))
            self.sampling = np.zeros((net.depth * width, self.offsets[-1]))
            for i, (p, e) in enumerate(zip(self.parts, layers)):
                columns = slice(i * width, (i + 1) * width)
                self.evaluation[p, columns] = e
                self.sampling[columns, p] = self.layer_sampling[i]

    def _matrix(self, points, m):
        """exp(-2 pi i <j, m> / N), real and imaginary parts interleaved: (points, 2M)."""
        grid = self.shape
        common = int(np.lcm.reduce(grid))
        # The phase is reduced in integers, so that every entry is correctly rounded.
        phase = sum(np.multiply.outer(j * (common // n), q) for j, q, n in zip(points, m, grid))
        angle = 2 * np.pi * _symmetric_fraction(phase % common, common)
        out = np.empty((points.shape[1], 2 * self.n_values))
        out[:, 0::2] = np.cos(angle)
        out[:, 1::2] = -np.sin(angle)
        return out

    def spectra(self, theta):
        """Values of every layer's polynomial: (B, P) -> (H, B, M)."""
        depth, b = self.net.depth, len(theta)
        if self.block and b <= self.BLOCK_ROWS:
            w = (theta @ self.evaluation).view(complex).reshape(b, depth, self.n_values)
            return w.transpose(1, 0, 2) if b != 1 else w.reshape(depth, 1, -1)
        out = np.empty((depth, b, 2 * self.n_values))
        for i, (p, e) in enumerate(zip(self.parts, self.layer_evaluation)):
            np.matmul(theta[:, p], e, out=out[i])
        return out.view(complex)

    def analyse(self, v):
        """Values of a polynomial with coefficients on the k-grid: (B, |k|) -> (B, M)."""
        return (v @ self.analysis).view(complex)

    def coefficients(self, values):
        """Interpolation: (B, M) -> (B, |k|)."""
        return values.view(float) @ self.synthesis

    def samples(self, values):
        """Interpolated coefficients at the multiples S_i j of each layer: (H, B, M) -> (B, P)."""
        depth, b, m = values.shape
        if self.block and b <= self.BLOCK_ROWS:
            flat = values.transpose(1, 0, 2).reshape(b, depth * m)
            return flat.view(float) @ self.sampling
        out = np.empty((b, self.offsets[-1]))
        for i, (p, s) in enumerate(zip(self.parts, self.layer_sampling)):
            out[:, p] = values[i].view(float) @ s
        return out


def _symmetric_fraction(phase, common):
    """phase / common moved into (-1/2, 1/2], where cos and sin lose nothing."""
    return np.where(2 * phase > common, phase - common, phase) / common


class FFT:
    """Real transforms of arrays (..., *shape), all in one call; the points in one axis."""

    def __init__(self, shape):
        self.shape = shape
        self.grid = tuple(scipy.fft.next_fast_len(n, real=True) for n in shape)
        self.half = (*self.grid[:-1], self.grid[-1] // 2 + 1)
        self.axes = tuple(range(-len(shape), 0))
        self.n_values = prod(self.half)

    def forward(self, a):
        workers = cores() if a.size > SHARE_LIMIT else 1
        out = scipy.fft.rfftn(a, self.grid, axes=self.axes, workers=workers)
        return out.reshape(*a.shape[: a.ndim - len(self.grid)], self.n_values)

    def backward(self, values):
        """Overwrites `values`."""
        workers = cores() if values.size > SHARE_LIMIT else 1
        out = scipy.fft.irfftn(values.reshape(*values.shape[:-1], *self.half), self.grid,
                               axes=self.axes, workers=workers, overwrite_x=True)
        return out[(..., *(slice(0, n) for n in self.shape))]


class Transforms(Layout):
    """Evaluation and interpolation by fast Fourier transforms; for large filters."""

    def __init__(self, net):
        super().__init__(net)
        self.fft = FFT(self.shape)
        self.n_values = self.fft.n_values
        self.lattice = [
            tuple(slice(0, (n - 1) * d + 1, d) for n, d in zip(k, s))
            for k, s in zip(net.filter_shapes, net.cumulative_strides)
        ]

    def spectra(self, theta):
        stuffed = np.zeros((self.net.depth, len(theta), *self.shape))
        for row, place, p, k in zip(stuffed, self.lattice, self.parts, self.net.filter_shapes):
            row[(..., *place)] = theta[:, p].reshape(-1, *k)
        return self.fft.forward(stuffed)

    def analyse(self, v):
        return self.fft.forward(v.reshape(-1, *self.shape))

    def coefficients(self, values):
        return self.fft.backward(values).reshape(len(values), -1)

    def samples(self, values):
        full, b = self.fft.backward(values), values.shape[1]
        rows = [row[(..., *place)].reshape(b, -1) for row, place in zip(full, self.lattice)]
        return np.concatenate(rows, axis=1)
