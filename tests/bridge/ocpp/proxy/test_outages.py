"""bridge.ocpp.proxy while the CPO's CSMS is away: charging goes on, and all is told afterwards, once, in order."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.store import MessageState
from tests.bridge.ocpp.harness import Raw, raw
from tests.bridge.ocpp.proxy.harness import (
    BOOT,
    BOOT201,
    START_TX,
    HandCsms,
    ProxyBench,
    Socket,
    T,
    booted,
    connected,
    hand_csms,
    in_time,
    proxied,
    section,
    settled,
    told,
)

LATER = "2026-03-01T12:10:00Z"
ACCEPTED = {"status": "Accepted"}


def meter(transaction: int | None, at: str, wh: int) -> dict[str, Any]:
    values = [{"timestamp": at, "sampledValue": [{"value": str(wh)}]}]
    return {"connectorId": 1, "meterValue": values} | ({} if transaction is None else {"transactionId": transaction})


def stop(transaction: int) -> dict[str, Any]:
    return {"transactionId": transaction, "meterStop": 900, "timestamp": LATER, "idTag": "TAG-123456"}


async def alone(charger: Raw) -> None:
    """Boot a 1.6 charger while its CSMS is away."""
    answer = await charger.ask("boot", "BootNotification", BOOT)
    assert answer[2]["status"] == "Accepted"
    assert answer[2]["interval"] == 300


async def away(cpo: HandCsms, at: ProxyBench) -> int:
    """Take a CSMS away; returns its port."""
    port = cpo.port
    await cpo.stop()
    await settled(lambda: not at.upstream())
    return port


async def back(cpo: HandCsms, port: int, at: ProxyBench) -> Socket:
    """Bring a CSMS back."""
    await cpo.start(port)
    await connected(at)
    return await cpo.charger()


async def test_a_charger_that_boots_while_its_csms_is_away_goes_on_and_all_is_told_in_order(
    bridge_db: AsyncEngine,
) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url, offline_authorize="accept")) as at:
        port = await away(cpo, at)
        async with raw(at) as charger:
            await alone(charger)
            await charger.decline("GetConfiguration")
            assert "currentTime" in (await charger.ask("h", "Heartbeat", {}))[2]
            await charger.ask(
                "n", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
            )
            assert (await charger.ask("a", "Authorize", {"idTag": "TAG"}))[2] == {"idTagInfo": ACCEPTED}
            started = (await charger.ask("s", "StartTransaction", START_TX))[2]
            number = started["transactionId"]
            assert started["idTagInfo"] == ACCEPTED
            await at.fleet.heard("transaction", "CP-1", True)
            assert (await charger.ask("m", "MeterValues", meter(number, T, 100)))[2] == {}
            assert (await charger.ask("e", "StopTransaction", stop(number)))[2] == {"idTagInfo": ACCEPTED}
            assert (await charger.ask("v", "DataTransfer", {"vendorId": "V"}))[:3] == [4, "v", "GenericError"]
            assert (await charger.ask("u", "VendorThing", {}))[:3] == [4, "u", "GenericError"]
            assert at.kept() == 5
            csms = await back(cpo, port, at)
            await csms.reply("BootNotification", {"status": "Accepted", "currentTime": T, "interval": 300})
            await csms.reply("StatusNotification", {})
            frame = await csms.reply("StartTransaction", {"transactionId": 41, "idTagInfo": ACCEPTED})
            assert frame[3] == START_TX
            assert (await csms.reply("MeterValues", {}))[3] == meter(41, T, 100)
            assert (await csms.reply("StopTransaction", {}))[3] == stop(41)
            await told(at)
            await charger.send(2, "h2", "Heartbeat", {})
            await csms.reply("Heartbeat", {"currentTime": T})
    assert at.value("ocpp_proxy_told_total") == 5


async def test_a_session_goes_on_under_the_id_that_the_charger_knows(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url, offline_authorize="accept")) as at:
        port = await away(cpo, at)
        async with raw(at) as charger:
            await alone(charger)
            await charger.decline("GetConfiguration")
            number = (await charger.ask("s", "StartTransaction", START_TX))[2]["transactionId"]
            csms = await back(cpo, port, at)
            await csms.reply("BootNotification", {"status": "Accepted", "currentTime": T, "interval": 300})
            await csms.reply("StartTransaction", {"transactionId": 41, "idTagInfo": ACCEPTED})
            await told(at)
            await csms.send(2, "r", "RemoteStopTransaction", {"transactionId": 41})
            frame = await charger.asked("RemoteStopTransaction")
            assert frame[3] == {"transactionId": number}
            await charger.send(3, frame[1], ACCEPTED)
            assert await csms.receive() == [3, "r", ACCEPTED]
            await charger.send(2, "m", "MeterValues", meter(number, T, 5) | {"vendor.extra": [1.50]})
            assert (await csms.reply("MeterValues", {}))[3] == meter(41, T, 5) | {"vendor.extra": [1.50]}
            assert (await charger.receive())[:2] == [3, "m"]
    async with hand_csms(port) as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at) as charger:
        csms = await cpo.charger()
        await charger.send(2, "e", "StopTransaction", stop(number))  # the bridge has been restarted in between
        assert (await csms.reply("StopTransaction", {}))[3] == stop(41)
        assert (await charger.answer("e"))[2] == {}


async def test_a_csms_that_goes_in_mid_call_hears_the_same_message_again_under_its_id(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at) as charger:
        csms = await cpo.charger()
        await booted(charger, csms)
        await charger.send(2, "a", "Authorize", {"idTag": START_TX["idTag"]})
        await csms.reply("Authorize", {"idTagInfo": ACCEPTED})
        assert (await charger.receive())[2] == {"idTagInfo": ACCEPTED}
        await charger.send(2, "s", "StartTransaction", START_TX)
        first = await csms.expect("StartTransaction")
        await csms.socket.close()
        started = (await charger.answer("s"))[2]
        assert started["idTagInfo"] == ACCEPTED  # a tag that this CSMS has accepted before
        await connected(at)
        csms = await cpo.charger()
        again = await csms.reply("StartTransaction", {"transactionId": 7, "idTagInfo": ACCEPTED})
        assert again == first
        await told(at)
        await charger.send(2, "e", "StopTransaction", stop(started["transactionId"]))
        assert (await csms.reply("StopTransaction", {}))[3]["transactionId"] == 7


async def test_a_message_that_the_charger_repeats_reaches_the_csms_once(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at:
        async with raw(at) as charger:
            csms = await cpo.charger()
            await booted(charger, csms)
            await charger.send(2, "s", "StartTransaction", START_TX)
            await csms.reply("StartTransaction", {"transactionId": 7, "idTagInfo": ACCEPTED})
            assert (await charger.receive())[2]["transactionId"] == 7
        async with raw(at) as charger:  # the answer may have been lost: the same words under another id
            csms = await cpo.charger()
            assert (await charger.ask("77", "StartTransaction", START_TX))[2]["transactionId"] == 7
            await charger.send(2, "h", "Heartbeat", {})
            await csms.reply("Heartbeat", {"currentTime": T})
    assert at.value("ocpp_proxy_repeated_total") == 1


async def test_what_was_kept_is_told_though_the_charger_is_gone_and_the_bridge_was_restarted(
    bridge_db: AsyncEngine,
) -> None:
    async with hand_csms() as cpo:
        port, url = cpo.port, cpo.url
    replace = {"auth": "replace", "password": "s3cret", "chargers": ("CP-1",)}
    async with proxied(bridge_db, section(url, **replace)) as at, raw(at) as charger:
        await alone(charger)
        await charger.decline("GetConfiguration")
        await charger.ask("m", "MeterValues", meter(None, T, 1))
        assert at.kept() == 2
    async with hand_csms(port) as cpo, proxied(bridge_db, section(url, **replace)) as at:
        csms = await cpo.charger()
        assert csms.password == "CP-1:s3cret"
        await csms.send(2, "x", "ClearCache", {})
        boot = await csms.receive()
        answer = await csms.receive()
        if boot[0] == 4:
            boot, answer = answer, boot
        assert answer[:3] == [4, "x", "GenericError"]  # nobody is there to ask
        await csms.send(3, boot[1], {"status": "Accepted", "currentTime": T, "interval": 300})
        assert (await csms.reply("MeterValues", {}))[3] == meter(None, T, 1)
        await told(at)
        await csms.socket.wait_closed()


async def test_a_message_that_the_csms_refuses_is_set_aside_and_holds_back_nothing(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url, attempts=2, retry_s=30)) as at:
        port = await away(cpo, at)
        async with raw(at) as charger:
            await charger.ask("m", "MeterValues", meter(None, T, 1))
            await charger.ask("m2", "MeterValues", meter(None, LATER, 2))
            csms = await back(cpo, port, at)
            ids = []
            for _ in range(2):
                frame = await in_time(at, csms.expect("MeterValues"))
                ids.append(frame[1])
                await csms.send(4, frame[1], "InternalError", "no", {})
            assert ids[0] == ids[1]
            assert (await csms.reply("MeterValues", {}))[3] == meter(None, LATER, 2)
            await told(at)
    rows = (await at.store.proxy_messages())["CP-1"]
    assert [row.state for row in rows] == [MessageState.REFUSED, MessageState.ANSWERED]
    await at.store.forget(at.clock.now() + timedelta(days=1))
    assert [row.state for row in (await at.store.proxy_messages())["CP-1"]] == [MessageState.ANSWERED]
    assert at.value("ocpp_proxy_refused_total") == 1


async def test_a_csms_that_refuses_a_live_message_is_heard_by_the_charger(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at) as charger:
        csms = await cpo.charger()
        await charger.send(2, "m", "MeterValues", meter(None, T, 1))
        frame = await csms.expect("MeterValues")
        await csms.socket.send(f'[4,"{frame[1]}","FormationViolation","no such thing",{{"vendor":1.0}}]')
        answer = await charger.answer("m")
        assert answer == [4, "m", "FormationViolation", "no such thing", {"vendor": 1.0}]
        assert at.kept() == 0


@pytest.mark.parametrize(("policy", "status"), [("accept", "Accepted"), ("refuse", "Invalid"), ("known", "Invalid")])
async def test_id_tags_are_decided_by_policy_while_the_csms_is_away(
    bridge_db: AsyncEngine, policy: str, status: str
) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url, offline_authorize=policy)) as at:
        await away(cpo, at)
        async with raw(at, "CP-1", "ocpp2.0.1") as charger:
            await charger.ask("b", "BootNotification", BOOT201)
            token = {"idToken": {"idToken": "TAG", "type": "Central"}}
            assert (await charger.ask("a", "Authorize", token))[2] == {"idTokenInfo": {"status": status}}


async def test_a_session_that_the_csms_does_not_allow_afterwards_is_ended(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url, offline_authorize="accept")) as at:
        port = await away(cpo, at)
        async with raw(at, "CP-1", "ocpp2.0.1") as charger:
            await charger.ask("b", "BootNotification", BOOT201)
            await charger.decline("GetVariables")
            began = {
                "eventType": "Started",
                "timestamp": T,
                "triggerReason": "Authorized",
                "seqNo": 0,
                "transactionInfo": {"transactionId": "tx-1"},
                "idToken": {"idToken": "TAG", "type": "Central"},
                "evse": {"id": 1},
            }
            assert (await charger.ask("t", "TransactionEvent", began))[2] == {"idTokenInfo": ACCEPTED}
            csms = await back(cpo, port, at)
            await csms.reply("BootNotification", {"status": "Accepted", "currentTime": T, "interval": 300})
            assert (await csms.reply("TransactionEvent", {"idTokenInfo": {"status": "Blocked"}}))[3] == began
            frame = await charger.asked("RequestStopTransaction")
            assert frame[3] == {"transactionId": "tx-1"}
            await charger.send(3, frame[1], ACCEPTED)


async def test_a_boot_that_the_csms_does_not_accept_yet_is_told_again(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at:
        port = await away(cpo, at)
        async with raw(at) as charger:
            await alone(charger)
            csms = await back(cpo, port, at)
            await csms.reply("BootNotification", {"status": "Pending", "currentTime": T, "interval": 3})
            answer = {"status": "Accepted", "currentTime": T, "interval": 3}
            await in_time(at, csms.reply("BootNotification", answer))
            await told(at)


async def test_what_cannot_be_kept_stays_with_the_charger(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url, most_kept=10)) as at:
        await away(cpo, at)
        async with raw(at) as charger:
            for number in range(10):
                answer = await charger.ask(f"m{number}", "MeterValues", meter(None, T, number))
                assert answer[0] == 3
            assert (await charger.ask("m", "MeterValues", meter(None, T, 99)))[:3] == [4, "m", "GenericError"]
            assert at.kept() == 10


async def renamed(engine: AsyncEngine, old: str, new: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


async def test_a_database_that_fails_for_a_while_loses_nothing(bridge_db: AsyncEngine) -> None:
    table = "bridge_proxy_message"
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at) as charger:
        csms = await cpo.charger()
        await renamed(bridge_db, table, "away")
        assert (await charger.ask("m", "MeterValues", meter(None, T, 1)))[:3] == [4, "m", "InternalError"]
        await renamed(bridge_db, "away", table)
        await charger.send(2, "m2", "MeterValues", meter(None, T, 1))
        await csms.reply("MeterValues", {})
        assert (await charger.answer("m2"))[2] == {}
        port = await away(cpo, at)
        assert (await charger.ask("m3", "MeterValues", meter(None, LATER, 2)))[2] == {}
        await renamed(bridge_db, table, "away")
        csms = await back(cpo, port, at)
        first = await csms.reply("MeterValues", {})  # the answer cannot be written down
        await csms.send(2, "x", "ClearCache", {})
        await charger.asked("ClearCache")
        await renamed(bridge_db, "away", table)
        assert await in_time(at, csms.reply("MeterValues", {})) == first
        await told(at)
