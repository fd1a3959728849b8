"""A simulated charge point on the wire: dial, boot, charge, meter, lose the link and come back, as its script says.

Rule: this shell only waits and sends; time comes from the clock it is given, so tests step it. What a lost link must
not lose is in ``Hardware``.
"""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
import structlog
from ocpp.exceptions import OCPPError

from bridge.simulators.hardware import Hardware
from bridge.simulators.v16 import ChargePoint16
from bridge.simulators.v201 import ChargePoint201
from runtime.clock import Clock

_log = structlog.get_logger()
_RETRY_S = 2.0  # between attempts to dial; simulated chargers are more patient than their drivers
_CANCEL_AGAIN_S = 0.1
_SUBPROTOCOL = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1"}
_DIALECT: dict[str, Any] = {"1.6": ChargePoint16, "2.0.1": ChargePoint201}


class LinkLost(OSError):
    """The websocket ended."""


class Dialect(Protocol):
    """What the runner asks of a charge point of either version."""

    async def start(self) -> None:
        """Read frames until the link is lost."""
        ...

    async def boot(self) -> str:
        """Send BootNotification; returns its status."""
        ...

    async def status(self) -> None:
        """Send StatusNotification."""
        ...

    async def begin(self) -> None:
        """Start a session."""
        ...

    async def meter(self) -> None:
        """Send meter values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """When things happen, in seconds: plugged in after connecting; the incident comes ``at_s`` after ``since``.

    ``since`` is "start" (of the charger) or "limit" (when a limit first bites). An incident is the loss of the link for
    ``offline_for_s`` (``None``: for good) or the driver's override, as the behaviour says. ``override_by`` is "button"
    (at the charger) or "api" (the driver's app).
    """

    plug_in_after_s: float = 0.0
    since: str = "start"
    at_s: float = 10.0
    offline_for_s: float | None = None
    override_by: str = "button"
    boots_at_reconnect: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where and how to dial: ``url`` without the identity, OCPP version, TLS, basic password."""

    url: str
    version: str
    tls: ssl.SSLContext | None = None
    password: str | None = None


class Wire:
    """aiohttp's websocket in the shape that the ``ocpp`` library wants."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def recv(self) -> str:
        """Return the next text message; raises ``LinkLost`` at the end."""
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise LinkLost(f"websocket closed ({self._socket.close_code})")
        return str(message.data)

    async def send(self, data: str) -> None:
        """Send a text message."""
        await self._socket.send_str(data)


class SimulatedChargePoint:
    """One charge point from power-up until its task is cancelled."""

    def __init__(
        self,
        *,
        hardware: Hardware,
        access: Access,
        script: Script,
        http: aiohttp.ClientSession,
        override_by_app: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.hardware = hardware
        self.online = asyncio.Event()  # booted and accepted
        self.charging = asyncio.Event()  # the session's start was answered
        self._access = access
        self._script = script
        self._http = http
        self._override_by_app = override_by_app
        self._drop = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._dialect: Any = None
        self._connections = 0
        self._plug_in_at: datetime | None = None
        self._log = _log.bind(charger=hardware.charger.identity)

    @property
    def clock(self) -> Clock:
        """The clock of the charger."""
        return self.hardware.clock

    async def run(self) -> None:
        """Be a charge point. Never returns by itself unless its script takes it offline for good."""
        incident = asyncio.create_task(self._incident())
        try:
            while True:
                await self._connection()
                if self._drop.is_set():
                    self._drop.clear()
                    if self._script.offline_for_s is None:
                        await asyncio.Event().wait()  # the car charges on, unseen
                    await self.clock.sleep(self._script.offline_for_s or 0.0)
                else:
                    await self.clock.sleep(_RETRY_S)
        finally:
            await _end(incident)

    async def drop_link(self) -> None:
        """Cut the connection now, as the script would."""
        self._drop.set()
        if self._socket is not None:
            await self._socket.close()

    async def unplug(self, reason: str = "EVDisconnected") -> None:
        """End the session as the driver would."""
        self.charging.clear()
        await self._dialect.end(reason)

    async def tell_needs(self, departure: datetime, energy_wh: int | None = None) -> str:
        """Have a car on a 2.0.1 station say what it needs; return the station's answer from the central system."""
        return str(await self._dialect.tell_needs(departure, energy_wh))

    async def override(self) -> None:
        """Do what a driver does who does not want to wait. Raises what the app's or the link's failure raises."""
        if self._script.override_by == "api" and self._override_by_app is not None:
            await self._override_by_app(self.hardware.charger.identity)
            return
        self.hardware.now()
        self.hardware.charger.overridden = True
        if self._dialect is not None:
            await self._dialect.report_override()

    async def _incident(self) -> None:
        behaviour = self.hardware.charger.behaviour
        if not (behaviour.goes_offline or behaviour.driver_overrides):
            return
        await (self.hardware.limited if self._script.since == "limit" else self.online).wait()
        await self.clock.sleep(self._script.at_s)
        if behaviour.goes_offline:
            self._log.info("simulated charger loses its link")
            await self.drop_link()
        else:
            self._log.info("simulated driver overrides", by=self._script.override_by)
            with suppress(aiohttp.ClientError, OSError, TimeoutError, OCPPError):  # the app or the link may be down
                await self.override()

    async def _plugged_in(self) -> None:
        """Wait for the car; it comes when it comes, whether or not the link was lost meanwhile."""
        if self._plug_in_at is None:
            self._plug_in_at = self.clock.now() + timedelta(seconds=self._script.plug_in_after_s)
        await self.clock.sleep((self._plug_in_at - self.clock.now()).total_seconds())

    async def _connection(self) -> None:
        access, identity = self._access, self.hardware.charger.identity
        headers = {}
        if access.password is not None:
            secret = base64.b64encode(f"{identity}:{access.password}".encode()).decode()
            headers["Authorization"] = f"Basic {secret}"
        try:
            async with self._http.ws_connect(
                f"{access.url.rstrip('/')}/{quote(identity, safe='')}",
                protocols=(_SUBPROTOCOL[access.version],),
                headers=headers,
                ssl=access.tls if access.tls is not None else True,
                compress=0,
            ) as socket:
                self._socket = socket
                await self._talk(socket)
        except (aiohttp.ClientError, OSError, TimeoutError, OCPPError) as error:
            self._log.info("simulated charger not connected", why=str(error))
        finally:
            self._socket = None
            self.online.clear()

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Live one connection: read and act side by side until either ends."""
        if self._connections:
            self.hardware.charger.reconnected(self.clock.now())
        self._connections += 1
        self._dialect = dialect = _DIALECT[self._access.version](self.hardware, Wire(socket))
        reader = asyncio.create_task(dialect.start())
        actor = asyncio.create_task(self._act(dialect))
        try:
            await asyncio.wait({reader, actor}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(reader, actor)
        for task in (reader, actor):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _act(self, dialect: Dialect) -> None:
        if self._connections == 1 or self._script.boots_at_reconnect:
            while await dialect.boot() != "Accepted":
                await self.clock.sleep(_RETRY_S)
        self.online.set()
        await dialect.status()
        if self.hardware.charger.session is None:
            await self._plugged_in()
            await dialect.begin()
        await dialect.status()
        self.charging.set()
        said = self.hardware.status()
        while True:
            await self.hardware.metering_due()
            await dialect.meter()
            if self.hardware.status() != said:
                said = self.hardware.status()
                await dialect.status()


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel ``tasks`` until they are done: the library's waits may swallow a cancellation (Python < 3.12)."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
