"""Many simulated charge points in one process, from a TOML file.

Rule: a charger's fault stays its own: each runs in its task and dials again; only a bad file stops the fleet.
"""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal

import aiohttp
import ocpp.messages
import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator

from bridge.simulators.charge_point import Access, Script, SimulatedChargePoint
from bridge.simulators.charger import BEHAVIOURS, Charger
from bridge.simulators.ev import VEHICLES, Ev, vehicle
from bridge.simulators.hardware import FIRMWARE, Hardware
from openadr import tls
from runtime.clock import Clock, SystemClock

_log = structlog.get_logger()
_STAGGER_S = 0.02  # between first dials, so that a large fleet does not knock all at once


class ApiAccess(BaseModel):
    """The bridge's API, as a driver's app uses it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="Base address, for example http://127.0.0.1:8081")
    token: str = Field(default="", description="Bearer token")
    ca: Path | None = None


class ChargerSpec(BaseModel):
    """One simulated charger and its car."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: str = Field(min_length=1, max_length=48)
    version: Literal["1.6", "2.0.1"] = "1.6"
    behaviour: str = "obeys"
    phases: Annotated[int, Field(ge=1, le=3)] = 3
    max_a: float = Field(default=32.0, ge=6)
    voltage: float = Field(default=230.0, gt=0)
    units: tuple[Literal["A", "W"], ...] = ("A", "W")
    cert: Path | None = None
    key: Path | None = None
    password: str | None = None
    sample_interval_s: int = Field(default=60, ge=1)
    soc: float = Field(default=0.3, ge=0, le=1)
    target_soc: float = Field(default=1.0, ge=0, le=1)
    battery_kwh: float = Field(default=60.0, gt=0)
    ev_max_a: float | None = None
    ev_phases: int | None = None
    vehicle: str = Field(default="ordinary", description="What the car does differently: a name of VEHICLES")
    ramp_a_s: float = Field(default=8.0, gt=0)
    plug_in_after_s: float = Field(default=0.0, ge=0)
    since: Literal["start", "limit"] = "start"
    at_s: float = Field(default=10.0, ge=0)
    offline_for_s: float | None = None
    override_by: Literal["button", "api"] = "button"
    boots_at_reconnect: bool = True

    @field_validator("vehicle")
    @classmethod
    def _met(cls, value: str) -> str:
        if value not in VEHICLES:
            raise ValueError(f"vehicle {value!r} is none of {', '.join(VEHICLES)}")
        return value

    @field_validator("behaviour")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in BEHAVIOURS:
            raise ValueError(f"behaviour {value!r} is none of {', '.join(BEHAVIOURS)}")
        return value


class FleetFile(BaseModel):
    """A fleet: where to dial, the CA of the server, the driver's app, the chargers. Paths count from the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="Websocket address without the identity, for example wss://127.0.0.1:9000/ocpp")
    ca: Path | None = None
    api: ApiAccess | None = None
    chargers: tuple[ChargerSpec, ...] = Field(min_length=1)


def load(path: Path) -> FleetFile:
    """Read a fleet file. Raises ``ValueError`` (also pydantic's and TOML's) naming the key, or ``OSError``."""
    return FleetFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def build(
    fleet: FleetFile, *, base: Path, clock: Clock, http: aiohttp.ClientSession
) -> tuple[SimulatedChargePoint, ...]:
    """Make the charge points of a fleet, ready to ``run``. ``base`` is the folder that paths count from."""
    by_app = _app(fleet.api, base, http) if fleet.api is not None else None
    return tuple(
        SimulatedChargePoint(
            hardware=_hardware(spec, clock),
            access=_access(fleet, spec, base),
            script=Script(
                plug_in_after_s=spec.plug_in_after_s,
                since=spec.since,
                at_s=spec.at_s,
                offline_for_s=spec.offline_for_s,
                override_by=spec.override_by,
                boots_at_reconnect=spec.boots_at_reconnect,
            ),
            http=http,
            override_by_app=by_app,
        )
        for spec in fleet.chargers
    )


async def run_fleet(path: Path, *, clock: Clock | None = None) -> None:
    """Run the fleet in ``path`` until cancelled."""
    fleet = load(path)
    ocpp.messages.ASYNC_VALIDATION = False  # a thread for each check costs more than the check
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        points = build(fleet, base=path.parent, clock=clock or SystemClock(), http=http)
        _log.info("simulated fleet starts", chargers=len(points), url=fleet.url)
        async with asyncio.TaskGroup() as group:
            for point in points:
                group.create_task(_guarded(point), name=f"sim-{point.hardware.charger.identity}")
                await asyncio.sleep(_STAGGER_S)


async def _guarded(point: SimulatedChargePoint) -> None:
    try:
        await point.run()
    except Exception:
        _log.exception("simulated charger stopped", charger=point.hardware.charger.identity)


def _hardware(spec: ChargerSpec, clock: Clock) -> Hardware:
    ev = Ev(
        battery_kwh=spec.battery_kwh,
        soc=spec.soc,
        target_soc=spec.target_soc,
        max_a=spec.max_a if spec.ev_max_a is None else spec.ev_max_a,
        phases=min(spec.phases, spec.phases if spec.ev_phases is None else spec.ev_phases),
        voltage=spec.voltage,
        ramp_a_s=spec.ramp_a_s,
    )
    charger = Charger(
        identity=spec.identity,
        ev=vehicle(spec.vehicle, ev),
        phases=spec.phases,
        max_a=spec.max_a,
        voltage=spec.voltage,
        behaviour=BEHAVIOURS[spec.behaviour],
        units=frozenset(spec.units),
        now=clock.now(),
    )
    traits = [FIRMWARE, "/".join(sorted(spec.units)), *([spec.behaviour] if spec.behaviour != "obeys" else [])]
    return Hardware(
        charger=charger,
        clock=clock,
        sample_interval_s=spec.sample_interval_s,
        firmware=", ".join(traits)[:50],  # chargers of one kind are alike: what one takes counts for all
    )


def _access(fleet: FleetFile, spec: ChargerSpec, base: Path) -> Access:
    context = None
    if fleet.url.startswith("wss:"):
        if fleet.ca is None:
            raise ValueError("ca: a wss address needs the CA of the server")
        chain = (base / spec.cert, base / spec.key) if spec.cert and spec.key else None
        try:
            context = tls.client_context(ca=base / fleet.ca, cert_chain=chain, profile=tls.TlsProfile.MODERN)
        except tls.TlsError as error:
            raise ValueError(f"chargers: {spec.identity}: {error}") from None
    return Access(url=fleet.url, version=spec.version, tls=context, password=spec.password)


def _app(api: ApiAccess, base: Path, http: aiohttp.ClientSession) -> Callable[[str], Awaitable[None]]:
    """The driver's app: ask the bridge to let this charger off the events of today."""
    context = (
        None if api.ca is None else tls.client_context(ca=base / api.ca, cert_chain=None, profile=tls.TlsProfile.MODERN)
    )

    async def override(identity: str) -> None:
        headers = {"Authorization": f"Bearer {api.token}"}
        address = f"{api.url.rstrip('/')}/api/v1/overrides"
        async with http.post(
            address,
            json={"chargerID": identity, "reason": "driver needs the car"},
            headers=headers,
            ssl=context if context is not None else True,
        ) as answer:
            _log.info("driver's app asked for an override", charger=identity, status=answer.status)

    return override
