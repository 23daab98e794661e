"""Sectional curvature (S11), against three computations that share nothing with it."""

import re

import numpy as np
import pytest

import lcnlib
from lcnlib import LCN, errors
from lcnlib.curvature import coordinate_curvatures, sectional_curvature
from lcnlib.metric import horizontal_lift, inner, tangent_basis

from .geometry_cases import every_point, point, tangents

# Weights of the sixth-order central differences at -3 ... 3.
FIRST = np.array([-1, 9, -45, 0, 45, -9, 1]) / 60
SECOND = np.array([2, -27, 270, -490, 270, -27, 2]) / 180


def orthonormal_basis(net, w):
    """Tangent vectors, orthonormal for g_delta, shape (dim, *k)."""
    basis = tangent_basis(net, w)
    lower = np.linalg.cholesky(inner(net, w, basis[:, None], basis[None]))
    return np.tensordot(np.linalg.inv(lower), basis, 1)


def metric_in_a_chart(net, w, delta, y):
    """The matrix of g_delta at the points y, shape (P, dim), of the chart y -> mu(w + B y).

    The filters are rescaled to the given invariants, which moves no point of M.
    """
    dim = net.dimension
    b = horizontal_lift(net, w, orthonormal_basis(net, w))  # H arrays (dim, *k_i)
    there = [x + np.tensordot(y, d, 1) for x, d in zip(w, b)]
    vectors = np.stack(
        [lcnlib.jvp(net, there, [np.broadcast_to(d[i], x.shape) for x, d in zip(there, b)])
         for i in range(dim)]
    )
    filters = lcnlib.rescale(net, there, delta)
    g = inner(net, filters, vectors[:, None], vectors[None])  # (dim, dim, P)
    return np.moveaxis(g, -1, 0)


def riemann_by_differences(net, w):
    """g and R_iklm at w in that chart, from values of the metric alone."""
    delta, dim = lcnlib.invariants(net, w), net.dimension
    h = 0.02 * min(np.linalg.norm(x) for x in w)
    pairs = [(i, j) for i in range(dim) for j in range(i)]
    lines = [*np.eye(dim), *(np.eye(dim)[i] + np.eye(dim)[j] for i, j in pairs)]
    y = np.array([n * h * line for line in lines for n in range(-3, 4)])
    g = metric_in_a_chart(net, w, delta, y).reshape(len(lines), 7, dim, dim)
    one = np.einsum("n,lnij->lij", FIRST, g[:dim]) / h  # d_l g_ij
    pure = np.einsum("n,lnij->lij", SECOND, g) / h**2
    two = np.zeros((dim, dim, dim, dim))  # d_k d_l g_ij
    two[range(dim), range(dim)] = pure[:dim]
    for (i, j), mixed in zip(pairs, pure[dim:]):
        two[i, j] = two[j, i] = (mixed - pure[i] - pure[j]) / 2
    g = g[0, 3]
    # Gamma_{n,kl} = (d_k g_nl + d_l g_nk - d_n g_kl) / 2
    lower = (np.einsum("knl->nkl", one) + np.einsum("lnk->nkl", one) - one) / 2
    quadratic = np.einsum("nkl,np,pim->iklm", lower, np.linalg.inv(g), lower)
    r = 0.5 * (
        np.einsum("klim->iklm", two) + np.einsum("imkl->iklm", two)
        - np.einsum("kmil->iklm", two) - np.einsum("ilkm->iklm", two)
    )
    return g, r + quadratic - np.einsum("ikml->iklm", quadratic)


SMALL = [
    (LCN((3, 2), 2), "unbalanced"),
    (LCN((3, 2), 2), "balanced"),
    (LCN((2, 2, 2), (2, 3, 1)), "unbalanced"),
    (LCN((2, 3), 1), "unbalanced"),
    (LCN((2, 1, 2, 2), 2), "tied"),
    (LCN([(2, 1), (2, 2)], 1), "unbalanced"),
]


@pytest.mark.parametrize(("net", "kind"), SMALL, ids=str)
def test_curvature_is_that_of_the_metric_in_coordinates(net, kind):
    w = point(net, kind, seed=1)
    g, riemann = riemann_by_differences(net, w)
    rng = np.random.default_rng(2)
    basis = orthonormal_basis(net, w)
    scale = max(np.abs(x).max() for x in coordinate_curvatures(net, w))
    for _ in range(5):
        x, y = rng.standard_normal((2, net.dimension))
        area = (x @ g @ x) * (y @ g @ y) - (x @ g @ y) ** 2
        expected = np.einsum("iklm,i,k,l,m", riemann, x, y, x, y) / area
        a, b = np.tensordot(np.stack([x, y]), basis, 1)
        # Sixth-order differences with steps of 2% of the smallest filter: truncation
        # 720/560 * 0.02^6 times the sixth power of inverse radii, rounding 1e-15/0.02^2.
        assert abs(sectional_curvature(net, w, a, b) - expected) < 1e-7 * scale


def pluecker_mean(net, w, a, b):
    """S11's formulas, averaged with the squares of the plane's coordinates."""
    r = np.array([np.linalg.norm(x) for x in w])
    s = (r**-2.0).sum()
    radial = (s - r**2 * (r**-4.0).sum()) / (r**4 * s**2)
    mixed = -1 / (np.outer(r, r) ** 2 * s)
    same = (1 - 1 / (r**2 * s)) / r**2
    # Orthonormal frame of the level set: the radial unit vector, then the spheres.
    planes, owner = [], []
    units = [(x / n).ravel() for x, n in zip(w, r)]
    start = np.cumsum([0, *(u.size for u in units)])
    first = np.concatenate([u / n for u, n in zip(units, r)]) / np.sqrt(s)
    for i, u in enumerate(units):
        q = np.linalg.svd(u[None])[2][1:]
        for row in q:
            e = np.zeros(start[-1])
            e[start[i] : start[i + 1]] = row
            planes.append(e)
            owner.append(i)
    frame = np.array([first, *planes])
    x, y = (
        frame @ np.concatenate([h.ravel() for h in horizontal_lift(net, w, c)]) for c in (a, b)
    )
    table = np.zeros((len(frame), len(frame)))
    table[0, 1:] = table[1:, 0] = radial[owner]
    for p, i in enumerate(owner, 1):
        for q, j in enumerate(owner, 1):
            table[p, q] = same[i] if i == j else mixed[i, j]
    squares = (np.outer(x, y) - np.outer(y, x)) ** 2
    return (table * squares).sum() / squares.sum(), np.abs(table).max()


@every_point
def test_curvature_operator_is_diagonal_in_the_warped_frame(net, kind):
    w = point(net, kind, seed=3)
    for a, b in tangents(net, w, 6, seed=4).reshape(3, 2, *net.end_to_end_shape):
        expected, scale = pluecker_mean(net, w, a, b)
        assert abs(sectional_curvature(net, w, a, b) - expected) < 1e-11 * scale


@every_point
def test_gauss_equation_of_the_level_set(net, kind):
    """The second fundamental form from the gradients and Hessians of the invariants."""
    w = point(net, kind, seed=5)
    a, b = tangents(net, w, 2, seed=6)
    flat = [np.concatenate([h.ravel() for h in horizontal_lift(net, w, c)]) for c in (a, b)]
    cuts = np.cumsum([x.size for x in w])[:-1]
    gradients = []
    for i in range(net.depth - 1):
        parts = [np.zeros(x.size) for x in w]
        parts[i], parts[i + 1] = -2 * w[i].ravel(), 2 * w[i + 1].ravel()
        gradients.append(np.concatenate(parts))
    gradients = np.array(gradients)
    gram = np.linalg.inv(gradients @ gradients.T)

    def second(x, y):
        dots = np.array([p @ q for p, q in zip(np.split(x, cuts), np.split(y, cuts))])
        return 2 * np.diff(dots)  # Hessians of the invariants: minus the form's components

    x, y = flat
    area = (x @ x) * (y @ y) - (x @ y) ** 2
    gauss = second(x, x) @ gram @ second(y, y) - second(x, y) @ gram @ second(x, y)
    scale = max(np.abs(c).max() for c in coordinate_curvatures(net, w))
    assert abs(sectional_curvature(net, w, a, b) - gauss / area) < 1e-10 * scale


@every_point
def test_curvature_depends_on_the_plane_only(net, kind):
    w = point(net, kind, seed=7)
    a, b = tangents(net, w, 2, seed=8)
    scale = max(np.abs(c).max() for c in coordinate_curvatures(net, w))
    here = sectional_curvature(net, w, a, b)
    for x, y in ((b, a), (3e5 * a, 1e-4 * b), (a + b, a - 2 * b), (-a, 1e-3 * b + a),
                 (1e-200 * a, 1e-200 * b), (1e200 * b, 1e200 * a)):
        assert abs(sectional_curvature(net, w, x, y) - here) < 1e-9 * scale


def test_balanced_cone():
    """Metric cone over a product of spheres: 0, (H-1)/r^2 and -1/r^2 with r^2 = H t."""
    net = LCN((3, 4, 2), (3, 4, 1))
    w = point(net, "balanced", seed=9)
    r2 = 3 * (w[0] ** 2).sum()
    table = coordinate_curvatures(net, w)
    expected = np.full((3, 3), -1 / r2) + 3 / r2 * np.eye(3)
    assert np.abs(table.radial).max() < 1e-14 / r2
    assert np.allclose(table.spheres, expected, rtol=1e-13)


@pytest.mark.parametrize("kind", ["balanced", "unbalanced"])
def test_coordinate_planes(kind):
    net = LCN((3, 4, 2), 2)
    w = point(net, kind, seed=10)
    table = coordinate_curvatures(net, w)
    rng = np.random.default_rng(11)

    def along(i):  # a random direction of sphere i
        d = [np.zeros(k) for k in net.filter_shapes]
        d[i] = rng.standard_normal(net.filter_shapes[i])
        d[i] -= w[i] * (d[i] @ w[i]) / (w[i] @ w[i])
        return lcnlib.jvp(net, w, d)

    radial = lcnlib.end_to_end(net, w)
    for i in range(3):
        k = sectional_curvature(net, w, radial, along(i))
        assert np.isclose(k, table.radial[i], rtol=1e-10, atol=1e-12)
        for j in range(3):
            if i != j or net.filter_shapes[i][0] > 2:
                k = sectional_curvature(net, w, along(i), along(j))
                assert np.isclose(k, table.spheres[i, j], rtol=1e-10)


def test_two_parameters_give_gauss_curvature_of_a_surface_of_revolution():
    """k = (2, 1): g = d rho^2 + r_1(rho)^2 d phi^2, so K = -r_1''/r_1 with r_1 = sqrt(t)."""
    net, w = LCN((2, 1)), [np.array([0.6, 0.8]), np.array([2.0])]
    t, sigma = 1.0, 3.0
    # r_1' = sqrt(1/t / (1/t + 1/(t + sigma))) = sqrt((t + sigma)/(2t + sigma)); d/drho =
    # 2/sqrt(S) d/dt with S = 1/t + 1/(t + sigma).
    slope = 0.5 * ((t + sigma) / (2 * t + sigma)) ** -0.5 * (-sigma / (2 * t + sigma) ** 2)
    second = slope * 2 / np.sqrt(1 / t + 1 / (t + sigma))
    k = sectional_curvature(net, w, [1.0, 0.0], [0.0, 1.0])
    assert np.isclose(k, -second / np.sqrt(t), rtol=1e-13)


def test_batches():
    net = LCN([(2, 2), (2, 3)], 1)
    w = lcnlib.random_filters(net, 12, batch=(5,))
    a, b = (lcnlib.jvp(net, w, lcnlib.random_filters(net, s, batch=(5,))) for s in (13, 14))
    k = sectional_curvature(net, w, a, b)
    table = coordinate_curvatures(net, w)
    assert k.shape == (5,) and table.radial.shape == (5, 2) and table.spheres.shape == (5, 2, 2)
    one = [x[3] for x in w]
    assert np.isclose(k[3], sectional_curvature(net, one, a[3], b[3]), rtol=1e-9)


def test_bad_input():
    net = LCN((3, 2), 2)
    w = point(net, "unbalanced", seed=15)
    a, b = tangents(net, w, 2, seed=16)
    for x, y in ((a, -2 * a), (a, a + 1e-9 * b)):
        with pytest.raises(errors.InputError, match="independent"):
            sectional_curvature(net, w, x, y)
    across = b - a * inner(net, w, a, b) / inner(net, w, a, a)
    sine = 1e-9 * np.sqrt(inner(net, w, across, across) / inner(net, w, a, a))
    with pytest.raises(errors.InputError, match="sine") as info:
        sectional_curvature(net, w, a, a + 1e-9 * b)
    told = float(re.search(r"sine of the angle ([\d.e-]+)\)", str(info.value))[1])
    assert told == pytest.approx(sine, rel=0.06)  # two digits
    with pytest.raises(errors.InputError, match="non-zero"):
        sectional_curvature(net, w, a, 0 * a)
    with pytest.raises(errors.NotTangentError):
        sectional_curvature(net, w, a, a + np.eye(5)[2])
    with pytest.raises(errors.SingularPointError):
        sectional_curvature(net, [[0.7, 0, 1], [0.7, 1]], a, b)
    with pytest.raises(errors.ZeroFilterError):
        coordinate_curvatures(net, [[0, 0, 0], [1, 1]])
