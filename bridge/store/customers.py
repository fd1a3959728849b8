"""Reads and writes of what the bridge keeps for the people behind the loads: needs, plug-ins, past events, who tells.

Rule: as in the repository, of which this is a part; energies in Wh.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.needs import DriverNeed
from bridge.service import Past
from bridge.store import tables
from bridge.store.changes import Changes
from bridge.store.reads import Reads
from bridge.store.statements import in_parts, plain, upsert
from bridge.verify import OutcomeState

_UNLIMITED = (OutcomeState.OPTED_OUT.value, OutcomeState.RECEIVED.value)  # the customer felt nothing of these


class CustomerReads(Reads):
    """The part of the store that answers for customers."""

    async def content_told(self) -> frozenset[str]:
        """Return the resources whose cars have ever told a state of charge."""
        return frozenset(row.resource_id for row in await self.rows(select(tables.content_told)))

    async def needs(self) -> tuple[DriverNeed, ...]:
        """Return what drivers and cars ask for."""
        return tuple(DriverNeed(**row._mapping) for row in await self.rows(select(tables.need)))

    async def plug_ins(self, since: datetime) -> dict[str, dict[str, datetime]]:
        """Return the sessions that began since ``since``, by charger: their name and when."""
        table = tables.plug_in
        found: dict[str, dict[str, datetime]] = {}
        for row in await self.rows(select(table).where(table.c.at >= since).order_by(table.c.at)):
            found.setdefault(row.charger, {})[row.session] = row.at
        return found

    async def past(self, chargers: Mapping[str, str], since: datetime) -> dict[str, tuple[Past, ...]]:
        """Return the events that limited some chargers and were not over before ``since``, by resourceID.

        ``chargers`` gives the resourceIDs by charger. An event that the customer left, or that never came, is no load.
        """
        table = tables.outcome
        found: dict[str, list[Past]] = {}
        for part in in_parts(tuple(chargers)):
            query = select(table).where(
                table.c.charger.in_(part),
                table.c.limit_a.is_not(None),
                table.c.applied_at.is_not(None),
                table.c.state.not_in(_UNLIMITED),
                or_(table.c.effective_end.is_(None), table.c.effective_end >= since),
            )
            for row in await self.rows(query):
                found.setdefault(chargers[row.charger], []).append(
                    Past(event_id=row.event_id, start=row.effective_start, end=row.effective_end, limit_a=row.limit_a)
                )
        return {name: tuple(events) for name, events in found.items()}


def _told(changes: Changes) -> list[dict[str, Any]]:
    return [{"resource_id": name, "at": at} for name, at in changes.content_told]


async def write_customers(connection: AsyncConnection, changes: Changes) -> None:
    """Write the needs and plug-ins among ``changes``."""
    await upsert(connection, tables.content_told, _told(changes))
    await upsert(connection, tables.need, [plain(each) for each in changes.needs])
    if changes.needs_gone:
        await connection.execute(delete(tables.need).where(tables.need.c.resource_id.in_(changes.needs_gone)))
    rows = [{"charger": charger, "session": session, "at": at} for charger, session, at in changes.plug_ins]
    await upsert(connection, tables.plug_in, rows)


async def forget_customers(connection: AsyncConnection, before: datetime) -> None:
    """Delete plug-ins before ``before``."""
    await connection.execute(delete(tables.plug_in).where(tables.plug_in.c.at < before))
