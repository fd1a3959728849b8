"""Repository of what the VTN reports itself: our METADATA as last made for each VEN, and what VENs have asked of us.

Rule: a row that is due is claimed by one process (R329 lists what is left); what has ended stays for the operator.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, Select, and_, bindparam, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.model import Report, ReportRequest
from runtime.columns import Instant
from runtime.probe import Probe
from vtn.store.codec import dump, load, upsert
from vtn.store.report_tables import own_report, report_request, ven_report
from vtn.store.rows import OwnReport, VenReport
from vtn.store.tables import outbound, ven

_COLUMNS = tuple(
    name
    for name in own_report.c.keys()  # noqa: SIM118  a column collection, not a dict
    if name not in {"report_request_id", "report_specifier_id", "document"}
)
_UNSENT = exists().where(
    outbound.c.ven_id == own_report.c.ven_id,
    outbound.c.request_id == own_report.c.request_id,
    outbound.c.due_at.is_not(None),
    outbound.c.sent_at.is_(None),
)


def _own(row: Row[Any]) -> OwnReport:
    return OwnReport(request=load(row.document, ReportRequest), **{name: getattr(row, name) for name in _COLUMNS})


class OwnReports:
    """The VTN as reporter within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def state(self, ven_id: str) -> VenReport:
        """Return the state of METADATA with a VEN."""
        row = (await self._connection.execute(select(ven_report).where(ven_report.c.ven_id == ven_id))).one_or_none()
        if row is None:
            return VenReport(ven_id=ven_id)
        return VenReport(**{**row._mapping, "offer": load(row.offer, tuple[Report, ...])})

    async def set_state(self, ven_id: str, **values: Any) -> None:
        """Change columns of that state; ``offer`` is a tuple of reports."""
        if "offer" in values:
            values["offer"] = dump(values["offer"])
        await upsert(self._connection, ven_report, [{"ven_id": ven_id, **values}], ("ven_id",))

    async def without_metadata(self, registered_before: datetime, since: datetime | None, limit: int) -> list[str]:
        """Return registered VENs whose METADATA is missing and was not asked for, or not since ``since``."""
        query = _without_metadata(registered_before, since).order_by(ven.c.ven_id).limit(limit)
        return list((await self._connection.execute(query)).scalars())

    async def put(self, row: OwnReport) -> None:
        """Write a request of a VEN, or its new state."""
        values = {name: getattr(row, name) for name in _COLUMNS} | {
            "report_request_id": row.report_request_id,
            "report_specifier_id": row.request.specifier.report_specifier_id,
            "document": dump(row.request),
        }
        await upsert(self._connection, own_report, [values], ("ven_id", "report_request_id"))

    async def of_ven(self, ven_id: str) -> dict[str, OwnReport]:
        """Return the requests of a VEN that are in force, by reportRequestID."""
        query = select(own_report).where(own_report.c.ven_id == ven_id, own_report.c.ended_at.is_(None))
        rows = map(_own, await self._connection.execute(query.order_by(own_report.c.created_at)))
        return {row.report_request_id: row for row in rows}

    async def pending(self, ven_id: str) -> tuple[str, ...]:
        """Return the reportRequestIDs for which something is still to be sent (R329)."""
        query = select(own_report.c.report_request_id).where(
            own_report.c.ven_id == ven_id, or_(own_report.c.next_due.is_not(None), _UNSENT)
        )
        query = query.order_by(own_report.c.created_at, own_report.c.report_request_id)
        return tuple((await self._connection.execute(query)).scalars())

    async def unsent(self, row: OwnReport) -> bool:
        """True if the newest payload of a request still waits to be fetched for the first time."""
        query = select(own_report.c.ven_id).where(
            own_report.c.ven_id == row.ven_id, own_report.c.report_request_id == row.report_request_id, _UNSENT
        )
        return (await self._connection.execute(query)).first() is not None

    async def due(self, now: datetime, limit: int) -> tuple[OwnReport, ...]:
        """Return requests with something to send, longest due first; another process skips them meanwhile."""
        query = select(own_report).where(own_report.c.next_due <= now).order_by(own_report.c.next_due)
        query = query.limit(limit).with_for_update(skip_locked=True)
        return tuple(_own(row) for row in await self._connection.execute(query))

    async def end(self, ven_id: str, now: datetime, reason: str, *, keep_metadata: bool) -> None:
        """End every request of a VEN; periodic METADATA requests may stay (R306)."""
        query = update(own_report).where(own_report.c.ven_id == ven_id, own_report.c.ended_at.is_(None))
        if keep_metadata:
            query = query.where(own_report.c.report_specifier_id != "METADATA")
        await self._connection.execute(query.values(next_due=None, ended_at=now, reason=reason))

    async def page(
        self, *, ven_id: str | None = None, after: tuple[str, str] | None = None, limit: int = 1000
    ) -> tuple[OwnReport, ...]:
        """Return requests of VENs by (venID, reportRequestID), those behind ``after``."""
        query = select(own_report)
        if ven_id is not None:
            query = query.where(own_report.c.ven_id == ven_id)
        if after is not None:
            same = and_(own_report.c.ven_id == after[0], own_report.c.report_request_id > after[1])
            query = query.where(or_(own_report.c.ven_id > after[0], same))
        query = query.order_by(own_report.c.ven_id, own_report.c.report_request_id).limit(limit)
        return tuple(_own(row) for row in await self._connection.execute(query))


_Time = datetime | BindParameter[datetime]


def _without_metadata(registered_before: _Time, since: _Time | None) -> Select[str]:
    missing = and_(ven_report.c.metadata_at.is_(None), ven_report.c.asked_at.is_(None))
    if since is not None:
        stale = and_(
            ven_report.c.metadata_at < since, or_(ven_report.c.asked_at.is_(None), ven_report.c.asked_at < since)
        )
        missing = or_(missing, stale)
    return (
        select(ven.c.ven_id)
        .outerjoin(ven_report, ven_report.c.ven_id == ven.c.ven_id)
        .where(ven.c.registration_id.is_not(None), ven.c.registered_at <= registered_before, missing)
    )


def _any_report(since: _Time | None) -> Probe:
    """Ask whether requests are to be looked at, METADATA is to be asked for, and reports of our own are to be sent."""
    now = bindparam("b_now", type_=Instant)
    return Probe(
        select(
            exists().where(report_request.c.due_at <= now),
            _without_metadata(bindparam("b_before", type_=Instant), since).exists(),
            exists().where(own_report.c.next_due <= now),
        )
    )


ANY_REPORT = _any_report(None)
ANY_REPORT_SINCE = _any_report(bindparam("b_since", type_=Instant))
