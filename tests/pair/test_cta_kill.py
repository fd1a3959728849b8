"""kill -9 of the bridge while CTA-2045 devices are curtailed: each gets its End Shed, and gets it once (CTA-05)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from random import Random

import pytest

from bridge.cta2045.commands import Basic, Op
from bridge.simulators.cta_pty import PtyDevice, make
from examples.demo.toml import table
from tests.interop.ours import Api, Place, eventually
from tests.pair.test_kill import VEN, publish

pytestmark = pytest.mark.process
KINDS = {"EV1": ("evse", 32), "WH1": ("water_heater", 18.75)}


@asynccontextmanager
async def plugged(folder: Path) -> AsyncIterator[dict[str, PtyDevice]]:
    """Two devices on ptys that would keep an event for ever."""
    ports = {
        name: PtyDevice(make(kind.replace("_", "-"), Random(1).random), folder / name)
        for name, (kind, _) in KINDS.items()
    }
    for port in ports.values():
        port.device.appliance.now, port.device.appliance.comm_timeout_s = port.now, 10_000.0
        port.plug()
    try:
        yield ports
    finally:
        for port in ports.values():
            port.unplug()


def count(port: PtyDevice, *ops: Op) -> int:
    """How often it was told; the link's repetition of a frame whose ACK came late, back to back, is no second time."""
    once = [each for each, _ in groupby(each for _, each in port.device.heard)]
    return sum(isinstance(each, Basic) and each.op in ops for each in once)


async def test_cta_05_out_04_end_shed_after_kill_9_goes_out_exactly_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    async with place.apis() as (vtn, bridge), plugged(tmp_path) as ports, place.vtn():
        await eventually("the VTN is up", vtn.up)
        resources = [{"resourceID": name.lower(), "groupIDs": ["all"]} for name in KINDS]
        await vtn.post("/vens", {"venID": "VEN-test", "fingerprint": place.pki.ven.fingerprint, "resources": resources})
        child = place.bridge({}, ven=VEN)
        with (tmp_path / "bridge.toml").open("a") as settings:
            settings.write(table("[cta]", {"poll_s": 1}))
            for name, (kind, max_a) in KINDS.items():
                port = tmp_path / name
                row = {"identity": name, "resource_id": name.lower(), "type": kind, "port": port, "max_a": max_a}
                settings.write(table("[[cta_devices]]", row))
        async with child as process:
            await eventually("the devices draw power", lambda: drawing(bridge), 30)
            await publish(vtn, in_s=3, duration_s=8)
            begun = datetime.now(UTC)
            curtailed = (Op.POWER_LEVEL, Op.CRITICAL_PEAK)
            await eventually("both are curtailed", lambda: told(ports, *curtailed), 20)
            await eventually("the bridge knows that they took it", lambda: stands(bridge), 20)
            process.kill()
            assert await process.stop() == -9
            over = begun + timedelta(seconds=3 + 2 + 8 + 1)
            await asyncio.sleep(max(0.0, (over - datetime.now(UTC)).total_seconds()))
            assert [count(port, Op.END_SHED) for port in ports.values()] == [0, 0]
            await process.start()
            await eventually("both are ended", lambda: told(ports, Op.END_SHED), 30)
            await eventually("the bridge knows it", lambda: idle(bridge), 20)
            assert [count(port, Op.END_SHED) for port in ports.values()] == [1, 1]
            assert [count(port, *curtailed) for port in ports.values()] == [1, 1]


async def drawing(bridge: Api) -> bool:
    if not await bridge.up():
        return False
    rows = await bridge.get("/chargers")
    return all(row["reading"] is not None and (row["reading"]["powerW"] or 0) > 3000 for row in rows)


async def told(ports: dict[str, PtyDevice], *ops: Op) -> bool:
    return all(count(port, *ops) > 0 for port in ports.values())


async def stands(bridge: Api) -> bool:
    devices = await bridge.get("/cta-devices")
    return all(each["standing"] is not None and each["standing"]["phase"] == "active" for each in devices)


async def idle(bridge: Api) -> bool:
    if not await bridge.up():
        return False
    devices = await bridge.get("/cta-devices")
    return all(each["connected"] and each["standing"] is None and each["order"] is None for each in devices)
