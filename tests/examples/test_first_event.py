"""The settings files of the tutorial are complete: certificates by the documented command, then check-config."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bridge.simulators import fleet

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "first_event"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tutorial") / "first"
    shutil.copytree(EXAMPLE, target)
    stations = [word for name in ("CP1", "CP2") for word in ("--station", name)]
    run("certs", "demo-pki", "pki", "--ven-id", "bridge", *stations, cwd=target)
    return target


def run(*argv: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1]), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("program", "file", "token"),
    [("vtn", "vtn.toml", "OADR_VTN__OPERATOR__TOKEN"), ("bridge", "bridge.toml", "OADR_BRIDGE__API__TOKEN")],
)
def test_settings_of_the_tutorial_are_accepted(folder: Path, program: str, file: str, token: str) -> None:
    checked = run(program, "check-config", file, cwd=folder, **{token: "0123456789abcdef"})
    assert checked.returncode == 0, checked.stderr
    missing = run(program, "check-config", file, cwd=folder)
    assert missing.returncode == 2
    assert token.split("__")[1].lower() + ".token" in missing.stderr


def test_fleet_of_the_tutorial_fits_the_bridge(folder: Path) -> None:
    chargers = fleet.load(folder / "fleet.toml").chargers
    configured = tomllib.loads((folder / "bridge.toml").read_text())["chargers"]
    assert [(each.identity, each.phases, each.max_a) for each in chargers] == [
        (each["identity"], each["phases"], each["max_a"]) for each in configured
    ]
    for each in chargers:
        assert each.cert is not None
        assert (folder / each.cert).is_file()
