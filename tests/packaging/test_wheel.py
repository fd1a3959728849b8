"""The wheel holds the six import packages with their data files; the lock file is complete and anonymous."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"openadr", "runtime", "certs", "vtn", "ven", "bridge"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


def test_top_level_names_are_the_six_packages(wheel: zipfile.ZipFile) -> None:
    names = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == PACKAGES


def test_data_files_travel_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for schema in (ROOT / "schemas").glob("*.json"):
        assert f"openadr/schemas/{schema.name}" in names
    for pattern in (
        "vtn/store/migrations/versions/*.py",
        "ven/migrations/versions/*.py",
        "bridge/store/migrations/versions/*.py",
        "bridge/programmes/*.toml",
        "vtn/operator/console/*.html",
        "vtn/operator/console/*.js",
        "vtn/operator/console/*.css",
    ):
        files = list(ROOT.glob(pattern))
        assert files, pattern
        for file in files:
            assert str(file.relative_to(ROOT)) in names


def test_console_scripts_are_the_three_programs(wheel: zipfile.ZipFile) -> None:
    (entry,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    scripts = re.findall(r"^(\S+) = ", wheel.read(entry).decode(), re.MULTILINE)
    assert sorted(scripts) == ["oadr-bridge", "oadr-certs", "oadr-vtn"]


def test_every_locked_dependency_has_a_hash_and_no_address() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    blocks = re.findall(r"^(\S+?)==[^\\\n]+?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)", text, re.MULTILINE)
    assert len(blocks) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 50


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    names = {re.split(r"[\[><=;~! ]", item)[0].lower().replace("_", "-") for item in declared}
    assert names <= locked
