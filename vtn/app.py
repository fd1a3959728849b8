"""Composition root of the VTN: settings, engine and clock in, an application with ``start`` and ``stop`` out.

Rule: everything is made here and nowhere else; nothing happens at import. The database is migrated before a
listener opens.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from openadr.tls import TlsProfile, server_context
from runtime.clock import Clock
from runtime.database import create_engine, health, upgrade
from runtime.http import Server, serve
from runtime.logs import get_logger
from runtime.metrics import new_registry
from vtn.endpoints import Endpoints
from vtn.metrics import VtnMetrics
from vtn.operator.api import Api
from vtn.operator.app import operator_app
from vtn.outbox import Outbox
from vtn.settings import VtnSettings, desk_of
from vtn.store import MIGRATIONS
from vtn.store.store import VERSION_TABLE, Store

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
    desk = desk_of(settings)
    outbox = Outbox(store, desk)
    registry = new_registry("oadr-vtn", program_version())
    endpoints = Endpoints(
        store=store,
        desk=desk,
        clock=clock,
        memory=outbox,
        metrics=VtnMetrics(registry),
        max_body_bytes=settings.server.max_body_bytes,
    )
    operator = operator_app(
        Api(store, desk, clock, outbox.flush),
        token=settings.operator.token.get_secret_value(),
        checks={"database": lambda: health(engine)},
        registry=registry,
        version=program_version(),
    )
    return Application(
        settings=settings,
        clock=clock,
        engine=engine,
        store=store,
        outbox=outbox,
        endpoints=endpoints,
        operator=operator,
        owns_engine=owned,
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
    operator: web.Application
    owns_engine: bool
    port: int = 0
    operator_port: int = 0
    _runner: web.ServerRunner | None = None
    _operator_server: Server | None = None
    _loops: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Migrate the database, then listen. Raises ``DatabaseError``, ``TlsError`` or ``OSError``."""
        server, operator = self.settings.server, self.settings.operator
        tls = listener_tls(self.settings)
        await upgrade(self.engine, MIGRATIONS, version_table=VERSION_TABLE)
        await self.outbox.look_around()
        self._loops = [
            asyncio.create_task(self.outbox.watch(self.clock), name="watch"),
            asyncio.create_task(self.outbox.ahead(self.clock), name="ahead"),
            asyncio.create_task(self.outbox.write_on(self.clock), name="deliveries"),
            asyncio.create_task(self.outbox.keep_seen(self.clock), name="seen"),
        ]
        self._operator_server = await serve(self.operator, operator.host, operator.port, operator_tls(self.settings))
        self.operator_port = self._operator_server.port
        self._runner = web.ServerRunner(
            web.Server(self.endpoints, access_log=None, keepalive_timeout=server.keepalive_s)
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, server.host, server.port, ssl_context=tls).start()
        self.port = int(self._runner.addresses[0][1])
        log.info("listening", port=self.port, operator_port=self.operator_port, vtn_id=self.settings.vtn.vtn_id)

    async def stop(self) -> None:
        """Stop listening, write what is owed, close the database; a second call does nothing."""
        runner, self._runner = self._runner, None
        server, self._operator_server = self._operator_server, None
        loops, self._loops = self._loops, []
        if runner is not None:
            await runner.cleanup()
        if server is not None:
            await server.stop()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        if loops:
            await self.outbox.flush()
        if self.owns_engine:
            await self.engine.dispose()


def listener_tls(settings: VtnSettings) -> ssl.SSLContext:
    """Return the context of the OpenADR listener. Raises ``TlsError``."""
    server = settings.server
    return server_context(
        cert_chains=[(each.cert, each.key) for each in server.certificates],
        client_ca=server.client_ca,
        profile=server.tls_profile,
        on_refused=lambda reason: log.warning("handshake refused", detail=reason),
    )


def operator_tls(settings: VtnSettings) -> ssl.SSLContext | None:
    """Return the context of the operator API, ``None`` for plain HTTP. Raises ``TlsError``."""
    operator = settings.operator
    if operator.cert is None or operator.key is None:
        return None
    return server_context(cert_chains=[(operator.cert, operator.key)], client_ca=None, profile=TlsProfile.MODERN)
