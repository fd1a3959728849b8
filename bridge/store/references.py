"""Reads and writes of dynamic references: what each resource drew just before an event began there.

Rule: as in the repository, of which this is a part; powers in W, contents in Wh.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.asks import Content, Reference
from bridge.store import tables
from bridge.store.changes import Changes
from bridge.store.reads import Reads
from bridge.store.statements import upsert


class ReferenceReads(Reads):
    """The part of the store that answers for references."""

    async def references(self, event_ids: Iterable[str]) -> dict[tuple[str, str], Reference]:
        """Return the references of some events by (eventID, resourceID)."""
        query = select(tables.reference).where(tables.reference.c.event_id.in_(list(event_ids)))
        return {(row.event_id, row.resource_id): _reference(row) for row in await self.rows(query)}


def _reference(row: Row[Any]) -> Reference:
    known = row.content_wh is not None and row.full_wh is not None
    return Reference(
        event_id=row.event_id,
        resource_id=row.resource_id,
        at=row.at,
        power_w=row.power_w,
        window_s=row.window_s,
        samples=row.samples,
        content=Content(content_wh=row.content_wh, full_wh=row.full_wh, at=row.content_at, session=row.content_session)
        if known
        else None,
    )


async def write_references(connection: AsyncConnection, changes: Changes) -> None:
    """Write the references among ``changes``."""
    rows = [
        {
            "event_id": each.event_id,
            "resource_id": each.resource_id,
            "at": each.at,
            "power_w": each.power_w,
            "window_s": each.window_s,
            "samples": each.samples,
            "content_wh": None if each.content is None else each.content.content_wh,
            "full_wh": None if each.content is None else each.content.full_wh,
            "content_at": None if each.content is None else each.content.at,
            "content_session": "" if each.content is None else each.content.session,
        }
        for each in changes.references
    ]
    await upsert(connection, tables.reference, rows)
