"""Composition root of the bridge process: VEN client, OCPP central system, supervisor and operator API on one database.

Rule: everything is made here and handed over; nothing happens at import. The order of start is the order of need: the
API (so that an operator sees what goes on), the chargers, the supervisor, and the VTN last.
"""

import importlib.metadata
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge import programmes
from bridge.api import Api, build_api
from bridge.api.energy import Tariff
from bridge.contents import ContentBook
from bridge.core import Parts
from bridge.cta2045.settings import cta_devices
from bridge.ctaside import CtaSide, cta_side
from bridge.downlink import Downlink
from bridge.ecoport import EcoPorts
from bridge.fleet import Fleet
from bridge.jobs import Housekeeper, jobs
from bridge.lookout import Lookout, lookout, webhook
from bridge.metrics import BridgeMetrics
from bridge.needdesk import plug_in_watch
from bridge.ocpp import proxy
from bridge.ocpp.authorise import read_list
from bridge.ocpp.central import CentralSystem
from bridge.ocpp.knowledge import load as load_quirks
from bridge.ocpp.proxy import Proxy
from bridge.outage import lost_after_s
from bridge.program import Programmes
from bridge.reload import ProgrammeWatch
from bridge.resources import Resource
from bridge.rollup import RollUp
from bridge.selftest import SelfTester, signer
from bridge.settings import BridgeSettings, keeping, resources, supervision
from bridge.store import MIGRATIONS, VERSION_TABLE, BridgeStore
from bridge.supervisor import Supervisor
from bridge.target import LimitTarget
from bridge.upside import UpSide, up_side
from bridge.vtnlink import Surroundings, client_tls
from openadr import tls
from runtime.clock import Clock, Draw
from runtime.database import health, upgrade
from runtime.http import HealthCheck, Server, serve
from runtime.lifecycle import Part, held, task
from runtime.logs import get_logger
from runtime.metrics import new_registry
from ven.listener import push_tls
from ven.signed import signer_of

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
    supervisor: Supervisor
    central: CentralSystem
    api: web.Application
    registry: CollectorRegistry
    programmes: ProgrammeWatch
    housekeeper: Housekeeper
    up: UpSide
    cta: CtaSide
    tester: SelfTester
    ecoports: EcoPorts
    down: Downlink | None = None
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
            held("self-tests", self.tester.open, self.tester.close),
            *self.cta.parts(self.ecoports),
            held("jobs", self.housekeeper.start, self.housekeeper.stop),
            *((task("programmes", self.programmes.run),) if self.settings.programme.reload_s else ()),
            *self.up.parts(),
            *(() if self.down is None else (task("downstream", self.down.run),)),
        )


def api_tls(settings: BridgeSettings) -> ssl.SSLContext | None:
    """Return the operator API's context, ``None`` for plain HTTP. Raises ``TlsError``."""
    api = settings.api
    if api.cert is None or api.key is None:
        return None
    return tls.server_context(cert_chains=[(api.cert, api.key)], client_ca=None, profile=tls.TlsProfile.MODERN)


def check(settings: BridgeSettings, base: Path) -> None:
    """Read everything that the settings name, as a start would.

    Raises ``ProgrammeError``, ``TlsError``, ``SettingsError``.
    """
    programmes.load(settings.programme.files, base)
    api_tls(settings)
    webhook(settings.alerts)
    cta_devices(settings.cta, settings.cta_devices)
    for ven in (settings.ven, *settings.vtns):
        client_tls(ven)
        signer_of(ven)
        if ven.push is not None:
            push_tls(ven)
    ocpp = settings.ocpp
    if ocpp.cert is not None and ocpp.key is not None:
        tls.server_context(
            cert_chains=[(ocpp.cert, ocpp.key)],
            client_ca=ocpp.client_ca,
            profile=tls.TlsProfile(ocpp.tls_profile),
        )
    load_quirks(ocpp.quirk_files)
    if ocpp.authorise.file is not None:
        read_list(ocpp.authorise.file)
    proxy.check(settings.proxies, (each.identity for each in settings.chargers))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What every part of a bridge stands on."""

    settings: BridgeSettings
    loads: tuple[Resource, ...]
    engine: AsyncEngine
    store: BridgeStore
    clock: Clock
    draw: Draw
    registry: CollectorRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """The supervisor and what it stands between: devices on one side, VTNs on the other."""

    supervisor: Supervisor
    target: LimitTarget
    central: CentralSystem
    cta: CtaSide
    up: UpSide


async def build(
    settings: BridgeSettings, *, engine: AsyncEngine, clock: Clock, draw: Draw, base: Path | None = None
) -> Bridge:
    """Make a bridge on ``engine``, its tables migrated and its state loaded; ``base`` is the settings file's folder."""
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    store, registry, loads = BridgeStore(engine), new_registry("oadr-bridge", version()), resources(settings)
    on = _Ground(settings=settings, loads=loads, engine=engine, store=store, clock=clock, draw=draw, registry=registry)
    enrolled = programmes.load(settings.programme.files, base)
    fleet = Fleet((each.charger for each in loads), clock)
    contents = ContentBook(resources=loads, fleet=fleet, store=store, clock=clock)
    await contents.load()
    central = _central(on, fleet)
    cta = cta_side(
        settings,
        engine=engine,
        fleet=fleet,
        supervisor=lambda: supervisor,
        clock=clock,
        draw=draw,
        registry=registry,
    )
    target = cta.families(central)
    up = await up_side(
        settings,
        loads,
        _surroundings(on, enrolled, contents, lambda: supervisor),
        lost_after_s=lambda: lost_after_s(supervisor.planner.programmes.by_context.values()),
        registry=registry,
    )
    supervisor = _supervisor(on, enrolled, fleet, target, up, contents)
    await supervisor.load()
    supervisor.watch_enrolment(up.enrol)
    return _assembled(on, _Sides(supervisor=supervisor, target=target, central=central, cta=cta, up=up), enrolled, base)


def _supervisor(
    on: _Ground, enrolled: Programmes, fleet: Fleet, target: LimitTarget, up: UpSide, contents: ContentBook
) -> Supervisor:
    return Supervisor(
        Parts(
            resources=on.loads,
            programmes=enrolled,
            fleet=fleet,
            target=target,
            store=on.store,
            events=up.source,
            opts=up.source,
            ven_id=up.main.ven_id,
            clock=on.clock,
            draw=on.draw,
            metrics=BridgeMetrics(on.registry),
            settings=supervision(on.settings),
            link=up.watch,
            contents=contents,
        )
    )


def _central(on: _Ground, fleet: Fleet) -> CentralSystem:
    """Make the OCPP side; some of its chargers may have a CSMS of their own."""
    return CentralSystem(
        settings=on.settings.ocpp,
        chargers=(each.config for each in on.settings.chargers),
        events=fleet,
        clock=on.clock,
        registry=on.registry,
        proxy=Proxy(
            proxies=on.settings.proxies,
            ocpp=on.settings.ocpp,
            store=on.store,
            clock=on.clock,
            draw=on.draw,
            registry=on.registry,
        ),
        store=on.store,
    )


def _surroundings(
    on: _Ground, enrolled: Programmes, contents: ContentBook, supervisor: Callable[[], Supervisor]
) -> Surroundings:
    """Return what the links to the VTNs know of the bridge; ``supervisor`` is made after them."""
    downstream = on.settings.downstream
    return Surroundings(
        engine=on.engine,
        store=on.store,
        programmes=enrolled,
        sampling=on.settings.telemetry.sampling,
        clock=on.clock,
        draw=on.draw,
        changed=lambda: supervisor().events_changed(),
        flush=lambda: supervisor().flush(),
        contents=contents,
        routes=() if downstream is None else tuple(each.route for each in downstream.routes),
    )


def _assembled(on: _Ground, sides: _Sides, enrolled: Programmes, base: Path | None) -> Bridge:
    """Put around the supervisor what watches it, works for it and shows it."""
    settings, supervisor, up = on.settings, sides.supervisor, sides.up
    ecoports = sides.cta.minded(supervisor, up.silent, up.main.ven_id)
    seen = lookout(
        settings.alerts,
        supervisor=supervisor,
        target=sides.target,
        store=on.store,
        links=up.links,
        watch=up.watch,
        leads=up.leads,
        registry=on.registry,
    )
    tester = _tester(on, sides)
    return Bridge(
        settings=settings,
        tester=tester,
        engine=on.engine,
        store=on.store,
        supervisor=supervisor,
        central=sides.central,
        up=up,
        cta=sides.cta,
        ecoports=ecoports,
        down=None if settings.downstream is None else Downlink(settings.downstream, up.source.everything, on.clock),
        housekeeper=_housekeeper(on, supervisor, seen),
        programmes=_programme_watch(on, enrolled, base, supervisor, up),
        api=build_api(
            _api(on, sides, seen, tester, ecoports),
            token=settings.api.token.get_secret_value(),
            checks={"database": partial(health, on.engine), "supervisor": _pulse(on, supervisor), **up.checks()},
            registry=on.registry,
        ),
        registry=on.registry,
    )


def _tester(on: _Ground, sides: _Sides) -> SelfTester:
    return SelfTester(
        supervisor=sides.supervisor,
        target=sides.target,
        store=on.store,
        clock=on.clock,
        section=on.settings.self_test,
        sign=signer(on.settings.ven.key),
        software=f"openadr-gateway {version()}",
    )


def _api(on: _Ground, sides: _Sides, seen: Lookout, tester: SelfTester, ecoports: EcoPorts) -> Api:
    energy = on.settings.energy
    return Api(
        supervisor=sides.supervisor,
        target=sides.target,
        store=on.store,
        clock=on.clock,
        version=version(),
        vens={link.name: link.ven for link in sides.up.links},
        overview=seen.overview,
        tariff=Tariff(rates=energy.rates, currency=energy.currency),
        devices=ecoports,
        central=sides.central,
        tester=tester,
    )


def _housekeeper(on: _Ground, supervisor: Supervisor, seen: Lookout) -> Housekeeper:
    roll_up = RollUp(on.store, [each.charger for each in supervisor.resources.values()])
    return Housekeeper(
        (*jobs(on.store, roll_up, keeping(on.settings)), *seen.jobs, plug_in_watch(supervisor)), on.clock
    )


def _programme_watch(
    on: _Ground, enrolled: Programmes, base: Path | None, supervisor: Supervisor, up: UpSide
) -> ProgrammeWatch:
    def use(found: Programmes) -> None:
        up.use(found)
        supervisor.use(found)

    section = on.settings.programme
    return ProgrammeWatch(
        files=section.files, base=base, current=enrolled, use=use, clock=on.clock, every_s=section.reload_s
    )


def _pulse(on: _Ground, supervisor: Supervisor) -> HealthCheck:
    """Return the check that the supervisor finishes its rounds. It raises ``Stalled``."""

    async def supervised() -> None:
        at, now = supervisor.reconciled_at, on.clock.now()
        if at is None or (now - at).total_seconds() > STALLED_TICKS * on.settings.dispatch.tick_s:
            raise Stalled(f"the last finished round was at {at}")

    return supervised
