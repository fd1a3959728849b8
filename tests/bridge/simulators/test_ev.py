"""bridge.simulators.ev: the 6 A floor, the ramp, the battery."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.simulators.ev import VEHICLES, Ev, step, vehicle

CAR = Ev(battery_kwh=50.0, soc=0.5, max_a=16.0, phases=3, voltage=230.0, ramp_a_s=2.0)


def test_chg_a_car_ramps_up_from_6_a_to_its_own_maximum() -> None:
    after_1_s = step(CAR, 32.0, 1)
    assert after_1_s.current_a == 8.0
    assert step(CAR, 32.0, 60).current_a == 16.0


def test_a_car_follows_the_offer_down_at_its_ramp() -> None:
    charging = step(CAR, 32.0, 60)
    assert step(charging, 10.0, 1).current_a == 14.0
    assert step(charging, 10.0, 10).current_a == 10.0


@pytest.mark.parametrize("offer", [0.0, 3.0, 5.99])
def test_below_6_a_it_draws_nothing(offer: float) -> None:
    charging = step(CAR, 32.0, 60)
    stopped = step(charging, offer, 1)
    assert (stopped.current_a, stopped.power_w) == (0.0, 0.0)
    assert stopped.energy_wh == charging.energy_wh


def test_energy_is_the_integral_of_the_current() -> None:
    hour = step(step(CAR, 16.0, 60), 16.0, 3600)
    assert hour.energy_wh - step(CAR, 16.0, 60).energy_wh == pytest.approx(16 * 3 * 230)
    assert hour.soc == pytest.approx(0.5 + hour.energy_wh / 50_000)


def test_a_full_car_stops() -> None:
    full = step(Ev(soc=0.799, target_soc=0.8, battery_kwh=10.0), 32.0, 3600)
    assert full.soc == 0.8
    assert full.current_a == 0.0
    assert full.energy_wh == pytest.approx(10.0)
    assert step(full, 32.0, 60) == full


def test_no_time_changes_nothing() -> None:
    assert step(CAR, 32.0, 0) is CAR


@given(st.lists(st.tuples(st.floats(0, 80), st.floats(0, 5000)), max_size=8))
def test_a_car_never_exceeds_the_offer_its_rating_or_its_battery(offers: list[tuple[float, float]]) -> None:
    car = CAR
    for offer, seconds in offers:
        before = car
        car = step(car, offer, seconds)
        assert car.energy_wh >= before.energy_wh
        assert 0 <= car.soc <= 1 + 1e-9
        assert car.current_a <= max(before.current_a, min(offer, CAR.max_a)) + 1e-9
        assert car.current_a == 0 or car.current_a >= 6


# -- cars differ (MAP-18) ----------------------------------------------------------------------------------------------


def car(name: str) -> Ev:
    return vehicle(name, Ev(max_a=32.0))


def test_map_18_at_least_three_kinds_of_cars_differ_in_their_algorithm() -> None:
    settings = [car(name) for name in VEHICLES]
    assert len(settings) >= 4
    assert len({repr(each) for each in settings}) == len(settings)


def test_map_18_a_car_with_a_higher_least_current_pauses_at_the_floor() -> None:
    charging = step(car("ten_amps"), 32.0, 60)
    assert step(charging, 9.9, 60).current_a == 0.0
    assert step(charging, 10.0, 60).current_a == 10.0


def test_map_18_a_slow_car_takes_two_minutes_to_its_maximum_and_back() -> None:
    assert step(car("slow"), 32.0, 60).current_a == 21.0
    full = step(car("slow"), 32.0, 120)
    assert full.current_a == 32.0
    assert step(full, 16.0, 30).current_a == 24.5


def test_map_18_a_sleeper_wakes_up_later_and_only_after_a_long_pause() -> None:
    charging = step(car("sleeper"), 32.0, 60)
    short = step(step(charging, 0.0, 299), 32.0, 1)
    assert short.current_a > 0.0
    asleep = step(charging, 0.0, 300)
    assert asleep.asleep
    assert step(asleep, 32.0, 59).current_a == 0.0
    awake = step(step(asleep, 32.0, 59), 32.0, 31)
    assert (awake.current_a, awake.asleep) == (32.0, False)
    assert step(step(step(asleep, 32.0, 59), 0.0, 1), 32.0, 59).current_a == 0.0  # the offer must not be broken off


def test_map_18_a_deep_sleeper_is_not_woken_by_6_a() -> None:
    asleep = step(step(car("deep_sleeper"), 32.0, 60), 0.0, 120)
    assert step(asleep, 6.0, 600).current_a == 0.0
    assert step(asleep, 10.0, 60).current_a == 10.0


@pytest.mark.parametrize("name", sorted(VEHICLES))
def test_map_06_map_18_no_car_ever_draws_more_than_it_is_offered(name: str) -> None:
    found = step(car(name), 32.0, 600)
    for offer in (16.0, 0.0, 6.0, 12.0, 7.0):
        found = step(found, offer, 600)
        assert found.current_a <= offer
