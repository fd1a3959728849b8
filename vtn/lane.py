"""A short way for polls: requests whose head aiohttp has read before, byte for byte, answered without reading it again.

Some are answered as soon as something is written; what comes on the connection until then waits.

Rule: aiohttp decides what a head means, once; the short way is taken only where it would read the same: the
connection stands between two requests, nothing is on the way, and the bytes are one whole request with a known head
and a body of the length it tells. Whatever is not exactly so goes to aiohttp, and so does everything after bytes whose
end is not known for certain. An answer is written by ``Short`` or, if that returns None, by the long way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from vtn.peers import Peer

HEADS = 1_000  # remembered; VENs of one make have the same but for the length of the body
HEAD_BYTES = 2_000  # longer ones are not remembered
_END = b"\r\n\r\n"


Later = Coroutine[Any, Any, bytes | None]


@dataclass(frozen=True, slots=True)
class Way:
    """How requests with one head are to be answered."""

    coding: str | None  # of the answer's body


class Short(Protocol):
    """Answers without waiting for anything, or for one thing, or not at all."""

    def way(self, path: str, headers: Mapping[str, str]) -> Way | None:
        """Return how requests with this head may be answered at once; None: never."""
        ...

    def sender(self, transport: asyncio.BaseTransport) -> Peer | None:
        """Return who sends everything that comes on a connection; None: that is not known."""
        ...

    def at_once(self, way: Way, body: bytes, sender: Peer) -> bytes | None:
        """Return a whole HTTP answer; None: it cannot be given at once, and nothing has happened."""
        ...

    def soon(self, way: Way, body: bytes, sender: Peer, transport: asyncio.BaseTransport) -> Later | None:
        """Return what will give a whole HTTP answer, or None for the long way; None: the long way has to be taken."""
        ...


@dataclass(frozen=True, slots=True)
class _Head:
    """What a request line and headers say."""

    way: Way
    length: int  # of the body


class LaneServer(web.Server):
    """A server whose connections know the short way."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], short: Short, **options: Any
    ) -> None:
        super().__init__(handler, **options)
        self.short = short
        self.heads: dict[bytes, _Head] = {}

    def __call__(self) -> RequestHandler:
        """Make the protocol of a connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    def learn(self, head: bytes, message: RawRequestMessage, length: int) -> None:
        """Remember what aiohttp has read."""
        way = self.short.way(message.path, message.headers) if len(head) <= HEAD_BYTES else None
        if way is None:
            return
        if len(self.heads) >= HEADS:
            self.heads.clear()
        self.heads[head] = _Head(way, length)


def _length(message: RawRequestMessage) -> int | None:
    """Return the length of the body of a request that may go the short way."""
    headers = message.headers
    plain = message.method == "POST" and message.version == HttpVersion11 and message.compression is None
    if not plain or message.should_close or message.upgrade or message.chunked or "Expect" in headers:
        return None
    lengths = headers.getall("Content-Length", ())
    return int(lengths[0]) if len(lengths) == 1 and "Transfer-Encoding" not in headers else None


class _Connection(RequestHandler):
    """A connection of which it is known, most of the time, that the next byte begins a request."""

    __slots__ = ("_held", "_later", "_lost", "_missing", "_sender", "_server")

    def __init__(self, server: LaneServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._missing = 0  # bytes of the present request that have not come
        self._lost = False  # where requests begin is not known any more
        self._sender: Peer | None = None
        self._later: asyncio.Task[None] | None = None  # gives the answer that is on the way
        self._held: list[bytes] = []  # what came meanwhile

    def data_received(self, data: bytes) -> None:
        """Answer at once, or do what aiohttp does."""
        if self._later is not None:
            self._held.append(data)
            self.pause_reading()
        elif self._lost or self._close or self._force_close:
            super().data_received(data)
        elif self._missing:
            self._missing -= len(data)
            self._lost = self._missing < 0
            super().data_received(data)
        elif data:
            self._begin(data)
        else:
            super().data_received(data)  # aiohttp calls itself when it reads on

    def _begin(self, data: bytes) -> None:
        """Take bytes that begin a request."""
        end = data.find(_END) + len(_END)
        head = self._server.heads.get(data[:end])
        if head is not None and len(data) == end + head.length and self._answered(head, data, end):
            return
        self._take_long_way(data, end, head)

    def _take_long_way(self, data: bytes, end: int, head: _Head | None) -> None:
        """Give bytes to aiohttp, and see whether it finds one request in them."""
        self._lost = True  # unless aiohttp reads one request in it whose end is known
        waiting = len(self._messages)
        super().data_received(data)
        if end < len(_END) or len(self._messages) != waiting + 1:
            return
        message = self._messages[-1][0]
        if not isinstance(message, RawRequestMessage):
            return  # aiohttp refuses it
        length = _length(message)
        if length is not None and len(data) <= end + length:
            self._lost, self._missing = False, end + length - len(data)
            if head is None:
                self._server.learn(data[:end], message, length)

    def _answered(self, head: _Head, data: bytes, end: int) -> bool:
        """Answer at once or soon if that can be."""
        transport = self.transport
        if transport is None or not self._idle():
            return False
        sender = self._sender
        if sender is None:
            sender = self._sender = self._server.short.sender(transport)
        if sender is None:
            return False
        body = data[end:]
        answer = self._server.short.at_once(head.way, body, sender)
        if answer is not None:
            self._write(transport, answer)
            return True
        later = self._server.short.soon(head.way, body, sender, transport)
        if later is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            self._later = self._loop.create_task(self._answer_later(later, head, data, end))
        return later is not None

    async def _answer_later(self, later: Later, head: _Head, data: bytes, end: int) -> None:
        """Write the answer, then go on with what came meanwhile."""
        answer = await later
        self._later = None
        transport = self.transport
        if transport is None:
            return  # nobody waits for it any more
        if answer is None:
            self._take_long_way(data, end, head)
        else:
            self._write(transport, answer)
        held, self._held = self._held, []
        if held:
            self.resume_reading()
            self.data_received(b"".join(held))

    def _write(self, transport: asyncio.Transport, answer: bytes) -> None:
        transport.write(answer)
        self._server.requests_count += 1
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _idle(self) -> bool:
        """True if everything that came before is answered and sent off."""
        waiter = self._waiter
        return waiter is not None and not waiter.done() and not self._paused and not self._messages
