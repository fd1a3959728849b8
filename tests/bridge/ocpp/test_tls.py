"""Security profiles 2 and 3 on real TLS, with certificates of our own tool (OCP-10)."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError

from bridge.ocpp.settings import ChargerConfig
from bridge.simulators.charge_point import Access
from certs.authority import Authority, Issued, Profile, Role
from openadr import tls
from runtime.clock import SystemClock
from tests.bridge.ocpp.harness import Bench, bench, running, simulated

CHARGER = ChargerConfig(identity="CP-1", password="0123456789abcdef")


class Pki:
    """A throw-away PKI: one server, stations by name."""

    def __init__(self, folder: Path) -> None:
        self.now = SystemClock().now()
        self.authority = Authority.create(folder, now=self.now)
        self.server = self.authority.issue(Profile.SERVER, "localhost", ["127.0.0.1", "localhost"], now=self.now)

    def station(self, identity: str, organisation: str = "CPO") -> Issued:
        return self.authority.issue(Profile.OCPP_STATION, identity, now=self.now, organisation=organisation)

    def settings(self, profile: int) -> dict[str, Any]:
        cert, key = self.server.chain
        return {
            "security_profile": profile,
            "allow_insecure": False,
            "cert": cert,
            "key": key,
            "client_ca": self.authority.trust(Role.OCPP),
        }

    def context(self, chain: tuple[Path, Path] | None) -> ssl.SSLContext:
        return tls.client_context(ca=self.authority.trust(Role.SERVER), cert_chain=chain, profile=tls.TlsProfile.MODERN)


def access(at: Bench, context: ssl.SSLContext, password: str | None = None, version: str = "1.6") -> Access:
    return Access(url=at.url.replace("ws:", "wss:"), version=version, tls=context, password=password)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_ocp_10_profile_3_lets_a_station_in_by_its_certificate(tmp_path: Path, version: str) -> None:
    pki = Pki(tmp_path / "pki")
    context = pki.context(pki.station("CP-1").chain)
    async with bench(CHARGER, **pki.settings(3), cpo_name="CPO") as at:
        point = simulated(at, version=version, access=access(at, context, version=version))
        async with running(point):
            await at.fleet.heard("connected", "CP-1")
            await at.fleet.heard("transaction", "CP-1", True)


@pytest.mark.parametrize(
    ("name", "organisation", "word"), [("CP-2", "CPO", "other_identity"), ("CP-1", "Other", "other_operator")]
)
async def test_ocp_10_profile_3_refuses_the_certificate_of_another(
    tmp_path: Path, name: str, organisation: str, word: str
) -> None:
    pki = Pki(tmp_path / "pki")
    context = pki.context(pki.station(name, organisation).chain)
    async with bench(CHARGER, **pki.settings(3), cpo_name="CPO") as at:
        with pytest.raises(ClientError):
            await at.http.ws_connect(f"{access(at, context).url}/CP-1", protocols=("ocpp1.6",), ssl=context)
        assert at.value("ocpp_refused_total", reason=word) == 1


async def test_ocp_10_profile_3_refuses_a_client_without_a_certificate_or_of_another_ca(tmp_path: Path) -> None:
    pki, other = Pki(tmp_path / "pki"), Pki(tmp_path / "other")
    async with bench(CHARGER, **pki.settings(3)) as at:
        for chain in (None, other.station("CP-1").chain):
            context = pki.context(chain)
            with pytest.raises((ClientError, OSError)):
                await at.http.ws_connect(f"{access(at, context).url}/CP-1", protocols=("ocpp1.6",), ssl=context)
        assert at.central.status("CP-1") is None


async def test_ocp_10_profile_2_is_tls_with_the_stations_password(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    context = pki.context(None)
    async with bench(CHARGER, **pki.settings(2)) as at:
        with pytest.raises(ClientError):
            await at.http.ws_connect(f"{access(at, context).url}/CP-1", protocols=("ocpp1.6",), ssl=context)
        async with running(simulated(at, access=access(at, context, CHARGER.password))):
            await at.fleet.heard("connected", "CP-1")


async def test_a_plain_client_does_not_get_past_tls(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    async with bench(CHARGER, **pki.settings(2)) as at:
        with pytest.raises((ClientError, OSError)):
            await at.http.ws_connect(f"{at.url}/CP-1", protocols=("ocpp1.6",))


async def test_a_certificate_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    with pytest.raises(tls.TlsError):
        async with bench(CHARGER, **(pki.settings(2) | {"cert": tmp_path / "none.pem"})):
            raise AssertionError("started")
