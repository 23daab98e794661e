"""How many kernels belong to one function and one choice of invariants."""

from itertools import permutations, product
from math import factorial, prod

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN


def polynomial(rng, real, pairs):
    """Random polynomial with so many real roots (spread over the projective line) and pairs."""
    p = np.ones(1)
    for i in range(real):
        angle = np.pi * (i + rng.uniform(0.2, 0.8)) / max(real, 1)
        p = np.convolve(p, [np.cos(angle), np.sin(angle)])
    for i in range(pairs):
        z = rng.uniform(0.5, 2) * np.exp(1j * np.pi * (i + rng.uniform(0.25, 0.75)) / pairs)
        p = np.convolve(p, [abs(z) ** 2, -2 * z.real, 1])
    return p


def generic_v(net, rng, real):
    """A random v in D = 1 whose groups of exchanging layers have so many real roots."""
    strides = [s[0] for s in net.cumulative_strides]
    degrees = [k[0] - 1 for k in net.filter_shapes]
    groups = lcn.root_groups(net)
    factors = [(strides[g[0]], polynomial(rng, r, (sum(degrees[i] for i in g) - r) // 2))
               for g, r in zip(groups, real)]
    alone = set(range(net.depth)) - {i for g in groups for i in g}
    factors += [(strides[i], rng.standard_normal(degrees[i] + 1)) for i in alone]
    v = np.ones(1)
    for s, p in factors:
        q = np.zeros(s * (len(p) - 1) + 1)
        q[::s] = p
        v = np.convolve(v, q)
    return v


def deltas(depth, rng):
    """Generic, balanced, and for three layers each pattern of two equal norms."""
    out = [None, rng.standard_normal(depth - 1), np.zeros(depth - 1)]
    if depth == 3:
        out += [np.array([0, 0.7]), np.array([0.7, 0]), np.array([0.7, -0.7])]
    return out


ONE_D = [(k, s) for k in product((2, 3, 4), repeat=2) for s in product((1, 2), (1,))]
ONE_D += [(k, (*s, 1)) for k in product((2, 3, 4), repeat=3) if sum(k) < 10
          for s in product((1, 2), repeat=2)]


@pytest.mark.parametrize("part", range(4))
def test_counts_in_one_variable(part):
    """Closed form against enumeration: sizes 2 to 4, depth 2 and 3, all numbers of real roots."""
    rng = np.random.default_rng(part)
    for k, s in ONE_D[part::4]:
        net = LCN(k, s)
        degrees = [sum(k[i] - 1 for i in g) for g in lcn.root_groups(net)]
        for real in product(*(range(d % 2, d + 1, 2) for d in degrees)):
            v = generic_v(net, rng, real)
            if lcn.generic_kernel_count(net, real_roots=real) == 0:
                assert lcn.factorizations(net, v) == []
                continue
            for delta in deltas(net.depth, rng):
                want = lcn.generic_kernel_count(net, delta, real)
                assert lcn.kernel_count(net, v, delta) == want, (net, real, delta)


SHAPES_2D = [(2, 2), (2, 3), (3, 2)]


@pytest.mark.parametrize("depth, every", [(2, 1), (3, 3)])
def test_counts_in_two_variables(depth, every):
    """All filters 2x2, 2x3 and 3x2; every third of the triples here, all of them in the book."""
    rng = np.random.default_rng(0)
    for shapes in list(product(SHAPES_2D, repeat=depth))[::every]:
        for strides in product((1, 2), repeat=depth - 1):
            net = LCN(shapes, (*strides, 1))
            v = lcn.end_to_end(net, lcn.random_filters(net, rng))
            for delta in deltas(depth, rng):
                want = lcn.generic_kernel_count(net, delta)
                assert lcn.kernel_count(net, v, delta) == want, (net, delta)


def small_nets(seed, number):
    """Any dimension, mixed strides, layers of size one and layers with one long axis."""
    rng = np.random.default_rng(seed)
    while number:
        d, depth = rng.choice([1, 1, 2, 2, 3]), rng.integers(2, 5)
        shapes = rng.integers(1, 5 if d == 1 else 4, (depth, d))
        shapes[rng.random(depth) < 0.5, 1:] = 1
        strides = rng.integers(1, 4, (depth, d)).tolist() if rng.random() < 0.5 else 1
        net = LCN(shapes.tolist(), strides)
        if np.prod(net.end_to_end_shape) <= 60 and lcn.generic_kernel_count(net) <= 100:
            number -= 1
            yield net, rng


@pytest.mark.parametrize("seed", range(2))
def test_counts_of_random_networks(seed):
    """thm-groups: the closed form is what is found at a random v with as many real roots."""
    met = set()
    for net, rng in small_nets(seed, 40):
        w = lcn.random_filters(net, rng)
        v = lcn.end_to_end(net, w)
        real = [sum(np.isreal(np.roots(w[i].ravel())).sum() for i in g)
                for g in lcn.root_groups(net)]  # fmt: skip
        for delta in (None, np.zeros(net.depth - 1), rng.integers(-1, 2, net.depth - 1)):
            want = lcn.generic_kernel_count(net, delta, real)
            assert lcn.kernel_count(net, v, delta) == want, (net, real, delta)
            met.add(want)
    assert {1, 2, 3, 6} <= met


def test_the_values_of_the_book():
    def counts(net):
        balanced = np.zeros(net.depth - 1)
        return lcn.generic_kernel_count(net, balanced), lcn.generic_kernel_count(net)

    for shapes, want in [((2, 2), (1, 2)), ((3, 2), (3, 3)), ((3, 3), (3, 6)),
                         ([(2, 2)] * 2, (1, 2)), ([(2, 2)] * 3, (1, 6)),
                         ([(2, 3), (3, 2)], (1, 1))]:  # fmt: skip
        assert counts(LCN(shapes)) == want
        assert counts(LCN(shapes, 2)) == (1, 1)


def test_all_roots_real_is_the_multinomial():
    for k in [*product((1, 2, 3, 5), repeat=4), range(2, 12)]:  # the last: no list of 2e45
        total = factorial(sum(k) - len(k)) // prod(factorial(n - 1) for n in k)
        assert lcn.generic_kernel_count(LCN(k)) == total
        same = prod(factorial(k.count(n)) for n in set(k) if n > 1)
        assert lcn.generic_kernel_count(LCN(k), np.zeros(len(k) - 1)) * same == total


def test_partly_real_roots_are_a_coefficient():
    """The coefficient of t^d in (t_1 + t_2 + t_3)^r (t_1^2 + t_2^2 + t_3^2)^c, by expansion."""
    for k in product((2, 3, 4), repeat=3):
        degrees = [n - 1 for n in k]
        n = sum(degrees)
        for real in range(n % 2, n + 1, 2):
            grid = np.zeros((n + 1,) * 3, dtype=int)
            grid[0, 0, 0] = 1
            for step in [1] * real + [2] * ((n - real) // 2):
                grid = sum(np.roll(grid, step, axis=a) for a in range(3))  # degree n: no wrapping
            assert lcn.generic_kernel_count(LCN(k), real_roots=real) == grid[tuple(degrees)]


def test_permutations_of_balanced_layers_are_all():
    """Branches with one kernel are exactly the permutations of equal layers of equal norm."""
    net = LCN((3, 2, 3))
    v = polynomial(np.random.default_rng(1), 5, 0)
    found = lcn.factorizations(net, v)
    assert len(found) == 30
    for delta, swap in [((0.0, 0.0), True), ((0.4, -0.4), True), ((0.4, 0.4), False)]:
        branches = []
        for f in found:
            f = [w.copy() for w in f]
            c = np.vdot(lcn.end_to_end(net, f), v) / np.sum(lcn.end_to_end(net, f) ** 2)
            f[0] *= c
            branches.append(lcn.rescale(net, f, delta))
        kernels = [lcn.ntk(net, w) for w in branches]
        for (f, a), (g, b) in permutations(zip(found, kernels), 2):
            swapped = all(np.abs(x - y).max() < 1e-8 for x, y in zip(f, g[::-1]))
            assert (np.abs(a - b).max() < 1e-9 * np.abs(a).max()) == (swap and swapped)


def test_univariate_layers_in_two_variables():
    """Layers (3, 1) share the roots in x: the second stride is on the other axis."""
    net = LCN([(3, 1), (1, 2), (3, 1), (2, 2)], [(1, 3), 1, 1, 1])
    assert lcn.root_groups(net) == [(0, 2)]
    rng = np.random.default_rng(0)
    w = lcn.random_filters(net, rng)
    for real in (4, 2, 0):
        p = polynomial(rng, real, (4 - real) // 2)
        rest = lcn.end_to_end(LCN([(1, 2), (1, 1), (2, 2)], [1, 1, 1]),
                              [w[1], np.ones((1, 1)), w[3]])  # fmt: skip
        wide = np.zeros((2, 7))
        wide[:, [0, 3, 6]] = rest  # both other layers live in y^3
        v = np.stack([np.convolve(p, column) for column in wide.T], axis=1)
        for delta in (None, np.zeros(3), np.ones(3), np.array([0.5, -0.5, 2.0])):
            want = lcn.generic_kernel_count(net, delta, real)
            assert lcn.kernel_count(net, v, delta) == want


def test_multiple_roots_have_fewer_branches():
    """(1 + x)^2 (2 + x)^2 from k = (3, 3): 3 factorisations; balanced, one is its own mirror."""
    net = LCN((3, 3))
    v = np.convolve([1, 2, 1], [4, 4, 1])
    assert lcn.kernel_count(net, v) == 3
    assert lcn.kernel_count(net, v, [0.0]) == 2
    assert lcn.kernel_count(net, v, [1.0]) == 3


def test_only_the_proportions_of_the_invariants_matter():
    """To the ends of the range; a single layer has none, and one kernel."""
    for delta, want in [([1.0, 0.0], 3), ([2.0, -2.0], 3), ([1.0, 1.0], 6), ([0.0, 0.0], 1)]:
        for size in (1.0, 1e-9, 1e-155, 1e-318, 1e9, 1e155, 1e300):
            got = lcn.generic_kernel_count(LCN((2, 2, 2)), size * np.array(delta))
            assert got == want, (delta, size)
    for shape in (1, 3, (2, 2)):
        one = LCN((shape,))
        assert lcn.generic_kernel_count(one, []) == lcn.generic_kernel_count(one) == 1
        (v,) = lcn.random_filters(one, 0)
        assert lcn.kernel_count(one, v, []) == lcn.kernel_count(one, v) == 1


@pytest.mark.parametrize("delta", [None, [0.0], [1.0]], ids=str)
def test_no_more_factorisations_than_the_limit(delta):
    """Of the count of factorisations, not of kernels: x^4 - 5 x^2 + 4 has six."""
    net, v = LCN((3, 3)), [4, 0, -5, 0, 1]
    assert lcn.kernel_count(net, v, delta, limit=6) == (3 if delta == [0.0] else 6)
    with pytest.raises(lcn.InputError, match="limit = 5 real factorisations, got 6"):
        lcn.kernel_count(net, v, delta, limit=5)


def test_norms_are_equal_up_to_rounding_only():
    three = LCN((2, 2, 2))
    for delta, want in [([0.1 + 0.2, -0.3], 3), ([1.0, 1e-3], 6), ([1.0, -1.001], 6)]:
        assert lcn.generic_kernel_count(three, delta) == want
        assert lcn.kernel_count(three, np.poly([1.0, 2.0, -1.5]), delta) == want


def test_bad_input():
    net = LCN((3, 3))
    with pytest.raises(lcn.NotInFunctionSpaceError):
        lcn.kernel_count(LCN((2, 2)), [1, 0, 1])
    for bad in (3, 6, -2, [4, 2], 2.0, [2.0], [[2]], [[4], [2, 2]], '4'):
        with pytest.raises(lcn.InputError, match="real_roots"):
            lcn.generic_kernel_count(net, real_roots=bad)
    with pytest.raises(lcn.InputError, match="real_roots"):
        lcn.generic_kernel_count(LCN((3, 3), 2), real_roots="a")
    for call in (lambda d: lcn.generic_kernel_count(net, d),
                 lambda d: lcn.kernel_count(net, [1, 2, 3, 2, 1], d)):
        for bad in ([0.0, 0.0], [np.inf], 0.0):
            with pytest.raises(lcn.InputError, match="invariants"):
                call(bad)
    with pytest.raises(lcn.InputError, match="net"):
        lcn.root_groups((3, 3))


def test_twenty_layers_are_counted_without_listing():
    assert lcn.generic_kernel_count(LCN((2,) * 20)) == factorial(20)
    assert lcn.generic_kernel_count(LCN((2,) * 20), np.zeros(19)) == 1
