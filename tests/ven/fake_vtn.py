"""A small VTN over real HTTPS: a poll queue, the ordinary answers, and faults on demand. It keeps what it was sent."""

import ssl
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import TypeVar

from aiohttp import web

from openadr import wire
from openadr.exchange import PATH
from openadr.messages import (
    CreatedOpt,
    CreateOpt,
    CreatePartyRegistration,
    DistributeEvent,
    EiResponse,
    Message,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import Event
from openadr.times import Duration
from tests.ven.support import OK, VEN_ID, created_registration, distribute

M = TypeVar("M", bound=Message)
Fault = int | bytes | Message | Callable[[], Awaitable[web.StreamResponse]]
"""An HTTP status, raw bytes, another message, or a handler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request: its service, message and headers."""

    service: str
    message: Message
    headers: Mapping[str, str]


class FakeVtn:
    """Serves one VEN. Polls take from ``queue`` in turn; ``faults[kind]`` are used up before the ordinary answer."""

    def __init__(self, context: ssl.SSLContext | None, port: int = 0) -> None:
        self.queue: deque[Message] = deque()
        self.events: tuple[Event, ...] = ()
        self.faults: defaultdict[type[Message], deque[Fault]] = defaultdict(deque)
        self.received: list[Received] = []
        self.poll_s = 10
        self.port = port
        self._context = context
        self._runner: web.AppRunner | None = None
        self._sequence = 0
        self.clock: Callable[[], datetime] | None = None  # what the Date header says; None: the real time

    async def start(self) -> None:
        """Listen on 127.0.0.1."""
        app = web.Application()
        app.router.add_post(PATH.format(service="{service}"), self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and drop the connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """The base address."""
        return f"{'http' if self._context is None else 'https'}://127.0.0.1:{self.port}"

    def got(self, kind: type[M]) -> list[M]:
        """Return the messages of one kind received so far."""
        return [one.message for one in self.received if isinstance(one.message, kind)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        message = wire.decode(await request.read())
        self.received.append(
            Received(service=request.match_info["service"], message=message, headers=dict(request.headers))
        )
        fault = self.faults[type(message)].popleft() if self.faults[type(message)] else None
        if isinstance(fault, int):
            return web.Response(status=fault)
        if isinstance(fault, bytes):
            return web.Response(body=fault, content_type="application/xml")
        if callable(fault):
            return await fault()
        answer = self._answer(message) if fault is None else fault
        headers = {} if self.clock is None else {"Date": format_datetime(self.clock(), usegmt=True)}
        return web.Response(body=wire.encode(answer), content_type="application/xml", headers=headers)

    def _answer(self, message: Message) -> Message:
        self._sequence += 1
        match message:
            case QueryRegistration():
                return created_registration(registration_id=None, ven_id=None)
            case CreatePartyRegistration():
                echo = EiResponse(request_id=message.request_id)
                return created_registration(response=echo, requested_poll_freq=Duration(seconds=self.poll_s))
            case RequestEvent():
                return self.payload()
            case Poll():
                return self.queue.popleft() if self.queue else Response(response=OK, ven_id=VEN_ID)
            case RegisterReport():
                return RegisteredReport(response=EiResponse(request_id=message.request_id), ven_id=VEN_ID)
            case UpdateReport():
                return UpdatedReport(response=EiResponse(request_id=message.request_id), ven_id=VEN_ID)
            case CreateOpt():
                return CreatedOpt(response=EiResponse(request_id=message.request_id), opt_id=message.opt_id)
            case _:
                return Response(response=OK, ven_id=VEN_ID)

    def payload(self, *events: Event) -> DistributeEvent:
        """Return a payload of ``events``, or of ``self.events``."""
        return distribute(*(events or self.events), request_id=f"dist-{self._sequence}")
