"""Repository of reported data for those who read it: pages in either order, buckets of time, documents.

Rule: a value counts once although several requests brought it: of the same point and time the one received last
counts. Values of bad quality take no part in any figure (R318). Buckets are aligned to UTC.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    FromClause,
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
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from vtn.store.codec import upsert
from vtn.store.report_tables import data_point, report_document, telemetry
from vtn.store.rows import Bucket, ReportDocument, Telemetry

_POINT = ("ven_id", "report_request_id", "r_id", "report_specifier_id", "report_name")
_OWN = tuple(column for column in telemetry.c if column.name != "point_id")
_RESOURCE, _UNIT = (func.nullif(data_point.c[name], "").label(name) for name in ("resource_id", "unit"))
_ROWS = select(*_OWN, *(data_point.c[name] for name in _POINT), _RESOURCE, _UNIT)
_BOTH = telemetry.join(data_point)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000  # microseconds
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
        """Return the query over ``telemetry`` and ``data_point`` narrowed to this."""
        return query.where(*self.of_points(), *self.in_time(telemetry))

    def of_points(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on data points."""
        for column in ("ven_id", "resource_id", "report_name", "report_specifier_id", "report_request_id"):
            value = getattr(self, column)
            if value is not None:
                yield data_point.c[column] == value
        if self.r_ids is not None:
            yield data_point.c.r_id.in_(tuple(self.r_ids))

    def in_time(self, values: FromClause) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on values."""
        if self.start is not None:
            yield values.c.dtstart >= self.start
        if self.end is not None:
            yield values.c.dtstart < self.end


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
        query = which.narrow(_ROWS)
        if which.ven_id is None or which.resource_id is None:
            query = _next(query.select_from(_BOTH), telemetry, after, newest_first, limit)
        else:  # of a few data points: those that come next of each, which an index has in order
            own = telemetry.alias()
            each = select(own.c.id).where(own.c.point_id == data_point.c.id, *which.in_time(own))
            each = _next(each, own, after, newest_first, limit).correlate(data_point)
            if self._connection.dialect.name == "sqlite":
                query = query.select_from(data_point.join(telemetry, telemetry.c.id.in_(each)))
            else:
                found = each.lateral()
                query = query.select_from(data_point.join(found, true()).join(telemetry, telemetry.c.id == found.c.id))
            query = _next(query, telemetry, None, newest_first, limit)
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
        narrowed = which.narrow(select(telemetry.c.id).select_from(_BOTH)).where(telemetry.c.value.is_not(None))
        if after is not None:
            narrowed = narrowed.where(telemetry.c.dtstart >= after[0])
        columns = (
            data_point.c.ven_id,
            data_point.c.resource_id,
            data_point.c.report_name,
            data_point.c.r_id,
            data_point.c.unit,
            (epoch - remainder).label("bucket"),
            telemetry.c.value,
            func.coalesce(telemetry.c.duration_s, 0).label("span"),
            _is_bad().label("bad"),
            telemetry.c.dtstart,
            telemetry.c.id,
        )
        same_value = (data_point.c.ven_id, data_point.c.report_specifier_id, data_point.c.r_id, telemetry.c.dtstart)
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


def _next(
    query: Select[Any], values: FromClause, after: tuple[datetime, int] | None, newest_first: bool, limit: int
) -> Select[Any]:
    """Return the query for those that come next, in an order and with conditions that an index on dtstart serves."""
    at_column, id_column = values.c.dtstart, values.c.id
    if newest_first:
        if after is not None:
            at, row_id = after
            query = query.where(at_column <= at, or_(at_column < at, id_column < row_id))
        return query.order_by(at_column.desc(), id_column.desc()).limit(limit)
    if after is not None:
        at, row_id = after
        query = query.where(at_column >= at, or_(at_column > at, id_column > row_id))
    return query.order_by(at_column, id_column).limit(limit)


def _epoch(dialect: str) -> ColumnElement[int]:
    """Return dtstart as whole seconds since 1970."""
    if dialect == "sqlite":
        micros = type_coerce(telemetry.c.dtstart, BigInteger)
        return (micros - (micros % _SECOND + _SECOND) % _SECOND) // _SECOND
    return cast(func.floor(extract("epoch", telemetry.c.dtstart)), BigInteger)


def _is_bad() -> ColumnElement[bool]:
    quality = telemetry.c.data_quality
    return func.coalesce(or_(*(quality.startswith(each, autoescape=True) for each in BAD)), false())


def _last_in(every: Any) -> ColumnElement[int]:
    group = (every.c.ven_id, every.c.resource_id, every.c.report_name, every.c.r_id, every.c.unit, every.c.bucket)
    order = (case((every.c.bad, 1), else_=0), every.c.dtstart.desc(), every.c.id.desc())
    return func.row_number().over(partition_by=group, order_by=order)


def _figures(once: Any, after: tuple[datetime, str, str, str, str, str] | None) -> Select[Any]:
    """Return the figures of each bucket over values that count once."""
    key = (
        once.c.bucket,
        once.c.ven_id,
        once.c.resource_id,
        once.c.report_name,
        once.c.r_id,
        once.c.unit,
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
        resource_id=row.resource_id or None,
        report_name=row.report_name,
        r_id=row.r_id,
        unit=row.unit or None,
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
