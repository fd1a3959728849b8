"""TLS contexts on real loopback connections: who gets in, which version and suite, for each profile."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from certs.authority import Authority, Issued, KeyType, Profile, Role
from openadr.tls import OPENADR_SUITES, TlsError, TlsProfile, client_context, offer, server_context
from runtime.clock import SystemClock

Chain = tuple[Path, Path]
NAMES = ("localhost", "127.0.0.1")
EC_SUITE, RSA_SUITE = OPENADR_SUITES
REFUSED = (ssl.SSLError, ConnectionError)  # an alert, or a reset when the server closes before the alert is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    authority: Authority
    ca: Path
    vtn_ec: Issued
    vtn_rsa: Issued
    ven_ec: Issued
    ven_rsa: Issued
    expired: Issued
    station: Issued
    stranger: Issued

    @property
    def both(self) -> tuple[Chain, Chain]:
        return self.vtn_ec.chain, self.vtn_rsa.chain


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    now = SystemClock().now()
    folder = tmp_path_factory.mktemp("tls")
    ours = Authority.create(folder / "ours", now=now - timedelta(days=30), rsa=True)
    foreign = Authority.create(folder / "foreign", now=now)
    return Pki(
        authority=ours,
        ca=ours.trust(Role.OPENADR),
        vtn_ec=ours.issue(Profile.OPENADR_VTN, "vtn", NAMES, now=now),
        vtn_rsa=ours.issue(Profile.OPENADR_VTN, "vtn", NAMES, now=now, key_type=KeyType.RSA),
        ven_ec=ours.issue(Profile.OPENADR_VEN, "ven", now=now),
        ven_rsa=ours.issue(Profile.OPENADR_VEN, "ven", now=now, key_type=KeyType.RSA),
        expired=ours.issue(Profile.OPENADR_VEN, "old", now=now - timedelta(days=10), days=9),
        station=ours.issue(Profile.OCPP_STATION, "CP1", now=now, organisation="CPO"),
        stranger=foreign.issue(Profile.OPENADR_VEN, "ven", now=now),
    )


@dataclass(slots=True)
class Listener:
    """An echo server: ``port``, the client certificates it saw, and why handshakes failed."""

    port: int = 0
    seen: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@asynccontextmanager
async def listening(make: Callable[[Callable[[str], None]], ssl.SSLContext]) -> AsyncIterator[Listener]:
    listener = Listener()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peercert")
        listener.seen.append("" if not peer else peer["subject"][-1][0][1])
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=make(listener.refused.append))
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        await server.wait_closed()


def strict(pki: Pki, *chains: Chain, profile: TlsProfile = TlsProfile.OPENADR) -> Any:
    return lambda refused: server_context(
        cert_chains=chains or pki.both, client_ca=pki.ca, profile=profile, on_refused=refused
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    version: str
    suite: str


async def talk(port: int, context: ssl.SSLContext, host: str = "localhost") -> Negotiated:
    """Connect, send a line, demand it back; a refusal, in the handshake or after, raises ``REFUSED``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    try:
        session = writer.get_extra_info("ssl_object")
        writer.write(b"hello\n")
        await writer.drain()
        if await reader.readline() != b"hello\n":
            raise ConnectionResetError("closed without an answer")
        return Negotiated(version=session.version(), suite=session.cipher()[0])
    finally:
        writer.close()
        await _quietly(writer.wait_closed())


async def _quietly(closing: Coroutine[Any, Any, None]) -> None:
    with suppress(OSError):
        await closing


def client(pki: Pki, chain: Chain | None, profile: TlsProfile = TlsProfile.OPENADR) -> ssl.SSLContext:
    return client_context(ca=pki.ca, cert_chain=chain, profile=profile)


async def test_sec_01_a_known_client_is_let_in_and_named(pki: Pki) -> None:
    async with listening(strict(pki)) as listener:
        await talk(listener.port, client(pki, pki.ven_ec.chain))
    assert (listener.seen, listener.refused) == (["ven"], [])


async def test_sec_02_no_client_certificate_ends_the_handshake(pki: Pki) -> None:
    async with listening(strict(pki)) as listener:
        with pytest.raises(REFUSED):
            await talk(listener.port, client(pki, None))
    assert (listener.seen, listener.refused) == ([], ["PEER_DID_NOT_RETURN_A_CERTIFICATE"])


async def test_sec_02_a_certificate_of_another_ca_ends_the_handshake(pki: Pki) -> None:
    async with listening(strict(pki)) as listener:
        with pytest.raises(REFUSED):
            await talk(listener.port, client(pki, pki.stranger.chain))
    assert listener.seen == []
    assert "unable to get local issuer certificate" in listener.refused[0]


async def test_sec_02_an_expired_certificate_ends_the_handshake(pki: Pki) -> None:
    async with listening(strict(pki)) as listener:
        with pytest.raises(REFUSED):
            await talk(listener.port, client(pki, pki.expired.chain))
    assert (listener.seen, listener.refused) == ([], ["certificate has expired"])


async def test_sec_23_a_station_certificate_is_refused_by_a_vtn(pki: Pki) -> None:
    async with listening(strict(pki)) as listener:
        with pytest.raises(REFUSED):
            await talk(listener.port, client(pki, pki.station.chain))
    assert listener.seen == []
    assert len(listener.refused) == 1


@pytest.mark.parametrize("profile", list(TlsProfile))
async def test_sec_02_no_client_certificate_is_refused_in_every_profile(pki: Pki, profile: TlsProfile) -> None:
    async with listening(strict(pki, profile=profile)) as listener:
        with pytest.raises(REFUSED):
            await talk(listener.port, client(pki, None, profile))
    assert (listener.seen, len(listener.refused)) == ([], 1)


async def test_sec_02_the_client_refuses_a_server_of_another_ca(pki: Pki, tmp_path: Path) -> None:
    now = SystemClock().now()
    foreign = Authority.create(tmp_path, now=now).issue(Profile.OPENADR_VTN, "vtn", NAMES, now=now)
    async with listening(strict(pki, foreign.chain)) as listener:
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            await talk(listener.port, client(pki, pki.ven_ec.chain))
    assert listener.seen == []


async def test_sec_02_the_client_refuses_another_host_name(pki: Pki) -> None:
    async with listening(strict(pki)) as listener:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await talk(listener.port, client(pki, pki.ven_ec.chain), host="elsewhere.example")
    assert listener.seen == []


async def test_the_client_refuses_a_ven_certificate_as_a_server(pki: Pki) -> None:
    async with listening(strict(pki, pki.ven_ec.chain)) as listener:
        with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
            await talk(listener.port, client(pki, pki.ven_ec.chain))
    assert listener.seen == []


@pytest.mark.parametrize("ven", ["ven_ec", "ven_rsa"])
@pytest.mark.parametrize(
    ("offer", "selected"),
    [(None, EC_SUITE), (EC_SUITE, EC_SUITE), (RSA_SUITE, RSA_SUITE), (f"ECDHE+AESGCM:{RSA_SUITE}", RSA_SUITE)],
)
async def test_rule_067_a_vtn_selects_one_of_the_two_suites(
    pki: Pki, ven: str, offer: str | None, selected: str
) -> None:
    context = client(pki, getattr(pki, ven).chain)
    if offer is not None:
        context.set_ciphers(offer)
    async with listening(strict(pki)) as listener:
        assert await talk(listener.port, context) == Negotiated(version="TLSv1.2", suite=selected)
    assert listener.seen == ["ven"]


@pytest.mark.parametrize(("pair", "selected"), [("vtn_ec", EC_SUITE), ("vtn_rsa", RSA_SUITE)])
async def test_rule_067_with_one_certificate_the_suite_follows_its_key(pki: Pki, pair: str, selected: str) -> None:
    async with listening(strict(pki, getattr(pki, pair).chain)) as listener:
        assert (await talk(listener.port, client(pki, pki.ven_ec.chain))).suite == selected


async def test_rule_067_strict_never_negotiates_tls_1_3(pki: Pki) -> None:
    modern = client(pki, pki.ven_ec.chain, TlsProfile.MODERN)
    async with listening(strict(pki)) as listener:
        assert (await talk(listener.port, modern)).version == "TLSv1.2"
        modern.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(REFUSED):
            await talk(listener.port, modern)
    assert listener.seen == ["ven"]


async def test_rule_067_other_suites_alone_are_refused(pki: Pki) -> None:
    context = client(pki, pki.ven_ec.chain)
    context.set_ciphers("ECDHE+AESGCM")
    async with listening(strict(pki)) as listener:
        with pytest.raises(REFUSED):
            await talk(listener.port, context)
    assert listener.refused == ["NO_SHARED_CIPHER"]


async def test_modern_takes_tls_1_3_and_keeps_the_default_suites_first_on_1_2(pki: Pki) -> None:
    modern = client(pki, pki.ven_ec.chain, TlsProfile.MODERN)
    async with listening(strict(pki, profile=TlsProfile.MODERN)) as listener:
        assert (await talk(listener.port, modern)).version == "TLSv1.3"
        modern.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await talk(listener.port, modern) == Negotiated(version="TLSv1.2", suite=EC_SUITE)
        assert (await talk(listener.port, client(pki, pki.ven_rsa.chain))).suite == EC_SUITE


async def test_sec_03_pas1878_takes_only_tls_1_3(pki: Pki) -> None:
    async with listening(strict(pki, profile=TlsProfile.PAS1878)) as listener:
        assert (await talk(listener.port, client(pki, pki.ven_ec.chain, TlsProfile.PAS1878))).version == "TLSv1.3"
        with pytest.raises(REFUSED):
            await talk(listener.port, client(pki, pki.ven_ec.chain))
    assert listener.refused == ["UNSUPPORTED_PROTOCOL"]


@pytest.mark.parametrize("server", ["vtn_ec", "vtn_rsa"])
@pytest.mark.parametrize("ven", ["ven_ec", "ven_rsa"])
async def test_sec_03_pas1878_with_either_kind_of_certificate(pki: Pki, server: str, ven: str) -> None:
    async with listening(strict(pki, getattr(pki, server).chain, profile=TlsProfile.PAS1878)) as listener:
        found = await talk(listener.port, client(pki, getattr(pki, ven).chain, TlsProfile.PAS1878))
    assert (found.version, found.suite[:4], listener.seen) == ("TLSv1.3", "TLS_", ["ven"])


@pytest.mark.parametrize("profile", [TlsProfile.OPENADR, TlsProfile.MODERN])
async def test_sec_03_a_pas1878_client_talks_to_no_tls_1_2_server(pki: Pki, profile: TlsProfile) -> None:
    def older(refused: Callable[[str], None]) -> ssl.SSLContext:
        context = server_context(cert_chains=pki.both, client_ca=pki.ca, profile=profile, on_refused=refused)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    async with listening(older) as listener:
        with pytest.raises(REFUSED):
            await talk(listener.port, client(pki, pki.ven_ec.chain, TlsProfile.PAS1878))
    assert listener.seen == []


async def test_tls_1_1_is_refused_by_every_profile(pki: Pki) -> None:
    contexts = [client(pki, None, profile) for profile in TlsProfile]
    assert all(context.minimum_version >= ssl.TLSVersion.TLSv1_2 for context in contexts)


async def test_without_client_ca_no_client_certificate_is_asked_for(pki: Pki) -> None:
    def make(refused: Callable[[str], None]) -> ssl.SSLContext:
        return server_context(cert_chains=[pki.vtn_ec.chain], client_ca=None, on_refused=refused)

    async with listening(make) as listener:
        await talk(listener.port, client(pki, None))
    assert listener.seen == [""]


async def test_an_issuing_ca_alone_can_be_the_trust_anchor(pki: Pki, tmp_path: Path) -> None:
    issuing = tmp_path / "issuing.pem"
    issuing.write_text((pki.authority.directory / "ca" / "openadr-ec-issuing.pem").read_text())
    context = client_context(ca=issuing, cert_chain=pki.ven_ec.chain)
    async with listening(strict(pki, pki.vtn_ec.chain)) as listener:
        assert (await talk(listener.port, context)).suite == EC_SUITE


async def test_a_peer_that_does_not_speak_tls_is_reported(pki: Pki) -> None:
    async with listening(strict(pki)) as listener:
        _reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await writer.drain()
        await _reader.read()
        writer.close()
        await _quietly(writer.wait_closed())
    assert listener.refused == ["HTTP_REQUEST"]


def test_handshake_success_is_not_reported(pki: Pki) -> None:
    refused: list[str] = []
    server = server_context(cert_chains=pki.both, client_ca=pki.ca, on_refused=refused.append)
    left, right = socket.socketpair()
    with left, right:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = server.wrap_bio(incoming, outgoing, server_side=True)
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
    assert refused == []


def test_a_missing_file_is_named(pki: Pki, tmp_path: Path) -> None:
    gone = tmp_path / "gone.pem"
    with pytest.raises(TlsError, match=r"gone\.pem: cannot be read"):
        server_context(cert_chains=[(gone, gone)], client_ca=None)
    with pytest.raises(TlsError, match=r"gone\.pem: cannot be read"):
        client_context(ca=gone, cert_chain=None)


def test_a_key_of_another_certificate_is_refused_with_both_names(pki: Pki) -> None:
    with pytest.raises(TlsError, match=r"vtn\.chain\.pem with .*openadr-ven-ven\.key.*KEY_VALUES_MISMATCH"):
        server_context(cert_chains=[(pki.vtn_ec.chain_path, pki.ven_ec.key_path)], client_ca=None)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing here\n")
    with pytest.raises(TlsError, match=r"empty\.pem: no usable CA certificates"):
        client_context(ca=empty, cert_chain=None)
    with pytest.raises(TlsError, match=r"empty\.pem with .*no usable certificate and key"):
        server_context(cert_chains=[(empty, empty)], client_ca=None)


def test_an_encrypted_key_is_refused_instead_of_asking_on_the_terminal(pki: Pki, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pki.vtn_ec.key_path.read_bytes(), password=None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsError, match="the key is encrypted"):
        server_context(cert_chains=[(pki.vtn_ec.chain_path, locked)], client_ca=None)


def test_a_server_without_certificates_is_refused(pki: Pki) -> None:
    with pytest.raises(TlsError, match="at least one certificate"):
        server_context(cert_chains=[], client_ca=pki.ca)


def test_rule_067_suites_removed_by_a_system_policy_are_named(pki: Pki) -> None:
    context = client(pki, None)
    with pytest.raises(TlsError, match=rf"does not offer {RSA_SUITE} \(R67\)"):
        offer(context, EC_SUITE)
    with pytest.raises(TlsError, match="offers none of NO-SUCH-SUITE"):
        offer(context, "NO-SUCH-SUITE")
