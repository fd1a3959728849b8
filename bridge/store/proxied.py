"""Reads and writes of what the proxy must not lose: messages for the CPO's CSMS, transaction ids, the CPO's profiles.

Rule: as in the repository, of which this is a part. Id tags in messages are on disk until the CSMS has them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store import device_tables as tables
from bridge.store.changes import Changes
from bridge.store.reads import Reads
from bridge.store.records import MessageState, ProxyMessage, ProxyProfile, ProxyTransaction
from bridge.store.statements import plain, upsert


class ProxiedReads(Reads):
    """The part of the store that answers for the proxy."""

    async def proxy_messages(self) -> dict[str, list[ProxyMessage]]:
        """Return what is kept of every charger's messages, in their order."""
        table = tables.proxy_message
        found: dict[str, list[ProxyMessage]] = {}
        for row in await self.rows(select(table).order_by(table.c.charger, table.c.seq)):
            values = dict(row._mapping) | {"state": MessageState(row.state)}
            found.setdefault(row.charger, []).append(ProxyMessage(**values))
        return found

    async def proxy_transactions(self) -> dict[str, dict[int, ProxyTransaction]]:
        """Return the transaction ids that were given here, by charger and id."""
        found: dict[str, dict[int, ProxyTransaction]] = {}
        for row in await self.rows(select(tables.proxy_transaction)):
            found.setdefault(row.charger, {})[row.provisional] = ProxyTransaction(**row._mapping)
        return found

    async def proxy_profiles(self) -> dict[str, list[ProxyProfile]]:
        """Return the CPO's profiles by charger."""
        table = tables.proxy_profile
        found: dict[str, list[ProxyProfile]] = {}
        for row in await self.rows(select(table).order_by(table.c.charger, table.c.at, table.c.number)):
            found.setdefault(row.charger, []).append(ProxyProfile(**row._mapping))
        return found


async def write_proxied(connection: AsyncConnection, changes: Changes) -> None:
    """Write the proxy's part of ``changes``."""
    messages, transactions, profiles = tables.proxy_message, tables.proxy_transaction, tables.proxy_profile
    await upsert(connection, messages, [plain(each) | {"state": each.state.value} for each in changes.proxy_messages])
    await _drop(connection, messages, "seq", changes.proxy_forgotten)
    await upsert(connection, transactions, [plain(each) for each in changes.proxy_transactions])
    await _drop(connection, transactions, "provisional", changes.proxy_ended)
    await upsert(connection, profiles, [plain(each) for each in changes.proxy_profiles])
    await _drop(connection, profiles, "number", changes.proxy_profiles_gone)


async def forget_proxied(connection: AsyncConnection, before: datetime) -> None:
    """Delete messages that a CSMS would not take before ``before``, and transaction ids given before it."""
    messages, transactions = tables.proxy_message, tables.proxy_transaction
    refused = messages.c.state == MessageState.REFUSED.value
    await connection.execute(delete(messages).where(refused, messages.c.at < before))
    await connection.execute(delete(transactions).where(transactions.c.at < before))


async def _drop(connection: AsyncConnection, table: Any, key: str, gone: Sequence[tuple[str, int]]) -> None:
    if gone:
        where = and_(table.c.charger == bindparam("of"), table.c[key] == bindparam("which"))
        rows = [{"of": charger, "which": which} for charger, which in gone]
        await connection.execute(delete(table).where(where), rows)
