"""The notebooks in JupyterLab: those that readers download, read and run to their last cells.

The copies that `make lab` opens have the same cells without pictures, and without the first one,
which installs.  Half of the notebooks are here, half in test_lab_others.py, so that two processes
share them.
"""

import nbformat
import pytest
from jupyter_lab import (
    PAGES,
    PATIENCE,
    lab_fixture,  # noqa: F401
    move_everything,
    reads_and_runs,
    reads_well,
    runs_as_stored,
    server,  # noqa: F401
    translate,
)
from playwright.sync_api import TimeoutError, expect

CELLS = ['from lcnlib.display import touch\n'
         'plane = touch("plane", "What to try", start=[1.5, 0.5])\nplane',
         "print(plane.start)", "plane.delta = 2.0"]
# Its picture does not follow.
STILL = """import matplotlib.pyplot as plt
from lcnlib.display import Control, explore
explore(lambda t: plt.figure(), lambda t: "still", t=Control("time", [0, 1]))"""


@pytest.mark.parametrize("stem", PAGES[::2])
def test_reads_and_runs_in_jupyterlab(lab, stem):
    reads_and_runs(lab, stem)


def test_a_copy_reads_well_too(lab):
    lab.open("copies/index.ipynb", kernel=False)
    reads_well(lab, "copies/index.ipynb")
    assert not lab.errors


def test_faults_are_seen(lab, monkeypatch):
    v4 = nbformat.v4
    for text in (r"A macro $\undefinedmacro$", "A role {doc}`there`", ":::{note}\nwords\n:::",
                 "A label\n:label: it", r"A macro \norm{x} without dollars"):
        nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell(text)], metadata=translate.HEAD),
                       lab.folder / "fault.ipynb")
        lab.open("fault.ipynb", kernel=False)
        with pytest.raises(AssertionError):
            reads_well(lab, "fault.ipynb")
    printed = v4.new_output("stream", text="2\n")
    cells = [v4.new_code_cell("print(1 + 2)", outputs=[printed]), v4.new_code_cell(STILL)]
    nbformat.write(v4.new_notebook(cells=cells, metadata=translate.HEAD),
                   lab.folder / "fault.ipynb")
    lab.open("fault.ipynb")
    with pytest.raises(AssertionError, match="print"):
        runs_as_stored(lab, cells)
    monkeypatch.setattr(lab, "patience", 3000)
    with pytest.raises(AssertionError, match="a slider changes nothing"):
        move_everything(lab, 1)


def test_what_is_dragged_is_in_python(lab):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=translate.HEAD),
                   lab.folder / "it.ipynb")
    lab.open("it.ipynb")
    page = lab.page
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.ready")
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
    expect(cells.nth(0).locator(".jp-OutputArea-output")).to_contain_text("What to try")
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
