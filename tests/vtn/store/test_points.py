"""Data points: one a meaning, never taken for known; and values from before there were any, carried over and back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.columns import Instant
from tests.databases import drift, move_to
from tests.vtn.blocks import blocks_of_rows
from tests.vtn.store.test_contract import add_vens, reading
from tests.vtn.world import START
from vtn.store import MIGRATIONS, metadata
from vtn.store.readings import Selection
from vtn.store.report_tables import data_point
from vtn.store.rows import Telemetry
from vtn.store.store import VERSION_TABLE, Store


class Undone(Exception):
    """Raised to have a transaction rolled back."""


async def points(store: Store) -> list[tuple[object, ...]]:
    columns = (data_point.c.ven_id, data_point.c.report_request_id, data_point.c.r_id)
    async with store.read() as tx:
        rows = await tx.connection.execute(sa.select(*columns, data_point.c.unit).order_by(data_point.c.id))
        return [tuple(row) for row in rows]


async def test_a_point_is_one_row_however_many_values_and_reports_it_has(store: Store) -> None:
    await add_vens(store, "ven-a")
    for first in (0, 700):
        async with store.write() as tx:
            rows = [reading(first + number, 1.0, r_id=f"rid-{number % 3}") for number in range(700)]
            await tx.reports.store(blocks_of_rows(rows))
    assert await points(store) == [("ven-a", "rpt-1", f"rid-{number}", "W") for number in range(3)]


async def test_values_keep_what_was_said_of_them_when_they_were_stored(store: Store) -> None:
    await add_vens(store, "ven-a")
    rows = (reading(0, 1.0), replace(reading(1, 2.0), unit="kW"), replace(reading(2, 3.0), unit=None, resource_id=None))
    for row in rows:
        async with store.write() as tx:
            await tx.reports.store(blocks_of_rows([row]))
    async with store.read() as tx:
        assert tuple(replace(row, row_id=None) for row in await tx.readings.page(Selection())) == rows
        assert [row.value for row in await tx.readings.page(Selection(resource_id="r1"))] == [1.0, 2.0]
    assert [unit for *_, unit in await points(store)] == ["W", "kW", ""]


async def test_a_point_that_was_undone_or_removed_is_made_again(store: Store) -> None:
    await add_vens(store, "ven-a")

    async def undone() -> None:
        async with store.write() as tx:
            await tx.reports.store(blocks_of_rows([reading(0, 1.0)]))
            raise Undone

    with pytest.raises(Undone):
        await undone()
    assert await points(store) == []
    for _ in range(2):
        async with store.write() as tx:
            await tx.reports.store(blocks_of_rows([reading(0, 1.0)]))
            assert [row.value for row in await tx.readings.page(Selection())] == [1.0]
            await tx.connection.execute(data_point.delete())
            assert await tx.readings.page(Selection()) == ()


# --- from before 0008 -------------------------------------------------------------------------------------------------

NAMES = tuple(name for name in Telemetry.__slots__ if name != "row_id")
OLD = sa.table(  # as it was before 0008
    "telemetry",
    sa.column("id"),
    *(sa.column(name, Instant if name in ("dtstart", "received_at") else None) for name in NAMES),
)
EARLY = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
ROWS = (
    replace(reading(0, 1.0), row_id=1),
    replace(reading(1, 2.0), row_id=3, data_quality=None, confidence=None, accuracy=None, duration_s=None),
    replace(reading(1, 2.5, ven_id="ven-b"), row_id=4, resource_id=None, unit=None),
    replace(reading(2, 3.0), row_id=5, unit="kW"),  # the same rID, of which something else was said by then
    replace(reading(3, 0.0, r_id="rid-s"), row_id=6, value=None, online=True, manual_override=False, unit=None),
    replace(reading(4, 4.0), row_id=700_000, dtstart=EARLY, received_at=START + timedelta(microseconds=1)),
    replace(reading(5, 5.0), row_id=1_600_001, dtstart=datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
)


async def migrate(engine: AsyncEngine, revision: str) -> None:
    await move_to(engine, MIGRATIONS, VERSION_TABLE, revision)


async def put_old(engine: AsyncEngine, *rows: Telemetry) -> None:
    async with engine.begin() as connection:
        for row in rows:
            number = {} if row.row_id is None else {"id": row.row_id}
            await connection.execute(OLD.insert().values(**number, **{name: getattr(row, name) for name in NAMES}))


@pytest.fixture
async def old(store: Store) -> AsyncEngine:
    """Return an engine on a database with values as they were before 0008."""
    await add_vens(store, "ven-a", "ven-b")
    await migrate(store.engine, "0007")
    await put_old(store.engine, *ROWS)
    return store.engine


async def test_values_are_carried_over_to_their_data_points(old: AsyncEngine) -> None:
    await migrate(old, "head")
    assert await drift(old, metadata) == []
    store = Store(old)
    async with store.read() as tx:
        assert await tx.readings.page(Selection()) == tuple(sorted(ROWS, key=lambda row: (row.dtstart, row.row_id)))
    assert sorted((ven_id, r_id, unit) for ven_id, _, r_id, unit in await points(store)) == [
        ("ven-a", "rid-1", "W"),
        ("ven-a", "rid-1", "kW"),
        ("ven-a", "rid-s", ""),
        ("ven-b", "rid-1", ""),
    ]
    async with store.write() as tx:  # a value of before is replaced in its row, a new one comes behind all others
        await tx.reports.store(blocks_of_rows([reading(0, 9.0), reading(9, 9.5)]))
    async with store.read() as tx:
        found = {row.value: row.row_id for row in await tx.readings.page(Selection(start=START))}
    assert found[9.0] == 1
    assert found[9.5] is not None
    assert found[9.5] > ROWS[-1].row_id  # type: ignore[operator]


async def test_values_are_carried_back_as_they_were(old: AsyncEngine) -> None:
    async with old.begin() as connection:
        before = (await connection.execute(sa.text("SELECT * FROM telemetry ORDER BY id"))).mappings().all()
    await migrate(old, "head")
    await migrate(old, "0007")
    async with old.begin() as connection:
        after = (await connection.execute(sa.text("SELECT * FROM telemetry ORDER BY id"))).mappings().all()
    assert [dict(row) for row in after] == [dict(row) for row in before]
    assert len(after) == len(ROWS)
    await put_old(old, replace(ROWS[0], row_id=None, dtstart=START - timedelta(days=1)))
    await migrate(old, "head")
    async with Store(old).read() as tx:
        assert len(await tx.readings.page(Selection())) == len(ROWS) + 1


async def test_a_table_without_values_is_carried_over_too(store: Store) -> None:
    await migrate(store.engine, "0007")
    await migrate(store.engine, "head")
    assert await drift(store.engine, metadata) == []


async def test_the_newest_values_of_old_data_are_found(store: Store) -> None:
    await add_vens(store, "ven-a")
    online = replace(reading(7, 0.0, r_id="rid-s"), value=None, online=True, manual_override=False)
    await migrate(store.engine, "0003")
    rows = [replace(row, row_id=number) for number, row in enumerate((reading(0, 1.0), reading(1, 2.0), online), 1)]
    await put_old(store.engine, *rows)
    await migrate(store.engine, "head")
    async with store.read() as tx:
        assert await tx.reports.latest(["ven-a"]) == tuple(rows[1:])
