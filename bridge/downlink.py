"""Carries events of the VTN above to the operator API of a VTN below, again and again until both are alike.

Rule: a round reads what is there, works out the difference (``bridge.downstream``) and makes it disappear; a fault ends
the round and is met again at the next. What the VTN below refuses is said once for each version and not repeated.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

import aiohttp
from pydantic import Field, SecretStr, model_validator

from bridge.downstream import Route, Step, read_below, route_of, steps
from openadr import tls
from openadr.errors import ResponseCode
from openadr.model import Event, OptType
from runtime.clock import Clock
from runtime.logs import bound_reference, get_logger
from runtime.settings import Section, SettingsPath
from ven.model import Assess, Assessment, StoredEvent

PREFIX = "/api/v1"
CALL_S = 30.0  # one call of the API below
PAGE = 1000
LOOK_BACK = timedelta(days=1)  # events that ended before it are none of a round's business

log = get_logger(__name__)


class RouteSection(Section):
    """One ``[[downstream.routes]]`` table: a market context above, and where its events go."""

    above: str = Field(min_length=1, description="Market context of the VTN above")
    below: str = Field(default="", description="Market context at the VTN below; '' is the same")
    ven_ids: tuple[str, ...] = Field(default=(), description="venIDs there that they are for")
    group_ids: tuple[str, ...] = Field(default=(), description="groupIDs there that they are for")

    @model_validator(mode="after")
    def _aimed(self) -> Self:
        if not self.ven_ids and not self.group_ids:
            raise ValueError("ven_ids, group_ids: at least one name is needed")
        return self

    @property
    def route(self) -> Route:
        """The route as a value."""
        below = self.below or self.above
        return Route(above=self.above, below=below, ven_ids=self.ven_ids, group_ids=self.group_ids)


class DownstreamSection(Section):
    """The ``[downstream]`` section: a VTN below that events are passed on to (VEN-03)."""

    url: str = Field(pattern=r"^https?://", description="Operator API of the VTN below, without /api/v1")
    token: SecretStr = Field(description="Its bearer token")
    ca: SettingsPath | None = Field(default=None, description="CA of its certificate (PEM)")
    allow_insecure_http: bool = Field(default=False, description="Accept plain HTTP: loopback and rehearsals only")
    every_s: float = Field(default=10.0, gt=0, le=3600, description="Time between two rounds, s")
    routes: tuple[RouteSection, ...] = Field(min_length=1, description="Which events go where")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.url.startswith("http:") and not self.allow_insecure_http:
            raise ValueError("url: needs https; allow_insecure_http = true accepts plain HTTP")
        return self


class Passing:
    """The VEN's answer to events: those that are passed on are taken on, whatever the chargers here can do."""

    def __init__(self, assess: Assess, routes: Sequence[Route]) -> None:
        self._assess, self._routes = assess, tuple(routes)

    def __call__(self, event: Event, now: datetime) -> Assessment:
        """Return the decision on ``event``."""
        found = self._assess(event, now)
        if found.opt_type is OptType.OPT_IN or route_of(event, self._routes) is None:
            return found
        return Assessment(response_code=ResponseCode.OK, opt_type=OptType.OPT_IN, description="passed on")


class Downlink:
    """The way down. ``events`` returns what the VTN above wants."""

    def __init__(
        self, settings: DownstreamSection, events: Callable[[], Awaitable[Sequence[StoredEvent]]], clock: Clock
    ) -> None:
        self._settings, self._events, self._clock = settings, events, clock
        self._routes = tuple(each.route for each in settings.routes)
        self._refused: set[str] = set()

    async def run(self) -> None:
        """Make round after round until cancelled."""
        async with self._session() as http:
            while True:
                with bound_reference():
                    try:
                        await self.round(http)
                    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                        log.warning("the VTN below is not served", why=str(error))
                await self._clock.sleep(self._settings.every_s)

    def _session(self) -> aiohttp.ClientSession:
        settings = self._settings
        context: ssl.SSLContext | None = None
        if settings.ca is not None:
            context = tls.client_context(ca=settings.ca, cert_chain=None, profile=tls.TlsProfile.MODERN)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context if context is not None else True),
            headers={"Authorization": f"Bearer {settings.token.get_secret_value()}"},
            timeout=aiohttp.ClientTimeout(total=CALL_S),
        )

    async def round(self, http: aiohttp.ClientSession) -> int:
        """Make below as above; return how many calls it took. Raises what the connection raises."""
        now, stored = self._clock.now(), await self._events()
        below = read_below([row for context in self._contexts for row in await self._known(http, context)])
        made = 0
        for step in steps(stored, below, self._routes, now):
            if step.key not in self._refused:
                made += await self._make(http, step)
        return made

    @property
    def _contexts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.below for each in self._routes))

    async def _known(self, http: aiohttp.ClientSession, context: str) -> list[Mapping[str, Any]]:
        """Return the events of a market context below that are not long over."""
        since = (self._clock.now() - LOOK_BACK).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {"marketContext": context, "limit": str(PAGE), "start": since}
        found: list[Mapping[str, Any]] = []
        while True:
            async with http.get(f"{self._settings.url.rstrip('/')}{PREFIX}/events", params=query) as answer:
                answer.raise_for_status()
                page = await answer.json()
            found += page["events"]
            if not page["next"]:
                return found
            query["cursor"] = page["next"]

    async def _make(self, http: aiohttp.ClientSession, step: Step) -> int:
        address = f"{self._settings.url.rstrip('/')}{PREFIX}{step.path}"
        async with http.request(step.method, address, json=step.body, headers={"Idempotency-Key": step.key}) as answer:
            if answer.status < 300:
                log.info("passed on", step=step.key, method=step.method, path=step.path)
                return 1
            if answer.status in (400, 404, 409, 422):
                self._refused.add(step.key)
                log.error("refused by the VTN below", step=step.key, status=answer.status, why=await answer.text())
                return 0
            answer.raise_for_status()
            return 0
