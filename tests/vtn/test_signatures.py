"""XML signatures at the listener (R514): who must sign, what is let in once, what is answered, over real TLS."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from lxml import etree
from sqlalchemy import func, select

from certs.authority import KeyType, Profile
from openadr.errors import SignatureMissing
from openadr.messages import (
    CreatedPartyRegistration,
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
)
from openadr.tls import TlsProfile, client_context
from openadr.wire import decode, encode
from openadr.wire.signature import verify
from runtime.clock import FakeClock, SystemClock
from tests.openadr.wire.signed import ID, changed, one
from tests.vtn.server import Pki, Running, make_pki, make_settings, running
from tests.vtn.signing import SigningVen
from tests.vtn.test_chain import publish
from tests.vtn.test_endpoints import code_of, counts
from vtn.app import build
from vtn.listener import CertificateFiles, SignaturesSection
from vtn.services.context import SignaturePolicy
from vtn.store.tables import nonce as nonces

QUERY = QueryRegistration(request_id="q-1")


def policy(value: str, **more: Any) -> SignaturesSection:
    return SignaturesSection(policy=SignaturePolicy(value), **more)


async def kept(vtn: Running) -> int:
    async with vtn.app.store.read() as tx:
        return int((await tx.connection.execute(select(func.count()).select_from(nonces))).scalar_one())


@pytest.fixture
async def ven(vtn: Running) -> SigningVen:
    """An enrolled VEN that signs and has registered so, everything for a new VEN fetched."""
    await vtn.enrolled("r1", "r2")
    signing = SigningVen.of(vtn, vtn.pki.ven_a, "ven-a")
    await settled(signing)
    return signing


async def settled(ven: SigningVen) -> None:
    assert code_of(await ven.register()) == 200
    assert isinstance(await ven.send(RegisterReport(request_id="m-1", ven_id="ven-a")), RegisteredReport)
    for _ in range(3):
        if isinstance(greeting := await ven.poll(), RegisterReport):
            await ven.send(RegisteredReport(response=EiResponse(request_id=greeting.request_id), ven_id="ven-a"))
    assert isinstance(await ven.poll(), Response)


async def test_rule_514_a_signed_dialogue_is_answered_signed(vtn: Running, ven: SigningVen) -> None:
    await publish(vtn)
    assert isinstance(await ven.send(QUERY), CreatedPartyRegistration)
    assert isinstance(await ven.poll(), DistributeEvent)
    assert isinstance(await ven.send(RequestEvent(request_id="r-1", ven_id="ven-a")), DistributeEvent)


@pytest.mark.parametrize("message", [Poll(ven_id="ven-a"), RequestEvent(request_id="r", ven_id="ven-a"), QUERY])
async def test_rule_514_a_ven_that_registered_so_has_to_sign(vtn: Running, ven: SigningVen, message: Message) -> None:
    before = await counts(vtn)
    status, text = await ven.post(encode(message), type(message))
    assert (status, b"oadrXmlSignature" in text) == (403, True)
    assert await counts(vtn) == before
    assert isinstance(await ven.poll(), Response)


async def test_rule_514_giving_up_signatures_has_to_be_signed_too(vtn: Running, ven: SigningVen) -> None:
    plain = CreatePartyRegistration(request_id="r", ven_name="A VEN", xml_signature=False)
    assert (await ven.post(encode(plain), CreatePartyRegistration))[0] == 403
    assert isinstance(await ven.register(xml_signature=False), CreatedPartyRegistration)
    assert isinstance(await ven.side.poll(), RegisterReport)


async def test_rule_514_the_answer_to_an_unsigned_promise_is_signed(vtn: Running) -> None:
    await vtn.enrolled()
    ven = SigningVen.of(vtn, vtn.pki.ven_a, "ven-a")
    create = CreatePartyRegistration(request_id="r", ven_name="A VEN", xml_signature=True)
    status, answer = await ven.post(encode(create), CreatePartyRegistration)
    assert (status, type(ven.verified(answer).message)) == (200, CreatedPartyRegistration)
    assert (await ven.post(encode(Poll(ven_id="ven-a"))))[0] == 403


async def test_unsigned_vens_are_answered_unsigned_and_cached_answers_do_not_mix(vtn: Running) -> None:
    """A VEN may sign some messages: the same empty answer goes out signed and unsigned, each to whom it belongs."""
    await vtn.enrolled()
    ven = SigningVen.of(vtn, vtn.pki.ven_a, "ven-a")
    await ven.register(xml_signature=False)
    await ven.side.poll()
    plain = encode(Poll(ven_id="ven-a"))
    for _ in range(3):
        _, answer = await ven.post(plain)
        assert isinstance(decode(answer), Response)
        with pytest.raises(SignatureMissing):
            verify(answer, trusted=b"")
        assert isinstance(await ven.poll(), Response)


async def test_rule_514_a_poll_cached_before_does_not_pass_for_a_signed_one(vtn: Running) -> None:
    await vtn.enrolled()
    ven = SigningVen.of(vtn, vtn.pki.ven_a, "ven-a")
    await ven.register(xml_signature=False)
    plain = encode(Poll(ven_id="ven-a"))
    for _ in range(3):
        assert (await ven.post(plain))[0] == 200
    await ven.register(xml_signature=True)
    assert (await ven.post(plain))[0] == 403


@pytest.mark.parametrize("message", [Poll(ven_id="ven-a"), RequestEvent(request_id="r", ven_id="ven-a"), QUERY])
async def test_rule_514_sec_06_the_same_bytes_are_let_in_once(vtn: Running, ven: SigningVen, message: Message) -> None:
    body = ven.signed(message)
    assert (await ven.post(body, type(message)))[0] == 200
    before = await counts(vtn)
    status, text = await ven.post(body, type(message))
    assert (status, b"used before" in text) == (403, True)
    assert await counts(vtn) == before


async def test_rule_514_sec_06_a_nonce_is_used_up_by_a_refused_message(vtn: Running, ven: SigningVen) -> None:
    foreign = ven.signed(Poll(ven_id="ven-b"))
    status, answer = await ven.post(foreign)
    assert (status, code_of(ven.verified(answer).message)) == (200, 452)
    assert (await ven.post(foreign))[0] == 403


async def test_rule_514_nothing_is_kept_of_strangers(vtn: Running) -> None:
    stranger = SigningVen.of(vtn, vtn.pki.ven_b, "ven-b")
    assert code_of(await stranger.poll()) == 463
    assert code_of(await stranger.send(QUERY)) == 463
    assert await kept(vtn) == 0


async def test_rule_514_a_replay_is_refused_after_a_restart(pki: Pki, database_url: str) -> None:
    clock = FakeClock(SystemClock().now())
    async with running(pki, database_url, clock) as vtn:
        await vtn.enrolled()
        ven = SigningVen.of(vtn, pki.ven_a, "ven-a")
        await ven.register()
        poll, query = ven.signed(Poll(ven_id="ven-a")), ven.signed(QUERY)
        assert (await ven.post(poll))[0] == (await ven.post(query, QueryRegistration))[0] == 200
    async with running(pki, database_url, clock) as again:
        ven = SigningVen.of(again, pki.ven_a, "ven-a")
        assert (await ven.post(poll))[0] == (await ven.post(query, QueryRegistration))[0] == 403
        assert isinstance(await ven.poll(), RegisterReport | Response)


@pytest.mark.postgres
async def test_rule_514_two_nodes_on_one_database_let_a_message_in_once(pki: Pki, postgres_url: str) -> None:
    clock = FakeClock(SystemClock().now())
    async with running(pki, postgres_url, clock) as one_node, running(pki, postgres_url, clock) as other:
        await one_node.enrolled()
        here, there = (SigningVen.of(node, pki.ven_a, "ven-a") for node in (one_node, other))
        await here.register()
        for message in (Poll(ven_id="ven-a"), QUERY):
            body = here.signed(message)
            answers = await asyncio.gather(*(each.post(body, type(message)) for each in (here, there) * 4))
            assert sorted(status for status, _ in answers) == [200, *[403] * 7]
        assert isinstance(await there.poll(), RegisterReport | Response)


@pytest.mark.parametrize(("seconds", "status"), [(-61, 403), (-59, 200), (59, 200), (61, 403)])
async def test_rule_514_the_time_of_sending_is_bounded_both_ways(
    vtn: Running, ven: SigningVen, seconds: int, status: int
) -> None:
    at = vtn.clock.now() + timedelta(seconds=seconds)
    got, text = await ven.post(ven.signed(Poll(ven_id="ven-a"), at=at))
    assert got == status
    assert got == 200 or b"the limit is 60 s" in text


async def test_rule_514_the_window_is_a_setting(pki: Pki, sqlite_url: str) -> None:
    async with running(pki, sqlite_url, signatures=policy("accept", window_s=5)) as vtn:
        await vtn.enrolled()
        ven = SigningVen.of(vtn, pki.ven_a, "ven-a")
        late = vtn.clock.now() - timedelta(seconds=6)
        assert (await ven.post(ven.signed(QUERY, at=late), QueryRegistration))[0] == 403
        assert (await ven.post(ven.signed(QUERY), QueryRegistration))[0] == 200


async def test_rule_514_nonces_are_forgotten_only_after_the_window(vtn: Running, ven: SigningVen) -> None:
    replays = vtn.app.endpoints.replays
    early = vtn.clock.now() + timedelta(seconds=59)
    body = ven.signed(Poll(ven_id="ven-a"), at=early)
    assert (await ven.post(body))[0] == 200
    total = await kept(vtn)
    for _ in range(4):
        vtn.clock.advance(29)
        await replays.forget(vtn.clock.now())
        assert (await ven.post(body))[0] == 403
    vtn.clock.advance(300)
    assert await replays.forget(vtn.clock.now()) == total
    assert await kept(vtn) == 0
    assert (await ven.post(body))[0] == 403  # by its time


async def test_rule_514_the_signer_has_to_be_the_tls_peer(vtn: Running) -> None:
    await vtn.enrolled()
    other = SigningVen.of(vtn, vtn.pki.ven_a, "ven-a", by=vtn.pki.ven_b)
    before = await counts(vtn)
    status, text = await other.post(other.signed(QUERY), QueryRegistration)
    assert (status, b"certificate" in text) == (403, True)
    assert await counts(vtn) == before


@pytest.mark.parametrize("message", [Poll(ven_id="ven-a"), QUERY])
async def test_rule_514_under_require_every_message_is_signed(pki: Pki, sqlite_url: str, message: Message) -> None:
    async with running(pki, sqlite_url, signatures=policy("require")) as vtn:
        await vtn.enrolled()
        ven = SigningVen.of(vtn, pki.ven_a, "ven-a")
        await ven.register(xml_signature=False)
        before = await counts(vtn)
        for _ in range(2):
            status, text = await ven.post(encode(message), type(message))
            assert (status, b"no XML signature" in text) == (403, True)
        assert await counts(vtn) == before
        status, answer = await ven.post(ven.signed(message), type(message))
        assert status == 200
        ven.verified(answer)


async def test_rule_514_under_off_signatures_are_not_looked_at(pki: Pki, sqlite_url: str) -> None:
    async with running(pki, sqlite_url, signatures=policy("off")) as vtn:
        await vtn.enrolled()
        ven = SigningVen.of(vtn, pki.ven_a, "ven-a", by=pki.ven_b)
        status, answer = await ven.post(ven.signed(QUERY), QueryRegistration)
        assert (status, type(decode(answer))) == (200, CreatedPartyRegistration)
        create = CreatePartyRegistration(request_id="r", ven_name="A VEN", xml_signature=True)
        assert code_of(await ven.side.send(create)) == 469


def renamed(root: etree._Element) -> None:
    """Another venID in the signed part."""
    one(root, ".//e:venID").text = "ven-b"


def wrapped(root: etree._Element) -> None:
    """The signed object goes into the signature's own object, and another one takes its place."""
    signed_object = one(root, "o:oadrSignedObject")
    fresh = etree.fromstring(encode(Poll(ven_id="ven-b")))[0]
    fresh.set(ID, "oadrSignedObject")
    signed_object.set(ID, "moved")
    one(root, ".//ds:Object").append(signed_object)
    root.append(fresh)


def doubled(root: etree._Element) -> None:
    """A second object beside the signed one."""
    root.append(etree.fromstring(encode(Poll(ven_id="ven-b")))[0])


def older(root: etree._Element) -> None:
    """Another nonce."""
    one(root, ".//{*}nonce").text = "00" * 16


@pytest.mark.parametrize("change", [renamed, wrapped, doubled, older])
async def test_rule_514_wrapped_and_changed_messages_are_refused(vtn: Running, ven: SigningVen, change: Any) -> None:
    before = await counts(vtn)
    status, _ = await ven.post(changed(ven.signed(Poll(ven_id="ven-a")), change))
    assert status in (403, 406)
    assert await counts(vtn) == before


@pytest.mark.parametrize("kind", ["rsa", "ec"])
@pytest.mark.parametrize("profile", ["openadr", "pas1878"])
async def test_rule_514_rsa_and_ec_vens_are_answered_with_the_key_of_the_connection(
    tmp_path: Path, sqlite_url: str, kind: str, profile: str
) -> None:
    """The VTN has both certificates; the answer is signed with the one that this TLS connection has shown."""
    clock = SystemClock()
    pki = make_pki(tmp_path / "pki", clock)
    now = clock.now()
    names = ("localhost", "127.0.0.1")
    rsa = pki.authority.issue(Profile.OPENADR_VTN, "vtn", names, now=now, key_type=KeyType.RSA)
    issued = pki.authority.issue(Profile.OPENADR_VEN, "ven", now=now, key_type=KeyType(kind))
    settings = make_settings(pki, sqlite_url, tls_profile=TlsProfile(profile))
    files = tuple(CertificateFiles(cert=each.chain_path, key=each.key_path) for each in (rsa, pki.vtn))
    settings = settings.model_copy(update={"server": settings.server.model_copy(update={"certificates": files})})
    app = build(settings, FakeClock(now))
    await app.start()
    try:
        context = client_context(ca=pki.trust, cert_chain=issued.chain, profile=TlsProfile(profile))
        if profile == "openadr" and kind == "rsa":
            context.set_ciphers("AES128-SHA256")  # a VEN with the RSA suite of R67 only
        vtn = Running(app, pki, FakeClock(now), ClientSession())
        async with vtn.session:
            ven = SigningVen.of(vtn, issued, "ven")
            ven.side.context = context
            status, answer = await ven.post(ven.signed(QUERY), QueryRegistration)
            assert status == 200, answer
            found = verify(answer, trusted=await served(vtn.app.port, context))
            assert code_of(found.message) == 463
    finally:
        await app.stop()


async def served(port: int, context: Any) -> bytes:
    """Return the certificate that the server shows to this client."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return der


async def test_many_signed_polls_at_once_are_each_let_in_once(vtn: Running, ven: SigningVen) -> None:
    bodies = [ven.signed(Poll(ven_id="ven-a")) for _ in range(20)]
    answers = await asyncio.gather(*(ven.post(body) for body in bodies * 2))
    assert sorted(status for status, _ in answers) == [200] * 20 + [403] * 20


async def test_rule_514_the_replay_check_is_flat_in_the_number_of_live_nonces(vtn: Running, ven: SigningVen) -> None:
    """What the database does for one nonce is found by the key and the index, however many there are."""
    async with vtn.app.store.read() as tx:

        async def plan(statement: str) -> str:
            rows = await tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
            return " ".join(str(row.detail) for row in rows)

        taking = await plan("SELECT 1 FROM nonce WHERE fingerprint = 'a' AND nonce = 'b'")
        ending = await plan("SELECT * FROM nonce WHERE forget_after < '2026' ORDER BY forget_after LIMIT 1000")
    assert "SEARCH nonce USING PRIMARY KEY" in taking
    assert "INDEX ix_nonce_forget_after" in ending
    assert "TEMP B-TREE" not in ending


async def test_large_signed_messages_are_opened_beside_the_loop(vtn: Running, ven: SigningVen) -> None:
    long = QueryRegistration(request_id="q" * 60_000)
    assert isinstance(await ven.send(long), CreatedPartyRegistration)


async def test_rule_514_what_has_no_meaning_is_answered_signed(vtn: Running, ven: SigningVen) -> None:
    before = await kept(vtn)
    status, answer = await ven.post(ven.signed(QUERY), Poll)  # on the path of another service
    assert (status, code_of(ven.verified(answer).message)) == (200, 459)
    assert await kept(vtn) == before
