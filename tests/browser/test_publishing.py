"""Cards, sitemap and links to the repository: without one, as here, and with one."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import urljoin

import nbformat
import pytest
import yaml
from browser import serve, settled
from bs4 import BeautifulSoup
from IPython.core.inputtransformer2 import TransformerManager
from PIL import Image
from test_pages import nothing_for_axe

ROOT = Path(__file__).resolve().parents[2]
RELEASE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
LAUNCH = ("mybinder.org", "colab.research.google.com", "/issues/new", "/edit/")
ADDRESS = "https://anna.github.io/book/"


@functools.cache
def parsed(path):
    """A page to look at, not to change; read once for all tests."""
    # Reading drawings takes most of the time; nothing links to or from their insides.
    text = re.sub(r"<svg.*?</svg>", "", path.read_text(encoding="utf-8"), flags=re.S)
    return BeautifulSoup(text, "html.parser")


def links(soup):
    return [a["href"] for a in soup.select("a[href]")]


def card(soup):
    return {m["property"]: m["content"] for m in soup.select("meta[property]")}


def places(html):
    root = ET.parse(html / "sitemap.xml").getroot()
    return [loc.text for loc in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A small book of the same configuration, with the address of a repository, and live."""
    source = tmp_path_factory.mktemp("published")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["repository"]["url"] = "https://github.com/anna/book/"
    config["execute"]["execute_notebooks"] = "off"
    (source / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (source / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters: [{file: book/01_x}]\n")
    for name in ("ext", "assets", "tools"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", source)
    (source / "book").mkdir()
    (source / "book" / "references.bib").touch()
    (source / "book" / "index.md").write_text("# Start\n\nSome words.\n")
    nbformat.write(nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"},
                  "language_info": {"name": "python"}},
        cells=[nbformat.v4.new_markdown_cell("# A chapter"), nbformat.v4.new_code_cell("1 + 1")],
    ), source / "book" / "01_x.ipynb")
    done = subprocess.run([Path(sys.executable).with_name("jupyter-book"), "build", source, "-W",
                           "--keep-going"], capture_output=True, text=True,
                          env={**os.environ, "LCN_BOOK_LIVE": "1"})
    assert not done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    return source / "_build" / "html"


def test_without_a_repository_no_link_leads_astray(html, pages):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    if config["repository"]["url"]:
        pytest.skip("this book has a repository")
    found = [(p, link) for p in pages for link in links(parsed(html / p))
             if any(word in link for word in LAUNCH)]
    assert not found


def test_a_repository_brings_the_links(published):
    found = links(parsed(published / "book" / "01_x.html"))
    for link in ("https://mybinder.org/v2/gh/anna/book/main?urlpath=lab/tree/notebooks/01_x.ipynb",
                 "https://colab.research.google.com/github/anna/book/blob/gh-pages/_sources/book/"
                 "01_x.ipynb",
                 "https://github.com/anna/book",
                 "https://github.com/anna/book/edit/main/book/01_x.ipynb",
                 "../_sources/book/01_x.ipynb"):
        assert link in found
    assert any(link.startswith("https://github.com/anna/book/issues/new?title=") for link in found)
    front = links(parsed(published / "book" / "index.html"))
    assert not [link for link in front if "mybinder" in link or "colab" in link]


def test_downloaded_and_colab_notebook_installs_the_release_first(published):
    book = nbformat.read(published / "_sources" / "book" / "01_x.ipynb", as_version=4)
    nbformat.validate(book)
    first, *rest = book.cells
    assert f'%pip install --quiet "lcnlib @ git+https://github.com/anna/book@v{RELEASE}"' \
        in first.source
    assert rest[0].source.startswith("# A chapter") and rest[-1].source == "1 + 1"
    code = TransformerManager().transform_cell(first.source)
    asked = []

    class Shell:
        def run_line_magic(self, *args):
            asked.append(args)

    exec(compile(code, "first cell", "exec"), {"get_ipython": Shell})
    assert not asked  # lcnlib is here
    missing = code.replace("import lcnlib", "import a_library_that_is_missing")
    exec(compile(missing, "first cell", "exec"), {"get_ipython": Shell})
    assert [name for name, _ in asked] == ["pip"]


def test_downloaded_notebooks_read_without_the_book(html):
    found = sorted(html.glob("_sources/book/*.ipynb"))
    assert len(found) >= 8
    for path in found:
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        origin = ROOT / "book" / path.name
        assert origin.exists() or origin.with_suffix(".md").exists()
        source = nbformat.read(origin, as_version=4) if origin.exists() else None
        code = [[c.source for c in b.cells if c.cell_type == "code" and c.id != "install"]
                for b in (book, source) if b]
        assert source is None or code[0] == code[1]  # a Markdown page has no code of its own
        text = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
        assert not re.findall(r"\{[\w:-]+\}`|^ *(?:```|:::)\{[\w:-]+\}.*", text, flags=re.M)


def test_buttons_of_a_published_book_pass_axe(published, chromium):
    with serve(published) as base:
        page = chromium.new_page()
        settled(page, base + "book/01_x.html")
        nothing_for_axe(page)
        for menu in page.locator(".article-header-buttons .dropdown > button").all():
            menu.click()
            assert page.locator(".dropdown-menu.show").count() == 1
            nothing_for_axe(page)
            page.keyboard.press("Escape")
        page.close()


def test_all_buttons_fit_on_a_phone(published, chromium):
    with serve(published) as base:
        page = chromium.new_page(viewport={"width": 360, "height": 800})
        settled(page, base + "book/01_x.html")
        buttons = page.locator(".bd-header-article").locator("a, button").all()
        boxes = [box for b in buttons if (box := b.bounding_box())]
        page.close()
    assert len(boxes) >= 7
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 360 for box in boxes)
    assert all(min(box["width"], box["height"]) >= 24 for box in boxes)  # a finger's


def test_every_page_has_a_card_and_is_in_the_sitemap(html, pages):
    own = [p for p in pages if p.startswith("book/")]
    found = places(html)
    assert len(found) == len(own) and all(map(str.endswith, sorted(found), sorted(own)))
    for name in own:
        soup = parsed(html / name)
        tags = card(soup)
        assert tags["og:title"] in soup.h1.text and tags["og:image:alt"]
        assert tags["og:type"] == ("website" if name == "book/index.html" else "article")
        assert 15 <= len(tags["og:description"]) <= 205
        assert tags["og:description"] == soup.find("meta", {"name": "description"})["content"]
        image = urljoin("http://here/book/", tags["og:image"])
        assert image.endswith("/_static/preview.png")
    with Image.open(html / "_static" / "preview.png") as preview:
        assert preview.size == (1200, 630)


def test_published_addresses_are_whole(published):
    assert places(published) == [ADDRESS + "book/01_x.html", ADDRESS + "book/index.html"]
    tags = card(parsed(published / "book" / "01_x.html"))
    assert tags["og:url"] == ADDRESS + "book/01_x.html"
    assert tags["og:image"] == ADDRESS + "_static/preview.png"
    assert (published / ".nojekyll").exists()
