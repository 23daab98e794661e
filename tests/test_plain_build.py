"""``jupyter-book build .`` by itself, in a fresh copy of what is committed: MathJax comes along."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOC = """\
format: jb-book
root: book/index
chapters:
  - file: book/notation
  - file: book/toolbox
"""

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone: what is committed?")


def build(source, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith("LCN_BOOK")}
    return subprocess.run([Path(sys.executable).with_name("jupyter-book"), "build", "."],
                          cwd=source, capture_output=True, text=True, env={**env, **environment})


@pytest.fixture
def clone(tmp_path):
    """What git tracks or would add; its table of contents has three pages."""
    tracked = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT,
                             check=True, capture_output=True, text=True).stdout
    source = tmp_path / "book"
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    (source / "_toc.yml").write_text(TOC)
    config = source / "_config.yml"
    text, count = re.subn("execute_notebooks: .*", "execute_notebooks: off", config.read_text())
    assert count == 1 and not (source / "assets" / "vendor").exists()
    config.write_text(text)
    return source


def test_a_plain_build_serves_its_own_mathjax(clone):
    if not shutil.which("npm"):
        pytest.skip("no npm on this machine")
    if subprocess.run(["npm", "ping"], cwd=clone, capture_output=True).returncode:
        pytest.skip("npm does not reach its registry")
    done = build(clone)
    assert not done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    html = clone / "_build" / "html"
    assert (html / "_static/vendor/mathjax/tex-chtml.js").stat().st_size > 100_000
    assert list((html / "_static/vendor/mathjax").rglob("*.woff"))
    page = (html / "book" / "notation.html").read_text(encoding="utf-8")
    assert 'src="../_static/vendor/mathjax/tex-chtml.js' in page
    assert not re.search(r'<script[^>]* src="https?:', page)
