"""One whole event with each side of openleadr 0.5.36, over TLS with certificates that our own tool made."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ours import MARKET_CONTEXT, Place, eventually
from tests.interop.processes import Child

pytestmark = [pytest.mark.interop, pytest.mark.process]


async def test_openleadr_as_ven_takes_a_whole_event_from_our_vtn(tmp_path: Path) -> None:
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
        enrolment = {
            "venID": "VEN-openleadr",
            "fingerprint": place.pki.ven.fingerprint,
            "venName": "openleadr",
            "resources": [{"resourceID": "meter-1"}],
        }
        await vtn.post("/vens", enrolment)
        async with Child.module("tests.interop.peers.openleadr_ven", json.dumps(config)) as peer:
            registered = await peer.fact(lambda fact: "registered" in fact)
            assert registered["ven_id"] == "VEN-openleadr"
            event = await vtn.post(
                "/events",
                {
                    "marketContext": MARKET_CONTEXT,
                    "duration": "PT30S",
                    "signals": [
                        {
                            "signalName": "SIMPLE",
                            "signalType": "level",
                            "intervals": [{"duration": "PT10S", "value": 2}, {"duration": "PT20S", "value": 1}],
                        }
                    ],
                    "targets": {"resourceID": ["meter-1"]},
                },
            )
            event_id = event["eventID"]
            heard = await peer.fact(lambda fact: fact.get("event") == event_id)
            assert heard["signals"] == [{"signal_name": "SIMPLE", "signal_type": "level", "values": [2.0, 1.0]}]
            assert heard["market_context"] == MARKET_CONTEXT

            async def acknowledged() -> Any:
                (ven,) = (await vtn.get(f"/events/{event_id}"))["vens"]
                return ven if ven["state"] == "acknowledged" else None

            ven = await eventually("openleadr's oadrCreatedEvent", acknowledged)
            assert (ven["venID"], ven["optType"], ven["responseCode"]) == ("VEN-openleadr", "optIn", 200)

            async def telemetry() -> Any:
                rows = (await vtn.get("/reports?rID=P-meter-1"))["reports"]
                return rows or None

            rows = await eventually("openleadr's telemetry", telemetry)
            assert {row["value"] for row in rows} == {7200.0}

            status, _ = await vtn.call("POST", f"/api/v1/events/{event_id}/cancel", {"reason": "test"})
            assert status == 200
            cancelled = await peer.fact(lambda fact: fact.get("event_status") == "cancelled")
            assert cancelled["modification_number"] == 1


async def test_event_of_an_openleadr_vtn_reaches_a_charger_and_comes_back_as_proof(tmp_path: Path) -> None:
    place = Place(tmp_path)
    ec = place.pki.vtn[0]
    config = {
        "vtn_id": "VTN-peer",
        "ven_id": "VEN-bridge",
        "port": place.vtn_port,
        "cert": str(ec.chain[0]),
        "key": str(ec.chain[1]),
        "ca": str(place.pki.trust_openadr),
        "fingerprint": place.pki.ven.fingerprint,
    }
    chargers = {"CP1": {"phases": 1, "max_a": 16}}
    cars = {"CP1": {"phases": 1, "max_a": 16, "version": "2.0.1"}}
    async with (
        place.apis() as (_, bridge),
        Child.module("tests.interop.peers.openleadr_vtn", json.dumps(config)) as peer,
        place.bridge(chargers),
        place.fleet(cars),
    ):
        await peer.fact(lambda fact: "ready" in fact)
        heard = await peer.fact(lambda fact: "registered" in fact)
        assert heard == {"registered": "bridge", "fingerprint": place.pki.ven.fingerprint}
        offered = await peer.fact(lambda fact: fact.get("report_offered") == "RealPower")
        assert offered["unit"] == "W"

        async def charging() -> bool:
            (row,) = await bridge.get("/chargers")
            return row["reading"] is not None and (row["reading"]["powerW"] or 0) > 3000

        await eventually("the bridge is up", bridge.up)
        await eventually("the car charges", charging)
        await peer.say(
            command="add_event",
            in_s=3,
            duration_s=15,
            signal_name="LOAD_CONTROL",
            signal_type="x-loadControlCapacity",
            value=0.5,
            market_context=MARKET_CONTEXT,
        )
        event_id = (await peer.fact(lambda fact: "event_added" in fact))["event_added"]
        answer = await peer.fact(lambda fact: fact.get("created_event") == event_id)
        assert (answer["ven_id"], answer["opt_type"]) == ("VEN-bridge", "optIn")

        async def verified() -> Any:
            rows = [row for row in await bridge.get("/outcomes") if row["eventID"] == event_id]
            return rows[0] if rows and rows[0]["state"] == "verified" else None

        outcome = await eventually("the meter proves it", verified, 60)
        assert outcome["limitA"] == 8.0

        async def released() -> bool:
            (row,) = await bridge.get("/chargers")
            return bool(row["reading"]["powerW"] > 3000)

        await eventually("the car charges again", released)
        assert await peer.fact(lambda fact: any(value > 1000 for _, value in fact.get("report", ())))
