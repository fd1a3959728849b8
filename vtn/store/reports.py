"""Repository of reports: what VENs offer, what we asked for, and the data as typed rows.

Rule: METADATA replaces the whole offer of a VEN (R306); data is upserted by venID, reportRequestID, rID and dtstart
(R346).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.model import ReportDescription, ReportRequest
from vtn.store.codec import dump, load, upsert
from vtn.store.rows import Point, RequestState, Specifier, StoredRequest, Telemetry
from vtn.store.tables import report_description, report_request, report_specifier, telemetry

_POINT_KEY = ("ven_id", "report_request_id", "r_id", "dtstart")
_WRITTEN = tuple(name for name in telemetry.c.keys() if name != "id")  # noqa: SIM118  a column collection, not a dict
_OPEN = (str(RequestState.REQUESTED), str(RequestState.CONFIRMED))


def _request(row: Row[Any]) -> StoredRequest:
    return StoredRequest(
        ven_id=row.ven_id,
        report_name=row.report_name,
        request=load(row.document, ReportRequest),
        points=load(row.points, dict[str, Point]),
        state=RequestState(row.state),
        created_at=row.created_at,
        last_data_at=row.last_data_at,
    )


def _telemetry(row: Row[Any]) -> Telemetry:
    values = dict(row._mapping)
    return Telemetry(row_id=values.pop("id"), **values)


class Reports:
    """Reports within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def replace_offer(self, ven_id: str, offer: Sequence[Specifier]) -> None:
        """Put ``offer`` in place of everything the VEN offered; requests still open become ``replaced`` (R306)."""
        await self._connection.execute(delete(report_specifier).where(report_specifier.c.ven_id == ven_id))
        await self._connection.execute(
            update(report_request)
            .where(report_request.c.ven_id == ven_id, report_request.c.state.in_(_OPEN))
            .values(state=str(RequestState.REPLACED))
        )
        for each in offer:
            await self._connection.execute(
                insert(report_specifier).values(
                    ven_id=ven_id,
                    report_specifier_id=each.report_specifier_id,
                    report_name=each.report_name,
                    duration=each.duration,
                    registered_at=each.registered_at,
                )
            )
            rows = [
                {
                    "ven_id": ven_id,
                    "report_specifier_id": each.report_specifier_id,
                    "r_id": item.r_id,
                    "report_type": item.report_type,
                    "resource_id": resource_of(item),
                    "document": dump(item),
                }
                for item in each.descriptions
            ]
            if rows:
                await self._connection.execute(insert(report_description), rows)

    async def erase(self, ven_id: str) -> None:
        """Erase offer and requests of a VEN (R406, R407); data that was reported stays."""
        await self._connection.execute(delete(report_specifier).where(report_specifier.c.ven_id == ven_id))
        await self._connection.execute(delete(report_request).where(report_request.c.ven_id == ven_id))

    async def offer(self, ven_id: str) -> tuple[Specifier, ...]:
        """Return what a VEN offers."""
        points: dict[str, list[ReportDescription]] = {}
        query = select(report_description).where(report_description.c.ven_id == ven_id)
        for row in await self._connection.execute(query.order_by(report_description.c.r_id)):
            points.setdefault(row.report_specifier_id, []).append(load(row.document, ReportDescription))
        rows = await self._connection.execute(
            select(report_specifier)
            .where(report_specifier.c.ven_id == ven_id)
            .order_by(report_specifier.c.report_specifier_id)
        )
        return tuple(
            Specifier(**row._mapping, descriptions=tuple(points.get(row.report_specifier_id, ()))) for row in rows
        )

    async def add_request(self, row: StoredRequest) -> None:
        """Write a request of ours."""
        await self._connection.execute(
            insert(report_request).values(
                report_request_id=row.request.report_request_id,
                ven_id=row.ven_id,
                report_specifier_id=row.request.specifier.report_specifier_id,
                report_name=row.report_name,
                state=str(row.state),
                created_at=row.created_at,
                document=dump(row.request),
                points=dump(row.points),
            )
        )

    async def requests(self, ven_id: str) -> tuple[StoredRequest, ...]:
        """Return all requests to a VEN, oldest first."""
        query = select(report_request).where(report_request.c.ven_id == ven_id)
        query = query.order_by(report_request.c.created_at, report_request.c.report_request_id)
        return tuple(_request(row) for row in await self._connection.execute(query))

    async def set_request(self, report_request_id: str, **values: Any) -> None:
        """Change columns of a request."""
        await self._connection.execute(
            update(report_request).where(report_request.c.report_request_id == report_request_id).values(**values)
        )

    async def store(self, rows: Iterable[Telemetry]) -> None:
        """Write data; a value for the same point and time replaces the earlier one."""
        values = [{name: getattr(each, name) for name in _WRITTEN} for each in rows]
        await upsert(self._connection, telemetry, values, _POINT_KEY)

    async def page(
        self,
        *,
        ven_id: str | None = None,
        resource_id: str | None = None,
        r_id: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        after: tuple[datetime, int] | None = None,
        limit: int = 1000,
    ) -> tuple[Telemetry, ...]:
        """Return data by dtstart, those after the (dtstart, row number) ``after``; ``end`` is exclusive."""
        query = select(telemetry)
        for column, value in (("ven_id", ven_id), ("resource_id", resource_id), ("r_id", r_id)):
            if value is not None:
                query = query.where(telemetry.c[column] == value)
        query = _between(query, start, end)
        if after is not None:
            at, row_id = after
            query = query.where(or_(telemetry.c.dtstart > at, and_(telemetry.c.dtstart == at, telemetry.c.id > row_id)))
        rows = await self._connection.execute(query.order_by(telemetry.c.dtstart, telemetry.c.id).limit(limit))
        return tuple(_telemetry(row) for row in rows)

    async def latest(self, ven_ids: Iterable[str]) -> tuple[Telemetry, ...]:
        """Return the newest value of each (VEN, resource, report name, rID) of these VENs."""
        key = (telemetry.c.ven_id, telemetry.c.resource_id, telemetry.c.report_name, telemetry.c.r_id)
        rank = func.row_number().over(partition_by=key, order_by=(telemetry.c.dtstart.desc(), telemetry.c.id.desc()))
        ranked = select(telemetry.c.id, rank.label("rank")).where(telemetry.c.ven_id.in_(tuple(ven_ids))).subquery()
        query = select(telemetry).join(ranked, and_(ranked.c.id == telemetry.c.id, ranked.c.rank == 1))
        return tuple(_telemetry(row) for row in await self._connection.execute(query.order_by(telemetry.c.id)))


def _between(query: Select[Any], start: datetime | None, end: datetime | None) -> Select[Any]:
    if start is not None:
        query = query.where(telemetry.c.dtstart >= start)
    return query if end is None else query.where(telemetry.c.dtstart < end)


def resource_of(item: ReportDescription) -> str | None:
    """Return the resource a data point stands for, ``None`` if it aggregates several or all (R302)."""
    source = item.report_data_source
    return source.resource_ids[0] if source is not None and len(source.resource_ids) == 1 else None
