"""Energy, cost and carbon of every resource in the operator API, apart from the premises (TEL-16).

Rule: as in the other routes: read, check, copy. The table of rates is read at each call: a new one counts at once.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aiohttp import web

from bridge.api.bodies import PREFIX, Body
from bridge.api.window import window
from bridge.halfhour import HalfHour
from bridge.rates import Billed, Rates, RatesError, billed, parse
from bridge.resources import Resource
from bridge.store import BridgeStore
from runtime.clock import Clock
from runtime.http import Problem, json_response


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Where the rates are, ``None`` for none, and in which money."""

    rates: Path | None = None
    currency: str = ""


class EnergyBody(Body, frozen=True):
    """One resource over a time: what its own meter counted, what that cost, and its carbon."""

    resource_id: str
    charger_id: str
    meter_class: str
    start: datetime
    end: datetime
    half_hours: int
    kwh: float
    kwh_estimated: float
    cost: float | None
    currency: str
    g_co2: float | None
    half_hours_without_price: int


class EnergyApi:
    """Handlers of energy."""

    def __init__(self, resources: Mapping[str, Resource], store: BridgeStore, clock: Clock, tariff: Tariff) -> None:
        self._resources, self._store, self._clock, self._tariff = resources, store, clock, tariff

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get(f"{PREFIX}/energy", self.energy)]

    async def energy(self, request: web.Request) -> web.Response:
        """GET /energy?start=&end=&resourceID=."""
        start, end = window(request, self._clock.now())
        name = request.query.get("resourceID")
        if name is not None and name not in self._resources:
            raise Problem(404, f"resourceID {name} is not known here", title="Unknown resource")
        wanted = [each for each in self._resources.values() if name in (None, each.resource_id)]
        rates = await self._rates()
        rows: dict[str, list[HalfHour]] = {}
        for row in await self._store.half_hours([each.charger for each in wanted], start, end):
            rows.setdefault(row.charger, []).append(row)
        found = ((each, billed(each.resource_id, rows.get(each.charger, ()), rates)) for each in wanted)
        return json_response([self._body(each, bill, start, end) for each, bill in found])

    async def _rates(self) -> Rates:
        if self._tariff.rates is None:
            return {}
        try:
            return parse(await asyncio.to_thread(self._tariff.rates.read_text))
        except (OSError, UnicodeDecodeError, RatesError) as error:
            raise Problem(503, f"rates: {error}", title="Rates cannot be read") from error

    def _body(self, resource: Resource, bill: Billed, start: datetime, end: datetime) -> EnergyBody:
        return EnergyBody(
            resource_id=resource.resource_id,
            charger_id=resource.charger,
            meter_class=resource.meter_class,
            start=start,
            end=end,
            half_hours=bill.half_hours,
            kwh=bill.kwh,
            kwh_estimated=bill.estimated_kwh,
            cost=bill.cost,
            currency=self._tariff.currency if bill.cost is not None else "",
            g_co2=bill.carbon_g,
            half_hours_without_price=bill.unrated,
        )
