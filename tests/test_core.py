"""The one test that looks inside: numbers that no public function returns."""

import numpy as np
import pytest

import lcnlib as lcn
from lcnlib import LCN, QuadraticLoss
from lcnlib._core.collocation import StepTooSmall, collocate
from lcnlib._core.hessian import QuadraticFlow
from lcnlib._core.quadrature import cumulative, panel_edges

from .cases import NAMED
from .test_flow import problem

NETS = {**NAMED, "large": LCN((20, 20), 9), "large 2-D": LCN([(7, 7), (7, 6)])}


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


def test_collocation_against_closed_forms_each_flow_in_its_own_steps():
    """Decays of very different speed, y' = -d y, and the logistic y' = y (1 - y)."""
    d = np.array([1e-3, 1.0, 1e4])
    t = np.array([0.0, 0.001, 0.7, 5.0])
    start = np.array([[1.0, 1.0, 1.0], [1e3, 1e-3, 0.0], [0.0, 0.0, 1e-6]])
    y, _ = collocate(
        lambda y: -d * y, lambda y: np.tile(np.diag(d), (len(y), 1, 1)), start, t, 1e-11, 1e-12)
    np.testing.assert_allclose(y, start * np.exp(-d * t[:, None, None]), rtol=2e-11, atol=2e-12)
    y0 = np.array([[0.1], [0.999], [1e-4]])
    y, count = collocate(
        lambda y: y * (1 - y), lambda y: (2 * y - 1)[:, :, None], y0, t * 6, 1e-10, 1e-13)
    growth = np.exp(6 * t)[:, None, None]
    np.testing.assert_allclose(y, y0 * growth / (1 + y0 * (growth - 1)), rtol=1e-9)
    assert count < 2000


def test_collocation_gives_up_where_there_is_no_solution():
    with pytest.raises(StepTooSmall) as caught:
        collocate(lambda y: y * y, lambda y: -2 * y[:, :, None], np.ones((1, 1)),
                               np.array([0.0, 2.0]), 1e-9, 1e-12)
    assert abs(caught.value.time - 1) < 1e-6


def test_quadrature_reaches_rounding():
    """1/cosh has the nearest poles that are allowed, at i pi/2; its integral is known."""
    edges = panel_edges(-4.0, 5.0)
    found = cumulative(lambda z: 1 / np.cosh(z)[..., None], edges)[:, 0]
    exact = 2 * (np.arctan(np.exp(edges)) - np.arctan(np.exp(-4.0)))
    assert np.abs(found - exact).max() < 1e-15 * len(edges)
