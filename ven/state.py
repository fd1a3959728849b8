"""The VEN's durable state: one ``State`` in memory, mirrored in the database; survives kill -9 at any moment.

Rule: ``transact`` is the only way to change it. The difference between the old and the new state goes into the
database in one transaction, and only then the new state is seen by anybody. After a failed commit the state is read
anew, because nobody can know how much of it happened.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar

from sqlalchemy import Executable, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from openadr.wire.replay import UsedNonce
from runtime.database import read, upgrade
from ven import tables
from ven.model import State, StoredEvent
from ven.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "ven_alembic"

K = TypeVar("K", str, int)
V = TypeVar("V")
R = TypeVar("R")

Beside = Callable[[AsyncConnection, R], Awaitable[None]]
"""What a caller writes on the same database in the same transaction; it is given the result of the change."""

__all__ = ["MIGRATIONS", "VERSION_TABLE", "Beside", "VenStore", "metadata"]


class VenStore:
    """Registration, events, report requests and outbox of one VEN at the VTN named ``vtn``; one database, many VTNs."""

    def __init__(self, engine: AsyncEngine, vtn: str = "") -> None:
        self._engine, self._vtn = engine, vtn
        self._lock = asyncio.Lock()
        self._state = State()
        self._current = False  # False: memory may differ from the database

    @classmethod
    async def open(cls, engine: AsyncEngine, vtn: str = "") -> Self:
        """Migrate this room's tables and read the state. Raises ``StoredValueError`` for a row that cannot be read."""
        await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
        store = cls(engine, vtn)
        await store.state()
        return store

    async def state(self) -> State:
        """Return the state in force."""
        async with self._lock:
            return await self._loaded()

    @property
    def snapshot(self) -> State:
        """The state last seen, without asking the database: for status displays."""
        return self._state

    async def transact(self, change: Callable[[State], tuple[State, R]], beside: Beside[R] | None = None) -> R:
        """Apply ``change`` to the state and commit what differs, ``beside`` included; return its second result.

        ``change`` must be pure. If it or ``beside`` raises, or the commit fails, nothing has changed and the exception
        goes on.
        """
        async with self._lock:
            old = await self._loaded()
            new, result = change(old)
            writes = _differences(old, new, self._vtn)
            if writes or beside is not None:
                self._current = False
                async with self._engine.begin() as connection:
                    for statement in writes:
                        await connection.execute(statement)
                    if beside is not None:
                        await beside(connection, result)
                self._current = True
            self._state = new
            return result

    async def events(self) -> tuple[StoredEvent, ...]:
        """Return the events taken on, cancelled ones included until ``forget``; in order of receipt."""
        state = await self.state()
        shown = (stored for stored in state.events.values() if not stored.forgotten)
        return tuple(sorted(shown, key=lambda stored: stored.received_at))

    async def forget(self, event_id: str) -> None:
        """Hide an event that the resources have ended; its answer is kept until the VTN shows it no more (R66)."""

        def hide(state: State) -> tuple[State, None]:
            stored = state.events.get(event_id)
            if stored is None or stored.forgotten:
                return state, None
            return replace(state, events={**state.events, event_id: replace(stored, forgotten=True)}), None

        await self.transact(hide)

    async def use_nonce(self, used: UsedNonce, now: datetime) -> bool:
        """Write the nonce of a signed message; False if it was there before. Those whose time is over are forgotten."""
        row = {"fingerprint": used.fingerprint, "nonce": used.nonce, "forget_after": used.forget_after}
        make = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        statement = make(tables.nonce).values(row).on_conflict_do_nothing().returning(tables.nonce.c.nonce)
        async with self._engine.begin() as connection:
            await connection.execute(delete(tables.nonce).where(tables.nonce.c.forget_after < now))
            return (await connection.execute(statement)).first() is not None

    async def _loaded(self) -> State:
        if not self._current:
            async with read(self._engine) as connection:
                loaded = await _load(connection, self._vtn)
            next_seq = max(loaded.next_seq, self._state.next_seq)
            self._state = replace(loaded, link=self._state.link, next_seq=next_seq)
            self._current = True
        return self._state


def _differences(old: State, new: State, vtn: str) -> list[Executable]:
    """Return the statements that turn the rows of ``old`` into those of ``new``."""
    before = {} if old.registration is None else {1: old.registration}
    after = {} if new.registration is None else {1: new.registration}
    left_before = {} if old.withdrawn_at is None else {1: old.withdrawn_at}
    left_after = {} if new.withdrawn_at is None else {1: new.withdrawn_at}
    return [
        *_table(tables.withdrawal, vtn, "id", left_before, left_after, tables.withdrawal_row),
        *_table(tables.registration, vtn, "id", before, after, tables.registration_row),
        *_table(tables.event, vtn, "event_id", old.events, new.events, tables.event_row),
        *_table(tables.report_request, vtn, "report_request_id", old.requests, new.requests, tables.request_row),
        *_table(tables.outbox, vtn, "seq", old.outbox, new.outbox, tables.owed_row),
    ]


def _table(
    table: Table, vtn: str, key: str, old: Mapping[K, V], new: Mapping[K, V], row: Callable[[V], tables.Row]
) -> list[Executable]:
    if old is new:
        return []
    column, ours = table.c[key], table.c.vtn == vtn
    statements: list[Executable] = [delete(table).where(ours, column == name) for name in old if name not in new]
    for name, value in new.items():
        if name not in old:
            statements.append(insert(table).values(vtn=vtn, **row(value)))
        elif old[name] is not value and old[name] != value:
            statements.append(update(table).where(ours, column == name).values(**row(value)))
    return statements


async def _load(connection: AsyncConnection, vtn: str) -> State:
    async def rows(table: Table, key: str) -> list[tables.Row]:
        result = await connection.execute(select(table).where(table.c.vtn == vtn).order_by(table.c[key]))
        return list(result.mappings())  # type: ignore[arg-type]

    registered = [tables.registration_value(row) for row in await rows(tables.registration, "id")]
    events = [tables.event_value(row) for row in await rows(tables.event, "received_at")]
    requests = [tables.request_value(row) for row in await rows(tables.report_request, "report_request_id")]
    owed = [tables.owed_value(row) for row in await rows(tables.outbox, "seq")]
    withdrawn = [row["at"] for row in await rows(tables.withdrawal, "id")]
    return State(
        withdrawn_at=withdrawn[0] if withdrawn else None,
        registration=registered[0] if registered else None,
        events={stored.event.descriptor.event_id: stored for stored in events},
        requests={stored.request.report_request_id: stored for stored in requests},
        outbox={one.seq: one for one in owed},
        next_seq=owed[-1].seq + 1 if owed else 1,
    )
