"""The people behind the loads in the operator API: what a driver needs by when, and whether what was promised is kept.

Rule: as in the other routes: read, check, copy. A need is durable before it is answered; what it comes to is worked out
when it is asked for.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from aiohttp import web

from bridge.api.arbitration_bodies import Name
from bridge.api.bodies import PREFIX, Body
from bridge.grid import SiteReading
from bridge.gridbook import UnknownSite
from bridge.needdesk import NeedView
from bridge.needs import DriverNeed, Feasibility
from bridge.service import WEEK
from bridge.store import BridgeStore
from bridge.supervisor import Supervisor
from runtime.clock import Clock
from runtime.http import Problem, json_body, json_response

Energy = Annotated[float, msgspec.Meta(gt=0, le=10_000)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class NeedRequest(Body, frozen=True, forbid_unknown_fields=True):
    """PUT /needs: ``kWhNeeded`` from now on, or ``socTarget`` (0 to 1, where the state of charge is known).

    ``mustRun``: events that may be left are left rather than that it is missed. ``kWhBattery`` is the capacity of the
    car that is there, which a state of charge is a share of.
    """

    resource_id: Name
    departure: datetime
    kwh_needed: Energy | None = msgspec.field(default=None, name="kWhNeeded")
    soc_target: Share | None = None
    must_run: bool = False
    kwh_battery: Energy | None = msgspec.field(default=None, name="kWhBattery")


class StandBody(Body, frozen=True):
    """How a need stands under limits: ``kWhLeft`` is ``null`` where only a state of charge would tell."""

    feasible: bool
    kwh_left: float | None = msgspec.field(name="kWhLeft")
    kwh_reachable: float = msgspec.field(name="kWhReachable")
    kwh_shortfall: float = msgspec.field(name="kWhShortfall")
    words: str


class EventStandBody(Body, frozen=True):
    """The same if one event were the only one."""

    event_id: str
    stands: StandBody


class NeedBody(Body, frozen=True):
    """One need; ``source`` is driver or car (ISO 15118)."""

    resource_id: str
    source: str
    departure: datetime
    asked_at: datetime
    must_run: bool
    kwh_needed: float | None = msgspec.field(name="kWhNeeded")
    soc_target: float | None
    stands: StandBody
    events: list[EventStandBody]


class ServiceBody(Body, frozen=True):
    """What was promised for a resource, what the last 7 days were, and whether people still plug in."""

    resource_id: str
    events_per_week: int
    hours_per_event: float
    gap_hours: float
    floor: float
    stops_per_week: int
    events_last_week: int
    plug_ins: int
    plug_ins_before: int
    plug_ins_dropped: bool


class SiteReadingRequest(Body, frozen=True, forbid_unknown_fields=True):
    """PUT /sites/{id}/meter: ``kWNet`` through the site's connection, import above zero, at ``at`` (now)."""

    kw_net: Annotated[float, msgspec.Meta(ge=-1_000_000, le=1_000_000)] = msgspec.field(name="kWNet")
    at: datetime | None = None


class LoanBody(Body, frozen=True):
    """What one resource may draw on top of limits that count at the grid."""

    resource_id: str
    on_top_a: float
    until: datetime


class SiteSupplyBody(Body, frozen=True):
    """What a site supplies itself beyond its other loads, and how it is shared."""

    site: str
    kw_own: float = msgspec.field(name="kWOwn")
    resources: list[LoanBody]


class CustomerApi:
    """Handlers of the customers' part."""

    def __init__(self, *, supervisor: Supervisor, store: BridgeStore, clock: Clock) -> None:
        self._supervisor, self._store, self._clock = supervisor, store, clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{PREFIX}/needs", self.needs),
            web.put(f"{PREFIX}/needs", self.ask),
            web.delete(f"{PREFIX}/needs/{{id}}", self.end),
            web.get(f"{PREFIX}/service", self.service),
            web.put(f"{PREFIX}/sites/{{id}}/meter", self.site_meter),
        ]

    async def needs(self, _request: web.Request) -> web.Response:
        """GET /needs."""
        now = self._clock.now()
        return json_response([_need(self._supervisor.stands(each, now)) for each in self._supervisor.needs.values()])

    async def ask(self, request: web.Request) -> web.Response:
        """PUT /needs."""
        asked = await json_body(request, NeedRequest)
        now = self._clock.now()
        if asked.resource_id not in self._supervisor.resources:
            raise Problem(404, f"resourceID {asked.resource_id} is not known here", title="Unknown resource")
        if (asked.kwh_needed is None) == (asked.soc_target is None):
            raise Problem(400, "name exactly one of kWhNeeded and socTarget", title="Invalid body")
        if asked.departure.tzinfo is None:
            raise Problem(400, "departure: an instant with its offset is needed, for example 2026-03-02T17:00:00Z")
        if asked.departure <= now:
            raise Problem(400, "departure: it is over already", title="Invalid body")
        need = DriverNeed(
            resource_id=asked.resource_id,
            departure=asked.departure,
            asked_at=now,
            energy_wh=None if asked.kwh_needed is None else asked.kwh_needed * 1000.0,
            target_soc=asked.soc_target,
            must_run=asked.must_run,
        )
        battery_wh = None if asked.kwh_battery is None else asked.kwh_battery * 1000.0
        need = await self._supervisor.ask_need(need, battery_wh)
        return json_response(_need(self._supervisor.stands(need, now)))

    async def end(self, request: web.Request) -> web.Response:
        """DELETE /needs/{id}: the id is the resourceID."""
        name = request.match_info["id"]
        try:
            await self._supervisor.end_need(name)
        except KeyError:
            raise Problem(404, f"nobody needs anything at resource {name}", title="Unknown need") from None
        return web.Response(status=204)

    async def service(self, _request: web.Request) -> web.Response:
        """GET /service."""
        now, resources = self._clock.now(), self._supervisor.resources
        past = await self._store.past({each.charger: name for name, each in resources.items()}, now - WEEK)
        rows = []
        for name, each in resources.items():
            late, early, fewer = self._supervisor.plug_ins(name, now)
            rows.append(
                ServiceBody(
                    resource_id=name,
                    events_per_week=each.promise.events_per_week,
                    hours_per_event=each.promise.hours_per_event,
                    gap_hours=each.promise.gap_hours,
                    floor=each.promise.floor,
                    stops_per_week=each.promise.stops_per_week,
                    events_last_week=sum(one.start > now - WEEK for one in past.get(name, ())),
                    plug_ins=late,
                    plug_ins_before=early,
                    plug_ins_dropped=fewer,
                )
            )
        return json_response(rows)

    async def site_meter(self, request: web.Request) -> web.Response:
        """PUT /sites/{id}/meter."""
        asked = await json_body(request, SiteReadingRequest)
        now, site = self._clock.now(), request.match_info["id"]
        at = now if asked.at is None else asked.at
        if at.tzinfo is None:
            raise Problem(400, "at: an instant with its offset is needed, for example 2026-03-02T17:00:00Z")
        reading = SiteReading(site=site, net_w=asked.kw_net * 1000.0, at=min(at, now))
        try:
            supply_w, loans = await self._supervisor.site_reading(reading)
        except UnknownSite as error:
            raise Problem(404, str(error), title="Unknown site") from None
        rows = [LoanBody(resource_id=name, on_top_a=each.amperes, until=each.until) for name, each in loans.items()]
        return json_response(SiteSupplyBody(site=site, kw_own=round(supply_w / 1000.0, 3), resources=rows))


def _kwh(energy_wh: float | None) -> float | None:
    return None if energy_wh is None else round(energy_wh / 1000.0, 3)


def _stands(found: Feasibility) -> StandBody:
    return StandBody(
        feasible=found.left_wh is not None and not found.shortfall_wh,
        kwh_left=_kwh(found.left_wh),
        kwh_reachable=round(found.reachable_wh / 1000.0, 3),
        kwh_shortfall=round(found.shortfall_wh / 1000.0, 3),
        words=found.words,
    )


def _need(view: NeedView) -> NeedBody:
    need = view.need
    return NeedBody(
        resource_id=need.resource_id,
        source=need.source,
        departure=need.departure,
        asked_at=need.asked_at,
        must_run=need.must_run,
        kwh_needed=_kwh(need.energy_wh),
        soc_target=need.target_soc,
        stands=_stands(view.stands),
        events=[EventStandBody(event_id=name, stands=_stands(each)) for name, each in view.events.items()],
    )
