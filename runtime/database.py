"""The database engine every room shares: SQLite file or PostgreSQL by URL, migrations run in code, health.

Rule: ``async with engine.begin() as connection`` is a write transaction (SQLite: BEGIN IMMEDIATE, one writer at a
time in the order of asking); ``async with read(engine) as connection`` is a read-only one that never waits for a
writer. Do not open one inside the other's write block. Whoever creates an engine disposes it.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic import context as environment
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, MetaData, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_only

from runtime import sqlite

BUSY_TIMEOUT_S = 10.0  # another process (a CLI beside the server) may hold the file's write lock for one commit
POOL_TIMEOUT_S = 30.0  # a wait this long for a connection is a fault: say so rather than hang
SQLITE_READERS = 4  # read connections a file: reads are short, and each costs a thread
POSTGRES_POOL = 10  # connections a process, half of them beyond the first five only on demand
MIGRATION_WAIT_S = 120.0  # how long a start waits for another process that migrates the same database
_RETRY_S = 0.1


class DatabaseError(Exception):
    """The database cannot be used as it is; the text says what an operator can do."""


class SqliteEngine(AsyncEngine):
    """A SQLite file: this engine's pool is the one writer, ``readers`` serves ``read``, ``ask`` has its own."""

    __slots__ = ("_asking", "_opening", "readers")

    def __init__(self, writer: AsyncEngine, readers: AsyncEngine) -> None:
        super().__init__(writer.sync_engine)
        self.readers = readers
        self._asking: sqlite.Connection | None = None
        self._opening = asyncio.Lock()

    async def ask(self, statement: str, values: Sequence[Any]) -> Sequence[Any]:
        """Return the rows of a query that needs no transaction, as the driver gives them."""
        async with self._opening:
            if self._asking is None:
                arguments, options = self.dialect.create_connect_args(self.url)
                connection = sqlite.Connection(*arguments, **options, isolation_level=None, timeout=BUSY_TIMEOUT_S)
                await connection
                self._asking = connection
                await connection.run("PRAGMA query_only=ON", ())
        *_, rows = await self._asking.run(statement, values)
        return rows

    async def dispose(self, close: bool = True) -> None:
        """Close the readers, then the writer."""
        asking, self._asking = self._asking, None
        if asking is not None:
            await asking.close()
        await self.readers.dispose(close)
        await super().dispose(close)


def create_engine(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> AsyncEngine:
    """Make the engine for ``sqlite+aiosqlite:///FILE`` (folders are made) or ``postgresql+asyncpg://USER@HOST/NAME``.

    ``:memory:`` is for tests: one connection, so reads wait for writers. ``busy_timeout_s`` is how long a statement
    waits for another process's lock on a SQLite file.
    """
    parsed = make_url(url)
    match parsed.drivername:
        case "sqlite+aiosqlite":
            return _sqlite(parsed, busy_timeout_s)
        case "postgresql+asyncpg":
            return create_async_engine(
                parsed,
                pool_size=POSTGRES_POOL // 2,
                max_overflow=POSTGRES_POOL - POSTGRES_POOL // 2,
                pool_timeout=POOL_TIMEOUT_S,
                pool_pre_ping=True,
                connect_args={"timeout": 10.0, "command_timeout": 60.0, "server_settings": {"jit": "off"}},
            )
        case other:
            raise DatabaseError(f"database.url: unknown driver {other}; use sqlite+aiosqlite or postgresql+asyncpg")


@asynccontextmanager
async def read(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a read-only transaction: a snapshot on SQLite, read committed on PostgreSQL. Writing in it fails."""
    if isinstance(engine, SqliteEngine):
        async with engine.readers.begin() as connection:
            yield connection
        return
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execution_options(postgresql_readonly=True)
        async with connection.begin():
            yield connection


async def health(engine: AsyncEngine) -> None:
    """Return if the database answers a query; raise what stands in the way if not."""
    async with read(engine) as connection:
        await connection.execute(text("SELECT 1"))


def _sqlite(url: URL, busy_s: float) -> AsyncEngine:
    memory = url.database in (None, "", ":memory:")
    if not memory:
        folder = Path(str(url.database)).expanduser().resolve().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"the database's folder {folder} cannot be made: {error.strerror}") from error
    writer = _sqlite_pool(url, busy_s, size=1, read_only=False)
    if memory:
        return writer
    return SqliteEngine(writer, _sqlite_pool(url, busy_s, size=SQLITE_READERS, read_only=True))


def _sqlite_pool(url: URL, busy_s: float, *, size: int, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        connect_args={"isolation_level": None, "timeout": busy_s, "async_creator_fn": sqlite.Connection},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: DBAPIConnection, _record: object) -> None:
        _pragmas(connection, read_only)

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        if read_only and isinstance(driver, sqlite.Connection):
            driver.begin_later()
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _pragmas(connection: Any, read_only: bool) -> None:
    """Set up a SQLite connection: WAL, every commit on disk before it returns, foreign keys enforced."""
    cursor = connection.cursor()
    try:
        _switch_to_wal(cursor)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
    finally:
        cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Switch the journal; SQLite does not wait by itself when another connection switches at the same moment."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or loop.time() > deadline:
                raise
        await_only(asyncio.sleep(_RETRY_S))


async def upgrade(
    engine: AsyncEngine,
    migrations: Path,
    *,
    version_table: str = "alembic_version",
    wait_s: float = MIGRATION_WAIT_S,
) -> None:
    """Bring the tables of one room to the newest revision in ``migrations``; all of it or nothing.

    Safe when several processes start at once: one migrates, the others wait and then find nothing to do. Its own work
    takes as long as it takes. Raises ``DatabaseError`` if the database is newer than this program or cannot be used.
    """
    async with asyncio.timeout(wait_s) as waiting:
        until = waiting.when()
        while True:
            waiting.reschedule(until)
            try:
                async with engine.begin() as connection:
                    if engine.dialect.name == "postgresql":
                        await connection.execute(
                            text("SELECT pg_advisory_xact_lock(:key)"), {"key": _lock_key(version_table)}
                        )
                    waiting.reschedule(None)
                    await connection.run_sync(_to_head, migrations, version_table)
                    return
            except OperationalError as error:
                if "database is locked" not in str(error.orig):
                    raise DatabaseError(f"database {_shown(engine)}: {error.orig}") from error
            except OSError as error:
                raise DatabaseError(f"database {_shown(engine)} cannot be reached: {error}") from error
            await asyncio.sleep(_RETRY_S)


def _shown(engine: AsyncEngine) -> str:
    """Return the URL for a log: never with its password."""
    return engine.url.render_as_string(hide_password=True)


def run_env(metadata: MetaData) -> None:
    """Body of a room's ``migrations/env.py``: run the revisions on the connection that ``upgrade`` handed over."""
    config = environment.config
    environment.configure(
        connection=config.attributes["connection"],
        target_metadata=metadata,
        version_table=config.attributes["version_table"],
        render_as_batch=True,
    )
    with environment.begin_transaction():
        environment.run_migrations()


def _to_head(connection: Connection, migrations: Path, version_table: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, version_table=version_table)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(
            f"{version_table}: {error}; the database was made by a newer version of this program, or by another one"
        ) from error


def _lock_key(name: str) -> int:
    """Return the 63-bit advisory lock number for a version table."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def is_transient(error: BaseException) -> bool:
    """Tell whether trying the whole transaction again may help: lost connection, lock, serialisation or deadlock."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or "database is locked" in str(error.orig):
        return True
    return getattr(error.orig, "sqlstate", None) in {"40001", "40P01", "55P03", "57P01", "08006"}
