"""The product of polynomials, its differential and its kernel, for every D, stride and batch.

All are computed on values at points (`points`), by matrix products in a `DensePlan`, by fast
Fourier transforms in an `FFTPlan`, and by shorter ones in a `CombedPlan`, where there is a first
stride; the three have the same methods.
"""

from functools import cached_property, lru_cache
from itertools import combinations
from math import prod

import numpy as np

from .points import FFT, Matrices, Transforms, places

# Up to this many end-to-end coefficients the matrices beat the call overhead of the FFT and
# round as little as it does (measured); longer sums would lose digits.
DENSE_LIMIT = 160
# Up to this many entries a table of indices builds the Jacobian in the fewest calls.
GATHER_LIMIT = 1 << 14
# Up to this many end-to-end coefficients one product for a whole batch of kernels is quickest.
PRODUCT_LIMIT = 192


@lru_cache(maxsize=128)
def plan(net):
    """The plan of an architecture, made once."""
    if prod(net.end_to_end_shape) <= DENSE_LIMIT:
        return DensePlan(net)
    combed = net.depth > 1 and prod(net.strides[0]) > 1
    return (CombedPlan if combed else FFTPlan)(net)


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
    """What all plans share; `spectra`, `analyse`, `coefficients` and `samples` are theirs."""

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
        for i, shift in enumerate(places(net)):
            source = n[:, :, None] - shift[:, None, :]
            inside = (source >= 0).all(axis=0)
            flat = np.ravel_multi_index(np.where(inside, source, 0), self.shape)
            inside &= self.cofactor_supports[i][flat]
            columns.append(np.where(inside, flat + i * size, net.depth * size))
        return np.ascontiguousarray(np.concatenate(columns, axis=1))

    @cached_property
    def lags(self):
        """{(i, j): S_i a + S_j b as flat indices (|k_i|, |k_j|)} for each pair of layers."""
        return {
            (i, j): np.ravel_multi_index(p[:, :, None] + q[:, None, :], self.shape)
            for (i, p), (j, q) in combinations(enumerate(places(self.net)), 2)
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


class DensePlan(Plan, Matrices):
    """By matrix products."""


class FFTPlan(Plan, Transforms):
    """By Fourier transforms of full length."""


class CombedPlan(FFTPlan):
    """Products and differentials by shorter transforms, where the first stride s is above one.

    In each residue class c modulo s, v_c = p_c r: the classes p_c of the first filter, and the
    product r(x^s) of the other layers.  Only v and the first layer have prod(s) rows, one for
    each class; all rows are shorter by as much, and one call shares them out over the cores.
    """

    def __init__(self, net):
        super().__init__(net)
        s = net.strides[0]
        self.classes = [
            tuple(slice(c, None, n) for c, n in zip(residue, s)) for residue in np.ndindex(*s)]
        self.short = FFT(tuple(-(-n // m) for n, m in zip(self.shape, s)))
        # The other layers on the grid of a class.
        self.others = [
            tuple(slice(p.start, (p.stop - 1) // n + 1, p.step // n) for p, n in zip(place, s))
            for place in self.lattice[1:]
        ]
        self.ends = len(self.classes), len(self.classes) + net.depth - 1

    def product(self, theta):
        first, _, r, _ = self._values(theta)
        return self._gathered(first * r)

    def jvp(self, theta, direction):
        first, rest, r, _ = self._values(theta)
        return self._push(first, rest, r, direction)

    def vjp(self, theta, g):
        return self._pull(*self._values(theta, g))

    def there_and_back(self, theta, g):
        first, rest, r, g = self._values(theta, g)
        back = self._pull(first, rest, r, g)
        return back, self._push(first, rest, r, back)

    def _values(self, theta, g=None):
        """Values: classes of layer 1, cofactors of the others in r, r, classes of g."""
        first, others, g = self._spectra(theta, g)
        rest = cofactor_values(others)
        return first, rest, rest[-1] * others[-1], g

    def _push(self, first, rest, r, direction):
        """The differential: class c moves by dp_c r + p_c dr."""
        d, others, _ = self._spectra(direction)
        others *= rest
        d *= r
        first *= others.sum(axis=0)
        d += first
        return self._gathered(d)

    def _pull(self, first, rest, r, g):
        """Its transpose."""
        values = np.empty((self.ends[1], *r.shape), complex)
        np.multiply(np.conjugate(r), g, out=values[: self.ends[0]])
        slope = (np.conjugate(first) * g).sum(axis=0)
        np.multiply(np.conjugate(rest), slope, out=values[self.ends[0] :])
        rows = self.short.backward(values)
        b = len(slope)
        w = np.empty((b, *self.net.filter_shapes[0]))
        self._gather(rows, w)
        parts = [row[(..., *place)] for row, place in zip(rows[self.ends[0] :], self.others)]
        return self.pack([w, *parts])

    def _spectra(self, theta, g=None):
        """Values, (rows, B, M): classes of layer 1, the other layers, classes of g."""
        b, (first, last) = len(theta), self.ends
        rows = np.zeros((last if g is None else first + last, b, *self.short.shape))
        self._scatter(theta[:, self.parts[0]].reshape(b, *self.net.filter_shapes[0]), rows)
        for row, place, part, k in zip(
                rows[first:], self.others, self.parts[1:], self.net.filter_shapes[1:]):
            row[(..., *place)] = theta[:, part].reshape(b, *k)
        if g is not None:
            self._scatter(g.reshape(b, *self.shape), rows[last:])
        values = self.short.forward(rows)
        return values[:first], values[first:last], values[last:]

    def _gathered(self, values):
        """Coefficients (B, |k|) from the values of the classes."""
        v = np.empty((values.shape[1], *self.shape))
        self._gather(self.short.backward(values), v)
        return self.mask(v.reshape(len(v), -1))

    def _scatter(self, a, rows):
        """One row for each class of `a`, of shape (B, *n)."""
        for row, c in zip(rows, self.classes):
            part = a[(slice(None), *c)]
            row[tuple(slice(0, n) for n in part.shape)] = part

    def _gather(self, rows, a):
        """Its inverse."""
        for row, c in zip(rows, self.classes):
            part = a[(slice(None), *c)]
            part[...] = row[tuple(slice(0, n) for n in part.shape)]
