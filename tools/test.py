"""Everything that has to hold, as `make test` runs it; on two cores, two things at a time.

The cold strict build runs beside lint, doctests, unit tests and strict nbval over every notebook;
then some chapters run under Pyodide, and a browser goes through the built book and opens two
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
            print(f"\n== cold strict build ({time.monotonic() - start:.0f} s)", flush=True)
            if build.wait():
                failed.append("cold strict build")
                print(log.read_text()[-20_000:])
        finally:
            build.kill()
    # Before the tests' processes start: two of them at a time cannot install it.
    run("a browser", [sys.executable, "tools/browser.py"])
    run("other engines, where they can be had", [sys.executable, "tools/engines.py"])
    run("chapters as in the reader's browser", [sys.executable, "tools/live.py", "check",
                                                 *PYODIDE])
    if not {"cold strict build", "a browser"} & set(failed):
        run("JupyterLite", [sys.executable, "tools/live.py", "lite", "_build/test/_build/html"])
        env = {**os.environ, "LCN_BOOK_HTML": str(ROOT / "_build/test/_build/html")}
        run("browser", [*PYTEST, "-n", "2", "--dist", "loadfile", "tests/browser"], env=env)
        # Two chapters by their buttons; `make live-test` takes all.
        run("live in a browser", [*PYTEST, "-n", "2", "--dist", "load", "tests/live/chapters.py",
                                  "-k", "second or 07_riemannian_flow or failed or file"],
            env=env)
    print(f"\nmake test took {time.monotonic() - start:.0f} s")
    if failed:
        sys.exit("FAILED: " + ", ".join(failed))


if __name__ == "__main__":
    main()
