"""The flows inside: both plans, velocities and Hessians, collocation."""

from math import comb

import numpy as np
import pytest
from numpy.polynomial import legendre

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss
from lcnlib._core import collocation
from lcnlib._core.collocation import A_INVERSE, GROUP, NEWTON_LIMIT, STAGES, collocate
from lcnlib._core.fields import CAUTION, JUMP, LiftedField, QuadraticFlow
from lcnlib._core.follow import Branch
from lcnlib._core.plan import DensePlan, FFTPlan, plan
from lcnlib._core.scaling import sharp_invariants
from lcnlib._core.solver import hold_at_rest

from .. import exact
from ..cases import NAMED, random_nets
from ..test_flow import problem
from .test_following import turning

NETS = {**NAMED, "large": LCN((20, 20), 9), "large 2-D": LCN([(7, 7), (7, 6)]),
        "large, three layers": LCN((30, 20, 10), 3)}


@pytest.mark.parametrize("name", NETS)
def test_velocity_and_hessian(name):
    """Against the Jacobian, and by the slope of the Taylor error; with and without a weight."""
    net = NETS[name]
    weighted, start = problem(net, 8, batch=(3,))
    rng = np.random.default_rng(9)
    for loss in (weighted, QuadraticLoss(weighted.target)):
        quadratic = QuadraticFlow(net, loss.target, loss.weight)
        theta = quadratic.plan.pack(start)
        j = lcn.jacobian(net, start)
        g = loss.gradient(lcn.end_to_end(net, start)).reshape(3, -1)
        want = -np.einsum("bnp,bn->bp", j, g)
        size = np.abs(want).max() * 10
        np.testing.assert_allclose(quadratic.velocity(theta), want, atol=1e-14 * size)
        hessian = quadratic.hessian(theta)
        np.testing.assert_allclose(hessian, hessian.transpose(0, 2, 1), atol=1e-13 * size)
        direction = rng.standard_normal(theta.shape)
        slope = -np.einsum("bij,bj->bi", hessian, direction)
        errors = []
        for h in (1e-2, 1e-3):
            change = quadratic.velocity(theta + h * direction) - quadratic.velocity(theta)
            errors.append(np.linalg.norm(change - h * slope))
        if net.depth > 1:  # of one layer the velocity is affine
            assert 60 < errors[0] / errors[1] < 160
        else:
            assert max(errors) <= 1e-13 * size


@pytest.mark.parametrize("net", [
    *random_nets(5, 2, depths=range(1, 5), limit=400), LCN((1,)), LCN((5, 1, 1), 3),
    LCN((1, 4), 3), LCN([(1, 1), (1, 1)], 2), LCN([(7, 2), (1, 3), (2, 1)], [(3, 1), (1, 2), 1]),
], ids=str)
def test_matrices_and_transforms_are_one_algebra(net):
    """Whatever serves, for a batch, against plain sums over the exponents of both factors."""
    rng = np.random.default_rng(0)
    ws, us = lcn.random_filters(net, rng, (2,)), lcn.random_filters(net, rng, (2,))
    g = rng.standard_normal((2, *net.end_to_end_shape))
    dense, fft = DensePlan(net), FFTPlan(net)
    theta, direction, flat = dense.pack(ws), dense.pack(us), g.reshape(2, -1)
    want = []
    for b in range(2):
        cofactors = [exact.cofactor(net, [w[b] for w in ws], i) for i in range(net.depth)]
        moved = [exact.multiply(c, exact.polynomial(u[b], s)) for c, u, s in zip(
            cofactors, us, net.cumulative_strides)]
        jvp = np.zeros(net.end_to_end_shape)
        for terms in moved:
            for j, x in terms.items():
                jvp[j] += float(x)
        vjp = [[sum(float(x) * g[(b, *(m * t + n for m, t, n in zip(i, s, j)))]
                    for j, x in c.items()) for i in np.ndindex(k)]
               for c, k, s in zip(cofactors, net.filter_shapes, net.cumulative_strides)]
        want.append((jvp.ravel(), np.concatenate(vjp)))
    jvp, vjp = (np.stack(x) for x in zip(*want))
    for way in (dense, fft):
        assert np.array_equal(way.pack(way.unpack(theta, (2,))), theta)
        np.testing.assert_allclose(way.coefficients(way.analyse(flat)), flat, atol=1e-13)
        np.testing.assert_allclose(way.jvp(theta, direction), jvp, atol=1e-12)
        np.testing.assert_allclose(way.vjp(theta, flat), vjp, atol=1e-12)
        np.testing.assert_allclose(way.product(theta) * net.depth, way.jvp(theta, theta),
                                   atol=1e-12)
        back, there = way.there_and_back(theta, flat)
        np.testing.assert_allclose(back, vjp, atol=1e-12)
        np.testing.assert_allclose(there, way.jvp(theta, vjp), atol=1e-11)
        np.testing.assert_allclose(np.einsum("bnp,bp->bn", way.jacobian(theta), direction), jvp,
                                   atol=1e-12)
        flow = QuadraticFlow(net, g[0], None)
        flow.plan, flow.goal = way, way.analyse(flat[:1])
        np.testing.assert_allclose(flow.hessian(theta), QuadraticFlow(
            net, g[0], None).hessian(theta), atol=1e-11)


class Field:
    """y' = velocity(y), with minus its derivative: nothing to refuse, nothing to hold."""

    shortest = 1e-14

    def __init__(self, velocity, matrix):
        self.function, self.matrix = velocity, matrix
        self.rows = self.most = 0  # states at which the velocity was asked for: all, at a time

    def velocity(self, y, flows):
        self.rows, self.most = self.rows + len(y), max(self.most, y.size)
        return self.function(y)

    def modes(self, y, flows):
        d, q = np.linalg.eig(self.matrix(y))
        return d, q, np.linalg.inv(q)

    def refuses(self, flows, h):
        return np.zeros(len(flows), bool)

    def again(self, flows):
        pass

    def hold(self, y, flows, times):
        return y, np.zeros(len(y), bool)


def run(field, y0, t, rtol, atol, show=lambda time: None):
    return collocate(field, y0, t, rtol, lambda y: atol, show, None)


def test_collocation_against_closed_forms_each_flow_in_its_own_steps():
    """Decays of very different speed, y' = -d y, and the logistic y' = y (1 - y)."""
    d = np.array([1e-3, 1.0, 1e4])
    t = np.array([0.0, 0.001, 0.7, 5.0])
    start = np.array([[1.0, 1.0, 1.0], [1e3, 1e-3, 0.0], [0.0, 0.0, 1e-6]])
    decay = Field(lambda y: -d * y, lambda y: np.tile(np.diag(d), (len(y), 1, 1)))
    y, _, lost = run(decay, start, t, 1e-11, 1e-12)
    np.testing.assert_allclose(y, start * np.exp(-d * t[:, None, None]), rtol=2e-11, atol=2e-12)
    y0 = np.array([[0.1], [0.999], [1e-4]])
    logistic = Field(lambda y: y * (1 - y), lambda y: (2 * y - 1)[:, :, None])
    y, count, lost = run(logistic, y0, t * 6, 1e-10, 1e-13)
    growth = np.exp(6 * t)[:, None, None]
    np.testing.assert_allclose(y, y0 * growth / (1 + y0 * (growth - 1)), rtol=1e-9)
    assert count < 2000 and not lost.any()


def test_collocation_gives_up_where_there_is_no_solution():
    """y' = y^2 from 1 leaves at time 1, from 0.1 at time 10."""
    square = Field(lambda y: y * y, lambda y: -2 * y[:, :, None])
    y, _, lost = run(square, np.array([[1.0], [0.1]]), np.array([0.0, 2.0]), 1e-9, 1e-12)
    assert lost.tolist() == [True, False] and abs(y[1, 1, 0] - 0.125) < 1e-9


def test_newtons_method_solves_a_linear_equation_at_once():
    """The second iteration sees that nothing is left; the matrix need not be symmetric."""
    q = np.array([[1.0, 2, 0], [0, 1, -1], [1, 0, 1]])
    matrix = q @ np.diag([0.1, 3.0, 40.0]) @ np.linalg.inv(q)
    linear = Field(lambda y: -y @ matrix.T, lambda y: np.tile(matrix, (len(y), 1, 1)))
    t, steps = np.array([0.0, 0.3, 2.0]), []
    y, count, lost = run(linear, np.array([[1.0, -2.0, 3.0]]), t, 1e-6, 1e-9, steps.append)
    want = np.exp(-t[:, None] * [0.1, 3.0, 40.0]) * np.linalg.solve(q, [1.0, -2, 3]) @ q.T
    np.testing.assert_allclose(y[:, 0], want, atol=1e-6)
    assert not lost.any() and count == linear.rows <= 2 * STAGES * len(steps)


def test_the_tables_of_collocation():
    """On polynomials of degree STAGES: their derivative, their values, their Taylor series."""
    c = collocation.C
    assert (np.diff(c) > 0).all() and c[0] > 0 and c[-1] == 1
    # Radau's rule, of highest order for an end of the interval: exact up to degree 2 STAGES - 2.
    weights = np.linalg.inv(collocation.A_INVERSE)[-1]
    degrees = np.arange(2 * STAGES - 1)
    np.testing.assert_allclose(c ** degrees[:, None] @ weights, 1 / (degrees + 1), rtol=1e-11)
    for degree in range(1, STAGES + 1):
        z = c**degree
        slope = degree * c ** (degree - 1)
        np.testing.assert_allclose(collocation.A_INVERSE @ z, slope, rtol=1e-9, atol=1e-11)
        series = [comb(degree, j) for j in collocation.POWERS]  # x^n = (1 + (x - 1))^n
        np.testing.assert_allclose(collocation.TAYLOR @ z, series, rtol=1e-8, atol=1e-7)
        tail = legendre.Legendre.fit(2 * c - 1, slope, STAGES - 1, domain=[-1, 1]).coef[-2:]
        np.testing.assert_allclose(collocation.TAIL @ z, tail, atol=1e-10)
        x = np.array([[0.0, 0.3], [1.0, 1.7]])  # the last beyond the step
        np.testing.assert_allclose(collocation._polynomial(x) @ z, x**degree, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("derivative", [0.0, -30.0])
def test_a_wrong_derivative_costs_steps_and_no_digits(derivative):
    """Where Newton's method does not converge, a step is not taken."""
    wrong = Field(lambda y: -50 * y * y, lambda y: np.full((len(y), 1, 1), derivative))
    t = np.array([0.0, 0.2, 1.0])
    y, count, lost = run(wrong, np.array([[1.0]]), t, 1e-9, 1e-12)
    np.testing.assert_allclose(y[:, 0, 0], 1 / (1 + 50 * t), rtol=1e-8)
    assert not lost.any() and count > wrong.rows > (NEWTON_LIMIT + 1) * STAGES


def test_a_number_of_the_size_of_both_tolerances():
    """Where atol is rtol times the state, what moves is measured by their sum."""
    logistic = Field(lambda y: y * (1 - y), lambda y: (2 * y - 1)[:, :, None])
    y, _, lost = run(logistic, np.array([[1.0], [0.1]]), np.array([0.0, 1.0]), 1e-9, 1e-9)
    assert not lost.any() and y[1, 0] == 1
    assert abs(y[1, 1, 0] - np.e / (9 + np.e)) < 1e-9


def test_a_large_batch_goes_in_parts():
    """As many numbers at a time for many flows as for few; the progress is that of all."""
    t, told, most = np.array([0.0, 2.0, 5.0]), [], []
    for n in (4000, 12000):
        decay = Field(lambda y: -y, lambda y: np.ones((len(y), 1, 1)))
        told.clear()
        y, _, _ = run(decay, np.linspace(1, 2, n)[:, None], t, 1e-6, 1e-9, told.append)
        np.testing.assert_allclose(y[:, :, 0], np.exp(-t)[:, None] * y[0, :, 0], rtol=1e-5)
        most.append(decay.most)
    assert max(most) <= STAGES * GROUP
    assert told == sorted(told) and 0 <= told[0] < 0.5 and told[-1] == 5
    assert max(np.diff(told)) < 1


# A network, the other filter, angles of the first at the start of a step, in it, at the last
# stage but one and at the end: of a flow that goes on and of one that is to be given up.
HELD = {
    "turns far, but never half round": (
        LCN((2, 3), 2), [1.0, -2, 3], (0, 1.2, 2.4, 3.6), (0, 0, 0, 3.1)),
    "half round and back": (LCN((2, 3), 2), [1.0, -2, 3], (0, 1.2, 2.4, 1.2), (0, 0.1, 3.1, 0.2)),
    "a common root, and back": (LCN((2, 2)), turning(1.0), (0, 0.3, 0.6, 0.9), (0.8, 0.9, 1.1,
                                                                                  0.9)),
    "a common root at last": (LCN((2, 2)), turning(1.0), (2.0, 1.9, 2.0, 1.2), (2.0, 1.3, 1.1,
                                                                                  0.9)),
    "near to a common root": (LCN((2, 2)), turning(1.0), (0, 0.3, 0.6, 0.9), (0.0, 0.5, 0.7,
                                                                               1 - 1e-3)),
}


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("name", HELD)
def test_a_step_is_held_for_each_flow_alone(name, size, first):
    """Where a filter turns round or an edge is passed, if only inside of the step."""
    net, other, *angles = HELD[name]
    p = plan(net)
    path = size * np.stack([np.hstack([turning(np.array(a)).T, np.tile(other, (4, 1))])
                            for a in angles], axis=1)[[0, *[1] * (STAGES - 2), 2, 3]]
    if first:
        path = path[:, ::-1]
    branch = Branch(net, sharp_invariants(p, path[0]), path[0].copy())
    field = LiftedField(branch, QuadraticFlow(net, np.ones(net.end_to_end_shape), None),
                        np.full(2, 2e-3 / CAUTION))
    field.stages[:] = path[1:]
    _, gone = field.hold(p.product(path[-1]), np.arange(2), 1.0)
    assert gone.tolist() == [bool(first), not first]
    np.testing.assert_allclose(field.ends, path[-1], atol=1e-12 * size)
    np.testing.assert_array_equal(field.stages, np.stack([field.ends] * STAGES))
    np.testing.assert_array_equal(field.trail[-1][2], field.ends)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_lifts_that_do_not_move_as_the_gradient_are_refused(size):
    """They are where the speeds lead, up to a part of their own size, each flow by itself."""
    net, rng, h = LCN((2, 3), 2), np.random.default_rng(0), np.array([0.1, 0.2])
    theta = size * rng.standard_normal((2, 5)) * [[1.0], [100.0]]
    branch = Branch(net, sharp_invariants(plan(net), theta), theta)
    field = LiftedField(branch, QuadraticFlow(net, np.ones(net.end_to_end_shape), None),
                        np.full(2, 1e-3))
    field.speeds[:] = size * rng.standard_normal((STAGES, 2, 5)) * [[1.0], [100.0]]
    led = np.einsum("st,tbp->sbp", np.linalg.inv(A_INVERSE), field.speeds) * h[:, None]
    top = np.abs(theta).max(axis=1)
    for off in ([0.5, 0.5], [2, 0.5], [0.5, 2], [2, 2]):
        jump = np.zeros((STAGES, 2, 5))
        jump[1, :, 3] = JUMP * top * off
        field.stages[:] = field.ends + led + np.einsum("st,tbp->sbp", np.linalg.inv(A_INVERSE),
                                                       jump)
        assert field.refuses(np.arange(2), h).tolist() == [x > 1 for x in off]


def test_flows_whose_lifts_were_lost_are_done_again(monkeypatch):
    """When the times of the answer are looked up; the other flows stay as they are."""
    net, t = LCN((3, 2), 2), [1.0, 1.5, 2.0]
    loss, w = problem(net, 5, (3,))
    arguments = net, loss, lcn.end_to_end(net, w), lcn.invariants(net, w), t
    want, path = lcn.function_space_flow(*arguments, guess=w), LiftedField.path

    def lose(self, t, vs):
        out, lost = path(self, t, vs)
        out[:, 1], lost[1] = np.nan, True
        return out, lost

    monkeypatch.setattr(LiftedField, "path", lose)
    got = lcn.function_space_flow(*arguments, guess=w)
    for x, y in zip(got.filters, want.filters):
        np.testing.assert_allclose(x, y, atol=1e-6)
        np.testing.assert_array_equal(x[:, ::2], y[:, ::2])


@pytest.mark.parametrize("big", [1e-6, 1.0, 1e6])
def test_a_loss_that_rises_is_seen_beside_any_other(big):
    """By what the tolerance explains for each flow of a batch, not for the largest."""
    v = np.array([[[big, -big], [0.6, 0.8]]] * 2)

    def value(v):
        return (v**2).sum(axis=-1) / 2

    v[1, 1] *= 1 + 1e-7  # by the tolerance: it keeps its state
    values = value(v)
    hold_at_rest(value, values, np.array([2.0, 3.0]), 1e-9, v)
    np.testing.assert_array_equal(v[1], v[0])
    v[1, 1] *= 1 + 1e-5
    with pytest.raises(lcn.FlowError, match=r"rises by 1e-05 between t = 2 and t = 3"):
        hold_at_rest(value, value(v), np.array([2.0, 3.0]), 1e-9, v)
