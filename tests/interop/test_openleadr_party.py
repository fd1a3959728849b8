"""Registrations and opts with openleadr 0.5.36 as VEN over TLS."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ours import MARKET_CONTEXT, Api, Place, eventually
from tests.interop.processes import Child

pytestmark = [pytest.mark.interop, pytest.mark.process]
VEN = "/vens/VEN-openleadr"


@asynccontextmanager
async def registered(folder: Path) -> AsyncIterator[tuple[Api, Child]]:
    """Run our VTN and openleadr's VEN, enrolled and registered."""
    place = Place(folder)
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
            "resources": [{"resourceID": "meter-1"}, {"resourceID": "meter-2"}],
        }
        await vtn.post("/vens", enrolment)
        async with Child.module("tests.interop.peers.openleadr_ven", json.dumps(config)) as peer:
            await peer.fact(lambda fact: "registered" in fact)
            yield vtn, peer


async def asked(vtn: Api, what: str) -> None:
    status, answer = await vtn.call("POST", f"/api/v1{VEN}/{what}", {})
    assert status == 202, answer


async def test_rule_401_407_openleadr_registers_again_when_asked_and_is_cancelled(tmp_path: Path) -> None:
    async with registered(tmp_path) as (vtn, _peer):
        before = await vtn.get(VEN)
        await asked(vtn, "reregister")

        async def again() -> Any:
            ven = await vtn.get(VEN)
            return ven if ven["registeredDateTime"] > before["registeredDateTime"] else None

        after = await eventually("openleadr registers again", again)
        assert after["registrationID"] == before["registrationID"]

        async def answered() -> bool:
            queue = (await vtn.get(f"{VEN}/queue"))["queue"]
            return any(each["payload"] == "oadrRequestReregistration" and each["state"] == "answered" for each in queue)

        await eventually("its answer", answered)
        await asked(vtn, "cancel-registration")

        async def cancelled() -> Any:
            ven = await vtn.get(VEN)
            return None if ven["registered"] else ven

        ended = await eventually("openleadr's answer to the cancellation", cancelled)
        assert ended["endedBy"] == "operator"
        assert (await vtn.get(f"{VEN}/queue"))["queue"] == []


async def test_rule_407_openleadr_cancels_its_registration(tmp_path: Path) -> None:
    async with registered(tmp_path) as (vtn, peer):
        await peer.say(command="cancel_registration")
        assert (await peer.fact(lambda fact: "registration_id" in fact))["registration_id"] is None
        ven = await vtn.get(VEN)
        assert (ven["registered"], ven["endedBy"]) == (False, "ven")


async def test_rule_206_210_openleadr_opts_out_of_an_event_and_for_a_time(tmp_path: Path) -> None:
    async with registered(tmp_path) as (vtn, peer):
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
        event = await vtn.post(
            "/events",
            {
                "marketContext": MARKET_CONTEXT,
                "dtstart": start.isoformat(),
                "duration": "PT30M",
                "signals": [{"signalName": "SIMPLE", "signalType": "level", "intervals": [{"value": 1}]}],
                "targets": {"resourceID": ["meter-1", "meter-2"]},
            },
        )
        event_id = event["eventID"]
        await peer.fact(lambda fact: fact.get("event") == event_id)

        async def resources() -> dict[str, Any]:
            (ven,) = (await vtn.get(f"/events/{event_id}"))["vens"]
            return {each["resourceID"]: each for each in ven["resources"]}

        async def accepted() -> bool:
            return all(each["optType"] == "optIn" for each in (await resources()).values())

        await eventually("its oadrCreatedEvent", accepted)
        await peer.say(
            command="create_opt",
            opt_id="opt-q",
            opt_type="optOut",
            event_id=event_id,
            modification_number=0,
            resource_id="meter-2",
        )
        await peer.fact(lambda fact: fact.get("created_opt") == "opt-q")
        found = {name: (each["optType"], each["optSource"]) for name, each in (await resources()).items()}
        assert found == {"meter-1": ("optIn", "createdEvent"), "meter-2": ("optOut", "createOpt")}

        window = [start.isoformat(), 3600]
        await peer.say(command="create_opt", opt_id="opt-s", opt_type="optOut", window=window, resource_id="meter-1")
        await peer.fact(lambda fact: fact.get("created_opt") == "opt-s")
        absence = (await resources())["meter-1"]["unavailable"]
        assert (absence["optReason"], absence["optID"]) == ("economic", "opt-s")
        await peer.say(command="cancel_opt", opt_id="opt-s")
        assert (await peer.fact(lambda fact: "cancelled_opt" in fact))["cancelled_opt"] is True
        assert (await resources())["meter-1"]["unavailable"] is None
