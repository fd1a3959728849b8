"""Reads and writes of the bridge's database over SQLAlchemy Core.

Rule: ``write`` is the only way in and puts a whole ``Changes`` into one transaction; writers that come at the same time
share one commit, so that a thousand chargers answering at once cost a few commits and not two thousand. Every write is
an upsert: doing it again changes nothing.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, and_, delete, exists, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.arbiter import Override
from bridge.plan import Draw
from bridge.store import tables
from bridge.store.alerts import AlertReads, forget_alerts, write_alerts
from bridge.store.arbitration import ArbitrationReads, forget_arbitration, write_arbitration
from bridge.store.changes import Changes
from bridge.store.customers import CustomerReads, forget_customers, write_customers
from bridge.store.enrolment import EnrolmentReads, write_enrolment
from bridge.store.proxied import ProxiedReads, forget_proxied, write_proxied
from bridge.store.records import (
    Command,
    Installed,
    InstallState,
    OptTold,
    Outcome,
    Phase,
    PowerMean,
    Sample,
)
from bridge.store.references import ReferenceReads, write_references
from bridge.store.statements import in_parts, plain, upsert
from bridge.store.stations import StationReads, forget_stations, write_stations
from bridge.store.upkeep import UpkeepReads, forget_half_hours, forget_upkeep, write_upkeep
from bridge.target import CommandOutcome, LimitSchedule, MeterReading
from bridge.verify import OutcomeState

OutcomeKey = tuple[datetime, str, str]
"""(effective start, eventID, resourceID): the order of pages."""


class Interrupted(Exception):
    """The one who committed for several was cancelled: writing again is harmless."""


class BridgeStore(
    ArbitrationReads, AlertReads, CustomerReads, EnrolmentReads, ProxiedReads, ReferenceReads, StationReads, UpkeepReads
):
    """The bridge's durable state. Methods raise SQLAlchemy errors when the database fails, and ``Interrupted``."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
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
            for row in await self.rows(query)
        }

    async def installed(self) -> dict[str, Installed]:
        """Return what every charger holds, by charger."""
        rows = await self.rows(select(tables.installed))
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
        rows = await self.rows(query.order_by(tables.command.c.id.desc()).limit(limit))
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

    async def writes_since(self, at: datetime) -> dict[str, tuple[datetime, ...]]:
        """Return when commands were sent to each charger since ``at``, oldest first."""
        table = tables.command
        query = select(table.c.charger, table.c.sent_at).where(table.c.sent_at >= at).order_by(table.c.id)
        found: dict[str, list[datetime]] = {}
        for row in await self.rows(query):
            found.setdefault(row.charger, []).append(row.sent_at)
        return {charger: tuple(sent) for charger, sent in found.items()}

    async def outcomes(self, *, event_id: str | None = None, unfinished: bool = False) -> tuple[Outcome, ...]:
        """Return outcomes ordered by start, event and resource: all, one event's, or only those not closed."""
        query = select(tables.outcome)
        if event_id is not None:
            query = query.where(tables.outcome.c.event_id == event_id)
        if unfinished:
            query = query.where(tables.outcome.c.phase != Phase.CLOSED.value)
        order = (tables.outcome.c.effective_start, tables.outcome.c.event_id, tables.outcome.c.resource_id)
        return tuple(_outcome(row) for row in await self.rows(query.order_by(*order)))

    async def outcomes_between(self, start: datetime, end: datetime) -> tuple[Outcome, ...]:
        """Return the outcomes of events that were in force inside [start, end)."""
        table = tables.outcome.c
        query = select(tables.outcome).where(
            table.effective_start < end, or_(table.effective_end.is_(None), table.effective_end > start)
        )
        return tuple(_outcome(row) for row in await self.rows(query))

    async def outcome_page(self, after: OutcomeKey | None, limit: int) -> tuple[Outcome, ...]:
        """Return at most ``limit`` outcomes, latest start first, that come after the one with the key ``after``."""
        table = tables.outcome
        query = select(table)
        if after is not None:
            start, event_id, resource_id = after
            beyond = tuple_(table.c.event_id, table.c.resource_id) > tuple_(literal(event_id), literal(resource_id))
            query = query.where(or_(table.c.effective_start < start, and_(table.c.effective_start == start, beyond)))
        query = query.order_by(table.c.effective_start.desc(), table.c.event_id, table.c.resource_id).limit(limit)
        return tuple(_outcome(row) for row in await self.rows(query))

    async def overrides(self, *, include_closed: bool = False, since: datetime | None = None) -> tuple[Override, ...]:
        """Return overrides by start; closed ones only if asked, ``since`` an instant."""
        query = select(tables.override)
        if not include_closed:
            query = query.where(tables.override.c.closed.is_(False))
        if since is not None:
            query = query.where(tables.override.c.start_at >= since)
        rows = await self.rows(query.order_by(tables.override.c.start_at, tables.override.c.override_id))
        return tuple(
            Override(
                override_id=row.override_id,
                resource_id=row.resource_id,
                event_ids=tuple(msgspec.json.decode(row.event_ids, type=list[str])),
                reason=row.reason,
                start=row.start_at,
                end=row.end_at,
                source=row.source,
                opt_id=row.opt_id,
                budgeted=row.budgeted,
            )
            for row in rows
        )

    async def opts(self, event_ids: Iterable[str] | None = None) -> dict[tuple[str, str], OptTold]:
        """Return the last opt told upstream, by (eventID, resourceID), all or those of some events."""
        query = select(tables.opt_told)
        if event_ids is not None:
            query = query.where(tables.opt_told.c.event_id.in_(list(event_ids)))
        rows = await self.rows(query)
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
        for part in in_parts(chargers):
            query = select(table).where(table.c.charger.in_(part), table.c.at >= start, table.c.at < end)
            for row in await self.rows(query):
                found.append(
                    Sample(
                        charger=row.charger,
                        at=row.at,
                        power_w=row.power_w,
                        max_a=row.max_a,
                        energy_wh=row.energy_wh,
                        estimated=row.estimated,
                        frequency_hz=row.frequency_hz,
                    )
                )
        return tuple(sorted(found, key=lambda sample: (sample.at, sample.charger)))

    async def mean_power(self, chargers: Sequence[str], start: datetime, end: datetime) -> dict[str, PowerMean]:
        """Return the mean power per charger over [start, end); chargers without readings are absent."""
        means: dict[str, PowerMean] = {}
        table = tables.reading
        for part in in_parts(chargers):
            query = (
                select(table.c.charger, func.avg(table.c.power_w).label("mean"), func.count().label("n"))
                .where(table.c.charger.in_(part), table.c.at >= start, table.c.at < end, table.c.power_w.is_not(None))
                .group_by(table.c.charger)
            )
            for row in await self.rows(query):
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
            for table in (tables.draw, tables.opt_told, tables.reference):
                same = and_(outcome.c.event_id == table.c.event_id, outcome.c.resource_id == table.c.resource_id)
                await connection.execute(delete(table).where(exists().where(old, same)))
            await connection.execute(delete(override).where(override.c.closed, override.c.start_at < before))
            await forget_arbitration(connection, before)
            await forget_upkeep(connection, before)
            await forget_customers(connection, before)
            await forget_alerts(connection, before)
            await forget_stations(connection, before)
            await forget_proxied(connection, before)
            gone = await connection.execute(delete(outcome).where(old))
            return gone.rowcount

    async def forget_half_hours(self, before: datetime) -> None:
        """Delete the half-hours that started before ``before``."""
        async with self.engine.begin() as connection:
            await forget_half_hours(connection, before)


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
    await upsert(connection, tables.draw, [plain(each) for each in changes.draws])
    await upsert(connection, tables.installed, [_installed_row(each) for each in changes.installed])
    if changes.removed:
        where = tables.installed.c.charger.in_(changes.removed)
        await connection.execute(delete(tables.installed).where(where))
    if changes.commands:
        await connection.execute(insert(tables.command), [_command_row(each) for each in changes.commands])
    await upsert(connection, tables.outcome, [_outcome_row(each) for each in changes.outcomes])
    await upsert(connection, tables.override, [_override_row(each) for each in changes.overrides])
    if changes.closed_overrides:
        where = tables.override.c.override_id.in_(changes.closed_overrides)
        await connection.execute(update(tables.override).where(where).values(closed=True))
    await upsert(connection, tables.opt_told, [plain(each) for each in changes.opts])
    await upsert(connection, tables.reading, [_reading_row(each) for each in changes.readings])
    await write_arbitration(connection, changes)
    await write_enrolment(connection, changes)
    await write_references(connection, changes)
    await write_upkeep(connection, changes)
    await write_alerts(connection, changes)
    await write_customers(connection, changes)
    await write_proxied(connection, changes)
    await write_stations(connection, changes)


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
    return plain(each) | {"state": each.state.value, "phase": each.phase.value}


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
        "opt_id": each.opt_id,
        "budgeted": each.budgeted,
    }


def _reading_row(each: MeterReading) -> dict[str, Any]:
    return {
        "charger": each.charger,
        "at": each.at,
        "power_w": each.power_w,
        "max_a": max(each.current_a) if each.current_a else None,
        "energy_wh": each.energy_wh,
        "estimated": each.estimated,
        "frequency_hz": each.frequency_hz,
    }
