"""Plain intervals are read by columns; whatever is read so is what reading one by one gives, and the rest is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from openadr.errors import OadrError, SchemaInvalid
from openadr.intervals import PlainIntervals
from openadr.messages import UpdateReport
from openadr.model import Report, ReportInterval, ReportPayload, ResourceStatus
from openadr.times import Duration
from openadr.wire import decode, encode, parse
from openadr.wire.report_columns import read_plain
from openadr.wire.report_data import read_intervals
from openadr.wire.xml import NAMESPACES
from tests.openadr.wire.strategies import instants, numbers, several, text

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
QUALITIES = ("Quality Good - Non Specific", "No Quality - No Value")


@st.composite
def plain(draw: st.DrawFn) -> tuple[ReportInterval, ...]:
    """Intervals of one shape."""
    width = draw(st.integers(1, 3))
    shape = st.sampled_from((True, False))
    durations = st.sampled_from((Duration(seconds=60), Duration(months=1))) if draw(shape) else st.none()
    uids = st.integers(0, 10**9) if draw(shape) else st.none()
    payloads = st.builds(
        ReportPayload,
        r_id=text.filter(str.strip),
        value=numbers,
        confidence=st.integers(0, 100) if draw(shape) else st.none(),
        accuracy=numbers if draw(shape) else st.none(),
        data_quality=st.sampled_from((*QUALITIES, None)) if draw(shape) else st.none(),
    )
    interval = st.builds(
        ReportInterval,
        payloads=st.tuples(*(payloads for _ in range(width))),
        dtstart=instants,
        duration=durations,
        uid=uids,
    )
    return draw(several(interval, least=1, most=4))


def written(*intervals: ReportInterval) -> bytes:
    report = Report(
        report_request_id="rpt-1", report_specifier_id="spec-1", created_date_time=START, intervals=intervals
    )
    return encode(UpdateReport(request_id="req-1", reports=(report,), ven_id="ven-a"))


def element(data: bytes) -> etree._Element:
    found = parse(data).find(f".//{{{NAMESPACES['strm']}}}intervals")
    assert found is not None
    return found


def outcome(data: bytes) -> Any:
    """What reading one by one gives, or how it is refused."""
    try:
        return read_intervals(element(data))
    except OadrError as error:
        return type(error), error.description


@given(plain())
def test_plain_intervals_are_read_by_columns(intervals: tuple[ReportInterval, ...]) -> None:
    data = written(*intervals)
    found = read_plain(element(data))
    assert found is not None
    assert found == intervals
    assert read_intervals(element(data)) == intervals
    message = decode(data)
    assert isinstance(message, UpdateReport)
    assert isinstance(message.reports[0].intervals, PlainIntervals)


CHANGES = (
    (b"<ei:rID>a</ei:rID>", b"<ei:rID></ei:rID>"),
    (b"<ei:rID>a</ei:rID>", b"<ei:rID> </ei:rID>"),
    (b"<ei:rID>a</ei:rID>", b"<ei:rID>a&amp;<![CDATA[<b>]]><!-- no --></ei:rID>"),
    (b"<ei:value>1.5</ei:value>", b"<ei:value>NaN</ei:value>"),
    (b"<ei:value>1.5</ei:value>", b"<ei:value>-INF</ei:value>"),
    (b"<ei:value>1.5</ei:value>", b"<ei:value> 1.5e3 </ei:value>"),
    (b"<ei:accuracy>0.5</ei:accuracy>", b"<ei:accuracy>INF</ei:accuracy>"),
    (b"<ei:accuracy>0.5</ei:accuracy>", b""),
    (b"<ei:confidence>90</ei:confidence>", b""),
    (b"<ei:confidence>90</ei:confidence>", b"<ei:confidence> 90 </ei:confidence>"),
    (b"<oadr:oadrDataQuality>No Quality - No Value</oadr:oadrDataQuality>", b""),
    (b"No Quality - No Value<", b"  No   Quality - No Value\n<"),
    (b"12:00:00Z", b"12:00:00+00:00"),
    (b"12:00:00Z", b"12:00:00.5Z"),
    (b"12:00:00Z", b"24:00:00Z"),
    (b"2026-11-21T12:00:00Z", b" 2026-11-21T12:00:00Z "),
    (b"PT1M<", b"P200Y<"),
    (b"PT1M<", b"-PT1M<"),
    (b"<xcal:text>7</xcal:text>", b"<xcal:text></xcal:text>"),
    (b"<xcal:text>7</xcal:text>", b"<xcal:text> 7 </xcal:text>"),
    (b"<xcal:text>7</xcal:text>", b"<xcal:text>seven</xcal:text>"),
    (b"<xcal:text>7</xcal:text>", b"<xcal:text>" + b"9" * 5000 + b"</xcal:text>"),
    (b"<xcal:uid><xcal:text>7</xcal:text></xcal:uid>", b""),
    (b"<xcal:duration><xcal:duration>PT1M</xcal:duration></xcal:duration>", b""),
    (b"<xcal:dtstart><xcal:date-time>2026-11-21T12:00:00Z</xcal:date-time></xcal:dtstart>", b""),
    (b"<ei:interval>", b"<ei:interval>\n  "),
    (b"<ei:rID>", b"\n    <ei:rID>"),
)


def sample(count: int = 3, width: int = 1) -> bytes:
    payload = ReportPayload(r_id="a", value=1.5, confidence=90, accuracy=0.5, data_quality=QUALITIES[1])
    return written(
        *(
            ReportInterval(dtstart=START, duration=Duration(seconds=60), uid=7, payloads=(payload,) * width)
            for _ in range(count)
        )
    )


@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 3)), min_size=1, max_size=3), st.integers(1, 2))
def test_what_columns_read_is_what_reading_one_by_one_gives(
    changes: list[tuple[tuple[bytes, bytes], int]], width: int
) -> None:
    data = sample(width=width)
    for (old, new), place in changes:
        parts = data.split(old)
        if 1 <= place < len(parts):
            data = old.join(parts[:place]) + new + old.join(parts[place:])
        else:
            data = data.replace(old, new)
    try:
        found = read_plain(element(data))
    except SchemaInvalid:
        return
    assert found is None or found == outcome(data)


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_single_change_in_one_interval(old: bytes, new: bytes) -> None:
    data = sample().replace(old, new, 1)
    try:
        found = read_plain(element(data))
    except SchemaInvalid:
        return
    assert found is None or found == outcome(data)


def test_intervals_that_are_not_plain_are_not_read_by_columns() -> None:
    one = ReportPayload(r_id="a", value=1.0)
    status = ReportPayload(r_id="a", value=ResourceStatus(online=True, manual_override=False))
    timed = ReportInterval(dtstart=START, payloads=(one,))
    for intervals in (
        (ReportInterval(payloads=(one,)),),
        (timed, ReportInterval(payloads=(one,))),
        (ReportInterval(dtstart=START, payloads=(status,)),),
        (timed, ReportInterval(dtstart=START, payloads=(one, one))),
        (timed, timed, ReportInterval(dtstart=START, payloads=(one, one)), ReportInterval(dtstart=START, payloads=())),
        (timed, ReportInterval(dtstart=START, payloads=(one, one, one))),
        (timed, ReportInterval(dtstart=START, payloads=(), feeds=("<feed xmlns='http://www.w3.org/2005/Atom'/>",))),
        (ReportInterval(dtstart=START, payloads=(one,), feeds=("<feed xmlns='http://www.w3.org/2005/Atom'/>",)),),
    ):
        try:
            found = read_plain(element(written(*intervals)))
        except SchemaInvalid:
            continue
        assert found is None


def test_plain_intervals_are_equal_to_the_intervals_they_stand_for() -> None:
    second = START + timedelta(minutes=1)
    found = PlainIntervals(starts=(START, second), r_ids=("a", "b", "a", "b"), values=(1.0, 2.0, 3.0, 4.0))
    same = tuple(
        ReportInterval(
            dtstart=start, payloads=(ReportPayload(r_id="a", value=value), ReportPayload(r_id="b", value=value + 1))
        )
        for start, value in ((START, 1.0), (second, 3.0))
    )
    assert found == same
    assert same == found
    assert hash(found) == hash(same)
    assert (found.width, len(found), found[1]) == (2, 2, same[1])
    assert found != same[:1]
    assert found != "something else"
    assert not PlainIntervals(starts=(), r_ids=(), values=())
    assert PlainIntervals(starts=(), r_ids=(), values=()).width == 0
