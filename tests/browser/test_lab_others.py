"""The other half of the notebooks in JupyterLab: see test_lab.py."""

import pytest
from jupyter_lab import PAGES, lab_fixture, reads_and_runs, server  # noqa: F401


@pytest.mark.parametrize("stem", PAGES[1::2])
def test_reads_and_runs_in_jupyterlab(lab, stem):
    reads_and_runs(lab, stem)
