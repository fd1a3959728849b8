"""A CTA-2045 port: bytes of a serial adapter, a pty or a serial server to a ``Link``, with its timers, and back.

Rule: a shell without decisions: it opens the port again and again until it is told to stop (hot plug), gives the link
bytes and instants, and does what the link says. Basic DR has no security of its own, so a port over TCP is on this host
or inside TLS (CTA-17).
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import serial
import serial_asyncio_fast
import structlog

from bridge.cta2045.datalink import BASE_RATE, BIT_RATES
from bridge.cta2045.echo import EchoFilter
from bridge.cta2045.frames import Message
from bridge.cta2045.link import Action, Finished, Link, Matches, Received, Result, SetBitRate, Write

RETRY_S = 2.0  # between attempts to open a port that is not there: a person plugs it in and looks
_OPEN_S = 10.0  # TCP and TLS
_ECHO_S = 0.05  # an echo comes with the bytes; this is an adapter's longest pause

_log = structlog.get_logger()

Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[asyncio.Transport]]
"""Opens the port for a protocol; raises ``OSError`` when it cannot."""


class PortEvents(Protocol):
    """What a port tells its module. Callbacks return at once and never raise."""

    def up(self) -> None:
        """The port is open."""
        ...

    def down(self, reason: str) -> None:
        """The port is gone; everything under way has ended as dropped."""
        ...

    def heard(self, message: Message) -> None:
        """The device said something by itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a device is: a serial device, or host and port of a serial server."""

    device: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False

    def __str__(self) -> str:
        scheme = "tls" if self.tls else "tcp"
        return self.device or f"{scheme}://{self.host}:{self.port}"


def address(text: str) -> Address:
    """Read ``/dev/...``, ``tcp://host:port`` (this host only) or ``tls://host:port``. Raises ``ValueError``."""
    if "://" not in text:
        if not text:
            raise ValueError("port: empty; give a serial device, tcp://host:port or tls://host:port")
        return Address(device=text)
    parts = urlsplit(text)
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not parts.port or parts.path.strip("/"):
        raise ValueError(f"port {text!r}: not a serial device, tcp://host:port or tls://host:port")
    if parts.scheme == "tcp" and not _loopback(parts.hostname):
        raise ValueError(f"port {text!r}: over a network only with TLS, for Basic DR has no security (CTA-17)")
    return Address(host=parts.hostname, port=parts.port, tls=parts.scheme == "tls")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def connector(where: Address, tls: ssl.SSLContext | None = None) -> Connect:
    """Return how to open ``where``. Raises ``ValueError`` if TLS is asked for and there is no context."""
    if where.tls and tls is None:
        raise ValueError(f"port {where}: TLS needs a CA file")

    async def open_serial(factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        transport: Any
        try:
            transport, _ = await serial_asyncio_fast.create_serial_connection(
                loop, factory, where.device, baudrate=BIT_RATES[BASE_RATE], exclusive=True
            )
        except (serial.SerialException, ValueError) as error:  # a SerialException is an OSError with a long text
            raise OSError(f"{where.device}: {_reason(error, where.device)}") from None
        return transport  # type: ignore[no-any-return]

    async def open_tcp(factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_OPEN_S):
            transport, _ = await loop.create_connection(factory, where.host, where.port, ssl=tls if where.tls else None)
        return transport

    return open_serial if where.device else open_tcp


def _reason(error: Exception, device: str) -> str:
    if not Path(device).exists():
        return "no such device"
    number = getattr(error, "errno", None)
    return f"cannot be opened ({number or error})"


class SerialPort(asyncio.Protocol):
    """One port with its link. ``run`` it; ``exchange`` and ``reply`` through it."""

    def __init__(
        self,
        connect: Connect,
        link: Link,
        events: PortEvents,
        *,
        name: str = "",
        echo: bool = False,
        retry_s: float = RETRY_S,
    ) -> None:
        self.link = link
        self._connect = connect
        self._events = events
        self._echo = EchoFilter() if echo else None
        self._retry_s = retry_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None
        self._echo_timer: asyncio.TimerHandle | None = None
        self._waiting: dict[int, asyncio.Future[Finished]] = {}
        self._log = _log.bind(port=name)

    @property
    def is_up(self) -> bool:
        """The port is open."""
        return self._transport is not None

    async def run(self) -> None:
        """Keep the port open until cancelled."""
        said = ""
        while True:
            self._lost.clear()
            try:
                transport = await self._connect(lambda: self)
            except OSError as error:
                if str(error) != said:
                    said = str(error)
                    self._log.warning("port cannot be opened", why=said)
                await asyncio.sleep(self._retry_s)
                continue
            said = ""
            try:
                await self._lost.wait()
            finally:
                if not transport.is_closing():  # one that has noticed its loss must not be closed again
                    transport.abort()
                self._closed("closed by us")
            self._log.warning("port lost", why=self._reason)
            await asyncio.sleep(self._retry_s)

    async def exchange(self, message: Message, expects: Matches | None = None) -> Finished:
        """Send ``message``; return how it ended, with its reply if one was expected. Never raises for the device."""
        if self._transport is None:
            return Finished(ticket=0, result=Result.DROPPED)
        ticket = self.link.send(message, self._loop.time(), expects)
        future: asyncio.Future[Finished] = self._loop.create_future()
        self._waiting[ticket] = future
        self._do(self.link.tick(self._loop.time()))
        try:
            return await future
        finally:
            self._waiting.pop(ticket, None)

    def reply(self, message: Message) -> None:
        """Answer something heard."""
        if self._transport is not None:
            self.link.reply(message, self._loop.time())
            self._do(self.link.tick(self._loop.time()))

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is open."""
        self._transport = cast(asyncio.Transport, transport)
        self._log.info("port open")
        self._events.up()

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self._echo is not None:
            data = self._echo.heard(data)
            self._watch_echo()
        self._do(self.link.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        """The port is gone: the adapter was pulled, the server closed."""
        self._closed(str(exc) if exc is not None else "closed")

    # -- inside

    def _closed(self, reason: str) -> None:
        """Bring everything to its end, once."""
        if self._transport is None:
            self._lost.set()
            return
        self._transport, self._reason = None, reason
        for timer in (self._timer, self._echo_timer):
            if timer is not None:
                timer.cancel()
        self._do(self.link.reset())
        self._lost.set()
        self._events.down(reason)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Write():
                    self._write(action.data)
                case Received():
                    self._events.heard(action.message)
                case Finished():
                    future = self._waiting.get(action.ticket)
                    if future is not None and not future.done():
                        future.set_result(action)
                case SetBitRate():
                    self._set_rate(action.bit_rate)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.link.due()
        if due is not None and self._transport is not None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._do(self.link.tick(max(self._loop.time(), self.link.due() or 0.0)))  # timers may fire a little early

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            if self._echo is not None:
                self._echo.wrote(data)
            self._transport.write(data)

    def _watch_echo(self) -> None:
        if self._echo_timer is not None:
            self._echo_timer.cancel()
        self._echo_timer = self._loop.call_later(_ECHO_S, self._no_echo)

    def _no_echo(self) -> None:
        if self._echo is not None and (held := self._echo.silence()):
            self._do(self.link.receive(held, self._loop.time()))

    def _set_rate(self, bit_rate: int) -> None:
        """A serial server keeps its own rate: only 19200 bit/s is offered over TCP."""
        line = None if self._transport is None else self._transport.get_extra_info("serial")
        if line is not None:
            line.baudrate = bit_rate
