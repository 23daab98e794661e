"""The book's notebooks for Jupyter: those that readers download, that Colab and JupyterLab open.

usage: python tools/downloads.py [FOLDER]    write them to FOLDER, `notebooks` by default

They read without the book's directives (tools/translate.py).  The first cell of a downloaded one
says where lcnlib comes from, and its pictures are those of the built book, for places where nobody
runs it.  Those that `make lab` opens need no such cell, and their pictures come when they are run:
nothing has to be built first.  What a reader has changed in FOLDER is kept.
"""

import hashlib
import json
import sys
import tomllib
from pathlib import Path

import nbformat
import translate
import yaml
from jupyter_cache import get_cache

ROOT = Path(__file__).resolve().parents[1]
INSTALL = '''\
# Where the book's library is missing, on Colab for example, this installs its release.
try:
    import lcnlib
except ModuleNotFoundError:
    %pip install --quiet "lcnlib @ git+{url}@v{version}"'''
SENTENCE = """\
*This notebook needs `lcnlib`, the library of this book. In the folder of the book's source run \
`pip install . matplotlib ipywidgets anywidget`; or run `make lab` there, \
which opens all chapters.*"""


def first_cell(url):
    """The cell in front of a download: an installation, or how to do it by hand."""
    if not url:
        return nbformat.v4.new_markdown_cell(SENTENCE, id="install")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return nbformat.v4.new_code_cell(INSTALL.format(url=url, version=project["version"]),
                                     id="install")


def text(notebook):
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def executed(path, folder):
    """The notebook as the build has run it, or None: the one in git has no pictures."""
    if path.suffix != ".ipynb" or not folder.exists():
        return None
    cache = get_cache(folder)
    try:
        record = cache.match_cache_notebook(nbformat.read(path, as_version=4))
    except KeyError:  # not executed by this build
        return None
    return cache.get_cache_bundle(record.pk).nb


def main(html, source=ROOT):
    """Write the notebooks of the book in `source` over the copies that Sphinx made in `html`."""
    config = yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))
    url = (config["repository"]["url"] or "").rstrip("/").removesuffix(".git")
    book = translate.Book(source)
    for stem in filter(book.readable, book.paths):
        # Pages of Markdown have a notebook too, for the links that lead to them.
        out = html / "_sources" / "book" / f"{stem}.ipynb"
        if not written_anew(out, book.paths[stem]):
            continue
        made = book.notebook(stem, executed(book.paths[stem], html.parent / ".jupyter_cache"))
        if any(cell.cell_type == "code" for cell in made.cells):
            made.cells.insert(0, first_cell(url))
        out.write_text(text(made), encoding="utf-8")


def written_anew(out, source):
    """Whether Sphinx has copied the source of this page since the notebook was made."""
    if not out.exists():
        return True
    copy = out.with_suffix(source.suffix)
    if copy == out:
        return out.read_bytes() == source.read_bytes()
    return out.stat().st_mtime_ns <= copy.stat().st_mtime_ns


def lab(folder):
    """Write the notebooks for JupyterLab to `folder`, but not over what a reader has changed."""
    folder.mkdir(exist_ok=True)
    record = folder / ".written.json"
    written = json.loads(record.read_text()) if record.exists() else {}
    book = translate.Book()
    for stem in filter(book.readable, book.paths):
        path, new = folder / f"{stem}.ipynb", text(book.notebook(stem))
        key = hashlib.sha256(new.encode()).hexdigest()
        if path.exists():
            old = hashlib.sha256(path.read_bytes()).hexdigest()
            if old != written.get(stem, old):
                if written[stem] != key:
                    print(f"{path.name} stays as you changed it; delete it to get the new one")
                continue
        path.write_text(new, encoding="utf-8")
        written[stem] = key
        record.write_text(json.dumps(written))
    print(f"the notebooks are in {folder}; what you change there is kept")


if __name__ == "__main__":
    lab(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "notebooks").resolve())
