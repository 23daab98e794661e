"""What the book draws with: `explore`, `use_style` and the look of its figures.

`lcnlib` itself never imports this package.  It needs matplotlib, and `explore` needs ipywidgets
(the extra ``book``).
"""

from .figures import COLORS, INK, PAPER, ROLES, bare_axes, look, themed_svg, use_style
from .widgets import Control, explore

__all__ = ["COLORS", "INK", "PAPER", "ROLES", "Control", "bare_axes", "explore", "look",
           "themed_svg", "use_style"]
