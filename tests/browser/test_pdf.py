"""The book on paper: `make pdf`, tried on two chapters."""

import sys
from pathlib import Path

import pypdf
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import pdf  # noqa: E402

CHAPTERS = ["book/03_flow.html", "book/09_bounce.html"]


@pytest.fixture(scope="module")
def paper(html, chromium, tmp_path_factory):
    out = tmp_path_factory.mktemp("paper") / "two.pdf"
    pdf.main(html, out, *CHAPTERS, browser=chromium)
    return pypdf.PdfReader(out)


def outline(entries):
    for entry in entries:
        if isinstance(entry, list):
            yield from outline(entry)
        else:
            yield entry.title


def test_chapters_and_solutions_are_in_the_outline(paper):
    titles = list(outline(paper.outline))
    assert titles.count("Solutions") == 2
    assert "3. Gradient flow and what it conserves" in titles
    assert any("The flow in one dimension more" in t for t in titles)


def test_links_between_chapters_are_links_between_sheets(paper):
    inside = outside = 0
    for page in paper.pages:
        for note in page.get("/Annots") or []:
            note = note.get_object()
            action = note.get("/A", {})
            inside += "/Dest" in note or action.get("/S") == "/GoTo"
            outside += "127.0.0.1" in str(action.get("/URI", ""))
    assert inside > 40 and not outside


def test_what_belongs_to_screens_only_stays_there(paper):
    text = "\n".join(page.extract_text() for page in paper.pages)
    for words in ("Skip to main content", "Show code cell", "Click to", "Print to PDF"):
        assert words not in text
    assert "roots of layer 1: −2, −0.6, invariant: δ = 0" in text  # a widget as small multiples
    assert "\\frac" not in text and "\\norm" not in text
    assert "Drag it, or press" not in text  # a picture to drag is its drawing


def test_no_sheet_is_empty(paper):
    for i, page in enumerate(paper.pages, 1):
        assert len(page.extract_text()) > 60, f"sheet {i}"


def test_every_page_of_the_book_is_printed():
    listed = {f"book/{p.stem}" for p in (ROOT / "book").iterdir() if p.suffix in (".ipynb", ".md")}
    assert set(pdf.pages()) == listed


def test_the_landing_page_offers_the_printed_book_once_there_is_one(html, tmp_path):
    landing = tmp_path / "book" / "index.html"
    landing.parent.mkdir()
    text = (html / "book" / "index.html").read_text(encoding="utf-8")
    assert "book.pdf" not in text or (html / "_static" / "book.pdf").exists()
    landing.write_text(text, encoding="utf-8")
    out = tmp_path / "_static" / "book.pdf"
    out.parent.mkdir()
    out.write_bytes(b"0" * 12_000_000)
    for _ in range(2):  # printed twice, offered once
        pdf.offer(tmp_path, out)
        assert landing.read_text(encoding="utf-8").count('href="../_static/book.pdf"') == 1
    assert "(PDF, 12 MB)" in landing.read_text(encoding="utf-8")
