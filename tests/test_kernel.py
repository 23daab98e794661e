"""The differential and its kernel (S4, S5)."""

from fractions import Fraction

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN

from . import exact
from .cases import NAMED, random_nets


def exact_jacobian(net, filters):
    """{(n, column): value}: column (i, j) is the cofactor c_i shifted by S_i j."""
    out, column = {}, 0
    for i, (w, s) in enumerate(zip(filters, net.cumulative_strides)):
        c = exact.cofactor(net, filters, i)
        for j in np.ndindex(*w.shape):
            for n, value in c.items():
                key = tuple(a + b * t for a, b, t in zip(n, s, j))
                out[np.ravel_multi_index(key, net.end_to_end_shape), column] = value
            column += 1
    return out


@pytest.mark.parametrize("net", random_nets(11, 2, limit=400), ids=str)
def test_jacobian_is_exact_up_to_rounding(net):
    filters = lcn.random_filters(net, 1)
    want = exact_jacobian(net, filters)
    j = lcn.jacobian(net, filters)
    assert j.shape == (np.prod(net.end_to_end_shape), net.n_parameters)
    largest = float(max(map(abs, want.values())))
    for index in np.ndindex(*j.shape):
        if index in want:
            error = float(abs(Fraction(float(j[index])) - want[index]))
            assert error <= 1e-12 * abs(float(want[index])) + 1e-15 * largest
        else:
            assert j[index] == 0


@pytest.mark.parametrize("name", NAMED)
def test_products_with_the_jacobian(name):
    net = NAMED[name]
    rng = np.random.default_rng(3)
    batch = (2, 3)
    filters, directions = (lcn.random_filters(net, rng, batch) for _ in range(2))
    g = rng.standard_normal(batch + net.end_to_end_shape)
    j = lcn.jacobian(net, filters)
    flat = np.concatenate([d.reshape(*batch, -1) for d in directions], axis=-1)
    size = np.abs(j).max() * net.n_parameters * 10

    def near(a, b):
        np.testing.assert_allclose(a.reshape(b.shape), b, rtol=0, atol=1e-14 * size)

    near(lcn.jvp(net, filters, directions), np.einsum("abnp,abp->abn", j, flat))
    pulled = lcn.vjp(net, filters, g)
    assert [w.shape for w in pulled] == [batch + k for k in net.filter_shapes]
    joined = np.concatenate([w.reshape(*batch, -1) for w in pulled], axis=-1)
    near(joined, np.einsum("abnp,abn->abp", j, g.reshape(*batch, -1)))
    k = lcn.ntk(net, filters)
    kernel_size = np.abs(k).max() * 1e-13
    np.testing.assert_allclose(k, j @ np.swapaxes(j, -1, -2), rtol=0, atol=kernel_size)
    assert np.array_equal(k, np.swapaxes(k, -1, -2))
    assert np.linalg.eigvalsh(k).min() >= -kernel_size * k.shape[-1]
    applied = np.einsum("abnm,abm->abn", k, g.reshape(*batch, -1))
    np.testing.assert_allclose(lcn.ntk_apply(net, filters, g).reshape(applied.shape), applied,
                               rtol=0, atol=kernel_size * k.shape[-1] * 10)


@pytest.mark.parametrize("net", [*NAMED.values(), LCN((9, 2, 6), (1, 3, 1)), LCN((30,) * 3, 2)],
                         ids=str)
@pytest.mark.parametrize("batch", [(), (2,)])
def test_kernel_matrix_on_every_path(net, batch):
    filters = lcn.random_filters(net, 4, batch)
    j, k = lcn.jacobian(net, filters), lcn.ntk(net, filters)
    size = np.abs(k).max(axis=(-1, -2), keepdims=True)
    error = np.abs(k - j @ np.swapaxes(j, -1, -2)) / size
    # Sums along a diagonal: an eps for each of at most |k| terms would be the worst case.
    assert error.max() <= 5e-15
    assert np.array_equal(k, np.swapaxes(k, -1, -2))


@pytest.mark.parametrize("name", ["stride two", "mixed 2-D", "large"])
def test_jvp_is_the_derivative_by_the_slope_of_the_taylor_error(name):
    net = {**NAMED, "large": LCN((40, 50), 2)}[name]
    rng = np.random.default_rng(2)
    filters, direction = (lcn.random_filters(net, rng) for _ in range(2))
    v, dv = lcn.end_to_end(net, filters), lcn.jvp(net, filters, direction)
    steps = np.logspace(-1, -4, 7)
    errors = []
    for h in steps:
        moved = [w + h * d for w, d in zip(filters, direction)]
        errors.append(np.linalg.norm(lcn.end_to_end(net, moved) - v - h * dv))
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - 2) < 0.1


@pytest.mark.parametrize("net", random_nets(12, 3, limit=300), ids=str)
def test_the_kernel_of_dmu_is_spanned_by_the_gradients_of_the_invariants(net):
    """S5: scaling directions are in the kernel, and they are all of it at a generic point."""
    filters = lcn.random_filters(net, 8)
    j = lcn.jacobian(net, filters)
    gradients = np.zeros((net.depth - 1, net.n_parameters))
    ends = np.cumsum([0, *(w.size for w in filters)])
    for i in range(net.depth - 1):  # of |w_{i+1}|^2 - |w_i|^2
        gradients[i, ends[i] : ends[i + 1]] = -2 * filters[i].ravel()
        gradients[i, ends[i + 1] : ends[i + 2]] = 2 * filters[i + 1].ravel()
    size = np.abs(j).max() * np.abs(gradients).max(initial=1) * net.n_parameters
    assert np.abs(j @ gradients.T).max(initial=0) <= 1e-13 * size
    assert lcn.rank(net, filters) == net.dimension
    assert net.dimension == net.n_parameters - np.linalg.matrix_rank(gradients)


@pytest.mark.parametrize(
    ("p", "q", "drop"),
    [
        ([1, 2], [1, 3], 0),
        ([1, 2], [2, 4], 1),  # one common root
        ([0, 1], [0, 3], 1),  # common root 0
        ([1, 0], [3, 0], 1),  # common root at infinity
        ([2, 3, 1], [6, 5, 1], 1),  # (x+1)(x+2), (x+2)(x+3)
        ([2, 3, 1], [4, 6, 2], 2),
        ([1, 0, 1], [1, 0, 1], 2),  # a common conjugate pair
        ([0, 1, 0], [0, 2, 0], 2),  # 0 and infinity
        ([0, 1, 0], [1, 1, 0], 1),
    ],
)
def test_rank_at_stride_one_is_size_minus_degree_of_the_gcd(p, q, drop):
    net = LCN((len(p), len(q)))
    assert lcn.rank(net, [p, q]) == net.end_to_end_shape[0] - drop


def test_rank_of_very_different_norms_batches_and_tolerance():
    net = LCN((3, 2, 2), 2)
    w = lcn.random_filters(net, 0)
    assert lcn.rank(net, [w[0] * 1e-30, w[1] * 1e20, w[2]]) == net.dimension
    stack = [np.stack([x, 0 * x]) for x in w]
    assert lcn.rank(net, stack).tolist() == [net.dimension, 0]
    two = LCN((2, 2))
    near = [[1, 1], [1, 1 + 1e-9]]
    assert (lcn.rank(two, near), lcn.rank(two, near, rtol=1e-6)) == (3, 2)
    assert lcn.rank(two, near, rtol=0) == 3
    for rtol in (-1, 1, 1.5, "small"):
        with pytest.raises(lcn.InputError, match="rtol"):
            lcn.rank(two, near, rtol=rtol)


@pytest.mark.parametrize("net", [LCN((2, 2, 2), (1, 100, 1)), LCN((4, 4))], ids=["tall", "wide"])
def test_rank_by_default_is_to_an_epsilon_for_each_row_or_column(net):
    """A root of layer 2 comes close to one of layer 1, from far to nothing."""
    ranks = set()
    for gap in [0.0, *10.0 ** np.arange(-15.0, -9.0, 0.25)]:
        w = [np.poly([*np.arange(2.0, k), 1.0]) for (k,) in net.filter_shapes]
        w[1] = np.poly([*-np.arange(2.0, len(w[1])), 1 + gap])
        j = lcn.jacobian(net, [x / np.linalg.norm(x) for x in w])
        s = np.linalg.svd(j, compute_uv=False)
        tolerance = np.finfo(float).eps * max(j.shape) * s[0]
        if np.abs(s / tolerance - 1).min() > 0.01:  # no matter of rounding
            assert lcn.rank(net, w) == np.sum(s > tolerance)
            ranks.add(lcn.rank(net, w))
    assert ranks == {net.dimension - 1, net.dimension}


def test_bad_covectors_and_directions():
    net, w = LCN((3, 2), 2), [[1, 2, 3], [4, 5]]
    with pytest.raises(lcn.InputError, match=r"covector: expected shape.*got \(4,\)"):
        lcn.vjp(net, w, np.ones(4))
    with pytest.raises(lcn.InputError, match="covector: expected the batch"):
        lcn.ntk_apply(net, w, np.ones((2, 5)))
    with pytest.raises(lcn.InputError, match=r"directions\[1\]"):
        lcn.jvp(net, w, [[1, 2, 3], [4, 5, 6]])
    with pytest.raises(lcn.InputError, match=r"directions\[1\].* \(\) of directions\[0\], got \(1"):
        lcn.jvp(net, w, [[1, 2, 3], [[4, 5]]])
    with pytest.raises(lcn.InputError, match="directions: expected the batch"):
        lcn.jvp(net, w, lcn.random_filters(net, 0, batch=2))
    with pytest.raises(lcn.InputError, match="kernel overflows"):
        lcn.ntk(net, [[1e160, 0, 0], [1e160, 0]])
