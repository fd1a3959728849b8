"""A group event all the way: from the VTN's message to profiles on simulated chargers that keep one limit together.

Two cars charge under a site's limit when an aggregator's dispatch comes for the site as a whole; a third car arrives in
the middle of it. What counts is the sum of the chargers' own meters (ARB-16).
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ours import Api, Place, eventually
from tests.pair.test_kill import VEN

pytestmark = pytest.mark.process

AGGREGATOR = "http://gateway.example/programmes/aggregator-dispatch"
SITE_A, GROUP_KW, VOLTAGE = 40.0, 12.0, 230.0
ROOM = 1.03  # meter and control error of the simulated chargers
CARS: dict[str, dict[str, object]] = {
    "CP1": {"phases": 1, "max_a": 32, "version": "1.6"},
    "CP2": {"phases": 3, "max_a": 32, "version": "2.0.1"},
    "CP3": {"phases": 3, "max_a": 16, "version": "1.6", "plug_in_after_s": 24},
}
CHARGERS: dict[str, dict[str, object]] = {
    name: {"phases": car["phases"], "max_a": car["max_a"], "site": "depot"} for name, car in CARS.items()
}


def watts(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {row["chargerID"]: float((row["reading"] or {}).get("powerW") or 0.0) for row in rows}


def on_phase_1(found: dict[str, float]) -> float:
    """Return the current on the site's first phase, which all three load."""
    return sum(power / VOLTAGE / (1 if name == "CP1" else 3) for name, power in found.items())


def settings(place: Place) -> None:
    """Give the bridge the site and the aggregator's programme, and let nothing be held back."""
    path = place.folder / "bridge.toml"
    text = path.read_text().replace('files = ["programme.toml"]', 'files = ["programme.toml", "aggregator-dispatch"]')
    site = f'[[sites]]\nid = "depot"\nmax_a = {SITE_A}\n'
    path.write_text(f"{text}\n[arbiter]\nmin_dwell_s = 0\nwrites_per_hour = 1000\n\n{site}")


async def publish(vtn: Api, *, in_s: int, duration_s: int) -> str:
    start = datetime.now(UTC) + timedelta(seconds=in_s)
    event = await vtn.post(
        "/events",
        {
            "marketContext": AGGREGATOR,
            "dtstart": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": f"PT{duration_s}S",
            "startafter": "PT1S",
            "signals": [
                {
                    "signalName": "LOAD_DISPATCH",
                    "signalType": "setpoint",
                    "itemBase": {"kind": "powerReal", "siScaleCode": "k"},
                    "intervals": [{"duration": f"PT{duration_s}S", "value": GROUP_KW}],
                }
            ],
            "targets": {"groupID": ["depot"]},
        },
    )
    return str(event["eventID"])


async def test_arb_16_a_group_event_is_kept_by_the_sum_of_the_meters_while_cars_come(tmp_path: Path) -> None:
    place = Place(tmp_path)
    async with place.apis() as (vtn, bridge), place.vtn():
        await eventually("the VTN is up", vtn.up)
        resources = [{"resourceID": f"evse-{name.lower()}", "groupIDs": ["depot"]} for name in CARS]
        enrolment = {"venID": "VEN-test", "fingerprint": place.pki.ven.fingerprint, "resources": resources}
        await vtn.post("/vens", enrolment)
        process = place.bridge(CHARGERS, ven=VEN)
        settings(place)
        async with process, place.fleet(CARS):
            await eventually("the bridge is up", bridge.up)

            async def two_charge() -> bool:
                found = watts(await bridge.get("/chargers"))
                return found["CP1"] > 1000 and found["CP2"] > 3000

            await eventually("two cars charge", two_charge)
            event_id = await publish(vtn, in_s=3, duration_s=34)
            began, third, sums = datetime.now(UTC), False, []
            while (elapsed := (datetime.now(UTC) - began).total_seconds()) < 36:
                found = watts(await bridge.get("/chargers"))
                third |= found["CP3"] > 1000
                assert on_phase_1(found) <= SITE_A * ROOM, found
                if elapsed > 14:  # begun within 4 s; commands, the cars' ramp, one more meter value
                    sums.append(sum(found.values()))
                    assert sums[-1] <= GROUP_KW * 1000 * ROOM, found
                await asyncio.sleep(0.5)
            assert third, "the third car charges too, out of the same limit"
            assert max(sums) >= GROUP_KW * 1000 * 0.9, "and what there is, is used"
            rows = [row for row in await bridge.get("/outcomes") if row["eventID"] == event_id]
            assert {row["state"] for row in rows} <= {"verified", "applied"}
            assert all("12 kW for all together" in line["reason"] for line in await limits(bridge))


async def limits(bridge: Api) -> list[dict[str, Any]]:
    return [row for row in await bridge.get("/limits") if row["eventID"] is not None]
