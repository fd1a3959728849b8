"""What a value asks of a load: the sums of table 3.2, the floor, the references, exactly and as properties."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.asks import (
    Ask,
    Basis,
    Content,
    Effect,
    FloorPolicy,
    Limit,
    Reference,
    StartedInside,
    Terms,
    limit,
    round_down,
    settle,
)
from bridge.resources import Kind, Resource
from tests.bridge.parts import resource

AT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
FLOOR, PAUSE = Terms(floor=FloorPolicy.FLOOR), Terms(floor=FloorPolicy.PAUSE)
HALF = Ask(effect=Effect.CONSTRAIN, fraction=0.5, basis=Basis.FIXED)
HALF_OF_NOW = replace(HALF, basis=Basis.DYNAMIC)


def drew(power_w: float | None, content: Content | None = None) -> Reference:
    return Reference(event_id="e", resource_id="evse-1", at=AT, power_w=power_w, window_s=300, content=content)


def amps(ask: Ask, on: Resource, terms: Terms = FLOOR, reference: Reference | None = None) -> float | None:
    return limit(ask, on, terms, reference).amperes


def test_map_09_22_5_a_at_25_percent_is_6_a_under_floor_and_a_pause_under_pause() -> None:
    on, ask = resource(max_a=22.5), replace(HALF, fraction=0.25)
    floored = limit(ask, on, FLOOR)
    assert (floored.amperes, floored.words) == (6.0, "25 % of 22.5 A = 5.625 A, raised to the 6 A floor")
    paused = limit(ask, on, PAUSE)
    assert (paused.amperes, paused.words) == (0.0, "25 % of 22.5 A = 5.625 A, below 6 A: paused")
    assert amps(replace(ask, effect=Effect.STOP, fraction=0.0), on) == 0.0


def test_map_10_32_a_at_50_percent_is_exactly_16_a() -> None:
    assert limit(HALF, resource(max_a=32.0), FLOOR).words == "50 % of 32 A = 16 A per phase"
    assert amps(HALF, resource(max_a=32.0)) == 16.0


def test_map_08_rounding_is_down_but_exact_products_stay_exact() -> None:
    assert round_down(16.09) == 16.0
    assert round_down(0.3 * 20) == 6.0
    assert amps(replace(HALF, fraction=0.77), resource(max_a=32)) == 24.6


def test_map_08_a_1_phase_car_on_a_4_2_kw_limit_has_18_2_a_and_a_3_phase_one_6_a() -> None:
    ask = Ask(effect=Effect.CONSTRAIN, offset_w=4200.0)
    found = limit(ask, resource(phases=1), FLOOR)
    assert (found.amperes, found.words) == (18.2, "4.2 kW = 18.2 A per phase")
    assert amps(ask, resource(phases=3)) == 6.0
    assert amps(replace(ask, offset_w=4139.0), resource(phases=3), PAUSE) == 0.0
    assert amps(replace(ask, offset_w=90_000.0), resource(phases=3)) == 32.0


def test_map_05_the_dynamic_reference_is_what_was_drawn_before_the_start() -> None:
    found = limit(HALF_OF_NOW, resource(), FLOOR, drew(11_040.0))
    assert found.amperes == 8.0
    assert found.words == "50 % of 11.04 kW (the mean of 300 s before the start) = 5.52 kW = 8 A per phase"


def test_scn_02_a_load_at_40_percent_under_drm_2_is_not_cut_by_fixed_and_goes_to_the_floor_by_dynamic() -> None:
    on, before = resource(max_a=32.0), drew(0.4 * 32 * 3 * 230)
    assert amps(HALF, on, reference=before) == 16.0  # above its 12.8 A: neither cut nor driven up
    assert amps(HALF_OF_NOW, on, reference=before) == 6.4
    assert amps(HALF_OF_NOW, resource(max_a=20.0), reference=drew(0.4 * 20 * 690)) == 6.0  # 4 A: the floor rule


def test_map_04_the_same_half_is_another_current_as_capacity_and_as_dispatch_multiplier() -> None:
    before = drew(11_040.0)
    assert (amps(HALF, resource(), reference=before), amps(HALF_OF_NOW, resource(), reference=before)) == (16.0, 8.0)


def test_map_05_until_the_reference_is_taken_the_installed_maximum_stands_in_and_says_so() -> None:
    found = limit(HALF_OF_NOW, resource(), FLOOR, None)
    assert found.amperes == 16.0
    assert "the installed maximum, until the reference is taken at the start" in found.words


@pytest.mark.parametrize("power_w", [None, 0.0, 99.9])
def test_map_05_a_charge_that_starts_inside_has_the_fixed_reference_or_none_as_declared(power_w: float | None) -> None:
    found = limit(HALF_OF_NOW, resource(), FLOOR, drew(power_w))
    assert found.amperes == 16.0
    assert "nothing was charging before the start" in found.words
    free = limit(HALF_OF_NOW, resource(), replace(FLOOR, started_inside=StartedInside.FREE), drew(power_w))
    assert (free.amperes, free.effect) == (None, Effect.NORMAL)


def test_map_05_a_delta_is_taken_of_the_reference_and_never_goes_below_zero() -> None:
    ask = Ask(effect=Effect.CONSTRAIN, fraction=1.0, offset_w=-3000.0, basis=Basis.DYNAMIC)
    found = limit(ask, resource(), FLOOR, drew(11_040.0))
    assert found.amperes == 11.6
    assert found.words.startswith("11.04 kW (the mean of 300 s before the start) - 3 kW = 8.04 kW")
    assert amps(replace(ask, offset_w=-20_000.0), resource(), FLOOR, drew(11_040.0)) == 0.0
    fixed = replace(ask, basis=Basis.FIXED)
    assert amps(fixed, resource()) == 27.6  # 22.08 kW installed - 3 kW
    shared = replace(ask, together=True)
    assert limit(shared, resource(), FLOOR, drew(11_040.0), share=0.5).amperes == 13.8


def test_arb_16_a_power_for_all_together_is_no_limit_of_one_unless_it_is_alone() -> None:
    ask = Ask(effect=Effect.CONSTRAIN, offset_w=50_000.0, together=True)
    assert limit(ask, resource(), FLOOR, share=0.25) == Limit(
        amperes=None, words="50 kW for all together", effect=Effect.CONSTRAIN, group_kw=50.0
    )
    assert limit(replace(ask, offset_w=4200.0), resource(phases=1), FLOOR).amperes == 18.2


def test_map_13_more_load_is_a_request_and_no_limit() -> None:
    found = limit(Ask(effect=Effect.LOAD_UP, note="why"), resource(), FLOOR)
    assert found == Limit(amperes=None, words="more load is asked for: no limit (why)", effect=Effect.LOAD_UP)
    assert limit(Ask(effect=Effect.NORMAL), resource(), FLOOR).words == "normal operation"


def test_map_07_an_on_off_device_is_quantised_down_at_every_one_of_eleven_steps() -> None:
    device = resource(binary=True)
    steps = [amps(replace(HALF, fraction=step / 10), device) for step in range(11)]
    assert steps == [*[0.0] * 10, 32.0]
    proportional = [amps(replace(HALF, fraction=step / 10), resource()) for step in range(11)]
    assert proportional == [0.0, 6.0, 6.4, 9.6, 12.8, 16.0, 19.2, 22.4, 25.6, 28.8, 32.0]


def test_a_device_without_a_least_current_has_no_floor() -> None:
    heater = resource(kind=Kind.WATER_HEATER, max_a=13.0, phases=1)
    assert settle(1.24, heater, FloorPolicy.PAUSE) == (1.2, "")


def test_tel_10_a_charge_state_needs_a_known_content_and_an_end() -> None:
    ask, full = Ask(effect=Effect.CONSTRAIN, target_wh=40_000.0), Content(content_wh=30_000.0, full_wh=60_000.0)
    on = resource(phases=1)

    def of(ask: Ask, length_s: float | None, reference: Reference | None) -> tuple[float | None, str]:
        found = limit(ask, on, FLOOR, reference, length_s)
        return found.amperes, found.words

    assert of(ask, 7200.0, drew(0.0, full)) == (
        21.7,
        "10 kWh to reach 40 kWh in 7200 s = 5 kW = 21.7 A per phase",
    )
    assert of(Ask(effect=Effect.CONSTRAIN, target_share=0.75), 7200.0, drew(0.0, full))[0] == 32.0
    assert of(Ask(effect=Effect.CONSTRAIN, gain_wh=5000.0), 7200.0, drew(0.0, full))[0] == 10.8
    assert of(Ask(effect=Effect.CONSTRAIN, target_wh=20_000.0), 7200.0, drew(0.0, full))[0] == 0.0
    assert of(ask, 7200.0, drew(5000.0)) == (None, "no limit until the content is taken at the start")
    assert of(ask, 7200.0, None)[0] is None
    assert of(ask, None, drew(0.0, full)) == (None, "no end to reach a content by")


FRACTION = st.floats(0, 1)
MAXIMUM = st.floats(6, 500)


@given(FRACTION, MAXIMUM, st.sampled_from([FLOOR, PAUSE]), st.sampled_from(Basis), st.floats(0, 400_000))
def test_map_09_never_between_0_and_6_a_and_never_above_the_exact_value_beyond_it(
    fraction: float, max_a: float, terms: Terms, basis: Basis, before_w: float
) -> None:
    on = resource(max_a=max_a)
    ask = replace(HALF, fraction=fraction, basis=basis)
    amperes = amps(ask, on, terms, drew(before_w))
    assert amperes is not None
    assert amperes == 0.0 or amperes >= 6.0
    assert amperes <= max(max_a, 6.0)
    dynamic = basis is Basis.DYNAMIC and before_w >= 100.0
    exact = fraction * (min(max_a, before_w / 690) if dynamic else max_a)
    if amperes > 6.0 or terms is PAUSE:
        assert amperes <= exact + 1e-6
    if amperes > 6.0:
        assert amperes >= exact - 0.1 - 1e-6


@given(FRACTION, FRACTION, MAXIMUM, st.sampled_from([FLOOR, PAUSE]), st.sampled_from(Basis), st.floats(100, 400_000))
def test_map_07_less_asked_is_never_more_allowed(
    one: float, other: float, max_a: float, terms: Terms, basis: Basis, before_w: float
) -> None:
    on, low, high = resource(max_a=max_a), min(one, other), max(one, other)
    found = [amps(replace(HALF, fraction=each, basis=basis), on, terms, drew(before_w)) for each in (low, high)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0] <= found[1]


@given(st.floats(0, 100_000), st.sampled_from([1, 2, 3]), st.floats(100, 400))
def test_map_08_watts_are_never_exceeded_beyond_the_floor(power_w: float, phases: int, voltage: float) -> None:
    on = resource(phases=phases, voltage=voltage)
    amperes = amps(Ask(effect=Effect.CONSTRAIN, offset_w=power_w), on, PAUSE)
    assert amperes is not None
    assert amperes * phases * voltage <= power_w + 1e-3
