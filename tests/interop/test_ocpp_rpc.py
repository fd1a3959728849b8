"""A charge point that is not ours: npm's ``ocpp-rpc`` in strict mode, OCPP 1.6 and 2.0.1, against our central system.

In strict mode the client checks every message of both sides against the schemas that it brings along, and tells of
each that breaks them. Skipped with a reason where Node or the package is absent; under CI that is a failure.
"""

import asyncio
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bridge.ocpp.central import CentralSystem
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.target import CommandOutcome, LimitPeriod, LimitSchedule
from runtime.clock import SystemClock
from tests.bridge.ocpp.harness import Fleet
from tests.interop.processes import Child

pytestmark = [pytest.mark.interop, pytest.mark.process]

PEER = Path(__file__).parent / "peers" / "ocpp_rpc"
INSTALL_S = 120


def missing(reason: str) -> None:
    """Skip, or fail where the peer must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI must have it")
    pytest.skip(reason)


async def peer_ready() -> None:
    """Install the client by its lock file, once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("Node is not on this machine")
    if (PEER / "node_modules" / "ocpp-rpc").is_dir():
        return
    process = await asyncio.create_subprocess_exec(
        *("npm", "ci", "--no-audit", "--no-fund"),
        cwd=PEER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(INSTALL_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        output = b"npm ci took too long"
    if process.returncode != 0:
        missing(f"ocpp-rpc cannot be installed: {output.decode(errors='replace')[-300:]}")


def limits(*amperes: float) -> LimitSchedule:
    start = datetime.now(UTC).replace(microsecond=0)
    end = start + timedelta(hours=1)
    return LimitSchedule(
        schedule_id=1,
        start=start,
        end=end,
        expires=end + timedelta(minutes=1),
        periods=tuple(LimitPeriod(start_s=300 * i, limit_a=value) for i, value in enumerate(amperes)),
        source="test",
        reason="test",
    )


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_ocp_01_ocp_05_a_strict_client_charges_is_limited_released_and_finds_no_fault(protocol: str) -> None:
    await peer_ready()
    fleet = Fleet()
    central = CentralSystem(
        settings=OcppSettings(port=0, security_profile=0, allow_insecure=True),
        chargers=[ChargerConfig(identity="NPM-1")],
        events=fleet,
        clock=SystemClock(),
        registry=CollectorRegistry(),
    )
    await central.start()
    script, endpoint = PEER / "charge_point.js", f"ws://127.0.0.1:{central.port}/ocpp"
    try:
        async with Child("node", str(script), endpoint, "NPM-1", protocol) as peer:
            charging = await peer.fact(lambda fact: "charging" in fact)
            assert charging["authorised"] == "Accepted"
            wrong_way = await peer.fact(lambda fact: "wrongWay" in fact)
            assert wrong_way["wrongWay"] == "NotSupported"
            await fleet.heard("connected", "NPM-1")
            await fleet.heard("transaction", "NPM-1", True)
            await fleet.until(lambda: any(reading.power_w == 6900 for reading in fleet.readings))
            for schedule in (limits(10.0, 8.57), limits(16.0, 0.0, 6.0, 12.0, 7.0, 9.0), limits(0.0)):
                result = await central.set_limit("NPM-1", schedule)
                assert result.outcome is CommandOutcome.ACCEPTED, result.detail
            found = await central.read_back("NPM-1")
            assert found is not None
            assert (await central.trigger("NPM-1", "MeterValues")).outcome is CommandOutcome.ACCEPTED
            assert (await central.set_available("NPM-1", False)).outcome is CommandOutcome.ACCEPTED
            assert (await central.stop_session("NPM-1")).outcome is CommandOutcome.ACCEPTED
            assert (await central.clear_limit("NPM-1", 1)).outcome is CommandOutcome.ACCEPTED
            status = central.status("NPM-1")
            assert status is not None
            assert status.protocol == protocol
            asked = [fact["params"] for fact in peer.facts if fact.get("asked") == "SetChargingProfile"]
            assert len(asked) >= 6
            assert all(_periods(params) <= 3 for params in asked)
            assert [fact for fact in peer.facts if "fault" in fact or "failed" in fact] == []
    finally:
        await central.stop()


def _periods(params: dict[str, dict[str, object]]) -> int:
    profile = params.get("csChargingProfiles") or params["chargingProfile"]
    schedule = profile["chargingSchedule"]
    part = schedule[0] if isinstance(schedule, list) else schedule
    assert isinstance(part, dict)
    return len(part["chargingSchedulePeriod"])
