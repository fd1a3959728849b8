"""A PKI and a VTN for the VEN's client tests."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from certs.authority import Authority, Issued, Profile, Role
from openadr.tls import client_context, server_context
from runtime.clock import SystemClock
from tests.ven.fake_vtn import FakeVtn


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """Certificates of one VTN and one VEN, and of a VEN under a root that nobody trusts."""

    ca: Path
    other_ca: Path
    vtn: Issued
    ven: Issued
    stranger: Issued

    def server(self) -> ssl.SSLContext:
        return server_context(cert_chains=[self.vtn.chain], client_ca=self.ca)

    def client(self) -> ssl.SSLContext:
        return client_context(ca=self.ca, cert_chain=self.ven.chain)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    now = SystemClock().now()  # OpenSSL checks validity against the real clock
    authority = Authority.create(tmp_path_factory.mktemp("pki"), now=now)
    other = Authority.create(tmp_path_factory.mktemp("other"), now=now)
    return Pki(
        ca=authority.trust(Role.OPENADR),
        other_ca=other.trust(Role.OPENADR),
        vtn=authority.issue(Profile.OPENADR_VTN, "vtn.example", ["127.0.0.1"], now=now),
        ven=authority.issue(Profile.OPENADR_VEN, "ven.example", now=now),
        stranger=other.issue(Profile.OPENADR_VEN, "stranger.example", now=now),
    )


@pytest.fixture
async def vtn(pki: Pki) -> AsyncIterator[FakeVtn]:
    made = FakeVtn(pki.server())
    await made.start()
    yield made
    await made.stop()
