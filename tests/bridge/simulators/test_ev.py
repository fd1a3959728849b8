"""bridge.simulators.ev: the 6 A floor, the ramp, the battery."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.simulators.ev import Ev, step

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
