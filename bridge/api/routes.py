"""The operator API's routes over the supervisor and the store; bearer token, JSON, problem+json.

Rule: a route reads, checks and copies; decisions are made in the core. What is shown was durable before it is shown.
"""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

from aiohttp import web
from prometheus_client import CollectorRegistry

from bridge.api import bodies
from bridge.api.arbitration import ArbitrationApi
from bridge.api.bodies import PREFIX
from bridge.api.customers import CustomerApi
from bridge.api.devices import DevicesApi
from bridge.api.energy import EnergyApi, Tariff
from bridge.api.enrolment import EnrolmentApi
from bridge.api.openapi import document
from bridge.api.overview import OverviewApi
from bridge.api.paging import cursor_of, page_limit, parse_cursor
from bridge.api.stations import StationsApi
from bridge.api.upstream import UpstreamApi, Ven
from bridge.ecoport import EcoPorts
from bridge.ocpp.central import CentralSystem
from bridge.overrides import ConfirmationNeeded, OverrideRefused, UnknownEvent
from bridge.overview import Overview
from bridge.resources import Resource
from bridge.selftest import SelfTester
from bridge.store import BridgeStore, Outcome
from bridge.store.records import Phase
from bridge.supervisor import Supervisor
from bridge.target import LimitTarget
from runtime.clock import Clock
from runtime.http import HealthCheck, Problem, bearer_auth, errors, health_routes, json_body, json_response

OPEN_PATHS = frozenset({"/health"})


class Api:
    """Handlers; one instance a process."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        target: LimitTarget,
        store: BridgeStore,
        clock: Clock,
        version: str,
        vens: Mapping[str, Ven],
        devices: EcoPorts | None = None,
        overview: Overview | None = None,
        tariff: Tariff | None = None,
        central: CentralSystem | None = None,
        tester: SelfTester | None = None,
    ) -> None:
        self._supervisor, self._target, self._store, self._clock = supervisor, target, store, clock
        self._document = document(version)
        self._upstream = UpstreamApi(vens)
        self._devices = DevicesApi(devices)
        overview = overview or Overview(supervisor=supervisor, target=target, store=store)
        self._overview = OverviewApi(overview, store, clock)
        self._energy = EnergyApi(supervisor.resources, store, clock, tariff or Tariff())
        self._enrolment = EnrolmentApi(supervisor=supervisor, store=store, clock=clock)
        self._arbitration = ArbitrationApi(supervisor=supervisor, store=store, clock=clock)
        self._customers = CustomerApi(supervisor=supervisor, store=store, clock=clock)
        self._by_charger = {each.charger: each for each in supervisor.resources.values()}
        self._stations = StationsApi(central=central, tester=tester, store=store, by_charger=self._by_charger)

    def routes(self) -> list[web.RouteDef]:
        """Return every route of the API."""
        return [
            web.get(f"{PREFIX}/chargers", self.chargers),
            web.get(f"{PREFIX}/limits", self.limits),
            web.get(f"{PREFIX}/outcomes", self.outcomes),
            web.get(f"{PREFIX}/overrides", self.overrides),
            web.post(f"{PREFIX}/overrides", self.create_override),
            web.delete(f"{PREFIX}/overrides/{{id}}", self.delete_override),
            *self._arbitration.routes(),
            *self._enrolment.routes(),
            *self._customers.routes(),
            *self._upstream.routes(),
            *self._devices.routes(),
            *self._stations.routes(),
            *self._overview.routes(),
            *self._energy.routes(),
            web.get("/openapi.json", self.openapi),
        ]

    async def chargers(self, _request: web.Request) -> web.Response:
        """GET /chargers."""
        now = self._clock.now()
        found: dict[str, list[Outcome]] = {}
        for outcome in self._supervisor.ledger.outcomes.values():
            if outcome.phase is not Phase.CLOSED:
                found.setdefault(outcome.resource_id, []).append(outcome)
        return json_response(
            [
                bodies.charger_body(
                    each,
                    self._target.status(each.charger),
                    self._supervisor.effective(each.resource_id, now),
                    tuple(found.get(each.resource_id, ())),
                    self._supervisor.overridden(each.resource_id, now),
                )
                for each in self._supervisor.resources.values()
            ]
        )

    async def limits(self, _request: web.Request) -> web.Response:
        """GET /limits."""
        now = self._clock.now()
        rows = []
        for each in self._supervisor.resources.values():
            line = self._supervisor.planner.line(each.resource_id, now)
            key = (line[0].event_id or "", each.resource_id)
            rows.append(
                bodies.limit_body(
                    each,
                    line,
                    self._supervisor.ledger.outcomes.get(key),
                    self._supervisor.dispatcher.installed.get(each.charger),
                    now,
                )
            )
        return json_response(rows)

    async def outcomes(self, request: web.Request) -> web.Response:
        """GET /outcomes?eventID=, or a page of all with limit and cursor; Link names the next page (RFC 8288)."""
        event_id = request.query.get("eventID")
        headers: dict[str, str] = {}
        if event_id is not None:
            found = await self._store.outcomes(event_id=event_id)
            if not found:
                raise Problem(404, f"event {event_id} is not known at any charger here", title="Unknown event")
        else:
            limit, after = page_limit(request.query.get("limit")), parse_cursor(request.query.get("cursor"))
            found = await self._store.outcome_page(after, limit)
            if len(found) == limit:
                last = found[-1]
                cursor = cursor_of((last.effective_start, last.event_id, last.resource_id))
                query = urlencode({"limit": limit, "cursor": cursor})
                headers["Link"] = f'<{PREFIX}/outcomes?{query}>; rel="next"'
        told = await self._store.opts({each.event_id for each in found})
        means = await self._means_so_far(found)
        answer = json_response(
            [
                bodies.outcome_body(
                    each,
                    told.get((each.event_id, each.resource_id)),
                    means.get((each.event_id, each.resource_id)),
                )
                for each in found
            ]
        )
        answer.headers.update(headers)
        return answer

    async def _means_so_far(self, outcomes: tuple[Outcome, ...]) -> dict[tuple[str, str], float]:
        """Return the mean kW of running events until now; one query for each group with the same start."""
        now = self._clock.now()
        settle = timedelta(seconds=self._supervisor.settings.policy.settle_s)
        groups: dict[object, list[Outcome]] = {}
        for each in outcomes:
            if each.phase is Phase.RUNNING and each.applied_at is not None:
                groups.setdefault(each.applied_at, []).append(each)
        means: dict[tuple[str, str], float] = {}
        for group in groups.values():
            start = (group[0].applied_at or now) + settle
            found = await self._store.mean_power([each.charger for each in group], start, now)
            for each in group:
                if each.charger in found:
                    means[(each.event_id, each.resource_id)] = round(found[each.charger].power_w / 1000, 3)
        return means

    async def overrides(self, _request: web.Request) -> web.Response:
        """GET /overrides."""
        return json_response(
            [
                bodies.override_body(each, self._supervisor.resources[each.resource_id].charger)
                for each in self._supervisor.overrides
                if each.resource_id in self._supervisor.resources
            ]
        )

    async def create_override(self, request: web.Request) -> web.Response:
        """POST /overrides."""
        asked = await json_body(request, bodies.OverrideRequest)
        resource = self._resource(asked)
        try:
            made = await self._supervisor.override(
                resource.resource_id,
                event_id=asked.event_id,
                reason=asked.reason,
                duration_s=None if asked.duration_minutes is None else asked.duration_minutes * 60,
                source="user",
                confirmation=asked.confirmation,
            )
        except ConfirmationNeeded as needed:
            first = bodies.ConfirmBody(confirmation=needed.token, until=needed.until, event_ids=needed.event_ids)
            return json_response(first, 202)
        return json_response(bodies.override_body(made, resource.charger), 201)

    def _resource(self, asked: bodies.OverrideRequest) -> Resource:
        if (asked.charger_id is None) == (asked.resource_id is None):
            raise Problem(400, "name exactly one of chargerID and resourceID", title="Invalid body")
        if asked.charger_id is not None:
            found = self._by_charger.get(asked.charger_id)
            if found is None:
                raise Problem(404, f"chargerID {asked.charger_id} is not known here", title="Unknown charger")
            return found
        found = self._supervisor.resources.get(asked.resource_id or "")
        if found is None:
            raise Problem(404, f"resourceID {asked.resource_id} is not known here", title="Unknown resource")
        return found

    async def delete_override(self, request: web.Request) -> web.Response:
        """DELETE /overrides/{id}."""
        override_id = request.match_info["id"]
        try:
            await self._supervisor.end_override(override_id)
        except KeyError:
            raise Problem(404, f"override {override_id} is not in force", title="Unknown override") from None
        return web.Response(status=204)

    async def openapi(self, _request: web.Request) -> web.Response:
        """GET /openapi.json."""
        return json_response(self._document)


def _translate(error: Exception) -> Problem | None:
    if isinstance(error, UnknownEvent):
        return Problem(404, str(error), title="Unknown event")
    if isinstance(error, OverrideRefused):
        return Problem(409, error.detail, title="Override refused", rule=error.rule)
    return None


def build_api(api: Api, *, token: str, checks: dict[str, HealthCheck], registry: CollectorRegistry) -> web.Application:
    """Return the aiohttp application with its middlewares."""
    auth = bearer_auth({"operator": token}, open_paths=OPEN_PATHS)
    application = web.Application(middlewares=[errors(_translate), auth])
    application.add_routes([*api.routes(), *health_routes(checks, registry)])
    return application
