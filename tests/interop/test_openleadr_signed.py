"""High security with each side of openleadr 0.5.36: every message signed and verified both ways, over mutual TLS."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ours import MARKET_CONTEXT, Place, eventually
from tests.interop.processes import Child

pytestmark = [pytest.mark.interop, pytest.mark.process]


async def test_rule_514_openleadr_as_ven_under_require(tmp_path: Path) -> None:
    """It signs everything and takes only what is signed by the VTN whose fingerprint it was given."""
    place = Place(tmp_path)
    cert, key = place.pki.ven.chain
    config = {
        "ven_name": "openleadr",
        "ven_id": "VEN-openleadr",
        "vtn_url": f"{place.vtn_url}/OpenADR2/Simple/2.0b",
        "cert": str(cert),
        "key": str(key),
        "ca": str(place.pki.trust_openadr),
        "vtn_fingerprint": place.pki.vtn[0].fingerprint,  # it prefers the EC suite of R67
    }
    child = place.vtn()
    child.env["OADR_VTN__SERVER__SIGNATURES__POLICY"] = "require"
    async with place.apis() as (vtn, _), child:
        await eventually("the VTN is up", vtn.up)
        fingerprint = place.pki.ven.fingerprint
        enrolment = {"venID": "VEN-openleadr", "fingerprint": fingerprint, "resources": [{"resourceID": "meter-1"}]}
        await vtn.post("/vens", enrolment)
        async with Child.module("tests.interop.peers.openleadr_ven", json.dumps(config)) as peer:
            assert (await peer.fact(lambda fact: "registered" in fact))["ven_id"] == "VEN-openleadr"
            signal = {
                "signalName": "SIMPLE",
                "signalType": "level",
                "intervals": [{"duration": "PT30S", "value": 2}],
            }
            body = {"marketContext": MARKET_CONTEXT, "duration": "PT30S", "signals": [signal]}
            event = await vtn.post("/events", {**body, "targets": {"resourceID": ["meter-1"]}})
            await peer.fact(lambda fact: fact.get("event") == event["eventID"])

            async def acknowledged() -> Any:
                (ven,) = (await vtn.get(f"/events/{event['eventID']}"))["vens"]
                return ven if ven["state"] == "acknowledged" else None

            assert (await eventually("openleadr's oadrCreatedEvent", acknowledged))["optType"] == "optIn"

            async def telemetry() -> Any:
                return (await vtn.get("/reports?rID=P-meter-1"))["reports"] or None

            await eventually("openleadr's telemetry", telemetry)


async def test_rule_514_openleadr_as_vtn_verifies_our_ven_and_is_verified(tmp_path: Path) -> None:
    place = Place(tmp_path)
    ec = place.pki.vtn[0]
    config = {
        "vtn_id": "VTN-peer",
        "ven_id": "VEN-bridge",
        "port": place.vtn_port,
        "cert": str(ec.chain[0]),
        "key": str(ec.chain[1]),
        "sign": str(ec.cert_path),  # it wants the certificate alone, without its chain
        "ca": str(place.pki.trust_openadr),
        "fingerprint": place.pki.ven.fingerprint,
    }
    async with (
        Child.module("tests.interop.peers.openleadr_vtn", json.dumps(config)) as peer,
        place.bridge({"CP1": {"phases": 1, "max_a": 16}}, ven={"xml_signature": True}),
    ):
        await peer.fact(lambda fact: "ready" in fact)
        assert (await peer.fact(lambda fact: "registered" in fact))["registered"] == "bridge"
        assert (await peer.fact(lambda fact: fact.get("report_offered") == "RealPower"))["unit"] == "W"
        await peer.say(
            command="add_event",
            in_s=5,
            duration_s=15,
            signal_name="LOAD_CONTROL",
            signal_type="x-loadControlCapacity",
            value=0.5,
            market_context=MARKET_CONTEXT,
        )
        event_id = (await peer.fact(lambda fact: "event_added" in fact))["event_added"]
        answer = await peer.fact(lambda fact: fact.get("created_event") == event_id)
        assert answer["ven_id"] == "VEN-bridge"
