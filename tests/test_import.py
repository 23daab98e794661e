"""Importing lcnlib is quick: SciPy loads a part of itself when it is first used."""

import subprocess
import sys


def test_import_loads_no_part_of_scipy():
    code = (
        "import sys, numpy, scipy; before = set(sys.modules); import lcnlib; "
        "print(*(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = out.stdout.split()
    assert "lcnlib.flow" in new
    assert not [m for m in new if m.partition(".")[0] in ("scipy", "matplotlib", "ipywidgets")]
