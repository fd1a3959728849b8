"""kill -9 of the VTN or of the bridge in the middle of an event ends in the same outcome (OUT-01, OUT-04, OUT-08)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ours import MARKET_CONTEXT, Api, Place, eventually

pytestmark = pytest.mark.process

CARS: dict[str, dict[str, object]] = {
    "CP1": {"phases": 1, "max_a": 16, "version": "1.6"},
    "CP2": {"phases": 3, "max_a": 32, "version": "2.0.1"},
    "CP3": {"phases": 3, "max_a": 16, "version": "1.6", "behaviour": "ignores"},
}
CHARGERS: dict[str, dict[str, object]] = {
    name: {"phases": car["phases"], "max_a": car["max_a"]} for name, car in CARS.items()
}
EXPECTED = {
    "CP1": ("verified", 8.0, "optIn", None),
    "CP2": ("verified", 16.0, "optIn", None),
    "CP3": ("failed", 8.0, "optOut", "notParticipating"),
}
VEN = {"ven_id": "VEN-test"}


async def enrol(vtn: Api, place: Place) -> None:
    resources = [{"resourceID": f"evse-{name.lower()}", "groupIDs": ["all"]} for name in CARS]
    await vtn.post("/vens", {"venID": "VEN-test", "fingerprint": place.pki.ven.fingerprint, "resources": resources})


async def publish(vtn: Api, *, in_s: int, duration_s: int) -> str:
    start = datetime.now(UTC) + timedelta(seconds=in_s)
    event = await vtn.post(
        "/events",
        {
            "marketContext": MARKET_CONTEXT,
            "dtstart": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": f"PT{duration_s}S",
            "startafter": "PT2S",
            "signals": [
                {
                    "signalName": "SIMPLE",
                    "signalType": "level",
                    "intervals": [{"duration": f"PT{duration_s}S", "value": 2}],
                }
            ],
            "targets": {"groupID": ["all"]},
        },
    )
    return str(event["eventID"])


async def charging(bridge: Api) -> bool:
    rows = await bridge.get("/chargers")
    return all(row["reading"] is not None and (row["reading"]["powerW"] or 0) > 3000 for row in rows)


async def limited(bridge: Api) -> bool:
    rows = {row["chargerID"]: row for row in await bridge.get("/chargers")}
    return all(rows[name]["reading"] and rows[name]["reading"]["powerW"] < 2000 * 8 for name in ("CP1", "CP2")) and (
        rows["CP1"]["reading"]["powerW"] < 2000
    )


async def outcome(bridge: Api, vtn: Api, event_id: str) -> dict[str, tuple[Any, ...]] | None:
    rows = [row for row in await bridge.get("/outcomes") if row["eventID"] == event_id]
    if len(rows) < len(CARS) or any(row["phase"] not in ("after", "closed") for row in rows):
        return None
    resources = {
        row["resourceID"]: row for ven in (await vtn.get(f"/events/{event_id}"))["vens"] for row in ven["resources"]
    }
    found = {}
    for row in rows:
        held = resources[row["resourceID"]]
        found[row["chargerID"]] = (row["state"], row["limitA"], held["optType"], held["optReason"])
    return found


@pytest.mark.parametrize("victim", ["vtn", "bridge"])
async def test_out_04_kill_in_mid_event_ends_in_the_same_outcome(tmp_path: Path, victim: str) -> None:
    place = Place(tmp_path)
    async with place.apis() as (vtn, bridge), place.vtn() as vtn_process:
        await eventually("the VTN is up", vtn.up)
        await enrol(vtn, place)
        async with place.bridge(CHARGERS, ven=VEN) as bridge_process, place.fleet(CARS):
            await eventually("the bridge is up", bridge.up)
            await eventually("all cars charge", lambda: charging(bridge))
            event_id = await publish(vtn, in_s=4, duration_s=22)
            await eventually("the limit bites", lambda: limited(bridge))
            victims = {"vtn": [vtn_process], "bridge": [bridge_process]}[victim]
            for process in victims:
                process.kill()
            for process in victims:
                assert await process.stop() == -9
                await process.start()
            await eventually("the VTN is up again", vtn.up)
            await eventually("the bridge is up again", bridge.up)
            await eventually("every outcome is final", lambda: ended(bridge, event_id), 60)
            await eventually("outcome and opts", lambda: same(bridge, vtn, event_id), 15)
            await eventually("the cars charge again", lambda: charging(bridge))
            rows = (await vtn.get("/reports?resourceID=evse-cp1&limit=1000"))["reports"]
            assert any(row["value"] is not None and row["value"] < 2000 for row in rows if row["rID"].startswith("P-"))
            assert len({(row["rID"], row["dtstart"], row["reportRequestID"]) for row in rows}) == len(rows)
            opts = [row for row in (await vtn.get("/opts?limit=1000"))["opts"] if row["eventID"] == event_id]
            assert len({row["optID"] for row in opts}) == len(opts)


async def ended(bridge: Api, event_id: str) -> bool:
    rows = [row for row in await bridge.get("/outcomes") if row["eventID"] == event_id]
    return len(rows) == len(CARS) and all(row["phase"] in ("after", "closed") for row in rows)


async def same(bridge: Api, vtn: Api, event_id: str) -> bool:
    found = await outcome(bridge, vtn, event_id)
    assert found is None or {name: row[0] for name, row in found.items()} == {
        name: row[0] for name, row in EXPECTED.items()
    }
    return found == EXPECTED
