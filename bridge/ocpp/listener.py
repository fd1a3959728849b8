"""The websocket server at ``/ocpp/{identity}``: chargers dial in, and each connection lasts as a ``Link``.

Rule: only known identities with their own credential come in (``door``); the newest connection of a charger wins. This
shell owns sockets; what is said over them is the link's.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from bridge.ocpp.door import Refusal, admit
from bridge.ocpp.frames import Version
from bridge.ocpp.link import Link
from bridge.ocpp.metrics import OcppMetrics
from bridge.ocpp.proxy_session import ProxySession
from bridge.ocpp.sending import Send
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.ocpp.station import Station
from openadr import tls
from runtime.logs import get_logger

_log = get_logger(__name__)
_CLOSE_S = 2.0  # how long the other side may take to answer a close


class Listener:
    """Connections of chargers. ``make_link`` gives each its link; ``behind`` is the proxy's side of one, if any."""

    def __init__(
        self,
        *,
        settings: OcppSettings,
        stations: Mapping[str, Station],
        metrics: OcppMetrics,
        make_link: Callable[[Station, Version, Send], Link],
        behind: Callable[[str], ProxySession | None],
    ) -> None:
        self._settings, self._stations, self._metrics = settings, stations, metrics
        self._make_link, self._behind = make_link, behind
        self.links: dict[str, Link] = {}  # by identity: the newest
        self._sockets: dict[Link, web.WebSocketResponse] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    async def start(self, context: ssl.SSLContext | None) -> None:
        """Listen. Raises ``OSError`` if the port is taken."""
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
        """Close every connection and stop listening."""
        sockets = tuple(self._sockets.values())
        await asyncio.gather(*(_close(socket, WSCloseCode.GOING_AWAY, b"the bridge stops") for socket in sockets))
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await asyncio.gather(*self._closing)

    @property
    def port(self) -> int:
        """The TCP port in use; 0 before ``start``."""
        addresses = self._runner.addresses if self._runner is not None else []
        return int(addresses[0][1]) if addresses else 0

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
        link = self._make_link(station, version, socket.send_str)
        older, self.links[identity] = self.links.get(identity), link
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
            if self.links.get(identity) is link:
                del self.links[identity]
            await link.close()
            if behind is not None:
                await behind.charger_went(link)
            _log.info("charger disconnected", charger=identity, code=socket.close_code)

    async def _replace(self, older: Link) -> None:
        """The newest connection wins: end the older link now, and its socket beside (the other end may be dead)."""
        _log.warning("a newer connection replaces an older one", charger=older.station.config.identity)
        await older.close()
        socket = self._sockets.get(older)
        if socket is not None:
            task = asyncio.create_task(_close(socket, WSCloseCode.POLICY_VIOLATION, b"replaced by a newer connection"))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _close(socket: web.WebSocketResponse, code: WSCloseCode, why: bytes) -> None:
    """Close a connection; what a full line does not take is not waited for."""
    await socket.close(code=code, message=why, drain=False)


def listener_context(settings: OcppSettings) -> ssl.SSLContext | None:
    """Return the context of the listener, ``None`` without TLS. Raises ``TlsError`` if a certificate is no good."""
    if settings.security_profile < 2 or settings.cert is None or settings.key is None:
        return None
    return tls.server_context(
        cert_chains=[(settings.cert, settings.key)],
        client_ca=settings.client_ca if settings.security_profile == 3 else None,
        profile=tls.TlsProfile(settings.tls_profile),
    )
