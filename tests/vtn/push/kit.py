"""A VTN that pushes, and a scripted HTTPS peer that takes or spoils what is pushed to it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from aiohttp import web
from prometheus_client import CollectorRegistry

from certs.authority import Issued
from openadr import wire
from openadr.exchange import CONTENT_TYPE, PATH
from openadr.messages import (
    CanceledPartyRegistration,
    CanceledReport,
    CancelPartyRegistration,
    CancelReport,
    CreatedReport,
    CreateReport,
    DistributeEvent,
    EiResponse,
    Message,
    RegisteredReport,
    RegisterReport,
    RequestReregistration,
    Response,
)
from openadr.tls import server_context
from tests.vtn.server import Pki
from tests.vtn.world import Ids, Party, World
from vtn.metrics import PushMetrics
from vtn.push import Pusher
from vtn.pushline import Line
from vtn.services.addresses import address_rule
from vtn.services.context import Desk, PushPolicy
from vtn.services.pushing import Outcome, Taken
from vtn.store.rows import Ven
from vtn.store.store import Store

LOOPBACK = address_rule(("127.0.0.0/8", "localhost"))
POLICY = PushPolicy(addresses=LOOPBACK, first_s=2.0, longest_s=60.0, attempts=3, lease_s=60.0, settle_s=0.0)


def push_desk(policy: PushPolicy = POLICY) -> Desk:
    """Return a desk that offers push."""
    return Desk(vtn_id="VTN-1", new_id=Ids(), push=policy)


async def push_ven(world: World, ven_id: str = "ven-a", number: int = 1, port: int = 9, **fields: object) -> Party:
    """Enrol a VEN, register it for push and take its greeting off the queue."""
    party = await world.enrol(ven_id, number)
    address = f"https://127.0.0.1:{port}/{ven_id}/"
    reply = await party.register(http_pull_model=False, transport_address=address, **fields)
    assert reply.response.ok, reply.response
    async with world.store.write() as tx:
        await tx.queue.clear(ven_id)
    return party


def good_answer(message: Message, ven_id: str = "ven-a") -> Message | None:
    """Return what a VEN answers to a pushed payload."""
    match message:
        case DistributeEvent():
            return None
        case CreateReport():
            ids = tuple(each.report_request_id for each in message.report_requests)
            done = EiResponse(request_id=message.request_id)
            return CreatedReport(response=done, pending_reports=ids, ven_id=ven_id)
        case CancelReport():
            return CanceledReport(response=EiResponse(request_id=message.request_id), pending_reports=(), ven_id=ven_id)
        case RegisterReport():
            return RegisteredReport(response=EiResponse(request_id=message.request_id), ven_id=ven_id)
        case CancelPartyRegistration():
            return CanceledPartyRegistration(response=EiResponse(request_id=message.request_id), ven_id=ven_id)
        case RequestReregistration():
            return Response(response=EiResponse(), ven_id=ven_id)
    raise AssertionError(message)


Script = Callable[[Ven, Message], Awaitable[Outcome]]


async def takes(ven: Ven, message: Message) -> Outcome:
    """Take everything."""
    return Taken(answer=good_answer(message, ven.ven_id))


@dataclass
class ScriptedLines:
    """Lines to VENs that do what ``script`` says; keeps what was sent."""

    script: Script = takes
    sent: list[tuple[str, Message]] = field(default_factory=list)
    open_now: int = 0
    most: int = 0

    @asynccontextmanager
    async def open(self, ven: Ven) -> AsyncIterator[Line]:
        """Give a line."""
        self.open_now += 1
        self.most = max(self.most, self.open_now)
        try:
            yield _ScriptedLine(self, ven)
        finally:
            self.open_now -= 1

    def kinds(self, ven_id: str = "ven-a") -> list[type[Message]]:
        """Return the types of what was sent to a VEN."""
        return [type(message) for name, message in self.sent if name == ven_id]


@dataclass
class _ScriptedLine:
    lines: ScriptedLines
    ven: Ven

    async def send(self, message: Message) -> Outcome:
        self.lines.sent.append((self.ven.ven_id, message))
        return await self.lines.script(self.ven, message)


def pusher(
    world: World, lines: ScriptedLines, *, store: Store | None = None, owner: str = "node-1", places: int = 8
) -> Pusher:
    """Return a pusher on a world, in steps of ``look`` and ``idle``."""
    assert world.desk.push is not None

    async def flush() -> None: ...

    return Pusher(
        store=store or world.store,
        desk=world.desk,
        policy=world.desk.push,
        clock=world.clock,
        draw=lambda: 0.5,
        lines=lines,
        flush=flush,
        seen=lambda _fingerprint, _now: None,
        metrics=PushMetrics(CollectorRegistry()),
        owner=owner,
        places=places,
    )


async def round_of(pushing: Pusher) -> int:
    """Push what is due now; return how many VENs were."""
    found = await pushing.look()
    await pushing.idle()
    return found


Fault = int | bytes | Message | Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Peer:
    """A push VEN over HTTPS; ``faults`` are used up before it answers as it should."""

    def __init__(self, pki: Pki, certificate: Issued) -> None:
        self.faults: deque[Fault] = deque()
        self.received: list[tuple[str, Message, Mapping[str, str]]] = []
        self.port = 0
        self._context = server_context(cert_chains=[certificate.chain], client_ca=pki.trust)
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> "Peer":
        await self.start()
        return self

    async def __aexit__(self, *_of: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen on 127.0.0.1, where it listened before."""
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def address(self) -> str:
        """The base address."""
        return f"https://127.0.0.1:{self.port}/site1"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        message = wire.decode(await request.read())
        start, _, service = request.path.rpartition("/")
        assert start + "/{service}" == "/site1" + PATH, request.path
        self.received.append((service, message, dict(request.headers)))
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            return web.Response(status=fault, headers={"Location": "https://127.0.0.1:9/"} if fault == 302 else None)
        if isinstance(fault, bytes):
            return web.Response(body=fault, content_type=CONTENT_TYPE)
        if callable(fault):
            return await fault(request)
        answer = good_answer(message) if fault is None else fault
        return web.Response(body=b"" if answer is None else wire.encode(answer), content_type=CONTENT_TYPE)


async def hangs(_request: web.BaseRequest) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(3600)
    raise AssertionError


def later(world: World, seconds: float) -> None:
    """Step the world's clock."""
    world.clock.set(world.clock.now() + timedelta(seconds=seconds))
