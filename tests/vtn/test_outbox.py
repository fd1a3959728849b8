"""What is remembered between polls: never older than the last change, whoever made it."""

from datetime import timedelta

from openadr.messages import DistributeEvent, EiResponse, RegisteredReport, RegisterReport, Response
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


async def test_a_ven_without_anything_waiting_is_remembered_until_something_is(world: World) -> None:
    outbox = Outbox(world.store)
    party = await registered(world)
    assert not outbox.remembers_idle(party.fingerprint, "ven-a", START)
    assert await outbox.idle(party.fingerprint, "ven-a", START)
    assert outbox.remembers_idle(party.fingerprint, "ven-a", START + timedelta(days=1))
    await world.put(simple_event(), "ven-a")
    assert not outbox.remembers_idle(party.fingerprint, "ven-a", START)
    assert not await outbox.idle(party.fingerprint, "ven-a", START)


async def test_a_delivered_event_is_looked_at_again_when_it_is_due(world: World) -> None:
    outbox = Outbox(world.store)
    party = await registered(world)
    await world.put(simple_event(), "ven-a")
    assert isinstance(await party.poll(), DistributeEvent)
    assert await outbox.idle(party.fingerprint, "ven-a", START)
    assert outbox.remembers_idle(party.fingerprint, "ven-a", START + timedelta(seconds=59))
    assert not outbox.remembers_idle(party.fingerprint, "ven-a", START + timedelta(seconds=60))
    assert not await outbox.idle(party.fingerprint, "ven-a", START + timedelta(seconds=60))


async def test_others_than_registered_vens_are_never_remembered(world: World) -> None:
    outbox = Outbox(world.store)
    party = await world.enrol()
    assert not await outbox.idle(party.fingerprint, "ven-a", START)
    await party.register()
    await world.store.engine.dispose()
    assert not await outbox.idle(party.fingerprint, "ven-b", START)
    assert not await outbox.idle("unknown", "ven-a", START)


async def test_another_process_s_change_is_seen_by_the_counter(world: World) -> None:
    outbox = Outbox(world.store)
    party = await registered(world)
    await outbox.look()
    assert await outbox.idle(party.fingerprint, "ven-a", START)
    await outbox.look()
    assert outbox.remembers_idle(party.fingerprint, "ven-a", START)
    other = World(Store(world.store.engine), world.clock, world.desk)  # no listener of ours
    await other.put(simple_event(), "ven-a")
    assert outbox.remembers_idle(party.fingerprint, "ven-a", START)
    await outbox.look()
    assert not outbox.remembers_idle(party.fingerprint, "ven-a", START)
    assert isinstance(await party.poll(), DistributeEvent)


async def test_signs_of_life_are_written_in_batches(world: World) -> None:
    outbox = Outbox(world.store)
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
