"""bridge.ocpp.proxy_table and proxy_words: what is kept, who answers, what is learnt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from bridge.ocpp import proxy_table, proxy_words
from bridge.ocpp.frames import Call, CallError, CallResult, Version
from bridge.ocpp.proxy_table import KnownTokens, Way
from bridge.ocpp.settings import ChargerConfig
from bridge.ocpp.station import Booted, DriverActed, SessionChanged, Station

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
V16, V201 = Version.V16, Version.V201
BOOT: dict[str, Any] = {"chargePointVendor": "V", "chargePointModel": "M"}
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}


def station() -> Station:
    return Station(config=ChargerConfig(identity="CP-1"))


def local(version: Version, action: str, payload: dict[str, Any], status: str = "Accepted") -> Any:
    return proxy_table.answer_for_csms(
        version, station(), action, payload, NOW, token_status=status, interval_s=60, provisional=2_000_000_001
    )


@pytest.mark.parametrize(
    ("version", "action", "how"),
    [
        (V16, "StartTransaction", Way.JOURNALED),
        (V16, "StopTransaction", Way.JOURNALED),
        (V16, "MeterValues", Way.JOURNALED),
        (V201, "TransactionEvent", Way.JOURNALED),
        (V201, "MeterValues", Way.JOURNALED),
        (V201, "StartTransaction", Way.LIVE),
        (V16, "BootNotification", Way.KEPT),
        (V16, "StatusNotification", Way.KEPT),
        (V201, "SecurityEventNotification", Way.KEPT),
        (V16, "Heartbeat", Way.LIVE),
        (V16, "Authorize", Way.LIVE),
        (V16, "VendorThing", Way.LIVE),
    ],
)
def test_transactions_and_meter_values_are_written_down_first(version: Version, action: str, how: Way) -> None:
    assert proxy_table.way(version, action) is how


def test_what_is_for_us_is_known() -> None:
    at = station()
    assert proxy_table.for_us(at, "DataTransfer", {"vendorId": "openadr-gateway"})
    assert not proxy_table.for_us(at, "DataTransfer", {"vendorId": "V"})
    assert not proxy_table.for_us(at, "ReportChargingProfiles", {"requestId": 3})
    at.reports[3] = []
    assert proxy_table.for_us(at, "ReportChargingProfiles", {"requestId": 3})
    assert not proxy_table.for_us(at, "Heartbeat", {})


def test_the_csmss_answer_to_a_boot_is_the_charger_s_registration() -> None:
    at = station()
    assert proxy_table.observe(V16, at, "BootNotification", BOOT, {"status": "Pending"}, NOW) == ()
    assert (at.registration, at.vendor) == ("Pending", "V")
    effects = proxy_table.observe(V16, at, "BootNotification", BOOT, {"status": "Accepted"}, NOW)
    assert (at.registration, effects) == ("Accepted", (Booted(),))


def test_a_session_has_the_csmss_number() -> None:
    at = station()
    answer = {"transactionId": 41, "idTagInfo": {"status": "Accepted"}}
    effects = proxy_table.observe(V16, at, "StartTransaction", START, answer, NOW)
    assert effects == (SessionChanged(connector=1, started=True),)
    assert at.connector_of("41") == 1
    assert proxy_table.observe(V16, at, "GetDiagnostics", {}, {}, NOW) == ()
    assert proxy_table.observe(V16, at, "StatusNotification", {"connectorId": 1, "status": "Available"}, {}, NOW)


def test_a_boot_is_accepted_with_an_interval() -> None:
    reply, effects = local(V16, "BootNotification", BOOT)
    assert reply == {"currentTime": "2026-03-01T12:00:00Z", "status": "Accepted", "interval": 60}
    assert effects == (Booted(),)


@pytest.mark.parametrize("status", ["Accepted", "Invalid"])
def test_tokens_are_answered_by_policy(status: str) -> None:
    assert local(V16, "Authorize", {"idTag": "T"}, status)[0] == {"idTagInfo": {"status": status}}
    token = {"idToken": {"idToken": "T", "type": "Central"}}
    assert local(V201, "Authorize", token, status)[0] == {"idTokenInfo": {"status": status}}
    reply, effects = local(V16, "StartTransaction", START, status)
    assert reply == {"transactionId": 2_000_000_001, "idTagInfo": {"status": status}}
    assert effects == (SessionChanged(connector=1, started=True),)


@pytest.mark.parametrize("action", ["DataTransfer", "SignCertificate", "VendorThing", "Get15118EVCertificate"])
def test_nobody_answers_for_the_csms_what_only_it_knows(action: str) -> None:
    assert local(V201, action, {"vendorId": "V"}) is None


def test_an_override_is_still_heard_while_the_csms_is_away() -> None:
    stop = {"transactionId": 3, "meterStop": 5, "timestamp": "2026-03-01T12:00:00Z", "reason": "Local"}
    at = station()
    at.begin(1, "3")
    found = proxy_table.answer_for_csms(
        V16, at, "StopTransaction", stop, NOW, token_status="Accepted", interval_s=60, provisional=1
    )
    assert found is not None
    assert found[0] == {}
    assert DriverActed(kind="stop") in found[1]


def test_tokens_are_found_in_both_versions() -> None:
    assert proxy_table.token_of("Authorize", {"idTag": "T"}) == "T"
    assert proxy_table.token_of("Authorize", {"idToken": {"idToken": "T"}}) == "T"
    assert proxy_table.token_of("Heartbeat", {}) is None
    assert proxy_table.token_status({"idTagInfo": {"status": "Blocked"}}) == "Blocked"
    assert proxy_table.token_status({"idTokenInfo": {"status": "Accepted"}}) == "Accepted"
    assert proxy_table.token_status({}) is None
    assert proxy_table.token_status({"idTagInfo": {"status": 3}}) is None


def test_known_tokens_are_those_that_the_csms_accepted() -> None:
    tokens = KnownTokens()
    tokens.learn("A", "Accepted")
    tokens.learn("B", "Blocked")
    assert tokens.status("known", "A") == "Accepted"
    assert tokens.status("known", "B") == "Invalid"
    assert tokens.status("known", None) == "Accepted"
    assert tokens.status("accept", "B") == "Accepted"
    assert tokens.status("refuse", "A") == "Invalid"
    tokens.learn("A", "Expired")
    assert tokens.status("known", "A") == "Invalid"


def test_known_tokens_are_bounded() -> None:
    tokens = KnownTokens()
    for number in range(10_001):
        tokens.learn(str(number), "Accepted")
    assert tokens.status("known", "0") == "Invalid"
    assert tokens.status("known", "1") == "Accepted"


def test_provisional_ids_are_new_and_out_of_the_csmss_way() -> None:
    first = proxy_table.provisional_id(0, NOW)
    assert 2_000_000_000 <= first < 2**31
    assert proxy_table.provisional_id(first, NOW) == first + 1
    assert proxy_table.provisional_id(first, NOW + timedelta(hours=1)) == first + 3600


@pytest.mark.parametrize(("failures", "u", "wait"), [(1, 0.0, 0.5), (1, 1.0, 1.0), (3, 0.5, 3.0), (40, 0.0, 30.0)])
def test_pauses_grow_and_are_jittered(failures: int, u: float, wait: float) -> None:
    assert proxy_table.pause_s(failures, 1.0, 60.0, u) == wait


def test_a_message_is_known_by_its_words() -> None:
    assert proxy_table.mark_of(b'"A",{}') == proxy_table.mark_of(b'"A",{}')
    assert proxy_table.mark_of(b'"A",{}') != proxy_table.mark_of(b'"A",{ }')


def call(action: str, payload: dict[str, Any]) -> Call:
    return Call(unique_id="1", action=action, payload=payload)


def test_what_cannot_be_read_is_none() -> None:
    assert proxy_words.read(V16, call("VendorThing", {})) is None
    assert proxy_words.read(V16, call("Authorize", {})) is None
    checked = proxy_words.read(V16, call("Authorize", {"idTag": 3, "vendor": 1}))
    assert checked is not None
    assert checked.payload == {"idTag": "3"}
    assert proxy_words.read_answer(V16, "VendorThing", {}) is None
    assert proxy_words.read_answer(V16, "Heartbeat", {}) is None
    assert proxy_words.read_answer(V16, "Heartbeat", {"currentTime": "2026-03-01T12:00:00Z"}) is not None


def test_a_database_s_fault_is_told_without_its_values() -> None:
    fault = OperationalError("INSERT ...", {"tail": "TAG-123456"}, Exception("disk full"))
    assert proxy_words.fault(fault) == "disk full"
    assert proxy_words.fault(ValueError("x")) == "x"


def test_answers_come_under_the_callers_id() -> None:
    assert proxy_words.told(call("A", {}), b"{}") == CallResult(unique_id="1", payload={}, tail=b"{}")
    assert proxy_words.under("9", CallResult(unique_id="1", payload={"a": 1})).unique_id == "9"
    error = proxy_words.under("9", CallError(unique_id="1", code="X", description="d", details={"a": 1}))
    assert error == CallError(unique_id="9", code="X", description="d", details={"a": 1})


@pytest.mark.parametrize(
    ("action", "payload", "is_one"),
    [
        ("ChangeConfiguration", {"key": "AuthorizationKey", "value": "x"}, True),
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "x"}, False),
        ("SetVariables", {"setVariableData": [{"variable": {"name": "BasicAuthPassword"}}]}, True),
        ("SetVariables", {"setVariableData": [{"variable": {"name": "X"}}, 3, {"variable": 4}]}, False),
        ("SetVariables", {"setVariableData": 3}, False),
        ("Reset", {"key": "AuthorizationKey"}, False),
    ],
)
def test_passwords_are_known(action: str, payload: dict[str, Any], is_one: bool) -> None:
    assert proxy_words.is_password(call(action, payload)) is is_one
