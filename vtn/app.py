"""Composition root of the VTN: settings, engine and clock in, an application with ``start`` and ``stop`` out.

Rule: everything is made here and nowhere else; nothing happens at import. The database is migrated before a
listener opens.
"""

import asyncio
import ssl
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from openadr.tls import TlsProfile, server_context
from runtime.clock import Beat, Clock, new_id, system_draw
from runtime.database import create_engine, health, upgrade
from runtime.http import Server, serve
from runtime.intake import LINGER_S, Intake
from runtime.logs import get_logger
from runtime.metrics import new_registry
from vtn.endpoints import Endpoints
from vtn.envelopes import Envelopes
from vtn.farewells import Farewells
from vtn.lane import LaneServer
from vtn.listener import listener_context, missing_kind, peers_of, signatures_of
from vtn.metrics import PushMetrics, ReportMetrics, VtnMetrics
from vtn.operator.app import operator_app
from vtn.operator.handling import Handling
from vtn.outbox import Outbox
from vtn.push import Pusher
from vtn.pushline import HttpLines
from vtn.pushtls import offers_push, push_signatures, push_tls
from vtn.rendering import Renderer
from vtn.replays import Replays
from vtn.reporting import Reporting
from vtn.retention import Retention
from vtn.services.context import Desk
from vtn.settings import VtnSettings, desk_of, push_policy
from vtn.store import MIGRATIONS
from vtn.store.store import VERSION_TABLE, Store

BACKLOG = 4_096  # connections that wait to be taken: after a break of the line all VENs come back at one time
log = get_logger(__name__)


def program_version() -> str:
    """Return the installed version, ``0+unknown`` in a checkout that was never installed."""
    try:
        return version("openadr-gateway")
    except PackageNotFoundError:
        return "0+unknown"


def build(settings: VtnSettings, clock: Clock, engine: AsyncEngine | None = None) -> "Application":
    """Make the VTN; without ``engine`` it opens the database of the settings and closes it when it stops."""
    owned = engine is None
    engine = create_engine(settings.database.url) if engine is None else engine
    store = Store(engine)
    desk = replace(desk_of(settings), push=push_policy(settings) if offers_push(settings) else None)
    outbox = Outbox(store, desk)
    registry = new_registry("oadr-vtn", program_version())
    intake = Intake(max_bytes=settings.server.max_body_bytes, timeout_s=settings.server.body_timeout_s)
    endpoints = Endpoints(
        store=store,
        desk=desk,
        clock=clock,
        memory=outbox,
        metrics=VtnMetrics(registry),
        intake=intake,
    )
    pusher = _pusher(settings, store, desk, Beat(clock), outbox, endpoints.replays, PushMetrics(registry))
    operator = operator_app(
        Handling(store, desk, clock, outbox.flush),
        token=settings.operator.token.get_secret_value(),
        checks={"database": lambda: health(engine)},
        registry=registry,
        version=program_version(),
        facts={} if pusher is None else {"push": pusher.backlog},
    )
    return Application(
        settings=settings,
        clock=clock,
        engine=engine,
        store=store,
        outbox=outbox,
        endpoints=endpoints,
        intake=intake,
        operator=operator,
        pusher=pusher,
        reporting=Reporting(
            store, desk, ReportMetrics(registry), clock.now() if settings.reports.metadata_on_start else None
        ),
        owns_engine=owned,
    )


def _pusher(
    settings: VtnSettings,
    store: Store,
    desk: Desk,
    clock: Clock,
    outbox: Outbox,
    replays: Replays,
    metrics: PushMetrics,
) -> Pusher | None:
    """Make HTTP push, ``None`` if it is not offered."""
    if desk.push is None:
        return None
    push = settings.push
    envelopes = Envelopes(
        signatures=cache(lambda: push_signatures(settings)),
        use_nonce=replays.use,
        clock=clock,
        renderer=Renderer(),
        max_bytes=push.max_answer_bytes,
    )
    lines = HttpLines(
        context=cache(lambda: push_tls(settings)),
        addresses=desk.push.addresses,
        timeout_s=push.timeout_s,
        max_answer_bytes=push.max_answer_bytes,
        encode=envelopes.encode,
        decode=envelopes.decode,
    )
    return Pusher(
        store=store,
        desk=desk,
        policy=desk.push,
        clock=clock,
        draw=system_draw,
        lines=lines,
        flush=outbox.write_deliveries,
        seen=outbox.seen,
        metrics=metrics,
        owner=new_id("node"),
        places=push.concurrency,
    )


@dataclass(kw_only=True)
class Application:
    """A VTN that can be started once. ``port`` and ``operator_port`` are the real ones when 0 was asked."""

    settings: VtnSettings
    clock: Clock
    engine: AsyncEngine
    store: Store
    outbox: Outbox
    endpoints: Endpoints
    intake: Intake
    operator: web.Application
    reporting: Reporting
    owns_engine: bool
    pusher: Pusher | None = None
    port: int = 0
    operator_port: int = 0
    _runner: web.ServerRunner | None = None
    _operator_server: Server | None = None
    _loops: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Migrate the database, then listen. Raises ``DatabaseError``, ``TlsError`` or ``OSError``."""
        server, operator = self.settings.server, self.settings.operator
        tls = listener_tls(self.settings)
        self.endpoints.peers, self.endpoints.signatures = peers_of(server), signatures_of(server)
        if self.pusher is not None:
            push_tls(self.settings)
            push_signatures(self.settings).close()
        await upgrade(self.engine, MIGRATIONS, version_table=VERSION_TABLE)
        await self.outbox.look_around()
        beat = Beat(self.clock)
        self._loops = [
            asyncio.create_task(self.outbox.watch(beat), name="watch"),
            asyncio.create_task(self.outbox.ahead(self.clock), name="ahead"),
            asyncio.create_task(self.outbox.write_on(beat), name="deliveries"),
            asyncio.create_task(self.outbox.keep_seen(beat), name="seen"),
            asyncio.create_task(self.reporting.run(beat), name="reports"),
            asyncio.create_task(Farewells(self.store).run(beat), name="farewells"),
            asyncio.create_task(self.endpoints.replays.forget_on(beat), name="nonces"),
            asyncio.create_task(Retention(self.store, self.settings.retention.days()).run(self.clock), name="prune"),
        ]
        if self.pusher is not None:
            self._loops.append(asyncio.create_task(self.pusher.run(), name="push"))
        self._operator_server = await serve(self.operator, operator.host, operator.port, operator_tls(self.settings))
        self.operator_port = self._operator_server.port
        self._runner = web.ServerRunner(
            LaneServer(
                self.endpoints,
                self.endpoints,
                access_log=None,
                keepalive_timeout=server.keepalive_s,
                lingering_time=LINGER_S,
            )
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, server.host, server.port, ssl_context=tls, backlog=BACKLOG).start()
        self.port = int(self._runner.addresses[0][1])
        log.info("listening", port=self.port, operator_port=self.operator_port, vtn_id=self.settings.vtn.vtn_id)

    async def stop(self) -> None:
        """Stop listening, write what is owed, close the database; a second call does nothing."""
        runner, self._runner = self._runner, None
        server, self._operator_server = self._operator_server, None
        loops, self._loops = self._loops, []
        if runner is not None:
            await runner.cleanup()
            self.intake.close()
        if server is not None:
            await server.stop()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        if loops:
            await self.outbox.flush()
        self.endpoints.signatures.close()
        if self.owns_engine:
            await self.engine.dispose()


def listener_tls(settings: VtnSettings) -> ssl.SSLContext | None:
    """Return the context of the OpenADR listener, ``None`` for plain HTTP behind a proxy. Raises ``TlsError``."""
    server = settings.server
    context = listener_context(server, lambda reason: log.warning("handshake refused", detail=reason))
    missing = missing_kind(server.certificates)
    if context is None:
        log.warning("plain HTTP between proxy and listener", trusted=list(server.proxy.trusted if server.proxy else ()))
    elif missing is not None:
        detail = f"add {missing} certificate to server.certificates: VENs may have the other suite of R67 only"
        log.warning("only one kind of certificate, the standard wants RSA and EC (R68)", detail=detail)
    return context


def operator_tls(settings: VtnSettings) -> ssl.SSLContext | None:
    """Return the context of the operator API, ``None`` for plain HTTP. Raises ``TlsError``."""
    operator = settings.operator
    if operator.cert is None or operator.key is None:
        return None
    return server_context(cert_chains=[(operator.cert, operator.key)], client_ca=None, profile=TlsProfile.MODERN)
