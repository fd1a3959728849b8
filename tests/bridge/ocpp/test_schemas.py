"""bridge.ocpp.schemas: strict on what leaves, lenient on what comes, and nothing lost in between."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ocpp import schemas
from bridge.ocpp.frames import ErrorCode, Version

V16, V201 = Version.V16, Version.V201


def meter(**sampled: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [sampled]}]}


def test_a_valid_payload_is_returned_as_it_is() -> None:
    payload = meter(value="1")
    checked = schemas.check_inbound(V16, "MeterValues", payload)
    assert checked.payload is payload
    assert checked.quirks == ()


def test_a2_4_an_extra_vendor_field_is_kept_aside_and_the_reading_is_not_lost() -> None:
    payload = meter(value="1", vendorField={"a": 1})
    checked = schemas.check_inbound(V16, "MeterValues", payload)
    assert checked.violation is None
    assert checked.payload == meter(value="1")
    assert checked.extras == {"meterValue/0/sampledValue/0/vendorField": {"a": 1}}
    assert "vendorField" in payload["meterValue"][0]["sampledValue"][0]  # the original is untouched


def test_a2_5_a_numeric_value_is_read() -> None:
    checked = schemas.check_inbound(V16, "MeterValues", meter(value=12.5))
    assert checked.payload == meter(value="12.5")
    assert checked.quirks == ("float for str at meterValue/0/sampledValue/0/value",)


def test_a_text_for_a_number_is_read() -> None:
    checked = schemas.check_inbound(V16, "MeterValues", meter(value="1") | {"connectorId": "1", "transactionId": "7.0"})
    assert checked.violation is None
    assert checked.payload == meter(value="1") | {"connectorId": 1, "transactionId": 7}


@pytest.mark.parametrize("wrong", ["x", "1.5", "nan", True, [], {}])
def test_what_is_no_number_is_refused(wrong: object) -> None:
    checked = schemas.check_inbound(V16, "MeterValues", meter(value="1") | {"connectorId": wrong})
    assert checked.violation is not None
    assert checked.violation.code is ErrorCode.TYPE
    assert checked.violation.path == "connectorId"


def test_null_for_an_absent_field_is_read() -> None:
    checked = schemas.check_inbound(V16, "MeterValues", meter(value="1") | {"transactionId": None})
    assert checked.violation is None
    assert checked.payload == meter(value="1")


def test_null_for_a_required_field_is_refused() -> None:
    checked = schemas.check_inbound(V16, "MeterValues", meter(value=None))
    assert checked.violation is not None
    assert checked.violation.code is ErrorCode.OCCURRENCE


def test_an_unknown_unit_is_tolerated_and_an_unknown_status_is_not() -> None:
    checked = schemas.check_inbound(V16, "MeterValues", meter(value="50", unit="Hz"))
    assert checked.violation is None
    assert checked.payload == meter(value="50", unit="Hz")
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Dancing"}
    violation = schemas.check_inbound(V16, "StatusNotification", status).violation
    assert violation is not None
    assert violation.code is ErrorCode.PROPERTY


def test_texts_too_long_and_odd_times_are_tolerated() -> None:
    boot = {"chargePointVendor": "V" * 30, "chargePointModel": "M"}
    checked = schemas.check_inbound(V16, "BootNotification", boot)
    assert checked.violation is None
    assert checked.payload == boot
    odd = {"connectorId": 1, "errorCode": "NoError", "status": "Charging", "timestamp": "2026-03-01 12:00"}
    assert schemas.check_inbound(V16, "StatusNotification", odd).violation is None


def test_several_faults_in_one_payload_are_all_mended() -> None:
    payload = meter(value=1, unit="Hz", x=1) | {"connectorId": "1", "y": 2, "transactionId": None}
    checked = schemas.check_inbound(V16, "MeterValues", payload)
    assert checked.violation is None
    assert checked.payload == meter(value="1", unit="Hz")
    assert len(checked.quirks) == 6


def test_a_boolean_as_text_is_read() -> None:
    info = {"transactionId": "t"}
    event = {
        "eventType": "Updated",
        "timestamp": "2026-03-01T12:00:00Z",
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 1,
        "transactionInfo": info,
        "offline": "False",
    }
    assert schemas.check_inbound(V201, "TransactionEvent", event).payload == event | {"offline": False}


def test_a_missing_field_is_an_occurrence_violation() -> None:
    violation = schemas.check_inbound(V16, "BootNotification", {"chargePointVendor": "V"}).violation
    assert violation is not None
    assert violation.code is ErrorCode.OCCURRENCE
    assert "chargePointModel" in violation.message


def test_a_mend_that_uncovers_too_much_ends() -> None:
    assert schemas.check_inbound(V16, "MeterValues", {"connectorId": {}, "meterValue": 7}).violation is not None


@pytest.mark.parametrize("name", ["Nonsense", "../v16/schemas/Heartbeat", "", "Heartbeat.json", "heartbeat", "Über"])
def test_an_unknown_action_never_reaches_the_file_system(name: str) -> None:
    assert not schemas.is_action(V16, name)
    with pytest.raises(schemas.UnknownAction):
        schemas.check_inbound(V16, name, {})


def test_actions_differ_by_version() -> None:
    assert schemas.is_action(V16, "StartTransaction")
    assert not schemas.is_action(V201, "StartTransaction")
    assert schemas.is_action(V201, "TransactionEvent")


def test_every_action_of_both_versions_has_compiling_schemas() -> None:
    for version, suffix in ((V16, ""), (V201, "Request")):
        for action in schemas._actions(version):
            assert schemas._validator(version, action + suffix) is not None, action
            assert schemas._validator(version, action + "Response") is not None, action


def test_nothing_invalid_leaves() -> None:
    with pytest.raises(schemas.OutboundInvalid, match="ClearChargingProfile: id"):
        schemas.check_outbound(V16, "ClearChargingProfile", {"id": "5"})
    with pytest.raises(schemas.OutboundInvalid, match="unexpected"):
        schemas.check_outbound(V16, "ClearChargingProfile", {"x": 5})
    schemas.check_outbound(V16, "ClearChargingProfile", {"status": "Unknown"}, response=True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["connectorId", "meterValue", "sampledValue", "value", "timestamp", "q"]), inner
            )
        ),
        max_leaves=15,
    )
)
def test_the_lenient_check_never_raises(payload: Any) -> None:
    wrapped = payload if isinstance(payload, dict) else {"meterValue": payload, "connectorId": 1}
    checked = schemas.check_inbound(V16, "MeterValues", wrapped)
    if checked.violation is None:
        assert schemas.check_inbound(V16, "MeterValues", checked.payload).violation is None


@pytest.mark.parametrize("version", [Version.V16, Version.V201])
@pytest.mark.parametrize(
    "wrong",
    [
        {"startPeriod": 60.5, "limit": 8.0},
        {"startPeriod": 60},
        {"startPeriod": 60, "limit": 8.0, "colour": 1},
        {"startPeriod": "60", "limit": 8.0},
        {"startPeriod": 60, "limit": float("nan")},
    ],
)
def test_ocp_05_a_wrong_period_is_found_wherever_it_stands(version: Version, wrong: dict[str, Any]) -> None:
    """Periods that are like the first need no check by schema of their own; one that is not is found."""
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}]}
    profile = {"stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute"}
    periods: Any = schedule["chargingSchedulePeriod"]
    if version is Version.V16:
        payload = {
            "connectorId": 0,
            "csChargingProfiles": profile | {"chargingProfileId": 1, "chargingSchedule": schedule},
        }
    else:
        payload = {"evseId": 0, "chargingProfile": profile | {"id": 1, "chargingSchedule": [schedule | {"id": 1}]}}
    periods.append({"startPeriod": 60, "limit": 8.1})
    schemas.check_outbound(version, "SetChargingProfile", payload)
    periods.append(wrong)
    with pytest.raises(schemas.OutboundInvalid, match="SetChargingProfile"):
        schemas.check_outbound(version, "SetChargingProfile", payload)


def test_ocp_05_a_limit_finer_than_a_tenth_is_found_in_1_6_wherever_it_stands() -> None:
    periods = [{"startPeriod": 0, "limit": 6.0}, {"startPeriod": 60, "limit": 8.25}]
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": periods},
    }
    with pytest.raises(schemas.OutboundInvalid, match=r"8\.25"):
        schemas.check_outbound(Version.V16, "SetChargingProfile", {"connectorId": 0, "csChargingProfiles": profile})
