"""The VTN process with HTTP push: over real TLS to a scripted peer, with faults, a restart, and its figures."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from certs.authority import Issued
from openadr.messages import CreatePartyRegistration, DistributeEvent, RegisterReport
from openadr.tls import TlsError
from runtime.clock import FakeClock
from tests.pair.pushed import push_settings
from tests.vtn.push.kit import Peer, hangs
from tests.vtn.server import Pki, Running, VenSide
from tests.vtn.test_chain import answers, publish
from tests.vtn.world import START
from vtn.app import build
from vtn.pushtls import may_be_client, offers_push, push_tls
from vtn.settings import PushSection


@dataclass
class Site:
    """A VTN that pushes and the peer it pushes to."""

    vtn: Running
    peer: Peer
    ven: VenSide

    async def reached(self, condition: Callable[[], object], step_s: float = 0.5) -> None:
        """Let time pass until ``condition`` holds."""
        async with asyncio.timeout(30):
            while not condition():
                self.vtn.clock.advance(step_s)
                await asyncio.sleep(0.01)

    def got(self, kind: type) -> list[Any]:
        return [message for _, message, _ in self.peer.received if isinstance(message, kind)]

    async def figures(self) -> str:
        url = f"http://127.0.0.1:{self.vtn.app.operator_port}/metrics"
        headers = {"Authorization": f"Bearer {self.vtn.operator.token}"}
        async with self.vtn.session.get(url, headers=headers) as answer:
            return await answer.text()


@asynccontextmanager
async def site_of(pki: Pki, listening: Issued, peer: Peer, url: str, clock: FakeClock) -> AsyncIterator[Site]:
    app = build(push_settings(pki, url), clock)
    await app.start()
    try:
        async with aiohttp.ClientSession() as session:
            vtn = Running(app, pki, clock, session)
            yield Site(vtn, peer, vtn.ven(listening, "ven-a"))
    finally:
        await app.stop()


async def register(site: Site, listening: Issued, **changes: Any) -> Any:
    resources: list[dict[str, Any]] = [{"resourceID": each, "groupIDs": []} for each in ("r1", "r2")]
    body = {"venID": "ven-a", "fingerprint": listening.fingerprint, "resources": resources}
    status, answer = await site.vtn.operator.call("POST", "/api/v1/vens", body)
    assert status == 201, answer
    request = CreatePartyRegistration(
        request_id="req-r", ven_name="A VEN", http_pull_model=False, transport_address=site.peer.address, **changes
    )
    return await site.ven.send(request)


async def test_rule_038_301_405_a_push_ven_gets_metadata_and_events_over_tls(
    pki: Pki, listening: Issued, sqlite_url: str
) -> None:
    async with (
        Peer(pki, listening) as peer,
        site_of(pki, listening, peer, sqlite_url, FakeClock(START)) as site,
    ):
        created = await register(site, listening)
        assert created.response.ok
        await site.reached(lambda: site.got(RegisterReport))
        event_id = await publish(site.vtn)
        await site.reached(lambda: site.got(DistributeEvent))
        await site.ven.send(answers(site.got(DistributeEvent)[0]))
        _, seen = await site.vtn.operator.call("GET", f"/api/v1/events/{event_id}")
        assert seen["vens"][0]["state"] == "acknowledged"
        figures = await site.figures()
        assert 'oadr_vtn_pushed_total{message="oadrDistributeEvent",result="taken"} 1.0' in figures
        assert "oadr_vtn_push_failing 0.0" in figures
        _, health = await site.vtn.operator.call("GET", "/health")
        assert (health["push"]["vens"], health["push"]["failing"]) == (1, 0)


async def test_a_peer_that_fails_hangs_and_goes_away_gets_its_event_when_it_is_back(
    pki: Pki, listening: Issued, sqlite_url: str
) -> None:
    async with (
        Peer(pki, listening) as peer,
        site_of(pki, listening, peer, sqlite_url, FakeClock(START)) as site,
    ):
        await register(site, listening)
        await site.reached(lambda: site.got(RegisterReport))
        await peer.stop()
        await publish(site.vtn)
        async with asyncio.timeout(30):
            while 'result="unreachable"' not in await site.figures():
                site.vtn.clock.advance(0.5)
                await asyncio.sleep(0.01)
        await peer.start()
        peer.faults.extend([503, 302])
        await site.reached(lambda: len(site.got(DistributeEvent)) >= 3)
        assert not peer.faults


async def test_a_restart_pushes_again_what_was_under_way(pki: Pki, listening: Issued, tmp_path: Path) -> None:
    url, clock = f"sqlite+aiosqlite:///{tmp_path / 'vtn.sqlite3'}", FakeClock(START)
    async with Peer(pki, listening) as peer:
        async with site_of(pki, listening, peer, url, clock) as site:
            await register(site, listening)
            await site.reached(lambda: site.got(RegisterReport))
            peer.faults.append(hangs)
            await publish(site.vtn)
            await site.reached(lambda: site.got(DistributeEvent))
        async with site_of(pki, listening, peer, url, clock) as again:
            await again.reached(lambda: len(again.got(DistributeEvent)) == 2)
            await again.ven.send(answers(again.got(DistributeEvent)[1]))
            await again.reached(lambda: clock.now() > START)
    assert len({each.request_id for each in again.got(DistributeEvent)}) == 2


async def test_rule_402_a_push_registration_without_a_usable_address_is_refused_naming_it(
    pki: Pki, listening: Issued, sqlite_url: str
) -> None:
    async with (
        Peer(pki, listening) as peer,
        site_of(pki, listening, peer, sqlite_url, FakeClock(START)) as site,
    ):
        site.peer.port = 9
        for address, code in ((None, 459), ("http://127.0.0.1:9/", 469), ("https://10.0.0.1/", 469), ("ftp://x", 459)):
            request = CreatePartyRegistration(
                request_id="req-r", ven_name="A VEN", http_pull_model=False, transport_address=address
            )
            if address is None:
                await register(site, listening)
            reply: Any = await site.ven.send(request)
            assert reply.response.response_code == code, reply
            assert "oadrTransportAddress" in reply.response.response_description


def test_what_the_vtn_shows_as_a_client(pki: Pki, tmp_path: Path) -> None:
    good = push_settings(pki, f"sqlite+aiosqlite:///{tmp_path / 'x.sqlite3'}")
    assert offers_push(good)
    assert push_tls(good).check_hostname is False
    assert not offers_push(good.model_copy(update={"push": PushSection(enabled=False)}))
    server_only = pki.vtn.chain_path
    assert may_be_client(server_only)
    assert may_be_client(tmp_path / "missing.pem")
    missing = PushSection(cert=tmp_path / "missing.pem", key=tmp_path / "missing.pem")
    with pytest.raises(TlsError, match="missing"):
        push_tls(good.model_copy(update={"push": missing}))
