"""Repository of the poll queues: payloads for a VEN, first in first out, kept until answered or given up.

Rule: a payload is added in the transaction of the change that causes it; sending counts an attempt and sets the next.
What was never sent is due whatever the clock says: it may have been set back since.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.messages import CancelPartyRegistration, Message, RegisterReport
from openadr.model import Report
from vtn.store.codec import Touched, dump, load, load_message, root_of
from vtn.store.rows import AT_ONCE, Outbound, QueueHead
from vtn.store.tables import outbound

FAREWELL = root_of(CancelPartyRegistration)
_WAITING = (
    select(outbound.c.ven_id, outbound.c.root, outbound.c.due_at, outbound.c.attempts)
    .where(
        outbound.c.ven_id.in_(bindparam("b_ven_ids", expanding=True)),
        or_(outbound.c.due_at.is_not(None), and_(outbound.c.root == FAREWELL, outbound.c.answered_at.is_(None))),
    )
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
        sent_at=row.sent_at,
        answered_at=row.answered_at,
        response_code=row.response_code,
    )


def _sooner(due_at: datetime, than: datetime | None, now: datetime) -> bool:
    """True if an entry is due before an older one that is not due yet."""
    return than is not None and than > now and due_at < than


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
        """Return the oldest payload that is due; the end of the registration comes before all others."""
        query = (
            select(outbound)
            .where(
                outbound.c.ven_id == ven_id,
                or_(outbound.c.due_at <= now, and_(outbound.c.due_at.is_not(None), outbound.c.attempts == 0)),
            )
            .order_by(outbound.c.root != FAREWELL, outbound.c.id)
            .limit(1)
        )
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _outbound(row)

    async def heads(self, ven_ids: Sequence[str], now: datetime) -> dict[str, QueueHead]:
        """Return per venID the oldest payload that is due, else the one that is due next; empty queues are left out.

        While the end of the registration waits nothing else is sent, also after it was sent for the last time.
        """
        found: dict[str, QueueHead] = {}
        for ven_id, root, due_at, attempts in await self._connection.execute(_WAITING, {"b_ven_ids": ven_ids}):
            known = found.get(ven_id)
            if known is not None and known.root == FAREWELL:
                continue
            if known is None or root == FAREWELL or _sooner(due_at if attempts else AT_ONCE, known.due_at, now):
                found[ven_id] = QueueHead(root=root, due_at=due_at if attempts else AT_ONCE, attempts=attempts)
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

    async def close(self, ven_id: str, row_id: int, code: int, now: datetime) -> None:
        """Take a payload off the queue whose answer came in the same exchange; one answered before stays so."""
        await self._connection.execute(
            update(outbound)
            .where(outbound.c.id == row_id, outbound.c.answered_at.is_(None))
            .values(answered_at=now, response_code=code, due_at=None)
        )
        self._touched.here(ven_id)

    async def renew_metadata(self, ven_id: str, reports: tuple[Report, ...]) -> bool:
        """Put ``reports`` into METADATA of ours that was never sent; False if none is unasked for."""
        query = select(outbound.c.id, outbound.c.document).where(
            outbound.c.ven_id == ven_id,
            outbound.c.root == root_of(RegisterReport),
            outbound.c.due_at.is_not(None),
            outbound.c.sent_at.is_(None),
        )
        unasked = False
        for row_id, document in (await self._connection.execute(query)).all():
            message = replace(load(document, RegisterReport), reports=reports)
            await self._connection.execute(
                update(outbound).where(outbound.c.id == row_id).values(document=dump(message))
            )
            unasked |= message.report_request_id is None
        return unasked

    async def withdraw(self, ven_id: str, request_id: str) -> None:
        """Take a payload off the queue that was never sent."""
        await self._connection.execute(
            delete(outbound).where(
                outbound.c.ven_id == ven_id, outbound.c.request_id == request_id, outbound.c.sent_at.is_(None)
            )
        )
        self._touched.here(ven_id)

    async def entries(self, ven_id: str, *, after: int = 0, limit: int = 100) -> tuple[Outbound, ...]:
        """Return the payloads of a VEN, also those that are done with, oldest first."""
        query = select(outbound).where(outbound.c.ven_id == ven_id, outbound.c.id > after)
        rows = await self._connection.execute(query.order_by(outbound.c.id).limit(limit))
        return tuple(_outbound(row) for row in rows)

    async def unanswered(self, ven_id: str, root: str) -> Outbound | None:
        """Return the oldest payload of ``root`` that has no answer, those that were given up included."""
        query = select(outbound).where(
            outbound.c.ven_id == ven_id, outbound.c.root == root, outbound.c.answered_at.is_(None)
        )
        row = (await self._connection.execute(query.order_by(outbound.c.id).limit(1))).one_or_none()
        return None if row is None else _outbound(row)

    async def purge(self, ven_id: str, row_id: int | None = None) -> int:
        """Drop a payload that has no answer, or all of them; return how many."""
        statement = delete(outbound).where(outbound.c.ven_id == ven_id, outbound.c.answered_at.is_(None))
        if row_id is not None:
            statement = statement.where(outbound.c.id == row_id)
        self._touched.here(ven_id)
        return (await self._connection.execute(statement)).rowcount

    async def clear(self, ven_id: str) -> None:
        """Empty the queue of a VEN (R406, R407)."""
        await self._connection.execute(delete(outbound).where(outbound.c.ven_id == ven_id))
        self._touched.here(ven_id)

    async def depth(self) -> int:
        """Return how many payloads wait in all queues."""
        query = select(func.count()).select_from(outbound).where(outbound.c.due_at.is_not(None))
        return int((await self._connection.execute(query)).scalar_one())
