"""A real VTN on real sockets for tests: certificates from our authority, TLS both ways, an operator's client."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from certs.authority import Authority, Issued, KeyType, Profile, Role
from openadr.exchange import CONTENT_TYPE, PATH, SERVICE_OF
from openadr.messages import CreatedPartyRegistration, CreatePartyRegistration, Message, Poll
from openadr.tls import client_context
from openadr.wire import decode, encode
from runtime.clock import Clock, FakeClock
from tests.vtn.world import START
from vtn.app import Application, build
from vtn.listener import CertificateFiles, ServerSection
from vtn.settings import DatabaseSection, OperatorSection, VtnSettings

TOKEN = "operator-token-for-tests"


@dataclass(frozen=True)
class Pki:
    """An authority with a VTN certificate and two VENs of which only one will be enrolled."""

    authority: Authority
    vtn: Issued
    ven_a: Issued
    ven_b: Issued

    @property
    def trust(self) -> Path:
        """The trust file of the OpenADR role."""
        return self.authority.trust(Role.OPENADR)


def make_pki(directory: Path, clock: Clock) -> Pki:
    """Make certificates that are valid on the machine's clock, which TLS goes by."""
    now = clock.now()
    authority = Authority.create(directory, now=now, rsa=True)
    return Pki(
        authority=authority,
        vtn=authority.issue(Profile.OPENADR_VTN, "vtn", ("localhost", "127.0.0.1"), now=now),
        ven_a=authority.issue(Profile.OPENADR_VEN, "ven-a", now=now),
        ven_b=authority.issue(Profile.OPENADR_VEN, "ven-b", now=now, key_type=KeyType.EC),
    )


def make_settings(pki: Pki, database_url: str, **server: Any) -> VtnSettings:
    """Return settings on free ports."""
    return VtnSettings(
        server=ServerSection(
            host="127.0.0.1",
            port=0,
            certificates=(CertificateFiles(cert=pki.vtn.chain_path, key=pki.vtn.key_path),),
            client_ca=pki.trust,
            **server,
        ),
        operator=OperatorSection(port=0, token=SecretStr(TOKEN), allow_insecure_http=True),
        database=DatabaseSection(url=database_url),
    )


@dataclass
class VenSide:
    """A VEN's HTTP client."""

    session: aiohttp.ClientSession
    url: str
    context: ssl.SSLContext
    ven_id: str

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send bytes; return status, headers and body."""
        given = {"Content-Type": CONTENT_TYPE, "Accept-Encoding": "identity", **(headers or {})}
        async with self.session.request(
            method, f"{self.url}{path}", data=body, headers=given, ssl=self.context
        ) as answer:
            return answer.status, answer.headers, await answer.read()

    async def send(self, message: Message, path: str | None = None) -> Message:
        """Send a message to its service and return the valid reply."""
        where = PATH.format(service=SERVICE_OF[type(message)].value) if path is None else path
        status, headers, body = await self.post(where, encode(message))
        assert status == 200, body
        assert headers["X-Reference-Id"].startswith("ref-")
        assert headers["Content-Type"] == CONTENT_TYPE
        assert int(headers["Content-Length"]) == len(body)
        return decode(body)

    async def register(self) -> CreatedPartyRegistration:
        """Register."""
        reply = await self.send(CreatePartyRegistration(request_id="req-r", ven_name="A VEN"))
        assert isinstance(reply, CreatedPartyRegistration)
        return reply

    async def poll(self) -> Message:
        """Poll once."""
        return await self.send(Poll(ven_id=self.ven_id))


@dataclass
class Operator:
    """An operator's HTTP client."""

    session: aiohttp.ClientSession
    url: str
    token: str | None = TOKEN

    async def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Call the API; return status and JSON."""
        given = dict(headers or {})
        if self.token is not None:
            given["Authorization"] = f"Bearer {self.token}"
        async with self.session.request(method, f"{self.url}{path}", json=body, headers=given) as answer:
            assert answer.headers["X-Reference-Id"]
            return answer.status, await answer.json(content_type=None)


@dataclass
class Running:
    """A VTN that runs, with its clients."""

    app: Application
    pki: Pki
    clock: FakeClock
    session: aiohttp.ClientSession

    def ven(self, issued: Issued, ven_id: str) -> VenSide:
        """Return a client with a VEN's certificate."""
        context = client_context(ca=self.pki.trust, cert_chain=issued.chain)
        return VenSide(self.session, f"https://127.0.0.1:{self.app.port}", context, ven_id)

    @property
    def operator(self) -> Operator:
        """Return a client with the token."""
        return Operator(self.session, f"http://127.0.0.1:{self.app.operator_port}")

    async def enrolled(self, *resources: str) -> VenSide:
        """Enrol ven-a with resources, all of group g1, and return its client."""
        body = {
            "venID": "ven-a",
            "fingerprint": self.pki.ven_a.fingerprint,
            "venName": "A VEN",
            "resources": [{"resourceID": each, "groupIDs": ["g1"]} for each in resources],
        }
        status, answer = await self.operator.call("POST", "/api/v1/vens", body)
        assert status == 201, answer
        return self.ven(self.pki.ven_a, "ven-a")


@asynccontextmanager
async def running(pki: Pki, database_url: str, clock: FakeClock | None = None, **server: Any) -> AsyncIterator[Running]:
    """Start a VTN, give its clients, stop it."""
    clock = FakeClock(START) if clock is None else clock
    app = build(make_settings(pki, database_url, **server), clock)
    await app.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Running(app, pki, clock, session)
    finally:
        await app.stop()
