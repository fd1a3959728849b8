"""The push listener over real TLS: who gets in, the form of requests and answers, faults of ours and of others."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from pydantic import ValidationError

from certs.authority import Authority, Issued, Profile, Role
from openadr import wire
from openadr.exchange import PATH, SERVICE_OF, Service
from openadr.messages import (
    CreatedReport,
    CreateReport,
    DistributeEvent,
    EiResponse,
    Message,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import Report, ReportInterval, ReportPayload
from openadr.tls import TlsError, client_context
from runtime.clock import SystemClock
from tests.ven.support import T0, VEN_ID, distribute, event, report_request
from ven.listener import PushListener, push_tls
from ven.settings import PushSettings, VenSettings


@dataclass(frozen=True)
class Certificates:
    """One VTN as the VEN calls it, one VTN certificate of another name, two VENs."""

    ca: Path
    vtn: Issued
    other: Issued
    ven: Issued


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    now = SystemClock().now()
    authority = Authority.create(tmp_path_factory.mktemp("pki"), now=now)
    return Certificates(
        ca=authority.trust(Role.OPENADR),
        vtn=authority.issue(Profile.OPENADR_VTN, "vtn", ["vtn.example"], now=now),
        other=authority.issue(Profile.OPENADR_VTN, "other", ["other.example"], now=now),
        ven=authority.issue(Profile.OPENADR_VEN, "ven", ["127.0.0.1"], now=now),
    )


@dataclass
class Taker:
    """Takes what is pushed and answers as told."""

    answer: Message | None = None
    fault: Exception | None = None
    taken: list[tuple[Message, Service]] = field(default_factory=list)

    async def pushed(self, message: Message, service: Service) -> Message | None:
        self.taken.append((message, service))
        if self.fault is not None:
            raise self.fault
        return self.answer


def settings(certificates: Certificates, **push: object) -> VenSettings:
    cert, key = certificates.ven.chain
    values = {"address": "https://127.0.0.1:8444/site1/", "host": "127.0.0.1", "port": 0, **push}
    return VenSettings(
        vtn_url="https://VTN.example:8443",
        ca=certificates.ca,
        cert=cert,
        key=key,
        ven_name="Bridge",
        push=PushSettings.model_validate(values),
    )


@dataclass
class Place:
    """A listener that runs, and the VTN's way to it."""

    certificates: Certificates
    listener: PushListener
    taker: Taker

    def context(self, who: Issued | None) -> ssl.SSLContext:
        return client_context(ca=self.certificates.ca, cert_chain=None if who is None else who.chain)

    async def post(
        self,
        body: bytes,
        *,
        path: str = "/site1" + PATH.format(service="EiEvent"),
        who: Issued | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        url = f"https://127.0.0.1:{self.listener.port}{path}"
        given = {"Content-Type": "application/xml", **(headers or {})}
        context = self.context(who or self.certificates.vtn)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=body, headers=given, ssl=context) as answer,
        ):
            return answer.status, answer.headers, await answer.read()


@pytest.fixture
async def place(certificates: Certificates) -> AsyncIterator[Place]:
    taker = Taker()
    listener = PushListener(settings(certificates), taker)
    await listener.start()
    yield Place(certificates, listener, taker)
    await listener.stop()
    await listener.stop()


async def test_rule_053_511_events_get_an_empty_200_and_other_payloads_their_answer(place: Place) -> None:
    payload = distribute(event())
    status, headers, body = await place.post(wire.encode(payload))
    assert (status, body, headers["Content-Length"]) == (200, b"", "0")
    assert place.taker.taken == [(payload, Service.EI_EVENT)]
    place.taker.answer = CreatedReport(response=EiResponse(request_id="c-1"), pending_reports=(), ven_id=VEN_ID)
    request = CreateReport(request_id="c-1", report_requests=(report_request(),))
    path = "/site1" + PATH.format(service=SERVICE_OF[CreateReport].value) + "/"
    status, headers, body = await place.post(wire.encode(request), path=path)
    assert (status, headers["Content-Type"]) == (200, "application/xml")
    assert wire.decode(body) == place.taker.answer
    assert headers["X-Reference-Id"].startswith("ref-")
    assert "Content-Encoding" not in headers


async def test_rule_517_only_the_vtn_gets_past_the_certificate(place: Place) -> None:
    for who in (place.certificates.other, place.certificates.ven):
        for _ in range(2):
            status, _headers, body = await place.post(wire.encode(distribute()), who=who)
            assert (status, b"certificate of the VTN" in body) == (403, True)
    assert place.taker.taken == []


async def test_without_a_certificate_the_handshake_ends(place: Place) -> None:
    url = f"https://127.0.0.1:{place.listener.port}/"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(url, data=b"", ssl=place.context(None))


async def test_a_fingerprint_in_the_settings_stands_for_the_vtn(certificates: Certificates) -> None:
    taker = Taker()
    loose = certificates.other.fingerprint.replace(":", "").lower()
    listener = PushListener(settings(certificates, vtn_fingerprints=(loose,)), taker)
    await listener.start()
    place = Place(certificates, listener, taker)
    assert (await place.post(wire.encode(distribute()), who=certificates.other))[0] == 200
    assert (await place.post(wire.encode(distribute()), who=certificates.vtn))[0] == 403
    await listener.stop()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"method": "GET"}, 501, id="GET"),
        pytest.param({"path": "/site1/OpenADR2/Simple/2.0b/OadrPoll"}, 404, id="OadrPoll"),
        pytest.param({"path": "/OpenADR2/Simple/2.0b/EiEvent"}, 404, id="without the prefix"),
        pytest.param({"headers": {"Content-Type": "text/xml"}}, 406, id="content type"),
        pytest.param({"headers": {"Content-Encoding": "gzip"}}, 406, id="content encoding"),
        pytest.param({"body": b"<x/>"}, 406, id="no OpenADR"),
        pytest.param({"body": b"<!DOCTYPE a []><a/>"}, 406, id="DOCTYPE"),
        pytest.param({"body": b"x" * 20_000}, 413, id="too long"),
    ],
)
async def test_what_is_no_openadr_message_gets_a_status_and_a_line(
    certificates: Certificates, changes: dict[str, object], status: int
) -> None:
    taker = Taker()
    listener = PushListener(settings(certificates, max_body_bytes=10_000), taker)
    await listener.start()
    values: dict[str, object] = {"body": wire.encode(distribute()), **changes}
    found, headers, body = await Place(certificates, listener, taker).post(**values)  # type: ignore[arg-type]
    assert (found, body.count(b"\n")) == (status, 1)
    assert headers["X-Reference-Id"]
    assert taker.taken == []
    await listener.stop()


async def test_rule_033_a_message_that_has_no_meaning_is_answered_with_its_code(place: Place) -> None:
    payload = ReportPayload(r_id="r", value=12345.5)
    report = Report(
        report_request_id="rr-1",
        report_specifier_id="s",
        created_date_time=T0,
        report_name="TELEMETRY_USAGE",
        dtstart=T0,
        intervals=(ReportInterval(dtstart=T0, payloads=(payload,)),),
    )
    good = wire.encode(UpdateReport(request_id="u-1", reports=(report,), ven_id=VEN_ID))
    path = "/site1" + PATH.format(service="EiReport")
    status, _, body = await place.post(good.replace(b"12345.5", b"NaN"), path=path)
    answer = wire.decode(body)
    assert isinstance(answer, UpdatedReport)
    assert (status, answer.response.response_code, answer.response.request_id) == (200, 454, "u-1")
    assert place.taker.taken == []


async def test_a_busy_ven_is_503_and_a_fault_of_ours_500_without_its_text(place: Place) -> None:
    place.taker.fault = TimeoutError()
    assert (await place.post(wire.encode(distribute())))[0] == 503
    place.taker.fault = RuntimeError("secret detail")
    status, _, body = await place.post(wire.encode(distribute()))
    assert (status, b"secret" in body, b"reference ref-" in body) == (500, False, True)


async def test_a_slow_sender_is_left_after_a_while(certificates: Certificates) -> None:
    taker = Taker()
    listener = PushListener(settings(certificates, body_timeout_s=0.2), taker)
    await listener.start()
    context = client_context(ca=certificates.ca, cert_chain=certificates.vtn.chain)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context)
    path = "/site1" + PATH.format(service="EiEvent")
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nContent-Length: 100\r\n\r\n<"
    writer.write(head.encode())
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert b" 408 " in answer.splitlines()[0]
    writer.close()
    await listener.stop()


async def test_a_port_that_is_taken_is_said(place: Place, certificates: Certificates) -> None:
    second = PushListener(settings(certificates, port=place.listener.port), Taker())
    with pytest.raises(OSError, match="in use"):
        await second.start()


def test_the_listener_needs_its_settings_and_files(certificates: Certificates, tmp_path: Path) -> None:
    good = settings(certificates)
    with pytest.raises(ValueError, match=r"ven\.push"):
        PushListener(good.model_copy(update={"push": None}), Taker())
    with pytest.raises(TlsError, match="a CA are needed"):
        push_tls(good.model_copy(update={"ca": None}))
    assert good.push is not None
    missing = good.push.model_copy(update={"cert": tmp_path / "none.pem", "key": tmp_path / "none.pem"})
    with pytest.raises(TlsError, match=r"none\.pem"):
        push_tls(good.model_copy(update={"push": missing}))


@pytest.mark.parametrize(
    ("push", "words"),
    [
        ({"address": "http://ven.example/"}, "https"),
        ({"address": "https:///x"}, "https"),
        ({"address": "https://ven.example/?a=1"}, "base address"),
        ({"cert": "a.pem"}, "go together"),
        ({"vtn_fingerprints": ["xyz"]}, "ten hex pairs"),
    ],
)
def test_settings_of_the_listener_are_checked(certificates: Certificates, push: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(certificates, **push)


def test_push_on_a_plain_http_link_needs_files_of_its_own(certificates: Certificates) -> None:
    with pytest.raises(ValidationError, match="push needs ca, cert and key"):
        VenSettings(
            vtn_url="http://127.0.0.1:1",
            allow_insecure_http=True,
            ven_name="Bridge",
            push=PushSettings(address="https://127.0.0.1:2/"),
        )


def test_distribute_events_are_for_ei_event() -> None:
    assert SERVICE_OF[DistributeEvent] is Service.EI_EVENT
