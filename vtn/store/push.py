"""Repository of HTTP push: which VENs have something to be pushed to them, who pushes it, and how it went lately.

Rule: one row a push VEN. A change that gives a VEN something new makes its row due in the same transaction. Of all the
processes that share the database only the one that holds the lease of a row pushes to that VEN; the lease of one that
died runs out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.columns import Instant
from runtime.probe import Probe
from vtn.store.rows import AT_ONCE, Ven
from vtn.store.tables import push, ven

TOGETHER = 500  # VENs in one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class PushState:
    """How pushing to a VEN stands: ``news`` counts what was new, ``failures`` those in a row."""

    ven: Ven
    news: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Push VENs in all, those with something due, and those whose last attempts failed."""

    vens: int
    waiting: int
    failing: int


class Pushes:
    """HTTP push within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def enlist(self, ven_id: str, not_before: datetime) -> None:
        """Push to this VEN from now on, beginning at ``not_before``; earlier failures are forgotten."""
        fresh = {"due_at": AT_ONCE, "not_before": not_before, "failures": 0, "failed_at": None, "error": None}
        changed = await self._changes(update(push).where(push.c.ven_id == ven_id).values(news=push.c.news + 1, **fresh))
        if not changed:
            await self._connection.execute(insert(push).values(ven_id=ven_id, news=1, **fresh))

    async def remove(self, ven_id: str) -> None:
        """Push to this VEN no more."""
        await self._connection.execute(delete(push).where(push.c.ven_id == ven_id))

    async def news(self, ven_ids: Sequence[str]) -> None:
        """Make those of these VENs due that are pushed to; rows are locked in one order, so that nobody deadlocks."""
        names = sorted(ven_ids)
        for start in range(0, len(names), TOGETHER):
            some = push.c.ven_id.in_(names[start : start + TOGETHER])
            query = select(push.c.ven_id).where(some).order_by(push.c.ven_id).with_for_update()
            found = tuple((await self._connection.execute(query)).scalars())
            if found:
                await self._connection.execute(
                    update(push).where(push.c.ven_id.in_(found)).values(due_at=AT_ONCE, news=push.c.news + 1)
                )

    async def claim(self, owner: str, now: datetime, until: datetime, *, failing: bool, limit: int) -> tuple[str, ...]:
        """Take the leases of up to ``limit`` VENs that are due: of those that failed lately, or of the others."""
        which = push.c.failures > 0 if failing else push.c.failures == 0
        query = select(push.c.ven_id).where(_free(now), which).order_by(push.c.due_at, push.c.ven_id).limit(limit)
        found = tuple((await self._connection.execute(query.with_for_update(skip_locked=True))).scalars())
        if found:
            await self._connection.execute(
                update(push).where(push.c.ven_id.in_(found)).values(lease_owner=owner, lease_until=until)
            )
        return found

    async def renew(self, ven_id: str, owner: str, until: datetime) -> bool:
        """Hold a lease until ``until``; False if somebody else has it, or the VEN is pushed to no more."""
        return await self._changes(_held(ven_id, owner).values(lease_until=until))

    async def states(self, ven_ids: Sequence[str]) -> dict[str, PushState]:
        """Return how pushing stands, by venID; those that are not pushed to are left out."""
        found: dict[str, PushState] = {}
        rows = await self._connection.execute(_STATES, {"b_ven_ids": ven_ids})
        for push_news, push_failures, *values in rows:
            row = Ven(**dict(zip(_VEN_NAMES, values, strict=True)))
            found[row.ven_id] = PushState(ven=row, news=push_news, failures=push_failures)
        return found

    async def succeeded(self, ven_id: str, now: datetime) -> None:
        """Note that the VEN took something."""
        await self._connection.execute(
            update(push)
            .where(push.c.ven_id == ven_id)
            .values(delivered_at=now, failures=0, failed_at=None, error=None, not_before=None)
        )

    async def release(self, ven_id: str, owner: str, seen: int, due_at: datetime | None) -> None:
        """Give a lease back; due next at ``due_at``, or at once if there are more news than were ``seen``."""
        await self._connection.execute(
            _held(ven_id, owner).values(
                lease_owner=None, lease_until=None, due_at=case((push.c.news != seen, AT_ONCE), else_=due_at)
            )
        )

    async def failed(
        self, ven_id: str, owner: str, now: datetime, error: str, *, seen: int, not_before: datetime | None
    ) -> None:
        """Give a lease back after a failure: again from ``not_before``; ``None``: not before there are news."""
        again = push.c.due_at if not_before is not None else case((push.c.news != seen, AT_ONCE), else_=None)
        await self._connection.execute(
            _held(ven_id, owner).values(
                lease_owner=None,
                lease_until=None,
                failures=push.c.failures + 1,
                failed_at=now,
                error=error[:1000],
                not_before=not_before,
                due_at=again,
            )
        )

    async def release_all(self, owner: str | None) -> None:
        """Give back every lease of an owner, ``None``: of everybody."""
        which = push.c.lease_owner.is_not(None) if owner is None else push.c.lease_owner == owner
        await self._connection.execute(update(push).where(which).values(lease_owner=None, lease_until=None))

    async def revive(self) -> int:
        """Make VENs due that were given up and have been heard of since; return how many."""
        heard = exists().where(ven.c.ven_id == push.c.ven_id, ven.c.last_seen > push.c.failed_at)
        result = await self._connection.execute(
            update(push)
            .where(push.c.due_at.is_(None), push.c.failed_at.is_not(None), heard)
            .values(due_at=AT_ONCE, failures=0, failed_at=None, not_before=None)
        )
        return result.rowcount

    async def backlog(self, now: datetime) -> Backlog:
        """Count."""
        waiting, failing = push.c.due_at <= now, push.c.failures > 0
        query = select(func.count(), func.count(case((waiting, 1))), func.count(case((failing, 1)))).select_from(push)
        vens, due, bad = (await self._connection.execute(query)).one()
        return Backlog(vens=vens, waiting=due, failing=bad)

    async def _changes(self, statement: Update) -> bool:
        return (await self._connection.execute(statement)).rowcount > 0


def _free(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    return and_(
        push.c.due_at <= now,
        or_(push.c.not_before.is_(None), push.c.not_before <= now),
        or_(push.c.lease_until.is_(None), push.c.lease_until <= now),
    )


ANY_PUSH = Probe(select(exists().where(_free(bindparam("b_now", type_=Instant)))))


def _held(ven_id: str, owner: str) -> Update:
    return update(push).where(push.c.ven_id == ven_id, push.c.lease_owner == owner)


_VEN_NAMES = tuple(column.name for column in ven.c)
_STATES = (
    select(push.c.news, push.c.failures, *ven.c)
    .join(ven, ven.c.ven_id == push.c.ven_id)
    .where(push.c.ven_id.in_(bindparam("b_ven_ids", expanding=True)))
)
