"""bridge.simulators.charger: profiles change the meter, behaviours change only what is done with profiles."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.simulators.charger import BEHAVIOURS, Charger
from bridge.simulators.composite import Period, Profile
from bridge.simulators.ev import Ev

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def charger(behaviour: str = "obeys", **changes: Any) -> Charger:
    values: dict[str, Any] = {"phases": 3, "max_a": 32.0, "now": NOW, "behaviour": BEHAVIOURS[behaviour]}
    return Charger(identity="CP-1", ev=Ev(ramp_a_s=100.0), **(values | changes))


def make(limit: float = 10.0, **changes: Any) -> Profile:
    values: dict[str, Any] = {
        "number": 1,
        "connector": 1,
        "purpose": "TxProfile",
        "kind": "Absolute",
        "stack_level": 1,
        "unit": "A",
        "periods": (Period(start_s=0, limit=limit),),
        "start": NOW,
        "duration_s": 600,
        "transaction_id": "1",
    }
    return Profile(**(values | changes))


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_ocp_06_a_limit_bites_in_the_second_in_which_it_begins_and_ends() -> None:
    one = charger()
    one.begin("1", NOW)
    one.install(make(10, start=at(100), duration_s=100), NOW, replaces_by_stack=True)
    expected = 0.0
    for seconds, amperes in ((99, 32), (199, 10), (299, 32)):
        one.advance(at(seconds))
        assert one.power_w == pytest.approx(amperes * 690)
        expected += amperes * 690 * 100 / 3600
    assert one.meter_wh == pytest.approx(expected, rel=0.02)


def test_a_long_sleep_is_stepped_coarsely_and_adds_up() -> None:
    one = charger()
    one.begin("1", NOW)
    one.advance(at(86_400))
    assert one.ev.soc == 1.0
    assert one.meter_wh == pytest.approx(42_000, rel=0.01)
    one.advance(at(10))  # never backwards
    assert one.now == at(86_400)


def test_nothing_is_offered_without_a_session() -> None:
    one = charger()
    assert one.offered_a(NOW) == 0.0
    one.advance(at(60))
    assert one.meter_wh == 0.0


@pytest.mark.parametrize(("behaviour", "watts"), [("obeys", 6900), ("ignores", 22080), ("refuses", 22080)])
def test_behaviours_show_in_the_meter(behaviour: str, watts: float) -> None:
    one = charger(behaviour)
    one.begin("1", NOW)
    refusal = one.install(make(10), NOW, replaces_by_stack=True)
    assert (refusal is None) == (behaviour != "refuses")
    one.advance(at(10))
    assert one.power_w == pytest.approx(watts)


def test_an_overriding_driver_charges_at_full_power_until_the_next_session() -> None:
    one = charger()
    one.begin("1", NOW)
    one.install(make(10), NOW, replaces_by_stack=True)
    one.overridden = True
    assert one.offered_a(at(5)) == 32
    assert one.limited(at(5))
    one.end(at(10))
    assert not one.overridden
    assert one.profiles == {}


def test_profiles_survive_a_reconnect_but_for_those_who_drop_them() -> None:
    for behaviour, kept in (("obeys", 1), ("drops_profile_at_reconnect", 0)):
        one = charger(behaviour)
        one.begin("1", NOW)
        one.install(make(), NOW, replaces_by_stack=True)
        one.reconnected(at(5))
        assert len(one.profiles) == kept
        assert one.session is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"transaction_id": "9"}, "TxNotFound"),
        ({"purpose": "ChargePointMaxProfile"}, "InvalidProfile"),
        ({"unit": "W"}, "UnsupportedRateUnit"),
        ({"periods": ()}, "InvalidSchedule"),
        ({"periods": (Period(start_s=1, limit=6.0),)}, "InvalidSchedule"),
        ({"periods": tuple(Period(start_s=i, limit=6.0) for i in range(25))}, "InvalidSchedule"),
    ],
)
def test_a_profile_that_the_standard_forbids_is_refused(changes: dict[str, Any], reason: str) -> None:
    one = charger(units=frozenset({"A"}))
    one.begin("1", NOW)
    assert one.install(make(**changes), NOW, replaces_by_stack=False) == reason
    assert one.profiles == {}


def test_the_same_stack_level_and_purpose_replaces_in_1_6_and_collides_in_2_0_1() -> None:
    one = charger()
    one.begin("1", NOW)
    one.install(make(), NOW, replaces_by_stack=True)
    assert one.install(make(number=2), NOW, replaces_by_stack=False) == "DuplicateProfile"
    assert one.install(make(12, number=1), NOW, replaces_by_stack=False) is None
    assert one.install(make(number=2), NOW, replaces_by_stack=True) is None
    assert set(one.profiles) == {2}


def test_clearing_by_id_by_criteria_and_all() -> None:
    one = charger()
    one.begin("1", NOW)
    for number, level in ((1, 1), (2, 2), (3, 3)):
        one.install(make(number=number, stack_level=level), NOW, replaces_by_stack=True)
    assert one.clear(NOW, number=1, stack_level=9)  # an id overrules the rest
    assert not one.clear(NOW, number=1)
    assert not one.clear(NOW, connector=2)
    assert not one.clear(NOW, purpose="TxDefaultProfile")
    assert one.clear(NOW, stack_level=2)
    assert one.clear(NOW)
    assert one.profiles == {}
