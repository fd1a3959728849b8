"""What an operator asks for, before it is an event: values, and the event they become.

Rule: pure; identifiers come from the ``new_id`` given, uids count from 0 (R2, R101), units default to those the
signal demands (R104).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from openadr.errors import InvalidData
from openadr.model import (
    ActivePeriod,
    Baseline,
    EiTarget,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    ItemBase,
    ResponseRequired,
    Signal,
    SignalType,
)
from openadr.signals import default_item_base
from openadr.times import ZERO, Duration, whole_second

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftInterval:
    """One value; without ``duration`` it fills the event (only if it is the only one)."""

    value: float
    duration: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftSignal:
    """A signal without ids; the unit defaults to the one its name and type demand (R104)."""

    signal_name: str
    signal_type: SignalType
    intervals: tuple[DraftInterval, ...]
    item_base: ItemBase | None = None
    device_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftBaseline:
    """What the resources together would draw without the event (R108); times default to the event's."""

    name: str
    intervals: tuple[DraftInterval, ...]
    resource_ids: tuple[str, ...] = ()
    item_base: ItemBase | None = None
    dtstart: datetime | None = None
    duration: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an operator asks for; ``dtstart`` ``None`` is now, targets are OR'd and at least one is needed."""

    market_context: str
    duration: Duration
    signals: tuple[DraftSignal, ...]
    ven_ids: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    baseline: DraftBaseline | None = None
    dtstart: datetime | None = None
    priority: int = 0
    startafter: Duration | None = None
    notification: Duration = ZERO
    ramp_up: Duration | None = None
    recovery: Duration | None = None
    response_required: ResponseRequired | None = None  # None: as the programme says, else always
    test_event: str | None = None
    vtn_comment: str | None = None

    def target(self) -> EiTarget:
        """Return the targets as they are kept with the event; areas are named groups of places (ei:groupName)."""
        return EiTarget(
            ven_ids=self.ven_ids,
            resource_ids=self.resource_ids,
            group_ids=self.group_ids,
            party_ids=self.party_ids,
            group_names=self.areas,
        )

    def target_kinds(self) -> tuple[str, ...]:
        """Return which kinds of target it names, in the words of the operator API."""
        kinds = (
            ("venID", self.ven_ids),
            ("resourceID", self.resource_ids),
            ("groupID", self.group_ids),
            ("partyID", self.party_ids),
            ("area", self.areas),
        )
        return tuple(kind for kind, names in kinds if names)


def build(draft: Draft, now: datetime, new_id: NewId) -> Event:
    """Return the event of a draft: version 0, ids made, uids counted from 0 (R2, R4)."""
    start = whole_second(now if draft.dtstart is None else draft.dtstart)
    return Event(
        descriptor=EventDescriptor(
            event_id=new_id("evt"),
            modification_number=0,
            market_context=draft.market_context,
            created_date_time=whole_second(now),
            event_status=EventStatus.FAR,
            priority=draft.priority,
            test_event=draft.test_event,
            vtn_comment=draft.vtn_comment,
        ),
        active_period=ActivePeriod(
            dtstart=start,
            duration=draft.duration,
            startafter=draft.startafter,
            notification=draft.notification,
            ramp_up=draft.ramp_up,
            recovery=draft.recovery,
        ),
        signals=tuple(_signal(each, draft.duration, new_id) for each in draft.signals),
        target=draft.target(),
        baseline=None if draft.baseline is None else _baseline(draft.baseline, start, draft.duration, new_id),
        response_required=draft.response_required or ResponseRequired.ALWAYS,
    )


def _signal(given: DraftSignal, whole: Duration, new_id: NewId) -> Signal:
    return Signal(
        signal_name=given.signal_name,
        signal_type=given.signal_type,
        signal_id=new_id("sig"),
        intervals=_intervals(given.intervals, whole, "signals"),
        target=EiTarget(end_device_assets=given.device_classes) if given.device_classes else None,
        item_base=given.item_base or default_item_base(given.signal_name, given.signal_type),
    )


def _baseline(given: DraftBaseline, start: datetime, whole: Duration, new_id: NewId) -> Baseline:
    duration = whole if given.duration is None else given.duration
    return Baseline(
        dtstart=start if given.dtstart is None else whole_second(given.dtstart),
        duration=duration,
        intervals=_intervals(given.intervals, duration, "baseline"),
        baseline_id=new_id("bas"),
        baseline_name=given.name,
        resource_ids=given.resource_ids,
        item_base=given.item_base,
    )


def _intervals(given: tuple[DraftInterval, ...], whole: Duration, where: str) -> tuple[Interval, ...]:
    lengths = [each.duration for each in given]
    if lengths == [None]:
        lengths = [whole]
    intervals = []
    for uid, (each, length) in enumerate(zip(given, lengths, strict=True)):
        if length is None:
            raise InvalidData("duration: needed in each of several intervals", field=f"{where}.intervals.duration")
        intervals.append(Interval(duration=length, uid=uid, value=each.value))
    return tuple(intervals)
