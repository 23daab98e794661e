"""Refresh the two locks: requirements.txt from pyproject.toml, package-lock.json from package.json.

The one Python lock serves readers, CI, Binder and Colab on Linux and macOS.  Neither lock records
where a package was fetched from.
"""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# The one lock: everything the book, its tests and JupyterLab need. Made by `make lock`.
-e .
"""


def main():
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "uv", "pip", "compile", "pyproject.toml", "--extra", "book",
         "--extra", "ensemble", "--extra", "test", "--universal", "--fork-strategy", "fewest",
         "--python-version", "3.11",
         "--upgrade", "--no-header", "--no-annotate", "--no-emit-index-url",
         "--no-emit-find-links", "--quiet"],
        cwd=ROOT, check=True, capture_output=True, text=True)
    (ROOT / "requirements.txt").write_text(HEAD + done.stdout)
    print(f"requirements.txt: {len(done.stdout.splitlines())} packages")
    if npm := shutil.which("npm"):
        subprocess.run([npm, "install", "--package-lock-only", "--ignore-scripts", "--no-audit",
                        "--no-fund", "--omit-lockfile-registry-resolved"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
