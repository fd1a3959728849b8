"""bridge.ocpp.proxy_upstream: verified TLS with the charger's certificate, other versions, CSMSs that are not there."""

import ssl
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.ocpp.settings import ChargerConfig
from bridge.store import MessageState
from certs.authority import Role
from openadr import tls
from runtime.clock import FakeClock
from tests.bridge.ocpp.harness import START, charging, raw, running, simulated
from tests.bridge.ocpp.proxy.harness import (
    BOOT,
    BOOT201,
    ProxyBench,
    T,
    connected,
    hand_csms,
    in_time,
    library_csms,
    proxied,
    section,
    settled,
    told,
)
from tests.bridge.ocpp.test_tls import Pki

METER: dict[str, Any] = {"connectorId": 1, "meterValue": [{"timestamp": T, "sampledValue": [{"value": "1"}]}]}


def dials(at: ProxyBench, ended: str) -> float:
    return at.value("ocpp_proxy_dials_total", ended=ended)


async def test_ocp_10_the_csms_sees_the_charger_s_certificate_over_verified_tls(
    bridge_db: AsyncEngine, tmp_path: Path
) -> None:
    cpo, stranger = Pki(tmp_path / "cpo"), Pki(tmp_path / "stranger")
    cert, key = cpo.station("CP-1").chain
    Path(tmp_path / "CP-1.pem").write_bytes(cert.read_bytes())
    Path(tmp_path / "CP-1.key").write_bytes(key.read_bytes())
    server = tls.server_context(cert_chains=[cpo.server.chain], client_ca=cpo.authority.trust(Role.OCPP))
    clock, seen = FakeClock(START), {"cert": tmp_path / "{identity}.pem", "key": tmp_path / "{identity}.key"}
    async with library_csms(clock, tls=server, meter_interval_s=10) as csms:
        url = f"wss://127.0.0.1:{csms.port}"
        ca = cpo.authority.trust(Role.SERVER)
        async with proxied(bridge_db, section(url, ca=ca, **seen), clock=clock) as at:
            point = simulated(at)
            async with running(point):
                await charging(at, point)
                peer: ssl.SSLObject = csms.chargers["CP-1"]._connection.transport.get_extra_info("ssl_object")
                subject = dict(pair for part in (peer.getpeercert() or {})["subject"] for pair in part)  # type: ignore[misc]
                assert subject["commonName"] == "CP-1"
        other_ca = stranger.authority.trust(Role.SERVER)
        for changes in ({"ca": other_ca, **seen}, {"ca": ca}):  # a CSMS that is not the one; no certificate of ours
            async with proxied(bridge_db, section(url, **changes), clock=clock) as at, raw(at) as charger:
                assert (await charger.ask("b", "BootNotification", BOOT))[2]["status"] == "Accepted"
                assert not csms.ledger.boots.get("CP-1", 0) > 1
                assert not at.upstream()


async def test_a_csms_that_does_not_speak_the_version_is_as_good_as_none(bridge_db: AsyncEngine) -> None:
    async with (
        hand_csms(versions=["ocpp2.0.1"]) as cpo,
        proxied(bridge_db, section(cpo.url)) as at,
        raw(at) as charger,
    ):
        assert (await charger.ask("h", "Heartbeat", {}))[0] == 3
        assert dials(at, "failed") >= 1
        assert not at.upstream()


async def test_dials_are_repeated_until_the_csms_is_there(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo:
        port, url = cpo.port, cpo.url
    async with proxied(bridge_db, section(url)) as at, raw(at) as charger:
        assert (await charger.ask("h", "Heartbeat", {}))[0] == 3
        for _ in range(3):
            failed = dials(at, "failed")
            at.clock.advance(130)
            await settled(lambda failed=failed: dials(at, "failed") > failed)  # type: ignore[misc]
        async with hand_csms(port) as cpo:
            await connected(at)
            csms = await cpo.charger()
            await charger.send(2, "h2", "Heartbeat", {})
            await csms.reply("Heartbeat", {"currentTime": T})


async def test_messages_of_another_version_are_set_aside(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo:
        port, url = cpo.port, cpo.url
    async with proxied(bridge_db, section(url)) as at:
        async with raw(at) as charger:
            await charger.ask("m", "MeterValues", METER)
        async with hand_csms(port) as cpo, raw(at, "CP-1", "ocpp2.0.1") as charger:
            csms = await cpo.charger()
            await told(at)
            await charger.send(2, "b", "BootNotification", BOOT201)
            await in_time(at, csms.reply("BootNotification", {"status": "Accepted", "currentTime": T, "interval": 300}))
        [row] = (await at.store.proxy_messages())["CP-1"]
        assert (row.state, row.version) == (MessageState.REFUSED, "ocpp1.6")


async def test_a_charger_that_comes_twice_leaves_one_connection_to_the_csms(bridge_db: AsyncEngine) -> None:
    config = (ChargerConfig(identity="CP-1"),)
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url), chargers=config) as at, raw(at):
        first = await cpo.charger()
        async with raw(at) as charger:
            second = await cpo.charger()
            await first.socket.wait_closed()
            await charger.send(2, "h", "Heartbeat", {})
            await second.reply("Heartbeat", {"currentTime": T})
            assert at.value("ocpp_proxy_connected") == 1
