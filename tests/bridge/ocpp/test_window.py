"""bridge.ocpp.window: plans of any length on chargers of any size, split and rolled, never looser than the plan."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ocpp.profile import Plan
from bridge.ocpp.window import LEAD_S, make_window, next_write

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY_S = 86_400


def make(*periods: tuple[int, float], length_s: int = 3600) -> Plan:
    end = START + timedelta(seconds=length_s)
    return Plan(start=START, duration_s=length_s, valid_to=end + timedelta(seconds=60), unit="A", periods=periods)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    values = draw(st.lists(st.sampled_from([0.0, 6.0, 8.5, 16.0, 32.0]), min_size=1, max_size=40))
    gaps = draw(st.lists(st.integers(1, 4000), min_size=len(values), max_size=len(values)))
    starts = [sum(gaps[:index]) for index in range(len(values))]
    length_s = starts[-1] + draw(st.integers(1, 100_000))
    return make(*zip(starts, values, strict=True), length_s=length_s)


def at(plan: Plan, second: float) -> float:
    """The limit of ``plan`` so many seconds after START, infinite where there is none."""
    since = second - (plan.start - START).total_seconds()
    if not 0 <= since < plan.duration_s:
        return math.inf
    return [value for begin, value in plan.periods if begin <= since][-1]


def seen(plan: Plan, window: Plan, now_s: int) -> list[int]:
    """Every second at which something may change from now to the end of the window."""
    edges = {begin for begin, _ in (*plan.periods, *window.periods)} | {now_s, window.duration_s - 1}
    return sorted(edge for edge in edges if now_s <= edge < window.duration_s)


@given(plans(), st.integers(1, 30), st.integers(-5000, 200_000), st.integers(600, 200_000))
def test_out_02_ocp_05_a_window_fits_is_bounded_and_never_looser_than_the_plan(
    plan: Plan, most: int, now_s: int, longest_s: int
) -> None:
    if now_s >= plan.duration_s:
        return
    now = START + timedelta(seconds=now_s)
    window = make_window(plan, most, longest_s, now)
    part, since_s = window.plan, max(0, now_s)
    assert 1 <= len(part.periods) <= most
    starts = [begin for begin, _ in part.periods]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] < part.duration_s <= min(plan.duration_s, since_s + longest_s)
    assert part.valid_to - plan.valid_to == timedelta(seconds=part.duration_s - plan.duration_s)
    assert at(part, since_s) == at(plan, since_s)
    grace = {s for s in seen(plan, part, since_s) if most == 1 and s >= part.duration_s - LEAD_S}
    assert all(at(part, s) <= at(plan, s) for s in seen(plan, part, since_s) if s not in grace)
    assert (window.renew_at is None) == (part.duration_s == plan.duration_s and exact(plan, part, since_s))
    assert window.renew_at is None or now < window.renew_at < START + timedelta(seconds=plan.duration_s)


def exact(plan: Plan, part: Plan, now_s: int) -> bool:
    left = sum(begin > now_s for begin, _ in plan.periods) + 1
    return len(part.periods) == left


@given(plans(), st.integers(1, 30))
def test_ocp_05_windows_sent_in_time_are_together_the_plan(plan: Plan, most: int) -> None:
    """With three periods or more there is no gap at all; with fewer the next window comes at the very change."""
    now_s, sent = 0, 0
    while True:
        window = make_window(plan, most, DAY_S, START + timedelta(seconds=now_s))
        sent += 1
        assert sent <= 3 * len(plan.periods) + 20
        until = plan.duration_s if window.renew_at is None else int((window.renew_at - START).total_seconds())
        changes = [s for s in seen(plan, window.plan, now_s) if s < until]
        assert all(at(window.plan, s) == at(plan, s) for s in changes)
        if window.renew_at is None:
            return
        now_s = until


def test_what_fits_is_sent_whole() -> None:
    plan = make((0, 10.0), (600, 8.0))
    assert make_window(plan, 2, DAY_S, START).plan == plan
    assert make_window(plan, 2, DAY_S, START).renew_at is None


def test_what_has_passed_needs_no_room() -> None:
    window = make_window(make((0, 10.0), (600, 8.0), (1200, 7.0)), 2, DAY_S, START + timedelta(seconds=700))
    assert window.plan.periods == ((0, 8.0), (1200, 7.0))
    assert window.renew_at is None


def test_the_rest_is_held_at_its_strictest_until_the_next_window_comes() -> None:
    plan = make((0, 16.0), (600, 10.0), (1200, 14.0), (1800, 8.0), (2400, 12.0))
    window = make_window(plan, 3, DAY_S, START)
    assert window.plan.periods == ((0, 16.0), (600, 10.0), (1200, 8.0))
    assert window.renew_at == START + timedelta(seconds=1200 - LEAD_S)


def test_a_charger_of_two_periods_is_renewed_at_each_change() -> None:
    window = make_window(make((0, 16.0), (600, 0.0), (1200, 14.0)), 2, DAY_S, START)
    assert window.plan.periods == ((0, 16.0), (600, 0.0))
    assert window.renew_at == START + timedelta(seconds=600)


def test_a_charger_of_one_period_never_holds_a_zero_that_is_not_due() -> None:
    window = make_window(make((0, 16.0), (600, 0.0)), 1, DAY_S, START)
    assert window.plan.periods == ((0, 16.0),)
    assert window.plan.duration_s == 600 + LEAD_S
    assert window.renew_at == START + timedelta(seconds=600)


def test_c_3_a_zero_of_days_is_sent_a_day_at_a_time() -> None:
    plan = make((0, 0.0), length_s=7 * DAY_S)
    window = make_window(plan, 24, DAY_S, START)
    assert window.plan.duration_s == DAY_S
    assert window.plan.valid_to == START + timedelta(seconds=DAY_S + 60)
    assert window.renew_at == START + timedelta(hours=12)


@pytest.mark.parametrize(
    ("writes", "later_s"), [([], None), ([-3700, -10], None), ([-3000, -10], 600), ([-3000, 10], None)]
)
def test_c_6_lasting_memory_is_written_so_often_an_hour_and_no_more(writes: list[int], later_s: int | None) -> None:
    expected = None if later_s is None else START + timedelta(seconds=later_s)
    assert next_write([START + timedelta(seconds=at) for at in writes], 2, START) == expected
