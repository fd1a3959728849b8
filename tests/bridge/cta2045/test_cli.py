"""The two commands as a user runs them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.cta2045 import commands
from bridge.cta2045.link import Link
from bridge.cta2045.serial import SerialPort, address, connector
from tests.bridge.cta2045.test_serial import QUICK, Events, until

pytestmark = pytest.mark.process
BRIDGE = [sys.executable, "-m", "bridge"]
START_S = 30.0


def simulate(link: Path, *options: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [*BRIDGE, "simulate-cta", "--link", str(link), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + START_S
    while not link.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


def test_a_simulated_device_is_probed_and_goes_away_cleanly(tmp_path: Path) -> None:
    link = tmp_path / "evse"
    process = simulate(link, "--type", "evse", "--edition", "A")
    try:
        probed = subprocess.run([*BRIDGE, "cta-probe", str(link)], capture_output=True, text=True, timeout=90)
        assert probed.returncode == 0, probed.stdout + probed.stderr
        assert "device: EVSE, level 2" in probed.stdout
        assert "payload: 64 bytes" in probed.stdout
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=START_S)
    assert process.returncode == 0
    assert not os.path.lexists(link)
    nobody = subprocess.run([*BRIDGE, "cta-probe", str(link)], capture_output=True, text=True, timeout=90)
    assert nobody.returncode == 1
    assert "cannot be opened" in nobody.stdout


async def test_sigusr1_is_the_override_button(tmp_path: Path) -> None:
    link = tmp_path / "heater"
    process = await asyncio.to_thread(simulate, link, "--type", "water-heater")
    events = Events()
    port = SerialPort(connector(address(str(link))), Link(draw=lambda: 0.5, timing=QUICK), events)
    task = asyncio.create_task(port.run())
    try:
        await until(lambda: port.is_up)
        process.send_signal(signal.SIGUSR1)
        await until(lambda: commands.encode(commands.override(True)) in events.messages)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.communicate, timeout=START_S)


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate-cta", "--link", "x", "--type", "toaster"],
        ["cta-probe", "tcp://192.0.2.1:1"],
        ["cta-probe", "tls://localhost:1", "--ca", "/none/ca.pem"],
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_2(arguments: list[str]) -> None:
    ended = subprocess.run([*BRIDGE, *arguments], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
