"""What the proxy's tests share: a central system with CSMSs behind it, on a real store; a CSMS by hand.

The CSMS on the ``ocpp`` library is the demonstration's own (``examples.demo.csms``).
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import ocpp.messages
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.asyncio.server import Server, ServerConnection, serve

from bridge.ocpp.central import CentralSystem
from bridge.ocpp.proxy import Proxy
from bridge.ocpp.proxy_settings import ProxySection
from bridge.ocpp.settings import ChargerConfig
from bridge.store import BridgeStore
from examples.demo.csms import Csms
from runtime.clock import FakeClock
from tests.bridge.ocpp.harness import PATIENCE_S, START, Bench, Fleet, Raw, make_settings, settled

CHARGER = ChargerConfig(identity="CP-1")
T = "2026-03-01T12:00:00Z"
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}
BOOT201 = {"chargingStation": {"vendorName": "V", "model": "M"}, "reason": "PowerUp"}
START_TX = {"connectorId": 1, "idTag": "TAG-123456", "meterStart": 0, "timestamp": T}


@dataclass
class ProxyBench(Bench):
    """A bench with a store; ``proxy`` may be asked for its sessions."""

    proxy: Proxy
    store: BridgeStore

    def kept(self, identity: str = "CP-1") -> int:
        session = self.proxy.of(identity)
        assert session is not None
        return len(session.outbox.queue)

    def upstream(self, identity: str = "CP-1") -> bool:
        session = self.proxy.of(identity)
        return session is not None and session.upstream.rpc is not None


def section(url: str, **changes: Any) -> ProxySection:
    """Settings towards a CSMS on loopback."""
    values: dict[str, Any] = {"chargers": ("*",), "csms_url": url, "allow_insecure": True, "answer_timeout_s": 5.0}
    return ProxySection(**(values | changes))


@asynccontextmanager
async def proxied(
    engine: AsyncEngine,
    *proxies: ProxySection,
    chargers: tuple[ChargerConfig, ...] = (CHARGER,),
    clock: FakeClock | None = None,
    **settings: Any,
) -> AsyncIterator[ProxyBench]:
    """Run a central system whose chargers belong to CSMSs."""
    ocpp.messages.ASYNC_VALIDATION = False
    fleet, clock, registry = Fleet(), clock or FakeClock(START), CollectorRegistry()
    ocpp_settings, store = make_settings(**settings), BridgeStore(engine)
    proxy = Proxy(proxies=proxies, ocpp=ocpp_settings, store=store, clock=clock, draw=lambda: 0.5, registry=registry)
    central = CentralSystem(
        settings=ocpp_settings, chargers=chargers, events=fleet, clock=clock, registry=registry, proxy=proxy
    )
    await central.start()
    async with aiohttp.ClientSession() as http:
        try:
            yield ProxyBench(
                central=central, fleet=fleet, clock=clock, registry=registry, http=http, proxy=proxy, store=store
            )
        finally:
            await central.stop()


@asynccontextmanager
async def library_csms(clock: FakeClock, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Csms]:
    """Run the small CSMS."""
    csms = Csms(clock, **options)
    await csms.start(0, tls)
    try:
        yield csms
    finally:
        await csms.stop()


class Socket(Raw):
    """One charger's connection as a CSMS by hand has it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket: Any = socket

    @property
    def path(self) -> str:
        return str(self.socket.request.path)

    @property
    def password(self) -> str | None:
        header = self.socket.request.headers.get("Authorization")
        return None if header is None else base64.b64decode(header.split(" ")[1]).decode()

    async def text(self) -> str:
        """Return the next frame as it came."""
        async with asyncio.timeout(PATIENCE_S):
            return str(await self.socket.recv())

    async def expect(self, action: str) -> list[Any]:
        """Return the next call, which must be ``action``."""
        frame: list[Any] = json.loads(await self.text())
        assert frame[:1] == [2], frame
        assert frame[2] == action, frame
        return frame

    async def reply(self, action: str, payload: Any) -> list[Any]:
        """Answer the next call, which must be ``action``; returns it."""
        frame = await self.expect(action)
        await self.send(3, frame[1], payload)
        return frame


class HandCsms:
    """A CSMS by hand: its connections come out of a queue."""

    def __init__(self, versions: list[str]) -> None:
        self._versions: Any = versions
        self.connections: asyncio.Queue[Socket] = asyncio.Queue()
        self._server: Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await serve(
            self._connected,
            "127.0.0.1",
            port,
            subprotocols=self._versions,
            select_subprotocol=lambda _, offered: next((each for each in offered if each in self._versions), None),
            compression=None,
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _connected(self, socket: ServerConnection) -> None:
        self.connections.put_nowait(Socket(socket))
        await socket.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/cpo"

    async def charger(self) -> Socket:
        """Return the next connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.connections.get()


@asynccontextmanager
async def hand_csms(port: int = 0, versions: list[str] | None = None) -> AsyncIterator[HandCsms]:
    """Run a CSMS by hand."""
    csms = HandCsms(versions or ["ocpp2.0.1", "ocpp1.6"])
    await csms.start(port)
    try:
        yield csms
    finally:
        await csms.stop()


async def passing(at: ProxyBench, done: Callable[[], bool]) -> None:
    """Let time pass until something has happened."""
    async with asyncio.timeout(3 * PATIENCE_S):
        while not done():
            at.clock.advance(1.0)
            await asyncio.sleep(0.01)


async def told(at: ProxyBench, identity: str = "CP-1") -> None:
    """Let time pass until nothing is kept for the CSMS any more."""
    await passing(at, lambda: not at.kept(identity))


async def connected(at: ProxyBench, identity: str = "CP-1") -> None:
    """Let time pass until the CSMS is connected."""
    await passing(at, lambda: at.upstream(identity))


async def in_time(at: ProxyBench, work: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """Let time pass until ``work`` is done."""
    task = asyncio.create_task(work)
    while not task.done():
        at.clock.advance(1.0)
        await asyncio.sleep(0.01)
    return task.result()


async def booted(charger: Raw, csms: Socket) -> None:
    """Boot a 1.6 charger with its CSMS, and answer what the bridge asks of it."""
    await charger.send(2, "boot", "BootNotification", BOOT)
    await csms.reply("BootNotification", {"status": "Accepted", "currentTime": T, "interval": 300})
    assert (await charger.receive())[2]["status"] == "Accepted"
    await charger.decline("GetConfiguration")


__all__ = ["settled"]
