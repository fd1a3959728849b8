"""Events against time: status, order, effective period, values in force, overlap, next change; ``now`` is an argument.

Rule: starts are inclusive and ends exclusive (R18), duration zero is open-ended (R47), and the random offset moves the
effective period but never the status (R13, R66).

::

    scheduled            dtstart                          dtstart+duration
                            |======== duration ==============|
    status      far ...near |............ active ............| completed ............
                    |ramp-up|                                |<-- startafter -->|
    payload     --------------------- in the payload ---------------------------|  (R50, R66)

    effective               |offset|======== duration ==============|              (R30)
    segments                       |--- v0 ---|- v1 -|----- v2 -----|

A date beyond the calendar (year 9999 plus a duration) is held at the calendar's last instant instead of raising.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from openadr.model import ActivePeriod, Event, EventStatus, Interval, Signal, SignalName
from openadr.times import Duration

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)  # stands for "beyond the calendar"; kept as an ordinary instant
_PENDING = (EventStatus.FAR, EventStatus.NEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePeriod:
    """When an event is carried out: ``start`` inclusive, ``end`` exclusive or ``None`` for open-ended."""

    start: datetime
    end: datetime | None

    def contains(self, now: datetime) -> bool:
        """True while the event is to be carried out (R18)."""
        return self.start <= now and (self.end is None or now < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of the effective period with one value: ``start`` inclusive, ``end`` exclusive or ``None``."""

    start: datetime
    end: datetime | None
    value: float


def _after(start: datetime, length: Duration) -> datetime:
    try:
        return length.after(start)
    except (OverflowError, ValueError):
        return _LAST if length.months > 0 or length.seconds > 0 else _FIRST


def _shift(at: datetime, seconds: float) -> datetime:
    try:
        return at + timedelta(seconds=seconds)
    except OverflowError:
        return _LAST if seconds > 0 else _FIRST


def scheduled_end(period: ActivePeriod) -> datetime | None:
    """Return dtstart + duration, ``None`` for an open-ended event (R47)."""
    return None if period.duration.is_zero else _after(period.dtstart, period.duration)


def near_start(period: ActivePeriod) -> datetime:
    """Return when near begins: dtstart less a positive ramp-up, else dtstart itself (R13)."""
    ramp = period.ramp_up
    if ramp is None:
        return period.dtstart
    return min(period.dtstart, _after(period.dtstart, Duration(months=-ramp.months, seconds=-ramp.seconds)))


def _payload_end(period: ActivePeriod) -> datetime | None:
    """Return dtstart + duration + startafter, ``None`` for an open-ended event (R66)."""
    end = scheduled_end(period)
    if end is None or period.startafter is None:
        return end
    return max(end, _after(end, period.startafter))


def window_s(period: ActivePeriod) -> float | None:
    """Return the width of the random start window in seconds; ``None`` if the tolerance is absent (RND-03)."""
    if period.startafter is None:
        return None
    return max(0.0, (_after(period.dtstart, period.startafter) - period.dtstart).total_seconds())


def _time_status(period: ActivePeriod, now: datetime) -> EventStatus:
    end = scheduled_end(period)
    if end is not None and now >= end:
        return EventStatus.COMPLETED
    if now >= period.dtstart:
        return EventStatus.ACTIVE
    return EventStatus.NEAR if now >= near_start(period) else EventStatus.FAR


def status(event: Event, now: datetime) -> EventStatus:
    """Return the status at ``now`` (R13, R47, R114): only ``cancelled`` is taken from the event itself."""
    if event.descriptor.event_status is EventStatus.CANCELLED:
        return EventStatus.CANCELLED
    return _time_status(event.active_period, now)


def in_payload(event: Event, now: datetime) -> bool:
    """True while time alone keeps the event in payloads: until dtstart + duration + startafter (R50, R66).

    Whether a cancelled event was acknowledged (R52) is for the caller to know.
    """
    end = _payload_end(event.active_period)
    return end is None or now < end


def _rank(event: Event, now: datetime) -> tuple[int, int, datetime]:
    start, priority = event.active_period.dtstart, event.descriptor.priority
    state = _time_status(event.active_period, now)  # a cancelled event keeps its place
    if state is EventStatus.ACTIVE:
        return (0, priority if priority > 0 else 2**63, start)  # R3: 0 is none and therefore last
    return (1 if state in _PENDING else 2, 0, start)


def order(events: Iterable[Event], now: datetime) -> tuple[Event, ...]:
    """Sort for a payload (R15): active by priority 1, 2 ... 0, then start; pending by start; completed last; stable."""
    return tuple(sorted(events, key=lambda event: _rank(event, now)))


def effective(event: Event, offset_s: float = 0.0) -> EffectivePeriod:
    """Return when the event is carried out with a random offset of ``offset_s`` seconds; the end moves along (R30)."""
    end = scheduled_end(event.active_period)
    return EffectivePeriod(
        start=_shift(event.active_period.dtstart, offset_s), end=None if end is None else _shift(end, offset_s)
    )


def pieces(intervals: tuple[Interval, ...], period: ActivePeriod) -> Iterator[Segment]:
    """Yield the scheduled segments; the last value holds to the period's end, what lies beyond the end is cut."""
    end = scheduled_end(period)
    at, last = period.dtstart, len(intervals) - 1
    for index, interval in enumerate(intervals):
        until = max(at, _after(at, interval.duration)) if index < last else end
        if until is not None and end is not None:
            until = min(until, end)
        if until is None or until > at:
            yield Segment(start=at, end=until, value=interval.value)
        at = until or at


def segments(event: Event, signal: Signal, offset_s: float = 0.0) -> tuple[Segment, ...]:
    """Return the values of ``signal`` over the effective period: no gap, no overlap, in time order.

    Boundaries are computed on the schedule and then shifted, so calendar durations keep their length. Intervals that do
    not add up to the event's duration (against R102) are cut at its end, or the last value holds until it.
    """
    return tuple(
        Segment(
            start=_shift(piece.start, offset_s),
            end=None if piece.end is None else _shift(piece.end, offset_s),
            value=piece.value,
        )
        for piece in pieces(signal.intervals, event.active_period)
    )


def current_value(signal: Signal, period: ActivePeriod, now: datetime) -> float | None:
    """Return the running interval's value (R29); while not active 0 for SIMPLE (R14), else ``None`` (R110)."""
    if _time_status(period, now) is EventStatus.ACTIVE:
        for piece in pieces(signal.intervals, period):
            if piece.end is None or now < piece.end:
                return piece.value
    return 0.0 if signal.signal_name == SignalName.SIMPLE else None


def overlaps(one: Event, other: Event) -> bool:
    """True if the events can run at the same time: each may last to dtstart + duration + startafter (R18)."""
    first, second = sorted((one.active_period, other.active_period), key=lambda period: period.dtstart)
    end = _payload_end(first)
    return end is None or second.dtstart < end


def _changes(event: Event) -> Iterator[datetime]:
    period = event.active_period
    yield from (near_start(period), period.dtstart)
    yield from (end for end in (scheduled_end(period), _payload_end(period)) if end is not None)
    yield from (piece.start for signal in event.signals for piece in pieces(signal.intervals, period))


def next_change(events: Iterable[Event], now: datetime) -> datetime | None:
    """Return the first instant after ``now`` at which a status, a value or the payload changes; ``None``: never."""
    return min((at for event in events for at in _changes(event) if at > now), default=None)


def ended(event: Event, now: datetime, offset_s: float = 0.0) -> bool:
    """True once the effective period is over (end exclusive, R18); an open-ended event never ends by time (R47)."""
    end = effective(event, offset_s).end
    return end is not None and now >= end
