"""The websocket of one charger to its CPO's CSMS: dial, stay, dial again after a jittered pause.

Rule: the CSMS sees what it would see without the bridge: the charger's identity in the path, its subprotocol, its
password or the one agreed for it, verified TLS. A connection lasts as long as the charger's, or until what was kept
for the CSMS is told.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import WSMsgType

from bridge.ocpp.deadline import Deadline
from bridge.ocpp.frames import ErrorCode, Version
from bridge.ocpp.metrics import ProxyMetrics
from bridge.ocpp.proxy_settings import ProxySection, place
from bridge.ocpp.proxy_table import pause_s
from bridge.ocpp.rpc import Answer, Refused, Relay, RpcConnection
from openadr import tls
from runtime.clock import Clock, Draw, new_id
from runtime.logs import get_logger

_log = get_logger(__name__)
_CLOSE_S = 2.0  # how long the CSMS may take to answer a close
_STEADY_S = 30.0  # a connection that lasted so long was well: the next pause is short again
_MISSES = 3  # calls in a row without an answer, not even a late one: the line is dead, whatever still comes by it


class NotDialled(OSError):
    """The CSMS could not be dialled; the text says why, for the log."""


class _Patience(Deadline):
    """The deadline of calls to a CSMS; ``lost`` is called when it seems to hear nothing.

    A line that is dead one way only is not found out by pings as long as something comes by it the other way.
    """

    __slots__ = ("_lost",)

    def __init__(self, start_s: float, lost: Callable[[], None]) -> None:
        super().__init__(start_s)
        self._lost = lost

    def missed(self) -> None:
        """Learn that no answer came."""
        super().missed()
        if self.misses % _MISSES == 0:
            self._lost()


def credentials(settings: ProxySection, identity: str, given: str | None) -> dict[str, str]:
    """Return the headers that say who dials; ``given`` is the charger's own Authorization. Raises ``OSError``."""
    if settings.auth == "pass":
        return {} if given is None else {"Authorization": given}
    if settings.auth == "none":
        return {}
    if settings.password_file is not None:
        secret = place(settings.password_file, identity).read_text().strip()
    else:
        secret = settings.password.get_secret_value() if settings.password is not None else ""
    return {"Authorization": "Basic " + base64.b64encode(f"{identity}:{secret}".encode()).decode()}


def context(settings: ProxySection, identity: str) -> ssl.SSLContext | None:
    """Return the TLS context towards the CSMS, ``None`` for ws://. Raises ``TlsError``."""
    if settings.ca is None:
        return None
    pair = None
    if settings.cert is not None and settings.key is not None:
        pair = (place(settings.cert, identity), place(settings.key, identity))
    return tls.client_context(ca=settings.ca, cert_chain=pair, profile=tls.TlsProfile(settings.tls_profile))


class Upstream:
    """One charger's way to its CSMS. ``rpc`` is the present connection, ``None`` while there is none."""

    def __init__(
        self,
        *,
        identity: str,
        settings: ProxySection,
        max_frame_bytes: int,
        http: aiohttp.ClientSession,
        clock: Clock,
        draw: Draw,
        relay: Relay,
        changed: Callable[[], None],
        metrics: ProxyMetrics,
    ) -> None:
        self._identity, self._settings, self._http, self._clock, self._draw = identity, settings, http, clock, draw
        self._max_frame_bytes = max_frame_bytes
        self._relay, self._changed, self._metrics = relay, changed, metrics
        self._deadline = _Patience(settings.answer_timeout_s, self._give_up)
        self._living: asyncio.Timeout | None = None  # of the present connection: it ends when we give it up
        self._log = _log.bind(charger=identity)
        self.version = Version.V16
        self.rpc: RpcConnection | None = None
        self.tried = asyncio.Event()  # the first dial of this run has ended, well or badly
        self._task: asyncio.Task[None] | None = None

    def start(self, version: Version, authorization: str | None) -> None:
        """Dial from now on, as ``version``."""
        self.version = version
        self.tried = asyncio.Event()
        self._task = asyncio.create_task(self._run(authorization, self.tried), name=f"csms-{self._identity}")

    @property
    def running(self) -> bool:
        """Whether it dials or is connected."""
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Close the connection and dial no more."""
        task, self._task = self._task, None  # a start may come while this waits
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, authorization: str | None, tried: asyncio.Event) -> None:
        failures = 0
        while True:
            began = self._clock.now()
            try:
                why = await self._connection(authorization, tried)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, tls.TlsError) as error:
                why = str(error) or type(error).__name__
                self._metrics.dials.labels("failed").inc()
            finally:
                tried.set()
            lasted_s = (self._clock.now() - began).total_seconds()
            failures = 1 if lasted_s >= _STEADY_S else failures + 1
            wait_s = pause_s(failures, self._settings.backoff_s, self._settings.backoff_max_s, self._draw())
            self._log.warning("the CSMS is not connected", why=why, again_in_s=round(wait_s, 1), dials=failures)
            self._changed()
            await self._clock.sleep(wait_s)

    async def _connection(self, authorization: str | None, tried: asyncio.Event) -> str:
        """Live one connection; returns why it ended."""
        settings = self._settings
        secure = context(settings, self._identity)
        address = f"{settings.csms_url.rstrip('/')}/{quote(self._identity, safe='')}"
        async with asyncio.timeout(settings.connect_timeout_s):
            socket = await self._http.ws_connect(
                address,
                protocols=(self.version.value,),
                headers=credentials(settings, self._identity, authorization),
                ssl=secure if secure is not None else True,
                compress=0,
                heartbeat=settings.ping_s,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                max_msg_size=self._max_frame_bytes,
            )
        async with socket:
            if socket.protocol != self.version.value:
                raise NotDialled(f"the CSMS does not speak {self.version.value}")
            try:
                async with asyncio.timeout(None) as self._living:
                    await self._talk(socket, tried)
            except TimeoutError:
                return f"{_MISSES} calls in a row were not answered"
            finally:
                self._living = None
            return f"closed with {socket.close_code}"

    def _give_up(self) -> None:
        if self._living is not None and not self._living.expired():
            self._living.reschedule(asyncio.get_running_loop().time())

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse, tried: asyncio.Event) -> None:
        rpc = RpcConnection(
            identity=self._identity,
            version=self.version,
            send=socket.send_str,
            handle=_nobody,
            clock=self._clock,
            metrics=self._metrics.frames,
            new_id=lambda: new_id("p"),
            deadline=self._deadline,
            relay=self._relay,
        )
        rpc.start()
        self.rpc = rpc
        self._metrics.dials.labels("connected").inc()
        self._metrics.connected.inc()
        self._log.info("the CSMS is connected", ocpp=self.version.value)
        tried.set()
        self._changed()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    rpc.feed(message.data)
                elif message.type is WSMsgType.BINARY:
                    rpc.feed_binary(len(message.data))
        finally:
            if self.rpc is rpc:
                self.rpc = None
            self._metrics.connected.dec()
            await rpc.close()
            self._changed()


async def _nobody(action: str, payload: Mapping[str, Any], now: datetime) -> Answer:
    raise Refused(ErrorCode.INTERNAL, action)  # never asked: every call of the CSMS is relayed
