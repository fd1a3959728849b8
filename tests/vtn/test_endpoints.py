"""Bad input at the OpenADR listener: each gets a clear answer in the protocol's form, and nothing is changed."""

import gzip
import json
import ssl
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from io import StringIO

import aiohttp
import pytest
from sqlalchemy import func, select

from openadr.exchange import PATH
from openadr.messages import (
    CreatedEvent,
    CreatedPartyRegistration,
    CreateOpt,
    CreatePartyRegistration,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Message,
    Poll,
    QueryRegistration,
    RequestEvent,
    Response,
    UpdatedReport,
)
from openadr.model import Availability, OptType
from openadr.times import Duration
from openadr.tls import client_context
from openadr.wire import decode, encode
from runtime import logs
from runtime.clock import SystemClock
from tests.vtn.server import Pki, Running, make_pki, running
from tests.vtn.test_chain import answers, data, metadata, publish, ready
from tests.vtn.world import START
from vtn.store import metadata as tables

POLL = PATH.format(service="OadrPoll")
EVENT = PATH.format(service="EiEvent")
REGISTER = PATH.format(service="EiRegisterParty")


async def counts(vtn: Running) -> dict[str, int]:
    """Return the number of rows in every table, and the change counter."""
    async with vtn.app.store.read() as tx:
        found = {
            name: int((await tx.connection.execute(select(func.count()).select_from(table))).scalar_one())
            for name, table in tables.tables.items()
        }
    return {**found, "counter": await vtn.app.store.changes()}


def code_of(reply: Message) -> int:
    """Return the responseCode of a reply."""
    response = getattr(reply, "response", None)
    assert isinstance(response, EiResponse)
    return response.response_code


BILLION = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>"""
FILE = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>"""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 406, id="empty"),
        pytest.param(b"this is not XML", 406, id="not XML"),
        pytest.param(b"<a><b></a>", 406, id="not well-formed"),
        pytest.param(BILLION, 406, id="entities"),
        pytest.param(FILE, 406, id="external entity"),
        pytest.param(b"<a/>", 406, id="no OpenADR payload"),
        pytest.param(encode(Poll(ven_id="ven-a")).replace(b"venID>", b"venNo>"), 406, id="schema-invalid"),
        pytest.param(b"<a>" + b"x" * 300_000 + b"</a>", 413, id="too large"),
    ],
)
async def test_what_is_no_message_gets_a_status_and_a_line(pki: Pki, sqlite_url: str, body: bytes, status: int) -> None:
    async with running(pki, sqlite_url, max_body_bytes=200_000) as vtn:
        ven = await ready(vtn)
        before = await counts(vtn)
        got, headers, text = await ven.post(POLL, body)
        assert got == status
        assert headers["X-Reference-Id"].startswith("ref-")
        assert 0 < len(text) < 500
        assert b"passwd" not in text
        assert await counts(vtn) == before
        assert isinstance(await ven.poll(), Response)


async def test_chunked_bodies_are_bounded_too(pki: Pki, sqlite_url: str) -> None:
    async with running(pki, sqlite_url, max_body_bytes=20_000) as vtn:
        ven = await ready(vtn)

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 1000

        with pytest.raises((aiohttp.ClientError, AssertionError)):  # refused while sending, or answered 413
            async with vtn.session.post(
                f"{ven.url}{POLL}", data=endless(), headers={"Content-Type": "application/xml"}, ssl=ven.context
            ) as answer:
                assert answer.status == 200
        assert isinstance(await ven.poll(), Response)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_section_9_1_other_methods_are_501(vtn: Running, method: str) -> None:
    ven = await vtn.enrolled()
    status, _, text = await ven.post(POLL, b"", method=method)
    assert (status, b"POST" in text) == (501, True)


async def test_section_9_1_unknown_services_are_404(vtn: Running) -> None:
    ven = await vtn.enrolled()
    body = encode(Poll(ven_id="ven-a"))
    assert (await ven.post("/OpenADR2/Simple/2.0b/EiQuote", body))[0] == 404
    assert (await ven.post("/OpenADR2/Simple/EiEvent", body))[0] == 404
    assert (await ven.post("/", body))[0] == 404


async def test_rule_511_equal_paths_after_normalisation_are_served(vtn: Running) -> None:
    ven = await ready(vtn)
    body = encode(Poll(ven_id="ven-a"))
    assert (await ven.post("/OpenADR2/Simple/2.0b/%4FadrPoll", body))[0] == 200
    assert (await ven.post(POLL + "/", body))[0] == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/xml", 200),
        ("application/xml; charset=utf-8", 200),
        ("application/xml;charset=UTF-8", 200),
        ("text/xml", 406),
        ("application/json", 406),
        ("application/xml; charset=iso-8859-1", 406),
    ],
)
async def test_rule_053_content_type(vtn: Running, content_type: str, status: int) -> None:
    ven = await ready(vtn)
    got, _, _ = await ven.post(POLL, encode(Poll(ven_id="ven-a")), {"Content-Type": content_type})
    assert got == status


async def test_rule_053_answers_are_compressed_if_asked(vtn: Running) -> None:
    ven = await ready(vtn)
    body = encode(Poll(ven_id="ven-a"))
    headers = {"Content-Type": "application/xml", "Accept-Encoding": "gzip, deflate"}
    async with aiohttp.ClientSession(auto_decompress=False) as raw:
        for accepted, unpack in (
            ("gzip, deflate", gzip.decompress),
            ("deflate", zlib.decompress),
            ("gzip;q=0", bytes),
            ("identity", bytes),
        ):
            headers["Accept-Encoding"] = accepted
            async with raw.post(f"{ven.url}{POLL}", data=body, headers=headers, ssl=ven.context) as answer:
                got = await answer.read()
                assert int(answer.headers["Content-Length"]) == len(got)
                assert "Transfer-Encoding" not in answer.headers
                assert isinstance(decode(unpack(got)), Response)


@pytest.mark.parametrize("length", [0, 100, 4_000])
async def test_rule_053_short_and_long_answers_unpack_to_the_same(vtn: Running, length: int) -> None:
    ven = await ready(vtn)
    for _ in range(2):
        await publish(vtn, vtnComment="x" * length)
    body = encode(RequestEvent(request_id="req-1", ven_id="ven-a"))
    headers = {"Content-Type": "application/xml"}
    async with aiohttp.ClientSession(auto_decompress=False) as raw:
        for coding, unpack in (("gzip", gzip.decompress), ("deflate", zlib.decompress)):
            headers["Accept-Encoding"] = coding
            async with raw.post(f"{ven.url}{EVENT}", data=body, headers=headers, ssl=ven.context) as answer:
                assert answer.headers["Content-Encoding"] == coding
                reply = decode(unpack(await answer.read()))
                assert isinstance(reply, DistributeEvent)
                assert [len(each.descriptor.vtn_comment or "") for each in reply.events] == [length, length]


async def test_rule_033_a_payload_of_another_service_is_459(vtn: Running) -> None:
    ven = await ready(vtn)
    before = await counts(vtn)
    reply = await ven.send(RequestEvent(request_id="req-1", ven_id="ven-a"), POLL)
    assert isinstance(reply, DistributeEvent)
    assert (code_of(reply), reply.events) == (459, ())
    assert code_of(await ven.send(Poll(ven_id="ven-a"), EVENT)) == 459
    assert code_of(await ven.send(DistributeEvent(request_id="req-1", vtn_id="VTN-1"), EVENT)) == 459
    assert await counts(vtn) == before


async def test_a_posted_response_is_taken_on_every_path(vtn: Running) -> None:
    ven = await ready(vtn)
    for path in (POLL, EVENT, REGISTER):
        reply = await ven.send(Response(response=EiResponse(request_id="req-1"), ven_id="ven-a"), path)
        assert code_of(reply) == 200


async def test_rule_517_a_certificate_that_is_not_enrolled_is_463(vtn: Running) -> None:
    await ready(vtn)
    before = await counts(vtn)
    stranger = vtn.ven(vtn.pki.ven_b, "ven-b")
    reply = await stranger.send(QueryRegistration(request_id="req-1"))
    assert isinstance(reply, CreatedPartyRegistration)
    assert (code_of(reply), reply.ven_id, reply.registration_id) == (463, None, None)
    assert code_of(await stranger.register()) == 463
    assert code_of(await stranger.send(Poll(ven_id="ven-b"))) == 463
    assert code_of(await stranger.send(Poll(ven_id="ven-a"))) == 463
    assert await counts(vtn) == before


async def test_rule_517_a_foreign_ven_id_is_452_and_changes_nothing(vtn: Running) -> None:
    ven = await ready(vtn)
    before = await counts(vtn)
    assert code_of(await ven.send(Poll(ven_id="ven-b"))) == 452
    assert code_of(await ven.send(RequestEvent(request_id="req-1", ven_id="VEN-A"))) == 452
    assert code_of(await ven.send(CreatePartyRegistration(request_id="req-1", ven_id="ven-b"))) == 452
    assert await counts(vtn) == before


async def test_rule_405_services_before_registration_are_463(vtn: Running) -> None:
    ven = await vtn.enrolled()
    assert code_of(await ven.poll()) == 463
    assert code_of(await ven.send(metadata())) == 463
    assert code_of(await ven.send(QueryRegistration(request_id="req-1"))) == 200


async def test_sec_02_no_or_a_foreign_client_certificate_ends_the_handshake(
    vtn: Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_pki(tmp_path_factory.mktemp("other"), SystemClock())
    for chain in (None, other.ven_a.chain):
        context: ssl.SSLContext = client_context(ca=vtn.pki.trust, cert_chain=chain)
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            async with vtn.session.post(f"https://127.0.0.1:{vtn.app.port}{POLL}", data=b"", ssl=context):
                pytest.fail("the handshake must not end well")


async def test_rule_048_unknown_event_and_wrong_modification_number(vtn: Running) -> None:
    ven = await ready(vtn)
    event_id = await publish(vtn)
    payload = await ven.poll()
    assert isinstance(payload, DistributeEvent)
    before = await counts(vtn)

    async def answer(event: str, number: int) -> Message:
        given = EventResponse(
            request_id=payload.request_id, event_id=event, modification_number=number, opt_type=OptType.OPT_IN
        )
        return await ven.send(CreatedEvent(response=EiResponse(), ven_id="ven-a", event_responses=(given,)))

    unknown = await answer("evt-unknown", 0)
    assert isinstance(unknown, Response)
    assert code_of(unknown) == 452
    assert "evt-unknown" in (unknown.response.response_description or "")
    assert code_of(await answer(event_id, 1)) == 450
    await vtn.operator.call("POST", f"/api/v1/events/{event_id}/cancel")
    assert code_of(await answer(event_id, 0)) == 450
    after = await counts(vtn)
    assert {**after, "event_version": 1, "counter": 0} == {**before, "event_version": 1, "counter": 0}
    _, seen = await vtn.operator.call("GET", f"/api/v1/events/{event_id}")
    assert (seen["vens"][0]["state"], seen["vens"][0]["optType"]) == ("queued", None)


async def test_rule_304_data_of_a_foreign_report_request_is_452(vtn: Running) -> None:
    ven = await ready(vtn)
    await ven.send(metadata())
    before = await counts(vtn)
    reply = await ven.send(data("rpt-of-nobody", 1.0))
    assert isinstance(reply, UpdatedReport)
    assert code_of(reply) == 452
    asked = {"report_request": before["report_request"] + 1, "outbound": before["outbound"] + 1}  # for METADATA anew
    assert {**await counts(vtn), "counter": 0} == {**before, **asked, "counter": 0}


async def test_data_without_meaning_is_refused_with_454(vtn: Running) -> None:
    ven = await ready(vtn)
    body = encode(data("rpt-1", 12345.5)).replace(b"12345.5", b"NaN")
    status, _, answer = await ven.post(PATH.format(service="EiReport"), body)
    reply = decode(answer)
    assert isinstance(reply, UpdatedReport)
    assert (status, code_of(reply), reply.response.request_id) == (200, 454, "req-u")


async def test_an_unexpected_error_is_500_with_the_reference_of_the_log(vtn: Running) -> None:
    ven = await ready(vtn)
    out = StringIO()
    logs.configure("warning", json=True, stream=out)
    try:
        async with vtn.app.store.write() as tx:
            await tx.connection.exec_driver_sql("ALTER TABLE opt RENAME TO opt_gone")
        request = CreateOpt(
            opt_id="opt-1",
            opt_type=OptType.OPT_OUT,
            opt_reason="economic",
            ven_id="ven-a",
            created_date_time=START,
            request_id="req-1",
            vavailability=(Availability(dtstart=START, duration=Duration(seconds=60)),),
        )
        status, headers, text = await ven.post(PATH.format(service="EiOpt"), encode(request))
    finally:
        logs.configure("info", json=True)
    reference = headers["X-Reference-Id"]
    assert (status, reference.encode() in text) == (500, True)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines if line.get("ref") == reference] == ["request failed"]
    assert isinstance(await ven.poll(), Response)


async def test_log_and_answer_share_the_reference(vtn: Running) -> None:
    ven = await ready(vtn)
    out = StringIO()
    logs.configure("info", json=True, stream=out)
    try:
        body = encode(RequestEvent(request_id="req-1", ven_id="ven-a"))
        _, headers, _ = await ven.post(EVENT, body)
    finally:
        logs.configure("info", json=True)
    (line,) = [json.loads(text) for text in out.getvalue().splitlines()]
    assert line["ref"] == headers["X-Reference-Id"]
    assert (line["request"], line["reply"], line["code"]) == ("oadrRequestEvent", "oadrDistributeEvent", 200)


async def test_answering_the_same_event_twice_does_no_harm(vtn: Running) -> None:
    ven = await ready(vtn)
    await publish(vtn)
    payload = await ven.poll()
    assert isinstance(payload, DistributeEvent)
    assert code_of(await ven.send(answers(payload))) == 200
    assert code_of(await ven.send(answers(payload, OptType.OPT_OUT))) == 200
    vtn.clock.advance(timedelta(hours=1).total_seconds())
    assert isinstance(await ven.poll(), Response)
