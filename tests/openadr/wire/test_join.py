"""Events rendered once and joined per VEN mean the same as events rendered in place."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from openadr import wire
from openadr.errors import SchemaInvalid
from openadr.messages import DistributeEvent, EiResponse, Poll
from openadr.model import EiTarget, Event
from openadr.wire.parsing import schema_file
from tests.openadr.wire.samples import FULL_EVENT, NOW, SIMPLE_EVENT
from tests.openadr.wire.strategies import events, responses, text


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(events, max_size=3), text, text, st.none() | responses)
def test_joining_rendered_events_gives_the_very_bytes_of_encode(
    several: list[Event], request_id: str, vtn_id: str, response: EiResponse | None
) -> None:
    message = DistributeEvent(request_id=request_id, vtn_id=vtn_id, events=tuple(several), response=response)
    joined = wire.join_distribute(request_id, vtn_id, response, [wire.encode_event(event) for event in several])
    assert joined == wire.encode(message)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(events)
def test_rule_115_created_date_time_is_renewed_for_the_whole_payload(event: Event) -> None:
    later = NOW + timedelta(minutes=5)
    data = wire.join_distribute(
        "r", "V", None, [wire.encode_event(event), wire.encode_event(SIMPLE_EVENT)], created=later
    )
    stamped = tuple(
        replace(one, descriptor=replace(one.descriptor, created_date_time=later)) for one in (event, SIMPLE_EVENT)
    )
    assert wire.decode(data) == DistributeEvent(request_id="r", vtn_id="V", events=stamped)


def test_a_comment_that_looks_like_the_tag_is_left_alone() -> None:
    comment = "<ei:createdDateTime>2020-01-01T00:00:00Z</ei:createdDateTime>"
    event = replace(FULL_EVENT, descriptor=replace(FULL_EVENT.descriptor, modification_reason=comment))
    decoded = wire.decode(wire.join_distribute("r", "V", None, [wire.encode_event(event)], created=NOW))
    assert decoded == DistributeEvent(request_id="r", vtn_id="V", events=(event,))


def test_area_ids_are_unique_however_many_events_name_an_area() -> None:
    data = wire.join_distribute("r", "V", EiResponse(), [wire.encode_event(FULL_EVENT)] * 3)
    root = etree.fromstring(data)
    ids = [value for element in root.iter() for name, value in element.items() if str(name).endswith("}id")]
    assert len(ids) == len(set(ids)) == 18
    wire.schema().assertValid(root)


def test_no_events_is_a_valid_payload() -> None:
    data = wire.join_distribute("r", "V", EiResponse(request_id="q"), [])
    expected = DistributeEvent(request_id="r", vtn_id="V", response=EiResponse(request_id="q"))
    assert wire.decode(data) == expected


def test_the_schema_is_compiled_once_from_files_that_are_there() -> None:
    assert wire.schema() is wire.schema()
    assert schema_file().is_file()


def test_missing_schema_files_are_named_in_the_error() -> None:
    with pytest.raises(RuntimeError, match="no_such_package"):
        schema_file("no_such_package")


def test_threads_may_decode_at_the_same_time() -> None:
    good = wire.encode(Poll(ven_id="ven-1"))
    bad = good.replace(b"ei:venID", b"ei:vtnID")

    def decode(index: int) -> object:
        try:
            return wire.decode(bad if index % 3 == 0 else good)
        except SchemaInvalid as error:
            return "vtnID" in error.description

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(decode, range(600)))
    assert results[1::3] == results[2::3] == [Poll(ven_id="ven-1")] * 200
    assert set(results[::3]) == {True}


@pytest.mark.parametrize("event", [FULL_EVENT, SIMPLE_EVENT], ids=["full", "simple"])
def test_rendering_is_repeatable(event: Event) -> None:
    assert wire.encode_event(event) == wire.encode_event(event)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(events, min_size=1, max_size=3), text, text, st.none() | responses, text, st.booleans())
def test_property_a_framed_payload_is_the_very_bytes_of_encode(
    several: list[Event], request_id: str, vtn_id: str, response: EiResponse | None, ven_id: str, each: bool
) -> None:
    names = [(f"{ven_id}-{number}" if each else ven_id,) for number in range(len(several))]
    addressed = tuple(
        replace(event, target=EiTarget(ven_ids=(ven_id,), resource_ids=named))
        for event, named in zip(several, names, strict=True)
    )
    message = DistributeEvent(request_id=request_id, vtn_id=vtn_id, events=addressed, response=response)
    frame = wire.encode_payload_frame(vtn_id, response, several)
    targets = [wire.encode_target(ven_id, named) for named in names]
    framed = frame.around_each(request_id, targets) if each else frame.around(request_id, targets[0])
    assert framed == wire.encode(message)
