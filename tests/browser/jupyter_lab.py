"""JupyterLab in a browser: opens notebooks, reads them, runs them and moves what is in them."""

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
WIDGET = re.compile(r"^(?:explore|touch)\(|= touch\(", re.M)
PATIENCE = 180_000
SETTINGS = {
    # Cells out of sight are drawn too, and nothing is saved.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
}
# The widget manager asks a notebook for its kernel as soon as it is ready, also one that is opened
# without a kernel, or has been closed meanwhile.
NO_KERNEL = ("Cannot read properties of null (reading 'kernel')",
             "@jupyter-widgets/jupyterlab-manager")
CLOSE = """async () => {
  for (const old of [...jupyterapp.shell.widgets("main")].filter(w => w.context)) {
    await old.sessionContext.shutdown();
    old.context.model.dirty = false;
    old.dispose();
  }
}"""
# Its kernel, if it is to have one, starts while its text is drawn.
OPEN = """async ({path, kernel}) => {
  const shown = await jupyterapp.commands.execute("docmanager:open", {
    path, factory: "Notebook", kernelPreference: kernel ? {} : {shouldStart: false}});
  await shown.context.ready;
  await shown.revealed;
}"""
# What the notebook holds is forgotten, so that what is seen afterwards has been printed.
RUN_CELLS = """async () => {
  const shown = jupyterapp.shell.currentWidget, all = shown.content.model.cells;
  await shown.sessionContext.ready;
  for (let i = 0; i < all.length; i++) if (all.get(i).type === "code") all.get(i).clearExecution();
  return jupyterapp.commands.execute("notebook:run-all-cells");
}"""
# Each text is drawn, with as many formulas as it has, and so are the pictures.
DRAWN = """formulas => {
  const all = [...document.querySelectorAll(".jp-MarkdownCell .jp-RenderedMarkdown")];
  return all.length === formulas.length
    && all.every((e, i) => e.childElementCount
                 && e.getElementsByTagName("mjx-container").length === formulas[i])
    && [...document.querySelectorAll(".jp-OutputArea-output img")].every(e => e.complete);
}"""
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
    empty: text.flatMap((t, i) => all[i].childElementCount ? [] : [i]),
    formulas: all.map(e => e.getElementsByTagName("mjx-container").length),
    raw: text.filter(t => /\\{[\\w:-]+\\}(?:`|$)|:::|```|\\$|<\\w+|^:\\w+:|\\\\[a-z]{2}/m.test(t)),
    red: [...document.querySelectorAll("mjx-container [style*=color], mjx-merror")].filter(red)
      .map(e => e.outerHTML),
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
# What a widget shows: the drawing and its caption, without handles and what is only spoken.
PICTURE = """box => [...box.querySelectorAll(
  ":scope figure, .lcn-panels svg, .lcn-caption")].map(e => e.innerHTML).join("")"""
REMEMBER = f"box => {{ box.before = ({PICTURE})(box); }}"
CHANGED = f"box => ({PICTURE})(box) !== box.before"
PLACE = """e => [e.getAttribute("aria-valuetext"), e.getAttribute("style"), e.value].join()"""
FRAMES = "() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"


class Lab:
    """JupyterLab in a browser, and what it complains of."""

    def __init__(self, chromium, address, folder):
        self.folder, self.errors, self.patience = folder, [], PATIENCE
        self.page = chromium.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", self.complain)
        self.page.on("console", lambda m: self.errors.append(f"{m.text} {m.location}")
                     if m.type == "error" else None)
        self.page.goto(address)
        self.page.wait_for_function("window.jupyterapp?.started")
        self.page.evaluate("() => jupyterapp.restored")

    def complain(self, error):
        if error.message != NO_KERNEL[0] or NO_KERNEL[1] not in error.stack:
            self.errors.append(str(error))

    def open(self, path, kernel=True):
        """Open a notebook in place of the one that is open, to run it or only to read it."""
        self.close()
        self.page.evaluate(OPEN, {"path": path, "kernel": kernel})

    def close(self):
        """Close what is open; what is said of the kernel that has ended is no fault."""
        self.page.evaluate(CLOSE)
        self.errors.clear()

    def waits(self, condition, arg=None):
        """Whether the condition comes true within the limit; how it failed is seen elsewhere."""
        try:
            self.page.wait_for_function(condition, arg=arg, polling=50, timeout=self.patience)
        except TimeoutError:  # the caller's assertions say more
            return False
        return True


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
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:  # it may wait forever for a kernel that has gone
                server.kill()
                server.wait()


@pytest.fixture(scope="session", name="lab")
def lab_fixture(chromium, server):
    lab = Lab(chromium, *server)
    yield lab
    lab.close()
    lab.page.close()


def formulas(cell):
    """How many formulas a reader has to see."""
    return sum(not found[1] for found in translate.CODE_OR_MATH.finditer(cell.source))


def reads_well(lab, path):
    """Wait until all text of the open notebook is drawn, and look at it."""
    cells = nbformat.read(lab.folder / path, as_version=4).cells
    mathematics = [formulas(c) for c in cells if c.cell_type == "markdown"]
    lab.waits(DRAWN, mathematics)
    seen = lab.page.evaluate(SEEN)
    assert not seen["raw"]
    assert not seen["red"]
    assert not seen["empty"]
    assert seen["formulas"] == mathematics
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


def runs_as_stored(lab, stored):
    """Run the open notebook; each cell says what it says in `stored`, the book's cells."""
    assert lab.page.evaluate(RUN_CELLS)
    lab.waits(IDLE)
    ran = lab.page.evaluate(CODE)
    assert [c["count"] for c in ran] == list(range(1, len(stored) + 1))
    for before, after in zip(stored, ran):
        assert printed(after["outputs"]) == printed(before.outputs), after["source"]


def follows(lab, box, what, act):
    """Do something to a widget, and wait until its picture is another one."""
    box.evaluate(REMEMBER)
    act()
    assert lab.waits(CHANGED, box.element_handle()), f"{what} changes nothing"


def pressed(lab, handle, *keys):
    """Press the first of the keys that moves the handle: at its end it has one way only.

    JupyterLab may still be taking the focus for itself, so they are pressed again.
    """
    for key in keys * 10:
        handle.focus()
        before = handle.evaluate(PLACE)
        lab.page.keyboard.press(key)
        lab.page.evaluate(FRAMES)  # until it is drawn
        if handle.evaluate(PLACE) != before:
            return
    raise AssertionError(f"{keys} do not move {handle}")


def move_everything(lab, widgets):
    """Move each handle of each of the widgets, so many: its picture follows."""
    page = lab.page
    pictures = page.locator(".lcn-explore figure svg:first-child, .lcn-touch")
    expect(pictures).to_have_count(widgets, timeout=PATIENCE)
    for box in page.locator(".lcn-explore").all():
        count = 0
        for slider in box.locator(".noUi-handle").all():
            follows(lab, box, "a slider",
                    lambda slider=slider: pressed(lab, slider, "ArrowRight", "ArrowLeft"))
            count += 1
        # JupyterLab takes some keys from these two, so they are clicked.
        for button in box.locator(".widget-toggle-button:not(.mod-active)").all():
            follows(lab, box, "a button", button.click)
            count += 1
        for menu in box.locator("select").all():
            other = (menu.evaluate("e => e.selectedIndex") + 1) % menu.locator("option").count()
            follows(lab, box, "a menu",
                    lambda menu=menu, other=other: menu.select_option(index=other))
            count += 1
        assert count
    for box in page.locator(".jp-OutputArea-output .lcn-touch").all():
        handles = box.locator("[role=slider]:visible, input[type=range]:visible")
        for handle in handles.all() if handles.count() else box.locator("select").all():
            if handle.is_visible():  # the partner of a root may have gone
                follows(lab, box, "a handle", lambda handle=handle: pressed(
                    lab, handle, "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowRight"))


def reads_and_runs(lab, stem):
    """A chapter's download reads well and runs, and its widgets move; its copy has its cells."""
    path = f"downloads/{stem}.ipynb"
    stored = [c for c in BOOK.cells(stem) if c.cell_type == "code"]
    lab.open(path, kernel=bool(stored))
    cells = reads_well(lab, path)
    first = [c for c in cells if c.id == "install"]
    copy = nbformat.read(lab.folder / f"copies/{stem}.ipynb", as_version=4).cells
    assert [c.source for c in cells] == [c.source for c in first + copy]
    if stored:
        widgets = sum(len(WIDGET.findall(c.source)) for c in stored)
        assert widgets, "no picture to move"
        runs_as_stored(lab, [c for c in first if c.cell_type == "code"] + stored)
        move_everything(lab, widgets)
    assert not lab.errors
