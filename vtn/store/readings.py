"""Repository of reported data for those who read it: pages in either order, buckets of time, documents.

Rule: a value counts once although several requests brought it: of the same point and time the one received last
counts. Values of bad quality take no part in any figure (R318). Buckets are aligned to UTC.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Select,
    and_,
    case,
    cast,
    delete,
    extract,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from vtn.store.codec import upsert
from vtn.store.rows import Bucket, ReportDocument, Telemetry
from vtn.store.tables import report_document, telemetry

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BAD = ("Quality Bad", "No Quality")  # how oadrDataQuality begins where there is no valid value (R318)
_DOCUMENT = tuple(name for name in report_document.c.keys() if name not in {"id", "body"})  # noqa: SIM118  columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which data; ``start`` is inclusive, ``end`` exclusive, ``None`` does not narrow."""

    ven_id: str | None = None
    resource_id: str | None = None
    report_name: str | None = None
    report_specifier_id: str | None = None
    report_request_id: str | None = None
    r_ids: Collection[str] | None = None
    start: datetime | None = None
    end: datetime | None = None

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return the query over ``telemetry`` narrowed to this."""
        for column in ("ven_id", "resource_id", "report_name", "report_specifier_id", "report_request_id"):
            value = getattr(self, column)
            if value is not None:
                query = query.where(telemetry.c[column] == value)
        if self.r_ids is not None:
            query = query.where(telemetry.c.r_id.in_(tuple(self.r_ids)))
        if self.start is not None:
            query = query.where(telemetry.c.dtstart >= self.start)
        return query if self.end is None else query.where(telemetry.c.dtstart < self.end)


class Readings:
    """Reported data within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(
        self,
        which: Selection,
        *,
        after: tuple[datetime, int] | None = None,
        newest_first: bool = False,
        limit: int = 1000,
    ) -> tuple[Telemetry, ...]:
        """Return data by dtstart, those behind the (dtstart, row number) ``after``."""
        key = (telemetry.c.dtstart, telemetry.c.id)
        query = which.narrow(select(telemetry))
        if after is not None:
            query = query.where(_behind(after, newest_first))
        query = query.order_by(*(each.desc() if newest_first else each for each in key)).limit(limit)
        return tuple(_telemetry(row) for row in await self._connection.execute(query))

    async def buckets(
        self,
        which: Selection,
        resolution_s: int,
        *,
        after: tuple[datetime, str, str, str, str, str] | None = None,
        limit: int = 1000,
    ) -> tuple[Bucket, ...]:
        """Return figures of numbers by (start, venID, resourceID, reportName, rID, unit), those behind ``after``."""
        epoch = _epoch(self._connection.dialect.name)
        remainder = func.mod(func.mod(epoch, resolution_s) + resolution_s, resolution_s)
        narrowed = which.narrow(select(telemetry)).where(telemetry.c.value.is_not(None))
        if after is not None:
            narrowed = narrowed.where(telemetry.c.dtstart >= after[0])
        columns = (
            telemetry.c.ven_id,
            func.coalesce(telemetry.c.resource_id, "").label("resource_key"),
            telemetry.c.report_name,
            telemetry.c.r_id,
            func.coalesce(telemetry.c.unit, "").label("unit_key"),
            (epoch - remainder).label("bucket"),
            telemetry.c.value,
            func.coalesce(telemetry.c.duration_s, 0).label("span"),
            _is_bad().label("bad"),
            telemetry.c.dtstart,
            telemetry.c.id,
        )
        same_value = (telemetry.c.ven_id, telemetry.c.report_specifier_id, telemetry.c.r_id, telemetry.c.dtstart)
        order = (telemetry.c.received_at.desc(), telemetry.c.id.desc())
        place = func.row_number().over(partition_by=same_value, order_by=order).label("place")
        every = narrowed.with_only_columns(*columns, place).subquery()
        once = select(every, _last_in(every).label("newest")).where(every.c.place == 1).subquery()
        rows = await self._connection.execute(_figures(once, after).limit(limit))
        return tuple(_bucket(row) for row in rows)

    async def keep_documents(self, rows: Sequence[ReportDocument]) -> None:
        """Write Green Button feeds; one in the same place of the same request replaces the earlier one (R346)."""
        values = [{**{name: getattr(each, name) for name in _DOCUMENT}, "body": each.body} for each in rows]
        for request_id, ven_id in {(each.report_request_id, each.ven_id) for each in rows}:
            own = and_(report_document.c.ven_id == ven_id, report_document.c.report_request_id == request_id)
            count = sum(each.report_request_id == request_id for each in rows)
            await self._connection.execute(delete(report_document).where(own, report_document.c.position >= count))
        await upsert(self._connection, report_document, values, ("ven_id", "report_request_id", "position"))

    async def documents(
        self, *, ven_id: str | None = None, after: int | None = None, limit: int = 1000
    ) -> tuple[ReportDocument, ...]:
        """Return what documents there are, newest first, without their text."""
        query = select(report_document.c.id, *(report_document.c[name] for name in _DOCUMENT))
        if ven_id is not None:
            query = query.where(report_document.c.ven_id == ven_id)
        if after is not None:
            query = query.where(report_document.c.id < after)
        found = await self._connection.execute(query.order_by(report_document.c.id.desc()).limit(limit))
        return tuple(_document({**row._mapping, "body": ""}) for row in found)

    async def document(self, row_id: int) -> ReportDocument | None:
        """Return a document."""
        query = select(report_document).where(report_document.c.id == row_id)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _document(dict(row._mapping))


def _telemetry(row: Any) -> Telemetry:
    values = dict(row._mapping)
    return Telemetry(row_id=values.pop("id"), **values)


def _document(values: dict[str, Any]) -> ReportDocument:
    return ReportDocument(row_id=values.pop("id"), **values)


def _behind(after: tuple[datetime, int], newest_first: bool) -> ColumnElement[bool]:
    at, row_id = after
    at_column, id_column = telemetry.c.dtstart, telemetry.c.id
    if newest_first:
        return or_(at_column < at, and_(at_column == at, id_column < row_id))
    return or_(at_column > at, and_(at_column == at, id_column > row_id))


def _epoch(dialect: str) -> ColumnElement[int]:
    """Return dtstart as whole seconds since 1970."""
    if dialect == "sqlite":
        return cast(func.strftime("%s", telemetry.c.dtstart), Integer)
    return cast(func.floor(extract("epoch", telemetry.c.dtstart)), telemetry.c.id.type)


def _is_bad() -> ColumnElement[bool]:
    quality = telemetry.c.data_quality
    return func.coalesce(or_(*(quality.startswith(each, autoescape=True) for each in BAD)), false())


def _last_in(every: Any) -> ColumnElement[int]:
    group = (every.c.ven_id, every.c.resource_key, every.c.report_name, every.c.r_id, every.c.unit_key, every.c.bucket)
    order = (case((every.c.bad, 1), else_=0), every.c.dtstart.desc(), every.c.id.desc())
    return func.row_number().over(partition_by=group, order_by=order)


def _figures(once: Any, after: tuple[datetime, str, str, str, str, str] | None) -> Select[Any]:
    """Return the figures of each bucket over values that count once."""
    key = (
        once.c.bucket,
        once.c.ven_id,
        once.c.resource_key,
        once.c.report_name,
        once.c.r_id,
        once.c.unit_key,
    )
    good = case((once.c.bad, None), else_=once.c.value)
    span = case((once.c.bad, None), else_=once.c.span)
    spans = func.coalesce(func.min(span), 0) > 0
    weighted = func.sum(good * cast(span, Float)) / func.nullif(func.sum(cast(span, Float)), 0)
    query = select(
        *key,
        func.count(good).label("good"),
        func.sum(case((once.c.bad, 1), else_=0)).label("bad"),
        case((spans, 1), else_=0).label("spans"),
        case((spans, weighted), else_=func.avg(good)).label("mean"),
        func.min(good).label("minimum"),
        func.max(good).label("maximum"),
        func.sum(good).label("total"),
        func.max(case((and_(once.c.newest == 1, once.c.bad.is_(False)), once.c.value))).label("last"),
        func.max(case((and_(once.c.newest == 1, once.c.bad.is_(False)), once.c.dtstart))).label("last_at"),
    ).group_by(*key)
    if after is not None:
        at, *names = after
        behind = (literal(int((at - EPOCH).total_seconds())), *(literal(name) for name in names))
        query = query.where(tuple_(*key) > tuple_(*behind))
    return query.order_by(*key)


def _bucket(row: Any) -> Bucket:
    return Bucket(
        ven_id=row.ven_id,
        resource_id=row.resource_key or None,
        report_name=row.report_name,
        r_id=row.r_id,
        unit=row.unit_key or None,
        start=EPOCH + timedelta(seconds=int(row.bucket)),
        count=int(row.good),
        bad=int(row.bad),
        spans=bool(row.spans),
        mean=row.mean,
        minimum=row.minimum,
        maximum=row.maximum,
        total=row.total,
        last=row.last,
        last_at=row.last_at,
    )
