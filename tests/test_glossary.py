"""Every word of the glossary is linked from a page, and every link has its word."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import statements  # noqa: E402


def entries():
    """The words of each entry: several lines before an explanation are one entry."""
    text = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
    body = re.search(r"^(`{3,}|:{3,})\{glossary\}\n(.*?)^\1", text, re.S | re.M)[2]
    out, words = [], []
    for line in body.splitlines():
        if line.startswith(" "):
            if words:
                out.append(words)
            words = []
        elif line.strip() and not line.startswith(":"):
            words.append(line.strip().lower())
    return out


def linked():
    text = "\n".join(page for _, page in statements.pages())
    return {(m[2] or m[1]).strip().lower()
            for m in re.finditer(r"\{term\}`([^`<]*)(?:<([^>]*)>)?`", text)}


WAITING = {"euclidean-distance degree", "steepest descent"}  # until their chapters are there


def test_every_entry_is_linked_somewhere():
    used = linked()
    assert not {words[0] for words in entries() if not used & set(words)} - WAITING


def test_every_link_has_its_entry():
    assert not linked() - {w for words in entries() for w in words}
