"""Critical points of quadratic losses and their number."""

from itertools import product

import numpy as np
import pytest
import sympy
from scipy.linalg import toeplitz
from scipy.optimize import minimize

import lcnlib
from lcnlib import LCN, QuadraticLoss, critical_points, ed_degree, errors


def random_loss(net, seed):
    rng = np.random.default_rng(seed)
    n = int(np.prod(net.end_to_end_shape))
    m = rng.standard_normal((n, 2 * n))
    return QuadraticLoss(rng.standard_normal(net.end_to_end_shape), m @ m.T / n)


def products_and_cofactors(net, ws):
    """Complex end-to-end filter and cofactors of D = 1 filters by polynomial products."""
    spread = []
    for w, (s,) in zip(ws, net.cumulative_strides):
        p = np.zeros((len(w) - 1) * s + 1, complex)
        p[::s] = w
        spread.append(p)
    rest = []
    for i in range(net.depth):
        c = np.ones(1, complex)
        for j, p in enumerate(spread):
            c = np.convolve(c, p) if i != j else c
        rest.append(c)
    return np.convolve(spread[0], rest[0]), rest


def gradient(net, ws, loss):
    """All T_i^T A (v - v*), without conjugation, by sums over shifts of the cofactors."""
    v, rest = products_and_cofactors(net, ws)
    g = loss.weight @ (v - loss.target)
    return [
        np.array([c @ g[j * s : j * s + len(c)] for j in range(len(w))])
        for w, c, (s,) in zip(ws, rest, net.cumulative_strides)
    ]


@pytest.mark.parametrize(("sizes", "degree"), [((2, 2), 6), ((3, 2), 10)])
def test_twenty_random_losses(sizes, degree):
    net = LCN(sizes, strides=2)
    assert ed_degree(net) == degree
    for seed in range(20):
        loss = random_loss(net, seed)
        c = critical_points(net, loss)
        assert len(c) == degree and c.complete and c.at_infinity == 0
        # Certificates: Newton has converged, the points are distinct, non-zero and smooth.
        assert c.residual.max() < 1e-12
        assert c.smoothness.min() > 1e-6
        size = np.linalg.norm(c.end_to_end, axis=1)
        gap = np.linalg.norm(c.end_to_end[:, None] - c.end_to_end, axis=2) + np.eye(degree)
        assert gap.min() > 1e-4 * size.max() * 1e-1 and size.min() > 1e-4
        for n in range(degree):
            ws = [w[n] for w in c.filters]
            v, rest = products_and_cofactors(net, ws)
            assert np.allclose(v, c.end_to_end[n], rtol=1e-12, atol=1e-12 * size[n])
            # The equations themselves, in polynomial arithmetic.
            bound = np.linalg.norm(loss.weight, 2) * (size[n] + np.linalg.norm(loss.target))
            for g, x in zip(gradient(net, ws, loss), rest):
                assert np.abs(g).max() < 1e-11 * bound * np.linalg.norm(x)
        # The equations are real: non-real solutions come in conjugate pairs.
        for v in c.end_to_end:
            assert np.linalg.norm(c.end_to_end - v.conj(), axis=1).min() < 1e-9 * np.linalg.norm(v)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_order_and_smoothness_at_any_scale(scale):
    net = LCN((3, 2), 2)
    loss = random_loss(net, 21)
    c = critical_points(net, QuadraticLoss(scale * loss.target, loss.weight))
    real = int(c.real.sum())
    assert c.real[:real].all() and 1 < real < len(c)
    assert (np.diff(c.loss[:real].real) > 0).all()
    for n in range(len(c)):
        units = [w[n] / np.linalg.norm(w[n]) for w in c.filters]
        columns = []
        for w, rest, (s,) in zip(units, products_and_cofactors(net, units)[1],
                                 net.cumulative_strides):
            for j in range(len(w)):
                columns.append(np.zeros(5, complex))
                columns[-1][j * s : j * s + len(rest)] = rest
        sizes = np.linalg.svd(np.array(columns), compute_uv=False)
        assert c.smoothness[n] == pytest.approx(sizes[3] / sizes[0], rel=1e-9)


def test_formula_against_the_ranks_of_a_resolution():
    """Generic ED degrees of P^a x P^b and of P^1 x P^1 x P^1 by series in sympy."""
    for dims in [(1, 1), (2, 1), (2, 2), (3, 2), (1, 1, 1), (2, 1, 1)]:
        h = sympy.symbols(f"h0:{len(dims)}")
        e = sympy.Symbol("e")
        n = sum(dims)
        # sum_i (-1)^i (2^(n+1-i) - 1) c_i L^(n-i), c_i marked by e^i.
        chern = sympy.Poly(
            sympy.expand(sympy.prod((1 + e * x) ** (d + 1) for x, d in zip(h, dims))), e
        )
        total = sum(
            (-1) ** i * (2 ** (n + 1 - i) - 1) * chern.coeff_monomial(e**i) * sum(h) ** (n - i)
            for i in range(n + 1)
        )
        top = sympy.Poly(sympy.expand(total), *h).coeff_monomial(
            sympy.prod(x**d for x, d in zip(h, dims))
        )
        assert ed_degree(LCN([d + 1 for d in dims], 5)) == top


@pytest.mark.parametrize(
    ("net", "euler"), [(LCN((2, 2), 2), 0), (LCN((3, 2), 2), 0), (LCN((3, 3), 2), 1)], ids=str
)
def test_morse_count(net, euler):
    """Alternating sum of real critical points, from the topology of P^a x P^b alone.

    On directions, <b, m>^2 / <m, A m> is maximal where the loss is minimal.  It vanishes on the
    hypersurface <b, m> = 0, a maximum of the loss of index one; for these sizes the hypersurface
    has Euler characteristic zero, so the others add up to that of P^a x P^b.
    """
    for seed in range(8):
        c = critical_points(net, random_loss(net, 100 + seed))
        assert c.real.sum() >= 1 and c.index[0] == 0
        assert ((-1.0) ** c.index[c.real]).sum() == euler


@pytest.mark.parametrize("sizes", [(2, 2), (3, 2)])
def test_local_minima_are_those_that_descent_finds(sizes):
    net = LCN(sizes, strides=2)
    rng = np.random.default_rng(3)
    cut = [sizes[0]]
    for seed in range(6):
        loss = random_loss(net, 200 + seed)
        c = critical_points(net, loss)
        minima = c.end_to_end[c.index == 0].real

        def value(theta, loss=loss):
            ws = np.split(theta, cut)
            v = lcnlib.end_to_end(net, ws)
            return loss.value(v), np.concatenate(lcnlib.vjp(net, ws, loss.gradient(v)))

        found = 0
        for _ in range(6):
            r = minimize(value, rng.standard_normal(sum(sizes)), jac=True, tol=1e-12)
            if np.abs(r.jac).max() < 1e-6:  # BFGS sometimes runs off along the scaling fibre
                v = lcnlib.end_to_end(net, np.split(r.x, cut))
                assert np.linalg.norm(minima - v, axis=1).min() < 1e-4
                found += 1
        assert found >= 4


def test_index_and_filters_of_real_points():
    net = LCN((3, 2), 2)
    loss = random_loss(net, 7)
    c = critical_points(net, loss)
    for n in np.flatnonzero(c.real):
        ws = [w[n] for w in c.filters]
        assert all(np.abs(w.imag).max() == 0 for w in ws)
        theta = np.concatenate([w.real for w in ws])

        def grad(x):
            parts = np.split(x, [3])
            v = lcnlib.end_to_end(net, parts)
            return np.concatenate(lcnlib.vjp(net, parts, loss.gradient(v)))

        assert np.abs(grad(theta)).max() < 1e-11
        h = 1e-5
        steps = h * np.eye(5)
        hessian = np.array([(grad(theta + e) - grad(theta - e)) / (2 * h) for e in steps])
        values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        assert (np.abs(values) < 1e-6).sum() == 1  # the scaling direction
        assert (values < -1e-6).sum() == c.index[n]
        assert np.isclose(c.loss[n], loss.value(c.end_to_end[n].real), rtol=1e-12)
    assert (c.index[~c.real] == -1).all()


def test_elimination_by_a_resultant():
    """k = (2, 2): the six ratios y/x of filter 1 are roots of an exact resultant."""
    net = LCN((2, 2), 2)
    rng = np.random.default_rng(8)
    m = rng.integers(-3, 4, (4, 6))
    weight, target = m @ m.T, rng.integers(-4, 5, 4)
    x, y = sympy.symbols("x y")
    mono = sympy.Matrix([1, x, y, x * y])  # (1 + x z)(1 + y z^2)
    a, b = sympy.Matrix(weight), sympy.Matrix(weight) * sympy.Matrix(target)
    num, den = (b.T * mono)[0], (mono.T * a * mono)[0]
    # num^2/den is critical: num = 0 gives v = 0; the rest is polynomial.
    first, second = (
        sympy.expand(2 * den * sympy.diff(num, z) - num * sympy.diff(den, z)) for z in (x, y)
    )
    eliminant = sympy.Poly(sympy.resultant(first, second, y), x)
    c = critical_points(net, QuadraticLoss(target.astype(float), weight.astype(float)))
    ratios = c.filters[0][:, 1] / c.filters[0][:, 0]
    roots = np.array([complex(r) for r in sympy.nroots(eliminant, n=30, maxsteps=200)])
    for r in ratios:
        assert np.abs(roots - r).min() < 1e-8 * max(1, abs(r))
    # Spurious roots have num = den = 0; all the others are ratios.
    spurious = 0
    for r in roots:
        if np.abs(ratios - r).min() > 1e-8 * max(1, abs(r)):
            p = np.array(sympy.Poly(num.subs(x, r), y).all_coeffs(), complex)
            q = np.array(sympy.Poly(den.subs(x, r), y).all_coeffs(), complex)
            common = min(abs(s - t) for s in np.roots(p) for t in np.roots(q))
            assert common < 1e-6
            spurious += 1
    assert spurious == len(roots) - 6


@pytest.mark.parametrize("n", [2, 3])
def test_identity_weight_is_special(n):
    """A = 1: the critical rank-one matrices are the n terms of the SVD (Eckart, Young)."""
    net = LCN((n, n), n)
    target = np.random.default_rng(9).standard_normal((n, n))
    c = critical_points(net, QuadraticLoss(target.reshape(-1)))
    assert c.complete and c.at_infinity == c.ed_degree - n and c.real.all()
    u, s, vt = np.linalg.svd(target)
    for i in range(n):
        assert np.allclose(c.end_to_end[i], (s[i] * np.outer(u[:, i], vt[i])).ravel(), atol=1e-9)
    assert c.index.tolist() == list(range(n))
    assert len(c) == n


def test_the_svd_in_another_norm():
    """A = D x E: the terms of the SVD of sqrt(D) V sqrt(E), to rounding in spite of D and E."""
    target, d = np.array([[1.0, 0.3], [0.7, 2.0]]), np.array([1.0, 0.1])
    weight = np.kron(np.diag(d**2), np.diag(d**2))
    c = critical_points(LCN((2, 2), 2), QuadraticLoss(target.reshape(-1), weight))
    u, s, vt = np.linalg.svd(d[:, None] * target * d)
    assert len(c) == 2 and c.residual.max() < 1e-13
    for i in range(2):
        want = (s[i] * np.outer(u[:, i], vt[i])) / d[:, None] / d
        assert np.abs(c.end_to_end[i] - want.reshape(-1)).max() < 1e-12
        assert np.isclose(c.loss[i], s[1 - i] ** 2 / 2, rtol=1e-12)


def test_stationary_data_can_be_special():
    """Autoregressive noise: for k = (3, 3) sixteen of the 39 points are at infinity."""
    net = LCN((3, 3), 2)
    target = np.random.default_rng(14).standard_normal(7)
    c = critical_points(net, QuadraticLoss(target, toeplitz(0.95 ** np.arange(7))))
    assert (len(c), c.at_infinity, c.degenerate) == (23, 16, 0)
    c = critical_points(net, QuadraticLoss(target, toeplitz([2, -0.5, 0.3, 0.1, 0, 0, 0])))
    assert (len(c), c.at_infinity, c.degenerate) == (39, 0, 0)


def test_degenerate_points_are_counted():
    """A = 1 and the target 1: every u u^T with |u| = 1 is critical, a circle of minima."""
    c = critical_points(LCN((2, 2), 2), QuadraticLoss([1.0, 0, 0, 1]))
    assert not c.complete and c.degenerate > 0
    assert len(c) + c.at_infinity + c.degenerate == 6


def test_scale_and_realisable_targets():
    net = LCN((3, 2), 2)
    loss = random_loss(net, 10)
    c = critical_points(net, loss)
    big = critical_points(net, QuadraticLoss(loss.target * 1e9, loss.weight * 1e-7))
    assert np.allclose(big.end_to_end, c.end_to_end * 1e9, rtol=1e-8)
    v = lcnlib.end_to_end(net, lcnlib.random_filters(net, 11))
    c = critical_points(net, QuadraticLoss(v, loss.weight))
    assert len(c) == 10 and abs(c.loss[0]) < 1e-20
    assert np.allclose(c.end_to_end[0].real, v, rtol=0, atol=1e-12)


def test_over_the_zero_filter():
    """Two zero filters are critical for every loss, one zero filter only for special ones."""
    net = LCN((3, 2, 2), 2)
    w = lcnlib.random_filters(net, 12)
    loss = random_loss(net, 13)
    for zeros in product((0, 1), repeat=3):
        ws = [x * (not z) for x, z in zip(w, zeros)]
        size = max(np.abs(g).max() for g in lcnlib.vjp(net, ws, loss.gradient(
            lcnlib.end_to_end(net, ws))))
        assert (size < 1e-14) == (sum(zeros) >= 2)


def test_bad_input():
    net = LCN((3, 2), 2)
    with pytest.raises(errors.InputError, match="strides > 1"):
        ed_degree(LCN((2, 2)))
    with pytest.raises(errors.InputError, match="strides > 1"):
        critical_points(LCN([(2, 2), (2, 2)], [(2, 1), 1]),
                        QuadraticLoss(np.ones((4, 3))))
    with pytest.raises(errors.InputError, match="QuadraticLoss"):
        critical_points(net, np.ones(5))
    with pytest.raises(errors.InputError, match="target of shape"):
        critical_points(net, QuadraticLoss(np.ones(4)))
    with pytest.raises(errors.InputError, match="non-zero target"):
        critical_points(net, QuadraticLoss(np.zeros(5)))
    with pytest.raises(errors.InputError, match="positive definite"):
        critical_points(net, QuadraticLoss(np.ones(5), np.diag([1.0, 1, 1, 1, 0])))
    with pytest.raises(errors.InputError, match="2000"):
        critical_points(LCN((5, 5, 5), 5), QuadraticLoss(np.ones(125)))


def test_many_layers_of_size_one():
    net = LCN((2, 1, 1, 1, 1, 1, 1, 1, 2), 2)
    rng = np.random.default_rng(0)
    loss = QuadraticLoss(rng.standard_normal(net.end_to_end_shape))
    found = critical_points(net, loss)
    assert found.ed_degree == 6 and len(found) + found.at_infinity == 6
    for w in zip(*(x[found.real].real for x in found.filters)):
        v = lcnlib.end_to_end(net, w)
        pulled = lcnlib.vjp(net, w, loss.gradient(v))
        assert max(np.abs(g).max() for g in pulled) < 1e-9


def test_a_layer_of_size_one_needs_no_stride():
    """It only scales: strides count between the layers that do more."""
    assert ed_degree(LCN((2, 1, 2), (2, 1, 1))) == ed_degree(LCN((2, 2), 2))
