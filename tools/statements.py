"""Every numbered statement of the book, and what belongs to it.

usage: python tools/statements.py        prints the table

A statement is a theorem, proposition, lemma, corollary or algorithm of a page.  Its provenance
stands in its first line; the functions that compute it name its label in their docstrings (``Book:
thm-name``); its exercises refer to it; it is checked on the page when a cell with an assertion
follows in its section; tests are the files that call its functions, or name its label.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
CHECK = "\x00 a check cell \x00"
# File -> what stands before its names: all others are names of `lcnlib` itself.
PREFIX = {"fully_connected": "fully_connected.", "matrix_kernels": "fully_connected.",
          "shallow_relu": "shallow_relu."}
KINDS = "theorem|proposition|lemma|corollary|algorithm"
BLOCK = re.compile(rf"^(`{{3,}}|:{{3,}})\{{prf:({KINDS})\}} *(.*?)\n(.*?)^\1", re.S | re.M)
EXERCISE = re.compile(r"^(`{3,})\{exercise\} *(.*?)\n(.*?)^\1", re.S | re.M)


@dataclass
class Statement:
    """One numbered statement."""

    label: str
    kind: str
    title: str
    page: str
    provenance: str
    checked: bool
    functions: list = field(default_factory=list)
    exercises: list = field(default_factory=list)
    tests: list = field(default_factory=list)


def pages():
    """(name, text) of the book's pages, in the order of the table of contents."""
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for name in re.findall(r"^ *(?:- file|root): book/(\w+)$", toc, re.M):
        for path in ((ROOT / "book" / name).with_suffix(s) for s in (".ipynb", ".md")):
            if path.suffix == ".ipynb" and path.exists():
                cells = nbformat.read(path, as_version=4).cells
                yield name, "\n\n".join(c.source if c.cell_type == "markdown" else
                                        CHECK * ("assert" in c.source) for c in cells)
            elif path.exists():
                yield name, path.read_text(encoding="utf-8")


def titles():
    """(name, title) of the book's pages."""
    for name, text in pages():
        yield name, re.search(r"^# (.*)", text, re.M)[1]


def label_of(body):
    found = re.search(r"^:label: *([\w-]+)", body, re.M)
    return found[1] if found else ""


def statements():
    """All statements, in the order of the book."""
    out = {}
    texts = list(pages())
    for page, text in texts:
        for found in BLOCK.finditer(text):
            _, kind, title, body = found.groups()
            words = re.search(r"\*Provenance: *(.*?)\.?\*(?!\*)", body, re.S)
            label, rest = label_of(body), re.split(r"^## ", text[found.end():], flags=re.M)[0]
            out[label or f"{page}: {title}"] = Statement(
                label, kind, title, page, " ".join(words[1].split()) if words else "",
                CHECK in rest)
    for _, text in texts:
        for label, body in exercises(text).items():
            for target in set(re.findall(r"\{prf:ref\}`(?:[^`<]*<)?([\w-]+)>?`", body)):
                if target in out:
                    out[target].exercises.append(label)
    named = functions()
    for function, labels in named.items():
        for label in labels:
            if label in out:
                out[label].functions.append(function)
    for path in sorted((ROOT / "tests").glob("*.py")):
        if path.name == "test_statements.py":  # it names those that nothing checks
            continue
        text = path.read_text(encoding="utf-8")
        for s in out.values():
            names = (f.rpartition(".")[2] for f in s.functions)
            if (s.label and s.label in text) or any(re.search(rf"\b{f}\(", text) for f in names):
                s.tests.append(path.name)
    return list(out.values())


def exercises(text):
    """Label -> statement and solution of each exercise."""
    out = {label_of(body): body for _, _, body in EXERCISE.findall(text)}
    for label, body in re.findall(r"\{solution-start\} *([\w-]+)(.*?)\{solution-end\}", text, re.S):
        out[label] = out.get(label, "") + body
    return out


def functions():
    """Public name -> labels that its docstring gives as ``Book: label, label``."""
    out = {}
    library = ROOT / "lcnlib"
    for path in sorted([*library.glob("*.py"), *library.glob("_algebra/*.py")]):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            prefix = PREFIX.get(path.stem, "")
            found = re.findall(r"Book: *([\w, \n-]+?)\.?\n", ast.get_docstring(node) or "")
            labels = re.findall(r"[\w-]+", " ".join(found))
            if labels:
                out[prefix + node.name] = labels
    return out


def main():
    for s in statements():
        print(f"{s.label or '(no label)':34s} {s.page:22s} {', '.join(s.functions) or '-':40s} "
              f"{len(s.exercises)} exercises, {len(s.tests)} tests, checked: {s.checked}; "
              f"{s.provenance or 'NO PROVENANCE'}")


if __name__ == "__main__":
    main()
