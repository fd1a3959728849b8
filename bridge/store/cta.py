"""What stands on each CTA-2045 device, in the bridge's database: so that End Shed goes out exactly once over a restart.

Rule: one row a device, written before its command leaves and deleted after its End Shed was answered (CTA-05).
"""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cta2045.commands import Op
from bridge.cta2045.memory import Phase, Standing
from bridge.store import device_tables as tables
from bridge.store.statements import plain, upsert
from runtime.database import read


class StandingStore:
    """A ``Memory`` on disk."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def load(self, device: str) -> Standing | None:
        """Return what stands for ``device``."""
        query = select(tables.cta_standing).where(tables.cta_standing.c.device == device)
        async with read(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        values = dict(row._mapping)
        return Standing(**values | {"op": Op(row.op), "phase": Phase(row.phase)})

    async def save(self, standing: Standing) -> None:
        """Put ``standing`` in place of what stood for its device."""
        row = plain(standing) | {"op": int(standing.op), "phase": standing.phase.value}
        async with self._engine.begin() as connection:
            await upsert(connection, tables.cta_standing, [row])

    async def forget(self, device: str) -> None:
        """Nothing stands any more."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(tables.cta_standing).where(tables.cta_standing.c.device == device))
