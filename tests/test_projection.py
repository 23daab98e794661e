"""The nearest filter of M, against closed forms, brute force and its own certificate."""

import numpy as np
import pytest
import scipy

import lcnlib as lcn
from lcnlib import LCN, InputError, project


def test_rank_one_is_the_svd():
    v = np.random.default_rng(0).standard_normal((5, 6))
    net = LCN((2, 3), strides=2)
    near = project(net, v)
    s = np.linalg.svd(v.reshape(5, 3, 2), compute_uv=False)
    assert np.abs(near.distance - s[:, 1]).max() < 1e-12
    assert near.certified.all()
    assert np.abs(lcn.end_to_end(net, near.filters) - near.end_to_end).max() < 1e-14
    gap = np.linalg.norm(near.end_to_end - v, axis=1)
    assert np.abs(gap - near.distance).max() < 1e-13


def test_stride_one_is_the_nearest_root():
    net, r = LCN((2, 2)), np.tan(np.linspace(-np.pi / 2, np.pi / 2, 200_001)[1:-1])
    for v in ([1.0, 0.0, 1.0], [1.0, 0.4, 2.0], [3.0, -1.0, 1.0]):
        brute = np.abs(np.polyval(v[::-1], r)) / np.sqrt(1 + r**2 + r**4)
        near = project(net, v)
        assert abs(near.distance - brute.min()) < 1e-8
        assert not near.certified


@pytest.mark.parametrize("net", [LCN((3, 2), 2), LCN((2, 2), 2), LCN([(2, 2), (2, 2)]),
                                 LCN((2, 2, 2)), LCN((4,))], ids=str)
def test_what_is_in_M_stays(net):
    v = lcn.end_to_end(net, lcn.random_filters(net, 3))
    near = project(net, v)
    assert near.distance < 1e-12 * np.linalg.norm(v) and near.certified
    assert np.abs(near.end_to_end - v).max() < 1e-12 * np.abs(v).max()


@pytest.mark.parametrize("c", [1e-40, 1e-8, 1e8, 1e40])
def test_near_M_is_told_from_in_M_whatever_the_weight(c, monkeypatch):
    """At stride one only what is in M, up to rounding, is certified and ends the search."""
    net, count, search = LCN((2, 2)), [], scipy.optimize.least_squares
    monkeypatch.setattr("scipy.optimize.least_squares",
                        lambda *a, **k: count.append(1) or search(*a, **k))
    near = project(net, [3.0, 5, -2], c * np.diag([1.0, 2, 3]))  # (1 + 2x) (3 - x)
    assert near.certified and near.distance < 1e-13 * np.sqrt(c)
    assert len(count) == 1
    # On the boundary of M, b^2 = 4 a c, stands a normal.
    v = np.array([1, 2, 1]) + 1e-6 * np.array([1, -1, 1])
    near = project(net, v, c * np.eye(3))
    assert not near.certified and len(count) > 8
    assert near.distance == pytest.approx(1e-6 * np.sqrt(3 * c), rel=1e-8)


@pytest.mark.parametrize("net", [LCN((2, 2)), LCN((2, 3, 2), (2, 1, 1)), LCN((2, 2, 2)),
                                 LCN([(2, 2), (2, 2)])], ids=str)
def test_what_is_left_over_is_at_right_angles_to_M(net):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        v = rng.standard_normal(net.end_to_end_shape)
        m = rng.standard_normal((v.size, v.size))
        for weight in (np.eye(v.size), m @ m.T + np.eye(v.size)):
            near = project(net, v, weight)
            rest = (weight @ (v - near.end_to_end).reshape(-1)).reshape(v.shape)
            pulled = max(np.abs(g).max() for g in lcn.vjp(net, near.filters, rest))
            assert pulled < 1e-6 * np.linalg.norm(weight)
            assert near.distance**2 == pytest.approx(((v - near.end_to_end) * rest).sum(),
                                                     rel=1e-9, abs=1e-24)
            sizes = [np.linalg.norm(w) for w in near.filters]
            np.testing.assert_allclose(sizes, sizes[0], rtol=1e-12)


def test_critical_points_that_are_not_isolated_certify_nothing():
    """Three critical points meet at e_1 x e_1, where the loss is 2: no smaller one may hide.

    A = diag(1, 2, 2, 1), v = (1, 0, 0, 2): about e_1 x e_1 the loss is 2 + (x - y)^2 + x^2 y^2 / 2.
    """
    near = project(LCN((2, 2), 2), [1.0, 0, 0, 2], np.diag([1.0, 2, 2, 1]))
    assert near.distance == pytest.approx(1, rel=1e-9) and not near.certified


def test_batch_is_single_and_scaled_is_scaled():
    net, v = LCN((3, 2), 2), np.random.default_rng(1).standard_normal((2, 5))
    both = project(net, v)
    for i, x in enumerate(v):
        one = project(net, x)
        assert np.abs(one.end_to_end - both.end_to_end[i]).max() < 1e-10
        for c in (1e-8, 1e8):
            scaled = project(net, c * x)
            assert np.abs(scaled.end_to_end / c - one.end_to_end).max() < 1e-10
            assert abs(scaled.distance / c - one.distance) < 1e-10
            assert scaled.certified == one.certified


EDGE = np.array([[0, 0, -1, 0, 0], [0, -1, -2, -1, 0], [-1, -2, 16, -2, -1],
                 [0, -1, -2, -1, 0], [0, 0, -1, 0, 0]], dtype=float)


def test_rounding_does_not_decide_where_the_search_ends():
    """Steps among filters with one product would be of any length: on each machine another."""
    net, rng, v = LCN([(3, 3), (3, 3)]), np.random.default_rng(0), EDGE.copy()
    v[0, 0] = 1e-4
    for seed in range(4):
        near, same = (project(net, x, seed=seed).distance
                      for x in (v, v * (1 + 1e-15 * rng.standard_normal((5, 5)))))
        assert near == pytest.approx(same, rel=1e-9)


def test_symmetric_starts_find_what_is_symmetric():
    rounding = np.random.default_rng(0).uniform(-6e-7, 6e-7, (5, 5))  # of single precision
    for v in (EDGE, EDGE[:, ::-1] + 1e-9, EDGE + rounding):
        assert project(LCN([(3, 3), (3, 3)]), v).distance == pytest.approx(0.0262985, rel=1e-5)


@pytest.mark.parametrize("c", [1e-40, 1e-28, 1e-8, 1e8])
def test_a_scaled_weight_scales_the_distance(c):
    for net, v in ((LCN((2, 2)), [1.0, 0, 1]), (LCN((3, 2), 2), [1.0, 2, 3, 2, 1])):
        one, scaled = project(net, v, np.eye(len(v))), project(net, v, c * np.eye(len(v)))
        assert scaled.distance == pytest.approx(np.sqrt(c) * one.distance, rel=1e-9)
        assert scaled.certified == one.certified


def test_critical_and_orthogonal():
    net, v = LCN((3, 2), 2), np.array([1.0, 2, 3, 2, 1])
    near = project(net, v)
    assert near.certified
    # The line through zero lies in M: what is left over is at right angles to the answer.
    assert abs((v - near.end_to_end) @ near.end_to_end) < 1e-12
    pulled = lcn.vjp(net, near.filters, v - near.end_to_end)
    assert max(np.abs(g).max() for g in pulled) < 1e-9
    better = min(0.5 * f for f in lcn.gradient_flow(
        net, lcn.QuadraticLoss(v), lcn.random_filters(net, 0, 30), [0, 200]).loss[-1] * 2)
    assert 0.5 * near.distance**2 <= better + 1e-9


def test_another_norm():
    net, v = LCN((2, 2), 2), np.array([3.0, 0.0, 0.0, 1.0])
    weight = np.diag([1.0, 2.0, 1.0, 100.0])
    near = project(net, v, weight)
    angle = np.linspace(0, np.pi, 200_001)
    u = np.array([np.cos(angle), np.sin(angle)])
    square = 0.0  # row by row: the best multiple of u, in the weighted norm
    for row, w in ((v[:2], weight.diagonal()[:2]), (v[2:], weight.diagonal()[2:])):
        along = (w * row) @ u
        square = square + w @ row**2 - along**2 / (w @ u**2)
    assert abs(near.distance - np.sqrt(square.min())) < 1e-8
    assert near.certified


def test_zero_lists_and_views():
    net = LCN((2, 2), 2)
    none = project(net, np.zeros(4))
    assert none.distance == 0 and none.certified
    assert not none.end_to_end.any() and not np.any(none.filters)
    a = project(net, [3, 0, 0, 1])
    b = project(net, np.array([3, 9, 0, 9, 0, 9, 1, 9], dtype=np.float32)[::2])
    assert a.distance == b.distance


@pytest.mark.parametrize(("weight", "words"), [
    (np.eye(3), r"weight: expected shape \(4, 4\), .* got \(3, 3\)"),
    (np.diag([1.0, 1, 1, 0]), "weight: expected a symmetric positive definite"),
])
def test_bad_weights(weight, words):
    with pytest.raises(InputError, match=words):
        project(LCN((2, 2), 2), np.ones(4), weight)
