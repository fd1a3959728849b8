"""Fixtures of the VTN tests: a migrated store of each kind, and a world on SQLite."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.clock import SystemClock
from runtime.database import upgrade
from tests.databases import open_engine
from tests.vtn.server import Pki, Running, make_pki, running
from tests.vtn.world import World
from vtn.store import MIGRATIONS
from vtn.store.store import VERSION_TABLE, Store


@pytest.fixture
async def store(engine: AsyncEngine) -> Store:
    """Return a store on a fresh database, once per kind."""
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    return Store(engine)


@pytest.fixture
async def world(sqlite_url: str) -> AsyncIterator[World]:
    """Return a world on a fresh SQLite file."""
    async with open_engine(sqlite_url) as opened:
        await upgrade(opened, MIGRATIONS, version_table=VERSION_TABLE)
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
