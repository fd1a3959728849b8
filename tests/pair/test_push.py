"""Our VTN pushes to our VEN over TLS: registration, METADATA, events, cancels, outages, a restart of either end."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from certs.authority import Issued, Profile
from openadr.messages import CancelReport, RequestReregistration
from runtime.clock import SystemClock
from tests.pair.pushed import Pair, VtnEnd
from tests.vtn.server import Pki, make_pki
from tests.vtn.test_chain import event_body
from tests.vtn.world import START


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"), SystemClock())


@pytest.fixture(scope="module")
def certificate(pki: Pki) -> Issued:
    names = ("127.0.0.1", "localhost")
    return pki.authority.issue(Profile.OPENADR_VEN, "ven-push", names, now=SystemClock().now())


@pytest.fixture
def pair(pki: Pki, certificate: Issued, tmp_path: Path) -> Pair:
    return Pair(pki, certificate, tmp_path)


async def publish(vtn: VtnEnd) -> str:
    body = event_body(targets={"venID": ["ven-p"], "resourceID": [], "groupID": []})
    status, answer = await vtn.operator.call("POST", "/api/v1/events", body)
    assert status == 201, answer
    return str(answer["eventID"])


async def acknowledged(vtn: VtnEnd, event_id: str) -> bool:
    return (await vtn.state(event_id))["state"] == "acknowledged"


async def eventually_acknowledged(pair: Pair, vtn: VtnEnd, event_id: str) -> None:
    async with asyncio.timeout(30):
        while not await acknowledged(vtn, event_id):
            pair.clock.advance(0.5)
            await asyncio.sleep(0.01)


async def test_rule_038_051_500_502_events_are_pushed_and_answered_without_a_poll(pair: Pair) -> None:
    async with pair.vtn() as vtn:
        await vtn.enrol("ven-p", pair.certificate)
        async with pair.ven(vtn) as ven:
            await pair.reached(lambda: ven.status.registered)
            event_id = await publish(vtn)
            await eventually_acknowledged(pair, vtn, event_id)
            assert pair.changes == 1
            state = await vtn.state(event_id)
            assert (state["optType"], state["responseCode"]) == ("optIn", 200)
            status, _ = await vtn.operator.call("POST", f"/api/v1/events/{event_id}/cancel", {"reason": "over"})
            assert status == 200
            await pair.reached(lambda: pair.changes == 2)
            await eventually_acknowledged(pair, vtn, event_id)
            await ven.health()


async def test_a_listener_that_was_away_gets_its_events_when_it_is_back(pair: Pair) -> None:
    async with pair.vtn() as vtn:
        await vtn.enrol("ven-p", pair.certificate)
        async with pair.ven(vtn) as ven:
            await pair.reached(lambda: ven.status.registered)
        event_id = await publish(vtn)
        assert vtn.app.pusher is not None
        async with asyncio.timeout(30):
            while not (await vtn.app.pusher.backlog()).failing:
                pair.clock.advance(0.5)
                await asyncio.sleep(0.01)
        async with pair.ven(vtn):
            await eventually_acknowledged(pair, vtn, event_id)


async def test_a_vtn_that_restarts_pushes_what_was_published_before(pair: Pair) -> None:
    async with pair.vtn() as vtn:
        port = vtn.app.port
        await vtn.enrol("ven-p", pair.certificate)
        async with pair.ven(vtn) as ven:
            await pair.reached(lambda: ven.status.registered)
        await pair.reached(lambda: pair.clock.now() > START + timedelta(seconds=20))
        event_id = await publish(vtn)
    async with pair.vtn() as again:
        assert port
        async with pair.ven(again):
            await eventually_acknowledged(pair, again, event_id)


async def test_rule_401_402_a_pushed_request_to_register_again_is_followed(pair: Pair) -> None:
    async with pair.vtn() as vtn:
        await vtn.enrol("ven-p", pair.certificate)
        async with pair.ven(vtn) as ven:
            await pair.reached(lambda: ven.status.registered)
            async with vtn.app.store.read() as tx:
                before = await tx.vens.get("ven-p")
            assert before is not None
            async with vtn.app.store.write() as tx:
                again = RequestReregistration(ven_id="ven-p")
                await tx.queue.add("ven-p", again, "again", pair.clock.now())

            async def registered_again() -> bool:
                async with vtn.app.store.read() as tx:
                    row = await tx.vens.get("ven-p")
                    assert row is not None
                    assert row.registration_id == before.registration_id
                    return row.registered_at != before.registered_at and await tx.queue.depth() == 0

            async with asyncio.timeout(30):
                while not await registered_again():
                    pair.clock.advance(0.5)
                    await asyncio.sleep(0.01)


async def test_rule_037_a_ven_may_go_over_from_push_to_pull_and_back(pair: Pair) -> None:
    async with pair.vtn() as vtn:
        await vtn.enrol("ven-p", pair.certificate)

        async def model() -> bool | None:
            async with vtn.app.store.read() as tx:
                row = await tx.vens.get("ven-p")
                return None if row is None else row.http_pull_model

        for listening in (True, False, True):
            async with pair.ven(vtn, listening=listening):
                async with asyncio.timeout(30):
                    while await model() is not (not listening):
                        pair.clock.advance(0.5)
                        await asyncio.sleep(0.01)
                event_id = await publish(vtn)
                await eventually_acknowledged(pair, vtn, event_id)


async def test_rule_514_pushes_to_a_ven_with_high_security_are_signed_both_ways(pair: Pair) -> None:
    async with pair.vtn() as vtn:
        await vtn.enrol("ven-p", pair.certificate)
        async with pair.ven(vtn, xml_signature=True) as ven:
            await pair.reached(lambda: ven.status.registered)
            event_id = await publish(vtn)
            await eventually_acknowledged(pair, vtn, event_id)
            async with vtn.app.store.write() as tx:
                message = CancelReport(request_id="c-1", report_request_ids=("rr-none",), ven_id="ven-p")
                await tx.queue.add("ven-p", message, "c-1", pair.clock.now())

            async def answered() -> bool:
                async with vtn.app.store.read() as tx:
                    return await tx.queue.depth() == 0

            async with asyncio.timeout(30):
                while not await answered():
                    pair.clock.advance(0.5)
                    await asyncio.sleep(0.01)
