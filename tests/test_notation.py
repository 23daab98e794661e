"""The table of colours on the page *Notation* says what `lcnlib.display` draws with."""

import re
from pathlib import Path

from lcnlib.display import COLORS, INK, ROLES, look

ROOT = Path(__file__).resolve().parents[1]
ROWS = {"layer 1": "layer 1", "layer 2": "layer 2", "the end-to-end filter $v$": "v",
        "the target $v^*$": "target", r"$\delta < 0$": "δ < 0", r"$\delta = 0$": "δ = 0",
        r"$\delta > 0$": "δ > 0", "an ellipse of the metric": "metric"}
DASHES = {"a full line": "-", "dashes": "--", "dash and dot": "-."}


def table():
    text = (ROOT / "book" / "notation.md").read_text(encoding="utf-8")
    part = re.search(r"^## Colours\n(.*?)^## ", text, re.S | re.M)[1]
    rows = [[cell.strip() for cell in row.strip("|").split("|")]
            for row in re.findall(r"^\|.*", part, re.M)]
    return {what: (colour, mark) for what, colour, mark in rows[2:]}


def test_the_table_of_colours_is_what_the_book_draws_with():
    found = table()
    assert set(ROWS.values()) == set(ROLES)
    for what, role in ROWS.items():
        colour = found[what][0]
        expected = next(c for name, c in {"the colour of the text": INK, **COLORS}.items()
                        if colour.startswith(name))
        assert ROLES[role] == expected, what


def test_the_table_of_dashes_is_what_the_book_draws_with():
    for what, delta in ((r"$\delta < 0$", -1), (r"$\delta = 0$", 0), (r"$\delta > 0$", 1)):
        assert DASHES[table()[what][1]] == look(delta)["linestyle"], what
