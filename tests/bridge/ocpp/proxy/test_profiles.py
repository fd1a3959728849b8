"""bridge.ocpp.proxy_profiles: the CPO's profiles read, merged with ours, kept apart."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ocpp import proxy_profiles as pp
from bridge.ocpp.frames import Version
from bridge.ocpp.profile import Plan, ProfileOptions, Rating, Session
from bridge.ocpp.proxy_profiles import OtherProfile
from bridge.target import LimitPeriod, LimitSchedule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
V16, V201 = Version.V16, Version.V201
RATING = Rating(phases=3, max_a=32.0, voltage=230.0)
SESSION = Session(connector=1, transaction_id="41")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def schedule(*periods: tuple[int, float], unit: str = "A", **more: Any) -> dict[str, Any]:
    steps = [{"startPeriod": start, "limit": limit} for start, limit in periods or ((0, 10.0),)]
    return {"chargingRateUnit": unit, "chargingSchedulePeriod": steps, "startSchedule": "2026-03-01T12:00:00Z", **more}


def v16(**more: Any) -> dict[str, Any]:
    profile = {
        "chargingProfileId": 5,
        "stackLevel": 2,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule(),
    }
    return {"connectorId": 1, "csChargingProfiles": profile | more}


def v201(**more: Any) -> dict[str, Any]:
    profile = {
        "id": 5,
        "stackLevel": 2,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [{"id": 1, **schedule()}],
    }
    return {"evseId": 1, "chargingProfile": profile | more}


def other(**changes: Any) -> OtherProfile:
    values: dict[str, Any] = {"number": 5, "purpose": "TxDefaultProfile", "connector": 0, "level": 2}
    values |= {"periods": ((0, 10.0),), "start": NOW}
    return OtherProfile(**(values | changes))


def plan(*periods: tuple[int, float], duration_s: int = 3600, unit: str = "A") -> Plan:
    return Plan(
        start=NOW, duration_s=duration_s, valid_to=at(duration_s + 60), unit=unit, periods=periods or ((0, 16.0),)
    )


def options(*others: OtherProfile, **changes: Any) -> ProfileOptions:
    return ProfileOptions(rating=RATING, others=others, **changes)


def test_both_versions_are_read_alike() -> None:
    expected = other(connector=1)
    assert pp.read(V16, v16(), RATING) == expected
    assert pp.read(V201, v201(), RATING) == expected


def test_every_field_is_read() -> None:
    found = pp.read(
        V16,
        v16(
            chargingProfilePurpose="TxProfile",
            transactionId=41,
            chargingProfileKind="Recurring",
            recurrencyKind="Daily",
            validFrom="2026-03-01T00:00:00Z",
            validTo="2026-03-02T00:00:00Z",
            chargingSchedule=schedule((0, 6900.0), unit="W", duration=600),
        ),
        RATING,
    )
    assert found == other(
        purpose="TxProfile",
        connector=1,
        transaction_id="41",
        periods=((0, 10.0),),
        duration_s=600,
        every_s=86_400,
        valid_from=at(-43_200),
        valid_to=at(43_200),
    )


def test_watts_are_shared_by_the_phases_that_the_period_names() -> None:
    raw = schedule(unit="W")
    raw["chargingSchedulePeriod"] = [{"startPeriod": 0, "limit": 2300.0, "numberPhases": 1}]
    found = pp.read(V16, v16(chargingSchedule=raw), RATING)
    assert found is not None
    assert found.periods == ((0, 10.0),)


def test_a_start_that_is_relative_or_unknown_is_none() -> None:
    for more in ({"chargingProfileKind": "Relative"}, {"chargingSchedule": schedule() | {"startSchedule": None}}):
        found = pp.read(V16, v16(**more), RATING)
        assert found is not None
        assert found.start is None


@pytest.mark.parametrize(
    "payload",
    [
        v16(chargingProfilePurpose="SomethingNew"),
        v16(chargingSchedule=3),
        v16(stackLevel="x"),
        {"connectorId": 1},
        v201(chargingSchedule=[]),
        {"connectorId": None, "csChargingProfiles": v16()["csChargingProfiles"]},
    ],
)
def test_what_ours_cannot_collide_with_is_none(payload: dict[str, Any]) -> None:
    assert pp.read(V16 if "connectorId" in payload else V201, payload, RATING) is None


def test_a_remote_start_may_carry_a_profile() -> None:
    profile = v16(chargingProfilePurpose="TxProfile")["csChargingProfiles"]
    found = pp.read_start(V16, {"idTag": "T", "chargingProfile": profile}, RATING)
    assert found == other(purpose="TxProfile", connector=1)
    found = pp.read_start(V201, {"evseId": 2, "chargingProfile": v201()["chargingProfile"]}, RATING)
    assert found is not None
    assert found.connector == 2
    assert pp.read_start(V16, {"idTag": "T"}, RATING) is None


def test_limits_over_time() -> None:
    steps = other(periods=((0, 10.0), (60, 8.0)), duration_s=120, valid_from=at(-10), valid_to=at(100))
    assert [steps.limit_a(at(s)) for s in (-11, -1, 0, 59, 60, 99, 100)] == [None, None, 10, 10, 8, 8, None]
    assert replace(steps, valid_to=None).limit_a(at(120)) is None
    daily = other(periods=((0, 10.0), (60, 8.0)), duration_s=120, every_s=86_400)
    assert [daily.limit_a(at(86_400 + s)) for s in (-1, 0, 60, 120)] == [None, 10, 8, None]
    assert other(periods=((30, 9.0),)).limit_a(at(10)) is None


def test_an_unknown_start_is_taken_at_its_strictest() -> None:
    unknown = other(periods=((0, 16.0), (60, 7.0)), start=None, valid_from=at(600))
    assert unknown.limit_a(at(605)) == 7.0
    assert pp.merge(plan(), SESSION, options(unknown)).periods == ((0, 16.0), (600, 7.0))


def test_the_lower_of_both_goes_out() -> None:
    theirs = other(periods=((0, 20.0), (600, 8.0), (1200, 32.0)))
    assert pp.merge(plan(), SESSION, options(theirs)).periods == ((0, 16.0), (600, 8.0), (1200, 16.0))
    assert pp.merge(plan(), SESSION, options()).periods == ((0, 16.0),)
    assert pp.merge(plan(), None, options(other(connector=3))).periods == ((0, 10.0),)


def test_ours_keeps_its_own_steps() -> None:
    ours = plan((0, 16.0), (900, 6.0))
    theirs = other(periods=((0, 10.0),), start=at(300), duration_s=900)
    assert pp.merge(ours, SESSION, options(theirs)).periods == ((0, 16.0), (300, 10.0), (900, 6.0))


def test_values_go_out_in_our_unit_and_rounded_down() -> None:
    theirs = other(periods=((0, 10.06),))
    assert pp.merge(plan(), SESSION, options(theirs)).periods == ((0, 10.0),)
    watts = pp.merge(plan((0, 11_040.0), unit="W"), SESSION, options(theirs, unit="W"))
    assert watts.periods == ((0, 6941.4),)
    whole = pp.merge(plan(), SESSION, options(other(periods=((0, 9.9),)), decimals=0))
    assert whole.periods == ((0, 9.0),)
    assert pp.merge(plan(), SESSION, options(other(periods=((0, -1.0),)))).periods == ((0, 0.0),)


def test_a_session_profile_hides_the_default_one() -> None:
    default, session = other(periods=((0, 8.0),)), other(number=6, purpose="TxProfile", connector=1)
    assert pp.merge(plan(), SESSION, options(default, session)).periods == ((0, 10.0),)
    assert pp.merge(plan(), None, options(default, session)).periods == ((0, 8.0),)
    for elsewhere in (replace(session, connector=2), replace(session, transaction_id="9")):
        assert pp.merge(plan(), SESSION, options(default, elsewhere)).periods == ((0, 8.0),)


def test_the_stations_maximum_bounds_everything() -> None:
    session = other(number=6, purpose="TxProfile", connector=1)
    for name in ("ChargePointMaxProfile", "ChargingStationMaxProfile"):
        station = other(number=7, purpose=name, periods=((0, 7.0),))
        assert pp.merge(plan(), SESSION, options(session, station)).periods == ((0, 7.0),)
        assert pp.merge(plan(), None, options(station)).periods == ((0, 7.0),)


def test_the_highest_level_that_says_something_counts() -> None:
    low, high = other(periods=((0, 8.0),), level=1), other(number=6, periods=((0, 12.0),), level=3, duration_s=600)
    assert pp.merge(plan(), SESSION, options(low, high)).periods == ((0, 12.0), (600, 8.0))


def test_default_profiles_of_all_connectors_bound_the_one_for_sessions_to_come() -> None:
    one, two = other(connector=1, periods=((0, 12.0),)), other(number=6, connector=2, periods=((0, 9.0),))
    assert pp.merge(plan(), None, options(one, two)).periods == ((0, 9.0),)
    assert pp.merge(plan(), SESSION, options(one, two)).periods == ((0, 12.0),)


def test_too_many_steps_end_in_their_strictest() -> None:
    theirs = other(periods=tuple((i * 60, float(i % 2 + 6)) for i in range(10)))
    found = pp.merge(plan(), SESSION, options(theirs, most_periods=3))
    assert found.periods == ((0, 6.0), (60, 7.0), (120, 6.0))


def test_a_daily_profile_is_followed_over_midnight() -> None:
    theirs = other(start=at(-86_400 * 30), every_s=86_400, periods=((0, 8.0), (7200, 12.0)), duration_s=14_400)
    found = pp.merge(plan(duration_s=100_000), SESSION, options(theirs))
    assert found.periods == ((0, 8.0), (7200, 12.0), (14_400, 16.0), (86_400, 8.0), (93_600, 12.0))


def test_a_profile_without_periods_is_none() -> None:
    assert pp.merge(plan(), SESSION, options(other(periods=()))).periods == ((0, 16.0),)


PERIODS = st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 40)), max_size=5).map(
    lambda found: ((0, 20.0), *sorted(dict(found).items()))
)


@given(ours=PERIODS, theirs=PERIODS, most=st.integers(1, 6), second=st.integers(0, 3599))
def test_nothing_gets_through_that_either_forbids(
    ours: tuple[tuple[int, float], ...], theirs: tuple[tuple[int, float], ...], most: int, second: int
) -> None:
    merged = pp.merge(plan(*ours), SESSION, options(other(periods=theirs), most_periods=most))

    def value(periods: tuple[tuple[int, float], ...]) -> float:
        return next(limit for start, limit in reversed(periods) if start <= second)

    assert value(merged.periods) <= min(value(ours), value(theirs)) + 1e-9
    assert len(merged.periods) <= most


@pytest.mark.parametrize(
    ("levels", "own", "highest", "level"),
    [((), 1, None, 1), ((), 5, 3, 5), ((0,), 1, None, 1), ((3, 2), 1, None, 4), ((3,), 1, 3, 3), ((9,), 1, 3, 3)],
)
def test_ours_stands_above_where_there_is_room(
    levels: tuple[int, ...], own: int, highest: int | None, level: int
) -> None:
    assert pp.level_above([other(level=each) for each in levels], own, highest) == level


def test_what_a_charger_drops_for_another() -> None:
    assert pp.replaced_by(other(level=9), other(), V201)
    assert pp.replaced_by(other(number=6), other(), V16)
    assert not pp.replaced_by(other(number=6), other(), V201)
    assert not pp.replaced_by(other(number=6, level=3), other(), V16)


@pytest.mark.parametrize(
    ("version", "payload", "is_about"),
    [
        (V16, {}, True),
        (V16, {"id": 5}, True),
        (V16, {"id": 6}, False),
        (V16, {"connectorId": 0, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 2}, True),
        (V16, {"stackLevel": 3}, False),
        (V201, {}, True),
        (V201, {"chargingProfileId": 5}, True),
        (V201, {"chargingProfileCriteria": {"chargingProfilePurpose": "TxProfile"}}, False),
        (V201, {"chargingProfileCriteria": {"evseId": 0}}, True),
    ],
)
def test_what_a_clear_is_about(version: Version, payload: dict[str, Any], is_about: bool) -> None:
    assert pp.clears(other(), version, payload) is is_about


def test_arb_13_the_strictest_of_the_cpos_is_found_by_connector() -> None:
    low, high, over = other(), other(number=6, periods=((0, 12.0),)), other(number=7, valid_to=at(-1))
    away = other(number=8, connector=2)
    assert pp.strictest((high, low, over, away), NOW) == {0: (low, 10.0), 2: (away, 10.0)}
    assert pp.strictest((low, high), NOW) == {0: (low, 10.0)}


def test_our_block() -> None:
    assert [pp.is_ours(number, 1000) for number in (999, 1000, 1999, 2000)] == [False, True, True, False]


def test_k12_a_limit_is_told_with_its_schedule() -> None:
    notice = pp.limit_notice(plan((0, 16.0), (60, 8.0)), "SO")
    assert notice["chargingLimit"] == {"chargingLimitSource": "SO"}
    [told] = notice["chargingSchedule"]
    assert told["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 60, "limit": 8.0}]
    assert (told["startSchedule"], told["duration"]) == ("2026-03-01T12:00:00Z", 3600)


def test_a_limit_is_the_same_whenever_it_expires() -> None:
    one = LimitSchedule(
        schedule_id=1,
        start=NOW,
        end=at(60),
        expires=at(120),
        periods=(LimitPeriod(start_s=0, limit_a=8.0),),
        source="s",
        reason="r",
    )
    assert pp.same_limit(one, replace(one, expires=at(180), reason="x"))
    assert not pp.same_limit(one, replace(one, end=at(61)))
    assert not pp.same_limit(None, one)
