"""The CTA-2045 side of a bridge process: settings to devices on ptys, the operator's view, the metrics."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from bridge.__main__ import app
from bridge.app import Bridge, build
from bridge.families import Families
from bridge.resources import Kind
from bridge.settings import read_settings, resources
from bridge.simulators import cta_pty
from bridge.target import CommandOutcome, LimitTarget
from runtime.clock import FakeClock, SystemClock
from runtime.database import create_engine
from runtime.lifecycle import run
from runtime.settings import SettingsError
from tests.bridge.cta2045.test_fleet import schedule
from tests.bridge.parts import T0, Park, SimCharger

TOKEN = "0123456789abcdef"
COMMON = """
[ven]
vtn_url = "http://127.0.0.1:9"
allow_insecure_http = true
ven_name = "bridge"
[ocpp]
port = 0
security_profile = 1
allow_insecure = true
[api]
port = 0
token = "0123456789abcdef"
allow_insecure_http = true
"""
DEVICES = """
[cta]
zone = "Europe/Vienna"
poll_s = 1
[cta.models."SIM-EVSE"]
shed_pct = 50
critical_peak_pct = 25
[[cta_devices]]
identity = "ECO1"
resource_id = "eco-1"
port = "{folder}/ev"
max_a = 32
voltage = 240
groups = ["feeder-7"]
[[cta_devices]]
identity = "ECO2"
resource_id = "eco-2"
type = "water_heater"
port = "{folder}/wh"
max_a = 18.75
voltage = 240
model = "SIM-EVSE"
"""


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "bridge.toml"
    path.write_text(COMMON + text.replace("{folder}", str(tmp_path)))
    return read_settings(path)


def test_devices_are_resources_of_their_kind(tmp_path: Path) -> None:
    settings = read(tmp_path, DEVICES)
    first, second = resources(settings)
    assert (first.charger, first.kind, first.phases, first.max_a, first.groups) == (
        "ECO1",
        Kind.EVSE,
        1,
        32.0,
        ("feeder-7",),
    )
    assert (second.kind, second.device_classes, second.least_a) == (Kind.WATER_HEATER, ("Water_Heater",), 0.0)
    assert settings.cta.table["SIM-EVSE"].critical_peak == 0.25


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('port = "{folder}/wh"', 'port = "{folder}/ev"', "cta_devices.1.port: {folder}/ev is taken by 'ECO1'"),
        ('port = "{folder}/wh"', 'port = "{folder}/./ev"', "is taken by 'ECO1'"),
        ('model = "SIM-EVSE"', 'model = "OTHER"', "cta_devices.1.model: 'OTHER' is none of [cta.models] (SIM-EVSE)"),
        ("shed_pct = 50", "shed_pct = 150", "cta.models.SIM-EVSE.shed_pct"),
        ("shed_pct = 50", "shed_pct = 20", "critical_peak_pct: 25 % is more than shed_pct = 20 %"),
        ("shed_pct = 50", "shed = 50", "cta.models.SIM-EVSE.shed: unknown key"),
        ('port = "{folder}/wh"', 'port = "tcp://192.0.2.1:4001"', "over a network only with TLS"),
        ('port = "{folder}/wh"', 'port = "tls://192.0.2.1:4001"', "ca: needed for a tls:// port"),
        ('port = "{folder}/wh"', 'port = "{folder}/wh"\nca = "ca.pem"', "ca: only a tls:// port has one"),
        ('identity = "ECO2"', 'identity = "ECO1"', "cta_devices: identity 'ECO1' is given twice"),
        ('resource_id = "eco-2"', 'resource_id = "eco-1"', "cta_devices: resource_id 'eco-1' is given twice"),
        ('zone = "Europe/Vienna"', 'zone = "Europe/Nowhere"', "cta.zone"),
        ('zone = "Europe/Vienna"', "heartbeat_s = 600", "cta.heartbeat_s"),
        ("max_a = 32", "max_a = 4", "a charger cannot be held below 6 A (MAP-09)"),
        ('groups = ["feeder-7"]', 'vtn = "other"', "cta_devices: 'ECO1' names 'other'"),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in DEVICES
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, DEVICES.replace(old, new, 1))
    assert message.replace("{folder}", str(tmp_path)) in str(raised.value)


def test_a_bridge_needs_something_to_limit(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"needs at least one of \[\[chargers\]\] and \[\[cta_devices\]\]"):
        read(tmp_path, "")


def test_check_config_counts_the_devices(tmp_path: Path) -> None:
    read(tmp_path, DEVICES)
    fine = CliRunner().invoke(app, ["check-config", str(tmp_path / "bridge.toml")])
    assert (fine.exit_code, "0 chargers, 2 CTA-2045 devices" in fine.output) == (0, True)


async def test_a_command_goes_to_the_family_of_its_device() -> None:
    clock = FakeClock(T0)
    first, second = Park(clock, [SimCharger("CP1")]), Park(clock, [SimCharger("ECO1")])
    both: LimitTarget = Families(first, {"ECO1": second})
    for name in ("ECO1", "CP1"):
        assert (await both.set_limit(name, schedule((0, 8.0)))).outcome is CommandOutcome.ACCEPTED
        assert (await both.clear_limit(name, 7)).outcome is CommandOutcome.ACCEPTED
        assert (await both.set_available(name, False)).outcome is CommandOutcome.ACCEPTED
        assert (await both.stop_session(name)).outcome is CommandOutcome.ACCEPTED
    commands = ["set", "clear", "unavailable", "stop"]
    assert (first["CP1"].sent, second["ECO1"].sent) == (commands, commands)
    assert [each.identity for each in both.chargers()] == ["CP1", "ECO1"]
    assert both.status("nobody") is None


async def get(bridge: Bridge, path: str) -> tuple[int, Any]:
    assert bridge.server is not None
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{bridge.server.port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return answer.status, await answer.json() if "json" in answer.content_type else await answer.text()


async def test_cta_18_a_bridge_of_two_devices_on_ptys_is_seen_by_its_operator(tmp_path: Path) -> None:
    settings = read(tmp_path, DEVICES + f'\n[database]\nurl = "sqlite+aiosqlite:///{tmp_path}/bridge.db"\n')
    ports = {
        name: cta_pty.PtyDevice(cta_pty.make(kind, Random(1).random), tmp_path / name)
        for name, kind in (("ev", "evse"), ("wh", "water-heater"))
    }
    for port in ports.values():
        port.device.appliance.now = port.now
        port.plug()
    engine = create_engine(settings.database.url)
    bridge = await build(settings, engine=engine, clock=SystemClock(), draw=lambda: 0.5, base=tmp_path)
    stop = asyncio.Event()
    running = asyncio.create_task(run(bridge.parts(), stop=stop))
    try:
        async with asyncio.timeout(60):
            while not all(each["commodities"] for each in await devices(bridge)):
                await asyncio.sleep(0.1)
        first, second = await devices(bridge)
        assert (first["deviceID"], first["resourceID"], first["type"]) == ("ECO1", "eco-1", "evse")
        assert (first["connected"], first["portOpen"], first["payload"], first["override"]) == (True, True, 256, False)
        assert (first["info"]["model"], first["info"]["type"]) == ("SIM-EVSE", "EVSE, level 2")
        assert (first["state"], first["commStatus"], first["order"]) == ("running_normal", "good", None)
        consumed = [each for each in second["commodities"] if each["name"] == "consumed"]
        assert [each["measured"] for each in consumed] == [False]
        assert (await get(bridge, "/api/v1/cta-devices/ECO2"))[1]["deviceID"] == "ECO2"
        assert (await get(bridge, "/api/v1/cta-devices/ECO3"))[0] == 404
        chargers = {each["chargerID"]: each for each in (await get(bridge, "/api/v1/chargers"))[1]}
        assert chargers["ECO1"]["protocol"] == "cta2045"
        assert chargers["ECO1"]["reading"]["powerW"] == 7680.0
        _, figures = await get(bridge, "/metrics")
        assert "cta_connected 2.0" in figures
    finally:
        stop.set()
        assert await running == 0
        await engine.dispose()
        for port in ports.values():
            port.unplug()


async def devices(bridge: Bridge) -> list[dict[str, Any]]:
    """Return the operator's list, empty until there is a server."""
    if bridge.server is None:
        return [{"commodities": ()}]
    status, body = await get(bridge, "/api/v1/cta-devices")
    assert status == 200
    found: list[dict[str, Any]] = body
    return found
