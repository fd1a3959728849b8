"""What is remembered between polls: never older than the last change, whoever made it."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from openadr.messages import (
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Poll,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
)
from openadr.model import OptType
from openadr.times import Duration
from openadr.wire import decode
from tests.vtn.world import START, Party, World, simple_event, stored
from vtn.coding import packed
from vtn.outbox import AHEAD_S, Outbox
from vtn.services.dispatch import handle
from vtn.services.events import payload
from vtn.store.eventrows import EventVen
from vtn.store.store import Store, Tx

T = TypeVar("T")


async def registered(world: World) -> Party:
    party = await world.enrol()
    await party.register()
    offer = await party.poll()
    assert isinstance(offer, RegisterReport)
    await party.send(RegisteredReport(response=EiResponse(request_id=offer.request_id), ven_id="ven-a"))
    return party


async def look(outbox: Outbox, party: Party, seconds: float = 0) -> tuple[str, ...] | None:
    """Poll from memory: the eventIDs handed out, () for nothing waiting, None if the services have to answer."""
    now = START + timedelta(seconds=seconds)
    reply = await outbox.distribute(party.fingerprint, Poll(ven_id="ven-a"), now)
    if reply is not None:
        return tuple(event.descriptor.event_id for event in reply.events)
    return () if outbox.quiet(party.fingerprint, "ven-a", now) else None


async def test_a_ven_without_anything_waiting_is_remembered_until_something_is(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    assert not outbox.quiet(party.fingerprint, "ven-a", START)
    assert await look(outbox, party) == ()
    assert outbox.quiet(party.fingerprint, "ven-a", START + timedelta(days=1))
    assert not outbox.quiet(party.fingerprint, "ven-b", START)
    await world.put(simple_event(), "ven-a")
    assert not outbox.quiet(party.fingerprint, "ven-a", START)
    assert await look(outbox, party) == ("evt-a",)


async def test_what_is_handed_out_from_memory_is_repeated_written_and_settled_like_from_the_database(
    world: World,
) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert await look(outbox, party) == ("evt-a",)
    assert await look(outbox, party) == ()
    assert await look(outbox, party, 59) == ()
    assert await look(outbox, party, 60) == ("evt-a",)
    await outbox.write_deliveries()
    async with world.store.read() as tx:
        handed, request_ids = (await tx.events.handed("evt-a"))["ven-a"]
    assert (handed.times, len(request_ids), handed.due_at) == (2, 2, START + timedelta(seconds=180))
    answer = EventResponse(request_id="req-1", event_id="evt-a", modification_number=0, opt_type=OptType.OPT_IN)
    await party.send(CreatedEvent(response=EiResponse(), ven_id="ven-a", event_responses=(answer,)))
    assert await look(outbox, party, 1000) == ()


async def test_an_answer_that_overtakes_the_writing_of_its_delivery_settles_the_event(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert await look(outbox, party) == ("evt-a",)
    answer = EventResponse(request_id="req-1", event_id="evt-a", modification_number=0, opt_type=OptType.OPT_IN)
    await party.send(CreatedEvent(response=EiResponse(), ven_id="ven-a", event_responses=(answer,)))
    await outbox.write_deliveries()
    async with world.store.read() as tx:
        (state,) = await tx.events.states("evt-a")
        handed, _ = (await tx.events.handed("evt-a"))["ven-a"]
    assert (state.answer, state.due_at, handed.times) == (OptType.OPT_IN, None, 1)
    assert await look(outbox, party, 1000) == ()


async def test_a_request_gets_every_event_cut_by_the_reply_limit(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    for name in ("evt-a", "evt-b"):
        await world.put(simple_event(name), "ven-a")
    for limit, count in ((None, 2), (1, 1), (0, 0)):
        request = RequestEvent(request_id="req-1", ven_id="ven-a", reply_limit=limit)
        reply = await outbox.distribute(party.fingerprint, request, START)
        assert reply is not None
        assert (len(reply.events), reply.response) == (count, EiResponse(request_id="req-1", response_description="OK"))


async def test_an_event_leaves_the_payload_of_memory_too_when_it_is_over(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(start=START, duration=Duration(seconds=1)), "ven-a")
    request = RequestEvent(request_id="req-1", ven_id="ven-a")
    for seconds, count in ((0.0, 1), (0.9, 1), (1.0, 0)):
        reply = await outbox.distribute(party.fingerprint, request, START + timedelta(seconds=seconds))
        assert reply is not None
        assert len(reply.events) == count


async def test_greeting_and_queue_are_left_to_the_services(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await world.enrol()
    await party.register()
    await world.put(simple_event(), "ven-a")
    assert await look(outbox, party) is None
    assert isinstance(await party.poll(), RegisterReport)
    assert await look(outbox, party) == ("evt-a",)
    async with world.store.write() as tx:
        await tx.queue.add("ven-a", RequestReregistration(ven_id="ven-a"), "", START)
    assert await look(outbox, party) is None


async def test_others_than_registered_vens_are_never_answered_from_memory(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await world.enrol()
    assert await look(outbox, party) is None
    await party.register()
    for fingerprint, ven_id in ((party.fingerprint, "ven-b"), ("unknown", "ven-a")):
        assert await outbox.distribute(fingerprint, Poll(ven_id=ven_id), START) is None
        assert not outbox.quiet(fingerprint, ven_id, START)


async def test_another_process_s_change_is_seen_by_the_counter_and_our_own_is_no_reason_to_forget(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.enrol("ven-b", 2)
    await outbox.look_around()
    assert await look(outbox, party) == ()
    await world.put(simple_event("evt-b"), "ven-b")
    await outbox.look_around()
    assert outbox.quiet(party.fingerprint, "ven-a", START)
    other = World(Store(world.store.engine), world.clock, world.desk)  # no listener of ours
    await other.put(simple_event(), "ven-a")
    assert outbox.quiet(party.fingerprint, "ven-a", START)
    await outbox.look_around()
    assert not outbox.quiet(party.fingerprint, "ven-a", START)
    assert await look(outbox, party) == ("evt-a",)


async def test_signs_of_life_are_written_in_batches(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    later = START + timedelta(seconds=42)
    outbox.seen(party.fingerprint, START)
    outbox.seen(party.fingerprint, later)
    outbox.seen("of a stranger", later)
    await outbox.flush()
    await outbox.flush()
    async with world.store.read() as tx:
        found = await tx.vens.get("ven-a")
    assert found is not None
    assert found.last_seen == later
    assert isinstance(await party.poll(), Response)


class CountingStore(Store):
    """A store that counts its read transactions."""

    reads = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Count, then read."""
        self.reads += 1
        async with super().read() as tx:
            yield tx


async def settled(party: Party) -> None:
    """Register, and take and answer the greeting."""
    await party.register()
    offer = await party.poll()
    assert isinstance(offer, RegisterReport)
    await party.send(RegisteredReport(response=EiResponse(request_id=offer.request_id), ven_id=party.ven_id))


async def crowd(world: World, count: int) -> list[Party]:
    parties = [await world.enrol(f"ven-{number}", number + 1) for number in range(count)]
    for party in parties:
        await settled(party)
    return parties


async def asked(outbox: Outbox, party: Party, seconds: float = 0) -> list[tuple[str, int]]:
    """Poll as the listener does, memory first and then the services: eventIDs and modificationNumbers."""
    now = START + timedelta(seconds=seconds)
    request = Poll(ven_id=party.ven_id)
    if outbox.quiet(party.fingerprint, party.ven_id, now):
        return []
    reply = await outbox.distribute(party.fingerprint, request, now)
    if reply is None and outbox.quiet(party.fingerprint, party.ven_id, now):
        return []
    found = reply or await party.send(request)
    events = getattr(found, "events", ())
    return [(event.descriptor.event_id, event.descriptor.modification_number) for event in events]


def opt_in(ven_id: str, number: int = 0) -> CreatedEvent:
    answer = EventResponse(request_id="r", event_id="evt-a", modification_number=number, opt_type=OptType.OPT_IN)
    return CreatedEvent(response=EiResponse(), ven_id=ven_id, event_responses=(answer,))


YIELDS = range(0, 60, 4)  # turns of the loop after which a change meets a reading; a reading takes some 40


async def reading(
    outbox: Outbox, party: Party, turns: int, poll_with: Callable[[Outbox, Party], Coroutine[Any, Any, T]]
) -> asyncio.Task[T]:
    """Begin a poll that has to read, and let it come some way."""
    outbox.forget(frozenset({party.ven_id}))
    poll = asyncio.create_task(poll_with(outbox, party))
    for _ in range(turns):
        await asyncio.sleep(0)
    return poll


@pytest.mark.parametrize("turns", YIELDS)
async def test_what_is_published_while_a_reading_runs_is_in_the_next_poll(world: World, turns: int) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    poll = await reading(outbox, party, turns, asked)
    await world.put(simple_event(), "ven-a")
    later = await asked(outbox, party)
    assert (await poll, later) in (([], [("evt-a", 0)]), ([("evt-a", 0)], []), ([("evt-a", 0)], [("evt-a", 0)]))
    assert await asked(outbox, party, 59) == []


@pytest.mark.parametrize("turns", YIELDS)
async def test_what_is_given_while_a_repetition_is_looked_up_is_not_lost(world: World, turns: int) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert await asked(outbox, party) == [("evt-a", 0)]
    poll = asyncio.create_task(asked(outbox, party, 60))
    for _ in range(turns):
        await asyncio.sleep(0)
    await world.put(simple_event("evt-b"), "ven-a")
    first, later = await poll, await asked(outbox, party, 61)
    assert ("evt-a", 0) in first
    assert ("evt-b", 0) in first + later
    assert await asked(outbox, party, 62) == []


@pytest.mark.parametrize("turns", YIELDS)
async def test_rule_050_a_new_version_made_while_a_reading_runs_is_in_the_next_poll(world: World, turns: int) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    row = await world.put(simple_event(), "ven-a")
    poll = await reading(outbox, party, turns, asked)
    await world.modify(row)
    later = await asked(outbox, party)
    assert later == [("evt-a", 1)] or ((await poll), later) == ([("evt-a", 1)], [])
    await poll
    assert await asked(outbox, party, 59) == []
    await outbox.flush()
    async with world.store.read() as tx:
        handed, _ = (await tx.events.handed("evt-a"))["ven-a"]
    assert handed.modification_number == 1


@pytest.mark.parametrize("turns", YIELDS)
async def test_what_is_answered_while_a_reading_runs_is_not_asked_again(world: World, turns: int) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert await asked(outbox, party) == [("evt-a", 0)]
    poll = await reading(outbox, party, turns, asked)
    await party.send(opt_in("ven-a"))
    assert await asked(outbox, party, 60) == []
    assert await poll == []
    assert await asked(outbox, party, 3000) == []


@pytest.mark.parametrize("turns", YIELDS)
async def test_rule_301_a_registration_while_a_reading_runs_is_greeted_and_gets_its_events_again(
    world: World, turns: int
) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert await asked(outbox, party) == [("evt-a", 0)]
    poll = await reading(outbox, party, turns, look)  # the services would send it the greeting
    await outbox.write_deliveries()  # as the listener does before a registration
    await party.register()
    assert await look(outbox, party) is None  # METADATA comes first, from the services
    assert isinstance(await party.poll(), RegisterReport)
    await poll
    assert await asked(outbox, party) == [("evt-a", 0)]


@pytest.mark.parametrize("turns", YIELDS)
async def test_rule_405_a_registration_cancelled_while_a_reading_runs_ends_answers_from_memory(
    world: World, turns: int
) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    poll = await reading(outbox, party, turns, asked)
    async with world.store.write() as tx:
        await tx.vens.update("ven-a", registration_id=None)
    assert await look(outbox, party) is None
    await poll
    assert await look(outbox, party) is None


@pytest.mark.parametrize("turns", YIELDS)
async def test_a_hand_out_while_a_reading_runs_is_not_forgotten(world: World, turns: int) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    await outbox.distribute(party.fingerprint, RequestEvent(request_id="r", ven_id="ven-b", reply_limit=0), START)
    assert len(outbox) == 1
    request = RequestEvent(request_id="r", ven_id="ven-a", reply_limit=0)
    pulled = asyncio.create_task(outbox.distribute(party.fingerprint, request, START + timedelta(seconds=5)))
    for _ in range(turns):
        await asyncio.sleep(0)
    assert await asked(outbox, party, 5) == [("evt-a", 0)]
    await pulled
    assert await asked(outbox, party, 6) == []


async def test_vens_that_ask_at_once_are_read_together(world: World) -> None:
    store = CountingStore(world.store.engine)
    world.store = store
    outbox = Outbox(store, world.desk)
    parties = await crowd(world, 30)
    await world.put(simple_event(), *(party.ven_id for party in parties))
    assert await asyncio.gather(*(asked(outbox, party) for party in parties)) == [[("evt-a", 0)]] * 30
    assert store.reads == 1
    assert await asyncio.gather(*(asked(outbox, party) for party in parties)) == [[]] * 30
    await outbox.flush()
    async with store.read() as tx:
        given = (await tx.events.handed("evt-a")).values()
    assert [(handed.times, handed.modification_number) for handed, _ in given] == [(1, 0)] * 30


async def test_vens_that_were_dropped_are_read_before_they_ask(world: World) -> None:
    store = CountingStore(world.store.engine)
    world.store = store
    outbox = Outbox(store, world.desk)
    parties = await crowd(world, 5)
    await asyncio.gather(*(asked(outbox, party) for party in parties[:4]))
    ahead = asyncio.create_task(outbox.ahead(world.clock))
    row = await world.put(simple_event(), *(party.ven_id for party in parties))
    await world.modify(row)
    assert len(outbox) == 0
    while not world.clock.sleepers:
        await asyncio.sleep(0)
    world.clock.advance(AHEAD_S)
    async with asyncio.timeout(60):
        while len(outbox) < 4:  # the fifth has never asked
            await asyncio.sleep(0)
    reads = store.reads
    for party in parties[:4]:
        assert await asked(outbox, party, 30) == [("evt-a", 1)]
    assert store.reads == reads
    assert await asked(outbox, parties[4]) == [("evt-a", 1)]
    assert store.reads == reads + 1
    ahead.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ahead


async def test_new_events_are_given_to_those_that_are_remembered_without_reading(world: World) -> None:
    store = CountingStore(world.store.engine)
    world.store = store
    outbox = Outbox(store, world.desk)
    parties = await crowd(world, 2)
    for party in parties:
        assert await asked(outbox, party) == []
    reads = store.reads
    await world.put(simple_event("evt-b"), "ven-0", resources={"ven-1": ("evse-2", "evse-1")})
    await world.put(simple_event("evt-a"), "ven-0")
    assert await asked(outbox, parties[0]) == [("evt-a", 0), ("evt-b", 0)]
    assert await asked(outbox, parties[0], 59) == []
    await world.put(simple_event("evt-c"), "ven-0")
    assert len(await asked(outbox, parties[0], 59)) == 3
    reply = await outbox.distribute(parties[1].fingerprint, Poll(ven_id="ven-1"), START)
    assert reply is not None
    assert reply.events[0].target.resource_ids == ("evse-1", "evse-2")
    assert store.reads == reads + (2 if store.engine.dialect.name == "postgresql" else 0)


async def test_rule_050_115_what_memory_answers_at_once_is_what_the_database_answers(world: World) -> None:
    """Events given, handed out, joined by others and leaving: bytes, records and times as without memory."""
    outbox = Outbox(world.store, world.desk)
    (party,) = await crowd(world, 1)
    request = Poll(ven_id="ven-0")
    assert await asked(outbox, party) == []
    await world.put(simple_event("evt-a"), resources={"ven-0": ("evse-1",)})
    await world.put(simple_event("evt-b", start=START, duration=Duration(seconds=5)), "ven-0")
    for seconds, ids in ((1, {"evt-a", "evt-b"}), (61, {"evt-a"})):
        now = START + timedelta(seconds=seconds)
        async with world.store.read() as tx:
            expected = payload(await tx.events.of_ven("ven-0", now), now)
        if world.store.engine.dialect.name == "postgresql":
            outbox.forget(frozenset({"ven-0"}))
            await outbox.registered(party.fingerprint, request, now)
        parcel = outbox.at_once(party.fingerprint, request, now)
        if parcel is None:  # a repetition is looked up first
            reply = await outbox.distribute(party.fingerprint, request, now)
            assert isinstance(reply, DistributeEvent)
        else:
            answer = decode(parcel.body)
            assert isinstance(answer, DistributeEvent)
            reply = answer
        assert reply.events == expected
        assert {event.descriptor.event_id for event in reply.events} == ids
        assert outbox.at_once(party.fingerprint, request, now) is None
        await outbox.write_deliveries()
    async with world.store.read() as tx:
        (of_a, _), (of_b, _) = [(await tx.events.handed(name))["ven-0"] for name in ("evt-a", "evt-b")]
    assert (of_a.times, of_a.due_at, of_b.times) == (2, START + timedelta(seconds=61 + 120), 1)


async def test_rule_050_115_new_events_are_answered_at_once_as_the_database_answers(world: World) -> None:
    """Events that come before and after others have left, one of them out of order: payloads and records."""
    outbox = Outbox(world.store, world.desk)
    (party,) = await crowd(world, 1)
    request = Poll(ven_id="ven-0")
    assert await asked(outbox, party) == []
    sent: list[tuple[str, ...]] = []
    short = Duration(seconds=20)
    steps: list[tuple[float, tuple[tuple[str, datetime], ...]]] = [
        (1, (("evt-b", START), ("evt-a", START))),
        (30, (("evt-d", START + timedelta(seconds=25)), ("evt-c", START + timedelta(seconds=25)))),
        (31, (("evt-e", START + timedelta(seconds=27)),)),
        (200, (("evt-f", START + timedelta(seconds=190)),)),
    ]
    for seconds, events in steps:
        world.clock.set(START + timedelta(seconds=seconds))
        for name, start in events:
            await world.put(simple_event(name, start=start, duration=short), resources={"ven-0": ("evse-1",)})
        now = world.clock.now()
        async with world.store.read() as tx:
            expected = payload(await tx.events.of_ven("ven-0", now), now)
        if world.store.engine.dialect.name == "postgresql":
            await outbox.registered(party.fingerprint, request, now)
        parcel = outbox.at_once(party.fingerprint, request, now)
        assert parcel is not None
        answer = decode(parcel.body)
        assert isinstance(answer, DistributeEvent)
        assert answer.events == expected
        sent.append(tuple(sorted(event.descriptor.event_id for event in answer.events)))
        assert outbox.quiet(party.fingerprint, "ven-0", now)
        await outbox.write_deliveries()
    assert sent == [("evt-a", "evt-b"), ("evt-c", "evt-d"), ("evt-c", "evt-d", "evt-e"), ("evt-f",)]
    world.clock.set(START + timedelta(seconds=15))  # set back: what had left is there again
    assert await asked(outbox, party, 15) == [] or world.store.engine.dialect.name == "postgresql"
    async with world.store.read() as tx:
        found = [(await tx.events.handed(f"evt-{name}"))["ven-0"] for name in "abcdef"]
    counts = [len(request_ids) for _, request_ids in found]
    assert counts == [1, 1, 2, 2, 1, 1]  # the payload with evt-e had evt-c and evt-d once more
    assert [handed.times for handed, _ in found] == counts
    assert found[-1][0].due_at == START + timedelta(seconds=260)


async def test_long_payloads_are_compressed_once_for_vens_with_targets_of_one_length(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    parties = await crowd(world, 12)
    for party in parties:
        await asked(outbox, party)
    for number in range(8):
        named: dict[str, tuple[str, ...]] = {"ven-3": (f"evse-{number % 2}",), "ven-4": ("evse-1",)}
        whole = (each.ven_id for each in parties if each.ven_id not in named)
        await world.put(simple_event(f"evt-{number}"), *whole, resources=named)
    compact = []
    for party in parties:
        request, now = Poll(ven_id=party.ven_id), START + timedelta(seconds=1)
        await outbox.registered(party.fingerprint, request, now)
        parcel = outbox.at_once(party.fingerprint, request, now)
        assert parcel is not None
        assert parcel.events == 8
        compact.append(parcel.packed() is not None)
        assert not compact[-1] or len(packed(parcel, "gzip")) < len(parcel.body) / 8
        assert {zlib.decompress(packed(parcel, coding), wbits=47) for coding in ("gzip", "deflate")} == {parcel.body}
        assert packed(parcel, None) == parcel.body
    assert compact == [False, True, True, False, False, *[True] * 5, False, True]  # ven-10 is a byte longer


async def test_an_event_is_repeated_only_after_looking_whether_another_process_has_the_answer(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert await asked(outbox, party) == [("evt-a", 0)]
    await outbox.flush()
    other = World(Store(world.store.engine), world.clock, world.desk)
    await Party(other, "ven-a", party.fingerprint).send(opt_in("ven-a"))
    assert await asked(outbox, party, 60) == []


async def test_rule_063_vens_with_the_same_event_get_it_with_targets_of_their_own(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    parties = await crowd(world, 3)
    await world.put(simple_event(), "ven-2", resources={"ven-0": ("evse-0",), "ven-1": ("evse-1", "evse-2")})
    targets = []
    for party in parties:
        reply = await outbox.distribute(party.fingerprint, Poll(ven_id=party.ven_id), START)
        assert reply is not None
        targets += [(event.target.ven_ids, event.target.resource_ids) for event in reply.events]
    assert targets == [(("ven-0",), ("evse-0",)), (("ven-1",), ("evse-1", "evse-2")), (("ven-2",), ())]


async def test_own_commits_are_not_taken_for_those_of_another_process(world: World) -> None:
    """A look around at any moment of a commit: what is remembered stays."""
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    assert await asked(outbox, party) == []
    await outbox.look_around()
    done = asyncio.Event()

    async def look_on() -> int:
        looks = 0
        while not done.is_set():
            await outbox.look_around()
            looks += 1
            assert len(outbox) == 1
        return looks

    looking = asyncio.create_task(look_on())
    for number in range(50):
        await world.put(simple_event(f"evt-{number}"), "ven-a")
    done.set()
    assert await looking > 50


async def test_memory_is_bounded_and_what_has_no_room_is_read(world: World) -> None:
    outbox = Outbox(world.store, world.desk, remembered=2)
    parties = await crowd(world, 5)
    await world.put(simple_event(), *(party.ven_id for party in parties))
    for party in parties:
        assert await asked(outbox, party) == [("evt-a", 0)]
    assert len(outbox) == 2
    for party in parties:
        assert await asked(outbox, party, 1) == []


async def test_what_was_never_sent_goes_out_although_the_clock_was_set_back(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    world.clock.advance(7200)
    await world.put(simple_event(start=START + timedelta(hours=4)), "ven-a")
    async with world.store.write() as tx:
        await tx.queue.add("ven-a", RequestReregistration(ven_id="ven-a"), "", world.clock.now())
    assert await outbox.registered(party.fingerprint, Poll(ven_id="ven-a"), world.clock.now())
    assert not outbox.quiet(party.fingerprint, "ven-a", START)
    assert await look(outbox, party) == ("evt-a",)
    assert await look(outbox, party) is None, "the queue is next"
    reply = await handle(world.store, Poll(ven_id="ven-a"), party.fingerprint, START, world.desk)
    assert isinstance(reply, RequestReregistration)
    assert await look(outbox, party) == ()


@pytest.mark.parametrize("turns", YIELDS)
async def test_a_new_event_and_an_answer_asked_for_while_a_reading_runs_do_not_hide_each_other(
    world: World, turns: int
) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert await look(outbox, party) == ("evt-a",)
    poll = asyncio.create_task(look(outbox, party, 100))  # due again: what is remembered is too old for that
    for _ in range(turns):
        await asyncio.sleep(0)
    new = stored(simple_event("evt-b"), START)
    state = EventVen(event_id="evt-b", ven_id="ven-a", whole_ven=True, due_at=START)
    async with world.store.write() as tx:
        await tx.events.put(new, "tester")
        await tx.events.assign([state], [], new=new)
    got = {*(await poll or ())}
    if not outbox.quiet(party.fingerprint, "ven-a", START + timedelta(seconds=101)):  # as the listener asks first
        got |= {*(await look(outbox, party, 101) or ())}
    assert got == {"evt-a", "evt-b"}


async def test_an_event_that_nobody_fetched_in_its_time_costs_one_more_reading_and_no_more(world: World) -> None:
    outbox = Outbox(world.store, world.desk)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert await outbox.registered(party.fingerprint, Poll(ven_id="ven-a"), START)
    over = timedelta(hours=3).total_seconds()
    await look(outbox, party, over)
    await outbox.read_ahead(START + timedelta(seconds=over))
    assert outbox.quiet(party.fingerprint, "ven-a", START + timedelta(seconds=over + 10))
