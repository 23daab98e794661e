"""Every numbered statement has a label, a provenance, and something that uses or checks it."""

import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import statements  # noqa: E402

ALL = statements.statements()


def test_every_statement_has_a_label_and_a_provenance():
    assert len(ALL) > 60
    assert not [s for s in ALL if not s.label or not s.provenance]
    assert not [n for n, k in Counter(s.label for s in ALL).items() if k > 1]


def test_every_statement_is_computed_checked_or_exercised():
    assert not [s.label for s in ALL
                if not (s.functions or s.checked or s.tests or s.exercises)]


def test_docstrings_name_labels_that_exist():
    text = "\n".join(page for _, page in statements.pages())
    missing = {(name, label) for name, labels in statements.functions().items()
               for label in labels if f":label: {label}\n" not in text}
    assert not missing
