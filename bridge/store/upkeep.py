"""Reads and writes of what the bridge keeps for its reports and its links: contacts, silences, presence, half-hours.

Rule: as in the repository, of which this is a part; powers in W, energies in Wh, instants in UTC.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.halfhour import HalfHour
from bridge.outage import Outage
from bridge.store import tables
from bridge.store.records import Changes, LimitNote, Presence
from bridge.store.statements import plain, upsert

_CHUNK = 500  # names an IN list


class UpkeepReads:
    """The part of the store that answers for links and half-hours."""

    async def rows(self, query: Any) -> Sequence[Row[Any]]:
        """Return what a query finds."""
        raise NotImplementedError

    async def heard(self) -> dict[str, datetime]:
        """Return when each VTN was last heard, by its name."""
        return {row.vtn: row.at for row in await self.rows(select(tables.heard))}

    async def outages(self) -> tuple[Outage, ...]:
        """Return the silences of all VTNs, oldest first."""
        query = select(tables.outage).order_by(tables.outage.c.since, tables.outage.c.vtn)
        return tuple(Outage(**row._mapping) for row in await self.rows(query))

    async def presence(self, chargers: Sequence[str], start: datetime, end: datetime) -> dict[str, list[Presence]]:
        """Return the changes of connection in [start, end) and the last one before it, by charger, oldest first."""
        table = tables.presence
        found: dict[str, list[Presence]] = {}
        for chunk in _chunks(chargers):
            last = (
                select(table.c.charger, func.max(table.c.at).label("at"))
                .where(table.c.charger.in_(chunk), table.c.at < start)
                .group_by(table.c.charger)
                .subquery()
            )
            before = select(table).join(last, and_(table.c.charger == last.c.charger, table.c.at == last.c.at))
            inside = select(table).where(table.c.charger.in_(chunk), table.c.at >= start, table.c.at < end)
            for row in [*await self.rows(before), *await self.rows(inside.order_by(table.c.at))]:
                found.setdefault(row.charger, []).append(Presence(**row._mapping))
        return found

    async def last_presence(self) -> dict[str, Presence]:
        """Return the last row of each charger."""
        table = tables.presence
        last = select(table.c.charger, func.max(table.c.at).label("at")).group_by(table.c.charger).subquery()
        query = select(table).join(last, and_(table.c.charger == last.c.charger, table.c.at == last.c.at))
        return {row.charger: Presence(**row._mapping) for row in await self.rows(query)}

    async def limits_between(self, names: Sequence[str], start: datetime, end: datetime) -> dict[str, list[LimitNote]]:
        """Return the changes of some resources' limits in [start, end) and the last one before, oldest first."""
        table = tables.limit_history
        found: dict[str, list[LimitNote]] = {}
        for chunk in _chunks(names):
            last = (
                select(table.c.resource_id, func.max(table.c.at).label("at"))
                .where(table.c.resource_id.in_(chunk), table.c.at < start)
                .group_by(table.c.resource_id)
                .subquery()
            )
            same = and_(table.c.resource_id == last.c.resource_id, table.c.at == last.c.at)
            inside = select(table).where(table.c.resource_id.in_(chunk), table.c.at >= start, table.c.at < end)
            rows = [*await self.rows(select(table).join(last, same)), *await self.rows(inside.order_by(table.c.at))]
            for row in rows:
                found.setdefault(row.resource_id, []).append(LimitNote(**row._mapping))
        return found

    async def half_hours(self, chargers: Sequence[str], start: datetime, end: datetime) -> tuple[HalfHour, ...]:
        """Return the half-hours of some chargers that start in [start, end), oldest first."""
        table = tables.half_hour
        found: list[HalfHour] = []
        for chunk in _chunks(chargers):
            query = select(table).where(table.c.charger.in_(chunk), table.c.start >= start, table.c.start < end)
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


def _chunks(items: Sequence[str]) -> list[list[str]]:
    return [list(items[start : start + _CHUNK]) for start in range(0, len(items), _CHUNK)]


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
