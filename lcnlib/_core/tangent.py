"""Tangent vectors of the neuromanifold in polar coordinates of the filters.

Write w_i = r_i u_i with |u_i| = 1.  A tangent vector of M at v = mu(w) is

    a = |w_1| ... |w_H| ( eta mu(u) + sum_i T_i(u) g_i ),   g_i orthogonal to u_i,

with eta = d log(r_1 ... r_H) and g_i = du_i.  At an immersive point (eta, g) is unique.  It
depends on the directions u alone, so one singular value decomposition at norm-one filters
serves every scale and all invariants; the metric then needs only the radii.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from ..errors import InputError, NotTangentError, SingularPointError, ZeroFilterError
from .checks import as_end_to_end, as_filters, check_fraction, fits_batch
from .plan import plan
from .scaling import norms

EPS = np.finfo(float).eps
# Largest part of a tangent vector that may point out of the tangent space: far above rounding,
# far below what a wrong vector has.
RTOL_TANGENT = 1e-8


class Frame(NamedTuple):
    """Tangent space at norm-one filters; `batch` are the leading axes of the filters."""

    batch: tuple
    radii: np.ndarray  # (*batch, H)
    units: list  # H arrays (*batch, |k_i|)
    left: np.ndarray  # (*batch, |k|, dim): orthonormal basis of the tangent space
    singular: np.ndarray  # (*batch, dim)
    right: np.ndarray  # (*batch, dim, n_parameters)

    @property
    def weights(self):
        """p_i = r_i^-2 / S with S = sum_j r_j^-2, shape (*batch, H)."""
        return weights(self.radii)

    @property
    def length(self):
        """1 / sqrt(S), shape (*batch,): that of a vector with d log(r_1 ... r_H) = 1 alone."""
        return self.radii.min(axis=-1) * np.sqrt(weights(self.radii).max(axis=-1))

    @property
    def inverse_s(self):
        """1 / S, shape (*batch,)."""
        return self.length**2


def polar(net, ws):
    """Radii (*batch, H) and norm-one filters (*batch, *k_i)."""
    p, batch = plan(net), ws[0].shape[: -net.ndim]
    theta = p.pack(ws)
    radii = norms(p, theta)
    if not radii.all():
        layer = int(np.argwhere(radii == 0)[0][-1])
        raise ZeroFilterError(f"filters[{layer}]: expected a non-zero filter, got zero; then v = "
                              "0, the apex of the cone M, where there is no tangent space and no "
                              "metric: start from another point")
    units = theta / np.repeat(radii, p.sizes, axis=1)
    return radii.reshape(*batch, net.depth), p.unpack(units, batch)


def gaps(radii):
    """r_i^2 / r^2 - 1 for the least radius r, shape (*batch, H); zero up to rounding of norms.

    The length to the zero filter is like the square root of the gaps, so that rounding in them
    must not count: norms that agree to 8 units of rounding are equal.
    """
    with np.errstate(over="ignore"):
        ratio = np.minimum(radii / radii.min(axis=-1, keepdims=True), 1e150)  # its square is finite
    return np.where(ratio - 1 <= 8 * EPS, 0.0, (ratio - 1) * (ratio + 1))


def weights(radii):
    """p_i = r_i^-2 / S with S = sum_j r_j^-2, shape (*batch, H); no overflow.

    Their roots are the parts 1/(r_i sqrt(S)) of the unit radial vector in the layers.
    """
    q = (radii.min(axis=-1, keepdims=True) / radii) ** 2
    return q / q.sum(axis=-1, keepdims=True)


def frame(net, ws):
    """The tangent space at the filters; SingularPointError where dmu drops rank."""
    radii, units = polar(net, ws)
    batch = radii.shape[:-1]
    p = plan(net)
    j = p.jacobian(p.pack(units))
    u, s, vt = np.linalg.svd(j.reshape(batch + j.shape[1:]), full_matrices=False)
    dim = net.dimension
    tol = EPS * max(u.shape[-2], vt.shape[-1])
    ratio = s[..., dim - 1] / s[..., 0]
    if (ratio <= tol).any():
        rank = int((s > tol * s[..., :1]).sum(axis=-1).min())
        raise SingularPointError(f"filters: expected a differential of rank {dim}, the dimension "
                                 f"of the neuromanifold, got rank {rank} (singular values below "
                                 f"{tol:.1e} of the largest count as zero); the metric is not "
                                 "defined there: move the filters away from this singular point")
    units = [w.reshape((*batch, prod(k))) for w, k in zip(units, net.filter_shapes)]
    return Frame(batch, radii, units, u[..., :dim], s[..., :dim], vt[..., :dim, :])


def split_vectors(net, filters, rtol, **vectors):
    """The frame at the filters, and (eta, g) of each of the vectors; all of them checked."""
    ws = as_filters(net, filters)
    check_fraction(rtol)
    vectors = {name: as_end_to_end(net, a, name) for name, a in vectors.items()}
    fr = frame(net, ws)
    return fr, *(components(net, fr, a, name, rtol) for name, a in vectors.items())


def components(net, fr, a, name, rtol):
    """(eta, g) of the tangent vector `a` (*lead, *k); `lead` broadcasts against the batch.

    Returns eta, shape (*lead,), and g, a list of H arrays of shape (*lead, |k_i|).
    """
    a = a.reshape((*a.shape[: a.ndim - net.ndim], fr.left.shape[-2]))
    fits_batch(a.shape[:-1], fr.batch, name)
    scale = np.abs(a).max(axis=-1, keepdims=True)
    a = a / np.where(scale == 0, 1, scale)  # of length at least one, or zero
    c = np.einsum("...kd,...k->...d", fr.left, a)
    off = np.linalg.norm(a - np.einsum("...kd,...d->...k", fr.left, c), axis=-1)
    off = off / np.maximum(np.linalg.norm(a, axis=-1), 1)
    if (off > rtol).any():
        raise NotTangentError(f"{name}: expected a tangent vector of the neuromanifold at v (the "
                              f"image of dmu), got one whose normal part is {off.max():.1e} of its "
                              f"length (allowed: rtol = {rtol:.1e}); project it with "
                              "tangent_basis or build it with jvp")
    with np.errstate(over="ignore", under="ignore"):
        scale = scale / fr.radii.prod(axis=-1)[..., None]
    if not np.isfinite(scale).all():
        raise InputError("filters: the product of the filter norms underflows double precision; "
                         "rescale them")
    x = np.einsum("...dp,...d->...p", fr.right, c / fr.singular) * scale
    eta, g = 0.0, []
    for unit, part in zip(fr.units, plan(net).parts):
        x_i = x[..., part]
        along = (x_i * unit).sum(axis=-1)
        eta = eta + along
        g_i = x_i - along[..., None] * unit
        g.append(g_i - (g_i * unit).sum(axis=-1, keepdims=True) * unit)  # rounding of the first
    return eta, g


def lifted(fr, eta, g):
    """The horizontal lift r_i (p_i eta u_i + g_i): H arrays of shape (*lead, |k_i|)."""
    p = fr.weights
    return [fr.radii[..., i, None] * ((p[..., i] * eta)[..., None] * unit + g_i)
            for i, (unit, g_i) in enumerate(zip(fr.units, g))]
