"""SQLite connections with few hops, and questions outside of transactions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, exists, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.columns import Instant
from runtime.database import read
from runtime.probe import Probe
from runtime.sqlite import Connection

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
LONG = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT max(n) FROM c"
metadata = MetaData()
things = Table("room_things", metadata, Column("id", Integer, primary_key=True), Column("at", Instant))


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    opened = Connection(str(tmp_path / "x.sqlite3"), isolation_level=None)
    await opened
    await opened.run("CREATE TABLE t (n INTEGER PRIMARY KEY)", ())
    await opened.commit()
    yield opened
    await opened.close()


async def test_a_transaction_begins_with_its_first_statement(connection: Connection) -> None:
    connection.begin_later()
    await connection.commit()
    connection.begin_later()
    await connection.rollback()
    connection.begin_later()
    assert not connection.in_transaction
    await connection.run("INSERT INTO t VALUES (?)", (1,))
    assert connection.in_transaction
    await connection.rollback()
    await connection.rollback()
    assert not connection.in_transaction
    *_, rows = await connection.run("SELECT * FROM t", ())
    assert not rows


async def test_a_statement_whose_caller_gave_up_is_rolled_back(connection: Connection) -> None:
    connection.begin_later()
    waiting = asyncio.create_task(connection.run(LONG, ()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await connection.rollback()
    assert not connection.in_transaction


async def test_a_cursor_tells_what_a_statement_did(connection: Connection) -> None:
    cursor = connection.cursor()
    await cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    assert (cursor.rowcount, cursor.description, await cursor.fetchall()) == (2, None, ())
    await cursor.execute("INSERT INTO t VALUES (?) RETURNING n", (7,))
    assert (cursor.lastrowid, cursor.description[0][0]) == (7, "n")
    assert await cursor.fetchall() == [(7,)]
    assert not await cursor.fetchall()
    await cursor.close()


async def test_transactions_hold_what_they_promise_with_rows_and_errors(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(things), [{"id": 1, "at": NOW}, {"id": 2, "at": None}])

    async def add(*numbers: int) -> None:
        async with engine.begin() as connection:
            for number in numbers:
                await connection.execute(insert(things), {"id": number, "at": NOW})

    with pytest.raises(DBAPIError):
        await add(3, 1)
    async with read(engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(things))).scalar_one() == 2
    with pytest.raises(DBAPIError):
        async with read(engine) as connection:
            await connection.execute(text("DELETE FROM room_things"))


async def test_a_question_is_answered_with_what_is_committed(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    due = exists().where(things.c.at <= bindparam("b_now", type_=Instant), things.c.id > 0)
    ask = Probe(select(due, select(func.count()).select_from(things).scalar_subquery()))
    assert tuple(await ask(engine, b_now=NOW)) == (False, 0)
    async with engine.begin() as connection:
        await connection.execute(insert(things), {"id": 1, "at": NOW + timedelta(seconds=1)})
    answers = await asyncio.gather(*(ask(engine, b_now=NOW + timedelta(seconds=each)) for each in (0, 1)))
    assert answers == [(False, 1), (True, 1)]
    await engine.dispose()
    assert await ask(engine, b_now=NOW) == (False, 1)
