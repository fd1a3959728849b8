"""What an operator asks of a registered VEN: to register again (R401), or to be registered no longer (R407)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from openadr.errors import NotAllowed
from openadr.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    EiResponse,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
)
from openadr.model import OptType
from openadr.times import Duration
from tests.vtn.services.test_events import ready
from tests.vtn.services.test_opts import schedule
from tests.vtn.services.test_registration import row
from tests.vtn.services.test_reports import metadata
from tests.vtn.world import Party, World, simple_event
from vtn.farewells import Farewells
from vtn.outbox import Outbox
from vtn.services import farewell, reportask
from vtn.store.rows import EndedBy, Outbound, OutboundState
from vtn.store.store import Store


async def ask_again(party: Party) -> Outbound:
    async with party.world.store.write() as tx:
        return await farewell.ask_again(tx, await row(party), party.world.clock.now())


async def cancel(party: Party) -> Outbound:
    world = party.world
    async with world.store.write() as tx:
        return await farewell.cancel(tx, await row(party), world.clock.now(), world.desk)


async def queue(party: Party) -> list[tuple[str, OutboundState]]:
    async with party.world.store.read() as tx:
        rows = await tx.queue.entries(party.ven_id)
    return [(type(each.message).__name__, each.state) for each in rows]


async def polled(
    party: Party, kind: type[CancelPartyRegistration] = CancelPartyRegistration
) -> CancelPartyRegistration:
    found = await party.poll()
    assert isinstance(found, kind)
    return found


def code(reply: object) -> int:
    assert isinstance(reply, Response | CanceledPartyRegistration | DistributeEvent)
    assert reply.response is not None
    return reply.response.response_code


@pytest.fixture
async def shared(store: Store) -> World:
    """Return a world on each kind of database."""
    return World(store)


async def test_rule_401_an_operator_asks_and_the_ven_registers_again_with_its_id(shared: World) -> None:
    party = await ready(shared)
    await party.send(metadata())
    before = await row(party)
    await ask_again(party)
    await ask_again(party)  # once is enough
    assert await party.poll() == RequestReregistration(ven_id="ven-a")
    assert code(await party.send(Response(response=EiResponse(request_id="whatever"), ven_id="ven-a"))) == 200
    assert ("RequestReregistration", OutboundState.ANSWERED) in await queue(party)
    shared.clock.advance(60)
    again = await party.register(registration_id=before.registration_id, ven_id="ven-a", report_only=False)
    assert (again.response.response_code, again.registration_id) == (200, before.registration_id)
    after = await row(party)
    assert (after.registration_id, after.registered_at) == (before.registration_id, shared.clock.now())
    async with shared.store.read() as tx:
        assert len(await tx.reports.offer("ven-a")) == 1
    assert isinstance(await party.poll(), Response), "no METADATA after a re-registration (R405)"


async def test_rule_405_after_a_re_registration_neither_metadata_nor_events_come_again(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(), "ven-a")
    assert isinstance(await party.poll(), DistributeEvent)
    before = await row(party)
    await party.register(registration_id=before.registration_id, ven_id="ven-a")
    assert isinstance(await party.poll(), Response)


async def test_a_re_registration_answers_the_request_for_it_also_without_oadr_response(world: World) -> None:
    party = await ready(world)
    await ask_again(party)
    await party.poll()
    await party.register(registration_id=(await row(party)).registration_id, ven_id="ven-a")
    world.clock.advance(3600)
    assert isinstance(await party.poll(), Response)


async def test_a_request_that_is_not_answered_comes_again_is_given_up_and_may_be_asked_anew(world: World) -> None:
    party = await ready(world)
    await ask_again(party)
    times = 0
    for _ in range(40):
        times += isinstance(await party.poll(), RequestReregistration)
        world.clock.advance(60)
    assert times == world.desk.queue.attempts
    assert ("RequestReregistration", OutboundState.GAVE_UP) in await queue(party)
    await ask_again(party)
    assert isinstance(await party.poll(), RequestReregistration)


async def test_rule_403_another_poll_interval_is_told_at_the_next_registration(world: World) -> None:
    party = await ready(world)
    async with world.store.write() as tx:
        await tx.vens.update("ven-a", poll_freq_s=300)
    again = await party.register(registration_id=(await row(party)).registration_id, ven_id="ven-a")
    assert again.requested_poll_freq == Duration(seconds=300)
    assert (await row(party)).told_poll_s == 300


async def test_rule_407_a_registration_cancelled_by_an_operator_ends_with_the_answer(shared: World) -> None:
    party = await ready(shared)
    await party.send(metadata())
    await shared.put(simple_event(), "ven-a")
    await party.send(schedule("opt-1"))
    await cancel(party)
    registration_id = (await row(party)).registration_id
    asked = await polled(party)
    assert (asked.registration_id, asked.ven_id) == (registration_id, "ven-a")
    assert isinstance(await party.poll(), Response), "nothing else is sent meanwhile"
    answer = CanceledPartyRegistration(
        response=EiResponse(request_id=asked.request_id), registration_id=registration_id, ven_id="ven-a"
    )
    assert code(await party.send(answer)) == 200
    ended = await row(party)
    assert (ended.registered, ended.cancel_by, ended.ended_by) == (False, None, EndedBy.OPERATOR)
    async with shared.store.read() as tx:
        assert await tx.reports.offer("ven-a") == ()
        assert await tx.queue.entries("ven-a") == ()
        assert len(await tx.opts.schedules("ven-a", str(OptType.OPT_OUT))) == 1
    assert code(await party.poll()) == 463
    assert code(await party.send(answer)) == 200, "twice does no harm"
    assert (await party.register()).response.ok


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({}, True),
        ({"response": EiResponse(request_id="req-wrong")}, True),  # told by its registrationID
        ({"response": EiResponse(request_id=""), "registration_id": None}, True),
        ({"response": EiResponse(request_id="req-wrong"), "registration_id": None}, False),
        ({"response": EiResponse(request_id="req-wrong"), "registration_id": "reg-9"}, False),
        ({"response": EiResponse(request_id="", response_code=452)}, True),  # it is not registered there either
    ],
)
async def test_rule_407_an_answer_is_known_by_either_id(world: World, changes: dict[str, object], ends: bool) -> None:
    party = await ready(world)
    await cancel(party)
    asked = await polled(party)
    answer = CanceledPartyRegistration(
        response=EiResponse(request_id=asked.request_id), registration_id=asked.registration_id, ven_id="ven-a"
    )
    assert code(await party.send(replace(answer, **changes))) == 200  # type: ignore[arg-type]
    assert (await row(party)).registered is not ends


async def test_an_answer_to_a_cancellation_that_was_never_sent_ends_nothing(world: World) -> None:
    party = await ready(world)
    registration_id = (await row(party)).registration_id
    answer = CanceledPartyRegistration(response=EiResponse(), registration_id=registration_id, ven_id="ven-a")
    await party.send(answer)
    assert (await row(party)).registered
    await cancel(party)
    await party.send(answer)
    assert (await row(party)).registered


async def test_rule_407_without_an_answer_the_registration_ends_when_the_time_is_over(shared: World) -> None:
    party = await ready(shared)
    await cancel(party)
    await cancel(party)  # the time is not moved on
    patience = farewell.patience(await row(party), shared.desk)
    rounds = Farewells(shared.store)
    sent = 0
    end = shared.clock.now() + patience
    while shared.clock.now() < end:
        await rounds.round(shared.clock.now())
        sent += isinstance(await party.poll(), CancelPartyRegistration)
        shared.clock.advance(30)
    assert sent == shared.desk.queue.attempts
    await rounds.round(shared.clock.now())
    ended = await row(party)
    assert (ended.registered, ended.ended_by) == (False, EndedBy.NO_ANSWER)
    assert code(await party.poll()) == 463
    await rounds.round(shared.clock.now())


async def test_rule_407_nothing_else_is_sent_after_the_last_repetition_of_a_cancellation(shared: World) -> None:
    party = await ready(shared)
    await cancel(party)
    while isinstance(await party.poll(), CancelPartyRegistration):
        shared.clock.advance(600)
    outbox = Outbox(shared.store, shared.desk)
    await shared.put(simple_event(start=shared.clock.now() + timedelta(hours=1)), "ven-a")
    async with shared.store.write() as tx:
        request = RequestReregistration(ven_id="ven-a")
        await tx.queue.add("ven-a", request, "", shared.clock.now())
    assert isinstance(await party.poll(), Response)
    asked = Poll(ven_id="ven-a")
    assert await outbox.distribute(party.fingerprint, asked, shared.clock.now()) is None
    assert outbox.quiet(party.fingerprint, "ven-a", shared.clock.now())


async def test_two_nodes_end_a_registration_once_and_never_the_next_one(store: Store) -> None:
    world = World(store)
    party = await ready(world)
    await cancel(party)
    world.clock.advance(86_400)
    now = world.clock.now()
    async with store.read() as tx:
        assert await tx.vens.overdue(now, 10) == ("ven-a",)
    assert (await party.register()).response.ok  # between what the other node read and what it does
    async with store.write() as tx:
        assert not await farewell.end(tx, "ven-a", EndedBy.NO_ANSWER, now, overdue_at=now)
        assert await farewell.end_overdue(tx, now) == ()
    assert (await row(party)).registered


async def test_rule_406_a_new_registration_takes_the_place_of_one_being_cancelled(world: World) -> None:
    party = await ready(world)
    await cancel(party)
    await party.register()
    assert (await row(party)).cancel_by is None
    assert isinstance(await party.poll(), RegisterReport)


async def test_rule_050_a_ven_being_cancelled_that_asks_for_events_gets_all_of_them(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(), "ven-a")
    await cancel(party)
    reply = await party.send(RequestEvent(request_id="req-e", ven_id="ven-a"))
    assert isinstance(reply, DistributeEvent)
    assert len(reply.events) == 1


async def test_what_a_ven_that_is_not_registered_cannot_be_asked(world: World) -> None:
    party = await world.enrol()
    for ask in (ask_again, cancel):
        with pytest.raises(NotAllowed, match="not registered"):
            await ask(party)
    await party.register()
    await cancel(party)
    with pytest.raises(NotAllowed, match="being cancelled"):
        await ask_again(party)


async def test_a_queue_is_purged_and_an_unsent_cancellation_taken_back(world: World) -> None:
    party = await ready(world)
    await cancel(party)
    async with world.store.write() as tx:
        assert await farewell.purge(tx, await row(party)) == 1
    assert (await row(party)).cancel_by is None
    assert (await row(party)).registered
    await cancel(party)
    await polled(party)
    async with world.store.write() as tx:
        with pytest.raises(NotAllowed, match="sent already"):
            await farewell.purge(tx, await row(party))


async def test_rule_407_a_ven_s_cancel_sent_again_because_the_answer_was_lost_is_confirmed(world: World) -> None:
    party = await ready(world)
    registration_id = (await row(party)).registration_id or ""
    request = CancelPartyRegistration(request_id="req-c", registration_id=registration_id, ven_id="ven-a")
    for _ in range(2):
        assert code(await party.send(request)) == 200
    assert (await row(party)).ended_by is EndedBy.VEN
    assert code(await party.send(replace(request, registration_id="reg-other"))) == 463
    created = await party.register()
    assert code(await party.send(request)) == 452, "an old registrationID does not end the new registration (R400)"
    assert (await row(party)).registration_id == created.registration_id


async def test_rule_517_what_is_answered_to_whom_without_registration(world: World) -> None:
    party = await world.enrol()
    query = await party.send(QueryRegistration(request_id="req-q"))
    assert getattr(query, "response").response_code == 200  # noqa: B009
    for message, expected in (
        (RequestEvent(request_id="req-e", ven_id="ven-a"), 463),
        (RequestEvent(request_id="req-e", ven_id="ven-b"), 463),
        (RegisteredReport(response=EiResponse(), ven_id="ven-a"), 463),
        (CancelPartyRegistration(request_id="req-c", registration_id="reg-1", ven_id="ven-a"), 463),
        (CanceledPartyRegistration(response=EiResponse(), ven_id="ven-a"), 200),
        (Response(response=EiResponse(), ven_id="ven-a"), 200),
        (Response(response=EiResponse(), ven_id="ven-b"), 452),
        (CreatePartyRegistration(request_id="req-r", ven_id="ven-b"), 452),
    ):
        reply = await party.send(message)
        assert getattr(reply, "response").response_code == expected, message  # noqa: B009


async def test_patience_is_bounded_whatever_the_policy(world: World) -> None:
    party = await ready(world)
    endless = replace(world.desk, queue=replace(world.desk.queue, attempts=10_000))
    assert farewell.patience(await row(party), endless) == timedelta(days=7)
    assert reportask.patience_s(endless.queue) == timedelta(days=7).total_seconds()
    assert endless.queue.due(50, world.clock.now()) == world.clock.now() + timedelta(days=7)
