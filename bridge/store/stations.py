"""Reads and writes of what is known of charging stations: kinds and their knobs, what they report, self-tests.

Rule: as in the repository, of which this is a part. Knobs are kept as the JSON that a quirk file would say.
"""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store import device_tables as tables
from bridge.store.changes import Changes
from bridge.store.reads import Reads
from bridge.store.records import ChargerKind, ChargerNotice, SelfTest
from bridge.store.statements import plain, upsert


class StationReads(Reads):
    """The part of the store that answers for stations."""

    async def charger_kinds(self) -> tuple[ChargerKind, ...]:
        """Return what probes have learnt."""
        return tuple(ChargerKind(**row._mapping) for row in await self.rows(select(tables.charger_kind)))

    async def charger_notices(self, charger: str, limit: int) -> tuple[ChargerNotice, ...]:
        """Return what a charger reported last, newest first."""
        table = tables.charger_notice
        query = select(table).where(table.c.charger == charger).order_by(table.c.at.desc(), table.c.kind).limit(limit)
        return tuple(ChargerNotice(**row._mapping) for row in await self.rows(query))

    async def self_tests(self, charger: str, limit: int) -> tuple[SelfTest, ...]:
        """Return a charger's self-tests, newest first."""
        table = tables.self_test
        query = select(table).where(table.c.charger == charger).order_by(table.c.at.desc()).limit(limit)
        return tuple(SelfTest(**row._mapping) for row in await self.rows(query))


async def write_stations(connection: AsyncConnection, changes: Changes) -> None:
    """Write the stations' part of ``changes``."""
    await upsert(connection, tables.charger_kind, [plain(each) for each in changes.charger_kinds])
    await upsert(connection, tables.charger_notice, [plain(each) for each in changes.charger_notices])
    await upsert(connection, tables.self_test, [plain(each) for each in changes.self_tests])


async def forget_stations(connection: AsyncConnection, before: datetime) -> None:
    """Delete what chargers reported before an instant; self-tests and kinds stay."""
    await connection.execute(delete(tables.charger_notice).where(tables.charger_notice.c.at < before))
