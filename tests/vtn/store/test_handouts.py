"""Hand-outs written straight to the driver, on both databases."""

from datetime import timedelta

from tests.vtn.world import START, World, simple_event
from vtn.store.rows import Delivery, Handout
from vtn.store.store import Store

DUE = START + timedelta(seconds=60)


def handed(ven_id: str, number: int, request_id: str, seconds: int = 0) -> Delivery:
    return Delivery(
        event_id="evt-a",
        ven_id=ven_id,
        modification_number=number,
        request_id=request_id,
        at=START + timedelta(seconds=seconds),
        due_at=DUE,
    )


async def test_many_hand_outs_of_one_ven_and_of_many_are_kept_in_their_order(store: Store) -> None:
    world = World(store)
    for number, name in enumerate(("ven-b", "ven-a"), start=1):
        await world.enrol(name, number)
    await world.put(simple_event(), "ven-a", "ven-b")
    made = [handed("ven-b", 0, "req-1"), handed("ven-a", 0, "req-2"), handed("ven-b", 0, "req-3", 5)]
    async with store.write() as tx:
        await tx.events.delivered(made)
        await tx.events.delivered([])
    async with store.read() as tx:
        assert await tx.events.delivery_ids("evt-a") == {"ven-a": ("req-2",), "ven-b": ("req-1", "req-3")}
        first, second = await tx.events.states("evt-a")
    assert (first.ven_id, first.deliveries, first.delivered_at, first.due_at) == ("ven-a", 1, START, DUE)
    assert (second.deliveries, second.delivered_modification) == (2, 0)
    assert second.delivered_at == START + timedelta(seconds=5)


async def test_what_was_handed_out_to_a_ven_that_is_gone_does_not_hold_up_the_rest(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    await world.put(simple_event(), "ven-a")
    async with store.write() as tx:
        await tx.events.delivered([handed("ven-gone", 0, "req-1"), handed("ven-a", 0, "req-2")])
    async with store.read() as tx:
        assert await tx.events.delivery_ids("evt-a") == {"ven-a": ("req-2",)}


async def test_what_is_not_due_again_and_what_is_outdated(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    row = await world.put(simple_event(), "ven-a")
    never = Delivery(event_id="evt-a", ven_id="ven-a", modification_number=0, request_id="req-1", at=START, due_at=None)
    async with store.write() as tx:
        await tx.events.delivered([never])
    async with store.read() as tx:
        (state,) = await tx.events.states("evt-a")
    assert (state.due_at, state.deliveries) == (None, 1)
    await world.modify(row)
    async with store.write() as tx:
        await tx.events.delivered([handed("ven-a", 0, "req-2")])  # of the version before, written late
    async with store.read() as tx:
        (state,) = await tx.events.states("evt-a")
        assert await tx.events.delivery_ids("evt-a") == {"ven-a": ("req-1", "req-2")}
    assert (state.due_at, state.delivered_modification) == (START, 0)


async def test_payloads_of_many_vens_with_many_events_are_written_as_if_one_by_one(store: Store) -> None:
    """Several payloads a VEN, events that need an answer and one that needs none, answered and changed ones."""
    world = World(store)
    vens = [f"ven-{number:03}" for number in range(230)]  # more than one statement takes
    for number, name in enumerate(vens):
        await world.enrol(name, number)
    events = [f"evt-{number}" for number in range(3)]
    for name in events:
        await world.put(simple_event(name), *vens)
    async with store.write() as tx:
        await tx.events.set_state("evt-1", vens[1], answered_modification=0, due_at=None)
    wait = timedelta(seconds=60)
    made = [
        Handout(
            ven_id=name,
            request_id=f"req-{name}-{turn}",
            at=START + timedelta(seconds=turn),
            events=(("evt-0", 0, wait), ("evt-1", 0, wait), ("evt-2", turn, None)),
        )
        for turn in (0, 1)
        for name in reversed(vens)
    ]
    async with store.write() as tx:
        await tx.events.delivered(made)
    async with store.read() as tx:
        for event_id in events:
            ids = await tx.events.delivery_ids(event_id)
            assert ids == {name: (f"req-{name}-0", f"req-{name}-1") for name in vens}
        first, second, third = [await tx.events.states(event_id) for event_id in events]
    assert {(each.deliveries, each.delivered_at, each.due_at) for each in first} == {
        (2, START + timedelta(seconds=1), START + timedelta(seconds=61))
    }
    assert [each.ven_id for each in second if each.due_at is None] == [vens[1]]
    assert {(each.delivered_modification, each.deliveries, each.delivered_at) for each in third} == {(0, 1, START)}
