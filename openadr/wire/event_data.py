"""One oadrEvent on the wire: descriptor, active period, signals, baseline and target.

Rule: what makes a single event wrong (a value that is NaN, missing or of another kind, an uid that is no number) is
kept as NaN or -1 for ``signals.check_event`` to refuse, so that it does not spoil the other events (R19).
"""

from dataclasses import dataclass
from datetime import datetime
from math import nan

from openadr.errors import OadrError
from openadr.messages import UnreadableEvent
from openadr.model import (
    ActivePeriod,
    Baseline,
    EiTarget,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    ResponseRequired,
    Signal,
    SignalType,
)
from openadr.times import ZERO, format_instant
from openadr.wire.common import (
    COMPONENTS,
    CREATED_DATE_TIME,
    EVENT_ID,
    INTERVAL,
    INTERVALS,
    MARKET_CONTEXT,
    MODIFICATION_NUMBER,
    PAYLOAD_FLOAT,
    PROPERTIES,
    RESOURCE_ID,
    UID,
    UID_TEXT,
    VALUE,
    read_maybe_target,
    read_target,
    write_maybe_target,
    write_target,
)
from openadr.wire.units import read_item_base, write_item_base
from openadr.wire.xml import DTSTART, DURATION, Reader, Tag, write_dtstart

OADR_EVENT = Tag("oadr:oadrEvent")
_EVENT, _RESPONSE_REQUIRED = map(Tag, ("ei:eiEvent", "oadr:oadrResponseRequired"))
_DESCRIPTOR, _PERIOD, _SIGNALS = map(Tag, ("ei:eventDescriptor", "ei:eiActivePeriod", "ei:eiEventSignals"))
_TARGET = Tag("ei:eiTarget")
_MODIFIED, _REASON = Tag("ei:modificationDateTime"), Tag("ei:modificationReason")
_PRIORITY, _CONTEXT, _STATUS = map(Tag, ("ei:priority", "ei:eiMarketContext", "ei:eventStatus"))
_TEST_EVENT, _COMMENT = Tag("ei:testEvent"), Tag("ei:vtnComment")
_TOLERANCE, _TOLERATE, _START_AFTER = map(Tag, ("xcal:tolerance", "xcal:tolerate", "xcal:startafter"))
_NOTIFICATION, _RAMP_UP, _RECOVERY = map(Tag, ("ei:x-eiNotification", "ei:x-eiRampUp", "ei:x-eiRecovery"))
_SIGNAL, _SIGNAL_NAME, _SIGNAL_TYPE = map(Tag, ("ei:eiEventSignal", "ei:signalName", "ei:signalType"))
_SIGNAL_ID, _CURRENT, _SIGNAL_PAYLOAD = map(Tag, ("ei:signalID", "ei:currentValue", "ei:signalPayload"))
_BASELINE, _BASELINE_ID, _BASELINE_NAME = map(Tag, ("ei:eiEventBaseline", "ei:baselineID", "ei:baselineName"))
_CREATED_START = CREATED_DATE_TIME.start.encode()
_UID_DIGITS = 10  # an uid with more digits is no interval number
_BAD_UID = -1
_INSTANT_LENGTH = 20  # YYYY-MM-DDThh:mm:ssZ, as format_instant writes every instant


def write_event_target(target: EiTarget) -> str:
    """Write the target of an oadrEvent."""
    return write_target(_TARGET, target)


def write_event(event: Event) -> str:
    """Write one oadrEvent."""
    before, after = _write_frame(event)
    return before + write_event_target(event.target) + after


def _write_frame(event: Event) -> tuple[str, str]:
    """Write what stands before and after the target in one oadrEvent."""
    before = (
        OADR_EVENT.start,
        _EVENT.start,
        _write_descriptor(event.descriptor),
        _write_period(event.active_period),
        _SIGNALS("".join(map(_write_signal, event.signals)), _write_baseline(event.baseline)),
    )
    after = (_EVENT.end, _RESPONSE_REQUIRED.text(event.response_required), OADR_EVENT.end)
    return "".join(before), "".join(after)


@dataclass(frozen=True, slots=True)
class EventFrame:
    """One rendered oadrEvent without its target, which differs from VEN to VEN."""

    before: bytes
    after: bytes

    def around(self, target: EiTarget) -> bytes:
        """Return the event with this target, as ``encode_event`` renders it."""
        return self.before + write_event_target(target).encode() + self.after


def encode_frame(event: Event) -> EventFrame:
    """Render one oadrEvent but for its target."""
    before, after = _write_frame(event)
    return EventFrame(before.encode(), after.encode())


def read_event(reader: Reader) -> Event:
    """Read one oadrEvent."""
    event = reader.inside(_EVENT)
    signals = event.inside(_SIGNALS)
    baseline = signals.maybe_inside(_BASELINE)
    return Event(
        descriptor=_read_descriptor(event.inside(_DESCRIPTOR)),
        active_period=_read_period(event.inside(_PERIOD).inside(PROPERTIES)),
        signals=tuple(map(_read_signal, signals.each(_SIGNAL))),
        target=read_target(event.inside(_TARGET).element),
        baseline=None if baseline is None else _read_baseline(baseline),
        response_required=ResponseRequired(reader.token(_RESPONSE_REQUIRED)),
    )


def read_unreadable(reader: Reader, error: OadrError) -> UnreadableEvent:
    """Read what an answer to an unreadable event needs. Raises ``InvalidData`` if not even that can be read."""
    descriptor = reader.inside(_EVENT).inside(_DESCRIPTOR)
    return UnreadableEvent(
        event_id=descriptor.text(EVENT_ID),
        modification_number=descriptor.integer(MODIFICATION_NUMBER),
        response_required=ResponseRequired(reader.token(_RESPONSE_REQUIRED)),
        code=error.code,
        description=error.description,
    )


def _write_descriptor(descriptor: EventDescriptor) -> str:
    return _DESCRIPTOR(
        EVENT_ID.text(descriptor.event_id),
        MODIFICATION_NUMBER.integer(descriptor.modification_number),
        _MODIFIED.instant(descriptor.modification_date_time),
        _REASON.maybe(descriptor.modification_reason),
        _PRIORITY.integer(descriptor.priority),
        _CONTEXT(MARKET_CONTEXT.text(descriptor.market_context)),
        CREATED_DATE_TIME.instant(descriptor.created_date_time),
        _STATUS.text(descriptor.event_status),
        _TEST_EVENT.maybe(descriptor.test_event),
        _COMMENT.maybe(descriptor.vtn_comment),
    )


def _read_descriptor(reader: Reader) -> EventDescriptor:
    return EventDescriptor(
        event_id=reader.text(EVENT_ID),
        modification_number=reader.integer(MODIFICATION_NUMBER),
        modification_date_time=reader.maybe_instant(_MODIFIED),
        modification_reason=reader.maybe(_REASON),
        priority=reader.maybe_integer(_PRIORITY) or 0,
        market_context=reader.inside(_CONTEXT).token(MARKET_CONTEXT),
        created_date_time=reader.instant(CREATED_DATE_TIME),
        event_status=EventStatus(reader.token(_STATUS)),
        test_event=reader.maybe(_TEST_EVENT),
        vtn_comment=reader.maybe(_COMMENT),
    )


def _write_period(period: ActivePeriod) -> str:
    after = period.startafter
    return _PERIOD(
        PROPERTIES(
            write_dtstart(period.dtstart),
            DURATION.duration(period.duration),
            "" if after is None else _TOLERANCE(_TOLERATE(_START_AFTER.length(after))),
            _NOTIFICATION.duration(period.notification),
            _RAMP_UP.duration(period.ramp_up),
            _RECOVERY.duration(period.recovery),
        ),
        COMPONENTS(),
    )


def _read_period(reader: Reader) -> ActivePeriod:
    tolerance = reader.maybe_inside(_TOLERANCE)
    return ActivePeriod(
        dtstart=reader.dtstart(),
        duration=reader.duration(DURATION),
        startafter=None if tolerance is None else tolerance.inside(_TOLERATE).maybe_length(_START_AFTER),
        notification=reader.maybe_duration(_NOTIFICATION) or ZERO,
        ramp_up=reader.maybe_duration(_RAMP_UP),
        recovery=reader.maybe_duration(_RECOVERY),
    )


def _write_intervals(intervals: tuple[Interval, ...]) -> str:
    return INTERVALS(
        *(
            INTERVAL(
                write_dtstart(interval.dtstart),
                DURATION.duration(interval.duration),
                UID(UID_TEXT.integer(interval.uid)),
                _SIGNAL_PAYLOAD(PAYLOAD_FLOAT(VALUE.number(interval.value))),
            )
            for interval in intervals
        )
    )


def _read_intervals(reader: Reader) -> tuple[Interval, ...]:
    return tuple(_read_interval(index, child) for index, child in enumerate(reader.inside(INTERVALS).each(INTERVAL)))


def _read_interval(index: int, reader: Reader) -> Interval:
    """Read an interval: an uid that is missing is its place, a duration that is missing is zero."""
    uid = reader.maybe_inside(UID)
    return Interval(
        duration=reader.maybe_duration(DURATION) or ZERO,
        uid=index if uid is None else _read_uid(uid.text(UID_TEXT)),
        value=_read_value(reader),
        dtstart=reader.maybe_dtstart(),
    )


def _read_uid(text: str) -> int:
    digits = text.strip()
    return int(digits) if digits.isdecimal() and len(digits) <= _UID_DIGITS else _BAD_UID


def _read_value(reader: Reader) -> float:
    """Read the one payload of an interval, NaN if it has several or another kind of payload (R100)."""
    payloads = len(reader.element) - sum(map(reader.has, (DTSTART, DURATION, UID)))
    if payloads != 1 or not reader.has(_SIGNAL_PAYLOAD):
        return nan
    payload = reader.inside(_SIGNAL_PAYLOAD).maybe_inside(PAYLOAD_FLOAT)
    return nan if payload is None else float(payload.text(VALUE))


def _write_signal(signal: Signal) -> str:
    current = signal.current_value
    return _SIGNAL(
        _write_intervals(signal.intervals),
        write_maybe_target(_TARGET, signal.target),
        _SIGNAL_NAME.text(signal.signal_name),
        _SIGNAL_TYPE.text(signal.signal_type),
        _SIGNAL_ID.text(signal.signal_id),
        write_item_base(signal.item_base),
        "" if current is None else _CURRENT(PAYLOAD_FLOAT(VALUE.number(current))),
    )


def _read_signal(reader: Reader) -> Signal:
    current = reader.maybe_inside(_CURRENT)
    name = reader.token(_SIGNAL_NAME)
    return Signal(
        signal_name="SIMPLE" if name == "simple" else name,  # the old spelling, still in the schema
        signal_type=SignalType(reader.token(_SIGNAL_TYPE)),
        signal_id=reader.text(_SIGNAL_ID),
        intervals=_read_intervals(reader),
        target=read_maybe_target(reader, _TARGET),
        item_base=read_item_base(reader.element),
        current_value=None if current is None else float(current.inside(PAYLOAD_FLOAT).text(VALUE)),
    )


def _write_baseline(baseline: Baseline | None) -> str:
    if baseline is None:
        return ""
    return _BASELINE(
        write_dtstart(baseline.dtstart),
        DURATION.duration(baseline.duration),
        _write_intervals(baseline.intervals),
        _BASELINE_ID.text(baseline.baseline_id),
        RESOURCE_ID.texts(baseline.resource_ids),
        _BASELINE_NAME.text(baseline.baseline_name),
        write_item_base(baseline.item_base),
    )


def _read_baseline(reader: Reader) -> Baseline:
    return Baseline(
        dtstart=reader.dtstart(),
        duration=reader.duration(DURATION),
        intervals=_read_intervals(reader),
        baseline_id=reader.text(_BASELINE_ID),
        baseline_name=reader.text(_BASELINE_NAME),
        resource_ids=reader.texts(RESOURCE_ID),
        item_base=read_item_base(reader.element),
    )


def stamp(rendered: bytes, created: datetime) -> bytes:
    """Return a rendered oadrEvent with another createdDateTime; texts are escaped, so the tag occurs exactly once."""
    head, tag, tail = rendered.partition(_CREATED_START)
    return head + tag + format_instant(created).encode() + tail[_INSTANT_LENGTH:]
