"""SQLite connections that ask their thread once a statement: cursor, statement, rows and closing in one go.

Rule: a reader's BEGIN goes with its first statement, a writer's at once, because it takes the lock. What has been sent
to the thread counts as begun, even if whoever waited for it was cancelled; what never was costs nothing to end. Rows
are always fetched whole: there is no streaming.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self

import aiosqlite
from aiosqlite.core import _STOP_RUNNING_SENTINEL, set_exception, set_result

_CHUNK = 64  # rows; aiosqlite wants it, for the streaming that is not used here


class Connection(aiosqlite.Connection):
    """A connection with few hops between the threads."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(partial(sqlite3.connect, *arguments, **options), iter_chunk_size=_CHUNK)
        self._thread = Thread(target=_work, args=(self._tx,), daemon=True)
        self._to_begin: str | None = None  # goes with the next statement
        self._begun = False

    def begin_later(self) -> None:
        """Begin a transaction with the next statement."""
        self._to_begin = "BEGIN"

    def cursor(self) -> Any:
        """Return a cursor, which is nothing but a place for the outcome of a statement."""
        return _Cursor(self)

    async def run(self, sql: str, parameters: Iterable[Any], *, many: bool = False) -> "_Outcome":
        """Run a statement and return everything that comes of it."""
        begin, self._to_begin = self._to_begin, None
        self._begun = True
        outcome: _Outcome = await self._execute(  # type: ignore[no-untyped-call]
            _statement, self._conn, begin, sql, parameters, many
        )
        return outcome

    async def commit(self) -> None:
        """Commit if something was done."""
        self._to_begin = None
        if self._begun:
            await super().commit()
            self._begun = False

    async def rollback(self) -> None:
        """Roll back if something was done."""
        self._to_begin = None
        if self._begun:
            await super().rollback()
            self._begun = False


def _work(asked: "SimpleQueue[tuple[asyncio.Future[Any] | None, Callable[[], Any]]]") -> None:
    """Do what is asked for, in order; who asked may be gone by then, and the event loop with it."""
    while True:
        future, function = asked.get()
        settle: Callable[[asyncio.Future[Any], Any], None] = set_result
        try:
            result = function()
        except BaseException as error:
            result, settle = error, set_exception
        if future is not None:
            with suppress(RuntimeError):  # the loop is closed
                future.get_loop().call_soon_threadsafe(settle, future, result)
        if result is _STOP_RUNNING_SENTINEL:
            return


_Outcome = tuple[Any, int, int | None, Sequence[Any]]  # description, rowcount, lastrowid, rows


def _statement(
    connection: sqlite3.Connection, begin: str | None, sql: str, parameters: Any, many: bool
) -> _Outcome:  # in the thread
    if begin is not None:
        connection.execute(begin)
    cursor = connection.executemany(sql, parameters) if many else connection.execute(sql, parameters)
    try:
        described = cursor.description
        rows = cursor.fetchall() if described else ()
        return described, cursor.rowcount, cursor.lastrowid, rows
    finally:
        cursor.close()


class _Cursor:
    """What SQLAlchemy's adapter for aiosqlite needs of a cursor."""

    __slots__ = ("_connection", "_rows", "arraysize", "description", "lastrowid", "rowcount")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.arraysize = 1
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> Self:
        """Run a statement."""
        self._take(await self._connection.run(sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Self:
        """Run a statement for each set of parameters."""
        self._take(await self._connection.run(sql, parameters, many=True))
        return self

    def _take(self, outcome: _Outcome) -> None:
        self.description, self.rowcount, self.lastrowid, self._rows = outcome

    async def fetchall(self) -> Sequence[Any]:
        """Return the rows that have not been fetched."""
        rows, self._rows = self._rows, ()
        return rows

    async def close(self) -> None:
        """Let go of the rows; the statement is long over."""
        self._rows = ()
