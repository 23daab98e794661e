"""Conservation laws found without theory."""

from fractions import Fraction

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN, conserved_laws
from lcnlib import fully_connected as fc


def connected(sizes):
    shapes = list(zip(sizes[1:], sizes))
    cuts = np.cumsum([m * n for m, n in shapes])

    def gradient(theta, rng):
        w = [x.reshape(s) for x, s in zip(np.split(theta, cuts[:-1]), shapes)]
        g = rng.standard_normal((sizes[-1], sizes[0]))
        out = []
        for j in range(len(w)):
            left, right = np.eye(sizes[-1]), np.eye(sizes[0])
            for x in w[:j:-1]:
                left = left @ x
            for x in w[:j]:
                right = x @ right
            out.append((left.T @ g @ right.T).ravel())
        return np.concatenate(out)

    return gradient, int(cuts[-1])


def relu_gradient(m, d):
    def gradient(theta, rng):
        a, b, x = theta[:m], theta[m:].reshape(m, d), rng.standard_normal((3, d))
        r, hidden = rng.standard_normal(3), x @ b.T
        return np.concatenate([r @ np.maximum(hidden, 0),
                               (a[:, None] * (((hidden > 0) * r[:, None]).T @ x)).ravel()])
    return gradient


@pytest.mark.parametrize("net", [
    LCN((3, 2), 2), LCN((2, 2)), LCN((2, 2, 2), 2), LCN((1, 3, 1), 2), LCN((1, 1)),
    LCN([(2, 2), (2, 2)]), LCN((4,)), LCN((2, 1, 2), (1, 2, 1)), LCN([(2, 1), (1, 2), (2, 2)]),
], ids=str)
def test_a_convolutional_network_has_exactly_its_deltas(net):
    found = conserved_laws(net, seed=3)
    assert len(found) == net.depth - 1
    # Each law is a combination of squared norms whose weights sum to zero.
    sizes = [int(np.prod(k)) for k in net.filter_shapes]
    cuts = np.cumsum(sizes)[:-1]
    for law in found.laws:
        diagonal = np.split(law.diagonal(), cuts)
        assert np.abs(law - np.diag(law.diagonal())).max() < 1e-9
        assert all(np.ptp(x) < 1e-9 for x in diagonal)
        assert abs(sum(x[0] for x in diagonal)) < 1e-9
    assert found.gap > 1e6 or net.depth == 1


@pytest.mark.parametrize("sizes, count", [
    ((2, 2, 2), 3), ((3, 2, 2), 3), ((2, 1, 2), 1), ((2, 2, 2, 2), 6), ((1, 2, 1), 4)])
def test_fully_connected(sizes, count):
    gradient, size = connected(sizes)
    found = conserved_laws(gradient, n_parameters=size)
    assert len(found) == count
    # The entries of Delta are among them.
    w = fc.random_weights(sizes, 1)
    theta = np.concatenate([x.ravel() for x in w])
    assert found.values(theta).shape == (count,)


def test_laws_are_conserved_along_a_flow():
    net = LCN((3, 2, 2), 2)
    found = conserved_laws(net)
    flow = lcn.gradient_flow(net, lcn.QuadraticLoss(np.ones(net.end_to_end_shape)),
                             lcn.random_filters(net, 0), [0, 0.5, 1])
    values = found.values(np.concatenate(flow.filters, axis=-1))
    assert np.ptp(values, axis=0).max() < 1e-9


@pytest.mark.parametrize("m", [1, 2, 3])
def test_relu(m):
    found = conserved_laws(relu_gradient(m, 2), n_parameters=3 * m)
    assert len(found) == m


@pytest.mark.parametrize("n", [1, 5, 13, 14, 15, 40])
def test_too_few_samples_invent_laws(n):
    assert len(conserved_laws(LCN((3, 2), 2), n_samples=n)) == max(15 - n, 1)


@pytest.mark.parametrize("scale", [1e-8, 1e8, 1e-200])
def test_size_of_the_gradient_does_not_matter(scale):
    gradient = relu_gradient(2, 2)
    found = conserved_laws(lambda t, r: scale * gradient(t, r), n_parameters=6)
    assert len(found) == 2


@pytest.mark.parametrize("kind", [list, lambda g: [Fraction(x) for x in g]])
def test_gradients_of_any_kind_of_number(kind):
    gradient = relu_gradient(2, 2)
    found = conserved_laws(lambda t, r: kind(gradient(t, r)), n_parameters=6)
    np.testing.assert_array_equal(found.laws, conserved_laws(gradient, n_parameters=6).laws)


@pytest.mark.parametrize("call, words", [
    (lambda: conserved_laws("net"), "net: expected an LCN"),
    (lambda: conserved_laws(lambda t, r: t), "n_parameters: expected"),
    (lambda: conserved_laws(LCN((61,))), "at most 60"),
    (lambda: conserved_laws(LCN((2,)), n_samples=0), "n_samples"),
    (lambda: conserved_laws(LCN((2,)), n_samples=True), "n_samples"),
    (lambda: conserved_laws(LCN((2,)), n_samples=5.0), "n_samples"),
    (lambda: conserved_laws(lambda t, r: t, n_parameters=0), "at most 60"),
    (lambda: conserved_laws(lambda t, r: t, n_parameters=61), "at most 60"),
    (lambda: conserved_laws(LCN((2,)), rtol=1.5), "rtol"),
    (lambda: conserved_laws(LCN((2,)), rtol=1.0), "rtol"),
    (lambda: conserved_laws(LCN((2,)), rtol=0.0), "rtol"),
    (lambda: conserved_laws(LCN((2,)), seed="a"), "seed"),
    (lambda: conserved_laws(lambda t, r: 0 * t, n_parameters=2), "not always zero"),
    (lambda: conserved_laws(lambda t, r: t[:1], n_parameters=2), r"shape \(2,\)"),
    (lambda: conserved_laws(lambda t, r: t[[0, 1, 1]], n_parameters=2), r"shape \(2,\)"),
    (lambda: conserved_laws(lambda t, r: t * [1, np.nan], n_parameters=2), "finite"),
    (lambda: conserved_laws(lambda t, r: t + [0, np.inf], n_parameters=2), "finite"),
    (lambda: conserved_laws(LCN((2,))).values(3.0), r"theta: expected shape \(\*batch, 2\)"),
])
def test_bad_input(call, words):
    with pytest.raises(lcn.InputError, match=words):
        call()


def test_laws_in_turned_coordinates():
    """The same laws where no parameter is an entry: diagonal and other terms in one law."""
    net, rng = LCN((3, 2), 2), np.random.default_rng(5)
    q = np.linalg.qr(rng.standard_normal((5, 5)))[0]

    def gradient(phi, rng):
        w = np.split(q @ phi, [3])
        g = lcn.vjp(net, w, rng.standard_normal(net.end_to_end_shape))
        return q.T @ np.concatenate(g)

    found = conserved_laws(gradient, n_parameters=5)
    law = q.T @ np.diag([1.0, 1, 1, -1, -1]) @ q
    assert len(found) == 1 and found.singular_values[0] == 1
    assert np.abs(found.laws[0] - law / law.flat[np.abs(law).argmax()]).max() < 1e-9


@pytest.mark.parametrize("problem", [
    (LCN((2, 1, 2, 1), 2), None), connected((1, 2, 1)), connected((2, 2, 2)),
    (relu_gradient(3, 1), 6)], ids=["four layers", "1-2-1", "2-2-2", "relu"])
def test_laws_look_simple(problem):
    """Each has an entry where all others are zero; its largest is one."""
    found = conserved_laws(problem[0], n_parameters=problem[1])
    assert len(found) > 1
    np.testing.assert_array_equal(found.laws, found.laws.transpose(0, 2, 1))
    flat = found.laws.reshape(len(found), -1)
    for i, law in enumerate(flat):
        alone = np.abs(np.delete(flat, i, 0)).max(axis=0) < 1e-9
        assert np.abs(law[alone]).max() > 0.1
        assert np.abs(law).max() == law.max() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("n", [None, 12, 30])
def test_the_singular_values_and_their_gap(n):
    found = conserved_laws(LCN((3, 2), 2), n_samples=n)
    s, laws = found.singular_values, len(found)
    assert found.n_samples == (n or 15 + 20) and s.shape == (15,) and s[0] == 1
    assert (np.diff(s) <= 0).all() and (s[-laws:] < 1e-9).all() and s[-laws - 1] > 1e-9
    assert found.gap == s[-laws - 1] / max(s[-laws], np.finfo(float).tiny)


def test_up_to_sixty_parameters_are_searched():
    class Asked(Exception):
        pass

    def gradient(theta, rng):
        raise Asked(theta.shape)

    for size in (1, 60):
        with pytest.raises(Asked, match=str(size)):
            conserved_laws(gradient, n_parameters=size)
    assert len(conserved_laws(LCN((1,)), n_samples=np.int64(2))) == 0
