"""All real factorisations of an end-to-end filter."""

from functools import reduce
from itertools import product
from math import comb

import numpy as np
import pytest
from scipy.signal import convolve

import lcnlib as lcn
from lcnlib import LCN, InputError

from . import exact

# ---------------------------------------------------------------- an exact, independent oracle


def exact_product(net, filters):
    """mu(filters) of integer filters, exactly, as float64 (all entries are small integers)."""
    v = np.zeros(net.end_to_end_shape)
    for n, value in exact.end_to_end(net, filters).items():
        v[n] = float(value)
    return v


def multiply(p, q):
    """Product of polynomials, without rounding for integers."""
    return convolve(p, q, method="direct")


def canonical(filters):
    """Norm one, and the first entry above 1e-8 of the largest positive."""
    units = [np.asarray(w) / np.linalg.norm(w) for w in filters]
    return [w * np.sign(w[np.abs(w) > 1e-8 * np.abs(w).max()][0]) for w in units]


def oracle(net, atoms):
    """All factorisations of the product of the atoms, irreducible over the reals, by brute force.

    Every way to give each layer some of the atoms whose product is a polynomial in x^S of the
    right degree: integer arithmetic, no numerics.
    """
    kinds = {}
    for a in atoms:
        kinds.setdefault((a.shape, tuple(a.ravel())), [a, 0])[1] += 1
    kinds = list(kinds.values())
    degrees = [np.array(a.shape) - 1 for a, _ in kinds]
    out = []

    def place(i, left, chosen):
        if i == net.depth:
            if not any(left):
                out.append(chosen)
            return
        stride = net.cumulative_strides[i]
        need = (np.array(net.filter_shapes[i]) - 1) * stride
        for copies in product(*(range(m + 1) for m in left)):
            if (sum(c * d for c, d in zip(copies, degrees)) != need).any():
                continue
            p = np.ones((1,) * net.ndim)
            for c, (a, _) in zip(copies, kinds):
                for _ in range(c):
                    p = multiply(p, a)
            q = p[tuple(slice(None, None, s) for s in stride)]
            if np.abs(p).sum() == np.abs(q).sum():  # nothing off the lattice
                place(i + 1, [m - c for m, c in zip(left, copies)], [*chosen, q])

    place(0, [m for _, m in kinds], [])
    return out


def same_lists(found, want, tol):
    want = [canonical(f) for f in want]
    return len(found) == len(want) and all(
        min(max(np.abs(a - b).max() for a, b in zip(f, g)) for g in found) < tol for f in want
    )


def a1(*rows):
    return [np.array(r, dtype=float) for r in rows]


# Roots at zero and at infinity are among them.
LINEAR = a1((1, 1), (-1, 1), (2, 1), (-2, 1), (0, 1), (1, 0), (1, 2), (-1, 2))
QUADRATIC = a1((1, 0, 1), (4, 0, 1), (2, 2, 1), (2, -2, 1), (1, 1, 1), (1, -1, 1))
# Products in x^2, x^3 or x^4: with them v lies on singular points, where layers exchange factors.
SPECIAL_1D = [
    a1((1, 1), (-1, 1)), a1((2, 1), (-2, 1)), a1((1, 2), (-1, 2)), a1((0, 1), (0, 1)),
    a1((1, 0), (1, 0)), a1((1, 0, 1)), a1((4, 0, 1)), a1((2, 2, 1), (2, -2, 1)),
    a1((1, 1, 1), (1, -1, 1)), a1((-1, 1), (1, 1, 1)), a1((1, 1), (1, -1, 1)),
]  # fmt: skip
NETS_1D = [
    LCN(k, s)
    for k, s in [
        ((3, 2), 2), ((3, 3), 2), ((4, 2), 2), ((5, 2), 2), ((3, 2, 2), 2), ((2, 3), 1),
        ((3, 3), 1), ((2, 2, 2), 1), ((3, 2, 2), (1, 2, 1)), ((2, 2, 3), (1, 2, 1)),
        ((2, 3, 2), (2, 1, 1)), ((4, 2), 3), ((4, 3), 3), ((3, 1, 2), (2, 1, 1)),
        ((1, 2, 2), (2, 2, 1)), ((5, 2, 2), (2, 2, 1)), ((2, 2, 2, 2), (1, 2, 1, 1)),
        ((3, 3), (4, 1)),
    ]
]  # fmt: skip


def random_atoms(rng, degree, singles, specials):
    """Atoms whose degrees add up to `degree` (D ints), often special ones and repeated ones."""
    while True:
        left, atoms, fond = np.array(degree), [], rng.random() < 0.7
        for _ in range(60):
            if not left.any():
                return atoms
            more = [singles[rng.integers(len(singles))]]
            if fond and rng.random() < 0.6:
                more = specials[rng.integers(len(specials))]
            elif atoms and rng.random() < 0.25:
                more = [atoms[rng.integers(len(atoms))]]
            d = sum(np.array(a.shape) - 1 for a in more)
            if (left >= d).all():
                left, atoms = left - d, atoms + more


def check_against_oracle(nets, cases, seed, singles, specials):
    rng = np.random.default_rng(seed)
    counts = set()
    for _ in range(cases):
        net = nets[rng.integers(len(nets))]
        atoms = random_atoms(rng, np.array(net.end_to_end_shape) - 1, singles, specials)
        v = reduce(multiply, atoms)
        want = oracle(net, atoms)
        # Multiple roots are known to eps^(1/m) at worst; distinct answers differ by 1e-2.
        assert same_lists(lcn.factorizations(net, v), want, 1e-6), (net, atoms, len(want))
        counts.add(len(want))
    return counts


@pytest.mark.parametrize("seed", range(4))
def test_complete_in_one_variable(seed):
    singles = LINEAR + QUADRATIC
    counts = check_against_oracle(NETS_1D, 150, seed, singles, SPECIAL_1D)
    assert {0, 1, 2, 3} <= counts  # empty lists and exchanges are among the cases


SINGLE_2D = [
    np.array(a, dtype=float)
    for a in [
        [[0], [1]], [[1], [0]], [[0, 1]], [[1, 0]],  # x, y and their roots at infinity
        [[1], [1]], [[-1], [1]], [[2], [1]], [[1, 1]], [[-1, 1]], [[-3, 1]],
        [[1], [0], [1]], [[1, 0, 1]],  # conjugate pairs of lines
        [[0, 1], [1, 0]], [[0, -1], [1, 0]], [[1, 0], [0, 1]], [[1, 0], [0, -1]],
        [[1, 2], [3, -1]], [[1, -2], [3, 1]],
        [[0, 0, 1], [0, 0, 0], [1, 0, 0]],  # x^2 + y^2, reducible over C only
        [[1, 0, 0], [0, 0, 0], [0, 0, 1]],  # 1 + x^2 y^2, the same
        [[1, 1], [1, 2], [1, -1]], [[1, 2, -3], [2, 1, 1]],
    ]
]  # fmt: skip
SPECIAL_2D = [[SINGLE_2D[4], SINGLE_2D[5]], [SINGLE_2D[7], SINGLE_2D[8]],
              [SINGLE_2D[12], SINGLE_2D[13]], [SINGLE_2D[14], SINGLE_2D[15]]]
NETS_2D = [
    LCN(k, s)
    for k, s in [
        ([(2, 2), (2, 2)], 1), ([(3, 2), (2, 2)], 1), ([(3, 3), (2, 2)], 1), ([(2, 2)] * 3, 1),
        ([(2, 2), (2, 2)], 2), ([(3, 3), (2, 2)], 2), ([(3, 2), (2, 2)], [(2, 1), 1]),
        ([(3, 3), (2, 2)], [(1, 2), 1]), ([(3, 1), (2, 2)], [(2, 1), 1]),
        ([(2, 2), (2, 1), (1, 3)], 1), ([(2, 2)] * 3, [1, 2, 1]), ([(3, 3), (1, 2)], [2, 1]),
        ([(2, 1), (2, 1), (2, 2)], [1, 2, 1]), ([(3, 2), (2, 1), (1, 3)], [(2, 1), (1, 2), 1]),
    ]
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_complete_in_two_variables(seed):
    counts = check_against_oracle(NETS_2D, 70, seed, SINGLE_2D, SPECIAL_2D)
    assert {0, 1, 2} <= counts


def test_complete_in_three_variables():
    def e(*shape):
        return np.random.default_rng(sum(shape)).integers(1, 5, shape).astype(float)

    x2 = np.array([1.0, 0.0, -1.0]).reshape(3, 1, 1)
    cases = [
        (LCN([(2, 2, 1), (1, 2, 2), (2, 1, 2)]), [e(2, 2, 1), e(1, 2, 2), e(2, 1, 2)], 1),
        (LCN([(2, 2, 2), (2, 2, 2)]), [e(2, 2, 2), e(2, 2, 2) + np.eye(2)], 2),
        # x^2 - 1 = (x - 1)(x + 1): a root for each of two layers, in both orders
        (LCN([(2, 1, 1), (2, 1, 1), (2, 2, 2)]),
         [x2[:2] - x2[1:], x2[:2] - x2[:0:-1], e(2, 2, 2)], None),
        # x^2 - 1 in the place of a strided layer, exchanged with another
        (LCN([(3, 2, 1), (2, 1, 2)], [(2, 1, 1), 1]),
         [multiply(x2, e(1, 2, 1)), multiply(np.array([-3.0, 1.0]).reshape(2, 1, 1), e(1, 1, 2))],
         2),
    ]
    for net, filters, count in cases:
        v = exact_product(net, filters)
        found = lcn.factorizations(net, v)
        if count is not None:
            assert len(found) == count
        mine = canonical(filters)
        assert min(max(np.abs(a - b).max() for a, b in zip(f, mine)) for f in found) < 1e-10


# ------------------------------------------------------------------------- what an answer is


@pytest.mark.parametrize(
    "shapes, strides",
    [
        ((4,), 1), ((1, 1), 1), ((1, 3, 1, 2), (2, 2, 2, 1)), ((3, 3, 2), 2), ((8, 8, 8), 5),
        ((5, 4, 3, 2), 3), ((3, 3), 1), ((4, 4, 3), 1), ((3, 3, 3), (1, 2, 1)),
        ((3, 3, 3), (2, 1, 1)), ((2, 2, 2, 2, 2), (2, 1, 3, 1, 1)), ([(3, 3), (3, 3)], 2),
        ([(2, 2)] * 3, 1), ([(3, 1), (3, 3), (3, 1)], 1), ([(3, 1), (3, 1)], [(1, 2), 1]),
        ([(2, 2, 2), (3, 2, 1)], 2), ([(5, 1, 1), (1, 4, 1), (2, 2, 2)], 1),
        ((400, 3), 400),
    ],
)  # fmt: skip
def test_random_filters_are_found(shapes, strides):
    net = LCN(shapes, strides)
    rng = np.random.default_rng(5)
    for _ in range(5):
        w = lcn.random_filters(net, rng)
        v = lcn.end_to_end(net, w)
        found = lcn.factorizations(net, v)
        mine = canonical(w)
        # Directions are conditioned like 1e2 here, on rounding of 1e-16.
        assert min(max(np.abs(a - b).max() for a, b in zip(f, mine)) for f in found) < 1e-11
        for f in found:
            p = lcn.end_to_end(net, f)
            c = np.vdot(p, v) / np.vdot(p, p)
            assert np.linalg.norm(c * p - v) <= 1e-12 * np.linalg.norm(v)
            for x in f:
                assert abs(np.linalg.norm(x) - 1) < 1e-14
                big = np.abs(x) > 1e-8 * np.abs(x).max()
                assert x[big][0] > 0
        keys = [tuple(np.round(np.concatenate([x.ravel() for x in f]), 8)) for f in found]
        assert keys == sorted(keys) and len(set(keys)) == len(keys)


def test_sign_and_scale_of_v_do_not_matter():
    net = LCN((3, 3, 2), (1, 2, 1))
    v = lcn.end_to_end(net, lcn.random_filters(net, 4))
    first = lcn.factorizations(net, v)
    for c in (-1.0, 1e-300, -1e-100, 1e100, 1e300):
        again = lcn.factorizations(net, c * v)
        assert same_lists(again, first, 1e-12)


def test_exchanges_at_singular_points():
    """k = (3, 2), s = 2.  (a, 0, c) crosses itself; p_1 = x^2 + a, p_2 = x + a does not."""
    net = LCN((3, 2), 2)
    crossing = lcn.end_to_end(net, [[2, 0, 1], [-1, 1]])
    assert len(lcn.factorizations(net, crossing)) == 2
    pinched = lcn.end_to_end(net, [[2, 0, 1], [2, 1]])
    assert len(lcn.factorizations(net, pinched)) == 1
    assert lcn.rank(net, [[2, 0, 1], [2, 1]], rtol=1e-10) == net.dimension - 1
    # x^4 + 1: a product of two polynomials in x^2 over the complex numbers only.
    assert lcn.factorizations(net, [1, 0, 0, 0, 1]) == []


@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-5, 1e-7, 1e-9])
def test_near_a_singular_point_nothing_is_lost(distance):
    """(2, distance, 1): next to the self-crossing there is one answer, as accurate as ever."""
    net = LCN((3, 2), 2)
    w = [np.array([2.0, distance, 1.0]), np.array([-1.0, 1.0])]
    found = lcn.factorizations(net, lcn.end_to_end(net, w))
    assert same_lists(found, [w], 1e-12)


@pytest.mark.parametrize(
    "shapes, strides, atoms",
    [
        ([(1, 3), (1, 3), (2, 2)], [(1, 2), (2, 1), 1], [4, 5] + [7, 8] * 4),
        ([(1, 2), (1, 3), (2, 3)], [1, (1, 2), 1], [4, 7, 8, 7, 8, 7, 7, 8]),
        ([(3, 1), (3, 2), (2, 3)], [1, 2, 1], [0, 11, 4, 5, 0, 0, 6, 7, 8, 2]),
    ],
)
def test_no_answers_beside_a_multiple_root(shapes, strides, atoms):
    """Gauss-Newton from a wrong candidate creeps towards a multiple root: 1e-6 from it the
    residual is below 1e-12."""
    net, atoms = LCN(shapes, strides), [SINGLE_2D[i] for i in atoms]
    found = lcn.factorizations(net, reduce(multiply, atoms))
    assert same_lists(found, oracle(net, atoms), 1e-6)


def test_repeated_factors_are_counted_once():
    b = np.array([1.0, 2.0, 1.0])  # all roots at -1
    assert len(lcn.factorizations(LCN((3, 3, 3)), lcn.end_to_end(LCN((3, 3, 3)), [b] * 3))) == 1
    blur = np.outer(b, b)  # (x + 1)^4 (y + 1)^4 from two layers
    for strides in (1, 2):
        net = LCN([(3, 3), (3, 3)], strides)
        found = lcn.factorizations(net, lcn.end_to_end(net, [blur, blur]))
        assert same_lists(found, [[blur, blur]], 1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_random_multiplicities(seed):
    """Multiplicities 1 to 4 of random roots, separated by 0.25 on the projective line."""
    rng = np.random.default_rng(seed)
    cases = 0
    while cases < 25:
        net = LCN(tuple(map(int, rng.integers(2, 5, rng.integers(2, 4)))))
        left, atoms, mult, angles = net.end_to_end_shape[0] - 1, [], [], []
        while left:
            if left >= 2 and rng.random() < 0.4:
                z = rng.uniform(0.6, 1.6) * np.exp(1j * rng.uniform(0.6, 2.5))
                a = np.array([abs(z) ** 2, -2 * z.real, 1.0])
            else:
                angles.append(rng.uniform(0, np.pi))
                a = np.array([np.cos(angles[-1]), np.sin(angles[-1])])
            m = int(rng.integers(1, min(4, left // (len(a) - 1)) + 1))
            atoms.append(a)
            mult.append(m)
            left -= m * (len(a) - 1)
        gaps = [abs(np.sin(a - b)) for i, a in enumerate(angles) for b in angles[:i]]
        pairs = [a for a in atoms if len(a) == 3]
        if min(gaps, default=1) < 0.25 or len(pairs) > 1:
            continue
        cases += 1
        v = reduce(np.convolve, [a for a, m in zip(atoms, mult) for _ in range(m)])
        spreads = [
            [c for c in product(range(m + 1), repeat=net.depth) if sum(c) == m] for m in mult
        ]
        want = sum(
            all(
                sum(c[i] * (len(a) - 1) for c, a in zip(way, atoms)) == k[0] - 1
                for i, k in enumerate(net.filter_shapes)
            )
            for way in product(*spreads)
        )
        assert len(lcn.factorizations(net, v)) == want


# ----------------------------------------------------------------------- membership in M


@pytest.mark.parametrize(
    "shapes, strides",
    [((3, 2), 2), ((3, 3, 2), 2), ([(2, 2), (2, 2)], 1), ([(3, 3), (3, 3)], 2)],
)
def test_noise_leaves_the_neuromanifold(shapes, strides):
    """All these M have lower dimension than the space of v: noise e moves v some e away."""
    net = LCN(shapes, strides)
    rng = np.random.default_rng(1)
    v = lcn.end_to_end(net, lcn.random_filters(net, rng))
    noise = rng.standard_normal(v.shape) * np.linalg.norm(v) / np.sqrt(v.size)
    number = len(lcn.factorizations(net, v))
    for e in (1e-8, 1e-6, 1e-3, 1.0):
        assert lcn.factorizations(net, v + e * noise) == []
    for e in (1e-12, 1e-11):
        assert len(lcn.factorizations(net, v + e * noise)) == number
    for e in (1e-9, 1e-7):
        assert len(lcn.factorizations(net, v + e * noise, rtol=10 * e)) == number


def test_the_boundary_of_the_solid():
    """k = (2, 2), stride one: M is b^2 >= 4ac, and rtol measures the distance from it."""
    net = LCN((2, 2))
    for gap, count in [(1e-3, 2), (1e-6, 2), (0.0, 1)]:
        assert len(lcn.factorizations(net, [1 + gap, 2 + gap, 1])) == count
    outside = [1 + 1e-6, 2.0, 1.0]  # a complex pair, 4e-7 outside
    assert lcn.factorizations(net, outside) == []
    (found,) = lcn.factorizations(net, outside, rtol=1e-5)
    assert np.abs(found[0] - found[1]).max() < 1e-6  # the double root on the boundary


def test_off_the_lattice():
    net = LCN((1, 2, 2), (2, 2, 1))  # v is a polynomial in x^2
    v = lcn.end_to_end(net, [[1], [1, 2], [3, 1]])
    assert len(lcn.factorizations(net, v)) == 1
    v[1] = 1e-3
    assert lcn.factorizations(net, v) == []


def test_bad_input():
    net = LCN((2, 2), 2)
    with pytest.raises(lcn.ZeroFilterError, match="infinitely many"):
        lcn.factorizations(net, np.zeros(4))
    for v in (np.ones(3), np.ones((2, 4)), [1, 2, np.nan, 3], [1j, 0, 0, 1], "no"):
        with pytest.raises(lcn.InputError, match="v:"):
            lcn.factorizations(net, v)
    for rtol in (0, 1, -1, np.nan, "a", [0.1]):
        with pytest.raises(lcn.InputError, match="rtol"):
            lcn.factorizations(net, np.ones(4), rtol=rtol)
    for limit in (0, -1, 2.5, "a", None):
        with pytest.raises(lcn.InputError, match="limit"):
            lcn.factorizations(net, np.ones(4), limit=limit)
    many = LCN((4, 4, 4))
    v = np.poly(np.arange(1, 10) / 3)  # 9 real roots: 1680 factorisations
    assert len(lcn.factorizations(many, v)) == 1680
    with pytest.raises(lcn.InputError, match="limit = 1000 real factorisations, got 1680"):
        lcn.factorizations(many, v, limit=1000)
    for huge in (LCN([(90, 90), (90, 90)]), LCN([(56, 56), (56, 56)], 2), LCN((2000, 2000))):
        with pytest.raises(lcn.InputError, match="entries"):
            v = np.random.default_rng(0).standard_normal(huge.end_to_end_shape)
            lcn.factorizations(huge, v)


# ------------------------------------------------------------------------------ the parts


def test_polyphase():
    v = np.arange(35.0).reshape(5, 7)
    for strides in ((2, 3), (1, 2), (1, 1), (6, 1)):  # the last: more residues than rows
        parts = lcn.polyphase(v, strides)
        assert len(parts) == strides[0] * strides[1]
        for c, part in zip(np.ndindex(strides), parts):
            assert np.array_equal(part, v[c[0] :: strides[0], c[1] :: strides[1]])
            assert part.flags.writeable and not np.shares_memory(part, v)
    # v(x) = p(x) r(x^s) has components p_c r, exactly in integers.
    p, r = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, -1, 3])
    v = exact_product(LCN((5, 3), 3), [p, r])
    for c, part in enumerate(lcn.polyphase(v, 3)):
        assert np.array_equal(part, np.convolve(p[c::3], r))
    for strides in (0, -1, (1, 2), (1.5,), 2.0, (2.0,), None, (None,), "2"):
        with pytest.raises(lcn.InputError, match="strides"):
            lcn.polyphase(np.ones(4), strides)
    with pytest.raises(lcn.InputError, match=r"v: .*axis"):
        lcn.polyphase(3.0, 2)


def test_multiple_roots_behind_a_badly_conditioned_layer():
    """Layer one is 1e-4 from an exchange: the rest comes out with errors of 1e-12 and needs
    polishing before its double roots can be seen."""
    net = LCN((5, 4, 4), (2, 1, 1))
    rest = reduce(np.convolve, [[1.5, 1], [-0.3, 1], [-2, 1]] * 2)
    wide = np.zeros(13)
    wide[::2] = rest
    for seed in range(8):
        p = np.convolve([2, 1e-4, 1], np.random.default_rng(seed).standard_normal(3))
        # Of each double root one, two or no copies: 1 + 6 ways to make degree three.
        assert len(lcn.factorizations(net, np.convolve(p, wide))) == 7


@pytest.mark.parametrize("distance", [0.1, 0.03])
def test_a_repeated_factor_next_to_a_simple_one(distance):
    f = np.array([[1.0, 2.0], [3.0, -1.0]])
    g = f + distance * np.array([[0.0, 1.0], [0.0, 0.0]])
    net = LCN([(2, 2)] * 3)
    found = lcn.factorizations(net, lcn.end_to_end(net, [f, f, g]))
    assert same_lists(found, [[f, f, g], [f, g, f], [g, f, f]], 1e-10)


@pytest.mark.parametrize("n", [8, 10, 12, 14, 16])
def test_binomial_filters(n):
    """(1 + x)^n: the computed roots lie on a circle of radius up to 0.1, the answer is one."""
    net = LCN((n // 2 + 1, n // 2 + 1))
    v = np.array([comb(n, j) for j in range(n + 1)], dtype=float)
    half = np.array([comb(n // 2, j) for j in range(n // 2 + 1)], dtype=float)
    assert same_lists(lcn.factorizations(net, v), [[half, half]], 1e-12)


def test_complex_pairs_of_curves_stay_together():
    pair = np.array([[0.0, 0, 2], [0, 2, 0], [5, 0, 0]])  # 5x^2 + 2xy + 2y^2, definite
    other = np.array([[1.0, 2], [3, -1]])
    assert lcn.factorizations(LCN([(2, 2), (2, 2)]), pair) == []
    (found,) = lcn.factorizations(LCN([(2, 2), (3, 3)]), multiply(pair, other))
    assert same_lists([found], [[other, pair]], 1e-12)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_the_unit_of_x_does_not_matter(size):
    """Roots of any size, with multiplicities: (x - r)^5 (x - s)^4 and (x - r)^3 (x - s)^2."""
    for net, (m, n), expected in ((LCN((5, 6)), (5, 4), 5), (LCN((3, 4)), (3, 2), 3)):
        v = np.poly([-size] * m + [-2 * size] * n)[::-1]
        found = lcn.factorizations(net, v)
        assert len(found) == expected
        for w in found:
            u = lcn.end_to_end(net, w)
            c = v @ u / (u @ u)
            assert np.abs(c * u - v).max() < 1e-9 * np.abs(v).max()


@pytest.mark.parametrize("units", [(1e-3, 1), (1, 1e3), (1e2, 1e-2), (1e-2, 1e3), (1e4, 1e4)])
def test_the_units_of_two_variables_do_not_matter(units):
    """Of coefficients that are right one by one; those of mu are so beside the largest only."""
    net = LCN([(2, 2), (3, 2)])
    for seed in range(5):
        w = [x * units[0] ** np.arange(len(x))[:, None] * units[1] ** np.arange(len(x[0]))
             for x in lcn.random_filters(net, seed)]
        v = convolve(*w, method="direct")
        (found,) = lcn.factorizations(net, v)
        u = convolve(*found, method="direct")
        np.testing.assert_allclose(u * v[0, 0] / u[0, 0], v, rtol=1e-7)
        noisy = lcn.end_to_end(net, w)  # accurate beside its largest coefficient only
        for found in lcn.factorizations(net, noisy):
            u = lcn.end_to_end(net, found)
            u *= (noisy * u).sum() / (u * u).sum()
            assert np.linalg.norm(u - noisy) < 1e-9 * np.linalg.norm(noisy)


@pytest.mark.parametrize("units", [(1e3, 1), (1, 1e-3), (1, 1e9), (30, 1e-2), (1e-3, 1e-3)])
def test_the_units_of_strided_layers_do_not_matter(units):
    """Layer i sees the units of x to the power of its cumulative stride."""
    net = LCN([(3, 2), (2, 2), (2, 3)], [(2, 1), (1, 3), 1])
    powers = [np.prod([u ** (s * n) for u, s, n in zip(units, stride, np.indices(k))], axis=0)
              for k, stride in zip(net.filter_shapes, net.cumulative_strides)]
    w = lcn.random_filters(net, 1)
    v = exact_product(net, [x * power for x, power in zip(w, powers)])
    (found,) = lcn.factorizations(net, v)
    assert same_lists([found], [found], 1e-14)  # of norm one, the first of weight positive
    plain = [x / power for x, power in zip(found, powers)]
    assert same_lists([canonical(plain)], [w], 1e-9)


@pytest.mark.parametrize("limit", [1, 3, 4])
def test_the_limit_holds_for_all_parts_together(limit):
    """Two layers of stride one on either side of a stride: two times two factorisations."""
    net = LCN((2, 2, 2, 2), strides=(1, 2, 1, 1))
    v = lcn.end_to_end(net, lcn.random_filters(net, 3))
    if limit == 4:
        assert len(lcn.factorizations(net, v, limit=limit)) == 4
    else:
        with pytest.raises(InputError, match=f"limit = {limit}"):
            lcn.factorizations(net, v, limit=limit)


def test_too_many_are_refused_before_the_work():
    net = LCN((2,) * 20)
    v = lcn.end_to_end(net, lcn.random_filters(net, 0))
    with pytest.raises(InputError, match="2432902008176640000"):
        lcn.factorizations(net, v)


@pytest.mark.parametrize(
    "shapes, strides",
    [((3, 2), 2), ((3, 3, 2), 2), ((3, 3), 1), ([(2, 2), (2, 2)], 1),
     ([(3, 3), (2, 2), (2, 2)], 2), ([(4, 4), (3, 3)], 1)],
)
def test_single_precision(shapes, strides):
    """A v that was rounded to float32 has the factorisations that it had."""
    net = LCN(shapes, strides)
    for seed in range(5):
        v = lcn.end_to_end(net, lcn.random_filters(net, seed))
        single = v.astype(np.float32)
        assert same_lists(lcn.factorizations(net, single), lcn.factorizations(net, v), 1e-4)
        assert lcn.kernel_count(net, single) == lcn.kernel_count(net, v)
    outside = np.random.default_rng(0).standard_normal(net.end_to_end_shape).astype(np.float32)
    if net.dimension < v.size:
        assert lcn.factorizations(net, outside) == []


@pytest.mark.parametrize("shapes, strides", [((3, 2), 2), ((2, 2), 2), ((3, 3, 2), (2, 3, 1))])
def test_a_cone_that_is_no_linear_space(shapes, strides):
    """prop-10-tip: multiples of v stay in M, sums leave it, so zero is a singular point."""
    net = LCN(shapes, strides)
    a, b = (lcn.end_to_end(net, lcn.random_filters(net, seed)) for seed in (0, 1))
    assert len(lcn.factorizations(net, -3 * a)) == len(lcn.factorizations(net, b)) == 1
    assert lcn.factorizations(net, a + b) == []


def test_rounding_in_place_of_zeros_is_no_unit():
    net = LCN((3, 2), strides=2)
    v = lcn.end_to_end(net, [[0, 0, 1], [0, 1]])  # x^4, and rounding
    assert len(lcn.factorizations(net, v)) == 1
