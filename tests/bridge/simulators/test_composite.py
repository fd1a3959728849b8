"""bridge.simulators.composite: the limit in force, as the standard evaluates it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.simulators.composite import Period, Profile, Wiring, limit_a

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WIRING = Wiring(phases=3, voltage=230.0)
SESSION = ("1", NOW - timedelta(minutes=10))


def make(limit: float = 10.0, **changes: object) -> Profile:
    base = Profile(
        number=1,
        connector=0,
        purpose="TxDefaultProfile",
        kind="Absolute",
        stack_level=0,
        unit="A",
        periods=(Period(start_s=0, limit=limit),),
        start=NOW - timedelta(seconds=60),
        duration_s=600,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_no_profile_is_no_limit() -> None:
    assert limit_a([], NOW, WIRING, SESSION) is None


def test_the_highest_stack_level_in_force_leads() -> None:
    assert limit_a([make(10), make(20, stack_level=3, number=2)], NOW, WIRING, SESSION) == 20


def test_a_higher_level_without_a_period_now_does_not_lead() -> None:
    over = make(20, stack_level=3, number=2, duration_s=30)
    assert limit_a([make(10), over], NOW, WIRING, SESSION) == 10


def test_a_tx_profile_replaces_the_default_even_if_it_allows_more() -> None:
    mine = make(25, purpose="TxProfile", transaction_id="1", number=2)
    assert limit_a([make(10, stack_level=9), mine], NOW, WIRING, SESSION) == 25


@pytest.mark.parametrize("session", [None, ("2", NOW)])
def test_a_tx_profile_of_another_session_counts_for_nothing(session: tuple[str, datetime] | None) -> None:
    assert limit_a([make(purpose="TxProfile", transaction_id="1")], NOW, WIRING, session) is None


@pytest.mark.parametrize("purpose", ["ChargePointMaxProfile", "ChargingStationMaxProfile"])
def test_the_station_maximum_caps_all(purpose: str) -> None:
    assert limit_a([make(20), make(8, purpose=purpose, number=2)], NOW, WIRING, SESSION) == 8
    assert limit_a([make(6), make(8, purpose=purpose, number=2)], NOW, WIRING, SESSION) == 6


def test_an_external_constraint_caps_all() -> None:
    external = make(7, purpose="ChargingStationExternalConstraints", number=2)
    assert limit_a([make(20), external], NOW, WIRING, SESSION) == 7


@pytest.mark.parametrize(("seconds", "limit"), [(-1, None), (0, 10.0), (59, 10.0), (60, 6.0), (119, 6.0), (120, None)])
def test_out_02_periods_count_from_the_start_and_end_with_the_duration(seconds: int, limit: float | None) -> None:
    profile = make(start=NOW, duration_s=120, periods=(Period(start_s=0, limit=10), Period(start_s=60, limit=6)))
    assert limit_a([profile], NOW + timedelta(seconds=seconds), WIRING, SESSION) == limit


def test_before_the_first_period_there_is_no_limit() -> None:
    assert limit_a([make(start=NOW, periods=(Period(start_s=5, limit=10),))], NOW, WIRING, SESSION) is None


@pytest.mark.parametrize(("seconds", "limit"), [(-1, None), (0, 10.0), (29, 10.0), (30, None)])
def test_valid_from_is_inside_and_valid_to_is_outside(seconds: int, limit: float | None) -> None:
    profile = make(valid_from=NOW, valid_to=NOW + timedelta(seconds=30))
    assert limit_a([profile], NOW + timedelta(seconds=seconds), WIRING, SESSION) == limit


def test_without_a_duration_the_last_period_goes_on() -> None:
    assert limit_a([make(duration_s=None)], NOW + timedelta(days=9), WIRING, SESSION) == 10


def test_a_relative_profile_counts_from_the_session() -> None:
    profile = make(kind="Relative", start=None, duration_s=601)
    assert limit_a([profile], NOW, WIRING, SESSION) == 10
    assert limit_a([profile], NOW + timedelta(seconds=1), WIRING, SESSION) is None


@pytest.mark.parametrize(("kind", "cycle"), [("Daily", timedelta(days=1)), ("Weekly", timedelta(weeks=1))])
def test_a_recurring_profile_comes_back(kind: str, cycle: timedelta) -> None:
    profile = make(kind="Recurring", recurrency=kind)
    for moment, limit in ((NOW, 10), (NOW + timedelta(minutes=30), None), (NOW + 3 * cycle, 10), (NOW - cycle, None)):
        assert limit_a([profile], moment, WIRING, SESSION) == limit


def test_k01_fr_50_watts_are_divided_by_phases_and_configured_voltage() -> None:
    assert limit_a([make(6900, unit="W")], NOW, WIRING, SESSION) == pytest.approx(10)
    assert limit_a([make(2300, unit="W")], NOW, Wiring(phases=1, voltage=230.0), SESSION) == pytest.approx(10)
    one_phase = make(2300, unit="W", periods=(Period(start_s=0, limit=2300, phases=1),))
    assert limit_a([one_phase], NOW, WIRING, SESSION) == pytest.approx(10)
