"""How every part of the store reads.

Rule: a query is one connection of its own and sees what is committed; the repository is put together from such parts.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.database import read


class Reads:
    """A part of the store that reads."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def rows(self, query: Any) -> Sequence[Row[Any]]:
        """Return what a query finds."""
        async with read(self.engine) as connection:
            return (await connection.execute(query)).all()
