"""The OCPP central system: a websocket server at ``/ocpp/{identity}`` where chargers dial in; a ``LimitTarget`` to
the bridge.

Rule: only known identities with their own credential come in; the newest connection of a charger wins; a command
never raises for a charger's fault. This shell owns sockets and tasks; what a message means is decided in the handlers
and in ``profile``.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from aiohttp import WSCloseCode, WSMsgType, web
from prometheus_client import CollectorRegistry

from bridge.ocpp import audit, clearing, commands, commission, fallback, passing
from bridge.ocpp.backoffice import BackOffice
from bridge.ocpp.commands import Installed
from bridge.ocpp.deadline import Deadline
from bridge.ocpp.door import Refusal, admit
from bridge.ocpp.frames import Version
from bridge.ocpp.knowledge import Knowledge
from bridge.ocpp.link import Link
from bridge.ocpp.metrics import OcppMetrics
from bridge.ocpp.passing import NotPassed, Passed
from bridge.ocpp.proxy import ListeningRpc, Proxy
from bridge.ocpp.proxy_session import ProxySession
from bridge.ocpp.quirks import Knobs
from bridge.ocpp.readback import ReadBack
from bridge.ocpp.rpc import RpcConnection
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.ocpp.station import Station
from bridge.ocpp.upkeep import Upkeep
from bridge.store import BridgeStore
from bridge.target import ChargerStatus, CommandOutcome, CommandResult, FleetEvents, LimitSchedule
from openadr import tls
from runtime.clock import Clock, new_id
from runtime.logs import get_logger

_log = get_logger(__name__)
_CLOSE_S = 2.0  # how long the other side may take to answer a close


class CentralSystem:
    """Chargers of both OCPP versions behind ``bridge.target.LimitTarget``."""

    def __init__(
        self,
        *,
        settings: OcppSettings,
        chargers: Iterable[ChargerConfig],
        events: FleetEvents,
        clock: Clock,
        registry: CollectorRegistry,
        proxy: Proxy | None = None,
        knowledge: Knowledge | None = None,
        store: BridgeStore | None = None,
    ) -> None:
        self._proxy = proxy
        self._office = BackOffice(settings, clock, store, knowledge)
        self.knowledge = self._office.knowledge
        self._settings = settings
        self._events = events
        self._clock = clock
        self._metrics = OcppMetrics(registry)
        self._stations = {
            config.identity: Station(
                config=config,
                held=settings.hold_pending,
                registration=config.registration.capitalize(),
                knowledge=self.knowledge,
            )
            for config in chargers
        }
        self._installed = {identity: Installed() for identity in self._stations}
        self._upkeep = Upkeep(settings, clock, self._metrics, self._installed)
        self._links: dict[str, Link] = {}
        self._sockets: dict[Link, web.WebSocketResponse] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises ``OSError`` if the port is taken, ``TlsError`` if a certificate is no good."""
        context = self._tls()
        await self._office.start()
        if self._proxy is not None:
            await self._proxy.start(self._stations.values(), self)
        if context is None:
            _log.warning(
                "OCPP without TLS: for rehearsals only (OCP-10)", security_profile=self._settings.security_profile
            )
        application = web.Application()
        application.router.add_get("/ocpp/{identity}", self._enter)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_CLOSE_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port, ssl_context=context, backlog=1024)
        await site.start()
        _log.info("OCPP central system listens", host=self._settings.host, port=self.port, chargers=len(self._stations))

    async def stop(self) -> None:
        """Close every connection (their profiles stay in the chargers) and stop listening."""
        sockets = tuple(self._sockets.values())
        await asyncio.gather(
            *(socket.close(code=WSCloseCode.GOING_AWAY, message=b"the bridge stops") for socket in sockets)
        )
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await asyncio.gather(*self._closing)
        await self._office.stop()
        if self._proxy is not None:
            await self._proxy.stop()

    @property
    def port(self) -> int:
        """The TCP port in use; 0 before ``start``."""
        addresses = self._runner.addresses if self._runner is not None else []
        return int(addresses[0][1]) if addresses else 0

    async def set_limit(self, identity: str, schedule: LimitSchedule) -> CommandResult:
        """Install ``schedule`` on the charger, for a running session and for one that begins inside it."""
        link = self._ready(identity)
        if link is None:
            return self._result("set", CommandOutcome.OFFLINE, self._why_not(identity))
        installed, behind = self._installed[identity], self._behind(identity)
        async with installed.command(link.rpc):
            if behind is not None:
                await behind.others.before_ours()
            reply = await self._upkeep.install(link, installed, schedule)
            self._upkeep.follow_up(link, installed, reply)
        if behind is not None and reply.outcome is CommandOutcome.ACCEPTED:
            await behind.limited(schedule)
        _log.debug(
            "limit sent", charger=identity, schedule=schedule.schedule_id, outcome=reply.outcome, word=reply.word
        )
        return self._result("set", reply.outcome, reply.word)

    async def clear_limit(self, identity: str, schedule_id: int) -> CommandResult:
        """Remove the schedule. Removing one that is not there is ACCEPTED."""
        link = self._ready(identity)
        if link is None:
            self._forget(identity, schedule_id)
            return self._result("clear", CommandOutcome.OFFLINE, self._why_not(identity))
        installed = self._installed[identity]
        async with installed.command(link.rpc):
            reply = await clearing.remove(
                link.rpc, link.station, self._settings, installed, schedule_id, self._clock.now()
            )
            if link.station.config.fallback != "none" and (
                installed.out_of_service or link.station.knobs.smart_charging is False
            ):
                reply = await fallback.release(link.rpc, installed)
            self._upkeep.follow_up(link, installed, reply)
        behind = self._behind(identity)
        if behind is not None and self.in_force(identity) is None:
            await behind.freed()
        _log.debug("limit cleared", charger=identity, schedule=schedule_id, outcome=reply.outcome, word=reply.word)
        return self._result("clear", reply.outcome, reply.word)

    async def set_available(self, identity: str, available: bool) -> CommandResult:
        """Take the charger out of service, or back; a running session may have to end first."""
        link = self._ready(identity)
        if link is None:
            return self._result("availability", CommandOutcome.OFFLINE, self._why_not(identity))
        async with self._installed[identity].lock:
            reply = await commands.set_available(link.rpc, available)
        return self._result("availability", reply.outcome, reply.word)

    async def stop_session(self, identity: str) -> CommandResult:
        """End every running session. With none running it is ACCEPTED."""
        link = self._ready(identity)
        if link is None:
            return self._result("stop", CommandOutcome.OFFLINE, self._why_not(identity))
        async with self._installed[identity].lock:
            reply = await commands.stop_sessions(link.rpc, link.station)
        return self._result("stop", reply.outcome, reply.word)

    async def trigger(self, identity: str, message: str, connector: int | None = None) -> CommandResult:
        """Ask for a message now, for example MeterValues (OCP-12)."""
        link = self._ready(identity)
        if link is None:
            return self._result("trigger", CommandOutcome.OFFLINE, self._why_not(identity))
        reply = await commands.trigger(link.rpc, message, connector)
        return self._result("trigger", reply.outcome, reply.word)

    async def pass_on(self, identity: str, action: str, payload: Mapping[str, Any]) -> Passed:
        """Send an operator's message as it is; ``NotPassed`` for one that is not sent."""
        if self._behind(identity) is not None:
            raise NotPassed("its own CSMS leads this charger")
        link = self._ready(identity)
        if link is None:
            return Passed(outcome=CommandOutcome.OFFLINE, answer={}, detail=self._why_not(identity))
        found = await passing.send(link.rpc, action, payload)
        self._metrics.command_ended("pass", found.outcome.value)
        _log.info("message passed on", charger=identity, action=action, outcome=found.outcome.value)
        return found

    def knows(self, identity: str) -> bool:
        """Tell whether a charger of this name may dial in."""
        return identity in self._stations

    def knobs(self, identity: str) -> tuple[Knobs, bool]:
        """Return what is known of a charger's kind, and whether it was probed."""
        station = self._stations[identity]
        return station.knobs, station.kind in self.knowledge.learnt

    async def read_back(self, identity: str) -> ReadBack | None:
        """Ask the charger what limits it holds, beside ours (OCP-06); ``None`` if it is not there."""
        link = self._ready(identity)
        if link is None:
            return None
        return await audit.read_back(link, self._settings, self._installed[identity], self._clock)

    async def set_registration(self, identity: str, registration: Literal["accepted", "pending", "rejected"]) -> bool:
        """Decide what the charger's boot is answered from now on and have it boot; ``False`` if it is not known.

        A charger behind a CSMS is registered by that: ``False`` as well.
        """
        station = self._stations.get(identity)
        if station is None or self._behind(identity) is not None:
            return False
        station.config = replace(station.config, registration=registration)
        link = self._links.get(identity)
        if link is not None:
            await commission.ask_to_boot(link.rpc)
        return True

    def in_force(self, identity: str) -> LimitSchedule | None:
        """Return our schedule that a charger holds and that is not over."""
        schedule = self._installed[identity].schedule
        return schedule if schedule is not None and schedule.end > self._clock.now() else None

    async def assert_again(self, identity: str) -> None:
        """Send the schedule in force once more: what it meets on the charger has changed."""
        link, installed = self._ready(identity), self._installed[identity]
        if link is not None:
            async with installed.lock:
                schedule, behind = self.in_force(identity), self._behind(identity)
                if behind is not None and schedule is not None:
                    await behind.others.before_ours()
                    reply = await self._upkeep.install(link, installed, schedule)
                    self._upkeep.follow_up(link, installed, reply)
                    self._metrics.command_ended("assert", reply.outcome.value)

    def _behind(self, identity: str) -> ProxySession | None:
        return self._proxy.of(identity) if self._proxy is not None else None

    def status(self, identity: str) -> ChargerStatus | None:
        """Return what is known of one charger, ``None`` if it was never seen."""
        station = self._stations.get(identity)
        if station is None or station.last_seen is None:
            return None
        return station.status(connected=self._ready(identity) is not None)

    def chargers(self) -> tuple[ChargerStatus, ...]:
        """Return every charger seen, ordered by identity."""
        return tuple(status for identity in sorted(self._stations) if (status := self.status(identity)) is not None)

    def _tls(self) -> ssl.SSLContext | None:
        settings = self._settings
        if settings.security_profile < 2 or settings.cert is None or settings.key is None:
            return None
        return tls.server_context(
            cert_chains=[(settings.cert, settings.key)],
            client_ca=settings.client_ca if settings.security_profile == 3 else None,
            profile=tls.TlsProfile(settings.tls_profile),
        )

    def _ready(self, identity: str) -> Link | None:
        link = self._links.get(identity)
        return link if link is not None and link.ready else None

    def _why_not(self, identity: str) -> str:
        if identity not in self._stations:
            return "unknown charger"
        return "connected, not yet booted" if identity in self._links else "not connected"

    def _forget(self, identity: str, schedule_id: int) -> None:
        """A schedule cleared while the charger is away must not be bound to its next session by us."""
        installed = self._installed.get(identity)
        if installed is not None and installed.schedule is not None and installed.schedule.schedule_id == schedule_id:
            installed.schedule = None

    def _result(self, command: str, outcome: CommandOutcome, detail: str) -> CommandResult:
        self._metrics.command_ended(command, outcome.value)
        return CommandResult(outcome=outcome, detail=detail, at=self._clock.now())

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        """Let a charger in: identity, credential, subprotocol, then its messages until the end."""
        identity = request.match_info["identity"]
        peer: dict[str, Any] | None = request.transport.get_extra_info("peercert") if request.transport else None
        refusal = admit(
            identity,
            config=self._config(identity),
            settings=self._settings,
            authorization=request.headers.get("Authorization"),
            peer_certificate=peer,
        )
        if refusal is not None:
            return self._turn_away(identity, refusal, request.remote)
        socket = web.WebSocketResponse(
            protocols=tuple(version.value for version in Version),
            compress=False,
            heartbeat=self._settings.ping_s,
            max_msg_size=self._settings.max_frame_bytes,
            timeout=_CLOSE_S,
        )
        if not socket.can_prepare(request):
            return web.Response(status=426, text="a websocket upgrade is needed", headers={"Upgrade": "websocket"})
        await socket.prepare(request)
        if socket.ws_protocol is None:  # both versions: complete the handshake without a subprotocol, then close
            self._metrics.refused.labels("no_subprotocol").inc()
            _log.warning("no OCPP subprotocol in common", charger=identity)
            await socket.close(code=WSCloseCode.PROTOCOL_ERROR, message=b"no OCPP subprotocol in common")
            return socket
        authorization = request.headers.get("Authorization")
        await self._serve(self._stations[identity], Version(socket.ws_protocol), socket, authorization)
        return socket

    def _config(self, identity: str) -> ChargerConfig | None:
        station = self._stations.get(identity)
        return station.config if station is not None else None

    def _turn_away(self, identity: str, refusal: Refusal, remote: str | None) -> web.Response:
        self._metrics.refused.labels(refusal.word).inc()
        _log.warning("charger refused", charger=identity[:64], reason=refusal.reason, remote=remote)
        headers = {"WWW-Authenticate": 'Basic realm="ocpp"'} if refusal.status == 401 else {}
        return web.Response(status=refusal.status, headers=headers)

    async def _serve(
        self, station: Station, version: Version, socket: web.WebSocketResponse, authorization: str | None
    ) -> None:
        identity = station.config.identity
        behind = self._behind(identity)
        link = self._link(station, version, socket)
        older, self._links[identity] = self._links.get(identity), link
        self._sockets[link] = socket
        if older is not None:
            await self._replace(older)
        self._metrics.connected.labels(version.value).inc()
        _log.info("charger connected", charger=identity, ocpp=version.value)
        try:
            if behind is not None:
                await behind.charger_came(link, authorization)
            link.start()
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    link.rpc.feed(message.data)
                elif message.type is WSMsgType.BINARY:
                    link.rpc.feed_binary(len(message.data))
        finally:
            self._metrics.connected.labels(version.value).dec()
            self._sockets.pop(link, None)
            if self._links.get(identity) is link:
                del self._links[identity]
            await link.close()
            if behind is not None:
                await behind.charger_went(link)
            _log.info("charger disconnected", charger=identity, code=socket.close_code)

    def _link(self, station: Station, version: Version, socket: web.WebSocketResponse) -> Link:
        if station.deadline is None:
            station.deadline = Deadline(self._settings.call_timeout_s)

        behind = self._behind(station.config.identity)
        listens = behind is not None and behind.settings.mode == "observe"

        def make_rpc(link: Link) -> RpcConnection:
            return (ListeningRpc if listens else RpcConnection)(
                identity=station.config.identity,
                version=version,
                send=socket.send_str,
                handle=link.handle,
                clock=self._clock,
                metrics=self._metrics,
                new_id=lambda: new_id("c"),
                deadline=station.deadline,
                yield_s=self._settings.yield_s,
                relay=behind.from_charger if behind is not None else None,
            )

        return Link(
            station=station,
            settings=self._settings,
            events=self._events,
            clock=self._clock,
            metrics=self._metrics,
            make_rpc=make_rpc,
            session_began=self._upkeep.session_began,
            leads=behind is None,
            sets_metering=behind is None or behind.settings.set_metering,
            services=self._office.services,
        )

    async def _replace(self, older: Link) -> None:
        """The newest connection wins: end the older link now, and its socket beside (the other end may be dead)."""
        _log.warning("a newer connection replaces an older one", charger=older.station.config.identity)
        await older.close()
        socket = self._sockets.get(older)
        if socket is not None:
            task = asyncio.create_task(self._close_quietly(socket))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close_quietly(self, socket: web.WebSocketResponse) -> None:
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"replaced by a newer connection")
