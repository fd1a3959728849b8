"""bridge.ocpp.profile: what leaves is absolute, bounded, rounded down and valid by both schemas."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ocpp import profile, schemas
from bridge.ocpp.frames import Version
from bridge.ocpp.profile import Plan, ProfileOptions, Rating, Session
from bridge.target import LimitPeriod, LimitSchedule

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
RATING = Rating(phases=3, max_a=32.0, voltage=230.0)
OPTIONS = ProfileOptions(rating=RATING, stack_level=3, id_base=100, backdate_s=60)
WATTS = ProfileOptions(rating=RATING, unit="W", backdate_s=60)


def schedule(*periods: tuple[int, float | None], start_s: float = 0, length_s: float = 3600) -> LimitSchedule:
    start = NOW + timedelta(seconds=start_s)
    end = start + timedelta(seconds=length_s)
    return LimitSchedule(
        schedule_id=7,
        start=start,
        end=end,
        expires=end + timedelta(seconds=90),
        periods=tuple(LimitPeriod(start_s=at, limit_a=value) for at, value in periods),
        source="programme",
        reason="test",
    )


def plan(*periods: tuple[int, float | None], options: ProfileOptions = OPTIONS, **when: float) -> Plan:
    made = profile.make_plan(schedule(*periods, **when), options, NOW)
    assert made is not None
    return made


LIMITS = st.none() | st.floats(min_value=0, max_value=80, allow_nan=False)


@st.composite
def schedules(draw: st.DrawFn) -> LimitSchedule:
    values = draw(st.lists(LIMITS, min_size=1, max_size=8))
    gaps = draw(st.lists(st.integers(1, 4000), min_size=len(values), max_size=len(values)))
    starts = [0, *(sum(gaps[: i + 1]) for i in range(len(values) - 1))]
    return schedule(
        *zip(starts, values, strict=True),
        start_s=draw(st.floats(-8000, 8000)),
        length_s=draw(st.floats(0.5, 20_000)),
    )


@given(schedules(), st.sampled_from([OPTIONS, WATTS]))
def test_ocp_05_every_profile_is_valid_bounded_sorted_and_rounded_down(
    given_schedule: LimitSchedule, options: ProfileOptions
) -> None:
    made = profile.make_plan(given_schedule, options, NOW)
    if made is None:
        return
    starts = [at for at, _ in made.periods]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] < made.duration_s
    assert made.duration_s > 0
    end = made.start + timedelta(seconds=made.duration_s)
    assert end <= given_schedule.end + timedelta(seconds=1)
    assert made.valid_to >= given_schedule.expires
    assert made.start > NOW or made.start <= NOW - timedelta(seconds=60)
    per_ampere = 690.0 if options.unit == "W" else 1.0
    assert all(math.isclose(value * 10, round(value * 10), abs_tol=1e-6) for _, value in made.periods)
    bounds = [p.start_s for p in given_schedule.periods] + [math.inf]
    for period, until in zip(given_schedule.periods, bounds[1:], strict=True):
        begin = given_schedule.start + timedelta(seconds=period.start_s)
        stop = min(given_schedule.end, given_schedule.start + timedelta(seconds=min(until, 1e8)))
        middle = begin + (stop - begin) / 2
        if stop - begin < timedelta(seconds=3) or middle < NOW:
            continue
        if not made.start <= middle < end:
            assert period.limit_a is None
            continue
        value = [value for at, value in made.periods if made.start + timedelta(seconds=at) <= middle][-1]
        ceiling = (32.0 if period.limit_a is None else period.limit_a) * per_ampere
        assert 0 <= value <= ceiling
        assert ceiling - value < 0.1 + 1e-6


@given(schedules(), st.integers(0, 1000), st.integers(1, 3), st.sampled_from([OPTIONS, WATTS]))
def test_ocp_05_every_payload_obeys_its_schema(
    given_schedule: LimitSchedule, number: int, connector: int, options: ProfileOptions
) -> None:
    made = profile.make_plan(given_schedule, options, NOW)
    if made is None:
        return
    session = Session(connector=connector, transaction_id="4711")
    for version, payload in (
        (Version.V16, profile.default_profile_16(number + 1, made, options)),
        (Version.V16, profile.session_profile_16(number + 1, made, session, options)),
        (Version.V201, profile.default_profile_201(number + 1, made, options)),
        (Version.V201, profile.session_profile_201(number + 1, made, session, options)),
    ):
        schemas.check_outbound(version, "SetChargingProfile", payload)
        inner = payload["csChargingProfiles" if version is Version.V16 else "chargingProfile"]
        part = inner["chargingSchedule"] if version is Version.V16 else inner["chargingSchedule"][0]
        assert {"duration", "startSchedule"} <= part.keys()
        assert {"validFrom", "validTo"} <= inner.keys()
        assert inner["chargingProfileKind"] == "Absolute"
        assert all("numberPhases" not in period for period in part["chargingSchedulePeriod"])


@given(st.floats(min_value=0, max_value=1e6))
def test_rounding_is_down_to_a_tenth(value: float) -> None:
    rounded = profile.floor_tenth(value)
    assert rounded <= value
    assert value - rounded < 0.1 + 1e-6


@given(st.integers(0, 100_000))
def test_a_tenth_stays_what_it_is(tenths: int) -> None:
    assert profile.floor_tenth(tenths / 10) == tenths / 10


def test_out_02_a_schedule_that_is_due_starts_in_the_chargers_past_and_still_ends_on_time() -> None:
    made = plan((0, 10.0), (600, 8.0))
    assert made.start == NOW - timedelta(seconds=60)
    assert made.periods == ((0, 10.0), (660, 8.0))
    assert made.start + timedelta(seconds=made.duration_s) == NOW + timedelta(hours=1)


def test_a_schedule_to_come_keeps_its_start() -> None:
    made = plan((0, 10.0), (600, 8.0), start_s=300)
    assert made.start == NOW + timedelta(seconds=300)
    assert made.periods == ((0, 10.0), (600, 8.0))


def test_a_schedule_long_under_way_keeps_its_start() -> None:
    assert plan((0, 10.0), start_s=-1800).start == NOW - timedelta(seconds=1800)


def test_parts_without_a_limit_are_cut_off_at_both_ends() -> None:
    made = plan((0, None), (300, 9.0), (900, None), (1200, None))
    assert made.start == NOW + timedelta(seconds=300)
    assert made.duration_s == 600
    assert made.periods == ((0, 9.0),)


def test_a_part_without_a_limit_between_two_carries_the_rating() -> None:
    assert plan((0, 9.0), (300, None), (600, 9.0), start_s=10).periods == ((0, 9.0), (300, 32.0), (600, 9.0))


def test_equal_neighbours_are_one_period_and_those_after_the_end_are_dropped() -> None:
    assert plan((0, 9.0), (10, 9.04), (20, 8.0), (5000, 7.0), start_s=10).periods == ((0, 9.0), (20, 8.0))


@pytest.mark.parametrize(
    "over",
    [
        schedule((0, None)),
        schedule((0, 9.0), start_s=-4000),
        schedule((0, 9.0), length_s=0),
        schedule((0, None), (4000, 9.0)),
    ],
)
def test_nothing_left_to_limit_is_no_profile(over: LimitSchedule) -> None:
    assert profile.make_plan(over, OPTIONS, NOW) is None


def test_watts_are_the_total_over_all_phases_rounded_down() -> None:
    assert plan((0, 10.05), options=WATTS).periods == ((0, 6934.5),)


@pytest.mark.parametrize(("unit", "limit"), [("A", 8.0), ("W", 6141.0)])
def test_c_2_a_charger_of_whole_numbers_gets_them_rounded_down(unit: str, limit: float) -> None:
    whole = ProfileOptions(rating=RATING, unit=unit, decimals=0)
    assert plan((0, 8.9), options=whole).periods == ((0, limit),)
    assert profile.for_session(plan((0, 16.9), options=whole), 3, 0).periods[0][1] == (5.0 if unit == "A" else 3887.0)


@pytest.mark.parametrize("limit", [math.nan, math.inf])
def test_a_limit_that_is_no_number_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit_a"):
        plan((0, limit))


def test_a_negative_limit_is_zero() -> None:
    assert plan((0, -1.0)).periods == ((0, 0.0),)


def test_ids_stay_in_their_block() -> None:
    assert [profile.profile_id(7, c, OPTIONS) for c in range(4)] == [128, 129, 130, 131]
    with pytest.raises(ValueError, match="connector 4"):
        profile.profile_id(7, 4, OPTIONS)
    with pytest.raises(ValueError, match="schedule_id"):
        profile.profile_id(2**30, 0, OPTIONS)
    with pytest.raises(ValueError, match="schedule_id"):
        profile.profile_id(-1, 0, OPTIONS)


def test_several_sessions_share_the_limit_and_never_more() -> None:
    made = plan((0, 16.0))
    assert profile.for_session(made, 1) is made
    assert profile.for_session(made, 3).periods == ((0, 5.3),)


def test_clear_payloads_obey_their_schemas() -> None:
    schemas.check_outbound(Version.V16, "ClearChargingProfile", profile.clear_16(5))
    schemas.check_outbound(Version.V201, "ClearChargingProfile", profile.clear_201(5))
    payload = profile.clear_stack_201("TxProfile", OPTIONS)
    schemas.check_outbound(Version.V201, "ClearChargingProfile", payload)
    assert payload["chargingProfileCriteria"]["stackLevel"] == 3
