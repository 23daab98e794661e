"""What every chapter owes its reader: its form, and numbers in words that the code has computed."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "book").glob("[0-9]*.ipynb"))
# Chapters of the first edition that have not been brought into this form yet.
UNFINISHED = {
    "appendix_metrics", "index",
}
NUMBER = re.compile(  # not an exponent, nor a part of a name; thousands may be set apart
    r"(?<![\w.^\\/-])(?<!\^\{)(?<!\^\{-)\d+(?:[\u00a0\u202f ,{}]+\d{3}(?!\d))*(?:\.\d+)?(?![\w^])")
POWER = re.compile(r"(\d+(?:\.\d+)?) *\\cdot *10\^\{?(-?\d+)\}?")
LITERAL = re.compile(r"(?<![\w.])\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?|\.\d+")


def parts(nb, kind):
    return [c for c in nb.cells if c.cell_type == kind]


def printed(cells):
    """All that the cells print or show as text."""
    out = []
    for cell in cells:
        for output in cell.get("outputs", []):
            out.append(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(out)


def values(text):
    """The numbers in a text that code wrote, as floats; signs do not count."""
    return {abs(float(x.replace("_", ""))) for x in LITERAL.findall(text) if x.strip("_")}


def prose(source):
    """The words of a markdown cell: without code, labels, roles, links and directive heads."""
    source = re.sub(r"<!--.*?-->", " ", source, flags=re.S)
    source = re.sub(r"\{cite[:\w]*\}`[^`]*`|\{[\w:-]+\}`[^`]*`", " ", source)
    source = re.sub(r"^ *:[\w-]+:.*$|^\([\w-]+\)=$|\$\$ *\([\w-]+\)", " ", source, flags=re.M)
    source = re.sub(r"^```python.*?^```|`[^`\n]+`|\]\([^)]*\)", " ", source, flags=re.M | re.S)
    return re.sub(r"arXiv:[\d.v]+", " ", source)


def exempt(source):
    """Numbers from elsewhere: ``<!-- cited: 1998 -->`` beside the sentence that cites them."""
    return {float(x) for c in re.findall(r"<!-- *cited:(.*?)-->", source, re.S) for x in c.split()}


def shown(text):
    """The numbers of a text for readers, as (what is written, value, decimals)."""
    for found in POWER.finditer(text):  # 2.2\\cdot10^{-16}
        exponent = int(found[2])
        yield found[0], float(f"{found[1]}e{exponent}"), len(found[1].partition(".")[2]) - exponent
    for found in NUMBER.finditer(POWER.sub(" ", text)):
        digits = re.sub(r"[^\d.]", "", found[0])
        yield found[0], float(digits), len(digits.partition(".")[2])


def agrees(value, decimals, known):
    """Whether a number that the code knows is `value` to the digits shown, or as a percentage."""
    half = 0.5000001 * 10.0**-decimals
    return any(abs(k - value) <= half if decimals else k == value or round(k) == value
               for k in known) or any(abs(100 * k - value) <= half for k in known if k <= 1)


def strays(text, known, every=False):
    """Numbers in `text` that the code does not know; small integers only count when `every`."""
    for word, value, decimals in shown(text):
        if (every or decimals or value >= 100) and not agrees(value, decimals, known):
            yield word


def texts(nb):
    """(where, text) of everything that a reader reads and that is not printed by code."""
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            yield f"cell {i}", prose(cell.source)
        figure = cell.metadata.get("mystnb", {})
        yield f"caption of cell {i}", figure.get("figure", {}).get("caption", "")
        yield f"alt text of cell {i}", figure.get("image", {}).get("alt", "")


def unknown(nb):
    """Numbers in words, captions and alt texts that no output and no code of the notebook holds."""
    code = parts(nb, "code")
    known = values(printed(code)) | values("\n".join(c.source for c in code))
    known |= {x for c in parts(nb, "markdown") for x in exempt(c.source)}
    return [f"{where}: {word}" for where, text in texts(nb) for word in strays(text, known)]


def solutions(nb):
    """The code cells of each exercise's solution, by its label."""
    out, label = {}, None
    for cell in nb.cells:
        if cell.cell_type == "code":
            if label:
                out[label].append(cell)
            continue
        marks = re.findall(r"\{solution-start\} *([\w-]+)|\{(solution-end)\}", cell.source)
        for start, end in marks:
            label = None if end else start
            if start:
                out[start] = []
    return out


def wrong_check_values(nb):
    """Check values of exercises that their executed solutions do not print."""
    solved = solutions(nb)
    for cell in parts(nb, "markdown"):
        for body in re.findall(r"^```\{exercise\}(.*?)^```", cell.source, re.S | re.M):
            label = re.search(r":label: *([\w-]+)", body)[1]
            value = re.search(r"\*Check values?:\*(.*)", body, re.S)
            if value is None:
                yield f"{label}: has no check value"
            elif label not in solved:
                yield f"{label}: has no solution"
            else:
                known = values(printed(solved[label])) | exempt(body)
                yield from (f"{label}: {w}" for w in strays(prose(value[1]), known, every=True))


def faults(nb):
    """What the chapter lacks of the form that CONTRIBUTING.md describes."""
    text = "\n".join(c.source for c in parts(nb, "markdown"))
    for what, least in [(r"\{admonition\} In this chapter", 1), (r"Reading time", 1),
                        (r":class: predict", 2), (r":class: running", 1), (r"```\{exercise\}", 7),
                        (r"^## What this buys you", 1), (r"^## Summary", 1), (r"\{term\}", 1)]:
        if len(re.findall(what, text, re.M)) < least:
            yield f"expected {what} at least {least} times"
    for proof in re.findall(r"^(`{3,})\{prf:proof\}(.*?)^\1", text, re.S | re.M):
        lines = [x for x in proof[1].split("\n") if x.strip() and not x.startswith(":")]
        if len(lines) > 8 and not (":class: dropdown" in proof[1] and "**Idea.**" in proof[1]):
            yield f"a proof of {len(lines)} lines neither folds nor opens with its idea: {lines[0]}"
    if re.search(r"kernel of \$?\\?(dd)?d?\\?mu", text):
        yield "null space, not kernel, of dmu"


def long_cells(nb):
    """Code cells that are no pleasure to read."""
    for i, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        lines = cell.source.split("\n")
        if len(lines) > 15:
            yield f"cell {i}: {len(lines)} lines of code"
        if max(map(len, lines)) > 76:
            yield f"cell {i}: a line of {max(map(len, lines))} characters"
        if re.search(r"# *(fmt|noqa|ruff)", cell.source):
            yield f"cell {i}: a linter comment"
        if re.search(r"\b(True|False)\b", printed([cell])):
            yield f"cell {i}: prints True in place of a number"


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", [p for p in CHAPTERS if p.stem not in UNFINISHED],
                         ids=lambda p: p.stem)
def test_form_of_the_chapter(path):
    assert not list(faults(read(path)))


@pytest.mark.parametrize("path", [p for p in sorted((ROOT / "book").glob("*.ipynb"))
                                  if p.stem not in UNFINISHED], ids=lambda p: p.stem)
def test_code_cells_are_short(path):
    assert not list(long_cells(read(path)))


@pytest.mark.parametrize("path", [p for p in CHAPTERS if p.stem not in UNFINISHED],
                         ids=lambda p: p.stem)
def test_numbers_in_words_come_from_code(path):
    nb = read(path)
    assert not unknown(nb)
    assert not list(wrong_check_values(nb))


def planted(markdown="", caption="", alt="", check="0.25"):
    cell = nbformat.v4.new_code_cell("x = 3", outputs=[
        nbformat.v4.new_output("stream", text="rate 1.2345, count 238\n")])
    figure = nbformat.v4.new_code_cell("plt.show()", metadata={"mystnb": {
        "figure": {"caption": caption}, "image": {"alt": alt}}})
    exercise = nbformat.v4.new_markdown_cell(
        f"```{{exercise}} A\n:label: ex-a\n\nDo. *Check value:* {check}.\n```\n\n"
        "```{solution-start} ex-a\n```")
    solution = nbformat.v4.new_code_cell("y", outputs=[
        nbformat.v4.new_output("stream", text="0.2500 and 7\n")])
    end = nbformat.v4.new_markdown_cell("```{solution-end}\n```")
    return nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_markdown_cell(markdown), cell, figure, exercise, solution, end])


@pytest.mark.parametrize("right", [
    {"markdown": "The rate is $1.23$, and 238 starts do so."}, {"caption": "Rate 1.235."},
    {"alt": "238 dots."}, {"check": "0.25 and 7"}, {"check": "$0.2500$"},
    {"markdown": "As in {cite}`a2020` and `seed=2781`; see $10^{-12}$, 2 of 3."},
])
def test_right_numbers_pass(right):
    nb = planted(**right)
    assert not unknown(nb) and not list(wrong_check_values(nb))


@pytest.mark.parametrize("wrong", [
    {"markdown": "The rate is $1.24$."}, {"markdown": "239 starts do so."},
    {"caption": "Rate 1.236."}, {"alt": "237 dots."}, {"check": "0.26"}, {"check": "0.25 and 8"},
])
def test_a_planted_wrong_number_is_found(wrong):
    nb = planted(**wrong)
    assert unknown(nb) or list(wrong_check_values(nb))
