"""openadr.timeline: the rules about status, order, effective period, segments and overlap: examples and properties."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr import timeline
from openadr.model import (
    ActivePeriod,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    Signal,
    SignalType,
)
from openadr.times import ZERO, Duration

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = Duration(seconds=3600)
LAST = datetime.max.replace(tzinfo=UTC)


def signal(*values: tuple[int, float], name: str = "SIMPLE", months: int = 0) -> Signal:
    return Signal(
        signal_name=name,
        signal_type=SignalType.LEVEL,
        signal_id="s0",
        intervals=tuple(
            Interval(duration=Duration(seconds=seconds, months=months), uid=uid, value=value)
            for uid, (seconds, value) in enumerate(values)
        ),
    )


def event(
    event_id: str = "e1",
    *,
    start: datetime = T0,
    duration: Duration = HOUR,
    startafter: Duration | None = None,
    ramp_up: Duration | None = None,
    priority: int = 0,
    status: EventStatus = EventStatus.FAR,
    signals: tuple[Signal, ...] | None = None,
) -> Event:
    return Event(
        descriptor=EventDescriptor(
            event_id=event_id,
            modification_number=0,
            market_context="http://market.example",
            created_date_time=T0,
            event_status=status,
            priority=priority,
        ),
        active_period=ActivePeriod(dtstart=start, duration=duration, startafter=startafter, ramp_up=ramp_up),
        signals=(signal((duration.seconds, 1.0)),) if signals is None else signals,
    )


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


# --- status -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-601, EventStatus.FAR),
        (-600, EventStatus.NEAR),
        (-1, EventStatus.NEAR),
        (0, EventStatus.ACTIVE),
        (3599, EventStatus.ACTIVE),
        (3600, EventStatus.COMPLETED),
    ],
)
def test_rule_013_far_near_active_completed_with_a_ramp_up_of_ten_minutes(seconds: int, expected: EventStatus) -> None:
    assert timeline.status(event(ramp_up=Duration(seconds=600)), at(seconds)) is expected


@pytest.mark.parametrize("ramp_up", [None, ZERO, Duration(seconds=-600)])
def test_rule_013_without_positive_ramp_up_far_goes_to_active(ramp_up: Duration | None) -> None:
    assert timeline.status(event(ramp_up=ramp_up), at(-1)) is EventStatus.FAR
    assert timeline.status(event(ramp_up=ramp_up), at(0)) is EventStatus.ACTIVE


def test_rule_047_open_ended_event_stays_active() -> None:
    assert timeline.status(event(duration=ZERO), at(10 * 366 * 86_400)) is EventStatus.ACTIVE


def test_rule_114_only_cancelled_is_taken_from_the_event() -> None:
    assert timeline.status(event(status=EventStatus.CANCELLED), at(10)) is EventStatus.CANCELLED
    assert timeline.status(event(status=EventStatus.COMPLETED), at(10)) is EventStatus.ACTIVE


def test_rule_066_startafter_does_not_shift_the_status_but_keeps_the_event_in_payloads() -> None:
    late = event(startafter=Duration(seconds=300))
    assert timeline.status(late, at(3600)) is EventStatus.COMPLETED
    assert timeline.in_payload(late, at(3899))
    assert not timeline.in_payload(late, at(3900))


def test_rule_050_event_without_tolerance_leaves_payloads_at_its_end() -> None:
    assert timeline.in_payload(event(), at(-100_000))
    assert timeline.in_payload(event(), at(3599))
    assert not timeline.in_payload(event(), at(3600))
    assert timeline.in_payload(event(duration=ZERO, startafter=HOUR), at(10**8))


@pytest.mark.parametrize(
    ("startafter", "expected"),
    [(None, None), (ZERO, 0.0), (Duration(seconds=300), 300.0), (Duration(seconds=-5), 0.0)],
)
def test_rnd_03_window_tells_absent_from_explicit_zero(startafter: Duration | None, expected: float | None) -> None:
    assert timeline.window_s(event(startafter=startafter).active_period) == expected


# --- order ------------------------------------------------------------------------------------------------------------


def test_rule_015_active_by_priority_with_zero_last_then_start_then_pending_by_start() -> None:
    now = at(0)
    pending_soon = event("p-soon", start=at(60), priority=9)
    pending_late = event("p-late", start=at(120), priority=1)
    none = event("a-none", start=at(-60), priority=0)
    first = event("a-1", start=at(-10), priority=1)
    second_old = event("a-2-old", start=at(-30), priority=2)
    second_new = event("a-2-new", start=at(-20), priority=2)
    done = event("done", start=at(-4000), priority=1)
    mixed = (done, pending_late, none, second_new, pending_soon, second_old, first)
    names = [one.descriptor.event_id for one in timeline.order(mixed, now)]
    assert names == ["a-1", "a-2-old", "a-2-new", "a-none", "p-soon", "p-late", "done"]


def test_rule_015_a_cancelled_event_keeps_its_place_and_ties_are_stable() -> None:
    twins = (event("x"), event("y", status=EventStatus.CANCELLED), event("z"))
    assert [one.descriptor.event_id for one in timeline.order(twins, at(5))] == ["x", "y", "z"]


# --- effective period and segments ------------------------------------------------------------------------------------


def test_rnd_02_start_and_end_move_together_by_the_offset() -> None:
    period = timeline.effective(event(startafter=Duration(seconds=300)), 180)
    assert (period.start, period.end) == (at(180), at(3780))
    assert not period.contains(at(179))
    assert period.contains(at(180))
    assert not period.contains(at(3780))


def test_rule_047_open_ended_event_has_no_effective_end_and_never_ends() -> None:
    forever = event(duration=ZERO, signals=(signal((0, 2.0)),))
    period = timeline.effective(forever, 5)
    assert period.end is None
    assert period.contains(at(10**9))
    assert not timeline.ended(forever, at(10**9))
    assert timeline.segments(forever, forever.signals[0], 5) == (timeline.Segment(start=at(5), end=None, value=2.0),)


def test_rule_018_end_is_exclusive_and_moves_with_the_offset() -> None:
    assert not timeline.ended(event(), at(3600), 10)
    assert timeline.ended(event(), at(3610), 10)
    assert timeline.ended(event(), at(3600))


def test_rule_032_open_ended_event_with_steps_holds_the_last_value() -> None:
    steps = signal((60, 1.0), (0, 3.0), (0, 2.0))
    forever = event(duration=ZERO, signals=(steps,))
    found = timeline.segments(forever, steps)
    assert [(piece.start, piece.end, piece.value) for piece in found] == [(at(0), at(60), 1.0), (at(60), None, 2.0)]


def test_rule_102_intervals_longer_than_the_event_are_cut_and_shorter_ones_hold() -> None:
    long = signal((3000, 1.0), (3000, 2.0), (3000, 3.0))
    short = signal((60, 1.0), (60, 2.0))
    assert [piece.end for piece in timeline.segments(event(signals=(long,)), long)] == [at(3000), at(3600)]
    assert [piece.end for piece in timeline.segments(event(signals=(short,)), short)] == [at(60), at(3600)]


def test_calendar_interval_keeps_its_scheduled_length_under_an_offset() -> None:
    start = datetime(2026, 1, 31, 23, 59, 0, tzinfo=UTC)
    monthly = signal((0, 1.0), months=1)
    long = event(start=start, duration=Duration(months=1), signals=(monthly,))
    (piece,) = timeline.segments(long, monthly, 120)
    assert piece.end is not None
    assert piece.end - piece.start == timedelta(days=28)


def test_dates_beyond_the_calendar_are_held_at_its_end_instead_of_raising() -> None:
    edge = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    wild = event(start=edge, duration=Duration(months=12), startafter=HOUR, ramp_up=HOUR)
    assert timeline.effective(wild, 10**6).end == LAST
    assert timeline.in_payload(wild, edge)
    early = event(start=datetime(1, 1, 1, tzinfo=UTC), ramp_up=HOUR)
    assert timeline.status(early, datetime(1, 1, 1, tzinfo=UTC)) is EventStatus.ACTIVE
    assert timeline.effective(early, -10.0).start == datetime.min.replace(tzinfo=UTC)


# --- values -----------------------------------------------------------------------------------------------------------


def test_rule_029_current_value_is_the_running_intervals_value() -> None:
    steps = signal((1800, 1.0), (1800, 2.0))
    period = event().active_period
    assert timeline.current_value(steps, period, at(0)) == 1.0
    assert timeline.current_value(steps, period, at(1800)) == 2.0
    assert timeline.current_value(signal((0, 3.0)), event(duration=ZERO).active_period, at(10**6)) == 3.0


def test_rule_014_simple_is_zero_and_rule_110_others_undefined_while_not_active() -> None:
    period = event().active_period
    other = signal((3600, 0.5), name="LOAD_CONTROL")
    for seconds in (-1, 3600):
        assert timeline.current_value(signal((3600, 2.0)), period, at(seconds)) == 0.0
        assert timeline.current_value(other, period, at(seconds)) is None
    assert timeline.current_value(replace(other, intervals=()), period, at(5)) is None


# --- overlap and next change ------------------------------------------------------------------------------------------


def test_rule_018_adjacent_events_do_not_overlap_unless_startafter_reaches_over() -> None:
    first, second = event("a"), event("b", start=at(3600))
    assert not timeline.overlaps(first, second)
    assert not timeline.overlaps(second, first)
    reaching = event("a", startafter=Duration(seconds=1))
    assert timeline.overlaps(reaching, second)
    assert timeline.overlaps(second, reaching)
    assert timeline.overlaps(event("forever", duration=ZERO, start=at(-10)), second)


def test_next_change_names_each_boundary_in_turn_and_then_none() -> None:
    steps = signal((1800, 1.0), (1800, 2.0))
    one = event(ramp_up=Duration(seconds=600), startafter=Duration(seconds=60), signals=(steps,))
    seen, now = [], at(-10_000)
    while (now_or_none := timeline.next_change([one], now)) is not None:
        now = now_or_none
        seen.append((now - T0).total_seconds())
    assert seen == [-600, 0, 1800, 3600, 3660]
    assert timeline.next_change([], at(0)) is None
    assert timeline.next_change([event(duration=ZERO, signals=(signal((0, 1.0)),))], at(1)) is None


# --- properties -------------------------------------------------------------------------------------------------------

seconds_list = st.lists(st.tuples(st.integers(0, 7200), st.floats(0, 3)), min_size=1, max_size=6)
offsets = st.floats(0, 3600, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def events(draw: st.DrawFn) -> Event:
    steps = draw(seconds_list)
    total = sum(seconds for seconds, _ in steps)
    exact = draw(st.booleans())
    duration = total if exact else draw(st.integers(0, 20_000))
    return event(
        f"e{draw(st.integers(0, 99))}",
        start=at(draw(st.integers(-20_000, 20_000))),
        duration=Duration(seconds=duration),
        startafter=draw(st.none() | st.integers(0, 900).map(lambda n: Duration(seconds=n))),
        ramp_up=draw(st.none() | st.integers(-900, 900).map(lambda n: Duration(seconds=n))),
        priority=draw(st.integers(0, 4)),
        status=draw(st.sampled_from([EventStatus.FAR, EventStatus.CANCELLED])),
        signals=(signal(*steps),),
    )


@given(events(), offsets)
def test_property_segments_partition_the_effective_period(one: Event, offset: float) -> None:
    period = timeline.effective(one, offset)
    pieces = timeline.segments(one, one.signals[0], offset)
    assert pieces[0].start == period.start
    assert pieces[-1].end == period.end
    for before, after in itertools.pairwise(pieces):
        assert before.end == after.start
    assert all(piece.end is None or piece.start < piece.end for piece in pieces)


@given(events(), offsets)
def test_property_an_offset_shifts_every_boundary_alike(one: Event, offset: float) -> None:
    shift = timedelta(seconds=offset)
    still, moved = (timeline.segments(one, one.signals[0], by) for by in (0.0, offset))
    assert [(piece.start + shift, piece.end and piece.end + shift, piece.value) for piece in still] == [
        (piece.start, piece.end, piece.value) for piece in moved
    ]


@given(events(), st.lists(st.integers(-30_000, 60_000), min_size=2, max_size=20))
def test_property_status_only_moves_forward_in_time(one: Event, moments: list[int]) -> None:
    ladder = [EventStatus.FAR, EventStatus.NEAR, EventStatus.ACTIVE, EventStatus.COMPLETED]
    seen = [timeline.status(one, at(moment)) for moment in sorted(moments)]
    if one.descriptor.event_status is EventStatus.CANCELLED:
        assert set(seen) == {EventStatus.CANCELLED}
    else:
        assert [ladder.index(state) for state in seen] == sorted(ladder.index(state) for state in seen)


@given(st.lists(events(), max_size=8), st.integers(-30_000, 60_000))
def test_property_order_is_a_stable_permutation_that_follows_rule_015(many: list[Event], moment: int) -> None:
    now = at(moment)
    found = timeline.order(many, now)
    assert sorted(map(id, found)) == sorted(map(id, many))
    assert timeline.order(found, now) == found
    states = [
        timeline.status(replace(one, descriptor=replace(one.descriptor, event_status=EventStatus.FAR)), now)
        for one in found
    ]
    active = [one for one, state in zip(found, states, strict=True) if state is EventStatus.ACTIVE]
    assert states[: len(active)] == [EventStatus.ACTIVE] * len(active)
    keys = [(one.descriptor.priority or 99, one.active_period.dtstart) for one in active]
    assert keys == sorted(keys)
    pending = [one.active_period.dtstart for one, state in zip(found, states, strict=True) if state in ("far", "near")]
    assert pending == sorted(pending)


@given(events(), events())
def test_property_overlap_is_symmetric_and_implied_by_meeting_scheduled_periods(one: Event, other: Event) -> None:
    assert timeline.overlaps(one, other) == timeline.overlaps(other, one)
    first, second = timeline.effective(one), timeline.effective(other)
    meet = (first.end is None or second.start < first.end) and (second.end is None or first.start < second.end)
    assert timeline.overlaps(one, other) or not meet


@given(st.lists(events(), max_size=4), st.integers(-30_000, 60_000))
def test_property_nothing_changes_before_the_next_change(many: list[Event], moment: int) -> None:
    now = at(moment)
    change = timeline.next_change(many, now)
    until = change - timedelta(seconds=1) if change else at(10**7)
    if until <= now:
        return
    assert [timeline.status(one, now) for one in many] == [timeline.status(one, until) for one in many]
    assert [timeline.in_payload(one, now) for one in many] == [timeline.in_payload(one, until) for one in many]
    for one in many:
        period, (only,) = one.active_period, one.signals
        assert timeline.current_value(only, period, now) == timeline.current_value(only, period, until)
