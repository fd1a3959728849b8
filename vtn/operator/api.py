"""The operator API under /api/v1: read a model, one transaction over the services, show a model.

Rule: handlers carry no rule of the protocol; refusals of services become problems in ``translate`` only. Requests
that change something are written with their answer when an Idempotency-Key is given.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel, ValidationError

from openadr.errors import NotAllowed, OadrError
from runtime.clock import Clock
from runtime.http import ACTOR, MAX_JSON_BYTES, Problem
from vtn.operator import present
from vtn.operator.requests import CancelIn, EventIn, OptQuery, Page, ReportQuery, VenIn
from vtn.operator.views import EventPage, OptPage, ReportPage, VenPage
from vtn.services import enrolment, overview, publish
from vtn.services.context import Desk
from vtn.store.rows import Answered
from vtn.store.store import Store, Tx

M = TypeVar("M", bound=BaseModel)
C = TypeVar("C")
IDEMPOTENCY_KEY = "Idempotency-Key"
_MAX_KEY = 200  # characters of an idempotency key


def translate(error: Exception) -> Problem | None:
    """Map what services and models raise to a problem that names the field."""
    if isinstance(error, ValidationError):
        faults = [
            {"field": _path(each["loc"]), "reason": _reason(each["type"], each["msg"])} for each in error.errors()
        ]
        detail = "; ".join(f"{each['field']}: {each['reason']}" for each in faults[:10])
        return Problem(422, detail, title="Invalid request", field=faults[0]["field"], errors=faults)
    if isinstance(error, NotAllowed):
        return Problem(409, error.description, field=error.field, responseCode=int(error.code))
    if isinstance(error, OadrError):
        return Problem(422, error.description, title="Invalid request", field=error.field, responseCode=int(error.code))
    return None


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "body"


def _reason(kind: str, message: str) -> str:
    return "unknown field" if kind == "extra_forbidden" else message.removeprefix("Value error, ")


class Api:
    """The handlers; one per process."""

    def __init__(self, store: Store, desk: Desk, clock: Clock, flush: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock
        self._flush = flush

    async def post_event(self, request: web.Request) -> web.StreamResponse:
        """Publish an event."""

        async def act(tx: Tx, body: EventIn, now: datetime) -> tuple[int, BaseModel]:
            stored = await publish.publish(tx, body.draft(), now, self._desk, request[ACTOR])
            return 201, present.event_summary(stored, now)

        return await self._change(request, EventIn, act)

    async def cancel_event(self, request: web.Request) -> web.StreamResponse:
        """Cancel an event."""

        async def act(tx: Tx, body: CancelIn, now: datetime) -> tuple[int, BaseModel]:
            stored = await publish.cancel(tx, request.match_info["eventID"], now, request[ACTOR], body.reason)
            if stored is None:
                raise Problem(404, "no event has that eventID", field="eventID")
            return 200, present.event_summary(stored, now)

        return await self._change(request, CancelIn, act)

    async def post_ven(self, request: web.Request) -> web.StreamResponse:
        """Enrol a VEN."""

        async def act(tx: Tx, body: VenIn, now: datetime) -> tuple[int, BaseModel]:
            row = await enrolment.enrol(tx, body.enrolment(), now)
            return 201, present.ven(row, await tx.vens.resources(ven_ids=(row.ven_id,)))

        return await self._change(request, VenIn, act)

    async def get_events(self, request: web.Request) -> web.StreamResponse:
        """List events, latest dtstart first."""
        page = Page.model_validate(dict(request.query))
        now = self._clock.now()
        async with self._store.read() as tx:
            rows = await tx.events.page(after=_cursor(page.cursor, tuple[datetime, str]), limit=page.limit)
        last = (rows[-1].event.active_period.dtstart, rows[-1].event_id) if len(rows) == page.limit else None
        events = tuple(present.event_summary(row, now) for row in rows)
        return _json(EventPage(events=events, next=_next(last)))

    async def get_event(self, request: web.Request) -> web.StreamResponse:
        """Show an event with its state per VEN and resource."""
        await self._flush()
        now = self._clock.now()
        async with self._store.read() as tx:
            view = await overview.event_view(tx, request.match_info["eventID"], now)
        if view is None:
            raise Problem(404, "no event has that eventID", field="eventID")
        return _json(present.event_detail(view, now))

    async def get_vens(self, request: web.Request) -> web.StreamResponse:
        """List VENs by venID."""
        page = Page.model_validate(dict(request.query))
        await self._flush()
        async with self._store.read() as tx:
            rows = await tx.vens.page(after=_cursor(page.cursor, str) or "", limit=page.limit)
            resources = await tx.vens.resources(ven_ids=[row.ven_id for row in rows])
        last = rows[-1].ven_id if len(rows) == page.limit else None
        return _json(VenPage(vens=tuple(present.ven(row, resources) for row in rows), next=_next(last)))

    async def get_reports(self, request: web.Request) -> web.StreamResponse:
        """List telemetry, oldest first."""
        query = ReportQuery.model_validate(dict(request.query))
        async with self._store.read() as tx:
            rows = await tx.reports.page(
                ven_id=query.venID,
                resource_id=query.resourceID,
                r_id=query.rID,
                start=query.start,
                end=query.end,
                after=_cursor(query.cursor, tuple[datetime, int]),
                limit=query.limit,
            )
        last = (rows[-1].dtstart, rows[-1].row_id) if len(rows) == query.limit else None
        return _json(ReportPage(reports=tuple(present.telemetry(row) for row in rows), next=_next(last)))

    async def get_opts(self, request: web.Request) -> web.StreamResponse:
        """List opts, newest first."""
        query = OptQuery.model_validate(dict(request.query))
        async with self._store.read() as tx:
            rows = await tx.opts.page(
                ven_id=query.venID, event_id=query.eventID, after=_cursor(query.cursor, int), limit=query.limit
            )
        last = rows[-1].row_id if len(rows) == query.limit else None
        return _json(OptPage(opts=tuple(present.opt(row) for row in rows), next=_next(last)))

    async def _change(
        self,
        request: web.Request,
        kind: type[M],
        act: Callable[[Tx, M, datetime], Awaitable[tuple[int, BaseModel]]],
    ) -> web.StreamResponse:
        data = await _body(request)
        key = request.headers.get(IDEMPOTENCY_KEY)
        if key is not None and not 0 < len(key) <= _MAX_KEY:
            raise Problem(422, f"{IDEMPOTENCY_KEY}: 1 to {_MAX_KEY} characters", field=IDEMPOTENCY_KEY)
        body = _parse(data, kind)
        digest = hashlib.sha256(f"{request.method} {request.path}\n".encode() + data).digest()
        async with self._store.write() as tx:
            name = None if key is None else f"{request[ACTOR]} {key}"
            before = None if name is None else await tx.keys.get(name)
            if before is not None:
                return _again(before, digest)
            now = self._clock.now()
            status, view = await act(tx, body, now)
            answer = view.model_dump_json().encode()
            if name is not None:
                await tx.keys.put(name, Answered(digest=digest, status=status, body=answer), now)
        return web.Response(status=status, body=answer, content_type="application/json")


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > MAX_JSON_BYTES:
        raise Problem(413, f"the body exceeds {MAX_JSON_BYTES} bytes")
    parts: list[bytes] = []
    while chunk := await request.content.readany():
        parts.append(chunk)
        if sum(map(len, parts)) > MAX_JSON_BYTES:
            raise Problem(413, f"the body exceeds {MAX_JSON_BYTES} bytes")
    return b"".join(parts)


def _parse(data: bytes, kind: type[M]) -> M:
    try:
        value = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"not JSON: {error}", title="Invalid body") from None
    return kind.model_validate(value)


def _again(before: Answered, digest: bytes) -> web.Response:
    if before.digest != digest:
        raise Problem(422, f"{IDEMPOTENCY_KEY} was used for another request", field=IDEMPOTENCY_KEY)
    return web.Response(status=before.status, body=before.body, content_type="application/json")


def _json(view: BaseModel) -> web.Response:
    return web.Response(body=view.model_dump_json().encode(), content_type="application/json")


def _next(last: object) -> str | None:
    return None if last is None else base64.urlsafe_b64encode(msgspec.json.encode(last)).decode()


def _cursor(text: str | None, kind: type[C]) -> C | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=kind)
    except (ValueError, msgspec.DecodeError):
        raise Problem(422, "cursor: not one that this API gave", field="cursor") from None
