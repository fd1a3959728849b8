"""Reads and writes of the bridge's database over SQLAlchemy Core.

Rule: ``write`` is the only way in and puts a whole ``Changes`` into one transaction; writers that come at the same time
share one commit, so that a thousand chargers answering at once cost a few commits and not two thousand. Every write is
an upsert: doing it again changes nothing.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, Table, and_, delete, exists, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.arbiter import Override
from bridge.plan import Draw
from bridge.store import tables
from bridge.store.records import (
    Changes,
    Command,
    Installed,
    InstallState,
    OptTold,
    Outcome,
    Phase,
    PowerMean,
    Sample,
)
from bridge.target import CommandOutcome, LimitSchedule, MeterReading
from bridge.verify import OutcomeState
from runtime.database import read

OutcomeKey = tuple[datetime, str, str]
"""(effective start, eventID, resourceID): the order of pages."""

_CHUNK = 500  # rows an IN list or a multi-row statement: far under SQLite's 32,766 variables


class Interrupted(Exception):
    """The one who committed for several was cancelled: writing again is harmless."""


class BridgeStore:
    """The bridge's durable state. Methods raise SQLAlchemy errors when the database fails, and ``Interrupted``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._waiting: list[tuple[Changes, asyncio.Future[None]]] = []
        self._committing = asyncio.Lock()

    async def write(self, changes: Changes) -> None:
        """Return once ``changes`` are on disk; concurrent callers share a commit."""
        if not changes:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((changes, done))
        async with self._committing:
            if not done.done():
                batch, self._waiting = self._waiting, []
                await self._commit(batch)
        await done

    async def write_in(self, connection: AsyncConnection, changes: Changes) -> None:
        """Write ``changes`` into somebody else's transaction on this database."""
        await _write(connection, changes)

    async def _commit(self, batch: list[tuple[Changes, asyncio.Future[None]]]) -> None:
        try:
            async with self.engine.begin() as connection:
                for changes, _ in batch:
                    await _write(connection, changes)
        except BaseException as error:
            fault = error if isinstance(error, Exception) else Interrupted("the commit was interrupted: try again")
            for _, done in batch:
                if not done.done():
                    done.set_exception(fault)
                    done.exception()  # read: whoever waited for it may be gone
            if not isinstance(error, Exception):
                raise
            return
        for _, done in batch:
            if not done.done():
                done.set_result(None)

    async def draws(self, event_ids: Iterable[str] | None = None) -> dict[tuple[str, str], Draw]:
        """Return the stored draws by (eventID, resourceID), all or those of some events."""
        query = select(tables.draw)
        if event_ids is not None:
            query = query.where(tables.draw.c.event_id.in_(list(event_ids)))
        return {
            (row.event_id, row.resource_id): Draw(
                event_id=row.event_id, resource_id=row.resource_id, start_u=row.start_u, release_u=row.release_u
            )
            for row in await self._rows(query)
        }

    async def installed(self) -> dict[str, Installed]:
        """Return what every charger holds, by charger."""
        rows = await self._rows(select(tables.installed))
        return {
            row.charger: Installed(
                charger=row.charger,
                schedule=_schedule(row.schedule),
                state=InstallState(row.state),
                detail=row.detail,
                attempts=row.attempts,
                sent_at=row.sent_at,
                accepted_at=row.accepted_at,
            )
            for row in rows
        }

    async def commands(self, charger: str, limit: int = 100) -> tuple[Command, ...]:
        """Return a charger's latest commands, newest first."""
        query = select(tables.command).where(tables.command.c.charger == charger)
        rows = await self._rows(query.order_by(tables.command.c.id.desc()).limit(limit))
        return tuple(
            Command(
                charger=row.charger,
                kind=row.kind,
                cause=row.cause,
                schedule=None if row.schedule is None else _schedule(row.schedule),
                outcome=CommandOutcome(row.outcome),
                detail=row.detail,
                sent_at=row.sent_at,
                done_at=row.done_at,
            )
            for row in rows
        )

    async def outcomes(self, *, event_id: str | None = None, unfinished: bool = False) -> tuple[Outcome, ...]:
        """Return outcomes ordered by start, event and resource: all, one event's, or only those not closed."""
        query = select(tables.outcome)
        if event_id is not None:
            query = query.where(tables.outcome.c.event_id == event_id)
        if unfinished:
            query = query.where(tables.outcome.c.phase != Phase.CLOSED.value)
        order = (tables.outcome.c.effective_start, tables.outcome.c.event_id, tables.outcome.c.resource_id)
        return tuple(_outcome(row) for row in await self._rows(query.order_by(*order)))

    async def outcome_page(self, after: OutcomeKey | None, limit: int) -> tuple[Outcome, ...]:
        """Return at most ``limit`` outcomes, latest start first, that come after the one with the key ``after``."""
        table = tables.outcome
        query = select(table)
        if after is not None:
            start, event_id, resource_id = after
            beyond = tuple_(table.c.event_id, table.c.resource_id) > tuple_(literal(event_id), literal(resource_id))
            query = query.where(or_(table.c.effective_start < start, and_(table.c.effective_start == start, beyond)))
        query = query.order_by(table.c.effective_start.desc(), table.c.event_id, table.c.resource_id).limit(limit)
        return tuple(_outcome(row) for row in await self._rows(query))

    async def overrides(self, *, include_closed: bool = False) -> tuple[Override, ...]:
        """Return overrides by start; closed ones only if asked."""
        query = select(tables.override)
        if not include_closed:
            query = query.where(tables.override.c.closed.is_(False))
        rows = await self._rows(query.order_by(tables.override.c.start_at, tables.override.c.override_id))
        return tuple(
            Override(
                override_id=row.override_id,
                resource_id=row.resource_id,
                event_ids=tuple(msgspec.json.decode(row.event_ids, type=list[str])),
                reason=row.reason,
                start=row.start_at,
                end=row.end_at,
                source=row.source,
            )
            for row in rows
        )

    async def opts(self, event_ids: Iterable[str] | None = None) -> dict[tuple[str, str], OptTold]:
        """Return the last opt told upstream, by (eventID, resourceID), all or those of some events."""
        query = select(tables.opt_told)
        if event_ids is not None:
            query = query.where(tables.opt_told.c.event_id.in_(list(event_ids)))
        rows = await self._rows(query)
        return {
            (row.event_id, row.resource_id): OptTold(
                event_id=row.event_id,
                resource_id=row.resource_id,
                opt_type=row.opt_type,
                reason=row.reason,
                opt_id=row.opt_id,
                at=row.at,
            )
            for row in rows
        }

    async def samples(self, chargers: Sequence[str], start: datetime, end: datetime) -> tuple[Sample, ...]:
        """Return readings of some chargers with ``start`` <= at < ``end``, oldest first."""
        found: list[Sample] = []
        table = tables.reading
        for chunk in _chunks(chargers):
            query = select(table).where(table.c.charger.in_(chunk), table.c.at >= start, table.c.at < end)
            for row in await self._rows(query):
                found.append(
                    Sample(
                        charger=row.charger,
                        at=row.at,
                        power_w=row.power_w,
                        max_a=row.max_a,
                        energy_wh=row.energy_wh,
                    )
                )
        return tuple(sorted(found, key=lambda sample: (sample.at, sample.charger)))

    async def mean_power(self, chargers: Sequence[str], start: datetime, end: datetime) -> dict[str, PowerMean]:
        """Return the mean power per charger over [start, end); chargers without readings are absent."""
        means: dict[str, PowerMean] = {}
        table = tables.reading
        for chunk in _chunks(chargers):
            query = (
                select(table.c.charger, func.avg(table.c.power_w).label("mean"), func.count().label("n"))
                .where(table.c.charger.in_(chunk), table.c.at >= start, table.c.at < end, table.c.power_w.is_not(None))
                .group_by(table.c.charger)
            )
            for row in await self._rows(query):
                means[row.charger] = PowerMean(charger=row.charger, power_w=float(row.mean), samples=row.n)
        return means

    async def prune(self, before: datetime) -> int:
        """Delete readings and commands older than ``before``; return how many readings went."""
        async with self.engine.begin() as connection:
            gone = await connection.execute(delete(tables.reading).where(tables.reading.c.at < before))
            await connection.execute(delete(tables.command).where(tables.command.c.done_at < before))
            return gone.rowcount

    async def forget(self, before: datetime) -> int:
        """Delete outcomes closed before ``before`` with their draws and opts, and overrides closed; return how many."""
        outcome, override = tables.outcome, tables.override
        old = and_(outcome.c.phase == Phase.CLOSED.value, outcome.c.updated_at < before)
        async with self.engine.begin() as connection:
            for table in (tables.draw, tables.opt_told):
                same = and_(outcome.c.event_id == table.c.event_id, outcome.c.resource_id == table.c.resource_id)
                await connection.execute(delete(table).where(exists().where(old, same)))
            await connection.execute(delete(override).where(override.c.closed, override.c.start_at < before))
            gone = await connection.execute(delete(outcome).where(old))
            return gone.rowcount

    async def _rows(self, query: Any) -> Sequence[Row[Any]]:
        async with read(self.engine) as connection:
            return (await connection.execute(query)).all()


def _chunks(items: Sequence[str]) -> Iterable[list[str]]:
    for start in range(0, len(items), _CHUNK):
        yield list(items[start : start + _CHUNK])


def _schedule(text: str) -> LimitSchedule:
    return msgspec.json.decode(text, type=LimitSchedule)


def _document(schedule: LimitSchedule) -> str:
    return msgspec.json.encode(schedule).decode()


def _outcome(row: Row[Any]) -> Outcome:
    values = dict(row._mapping)
    values["state"] = OutcomeState(row.state)
    values["phase"] = Phase(row.phase)
    return Outcome(**values)


async def _write(connection: AsyncConnection, changes: Changes) -> None:
    await _upsert(connection, tables.draw, [asdict(each) for each in changes.draws])
    await _upsert(connection, tables.installed, [_installed_row(each) for each in changes.installed])
    if changes.removed:
        where = tables.installed.c.charger.in_(changes.removed)
        await connection.execute(delete(tables.installed).where(where))
    if changes.commands:
        await connection.execute(insert(tables.command), [_command_row(each) for each in changes.commands])
    await _upsert(connection, tables.outcome, [_outcome_row(each) for each in changes.outcomes])
    await _upsert(connection, tables.override, [_override_row(each) for each in changes.overrides])
    if changes.closed_overrides:
        where = tables.override.c.override_id.in_(changes.closed_overrides)
        await connection.execute(update(tables.override).where(where).values(closed=True))
    await _upsert(connection, tables.opt_told, [asdict(each) for each in changes.opts])
    await _upsert(connection, tables.reading, [_reading_row(each) for each in changes.readings])


async def _upsert(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    rest = {name: statement.excluded[name] for name in (column.name for column in table.c) if name not in keys}
    await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest), list(rows))


def _installed_row(each: Installed) -> dict[str, Any]:
    return {
        "charger": each.charger,
        "schedule": _document(each.schedule),
        "state": each.state.value,
        "detail": each.detail,
        "attempts": each.attempts,
        "sent_at": each.sent_at,
        "accepted_at": each.accepted_at,
    }


def _command_row(each: Command) -> dict[str, Any]:
    return {
        "charger": each.charger,
        "kind": each.kind,
        "cause": each.cause,
        "schedule": None if each.schedule is None else _document(each.schedule),
        "outcome": each.outcome.value,
        "detail": each.detail,
        "sent_at": each.sent_at,
        "done_at": each.done_at,
    }


def _outcome_row(each: Outcome) -> dict[str, Any]:
    return asdict(each) | {"state": each.state.value, "phase": each.phase.value}


def _override_row(each: Override) -> dict[str, Any]:
    return {
        "override_id": each.override_id,
        "resource_id": each.resource_id,
        "event_ids": msgspec.json.encode(each.event_ids).decode(),
        "reason": each.reason,
        "source": each.source,
        "start_at": each.start,
        "end_at": each.end,
        "closed": False,
    }


def _reading_row(each: MeterReading) -> dict[str, Any]:
    return {
        "charger": each.charger,
        "at": each.at,
        "power_w": each.power_w,
        "max_a": max(each.current_a) if each.current_a else None,
        "energy_wh": each.energy_wh,
    }
