"""The VTN behind a TLS-terminating proxy: a real one on loopback ends TLS, and the VTN still knows who asks."""

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError
from structlog.testing import capture_logs

from certs.authority import Authority, Issued, KeyType, Profile, Role
from openadr.exchange import CONTENT_TYPE, PATH
from openadr.messages import CreatedPartyRegistration, Poll, QueryRegistration, Response
from openadr.tls import TlsError, TlsProfile, server_context
from openadr.wire import encode
from runtime.clock import FakeClock, SystemClock
from tests.vtn.server import Pki, Running, VenSide, make_settings, running
from tests.vtn.signing import SigningVen
from tests.vtn.test_endpoints import code_of
from vtn.app import listener_tls
from vtn.listener import CertificateFiles, ProxySection, ServerSection, SignaturesSection, missing_kind, peers_of
from vtn.proxied import Form
from vtn.services.context import SignaturePolicy

POLL = encode(Poll(ven_id="ven-a"))
WHERE = PATH.format(service="OadrPoll")
Forward = Callable[[bytes], dict[str, str]]


def escaped(der: bytes) -> dict[str, str]:
    """As nginx writes $ssl_client_escaped_cert."""
    return {"X-SSL-Client-Cert": quote(ssl.DER_cert_to_PEM_cert(der))}


def field(der: bytes) -> str:
    return f":{base64.b64encode(der).decode()}:"


def rfc9440(der: bytes) -> dict[str, str]:
    return {"Client-Cert": field(der)}


def intermediates(pki: Pki, folder: Path) -> Path:
    """The issuing CAs, which a proxy knows and does not forward."""
    path = folder / "issuing.pem"
    files = sorted((pki.authority.directory / "ca").glob("openadr-*-issuing.pem"))
    path.write_bytes(b"".join(each.read_bytes() for each in files))
    return path


@asynccontextmanager
async def proxy(pki: Pki, backend: str, forward: Forward, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A small reverse proxy: mutual TLS in front, what it forwards behind; yields its address."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            transport = request.transport
            assert transport is not None
            der = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            kind = request.headers["Content-Type"]
            headers = {"Content-Type": kind, "Accept-Encoding": "identity", **forward(der)}
            body = await request.read()
            async with session.post(backend + request.path, data=body, headers=headers, ssl=tls or True) as answer:
                kept = {name: answer.headers[name] for name in ("Content-Type", "X-Reference-Id")}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

        runner = web.ServerRunner(web.Server(handle, access_log=None))
        await runner.setup()
        context = server_context(cert_chains=[pki.vtn.chain], client_ca=pki.trust, profile=TlsProfile.MODERN)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        try:
            yield f"https://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def behind(pki: Pki, url: str, folder: Path, form: Form = Form.PEM, **more: Any) -> AsyncIterator[Running]:
    """A VTN that speaks plain HTTP to a proxy on loopback."""
    section = ProxySection(
        trusted=more.pop("trusted", ("127.0.0.0/8",)),
        form=form,
        intermediates=intermediates(pki, folder),
        allow_insecure_http=True,
    )
    async with running(pki, url, FakeClock(SystemClock().now()), proxy=section, **more) as vtn:
        yield vtn


def through(vtn: Running, address: str, issued: Issued, ven_id: str = "ven-a") -> VenSide:
    side = vtn.ven(issued, ven_id)
    side.url = address
    return side


@pytest.mark.parametrize(("form", "forward"), [(Form.PEM, escaped), (Form.RFC9440, rfc9440)])
async def test_rule_517_a_ven_behind_a_proxy_is_known_by_its_certificate(
    pki: Pki, sqlite_url: str, tmp_path: Path, form: Form, forward: Forward
) -> None:
    async with behind(pki, sqlite_url, tmp_path, form) as vtn, proxy(pki, plain(vtn), forward) as address:
        await vtn.enrolled("r1")
        ven = through(vtn, address, pki.ven_a)
        assert (await ven.register()).ven_id == "ven-a"
        await ven.poll()
        assert isinstance(await ven.poll(), Response)
        stranger = through(vtn, address, pki.ven_b, "ven-b")
        assert code_of(await stranger.poll()) == 463
        assert code_of(await through(vtn, address, pki.ven_b).poll()) == 463


def plain(vtn: Running) -> str:
    return f"http://127.0.0.1:{vtn.app.port}"


async def test_rule_514_signatures_hold_behind_a_proxy(pki: Pki, sqlite_url: str, tmp_path: Path) -> None:
    strict = SignaturesSection(policy=SignaturePolicy.REQUIRE)
    async with (
        behind(pki, sqlite_url, tmp_path, signatures=strict) as vtn,
        proxy(pki, plain(vtn), escaped) as address,
    ):
        await vtn.enrolled()
        ven = SigningVen.of(vtn, pki.ven_a, "ven-a")
        ven.side.url = address
        assert isinstance(await ven.register(), CreatedPartyRegistration)
        body = ven.signed(QueryRegistration(request_id="q"))
        assert (await ven.post(body, QueryRegistration))[0] == 200
        assert (await ven.post(body, QueryRegistration))[0] == 403
        other = SigningVen.of(vtn, pki.ven_b, "ven-b", by=pki.ven_a)
        other.side.url = address
        assert (await other.post(ven.signed(Poll(ven_id="ven-a"))))[0] == 403


async def direct(vtn: Running, headers: list[tuple[str, str]]) -> tuple[int, str]:
    """Post to the listener itself, as a proxy or somebody else would."""
    given = [("Content-Type", CONTENT_TYPE), *headers]
    async with vtn.session.post(plain(vtn) + WHERE, data=POLL, headers=given) as answer:
        return answer.status, await answer.text()


def der_of(issued: Issued) -> bytes:
    return x509.load_pem_x509_certificate(issued.cert_path.read_bytes()).public_bytes(Encoding.DER)


async def test_rule_517_only_the_proxys_address_is_believed(pki: Pki, sqlite_url: str, tmp_path: Path) -> None:
    async with behind(pki, sqlite_url, tmp_path, trusted=("192.0.2.7", "2001:db8::/32")) as vtn:
        with capture_logs() as logs:
            status, text = await direct(vtn, list(escaped(der_of(pki.ven_a)).items()))
        assert (status, "proxy" in text) == (403, True)
        assert any(line["event"] == "refused" and line["peer"] == "127.0.0.1" for line in logs)


async def test_rule_517_a_header_that_proves_nothing_is_403(pki: Pki, sqlite_url: str, tmp_path: Path) -> None:
    now = SystemClock().now()
    old = pki.authority.issue(Profile.OPENADR_VEN, "old", now=now - timedelta(days=10), days=9)
    foreign = Authority.create(tmp_path / "foreign", now=now).issue(Profile.OPENADR_VEN, "ven-a", now=now)
    station = pki.authority.issue(Profile.OCPP_STATION, "CP1", now=now, organisation="CPO")
    server = pki.authority.issue(Profile.SERVER, "web", ("localhost",), now=now)
    good = escaped(der_of(pki.ven_a))["X-SSL-Client-Cert"]
    issuing = x509.load_pem_x509_certificates(pki.ven_a.chain_path.read_bytes())[1].public_bytes(Encoding.DER)
    bad: list[list[tuple[str, str]]] = [
        [],
        [("X-SSL-Client-Cert", "")],
        [("X-SSL-Client-Cert", "SUCCESS")],
        [("X-SSL-Client-Cert", good[:-60])],
        [("X-SSL-Client-Cert", good + good)],
        [("X-SSL-Client-Cert", good), ("X-SSL-Client-Cert", good)],
        [("Client-Cert", field(der_of(pki.ven_a)))],
        [("X-SSL-Client-Fingerprint", pki.ven_a.fingerprint)],
        *([*escaped(der_of(each)).items()] for each in (old, foreign, station, server)),
        [*escaped(issuing).items()],
    ]
    async with behind(pki, sqlite_url, tmp_path) as vtn:
        await vtn.enrolled()
        for headers in bad:
            assert (await direct(vtn, headers))[0] == 403, headers
        assert (await direct(vtn, [("X-SSL-Client-Cert", good)]))[0] == 200


async def test_rule_516_a_certificate_that_expires_is_believed_no_longer(
    pki: Pki, sqlite_url: str, tmp_path: Path
) -> None:
    now = SystemClock().now()
    short = pki.authority.issue(Profile.OPENADR_VEN, "short", now=now, days=1)
    headers = list(escaped(der_of(short)).items())
    async with behind(pki, sqlite_url, tmp_path) as vtn:
        for hours, status in ((0, 200), (23, 200), (2, 403)):
            vtn.clock.advance(hours * 3600)
            assert (await direct(vtn, headers))[0] == status


async def test_the_chain_may_be_forwarded_too(pki: Pki, sqlite_url: str) -> None:
    chain = x509.load_pem_x509_certificates(pki.ven_a.chain_path.read_bytes())
    leaf, issuing = (each.public_bytes(Encoding.DER) for each in chain)
    section = ProxySection(trusted=("127.0.0.1",), form=Form.RFC9440, allow_insecure_http=True)
    async with running(pki, sqlite_url, FakeClock(SystemClock().now()), proxy=section) as vtn:
        assert (await direct(vtn, [("Client-Cert", field(leaf))]))[0] == 403
        for bad in (field(leaf), "nonsense", ":!!:"):
            assert (await direct(vtn, [("Client-Cert", field(leaf)), ("Client-Cert-Chain", bad)]))[0] == 403
        both = [("Client-Cert", field(leaf)), ("Client-Cert-Chain", f"{field(issuing)}, {field(issuing)}")]
        assert (await direct(vtn, both))[0] == 200


async def test_the_hop_from_the_proxy_can_be_mutual_tls(pki: Pki, sqlite_url: str, tmp_path: Path) -> None:
    section = ProxySection(trusted=("127.0.0.1",), intermediates=intermediates(pki, tmp_path), proxy_ca=pki.trust)
    async with running(pki, sqlite_url, FakeClock(SystemClock().now()), proxy=section) as vtn:
        await vtn.enrolled()
        context = vtn.ven(pki.ven_b, "").context  # any certificate of the CA stands for the proxy's own here
        async with proxy(pki, f"https://127.0.0.1:{vtn.app.port}", escaped, context) as address:
            assert (await through(vtn, address, pki.ven_a).register()).ven_id == "ven-a"
        with pytest.raises(aiohttp.ClientError):
            await direct(vtn, [])


async def test_a_forged_header_means_nothing_without_a_proxy_section(vtn: Running) -> None:
    await vtn.enrolled()
    stranger = vtn.ven(vtn.pki.ven_b, "ven-a")
    status, _, _ = await stranger.post(WHERE, POLL, headers=escaped(der_of(vtn.pki.ven_a)))
    assert status == 200
    assert code_of(await stranger.poll()) == 463


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"trusted": ()}, "at least 1"),
        ({"trusted": ("proxy.example",)}, "no address"),
        ({"trusted": ("0.0.0.0/0",)}, "everybody"),
        ({"trusted": ("127.0.0.1",), "header": "X Y"}, "pattern"),
    ],
)
def test_settings_that_would_believe_too_much_are_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        ProxySection(**values)


def test_a_listener_needs_certificates_unless_a_proxy_speaks_plain_http_to_it(pki: Pki, tmp_path: Path) -> None:
    tls = ProxySection(trusted=("127.0.0.1",))
    clear = ProxySection(trusted=("127.0.0.1",), allow_insecure_http=True)
    off = SignaturesSection(policy=SignaturePolicy.OFF)
    with pytest.raises(ValidationError, match="at least one is needed"):
        ServerSection(client_ca=pki.trust)
    with pytest.raises(ValidationError, match="at least one is needed"):
        ServerSection(client_ca=pki.trust, proxy=tls, signatures=off)
    with pytest.raises(ValidationError, match="a key to sign with"):
        ServerSection(client_ca=pki.trust, proxy=clear)
    assert ServerSection(client_ca=pki.trust, proxy=clear, signatures=off).plain
    for ca in (tmp_path / "none.pem", pki.vtn.key_path):
        with pytest.raises(TlsError, match=ca.name):
            peers_of(ServerSection(client_ca=ca, proxy=clear, signatures=off))


def test_plain_http_behind_a_proxy_says_so_in_the_log(pki: Pki) -> None:
    clear = ProxySection(trusted=("127.0.0.1",), allow_insecure_http=True)
    with capture_logs() as logs:
        assert listener_tls(make_settings(pki, "sqlite+aiosqlite://", proxy=clear)) is None
    assert [line["event"] for line in logs] == ["plain HTTP between proxy and listener"]
    assert logs[0]["log_level"] == "warning"


def test_rule_068_one_kind_of_certificate_is_said_at_start(pki: Pki, tmp_path: Path) -> None:
    now = SystemClock().now()
    authority = Authority.create(tmp_path, now=now, rsa=True)
    kinds = authority.issue(Profile.OPENADR_VTN, "v", ("localhost",), now=now)
    rsa = authority.issue(Profile.OPENADR_VTN, "v", ("localhost",), now=now, key_type=KeyType.RSA)
    files = [CertificateFiles(cert=each.chain_path, key=each.key_path) for each in (kinds, rsa)]
    assert (missing_kind(files), missing_kind(files[:1]), missing_kind(files[1:])) == (None, "an RSA", "an EC")
    settings = make_settings(pki, "sqlite+aiosqlite://")
    with capture_logs() as logs:
        listener_tls(settings)
    assert "R68" in logs[0]["event"]
    both = settings.model_copy(update={"server": settings.server.model_copy(update={"certificates": tuple(files)})})
    with capture_logs() as logs:
        listener_tls(both)
    assert logs == []
    assert authority.trust(Role.OPENADR).exists()
