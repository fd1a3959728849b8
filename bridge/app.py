"""Composition root of the bridge process: VEN client, OCPP central system, supervisor and operator API on one database.

Rule: everything is made here and handed over; nothing happens at import. The order of start is the order of need: the
API (so that an operator sees what goes on), the chargers, the supervisor, and the VTN last.
"""

import importlib.metadata
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge import programmes
from bridge.api import Api, build_api
from bridge.assess import Assessor
from bridge.fleet import Fleet
from bridge.metrics import BridgeMetrics
from bridge.ocpp.central import CentralSystem
from bridge.settings import BridgeSettings, charger_configs, resources, sampling, supervision
from bridge.store import MIGRATIONS, VERSION_TABLE, BridgeStore
from bridge.supervisor import Supervisor
from bridge.telemetry import Telemetry
from openadr import tls
from openadr.model import ReportInterval, ReportRequest
from runtime.clock import Clock, Draw
from runtime.database import health, upgrade
from runtime.http import Server, serve
from runtime.lifecycle import Part, held, task
from runtime.logs import get_logger
from runtime.metrics import new_registry
from ven.client import VenClient
from ven.state import VenStore

STALLED_TICKS = 30.0  # ticks without a finished reconciliation before the supervisor counts as stalled

log = get_logger(__name__)


def version() -> str:
    """Return the product's version."""
    return importlib.metadata.version("openadr-gateway")


class Stalled(Exception):
    """The supervisor has not finished a round for too long."""


@dataclass(slots=True, kw_only=True)
class Bridge:
    """One bridge, made and ready: ``parts`` run in a process, ``start`` and ``stop`` serve tests of one listener."""

    settings: BridgeSettings
    engine: AsyncEngine
    store: BridgeStore
    ven_store: VenStore
    supervisor: Supervisor
    central: CentralSystem
    ven: VenClient
    api: web.Application
    registry: CollectorRegistry
    server: Server | None = None

    async def start_api(self) -> None:
        """Listen for operators."""
        api = self.settings.api
        self.server = await serve(self.api, api.host, api.port, api_tls(self.settings))
        log.info("operator API listens", host=api.host, port=self.server.port, tls=api.cert is not None)

    async def stop_api(self) -> None:
        """Stop listening."""
        if self.server is not None:
            await self.server.stop()

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of the process in their order of start."""
        return (
            held("api", self.start_api, self.stop_api),
            held("ocpp", self.central.start, self.central.stop),
            task("supervisor", self.supervisor.run),
            task("ven", self.ven.run),
        )


def ven_tls(settings: BridgeSettings) -> ssl.SSLContext | None:
    """Return the context towards the VTN, ``None`` for plain HTTP. Raises ``TlsError`` naming the file at fault."""
    ven = settings.ven
    if ven.ca is None:
        return None
    chain = None if ven.cert is None or ven.key is None else (ven.cert, ven.key)
    return tls.client_context(ca=ven.ca, cert_chain=chain, profile=ven.tls_profile)


def api_tls(settings: BridgeSettings) -> ssl.SSLContext | None:
    """Return the operator API's context, ``None`` for plain HTTP. Raises ``TlsError``."""
    api = settings.api
    if api.cert is None or api.key is None:
        return None
    return tls.server_context(cert_chains=[(api.cert, api.key)], client_ca=None, profile=tls.TlsProfile.MODERN)


def check(settings: BridgeSettings, base: Path) -> None:
    """Read everything that the settings name, as a start would. Raises ``ProgrammeError``, ``TlsError``."""
    programmes.load(settings.programme.files, base)
    ven_tls(settings)
    api_tls(settings)
    ocpp = settings.ocpp
    if ocpp.cert is not None and ocpp.key is not None:
        tls.server_context(
            cert_chains=[(ocpp.cert, ocpp.key)],
            client_ca=ocpp.client_ca,
            profile=tls.TlsProfile(ocpp.tls_profile),
        )


async def build(
    settings: BridgeSettings, *, engine: AsyncEngine, clock: Clock, draw: Draw, base: Path | None = None
) -> Bridge:
    """Make a bridge on ``engine``, its tables migrated and its state loaded; ``base`` is the settings file's folder."""
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    registry = new_registry("oadr-bridge", version())
    store, ven_store = BridgeStore(engine), await VenStore.open(engine)
    enrolled, chargers = programmes.load(settings.programme.files, base), resources(settings)

    def ven_id() -> str | None:
        registration = ven_store.snapshot.registration
        return None if registration is None else registration.ven_id

    async def collect(request: ReportRequest, start: datetime, end: datetime) -> tuple[ReportInterval, ...]:
        return await telemetry.collect(request, start, end)

    fleet = Fleet((charger.charger for charger in chargers), clock)
    central = CentralSystem(
        settings=settings.ocpp, chargers=charger_configs(settings), events=fleet, clock=clock, registry=registry
    )
    ven = VenClient(
        settings=settings.ven,
        store=ven_store,
        assess=Assessor(enrolled, chargers, ven_id),
        capabilities=lambda: telemetry.capabilities(),
        collect=collect,
        clock=clock,
        draw=draw,
        on_change=lambda: supervisor.events_changed(),
        ssl_context=ven_tls(settings),
        registry=registry,
    )
    supervisor = Supervisor(
        resources=chargers,
        programmes=enrolled,
        fleet=fleet,
        target=central,
        store=store,
        events=ven_store,
        opts=ven,
        ven_id=ven_id,
        clock=clock,
        draw=draw,
        metrics=BridgeMetrics(registry),
        settings=supervision(settings),
    )
    telemetry = Telemetry(
        resources=chargers,
        samples=store,
        standing=supervisor,
        flush=supervisor.flush,
        sampling=sampling(settings),
    )
    await supervisor.load()
    return Bridge(
        settings=settings,
        engine=engine,
        store=store,
        ven_store=ven_store,
        supervisor=supervisor,
        central=central,
        ven=ven,
        api=_api(settings, supervisor, central, store, ven, engine, clock, registry),
        registry=registry,
    )


def _api(
    settings: BridgeSettings,
    supervisor: Supervisor,
    central: CentralSystem,
    store: BridgeStore,
    ven: VenClient,
    engine: AsyncEngine,
    clock: Clock,
    registry: CollectorRegistry,
) -> web.Application:
    async def database() -> None:
        await health(engine)

    async def supervised() -> None:
        at, now = supervisor.reconciled_at, clock.now()
        if at is None or (now - at).total_seconds() > STALLED_TICKS * settings.dispatch.tick_s:
            raise Stalled(f"the last finished round was at {at}")

    api = Api(supervisor=supervisor, target=central, store=store, clock=clock, version=version())
    return build_api(
        api,
        token=settings.api.token.get_secret_value(),
        checks={"database": database, "supervisor": supervised, "ven": ven.health},
        registry=registry,
    )
