"""The store: transactions over one engine, with the repositories inside, and word of what a commit changed.

Rule: everything of one exchange is read and written in one transaction; listeners hear of touched VENs after the
commit, other processes through the change counter.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from runtime.database import read
from runtime.probe import Probe
from vtn.store.candidates import Candidates
from vtn.store.codec import Touched
from vtn.store.decoded import Decoded
from vtn.store.eventrows import Assignment
from vtn.store.events import Events
from vtn.store.group import Group
from vtn.store.nonces import Nonces
from vtn.store.opts import Opts
from vtn.store.outbound import Queue
from vtn.store.ownreports import ANY_REPORT, ANY_REPORT_SINCE, OwnReports
from vtn.store.programmes import Programmes
from vtn.store.push import ANY_PUSH, Pushes
from vtn.store.readings import Readings
from vtn.store.reports import Reports
from vtn.store.rows import Answered
from vtn.store.tables import change, idempotency
from vtn.store.targets import Targets
from vtn.store.vens import Vens

VERSION_TABLE = "vtn_alembic"
_ROW = 1  # the change counter is one row
_CHANGES = Probe(select(change.c.counter).where(change.c.id == _ROW))
_ANNOUNCE = update(change).where(change.c.id == _ROW).values(counter=change.c.counter + 1)

Gifts = Mapping[str, tuple[Assignment, ...]]
Taker = Callable[[Gifts], None]
"""Given after a commit the new events of VENs, by venID."""
Listener = Callable[[frozenset[str]], None]
"""Told after a commit which VENs have something new."""


class Tx:
    """One transaction: the repositories on one connection."""

    def __init__(self, connection: AsyncConnection, decoded: Decoded, *, writing: bool) -> None:
        self.connection = connection
        self.touched = Touched()
        self.vens = Vens(connection, self.touched)
        self.candidates = Candidates(connection)
        self.events = Events(connection, self.touched, decoded, writing=writing)
        self.queue = Queue(connection, self.touched)
        self.push = Pushes(connection)
        self.opts = Opts(connection)
        self.reports = Reports(connection)
        self.readings = Readings(connection)
        self.own_reports = OwnReports(connection)
        self.keys = Keys(connection)
        self.nonces = Nonces(connection)
        self.targets = Targets(connection)
        self.programmes = Programmes(connection)
        self._decoded = decoded

    @asynccontextmanager
    async def part(self) -> AsyncIterator["Tx"]:
        """Open a part of a write transaction that can fail by itself; what it touched counts if it ends well."""
        part = Tx(self.connection, self._decoded, writing=True)
        async with self.connection.begin_nested():
            yield part
        self.touched.add(part.touched)


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
        self.announcing = 0  # transactions of it that move the counter just now: whether others see it yet is not known
        self._listeners: list[tuple[Listener, Taker | None]] = []
        self._news_listeners: list[Callable[[], None]] = []
        self._decoded = Decoded()
        self.group = Group(self)

    def listen(self, listener: Listener, taker: Taker | None = None) -> None:
        """Have ``listener`` called after each commit that touched VENs.

        With ``taker`` that one is called instead for VENs to which nothing happened but that they got new events.
        """
        self._listeners.append((listener, taker))

    def listen_for_news(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called after each commit that gave a VEN something new to fetch."""
        self._news_listeners.append(listener)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """Open a write transaction; it commits on leaving the block and rolls back on any exception.

        Listeners are told also of a commit that went wrong: the database may have done it all the same.
        """
        touched: frozenset[str] = frozenset()
        gifts: Gifts = {}
        news, announcing = False, 0
        try:
            async with self.engine.begin() as connection:
                tx = Tx(connection, self._decoded, writing=True)
                yield tx
                await tx.push.news(tuple(tx.touched.news))
                if tx.touched.announce:
                    announcing = 1
                    self.announcing += announcing
                    await connection.execute(_ANNOUNCE)
                touched, news = frozenset(tx.touched.ven_ids), bool(tx.touched.news)
            self.announced += announcing
            gifts = tx.touched.only_gifts
        finally:
            self.announcing -= announcing
            if touched:
                self._tell(touched, gifts)
            if news:
                for hear in self._news_listeners:
                    hear()

    def _tell(self, touched: frozenset[str], gifts: Gifts) -> None:
        for listener, taker in self._listeners:
            if taker is None or not gifts:
                listener(touched)
                continue
            taker(gifts)
            if len(gifts) < len(touched):
                listener(touched - gifts.keys())

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Open a read-only transaction."""
        async with read(self.engine) as connection:
            yield Tx(connection, self._decoded, writing=False)

    async def changes(self) -> int:
        """Return the change counter, which every process that shares the database moves on."""
        return int((await _CHANGES(self.engine))[0])

    async def push_due(self, now: datetime) -> bool:
        """True if ``Pushes.claim`` would find a VEN."""
        return bool((await ANY_PUSH(self.engine, b_now=now))[0])

    async def reports_due(
        self, now: datetime, registered_before: datetime, since: datetime | None
    ) -> tuple[bool, bool, bool]:
        """Tell whether report requests are to be looked at, VENs to be asked for METADATA, own reports to be sent."""
        if since is None:
            row = await ANY_REPORT(self.engine, b_now=now, b_before=registered_before)
        else:
            row = await ANY_REPORT_SINCE(self.engine, b_now=now, b_before=registered_before, b_since=since)
        late, missing, due = map(bool, row)
        return late, missing, due
