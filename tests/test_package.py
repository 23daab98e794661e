"""The source archive is whole: its own tests run in it."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import setup  # noqa: E402

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone: what is committed?")


def git(*args, cwd=ROOT):
    return subprocess.run(["git", *args], cwd=cwd, check=True, capture_output=True,
                          text=True).stdout


@pytest.fixture(scope="module")
def files():
    """What git tracks, or would add."""
    names = git("ls-files", "-coz", "--exclude-standard").split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def archive(files, tmp_path_factory):
    """The archive made from a copy of these files, and the copy, which git watches."""
    copy = tmp_path_factory.mktemp("copy")
    for name in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    git("init", "-q", cwd=copy)
    git("add", "-A", cwd=copy)
    code = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    (made,) = (copy / "dist").glob("*.tar.gz")
    return made, copy


@pytest.fixture(scope="module")
def unpacked(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive[0]) as tar:
        tar.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


def test_the_archive_holds_everything(files, unpacked):
    missing = [name for name in files if not (unpacked / name).exists()]
    assert set(missing) <= {".gitattributes"}
    assert not list(unpacked.rglob("__pycache__"))


def test_tests_run_in_the_archive(unpacked):
    env = {**os.environ, "PYTHONPATH": str(unpacked), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_network.py",
         "tests/test_losses.py"], cwd=unpacked, env=env, capture_output=True, text=True)
    assert not done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    where = subprocess.run(
        [sys.executable, "-c", "import lcnlib; print(lcnlib.__file__)"], cwd=unpacked, env=env,
        capture_output=True, text=True, check=True).stdout
    assert Path(where.strip()).is_relative_to(unpacked)


def test_building_leaves_nothing_untracked(archive):
    _, copy = archive
    code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert not git("ls-files", "-o", "--exclude-standard", cwd=copy)
    (wheel,) = (copy / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as inside:
        (name,) = [n for n in inside.namelist() if n.endswith("/METADATA")]
        about = message_from_bytes(inside.read(name))
    assert about["Description-Content-Type"] == "text/markdown"
    assert "## Cite" in about.get_payload() and not setup.RELATIVE.search(about.get_payload())


def test_the_readme_of_a_release_has_whole_addresses():
    text = "![One\nstart](assets/picture.svg) [here](https://a.b), [MIT](LICENSE), [there](#cite)"
    url = "https://github.com/anna/book"
    assert setup.described(text, url, "1.2") == (
        f"![One\nstart]({url}/raw/v1.2/assets/picture.svg) [here](https://a.b), "
        f"[MIT]({url}/blob/v1.2/LICENSE), [there](#cite)")
    assert setup.described(text, "", "1.2") == " [here](https://a.b), MIT, [there](#cite)"
