"""The look of the book's figures: one style, and SVG that follows the theme of the page.

A figure is drawn in two fixed colours, `INK` on `PAPER`, which `themed_svg` turns into the
text and background colour of the page, so that one picture serves light and dark themes.
"""

import hashlib
import html
import os
import re

__all__ = ["COLORS", "INK", "PAPER", "ROLES", "bare_axes", "look", "themed_svg", "use_style"]

INK = "#1b1b1b"
PAPER = "#fefefe"
#: Okabe and Ito's colours, shaded to a contrast of at least 3 on white and on the dark page.
COLORS = {
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#008f68",
    "purple": "#b8609a",
    "ochre": "#b07800",
    "sky": "#3a8fc4",
    "grey": "#7a7a7a",
}
#: What a colour means, from the first page to the last; v itself is drawn in `INK`.
ROLES = {
    "layer 1": COLORS["blue"],
    "layer 2": COLORS["vermillion"],
    "v": INK,
    "target": COLORS["purple"],
    "δ < 0": COLORS["sky"],
    "δ = 0": COLORS["ochre"],
    "δ > 0": COLORS["green"],
    "metric": COLORS["grey"],
}


def look(delta):
    """Colour and dashes of what belongs to the invariant `delta`: keywords for ``plot``."""
    sign, dashes = ("<", "-.") if delta < 0 else (">", "--") if delta > 0 else ("=", "-")
    return {"color": ROLES[f"δ {sign} 0"], "linestyle": dashes}


def use_style():
    """Give matplotlib the book's style; call it in a chapter's first code cell.

    Figures become reproducible SVG whose text stays text, 6.4 by 3.8 inches, with fonts that can
    be read on a phone and the colour cycle `COLORS`.
    """
    import matplotlib.pyplot as plt
    from matplotlib.mathtext import MathTextParser

    # Matplotlib's cache of formulas counts parsers as different that only belong to different
    # files; so it would parse every formula anew for each picture, a third of the time.
    MathTextParser.__eq__ = lambda a, b: type(a) is type(b) and vars(a) == vars(b)
    MathTextParser.__hash__ = lambda a: hash(type(a))
    plt.rcParams.update({
        "figure.figsize": (6.4, 3.8), "figure.constrained_layout.use": True,
        "figure.facecolor": PAPER, "savefig.facecolor": PAPER, "axes.facecolor": PAPER,
        "svg.fonttype": "none", "svg.hashsalt": "lcnlib", "path.simplify_threshold": 0.3,
        "font.size": 13, "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
        "axes.titlesize": 14, "axes.labelsize": 13, "legend.fontsize": 12, "legend.frameon": False,
        "xtick.labelsize": 12, "ytick.labelsize": 12,
        "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.titlecolor": INK,
        "xtick.color": INK, "ytick.color": INK, "patch.edgecolor": INK, "hatch.color": INK,
        "boxplot.flierprops.color": INK, "grid.color": COLORS["grey"], "grid.alpha": 0.4,
        "axes.spines.top": False, "axes.spines.right": False,
        "lines.linewidth": 2.0, "lines.markersize": 7,
        "axes.prop_cycle": plt.cycler(color=list(COLORS.values())),
    })  # fmt: skip
    try:
        shell = get_ipython()
    except NameError:  # plain Python: there is no notebook to set up
        return
    for setting in ("print_figure_kwargs = {'bbox_inches': None, 'metadata': {'Date': None}}",
                    # A picture for the page, and one for notebooks that are only looked at.
                    "figure_formats = " + ("['svg', 'retina']" if os.environ.get("LCN_BOOK_STATIC")
                                           else "['svg']")):
        shell.run_line_magic("config", "InlineBackend." + setting)


def bare_axes(ax, lengths, names, elevation, azimuth):
    """Give a 3D picture three named lines from the origin in place of its box, seen from afar.

    Parameters
    ----------
    ax : Axes3D
    lengths, names : sequences of 3 floats, of 3 strs
    elevation, azimuth : floats
        Where it is seen from, in degrees.
    """
    ax.set_axis_off()
    ax.set_proj_type("ortho")
    ax.view_init(elevation, azimuth)
    for i, (length, name) in enumerate(zip(lengths, names)):
        end = [length * (i == j) for j in range(3)]
        ax.plot(*zip([0, 0, 0], end), color=INK, lw=1)
        # on a piece of paper of its own, since the lines may run under it
        ax.text(*(1.13 * x for x in end), name, ha="center", va="center", zorder=99,
                bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 1})


def themed_svg(svg, alt, uid=""):
    """Turn a figure's SVG into an element to put into a page.

    Parameters
    ----------
    svg : str
        What ``Figure.savefig(..., format="svg")`` wrote.
    alt : str
        Text alternative: what the picture shows.
    uid : str
        Makes the element's ids differ from those of an equal picture on the same page.

    Returns
    -------
    str
        One ``<svg role="img">`` that scales with the page, follows its theme and is named `alt`.
    """
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->|<defs>\s*</defs>", "", svg,
                 flags=re.S)
    svg = re.sub(r'(?<= d=")[^"]*', lambda m: _rounded(m[0], 2), svg)
    svg = re.sub(r'(?<= transform=")[^"]*|(?<= [xy]=")[^"]*', lambda m: _rounded(m[0], 3), svg)
    svg = svg.replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    tag = "f" + hashlib.sha256((uid + alt + svg).encode()).hexdigest()[:8]
    names = {name: f"{tag}-{i}" for i, name in enumerate(sorted(used))}
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{names[m[1]]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(url\(|href=")#([^)"]+)', lambda m: f"{m[1]}#{names[m[2]]}", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
    box = re.search(r'viewBox="([^"]+)"', svg)[1]
    width = float(box.split()[2]) * 4 / 3
    paper = "--paper:var(--pst-color-background,var(--jp-layout-color0,transparent))"
    return re.sub(
        r"^<svg[^>]*>",
        lambda m: f'<svg class="lcn-figure" role="img" aria-label="{html.escape(alt)}" '
        f'viewBox="{box}" style="width:100%;max-width:{width:.0f}px;height:auto;'
        f'stroke-linejoin:round;{paper}">', svg.rstrip())


def _rounded(numbers, digits):
    return re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.{digits}f}".rstrip("0").rstrip("."),
                  numbers)
