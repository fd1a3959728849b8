"""What a migration makes of the rows that are there, on both databases."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from openadr.model import ResponseRequired
from runtime.database import upgrade
from tests.databases import move_to
from tests.vtn.world import START, World, simple_event
from vtn.store import MIGRATIONS
from vtn.store.eventrows import Handout
from vtn.store.rows import AT_ONCE
from vtn.store.store import VERSION_TABLE, Store

OLD = (
    "SELECT event_id, ven_id, delivered_modification, deliveries FROM event_ven ORDER BY event_id, ven_id",
    "SELECT event_id, ven_id, modification_number, request_id FROM event_delivery ORDER BY id",
)


async def to(engine: AsyncEngine, revision: str) -> None:
    await move_to(engine, MIGRATIONS, VERSION_TABLE, revision)


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def test_hand_outs_are_carried_over_and_back(engine: AsyncEngine) -> None:
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    world = World(Store(engine))
    for number, name in enumerate(("ven-a", "ven-b"), start=1):
        await world.enrol(name, number)
    changed = await world.put(simple_event("evt-a"), "ven-a", "ven-b")
    await world.put(simple_event("evt-b", required=ResponseRequired.NEVER), "ven-a")
    together = (("evt-a", 0, timedelta(seconds=60)), ("evt-b", 0, None))
    newer = (("evt-a", 1, timedelta(seconds=60)),)

    def made(ven_id: str, request_id: str, events: Any) -> Handout:
        return Handout(ven_id=ven_id, request_id=request_id, at=START, events=events, until=START)

    async with world.store.write() as tx:
        await tx.events.delivered(
            [
                made("ven-a", "req-1", together),
                made("ven-b", "req-2", together[:1]),
                made("ven-b", "req-3", together[:1]),
            ]
        )
    await world.modify(changed)
    async with world.store.write() as tx:
        await tx.events.delivered([made("ven-b", "req-4", newer)])
        await tx.events.set_state("evt-a", "ven-b", answered_modification=1, answer="optIn", due_at=None)
    await to(engine, "0006")
    before = [await rows(engine, query) for query in OLD]
    assert before == [
        [("evt-a", "ven-a", 0, 1), ("evt-a", "ven-b", 1, 1), ("evt-b", "ven-a", 0, 1)],
        [
            ("evt-a", "ven-a", 0, "req-1"),
            ("evt-b", "ven-a", 0, "req-1"),
            ("evt-a", "ven-b", 0, "req-2"),
            ("evt-a", "ven-b", 0, "req-3"),
            ("evt-a", "ven-b", 1, "req-4"),
        ],
    ]
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    async with world.store.read() as tx:
        handed = {name: (await tx.events.handed(name)) for name in ("evt-a", "evt-b")}
        (of_a, of_b), (second,) = [await tx.events.of_ven(name, START) for name in ("ven-a", "ven-b")]
    assert {ven_id: ids for ven_id, (_, ids) in handed["evt-a"].items()} == {
        "ven-a": ("req-1",),
        "ven-b": ("req-2", "req-3", "req-4"),
    }
    assert (of_a.times, of_a.due) == (0, AT_ONCE)  # the new version, never handed out
    assert (of_b.times, of_b.due) == (1, None)
    assert (second.times, second.due) == (1, None)  # answered
    await to(engine, "0006")
    assert [await rows(engine, query) for query in OLD] == before
