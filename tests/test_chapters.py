"""What every chapter owes its reader: its form, and numbers in words that the code has computed."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
# The form of a chapter is not that of the landing page, the map and the appendices.
CHAPTERS = [p for p in NOTEBOOKS if p.stem[0].isdigit()]
# Parts that speak of all of the chapter; elsewhere a number stands near its computation.
EVERYWHERE = re.compile("What this buys you|Summary")
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


def agrees(value, decimals, known, percent=False):
    """Whether a number that the code knows is `value` to the digits shown, or as a percentage."""
    half = 0.5000001 * 10.0**-decimals
    known = known | {100 * k for k in known} if percent else known
    return any(abs(k - value) <= half if decimals else k == value or round(k) == value
               for k in known)


def strays(text, near, all_known=frozenset(), every=False):
    """Numbers in `text` that the code does not know; small integers only count when `every`.

    One or two digits agree by chance with something; so they must agree with what is near.
    """
    for word, value, decimals in shown(text):
        known = all_known | near if len(re.sub(r"\D|^[0.]+", "", word)) > 2 else near
        percent = re.search(re.escape(word) + r"\$?(\\?%| *percent)", text)
        if (every or decimals or value >= 100) and not agrees(value, decimals, known, percent):
            yield word


def constants(cells, kind):
    """The literals of one kind in the cells' code."""
    for cell in cells:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Constant) and type(node.value) in kind:
                yield node.value


def texts(nb):
    """(section, where, text) of everything that a reader reads and that is not printed by code."""
    section = 0
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            for part in re.split(r"^(?=##? )", cell.source, flags=re.M):
                section += bool(re.match("##? ", part))
                whole = EVERYWHERE.match(part.removeprefix("## "))
                yield None if whole else section, f"cell {i}", prose(part)
            continue
        figure = cell.metadata.get("mystnb", {})
        yield section, f"caption of cell {i}", figure.get("figure", {}).get("caption", "")
        yield section, f"alt text of cell {i}", figure.get("image", {}).get("alt", "")
        # What widgets say: any string of several words.
        for words in constants([cell], (str,)):
            yield section, f"words in the code of cell {i}", words if " " in words else ""


def sections(nb):
    """The code cells of each section, by the number that `texts` gives it."""
    out, section = {}, 0
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            section += len(re.findall(r"^##? ", cell.source, re.M))
        else:
            out.setdefault(section, []).append(cell)
    return out


def unknown(nb):
    """Numbers in words, captions and alt texts that no output and no code near them holds.

    The chapter's opening and its summary may use every cell, other parts those of their section.
    """
    code, near = parts(nb, "code"), sections(nb)
    cited = {x for c in parts(nb, "markdown") for x in exempt(c.source)}
    known = {}
    for section in [None, *range(len(nb.cells) + 1)]:
        cells = code if section in (None, 0, 1) else near.get(section, [])
        numbers = {abs(float(x)) for x in constants(cells, (int, float))}
        known[section] = cited | values(printed(cells)) | numbers
    return [f"{where}: {word}" for section, where, text in texts(nb)
            for word in strays(text, known[section], known[None])]


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


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_form_of_the_chapter(path):
    assert not list(faults(read(path)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_code_cells_are_short(path):
    assert not list(long_cells(read(path)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_numbers_in_words_come_from_code(path):
    nb = read(path)
    assert not unknown(nb)
    assert not list(wrong_check_values(nb))


def planted(markdown="", caption="", alt="", check="0.25", words=""):
    cell = nbformat.v4.new_code_cell(f"x = 3, {words!r}", outputs=[
        nbformat.v4.new_output("stream", text="rate 1.2345, count 238, share 0.247\n")])
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
    {"markdown": "It takes 24.7 percent."}, {"words": "The curve ends at 1.23."},
    {"markdown": "As in {cite}`a2020` and `seed=2781`; see $10^{-12}$, 2 of 3."},
])
def test_right_numbers_pass(right):
    nb = planted(**right)
    assert not unknown(nb) and not list(wrong_check_values(nb))


@pytest.mark.parametrize("wrong", [
    {"markdown": "The rate is $1.24$."}, {"markdown": "239 starts do so."},
    {"caption": "Rate 1.236."}, {"alt": "237 dots."}, {"check": "0.26"}, {"check": "0.25 and 8"},
    {"markdown": "It takes 24.8 percent."}, {"markdown": "It takes 24.7."},
    {"words": "The curve ends at 1.24."},
])
def test_a_planted_wrong_number_is_found(wrong):
    nb = planted(**wrong)
    assert unknown(nb) or list(wrong_check_values(nb))


def altered(text):
    """The text with another second digit in its first number of three digits or more, or None."""
    for word, _, _ in shown(text):
        if re.fullmatch(r"\d*\.?\d+", word) and len(re.sub(r"\D|^[0.]+", "", word)) > 2:
            wrong = re.sub(r"([1-9]\D*)(\d)",
                           lambda m: f"{m[1]}{(int(m[2]) + 3) % 10}", word, count=1)
            return text.replace(word, wrong, 1)


@pytest.mark.parametrize("kind", ["prose", "caption", "alt text", "check value"])
def test_a_wrong_number_in_the_book_is_found(kind):
    for path in CHAPTERS[::3]:
        nb = read(path)
        for cell in nb.cells:
            figure = cell.metadata.get("mystnb", {})
            place, key = {"caption": (figure.get("figure", {}), "caption"),
                          "alt text": (figure.get("image", {}), "alt")}.get(kind, (cell, "source"))
            text, head = place.get(key, ""), ""
            if kind == "check value":
                head, _, text = text.partition("*Check value:*")
            elif kind == "prose" and (cell.cell_type == "code" or "exercise}" in text):
                continue
            if wrong := altered(text):
                place[key] = f"{head}*Check value:*{wrong}" if head else wrong
                assert unknown(nb) or list(wrong_check_values(nb)), f"{path.stem}: {wrong}"
                break
