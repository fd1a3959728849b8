"""From events to caps: amperes, floor, random offsets, targets, cancellation; the acceptance vectors among them."""

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.asks import Reference
from bridge.plan import Cap, Draw, KnownEvent, ResourcePlan, pairs, plan, references, scenes
from bridge.program import EventClass, Programme, Programmes, parse
from bridge.programmes import SHIPPED
from bridge.reference import Wanted, agenda
from bridge.resources import Resource
from openadr.model import EiTarget, Event, SignalType
from openadr.signals import check_event
from openadr.tariff import day_ahead
from openadr.times import Duration
from tests.bridge.parts import (
    AGGREGATOR,
    DNO,
    DRM,
    EMERGENCY,
    EUR,
    PROGRAMMES,
    TARIFF,
    VEN_ID,
    at,
    capacity,
    dispatch,
    event,
    resource,
    signal,
    simple,
)


def planned(
    given_event: Event,
    *,
    start_u: float = 0.0,
    release_u: float = 0.0,
    cancelled_s: float | None = None,
    on: Resource | None = None,
    programmes: Programmes = PROGRAMMES,
    before_w: float | None = None,
) -> tuple[ResourcePlan, ...]:
    on = on or resource()
    key = (given_event.descriptor.event_id, on.resource_id)
    draw = Draw(event_id=key[0], resource_id=key[1], start_u=start_u, release_u=release_u)
    known = KnownEvent(event=given_event, cancelled_at=None if cancelled_s is None else at(cancelled_s))
    taken = {} if before_w is None else {key: measured(key, before_w)}
    return plan([known], programmes, [on], {key: draw}, VEN_ID, taken)


def measured(key: tuple[str, str], power_w: float | None, second: float = 0) -> Reference:
    return Reference(event_id=key[0], resource_id=key[1], at=at(second), power_w=power_w, window_s=300, samples=5)


def drawn(event_id: str, on: Resource, u: float) -> dict[tuple[str, str], Draw]:
    key = (event_id, on.resource_id)
    return {key: Draw(event_id=key[0], resource_id=key[1], start_u=u, release_u=u)}


def changed(name: str, **changes: object) -> Programmes:
    """Return one shipped programme with other figures."""
    shipped = parse((SHIPPED / f"{name}.toml").read_text(), name)
    data = shipped.model_dump(by_alias=True) | changes
    return Programmes.of([Programme.model_validate(data)])


def caps(given_event: Event, **how: object) -> list[tuple[float, float | None, float | None]]:
    """Return (start, end, limit) of every cap, times in seconds after T0."""
    found = planned(given_event, **how)  # type: ignore[arg-type]
    return [_row(cap) for each in found for cap in each.caps]


def _row(cap: Cap) -> tuple[float, float | None, float | None]:
    end = None if cap.end is None else (cap.end - at(0)).total_seconds()
    return ((cap.start - at(0)).total_seconds(), end, cap.limit_a)


def test_map_08_half_of_32_a_is_16_a_per_phase() -> None:
    assert caps(event(capacity((3600, 0.5)))) == [(0, 3600, 16.0)]


def test_simple_levels_follow_the_programme_and_level_0_asks_for_nothing() -> None:
    assert caps(event(simple((60, 0), (60, 1), (60, 2), (60, 3)))) == [
        (0, 60, None),
        (60, 120, 24.0),
        (120, 180, 16.0),
        (180, 240, 0.0),
    ]


def test_rnd_02_draw_of_3_in_a_window_of_5_min_moves_start_and_end() -> None:
    given_event = event(simple((3600, 2)), startafter=300)
    assert caps(given_event, start_u=180.5 / 301) == [(180, 3780, 16.0)]


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 1800))
def test_rnd_02_the_offset_stays_inside_the_window_and_keeps_the_duration(u: float, window: int) -> None:
    [(start, end, _)] = caps(event(simple((600, 2)), startafter=window), start_u=u)
    assert end is not None
    assert 0 <= start <= window
    assert start == int(start)
    assert end - start == 600


def test_rnd_03_absent_tolerance_uses_the_programme_window_and_explicit_zero_is_immediate() -> None:
    assert caps(event(simple((60, 2)), startafter=None), start_u=0.9999) == [(600, 660, 16.0)]
    assert caps(event(simple((60, 2)), startafter=0), start_u=0.9999) == [(0, 60, 16.0)]


def test_rnd_03_an_emergency_acts_at_once_whatever_was_sent_and_releases_at_random() -> None:
    given_event = event(capacity((600, 0.0)), context=EMERGENCY, startafter=300)
    assert caps(given_event, start_u=0.9, release_u=0.5) == [(0, 750, 0.0)]


def test_rule_065_a_cancelled_event_stops_at_random_inside_its_window_never_after_its_end() -> None:
    given_event = event(simple((600, 2)), startafter=100)
    assert caps(given_event, cancelled_s=200, release_u=0.5) == [(0, 250, 16.0)]
    assert caps(given_event, cancelled_s=590, release_u=0.99) == [(0, 600, 16.0)]


def test_evt_06_an_event_cancelled_before_its_start_has_no_caps() -> None:
    [found] = planned(event(simple((600, 2)), start=at(500), startafter=100), cancelled_s=100, release_u=0.9)
    assert found.caps == ()
    assert found.timing.start == found.timing.end


def test_evt_06_cancel_cuts_the_interval_in_force_and_drops_the_later_ones() -> None:
    assert caps(event(simple((100, 1), (100, 2), (100, 3))), cancelled_s=150) == [(0, 100, 24.0), (100, 150, 16.0)]


def test_rule_047_an_open_ended_event_has_no_end_until_it_is_cancelled() -> None:
    given_event = event(simple((0, 2)), open_ended=True)
    assert caps(given_event) == [(0, None, 16.0)]
    assert caps(given_event, cancelled_s=500) == [(0, 500, 16.0)]


def test_the_programme_order_decides_between_several_signals() -> None:
    assert caps(event(simple((60, 3)), capacity((60, 0.75)))) == [(0, 60, 24.0)]


def test_rule_111_a_signal_for_another_device_class_does_not_apply() -> None:
    heater = EiTarget(end_device_assets=("Water_Heater",))
    for_heaters = signal("LOAD_CONTROL", SignalType.LOAD_CONTROL_CAPACITY, (60, 0.0), target=heater)
    assert caps(event(for_heaters, simple((60, 2)))) == [(0, 60, 16.0)]
    assert caps(event(for_heaters)) == []


def test_evt_11_informative_signals_put_no_cap() -> None:
    price = signal("ELECTRICITY_PRICE", SignalType.PRICE, (60, 9.0), unit=EUR)
    assert caps(event(price, context=AGGREGATOR)) == []


def test_evt_21_a_test_event_plans_only_resources_enrolled_for_tests() -> None:
    given_event = event(simple((60, 2)), test="true")
    assert planned(given_event) == ()
    assert len(planned(given_event, on=resource(test_enrolled=True))) == 1
    assert len(planned(event(simple((60, 2)), test="false"))) == 1


def test_an_event_without_a_usable_programme_means_nothing() -> None:
    assert planned(event(simple((60, 2)), context="http://other.example")) == ()
    assert planned(event(simple((60, 9)))) == ()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (EiTarget(), ["evse-1", "evse-2"]),
        (EiTarget(ven_ids=(VEN_ID,)), ["evse-1", "evse-2"]),
        (EiTarget(ven_ids=("ven-other",)), []),
        (EiTarget(resource_ids=("evse-2",)), ["evse-2"]),
        (EiTarget(ven_ids=(VEN_ID,), resource_ids=("evse-2",)), ["evse-2"]),
        (EiTarget(group_ids=("feeder-7",)), ["evse-1"]),
        (EiTarget(group_names=("feeder-7",), resource_ids=("evse-2", "elsewhere")), ["evse-1", "evse-2"]),
        (EiTarget(end_device_assets=("EVSE",)), ["evse-1", "evse-2"]),
        (EiTarget(service_areas=("1 2 3 4",)), []),
    ],
)
def test_rule_022_targets_are_ored_and_empty_means_all(target: EiTarget, expected: list[str]) -> None:
    both = [resource(1), replace(resource(2), groups=())]
    known = KnownEvent(event=event(simple((60, 2)), target=target))
    assert [name for _, name in pairs([known], PROGRAMMES, both, VEN_ID)] == expected


def test_every_decision_carries_the_programme_version_and_the_plan_is_a_pure_function() -> None:
    given_event = event(simple((60, 2)), startafter=300)
    one, two = planned(given_event, start_u=0.3), planned(given_event, start_u=0.3)
    assert one == two
    assert one[0].programme == f"{DNO} 1"
    assert one[0].caps[0].reason == "SIMPLE 2: 50 % of 32 A = 16 A per phase"
    assert one[0].caps[0].contains(one[0].timing.start)
    assert not one[0].caps[0].contains(one[0].timing.start - timedelta(seconds=1))


# --- the vectors of the programme -------------------------------------------------------------------------------------


def test_map_06_a_car_at_40_percent_under_a_fixed_50_percent_cap_is_neither_cut_nor_driven_up() -> None:
    forty_percent_w = 0.4 * 32 * 3 * 230
    [(_, _, limit_a)] = caps(event(capacity((3600, 0.5))), before_w=forty_percent_w)
    assert limit_a == 16.0
    assert limit_a > forty_percent_w / 690  # an upper limit above what it draws: no set-point


def test_map_04_the_same_half_as_capacity_and_as_dispatch_multiplier_gives_different_amps() -> None:
    as_capacity = caps(event(capacity((600, 0.5))), before_w=11_040.0)
    half = dispatch(SignalType.MULTIPLIER, (600, 0.5))
    as_multiplier = caps(event(half, context=AGGREGATOR), before_w=11_040.0)
    assert as_capacity == [(0, 600, 16.0)]
    assert as_multiplier == [(0, 600, 8.0)]


def test_map_08_a_1_phase_car_on_a_4_2_kw_limit_has_18_2_a() -> None:
    setpoint = event(dispatch(SignalType.SETPOINT, (600, 4.2)), context=AGGREGATOR)
    [found] = planned(setpoint, on=resource(phases=1))
    assert found.caps[0].limit_a == 18.2
    assert found.caps[0].reason == "LOAD_DISPATCH setpoint 4.2: 4.2 kW = 18.2 A per phase"
    [three] = planned(setpoint, on=resource(phases=3))
    assert three.caps[0].limit_a == 6.0


def test_scn_04_an_emergency_inside_a_randomised_delayed_event_acts_at_once_and_is_released_at_random() -> None:
    on = resource()
    delayed = event(simple((3600, 2)), event_id="slow", startafter=1800)
    emergency = event(capacity((600, 0.0)), event_id="now", context=EMERGENCY, startafter=1800)
    draws = {**drawn("slow", on, 0.5), **drawn("now", on, 0.5)}
    both = plan([KnownEvent(event=delayed), KnownEvent(event=emergency)], PROGRAMMES, [on], draws, VEN_ID)
    assert [_row(cap) for each in both for cap in each.caps] == [(900, 4500, 16.0), (0, 750, 0.0)]


def test_evt_04_scheduled_and_effective_times_are_kept_apart() -> None:
    [found] = planned(event(simple((3600, 2)), startafter=300), start_u=180.5 / 301)
    times = found.timing
    assert (times.scheduled_start, times.scheduled_end) == (at(0), at(3600))
    assert (times.start, times.end, times.start_offset_s) == (at(180), at(3780), 180)


def test_map_12_the_most_restrictive_wins_when_events_ask_for_different_modes() -> None:
    modes = [event(signal("x-DRM", SignalType.LEVEL, (60, mode)), context=DRM) for mode in (-1, 0, 1, 2, 3, 4)]
    limits = [caps(each)[0][2] for each in modes]
    assert limits == [None, 0.0, 0.0, 16.0, 24.0, None]


def test_map_02_drm_0_is_carried_out_as_drm_1_and_says_so() -> None:
    [found] = planned(event(signal("x-DRM", SignalType.LEVEL, (60, 0)), context=DRM))
    assert found.caps[0].reason.endswith("= 0 A per phase (carried out as DRM 1: no disconnection device)")
    assert not found.caps[0].overridable


def test_arb_05_in_one_programme_a_stop_may_be_refused_to_drivers_and_a_constraint_not() -> None:
    modes = [event(signal("x-DRM", SignalType.LEVEL, (60, mode)), context=DRM) for mode in (1, 2, 4)]
    assert [planned(each)[0].caps[0].overridable for each in modes] == [False, True, True]


@pytest.mark.parametrize("mode", [5, 6, 7, 8])
def test_ven_11_drm_5_to_8_plan_nothing_at_charge_only_equipment(mode: int) -> None:
    assert planned(event(signal("x-DRM", SignalType.LEVEL, (30, 2), (30, mode)), context=DRM)) == ()


def test_arb_16_a_set_point_for_several_resources_is_one_limit_of_all_together() -> None:
    both = [resource(1), resource(2)]
    given_event = event(dispatch(SignalType.SETPOINT, (60, 20.0)), context=AGGREGATOR)
    draws = drawn("event-1", both[0], 0.0) | drawn("event-1", both[1], 0.0)
    plans = plan([KnownEvent(event=given_event)], PROGRAMMES, both, draws, VEN_ID)
    assert [(each.caps[0].group_kw, each.caps[0].limit_a) for each in plans] == [(20.0, None), (20.0, None)]


def test_arb_16_a_change_for_several_resources_is_divided_by_installed_power() -> None:
    both = [resource(1), replace(resource(2), max_a=16.0)]
    given_event = event(dispatch(SignalType.DELTA, (60, -6.0)), context=AGGREGATOR)
    draws = drawn("event-1", both[0], 0.0) | drawn("event-1", both[1], 0.0)
    taken = {key: measured(key, 11_040.0) for key in draws}
    plans = plan([KnownEvent(event=given_event)], PROGRAMMES, both, draws, VEN_ID, taken)
    assert [each.caps[0].limit_a for each in plans] == [10.2, 13.1]  # 4 kW and 2 kW less than 16 A


# --- references -------------------------------------------------------------------------------------------------------


def wanted(given_event: Event, *, received_s: float | None = None, u: float = 0.0) -> tuple[Wanted, ...]:
    known = KnownEvent(event=given_event, received_at=None if received_s is None else at(received_s))
    on = resource()
    found = scenes([known], PROGRAMMES, (on,), VEN_ID, frozenset())
    return references(found, drawn(given_event.descriptor.event_id, on, u))


HALF = dispatch(SignalType.MULTIPLIER, (600, 0.5))


def test_map_05_a_reference_is_taken_where_the_event_begins_at_the_charger_its_ramp_up_included() -> None:
    assert wanted(event(capacity((60, 0.5)))) == ()
    assert wanted(event(signal("ELECTRICITY_PRICE", SignalType.PRICE, (60, 1.0), unit=EUR), context=AGGREGATOR)) == ()
    [plain] = wanted(event(HALF, context=AGGREGATOR, startafter=100), received_s=-50, u=0.5)
    assert (plain.at, plain.since, plain.running) == (at(50), at(-250), False)
    [ramped] = wanted(event(HALF, context=AGGREGATOR, ramp_up=40))
    assert ramped.at == at(-40)
    [late] = wanted(event(HALF, context=AGGREGATOR), received_s=120)
    assert (late.at, late.running) == (at(120), True)


def test_map_05_a_frozen_reference_stays_over_modifications_and_is_renewed_only_by_a_new_start() -> None:
    [early] = wanted(event(HALF, context=AGGREGATOR))
    key = early.key
    waiting = agenda([early], {}, at(-1))
    assert (waiting.valid, waiting.due, waiting.next_at) == ({}, (), at(0))
    assert agenda([early], {}, at(0)).due == (early,)
    taken = {key: measured(key, 5000.0)}
    assert agenda([early], taken, at(5)).valid == taken
    [modified] = wanted(event(HALF, context=AGGREGATOR, start=at(60), modification=1), received_s=300)
    assert agenda([modified], taken, at(301)).valid == taken
    [put_off] = wanted(event(HALF, context=AGGREGATOR, start=at(9000), modification=1), received_s=300)
    assert agenda([put_off], taken, at(301)).next_at == at(9000)
    assert agenda([put_off], taken, at(9000)).due == (put_off,)


# --- ramps ------------------------------------------------------------------------------------------------------------


def test_rnd_07_a_ramp_up_before_the_start_comes_down_in_steps_and_is_there_in_time() -> None:
    given_event = event(simple((600, 3)), ramp_up=400)
    assert caps(given_event) == [(-400, -300, 24.0), (-300, -200, 16.0), (-200, -100, 8.0), (-100, 600, 0.0)]
    assert caps(given_event, start_u=0.5)[-1] == (-50, 600, 0.0)
    [found] = planned(given_event)
    assert found.caps[0].reason.endswith("; ramp-up: 24 A")
    assert found.begins == at(-400)


def test_rnd_07_a_negative_ramp_lies_inside_the_event_and_never_beyond_its_interval() -> None:
    assert caps(event(simple((600, 3)), ramp_up=-400)) == [
        (0, 100, 24.0),
        (100, 200, 16.0),
        (200, 300, 8.0),
        (300, 600, 0.0),
    ]
    assert caps(event(simple((100, 2), (500, 3)), ramp_up=-400))[-1] == (100, 600, 0.0)
    assert caps(event(simple((0, 3)), ramp_up=-400, open_ended=True))[-1] == (300, None, 0.0)


def test_rnd_08_the_recovery_goes_up_in_steps_after_the_end_or_inside_it() -> None:
    assert caps(event(simple((600, 3)), recovery=400)) == [
        (0, 600, 0.0),
        (600, 700, 8.0),
        (700, 800, 16.0),
        (800, 900, 24.0),
    ]
    assert caps(event(simple((600, 2)), recovery=-400), release_u=0.5) == [
        (0, 250, 16.0),
        (250, 350, 20.0),
        (350, 450, 24.0),
        (450, 550, 28.0),
    ]
    [found] = planned(event(simple((600, 3)), recovery=400))
    assert (found.timing.end, found.over) == (at(600), at(900))
    assert caps(event(simple((10, 3)), recovery=-3600))[0] == (0, 2, 8.0)


def test_rnd_08_a_cancelled_event_recovers_too_and_one_without_end_or_limit_does_not() -> None:
    assert caps(event(simple((600, 3)), recovery=400), cancelled_s=100)[:2] == [(0, 100, 0.0), (100, 200, 8.0)]
    assert caps(event(simple((0, 3)), recovery=400, open_ended=True)) == [(0, None, 0.0)]
    assert planned(event(simple((0, 3)), open_ended=True))[0].over is None
    assert caps(event(simple((600, 0)), recovery=400, ramp_up=400)) == [(0, 600, None)]


def test_map_09_steps_of_a_ramp_keep_the_floor_policy() -> None:
    paused = changed("dno-curtailment", floor="pause", ramp_up_s=100, ramp_steps=8)
    assert [limit_a for _, _, limit_a in caps(event(simple((60, 3))), programmes=paused)] == [
        28.0, 24.0, 20.0, 16.0, 12.0, 8.0, 0.0, 0.0,
    ]  # fmt: skip
    assert caps(event(simple((60, 3)), ramp_up=2), programmes=paused)[-1][2] == 0.0


def test_rnd_03_an_emergency_has_no_ramp_up_but_recovers() -> None:
    given_event = event(capacity((600, 0.0)), context=EMERGENCY, ramp_up=-400, recovery=40)
    assert caps(given_event)[:2] == [(0, 600, 0.0), (600, 610, 8.0)]


def test_rnd_07_a_ramp_beyond_the_calendar_is_held_to_a_day() -> None:
    given_event = event(simple((600, 3)))
    endless = replace(given_event.active_period, ramp_up=Duration(months=120_000))
    assert caps(replace(given_event, active_period=endless))[-1][0] == -21_600
    endless = replace(given_event.active_period, ramp_up=Duration(months=-120_000))
    assert caps(replace(given_event, active_period=endless))[0][:2] == (0, 150)


STEPS = st.tuples(st.integers(1, 900), st.sampled_from([0, 1, 2, 3]))


@given(
    st.lists(STEPS, min_size=1, max_size=5),
    st.integers(-900, 900),
    st.integers(-900, 900),
    st.floats(0, 1, exclude_max=True),
    st.floats(6, 80),
    st.sampled_from(["floor", "pause"]),
)
def test_property_caps_never_overlap_never_pass_the_maximum_and_hold_0_or_at_least_6_a(
    steps: list[tuple[int, int]], ramp_up: int, recovery: int, u: float, max_a: float, floor: str
) -> None:
    given_event = event(simple(*steps), ramp_up=ramp_up, recovery=recovery, startafter=60)
    how = {
        "start_u": u,
        "release_u": u,
        "on": resource(max_a=max_a),
        "programmes": changed("dno-curtailment", floor=floor),
    }
    [found] = planned(given_event, **how)  # type: ignore[arg-type]
    assert [found] == list(planned(given_event, **how))  # type: ignore[arg-type]  # a pure function of its inputs
    for cap in found.caps:
        assert cap.end is not None
        assert cap.start < cap.end
        if cap.limit_a is not None:
            assert cap.limit_a == 0.0 or 6.0 <= cap.limit_a <= max_a
    for one, other in zip(found.caps, found.caps[1:], strict=False):
        assert one.end is not None
        assert one.end <= other.start
    asked = {cap.value: cap.limit_a for cap in found.caps if "ramp" not in cap.reason and "recovery" not in cap.reason}
    assert asked.get(3.0, 0.0) == 0.0
    for cap in found.caps:  # a step of a ramp is never tighter than the event itself
        if cap.limit_a is not None and cap.value in asked:
            assert cap.limit_a >= (asked[cap.value] or 0.0)


@pytest.mark.parametrize(("day", "count"), [(date(2026, 3, 29), 46), (date(2026, 10, 25), 50)])
def test_evt_10_a_clock_change_day_of_a_tariff_is_46_or_50_half_hours_long(day: date, count: int) -> None:
    start, intervals = day_ahead(day, ZoneInfo("Europe/London"), [0.35 if uid % 2 else 0.20 for uid in range(count)])
    price = replace(signal("ELECTRICITY_PRICE", SignalType.PRICE, (1800, 0.0), unit=EUR), intervals=intervals)
    given_event = event(price, context=TARIFF, start=start)
    check_event(given_event)
    [found] = planned(given_event)
    assert [cap.limit_a for cap in found.caps] == [None, 16.0] * (count // 2)
    assert {cap.end - cap.start for cap in found.caps[:-1] if cap.end is not None} == {timedelta(minutes=30)}
    assert found.timing.end == start + timedelta(minutes=30) * count


def test_evt_11_a_tariff_s_caps_are_of_the_price_class_so_that_nobody_counts_them_as_curtailment() -> None:
    price = signal("ELECTRICITY_PRICE", SignalType.PRICE, (60, 0.5), unit=EUR)
    [found] = planned(event(price, context=TARIFF))
    assert (found.caps[0].event_class, found.caps[0].limit_a) == (EventClass.PRICE, 0.0)
    assert found.caps[0].overridable
