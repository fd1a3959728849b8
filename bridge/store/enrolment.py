"""Reads and writes of what customers have agreed to and set: agreements, random windows, charging modes, forecasts.

Rule: as in the repository, of which this is a part; instants in UTC. A withdrawn agreement stays as evidence.
"""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.modes import Mode, Slot, Wish
from bridge.store import tables
from bridge.store.changes import Changes
from bridge.store.reads import Reads
from bridge.store.records import Agreement
from bridge.store.statements import plain, upsert


class EnrolmentReads(Reads):
    """The part of the store that answers for enrolment."""

    async def agreements(self, resource_id: str | None = None, *, withdrawn: bool = False) -> tuple[Agreement, ...]:
        """Return agreements by the instant they were given: all or one resource's; withdrawn ones only if asked."""
        table = tables.agreement
        query = select(table)
        if resource_id is not None:
            query = query.where(table.c.resource_id == resource_id)
        if not withdrawn:
            query = query.where(table.c.withdrawn_at.is_(None))
        rows = await self.rows(query.order_by(table.c.given_at, table.c.agreement_id))
        return tuple(Agreement(**row._mapping) for row in rows)

    async def random_windows(self) -> dict[str, tuple[tuple[datetime, int | None], ...]]:
        """Return the random windows of single resources: since when, and s (``None``: the programme's), in order."""
        table = tables.random_window
        found: dict[str, list[tuple[datetime, int | None]]] = {}
        for row in await self.rows(select(table).order_by(table.c.at)):
            found.setdefault(row.resource_id, []).append((row.at, row.window_s))
        return {name: tuple(rows) for name, rows in found.items()}

    async def charging_modes(self) -> dict[str, Wish]:
        """Return the charging modes that were chosen, by resourceID."""
        return {
            row.resource_id: Wish(**dict(row._mapping) | {"mode": Mode(row.mode)})
            for row in await self.rows(select(tables.charging_mode))
        }

    async def forecast(self, kind: str) -> tuple[Slot, ...]:
        """Return a forecast by start."""
        table = tables.forecast
        rows = await self.rows(select(table).where(table.c.kind == kind).order_by(table.c.start))
        return tuple(Slot(start=row.start, end=row.end_at, value=row.value) for row in rows)


async def write_enrolment(connection: AsyncConnection, changes: Changes) -> None:
    """Write the part of ``changes`` that is about enrolment."""
    await upsert(connection, tables.agreement, [plain(each) for each in changes.agreements])
    windows = [{"resource_id": name, "window_s": window, "at": at} for name, window, at in changes.random_windows]
    await upsert(connection, tables.random_window, windows)
    await upsert(connection, tables.charging_mode, [plain(each) | {"mode": each.mode.value} for each in changes.modes])
    if changes.modes_gone:
        table = tables.charging_mode
        await connection.execute(delete(table).where(table.c.resource_id.in_(changes.modes_gone)))
    for kind, slots in changes.forecasts:
        await connection.execute(delete(tables.forecast).where(tables.forecast.c.kind == kind))
        rows = [{"kind": kind, "start": each.start, "end_at": each.end, "value": each.value} for each in slots]
        await upsert(connection, tables.forecast, rows)
