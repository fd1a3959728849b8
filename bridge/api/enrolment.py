"""Agreements, random windows, charging modes and forecasts in the operator API; who limits, and what is sold.

Rule: as in the other routes: read, check, copy. What was asked is durable before it is answered.
"""

from datetime import datetime, timedelta
from itertools import pairwise

from aiohttp import web

from bridge.api.bodies import PREFIX
from bridge.api.enrolment_bodies import (
    AgreementBody,
    AgreementRequest,
    ClaimBody,
    ForecastBody,
    FrequencyRequest,
    LimiterBody,
    ModeBody,
    ModeRequest,
    OfferBody,
    RampBody,
    SlotBody,
    WindowBody,
    WindowRequest,
)
from bridge.modes import KINDS, Mode, Slot
from bridge.store import Agreement, BridgeStore
from bridge.supervisor import Supervisor
from openadr.uris import normal
from runtime.clock import Clock, new_id
from runtime.http import Problem, json_body, json_response

_KINDS = tuple(sorted(set(KINDS.values())))
_HOURS, _MOST_HOURS = 24, 168


class EnrolmentApi:
    """Handlers of this part."""

    def __init__(self, *, supervisor: Supervisor, store: BridgeStore, clock: Clock) -> None:
        self._supervisor, self._store, self._clock = supervisor, store, clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{PREFIX}/agreements", self.agreements),
            web.post(f"{PREFIX}/agreements", self.agree),
            web.delete(f"{PREFIX}/agreements/{{id}}", self.withdraw),
            web.get(f"{PREFIX}/random-windows", self.windows),
            web.put(f"{PREFIX}/random-windows/{{id}}", self.set_window),
            web.get(f"{PREFIX}/modes", self.modes),
            web.put(f"{PREFIX}/modes/{{id}}", self.choose),
            web.get(f"{PREFIX}/forecasts/{{id}}", self.forecast),
            web.put(f"{PREFIX}/forecasts/{{id}}", self.set_forecast),
            web.get(f"{PREFIX}/limiters", self.limiters),
            web.get(f"{PREFIX}/claims", self.claims),
            web.get(f"{PREFIX}/offers", self.offers),
            web.get(f"{PREFIX}/ramps", self.ramps),
            web.put(f"{PREFIX}/frequency", self.frequency),
        ]

    def _name(self, name: str) -> str:
        if name not in self._supervisor.resources:
            raise Problem(404, f"resourceID {name} is not known here", title="Unknown resource")
        return name

    def _names(self, request: web.Request) -> tuple[str, ...]:
        asked = request.query.get("resourceID")
        return tuple(self._supervisor.resources) if asked is None else (self._name(asked),)

    async def agreements(self, request: web.Request) -> web.Response:
        """GET /agreements: withdrawn ones included, for they are evidence."""
        now = self._clock.now()
        found = await self._store.agreements(request.query.get("resourceID"), withdrawn=True)
        return json_response([AgreementBody.of(each, now) for each in found])

    async def agree(self, request: web.Request) -> web.Response:
        """POST /agreements."""
        asked, now = await json_body(request, AgreementRequest), self._clock.now()
        context = normal(asked.market_context)
        if context not in self._supervisor.planner.programmes.by_context:
            raise Problem(404, f"marketContext {asked.market_context} is not enrolled here", title="Unknown programme")
        agreement = Agreement(
            agreement_id=new_id("agreement"),
            resource_id=self._name(asked.resource_id),
            context=context,
            who=asked.who,
            terms=asked.terms,
            given_at=now,
            until=None if asked.minutes is None else now + timedelta(minutes=asked.minutes),
            over_user=asked.over_user,
        )
        await self._supervisor.agree(agreement)
        return json_response(AgreementBody.of(agreement, now), 201)

    async def withdraw(self, request: web.Request) -> web.Response:
        """DELETE /agreements/{id}."""
        name = request.match_info["id"]
        try:
            await self._supervisor.withdraw(name)
        except KeyError:
            raise Problem(404, f"agreement {name} is not in force", title="Unknown agreement") from None
        return web.Response(status=204)

    def _window(self, name: str, now: datetime) -> WindowBody:
        resource = self._supervisor.resources[name]
        return WindowBody(resource_id=name, window_s=resource.window_s(now), own_delay_s=resource.own_delay_s)

    async def windows(self, _request: web.Request) -> web.Response:
        """GET /random-windows."""
        now = self._clock.now()
        return json_response([self._window(name, now) for name in self._supervisor.resources])

    async def set_window(self, request: web.Request) -> web.Response:
        """PUT /random-windows/{resourceID}."""
        name = self._name(request.match_info["id"])
        asked = await json_body(request, WindowRequest)
        await self._supervisor.set_window(name, asked.window_s)
        return json_response(self._window(name, self._clock.now()))

    def _mode(self, name: str) -> ModeBody:
        wish = self._supervisor.modes[name]
        return ModeBody(
            resource_id=name,
            mode=wish.mode.value,
            since=wish.at,
            pauses=tuple(
                (each.start, each.end)
                for each in self._supervisor.paused.get(name, ())
                if each.start is not None and each.end is not None
            ),
        )

    async def modes(self, _request: web.Request) -> web.Response:
        """GET /modes."""
        return json_response([self._mode(name) for name in self._supervisor.modes])

    async def choose(self, request: web.Request) -> web.Response:
        """PUT /modes/{resourceID}."""
        name = self._name(request.match_info["id"])
        asked = await json_body(request, ModeRequest)
        if asked.mode not in [each.value for each in Mode]:
            raise Problem(400, f"mode: one of {', '.join(Mode)}", title="Invalid body")
        await self._supervisor.choose(name, Mode(asked.mode))
        return json_response(self._mode(name))

    def _kind(self, request: web.Request) -> str:
        kind = request.match_info["id"]
        if kind not in _KINDS:
            raise Problem(404, f"there is no forecast {kind}: one of {', '.join(_KINDS)}", title="Unknown forecast")
        return kind

    def _forecast(self, kind: str) -> web.Response:
        slots = tuple(
            SlotBody(start=each.start, minutes=each.seconds / 60, value=each.value)
            for each in self._supervisor.forecasts.get(kind, ())
        )
        return json_response(ForecastBody(slots=slots))

    async def forecast(self, request: web.Request) -> web.Response:
        """GET /forecasts/{kind}."""
        return self._forecast(self._kind(request))

    async def set_forecast(self, request: web.Request) -> web.Response:
        """PUT /forecasts/{kind}."""
        kind, asked = self._kind(request), await json_body(request, ForecastBody)
        slots = []
        for each in sorted(asked.slots, key=lambda slot: slot.start.isoformat()):
            if each.start.tzinfo is None:
                raise Problem(400, "slots.start: an instant with its offset is needed", title="Invalid body")
            slots.append(Slot(start=each.start, end=each.start + timedelta(minutes=each.minutes), value=each.value))
        slots.sort(key=lambda slot: slot.start)
        if any(one.end > other.start for one, other in pairwise(slots)):
            raise Problem(400, "slots: two of them overlap", title="Invalid body")
        await self._supervisor.set_forecast(kind, slots)
        return self._forecast(kind)

    async def limiters(self, request: web.Request) -> web.Response:
        """GET /limiters."""
        now = self._clock.now()
        names = self._names(request)
        return json_response(
            [LimiterBody.of(name, each) for name in names for each in self._supervisor.limiters(name, now)]
        )

    async def claims(self, request: web.Request) -> web.Response:
        """GET /claims."""
        now, text = self._clock.now(), request.query.get("hours", str(_HOURS))
        if not text.isdecimal() or not 1 <= int(text) <= _MOST_HOURS:
            raise Problem(400, f"hours: a number from 1 to {_MOST_HOURS}", title="Invalid query")
        end = now + timedelta(hours=int(text))
        names = self._names(request)
        return json_response([ClaimBody.of(each) for name in names for each in self._supervisor.claims(name, now, end)])

    async def offers(self, _request: web.Request) -> web.Response:
        """GET /offers."""
        now = self._clock.now()
        return json_response(
            [
                OfferBody(
                    resource_id=name,
                    kw_offerable=self._supervisor.offerable_kw(name, now),
                    kw_contracted=each.contracted_kw,
                    ev_controlled=each.ev_controlled,
                )
                for name, each in self._supervisor.resources.items()
            ]
        )

    async def ramps(self, _request: web.Request) -> web.Response:
        """GET /ramps."""
        return json_response([RampBody.of(each) for each in self._supervisor.planner.steps])

    async def frequency(self, request: web.Request) -> web.Response:
        """PUT /frequency."""
        asked = await json_body(request, FrequencyRequest)
        self._supervisor.note_frequency(asked.hz, self._clock.now())
        return web.Response(status=204)
