"""Reads and writes of what the arbiter keeps: standing limits, shares, history of limits, attribution, cut supplies.

Rule: as in the repository, of which this is a part; instants in UTC, limits in A per phase, powers in kW.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.arbiter import Source
from bridge.store import tables
from bridge.store.changes import Changes
from bridge.store.reads import Reads
from bridge.store.records import Attribution, LimitNote, Stage, StandingLimit, Supply
from bridge.store.statements import plain, upsert

AttributionKey = tuple[datetime, str, str]
"""(start, eventID, resourceID): the order of pages."""


class ArbitrationReads(Reads):
    """The part of the store that answers for the arbiter."""

    async def standing(self) -> tuple[StandingLimit, ...]:
        """Return the standing limits that nobody has taken back, by start."""
        table = tables.standing
        query = select(table).where(table.c.ended_at.is_(None)).order_by(table.c.start_at, table.c.limit_id)
        return tuple(
            StandingLimit(
                limit_id=row.limit_id,
                source=Source(row.source),
                resource_id=row.resource_id,
                group_id=row.group_id,
                limit_a=row.limit_a,
                limit_kw=row.limit_kw,
                reason=row.reason,
                start=row.start_at,
                end=row.end_at,
                ended_at=row.ended_at,
            )
            for row in await self.rows(query)
        )

    async def shares(self) -> dict[str, dict[str, float]]:
        """Return every share by division and resourceID."""
        found: dict[str, dict[str, float]] = {}
        for row in await self.rows(select(tables.share)):
            found.setdefault(row.division, {})[row.resource_id] = row.limit_a
        return found

    async def notes_since(self, start: datetime) -> dict[str, list[LimitNote]]:
        """Return what limited each resource since ``start``, with what was in force then, oldest first."""
        table = tables.limit_history
        last = (
            select(table.c.resource_id, func.max(table.c.at).label("at"))
            .where(table.c.at <= start)
            .group_by(table.c.resource_id)
            .subquery()
        )
        same = and_(table.c.resource_id == last.c.resource_id, table.c.at == last.c.at)
        found: dict[str, list[LimitNote]] = {}
        rows = [*await self.rows(select(table).join(last, same))]
        rows += await self.rows(select(table).where(table.c.at > start).order_by(table.c.at))
        for row in rows:
            found.setdefault(row.resource_id, []).append(LimitNote(**row._mapping))
        return found

    async def limit_notes(self, resource_id: str, limit: int = 1000) -> tuple[LimitNote, ...]:
        """Return the latest changes of what limited a resource, newest first."""
        table = tables.limit_history
        query = select(table).where(table.c.resource_id == resource_id).order_by(table.c.at.desc()).limit(limit)
        return tuple(LimitNote(**row._mapping) for row in await self.rows(query))

    async def attributions(
        self, *, event_id: str | None = None, after: AttributionKey | None = None, limit: int = 1000
    ) -> tuple[Attribution, ...]:
        """Return a page of the ledger by start, event and resource: all, or one event's."""
        table = tables.attribution
        key = tuple_(table.c.event_id, table.c.resource_id)
        query = select(table)
        if event_id is not None:
            query = query.where(table.c.event_id == event_id)
        if after is not None:
            start, event, resource = after
            beyond = and_(table.c.start_at == start, key > tuple_(literal(event), literal(resource)))
            query = query.where(or_(table.c.start_at > start, beyond))
        query = query.order_by(table.c.start_at, table.c.event_id, table.c.resource_id).limit(limit)
        return tuple(_attribution(row) for row in await self.rows(query))

    async def supplies(self) -> dict[str, Supply]:
        """Return the chargers that we have taken out of service, by charger."""
        return {
            row.charger: Supply(
                charger=row.charger, event_id=row.event_id, stage=Stage(row.stage), detail=row.detail, at=row.at
            )
            for row in await self.rows(select(tables.supply))
        }


def _attribution(row: Row[Any]) -> Attribution:
    values = dict(row._mapping)
    return Attribution(start=values.pop("start_at"), end=values.pop("end_at"), **values)


async def write_arbitration(connection: AsyncConnection, changes: Changes) -> None:
    """Write the arbiter's part of ``changes``."""
    await upsert(connection, tables.standing, [_standing_row(each) for each in changes.standing])
    if changes.dropped_divisions:
        await connection.execute(delete(tables.share).where(tables.share.c.division.in_(changes.dropped_divisions)))
    shares = [
        {"division": each.division, "resource_id": each.resource_id, "limit_a": each.limit_a} for each in changes.shares
    ]
    await upsert(connection, tables.share, shares)
    await upsert(connection, tables.limit_history, [plain(each) for each in changes.notes])
    await upsert(connection, tables.attribution, [_attribution_row(each) for each in changes.attributions])
    await upsert(connection, tables.supply, [plain(each) | {"stage": each.stage.value} for each in changes.supplies])
    if changes.restored:
        await connection.execute(delete(tables.supply).where(tables.supply.c.charger.in_(changes.restored)))


async def forget_arbitration(connection: AsyncConnection, before: datetime) -> None:
    """Delete ledger rows and standing limits that ended before ``before``, and the history up to the present limit."""
    ledger, limits, notes = tables.attribution, tables.standing, tables.limit_history
    await connection.execute(delete(ledger).where(ledger.c.start_at < before))
    await connection.execute(delete(limits).where(limits.c.ended_at < before))
    later = notes.alias()
    newer = select(later.c.at).where(later.c.resource_id == notes.c.resource_id, later.c.at > notes.c.at).exists()
    await connection.execute(delete(notes).where(notes.c.at < before, newer))


def _standing_row(each: StandingLimit) -> dict[str, Any]:
    row = plain(each)
    return row | {"source": each.source.value, "start_at": row.pop("start"), "end_at": row.pop("end")}


def _attribution_row(each: Attribution) -> dict[str, Any]:
    row = plain(each)
    return row | {"start_at": row.pop("start"), "end_at": row.pop("end")}
