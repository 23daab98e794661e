"""The README's code runs as it stands."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


def test_readme_code_runs():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    if not blocks:
        pytest.fail("README.md shows no Python")
    namespace = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
