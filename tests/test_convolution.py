"""apply, end_to_end and cofactors against exact arithmetic (S1)."""

import itertools
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from scipy.signal import correlate

import lcnlib as lcn
from lcnlib import LCN

from . import exact
from .cases import NAMED, random_nets


def assert_exact(arrays, wants):
    """Entries to 1e-12 of themselves or 1e-15 of the largest; unreachable ones exactly zero."""
    largest = max(float(max(map(abs, want.values()))) for want in wants)
    for array, want in zip(arrays, wants):
        for j in np.ndindex(*array.shape):
            if j in want:
                error = float(abs(Fraction(float(array[j])) - want[j]))
                assert error <= 1e-12 * abs(float(want[j])) + 1e-15 * largest
                assert error <= 4e-15 * largest
            else:
                assert array[j] == 0


def test_small_and_large_filters_are_among_the_cases():
    """Up to 160 coefficients go by matrices, more by transforms; both must be met."""
    for seed, many in ((1, 4), (2, 3)):
        sizes = [np.prod(net.end_to_end_shape) for net in random_nets(seed, many)]
        assert np.sum(np.array(sizes) > 160) > 5 and np.sum(np.array(sizes) <= 160) > 5


@pytest.mark.parametrize("net", random_nets(1, 4), ids=str)
def test_end_to_end_is_exact_up_to_rounding(net):
    filters = lcn.random_filters(net, 5)
    assert_exact([lcn.end_to_end(net, filters)], [exact.end_to_end(net, filters)])


@pytest.mark.parametrize("net", random_nets(2, 3), ids=str)
def test_cofactors_are_exact_up_to_rounding(net):
    filters = lcn.random_filters(net, 6)
    wants = [exact.cofactor(net, filters, i) for i in range(net.depth)]
    assert_exact(lcn.cofactors(net, filters), wants)


def test_integers_by_hand():
    # (1 + 2x + 3x^2)(4 + 5x^2) = 4 + 8x + 17x^2 + 10x^3 + 15x^4
    v = lcn.end_to_end(LCN((3, 2), 2), [[1, 2, 3], [4, 5]])
    np.testing.assert_allclose(v, [4, 8, 17, 10, 15], rtol=1e-15)
    # (1 + x y)(2 + 3 y^2) with stride (1, 2) in the first layer
    v = lcn.end_to_end(LCN([(2, 2), (1, 2)], [(1, 2), 1]), [[[1, 0], [0, 1]], [[2, 3]]])
    np.testing.assert_allclose(v, [[2, 0, 3, 0], [0, 2, 0, 3]], atol=1e-15)


@pytest.mark.parametrize("name", NAMED)
def test_batches_are_the_single_results(name):
    net = NAMED[name]
    filters = lcn.random_filters(net, 3, batch=(2, 3))
    v, cs = lcn.end_to_end(net, filters), lcn.cofactors(net, filters)
    assert v.shape == (2, 3, *net.end_to_end_shape)
    for b in itertools.product(range(2), range(3)):
        one = [w[b] for w in filters]
        np.testing.assert_allclose(v[b], lcn.end_to_end(net, one), rtol=1e-12, atol=1e-14)
        for c, c1 in zip(cs, lcn.cofactors(net, one)):
            np.testing.assert_allclose(c[b], c1, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("batch", [(0,), (2, 0)])
@pytest.mark.parametrize("net", [NAMED["mixed 2-D"], LCN((20, 20), 9)], ids=str)
def test_empty_batches(net, batch):
    filters = lcn.random_filters(net, 0, batch)
    assert lcn.end_to_end(net, filters).shape == (*batch, *net.end_to_end_shape)
    assert lcn.jacobian(net, filters).shape == (*batch, np.prod(
        net.end_to_end_shape), net.n_parameters)


@pytest.mark.parametrize("net", random_nets(3, 2, depths=range(1, 4)), ids=str)
def test_apply_is_one_convolution_with_the_end_to_end_filter(net):
    rng = np.random.default_rng(0)
    filters = lcn.random_filters(net, rng)
    x = rng.standard_normal([n + int(rng.integers(0, 9)) for n in net.end_to_end_shape])
    y = lcn.apply(net, filters, x)
    step = tuple(slice(None, None, s) for s in net.end_to_end_stride)
    whole = correlate(x, lcn.end_to_end(net, filters), mode="valid", method="direct")[step]
    assert y.shape == whole.shape
    np.testing.assert_allclose(y, whole, rtol=1e-10, atol=1e-12 * np.abs(whole).max())


def test_apply_by_hand():
    net = LCN((2, 2), (2, 3))
    y = lcn.apply(net, [[1, 10], [1, -1]], np.arange(8.0))
    # layer 1: 0+10, 2+30, 4+50, 6+70; layer 2 with stride 3: 10-32
    np.testing.assert_array_equal(y, [-22.0])
    x = np.arange(12.0).reshape(3, 4)
    y = lcn.apply(LCN([(2, 1)]), [[[1], [-1]]], x)
    np.testing.assert_array_equal(y, -4 * np.ones((2, 4)))


def test_apply_broadcasts_and_large_filters_agree_with_small_ones():
    net = LCN((600, 3), (2, 1))  # the first layer goes through the FFT
    rng = np.random.default_rng(4)
    filters = lcn.random_filters(net, rng, batch=(3, 1))
    x = rng.standard_normal((2, 700))
    y = lcn.apply(net, filters, x)
    assert y.shape[:2] == (3, 2)
    for i, j in itertools.product(range(3), range(2)):
        hidden = np.correlate(x[j], filters[0][i, 0], "valid")[::2]
        np.testing.assert_allclose(y[i, j], np.correlate(hidden, filters[1][i, 0], "valid"),
                                   rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (5, "sequence of 2 arrays"),
        ([[1, 2, 3]], "expected 2 arrays.*got 1"),
        ([[1, 2], [1, 2]], r"filters\[0\].*got \(2,\)"),
        ([[1, 2, 3], 1], r"filters\[1\].*got \(\)"),
        ([[[1, 2, 3]], [1, 2]], r"filters\[1\].*batch axes \(1,\) of filters\[0\], got \(\)"),
        ([[1, np.nan, 3], [1, 2]], r"filters\[0\].*finite.*index \(1,\)"),
        ([[1, 2, 3], [np.inf, 2]], r"filters\[1\].*finite"),
        ([[1, 2j, 3], [1, 2]], r"filters\[0\].*real"),
        ([np.array([1, 2j, 3], np.complex64), [1, 2]], r"filters\[0\].*real"),
        ([np.array([1, 2j, 3], np.clongdouble), [1, 2]], r"filters\[0\].*real"),
        ([np.array([1, np.complex64(2), 3], object), [1, 2]], r"filters\[0\].*real"),
        ([["a", "b", "c"], [1, 2]], r"filters\[0\].*real"),
        ([["1", "2", "3"], [1, 2]], r"filters\[0\].*real"),
        ([np.array(["1", 2, 3], object), [1, 2]], r"filters\[0\].*real"),
        ([np.zeros(3, "timedelta64[ns]"), [1, 2]], r"filters\[0\].*real"),
        ([[1, None, 3], [1, 2]], r"filters\[0\].*real"),
        ([[1, 10**400, 3], [1, 2]], r"filters\[0\].*real"),
        ([[[1], [2, 3]], [1, 2]], r"filters\[0\]"),
    ],
)
def test_bad_filters_say_what_is_wrong(filters, words):
    net = LCN((3, 2), 2)
    for function in (lcn.end_to_end, lcn.cofactors, lcn.jacobian, lcn.ntk, lcn.rank,
                     lcn.invariants):
        with pytest.raises(lcn.InputError, match=words):
            function(net, filters)


def test_exact_numbers_are_taken():
    filters = [[Fraction(1, 2), 1, Fraction(3)], np.array([10**30, 2 * 10**30], object)]
    np.testing.assert_allclose(lcn.end_to_end(LCN((3, 2)), filters),
                               [0.5e30, 2e30, 5e30, 6e30], rtol=1e-14)


def test_other_bad_input():
    net, good = LCN((3, 2), 2), [[1, 2, 3], [4, 5]]
    with pytest.raises(lcn.InputError, match=r"LCN.*got list"):
        lcn.end_to_end(good, net)
    with pytest.raises(lcn.InputError, match="x: expected 1 trailing axes"):
        lcn.apply(net, good, np.ones(4))
    with pytest.raises(lcn.InputError, match="leading axes"):
        lcn.apply(net, lcn.random_filters(net, 0, batch=(2,)), np.ones((3, 9)))
    with pytest.raises(lcn.InputError, match="overflows"):
        lcn.end_to_end(net, [[1e200, 1, 1], [1e200, 1]])


@pytest.mark.parametrize("batch, lead", [((), (2,)), ((1,), (2,)), ((2, 3), (2,)),
                                         ((3,), (2, 3))])
def test_invariants_may_not_have_more_batch_axes_than_filters(batch, lead):
    """One fibre for each of the filters: what would make more of them is refused, with words."""
    net = NAMED["mixed 2-D"]
    filters = lcn.random_filters(net, 0, batch)
    delta = np.zeros((*lead, net.depth - 1))
    directions = [w / np.sqrt((w**2).sum(axis=(-2, -1), keepdims=True)) for w in filters]
    for call in (lambda: lcn.rescale(net, filters, delta),
                 lambda: lcn.scalings(net, filters, delta),
                 lambda: lcn.from_warped_coordinates(net, 9.0, directions, delta)):
        with pytest.raises(lcn.InputError, match="expected leading axes that broadcast to the"):
            call()


def test_memory_and_speed_of_a_million_coefficients():
    net = LCN((131073,) * 3, 2)
    n = net.end_to_end_shape[0]
    assert 9e5 < n < 1e6
    filters = lcn.random_filters(net, 0)
    g = np.random.default_rng(1).standard_normal(n)
    for run in (
        lambda: lcn.ntk_apply(net, filters, g),
        lambda: lcn.jvp(net, filters, filters),
        lambda: lcn.vjp(net, filters, g),
    ):
        tracemalloc.start()
        out = run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 16 * 8 * n
    v = lcn.end_to_end(net, filters)
    # <g, dmu w> = <dmu^T g, w> ties jvp, vjp and end_to_end (Euler) together.
    left = sum(float(a @ w) for a, w in zip(out, filters))
    assert abs(left - 3 * float(g @ v)) <= 1e-10 * abs(left) + 1e-9 * np.linalg.norm(v)


def test_a_filter_as_long_as_half_the_signal():
    """A million coefficients: sums over windows would be 2^38 products."""
    rng = np.random.default_rng(0)
    n = 1 << 19
    w, x = rng.standard_normal(n), rng.standard_normal(2 * n)
    y = lcn.apply(LCN((n,)), [w], x)
    assert y.shape == (n + 1,)
    for i in (0, 1, 1000, n):
        assert abs(y[i] - w @ x[i : i + n]) < 1e-8


def test_a_tensor_that_cannot_be_converted_is_told_how():
    class Tensor:
        def __array__(self, *args, **kwargs):
            raise RuntimeError("can't convert cuda:0 device type tensor to numpy")

    with pytest.raises(lcn.InputError, match=r"\.detach\(\)\.cpu\(\)\.double\(\)\.numpy\(\)"):
        lcn.end_to_end(LCN((3, 2), 2), [Tensor(), [1, 2]])
