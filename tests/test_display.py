"""The figure style and `explore`, with a kernel and for the static page."""

import io
import json
import re
import sys

import ipywidgets as W
import matplotlib.pyplot as plt
import pytest
from bs4 import BeautifulSoup
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from lcnlib.display import (
    COLORS,
    INK,
    PAPER,
    Control,
    bare_axes,
    explore,
    themed_svg,
    use_style,
)


@pytest.fixture(autouse=True)
def _style():
    with plt.rc_context():
        use_style()
        yield
    assert not plt.get_fignums(), "explore left a figure open"


def draw(n, shape):
    fig, ax = plt.subplots()
    ax.plot([0, n], [0, 1], "-" if shape == "line" else "--")
    ax.set(xlabel="x", ylabel="y")
    return fig


def alt(n, shape):
    return f"A {shape} to {n:g}"


CONTROLS = {
    "n": Control("length", [1.0, 2.0, 4.0], initial=2.0),
    "shape": ("shape", ["line", "dashes"]),
}


def tree(page):
    return BeautifulSoup(page.html, "html.parser")


def frames(page):
    """The frames of the built page, {indices: alt text}, and those that are seen first."""
    made = tree(page)
    seen = made.select(".lcn-frame")
    data = made.select('script[type="image/svg+xml"]')
    inside = [BeautifulSoup(d.string, "html.parser").svg for d in data]
    found = {d["data-frame"]: svg["aria-label"] for d, svg in zip(data, inside)}
    return found | {f["data-frame"]: f.svg["aria-label"] for f in seen}, [
        f["data-frame"] for f in seen]


def alts(text):
    return re.findall(r'aria-label="([^"]*)"', text)


@pytest.fixture
def static(monkeypatch):
    monkeypatch.setenv("LCN_BOOK_STATIC", "1")


@pytest.fixture
def live(monkeypatch):
    monkeypatch.delenv("LCN_BOOK_STATIC", raising=False)


def test_static_draws_every_combination(static):
    page = explore(draw, alt, "What it <is>", **CONTROLS)
    found, seen = frames(page)
    shapes = ("line", "dashes")
    assert found == {f"{i}-{j}": f"A {shape} to {n:g}" for i, n in enumerate((1, 2, 4))
                     for j, shape in enumerate(shapes)}
    assert seen == ["1-0"]
    assert "<figcaption>What it &lt;is&gt;</figcaption>" in page.html
    assert page._repr_html_() == page.html and repr(page) == "What it <is>"


def test_static_has_a_still_for_where_nothing_moves(static):
    png, how = explore(draw, alt, **CONTROLS)._repr_png_()
    with Image.open(io.BytesIO(png)) as image:
        assert [n // 2 for n in image.size] == [how["width"], how["height"]]
    assert how["alt"] == "A line to 2"


def test_static_needs_no_ipywidgets(static, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert explore(draw, alt, **CONTROLS).html


def test_static_frames_have_ids_of_their_own(static):
    pages = [explore(draw, alt, **CONTROLS) for _ in range(2)]
    for page in pages:
        ids = re.findall(r' id="(f[^"]+)"', page.html)
        assert len(ids) >= 6 and len(ids) == len(set(ids))
    names = [re.findall(r'(?: id| name)="(lcn-[^"]+)"', page.html) for page in pages]
    assert names[0] and not set(names[0]) & set(names[1])


def test_static_controls_have_names_and_start_where_the_picture_does(static):
    made = tree(explore(draw, alt, **CONTROLS))
    (slider,) = made.select("input[type=range]")
    assert made.find("label", {"for": slider["id"]}).text == "length"
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "2", "1")
    assert json.loads(slider["data-texts"]) == ["1", "2", "4"]
    assert slider["aria-valuetext"] == slider.find_next_sibling().text == "2"
    group = made.fieldset
    assert group.legend.text == "shape"
    assert [label.text for label in group.select("label")] == ["line", "dashes"]
    buttons = group.select("label > input[type=radio]")
    assert [(b["value"], b.has_attr("checked")) for b in buttons] == [("0", True), ("1", False)]
    assert len({b["name"] for b in buttons}) == 1


def test_live_draws_one_frame_and_follows_its_handles(live):
    slider, buttons, picture = explore(draw, alt, "What it is", **CONTROLS).children
    assert isinstance(slider, W.FloatSlider) and (slider.min, slider.max) == (1, 4)
    assert alts(picture.value) == ["A line to 2"]
    before = picture.value
    slider.value = 3.3  # between the frames of the static page
    assert alts(picture.value) == ["A line to 3.3"] and picture.value != before
    buttons.value = "dashes"
    assert alts(picture.value) == ["A dashes to 3.3"]


def test_live_keeps_the_meaning_of_names_that_later_cells_use_anew(live):
    names = {"draw": draw}
    exec("size = 1\n"
         "def helper(n): return size * n\n"
         "def plot(n): return draw(helper(n), 'line')\n"
         "def say(n, *, unit='cm'): return f'{helper(n):g} {unit}'", names)
    slider, picture = explore(names["plot"], names["say"], n=("n", [1.0, 2.0])).children
    exec("size = None\ndef helper(n): raise ValueError", names)
    slider.value = 1.5
    assert alts(picture.value) == ["1.5 cm"]


def test_live_lays_out_anew_only_where_the_writing_changes(live, monkeypatch):
    done = []
    execute = ConstrainedLayoutEngine.execute
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute",
                        lambda self, fig: done.append(fig) or execute(self, fig))

    def plot(n, low):
        fig, ax = plt.subplots()
        ax.plot([0, 1], [0, n])
        ax.set(title=f"{n:.2f}", ylim=(low, 4))
        return fig

    slider, low, _ = explore(plot, lambda n, low: f"{n} {low}", n=("n", [1.0, 2.0]),
                             low=("low", [-4, -40000])).children
    assert len(done) == 1
    for n in (1.5, 1.7, 2.0):
        slider.value = n
    assert len(done) == 1
    low.value = -40000  # longer tick labels
    assert len(done) == 2


def test_live_whole_numbers_stay_whole(live):
    count = ("count", range(2, 6))
    slider, _ = explore(lambda n: draw(n, "line"), lambda n: repr(n), n=count).children
    assert isinstance(slider, W.IntSlider) and slider.value == 2


def test_many_words_make_a_menu(live):
    menu, _ = explore(lambda w: draw(1, w), lambda w: w, w=("word", list("abcde"))).children
    assert isinstance(menu, W.Dropdown)


def test_many_words_make_a_menu_in_the_page(static):
    word = Control("word", list("abcde"), initial="c")
    made = tree(explore(lambda w: draw(1, w), lambda w: w, w=word))
    options = made.select("select > option")
    assert [o.text for o in options] == list("abcde")
    assert [o.text for o in options if o.has_attr("selected")] == ["c"]
    assert made.label["for"] == made.select_one("select")["id"]


def test_values_are_shown_in_their_format(static):
    control = Control("step", [-0.5, 0.25], format="+.2f")
    page = explore(lambda s: draw(s, "line"), lambda s: f"{s}", s=control)
    assert json.loads(tree(page).input["data-texts"]) == ["−0.50", "+0.25"]


def test_raster_stores_the_data_as_pixels(static):
    n = ("n", [1, 2])
    page = explore(lambda n: draw(n, "line"), lambda n: f"{n}", raster=True, n=n)
    assert page.html.count("data:image/png") == 2 and "<text" in page.html


@pytest.mark.parametrize(("call", "words"), [
    (lambda: explore(draw, alt), "one to three controls, got 0"),
    (lambda: Control("n", [1]), "at least two values"),
    (lambda: Control("n", [1, 2], initial=3), "initial must be one of its values"),
])  # fmt: skip
def test_bad_controls_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def saved(fig):
    out = io.StringIO()
    fig.savefig(out, format="svg", metadata={"Date": None})
    plt.close(fig)
    return out.getvalue()


def test_themed_svg_follows_the_page():
    svg = themed_svg(saved(draw(1, "line")), 'A "line" & more')
    assert svg.startswith("<svg ") and svg.count("<svg") == 1 and svg.endswith("</svg>")
    assert 'role="img" aria-label="A &quot;line&quot; &amp; more"' in svg
    assert INK not in svg and PAPER not in svg and "currentColor" in svg
    assert "<style" not in svg and "<metadata" not in svg  # a style would reach the whole page
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    assert used and used == set(re.findall(r' id="([^"]+)"', svg))
    assert "width:100%" in svg and not re.search(r"<svg[^>]* (width|height)=", svg)


def test_themed_svg_is_reproducible():
    assert themed_svg(saved(draw(1, "line")), "a") == themed_svg(saved(draw(1, "line")), "a")


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("colour", COLORS.values(), ids=COLORS)
@pytest.mark.parametrize("page", ["#ffffff", "#121212", "#14181e"])
def test_colours_read_on_light_and_dark(colour, page):
    low, high = sorted([luminance(colour), luminance(page)])
    assert (high + 0.05) / (low + 0.05) >= 3


def test_bare_axes_are_three_named_lines():
    fig = plt.figure()
    ax = fig.add_subplot(projection="3d")
    bare_axes(ax, (1, 2, 3), ("$a$", "$b$", "$c$"), 30, 60)
    assert not ax.axison and (ax.elev, ax.azim) == (30, 60)
    ends = [[float(x[1]) for x in line.get_data_3d()] for line in ax.lines]
    assert ends == [[1, 0, 0], [0, 2, 0], [0, 0, 3]]
    assert [t.get_text() for t in ax.texts] == ["$a$", "$b$", "$c$"]
    plt.close(fig)
