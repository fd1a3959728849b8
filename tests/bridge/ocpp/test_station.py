"""The handlers of both versions on a station: sessions, statuses, readings, hints (no network)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.ocpp import handlers16, handlers201, schemas
from bridge.ocpp.commission import parse_units
from bridge.ocpp.deadline import Deadline
from bridge.ocpp.frames import Version
from bridge.ocpp.masking import mask_token, masked
from bridge.ocpp.settings import ChargerConfig
from bridge.ocpp.station import Booted, Capabilities, DriverActed, Effect, Read, SessionChanged, Station
from tests.bridge.ocpp.harness import make_settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STAMP = "2026-03-01T12:00:00Z"
STARTED, ENDED = SessionChanged(connector=1, started=True), SessionChanged(connector=1, started=False)


def new() -> Station:
    return Station(config=ChargerConfig(identity="CP-1"))


def ask16(
    station: Station, action: str, now: datetime = NOW, **payload: Any
) -> tuple[dict[str, Any], tuple[Effect, ...]]:
    assert schemas.check_inbound(Version.V16, action, payload).violation is None
    reply, effects = handlers16.HANDLERS[action](station, payload, now)
    if action != "BootNotification":  # its interval is put in by the link
        schemas.check_outbound(Version.V16, action, reply, response=True)
    return reply, effects


def event(
    station: Station, kind: str, now: datetime = NOW, *, tx: str = "tx-1", info: Any = None, **more: Any
) -> tuple[dict[str, Any], tuple[Effect, ...]]:
    payload = {
        "eventType": kind,
        "timestamp": STAMP,
        "triggerReason": "Authorized",
        "seqNo": 0,
        "transactionInfo": {"transactionId": tx} | (info or {}),
    } | more
    assert schemas.check_inbound(Version.V201, "TransactionEvent", payload).violation is None
    reply, effects = handlers201.HANDLERS["TransactionEvent"](station, payload, now)
    schemas.check_outbound(Version.V201, "TransactionEvent", reply, response=True)
    return reply, effects


def power(watts: float, at: str = STAMP) -> dict[str, Any]:
    return {"timestamp": at, "sampledValue": [{"value": str(watts), "measurand": "Power.Active.Import"}]}


def start16(station: Station, now: datetime = NOW, **changes: Any) -> int:
    payload = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": STAMP} | changes
    number: int = ask16(station, "StartTransaction", now, **payload)[0]["transactionId"]
    return number


def readings(effects: tuple[Effect, ...]) -> list[float | None]:
    return [effect.reading.power_w for effect in effects if isinstance(effect, Read)]


def test_every_handled_action_belongs_to_its_version() -> None:
    for version, table in ((Version.V16, handlers16.HANDLERS), (Version.V201, handlers201.HANDLERS)):
        assert all(schemas.is_action(version, action) for action in table)


@pytest.mark.parametrize("action", sorted(handlers16.HANDLERS))
def test_every_1_6_action_that_only_notes_replies_by_its_schema(action: str) -> None:
    if handlers16.HANDLERS[action] in {handlers16.noted}:
        reply, effects = handlers16.HANDLERS[action](new(), {}, NOW)
        schemas.check_outbound(Version.V16, action, reply, response=True)
        assert effects == ()


@pytest.mark.parametrize("action", sorted(handlers201.HANDLERS))
def test_every_2_0_1_action_that_only_notes_replies_by_its_schema(action: str) -> None:
    if handlers201.HANDLERS[action] in {handlers16.noted, handlers201.schedule_noted}:
        reply, effects = handlers201.HANDLERS[action](new(), {}, NOW)
        schemas.check_outbound(Version.V201, action, reply, response=True)
        assert effects == ()


def test_a_boot_names_the_charger_and_forgets_what_older_firmware_could() -> None:
    station = new()
    station.capabilities = Capabilities(units=frozenset({"W"}))
    reply, effects = ask16(station, "BootNotification", chargePointVendor="V", chargePointModel="M")
    assert reply == {"currentTime": STAMP, "status": "Accepted"}
    assert effects == (Booted(),)
    assert (station.vendor, station.model, station.firmware) == ("V", "M", "")
    assert station.options(make_settings()).unit == "A"


def test_a_1_6_session_from_start_to_stop() -> None:
    station = new()
    number = start16(station)
    assert station.sessions[1].transaction_id == str(number)
    assert ask16(station, "MeterValues", connectorId=1, transactionId=number, meterValue=[power(7000)])[1] == (
        Read(reading=station.last_reading),  # type: ignore[arg-type]
    )
    later = NOW + timedelta(minutes=1)
    reply, effects = ask16(
        station,
        "StopTransaction",
        later,
        transactionId=number,
        meterStop=1200,
        timestamp="2026-03-01T12:01:00Z",
        reason="Local",
        idTag="T",
    )
    assert reply == {"idTagInfo": {"status": "Accepted"}}
    assert effects[0] == ENDED
    assert readings(effects) == [0.0]
    assert effects[-1] == DriverActed(kind="stop")
    assert station.last_reading is not None
    assert station.last_reading.energy_wh == 1200
    assert station.sessions == {}


def test_a_stop_of_an_unknown_transaction_is_confirmed() -> None:
    station = new()
    reply, effects = ask16(station, "StopTransaction", transactionId=5, meterStop=0, timestamp=STAMP)
    assert (reply, effects) == ({}, ())


def test_late_meter_values_do_not_revive_an_ended_session() -> None:
    station = new()
    number = start16(station)
    ask16(station, "StopTransaction", transactionId=number, meterStop=0, timestamp=STAMP, reason="EVDisconnected")
    late = power(7000, "2026-03-01T11:00:00Z")
    _, effects = ask16(station, "MeterValues", connectorId=1, transactionId=number, meterValue=[late])
    assert readings(effects) == [7000.0]
    assert len(effects) == 1
    assert station.sessions == {}
    assert station.last_reading is not None
    assert station.last_reading.power_w == 0.0  # the present is not overwritten by the past


def test_transaction_ids_never_repeat_even_after_a_restart_of_ours() -> None:
    before, after = new(), new()
    first = [start16(before, meterStart=i) for i in range(3)]
    second = start16(after, NOW + timedelta(seconds=30))
    assert len({*first, second}) == 4
    ask16(after, "MeterValues", connectorId=2, transactionId=second + 500, meterValue=[power(1)])
    assert start16(after, NOW + timedelta(seconds=31), meterStart=9) > second + 500


def test_a_new_start_on_a_connector_ends_the_session_that_was_there() -> None:
    station = new()
    start16(station)
    _, effects = ask16(
        station, "StartTransaction", connectorId=1, idTag="U", meterStart=5, timestamp="2026-03-01T12:05:00Z"
    )
    assert effects == (ENDED, STARTED)


def test_1_6_a_free_connector_has_no_session() -> None:
    station = new()
    start16(station)
    _, effects = ask16(station, "StatusNotification", connectorId=1, errorCode="NoError", status="Available")
    assert effects == (ENDED,)
    assert station.status(connected=True).status == "Available"


def test_a_charger_without_transaction_id_in_its_meter_values_is_read_all_the_same() -> None:
    station = new()
    assert readings(ask16(station, "MeterValues", connectorId=1, meterValue=[power(5)])[1]) == [5.0]
    _, effects = ask16(station, "MeterValues", connectorId=1, transactionId=-1, meterValue=[power(6)])
    assert readings(effects) == [6.0]
    assert station.sessions == {}


def test_two_connectors_add_up_and_the_main_meter_counts_only_alone() -> None:
    station = new()
    ask16(station, "MeterValues", connectorId=0, meterValue=[power(999)])
    assert readings(ask16(station, "MeterValues", connectorId=1, meterValue=[power(3000)])[1]) == [3000.0]
    assert readings(ask16(station, "MeterValues", connectorId=2, meterValue=[power(2000)])[1]) == [5000.0]


def test_the_drivers_button_is_a_data_transfer_of_ours() -> None:
    station = new()
    reply, effects = ask16(station, "DataTransfer", vendorId="openadr-gateway", messageId="DriverOverride")
    assert (reply, effects) == ({"status": "Accepted"}, (DriverActed(kind="override"),))
    assert ask16(station, "DataTransfer", vendorId="other")[0] == {"status": "UnknownVendorId"}
    assert ask16(station, "DataTransfer", vendorId="openadr-gateway")[0] == {"status": "UnknownMessageId"}


def test_a_2_0_1_session_from_start_to_end() -> None:
    station = new()
    reply, effects = event(
        station,
        "Started",
        evse={"id": 1},
        idToken={"idToken": "T", "type": "Central"},
        info={"chargingState": "Charging"},
        meterValue=[{"timestamp": STAMP, "sampledValue": [{"value": 100.0}]}],
    )
    assert reply == {"idTokenInfo": {"status": "Accepted"}}
    assert effects[0] == STARTED
    assert station.status(connected=True).status == "Charging"
    assert event(station, "Updated")[1] == ()
    later = NOW + timedelta(minutes=1)
    _, effects = event(station, "Ended", later, info={"stoppedReason": "EVDisconnected"})
    assert effects[0] == ENDED
    assert readings(effects) == [0.0]
    assert effects[-1] == DriverActed(kind="unplug")
    assert station.last_reading is not None
    assert station.last_reading.energy_wh == 100.0
    assert event(station, "Ended", later)[1] == ()
    assert event(station, "Updated", later)[1] == ()  # late: does not revive


def test_out_04_a_2_0_1_session_is_learnt_from_an_update() -> None:
    station = new()
    assert event(station, "Updated", evse={"id": 2})[1] == (SessionChanged(connector=2, started=True),)
    assert event(station, "Ended")[1][0] == SessionChanged(connector=2, started=False)


def test_an_end_without_any_reading_before_is_a_reading_of_nothing_drawn() -> None:
    station = new()
    event(station, "Started")
    assert readings(event(station, "Ended")[1]) == [0.0]


def test_2_0_1_a_status_does_not_hide_the_state_of_the_session_nor_end_it() -> None:
    station = new()
    status = {"timestamp": STAMP, "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    handlers201.HANDLERS["StatusNotification"](station, status, NOW)
    assert station.status(connected=True).status == "Available"
    event(station, "Started", info={"chargingState": "SuspendedEVSE"})
    assert handlers201.HANDLERS["StatusNotification"](station, status, NOW) == ({}, ())
    assert station.status(connected=True).status == "SuspendedEVSE"


def test_2_0_1_meter_values_outside_a_session_are_readings() -> None:
    payload = {"evseId": 1, "meterValue": [power(12)]}
    assert readings(handlers201.HANDLERS["MeterValues"](new(), payload, NOW)[1]) == [12.0]
    assert handlers201.HANDLERS["Authorize"](new(), {}, NOW)[0] == {"idTokenInfo": {"status": "Accepted"}}


def test_power_comes_from_the_register_where_there_is_nothing_else() -> None:
    station = new()
    seen: list[float | None] = []
    for minute, energy in ((0, 1000), (1, 1100)):
        entry = {"timestamp": f"2026-03-01T12:0{minute}:00Z", "sampledValue": [{"value": str(energy)}]}
        now = NOW + timedelta(minutes=minute)
        seen += readings(ask16(station, "MeterValues", now, connectorId=1, meterValue=[entry])[1])
    assert seen == [None, pytest.approx(6000.0)]


def test_options_follow_configuration_then_the_charger_then_the_default() -> None:
    settings = make_settings(stack_level=5)
    station = new()
    assert (station.options(settings).unit, station.options(settings).stack_level) == ("A", 5)
    station.capabilities = Capabilities(units=frozenset({"W"}), max_stack_level=3)
    assert (station.options(settings).unit, station.options(settings).stack_level) == ("W", 3)
    station.config = ChargerConfig(identity="CP-1", unit="A", stack_level=8)
    assert (station.options(settings).unit, station.options(settings).stack_level) == ("A", 8)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Current,Power", {"A", "W"}),
        ("Power", {"W"}),
        ("power", {"W"}),
        (" W ", {"W"}),
        ("A;W", {"A", "W"}),
        ("", None),
        (None, None),
        ("mA", None),
    ],
)
def test_c_2_units_in_the_spellings_that_are_met(text: str | None, units: set[str] | None) -> None:
    assert parse_units(text) == units


def test_id_tags_and_passwords_are_masked() -> None:
    assert mask_token("DEADBEEF42") == "***42"
    assert mask_token("abc") == "***"
    payload = {
        "idTag": "DEADBEEF42",
        "idToken": {"idToken": "DEADBEEF42", "type": "Central"},
        "list": [{"parentIdTag": "DEADBEEF42"}],
        "key": "AuthorizationKey",
        "value": "secret",
        "n": 5,
    }
    assert masked(payload) == {
        "idTag": "***42",
        "idToken": {"idToken": "***42", "type": "Central"},
        "list": [{"parentIdTag": "***42"}],
        "key": "AuthorizationKey",
        "value": "***",
        "n": 5,
    }
    assert masked({"password": "x"}) == {"password": "***"}


def test_what_was_set_aside_is_masked_by_its_field_and_not_by_its_path() -> None:
    assert masked({"payload/idTag": "SECRETTAG1", "payload/extra": 1}) == {"payload/idTag": "***G1", "payload/extra": 1}


def test_a_payload_of_any_depth_can_be_masked() -> None:
    payload: dict[str, object] = {"idTag": "SECRETTAG1"}
    for _ in range(5000):
        payload = {"a": payload}
    assert "SECRETTAG1" not in str(masked(payload))


def test_ocp_09_a_charger_that_leaves_calls_without_an_answer_is_unresponsive_until_it_answers() -> None:
    station = new()
    station.deadline = Deadline(30.0)
    for _ in range(4):
        assert not station.status(connected=True).unresponsive
        station.deadline.missed()
    assert station.status(connected=True).unresponsive
    assert not station.status(connected=False).unresponsive
    station.deadline.answered(1.0)
    assert not station.status(connected=True).unresponsive


def test_c_2_what_is_configured_overrules_what_the_charger_says_of_periods_and_decimals() -> None:
    settings = make_settings(max_periods=20)
    station = new()
    assert station.most_periods(settings) == 20
    station.capabilities = Capabilities(max_periods=3)
    assert station.most_periods(settings) == 3
    station.config = ChargerConfig(identity="CP-1", max_periods=8, decimals=0)
    assert station.most_periods(settings) == 8
    assert station.options(settings).decimals == 0
