"""The HTTP side of push against a real HTTPS peer: form, identity, every kind of fault, addresses that are refused."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp import web

from certs.authority import Authority, Issued, Profile
from openadr import wire
from openadr.messages import CanceledReport, CancelReport, DistributeEvent, Message
from openadr.tls import client_context, server_context
from runtime.clock import SystemClock
from tests.vtn.push.kit import LOOPBACK, Peer, hangs
from tests.vtn.server import Pki
from tests.vtn.world import START, simple_event
from vtn.pushline import HttpLines
from vtn.services.addresses import AddressRule, address_rule
from vtn.services.pushing import Failed, Failure, Outcome, Taken
from vtn.store.rows import Ven

CANCEL = CancelReport(request_id="req-1", report_request_ids=("rr-1",), ven_id="ven-a")
EVENTS = DistributeEvent(request_id="req-2", vtn_id="VTN-1", events=(simple_event(),))


async def plainly(message: Message, _ven: Ven) -> bytes:
    return wire.encode(message)


async def reads(data: bytes, _ven: Ven, _signer: bytes) -> Message:
    return wire.decode(data)


def make_lines(
    pki: Pki,
    rule: AddressRule = LOOPBACK,
    *,
    timeout_s: float = 5.0,
    encode: Callable[[Message, Ven], Awaitable[bytes]] = plainly,
) -> HttpLines:
    def context() -> ssl.SSLContext:
        made = client_context(ca=pki.trust, cert_chain=pki.vtn.chain)
        made.check_hostname = False
        return made

    return HttpLines(
        context=context,
        addresses=rule,
        timeout_s=timeout_s,
        max_answer_bytes=10_000,
        encode=encode,
        decode=reads,
    )


def ven_of(certificate: Issued, address: str) -> Ven:
    return Ven(
        ven_id="ven-a",
        fingerprint=certificate.fingerprint,
        enrolled_at=START,
        registration_id="reg-1",
        http_pull_model=False,
        transport_address=address,
    )


async def send(lines: HttpLines, ven: Ven, message: Message = CANCEL) -> Outcome:
    async with lines.open(ven) as line:
        return await line.send(message)


async def test_rule_053_511_the_form_of_a_push(pki: Pki, listening: Issued) -> None:
    async with Peer(pki, listening) as peer:
        ven = ven_of(listening, peer.address + "/")
        async with make_lines(pki).open(ven) as line:
            assert await line.send(EVENTS) == Taken(answer=None)
            taken = await line.send(CANCEL)
    assert isinstance(taken, Taken)
    assert isinstance(taken.answer, CanceledReport)
    (first, events, headers), (second, cancel, _) = peer.received
    assert (first, second) == ("EiEvent", "EiReport")
    assert (events, cancel) == (EVENTS, CANCEL)
    assert headers["Content-Type"] == "application/xml"
    assert headers["Host"] == f"127.0.0.1:{peer.port}"
    assert int(headers["Content-Length"]) > 0
    assert not {"Content-Encoding", "Accept-Encoding", "Transfer-Encoding"} & set(headers)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (500, Failure.BROKEN),
        (503, Failure.BUSY),
        (502, Failure.UNREACHABLE),
        (302, Failure.BROKEN),
        (403, Failure.IDENTITY),
        (404, Failure.REFUSED),
        (406, Failure.REFUSED),
        (501, Failure.REFUSED),
    ],
)
async def test_every_status_has_its_meaning_and_redirects_are_not_followed(
    pki: Pki, listening: Issued, status: int, failure: Failure
) -> None:
    async with Peer(pki, listening) as peer:
        peer.faults.append(status)
        outcome = await send(make_lines(pki), ven_of(listening, peer.address))
    assert outcome == Failed(failure=failure, detail=f"HTTP {status}")
    assert len(peer.received) == 1


async def _reset(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize(
    ("fault", "failure", "words"),
    [
        pytest.param(b"<html>hello</html>", Failure.BROKEN, "cannot be read", id="garbage"),
        pytest.param(b"\x00" * 20_000, Failure.BROKEN, "exceeds 10000 bytes", id="huge"),
        pytest.param(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", Failure.BROKEN, "cannot be read", id="DTD"),
        pytest.param(_reset, Failure.UNREACHABLE, "isconnect", id="reset"),
    ],
)
async def test_an_answer_that_is_none(
    pki: Pki,
    listening: Issued,
    fault: bytes | Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    failure: Failure,
    words: str,
) -> None:
    async with Peer(pki, listening) as peer:
        peer.faults.append(fault)
        outcome = await send(make_lines(pki), ven_of(listening, peer.address))
    assert isinstance(outcome, Failed)
    assert (outcome.failure, words in outcome.detail) == (failure, True), outcome.detail


async def test_a_peer_that_hangs_is_left_after_the_time_out(pki: Pki, listening: Issued) -> None:
    async with Peer(pki, listening) as peer:
        peer.faults.append(hangs)
        outcome = await send(make_lines(pki, timeout_s=0.3), ven_of(listening, peer.address))
    assert outcome == Failed(failure=Failure.UNREACHABLE, detail="no answer within 0.3 s")


async def test_rule_517_nothing_is_sent_to_somebody_with_another_certificate(pki: Pki, listening: Issued) -> None:
    async with Peer(pki, listening) as peer:
        outcome = await send(make_lines(pki), ven_of(pki.ven_a, peer.address))
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.IDENTITY
    assert listening.fingerprint in outcome.detail
    assert pki.ven_a.fingerprint in outcome.detail
    assert peer.received == []


async def test_a_certificate_of_nobody_we_trust_or_of_a_client_only_is_refused(
    pki: Pki, listening: Issued, tmp_path_factory: pytest.TempPathFactory
) -> None:
    now = SystemClock().now()
    strange = Authority.create(tmp_path_factory.mktemp("strange"), now=now)
    other = strange.issue(Profile.OPENADR_VEN, "ven-push", ("127.0.0.1",), now=now)
    for certificate in (other, pki.ven_a):  # ven_a has no serverAuth
        async with Peer(pki, certificate) as peer:
            outcome = await send(make_lines(pki), ven_of(certificate, peer.address))
        assert isinstance(outcome, Failed)
        assert outcome.failure is Failure.IDENTITY
        assert "TLS" in outcome.detail
        assert peer.received == []


async def test_the_vtn_shows_its_certificate_to_a_ven_that_asks_for_it(pki: Pki, listening: Issued) -> None:
    shown: list[bytes] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        shown.append(request.transport.get_extra_info("ssl_object").getpeercert(binary_form=True))
        return web.Response()

    async with Peer(pki, listening) as peer:
        peer.faults.append(note)
        assert await send(make_lines(pki), ven_of(listening, peer.address)) == Taken(answer=None)
    assert shown[0] is not None


async def test_nobody_there(pki: Pki, listening: Issued) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        outcome = await send(make_lines(pki), ven_of(listening, f"https://127.0.0.1:{port}/"))
    assert isinstance(outcome, Failed)
    assert outcome.failure is Failure.UNREACHABLE


async def test_a_host_name_may_not_stand_for_an_address_that_is_not_allowed(pki: Pki, listening: Issued) -> None:
    async with Peer(pki, listening) as peer:
        address = f"https://localhost:{peer.port}/site1"
        outcome = await send(make_lines(pki, address_rule(("public",))), ven_of(listening, address))
        assert isinstance(outcome, Failed)
        assert (outcome.failure, "not allowed" in outcome.detail) == (Failure.IDENTITY, True), outcome.detail
        assert peer.received == []
        named = await send(make_lines(pki, address_rule(("localhost",))), ven_of(listening, address))
        assert isinstance(named, Taken)


async def test_an_address_that_was_allowed_once_and_no_more_is_not_gone_to(pki: Pki, listening: Issued) -> None:
    async with Peer(pki, listening) as peer:
        for address in (peer.address, peer.address.replace("https", "http"), ""):
            outcome = await send(make_lines(pki, address_rule(("10.0.0.0/8",))), ven_of(listening, address))
            assert isinstance(outcome, Failed)
            assert outcome.failure is Failure.IDENTITY
    assert peer.received == []


async def test_a_message_of_ours_that_cannot_be_written_is_not_tried_for_ever(pki: Pki, listening: Issued) -> None:
    async def breaks(_message: Message, _ven: Ven) -> bytes:
        raise RuntimeError("no such element")

    outcome = await send(make_lines(pki, encode=breaks), ven_of(listening, "https://127.0.0.1:9/"))
    assert outcome == Failed(failure=Failure.REFUSED, detail="cannot be encoded: RuntimeError: no such element")


async def test_plain_http_only_where_it_is_allowed(pki: Pki, listening: Issued) -> None:
    received: list[bytes] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        received.append(await request.read())
        return web.Response()

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ven = ven_of(listening, f"http://127.0.0.1:{runner.addresses[0][1]}")
    assert isinstance(await send(make_lines(pki), ven), Failed)
    assert await send(make_lines(pki, replace(LOOPBACK, insecure=True)), ven) == Taken(answer=None)
    assert len(received) == 1
    await runner.cleanup()
    await asyncio.sleep(0)


def test_the_peers_context_asks_for_a_certificate(pki: Pki, listening: Issued) -> None:
    assert server_context(cert_chains=[listening.chain], client_ca=pki.trust).verify_mode.name == "CERT_REQUIRED"
