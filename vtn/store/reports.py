"""Repository of reports: what VENs offer, what we asked for, and the data as typed rows.

Rule: METADATA replaces the whole offer of a VEN (R306); data is upserted by venID, reportRequestID, rID and dtstart
(R346).
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Executable, Row, and_, bindparam, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.model import ReportDescription, ReportRequest
from runtime.columns import Instant
from vtn.store.codec import dump, load
from vtn.store.report_tables import (
    own_report,
    report_description,
    report_request,
    report_specifier,
    telemetry_latest,
    ven_report,
)
from vtn.store.rows import OPEN, Point, RequestState, Specifier, StoredRequest, Telemetry
from vtn.store.telemetry import Block, write

_NEWEST_KEY = ("ven_id", "resource_key", "report_name", "r_id")
_OPEN = tuple(sorted(map(str, OPEN)))
_REQUEST_COLUMNS = tuple(
    name
    for name in report_request.c.keys()  # noqa: SIM118  a column collection, not a dict
    if name not in {"report_request_id", "report_specifier_id", "state", "document", "points"}
)
AHEAD = timedelta(days=1)  # how far from its receipt a value may begin and be taken for the newest
_NAMED = select(report_request).where(
    report_request.c.ven_id == bindparam("b_ven_id"),
    report_request.c.report_request_id.in_(bindparam("b_names", expanding=True)),
    report_request.c.state != str(RequestState.ERASED),
)
_SET_REQUEST = update(report_request).where(report_request.c.report_request_id == bindparam("b_name"))


def _put_newest(statement: sqlite.Insert | postgresql.Insert) -> Executable:
    known_at, given_at = telemetry_latest.c.dtstart, statement.excluded.dtstart
    last = bindparam("b_horizon", type_=Instant)
    return statement.on_conflict_do_update(
        index_elements=_NEWEST_KEY,
        set_={name: statement.excluded[name] for name in ("dtstart", "document")},
        where=or_(known_at > last, and_(known_at <= given_at, given_at <= last)),
    )


_PUT_NEWEST = {
    "sqlite": _put_newest(sqlite.insert(telemetry_latest)),
    "postgresql": _put_newest(postgresql.insert(telemetry_latest)),
}
METADATA = "METADATA"  # reportSpecifierID that asks for the list itself (R327)


def _request(row: Row[Any]) -> StoredRequest:
    return StoredRequest(
        request=load(row.document, ReportRequest),
        points=load(row.points, dict[str, Point]),
        state=RequestState(row.state),
        **{name: getattr(row, name) for name in _REQUEST_COLUMNS},
    )


def _specifier(row: Row[Any], points: Mapping[str, Sequence[ReportDescription]]) -> Specifier:
    values = dict(row._mapping)
    remarks = load(values.pop("remarks"), tuple[str, ...])
    return Specifier(**values, descriptions=tuple(points.get(row.report_specifier_id, ())), remarks=remarks)


class Reports:
    """Reports within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def replace_offer(self, ven_id: str, offer: Sequence[Specifier], now: datetime | None = None) -> None:
        """Put ``offer`` in place of everything the VEN offered; requests still open become ``replaced`` (R306).

        Requests for METADATA stay.
        """
        await self._connection.execute(delete(report_specifier).where(report_specifier.c.ven_id == ven_id))
        await self._connection.execute(
            update(report_request)
            .where(
                report_request.c.ven_id == ven_id,
                report_request.c.state.in_(_OPEN),
                report_request.c.report_specifier_id != METADATA,
            )
            .values(state=str(RequestState.REPLACED), ended_at=now, due_at=None)
        )
        for each in offer:
            await self._connection.execute(
                insert(report_specifier).values(
                    ven_id=ven_id,
                    report_specifier_id=each.report_specifier_id,
                    report_name=each.report_name,
                    duration=each.duration,
                    registered_at=each.registered_at,
                    remarks=dump(each.remarks),
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

    async def erase(self, ven_id: str, now: datetime | None = None) -> None:
        """Erase offer and requests of a VEN, both ways (R406, R407); data that was reported stays, and what was asked.

        Requests are kept as ``erased``: nobody may answer them any more, an operator still sees them.
        """
        await self._connection.execute(delete(report_specifier).where(report_specifier.c.ven_id == ven_id))
        await self._connection.execute(
            update(report_request)
            .where(report_request.c.ven_id == ven_id, report_request.c.state.in_(_OPEN))
            .values(ended_at=now, due_at=None)
        )
        await self._connection.execute(
            update(report_request).where(report_request.c.ven_id == ven_id).values(state=str(RequestState.ERASED))
        )
        await self._connection.execute(delete(own_report).where(own_report.c.ven_id == ven_id))
        await self._connection.execute(delete(ven_report).where(ven_report.c.ven_id == ven_id))

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
        return tuple(_specifier(row, points) for row in rows)

    async def offers(
        self, *, ven_id: str | None, report_name: str | None, after: tuple[str, str] | None, limit: int
    ) -> tuple[Specifier, ...]:
        """Return offered reports by (venID, reportSpecifierID), those after ``after``."""
        key = (report_specifier.c.ven_id, report_specifier.c.report_specifier_id)
        query = select(report_specifier)
        for column, value in (("ven_id", ven_id), ("report_name", report_name)):
            if value is not None:
                query = query.where(report_specifier.c[column] == value)
        if after is not None:
            query = query.where(tuple_(*key) > after)
        found = (await self._connection.execute(query.order_by(*key).limit(limit))).all()
        points: dict[tuple[str, str], list[ReportDescription]] = {}
        described = select(report_description).where(
            tuple_(report_description.c.ven_id, report_description.c.report_specifier_id).in_(
                [(row.ven_id, row.report_specifier_id) for row in found]
            )
        )
        for row in await self._connection.execute(described.order_by(report_description.c.r_id)):
            item = load(row.document, ReportDescription)
            points.setdefault((row.ven_id, row.report_specifier_id), []).append(item)
        return tuple(
            _specifier(row, {row.report_specifier_id: points.get((row.ven_id, row.report_specifier_id), [])})
            for row in found
        )

    async def add_request(self, row: StoredRequest) -> None:
        """Write a request of ours."""
        await self._connection.execute(
            insert(report_request).values(
                {name: getattr(row, name) for name in _REQUEST_COLUMNS}
                | {
                    "report_request_id": row.report_request_id,
                    "report_specifier_id": row.request.specifier.report_specifier_id,
                    "state": str(row.state),
                    "document": dump(row.request),
                    "points": dump(row.points),
                }
            )
        )

    async def requests(self, ven_id: str) -> tuple[StoredRequest, ...]:
        """Return all requests to a VEN that its registration knows of, oldest first."""
        query = select(report_request).where(
            report_request.c.ven_id == ven_id, report_request.c.state != str(RequestState.ERASED)
        )
        query = query.order_by(report_request.c.created_at, report_request.c.report_request_id)
        return tuple(_request(row) for row in await self._connection.execute(query))

    async def open_requests(self, ven_id: str) -> tuple[StoredRequest, ...]:
        """Return the requests to a VEN that are not over, oldest first; the others may be years of them."""
        query = select(report_request).where(report_request.c.ven_id == ven_id, report_request.c.state.in_(_OPEN))
        query = query.order_by(report_request.c.created_at, report_request.c.report_request_id)
        return tuple(_request(row) for row in await self._connection.execute(query))

    async def named(self, ven_id: str, report_request_ids: Collection[str]) -> dict[str, StoredRequest]:
        """Return those requests to a VEN that its registration knows of, by reportRequestID."""
        named = {"b_ven_id": ven_id, "b_names": tuple(report_request_ids)}
        rows = map(_request, await self._connection.execute(_NAMED, named))
        return {row.report_request_id: row for row in rows}

    async def request(self, report_request_id: str, *, lock: bool = False) -> StoredRequest | None:
        """Return a request, whatever became of it."""
        query = select(report_request).where(report_request.c.report_request_id == report_request_id)
        row = (await self._connection.execute(query.with_for_update() if lock else query)).one_or_none()
        return None if row is None else _request(row)

    async def standing(self, ven_id: str) -> tuple[StoredRequest, ...]:
        """Return the requests to a VEN that are to be made again although METADATA or a registration ended them."""
        query = select(report_request).where(
            report_request.c.ven_id == ven_id,
            report_request.c.standing,
            report_request.c.state.in_((str(RequestState.REPLACED), str(RequestState.ERASED))),
        )
        query = query.order_by(report_request.c.created_at, report_request.c.report_request_id)
        return tuple(_request(row) for row in await self._connection.execute(query))

    async def page_requests(
        self,
        *,
        ven_id: str | None = None,
        state: RequestState | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 1000,
    ) -> tuple[StoredRequest, ...]:
        """Return requests, newest first, those older than (created_at, reportRequestID) ``after``."""
        query = select(report_request)
        if ven_id is not None:
            query = query.where(report_request.c.ven_id == ven_id)
        if state is not None:
            query = query.where(report_request.c.state == str(state))
        if after is not None:
            at, name = after
            older = and_(report_request.c.created_at == at, report_request.c.report_request_id < name)
            query = query.where(or_(report_request.c.created_at < at, older))
        query = query.order_by(report_request.c.created_at.desc(), report_request.c.report_request_id.desc())
        return tuple(_request(row) for row in await self._connection.execute(query.limit(limit)))

    async def due(self, now: datetime, limit: int) -> tuple[StoredRequest, ...]:
        """Return requests to be looked at, longest due first; another process skips them meanwhile."""
        query = select(report_request).where(report_request.c.due_at <= now).order_by(report_request.c.due_at)
        query = query.limit(limit).with_for_update(skip_locked=True)
        return tuple(_request(row) for row in await self._connection.execute(query))

    async def states(self) -> dict[str, int]:
        """Return how many requests are in each state that is open."""
        query = select(report_request.c.state, func.count()).where(report_request.c.state.in_(_OPEN))
        return {state: count for state, count in await self._connection.execute(query.group_by(report_request.c.state))}

    async def set_request(self, report_request_id: str, **values: Any) -> None:
        """Change columns of a request."""
        await self._connection.execute(_SET_REQUEST, {"b_name": report_request_id, **values})

    async def store(self, blocks: Iterable[Block]) -> None:
        """Write data; a value for the same point and time replaces the earlier one."""
        for block in blocks:
            await write(self._connection, block)
            await keep_newest(self._connection, block)

    async def latest(
        self, ven_ids: Iterable[str], resource_id: str | None = None, report_name: str | None = None
    ) -> tuple[Telemetry, ...]:
        """Return the newest value of each (VEN, resource, report name, rID) of these VENs, oldest first."""
        query = select(telemetry_latest.c.document).where(telemetry_latest.c.ven_id.in_(tuple(ven_ids)))
        for column, value in (("resource_key", resource_id), ("report_name", report_name)):
            if value is not None:
                query = query.where(telemetry_latest.c[column] == value)
        key = (telemetry_latest.c.dtstart, telemetry_latest.c.ven_id, telemetry_latest.c.r_id)
        return tuple(load(row.document, Telemetry) for row in await self._connection.execute(query.order_by(*key)))


def _newest(block: Block, horizon: datetime) -> list[Telemetry]:
    """Return of each rID the last one in the order of time, or of those that begin too far ahead the one given last."""
    start = block.dtstart.__getitem__
    places = sorted(range(len(block)), key=start)
    ahead = bisect_right(places, horizon, key=start)
    newest = {block.r_id[place]: place for place in (*sorted(places[ahead:]), *places[:ahead])}
    return [block.row(place) for place in newest.values()]


async def keep_newest(connection: AsyncConnection, block: Block) -> None:
    """Keep the newest value of each point of a block where no newer one is known; of equal times the later wins.

    One from far ahead of its receipt, of a VEN whose clock was wrong, gives way to any other.
    """
    horizon = block.received_at + AHEAD
    newest = {
        (each.ven_id, each.resource_id or "", each.report_name, each.r_id): each for each in _newest(block, horizon)
    }
    if not newest:
        return
    values = [
        {
            **dict(zip(_NEWEST_KEY, key, strict=True)),
            "dtstart": row.dtstart,
            "document": dump(row),
            "b_horizon": horizon,
        }
        for key, row in sorted(newest.items())  # in one order, so that two writers do not wait for each other
    ]
    await connection.execute(_PUT_NEWEST[connection.dialect.name], values)


def resource_of(item: ReportDescription) -> str | None:
    """Return the resource a data point stands for, ``None`` if it aggregates several or all (R302)."""
    source = item.report_data_source
    return source.resource_ids[0] if source is not None and len(source.resource_ids) == 1 else None
