"""Hand-outs as they are written and read, on both databases: what VENs have of an event, and what is due again."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from runtime.database import create_engine, upgrade
from tests.vtn.world import START, World, simple_event
from vtn.services.events import after
from vtn.store import MIGRATIONS
from vtn.store.eventrows import Assignment, Handed, Handout
from vtn.store.handouts import payload_id
from vtn.store.rows import AT_ONCE, NEVER
from vtn.store.store import VERSION_TABLE, Store
from vtn.store.tables import payload_event

WAIT = timedelta(seconds=60)


def handout(ven_id: str, number: int, request_id: str, seconds: int = 0, again: timedelta | None = WAIT) -> Handout:
    at = START + timedelta(seconds=seconds)
    return Handout(ven_id=ven_id, request_id=request_id, at=at, events=(("evt-a", number, again),), until=NEVER)


async def write(store: Store, *made: Handout) -> None:
    async with store.write() as tx:
        await tx.events.delivered(made)


async def request_ids(store: Store, event_id: str = "evt-a") -> dict[str, tuple[str, ...]]:
    async with store.read() as tx:
        return {ven_id: ids for ven_id, (_, ids) in (await tx.events.handed(event_id)).items()}


async def assignment(store: Store, ven_id: str = "ven-a", now: datetime = START) -> Assignment:
    async with store.read() as tx:
        (found,) = await tx.events.of_ven(ven_id, now)
    return found


async def test_many_hand_outs_of_one_ven_and_of_many_are_kept_in_their_order(store: Store) -> None:
    world = World(store)
    for number, name in enumerate(("ven-b", "ven-a"), start=1):
        await world.enrol(name, number)
    await world.put(simple_event(), "ven-a", "ven-b")
    await write(store, handout("ven-b", 0, "req-1"), handout("ven-a", 0, "req-2"), handout("ven-b", 0, "req-3", 5))
    await write(store)
    assert await request_ids(store) == {"ven-a": ("req-2",), "ven-b": ("req-1", "req-3")}
    assert (await assignment(store)).handed == Handed(modification_number=0, at=START, times=1, due_at=START + WAIT)
    later = START + timedelta(seconds=5)
    second = await assignment(store, "ven-b")
    assert second.handed == Handed(modification_number=0, at=later, times=2, due_at=later + WAIT)
    assert second.due == later + WAIT


async def test_what_was_handed_out_to_a_ven_that_is_gone_does_not_hold_up_the_rest(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    await world.put(simple_event(), "ven-a")
    gone = Handout(ven_id="ven-a", request_id="req-3", at=START, events=(("evt-gone", 0, WAIT),), until=NEVER)
    await write(store, handout("ven-gone", 0, "req-1"), handout("ven-a", 0, "req-2"), gone)
    assert await request_ids(store) == {"ven-a": ("req-2",)}
    assert await request_ids(store, "evt-gone") == {}


async def test_what_is_not_due_again_and_what_is_outdated(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    row = await world.put(simple_event(), "ven-a")
    await write(store, handout("ven-a", 0, "req-1", again=None))
    found = await assignment(store)
    assert (found.due, found.times) == (None, 1)
    row = await world.modify(row)
    await write(store, handout("ven-a", 0, "req-2"))  # of the version before, written late
    found = await assignment(store)
    assert (found.due, found.times, found.handed and found.handed.modification_number) == (AT_ONCE, 0, 0)
    await write(store, handout("ven-a", 1, "req-3"), handout("ven-a", 0, "req-4"))  # and once more
    found = await assignment(store)
    assert (found.due, found.times) == (START + WAIT, 1)
    assert await request_ids(store) == {"ven-a": ("req-1", "req-2", "req-3", "req-4")}


async def test_payloads_with_the_same_events_share_their_rows_and_others_do_not(store: Store) -> None:
    world = World(store)
    names = [f"ven-{number:03}" for number in range(230)]
    for number, name in enumerate(names):
        await world.enrol(name, number)
    events = [f"evt-{number}" for number in range(3)]
    for name in events:
        await world.put(simple_event(name), *names)
    async with store.write() as tx:
        await tx.events.set_state("evt-1", names[1], answered_modification=0, due_at=None)
    await write(
        store,
        *(
            Handout(
                ven_id=name,
                request_id=f"req-{name}-{turn}",
                at=START + timedelta(seconds=turn),
                events=(("evt-0", 0, WAIT * (turn + 1)), ("evt-1", 0, WAIT), ("evt-2", 0, None)),
                until=NEVER,
            )
            for turn in (0, 1)
            for name in reversed(names)
        ),
    )
    for event_id in events:
        assert await request_ids(store, event_id) == {name: (f"req-{name}-0", f"req-{name}-1") for name in names}
    async with store.read() as tx:
        assert (await tx.connection.execute(select(func.count()).select_from(payload_event))).scalar_one() == 6
        found = await tx.events.of_vens(names, START)
    at = START + timedelta(seconds=1)
    first, second, third = zip(*found.values(), strict=True)
    assert {each.handed for each in first} == {Handed(modification_number=0, at=at, times=2, due_at=at + 2 * WAIT)}
    assert [each.state.ven_id for each in second if each.due is None] == [names[1]]
    assert {(each.times, each.due) for each in third} == {(2, None)}


async def test_a_ven_that_registers_anew_is_handed_everything_anew_and_the_list_stays(store: Store) -> None:
    world = World(store)
    party = await world.enrol("ven-a", 1)
    await world.put(simple_event(), "ven-a")
    await write(store, handout("ven-a", 0, "req-1"))
    await party.register()
    found = await assignment(store)
    assert (found.handed, found.due, found.times) == (None, AT_ONCE, 0)
    await write(store, handout("ven-a", 0, "req-2", 9))
    assert (await assignment(store)).due == START + timedelta(seconds=69)
    assert await request_ids(store) == {"ven-a": ("req-1", "req-2")}


def test_the_digest_of_a_payload_tells_its_events_versions_and_times_apart() -> None:
    base = (("evt-a", 0, WAIT), ("evt-b", 1, None))
    others = [
        base[:1],
        (("evt-a", 1, WAIT), base[1]),
        (("evt-a", 0, 2 * WAIT), base[1]),
        (("evt-a", 0, None), base[1]),
        (("evt-ab", 0, WAIT), ("evt-", 1, None)),
    ]
    assert len({payload_id(each) for each in (base, *others)}) == 6
    assert payload_id((("evt-a", 0, timedelta(minutes=1)), ("evt-b", 1, None))) == payload_id(base)


HANDED = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.sampled_from((None, WAIT, 2 * WAIT)))),
        st.integers(-100, 100),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(made=HANDED)
async def test_property_what_memory_counts_on_is_what_the_database_says(
    made: list[tuple[list[tuple[str, int, timedelta | None]], int]],
) -> None:
    """Hand-outs in any order of time, of newer and older versions."""
    engine = create_engine("sqlite+aiosqlite:///:memory:")
    try:
        await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
        store = Store(engine)
        world = World(store)
        await world.enrol("ven-a", 1)
        for name in "abc":
            await world.put(simple_event(f"evt-{name}"), "ven-a")
        async with store.read() as tx:
            remembered = await tx.events.of_ven("ven-a", START)
        handouts = [
            Handout(
                ven_id="ven-a",
                request_id=f"req-{place}",
                at=START + timedelta(seconds=seconds),
                events=tuple({name: (f"evt-{name}", number, again) for name, number, again in events}.values()),
                until=NEVER,
            )
            for place, (events, seconds) in enumerate(made)
            if events
        ]
        for each in handouts:
            remembered = after(remembered, each)
        await write(store, *handouts)
        async with store.read() as tx:
            assert await tx.events.of_ven("ven-a", START) == remembered
    finally:
        await engine.dispose()
