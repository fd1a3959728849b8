"""Reads and writes of what the bridge keeps for its reports and its links: contacts, silences, presence, half-hours.

Rule: as in the repository, of which this is a part; powers in W, energies in Wh, instants in UTC.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Row, Select, Subquery, Table, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.halfhour import HalfHour
from bridge.outage import Outage
from bridge.store import tables
from bridge.store.changes import Changes
from bridge.store.reads import Reads
from bridge.store.records import LimitNote, Presence
from bridge.store.statements import in_parts, plain, upsert


class UpkeepReads(Reads):
    """The part of the store that answers for links and half-hours."""

    async def heard(self) -> dict[str, datetime]:
        """Return when each VTN was last heard, by its name."""
        return {row.vtn: row.at for row in await self.rows(select(tables.heard))}

    async def outages(self) -> tuple[Outage, ...]:
        """Return the silences of all VTNs, oldest first."""
        query = select(tables.outage).order_by(tables.outage.c.since, tables.outage.c.vtn)
        return tuple(Outage(**row._mapping) for row in await self.rows(query))

    async def presence(self, chargers: Sequence[str], start: datetime, end: datetime) -> dict[str, list[Presence]]:
        """Return the changes of connection in [start, end) and the last one before it, by charger, oldest first."""
        found: dict[str, list[Presence]] = {}
        for row in await self._between(tables.presence, tables.presence.c.charger, chargers, start, end):
            found.setdefault(row.charger, []).append(Presence(**row._mapping))
        return found

    async def last_presence(self) -> dict[str, Presence]:
        """Return the last row of each charger."""
        table = tables.presence
        query = _of(table, table.c.charger, _latest(table, table.c.charger).subquery())
        return {row.charger: Presence(**row._mapping) for row in await self.rows(query)}

    async def limits_between(self, names: Sequence[str], start: datetime, end: datetime) -> dict[str, list[LimitNote]]:
        """Return the changes of some resources' limits in [start, end) and the last one before, oldest first."""
        found: dict[str, list[LimitNote]] = {}
        for row in await self._between(tables.limit_history, tables.limit_history.c.resource_id, names, start, end):
            found.setdefault(row.resource_id, []).append(LimitNote(**row._mapping))
        return found

    async def _between(
        self, table: Table, key: Column[Any], names: Sequence[str], start: datetime, end: datetime
    ) -> list[Row[Any]]:
        """Return the rows of ``names`` in [start, end) and the last of each before, oldest first for each name."""
        found: list[Row[Any]] = []
        for part in in_parts(names):
            last = _latest(table, key).where(key.in_(part), table.c.at < start).subquery()
            inside = select(table).where(key.in_(part), table.c.at >= start, table.c.at < end)
            found += await self.rows(_of(table, key, last))
            found += await self.rows(inside.order_by(table.c.at))
        return found

    async def half_hours(self, chargers: Sequence[str], start: datetime, end: datetime) -> tuple[HalfHour, ...]:
        """Return the half-hours of some chargers that start in [start, end), oldest first."""
        table = tables.half_hour
        found: list[HalfHour] = []
        for part in in_parts(chargers):
            query = select(table).where(table.c.charger.in_(part), table.c.start >= start, table.c.start < end)
            found += [HalfHour(**row._mapping) for row in await self.rows(query)]
        return tuple(sorted(found, key=lambda each: (each.start, each.charger)))

    async def last_half_hour(self) -> datetime | None:
        """Return the start of the latest half-hour that is stored, ``None`` for none."""
        [row] = await self.rows(select(func.max(tables.half_hour.c.start).label("start")))
        latest: datetime | None = row.start
        return latest

    async def late_half_hours(self) -> dict[datetime, datetime]:
        """Return the half-hours that are to be made anew, each with when that was noted."""
        return {row.start: row.noted for row in await self.rows(select(tables.late).order_by(tables.late.c.start))}

    async def oldest_reading(self) -> datetime | None:
        """Return when the oldest reading that is stored was taken, ``None`` for none."""
        [row] = await self.rows(select(func.min(tables.reading.c.at).label("at")))
        oldest: datetime | None = row.at
        return oldest


def _latest(table: Table, key: Column[Any]) -> Select[Any]:
    """Return the instant of the last row of each name."""
    return select(key, func.max(table.c.at).label("at")).group_by(key)


def _of(table: Table, key: Column[Any], instants: Subquery) -> Select[Any]:
    """Return the rows at such instants."""
    return select(table).join(instants, and_(key == instants.c[key.name], table.c.at == instants.c.at))


async def write_upkeep(connection: AsyncConnection, changes: Changes) -> None:
    """Write the contacts, silences, presence and half-hours among ``changes``."""
    await upsert(connection, tables.heard, [{"vtn": vtn, "at": at} for vtn, at in changes.heard])
    await upsert(connection, tables.outage, [plain(each) for each in changes.outages])
    await upsert(connection, tables.presence, [plain(each) for each in changes.presence])
    await upsert(connection, tables.half_hour, [plain(each) for each in changes.half_hours])
    await upsert(connection, tables.late, [{"start": start, "noted": noted} for start, noted in changes.late])
    for start, noted in changes.late_made:  # readings that came since then noted it again, and later
        late = tables.late.c
        await connection.execute(delete(tables.late).where(late.start == start, late.noted <= noted))


async def forget_upkeep(connection: AsyncConnection, before: datetime) -> None:
    """Delete silences that ended before ``before``, and the changes of connection up to the one that held then."""
    outage, presence = tables.outage, tables.presence
    await connection.execute(delete(outage).where(outage.c.until < before))
    later = presence.alias()
    newer = select(later.c.at).where(later.c.charger == presence.c.charger, later.c.at > presence.c.at).exists()
    await connection.execute(delete(presence).where(presence.c.at < before, newer))


async def forget_half_hours(connection: AsyncConnection, before: datetime) -> None:
    """Delete the half-hours that started before ``before``."""
    await connection.execute(delete(tables.half_hour).where(tables.half_hour.c.start < before))
