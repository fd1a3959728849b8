"""Reports asked of openleadr's VEN by an operator: once, periodic, cancelled; that our VTN offers some does no harm."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ours import Api, Place, eventually
from tests.interop.processes import Child

pytestmark = [pytest.mark.interop, pytest.mark.process]


async def in_state(vtn: Api, row: dict[str, Any], *states: str) -> dict[str, Any]:
    async def reached() -> Any:
        seen = await vtn.get(f"/report-requests/{row['reportRequestID']}")
        return seen if seen["state"] in states else None

    found: dict[str, Any] = await eventually(f"{row['reportRequestID']} is {states}", reached)
    return found


async def test_openleadr_delivers_what_an_operator_asks_for_and_stops_when_told(tmp_path: Path) -> None:
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
    async with place.apis() as (vtn, _), place.vtn():
        await eventually("the VTN is up", vtn.up)
        fingerprint = place.pki.ven.fingerprint
        await vtn.post("/vens", {"venID": "VEN-openleadr", "fingerprint": fingerprint, "venName": "openleadr"})
        async with Child.module("tests.interop.peers.openleadr_ven", json.dumps(config)) as peer:
            await peer.fact(lambda fact: "registered" in fact)

            async def offer() -> Any:
                found = (await vtn.get("/report-offers?venID=VEN-openleadr"))["offers"]
                return found[0] if found else None

            offered = await eventually("openleadr's METADATA", offer)
            assert (offered["reportSpecifierID"], offered["reportName"]) == ("usage", "TELEMETRY_USAGE")
            assert [point["rID"] for point in offered["points"]] == ["P-meter-1"]
            wanted = {"venID": "VEN-openleadr", "reportSpecifierID": "usage"}

            once = await vtn.post("/report-requests", wanted)
            assert (await in_state(vtn, once, "done"))["reports"] == 1

            periodic = await vtn.post(
                "/report-requests", {**wanted, "granularity": "PT1S", "reportBackDuration": "PT2S"}
            )
            assert (await in_state(vtn, periodic, "delivering"))["responseCode"] in (200, None)
            rows = (await vtn.get(f"/reports?reportRequestID={periodic['reportRequestID']}"))["reports"]
            assert {row["value"] for row in rows} == {7200.0}

            await vtn.post(f"/report-requests/{periodic['reportRequestID']}/cancel", {})
            await in_state(vtn, periodic, "cancelled")
            status, problem = await vtn.call(
                "POST", "/api/v1/report-requests", {**wanted, "granularity": "PT7S", "reportBackDuration": "PT14S"}
            )
            assert (status, problem["field"]) == (422, "granularity")
            assert (await vtn.get("/report-deliveries"))["deliveries"] == []
