"""Evaluate, multiply, interpolate: the one computation behind every D, stride and batch.

The product of the polynomials p_i(x^{S_i}) is taken at the points of an N-grid of roots of
unity with N >= k on every axis, so that the product is determined by its values.  Only
half of the last axis is kept, because the coefficients are real.  Arrays of values have shape
(H, B, M): layers, flattened batch, M points.  `DensePlan` evaluates and interpolates by
matrix products, `FFTPlan` by fast Fourier transforms; they have the same methods.
"""

import os
import sys
from functools import cache, cached_property, lru_cache
from itertools import combinations
from math import prod

import numpy as np
import scipy

# Up to this many end-to-end coefficients the matrices beat the call overhead of the FFT and
# round as little as it does (measured); longer sums would lose digits.
DENSE_LIMIT = 160
# From this many values on, transforms are shared out over the cores.
SHARE_LIMIT = 1 << 16
# Up to this many entries a table of indices builds the Jacobian in the fewest calls.
GATHER_LIMIT = 1 << 14
# Up to this many end-to-end coefficients one product for a whole batch of kernels is quickest.
PRODUCT_LIMIT = 192


@lru_cache(maxsize=128)
def plan(net):
    """The plan of an architecture, made once."""
    return (DensePlan if prod(net.end_to_end_shape) <= DENSE_LIMIT else FFTPlan)(net)


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


def cofactor_values(w):
    """Values of the H cofactors from the values of the H factors, both (H, B, M).

    Prefix and suffix products: no division, so zeros of a factor do no harm.  The last
    cofactor times the last factor is the end-to-end polynomial.
    """
    depth = len(w)
    c = np.empty_like(w)
    if depth == 1:
        c[0] = 1.0
        return c
    c[1] = w[0]
    for i in range(2, depth):
        np.multiply(c[i - 1], w[i - 1], out=c[i])
    suffix = w[-1]
    for i in range(depth - 2, 0, -1):
        c[i] *= suffix
        suffix = suffix * w[i]
    c[0] = suffix
    return c


def _support(size, terms):
    """Which of `size` exponents the product of the 1 + x^s + ... + x^(s(k-1)) contains."""
    mask = np.zeros(size, dtype=bool)
    mask[0] = True
    for k, s in terms:
        done = 1  # shifts by 0, s, ..., (done - 1) s are in
        while done < k:
            more = min(done, k - done)
            mask[more * s :] |= mask[: -more * s]
            done += more
    return mask


class Plan:
    """What the two plans share: sizes, packing, supports and index tables."""

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

    def _axis_terms(self, axis, skip=None):
        net = self.net
        return [
            (k[axis], s[axis])
            for i, (k, s) in enumerate(zip(net.filter_shapes, net.cumulative_strides))
            if i != skip
        ]

    def _grid_mask(self, skip=None):
        """Coefficients on the k-grid that v (or the cofactor of layer `skip`) can reach."""
        mask = np.ones((), dtype=bool)
        for a, n in enumerate(self.shape):
            mask = np.logical_and.outer(mask, _support(n, self._axis_terms(a, skip)))
        return mask

    @cached_property
    def support(self):
        """Flat mask of the end-to-end coefficients, or None when all can be non-zero."""
        mask = self._grid_mask().reshape(-1)
        return None if mask.all() else mask

    @cached_property
    def cofactor_supports(self):
        """(H, |k|) mask of the coefficients of each cofactor on the k-grid."""
        return np.stack([self._grid_mask(i).reshape(-1) for i in range(self.net.depth)])

    @cached_property
    def jacobian_index(self):
        """(|k|, P) table into the flat (H |k| + 1) cofactor coefficients; the last is zero.

        Column (i, j) of the Jacobian is the cofactor c_i shifted by S_i j.
        """
        net, size = self.net, prod(self.shape)
        n = np.indices(self.shape).reshape(net.ndim, -1)
        columns = []
        for i, (k, s) in enumerate(zip(net.filter_shapes, net.cumulative_strides)):
            shift = np.indices(k).reshape(net.ndim, -1) * np.array(s)[:, None]
            source = n[:, :, None] - shift[:, None, :]
            inside = (source >= 0).all(axis=0)
            flat = np.ravel_multi_index(np.where(inside, source, 0), self.shape)
            inside &= self.cofactor_supports[i][flat]
            columns.append(np.where(inside, flat + i * size, net.depth * size))
        return np.ascontiguousarray(np.concatenate(columns, axis=1))

    @cached_property
    def lags(self):
        """{(i, j): S_i a + S_j b as flat indices (|k_i|, |k_j|)} for each pair of layers."""
        net = self.net
        places = [
            np.indices(k).reshape(net.ndim, -1) * np.array(s)[:, None]
            for k, s in zip(net.filter_shapes, net.cumulative_strides)
        ]
        return {
            (i, j): np.ravel_multi_index(
                places[i][:, :, None] + places[j][:, None, :], self.shape)
            for i, j in combinations(range(net.depth), 2)
        }

    def mask(self, v):
        """Set the unreachable coefficients of (..., |k|) to an exact zero, in place."""
        if self.support is not None:
            v[..., ~self.support] = 0.0
        return v

    def cofactors(self, theta):
        """Coefficients of the cofactors on the k-grid, (H, B, |k|)."""
        c = cofactor_values(self.spectra(theta))
        depth, b, m = c.shape
        out = self.coefficients(c.reshape(depth * b, m)).reshape(depth, b, prod(self.shape))
        out *= self.cofactor_supports[:, None, :]
        return out

    def jacobian(self, theta):
        """Jacobians (B, |k|, P): column (i, j) is the cofactor c_i shifted by S_i j."""
        c = self.cofactors(theta)
        depth, b, n = c.shape
        if b * n * self.offsets[-1] > GATHER_LIMIT:
            return self._windows(c).transpose(0, 2, 1)
        flat = np.zeros((b, depth * n + 1))  # the last entry stays zero
        flat[:, :-1].reshape(b, depth, n)[...] = c.transpose(1, 0, 2)
        return flat[:, self.jacobian_index] if b != 1 else flat[0][self.jacobian_index][None]

    def _windows(self, c):
        """Transposed Jacobians: row (i, j) is a window of c_i after a margin of zeros."""
        b, net = c.shape[1], self.net
        out = np.empty((b, self.offsets[-1], prod(self.shape)))
        for ci, part, k, s in zip(c, self.parts, net.filter_shapes, net.cumulative_strides):
            margin = tuple((m - 1) * d for m, d in zip(k, s))
            padded = np.zeros((b, *(m + n for m, n in zip(margin, self.shape))))
            padded[(slice(None), *(slice(m, None) for m in margin))] = ci.reshape(b, *self.shape)
            first, *steps = padded.strides
            offset = sum(m * t for m, t in zip(margin, steps))
            back = tuple(-d * t for d, t in zip(s, steps))
            view = np.ndarray((b, *k, *self.shape), float, padded, offset, (first, *back, *steps))
            out[:, part].reshape(b, *k, *self.shape)[...] = view
        return out

    def kernel(self, j):
        """K = J J^T, (B, |k|, |k|), exactly symmetric."""
        b, n, _ = j.shape
        if n <= PRODUCT_LIMIT and b != 1:
            k = j @ j.transpose(0, 2, 1)
            k += k.transpose(0, 2, 1).copy()
            k *= 0.5
            return k
        k = np.empty((b, n, n))
        for one, out in zip(j, k):
            np.matmul(one, one.T, out=out)  # one symmetric rank-k update: exactly symmetric
        return k

    def product(self, theta):
        """End-to-end filters (B, |k|) of packed filters (B, P)."""
        w = self.spectra(theta)
        values = w[0]
        for x in w[1:]:
            values = values * x
        return self.mask(self.coefficients(values))

    def jvp(self, theta, direction):
        """dmu(theta) direction, (B, |k|)."""
        c = cofactor_values(self.spectra(theta))
        c *= self.spectra(direction)
        return self.mask(self.coefficients(c.sum(axis=0)))

    def vjp(self, theta, g):
        """dmu(theta)^T g, (B, P), for g of shape (B, |k|)."""
        return self.pull_back(cofactor_values(self.spectra(theta)), self.analyse(g))

    def there_and_back(self, theta, g):
        """dmu(theta)^T g, (B, P), and dmu of that, K g, (B, |k|)."""
        c = cofactor_values(self.spectra(theta))
        back = self.pull_back(c.copy(), self.analyse(g))
        t = self.spectra(back)
        t *= c
        return back, self.mask(self.coefficients(t.sum(axis=0)))

    def pull_back(self, c, g):
        """All T_i^T g from the values of the cofactors (overwritten) and of g."""
        np.conjugate(c, out=c)
        c *= g
        return self.samples(c)


class DensePlan(Plan):
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
        layers = [
            self._matrix(np.indices(k).reshape(net.ndim, -1) * np.array(s)[:, None], m)
            for k, s in zip(net.filter_shapes, net.cumulative_strides)
        ]
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

    def _forward(self, a):
        """Real transforms of (..., *k), all in one call."""
        workers = cores() if a.size > SHARE_LIMIT else 1
        out = scipy.fft.rfftn(a, self.grid, axes=self.axes, workers=workers)
        return out.reshape(*a.shape[: a.ndim - len(self.grid)], self.n_values)

    def _backward(self, values):
        values = values.reshape(*values.shape[:-1], *self.half)
        workers = cores() if values.size > SHARE_LIMIT else 1
        return scipy.fft.irfftn(
            values, self.grid, axes=self.axes, workers=workers, overwrite_x=True)

    def spectra(self, theta):
        depth, b = self.net.depth, len(theta)
        stuffed = np.zeros((depth, b, *self.shape))
        for i, (p, k) in enumerate(zip(self.parts, self.net.filter_shapes)):
            stuffed[(i, slice(None), *self.lattice[i])] = theta[:, p].reshape(b, *k)
        return self._forward(stuffed)

    def analyse(self, v):
        return self._forward(v.reshape(-1, *self.shape))

    def coefficients(self, values):
        full = self._backward(values)
        return full[(slice(None), *self.crop)].reshape(len(values), -1)

    def samples(self, values):
        full = self._backward(values)
        b = values.shape[1]
        out = np.empty((b, self.offsets[-1]))
        for i, p in enumerate(self.parts):
            out[:, p] = full[(i, slice(None), *self.lattice[i])].reshape(b, self.sizes[i])
        return out
