"""Clients as they come, over real TLS: slow, in pieces, half-closed, in a row, endless, gone; others never notice."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from openadr.exchange import PATH
from openadr.messages import DistributeEvent, Message, Poll, RequestEvent, Response, UpdatedReport
from openadr.tls import client_context
from openadr.wire import decode, encode
from tests.vtn.server import Pki, Running, running
from tests.vtn.test_chain import data, metadata, publish, ready

POLL = PATH.format(service="OadrPoll")
REPORT = PATH.format(service="EiReport")
BODY = encode(Poll(ven_id="ven-a"))


@dataclass
class Line:
    """One connection of a VEN that speaks HTTP by hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, text: bytes) -> None:
        self.writer.write(text)

    async def answer(self) -> tuple[int, bytes]:
        """Read one answer: its status and body."""
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status = int(head.split()[1])
            length = next(int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
            return status, await self.reader.readexactly(length)

    async def closed(self) -> bool:
        """True if the other side ends the connection without another word."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read(1) == b""
            except (ConnectionError, ssl.SSLError):
                return True


@asynccontextmanager
async def line(vtn: Running) -> AsyncIterator[Line]:
    context = client_context(ca=vtn.pki.trust, cert_chain=vtn.pki.ven_a.chain)
    reader, writer = await asyncio.open_connection("127.0.0.1", vtn.app.port, ssl=context)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


def head(length: int | None, path: str = POLL, *more: str) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"POST {path} HTTP/1.1", "Host: vtn", "Content-Type: application/xml", size, *more, "", ""]
    return "\r\n".join(lines).encode()


def request(message: Message, path: str = POLL) -> bytes:
    body = encode(message)
    return head(len(body), path) + body


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def still_serves(vtn: Running) -> None:
    """Another VEN's view: the listener answers."""
    reply = await vtn.ven(vtn.pki.ven_a, "ven-a").send(RequestEvent(request_id="req-still", ven_id="ven-a"))
    assert isinstance(reply, DistributeEvent)


async def test_a_request_that_comes_byte_by_byte_is_answered_and_holds_up_nobody(vtn: Running) -> None:
    await ready(vtn)
    async with line(vtn) as slow:
        text = request(Poll(ven_id="ven-a"))
        for number, at in enumerate(range(len(text))):
            slow.send(text[at : at + 1])
            await slow.writer.drain()
            await asyncio.sleep(0)
            if number in (20, len(text) - 5):
                await still_serves(vtn)
        status, body = await slow.answer()
    assert (status, isinstance(decode(body), Response)) == (200, True)


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_chunked_requests_are_taken(vtn: Running, size: int) -> None:
    await ready(vtn)
    async with line(vtn) as client:
        for _ in range(2):  # and the connection stays of use
            client.send(head(None) + chunked(BODY, size))
            status, body = await client.answer()
            assert (status, isinstance(decode(body), Response)) == (200, True)


async def test_a_client_that_waits_to_be_told_to_go_on_is_told(vtn: Running) -> None:
    await ready(vtn)
    async with line(vtn) as client:
        for _ in range(2):
            client.send(head(len(BODY), POLL, "Expect: 100-continue"))
            async with asyncio.timeout(60):
                assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(BODY)
            status, body = await client.answer()
            assert (status, isinstance(decode(body), Response)) == (200, True)


async def test_pipelined_requests_are_answered_in_their_order(vtn: Running) -> None:
    await ready(vtn)
    await publish(vtn)
    async with line(vtn) as client:
        asked = [RequestEvent(request_id=f"req-{number}", ven_id="ven-a") for number in range(40)]
        client.send(b"".join(request(each, PATH.format(service="EiEvent")) for each in asked))
        replies = [decode((await client.answer())[1]) for _ in asked]
    got = [each.response.request_id for each in replies if isinstance(each, DistributeEvent) and each.response]
    assert got == [each.request_id for each in asked]


async def test_a_request_before_the_answer_to_a_large_one_waits_for_its_turn(vtn: Running) -> None:
    await ready(vtn)
    await vtn.ven(vtn.pki.ven_a, "ven-a").send(metadata())
    report = data("rpt-none", *(float(number) for number in range(600)))
    async with line(vtn) as client:
        client.send(request(report, REPORT) + request(Poll(ven_id="ven-a")))
        first, second = decode((await client.answer())[1]), (await client.answer())[0]
    assert isinstance(first, UpdatedReport)
    assert (first.response.response_code, second) == (452, 200)


async def test_a_client_that_closes_its_side_does_no_harm(vtn: Running) -> None:
    await ready(vtn)
    for text in (b"", head(len(BODY)), head(len(BODY)) + BODY[:10], head(None) + b"5\r\nab", b"POST /Open"):
        async with line(vtn) as client:
            client.send(text)
            client.writer.close()  # TLS knows no half-closed connections: this ends both directions
            assert await client.closed()
    await still_serves(vtn)


async def test_a_connection_lost_within_a_request_leaves_nothing(vtn: Running) -> None:
    ven = await ready(vtn)
    await ven.send(metadata())
    _, before = await vtn.operator.call("GET", "/api/v1/reports")
    body = encode(data("rpt-none", *(float(number) for number in range(300))))
    for cut in (1, len(body) // 2, len(body) - 1):
        async with line(vtn) as client:
            client.send(head(len(body), REPORT) + body[:cut])
            await client.writer.drain()
            client.writer.transport.abort()
    await still_serves(vtn)
    assert (await vtn.operator.call("GET", "/api/v1/reports"))[1] == before


async def test_a_body_that_never_ends_is_refused_when_its_time_is_over(pki: Pki, sqlite_url: str) -> None:
    async with running(pki, sqlite_url, body_timeout_s=0.3) as vtn:
        await ready(vtn)
        async with line(vtn) as stuck, line(vtn) as dribbling:
            stuck.send(head(1000) + BODY[:20])
            dribbling.send(head(None))
            waiting = asyncio.create_task(dribbling.answer())
            while not waiting.done():
                dribbling.send(b"1\r\nx\r\n")
                await asyncio.sleep(0.01)
            assert waiting.result()[0] == 408
            status, text = await stuck.answer()
            assert (status, b"0.3 s" in text) == (408, True)
            assert await stuck.closed()
        await still_serves(vtn)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_long_is_refused_without_being_read(pki: Pki, sqlite_url: str, declared: bool) -> None:
    async with running(pki, sqlite_url, max_body_bytes=20_000) as vtn:
        await ready(vtn)
        async with line(vtn) as client:
            client.send(head(10**12 if declared else None))
            if not declared:
                client.send(chunked(b"x" * 30_000, 1000)[:-5])
            status, _ = await client.answer()
            assert status == 413
            assert await client.closed()
        await still_serves(vtn)


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", {400, 431}, id="a huge header"),
        pytest.param(b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", {400, 414}, id="a huge path"),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5_000)) + b"\r\n",
            {400, 431},
            id="many headers",
        ),
        pytest.param(b"\x16\x03\x01" + bytes(200) + b"\r\n\r\n", {400}, id="not HTTP"),
        pytest.param(head(len(BODY), POLL, f"Content-Length: {len(BODY) + 1}") + BODY, {400}, id="two lengths"),
        pytest.param(head(None, POLL, f"Content-Length: {len(BODY)}") + chunked(BODY, 9), {400}, id="smuggling"),
        pytest.param(head(None) + b"zz\r\n" + BODY, {400}, id="a chunk without a length"),
        pytest.param(head(-1) + BODY, {400}, id="a negative length"),
        pytest.param(head(len(BODY), POLL, "Content-Encoding: gzip") + BODY, {400, 406}, id="a coding it has not"),
    ],
)
async def test_what_is_no_http_request_is_refused(vtn: Running, text: bytes, statuses: set[int]) -> None:
    await ready(vtn)
    async with line(vtn) as client:
        client.send(text)
        try:
            status, _ = await client.answer()
        except (asyncio.IncompleteReadError, ConnectionError):
            status = 400  # cut off without a word
        assert status in statuses
    await still_serves(vtn)


async def test_connections_that_say_nothing_are_closed_and_cost_no_one_a_turn(pki: Pki, sqlite_url: str) -> None:
    async with running(pki, sqlite_url, keepalive_s=1.0) as vtn:
        await ready(vtn)
        context = client_context(ca=vtn.pki.trust, cert_chain=vtn.pki.ven_a.chain)
        silent = await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", vtn.app.port, ssl=context) for _ in range(150))
        )
        await still_serves(vtn)
        async with line(vtn) as half:
            half.send(b"POST /OpenADR2/Simple")  # a head that never ends
            assert await half.closed()
        async with asyncio.timeout(60):
            assert {await reader.read(1) for reader, _ in silent} == {b""}
        for _, writer in silent:
            writer.transport.abort()
        await still_serves(vtn)
