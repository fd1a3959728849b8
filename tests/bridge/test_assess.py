"""The bridge's answer to an event: the response codes of R48 and who takes part."""

import pytest

from bridge.assess import Assessor
from bridge.program import Programmes
from bridge.resources import Kind, Scenario
from openadr.model import EiTarget, Event, OptType, SignalType
from tests.bridge.parts import (
    AGGREGATOR,
    DRM,
    EMERGENCY,
    EUR,
    PROGRAMMES,
    T0,
    VEN_ID,
    capacity,
    dispatch,
    event,
    resource,
    signal,
    simple,
)

HEATERS = EiTarget(end_device_assets=("Water_Heater",))


@pytest.mark.parametrize(
    ("given", "code", "opt"),
    [
        (event(simple((60, 2))), 200, OptType.OPT_IN),
        (event(capacity((60, 0.5)), context=EMERGENCY), 200, OptType.OPT_IN),
        (event(simple((60, 2)), context="http://other.example"), 462, OptType.OPT_OUT),
        (event(simple((60, 2)), target=EiTarget(ven_ids=("ven-other",))), 462, OptType.OPT_OUT),
        (event(simple((60, 2)), target=EiTarget(resource_ids=("evse-9",))), 462, OptType.OPT_OUT),
        (event(simple((60, 2)), target=EiTarget(group_ids=("feeder-7",))), 200, OptType.OPT_IN),
        (event(signal("LOAD_DISPATCH", SignalType.SETPOINT, (60, 5.0))), 460, OptType.OPT_OUT),
        (event(simple((60, 7))), 454, OptType.OPT_OUT),
        (event(capacity((60, 1.5))), 454, OptType.OPT_OUT),
        (event(signal("SIMPLE", SignalType.LEVEL, (60, 2), target=HEATERS)), 469, OptType.OPT_OUT),
        (event(simple((60, 2)), test="true"), 200, OptType.OPT_OUT),
        (event(simple((60, 2)), test="true", target=EiTarget(resource_ids=("evse-2",))), 200, OptType.OPT_IN),
    ],
)
def test_rule_048_every_event_gets_its_code_and_opt(given: Event, code: int, opt: OptType) -> None:
    assess = Assessor(PROGRAMMES, (resource(1), resource(2, test_enrolled=True)), lambda: VEN_ID)
    if given.descriptor.is_test and not given.target.resource_ids:
        assess = Assessor(PROGRAMMES, (resource(1),), lambda: VEN_ID)
    found = assess(given, T0)
    assert (found.response_code, found.opt_type) == (code, opt)
    assert (found.description is None) == (opt is OptType.OPT_IN)


@pytest.mark.parametrize("mode", [5, 6, 7, 8])
def test_scn_06_ven_11_drm_5_to_8_at_charge_only_equipment_is_opted_out_with_the_reason(mode: int) -> None:
    assess = Assessor(PROGRAMMES, (resource(1),), lambda: VEN_ID)
    found = assess(event(signal("x-DRM", SignalType.LEVEL, (60, 2), (60, mode)), context=DRM), T0)
    assert (found.response_code, found.opt_type) == (469, OptType.OPT_OUT)
    assert found.description == (
        f"x-DRM level {mode} is about export (DRM 5 to 8) and evse-1 only charges: notParticipating"
    )


@pytest.mark.parametrize(
    "given",
    [
        event(dispatch(SignalType.SETPOINT, (60, -5.0)), context=AGGREGATOR),
        event(dispatch(SignalType.MULTIPLIER, (60, -0.5)), context=AGGREGATOR),
        event(signal("LOAD_CONTROL", SignalType.LOAD_CONTROL_PERCENT_OFFSET, (60, -150)), context=AGGREGATOR),
        event(signal("CHARGE_STATE", SignalType.MULTIPLIER, (60, 0.8)), context=AGGREGATOR),
        event(signal("LOAD_CONTROL", SignalType.LOAD_CONTROL_SETPOINT, (60, 8)), context=AGGREGATOR),
    ],
)
def test_ven_11_what_none_of_the_resources_can_do_is_469_and_opted_out(given: Event) -> None:
    heater = resource(1, kind=Kind.WATER_HEATER)
    found = Assessor(PROGRAMMES, (heater,), lambda: VEN_ID)(given, T0)
    assert (found.response_code, found.opt_type) == (469, OptType.OPT_OUT)
    assert found.description is not None
    assert "evse-1" in found.description


def test_tel_10_a_charge_state_is_taken_on_where_the_state_of_charge_is_known_or_another_signal_serves() -> None:
    both, full = (resource(1), resource(2)), signal("CHARGE_STATE", SignalType.MULTIPLIER, (60, 0.8))
    known = Assessor(PROGRAMMES, both, lambda: VEN_ID, lambda: frozenset({"evse-2"}))
    assert known(event(full, context=AGGREGATOR), T0).opt_type is OptType.OPT_IN
    unknown = Assessor(PROGRAMMES, both, lambda: VEN_ID)
    assert unknown(event(full, context=AGGREGATOR), T0).opt_type is OptType.OPT_OUT
    assert unknown(event(full, simple((60, 2)), context=AGGREGATOR), T0).opt_type is OptType.OPT_IN


def test_chg_14_en_route_rapid_charging_is_left_alone_and_a_mixed_refusal_says_the_worst() -> None:
    rapid = resource(1, scenario=Scenario.EN_ROUTE)
    found = Assessor(PROGRAMMES, (rapid,), lambda: VEN_ID)(event(simple((60, 2))), T0)
    assert (found.response_code, found.opt_type) == (200, OptType.OPT_OUT)
    export = event(signal("x-DRM", SignalType.LEVEL, (60, 8)), context=DRM)
    assert Assessor(PROGRAMMES, (rapid, resource(2)), lambda: VEN_ID)(export, T0).response_code == 469


def test_rule_106_a_price_alone_is_taken_on_and_limits_nothing() -> None:
    price = signal("ELECTRICITY_PRICE", SignalType.PRICE, (60, 0.3), unit=EUR)
    assert (
        Assessor(PROGRAMMES, (resource(1),), lambda: VEN_ID)(event(price, context=AGGREGATOR), T0).response_code == 200
    )


def test_ops_03_programmes_read_anew_count_at_the_next_event() -> None:
    assess = Assessor(Programmes({}), (resource(1),), lambda: VEN_ID)
    assert assess(event(simple((60, 2))), T0).response_code == 462
    assess.use(PROGRAMMES)
    assert assess(event(simple((60, 2))), T0).response_code == 200
