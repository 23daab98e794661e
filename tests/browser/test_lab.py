"""The notebooks in JupyterLab: chapters as `make lab` opens them, and those that readers download.

Of each chapter both are opened, and one is run to its last cell; a download differs from its copy
by its first cell and by its pictures only.  Those in `RUN` are run, all with LCN_LAB=all.
"""

import functools
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import TimeoutError, expect

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import downloads  # noqa: E402
import translate  # noqa: E402

BOOK = translate.Book()
PAGES = list(filter(BOOK.readable, BOOK.paths))
CELLS = ['from lcnlib.display import touch\nplane = touch("plane", start=[1.5, 0.5])\nplane',
         "print(plane.start)", "plane.delta = 2.0"]
# One of each kind of widget: sliders, buttons, menus, pictures to drag.
RUN = PAGES if os.environ.get("LCN_LAB") == "all" else [
    "index", "map", "01_polynomials", "06_metric", "09_bounce"]
WIDGET = re.compile(r"^(?:explore|touch)\(|= touch\(", re.M)
PATIENCE = 180_000  # milliseconds, on a busy machine
SETTINGS = {
    # Cells out of sight are drawn too, and nothing is saved.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
}
# Close what is open, and open another notebook, with the same kernel if it has not been used.
OPEN = """async ({path, keep}) => {
  let kernel;
  for (const old of [...jupyterapp.shell.widgets("main")].filter(w => w.context)) {
    if (keep) kernel = old.sessionContext.session.kernel.model;
    else await old.sessionContext.shutdown();
    old.context.model.dirty = false;
    old.dispose();
  }
  const shown = await jupyterapp.commands.execute(
    "docmanager:open", {path, factory: "Notebook", kernel});
  await shown.context.ready;
  await shown.revealed;
  await shown.sessionContext.ready;
}"""
# What the copy holds is forgotten, so that what is seen afterwards has been printed.
RUN_CELLS = """() => {
  const all = jupyterapp.shell.currentWidget.content.model.cells;
  for (let i = 0; i < all.length; i++) if (all.get(i).type === "code") all.get(i).clearExecution();
  return jupyterapp.commands.execute("notebook:run-all-cells");
}"""
QUIET = "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
# What a reader sees of the text: without code and formulas, in which anything may stand.
SEEN = """() => {
  const all = [...document.querySelectorAll(".jp-MarkdownCell .jp-RenderedMarkdown")];
  const text = all.map(e => {
    const copy = e.cloneNode(true);
    copy.querySelectorAll("code, pre, mjx-container").forEach(x => x.remove());
    return copy.textContent;
  });
  const red = e => getComputedStyle(e).color === "rgb(255, 0, 0)" || e.matches("mjx-merror");
  return {
    cells: text.length, empty: all.filter(e => !e.childElementCount).length,
    formulas: document.querySelectorAll(".jp-MarkdownCell mjx-container").length,
    raw: text.filter(t => /\\{[\\w:-]+\\}(?:`|$)|:::|```|\\$|<\\w+|^:\\w+:|\\\\[a-z]{2}/m.test(t)),
    red: [...document.querySelectorAll("mjx-container *")].filter(red).map(e => e.outerHTML),
    pictures: [...document.querySelectorAll(".jp-OutputArea-output img")].map(e => e.naturalWidth),
  };
}"""
CODE = """() => {
  const all = jupyterapp.shell.currentWidget.content.model.cells;
  return [...Array(all.length).keys()].map(i => all.get(i)).filter(c => c.type === "code").map(
    c => ({source: c.sharedModel.source, count: c.executionCount, outputs: c.outputs.toJSON()}));
}"""
# A cell's number may come after its reply.
IDLE = """() => {
  const shown = jupyterapp.shell.currentWidget, all = shown.content.model.cells;
  return shown.sessionContext.session.kernel.status === "idle" && [...Array(all.length).keys()]
    .every(i => all.get(i).type !== "code" || all.get(i).executionCount
           || JSON.stringify(all.get(i).outputs.toJSON()).includes('"ename"'));
}"""


class Lab:
    """JupyterLab in a browser, and what it complains of."""

    def __init__(self, chromium, address, folder):
        self.folder, self.errors = folder, []
        self.page = chromium.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", lambda m: self.errors.append(f"{m.text} {m.location}")
                     if m.type == "error" else None)
        self.page.goto(address)
        self.page.wait_for_function("window.jupyterapp?.started")
        self.page.evaluate("() => jupyterapp.restored")

    def open(self, path, keep=False):
        """Open a notebook in place of the one that is open."""
        self.page.evaluate(OPEN, {"path": path, "keep": keep})
        self.page.wait_for_function(QUIET)
        self.errors.clear()  # of the kernel that has ended


@pytest.fixture(scope="session")
def server(html, tmp_path_factory):
    """The address of a JupyterLab of this process, and the folder whose notebooks it opens."""
    folder, own = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("own")
    downloads.lab(folder / "copies")
    (folder / "downloads").mkdir()
    for stem in PAGES:
        shutil.copy(html / "_sources" / "book" / f"{stem}.ipynb", folder / "downloads")
    for name, values in SETTINGS.items():
        path = own / "CONFIG/lab/user-settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # As root, Jupyter takes no folder that others may write to.
    places = {f"JUPYTER_{kind}_DIR": str(own / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    env = {k: v for k, v in os.environ.items() if k != "LCN_BOOK_STATIC"} | places | {
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "IPYTHONDIR": str(own / "ipython")}
    log = own / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [Path(sys.executable).with_name("jupyter"), "lab", "--no-browser", "--allow-root",
             f"--port={port}", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}",
             "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
             "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
            env=env, stdout=out, stderr=subprocess.STDOUT)
        try:
            for _ in range(PATIENCE // 500):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, log.read_text()[-3000:]
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/lab", folder
        finally:
            server.terminate()
            server.wait(60)


@pytest.fixture(scope="session")
def lab(chromium, server):
    return Lab(chromium, *server)


def formulas(cells):
    """How many formulas a reader has to see."""
    return sum(not found[1] for cell in cells if cell.cell_type == "markdown"
               for found in translate.CODE_OR_MATH.finditer(cell.source))


def reads_well(lab, path):
    """Wait until all text of the open notebook is drawn, and look at it."""
    cells = nbformat.read(lab.folder / path, as_version=4).cells
    texts, mathematics = sum(c.cell_type == "markdown" for c in cells), formulas(cells)
    deadline = time.monotonic() + PATIENCE / 1000
    seen = before = None
    while seen is None or seen != before or seen["cells"] < texts or seen["empty"]:
        assert time.monotonic() < deadline, seen
        lab.page.wait_for_timeout(500)
        seen, before = lab.page.evaluate(SEEN), seen
    assert not seen["raw"]
    assert not seen["red"]
    assert (seen["cells"], seen["formulas"]) == (texts, mathematics)
    assert all(width > 100 for width in seen["pictures"])
    return cells


def printed(outputs):
    """What a cell says, without its pictures."""
    said = [o for o in outputs if o["output_type"] in ("stream", "error")
            or not {"image/png", "image/svg+xml", "text/html", "text/markdown",
                    "application/vnd.jupyter.widget-view+json"} & set(o["data"])]
    streams = "".join("".join(o["text"]) for o in said if o["output_type"] == "stream")
    return streams, ["".join(o["data"]["text/plain"]) if "data" in o else o for o in said
                     if o["output_type"] != "stream"]


def changes(lab, picture, what, *ways):
    """Press keys, or call functions, until the picture, or what is said of it, is another one."""
    def now():
        return hashlib.sha256(picture.inner_html().encode()).digest()

    before = now()
    for way in ways:
        way() if callable(way) else lab.page.keyboard.press(way)
        for _ in range(40 if way != ways[-1] else PATIENCE // 50):
            if now() != before:
                return
            lab.page.wait_for_timeout(50)
    raise AssertionError(f"{what} changes nothing")


def move_everything(lab, widgets):
    """Move each handle of each of the widgets, so many: its picture follows."""
    page = lab.page
    pictures = page.locator(".lcn-explore figure svg:first-child, .lcn-touch")
    expect(pictures).to_have_count(widgets, timeout=PATIENCE)
    for box in page.locator(".lcn-explore").all():
        count = 0
        picture = box.locator("figure")
        for slider in box.locator(".noUi-handle").all():
            slider.focus()
            changes(lab, picture, "a slider", "ArrowRight", "ArrowLeft")
            count += 1
        # JupyterLab takes some keys from these two, so they are clicked.
        for button in box.locator(".widget-toggle-button:not(.mod-active)").all():
            changes(lab, picture, "a button", button.click)
            count += 1
        for menu in box.locator("select").all():
            other = (menu.evaluate("e => e.selectedIndex") + 1) % menu.locator("option").count()
            changes(lab, picture, "a menu", functools.partial(menu.select_option, index=other))
            count += 1
        assert count
    for box in page.locator(".jp-OutputArea-output .lcn-touch").all():
        handles = box.locator("[role=slider]:visible")
        for handle in handles.all() if handles.count() else box.locator("select").all():
            if handle.is_visible():  # the partner of a root may have gone
                handle.focus()
                changes(lab, box, "a handle", "ArrowDown", "ArrowLeft", "ArrowUp")


def runs_as_stored(lab, stored):
    """Run the open notebook; each cell says what it says in `stored`, the book's cells."""
    assert lab.page.evaluate(RUN_CELLS)
    lab.page.wait_for_function(IDLE)
    ran = lab.page.evaluate(CODE)
    assert [c["count"] for c in ran] == list(range(1, len(stored) + 1))
    for before, after in zip(stored, ran):
        assert printed(after["outputs"]) == printed(before.outputs), after["source"]


@pytest.mark.parametrize("stem", PAGES)
def test_reads_and_runs_in_jupyterlab(lab, stem):
    download, copy = f"downloads/{stem}.ipynb", f"copies/{stem}.ipynb"
    lab.open(download)
    given = reads_well(lab, download)
    assert not lab.errors
    lab.open(copy, keep=True)
    cells = reads_well(lab, copy)
    assert [c.source for c in given if c.id != "install"] == [c.source for c in cells]
    stored = [c for c in BOOK.cells(stem) if c.cell_type == "code"]
    if stored and stem in RUN:
        runs_as_stored(lab, stored)
        move_everything(lab, sum(len(WIDGET.findall(c.source)) for c in stored))
    assert not lab.errors


def test_faults_are_seen(lab):
    v4 = nbformat.v4
    for text in (r"A macro $\undefinedmacro$", "A role {doc}`there`", ":::{note}\nwords\n:::",
                 "A label\n:label: it", r"A macro \norm{x} without dollars"):
        nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell(text)], metadata=translate.HEAD),
                       lab.folder / "fault.ipynb")
        lab.open("fault.ipynb")
        with pytest.raises(AssertionError):
            reads_well(lab, "fault.ipynb")
    printed = v4.new_output("stream", text="2\n")
    cell = v4.new_code_cell("print(1 + 2)", outputs=[printed])
    nbformat.write(v4.new_notebook(cells=[cell], metadata=translate.HEAD),
                   lab.folder / "fault.ipynb")
    lab.open("fault.ipynb")
    with pytest.raises(AssertionError, match="print"):
        runs_as_stored(lab, [cell])


def test_what_is_dragged_is_in_python(lab):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=translate.HEAD),
                   lab.folder / "it.ipynb")
    lab.open("it.ipynb")
    page = lab.page
    cells = page.locator(".jp-CodeCell")
    expect(cells).to_have_count(len(CELLS), timeout=PATIENCE)

    def run(n):
        cells.nth(n).locator(".jp-InputArea-editor").click()
        page.keyboard.press("Shift+Enter")

    start = page.locator("[role=slider][aria-label='start of v']").first
    for _ in range(PATIENCE // 15_000):  # the first key press may come before JupyterLab listens
        run(0)
        try:
            start.wait_for(timeout=15_000)
            break
        except TimeoutError:  # asked again
            continue
    start.wait_for()
    box = start.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 40, steps=4)
    page.mouse.up()
    told = start.get_attribute("aria-valuetext")
    assert told != "(1.50, 0.50)"
    want = told.strip("()").replace("−", "-").split(", ")
    output = cells.nth(1).locator(".jp-OutputArea-output")
    for _ in range(30):  # the picture tells Python when a drag has ended
        page.wait_for_timeout(1000)
        run(1)
        output.wait_for()
        dragged = [f"{float(x):.2f}" for x in output.inner_text().strip("[]\n ").split(",")]
        if dragged == want:
            break
    assert dragged == want
    run(2)
    expect(page.locator(".lcn-caption").first).to_contain_text("δ = 2.0", timeout=PATIENCE)
