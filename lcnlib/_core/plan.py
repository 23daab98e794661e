"""The product of polynomials, its differential and its kernel, for every D, stride and batch.

The product of the polynomials p_i(x^{S_i}) is taken on values at points, as many as determine it:
by matrix products in a `DensePlan`, by fast Fourier transforms in an `FFTPlan`.  The points are
half of the roots of unity, because the coefficients are real.  Arrays of values have shape
(H, B, M): layers, flattened batch, M points.
"""

import sys
from functools import cached_property, lru_cache
from math import prod

import numpy as np
import scipy

# Up to this many end-to-end coefficients the matrices beat the call overhead of the FFT and
# round as little as it does (measured); longer sums would lose digits.
DENSE_LIMIT = 160
# From this many values on, transforms are shared out over the cores.
SHARE_LIMIT = 1 << 16


@lru_cache(maxsize=128)
def plan(net):
    """The plan of an architecture, made once."""
    return (DensePlan if prod(net.end_to_end_shape) <= DENSE_LIMIT else FFTPlan)(net)


def cofactor_values(w):
    """Values of the H cofactors from the values of the H factors, both (H, B, M).

    Prefix and suffix products: no division, so zeros of a factor do no harm.  The last
    cofactor times the last factor is the end-to-end polynomial.
    """
    c = np.ones_like(w)
    for i in range(1, len(w)):
        np.multiply(c[i - 1], w[i - 1], out=c[i])
    suffix = w[-1]
    for i in range(len(w) - 2, -1, -1):
        c[i] *= suffix
        suffix = suffix * w[i]
    return c


def pair_values(w):
    """(i, j), and the values of the product of all other factors, for each pair of layers."""
    suffix = [np.ones_like(w[0])]  # of the layers after j, the last j first
    for x in w[:1:-1]:
        suffix.append(suffix[-1] * x)
    before = suffix[0]
    for i in range(len(w) - 1):
        between = before
        for j in range(i + 1, len(w)):
            yield (i, j), between * suffix[len(w) - 1 - j]
            between = between * w[j]
        before = before * w[i]


class Plan:
    """What both plans share; `spectra`, `analyse`, `coefficients`, `samples`, `fold` are theirs."""

    def __init__(self, net):
        self.net = net
        self.shape = net.end_to_end_shape
        self.sizes = [prod(k) for k in net.filter_shapes]
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)]).tolist()
        self.parts = [slice(a, b) for a, b in zip(self.offsets[:-1], self.offsets[1:])]
        self.places = [np.ravel_multi_index(n, self.shape) for n in _exponents(net)]

    def pack(self, ws):
        """List of (*batch, *k_i) -> one (B, P) array."""
        b = prod(ws[0].shape[: -self.net.ndim])
        return np.concatenate([w.reshape(b, n) for w, n in zip(ws, self.sizes)], axis=1)

    def unpack(self, theta, batch):
        """(B, P) -> list of (*batch, *k_i)."""
        return [theta[:, p].reshape(batch + k)
                for p, k in zip(self.parts, self.net.filter_shapes)]

    def _reached(self, skip=None):
        """Flat mask of the coefficients that v (or the cofactor of layer `skip`) can have."""
        mask = np.arange(prod(self.shape)) == 0
        for i, (k, s) in enumerate(zip(self.net.filter_shapes, self.net.cumulative_strides)):
            for axis in range(self.net.ndim) if i != skip else ():
                step = s[axis] * prod(self.shape[axis + 1 :])
                done = 1  # shifts by 0, 1, ..., done - 1 steps are in
                while done < k[axis]:
                    more = min(done, k[axis] - done)
                    mask[more * step :] |= mask[: -more * step]
                    done += more
        return mask

    @cached_property
    def gaps(self):
        """Which end-to-end coefficients are zero for all filters."""
        return np.flatnonzero(~self._reached())

    @cached_property
    def cofactor_supports(self):
        """(H, 1, |k|) mask of the coefficients of each cofactor on the k-grid."""
        return np.stack([self._reached(i)[None] for i in range(self.net.depth)])

    def mask(self, v):
        """Set the unreachable coefficients of (B, |k|) to an exact zero, in place."""
        if len(self.gaps):
            v[:, self.gaps] = 0.0
        return v

    def cofactors(self, theta):
        """Coefficients of the cofactors on the k-grid, (H, B, |k|)."""
        c = cofactor_values(self.spectra(theta))
        depth, b, m = c.shape
        out = self.coefficients(c.reshape(depth * b, m)).reshape(depth, b, prod(self.shape))
        out *= self.cofactor_supports
        return out

    def jacobian(self, theta):
        """Jacobians (B, |k|, P): column (i, j) is the cofactor c_i shifted by S_i j."""
        c = self.cofactors(theta)
        n = c.shape[-1]
        out = np.zeros((len(theta), self.offsets[-1], n))
        for c_i, start, places in zip(c, self.offsets, self.places):
            for row, place in enumerate(places.tolist(), start):
                out[:, row, place:] = c_i[:, : n - place]  # what would leave an axis is zero
        return out.transpose(0, 2, 1)

    def product(self, theta):
        """End-to-end filters (B, |k|) of packed filters (B, P)."""
        w = self.spectra(theta)
        values = w[0]
        for x in w[1:]:
            values = values * x
        return self.mask(self.coefficients(values))

    def jvp(self, theta, direction):
        """dmu(theta) direction, (B, |k|)."""
        return self._push(cofactor_values(self.spectra(theta)), direction)

    def vjp(self, theta, g):
        """dmu(theta)^T g, (B, P), for g of shape (B, |k|)."""
        return self.pull_back(cofactor_values(self.spectra(theta)), self.analyse(g))

    def there_and_back(self, theta, g):
        """dmu(theta)^T g, (B, P), and dmu of that, K g, (B, |k|)."""
        c = cofactor_values(self.spectra(theta))
        back = self.pull_back(c, self.analyse(g))
        return back, self._push(c, back)

    def _push(self, c, direction):
        """The differential from the values of the cofactors."""
        values = np.einsum("hbm,hbm->bm", c, self.spectra(direction))  # one pass over memory
        return self.mask(self.coefficients(values))

    def pull_back(self, c, g):
        """All T_i^T g from the values of the cofactors and of g."""
        values = np.conjugate(c)
        values *= g
        return self.samples(values)


def _exponents(net):
    """The exponents S_i j of each layer's entries, (D, |k_i|) each."""
    return [np.indices(k).reshape(net.ndim, -1) * np.array(s)[:, None]
            for k, s in zip(net.filter_shapes, net.cumulative_strides)]


class DensePlan(Plan):
    """Evaluation and interpolation as real matrix products; for small filters."""

    def __init__(self, net):
        super().__init__(net)
        grid = self.shape  # N = k: the fewest points
        m = np.indices((*grid[:-1], grid[-1] // 2 + 1)).reshape(net.ndim, -1)
        self.n_values = m.shape[1]
        # exp(-2 pi i <j, m> / N).  The phase is reduced in integers, to (-pi, pi], so that every
        # entry is correctly rounded.
        common = int(np.lcm.reduce(grid))
        phase = sum(np.multiply.outer(j * (common // n), q) for j, q, n in zip(
            np.indices(grid).reshape(net.ndim, -1), m, grid))
        phase = phase % common
        phase = np.where(2 * phase > common, phase - common, phase)
        # Rows: the values of one monomial, real and imaginary parts interleaved.
        self.analysis = np.exp(-2j * np.pi * (phase / common)).view(float)
        # Real coefficients: the dropped half of the spectrum is the conjugate of the rest.
        weights = np.where((m[-1] == 0) | (2 * m[-1] == grid[-1]), 1.0, 2.0) / prod(grid)
        self.synthesis = np.ascontiguousarray((self.analysis * np.repeat(weights, 2)).T)
        # Block-diagonal matrices do all layers in one product.
        evaluation = np.zeros((self.offsets[-1], net.depth, 2 * self.n_values))
        sampling = np.zeros((net.depth, 2 * self.n_values, self.offsets[-1]))
        for i, (part, n) in enumerate(zip(self.parts, self.places)):
            evaluation[part, i] = self.analysis[n]
            sampling[i, :, part] = self.synthesis[:, n]
        self.evaluation = evaluation.reshape(self.offsets[-1], -1)
        self.sampling = sampling.reshape(-1, self.offsets[-1])

    def spectra(self, theta):
        """Values of every layer's polynomial: (B, P) -> (H, B, M)."""
        w = (theta @ self.evaluation).view(complex)
        return w.reshape(len(theta), self.net.depth, self.n_values).swapaxes(0, 1)

    def analyse(self, v):
        """Values of a polynomial with coefficients on the k-grid: (B, |k|) -> (B, M)."""
        return (v @ self.analysis).view(complex)

    def coefficients(self, values):
        """Interpolation: (B, M) -> (B, |k|)."""
        return values.view(float) @ self.synthesis

    def samples(self, values):
        """Interpolated coefficients at the multiples S_i j of each layer: (H, B, M) -> (B, P)."""
        depth, b, m = values.shape
        return values.swapaxes(0, 1).reshape(b, depth * m).view(float) @ self.sampling

    def fold(self, values):
        """Values for `coefficients` where only powers of x^{S_2} are asked for: as they are."""
        return values


class FFTPlan(Plan):
    """Evaluation and interpolation by fast Fourier transforms; for large filters.

    All layers after the first are polynomials in x^s with the first stride s.  So v falls apart
    into classes of exponents modulo s, v_c = p_c r: the classes p_c of the first layer times the
    product r of the others.  A point here is a class and a root of unity; the first layer and v
    take one short transform for each class, each other layer takes one for all classes.
    """

    def __init__(self, net):
        super().__init__(net)
        # Where the other layers have size one, the end is as long as the first: no classes.
        classes = [s if n > k else 1 for s, n, k in zip(
            net.strides[0], self.shape, net.filter_shapes[0])]
        self.grid = tuple(scipy.fft.next_fast_len(-(-n // s), real=True)
                          for n, s in zip(self.shape, classes))
        self.half = (*self.grid[:-1], self.grid[-1] // 2 + 1)
        self.axes = tuple(range(-net.ndim, 0))
        self.n_classes, step = prod(classes), np.array(classes)[:, None]
        self.n_values = self.n_classes * prod(self.half)

        def rows(n):
            """Where exponents stand in rows of the grid, one for each class; flat."""
            return np.ravel_multi_index((*(n % step), *(n // step)), (*classes, *self.grid))

        self.ends = rows(np.indices(self.shape).reshape(net.ndim, -1))
        first, *others = map(rows, _exponents(net))
        # A row for each class of the first layer, and one for each other layer.
        self.entries = np.concatenate([first, *(
            n + i * prod(self.grid) for i, n in enumerate(others, self.n_classes))])

    def spectra(self, theta):
        depth, b, first = self.net.depth, len(theta), self.n_classes
        values = self._forward(theta, self.entries, first + depth - 1)
        out = np.empty((depth, b, *values[:, :first].shape[1:]), complex)
        out[0] = values[:, :first]
        out[1:] = values[:, first:].swapaxes(0, 1)[:, :, None]
        return out.reshape(depth, b, self.n_values)

    def analyse(self, v):
        return self._forward(v, self.ends, self.n_classes).reshape(len(v), self.n_values)

    def coefficients(self, values):
        return self._backward(values.reshape(len(values), self.n_classes, *self.half), self.ends)

    def samples(self, values):
        depth, b, _ = values.shape
        values = values.reshape(depth, b, self.n_classes, *self.half)
        rows = np.concatenate([values[0], values[1:].sum(axis=2).swapaxes(0, 1)], axis=1)
        return self._backward(rows, self.entries)

    def fold(self, values):
        rows = values.reshape(-1, self.n_classes, self.n_values // self.n_classes)
        out = np.zeros_like(rows)
        rows.sum(axis=1, out=out[:, 0])
        return out.reshape(values.shape)

    def _forward(self, entries, places, n_rows):
        """Transforms of rows with these entries (B, n) at these places: (B, rows, points)."""
        rows = np.zeros((len(entries), n_rows, *self.grid))
        rows.reshape(len(rows), prod(rows.shape[1:]))[:, places] = entries
        out = scipy.fft.rfftn(rows, axes=self.axes, workers=_workers(rows.size))
        return out.reshape(len(rows), n_rows, prod(self.half))

    def _backward(self, rows, places):
        out = scipy.fft.irfftn(rows, self.grid, axes=self.axes, workers=_workers(rows.size))
        return out.reshape(len(rows), prod(out.shape[1:]))[:, places]


def _workers(size):
    """All cores (-1) for large transforms; in the browser there are no threads."""
    return -1 if size > SHARE_LIMIT and sys.platform != "emscripten" else 1
