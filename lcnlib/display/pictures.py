"""The pictures of `touch` as they are drawn on paper and read aloud, one class each."""

import dataclasses
from collections.abc import Callable

from . import drawn_critical as critical
from . import drawn_filters as filters
from . import drawn_flows as flows
from . import drawn_images as images
from . import drawn_metric as metric

__all__ = ["PICTURES", "Picture"]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture in `explorables/`: its first state, a drawing of it and its text alternative."""

    defaults: dict
    draw: Callable
    alt: Callable


PICTURES = {
    "basins": Picture({"target": [1.0, 1.0], "start": [105.0, 120.0], "size": 1.0},
                      critical.draw_basins, critical.alt_basins),
    "painting": Picture({"first": images.BLUR, "second": images.EDGE},
                        images.draw_painting, images.alt_painting),
    "plane": Picture({"start": [2.2, -0.5], "target": [-0.7, 1.4], "delta": -3.0, "time": 0.4,
                      "rulers": False}, flows.draw_plane, flows.alt_plane),
    "polynomials": Picture({"first": [2.0, 1.0, -1.0], "second": [1.0, 1.0], "stride": 2.0,
                            "signal": [-1.0] * 8 + [1.0] * 9},
                           filters.draw_polynomials, filters.alt_polynomials),
    "hyperbolas": Picture({"start": [1.8, -1.3], "target": 1.0, "step": 0.25},
                          flows.draw_hyperbolas, flows.alt_hyperbolas),
    "bounce": Picture({"first": [1.2, 0.9], "second": [0.3, 1.0], "target": [-2.0, 1.5],
                       "level": 1.0, "time": 0.5, "view": [25.0, 14.0]},
                      flows.draw_bounce, flows.alt_bounce),
    "comb": Picture({"v": [2.0, 1.0, 1.0, 1.0, -1.0], "delta": -4.0},
                    filters.draw_comb, filters.alt_comb),
    "geodesics": Picture({"start": [1.4, -0.6], "tip": [0.9, 0.1], "delta": 0.0, "fan": False,
                          "view": [218.0, 30.0]},
                         metric.draw_geodesics, metric.alt_geodesics),
    "map": Picture({"layers": 2.0, "shapes": [[3.0, 1.0], [2.0, 1.0], [2.0, 1.0]],
                    "strides": [2.0, 2.0, 1.0], "balanced": False},
                   filters.draw_map, filters.alt_map),
}
