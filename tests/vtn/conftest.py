"""Fixtures of the VTN tests: databases that are migrated already, a store on each kind, and a world on SQLite.

Rule: the migrations run once a session and kind. A test gets a copy of the SQLite file, and the PostgreSQL database
emptied: making one takes ten times as long.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.clock import SystemClock
from runtime.database import upgrade
from tests.databases import empty_postgres, open_engine
from tests.vtn.server import Pki, Running, make_pki, running
from tests.vtn.world import World
from vtn.store import MIGRATIONS, metadata
from vtn.store.store import VERSION_TABLE, Store
from vtn.store.tables import change


async def migrate(url: str) -> None:
    """Make the tables."""
    async with open_engine(url) as engine:
        await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with the tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "vtn.sqlite3"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgres() -> Iterator[str]:
    """Return the URL of a PostgreSQL database with the tables."""
    with asyncio.Runner() as runner:
        database = empty_postgres()
        url = runner.run(anext(database))
        runner.run(migrate(url))
        yield url
        runner.run(database.aclose())


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """Return the URL of a migrated SQLite file."""
    path = tmp_path / "test.sqlite3"
    shutil.copyfile(migrated_sqlite, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def postgres_url(migrated_postgres: str) -> AsyncIterator[str]:
    """Return the URL of a migrated PostgreSQL database, emptied after the test."""
    yield migrated_postgres
    async with open_engine(migrated_postgres) as engine:
        try:
            await _empty(engine)
        except ProgrammingError:  # the test has dropped a table
            async with engine.begin() as connection:
                await connection.execute(text("DROP SCHEMA public CASCADE"))
                await connection.execute(text("CREATE SCHEMA public"))
            await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)


async def _empty(engine: AsyncEngine) -> None:
    """Delete every row, also if a test has left a connection with a lock."""
    names = ", ".join(table.name for table in metadata.sorted_tables if table is not change)
    async with engine.begin() as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        await connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        await connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        await connection.execute(change.update().values(counter=0))


@pytest.fixture
async def store(engine: AsyncEngine) -> Store:
    """Return a store on a fresh database, once per kind."""
    return Store(engine)


@pytest.fixture
async def world(sqlite_url: str) -> AsyncIterator[World]:
    """Return a world on a fresh SQLite file."""
    async with open_engine(sqlite_url) as opened:
        yield World(Store(opened))


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Return certificates, made once."""
    return make_pki(tmp_path_factory.mktemp("pki"), SystemClock())


@pytest.fixture
async def vtn(pki: Pki, sqlite_url: str) -> AsyncIterator[Running]:
    """Return a running VTN on a fresh SQLite file."""
    async with running(pki, sqlite_url) as started:
        yield started
