"""The book's pages for Jupyter: no directive, role or macro is left, and numbers are the pages'."""

import functools
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import downloads  # noqa: E402
import translate  # noqa: E402

BOOK = translate.Book()
LEFT = re.compile(r"\{[\w:-]+\}`|^ *(?:```|:::)\{.*|^:\w+:.*|^\([\w-]+\)=$|<!--", re.M)
TEXT = r"""(sec-here)=
# Title

```{index} word; of the index
```

:::{prf:theorem} Name with $\R$
:label: thm-a

Let $x$, see {cite}`key` and {cite:t}`two,three`.

- a list with

  $$
  \norm{x}\T = 1
  $$ (eq-a)

```{prf:proof}
:class: dropdown

By {eq}`eq-a` and {prf:ref}`thm-a`.
```
:::

```{exercise} Try
:label: ex-a

Do. <!-- cited: 1998 -->
```

```{solution-start} ex-a
:class: dropdown
```

See {doc}`other`, {ref}`there <thm-a>` and {term}`filter`, [here](sec-here).
"""
END = """```{solution-end}
```

```python
print("`{not}` a directive, $no \\norm{formula}$")
```"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two pages of a chapter each."""
    root = tmp_path_factory.mktemp("small")
    (root / "_config.yml").write_text((ROOT / "_config.yml").read_text(encoding="utf-8"))
    (root / "_toc.yml").write_text("root: book/index\nparts: [{numbered: true, chapters: "
                                   "[{file: book/here}, {file: book/there}]}]\n")
    book = root / "book"
    book.mkdir()
    (book / "references.bib").write_text(
        "@book{key, author={Ann Lee}, title={A}, year=1990}\n"
        "@book{two, author={Ann Lee and Bo van Es}, title={B}, year=1991}\n"
        "@book{three, author={A. One and B. Two and C. Three}, title={C}, year=1992}\n")
    (book / "index.md").write_text("# Start\n\nHere.\n")
    v4 = nbformat.v4
    printed = v4.new_output("stream", text="1\n2\n")
    nbformat.write(v4.new_notebook(cells=[
        v4.new_markdown_cell(TEXT), v4.new_code_cell("x = {1}", outputs=[printed]),
        v4.new_markdown_cell(END)]), book / "here.ipynb")
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell(
        "# There\n\nBy {prf:ref}`thm-a`, {eq}`eq-a`, {doc}`here`.")]), book / "there.ipynb")
    return translate.Book(root)


def test_a_page_reads_without_the_book(small):
    text, code, end = small.notebook("here").cells
    said = text.source
    assert r"**Theorem 1.1 (Name with $\mathbb{R}$).** Let $x$, see (Lee 1990) and " in said
    assert "Lee and van Es (1991), One et al. (1992)" in said
    assert "\\lVert x \\rVert^{\\mathsf{T}} = 1\n  \\tag*{(1.1)}\n  $$\n" in said
    assert ("<summary><b>Proof</b></summary>\n\nBy [(1.1)](#eq-a) and [Theorem 1.1](#thm-a).\n\n∎"
            in said)
    assert "**Exercise 1.1 (Try).** Do.\n" in said
    assert "<summary><b>Solution of Exercise 1.1</b></summary>\n\nSee other, " in said
    assert "[there](#thm-a) and filter, [here](#sec-here)." in said and '<a id="thm-a"></a>' in said
    assert not LEFT.search(said) and "word; of" not in said
    assert code.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    assert code.outputs[0].text == "1\n2\n"
    assert end.source.startswith("```python\nprint(\"`{not}`") and r"\norm{" in end.source
    there = small.notebook("there").cells[0].source
    assert "By [Theorem 1.1](here.ipynb#thm-a), [(1.1)](here.ipynb#eq-a), [Title](here.ipynb)." \
        in there


@pytest.mark.parametrize(("tex", "plain"), [
    (r"\norm{\abs{a}_{b}}^2", r"\lVert \lvert a \rvert_{b} \rVert^2"),
    (r"x^\R, A\T, \R_+", r"x^{\mathbb{R}}, A^{\mathsf{T}}, \mathbb{R}_+"),
    (r"\norm\theta \inner a b", r"\lVert \theta \rVert \left\langle a, b \right\rangle"),
    (r"\\R \rangle \{\eps\}", r"\\R \rangle \{\varepsilon\}"),
    (r"\dd x\dd{\mu}", r"\mathrm{d} x\mathrm{d}{\mu}"),
])
def test_macros_are_written_out(tex, plain):
    assert translate.expanded(tex, BOOK.macros) == plain


def test_a_summary_is_html():
    assert translate.in_html("**Along $v < w$, by `a<b`**, *so* [it](x.ipynb)") == (
        r"<b>Along $v \lt w$, by <code>a&lt;b</code></b>, <em>so</em> "
        '<a href="x.ipynb">it</a>')


@functools.cache
def labels(stem):
    """The places that links can lead to; equations have none of their own."""
    made = "\n".join(c.source for c in BOOK.notebook(stem).cells)
    equations = {label for label, words in BOOK.words.items() if words.startswith("(")}
    return set(re.findall(r'<a id="([\w-]+)">', made)) | equations


@pytest.mark.parametrize("stem", list(filter(BOOK.readable, BOOK.paths)))
def test_nothing_of_the_book_is_left_in_a_page(stem):
    made = BOOK.notebook(stem)
    nbformat.validate(made)
    known = set(BOOK.macros) - {"im", "ker"}
    for cell in made.cells:
        if cell.cell_type != "markdown":
            continue
        text = re.sub(r"^```.*?^```|`[^`\n]+`", "", cell.source, flags=re.M | re.S)
        assert not LEFT.search(text)
        assert not known & set(re.findall(r"\\([a-zA-Z]+)", text))
        assert "**" not in "".join(re.findall("<summary>.*?</summary>", text, re.S))
        text = translate.CODE_OR_MATH.sub("", text)
        for page, place in re.findall(r"\]\(([\w-]*)(?:\.ipynb)?(?:#([\w-]+))?\)", text):
            assert not place or place in labels(page or stem), (page, place)
    before = [c for c in BOOK.cells(stem) if c.cell_type == "code"]
    after = [c for c in made.cells if c.cell_type == "code"]
    assert [c.source for c in before] == [c.source for c in after]


def test_what_a_reader_changed_is_kept(tmp_path, capsys):
    downloads.lab(tmp_path)
    one, two = tmp_path / "01_polynomials.ipynb", tmp_path / "02_function_space.ipynb"
    first = two.read_text(encoding="utf-8")
    one.write_text("mine")
    two.unlink()
    downloads.lab(tmp_path)
    assert one.read_text() == "mine" and two.read_text(encoding="utf-8") == first
