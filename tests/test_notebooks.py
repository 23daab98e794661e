"""What is committed in book/: executed, clean, and with every number open to comparison."""

import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import notebooks  # noqa: E402

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_committed_notebook_is_clean(path):
    assert not notebooks.check(path)


def test_every_page_is_in_the_table_of_contents():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    pages = [p for p in (ROOT / "book").iterdir() if p.suffix in (".ipynb", ".md")]
    assert not [p.name for p in pages if f"book/{p.stem}" not in toc.split()]


def cell(source, *outputs, **metadata):
    made = nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)
    made.execution_count = 7
    return made


def book(*cells):
    return nbformat.v4.new_notebook(cells=list(cells), metadata={"widgets": {"state": "heavy"}})


PRINT = nbformat.v4.new_output("stream", text="1.0\n")
PICTURE = nbformat.v4.new_output(
    "display_data", {"image/svg+xml": "<svg/>", "text/plain": "<Figure>"}
)
WIDGET = nbformat.v4.new_output("execute_result", {notebooks.WIDGET: {}, "text/plain": "VBox()"})


@pytest.mark.parametrize("output", [PICTURE, WIDGET], ids=["picture", "widget"])
def test_pictures_and_widgets_leave_the_file_but_still_run(output):
    nb = notebooks.cleaned(book(cell("plt.show()", output)))
    assert nb.cells[0].outputs == []
    assert nb.cells[0].metadata.tags == [notebooks.TAG]
    assert nb.cells[0].execution_count == 1
    assert "widgets" not in nb.metadata
    assert notebooks.cleaned(nb) == nb
    assert not list(notebooks.problems(nb))


def test_printed_numbers_stay_compared():
    nb = notebooks.cleaned(book(cell("print(x)", PRINT, tags=[notebooks.TAG])))
    assert nb.cells[0].outputs == [PRINT]
    assert "tags" not in nb.cells[0].metadata


def test_ids_depend_on_the_source_only():
    first, second = (notebooks.cleaned(book(cell("a"), cell("a"), cell("b"))) for _ in range(2))
    assert [c.id for c in first.cells] == [c.id for c in second.cells]
    assert len({c.id for c in first.cells}) == 3


@pytest.mark.parametrize(("made", "problem"), [
    (cell("print(1); plt.show()", PRINT, PICTURE), "make it two cells"),
    (cell("x = 1/0", nbformat.v4.new_output("error", ename="E", evalue="v")), "ended in an error"),
    (cell("f()", nbformat.v4.new_output("stream", name="stderr", text="w")), "wrote a warning"),
    (cell("print(1)", tags=[notebooks.TAG]), "is not compared"),
    (nbformat.v4.new_code_cell("x"), "has not been executed"),
])  # fmt: skip
def test_what_must_not_be_committed_is_named(made, problem):
    assert any(problem in found for found in notebooks.problems(book(made)))
