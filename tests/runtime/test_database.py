"""The database waist: transactions, durability settings, reads, migrations, on SQLite and PostgreSQL."""

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.database import DatabaseError, create_engine, health, is_transient, read, upgrade
from tests.databases import drift, open_engine

metadata = MetaData()
parents = Table(
    "room_parents", metadata, Column("id", Integer, primary_key=True), Column("name", String(40), nullable=False)
)
children = Table(
    "room_children",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("parent", Integer, ForeignKey("room_parents.id", name="room_children_parent"), nullable=False),
)

ENV = '''"""Alembic environment."""
from runtime.database import run_env
from tests.runtime.test_database import metadata

run_env(metadata)
'''

FIRST = '''"""First."""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "room_parents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40), nullable=False),
    )
    op.create_table(
        "room_children",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent", sa.Integer, sa.ForeignKey("room_parents.id", name="room_children_parent"), nullable=False),
    )
'''

BROKEN = '''"""Second, which fails half way."""
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table("room_half", sa.Column("id", sa.Integer, primary_key=True))
    raise RuntimeError("the revision failed")
'''

SLOW = '''"""Second, with much to do."""
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    numbers = "SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 300000"
    for _ in range(20):
        op.execute(f"WITH RECURSIVE numbers(i) AS ({numbers}) SELECT count(*) FROM numbers")
'''


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "100% room" / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "0001_first.py").write_text(FIRST)
    return folder


@pytest.fixture
async def tables(engine: AsyncEngine, migrations: Path) -> AsyncEngine:
    await upgrade(engine, migrations, version_table="room_alembic")
    return engine


async def _count(engine: AsyncEngine, table: Table = parents) -> int:
    async with read(engine) as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def test_migrations_make_the_tables_of_the_metadata(tables: AsyncEngine) -> None:
    assert await drift(tables, metadata) == []
    await health(tables)


async def test_drift_is_seen(engine: AsyncEngine) -> None:
    assert len(await drift(engine, metadata)) == 2


async def test_upgrading_again_changes_nothing(tables: AsyncEngine, migrations: Path) -> None:
    async with tables.begin() as connection:
        await connection.execute(insert(parents).values(name="kept"))
    await upgrade(tables, migrations, version_table="room_alembic")
    assert await _count(tables) == 1


async def test_a_failed_revision_leaves_the_database_as_it_was(tables: AsyncEngine, migrations: Path) -> None:
    (migrations / "versions" / "0002_broken.py").write_text(BROKEN)
    with pytest.raises(RuntimeError, match="the revision failed"):
        await upgrade(tables, migrations, version_table="room_alembic")
    (migrations / "versions" / "0002_broken.py").write_text(BROKEN.replace("    raise", "    return\n    raise"))
    await upgrade(tables, migrations, version_table="room_alembic")
    async with read(tables) as connection:
        assert await connection.scalar(text("SELECT version_num FROM room_alembic")) == "0002"


async def test_a_database_of_a_newer_program_is_refused(tables: AsyncEngine, migrations: Path) -> None:
    async with tables.begin() as connection:
        await connection.execute(text("UPDATE room_alembic SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer version"):
        await upgrade(tables, migrations, version_table="room_alembic")


async def test_concurrent_starts_do_not_race(database_url: str, migrations: Path) -> None:
    engines = [create_engine(database_url) for _ in range(4)]
    try:
        await asyncio.gather(*(upgrade(each, migrations, version_table="room_alembic") for each in engines))
        assert await drift(engines[0], metadata) == []
    finally:
        for each in engines:
            await each.dispose()


async def test_two_rooms_share_a_database_with_their_own_version_tables(tables: AsyncEngine, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "versions").mkdir(parents=True)
    (other / "env.py").write_text(ENV)
    (other / "versions" / "0001.py").write_text(FIRST.replace("room_", "second_"))
    await upgrade(tables, other, version_table="second_alembic")
    assert await drift(tables, metadata) == []


async def test_a_failed_write_block_leaves_nothing(tables: AsyncEngine) -> None:
    async def fail() -> None:
        async with tables.begin() as connection:
            await connection.execute(insert(parents).values(name="lost"))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    assert await _count(tables) == 0


async def test_writers_take_turns_and_lose_no_update(tables: AsyncEngine) -> None:
    async with tables.begin() as connection:
        await connection.execute(insert(parents).values(id=1, name="0"))

    async def add_one() -> None:
        async with tables.begin() as connection:
            row = select(parents.c.name).where(parents.c.id == 1).with_for_update()
            value = int(await connection.scalar(row) or "0")
            await connection.execute(parents.update().where(parents.c.id == 1).values(name=str(value + 1)))

    await asyncio.gather(*(add_one() for _ in range(20)))
    async with read(tables) as connection:
        assert await connection.scalar(select(parents.c.name)) == "20"


async def test_a_reader_sees_the_state_before_an_open_write_and_does_not_wait(tables: AsyncEngine) -> None:
    async with tables.begin() as connection:
        await connection.execute(insert(parents).values(name="open"))
        async with asyncio.timeout(5):
            assert await _count(tables) == 0
    assert await _count(tables) == 1


async def test_a_read_block_cannot_write(tables: AsyncEngine) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
        async with read(tables) as connection:
            await connection.execute(insert(parents).values(name="sneaked"))
    async with tables.begin() as connection:
        await connection.execute(insert(parents).values(name="allowed"))
    assert await _count(tables) == 1


async def test_foreign_keys_are_enforced(tables: AsyncEngine) -> None:
    with pytest.raises(IntegrityError):
        async with tables.begin() as connection:
            await connection.execute(insert(children).values(parent=7))
    assert await _count(tables, children) == 0


async def test_committed_rows_survive_a_restart(tables: AsyncEngine, database_url: str) -> None:
    async with tables.begin() as connection:
        await connection.execute(insert(parents).values(name="kept"))
    await tables.dispose()
    async with open_engine(database_url) as second:
        assert await _count(second) == 1


async def test_sqlite_commits_reach_the_disk_before_they_return(sqlite_url: str) -> None:
    async with open_engine(sqlite_url) as engine, engine.begin() as connection:
        values = [
            await connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert values == ["wal", 2, 1]


async def test_sqlite_waits_for_another_process_that_writes(sqlite_url: str) -> None:
    async with open_engine(sqlite_url) as first, open_engine(sqlite_url) as second:
        async with first.begin() as connection:
            await connection.execute(text("CREATE TABLE t (n INTEGER)"))

        async def write() -> None:
            async with second.begin() as connection:
                await connection.execute(text("INSERT INTO t VALUES (1)"))

        async with first.begin() as connection:
            waiting = asyncio.create_task(write())
            await asyncio.sleep(0.05)
            assert not waiting.done()
        await waiting
        async with read(first) as connection:
            assert await connection.scalar(text("SELECT count(*) FROM t")) == 1


async def test_sqlite_migration_waits_for_another_process_beyond_the_busy_timeout(
    sqlite_url: str, migrations: Path
) -> None:
    engine = create_engine(sqlite_url, busy_timeout_s=0.01)
    try:
        async with open_engine(sqlite_url) as other, other.begin():
            waiting = asyncio.create_task(upgrade(engine, migrations, version_table="room_alembic"))
            await asyncio.sleep(0.15)
            assert not waiting.done()
        await waiting
        assert await drift(engine, metadata) == []
    finally:
        await engine.dispose()


async def test_a_migration_takes_as_long_as_it_takes(tables: AsyncEngine, migrations: Path) -> None:
    (migrations / "versions" / "0002_slow.py").write_text(SLOW)
    started = asyncio.get_running_loop().time()
    await upgrade(tables, migrations, version_table="room_alembic", wait_s=0.2)
    assert asyncio.get_running_loop().time() - started > 0.2
    async with tables.begin() as connection:
        assert await connection.scalar(text("SELECT version_num FROM room_alembic")) == "0002"


async def test_sqlite_opening_waits_while_another_connection_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "busy.sqlite3"
    engine = create_engine(f"sqlite+aiosqlite:///{path}", busy_timeout_s=0.01)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("CREATE TABLE t (n INTEGER)")
            other.execute("BEGIN EXCLUSIVE")
            waiting = asyncio.create_task(health(engine))
            await asyncio.sleep(0.15)
            assert not waiting.done()
            other.execute("COMMIT")
            await waiting
    finally:
        await engine.dispose()


async def test_a_file_that_is_no_database_is_an_error_at_once(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is no database. " * 100)
    async with open_engine(f"sqlite+aiosqlite:///{path}") as engine:
        with pytest.raises(DBAPIError, match="not a database"):
            await health(engine)


async def test_postgresql_errors_that_a_retry_may_cure_are_known(postgres_url: str) -> None:
    async with open_engine(postgres_url) as engine:
        with pytest.raises(DBAPIError) as caught:
            async with engine.begin() as connection:
                await connection.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))
    assert is_transient(caught.value)


async def test_sqlite_locks_are_transient(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url, busy_timeout_s=0.01)
    try:
        await health(engine)
        async with open_engine(sqlite_url) as other, other.begin():
            with pytest.raises(DBAPIError) as caught:
                async with engine.begin():
                    pytest.fail("two writers at once")
        assert is_transient(caught.value)
    finally:
        await engine.dispose()


async def test_sqlite_folders_are_made(tmp_path: Path) -> None:
    async with open_engine(f"sqlite+aiosqlite:///{tmp_path}/var/lib/x.sqlite3") as engine:
        await health(engine)
    assert (tmp_path / "var" / "lib" / "x.sqlite3").exists()


async def test_memory_databases_keep_their_tables_between_blocks() -> None:
    async with open_engine("sqlite+aiosqlite:///:memory:") as engine:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        assert await _count(engine) == 0


async def test_an_unreachable_database_is_unhealthy() -> None:
    async with open_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none") as engine:
        with pytest.raises(OSError, match=r"refused|Connect"):
            await health(engine)


async def test_unknown_drivers_are_refused_by_name() -> None:
    with pytest.raises(DatabaseError, match=r"database\.url: unknown driver mysql"):
        create_engine("mysql://localhost/x")


async def test_transient_errors_are_told_apart(tables: AsyncEngine) -> None:
    with pytest.raises(IntegrityError) as caught:
        async with tables.begin() as connection:
            await connection.execute(insert(children).values(parent=7))
    assert not is_transient(caught.value)
    assert not is_transient(ValueError("x"))


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatabaseError, match="cannot be made"):
        create_engine(f"sqlite+aiosqlite:///{tmp_path}/file/below/x.sqlite3")


async def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    engine = create_engine(f"postgresql+asyncpg://someone:secret@127.0.0.1:{port}/nowhere")
    try:
        with pytest.raises(DatabaseError, match=f"127.0.0.1:{port}/nowhere cannot be reached") as raised:
            await upgrade(engine, Path(__file__).parent)
        assert "secret" not in str(raised.value)
    finally:
        await engine.dispose()
