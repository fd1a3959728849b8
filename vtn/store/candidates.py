"""Repository of candidates: holders of trusted certificates who have tried to register and are not enrolled.

Rule: the table is bounded. A newcomer takes the place of one that has not been heard of for a while, never of one that
still tries, so that nobody can push others out.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from vtn.store.codec import upsert
from vtn.store.rows import Candidate, CandidateState
from vtn.store.tables import candidate


def _candidate(row: Row[Any]) -> Candidate:
    values = dict(row._mapping)
    return Candidate(**{**values, "state": CandidateState(values["state"])})


class Candidates:
    """Candidates within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, fingerprint: str) -> Candidate | None:
        """Return the candidate with a certificate."""
        query = select(candidate).where(candidate.c.fingerprint == fingerprint)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _candidate(row)

    async def page(
        self, *, state: CandidateState | None = None, after: tuple[datetime, str] | None = None, limit: int = 100
    ) -> tuple[Candidate, ...]:
        """Return candidates by when they were first seen, those after (first seen, fingerprint) ``after``."""
        query = select(candidate)
        if state is not None:
            query = query.where(candidate.c.state == str(state))
        if after is not None:
            at, fingerprint = after
            query = query.where(
                (candidate.c.first_seen > at)
                | ((candidate.c.first_seen == at) & (candidate.c.fingerprint > fingerprint))
            )
        rows = await self._connection.execute(
            query.order_by(candidate.c.first_seen, candidate.c.fingerprint).limit(limit)
        )
        return tuple(_candidate(row) for row in rows)

    async def count(self) -> int:
        """Return how many there are."""
        return int((await self._connection.execute(select(func.count()).select_from(candidate))).scalar_one())

    async def add(self, row: Candidate) -> None:
        """Write a new one."""
        await upsert(self._connection, candidate, [{**asdict(row), "state": str(row.state)}], ("fingerprint",))

    async def update(self, fingerprint: str, **values: Any) -> bool:
        """Change columns of one; False if there is none."""
        statement = update(candidate).where(candidate.c.fingerprint == fingerprint)
        return (await self._connection.execute(statement.values(**values))).rowcount > 0

    async def drop(self, fingerprint: str) -> bool:
        """Forget one; False if there is none."""
        done = await self._connection.execute(delete(candidate).where(candidate.c.fingerprint == fingerprint))
        return done.rowcount > 0

    async def drop_quietest(self, before: datetime) -> bool:
        """Forget the one not heard of for the longest time, if that is since before ``before``."""
        query = select(candidate.c.fingerprint).where(candidate.c.last_seen < before)
        found = (await self._connection.execute(query.order_by(candidate.c.last_seen).limit(1))).scalar_one_or_none()
        return found is not None and await self.drop(found)
