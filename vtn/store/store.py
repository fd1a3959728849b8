"""The store: transactions over one engine, with the repositories inside, and word of what a commit changed.

Rule: everything of one exchange is read and written in one transaction; listeners hear of touched VENs after the
commit, other processes through the change counter.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from runtime.database import read
from vtn.store.codec import Touched
from vtn.store.decoded import Decoded
from vtn.store.events import Events
from vtn.store.opts import Opts
from vtn.store.outbound import Queue
from vtn.store.reports import Reports
from vtn.store.rows import Answered
from vtn.store.tables import change, idempotency
from vtn.store.vens import Vens

VERSION_TABLE = "vtn_alembic"
_ROW = 1  # the change counter is one row
_ANNOUNCE = update(change).where(change.c.id == _ROW).values(counter=change.c.counter + 1)

Listener = Callable[[frozenset[str]], None]
"""Told after a commit which VENs have something new."""


class Tx:
    """One transaction: the repositories on one connection."""

    def __init__(self, connection: AsyncConnection, decoded: Decoded, *, writing: bool) -> None:
        self.connection = connection
        self.touched = Touched()
        self.vens = Vens(connection, self.touched)
        self.events = Events(connection, self.touched, decoded, writing=writing)
        self.queue = Queue(connection, self.touched)
        self.opts = Opts(connection)
        self.reports = Reports(connection)
        self.keys = Keys(connection)


class Keys:
    """Idempotency keys of the operator API within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, key: str) -> Answered | None:
        """Return what was answered to a key."""
        row = (await self._connection.execute(select(idempotency).where(idempotency.c.key == key))).one_or_none()
        return None if row is None else Answered(digest=bytes(row.digest), status=row.status, body=bytes(row.body))

    async def put(self, key: str, answered: Answered, now: datetime) -> None:
        """Keep an answer."""
        await self._connection.execute(
            insert(idempotency).values(
                key=key, digest=answered.digest, status=answered.status, body=answered.body, at=now
            )
        )


class Store:
    """The VTN's database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.announced = 0  # how often this process moved the change counter
        self._listeners: list[Listener] = []
        self._decoded = Decoded()

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called after each commit that touched VENs."""
        self._listeners.append(listener)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """Open a write transaction; it commits on leaving the block and rolls back on any exception.

        Listeners are told also of a commit that went wrong: the database may have done it all the same.
        """
        touched: frozenset[str] = frozenset()
        try:
            async with self.engine.begin() as connection:
                tx = Tx(connection, self._decoded, writing=True)
                yield tx
                if tx.touched.announce:
                    await connection.execute(_ANNOUNCE)
                touched = frozenset(tx.touched.ven_ids)
            self.announced += tx.touched.announce
        finally:
            if touched:
                for listener in self._listeners:
                    listener(touched)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Open a read-only transaction."""
        async with read(self.engine) as connection:
            yield Tx(connection, self._decoded, writing=False)

    async def changes(self) -> int:
        """Return the change counter, which every process that shares the database moves on."""
        async with read(self.engine) as connection:
            return int((await connection.execute(select(change.c.counter).where(change.c.id == _ROW))).scalar_one())
