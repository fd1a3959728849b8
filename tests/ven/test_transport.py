"""One exchange over loopback HTTPS: headers, limits, TLS, and the name of every failure."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from openadr import wire
from openadr.exchange import Service
from openadr.messages import CreateOpt, Poll, RequestEvent, Response
from openadr.model import OptType
from openadr.tls import client_context
from tests.ven.conftest import Pki
from tests.ven.fake_vtn import FakeVtn
from tests.ven.support import T0, VEN_ID
from ven.model import Failure
from ven.transport import Answer, ExchangeFailed, HttpTransport

POLL = Poll(ven_id=VEN_ID)


@pytest.fixture
async def transport(vtn: FakeVtn, pki: Pki) -> AsyncIterator[HttpTransport]:
    made = HttpTransport(vtn_url=vtn.url + "/", ssl_context=pki.client(), timeout_s=5, max_answer_bytes=10_000)
    yield made
    await made.close()


async def fail(transport: HttpTransport) -> ExchangeFailed:
    with pytest.raises(ExchangeFailed) as caught:
        await transport.exchange(Service.OADR_POLL, POLL)
    return caught.value


async def test_rule_511_053_path_and_headers(transport: HttpTransport, vtn: FakeVtn) -> None:
    answer = await transport.exchange(Service.OADR_POLL, POLL)
    assert isinstance(answer.message, Response)
    (received,) = vtn.received
    assert received.service == "OadrPoll"
    assert received.message == POLL
    headers = received.headers
    assert headers["Content-Type"] == "application/xml"
    assert headers["Content-Length"] == str(len(wire.encode(POLL)))
    assert headers["Accept"] == "application/xml"
    assert headers["Host"] == f"127.0.0.1:{vtn.port}"
    assert not {"Transfer-Encoding", "Accept-Encoding", "User-Agent"} & set(headers)


async def test_the_vtns_date_is_brought_back(transport: HttpTransport, vtn: FakeVtn) -> None:
    answer = await transport.exchange(Service.EI_EVENT, RequestEvent(request_id="r", ven_id=VEN_ID))
    assert answer.vtn_time is not None
    assert answer.vtn_time.tzinfo is not None


async def test_a_missing_date_is_no_date() -> None:
    async def bare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"</oadr:oadrPayload>")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(bare, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        transport = HttpTransport(vtn_url=url, ssl_context=None, timeout_s=5, max_answer_bytes=10_000)
        assert await transport.exchange(Service.OADR_POLL, POLL) == Answer(message=None, vtn_time=None)
        await transport.close()


async def test_an_odd_date_is_no_date(transport: HttpTransport, vtn: FakeVtn) -> None:
    async def dated() -> web.Response:
        return web.Response(body=b"", headers={"Date": "yesterday"})

    vtn.faults[Poll].append(dated)
    assert await transport.exchange(Service.OADR_POLL, POLL) == Answer(message=None, vtn_time=None)


async def test_an_empty_200_is_no_message(transport: HttpTransport, vtn: FakeVtn) -> None:
    vtn.faults[Poll].append(b"")
    assert (await transport.exchange(Service.OADR_POLL, POLL)).message is None


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (301, Failure.REFUSED),
        (400, Failure.REFUSED),
        (403, Failure.IDENTITY),
        (404, Failure.REFUSED),
        (406, Failure.REFUSED),
        (429, Failure.BUSY),
        (500, Failure.BROKEN),
        (501, Failure.REFUSED),
        (502, Failure.UNREACHABLE),
        (503, Failure.BUSY),
    ],
)
async def test_http_status_names_the_failure(
    transport: HttpTransport, vtn: FakeVtn, status: int, failure: Failure
) -> None:
    vtn.faults[Poll].append(status)
    failed = await fail(transport)
    assert failed.failure is failure
    assert str(status) in failed.detail


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"not xml", id="not-xml"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', id="sec_30_dtd"),
        pytest.param(b"<a/>", id="unknown"),
        pytest.param(wire.encode(POLL).replace(b"<ei:venID>VEN-1</ei:venID>", b""), id="schema-invalid"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_the_vtns_fault(
    transport: HttpTransport, vtn: FakeVtn, body: bytes
) -> None:
    vtn.faults[Poll].append(body)
    assert (await fail(transport)).failure is Failure.BROKEN
    assert isinstance((await transport.exchange(Service.OADR_POLL, POLL)).message, Response)


async def test_sec_30_an_oversize_answer_is_refused_and_the_next_exchange_works(
    transport: HttpTransport, vtn: FakeVtn
) -> None:
    vtn.faults[Poll].append(b" " * 5_000_000)
    failed = await fail(transport)
    assert failed.failure is Failure.BROKEN
    assert "10000 bytes" in failed.detail
    assert isinstance((await transport.exchange(Service.OADR_POLL, POLL)).message, Response)


async def test_a_message_of_ours_that_cannot_be_written_is_not_tried_for_ever(
    transport: HttpTransport, vtn: FakeVtn
) -> None:
    odd = CreateOpt(
        opt_id="bad\x00id", opt_type=OptType.OPT_IN, opt_reason="x", ven_id="v", created_date_time=T0, request_id="r"
    )
    with pytest.raises(ExchangeFailed) as caught:
        await transport.exchange(Service.EI_OPT, odd)
    assert caught.value.failure is Failure.REFUSED
    assert not vtn.received


async def test_nobody_there_is_unreachable(transport: HttpTransport, vtn: FakeVtn) -> None:
    await vtn.stop()
    assert (await fail(transport)).failure is Failure.UNREACHABLE


async def test_no_answer_in_time_is_unreachable(vtn: FakeVtn, pki: Pki) -> None:
    async def silent() -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    vtn.faults[Poll].append(silent)
    transport = HttpTransport(vtn_url=vtn.url, ssl_context=pki.client(), timeout_s=0.2, max_answer_bytes=10_000)
    failed = await fail(transport)
    await transport.close()
    assert failed.failure is Failure.UNREACHABLE
    assert "0.2 s" in failed.detail


async def test_a_vtn_under_another_root_is_refused(vtn: FakeVtn, pki: Pki) -> None:
    context = client_context(ca=pki.other_ca, cert_chain=pki.ven.chain)
    transport = HttpTransport(vtn_url=vtn.url, ssl_context=context, timeout_s=5, max_answer_bytes=10_000)
    failed = await fail(transport)
    await transport.close()
    assert failed.failure is Failure.IDENTITY
    assert not vtn.received


@pytest.mark.parametrize("who", ["nobody", "stranger"])
async def test_sec_02_a_ven_without_a_trusted_certificate_gets_nowhere(vtn: FakeVtn, pki: Pki, who: str) -> None:
    chain = None if who == "nobody" else pki.stranger.chain
    context = client_context(ca=pki.ca, cert_chain=chain)
    transport = HttpTransport(vtn_url=vtn.url, ssl_context=context, timeout_s=5, max_answer_bytes=10_000)
    failed = await fail(transport)
    await transport.close()
    assert failed.failure in (Failure.IDENTITY, Failure.UNREACHABLE)
    assert not vtn.received


async def test_plain_http_without_a_context(pki: Pki) -> None:
    plain = FakeVtn(None)
    await plain.start()
    transport = HttpTransport(vtn_url=plain.url, ssl_context=None, timeout_s=5, max_answer_bytes=10_000)
    answer = await transport.exchange(Service.OADR_POLL, replace(POLL, ven_id="VEN-2"))
    await transport.close()
    await plain.stop()
    assert isinstance(answer.message, Response)
