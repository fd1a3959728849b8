"""An event that is changed, aimed elsewhere, aimed back and cancelled, with openleadr 0.5.36 as VEN over TLS."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from openadr.times import format_instant
from tests.interop.ours import MARKET_CONTEXT, Api, Place, eventually
from tests.interop.processes import Child

pytestmark = [pytest.mark.interop, pytest.mark.process]


def event(*values: float, targets: dict[str, list[str]], **more: object) -> dict[str, object]:
    """Return the body of an event of one minute with these SIMPLE levels one after the other."""
    length = f"PT{60 // len(values)}S"
    intervals = [{"duration": length, "value": value} for value in values]
    return {
        "marketContext": MARKET_CONTEXT,
        "dtstart": format_instant(datetime.now(UTC) + timedelta(minutes=10)),
        "duration": "PT1M",
        "signals": [{"signalName": "SIMPLE", "signalType": "level", "intervals": intervals}],
        "targets": targets,
        **more,
    }


async def acknowledged(vtn: Api, event_id: str, number: int) -> dict[str, Any]:
    """Wait until openleadr has answered a version; return its state."""

    async def look() -> Any:
        vens = (await vtn.get(f"/events/{event_id}"))["vens"]
        (ven,) = [each for each in vens if each["venID"] == "VEN-openleadr"]
        return ven if ven["answeredModificationNumber"] == number else None

    return await eventually(f"openleadr's answer to version {number}", look)


async def test_openleadr_as_ven_follows_every_version_of_an_event(tmp_path: Path) -> None:
    place = Place(tmp_path)
    cert, key = place.pki.ven.chain
    config = {
        "ven_name": "openleadr",
        "ven_id": "VEN-openleadr",
        "vtn_url": f"{place.vtn_url}/OpenADR2/Simple/2.0b",
        "cert": str(cert),
        "key": str(key),
        "ca": str(place.pki.trust_openadr),
    }
    mine, other = {"resourceID": ["meter-1"]}, {"venID": ["VEN-other"]}
    async with place.apis() as (vtn, _), place.vtn():
        await eventually("the VTN is up", vtn.up)
        resources = [{"resourceID": "meter-1"}]
        enrolment = {"venID": "VEN-openleadr", "fingerprint": place.pki.ven.fingerprint, "resources": resources}
        await vtn.post("/vens", enrolment)
        await vtn.post("/vens", {"venID": "VEN-other", "fingerprint": "00:11:22:33:44:55:66:77:88:99"})
        async with Child.module("tests.interop.peers.openleadr_ven", json.dumps(config)) as peer:
            await peer.fact(lambda fact: "registered" in fact)
            event_id = (await vtn.post("/events", event(1, targets=mine)))["eventID"]

            async def heard(number: int, status: str, values: list[float]) -> None:
                fact = await peer.fact(
                    lambda fact: fact.get("event") == event_id and fact["modification_number"] == number
                )
                assert (fact["event_status"], fact["signals"][0]["values"]) == (status, values)
                await acknowledged(vtn, event_id, number)

            async def put(number: int, *values: float, targets: dict[str, list[str]]) -> None:
                body = event(*values, targets=targets, modificationNumber=number, modificationReason="test")
                status, answer = await vtn.call("PUT", f"/api/v1/events/{event_id}", body)
                assert (status, answer["modificationNumber"]) == (200, number + 1), answer

            await heard(0, "far", [1.0])
            await put(0, 2, 3, targets=mine)
            await heard(1, "far", [2.0, 3.0])
            await put(1, 1, targets=other)
            await heard(2, "cancelled", [2.0, 3.0])
            await put(2, 0, 1, 2, targets=mine)
            await heard(3, "far", [0.0, 1.0, 2.0])
            status, _ = await vtn.call("POST", f"/api/v1/events/{event_id}/cancel", {"reason": "test"})
            assert status == 200
            await heard(4, "cancelled", [0.0, 1.0, 2.0])
            detail = await vtn.get(f"/events/{event_id}")
            assert [each["modificationNumber"] for each in detail["versions"]] == [0, 1, 2, 3, 4]
            assert {each["venID"]: each["withdrawnModificationNumber"] for each in detail["vens"]} == {
                "VEN-openleadr": None,
                "VEN-other": 3,
            }
