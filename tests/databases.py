"""Fixtures that run a test on a fresh SQLite file and on a fresh PostgreSQL database, for the store contract suites.

Use: name the fixture ``engine`` (or ``database_url``) in a test; ``tests/conftest.py`` loads this module, so nothing
needs to be imported. Each test then runs twice, as ``[sqlite]`` and ``[postgresql]``::

    @pytest.fixture
    async def store(engine: AsyncEngine) -> VenStore:
        await upgrade(engine, MIGRATIONS, version_table="ven_alembic")
        return VenStore(engine)

``engine`` is made by ``runtime.database.create_engine`` and disposed after the test; the database is empty: run your
migrations. To play a restart, open a second engine on ``database_url`` within ``open_engine(database_url)``. A test
that needs only SQLite takes ``sqlite_url``. ``await drift(engine, metadata)`` lists where migrations and tables
differ: assert that it is empty. Without a PostgreSQL server at ``OADR_TEST_POSTGRES`` those cases are skipped and say
so; with ``CI=true`` they fail.
"""

import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from runtime.database import create_engine

POSTGRES_URL = make_url(
    os.environ.get("OADR_TEST_POSTGRES", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres"),
)
BOTH = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgres),
]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a SQLite file that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture
async def postgres_url() -> AsyncIterator[str]:
    """Return the URL of an empty PostgreSQL database, dropped after the test."""
    async for url in empty_postgres():
        yield url


async def empty_postgres() -> AsyncGenerator[str, None]:
    """Yield the URL of a new, empty PostgreSQL database and drop it."""
    name = f"oadr_test_{uuid.uuid4().hex[:12]}"
    await _administer(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield POSTGRES_URL.set(database=name).render_as_string(hide_password=False)
    finally:
        await _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, once per kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Return an engine on an empty database, once per kind."""
    async with open_engine(database_url) as opened:
        yield opened


@asynccontextmanager
async def open_engine(url: str) -> AsyncIterator[AsyncEngine]:
    """Open an engine and dispose it."""
    opened = create_engine(url)
    try:
        yield opened
    finally:
        await opened.dispose()


async def drift(engine: AsyncEngine, metadata: MetaData) -> list[str]:
    """Return the differences between the tables in the database and ``metadata``; other tables do not count."""

    def compare(connection: Connection) -> list[str]:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _parents: kind != "table" or name in metadata.tables,
            },
        )
        return [str(difference) for difference in compare_metadata(context, metadata)]

    async with engine.begin() as connection:
        return await connection.run_sync(compare)


async def _administer(statement: str) -> None:
    """Run one statement outside a transaction on the server; skip the test, or fail it in CI, if there is no server."""
    server = create_async_engine(
        POSTGRES_URL, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args={"timeout": 5}
    )
    try:
        async with server.connect() as connection:
            await connection.execute(text(statement))
    except (OSError, TimeoutError, DBAPIError) as error:
        reason = f"no usable PostgreSQL at {POSTGRES_URL.render_as_string()}: {type(error).__name__} {error}"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    finally:
        await server.dispose()


async def move_to(engine: AsyncEngine, migrations: Path, version_table: str, revision: str) -> None:
    """Bring the tables of one room up or down to a revision."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "os")

    def run(connection: Connection) -> None:
        config.attributes.update(connection=connection, version_table=version_table)
        present = MigrationContext.configure(connection, opts={"version_table": version_table}).get_current_revision()
        (command.upgrade if (present or "") < revision else command.downgrade)(config, revision)

    async with engine.begin() as connection:
        await connection.run_sync(run)
