"""Half-hours as values: borders by interpolation, estimates, resets of the register, clock changes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from bridge.asks import Content
from bridge.flexibility import envelope
from bridge.halfhour import HALF_HOUR, half_hour, start_of, starts
from bridge.series import GOOD, NO_VALUE, NOT_CONNECTED, half_hourly, slots, together
from bridge.store import Sample
from tests.bridge.parts import at, resource


def sample(second: float, wh: float | None, watts: float | None = None) -> Sample:
    return Sample(charger="CP1", at=at(second), power_w=watts, max_a=None, energy_wh=wh)


@pytest.mark.parametrize(("day", "count"), [("2026-03-29", 46), ("2026-10-25", 50), ("2026-07-01", 48)])
def test_tel_07_a_clock_change_day_has_46_or_50_half_hours(day: str, count: int) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/London"))
    found = list(starts(begin.astimezone(UTC), (begin + timedelta(days=1)).astimezone(UTC)))
    assert len(found) == len(set(found)) == count
    assert all(later - one == HALF_HOUR for one, later in pairwise(found))


def test_tel_07_half_hours_begin_at_whole_ones_and_only_whole_ones_count() -> None:
    assert start_of(at(1799)) == at(0)
    assert list(starts(at(1), at(5399))) == [at(1800)]


def test_tel_07_energy_is_cut_at_the_border_so_that_neighbours_add_up() -> None:
    readings = [sample(second, second * 2.0) for second in range(-70, 3700, 110)]
    found = [half_hour("CP1", readings, at(start)) for start in (0, 1800)]
    assert [(each.energy_wh, each.estimated, each.covered_s) for each in found if each] == [(3600.0, False, 1800.0)] * 2


def test_tel_08_a_border_without_a_reading_near_it_makes_an_estimate() -> None:
    far = half_hour("CP1", [sample(-300, 0.0), sample(900, 1200.0), sample(2100, 2400.0)], at(0))
    assert far is not None
    assert (far.energy_wh, far.estimated) == (1800.0, True)
    short = half_hour("CP1", [sample(0, 0.0), sample(100, 500.0)], at(0))
    assert short is not None
    assert (short.energy_wh, short.estimated, short.covered_s) == (500.0, True, 100.0)


def test_tel_08_without_a_register_energy_is_the_mean_power_and_an_estimate() -> None:
    found = half_hour("CP1", [sample(60, None, 1000.0), sample(120, None, 3000.0)], at(0))
    assert found is not None
    assert (found.energy_wh, found.mean_w, found.max_w, found.samples, found.estimated) == (1000, 2000, 3000, 2, True)


def test_tel_08_nothing_known_is_no_row_and_two_readings_far_apart_say_nothing_between() -> None:
    assert half_hour("CP1", [], at(0)) is None
    alone = half_hour("CP1", [sample(0, 0.0, 7000.0)], at(0))
    assert alone is not None
    assert (alone.energy_wh, alone.mean_w) == (None, 7000.0)
    assert half_hour("CP1", [sample(-7200, 0.0), sample(7200, 99.0)], at(0)) is None


def test_a_register_that_goes_back_counts_from_zero() -> None:
    found = half_hour("CP1", [sample(0, 5000.0), sample(900, 5100.0), sample(1800, 40.0)], at(0))
    assert found is not None
    assert found.energy_wh == 140.0


def test_slots_cover_the_span_and_a_group_is_as_good_as_its_worst_part() -> None:
    assert slots(at(0), at(0), timedelta(seconds=10)) == [(at(0), at(0))]
    assert slots(at(0), at(25), timedelta(seconds=20)) == [(at(0), at(20)), (at(20), at(25))]
    assert together([]) == (0.0, NO_VALUE)
    assert together([(0.0, NOT_CONNECTED), (0.0, NO_VALUE)]) == (0.0, NOT_CONNECTED)
    assert together([(1.0, GOOD), (2.0, GOOD)]) == (3.0, GOOD)
    assert half_hourly(None, of_energy=True) == (0.0, NOT_CONNECTED)


def test_tel_10_a_full_store_has_no_room_upwards_and_an_unknown_one_no_envelope() -> None:
    full = envelope(resource(), 500.0, Content(content_wh=40_000.0, full_wh=40_000.0))
    assert full is not None
    assert (full.up_w, full.down_w, full.hold_s) == (0.0, 500.0, 0.0)
    assert envelope(resource(), 500.0, None) is None
