"""From events to caps: amperes, floor, random offsets, targets, cancellation; the acceptance vectors among them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plan import Cap, Draw, KnownEvent, ResourcePlan, limit, pairs, plan, round_down
from bridge.program import FloorPolicy, Programmes
from bridge.resources import Resource
from openadr.model import EiTarget, Event, SignalType
from tests.bridge.parts import (
    DNO,
    EMERGENCY,
    PROGRAMMES,
    VEN_ID,
    at,
    capacity,
    event,
    programme,
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
) -> tuple[ResourcePlan, ...]:
    on = on or resource()
    key = (given_event.descriptor.event_id, on.resource_id)
    draw = Draw(event_id=key[0], resource_id=key[1], start_u=start_u, release_u=release_u)
    known = KnownEvent(event=given_event, cancelled_at=None if cancelled_s is None else at(cancelled_s))
    return plan([known], programmes, [on], {key: draw}, VEN_ID)


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


def test_map_09_22_5_a_at_25_percent_is_6_a_under_floor_and_a_pause_under_pause() -> None:
    on = resource(max_a=22.5)
    assert limit(0.25, on, FloorPolicy.FLOOR) == (6.0, "25 % of 22.5 A = 5.625 A, raised to the 6 A floor")
    assert limit(0.25, on, FloorPolicy.PAUSE) == (0.0, "25 % of 22.5 A = 5.625 A, below 6 A: paused")
    assert limit(0.0, on, FloorPolicy.FLOOR)[0] == 0.0


def test_map_08_rounding_is_down_but_exact_products_stay_exact() -> None:
    assert round_down(16.09) == 16.0
    assert round_down(0.3 * 20) == 6.0
    assert limit(0.77, resource(max_a=32), FloorPolicy.FLOOR)[0] == 24.6


@given(st.floats(0, 1), st.floats(6, 500), st.sampled_from(FloorPolicy))
def test_map_09_never_between_0_and_6_a_and_never_above_the_exact_value_beyond_it(
    fraction: float, max_a: float, floor: FloorPolicy
) -> None:
    amperes, _ = limit(fraction, resource(max_a=max_a), floor)
    assert amperes == 0.0 or amperes >= 6.0
    if amperes > 6.0:
        assert fraction * max_a - 0.1 - 1e-6 <= amperes <= fraction * max_a + 1e-6
    if floor is FloorPolicy.PAUSE:
        assert amperes <= fraction * max_a + 1e-6


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
    priced = programme().model_copy(
        update={"signals": tuple(rule.model_copy(update={"rule": "informative"}) for rule in programme().signals)}
    )
    assert caps(event(capacity((60, 0.0))), programmes=Programmes({DNO: priced})) == []


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
