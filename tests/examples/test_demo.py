"""The demonstration as a user runs it: it ends well, and it cannot end well without verification by meter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def demo(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.demo", "--once", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_demo_once_ends_with_every_outcome_as_expected(tmp_path: Path) -> None:
    ran = demo(tmp_path / "demo")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "every outcome is as expected" in ran.stdout
    for number in range(1, 21):
        assert ran.stdout.count(f"CP{number:02} ") >= 2  # a line in both tables
    for name in ("EV21", "WH22"):  # CTA-2045 devices follow the same events
        assert ran.stdout.count(f"{name} ") >= 2
    assert "EV21 simple opted_out: driver override: pressed at the device" in ran.stdout
    assert "telemetry: Quality Uncertain - Non Specific" in ran.stdout  # the water heater's own estimate
    for word in ("verified", "failed", "opted_out", "unresponsive", "idle", "constrained_by", "received"):
        assert word in ran.stdout
    assert "kept their limits together, by meter" in ran.stdout


def test_demo_through_the_proxy_of_a_cpo_limits_its_chargers_and_loses_nothing(tmp_path: Path) -> None:
    ran = demo(tmp_path / "demo", "--proxy", "--act", "short")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "every outcome is as expected" in ran.stdout
    assert "the CPO's CSMS saw 20 chargers" in ran.stdout
    assert "0 messages twice" in ran.stdout
    assert "limit 16 A" in ran.stdout  # ours
    assert "meter reads 6.0 A per phase, limit 8 A" in ran.stdout  # the CPO's own is stricter


def test_demo_holds_its_limits_over_a_kill_of_the_bridge_in_the_middle_of_overlapping_events(tmp_path: Path) -> None:
    ran = demo(tmp_path / "demo", "--kill", "--act", "overlap")  # about 80 s
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "every outcome is as expected" in ran.stdout
    killed, seen = ran.stdout.index("kill -9 of the bridge"), ran.stdout.index("everything has been seen")
    after = ran.stdout[killed:seen]
    assert after.count("22 of the 22 limits are the same as before") == 2  # as stored, and with every charger back


def test_demo_fails_without_verification_by_meter(tmp_path: Path) -> None:
    ran = demo(tmp_path / "demo", "--act", "simple", OADR_BRIDGE__VERIFY__ENABLED="false")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "outcome applied, expected verified" in ran.stdout
