"""In JupyterLab a picture is a widget: Python has what is dragged, and moves the picture."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import TimeoutError, expect

CELLS = ['from lcnlib.display import touch\nplane = touch("plane", start=[1.5, 0.5])\nplane',
         "print(plane.start)", "plane.delta = 2.0"]
PATIENCE = 180_000  # milliseconds, on a busy machine


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that holds one notebook."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "it.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    env = {k: v for k, v in os.environ.items() if k != "LCN_BOOK_STATIC"} | own
    log = tmp_path / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [Path(sys.executable).with_name("jupyter"), "lab", "--no-browser", "--allow-root",
             f"--port={port}", "--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}",
             "--LabApp.news_url=None", "--LabApp.check_for_updates_class="
             "jupyterlab.NeverCheckForUpdate"],
            env=env, stdout=out, stderr=subprocess.STDOUT)
        try:
            for _ in range(PATIENCE // 500):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, log.read_text()[-3000:]
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/lab/tree/it.ipynb"
        finally:
            server.terminate()
            server.wait(60)
            shutil.rmtree(tmp_path / "RUNTIME", ignore_errors=True)


def test_what_is_dragged_is_in_python(chromium, lab):
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(lab)
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
        except TimeoutError:
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
    page.close()
