"""A figure as SVG, laid out once for all frames of a widget."""

import io
import re


def svg(fig, raster, places, still=None):
    """The SVG of a figure, which is closed; also a PNG, written to the file `still`."""
    import matplotlib.pyplot as plt

    if raster:
        for ax in fig.axes:
            for artist in (*ax.collections, *ax.images, *ax.lines):
                artist.set_rasterized(True)
    arrange(fig, places)
    out = io.StringIO()
    # After a save, matplotlib gives a figure without a layout the one of the style.
    with plt.rc_context({"figure.constrained_layout.use": False}):
        fig.savefig(out, format="svg", dpi=110, metadata={"Date": None})
        if still is not None:  # twice as fine as it is shown
            fig.savefig(still, format="png", dpi=144)
    plt.close(fig)
    return out.getvalue()


def arrange(fig, places):
    """Lay the figure out once; savefig would draw all of it once more for that.

    `places` remembers where the axes of earlier figures came to lie that had as many lines in
    titles and labels, and the same writing elsewhere but for the digits of numbers.
    """
    import matplotlib.pyplot as plt

    if not (layout := fig.get_layout_engine()):
        return
    words = []
    for ax in fig.axes:
        words.append([t.get_text().count("\n") + bool(t.get_text())
                      for t in (ax.title, ax.xaxis.label, ax.yaxis.label)])
        if ax.name != "3d":  # there, labels have no place before they are drawn
            words.append([t.get_text() for t in (*ax.get_xticklabels(), *ax.get_yticklabels())])
    words.append([t.get_text() for box in fig.legends for t in box.get_texts()])
    key = (tuple(fig.get_size_inches()), re.sub(r"\d", "0", str(words)))
    if key not in places:
        layout.execute(fig)
        places[key] = [ax.get_position(original=True) for ax in fig.axes]
    with plt.rc_context({"figure.constrained_layout.use": False}):
        fig.set_layout_engine(None)
    for ax, place in zip(fig.axes, places[key]):
        ax.set_position(place)
