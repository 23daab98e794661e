"""What the book's extensions mend in other programs."""

import sys
from pathlib import Path

from docutils import nodes
from docutils.utils import new_document
from nbformat.v4 import new_output

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ext"))
import book_fixes


def test_printed_lines_stay_whole_wherever_the_kernel_cut_them():
    parts = ["a: 1", " b: 2\n\n", "  c: 3\n"]
    outputs = [new_output("stream", name="stdout", text=part) for part in parts]
    outputs.insert(1, new_output("display_data", data={"text/plain": "picture"}))
    found = book_fixes.whole_lines(outputs)
    assert [o["text"] for o in found if o["output_type"] == "stream"] == ["a: 1 b: 2\n\n  c: 3\n"]
    assert len(found) == 2


def test_a_folded_proof_has_a_title_for_its_button():
    page = new_document("page")
    for kind in (["proof", "proof", "dropdown"], ["proof", "proof"]):
        words = nodes.paragraph("", "", nodes.Text("Proof. "), nodes.strong("", "Idea."))
        page += nodes.admonition("", words, classes=kind, ids=["proof"])
    book_fixes.fold_proofs(None, page)
    folded, open_ = page.children
    assert isinstance(folded[0], nodes.title) and folded.astext() == "Proof\n\nIdea."
    assert open_.astext() == "Proof. Idea."
    assert not folded["ids"] and not open_["ids"]
