"""Lists of events: filters say what the timeline says, counts what the VENs say."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

from openadr.model import Event, EventStatus, ResponseRequired
from openadr.timeline import status
from openadr.times import ZERO, Duration
from tests.vtn.world import HOUR, MARKET, START, World, simple_event
from vtn.store.eventlist import EventFilter
from vtn.store.eventrows import EventCounts, EventResource, EventVen, Handout, OptSource
from vtn.store.rows import Resource
from vtn.store.store import Store


def event(event_id: str, start: int, duration: Duration, ramp_up: int | None, cancelled: bool) -> Event:
    made = simple_event(event_id, start=START + timedelta(seconds=start), duration=duration)
    period = replace(made.active_period, ramp_up=None if ramp_up is None else Duration(seconds=ramp_up))
    state = EventStatus.CANCELLED if cancelled else EventStatus.FAR
    return replace(made, active_period=period, descriptor=replace(made.descriptor, event_status=state))


async def found(store: Store, **wanted: object) -> set[str]:
    where = EventFilter(**{"now": START, **wanted})  # type: ignore[arg-type]
    async with store.read() as tx:
        return {each.event_id for each in await tx.events.page(after=None, limit=1000, where=where)}


async def test_rule_013_a_status_in_a_list_is_the_one_of_the_timeline(store: Store) -> None:
    world = World(store)
    await world.enrol()
    made = [
        event(f"evt-{number}", start, duration, ramp_up, cancelled)
        for number, (start, duration, ramp_up, cancelled) in enumerate(
            product((-7200, -3600, -3599, 0, 1, 600), (HOUR, ZERO), (None, 600, -600, 0), (False, True))
        )
    ]
    for each in made:
        await world.put(each, "ven-a")
    for state in EventStatus:
        expected = {each.descriptor.event_id for each in made if status(each, START) is state}
        assert await found(store, status=state) == expected, state


async def test_filters_by_market_context_ven_and_time(store: Store) -> None:
    world = World(store)
    await world.enrol()
    await world.enrol("ven-b", 2)
    await world.put(simple_event("evt-a"), "ven-a")
    await world.put(simple_event("evt-b", start=START + timedelta(hours=3)), "ven-a", "ven-b")
    await world.put(simple_event("evt-c", start=START, duration=ZERO), "ven-b")
    assert await found(store) == {"evt-a", "evt-b", "evt-c"}
    assert await found(store, ven_id="ven-b") == {"evt-b", "evt-c"}
    assert await found(store, market_context=MARKET.replace("https", "HTTPS")) == {"evt-a", "evt-b", "evt-c"}
    assert await found(store, market_context="https://none.example") == set()
    assert await found(store, start=START + timedelta(hours=2)) == {"evt-b", "evt-c"}
    assert await found(store, end=START + timedelta(hours=3)) == {"evt-a", "evt-c"}
    assert await found(store, start=START + timedelta(hours=1), end=START + timedelta(hours=2)) == {"evt-a", "evt-c"}
    async with store.write() as tx:
        await tx.events.withdraw("evt-b", ["ven-b"], 1, START, None)
    assert await found(store, ven_id="ven-b") == {"evt-c"}


async def test_counts_of_an_event(store: Store) -> None:
    world = World(store)
    names = [f"ven-{number}" for number in range(8)]
    for number, name in enumerate(names):
        await world.enrol(name, number + 1, Resource(ven_id=name, resource_id="r1"))
    row = await world.put(simple_event(number=2), "ven-0")
    base = EventVen(event_id=row.event_id, ven_id="", whole_ven=True)
    said = {"answered_modification": 2, "response_code": 200}
    states = [
        replace(base, ven_id="ven-1"),
        replace(base, ven_id="ven-2", answer="optIn", **said),  # type: ignore[arg-type]
        replace(base, ven_id="ven-3", answer="optOut", **said),  # type: ignore[arg-type]
        replace(base, ven_id="ven-4", answer="optIn", **{**said, "response_code": 460}),  # type: ignore[arg-type]
        replace(base, ven_id="ven-5", answer="optIn", qualified="optOut", **said),  # type: ignore[arg-type]
        replace(base, ven_id="ven-6", answered_modification=1, whole_ven=False),
        replace(base, ven_id="ven-7", withdrawn=2, withdrawn_at=START, withdrawn_end=START),
    ]
    named = [
        EventResource(event_id=row.event_id, ven_id="ven-6", resource_id=name, source=OptSource.CREATED_EVENT)
        for name in ("r1", "r2")
    ]
    given = {
        1: (("ven-6", "r"),),
        2: (*((f"ven-{number}", "r") for number in (1, 2, 3, 4, 5, 7)), ("ven-1", "s")),
    }
    made = [
        Handout(ven_id=name, request_id=request_id, at=START, events=((row.event_id, version, None),), until=START)
        for version, parts in given.items()
        for name, request_id in parts
    ]
    async with store.write() as tx:
        await tx.events.assign(states, named)
        await tx.events.delivered(made)
    async with store.read() as tx:
        assert await tx.events.counts([]) == {}
        counts = await tx.events.counts([row.event_id, "evt-none"])
    assert counts["evt-none"] == EventCounts()
    assert counts[row.event_id] == EventCounts(
        vens=7, delivered=5, acknowledged=4, opted_in=1, opted_out=3, unanswered=3, resources=8
    )


async def test_nobody_owes_an_answer_to_a_never_event(store: Store) -> None:
    world = World(store)
    await world.enrol()
    row = await world.put(simple_event(required=ResponseRequired.NEVER), "ven-a")
    async with store.read() as tx:
        assert (await tx.events.counts([row.event_id]))[row.event_id] == EventCounts(vens=1)
