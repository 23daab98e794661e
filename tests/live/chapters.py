"""Every chapter, opened by its button and run to its last cell in a browser.

The book is that of `make live` (folder LCN_BOOK_HTML, else _build/html), and the browser reaches
nothing but this machine.  `make live-test` names this file to pytest, `make test` some tests of it.
"""

import os
import re
import shutil
import time
from pathlib import Path

import pytest
from browser import serve

ROOT = Path(__file__).resolve().parents[2]
HTML = Path(os.environ.get("LCN_BOOK_HTML", ROOT / "_build" / "html"))
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
LONG = 600_000  # ms to wait for Python, or for the cells of a chapter; the machine may be busy

# The outputs of the open notebook's code cells, by cell number.
OUTPUTS = """() => {
  const all = jupyterapp.shell.currentWidget.content.model.cells;
  return [...Array(all.length).keys()].filter(i => all.get(i).type === "code").map(number => {
    const cell = all.get(number);
    return {number, source: cell.sharedModel.source, count: cell.executionCount,
            outputs: cell.outputs.toJSON()};
  });
}"""
# The chapter runs by itself as soon as Python is there (live/start.js).
STARTED = "() => !document.getElementById('start') && !!window.bookRan"


@pytest.fixture(scope="session")
def html():
    if not (HTML / "lite").exists():
        pytest.fail(f"there is no live book in {HTML}: run `make live` first")
    return HTML


def watched(context, base):
    """What goes wrong in this context: requests to other hosts, and files that are missing."""
    wrong = []
    context.on("request", lambda r: None if r.url.startswith((base, "data:", "blob:"))
               else wrong.append(f"asks another host: {r.url}"))
    context.on("response", lambda r: wrong.append(f"{r.status} for {r.url}")
               if r.status >= 400 and not r.url.endswith("/jupyter-lite.ipynb") else None)
    return wrong


def text(output):
    """What a saved or live output says."""
    return "".join(output.get("text", "")) if output["output_type"] == "stream" else ""


@pytest.mark.parametrize("path", CHAPTERS, ids=[p.stem for p in CHAPTERS])
def test_runs_from_its_page_to_the_last_cell(chromium, html, path):
    with serve(html) as base:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        wrong = watched(context, base)
        began = time.monotonic()
        live = opened(context, base, path)
        live.wait_for_function(STARTED, timeout=LONG)
        started = time.monotonic()
        said = finished(live)
        assert not wrong, "\n".join(sorted(set(wrong)))
        context.close()
    print(f"{path.stem}: Python after {started - began:.1f} s, then {said}")


def opened(context, base, path):
    """The live page that a chapter's button opens."""
    page = context.new_page()
    page.goto(base + f"book/{path.stem}.html")
    page.get_by_role("link", name="Run in browser").focus()
    with context.expect_page() as live:
        page.keyboard.press("Enter")
    live.value.set_default_timeout(LONG)
    return live.value


SHOWN = """() => window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 9
  && !!document.querySelector(".jp-WindowedPanel-outer")"""
PLACE = """() => [jupyterapp.shell.currentWidget.content.activeCellIndex,
                  document.querySelector(".jp-WindowedPanel-outer").scrollTop]"""
# Where this is not possible yet, it says so.
GO = """([cell, top]) => {
  const panel = document.querySelector(".jp-WindowedPanel-outer");
  jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
  panel.scrollTop = top;
  return panel.scrollTop === top;
}"""


def finished(live, place=(0, 0)):
    """Wait for the last cell, look at all of them, and move the sliders; how long it took.

    The reader is at his place, a cell and how far the page is scrolled.
    """
    began = time.monotonic()
    ended = live.evaluate("window.bookRan")
    ran = time.monotonic()
    cells = live.evaluate(OUTPUTS)
    faults = [f"cell {c['number']}: {o['ename']}: {o['evalue']}\n{c['source']}"
              for c in cells for o in c["outputs"] if o["output_type"] == "error"]
    faults += [f"cell {c['number']} writes to stderr: {text(o)}"
               for c in cells for o in c["outputs"] if o.get("name") == "stderr"]
    assert not faults, "\n".join(faults)
    live.evaluate("new Promise(go => setTimeout(go, 500))")  # for what might still come
    cell, top = live.evaluate(PLACE)
    assert cell == place[0] and abs(top - place[1]) < 100, f"the reader is at {cell}, {top}"
    skipped = [c["number"] for c in cells if c["source"].strip() and not c["count"]]
    assert ended and cells and not skipped, f"cells that did not run: {skipped}"
    return f"all cells in {ran - began:.1f} s, {slide(live)}"


def test_a_second_chapter_waits_says_so_and_starts(chromium, html):
    """One chapter starts Python at a time; then its modules come in the order of their use."""
    with serve(html) as base:
        context = chromium.new_context(viewport={"width": 1280, "height": 900},
                                       color_scheme="dark")
        wrong = watched(context, base)
        first = context.new_page()  # what a chapter does as long as it starts
        first.goto(base + "_static/book.js")
        first.evaluate("""() => {
          navigator.locks.request("book-python", () => new Promise(go => { window.release = go; }));
          window.told = [];
          new BroadcastChannel("book-python").onmessage =
            e => told.push(e.data.waiting ? "waiting" : e.data.words ?? e.data.failed);
        }""")
        second = opened(context, base, CHAPTERS[0])
        box = second.locator("#start[data-state=waiting]")
        box.filter(has_text="This one waits for it").wait_for(timeout=LONG)
        # Meanwhile its reader has gone on.
        second.wait_for_function(SHOWN, timeout=LONG)
        second.wait_for_function(GO, arg=[3, 600], timeout=LONG)
        first.evaluate("release()")
        second.wait_for_function(STARTED, timeout=LONG)
        told = first.evaluate("told")
        loaded = [words for words in told if words.endswith("MB of its packages")]
        assert re.fullmatch(r"(\d+) of \1 MB of its packages", loaded[-1])
        assert [words for words in told if words not in loaded] == [
            "waiting", "Python itself", "NumPy", "SciPy", "Matplotlib", "the library of this book",
            "the notebook's kernel", "its last step"]
        finished(second, (3, 600))
        assert second.evaluate("document.body.dataset.jpThemeLight") == "false"  # as asked for
        assert not wrong, "\n".join(sorted(set(wrong)))
        context.close()


def slide(page):
    """Move every slider of the notebook; how long the slowest picture took."""
    slowest, count = 0, 0
    for box in page.locator(".lcn-explore").filter(has=page.locator(".noUi-handle")).all():
        picture = box.locator("svg.lcn-figure").first
        for handle in box.locator(".noUi-handle").all():
            handle.scroll_into_view_if_needed()
            slowest = max(slowest, min(moved(page, handle, picture) for _ in range(3)))
            count += 1
    return f"{count} sliders, a picture at most {slowest * 1000:.0f} ms after its slider"


def moved(page, handle, picture):
    """Seconds until the picture is another one after an arrow key."""
    before = picture.inner_html()
    handle.focus()
    began = time.monotonic()
    at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    while picture.inner_html() == before:
        assert time.monotonic() - began < LONG / 1000, "the slider changes nothing"
        page.wait_for_timeout(10)
    return time.monotonic() - began


def test_no_chapter_asks_to_be_run(html):
    chapters = [p.read_text(encoding="utf-8") for p in (html / "lite" / "files").glob("*.ipynb")]
    assert not any("Run All Cells" in x for x in chapters)
    assert sum("The chapter runs by itself; then the sliders move." in x for x in chapters) > 9


@pytest.mark.parametrize(("broken", "said"), [
    ("build/jlab_core*", "a file is missing"),
    ("static/pyodide/pyodide.asm.wasm", re.compile("did not start|nothing has come")),
    ("static/pyodide/packages.bin", "packages did not load"),
])
def test_a_failed_start_is_told_with_a_way_out(chromium, html, tmp_path, broken, said):
    lite = tmp_path / "lite"
    shutil.copytree(html / "lite", lite, copy_function=lambda a, b: Path(b).symlink_to(a))
    for path in lite.glob(broken):
        path.unlink()
    with serve(tmp_path) as base:
        context = chromium.new_context()
        page = context.new_page()
        page.clock.install()
        page.goto(f"{base}lite/notebooks/index.html?path={CHAPTERS[0].name}")
        page.locator("#start").wait_for(timeout=LONG)
        # On a busy machine another message may come first.
        message = page.locator("#start[role=alert]").filter(has_text=said)
        if broken.endswith(".wasm"):  # soon nothing comes any more: two minutes pass at once
            for _ in range(60):
                page.clock.fast_forward("02:30")
                page.wait_for_timeout(1000)
                if message.count():
                    break
        message.wait_for(timeout=LONG)
        words = message.inner_text()
        context.close()
    assert re.search(r"make lab$", words.strip())


def test_a_start_from_a_file_is_told(chromium, html):
    page = chromium.new_page()
    page.goto((html / "lite" / "notebooks" / "index.html").as_uri() + f"?path={CHAPTERS[0].name}")
    message = page.locator("#start[role=alert]")
    message.wait_for()
    assert "needs a web server" in message.inner_text()
    page.close()
