"""What the schema leaves open: lenient reading, exact refusals, and element order as the schema fixes it."""

import re
from dataclasses import replace
from math import inf, isnan, nan

import pytest
from lxml import etree

from openadr import messages as m
from openadr import wire
from openadr.errors import (
    ComplianceError,
    InvalidData,
    OadrError,
    ResponseCode,
    SchemaInvalid,
)
from openadr.messages import DistributeEvent, EiResponse, Message
from openadr.model import (
    Availability,
    Event,
    EventStatus,
    Interval,
    ItemBase,
    OptType,
    ReportInterval,
    ReportPayload,
    Signal,
)
from openadr.times import Duration
from openadr.wire.xml import Tag, unwritable
from tests.openadr.wire.samples import FULL_EVENT, HOUR, NOW, SAMPLES, SIMPLE_EVENT, START


def edit(name: str, pattern: str, replacement: str, count: int = 1) -> bytes:
    """The encoded sample with a piece of its text exchanged; the pattern has to be there."""
    text, found = re.subn(pattern, replacement, wire.encode(SAMPLES[name]).decode(), count=count, flags=re.DOTALL)
    assert found, pattern
    return text.encode()


def event_of(data: bytes, index: int = 1) -> Event:
    message = wire.decode(data)
    assert isinstance(message, DistributeEvent)
    return message.events[index]


def first_signal(data: bytes) -> Signal:
    return event_of(data, 0).signals[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT0S", Duration()),
        ("P0D", Duration()),
        ("P", Duration()),
        ("PT", Duration()),
        ("1W", Duration(seconds=7 * 86_400)),
        ("P1H", HOUR),
        ("+PT5M", Duration(seconds=300)),
        ("-PT5M", Duration(seconds=-300)),
        ("P1M", Duration(months=1)),
        ("P1Y2M3DT4H5M6S", Duration(months=14, seconds=3 * 86_400 + 4 * 3600 + 5 * 60 + 6)),
        ("PT90M", Duration(seconds=5400)),
    ],
)
def test_durations_that_the_schema_takes_are_read(text: str, expected: Duration) -> None:
    data = edit("oadrCreatedPartyRegistration", "PT10S", text)
    message = wire.decode(data)
    assert isinstance(message, m.CreatedPartyRegistration)
    assert message.requested_poll_freq == expected


@pytest.mark.parametrize("text", ["P1W", "PT1.5S", "P-1DT23H50M", "", "5", "PT5", " PT5M", "P1D2H3X"])
def test_durations_that_the_schema_refuses(text: str) -> None:
    with pytest.raises(SchemaInvalid):
        wire.decode(edit("oadrCreatedPartyRegistration", "PT10S", text))


@pytest.mark.parametrize("text", ["P200Y", "PT99999999999S", "P1201M"])
def test_durations_over_a_century_are_invalid_data(text: str) -> None:
    with pytest.raises(InvalidData) as caught:
        wire.decode(edit("oadrCreatedPartyRegistration", "PT10S", text))
    assert caught.value.field == "oadrRequestedOadrPollFreq"


@pytest.mark.parametrize("text", ["2026-11-21T08:00:00.999999Z", " 2026-11-21T08:00:00Z\n"])
def test_rule_001_fractions_of_a_second_are_cut(text: str) -> None:
    message = wire.decode(edit("oadrCreateOpt-event", "2026-11-21T08:00:00Z", text))
    assert message == SAMPLES["oadrCreateOpt-event"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T08:00:00+00:00",
        "2026-11-21T08:00:00.Z",
        "2026-11-21T08:00:00-05:00",
        "2026-11-21",
        "2026-02-30T00:00:00Z",
    ],
)
def test_rule_001_offsets_and_impossible_dates_fail_the_schema(text: str) -> None:
    with pytest.raises(SchemaInvalid):
        wire.decode(edit("oadrCreateOpt-event", "2026-11-21T08:00:00Z", text))


@pytest.mark.parametrize("text", ["2026-11-21T08:00:00", "-2026-11-21T08:00:00Z"])
def test_rule_001_times_without_z_or_before_christ_are_459(text: str) -> None:
    with pytest.raises(ComplianceError) as caught:
        wire.decode(edit("oadrCreateOpt-event", "2026-11-21T08:00:00Z", text))
    assert caught.value.code == ResponseCode.COMPLIANCE_ERROR
    assert caught.value.field == "createdDateTime"


@pytest.mark.parametrize("text", ["NaN", "INF", "-INF", "1e999"])
def test_nan_and_inf_in_a_report_are_454(text: str) -> None:
    with pytest.raises(InvalidData) as caught:
        wire.decode(edit("oadrUpdateReport", "<ei:value>7.4", f"<ei:value>{text}"))
    assert caught.value.code == ResponseCode.INVALID_DATA
    with pytest.raises(InvalidData):
        wire.decode(edit("oadrUpdateReport", "<oadr:oadrCurrent>0.5", f"<oadr:oadrCurrent>{text}"))


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_nan_and_inf_are_never_sent(value: float) -> None:
    bad = replace(FULL_EVENT.signals[0], intervals=(Interval(duration=HOUR, uid=0, value=value),))
    with pytest.raises(InvalidData, match="finite"):
        wire.encode_event(replace(FULL_EVENT, signals=(bad,)))


def test_rule_019_nan_in_one_event_is_kept_for_the_check_of_that_event() -> None:
    data = edit("oadrDistributeEvent", "<ei:value>0.5", "<ei:value>NaN")
    assert isnan(first_signal(data).intervals[1].value)
    assert event_of(data) == SIMPLE_EVENT
    current = edit("oadrDistributeEvent", "(<ei:currentValue><ei:payloadFloat><ei:value>)1.0", r"\1INF")
    assert first_signal(current).current_value == inf


STATUS = (
    "<oadr:oadrPayloadResourceStatus><oadr:oadrOnline>true</oadr:oadrOnline>"
    "<oadr:oadrManualOverride>false</oadr:oadrManualOverride></oadr:oadrPayloadResourceStatus>"
)
FLOAT = "<ei:payloadFloat><ei:value>0.5</ei:value></ei:payloadFloat>"
SIGNAL_PAYLOAD = f"<ei:signalPayload>{FLOAT}</ei:signalPayload>"
REPORT_PAYLOAD = f"<oadr:oadrReportPayload><ei:rID>r</ei:rID>{FLOAT}</oadr:oadrReportPayload>"


@pytest.mark.parametrize(
    "payload",
    [SIGNAL_PAYLOAD * 2, REPORT_PAYLOAD, SIGNAL_PAYLOAD + REPORT_PAYLOAD, SIGNAL_PAYLOAD.replace(FLOAT, STATUS)],
)
def test_rule_100_an_interval_without_exactly_one_float_has_no_value(payload: str) -> None:
    data = edit("oadrDistributeEvent", SIGNAL_PAYLOAD, payload)
    assert isnan(first_signal(data).intervals[1].value)


@pytest.mark.parametrize(
    ("text", "uid"),
    [("1", 1), (" 7 ", 7), ("x", -1), ("", -1), ("1_0", -1), ("-1", -1), ("9" * 11, -1), ("9" * 5000, -1)],
)
def test_rule_002_uid_that_is_no_number_is_kept_for_the_check(text: str, uid: int) -> None:
    data = edit("oadrDistributeEvent", "<xcal:text>1</xcal:text>", f"<xcal:text>{text}</xcal:text>")
    assert first_signal(data).intervals[1].uid == uid


def test_intervals_with_dtstart_without_uid_or_duration_are_read() -> None:
    dtstart = "<xcal:dtstart><xcal:date-time>2026-11-21T17:00:00Z</xcal:date-time></xcal:dtstart>"
    bare = edit(
        "oadrDistributeEvent", "<ei:interval>.*?<ei:signalPayload>", f"<ei:interval>{dtstart}<ei:signalPayload>", 2
    )
    read = first_signal(bare).intervals
    assert read[:2] == (
        Interval(duration=Duration(), uid=0, value=1.0, dtstart=START),
        Interval(duration=Duration(), uid=1, value=0.5, dtstart=START),
    )
    assert read[2:] == FULL_EVENT.signals[0].intervals[2:]


def test_rule_105_missing_notification_is_zero_and_absent_tolerance_is_not_zero() -> None:
    data = edit("oadrDistributeEvent", "<xcal:tolerance>.*?</ei:x-eiNotification>", "")
    assert event_of(data, 0).active_period.startafter is None
    assert event_of(data, 0).active_period.notification == Duration()
    empty = edit("oadrDistributeEvent", "<xcal:startafter>PT5M</xcal:startafter>", "")
    assert event_of(empty, 0).active_period.startafter is None
    zero = edit("oadrDistributeEvent", "<xcal:startafter>PT5M", "<xcal:startafter>PT0S")
    assert event_of(zero, 0).active_period.startafter == Duration()


def test_the_old_spelling_of_simple_is_simple() -> None:
    assert event_of(edit("oadrDistributeEvent", ">SIMPLE<", ">simple<")) == SIMPLE_EVENT


def test_missing_priority_is_zero() -> None:
    assert event_of(edit("oadrDistributeEvent", "<ei:priority>0</ei:priority>", "")) == SIMPLE_EVENT


def test_an_empty_signal_target_is_absent() -> None:
    data = edit("oadrDistributeEvent", "<ei:eiTarget><power:endDeviceAsset>.*?</ei:eiTarget>", "<ei:eiTarget/>")
    assert first_signal(data).target is None


def test_ids_are_opaque_and_never_converted() -> None:
    for text in ("0012", "007", "true", "1.2.3", " ven ", "None"):
        assert wire.decode(edit("oadrPoll", "ven-1", text)) == m.Poll(ven_id=text)


@pytest.mark.parametrize("text", ["true", "1", " true ", "false", "0"])
def test_both_spellings_of_booleans_are_read(text: str) -> None:
    message = wire.decode(edit("oadrCancelReport", "true", text))
    assert isinstance(message, m.CancelReport)
    assert message.report_to_follow is (text.strip() in {"true", "1"})


@pytest.mark.parametrize("text", ["False", "TRUE", "yes", ""])
def test_other_spellings_of_booleans_fail_the_schema(text: str) -> None:
    with pytest.raises(SchemaInvalid):
        wire.decode(edit("oadrCancelReport", "true", text))


def test_a_number_with_thousands_of_digits_is_refused_and_not_a_crash() -> None:
    with pytest.raises(OadrError, match="reasonable length"):
        wire.decode(edit("oadrRequestEvent", ">5<", f">{'0' * 5000}5<"))
    with pytest.raises(OadrError, match="reasonable length"):
        wire.decode(edit("oadrUpdateReport", "<xcal:text>0<", f"<xcal:text>{'0' * 5000}<"))


def test_an_empty_report_uid_is_absent_and_text_is_refused() -> None:
    message = wire.decode(edit("oadrUpdateReport", "<xcal:text>0<", "<xcal:text> <"))
    assert isinstance(message, m.UpdateReport)
    assert message.reports[0].intervals[0].uid is None
    with pytest.raises(InvalidData, match="uid"):
        wire.decode(edit("oadrUpdateReport", "<xcal:text>0<", "<xcal:text>first<"))


def test_a_signal_payload_in_a_report_is_459() -> None:
    with pytest.raises(ComplianceError, match="oadrReportPayload"):
        wire.decode(edit("oadrUpdateReport", "<oadr:oadrReportPayload>.*?</oadr:oadrReportPayload>", SIGNAL_PAYLOAD))


FEED = (
    '<atom:feed xmlns:atom="http://www.w3.org/2005/Atom"><atom:id>a</atom:id><atom:title>t</atom:title>'
    "<atom:updated>2026-11-21T08:00:00Z</atom:updated></atom:feed>"
)


GREEN_BUTTON = edit(
    "oadrUpdateReport",
    "<oadr:oadrReportPayload>.*?</oadr:oadrReportPayload>",
    f"<oadr:oadrGBPayload>{FEED}</oadr:oadrGBPayload>",
)
GREEN_BUTTON_OFFER = edit(
    "oadrRegisterReport",
    "<power:powerReal>.*?</power:powerReal>",
    f"<oadr:oadrGBDataDescription>{FEED}</oadr:oadrGBDataDescription>",
)


def test_green_button_feeds_pass_through_as_text() -> None:
    message = wire.decode(GREEN_BUTTON)
    assert isinstance(message, m.UpdateReport)
    assert FEED in {feed for report in message.reports for each in report.intervals for feed in each.feeds}
    assert wire.decode(wire.encode(message)) == message
    offer = wire.decode(GREEN_BUTTON_OFFER)
    assert isinstance(offer, m.RegisterReport)
    points = [point for report in offer.reports for point in report.descriptions if point.green_button is not None]
    assert points
    assert all((point.green_button, point.item_base) == (FEED, None) for point in points)
    assert wire.decode(wire.encode(offer)) == offer


def test_green_button_data_is_no_unit_of_a_signal() -> None:
    unit = f"<oadr:oadrGBDataDescription>{FEED}</oadr:oadrGBDataDescription>"
    [fault] = unreadable(edit("oadrDistributeEvent", "<power:powerReal>.*?</power:powerReal>", unit))
    assert fault.code == ResponseCode.REPORT_NOT_SUPPORTED


def unreadable(data: bytes) -> tuple[m.UnreadableEvent, ...]:
    message = wire.decode(data)
    assert isinstance(message, m.DistributeEvent)
    return message.unreadable


@pytest.mark.parametrize(
    ("pattern", "text", "code"),
    [
        ("(<xcal:startafter>)[^<]*", r"\1P200Y", 454),
        ("(<ei:createdDateTime>[^<]*)Z", r"\1", 459),
    ],
    ids=["a duration over a century", "a time without Z"],
)
def test_rule_019_an_event_that_means_nothing_does_not_spoil_the_others(pattern: str, text: str, code: int) -> None:
    message = wire.decode(edit("oadrDistributeEvent", pattern, text))
    assert isinstance(message, m.DistributeEvent)
    [fault] = message.unreadable
    whole = SAMPLES["oadrDistributeEvent"]
    assert isinstance(whole, m.DistributeEvent)
    assert (fault.code, fault.event_id) == (code, whole.events[0].descriptor.event_id)
    assert message.events == whole.events[1:]


@pytest.mark.parametrize(
    ("feed", "reason"),
    [
        ("<feed/>", "atom:feed"),
        ("<feed", "well-formed"),
        ("\ud800", "well-formed"),
        (f"<!DOCTYPE x []>{FEED}", "document type"),
    ],
)
def test_only_a_feed_is_written_as_green_button_data(feed: str, reason: str) -> None:
    message = wire.decode(GREEN_BUTTON)
    assert isinstance(message, m.UpdateReport)
    report = message.reports[0]
    broken = replace(message, reports=(replace(report, intervals=(replace(report.intervals[0], feeds=(feed,)),)),))
    with pytest.raises(InvalidData, match=reason):
        wire.encode(broken)


def test_an_error_answer_can_be_made_for_content_that_could_not_be_taken() -> None:
    data = edit("oadrUpdateReport", "<ei:value>7.4", "<ei:value>NaN")
    outline = wire.outline(data)
    assert outline == wire.Outline(kind=m.UpdateReport, request_id="req-1", ven_id="ven-1", opt_id="")
    created = wire.outline(wire.encode(SAMPLES["oadrCreatedEvent"]))
    assert created == wire.Outline(kind=m.CreatedEvent, request_id="", ven_id="ven-1", opt_id="")
    opt = wire.outline(wire.encode(SAMPLES["oadrCancelOpt"]))
    assert opt == wire.Outline(kind=m.CancelOpt, request_id="req-1", ven_id="ven-1", opt_id="opt-1")
    poll = wire.outline(wire.encode(SAMPLES["oadrPoll"]))
    assert poll == wire.Outline(kind=m.Poll, request_id="", ven_id="ven-1", opt_id="")


def test_outline_refuses_what_is_no_message() -> None:
    with pytest.raises(SchemaInvalid):
        wire.outline(edit("oadrPoll", "venID", "vtnID", 2))


@pytest.mark.parametrize("code", ["20", "2000", " 200", "2OO", ""])
def test_response_codes_have_exactly_three_digits(code: str) -> None:
    with pytest.raises(SchemaInvalid):
        wire.decode(edit("oadrResponse", "463", code))


def test_small_response_codes_are_padded() -> None:
    message = m.Response(response=EiResponse(response_code=7))
    assert b"<ei:responseCode>007</ei:responseCode>" in wire.encode(message)
    assert wire.decode(wire.encode(message)) == message


@pytest.mark.parametrize("text", ["\x00", "a\x0bb", "\ufffe", "\ud800"])
def test_characters_xml_cannot_hold_are_refused_when_written(text: str) -> None:
    with pytest.raises(InvalidData, match=r"U\+"):
        wire.encode(m.Poll(ven_id=text))


def test_fixed_unit_texts_may_be_left_out_on_both_sides() -> None:
    signal = replace(FULL_EVENT.signals[2], item_base=ItemBase(kind="currencyPerKWh", item_units="EUR"))
    event = replace(SIMPLE_EVENT, signals=(signal,))
    message = m.DistributeEvent(request_id="r", vtn_id="V", events=(event,))
    assert event_of(wire.encode(message), 0).signals[0].item_base == FULL_EVENT.signals[2].item_base
    empty = edit("oadrRegisterReport", ">RealPower<(.*?)>W<", r"><\1>W<")
    assert wire.decode(empty) == SAMPLES["oadrRegisterReport"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (ItemBase(kind="kilowatt"), "unknown unit"),
        (ItemBase(kind="powerReal", item_units="W"), "hertz"),
        (ItemBase(kind="powerReal", item_units="kW", hertz=50, voltage=230, ac=True), "itemUnits"),
        (ItemBase(kind="energyReal", item_description="realEnergy"), "itemDescription"),
        (ItemBase(kind="energyReal", si_scale_code="K"), "siScaleCode"),
        (ItemBase(kind="currency", item_units="eur"), "ISO 4217"),
        (ItemBase(kind="currency", item_description="euros", item_units="EUR"), "itemDescription"),
        (ItemBase(kind="pulseCount"), "pulseFactor"),
    ],
)
def test_units_the_schema_would_refuse_are_not_written(item: ItemBase, reason: str) -> None:
    signal = replace(FULL_EVENT.signals[2], item_base=item)
    with pytest.raises(InvalidData, match=reason):
        wire.encode_event(replace(SIMPLE_EVENT, signals=(signal,)))


def test_decimals_are_written_without_exponent() -> None:
    item = ItemBase(kind="powerReal", item_units="J/s", hertz=1e-07, voltage=1e16, ac=False)
    signal = replace(FULL_EVENT.signals[1], item_base=item)
    message = m.DistributeEvent(request_id="r", vtn_id="V", events=(replace(SIMPLE_EVENT, signals=(signal,)),))
    read = event_of(wire.encode(message), 0).signals[0].item_base
    assert read == replace(item, item_description="RealPower")


def test_a_tag_without_value_writes_nothing() -> None:
    tag = Tag("power:hertz")
    assert tag.decimal(None) == ""
    assert tag.decimal(50.0) == "<power:hertz>50.0</power:hertz>"


def test_empty_optional_texts_are_not_written() -> None:
    message = m.CanceledOpt(response=EiResponse(response_description=""), opt_id="")
    data = wire.encode(message)
    assert b"optID" not in data
    assert b"responseDescription" not in data


def test_an_empty_schedule_is_not_an_absent_one() -> None:
    sample = SAMPLES["oadrCreateOpt-schedule"]
    assert isinstance(sample, m.CreateOpt)
    empty = replace(sample, vavailability=())
    assert wire.decode(wire.encode(empty)) == empty
    one = replace(sample, vavailability=(Availability(dtstart=START, duration=HOUR),))
    assert wire.decode(wire.encode(one)) == one


def test_a_report_interval_without_end_is_written_as_for_ever() -> None:
    sample = SAMPLES["oadrCreateReport"]
    assert isinstance(sample, m.CreateReport)
    request = sample.report_requests[0]
    open_ended = replace(request, specifier=replace(request.specifier, interval_duration=None))
    assert wire.decode(wire.encode(replace(sample, report_requests=(open_ended,)))) == replace(
        sample, report_requests=(request,)
    )


@pytest.mark.parametrize(
    ("name", "pattern", "replacement"),
    [
        ("missing-components", "<xcal:components></xcal:components>", ""),
        ("missing-target", "<ei:eiTarget></ei:eiTarget>", ""),
        ("ven-before-resource", "(<ei:resourceID>charger-1.*?)(<ei:venID>.*?</ei:venID>)", r"\2\1"),
        ("signal-name", ">SIMPLE<", ">Simple<"),
        ("status", ">near<", ">canceled<"),
        ("type", ">level<", ">x-mine<"),
        ("wrapped-startafter", "PT5M</xcal:startafter>", "<xcal:duration>PT5M</xcal:duration></xcal:startafter>"),
        ("bare-uid", "<xcal:text>0</xcal:text>", "0"),
        ("kilowatt", ">W<", ">kW<"),
        ("scale", ">k<", ">K<"),
        ("no-attributes", "<power:powerAttributes>.*?</power:powerAttributes>", ""),
        ("negative-modification", "<ei:modificationNumber>3", "<ei:modificationNumber>-3"),
        ("two-baselines", "(<ei:eiEventBaseline>.*?</ei:eiEventBaseline>)", r"\1\1"),
    ],
)
def test_sender_errors_of_section_4_6_fail_the_schema(name: str, pattern: str, replacement: str) -> None:
    with pytest.raises(SchemaInvalid):
        wire.decode(edit("oadrDistributeEvent", pattern, replacement))


SWAPS = [(name, index) for name in SAMPLES for index in range(3)]


def _swapped(name: str, index: int) -> bytes | None:
    """The sample with two neighbouring children of different name exchanged somewhere in the payload."""
    root = etree.fromstring(wire.encode(SAMPLES[name]))
    places = [
        (parent, at) for parent in root.iter() for at in range(len(parent) - 1) if parent[at].tag != parent[at + 1].tag
    ]
    if index >= len(places):
        return None
    parent, at = places[index]
    parent.insert(at, parent[at + 1])
    return etree.tostring(root)


def test_element_order_is_part_of_the_format() -> None:
    swapped = [data for name, index in SWAPS if (data := _swapped(name, index)) is not None]
    assert len(swapped) > 40
    for data in swapped:
        with pytest.raises(SchemaInvalid):
            wire.decode(data)


def test_enumerations_of_the_model_are_those_of_the_schema() -> None:
    for status in EventStatus:
        event = replace(SIMPLE_EVENT, descriptor=replace(SIMPLE_EVENT.descriptor, event_status=status))
        message = m.DistributeEvent(request_id="r", vtn_id="V", events=(event,))
        assert wire.decode(wire.encode(message)) == message
    for opt in OptType:
        sample = SAMPLES["oadrCreateOpt-event"]
        assert isinstance(sample, m.CreateOpt)
        assert wire.decode(wire.encode(replace(sample, opt_type=opt))) == replace(sample, opt_type=opt)


def test_fractions_of_our_own_instants_are_cut_when_written() -> None:
    sample = SAMPLES["oadrCreateOpt-event"]
    assert isinstance(sample, m.CreateOpt)
    message: Message = replace(sample, created_date_time=NOW.replace(microsecond=999_999))
    assert wire.decode(wire.encode(message)) == sample


def test_a_report_keeps_its_intervals_and_payloads_in_order() -> None:
    sample = SAMPLES["oadrUpdateReport"]
    assert isinstance(sample, m.UpdateReport)
    payloads = tuple(ReportPayload(r_id=f"r{n}", value=float(n)) for n in range(5))
    intervals = tuple(ReportInterval(dtstart=START, payloads=payloads[n:]) for n in range(5))
    message = replace(sample, reports=(replace(sample.reports[0], intervals=intervals),))
    assert wire.decode(wire.encode(message)) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("a & b < c\r\n\t", None), ("a\x00&", "U+0000"), ("&\x1f", "U+001F"), ("\uffff", "U+FFFF")],
)
def test_what_xml_cannot_hold_is_named(text: str, expected: str | None) -> None:
    assert unwritable(text) == expected
