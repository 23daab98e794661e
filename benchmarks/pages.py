"""How soon the built pages answer, against their goals; the last step of `make bench`.

    python benchmarks/pages.py [HTML]          after `make book`; HTML is _build/html by default

No test measures time, because a busy machine would fail it.  Here the times are printed and stored
in HTML/../pages.json.  For every page, best of three: seconds to the first picture that follows an
arrow key, to the last formula, the longest time that the page did not answer, and the shift of the
layout.  For every widget with a kernel: processor time of its slowest control.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "live")]
GOALS = {"picture": 2.0, "formulas": 5.0, "stuck": 0.5, "shift": 0.1, "widget": 0.25}
LIVE_GOAL = 15.0  # seconds from the click to a widget with Python behind it
WATCH = """
window.seen = {stuck: 0, shift: 0};
new PerformanceObserver(list => { for (const e of list.getEntries())
  seen.stuck = Math.max(seen.stuck, e.duration / 1000);
}).observe({type: "longtask", buffered: true});
new PerformanceObserver(list => { for (const e of list.getEntries())
  if (!e.hadRecentInput) seen.shift += e.value;
}).observe({type: "layout-shift", buffered: true});
"""


def open_page(browser, address):
    """Open a page once; its figures, in seconds."""
    # The pages' policy would forbid the driver's own conditions.
    context = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.add_init_script(WATCH)
    start, found = time.monotonic(), {}
    page.goto(address, wait_until="commit")
    page.wait_for_load_state("domcontentloaded")
    handle = page.locator(".lcn-explore input[type=range]").first
    if handle.count():
        handle.focus()
        frame = "document.querySelector('.lcn-frame').dataset.frame"
        before, at_end = page.evaluate(frame), handle.evaluate("e => e.value === e.max")
        page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
        page.wait_for_function(f"b => {frame} !== b", arg=before)
        found["picture"] = time.monotonic() - start
    page.wait_for_load_state("load")
    page.wait_for_function("![...document.querySelectorAll('.math')]"
                           ".some(e => !e.querySelector('mjx-container'))")
    found["formulas"] = time.monotonic() - start
    found.update(page.evaluate("seen"))
    context.close()
    return found


def widgets(path):
    """Processor time of a chapter's slowest control, with a kernel."""
    import matplotlib.pyplot as plt
    import move_widgets
    import nbformat

    import lcnlib.display

    made, names = [], {"__name__": "__main__"}
    original, lcnlib.display.explore = lcnlib.display.explore, move_widgets.recorder(made)
    try:
        with plt.rc_context():
            for cell in nbformat.read(path, 4).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, path.name, "exec"), names)
                    plt.close("all")
            lines = list(move_widgets.move(made))
    finally:
        lcnlib.display.explore = original
    return max((float(line.split(": ")[-1].split()[0]) for line in lines), default=0) / 1000


def live(context, address):
    """Seconds from the click on "Run in browser" to Python, and to the first continuous widget."""
    page = context.new_page()
    page.set_default_timeout(600_000)
    page.goto(address)
    start = time.monotonic()
    with context.expect_page() as opened:
        page.get_by_role("link", name="Run in browser").click()
    lite = opened.value
    lite.set_default_timeout(600_000)
    # The chapter runs by itself as soon as Python answers; `!!`, because its end is a promise.
    lite.wait_for_function("!!window.bookRan")
    found = {"python": time.monotonic() - start}
    lite.locator(".lcn-explore .noUi-handle, [data-picture] [role=slider]").first.wait_for()
    found["widget"] = time.monotonic() - start
    lite.close(), page.close()
    return found


def visits(html):
    """A first visit to a live chapter and two later ones, in a browser that keeps what it has."""
    from browser import FLAGS, find_chromium, serve
    from playwright.sync_api import sync_playwright

    started = {}
    with serve(html) as base, sync_playwright() as playwright, \
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=find_chromium(playwright), args=FLAGS, bypass_csp=True)
        for visit in ("first visit", "warm cache", "warm cache, again"):
            started[visit] = live(context, f"{base}book/03_flow.html")
            print(f"live, {visit}: Python after {started[visit]['python']:.1f} s, "
                  f"widget after {started[visit]['widget']:.1f} s (goal, warm: {LIVE_GOAL} s; "
                  f"{os.getloadavg()[0]:.1f} programs wanted {os.cpu_count()} cores)", flush=True)
        context.close()
    return started


def main(html=ROOT / "_build" / "html"):
    import matplotlib
    from browser import chromium, serve

    matplotlib.use("agg")
    os.environ.pop("LCN_BOOK_STATIC", None)
    html, rows = Path(html).resolve(), {}
    with serve(html) as base, chromium() as browser:
        for path in sorted(html.glob("book/*.html")):
            runs = [open_page(browser, f"{base}book/{path.name}") for _ in range(3)]
            rows[path.stem] = {k: min(r[k] for r in runs) for k in runs[0]}
    started = visits(html) if (html / "lite").exists() else {}
    os.chdir(ROOT / "book")
    for path in sorted((ROOT / "book").glob("[0-9]*.ipynb")):
        rows.setdefault(path.stem, {})["widget"] = widgets(path)
    print(f"{'':24}" + "".join(f"{k:>11}" for k in GOALS))
    for name, row in rows.items():
        cells = [f"{row[k]:.2f}{' ' if row[k] < goal else '!'}" if k in row else ""
                 for k, goal in GOALS.items()]
        print(f"{name:24}" + "".join(f"{c:>11}" for c in cells))
    print(f"{'goal (! missed)':24}" + "".join(f"{goal:>10} " for goal in GOALS.values()))
    found = {"goals": GOALS, "pages": rows, "live": started}
    (html.parent / "pages.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
