"""``jupyter-book build .`` by itself brings MathJax, and downloads that are plain notebooks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "ext"))

import fetch  # noqa: E402

TOC = """\
format: jb-book
root: book/index
chapters:
  - file: book/notation
  - file: book/toolbox
"""
def build(source):
    env = {k: v for k, v in os.environ.items() if not k.startswith("LCN_BOOK")}
    return subprocess.run([Path(sys.executable).with_name("jupyter-book"), "build", "."],
                          cwd=source, capture_output=True, text=True, env=env)


@pytest.fixture
def book(tmp_path, monkeypatch):
    """What `fetch` knows of a build in a folder that holds tools/vendor.py, with npm a script."""
    for folder in ("tools", "bin", *(f"node_modules/mathjax/es5/{path}" for path in (
            "output/chtml/fonts/woff-v2", "input/tex/extensions"))):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "vendor.py", tmp_path / "tools")
    (tmp_path / "package-lock.json").write_text("the lock")
    for name in ("tex-chtml.js", "output/chtml/fonts/woff-v2/a.woff", "input/tex/extensions/a.js"):
        (tmp_path / "node_modules/mathjax/es5" / name).touch()
    npm(tmp_path, "echo x >> count")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "vendor", raising=False)
    yield SimpleNamespace(srcdir=tmp_path, builder=SimpleNamespace(format="html"),
                          config=SimpleNamespace(mathjax_path="vendor/mathjax/tex-chtml.js"))
    sys.modules.pop("vendor", None)


def npm(folder, command):
    (folder / "bin" / "npm").write_text(f"#!/bin/sh\n{command}\n")
    (folder / "bin" / "npm").chmod(0o755)


def fetched(book):
    """How many times npm was called."""
    fetch.fetch(book)
    count = book.srcdir / "count"
    return count.read_text().count("x") if count.exists() else 0


def test_mathjax_is_fetched_once_for_each_lock(book):
    assert [fetched(book), fetched(book)] == [1, 1]
    (book.srcdir / "package-lock.json").write_text("another lock")
    assert [fetched(book), fetched(book)] == [2, 2]
    shutil.rmtree(book.srcdir / "node_modules")  # MathJax itself is in assets/
    assert fetched(book) == 2
    assert (book.srcdir / "assets/vendor/mathjax/tex-chtml.js").exists()


def test_nothing_is_fetched_that_no_page_asks_for(book):
    book.config.mathjax_path = "https://example.org/mathjax.js"
    assert fetched(book) == 0
    book.config.mathjax_path, book.builder.format = "vendor/mathjax.js", "latex"
    assert fetched(book) == 0


def test_what_is_there_is_used_without_the_tools(book):
    fetched(book)
    shutil.rmtree(book.srcdir / "tools")
    assert fetched(book) == 1


def test_without_tools_a_sentence_says_what_to_do(book):
    shutil.rmtree(book.srcdir / "tools")
    with pytest.raises(ExtensionError, match=r"tools/vendor\.py too: run `make book`, which"):
        fetch.fetch(book)


@pytest.mark.parametrize(("command", "said"), [
    ("exit 7", "exit status 7"), ("rm -r node_modules/mathjax/es5/input", "holds no input")])
def test_where_npm_fails_a_sentence_says_what_to_do(book, command, said):
    npm(book.srcdir, command)
    match = rf"npm could not fill it \(.*{said}.*\): run `make book`, which"
    with pytest.raises(ExtensionError, match=match):
        fetch.fetch(book)
    assert not (book.srcdir / "assets/vendor/.key").exists()


@pytest.fixture
def clone(tmp_path):
    """What git tracks or would add; its table of contents has three pages."""
    if not (ROOT / ".git").exists():
        pytest.skip("no clone: what is committed?")
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
    for stem in ("notation", "toolbox"):  # the download, as `make book` writes it
        text = (html / "_sources" / "book" / f"{stem}.ipynb").read_text(encoding="utf-8")
        assert nbformat.reads(text, as_version=4).cells and "{ref}`" not in text
