"""Everything that has to hold, as `make test` runs it; on two cores, two things at a time.

The cold strict build runs beside lint, doctests, unit tests and strict nbval over every notebook,
and then some chapters under Pyodide; at last a browser goes through the built book and opens two
chapters live.  Nothing here measures time: that is `make bench`.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTEST = [sys.executable, "-m", "pytest", "-q"]
# In the reader's Python: flows, algebra, two dimensions, images.  `make live-test` runs all.
PYODIDE = ["03_flow", "05_one_kernel", "10_two_dimensions", "16_real_data"]

# Two chapters by their buttons, and starts that fail; `make live-test` takes all chapters.
LIVE = [f"tests/live/chapters.py::test_{name}" for name in (
    "a_second_chapter_waits_says_so_and_starts",
    "no_chapter_asks_to_be_run",
    "runs_from_its_page_to_the_last_cell[07_riemannian_flow]",
    "a_failed_start_is_told_with_a_way_out", "a_start_from_a_file_is_told")]


def main():
    os.chdir(ROOT)
    start = time.monotonic()
    log = ROOT / "_build" / "test-build.log"
    log.parent.mkdir(exist_ok=True)
    failed = []

    def run(name, command, **kwargs):
        print(f"\n== {name} ({time.monotonic() - start:.0f} s)", flush=True)
        if subprocess.run(command, **kwargs).returncode:
            failed.append(name)

    with log.open("w") as out:
        build = subprocess.Popen([sys.executable, "tools/build.py", "--cold", "_build/test"],
                                 stdout=out, stderr=subprocess.STDOUT,
                                 env={**os.environ, "LCN_BOOK_LIVE": "1"})
        try:
            run("lint", [sys.executable, "-m", "ruff", "check", "."])
            notebooks = sorted(map(str, Path("book").glob("*.ipynb")))
            # Without the static book's variable: here a widget draws one frame, not all.
            env = {k: v for k, v in os.environ.items() if k != "LCN_BOOK_STATIC"}
            run("doctests, unit tests and notebooks",
                [*PYTEST, "-n", "2", "--dist", "loadscope", "--nbval", "lcnlib", "tests",
                 "--ignore=tests/browser", *notebooks], env=env)
            # Before the tests' processes start: two of them at a time cannot install it.
            run("a browser", [sys.executable, "tools/browser.py"])
            run("other engines, where they can be had", [sys.executable, "tools/engines.py"])
            run("chapters as in the reader's browser",
                [sys.executable, "tools/live.py", "check", *PYODIDE])
            print(f"\n== cold strict build ({time.monotonic() - start:.0f} s)", flush=True)
            if build.wait():
                failed.append("cold strict build")
                print(log.read_text()[-20_000:])
        finally:
            build.kill()
    if not {"cold strict build", "a browser"} & set(failed):
        run("JupyterLite", [sys.executable, "tools/live.py", "lite", "_build/test/_build/html"])
        env = {**os.environ, "LCN_BOOK_HTML": str(ROOT / "_build/test/_build/html")}
        run("browser", [*PYTEST, "-n", "2", "--dist", "loadfile", "tests/browser", *LIVE], env=env)
    print(f"\nmake test took {time.monotonic() - start:.0f} s")
    if failed:
        sys.exit("FAILED: " + ", ".join(failed))


if __name__ == "__main__":
    main()
