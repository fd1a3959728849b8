"""bridge.ocpp.proxy: what passes between a charger and its CPO's CSMS, byte for byte, both ways and both versions."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.ocpp.settings import ChargerConfig
from bridge.target import CommandOutcome
from runtime.clock import FakeClock
from tests.bridge.ocpp.harness import START, charging, metered, raw, running, simulated
from tests.bridge.ocpp.proxy.harness import (
    BOOT201,
    CHARGER,
    START_TX,
    T,
    booted,
    hand_csms,
    library_csms,
    proxied,
    section,
    settled,
)

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])


async def test_ocp_02_unknown_actions_and_vendor_fields_pass_byte_for_byte(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url, mode="observe")) as at, raw(at) as charger:
        csms = await cpo.charger()
        odd = '{"vendor.field" : [1.0,1e5, 12345678901234567890],  "Ünï":"\\u00e9", "a":null}'
        await charger.socket.send(f'[2, "77","VendorThing", {odd}]')
        text = await csms.text()
        assert text.endswith(f',"VendorThing",{odd}]')
        unique_id = json.loads(text)[1]
        assert unique_id != "77"
        await csms.socket.send(f'[3,"{unique_id}",{odd}]')
        async with asyncio.timeout(5):
            assert await charger.socket.recv() == f'[3,"77",{odd}]'
        await csms.socket.send(f'[2,"c-1","VendorCommand",{odd}]')
        async with asyncio.timeout(5):
            text = str(await charger.socket.recv())
        assert text.endswith(f',"VendorCommand",{odd}]')
        await charger.socket.send(f'[4,"{json.loads(text)[1]}","VendorError","why",{odd}]')
        assert await csms.text() == f'[4,"c-1","VendorError","why",{odd}]'


async def test_identity_subprotocol_and_password_are_the_chargers_own(bridge_db: AsyncEngine) -> None:
    config = ChargerConfig(identity="CP 1", password="s3cret-of-charger")
    async with (
        hand_csms() as cpo,
        proxied(bridge_db, section(cpo.url), chargers=(config,), security_profile=1) as at,
        raw(at, "CP%201", "ocpp2.0.1", additional_headers={"Authorization": "Basic Q1AgMTpzM2NyZXQtb2YtY2hhcmdlcg=="}),
    ):
        csms = await cpo.charger()
        assert csms.path == "/cpo/CP%201"
        assert csms.socket.subprotocol == "ocpp2.0.1"
        assert csms.password == "CP 1:s3cret-of-charger"


@VERSIONS
async def test_ocp_02_a_charger_behind_a_csms_is_limited_and_proved_by_its_meter(
    bridge_db: AsyncEngine, version: str
) -> None:
    clock = FakeClock(START)
    async with (
        library_csms(clock, meter_interval_s=10) as cpo,
        proxied(bridge_db, section(f"ws://127.0.0.1:{cpo.port}"), clock=clock) as at,
    ):
        point = simulated(at, version=version)
        async with running(point):
            await charging(at, point)
            assert await metered(at, point) == pytest.approx(3 * 230 * 32, rel=0.01)
            result = await at.central.set_limit("CP-1", at.schedule(10.0))
            assert result.outcome is CommandOutcome.ACCEPTED
            await metered(at, point)
            assert await metered(at, point) == pytest.approx(3 * 230 * 10, rel=0.01)
            assert (await at.central.clear_limit("CP-1", 7)).outcome is CommandOutcome.ACCEPTED
            await metered(at, point)
            assert await metered(at, point) == pytest.approx(3 * 230 * 32, rel=0.01)
        summary = cpo.ledger.summary()
        assert summary["sessions"] == 1
        assert summary["samples"] >= 5
        assert summary["toldTwice"] == summary["messagesAgain"] == 0
        wanted = ["limited", "cleared"] if version == "2.0.1" else []
        assert [what for _, what in cpo.ledger.notices] == wanted


async def test_the_csms_owns_the_registration(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at, "CP-1", "ocpp2.0.1") as charger:
        csms = await cpo.charger()
        for status in ("Rejected", "Pending"):
            await charger.send(2, f"b-{status}", "BootNotification", BOOT201)
            await csms.reply("BootNotification", {"status": status, "currentTime": T, "interval": 5})
            assert (await charger.receive())[2]["status"] == status
            result = await at.central.set_limit("CP-1", at.schedule(10.0))
            assert result.outcome is CommandOutcome.OFFLINE
        assert not await at.central.set_registration("CP-1", "rejected")
        await charger.send(2, "b-3", "BootNotification", BOOT201)
        await csms.reply("BootNotification", {"status": "Accepted", "currentTime": T, "interval": 5})
        assert (await charger.receive())[2]["status"] == "Accepted"
        await charger.decline("GetVariables")
        await at.fleet.heard("connected", "CP-1")


async def test_calls_of_both_systems_take_turns_and_a_limit_goes_first(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at) as charger:
        csms = await cpo.charger()
        await booted(charger, csms)
        await at.fleet.heard("connected", "CP-1")
        await csms.send(2, "x-1", "VendorOne", {})
        first = await charger.asked("VendorOne")
        await csms.send(2, "x-2", "VendorTwo", {})
        limit = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
        await asyncio.sleep(0.05)
        await charger.send(3, first[1], {"n": 1})
        assert await csms.receive() == [3, "x-1", {"n": 1}]
        order = []
        for _ in range(2):
            frame = await charger.receive()
            order.append(frame[2])
            await charger.send(3, frame[1], {"status": "Accepted"})
        assert order[0] == "SetChargingProfile"
        assert (await limit).outcome is CommandOutcome.ACCEPTED
        assert (await csms.receive())[:2] == [3, "x-2"]


async def test_observe_only_sends_the_charger_nothing_of_ours(bridge_db: AsyncEngine) -> None:
    async with (
        hand_csms() as cpo,
        proxied(bridge_db, section(cpo.url, mode="observe"), read_back_s=1.0) as at,
        raw(at) as charger,
    ):
        csms = await cpo.charger()
        await charger.send(2, "boot", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        await csms.reply("BootNotification", {"status": "Accepted", "currentTime": T, "interval": 300})
        assert (await charger.receive())[2]["status"] == "Accepted"
        await at.fleet.heard("connected", "CP-1")
        for result in (
            await at.central.set_limit("CP-1", at.schedule(10.0)),
            await at.central.set_available("CP-1", False),
            await at.central.trigger("CP-1", "MeterValues"),
        ):
            assert result.outcome is CommandOutcome.NOT_SUPPORTED
            assert "only observes" in result.detail
        await at.central.read_back("CP-1")
        at.clock.advance(120)
        await charger.send(2, "s", "StartTransaction", START_TX)
        await csms.reply("StartTransaction", {"transactionId": 4, "idTagInfo": {"status": "Accepted"}})
        assert await charger.receive() == [3, "s", {"transactionId": 4, "idTagInfo": {"status": "Accepted"}}]
        await at.fleet.heard("transaction", "CP-1", True)
        at.clock.advance(120)
        await csms.send(2, "x", "ClearCache", {})
        assert (await charger.receive())[2] == "ClearCache"


async def test_what_is_for_us_does_not_reach_the_csms(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at) as charger:
        csms = await cpo.charger()
        button: dict[str, Any] = {"vendorId": "openadr-gateway", "messageId": "DriverOverride"}
        await charger.send(2, "d", "DataTransfer", button)
        assert (await charger.answer("d"))[2] == {"status": "Accepted"}
        await at.fleet.heard("driver", "CP-1", "override")
        await charger.send(2, "h", "Heartbeat", {})
        await csms.reply("Heartbeat", {"currentTime": T})


async def test_the_password_at_our_door_is_not_the_csmss_to_change(bridge_db: AsyncEngine) -> None:
    config = ChargerConfig(identity="CP-1", password="s3cret-of-charger")
    header = {"Authorization": "Basic Q1AtMTpzM2NyZXQtb2YtY2hhcmdlcg=="}
    async with (
        hand_csms() as cpo,
        proxied(bridge_db, section(cpo.url, auth="none"), chargers=(config,), security_profile=1) as at,
        raw(at, additional_headers=header),
    ):
        csms = await cpo.charger()
        assert csms.password is None
        await csms.send(2, "k", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "x" * 20})
        assert (await csms.receive())[:3] == [4, "k", "NotSupported"]


async def test_bad_frames_of_either_side_cost_only_themselves(bridge_db: AsyncEngine) -> None:
    async with (
        hand_csms() as cpo,
        proxied(bridge_db, section(cpo.url, mode="observe")) as at,
        raw(at, "CP-1", "ocpp2.0.1") as charger,
    ):
        csms = await cpo.charger()
        await csms.send(2, "x", "Reset", {"type": "OnIdle"})
        frame = await charger.asked("Reset")
        await charger.send(3, frame[1], "nonsense")
        assert (await csms.receive())[:3] == [4, "x", "GenericError"]
        for side in (charger, csms):
            await side.socket.send("{not json")
            assert (await side.receive())[:3] == [4, "-1", "RpcFrameworkError"]
            await side.send(3, "nobody-asked", {})
        await charger.send(2, "h", "Heartbeat", {})
        await csms.reply("Heartbeat", {"currentTime": T})
        assert await charger.receive() == [3, "h", {"currentTime": T}]


async def test_chg_09_a_cpo_can_point_its_charger_to_another_system(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at, "CP-1", "ocpp2.0.1") as charger:
        csms = await cpo.charger()
        away = {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": "wss://elsewhere.example",
            "messageTimeout": 30,
            "securityProfile": 2,
            "ocppInterface": "Wired0",
        }
        profile = {"configurationSlot": 2, "connectionData": away}
        for action, payload in (("SetNetworkProfile", profile), ("Reset", {"type": "OnIdle"})):
            await csms.send(2, action, action, payload)
            frame = await charger.asked(action)
            assert frame[3] == payload
            await charger.send(3, frame[1], {"status": "Accepted"})
            assert await csms.receive() == [3, action, {"status": "Accepted"}]


async def test_a_charger_that_is_gone_takes_its_csms_connection_with_it(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at:
        async with raw(at) as charger:
            csms = await cpo.charger()
            await charger.send(2, "h", "Heartbeat", {})
            await csms.expect("Heartbeat")
            await csms.send(2, "g", "GetDiagnostics", {"location": "x"})
            await charger.asked("GetDiagnostics")
        await csms.socket.wait_closed()
        await settled(lambda: not at.upstream())
        async with raw(at):
            await cpo.charger()


async def test_two_csmss_each_have_their_own_chargers(bridge_db: AsyncEngine) -> None:
    chargers = (CHARGER, ChargerConfig(identity="X-1"), ChargerConfig(identity="OWN"))
    async with (
        hand_csms() as one,
        hand_csms() as other,
        proxied(
            bridge_db, section(one.url, chargers=("CP-*",)), section(other.url, chargers=("X-1",)), chargers=chargers
        ) as at,
        raw(at, "CP-1"),
        raw(at, "X-1"),
        raw(at, "OWN") as own,
    ):
        assert (await one.charger()).path == "/cpo/CP-1"
        assert (await other.charger()).path == "/cpo/X-1"
        assert (await own.ask("h", "Heartbeat", {}))[0] == 3
        assert one.connections.empty()
        assert other.connections.empty()
