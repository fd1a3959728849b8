"""What is remembered between polls: never older than the last change, whoever made it."""

from datetime import timedelta

from openadr.messages import (
    CreatedEvent,
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
from tests.vtn.world import START, Party, World, simple_event
from vtn.outbox import Outbox
from vtn.store.store import Store


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
        (state,) = await tx.events.states("evt-a")
        assert len(await tx.events.delivery_ids("evt-a", "ven-a")) == 2
    assert (state.deliveries, state.due_at) == (2, START + timedelta(seconds=180))
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
    assert (state.answer, state.due_at, state.deliveries) == (OptType.OPT_IN, None, 1)
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
