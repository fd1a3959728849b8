"""Composition root of the bridge process: VEN client, OCPP central system, supervisor and operator API on one database.

Rule: everything is made here and handed over; nothing happens at import. The order of start is the order of need: the
API (so that an operator sees what goes on), the chargers, the supervisor, and the VTN last.
"""

import importlib.metadata
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge import programmes
from bridge.api import Api, build_api
from bridge.api.energy import Tariff
from bridge.contents import ContentBook
from bridge.cta2045.settings import cta_devices
from bridge.ctaside import CtaSide, cta_side
from bridge.downlink import Downlink
from bridge.ecoport import EcoPorts
from bridge.fleet import Fleet
from bridge.jobs import Housekeeper, jobs
from bridge.link import LinkWatch
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
from bridge.settings import BridgeSettings, charger_configs, keeping, resources, sampling, supervision, upstreams
from bridge.store import MIGRATIONS, VERSION_TABLE, BridgeStore
from bridge.supervisor import Supervisor
from bridge.target import LimitTarget
from bridge.upstreams import Upstreams
from bridge.vtnlink import Surroundings, VtnLink, client_tls, open_link
from openadr import tls
from runtime.clock import Clock, Draw
from runtime.database import health, upgrade
from runtime.http import Server, serve
from runtime.lifecycle import Part, held, task
from runtime.logs import get_logger
from runtime.metrics import new_registry
from ven.client import VenClient
from ven.listener import push_tls
from ven.metrics import VenFigures
from ven.signed import signer_of
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
    programmes: ProgrammeWatch
    housekeeper: Housekeeper
    links: tuple[VtnLink, ...]
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
            *(part for link in self.links for part in link.parts()),
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


async def build(
    settings: BridgeSettings, *, engine: AsyncEngine, clock: Clock, draw: Draw, base: Path | None = None
) -> Bridge:
    """Make a bridge on ``engine``, its tables migrated and its state loaded; ``base`` is the settings file's folder."""
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    registry = new_registry("oadr-bridge", version())
    store = BridgeStore(engine)
    enrolled, chargers = programmes.load(settings.programme.files, base), resources(settings)

    def use(programmes: Programmes) -> None:
        for link in links:
            link.assessor.use(programmes)
        supervisor.use(programmes)

    def patience_s() -> float:
        return lost_after_s(supervisor.planner.programmes.by_context.values())

    fleet = Fleet((charger.charger for charger in chargers), clock)
    contents = ContentBook(resources=chargers, fleet=fleet, store=store, clock=clock)
    await contents.load()
    central = CentralSystem(
        settings=settings.ocpp,
        chargers=charger_configs(settings),
        events=fleet,
        clock=clock,
        registry=registry,
        proxy=Proxy(
            proxies=settings.proxies, ocpp=settings.ocpp, store=store, clock=clock, draw=draw, registry=registry
        ),
        store=store,
    )
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
    around = Surroundings(
        engine=engine,
        store=store,
        programmes=enrolled,
        sampling=sampling(settings),
        clock=clock,
        draw=draw,
        changed=lambda: supervisor.events_changed(),
        flush=lambda: supervisor.flush(),
        contents=contents,
        routes=() if settings.downstream is None else tuple(each.route for each in settings.downstream.routes),
    )
    figures = VenFigures(registry)
    links = [await open_link(name, ven, mine, around, figures) for name, ven, mine in upstreams(settings, chargers)]
    main, leads = links[0], {each.resource_id: each.vtn for each in settings.loads}
    source = Upstreams([link.lane for link in links], leads)
    watch = LinkWatch(store, {link.name: link.ven for link in links}, patience_s, source.vtn_of)
    supervisor = Supervisor(
        resources=chargers,
        programmes=enrolled,
        fleet=fleet,
        target=target,
        store=store,
        events=source,
        opts=source,
        ven_id=main.ven_id,
        clock=clock,
        draw=draw,
        metrics=BridgeMetrics(registry),
        settings=supervision(settings),
        link=watch,
        contents=contents,
    )
    ecoports = cta.minded(
        supervisor,
        lambda resource_id: watch.silent_since(leads[resource_id]) is not None,
        main.ven_id,
    )
    seen = lookout(
        settings.alerts,
        supervisor=supervisor,
        target=target,
        store=store,
        links=tuple(links),
        watch=watch,
        leads=leads,
        registry=registry,
    )
    roll_up = RollUp(store, [each.charger for each in chargers])
    await supervisor.load()

    def amended(found: Mapping[str, Resource]) -> None:
        for link in links:
            link.assessor.enrol(found)

    supervisor.watch_enrolment(amended)
    tester = SelfTester(
        supervisor=supervisor,
        target=target,
        store=store,
        clock=clock,
        section=settings.self_test,
        sign=signer(settings.ven.key),
        software=f"openadr-gateway {version()}",
    )
    return Bridge(
        settings=settings,
        tester=tester,
        engine=engine,
        store=store,
        ven_store=main.store,
        supervisor=supervisor,
        central=central,
        ven=main.ven,
        links=tuple(links),
        cta=cta,
        ecoports=ecoports,
        down=None if settings.downstream is None else Downlink(settings.downstream, source.everything, clock),
        housekeeper=Housekeeper(
            (*jobs(store, roll_up, keeping(settings)), *seen.jobs, plug_in_watch(supervisor)), clock
        ),
        programmes=ProgrammeWatch(
            files=settings.programme.files,
            base=base,
            current=enrolled,
            use=use,
            clock=clock,
            every_s=settings.programme.reload_s,
        ),
        api=_api(settings, supervisor, target, central, tester, ecoports, seen, store, links, engine, clock, registry),
        registry=registry,
    )


def _api(
    settings: BridgeSettings,
    supervisor: Supervisor,
    target: LimitTarget,
    central: CentralSystem,
    tester: SelfTester,
    ecoports: EcoPorts,
    seen: Lookout,
    store: BridgeStore,
    links: Sequence[VtnLink],
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

    vens = {link.name: link.ven for link in links}
    api = Api(
        supervisor=supervisor,
        target=target,
        store=store,
        clock=clock,
        version=version(),
        vens=vens,
        overview=seen.overview,
        tariff=Tariff(rates=settings.energy.rates, currency=settings.energy.currency),
        devices=ecoports,
        central=central,
        tester=tester,
    )
    return build_api(
        api,
        token=settings.api.token.get_secret_value(),
        checks={
            "database": database,
            "supervisor": supervised,
            **{f"ven {link.name}".rstrip(): link.ven.health for link in links},
        },
        registry=registry,
    )
