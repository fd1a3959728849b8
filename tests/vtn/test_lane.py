"""The short way of polls over real TLS: the same answers as the long way, and never in place of it."""

import asyncio
from collections.abc import Callable

import pytest

from openadr.messages import DistributeEvent, Poll, RequestEvent, Response
from openadr.wire import decode, encode
from tests.vtn.server import Running
from tests.vtn.test_chain import publish, ready
from tests.vtn.test_clients import BODY, POLL, Line, chunked, head, line
from vtn.endpoints import Endpoints
from vtn.lane import HEADS, LaneServer

WHOLE = head(len(BODY)) + BODY


def server_of(vtn: Running) -> LaneServer:
    runner = vtn.app._runner
    assert runner is not None
    assert isinstance(runner.server, LaneServer)
    return runner.server


def long_ways(vtn: Running) -> Callable[[], int]:
    """Return what counts the requests that aiohttp has read since."""
    server = server_of(vtn)
    made = 0
    factory = server.request_factory

    def counting(*parts: object) -> object:
        nonlocal made
        made += 1
        return factory(*parts)  # type: ignore[arg-type]

    server.request_factory = counting  # type: ignore[assignment]
    return lambda: made


async def headers_and_body(client: Line) -> tuple[list[str], bytes]:
    async with asyncio.timeout(60):
        lines = (await client.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        length = next(int(each[15:]) for each in lines if each.startswith("Content-Length:"))
        return lines, await client.reader.readexactly(length)


async def asked(client: Line, text: bytes = WHOLE) -> object:
    client.send(text)
    status, body = await client.answer()
    assert status == 200
    return decode(body)


async def test_a_poll_whose_head_is_known_is_answered_the_short_way_with_the_same_headers_and_body(
    vtn: Running,
) -> None:
    await ready(vtn)
    server_of(vtn).heads.clear()
    seen = long_ways(vtn)
    found = []
    for long in (1, 0):  # what one connection has shown is known on the next
        async with line(vtn) as client:
            before = seen()
            for _ in range(3):
                client.send(WHOLE)
                found.append(await headers_and_body(client))
            assert seen() - before == long
    names = [[each.split(":")[0] for each in lines] for lines, _ in found]
    assert all(each == names[0] for each in names)
    assert {body for _, body in found} == {found[0][1]}
    references = {each for lines, _ in found for each in lines if each.startswith("X-Reference-Id")}
    assert len(references) == len(found)


async def test_an_event_comes_the_short_way_once_and_is_recorded(vtn: Running) -> None:
    await ready(vtn)
    async with line(vtn) as client:
        assert isinstance(await asked(client), Response)
        assert isinstance(await asked(client), Response)
        event_id = await publish(vtn)
        reply = await asked(client)
        assert isinstance(reply, DistributeEvent)
        assert [each.descriptor.event_id for each in reply.events] == [event_id]
        assert reply.events[0].target.ven_ids == ("ven-a",)
        assert isinstance(await asked(client), Response)
    await vtn.app.outbox.flush()
    async with vtn.app.store.read() as tx:
        assert [ids for _, ids in (await tx.events.handed(event_id)).values()] == [(reply.request_id,)]


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_after_bytes_without_a_known_end_the_long_way_is_taken(vtn: Running, size: int) -> None:
    await ready(vtn)
    async with line(vtn) as client:
        for text in (WHOLE, head(None) + chunked(BODY, size), WHOLE, WHOLE):
            assert isinstance(await asked(client, text), Response)


@pytest.mark.parametrize("cut", [3, 60, len(WHOLE) - len(BODY), len(WHOLE) - 1])
async def test_requests_in_pieces_and_in_a_row_keep_their_order(vtn: Running, cut: int) -> None:
    await ready(vtn)
    event = RequestEvent(request_id="req-x", ven_id="ven-a")
    body = encode(event)
    other = head(len(body), POLL.replace("OadrPoll", "EiEvent")) + body
    async with line(vtn) as client:
        for _ in range(2):
            for text in (WHOLE, WHOLE + other, WHOLE[:cut]):
                client.send(text)
                await client.writer.drain()
                await asyncio.sleep(0.01)
            client.send(WHOLE[cut:] + other[:cut])
            await client.writer.drain()
            client.send(other[cut:])
            kinds = [type(decode((await client.answer())[1])) for _ in range(5)]
            assert kinds == [Response, Response, DistributeEvent, Response, DistributeEvent]


async def test_a_wrong_poll_with_a_known_head_is_refused_as_ever(vtn: Running) -> None:
    await ready(vtn)
    async with line(vtn) as client:
        assert isinstance(await asked(client), Response)
        assert isinstance(await asked(client), Response)
        client.send(head(len(BODY)) + b"x" * len(BODY))
        assert (await client.answer())[0] == 406
        foreign = encode(Poll(ven_id="ven-b"))
        assert len(foreign) == len(BODY)
        for _ in range(2):
            reply = await asked(client, head(len(foreign)) + foreign)
            assert isinstance(reply, Response)
            assert reply.response.response_code == 452


async def test_the_codings_of_heads_are_kept_apart(vtn: Running) -> None:
    await ready(vtn)
    async with line(vtn) as client:
        for _ in range(3):
            for coding in ("gzip", "deflate", "identity"):
                client.send(head(len(BODY), POLL, f"Accept-Encoding: {coding}") + BODY)
                lines, _ = await headers_and_body(client)
                assert (f"Content-Encoding: {coding}" in lines) == (coding != "identity")


async def test_known_heads_are_bounded_and_those_that_are_no_polls_are_not_kept(vtn: Running) -> None:
    await ready(vtn)
    server = server_of(vtn)
    server.heads.clear()
    async with line(vtn) as client:
        for path, more in ((POLL.replace("OadrPoll", "EiEvent"), ()), (POLL, ("X: " + "y" * 3_000,))):
            client.send(head(len(BODY), path, *more) + BODY)
            await client.answer()
        assert not server.heads
        server.heads.update({b"%d" % number: None for number in range(HEADS)})  # type: ignore[misc]
        assert isinstance(await asked(client), Response)
    assert len(server.heads) == 1


async def test_a_connection_that_polls_the_short_way_is_not_idle(vtn: Running) -> None:
    await ready(vtn)
    async with line(vtn) as client:
        assert isinstance(await asked(client), Response)
        (connection,) = (each for each in server_of(vtn).connections if each._request_count == 1)
        before = connection._next_keepalive_close_time
        assert isinstance(await asked(client), Response)
        assert connection._next_keepalive_close_time > before


def test_heads_of_other_than_polls_are_no_way(vtn_endpoints: Endpoints) -> None:
    good = {"Content-Type": "application/xml"}
    assert vtn_endpoints.way(POLL, good) is not None
    assert vtn_endpoints.way(POLL, {"Content-Type": "text/plain"}) is None
    assert vtn_endpoints.way(POLL.replace("OadrPoll", "EiReport"), good) is None


@pytest.fixture
def vtn_endpoints(vtn: Running) -> Endpoints:
    return vtn.app.endpoints
