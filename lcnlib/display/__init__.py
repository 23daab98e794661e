"""What the book draws with: `explore`, `use_style`, the look of its figures, shared drawings.

`lcnlib` itself never imports this package.  It needs matplotlib, and `explore` needs ipywidgets
(the extra ``book``).
"""

from .drawing import cone, ellipse, metric_ellipses, surface_of_revolution, umbrella
from .figures import COLORS, INK, PAPER, ROLES, bare_axes, look, themed_svg, use_style
from .story import STEPS, strip
from .widgets import Control, explore

__all__ = ["COLORS", "INK", "PAPER", "ROLES", "STEPS", "Control", "bare_axes", "cone", "ellipse",
           "explore", "look", "metric_ellipses", "strip", "surface_of_revolution", "themed_svg",
           "umbrella", "use_style"]
