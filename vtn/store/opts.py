"""Repository of oadrCreateOpt payloads: schedules and event qualifications, with what became of them.

Rule: rows are never changed but for their end (superseded, cancelled); optIDs may repeat (R204).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.messages import CreateOpt
from vtn.store.codec import dump, load
from vtn.store.eventrows import OptKind, StoredOpt
from vtn.store.tables import opt

_TOGETHER = 500  # VENs in one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """How much a VEN has in force."""

    schedules: int
    windows: int


def _opt(row: Row[Any]) -> StoredOpt:
    return StoredOpt(
        row_id=row.id,
        ven_id=row.ven_id,
        kind=OptKind(row.kind),
        message=load(row.document, CreateOpt),
        received_at=row.received_at,
        superseded_at=row.superseded_at,
        superseded_for=tuple(load(row.superseded_for, list[str])),
        cancelled_at=row.cancelled_at,
        ends_at=row.ends_at,
    )


def _in_force(now: datetime | None) -> ColumnElement[bool]:
    known = and_(opt.c.kind == str(OptKind.SCHEDULE), opt.c.superseded_at.is_(None), opt.c.cancelled_at.is_(None))
    return known if now is None else and_(known, or_(opt.c.ends_at.is_(None), opt.c.ends_at > now))


class Opts:
    """Opts within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def known(self, message: CreateOpt) -> bool:
        """True if the very same payload came before, whatever has become of it: it is one that was sent again."""
        same = select(opt.c.id).where(
            opt.c.ven_id == message.ven_id, opt.c.opt_id == message.opt_id, opt.c.document == dump(message)
        )
        return (await self._connection.execute(same.limit(1))).one_or_none() is not None

    async def add(self, message: CreateOpt, kind: OptKind, now: datetime, ends_at: datetime | None = None) -> None:
        """Write one, unless it is known; ``ends_at``: when a schedule's last window is over, ``None``: open-ended."""
        if await self.known(message):
            return
        qualified = message.qualified_event_id
        await self._connection.execute(
            insert(opt).values(
                ven_id=message.ven_id,
                opt_id=message.opt_id,
                kind=str(kind),
                opt_type=str(message.opt_type),
                opt_reason=message.opt_reason,
                market_context=message.market_context,
                event_id=None if qualified is None else qualified.event_id,
                modification_number=None if qualified is None else qualified.modification_number,
                created_date_time=message.created_date_time,
                received_at=now,
                superseded_for="[]",
                ends_at=ends_at,
                windows=len(message.vavailability or ()),
                document=dump(message),
            )
        )

    async def of_id(self, ven_id: str, opt_id: str) -> tuple[StoredOpt, ...]:
        """Return all opts of a VEN with an optID, oldest first."""
        query = select(opt).where(opt.c.ven_id == ven_id, opt.c.opt_id == opt_id).order_by(opt.c.id)
        return tuple(_opt(row) for row in await self._connection.execute(query))

    async def schedules(self, ven_id: str, opt_type: str, now: datetime | None = None) -> tuple[StoredOpt, ...]:
        """Return the schedules of one type of a VEN that are in force, oldest first; ``now`` leaves out those over."""
        query = select(opt).where(opt.c.ven_id == ven_id, opt.c.opt_type == opt_type, _in_force(now))
        return tuple(_opt(row) for row in await self._connection.execute(query.order_by(opt.c.id)))

    async def schedules_of(self, ven_ids: Iterable[str], now: datetime) -> dict[str, tuple[StoredOpt, ...]]:
        """Return the schedules in force that are not over, oldest first, by venID; VENs without are left out."""
        found: dict[str, list[StoredOpt]] = {}
        names = tuple(ven_ids)
        for start in range(0, len(names), _TOGETHER):
            query = select(opt).where(opt.c.ven_id.in_(names[start : start + _TOGETHER]), _in_force(now))
            for row in await self._connection.execute(query.order_by(opt.c.id)):
                found.setdefault(row.ven_id, []).append(_opt(row))
        return {ven_id: tuple(rows) for ven_id, rows in found.items()}

    async def in_force(self, ven_id: str, now: datetime) -> InForce:
        """Return how many schedules of a VEN are in force and not over, and how many windows they have."""
        query = select(func.count(), func.coalesce(func.sum(opt.c.windows), 0)).where(
            opt.c.ven_id == ven_id, _in_force(now)
        )
        schedules, windows = (await self._connection.execute(query)).one()
        return InForce(schedules=int(schedules), windows=int(windows))

    async def supersede(self, row_id: int, resource_ids: Iterable[str] | None, now: datetime) -> None:
        """End a schedule, or (``resource_ids``) end it for these resources only."""
        values: dict[str, Any] = (
            {"superseded_at": now} if resource_ids is None else {"superseded_for": dump(sorted(resource_ids))}
        )
        await self._connection.execute(update(opt).where(opt.c.id == row_id).values(**values))

    async def cancel(self, row_ids: Iterable[int], now: datetime) -> None:
        """Mark schedules as cancelled by the VEN."""
        await self._connection.execute(
            update(opt).where(opt.c.id.in_(tuple(row_ids)), opt.c.cancelled_at.is_(None)).values(cancelled_at=now)
        )

    async def page(
        self, *, ven_id: str | None = None, event_id: str | None = None, after: int | None = None, limit: int = 100
    ) -> tuple[StoredOpt, ...]:
        """Return opts, newest first, those below the row number ``after``."""
        query = select(opt)
        if ven_id is not None:
            query = query.where(opt.c.ven_id == ven_id)
        if event_id is not None:
            query = query.where(opt.c.event_id == event_id)
        if after is not None:
            query = query.where(opt.c.id < after)
        rows = await self._connection.execute(query.order_by(opt.c.id.desc()).limit(limit))
        return tuple(_opt(row) for row in rows)
