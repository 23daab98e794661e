"""From the first layer inwards: v(x) = p_1(x) r(x^{s_1}), and r again; for very large filters.

Layer i lives at stride S_i, so its values on the N-grid repeat with period N / S_i: they are found
by a transform of that size and *tiled*.  Transposed, *folding* sums the values over all periods,
which is sampling the coefficients at multiples of the stride.

A long transform is quicker in two steps of short ones.  The first axis is cut into R *rows* of M
numbers.  With j = M a + b and m = q + R c, both a and q below R and both b and c below M, the sum
of the x[j] exp(-2 pi i j m / RM) is one over a, for every b and q a term of a real transform of
length R; then a *twist* by exp(-2 pi i b q / RM); then one over b, for every q a transform along a
row.  Of the new rows q only half are needed, because the data are real.  Layer i has rows of
M / S_i numbers, so tiling, folding and products of values stay inside of rows: all of that is done
on blocks of rows that fit into the cache, on all cores.  Rows come first: (R, batch, ..., M).
"""

from collections import defaultdict
from functools import lru_cache
from math import isqrt, prod

import numpy as np
import scipy

from .._core import cores as _cores

# Complex numbers in a block of rows or columns: half a megabyte, so that it stays in the cache.
BLOCK = 1 << 15


@lru_cache(maxsize=4)  # few, because each keeps memory for the next call
def nested(plan):
    """The nested computation of a plan, made once."""
    return Nested(plan)


class Nested:
    """Product and differential of mu, level by level; arrays are packed as in the plan."""

    def __init__(self, plan):
        net, fast = plan.net, scipy.fft.next_fast_len
        self.plan, self.shapes, self.strides = plan, net.filter_shapes, net.strides[:-1]
        deepest = net.cumulative_strides[-1]
        # Every period N / S_i is a whole number, and the smallest is a fast transform length.
        first, *others = (-(-n // s) for n, s in zip(plan.shape, deepest))
        square = isqrt(prod(plan.shape)) + 1  # as many rows as numbers in each
        self.n_rows = fast(min(first, square), real=True)
        self.half = self.n_rows // 2 + 1
        smallest = [fast(n) for n in (-(-first // self.n_rows), *others)]
        self.rows = [  # the shape of a row of each layer
            tuple(m * (d // s) for m, d, s in zip(smallest, deepest, ss))
            for ss in net.cumulative_strides
        ]
        self.axes = [[2 + a for a, n in enumerate(row) if n > 1] for row in self.rows]
        self.twists = [self._twist(row) for row in self.rows]
        self._spare = defaultdict(list)

    def _twist(self, row):
        turn = np.multiply.outer(np.arange(self.half), np.arange(row[0]))
        out = np.exp(-2j * np.pi / (self.n_rows * row[0]) * turn)
        return out.reshape(self.half, 1, row[0], *[1] * (len(row) - 1))

    def _blocks(self, n, size):
        """Slices of range(n), so that `size` numbers for each make BLOCK."""
        step = max(1, BLOCK // size)
        return [slice(a, min(n, a + step)) for a in range(0, n, step)]

    def _by_rows(self, work, b):
        _cores.share(work, self._blocks(self.half, b * prod(self.rows[0])))

    def _by_columns(self, work, b, level, others):
        _cores.share(work, self._blocks(self.rows[level][0], self.half * b * prod(others)))

    def _cells(self, a, level):
        """Views of (B, n, ...) as the full rows (R, B, M, ...) and what is left, (B, < M, ...)."""
        m = self.rows[level][0]
        full = a.shape[1] // m
        whole = a[:, : full * m].reshape(len(a), full, m, *a.shape[2:])
        return whole.swapaxes(0, 1), a[:, full * m :]

    def _enter(self, a, level):
        """(B, *k) -> the first step of its transform, over the rows."""
        b, _, *others = a.shape
        out = self._room(b, a.shape[1:], level)
        full, left = self._cells(a, level)

        def work(columns):
            x = np.empty((self.n_rows, b, columns.stop - columns.start, *others))
            x[: len(full)] = full[:, :, columns]
            x[len(full) :] = 0
            rest = left[:, columns]
            if rest.size:
                x[len(full), :, : rest.shape[1]] = rest
            out[:, :, columns] = scipy.fft.rfft(x, axis=0)

        self._by_columns(work, b, level, others)
        return out

    def _leave(self, z, level, out):
        """First step back, to all coefficients that `out`, (B, *k), has room for."""
        full, left = self._cells(out, level)

        def work(columns):
            x = scipy.fft.hfft(z[:, :, columns], self.n_rows, axis=0, norm="forward")
            full[:, :, columns] = x[: len(full)]
            rest = left[:, columns]
            if rest.size:
                rest[...] = x[len(full), :, : rest.shape[1]]

        self._by_columns(work, len(out), level, out.shape[2:])
        self._give_back(z)

    def _room(self, b, k, level):
        """Memory for what `_enter` makes of (B, *k)."""
        shape = self.half, b, self.rows[level][0], *k[1:]
        try:
            return self._spare[shape].pop()
        except IndexError:  # none left: asked for first, since another thread may take the last
            return np.empty(shape, complex)

    def _give_back(self, *arrays):
        """For the next call: to get fresh memory takes as long as to transform what is in it."""
        for z in arrays:
            if z.shape[1] == 1:
                self._spare[z.shape].append(z)

    def _layers(self, theta):
        b = len(theta)
        return [self._enter(theta[:, p].reshape(b, *k), i)
                for i, (p, k) in enumerate(zip(self.plan.parts, self.shapes))]

    def _values(self, z, level, rows):
        """The second step, on some rows: the values there."""
        z = z[rows] * self.twists[level][rows]
        for a in self.axes[level]:
            z = scipy.fft.fft(z, self.rows[level][a - 2], a, overwrite_x=True)
        return z

    def _all_values(self, p, rows):
        return [self._values(z, i, rows) for i, z in enumerate(p)]

    def _return(self, z, level, rows, out):
        """Second step back, into some rows of `out`, from the conjugates of values."""
        for a in self.axes[level]:
            z = scipy.fft.fft(z, axis=a, norm="forward", overwrite_x=True)
        z = z[(slice(None), slice(None), *(slice(0, n) for n in out.shape[2:]))]
        np.multiply(z, self.twists[level][rows], out=out[rows])

    def _split(self, z, i):
        """View with two axes for each one of the signal: the period, and the place in it."""
        pairs = (n for s, m in zip(self.strides[i], z.shape[2:]) for n in (s, m // s))
        return z.reshape(*z.shape[:2], *pairs)

    def _times_tiled(self, z, rest, i):
        """z times rest tiled, where rest lives on level i + 1 and z on level i."""
        one = rest.reshape(*rest.shape[:2], *(n for m in rest.shape[2:] for n in (1, m)))
        return (self._split(z, i) * one).reshape(z.shape)

    def _fold(self, z, i):
        return self._split(z, i).mean(axis=tuple(range(2, z.ndim * 2 - 2, 2)))

    def _interpolate(self, values, b):
        """The flat coefficients (B, |k|) whose values on a block of rows are ``values(rows)``."""
        out = self._room(b, self.plan.shape, 0)

        def work(rows):
            z = values(rows)
            self._return(np.conjugate(z, out=z), 0, rows, out)

        self._by_rows(work, b)
        v = np.empty((b, *self.plan.shape))
        self._leave(out, 0, v)
        return v.reshape(b, -1)

    def product(self, theta):
        p = self._layers(theta)

        def values(rows):
            *w, rest = self._all_values(p, rows)
            for i in range(len(w) - 1, -1, -1):
                rest = self._times_tiled(w[i], rest, i)
            return rest

        v = self._interpolate(values, len(theta))
        self._give_back(*p)
        return v

    def jvp(self, theta, direction):
        return self._push(self._layers(theta), direction)

    def _push(self, p, direction):
        """dmu direction, flat; uses up p = _layers(theta)."""
        t = self._layers(direction)

        def values(rows):
            *w, rest = self._all_values(p, rows)
            *d, total = self._all_values(t, rows)
            for i in range(len(w) - 1, -1, -1):
                total = self._times_tiled(w[i], total, i)
                total += self._times_tiled(d[i], rest, i)
                if i:
                    rest = self._times_tiled(w[i], rest, i)
            return total

        v = self._interpolate(values, len(direction))
        self._give_back(*p, *t)
        return v

    def vjp(self, theta, g):
        p = self._layers(theta)
        out = self._pull(p, g)
        self._give_back(*p)
        return out

    def _pull(self, p, g):
        """All T_i^T g, packed; keeps p = _layers(theta)."""
        b, last = len(g), len(p) - 1
        z = self._enter(g.reshape(b, *self.plan.shape), 0)
        outs = [self._room(b, k, i) for i, k in enumerate(self.shapes)]

        def work(rows):
            w = self._all_values(p, rows)
            rests = w[-1:]
            for i in range(last - 1, 0, -1):
                rests.append(self._times_tiled(w[i], rests[-1], i))
            y = self._values(z, 0, rows)
            np.conjugate(y, out=y)  # once, in place of every cofactor
            for i in range(last):
                self._return(self._times_tiled(y, rests.pop(), i), i, rows, outs[i])
                y *= w[i]
                y = self._fold(y, i)
            self._return(y, last, rows, outs[last])

        self._by_rows(work, b)
        self._give_back(z)
        t = np.empty((b, self.plan.offsets[-1]))
        for i, (part, k) in enumerate(zip(self.plan.parts, self.shapes)):
            self._leave(outs[i], i, t[:, part].reshape(b, *k))  # a view: it splits one axis
        return t

    def ntk_apply(self, theta, g):
        p = self._layers(theta)
        return self._push(p, self._pull(p, g))
