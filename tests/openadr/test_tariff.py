"""Days of prices by the local clock, clock-change days among them."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr.tariff import blocks, daily_window, day_ahead

LONDON = ZoneInfo("Europe/London")
PLAIN, SPRING, AUTUMN = date(2026, 6, 1), date(2026, 3, 29), date(2026, 10, 25)


@pytest.mark.parametrize(("day", "count"), [(PLAIN, 48), (SPRING, 46), (AUTUMN, 50)])
def test_evt_10_a_clock_change_day_has_46_or_50_half_hours(day: date, count: int) -> None:
    edges = blocks(day, LONDON)
    assert len(edges) - 1 == count
    assert edges[-1] == blocks(day + timedelta(days=1), LONDON)[0]
    start, intervals = day_ahead(day, LONDON, [0.1] * count)
    assert (start, len(intervals)) == (edges[0], count)
    assert [interval.uid for interval in intervals] == list(range(count))
    assert sum(interval.duration.seconds for interval in intervals) == (edges[-1] - start).total_seconds()


def test_evt_10_any_block_length_that_fills_the_day() -> None:
    assert len(blocks(AUTUMN, LONDON, 3600)) - 1 == 25
    assert len(blocks(PLAIN, LONDON, 900)) - 1 == 96
    assert len(blocks(date(2026, 10, 4), ZoneInfo("Australia/Lord_Howe"))) - 1 == 47
    with pytest.raises(ValueError, match="do not fill 2026-10-04, which lasts 23:30"):
        blocks(date(2026, 10, 4), ZoneInfo("Australia/Lord_Howe"), 3600)
    for wrong in (0, -60):
        with pytest.raises(ValueError, match="do not fill"):
            blocks(PLAIN, LONDON, wrong)


def test_evt_10_48_prices_on_a_clock_change_day_are_refused_and_never_stretched() -> None:
    with pytest.raises(ValueError, match="2026-03-29 has 46 blocks of 1800 s, and 48 prices were given"):
        day_ahead(SPRING, LONDON, [0.1] * 48)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(PLAIN, [0.5, 4, 19.5]), (SPRING, [0.5, 3, 19.5]), (AUTUMN, [0.5, 5, 19.5])],
)
def test_evt_10_a_fixed_night_window_is_by_the_clock(day: date, hours: list[float]) -> None:
    start, intervals = daily_window(day, LONDON, time(0, 30), time(4, 30), inside=0.07, outside=0.28)
    assert start == datetime.combine(day, time(), LONDON).astimezone(UTC)
    assert [interval.duration.seconds / 3600 for interval in intervals] == hours
    assert [interval.value for interval in intervals] == [0.28, 0.07, 0.28]


def test_evt_10_a_window_may_pass_midnight_or_touch_it() -> None:
    _, over = daily_window(PLAIN, LONDON, time(23), time(6), inside=1.0, outside=2.0)
    assert [(each.duration.seconds // 3600, each.value) for each in over] == [(6, 1.0), (17, 2.0), (1, 1.0)]
    _, early = daily_window(PLAIN, LONDON, time(0), time(4), inside=1.0, outside=2.0)
    assert [(each.duration.seconds // 3600, each.value) for each in early] == [(4, 1.0), (20, 2.0)]


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)), st.sampled_from(["Europe/London", "Australia/Sydney", "UTC"]))
def test_property_days_follow_each_other_without_gap_and_blocks_are_equal(day: date, zone: str) -> None:
    edges = blocks(day, ZoneInfo(zone))
    assert {other - one for one, other in pairwise(edges)} == {timedelta(minutes=30)}
    assert edges[-1] == blocks(day + timedelta(days=1), ZoneInfo(zone))[0]
