"""The row "where we are", and what several chapters draw."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup

import lcnlib as lcn
from lcnlib import display


@pytest.mark.parametrize("step", display.STEPS)
def test_each_step_has_its_picture_and_words(step):
    soup = BeautifulSoup(display.strip(step)._repr_html_(), "html.parser")
    row = soup.find(role="img")
    place = list(display.STEPS).index(step)
    assert f"step {place + 1} of" in row["aria-label"] == soup.figcaption.text
    lit = ["opacity:1" in svg["style"] for svg in row.find_all("svg")]
    assert lit == [name == step for name in display.STEPS]


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match="step: expected one of"):
        display.strip("flows")


def test_ellipse_is_the_unit_ball_of_the_metric():
    net = lcn.LCN((2, 1))
    w = lcn.lift(net, [0.6, -0.9], [2.0])
    ball = display.ellipse(lcn.ntk(net, w), size=0.5)
    assert np.allclose([lcn.inner(net, w, a, a) for a in ball], 0.25)


def test_drawings_draw():
    fig, (flat, *_) = plt.subplots(1, 2)
    space = fig.add_subplot(projection="3d")
    display.metric_ellipses(flat, lcn.LCN((2, 1)), [[1, 1], [0.5, -1]], -2.0)
    assert len(flat.lines) == 2 and flat.lines[0].get_color() == display.ROLES["δ < 0"]
    display.cone(space)
    display.surface_of_revolution(space, -1.0)
    display.umbrella(space)
    plt.close(fig)
