"""oadrReport on the wire: METADATA descriptions and data intervals with numbers or resource states.

Rule: the order of intervals and payloads is kept; which combination of times is allowed (R342) is for the service.
Thousands of plain intervals are read by ``report_columns``; whatever is not plain, and whatever is refused, here.
"""

from lxml import etree

from openadr.errors import ComplianceError
from openadr.model import (
    LoadControlState,
    LoadControlValue,
    Report,
    ReportDescription,
    ReportInterval,
    ReportPayload,
    ResourceStatus,
    SamplingRate,
)
from openadr.wire.common import (
    CREATED_DATE_TIME,
    INTERVAL,
    INTERVALS,
    MARKET_CONTEXT,
    PAYLOAD_FLOAT,
    R_ID,
    REPORT_REQUEST_ID,
    UID,
    UID_TEXT,
    VALUE,
    read_maybe_target,
    write_maybe_target,
)
from openadr.wire.greenbutton import GB_DESCRIPTION, GB_PAYLOAD, read_feed, read_maybe_feed, write_feed
from openadr.wire.report_columns import read_plain
from openadr.wire.units import read_item_base, write_item_base
from openadr.wire.xml import (
    DTSTART,
    DURATION,
    Reader,
    Tag,
    read_finite,
    read_instant,
    read_length,
    read_whole,
    write_dtstart,
)

REPORT = Tag("oadr:oadrReport")
REPORT_SPECIFIER_ID = Tag("ei:reportSpecifierID")
READING_TYPE = Tag("ei:readingType")
_REPORT_NAME, _DESCRIPTION = Tag("ei:reportName"), Tag("oadr:oadrReportDescription")
_SUBJECT, _SOURCE, _REPORT_TYPE = map(Tag, ("ei:reportSubject", "ei:reportDataSource", "ei:reportType"))
_RATE, _MIN_PERIOD, _MAX_PERIOD = map(Tag, ("oadr:oadrSamplingRate", "oadr:oadrMinPeriod", "oadr:oadrMaxPeriod"))
_ON_CHANGE, _PAYLOAD, _QUALITY = map(Tag, ("oadr:oadrOnChange", "oadr:oadrReportPayload", "oadr:oadrDataQuality"))
_CONFIDENCE, _ACCURACY = Tag("ei:confidence"), Tag("ei:accuracy")
_STATUS, _ONLINE = Tag("oadr:oadrPayloadResourceStatus"), Tag("oadr:oadrOnline")
_OVERRIDE, _LOAD_STATE = Tag("oadr:oadrManualOverride"), Tag("oadr:oadrLoadControlState")
_CAPACITY, _LEVEL_OFFSET = Tag("oadr:oadrCapacity"), Tag("oadr:oadrLevelOffset")
_PERCENT_OFFSET, _SET_POINT = Tag("oadr:oadrPercentOffset"), Tag("oadr:oadrSetPoint")
_MIN, _MAX, _CURRENT, _NORMAL = map(Tag, ("oadr:oadrMin", "oadr:oadrMax", "oadr:oadrCurrent", "oadr:oadrNormal"))


def write_report(report: Report) -> str:
    """Write one oadrReport."""
    return REPORT(
        write_dtstart(report.dtstart),
        DURATION.duration(report.duration),
        INTERVALS(*map(_write_interval, report.intervals)) if report.intervals else "",
        *map(_write_description, report.descriptions),
        REPORT_REQUEST_ID.text(report.report_request_id),
        REPORT_SPECIFIER_ID.text(report.report_specifier_id),
        _REPORT_NAME.maybe(report.report_name),
        CREATED_DATE_TIME.instant(report.created_date_time),
    )


def read_report(reader: Reader) -> Report:
    """Read one oadrReport."""
    intervals = reader.maybe_inside(INTERVALS)
    return Report(
        dtstart=reader.maybe_dtstart(),
        duration=reader.maybe_duration(DURATION),
        intervals=() if intervals is None else read_plain(intervals.element) or read_intervals(intervals.element),
        descriptions=tuple(map(_read_description, reader.each(_DESCRIPTION))),
        report_request_id=reader.text(REPORT_REQUEST_ID),
        report_specifier_id=reader.text(REPORT_SPECIFIER_ID),
        report_name=reader.token(_REPORT_NAME) or None,
        created_date_time=reader.instant(CREATED_DATE_TIME),
    )


def _write_description(description: ReportDescription) -> str:
    rate = description.sampling_rate
    return _DESCRIPTION(
        R_ID.text(description.r_id),
        write_maybe_target(_SUBJECT, description.report_subject),
        write_maybe_target(_SOURCE, description.report_data_source),
        _REPORT_TYPE.text(description.report_type),
        write_item_base(description.item_base)
        if description.green_button is None
        else write_feed(GB_DESCRIPTION, description.green_button),
        READING_TYPE.text(description.reading_type),
        MARKET_CONTEXT.maybe(description.market_context),
        ""
        if rate is None
        else _RATE(
            _MIN_PERIOD.length(rate.min_period), _MAX_PERIOD.length(rate.max_period), _ON_CHANGE.flag(rate.on_change)
        ),
    )


def _read_description(reader: Reader) -> ReportDescription:
    rate = reader.maybe_inside(_RATE)
    feed = read_maybe_feed(reader)
    return ReportDescription(
        r_id=reader.text(R_ID),
        report_subject=read_maybe_target(reader, _SUBJECT),
        report_data_source=read_maybe_target(reader, _SOURCE),
        report_type=reader.token(_REPORT_TYPE),
        item_base=read_item_base(reader.element) if feed is None else None,
        green_button=feed,
        reading_type=reader.token(READING_TYPE),
        market_context=reader.token(MARKET_CONTEXT) or None,
        sampling_rate=None
        if rate is None
        else SamplingRate(
            min_period=rate.length(_MIN_PERIOD), max_period=rate.length(_MAX_PERIOD), on_change=rate.flag(_ON_CHANGE)
        ),
    )


def _write_interval(interval: ReportInterval) -> str:
    return INTERVAL(
        write_dtstart(interval.dtstart),
        DURATION.duration(interval.duration),
        "" if interval.uid is None else UID(UID_TEXT.integer(interval.uid)),
        *map(_write_payload, interval.payloads),
        *(write_feed(GB_PAYLOAD, feed) for feed in interval.feeds),
    )


def read_intervals(element: etree._Element) -> tuple[ReportInterval, ...]:
    """Read strm:intervals one by one, of whatever kind they are."""
    return tuple(map(_read_interval, element))


def _read_interval(element: etree._Element) -> ReportInterval:
    dtstart, duration, uid = None, None, None
    payloads: list[ReportPayload] = []
    feeds: list[str] = []
    for child in element:
        tag = child.tag
        if tag == _PAYLOAD.clark:
            payloads.append(_read_payload(child))
        elif tag == DTSTART.clark:
            dtstart = read_instant(child[0].text or "", DTSTART.local)
        elif tag == DURATION.clark:
            duration = read_length(child[0].text or "", DURATION.local)
        elif tag == UID.clark:
            uid = _read_uid(child[0].text or "")
        elif tag == GB_PAYLOAD.clark:
            feeds.append(read_feed(child))
        else:
            text = "a report interval must hold oadrReportPayload, not signalPayload"
            raise ComplianceError(text, field=INTERVAL.local)
    return ReportInterval(dtstart=dtstart, duration=duration, uid=uid, payloads=tuple(payloads), feeds=tuple(feeds))


def _read_uid(text: str) -> int | None:
    digits = text.strip()
    return read_whole(digits, UID.local) if digits else None


def _write_payload(payload: ReportPayload) -> str:
    return _PAYLOAD(
        R_ID.text(payload.r_id),
        _CONFIDENCE.integer(payload.confidence),
        _ACCURACY.number(payload.accuracy),
        _write_status(payload.value)
        if isinstance(payload.value, ResourceStatus)
        else PAYLOAD_FLOAT(VALUE.number(payload.value)),
        _QUALITY.maybe(payload.data_quality),
    )


def _read_payload(element: etree._Element) -> ReportPayload:
    first, *rest = element
    confidence, accuracy, quality, value = None, None, None, first
    for child in rest:
        tag = child.tag
        if tag == _CONFIDENCE.clark:
            confidence = read_whole(child.text or "", _CONFIDENCE.local)
        elif tag == _ACCURACY.clark:
            accuracy = read_finite(child.text or "", _ACCURACY.local)
        elif tag == _QUALITY.clark:
            quality = " ".join((child.text or "").split())
        else:
            value = child
    return ReportPayload(
        r_id=first.text or "",
        confidence=confidence,
        accuracy=accuracy,
        value=_read_value(value),
        data_quality=quality,
    )


def _read_value(element: etree._Element) -> float | ResourceStatus:
    if element.tag == PAYLOAD_FLOAT.clark:
        return read_finite(element[0].text or "", VALUE.local)
    return _read_status(Reader(element))


def _write_status(status: ResourceStatus) -> str:
    state = status.load_control_state
    return _STATUS(
        _ONLINE.flag(status.online),
        _OVERRIDE.flag(status.manual_override),
        ""
        if state is None
        else _LOAD_STATE(
            _write_load(_CAPACITY, state.capacity),
            _write_load(_LEVEL_OFFSET, state.level_offset),
            _write_load(_PERCENT_OFFSET, state.percent_offset),
            _write_load(_SET_POINT, state.set_point),
        ),
    )


def _read_status(reader: Reader) -> ResourceStatus:
    state = reader.maybe_inside(_LOAD_STATE)
    return ResourceStatus(
        online=reader.flag(_ONLINE),
        manual_override=reader.flag(_OVERRIDE),
        load_control_state=None
        if state is None
        else LoadControlState(
            capacity=_read_load(state, _CAPACITY),
            level_offset=_read_load(state, _LEVEL_OFFSET),
            percent_offset=_read_load(state, _PERCENT_OFFSET),
            set_point=_read_load(state, _SET_POINT),
        ),
    )


def _write_load(tag: Tag, value: LoadControlValue | None) -> str:
    if value is None:
        return ""
    return tag(
        _MIN.number(value.minimum),
        _MAX.number(value.maximum),
        _CURRENT.number(value.current),
        _NORMAL.number(value.normal),
    )


def _read_load(reader: Reader, tag: Tag) -> LoadControlValue | None:
    value = reader.maybe_inside(tag)
    if value is None:
        return None
    return LoadControlValue(
        current=value.number(_CURRENT),
        minimum=value.maybe_number(_MIN),
        maximum=value.maybe_number(_MAX),
        normal=value.maybe_number(_NORMAL),
    )
