"""bridge.ocpp.proxy_ids: one number changes, every other byte stays."""

import pytest

from bridge.ocpp import proxy_ids

OURS, THEIRS = 2_000_000_007, 41
ACTUAL = {OURS: THEIRS, 2_000_000_008: None}


@pytest.mark.parametrize("action", ["StopTransaction", "MeterValues"])
def test_our_number_becomes_the_csmss_on_the_way_up(action: str) -> None:
    tail = f'"{action}",{{"v": [1.0,1e5], "transactionId" :{OURS}, "x":"é"}}'.encode()
    assert proxy_ids.to_csms(tail, ACTUAL) == f'"{action}",{{"v":[1.0,1e5],"transactionId":41,"x":"é"}}'.encode()


def test_the_csmss_number_becomes_ours_on_the_way_down() -> None:
    tail = b'"RemoteStopTransaction",{"transactionId":41}'
    assert proxy_ids.to_charger(tail, ACTUAL) == b'"RemoteStopTransaction",{"transactionId":2000000007}'
    tail = b'"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"transactionId":41,"stackLevel":3}}'
    assert proxy_ids.to_charger(tail, ACTUAL) == tail.replace(b"41", b"2000000007")


@pytest.mark.parametrize(
    "tail",
    [
        b'"StopTransaction",{"transactionId": 5}',
        b'"StopTransaction",{"transactionId":2000000008}',
        b'"MeterValues",{ "connectorId":1}',
        b'"StopTransaction",{"transactionId":"41"}',
        b'"StopTransaction",null',
        b'"RemoteStopTransaction",{"transactionId":2000000007}',
        b'"DataTransfer",{"transactionId":2000000007}',
    ],
)
def test_what_has_no_number_of_ours_stays_as_it_came(tail: bytes) -> None:
    assert proxy_ids.to_csms(tail, ACTUAL) is tail


@pytest.mark.parametrize(
    "tail",
    [
        b'"SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"stackLevel":3}}',
        b'"SetChargingProfile",{"connectorId":1,"csChargingProfiles":[]}',
        b'"SetChargingProfile",{"evseId":1}',
        b'"RemoteStopTransaction",{"transactionId":42}',
    ],
)
def test_what_has_no_number_of_the_csmss_stays_as_it_came(tail: bytes) -> None:
    assert proxy_ids.to_charger(tail, ACTUAL) is tail


def test_parts_and_join_are_a_pair() -> None:
    assert proxy_ids.parts(proxy_ids.join("Boot", b'{"a" : 1}')) == ("Boot", b'{"a" : 1}')
