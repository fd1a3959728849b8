"""The VEN's high security over real TLS (R514): what it sends is signed, what it takes is signed, fresh and new."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from secrets import token_bytes

import pytest
from aiohttp import web
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from certs.authority import Issued
from openadr.errors import Replayed, SignatureInvalid, SignatureMissing, WireError
from openadr.exchange import Service
from openadr.messages import CreatePartyRegistration, Poll, Response
from openadr.tls import TlsError
from openadr.wire import encode
from openadr.wire.signature import Verified, verify
from openadr.wire.signing import Signer, sign
from runtime.clock import FakeClock
from tests.databases import open_engine
from tests.ven.conftest import Pki
from tests.ven.fake_vtn import FakeVtn
from tests.ven.support import OK, T0, VEN_ID, opt_in
from ven.client import VenClient
from ven.model import Failure
from ven.settings import VenSettings
from ven.signed import Seal, seal_of, signer_of
from ven.state import VenStore
from ven.transport import ExchangeFailed, HttpTransport

POLL = Poll(ven_id=VEN_ID)
ANSWER = encode(Response(response=OK, ven_id=VEN_ID))


def signer(issued: Issued) -> Signer:
    return Signer.from_pem(issued.key_path.read_bytes(), issued.chain_path.read_bytes())


class SigningVtn(FakeVtn):
    """Signs what the other answers, and verifies what it is sent."""

    def __init__(self, pki: Pki, clock: FakeClock) -> None:
        super().__init__(pki.server())
        self.pki = pki
        self.wall = clock
        self.by = signer(pki.vtn)
        self.verified: list[Verified] = []
        self.sent: list[bytes] = []
        self.ahead = timedelta()
        self.repeat = False

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.verified.append(verify(await request.read(), trusted=signer(self.pki.ven).certificate_der))
        response = await super()._handle(request)
        if self.repeat:
            return web.Response(body=self.sent[0], content_type="application/xml")
        if isinstance(response, web.Response) and isinstance(response.body, bytes) and response.status == 200:
            at = self.wall.now() + self.ahead
            self.sent.append(sign(response.body, self.by, timestamp=at, nonce=token_bytes(16)))
            return web.Response(body=self.sent[-1], content_type="application/xml")
        return response


@dataclass
class Site:
    """A VEN with high security and the VTN it talks to."""

    vtn: SigningVtn
    pki: Pki
    store: VenStore
    clock: FakeClock = field(default_factory=lambda: FakeClock(T0))

    def settings(self, **more: object) -> VenSettings:
        values = {
            "vtn_url": self.vtn.url,
            "ca": self.pki.ca,
            "cert": self.pki.ven.chain_path,
            "key": self.pki.ven.key_path,
            "ven_name": "Bridge",
            "xml_signature": True,
            **more,
        }
        return VenSettings.model_validate(values)

    def transport(self, **more: object) -> HttpTransport:
        return HttpTransport(
            vtn_url=self.vtn.url,
            ssl_context=self.pki.client(),
            timeout_s=5,
            max_answer_bytes=100_000,
            seal=seal_of(self.settings(**more), self.clock, self.store.use_nonce),
        )


@pytest.fixture
async def site(pki: Pki, engine: AsyncEngine) -> AsyncIterator[Site]:
    store = await VenStore.open(engine)
    vtn = SigningVtn(pki, FakeClock(T0))
    await vtn.start()
    yield Site(vtn=vtn, pki=pki, store=store, clock=vtn.wall)
    await vtn.stop()


@pytest.fixture
async def transport(site: Site) -> AsyncIterator[HttpTransport]:
    made = site.transport()
    yield made
    await made.close()


async def refused(transport: HttpTransport) -> str:
    with pytest.raises(ExchangeFailed) as caught:
        await transport.exchange(Service.OADR_POLL, POLL)
    assert caught.value.failure is Failure.IDENTITY
    return caught.value.detail


async def test_rule_514_requests_are_signed_as_they_are_sent_and_answers_verified(
    site: Site, transport: HttpTransport
) -> None:
    for _ in range(2):
        assert isinstance((await transport.exchange(Service.OADR_POLL, POLL)).message, Response)
        site.clock.advance(10)
    first, second = site.vtn.verified
    assert (first.message, first.timestamp, second.timestamp) == (POLL, T0, T0 + timedelta(seconds=10))
    assert first.nonce != second.nonce


async def test_rule_514_an_unsigned_answer_is_not_taken(site: Site, transport: HttpTransport) -> None:
    site.vtn.sent, site.vtn.repeat = [ANSWER], True
    assert "no XML signature" in await refused(transport)


@pytest.mark.parametrize(("seconds", "taken"), [(-61, False), (-59, True), (59, True), (61, False)])
async def test_rule_514_an_answer_is_taken_near_its_time_only(
    site: Site, transport: HttpTransport, seconds: int, taken: bool
) -> None:
    site.vtn.ahead = timedelta(seconds=seconds)
    if taken:
        assert (await transport.exchange(Service.OADR_POLL, POLL)).message is not None
    else:
        assert "the limit is 60 s" in await refused(transport)


async def test_rule_514_an_answer_is_taken_once(site: Site, transport: HttpTransport) -> None:
    assert (await transport.exchange(Service.OADR_POLL, POLL)).message is not None
    site.vtn.repeat = True
    assert "used before" in await refused(transport)


async def test_rule_514_an_answer_is_taken_once_over_a_restart(site: Site, database_url: str) -> None:
    before = site.transport()
    assert (await before.exchange(Service.OADR_POLL, POLL)).message is not None
    await before.close()
    async with open_engine(database_url) as engine:
        site.store = await VenStore.open(engine)
        after = site.transport()
        site.vtn.repeat = True
        assert "used before" in await refused(after)
        await after.close()


async def test_rule_514_a_signer_other_than_the_vtn_in_tls_is_refused(site: Site, transport: HttpTransport) -> None:
    site.vtn.by = signer(site.pki.ven)
    assert "not the one registered" in await refused(transport)


async def test_rule_514_signers_can_be_pinned(site: Site) -> None:
    site.vtn.by = signer(site.pki.ven)
    pinned = site.transport(signer_fingerprints=[site.pki.ven.fingerprint.lower()])
    assert (await pinned.exchange(Service.OADR_POLL, POLL)).message is not None
    site.vtn.by = signer(site.pki.vtn)
    await refused(pinned)
    await pinned.close()


async def test_rule_514_a_changed_answer_is_refused(site: Site, transport: HttpTransport) -> None:
    answer = sign(ANSWER, site.vtn.by, timestamp=T0, nonce=bytes(16))
    site.vtn.sent, site.vtn.repeat = [answer.replace(VEN_ID.encode(), b"VEN-X")], True
    assert "digest" in await refused(transport)


async def test_an_empty_answer_needs_no_signature(site: Site, transport: HttpTransport) -> None:
    site.vtn.sent, site.vtn.repeat = [b""], True
    assert (await transport.exchange(Service.OADR_POLL, POLL)).message is None


async def test_rule_514_a_ven_with_high_security_registers_so(site: Site) -> None:
    client = VenClient(
        settings=site.settings(poll_jitter=0),
        store=site.store,
        assess=opt_in,
        capabilities=lambda: (),
        collect=_nothing,
        clock=site.clock,
        draw=lambda: 0.5,
        on_change=lambda: None,
        ssl_context=site.pki.client(),
    )
    await client.poll_once()
    (create,) = site.vtn.got(CreatePartyRegistration)
    assert create.xml_signature
    assert client.status.registered
    assert len(site.vtn.verified) == len(site.vtn.received) > 3
    await client.close()


async def _nothing(*_args: object) -> tuple[()]:
    return ()


async def test_rule_514_nonces_are_forgotten_after_their_time(site: Site) -> None:
    seal = seal_of(site.settings(), site.clock, site.store.use_nonce)
    assert seal is not None
    answer = sign(ANSWER, site.vtn.by, timestamp=T0, nonce=bytes(16))
    shown = {site.vtn.by.certificate_der}
    assert await seal.open(answer, shown, max_bytes=100_000) is not None
    for seconds in (0, 59, 1, 60, 1):
        site.clock.advance(seconds)
        with pytest.raises(Replayed):
            await seal.open(answer, shown, max_bytes=100_000)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (lambda answer: ANSWER, SignatureMissing),
        (lambda answer: answer.replace(b"<oadr:oadrResponse", b"<!-- --><oadr:oadrResponse"), SignatureInvalid),
        (lambda answer: b"<a/>", WireError),
    ],
)
async def test_what_is_not_signed_is_not_read(
    site: Site, data: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    async def never(*_args: object) -> bool:
        raise AssertionError("nothing of it may be kept")

    seal = Seal(signer(site.pki.ven), clock=site.clock, use_nonce=never, window=timedelta(seconds=60))
    answer = sign(ANSWER, site.vtn.by, timestamp=T0, nonce=bytes(16))
    with pytest.raises(error):
        await seal.open(data(answer), {site.vtn.by.certificate_der}, max_bytes=100_000)


async def test_settings_that_cannot_sign_are_named(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="signer_fingerprints"):
        site.settings(vtn_url="http://127.0.0.1:1", allow_insecure_http=True)
    with pytest.raises(ValidationError, match="needs cert and key"):
        site.settings(vtn_url="http://127.0.0.1:1", allow_insecure_http=True, cert=None)
    with pytest.raises(ValidationError, match="ten hex pairs"):
        site.settings(signer_fingerprints=["AA"])
    with pytest.raises(TlsError, match="cannot be used to sign"):
        signer_of(site.settings(key=tmp_path / "none.key"))
    assert signer_of(site.settings(xml_signature=False)) is None
    assert seal_of(site.settings(xml_signature=False), site.clock, site.store.use_nonce) is None
