"""Bad frames from a raw client on a real websocket: the right CALLERROR, and the connection lives (field notes A.2)."""

import json
from typing import Any

import pytest

from bridge.ocpp.settings import ChargerConfig
from tests.bridge.ocpp.harness import Raw, bench, raw

CHARGER = ChargerConfig(identity="CP-1")
METER: dict[str, Any] = {
    "connectorId": 1,
    "meterValue": [
        {
            "timestamp": "2026-03-01T12:00:00Z",
            "sampledValue": [{"value": "7200", "measurand": "Power.Active.Import", "unit": "W"}],
        }
    ],
}


async def alive(charger: Raw) -> None:
    assert (await charger.ask("alive", "Heartbeat", {}))[0] == 3


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('[2,"x",{},{}]', ("x", "RpcFrameworkError")),
        ('[2,"x",["Heartbeat"],{}]', ("x", "RpcFrameworkError")),
        ('{"not": "a list"}', ("-1", "RpcFrameworkError")),
        ("[2,", ("-1", "RpcFrameworkError")),
        ("\ud7ff not json", ("-1", "RpcFrameworkError")),
        ('[9,"x","Heartbeat",{}]', ("x", "MessageTypeNotSupported")),
        ('[2,17,"Heartbeat",{}]', ("-1", "RpcFrameworkError")),
        ('[2,"x","Heartbeat",[]]', ("x", "FormatViolation")),
        ('[2,"x","NoSuchAction",{}]', ("x", "NotImplemented")),
        ('[2,"x","SetChargingProfile",{"evseId":1,"chargingProfile":{}}]', ("x", "OccurrenceConstraintViolation")),
        ('[2,"x","ClearCache",{}]', ("x", "NotSupported")),
        ('[2,"x","BootNotification",{}]', ("x", "OccurrenceConstraintViolation")),
    ],
)
async def test_a2_2_a2_3_bad_calls_are_answered_in_2_0_1_and_the_connection_lives(
    text: str, answer: tuple[str, str]
) -> None:
    async with bench(CHARGER) as at, raw(at, "CP-1", "ocpp2.0.1") as charger:
        await charger.boot201()
        await charger.socket.send(text)
        frame = await charger.answer(answer[0])
        assert frame[0] == 4
        assert frame[2] == answer[1]
        await alive(charger)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('[2,"x",{},{}]', ("x", "FormationViolation")),
        ("[2,", ("-1", "FormationViolation")),
        ('[2,"x","NoSuchAction",{}]', ("x", "NotImplemented")),
        ('[2,"x","ClearCache",{}]', ("x", "NotSupported")),
        ('[2,"x","BootNotification",{}]', ("x", "OccurenceConstraintViolation")),
    ],
)
async def test_a2_2_a2_3_bad_calls_are_answered_in_1_6_and_the_connection_lives(
    text: str, answer: tuple[str, str]
) -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await charger.socket.send(text)
        frame = await charger.answer(answer[0])
        assert frame[0] == 4
        assert frame[2] == answer[1]
        await alive(charger)


@pytest.mark.parametrize(
    "text",
    [
        '[9,"x","Heartbeat",{}]',
        '[3,"never-asked",{}]',
        '[4,"never-asked","GenericError","",{}]',
        "[3]",
        '[4,"x"]',
    ],
)
async def test_what_must_not_be_answered_is_not_and_the_connection_lives(text: str) -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        await charger.socket.send(text)
        await alive(charger)


async def test_a_binary_frame_is_answered_and_the_connection_lives() -> None:
    async with bench(CHARGER) as at, raw(at, "CP-1", "ocpp2.0.1") as charger:
        await charger.boot201()
        await charger.socket.send(b"\x00\x01")
        assert (await charger.answer("-1"))[2] == "RpcFrameworkError"
        await alive(charger)


async def test_a2_4_a2_5_a_vendor_field_and_a_numeric_value_do_not_lose_the_reading() -> None:
    odd = json.loads(json.dumps(METER))
    odd["meterValue"][0]["sampledValue"][0] |= {"value": 7200.5, "vendorField": "x"}
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        assert await charger.ask("m", "MeterValues", odd) == [3, "m", {}]
        await at.fleet.heard("reading", "CP-1", 7200.5)
        assert at.value("ocpp_quirks_total", action="MeterValues") == 1


async def test_a_frame_over_the_size_limit_ends_only_that_connection() -> None:
    async with bench(CHARGER, max_frame_bytes=4096) as at:
        async with raw(at) as charger:
            await charger.boot()
            await charger.socket.send('[2,"x","DataTransfer",{"vendorId":"v","data":"' + "x" * 5000 + '"}]')
            await charger.socket.wait_closed()
            assert charger.socket.close_code == 1009
        async with raw(at) as charger:
            await charger.boot()


async def test_the_same_start_sent_twice_is_one_transaction() -> None:
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        first = await charger.ask("s1", "StartTransaction", start)
        second = await charger.ask("s2", "StartTransaction", start)
        assert first[2]["transactionId"] == second[2]["transactionId"]
        assert at.fleet.log.count(("transaction", "CP-1", True)) == 1


async def test_a_payload_nested_without_end_costs_its_frame_only() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        deep = '{"a":' * 450 + "1" + "}" * 450
        await charger.socket.send(f'[2,"deep","Heartbeat",{deep}]')
        assert (await charger.answer("deep"))[2] == "FormationViolation"
        await alive(charger)


async def test_duplicated_and_reordered_frames_make_one_session_and_one_answer_each() -> None:
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        for _ in range(3):
            await charger.send(2, "s", "StartTransaction", start)
        await charger.send(3, "never-asked", {"status": "Accepted"})
        first = await charger.answer("s")
        await charger.send(2, "s", "StartTransaction", start)
        assert await charger.answer("s") == first
        stop = {"transactionId": first[2]["transactionId"], "meterStop": 9, "timestamp": "2026-03-01T12:01:00Z"}
        late = {**METER, "transactionId": first[2]["transactionId"]}
        assert (await charger.ask("e", "StopTransaction", stop))[0] == 3
        assert (await charger.ask("m", "MeterValues", late))[0] == 3  # sent before the stop, and came after it
        await at.fleet.heard("transaction", "CP-1", False)
        assert at.fleet.log.count(("transaction", "CP-1", True)) == 1
        status = at.central.status("CP-1")
        assert status is not None
        assert not status.transaction
