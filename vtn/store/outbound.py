"""Repository of the poll queues: payloads for a VEN, first in first out, kept until answered or given up.

Rule: a payload is added in the transaction of the change that causes it; sending counts an attempt and sets the next.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.messages import Message
from vtn.store.codec import Touched, dump, load_message, root_of
from vtn.store.rows import Outbound, QueueHead
from vtn.store.tables import outbound

_WAITING = (
    select(outbound.c.ven_id, outbound.c.root, outbound.c.due_at, outbound.c.attempts)
    .where(outbound.c.ven_id.in_(bindparam("b_ven_ids", expanding=True)), outbound.c.due_at.is_not(None))
    .order_by(outbound.c.id)
)


def _outbound(row: Row[Any]) -> Outbound:
    return Outbound(
        row_id=row.id,
        ven_id=row.ven_id,
        message=load_message(row.root, row.document),
        request_id=row.request_id,
        created_at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
    )


class Queue:
    """Poll queues within one transaction; ``touched`` is told of every VEN whose queue grows."""

    def __init__(self, connection: AsyncConnection, touched: Touched) -> None:
        self._connection = connection
        self._touched = touched

    async def add(self, ven_id: str, message: Message, request_id: str, now: datetime) -> None:
        """Append a payload, due at once."""
        await self._connection.execute(
            insert(outbound).values(
                ven_id=ven_id,
                root=root_of(type(message)),
                request_id=request_id,
                document=dump(message),
                created_at=now,
                due_at=now,
                attempts=0,
            )
        )
        self._touched.everywhere(ven_id)

    async def head(self, ven_id: str, now: datetime) -> Outbound | None:
        """Return the oldest payload that is due."""
        query = (
            select(outbound)
            .where(outbound.c.ven_id == ven_id, outbound.c.due_at <= now)
            .order_by(outbound.c.id)
            .limit(1)
        )
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _outbound(row)

    async def heads(self, ven_ids: Sequence[str], now: datetime) -> dict[str, QueueHead]:
        """Return per venID the oldest payload that is due, else the one that is due next; empty queues are left out."""
        found: dict[str, QueueHead] = {}
        for ven_id, root, due_at, attempts in await self._connection.execute(_WAITING, {"b_ven_ids": ven_ids}):
            known = found.get(ven_id)
            if known is None or (known.due_at > now and due_at < known.due_at):
                found[ven_id] = QueueHead(root=root, due_at=due_at, attempts=attempts)
        return found

    async def sent(self, ven_id: str, row_id: int, now: datetime, due_at: datetime | None) -> None:
        """Count an attempt; ``due_at``: when to send again if no answer comes, ``None``: never."""
        await self._connection.execute(
            update(outbound)
            .where(outbound.c.id == row_id)
            .values(attempts=outbound.c.attempts + 1, sent_at=now, due_at=due_at)
        )
        self._touched.here(ven_id)

    async def answered(self, ven_id: str, root: str, request_id: str, code: int, now: datetime) -> bool:
        """Take the oldest payload of ``root`` that waits for an answer off the queue; False if none.

        ``request_id`` narrows it unless empty; one that was given up counts only if nothing else waits.
        """
        query = select(outbound.c.id).where(
            outbound.c.ven_id == ven_id,
            outbound.c.root == root,
            outbound.c.sent_at.is_not(None),
            outbound.c.answered_at.is_(None),
        )
        if request_id:
            query = query.where(outbound.c.request_id == request_id)
        row_id = (
            await self._connection.execute(query.order_by(outbound.c.due_at.is_(None), outbound.c.id).limit(1))
        ).scalar_one_or_none()
        if row_id is None:
            return False
        await self._connection.execute(
            update(outbound).where(outbound.c.id == row_id).values(answered_at=now, response_code=code, due_at=None)
        )
        self._touched.here(ven_id)
        return True

    async def clear(self, ven_id: str) -> None:
        """Empty the queue of a VEN (R406, R407)."""
        await self._connection.execute(delete(outbound).where(outbound.c.ven_id == ven_id))
        self._touched.here(ven_id)

    async def depth(self) -> int:
        """Return how many payloads wait in all queues."""
        query = select(func.count()).select_from(outbound).where(outbound.c.due_at.is_not(None))
        return int((await self._connection.execute(query)).scalar_one())
