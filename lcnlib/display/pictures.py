"""The pictures of `touch` as they are drawn on paper and read aloud, one class each."""

import dataclasses
from collections.abc import Callable

from . import drawn_filters as filters
from . import drawn_flows as flows

__all__ = ["PICTURES", "Picture"]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture in `explorables/`: its first state, a drawing of it and its text alternative."""

    defaults: dict
    draw: Callable
    alt: Callable


PICTURES = {
    "plane": Picture({"start": [2.2, -0.5], "target": [-0.7, 1.4], "delta": -3.0, "time": 0.4,
                      "rulers": False}, flows.draw_plane, flows.alt_plane),
    "polynomials": Picture({"first": [2.0, 1.0, -1.0], "second": [1.0, 1.0], "stride": 2.0,
                            "signal": [-1.0] * 8 + [1.0] * 9},
                           filters.draw_polynomials, filters.alt_polynomials),
    "hyperbolas": Picture({"start": [1.8, -1.3], "target": 1.0, "step": 0.25},
                          flows.draw_hyperbolas, flows.alt_hyperbolas),
}
