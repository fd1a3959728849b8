"""The OCPP central system: a websocket server at ``/ocpp/{identity}`` where chargers dial in; a ``LimitTarget`` to
the bridge.

Rule: only known identities with their own credential come in; the newest connection of a charger wins; a command
never raises for a charger's fault. This shell owns sockets and tasks; what a message means is decided in the handlers
and in ``profile``.
"""

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from aiohttp import WSCloseCode, WSMsgType, web
from prometheus_client import CollectorRegistry

from bridge.ocpp import audit, commands, commission
from bridge.ocpp.commands import Installed, Reply
from bridge.ocpp.deadline import Deadline
from bridge.ocpp.door import Refusal, admit
from bridge.ocpp.frames import Version
from bridge.ocpp.link import Link
from bridge.ocpp.metrics import OcppMetrics
from bridge.ocpp.readback import ReadBack
from bridge.ocpp.rpc import RpcConnection
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.ocpp.station import Station
from bridge.target import ChargerStatus, CommandOutcome, CommandResult, FleetEvents, LimitSchedule
from openadr import tls
from runtime.clock import Clock, new_id
from runtime.logs import get_logger

_log = get_logger(__name__)
_START_RETRIES_S = (2.0, 10.0)  # some chargers refuse a TxProfile until their session is fully under way
_AGAIN = timedelta(seconds=60)  # a part of a schedule that was not taken is sent again so much later
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
    ) -> None:
        self._settings = settings
        self._events = events
        self._clock = clock
        self._metrics = OcppMetrics(registry)
        self._stations = {
            config.identity: Station(
                config=config, held=settings.hold_pending, registration=config.registration.capitalize()
            )
            for config in chargers
        }
        self._installed = {identity: Installed() for identity in self._stations}
        self._links: dict[str, Link] = {}
        self._sockets: dict[Link, web.WebSocketResponse] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises ``OSError`` if the port is taken, ``TlsError`` if a certificate is no good."""
        context = self._tls()
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
        installed = self._installed[identity]
        async with installed.lock:
            reply = await commands.install(
                link.rpc, link.station, self._settings, installed, schedule, self._clock.now()
            )
            self._follow_up(link, installed, reply)
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
        async with installed.lock:
            reply = await commands.remove(link.rpc, link.station, self._settings, installed, schedule_id)
            self._follow_up(link, installed, reply)
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

    async def read_back(self, identity: str) -> ReadBack | None:
        """Ask the charger what limits it holds, beside ours (OCP-06); ``None`` if it is not there."""
        link = self._ready(identity)
        if link is None:
            return None
        return await audit.read_back(link, self._settings, self._installed[identity], self._clock)

    async def set_registration(self, identity: str, registration: Literal["accepted", "pending", "rejected"]) -> bool:
        """Decide what the charger's boot is answered from now on and have it boot; ``False`` if it is not known."""
        station = self._stations.get(identity)
        if station is None:
            return False
        station.config = replace(station.config, registration=registration)
        link = self._links.get(identity)
        if link is not None:
            await commission.ask_to_boot(link.rpc)
        return True

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

    def _follow_up(self, link: Link, installed: Installed, reply: Reply) -> None:
        """See to what comes after a command: the next part of a long schedule, and reading back (OCP-06)."""
        for task in (installed.renewal, installed.reading):
            if task is not None:
                task.cancel()
        installed.renewal = installed.reading = None
        if installed.due is not None:
            installed.renewal = link.spawn(self._keep_up(link, installed))
        wait_s = self._settings.read_back_s
        if wait_s is not None and reply.outcome is CommandOutcome.ACCEPTED and installed.schedule is not None:
            installed.reading = link.spawn(self._read_back_after(link, installed, wait_s))

    async def _keep_up(self, link: Link, installed: Installed) -> None:
        """Send each next part of the schedule in force when it is due; a failed one again a minute later."""
        while installed.due is not None:
            now = self._clock.now()
            await self._clock.sleep((installed.due - now).total_seconds())
            async with installed.lock:
                now, schedule = self._clock.now(), installed.schedule
                if schedule is None:
                    return
                reply = await commands.install(link.rpc, link.station, self._settings, installed, schedule, now)
                if reply.outcome is not CommandOutcome.ACCEPTED:
                    installed.due = self._clock.now() + _AGAIN if now < schedule.end else None
            self._metrics.commands.labels("renew", reply.outcome.value).inc()
            _log.info("next part of the limit sent", charger=link.rpc.identity, outcome=reply.outcome, word=reply.word)

    async def _read_back_after(self, link: Link, installed: Installed, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        installed.reading = None  # from here on not to be cancelled: a call that is out is waited for
        await audit.read_back(link, self._settings, installed, self._clock)

    async def _session_began(self, link: Link) -> None:
        """Bind the schedule in force to a session that begins inside it (field notes C.1)."""
        identity = link.station.config.identity
        installed = self._installed[identity]
        reply: Reply | None = None
        for wait_s in (0.0, *_START_RETRIES_S):
            await self._clock.sleep(wait_s)
            async with installed.lock:
                reply = await commands.extend(link.rpc, link.station, self._settings, installed, self._clock.now())
                if reply is not None and installed.due is not None:
                    self._follow_up(link, installed, reply)
            if reply is None or reply.outcome is not CommandOutcome.REJECTED:
                break
        if reply is not None:
            self._metrics.commands.labels("extend", reply.outcome.value).inc()
            _log.info("limit sent to new session", charger=identity, outcome=reply.outcome, word=reply.word)

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
        await self._serve(self._stations[identity], Version(socket.ws_protocol), socket)
        return socket

    def _config(self, identity: str) -> ChargerConfig | None:
        station = self._stations.get(identity)
        return station.config if station is not None else None

    def _turn_away(self, identity: str, refusal: Refusal, remote: str | None) -> web.Response:
        self._metrics.refused.labels(refusal.word).inc()
        _log.warning("charger refused", charger=identity[:64], reason=refusal.reason, remote=remote)
        headers = {"WWW-Authenticate": 'Basic realm="ocpp"'} if refusal.status == 401 else {}
        return web.Response(status=refusal.status, headers=headers)

    async def _serve(self, station: Station, version: Version, socket: web.WebSocketResponse) -> None:
        identity = station.config.identity
        link = self._link(station, version, socket)
        older, self._links[identity] = self._links.get(identity), link
        self._sockets[link] = socket
        if older is not None:
            await self._replace(older)
        self._metrics.connected.labels(version.value).inc()
        _log.info("charger connected", charger=identity, ocpp=version.value)
        try:
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
            _log.info("charger disconnected", charger=identity, code=socket.close_code)

    def _link(self, station: Station, version: Version, socket: web.WebSocketResponse) -> Link:
        if station.deadline is None:
            station.deadline = Deadline(self._settings.call_timeout_s)

        def make_rpc(link: Link) -> RpcConnection:
            return RpcConnection(
                identity=station.config.identity,
                version=version,
                send=socket.send_str,
                handle=link.handle,
                clock=self._clock,
                metrics=self._metrics,
                new_id=lambda: new_id("c"),
                deadline=station.deadline,
            )

        return Link(
            station=station,
            settings=self._settings,
            events=self._events,
            clock=self._clock,
            metrics=self._metrics,
            make_rpc=make_rpc,
            session_began=self._session_began,
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
