"""What the book draws with: `explore`, `touch`, `use_style`, looks, shared drawings.

`lcnlib` itself never imports this package.  It needs matplotlib, `explore` needs ipywidgets and
`touch` anywidget (the extra ``book``).
"""

from .drawing import cone, ellipse, metric_ellipses, surface_of_revolution, umbrella
from .figures import COLORS, INK, PAPER, ROLES, bare_axes, look, themed_svg, use_style
from .story import STEPS, strip
from .touch import touch
from .widgets import Control, explore

__all__ = ["COLORS", "INK", "PAPER", "ROLES", "STEPS", "Control", "bare_axes", "cone", "ellipse",
           "explore", "look", "metric_ellipses", "strip", "surface_of_revolution", "themed_svg",
           "touch", "umbrella", "use_style"]
