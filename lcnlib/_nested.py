"""From the first layer inwards: v(x) = p_1(x) r(x^{s_1}), and r again; for very large filters.

Layer i lives at stride S_i, so its values on the N-grid repeat with period N / S_i: they are found
by a transform of that size and *tiled*.  Transposed, *folding* sums the values over all periods,
which is sampling the coefficients at multiples of the stride.  All transforms together then cost
little more than those of the first layer.  Spectra are the halves that `scipy.fft.rfftn` keeps.
"""

from functools import lru_cache

import numpy as np
import scipy


@lru_cache(maxsize=32)
def nested(plan):
    """The nested computation of a plan, made once."""
    return Nested(plan)


class Nested:
    """Product and differential of mu, level by level; arrays are packed as in the plan."""

    def __init__(self, plan):
        net = plan.net
        self.plan, self.shapes = plan, net.filter_shapes
        self.strides = net.strides[:-1]
        self.axes = tuple(range(-net.ndim, 0))
        deepest = net.cumulative_strides[-1]
        # Every period N / S_i is a whole number, and the smallest is a fast transform length.
        grid = tuple(
            s * scipy.fft.next_fast_len(-(-n // s), real=True) for n, s in zip(plan.shape, deepest)
        )
        self.grids = [
            tuple(n // s for n, s in zip(grid, ss)) for ss in net.cumulative_strides
        ]

    def _layers(self, theta):
        """Half spectra of the layers, each on its own grid."""
        b = len(theta)
        return [self._forward(theta[:, p].reshape(b, *k), i)
                for i, (p, k) in enumerate(zip(self.plan.parts, self.shapes))]

    def _forward(self, a, level):
        return scipy.fft.rfftn(a, self.grids[level], axes=self.axes)

    def _filter(self, z, level):
        """The first k_i coefficients of the conjugate of a half spectrum, flat."""
        a = scipy.fft.irfftn(z, self.grids[level], axes=self.axes, overwrite_x=True)
        for axis, n in zip(self.axes, self.shapes[level]):
            a = a.take(np.arange(0, -n, -1), axis)  # conjugation turns the coefficients round
        return a.reshape(len(z), -1)

    def _end_to_end(self, z):
        a = scipy.fft.irfftn(z, self.grids[0], axes=self.axes, overwrite_x=True)
        return a[(slice(None), *self.plan.crop)].reshape(len(z), -1)

    def _tile(self, z, level):
        """From the grid of level + 1 to that of `level`."""
        return tile(z, self.grids[level + 1], self.strides[level])

    def _rests(self, p):
        """tile of r_i, the product of the layers after i, for every i but the last."""
        rest, rests = p[-1], []
        for i in range(len(p) - 2, -1, -1):
            rests.append(self._tile(rest, i))
            if i:
                rest = p[i] * rests[-1]
        return rests[::-1]

    def product(self, theta):
        p = self._layers(theta)
        rest = p.pop()
        for i in range(len(p) - 1, -1, -1):
            rest = self._tile(rest, i)
            rest *= p.pop()
        return self._end_to_end(rest)

    def jvp(self, theta, direction):
        p = self._layers(theta)
        return self._end_to_end(self._push(p, self._rests(p), direction))

    def _push(self, p, rests, direction):
        """Half spectrum of dmu direction; uses up p and rests."""
        b, depth = len(direction), len(p)
        total = None
        for i in range(depth - 1, -1, -1):
            part = direction[:, self.plan.parts[i]].reshape(b, *self.shapes[i])
            d = self._forward(part, i)
            if total is None:
                total = d
                continue
            d *= rests.pop()
            total = self._tile(total, i)
            total *= p[i]
            p[i] = None
            total += d
        return total

    def vjp(self, theta, g):
        p = self._layers(theta)
        return self._pull(p, self._rests(p), g)

    def _pull(self, p, rests, g):
        """All T_i^T g, packed."""
        out = np.empty((len(g), self.plan.offsets[-1]))
        z = self._forward(g.reshape(len(g), *self.plan.shape), 0)
        np.conjugate(z, out=z)  # once, in place of every cofactor
        for i, rest in enumerate(rests):
            out[:, self.plan.parts[i]] = self._filter(rest * z, i)
            z *= p[i]
            z = fold(z, self.grids[i + 1], self.strides[i])
        out[:, self.plan.parts[-1]] = self._filter(z, len(p) - 1)
        return out

    def ntk_apply(self, theta, g):
        p = self._layers(theta)
        rests = self._rests(p)
        return self._end_to_end(self._push(p, rests, self._pull(p, rests, g)))


def _negated(z, axes):
    """z at the negated indices of the given axes, modulo their length."""
    for a in axes:
        z = np.roll(np.flip(z, a), 1, a)
    return z


def tile(z, grid, stride):
    """Half spectrum on the grid of size grid * stride that repeats the one on `grid`.

    (B, *half of grid) -> (B, *half of grid * stride).
    """
    last, s = grid[-1], stride[-1]
    lead = tuple(range(1, len(grid)))  # all signal axes but the last
    if s > 1:
        full = np.empty((*z.shape[:-1], last), dtype=complex)
        half = last // 2 + 1
        full[..., :half] = z
        full[..., half:] = np.conjugate(_negated(z[..., (last - 1) // 2 : 0 : -1], lead))
        out = np.empty((*z.shape[:-1], s * last // 2 + 1), dtype=complex)
        for start in range(0, out.shape[-1], last):
            block = out[..., start : start + last]
            block[...] = full[..., : block.shape[-1]]
        z = out
    if any(n > 1 for n in stride[:-1]):
        z = np.tile(z, (1, *stride[:-1], 1))
    return z


def fold(z, grid, stride):
    """Mean over the periods of a half spectrum: its coefficients sampled at multiples of stride.

    (B, *half of grid * stride) -> (B, *half of grid).
    """
    for a, (n, s) in enumerate(zip(grid[:-1], stride[:-1])):
        if s > 1:
            shape = z.shape
            z = z.reshape(*shape[: a + 1], s, n, *shape[a + 2 :]).mean(axis=a + 1)
    last, s = grid[-1], stride[-1]
    if s == 1:
        return z
    lead = tuple(range(1, len(grid)))
    m = z.shape[-1]
    total = np.zeros((*z.shape[:-1], last), dtype=complex)
    for start in range(0, m, last):
        block = z[..., start : start + last]
        total[..., : block.shape[-1]] += block
    # Every value but those at 0 and N/2 stands for its conjugate at the negated index too.
    half = last // 2 + 1
    mirrored = np.empty((*z.shape[:-1], half), dtype=complex)
    mirrored[..., 0] = total[..., 0]
    mirrored[..., 1:] = total[..., : last - half : -1]
    mirrored[..., 0] -= z[..., 0]
    if (s * last) % 2 == 0:
        # N/2 is 0 or L/2 modulo L; its mirror image is itself.
        middle = (s * last // 2) % last
        mirrored[..., middle] -= z[..., -1]
    out = total[..., :half]
    out += np.conjugate(_negated(mirrored, lead))
    out /= s
    return out
