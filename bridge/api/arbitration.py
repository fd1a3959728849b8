"""The arbiter in the operator API: standing limits, opt schedules and suspensions, the ledger, why a limit was.

Rule: as in the other routes: read, check, copy. What was asked is durable before it is answered.
"""

import csv
import io
from datetime import datetime, timedelta
from urllib.parse import urlencode

from aiohttp import web

from bridge.api.arbitration_bodies import AheadBody, AheadRequest, LedgerBody, NoteBody, StandingBody, StandingRequest
from bridge.api.bodies import PREFIX, standard_name
from bridge.api.paging import cursor_of, page_limit, parse_cursor
from bridge.arbiter import SCHEDULE, SUSPENSION, Override, Source
from bridge.limiters import responsible
from bridge.standing import UnknownTarget
from bridge.store import Attribution, BridgeStore, LimitNote, StandingLimit
from bridge.supervisor import Supervisor
from runtime.clock import Clock, new_id
from runtime.http import Problem, json_body, json_response

_OPERATORS = (Source.SAFETY, Source.SITE, Source.DSO, Source.USER, Source.CALENDAR, Source.DEFAULT)
_COLUMNS = (
    "event_id",
    "resource_id",
    "start",
    "end",
    "kw_contracted",
    "kw_requested",
    "kw_effective",
    "kw_metered",
    "kw_counted",
    "source",
    "by_event",
    "outcome",
    "reason",
)


class ArbitrationApi:
    """Handlers of the arbiter's part."""

    def __init__(self, *, supervisor: Supervisor, store: BridgeStore, clock: Clock) -> None:
        self._supervisor, self._store, self._clock = supervisor, store, clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{PREFIX}/standing", self.standing),
            web.post(f"{PREFIX}/standing", self.set_standing),
            web.delete(f"{PREFIX}/standing/{{id}}", self.end_standing),
            web.get(f"{PREFIX}/opt-schedules", self.schedules),
            web.post(f"{PREFIX}/opt-schedules", self.add_schedule),
            web.delete(f"{PREFIX}/opt-schedules/{{id}}", self.end_ahead),
            web.get(f"{PREFIX}/suspensions", self.suspensions),
            web.post(f"{PREFIX}/suspensions", self.suspend),
            web.delete(f"{PREFIX}/suspensions/{{id}}", self.end_ahead),
            web.get(f"{PREFIX}/ledger", self.ledger),
            web.get(f"{PREFIX}/limits/history", self.history),
        ]

    async def standing(self, _request: web.Request) -> web.Response:
        """GET /standing."""
        book = self._supervisor.book
        return json_response([_standing(each, len(book.touched_by(each))) for each in book.limits.values()])

    async def set_standing(self, request: web.Request) -> web.Response:
        """POST /standing."""
        asked = await json_body(request, StandingRequest)
        start, end = _window(asked.start, asked.minutes, self._clock.now())
        limit = StandingLimit(
            limit_id=new_id("limit"),
            source=_source(asked.source),
            resource_id=asked.resource_id,
            group_id=asked.group_id,
            limit_a=asked.limit_a,
            limit_kw=asked.kw_limit,
            reason=asked.reason,
            start=start,
            end=end,
        )
        if (asked.resource_id is None) == (asked.group_id is None):
            raise Problem(400, "name exactly one of resourceID and groupID", title="Invalid body")
        if asked.limit_a is None and asked.kw_limit is None:
            raise Problem(400, "limitA or kWLimit is needed", title="Invalid body")
        try:
            await self._supervisor.set_standing(limit)
        except UnknownTarget as error:
            raise Problem(404, str(error), title="Unknown target") from None
        return json_response(_standing(limit, len(self._supervisor.book.touched_by(limit))), 201)

    async def end_standing(self, request: web.Request) -> web.Response:
        """DELETE /standing/{id}."""
        limit_id = request.match_info["id"]
        try:
            await self._supervisor.end_standing(limit_id)
        except KeyError:
            raise Problem(404, f"standing limit {limit_id} is not in force", title="Unknown limit") from None
        return web.Response(status=204)

    async def schedules(self, _request: web.Request) -> web.Response:
        """GET /opt-schedules."""
        return json_response([_ahead(each) for each in self._supervisor.overrides if each.source == SCHEDULE])

    async def suspensions(self, _request: web.Request) -> web.Response:
        """GET /suspensions."""
        return json_response([_ahead(each) for each in self._supervisor.overrides if each.source == SUSPENSION])

    async def add_schedule(self, request: web.Request) -> web.Response:
        """POST /opt-schedules."""
        return await self._add(request, SCHEDULE)

    async def suspend(self, request: web.Request) -> web.Response:
        """POST /suspensions."""
        return await self._add(request, SUSPENSION)

    async def _add(self, request: web.Request, source: str) -> web.Response:
        asked = await json_body(request, AheadRequest)
        if asked.resource_id not in self._supervisor.resources:
            raise Problem(404, f"resourceID {asked.resource_id} is not known here", title="Unknown resource")
        start, end = _window(asked.start, asked.minutes, self._clock.now())
        made = await self._supervisor.opt_ahead(
            asked.resource_id, source=source, start=start, end=end, reason=asked.reason
        )
        return json_response(_ahead(made), 201)

    async def end_ahead(self, request: web.Request) -> web.Response:
        """DELETE /opt-schedules/{id} and /suspensions/{id}."""
        kind = SUSPENSION if "/suspensions/" in request.path else SCHEDULE
        name = request.match_info["id"]
        known = next((each for each in self._supervisor.overrides if each.override_id == name), None)
        if known is None or known.source != kind:
            raise Problem(404, f"{kind} {name} is not in force", title=f"Unknown {kind}")
        await self._supervisor.end_override(name)
        return web.Response(status=204)

    async def ledger(self, request: web.Request) -> web.Response:
        """GET /ledger?eventID=: a page of rows, oldest first, as JSON or (Accept: text/csv, format=csv) as CSV."""
        event_id = request.query.get("eventID")
        limit, after = page_limit(request.query.get("limit")), parse_cursor(request.query.get("cursor"))
        as_csv = request.query.get("format") == "csv" or "text/csv" in request.headers.get("Accept", "")
        rows = await self._store.attributions(event_id=event_id, after=after, limit=limit)
        if as_csv:
            answer = web.Response(text=_csv(rows), content_type="text/csv")
        else:
            answer = json_response([_ledger(each) for each in rows])
        if len(rows) == limit:
            last = rows[-1]
            query = {"limit": str(limit), "cursor": cursor_of((last.start, last.event_id, last.resource_id))}
            query |= {} if event_id is None else {"eventID": event_id}
            query |= {"format": "csv"} if as_csv else {}
            answer.headers["Link"] = f'<{PREFIX}/ledger?{urlencode(query)}>; rel="next"'
        return answer

    async def history(self, request: web.Request) -> web.Response:
        """GET /limits/history?resourceID=: what limited a resource, newest first (ARB-09)."""
        name = request.query.get("resourceID", "")
        if name not in self._supervisor.resources:
            raise Problem(404, f"resourceID {name} is not known here", title="Unknown resource")
        notes = await self._store.limit_notes(name, page_limit(request.query.get("limit")))
        return json_response([_note(each) for each in notes])


def _source(text: str) -> Source:
    for source in _OPERATORS:
        if source.value == text:
            return source
    raise Problem(400, f"source: one of {', '.join(each.value for each in _OPERATORS)}", title="Invalid body")


def _window(start: datetime | None, minutes: float | None, now: datetime) -> tuple[datetime, datetime | None]:
    if start is not None and start.tzinfo is None:
        raise Problem(400, "start: an instant with its offset is needed, for example 2026-03-02T17:00:00Z")
    begin = now if start is None else start
    end = None if minutes is None else begin + timedelta(minutes=minutes)
    if end is not None and end <= now:
        raise Problem(400, "start and minutes: the time is over already", title="Invalid body")
    return begin, end


def _standing(limit: StandingLimit, members: int) -> StandingBody:
    return StandingBody(
        id=limit.limit_id,
        source=limit.source.value,
        resource_id=limit.resource_id,
        group_id=limit.group_id,
        limit_a=limit.limit_a,
        kw_limit=limit.limit_kw,
        reason=limit.reason,
        start=limit.start,
        end=limit.end,
        members=members,
    )


def _ahead(each: Override) -> AheadBody:
    return AheadBody(
        id=each.override_id,
        kind=each.source,
        resource_id=each.resource_id,
        reason=each.reason,
        start=each.start,
        end=each.end,
        opt_id=each.opt_id or None,
    )


def _ledger(row: Attribution) -> LedgerBody:
    return LedgerBody(
        event_id=row.event_id,
        resource_id=row.resource_id,
        start=row.start,
        end=row.end,
        kw_contracted=row.contracted_kw,
        kw_requested=row.requested_kw,
        kw_effective=row.effective_kw,
        kw_metered=row.metered_kw,
        kw_counted=row.counted_kw,
        source=row.source,
        by_event=row.by_event,
        outcome=row.outcome,
        reason=row.reason,
    )


def _note(note: LimitNote) -> NoteBody:
    layer, owner = responsible(note.source)
    return NoteBody(
        resource_id=note.resource_id,
        at=note.at,
        limit_a=note.limit_a,
        source=note.source,
        layer=None if layer is None else layer.value,
        owner=owner,
        event_id=note.event_id,
        reason=note.reason,
        losers=note.losers,
    )


def _csv(rows: tuple[Attribution, ...]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow([standard_name(name) for name in _COLUMNS])
    for row in rows:
        writer.writerow([_cell(getattr(_ledger(row), name)) for name in _COLUMNS])
    return out.getvalue()


def _cell(value: object) -> object:
    """Return a cell; text that a spreadsheet would take for a formula is made plain."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value
