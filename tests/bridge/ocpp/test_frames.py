"""bridge.ocpp.frames: every frame is read or answered; nothing is raised."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ocpp.frames import (
    BadFrame,
    Call,
    CallError,
    CallResult,
    ErrorCode,
    Frame,
    Version,
    call_error,
    parse,
    serialise,
    tail_of,
    wire_code,
)

V16, V201 = Version.V16, Version.V201
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
PAYLOAD = st.dictionaries(st.text(max_size=6), JSON, max_size=4)
IDS = st.text(min_size=1, max_size=36).filter(lambda text: text != "-1")


def bad(frame: Frame | BadFrame) -> BadFrame:
    assert isinstance(frame, BadFrame)
    return frame


def reply(frame: Frame | BadFrame) -> CallError:
    answer = bad(frame).reply
    assert answer is not None
    return answer


@given(st.text() | st.binary(), st.sampled_from(Version))
def test_any_text_is_a_frame_or_a_bad_frame(text: str | bytes, version: Version) -> None:
    assert isinstance(parse(text, version), (Call, CallResult, CallError, BadFrame))


@given(st.lists(JSON, max_size=6), st.sampled_from(Version))
def test_any_json_array_is_a_frame_or_a_bad_frame(message: list[Any], version: Version) -> None:
    assert isinstance(parse(json.dumps(message), version), (Call, CallResult, CallError, BadFrame))


@given(IDS, st.text(min_size=1, max_size=30), PAYLOAD)
def test_a_call_survives_the_wire(unique_id: str, action: str, payload: dict[str, Any]) -> None:
    frame = Call(unique_id=unique_id, action=action, payload=payload)
    assert parse(serialise(frame), V16) == frame


@given(IDS, PAYLOAD)
def test_a_result_survives_the_wire(unique_id: str, payload: dict[str, Any]) -> None:
    frame = CallResult(unique_id=unique_id, payload=payload)
    assert parse(serialise(frame), V201) == frame


@given(IDS, st.text(max_size=20), st.text(max_size=255), PAYLOAD)
def test_an_error_survives_the_wire(unique_id: str, code: str, description: str, details: dict[str, Any]) -> None:
    frame = CallError(unique_id=unique_id, code=code, description=description, details=details)
    assert parse(serialise(frame), V16) == frame


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, "[1e999]", '"text"', "{}", "[]", "null", b"\xff\xfe"])
def test_ocpp201_4_2_3_what_is_no_frame_is_answered_with_id_minus_one(text: str | bytes) -> None:
    answer = reply(parse(text, V201))
    assert (answer.unique_id, answer.code) == ("-1", "RpcFrameworkError")
    assert reply(parse(text, V16)).code == "FormationViolation"


@pytest.mark.parametrize("kind", ["2", None, 2.5, True, [2]])
def test_a_message_type_that_is_no_number_is_answered(kind: object) -> None:
    answer = reply(parse(json.dumps([kind, "id-1", "Heartbeat", {}]), V201))
    assert (answer.unique_id, answer.code) == ("id-1", "RpcFrameworkError")


def test_ocpp201_an_unknown_message_type_is_answered() -> None:
    answer = reply(parse('[9,"id-1","Heartbeat",{}]', V201))
    assert (answer.unique_id, answer.code) == ("id-1", "MessageTypeNotSupported")
    assert reply(parse("[9]", V201)).unique_id == "-1"


def test_ocpp16_4_1_3_an_unknown_message_type_is_ignored() -> None:
    frame = bad(parse('[9,"id-1","Heartbeat",{}]', V16))
    assert (frame.reply, frame.answers) == (None, None)
    assert "4.1.3" in frame.reason


@pytest.mark.parametrize("unique_id", [1, None, "", {}, "x" * 256])
def test_a_call_whose_id_cannot_be_read_is_answered_with_id_minus_one(unique_id: object) -> None:
    assert reply(parse(json.dumps([2, unique_id, "Heartbeat", {}]), V201)).unique_id == "-1"


@pytest.mark.parametrize("rest", [[], ["Heartbeat"], ["Heartbeat", {}, 1], [{}, {}], [7, {}], ["", {}], ["x" * 65, {}]])
def test_a_call_of_the_wrong_shape_is_answered_under_its_own_id(rest: list[object]) -> None:
    answer = reply(parse(json.dumps([2, "id-1", *rest]), V201))
    assert (answer.unique_id, answer.code) == ("id-1", "RpcFrameworkError")


@pytest.mark.parametrize("payload", [[], "x", 1])
def test_a_payload_that_is_no_object_is_a_format_violation(payload: object) -> None:
    assert reply(parse(json.dumps([2, "id-1", "Heartbeat", payload]), V16)).code == "FormationViolation"


def test_null_for_an_empty_payload_is_read() -> None:
    assert parse('[2,"a","Heartbeat",null]', V16) == Call(unique_id="a", action="Heartbeat", payload={})


@pytest.mark.parametrize("text", ['[3,"a"]', '[3,"a",1]', '[3,"a",null]', '[4,"a"]', '[4,"a",5]'])
def test_a_malformed_answer_is_never_answered_and_names_the_call_it_failed(text: str) -> None:
    frame = bad(parse(text, V201))
    assert (frame.reply, frame.answers) == (None, "a")


def test_an_answer_without_a_readable_id_is_dropped() -> None:
    assert bad(parse("[3]", V201)).answers == "-1"


@pytest.mark.parametrize("tail", ["", ",5,6", ",null"])
def test_an_error_without_its_optional_parts_is_read(tail: str) -> None:
    assert parse(f'[4,"a","GenericError"{tail}]', V16) == CallError(unique_id="a", code="GenericError")


def test_ocpp16_errata_5_1_5_2_codes_keep_their_spelling() -> None:
    assert wire_code(ErrorCode.OCCURRENCE, V16) == "OccurenceConstraintViolation"
    assert wire_code(ErrorCode.FORMAT, V16) == "FormationViolation"
    assert wire_code(ErrorCode.FORMAT, V201) == "FormatViolation"


def test_a_description_is_cut_to_its_255_characters() -> None:
    assert len(call_error("a", ErrorCode.GENERIC, "x" * 999, V16).description) == 255


@pytest.mark.parametrize(
    "text",
    [
        '[2,"1","Vendor",{"a" : [1.0,1e5], "é":null}]',
        '[3,"1",{ }]',
        '[4,"1","Code","why",{"b" :1}]',
        '[4,"1","Code"]',
    ],
)
def test_a_frame_is_passed_on_byte_for_byte_under_another_id(text: str) -> None:
    frame = parse(text, Version.V16)
    assert not isinstance(frame, BadFrame)
    passed = serialise(replace(frame, unique_id='x"2', tail=tail_of(text)))
    assert passed == text.replace('"1"', '"x\\"2"', 1)
    assert replace(frame, tail=tail_of(text)) == frame  # how it came is no part of what it says
