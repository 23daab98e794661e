"""What publishes the book: workflows that say what they may do, and one version everywhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import release  # noqa: E402

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_are_pinned_and_may_do_little(path):
    text = path.read_text(encoding="utf-8")
    flow = yaml.safe_load(text)
    assert flow["permissions"] == {}
    for job in flow["jobs"].values():
        assert job["permissions"] and job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", step["uses"])
                if step["uses"].startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False
    for line in re.findall(r"uses: .*", text):
        assert re.search(r"# v\d", line), f"which release is it? {line}"


def test_zizmor_finds_nothing():
    zizmor = Path(sys.executable).with_name("zizmor")
    done = subprocess.run([zizmor, "--offline", "--persona", "pedantic", ROOT / ".github"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_command_of_the_workflows_exists():
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"run: make ([\w./]+)", text):
            assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.M)
        for tool in re.findall(r"python (tools/\w+\.py)", text):
            assert (ROOT / tool).exists()


def test_one_version():
    assert len(set(release.versions().values())) == 1
    release.main("v" + release.versions()["pyproject.toml"])
    with pytest.raises(SystemExit, match="tag: expected v and the version"):
        release.main("v99.0")
