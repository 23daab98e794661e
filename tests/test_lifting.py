"""From a function and its invariants back to the parameters."""

from itertools import product

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN


def up_to_signs(found, true):
    return max(
        min(np.linalg.norm(a - b), np.linalg.norm(a + b)) / np.linalg.norm(b)
        for a, b in zip(found, true)
    )


def random_nets(seed, number):
    """D = 1 with strides 2 to 5, sizes 2 to 8, depth 2 to 5; D = 2, 3 with mixed shapes."""
    rng = np.random.default_rng(seed)
    while number:
        ndim = int(rng.choice([1, 1, 2, 3]))
        depth = int(rng.integers(2, 6 if ndim == 1 else 4))
        if ndim == 1:
            net = LCN(rng.integers(2, 9, depth).tolist(), rng.integers(2, 6, depth).tolist())
        else:
            net = LCN(rng.integers(1, 4, (depth, ndim)).tolist(),
                      rng.integers(1, 4, (depth, ndim)).tolist())
        if np.prod(net.end_to_end_shape) <= 4000 and lcn.generic_kernel_count(net) == 1:
            number -= 1
            yield net, rng


@pytest.mark.parametrize("seed", range(3))
def test_parameters_come_back(seed):
    for net, rng in random_nets(seed, 50):
        w = lcn.random_filters(net, rng)
        v, delta = lcn.end_to_end(net, w), lcn.invariants(net, w)
        found = lcn.lift(net, v, delta)
        # benchmarks/lift_accuracy.py: errors stay below 1e-16 times the condition number.
        assert up_to_signs(found, w) < 1e-12, net
        assert np.abs(lcn.end_to_end(net, found) - v).max() <= 1e-14 * np.linalg.norm(v)
        scale = max(np.vdot(x, x) for x in found)
        assert np.abs(lcn.invariants(net, found) - delta).max(initial=0) <= 1e-14 * scale


@pytest.mark.parametrize("distance", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
def test_accuracy_next_to_a_rank_drop(distance):
    """The condition number is about 1/distance, and the error about eps times that."""
    net = LCN((3, 2), 2)
    w = [np.array([2.0, distance, 1.0]), np.array([2.0, 1.0])]
    v = lcn.end_to_end(net, w)
    units = [x / np.linalg.norm(x) for x in w]
    s = np.linalg.svd(lcn.jacobian(net, units), compute_uv=False)[: net.dimension]
    assert 0.1 < distance * s[0] / s[-1] < 100
    found = lcn.lift(net, v, lcn.invariants(net, w))
    # A quadratic map near a fold: rounding e of v shows as e / distance, until sqrt(e).
    assert up_to_signs(found, w) < 1e-14 * s[0] / s[-1]


def test_signs_without_a_guess():
    net = LCN((3, 2, 2), 2)
    for seed in range(20):
        w = lcn.random_filters(net, seed)
        v = lcn.end_to_end(net, w)
        for sign in (1, -1):
            found = lcn.lift(net, sign * v, [0.3, -1.0])
            assert found[0][0] > 0 and found[1][0] > 0
            assert np.allclose(lcn.end_to_end(net, found), sign * v, rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [1e-150, 1e-60, 1.0, 1e60, 1e150])
@pytest.mark.parametrize("spread", [0.0, 1e-100, 1.0, 1e100])
def test_any_scale(size, spread):
    net = LCN((3, 3, 2), 2)
    v = size * lcn.end_to_end(net, lcn.random_filters(net, 3))
    delta = spread * np.array([1.0, -3.0])
    found = lcn.lift(net, v, delta)
    assert np.abs(lcn.end_to_end(net, found) - v).max() <= 1e-14 * np.abs(v).max()
    squares = max(np.vdot(x, x) for x in found)
    assert np.abs(lcn.invariants(net, found) - delta).max() <= 1e-14 * squares


# ------------------------------------------------------------------------------ branches


def test_ambiguity_lists_the_branches():
    """(1 - 3x + 2x^2)(15 - 2x - x^2), four real roots: six factorisations, 6 or 3 kernels."""
    net = LCN((3, 3))
    v = lcn.end_to_end(net, [[1, -3, 2], [15, -2, -1]])
    for delta, number in [([0.3], 6), ([0.0], 3)]:
        with pytest.raises(lcn.AmbiguousFactorizationError, match=f"got {number} ") as caught:
            lcn.lift(net, v, delta)
        branches = caught.value.branches
        assert len(branches) == number
        kernels = [lcn.ntk(net, w) for w in branches]
        scale = np.abs(v).max()
        for i, w in enumerate(branches):
            assert np.abs(lcn.end_to_end(net, w) - v).max() < 1e-13 * scale
            assert np.abs(lcn.invariants(net, w) - delta).max() < 1e-12 * scale
            again = lcn.lift(net, v, delta, guess=w)
            assert max(np.abs(a - b).max() for a, b in zip(again, w)) < 1e-12 * scale
            for k in kernels[:i]:
                assert np.abs(k - kernels[i]).max() > 1e-3 * np.abs(k).max()


def test_one_kernel_is_not_ambiguous():
    """Balanced interchangeable layers: the order is arbitrary, the kernel is not."""
    for net in (LCN((2, 2)), LCN([(2, 2), (2, 2)]), LCN([(2, 2)] * 3)):
        w = lcn.rescale(net, lcn.random_filters(net, 8), np.zeros(net.depth - 1))
        v = lcn.end_to_end(net, w)
        found = lcn.lift(net, v, np.zeros(net.depth - 1))
        assert np.allclose(lcn.ntk(net, found), lcn.ntk(net, w), rtol=0, atol=1e-10)
        first = lcn.factorizations(net, v)[0]
        assert up_to_signs(lcn.rescale(net, found, 0 * lcn.invariants(net, w)), found) < 1e-12
        assert up_to_signs([x / np.linalg.norm(x) for x in found], first) < 1e-10
        delta = np.ones(net.depth - 1)
        with pytest.raises(lcn.AmbiguousFactorizationError):
            lcn.lift(net, v, delta)


def nearest_by_brute_force(net, v, guess):
    """Over all factorisations and all 2^(H-1) admissible signs, filters of norm one."""
    unit = [g / np.linalg.norm(g) for g in guess]
    best = (np.inf, None)
    for f in lcn.factorizations(net, v):
        f = [x / np.linalg.norm(x) for x in f]
        target = np.sign(np.vdot(lcn.end_to_end(net, f), v))
        for signs in product((1, -1), repeat=net.depth):
            if np.prod(signs) == target:
                d = sum(np.sum((e * a - b) ** 2) for e, a, b in zip(signs, f, unit))
                best = min(best, (d, [e * a for e, a in zip(signs, f)]), key=lambda x: x[0])
    return best[1]


@pytest.mark.parametrize(
    "shapes, strides",
    [((2, 2), 1), ((3, 3), 1), ((3, 2, 2), 1), ((3, 3, 2), 2), ((2, 3, 2), (1, 2, 1)),
     ([(2, 2), (2, 2)], 1), ([(2, 2)] * 3, 1), ([(3, 2), (2, 2)], 2)],
)  # fmt: skip
@pytest.mark.parametrize("distance", [1e-6, 1e-2, 0.3, 10.0])
def test_the_nearest_branch(shapes, strides, distance):
    net = LCN(shapes, strides)
    rng = np.random.default_rng(2)
    for _ in range(6):
        w = lcn.random_filters(net, rng)
        v, delta = lcn.end_to_end(net, w), rng.standard_normal(net.depth - 1)
        guess = [x + distance * rng.standard_normal(x.shape) for x in w]
        guess = [x * 10.0 ** rng.uniform(-3, 3) for x in guess]  # the scale must not matter
        found = lcn.lift(net, v, delta, guess)
        unit = [x / np.linalg.norm(x) for x in found]
        want = nearest_by_brute_force(net, v, guess)
        assert max(np.abs(a - b).max() for a, b in zip(unit, want)) < 1e-8
        assert np.abs(lcn.end_to_end(net, found) - v).max() < 1e-12 * np.linalg.norm(v)
        assert np.allclose(lcn.invariants(net, found), delta, rtol=0, atol=1e-10)


@pytest.mark.parametrize("gap", [1e-1, 1e-2, 1e-3, 1e-4])
def test_the_nearest_of_two_close_branches(gap):
    """Near a common root two branches are `gap` apart, and the guess is about as far from both.

    Gauss-Newton from there often ends in the farther one; only a guess so near that no other
    branch can be nearer may be trusted.
    """
    net, rng = LCN((2, 3)), np.random.default_rng(1)
    for _ in range(40):
        w = [np.array([1.0, 1.0]), np.convolve([1.0, 1.0 + gap * rng.uniform(0.5, 1)],
                                               rng.standard_normal(2))]
        v = lcn.end_to_end(net, w)
        branches = lcn.factorizations(net, v)
        guess = [a + rng.uniform(-0.2, 1.2) * (b - a) for a, b in zip(branches[0], branches[1])]
        guess = [x + gap * rng.standard_normal(x.shape) / 3 for x in guess]
        found = lcn.lift(net, v, [0.3], guess)
        want = nearest_by_brute_force(net, v, guess)
        for a, b in zip(found, want):
            assert np.abs(a / np.linalg.norm(a) - b).max() < 1e-9 / gap


def test_a_near_guess_needs_no_enumeration(monkeypatch):
    """Nine real roots have 1680 factorisations; a near guess finds its own without the roots."""
    net = LCN((4, 4, 4))
    v = np.poly(np.arange(1, 10) / 3)
    branches = lcn.factorizations(net, v)
    monkeypatch.delattr(np, "roots")  # listing needs them
    with pytest.raises(AttributeError):
        lcn.factorizations(net, v)
    for w in branches[::300]:
        for seed in range(3):
            rng = np.random.default_rng(seed)
            guess = [x + 1e-9 * rng.standard_normal(x.shape) for x in w]
            found = lcn.lift(net, v, [0.0, 0.0], guess)
            units = [x / np.linalg.norm(x) for x in found]
            assert up_to_signs(units, w) < 1e-8


def test_too_many_branches():
    net = LCN((4, 4, 4))
    v = np.poly(np.arange(1, 10) / 3)
    with pytest.raises(lcn.AmbiguousFactorizationError, match="limit = 100") as caught:
        lcn.lift(net, v, [0, 0], limit=100)
    assert caught.value.branches == []
    w = lcn.factorizations(net, v)[77]
    rough = [x + 0.02 * np.random.default_rng(0).standard_normal(x.shape) for x in w]
    found = lcn.lift(net, v, [0, 0], rough, limit=100)  # the branch that Gauss-Newton reaches
    assert np.abs(lcn.end_to_end(net, found) - v).max() < 1e-9 * np.abs(v).max()


def test_on_the_discriminant():
    """At a double root two branches meet: one answer, with and without a guess."""
    net = LCN((2, 2))
    for guess in (None, [[1, 2], [2, 1]]):
        found = lcn.lift(net, [1, 2, 1], [0.5], guess)
        assert np.allclose(lcn.end_to_end(net, found), [1, 2, 1], rtol=0, atol=1e-12)
        assert np.allclose([x[1] / x[0] for x in found], 1, rtol=0, atol=1e-6)


# --------------------------------------------------------------------------------- errors


def test_errors():
    net = LCN((2, 2))
    outside = [1.0, 0.0, 1.0]
    for guess in (None, [[1, 0], [0, 1]]):
        with pytest.raises(lcn.NotInFunctionSpaceError, match="real factorisation"):
            lcn.lift(net, outside, [0.0], guess)
        with pytest.raises(lcn.ZeroFilterError):
            lcn.lift(net, np.zeros(3), [0.0], guess)
    with pytest.raises(lcn.ZeroFilterError, match=r"guess\[1\]"):
        lcn.lift(net, [2, 3, 1], [0.0], [[1, 0], [0, 0]])
    for bad in ([0.0, 0.0], [[0.0]], [np.nan], 0.0):
        with pytest.raises(lcn.InputError, match="invariants"):
            lcn.lift(net, [2, 3, 1], bad)
    for bad in ([[1, 0]], [[1, 0], [1]], [[[1, 0]], [[1, 0]]], 3):
        with pytest.raises(lcn.InputError, match="guess"):
            lcn.lift(net, [2, 3, 1], [0.0], bad)
    with pytest.raises(lcn.InputError, match="v:"):
        lcn.lift(net, [[2, 3, 1]], [0.0])
    with pytest.raises(lcn.InputError, match="rtol"):
        lcn.lift(net, [2, 3, 1], [0.0], rtol=2.0)


def test_no_convergence_is_an_error():
    """Outside M with too many candidates to list: nothing to fall back on."""
    net = LCN((2, 2, 2, 2))
    v = np.convolve(np.poly([1.0, 2.0]), [1.0, 0.0, 1.0])  # one conjugate pair, no factor takes it
    with pytest.raises(lcn.NotInFunctionSpaceError):
        lcn.lift(net, v, [0, 0, 0], [[1, 1], [1, -1], [1, 2], [2, -1]], limit=1)
    # Equal layers stay equal, where the differential drops rank: by six, and by one.
    for net, n, guess in ((LCN((4, 4, 4)), 9, [[1.0, 0, 0, 0]] * 3),
                          (LCN((2, 2, 3)), 4, [[1.0, 0.3], [1.0, 0.3], [1.0, 0.2, 2.0]])):
        with pytest.raises(lcn.SingularPointError, match="stopped at relative residual"):
            lcn.lift(net, np.poly(np.arange(1, n + 1) / 3), [0, 0], guess, limit=2)


def test_a_noisy_v_needs_a_larger_rtol():
    net = LCN((3, 3, 2), 2)
    w = lcn.random_filters(net, 0)
    v = lcn.end_to_end(net, w)
    noisy = v + 1e-7 * np.random.default_rng(0).standard_normal(v.shape)
    delta = lcn.invariants(net, w)
    for guess in (None, w):
        with pytest.raises(lcn.NotInFunctionSpaceError, match="rtol"):
            lcn.lift(net, noisy, delta, guess)
        assert up_to_signs(lcn.lift(net, noisy, delta, guess, rtol=1e-5), w) < 1e-5


def test_the_message_of_an_ambiguity():
    net = LCN((3, 3))
    v = lcn.end_to_end(net, [[1, -3, 2], [15, -2, -1]])
    with pytest.raises(lcn.AmbiguousFactorizationError) as caught:
        lcn.lift(net, v, [0.3])
    assert str(caught.value) == (
        "v: expected one kernel at these invariants, got 6 (6 factorisations); pass `guess`, for "
        "example one of this error's `branches`"
    )
    with pytest.raises(lcn.AmbiguousFactorizationError) as caught:
        lcn.lift(net, v, [0.3], limit=2)
    assert str(caught.value) == (
        "v: expected at most limit = 2 real factorisations, got 6 or more; pass a larger limit, or "
        "count them with generic_kernel_count; or pass `guess` to pick a branch"
    )


@pytest.mark.parametrize("guessed", [False, True])
def test_single_precision_and_noise(guessed):
    """What was rounded to float32 is found as it is; what is noisy, after `project`."""
    net = LCN((3, 3, 2), 2)
    for seed in range(5):
        w = lcn.random_filters(net, seed)
        v, delta = lcn.end_to_end(net, w), lcn.invariants(net, w)
        guess = w if guessed else None
        assert up_to_signs(lcn.lift(net, v.astype(np.float32), delta, guess), w) < 1e-4
        noisy = v + 1e-3 * np.random.default_rng(seed).standard_normal(v.shape)
        for x, rtol in ((noisy, "1e-10"), (noisy.astype(np.float32), "1e-05")):
            with pytest.raises(lcn.NotInFunctionSpaceError, match="project") as caught:
                lcn.lift(net, x, delta, guess)
            assert f"rtol = {rtol}, " in str(caught.value)
        near = lcn.project(net, noisy).end_to_end
        assert up_to_signs(lcn.lift(net, near, delta, guess), w) < 0.1


def test_lifting_to_a_surface_in_space():
    """thm-metrics-surface: for k = (2, 1) the lift is an isometry onto c^2 - |w|^2 = delta."""
    net, h = LCN((2, 1)), 1e-5
    for delta in (-2.0, 0.0, 3.0):
        for v in np.random.default_rng(0).standard_normal((5, 2)):
            def lifted(v, delta=delta):
                w, c = lcn.lift(net, v, [delta])
                return np.concatenate([w, c]) * np.sign(c)

            *w, c = lifted(v)
            assert abs(c**2 - np.dot(w, w) - delta) < 1e-12
            steps = [(lifted(v + h * e) - lifted(v - h * e)) / (2 * h) for e in np.eye(2)]
            ruler = np.array([[a @ b for a in steps] for b in steps])
            filters = [np.array(w), np.array([c])]
            metric = [[lcn.inner(net, filters, a, b) for a in np.eye(2)] for b in np.eye(2)]
            assert np.allclose(ruler, metric, rtol=1e-7, atol=0)


def test_a_guess_for_large_filters():
    net = LCN([(64, 64), (64, 64)])
    w, noise = lcn.random_filters(net, 1), lcn.random_filters(net, 2)
    guess = [x + 1e-3 * y for x, y in zip(w, noise)]
    found = lcn.lift(net, lcn.end_to_end(net, w), lcn.invariants(net, w), guess=guess)
    assert max(np.abs(a - b).max() for a, b in zip(found, w)) < 1e-10
