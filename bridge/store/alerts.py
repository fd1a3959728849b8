"""Reads and writes of alerts and of the messages about them that wait for the webhook.

Rule: as in the repository, of which this is a part: an alert and its message are one transaction.
"""

from datetime import datetime

from sqlalchemy import and_, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store import tables
from bridge.store.changes import Changes
from bridge.store.reads import Reads
from bridge.store.records import Alert, AlertMessage
from bridge.store.statements import plain, upsert


class AlertReads(Reads):
    """The part of the store that answers for alerts."""

    async def alerts(self, *, open_only: bool = False, limit: int | None = None) -> tuple[Alert, ...]:
        """Return alerts, the latest raised first."""
        table = tables.alert
        query = select(table).order_by(table.c.raised_at.desc(), table.c.alert_id)
        if open_only:
            query = query.where(table.c.cleared_at.is_(None))
        return tuple(Alert(**row._mapping) for row in await self.rows(query.limit(limit)))

    async def alert_messages(self, limit: int) -> tuple[AlertMessage, ...]:
        """Return what the webhook has not taken yet, oldest first."""
        table = tables.alert_message
        query = select(table).order_by(table.c.made_at, table.c.alert_id, table.c.state.desc()).limit(limit)
        return tuple(AlertMessage(**row._mapping) for row in await self.rows(query))


async def write_alerts(connection: AsyncConnection, changes: Changes) -> None:
    """Write the alerts among ``changes``."""
    await upsert(connection, tables.alert, [plain(each) for each in changes.alerts])
    await upsert(connection, tables.alert_message, [plain(each) for each in changes.alert_messages])
    for alert_id, state in changes.alert_messages_told:
        table = tables.alert_message.c
        same = and_(table.alert_id == alert_id, table.state == state)
        await connection.execute(delete(tables.alert_message).where(same))


async def forget_alerts(connection: AsyncConnection, before: datetime) -> None:
    """Delete alerts that were over before ``before``, and what nobody took of what was made then."""
    await connection.execute(delete(tables.alert).where(tables.alert.c.cleared_at < before))
    await connection.execute(delete(tables.alert_message).where(tables.alert_message.c.made_at < before))
