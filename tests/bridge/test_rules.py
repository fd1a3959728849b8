"""The rules of a programme file: what each value asks, in which sense, with which unit; and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bridge.asks import Ask, Basis, Effect
from bridge.baserule import SI, Rule
from bridge.fitting import FITTING
from bridge.program import Programme, ProgrammeError, parse
from bridge.resources import Kind
from bridge.rules import SignalRule
from openadr.errors import InvalidData, OadrError, SignalNotSupported
from openadr.model import ItemBase, Signal, energy_real, power_real
from openadr.signals import RULES
from openadr.wire.units import SCALES
from tests.bridge.parts import EUR, KW, resource, signal

ON = resource()


def rule(name: str, type_: str, kind: str, **more: object) -> SignalRule:
    return TypeAdapter[SignalRule](SignalRule).validate_python({"name": name, "type": type_, "rule": kind, **more})


def asks(given_rule: Rule, value: float, unit: ItemBase | None = None) -> tuple[Effect, float, float, Basis | None]:
    found = ask(given_rule, value, unit)
    return found.effect, round(found.fraction, 9), found.offset_w, found.basis


def ask(given_rule: Rule, value: float, unit: ItemBase | None = None) -> Ask:
    return given_rule.ask(carrying(given_rule, unit), value, ON)


def carrying(given_rule: Rule, unit: ItemBase | None) -> Signal:
    return signal(given_rule.name, given_rule.type, (60, 0.0), unit=unit)


def refused(given_rule: Rule, value: float, unit: ItemBase | None = None) -> int:
    with pytest.raises(OadrError) as refusal:
        given_rule.check(carrying(given_rule, unit), value)
    return int(refusal.value.code)


NORMAL = (Effect.NORMAL, 0.0, 0.0, None)
MORE = (Effect.LOAD_UP, 0.0, 0.0, None)
EXPORT = (Effect.EXPORT, 0.0, 0.0, None)


def test_map_04_level_offset_and_percent_offset_have_opposite_senses_and_neither_is_a_capacity() -> None:
    levels = rule("LOAD_CONTROL", "x-loadControlLevelOffset", "levels", levels={"-1": "more", "1": 0.75, "2": 0.5})
    percent = rule("LOAD_CONTROL", "x-loadControlPercentOffset", "percent")
    capacity = rule("LOAD_CONTROL", "x-loadControlCapacity", "capacity")
    assert [asks(levels, value) for value in (-1, 0, 1, 2)] == [
        MORE,
        NORMAL,
        (Effect.CONSTRAIN, 0.75, 0.0, Basis.FIXED),
        (Effect.CONSTRAIN, 0.5, 0.0, Basis.FIXED),
    ]
    assert asks(percent, -50) == (Effect.CONSTRAIN, 0.5, 0.0, Basis.DYNAMIC)
    assert asks(percent, 0) == (Effect.CONSTRAIN, 1.0, 0.0, Basis.DYNAMIC)
    assert asks(percent, -100) == (Effect.STOP, 0.0, 0.0, Basis.DYNAMIC)
    assert (asks(percent, 10), asks(percent, -101)) == (MORE, EXPORT)
    assert asks(capacity, 0.5) == (Effect.CONSTRAIN, 0.5, 0.0, Basis.FIXED)
    assert asks(capacity, 0) == (Effect.STOP, 0.0, 0.0, Basis.FIXED)


def test_map_04_dispatch_is_absolute_or_relative_to_the_power_before_the_start() -> None:
    setpoint, delta = rule("LOAD_DISPATCH", "setpoint", "setpoint"), rule("LOAD_DISPATCH", "delta", "delta")
    multiplier = rule("LOAD_DISPATCH", "multiplier", "multiplier")
    assert asks(setpoint, 4.2, KW) == (Effect.CONSTRAIN, 0.0, 4200.0, None)
    assert asks(setpoint, 0, KW) == (Effect.STOP, 0.0, 0.0, None)
    assert asks(setpoint, -1, KW) == EXPORT
    assert asks(delta, -3, KW) == (Effect.CONSTRAIN, 1.0, -3000.0, Basis.DYNAMIC)
    assert (asks(delta, 3, KW), delta.dynamic, setpoint.dynamic) == (MORE, True, False)
    assert asks(multiplier, 0.5) == (Effect.CONSTRAIN, 0.5, 0.0, Basis.DYNAMIC)
    assert (asks(multiplier, 1.5), asks(multiplier, -0.5)) == (MORE, EXPORT)
    together = rule("LOAD_DISPATCH", "setpoint", "setpoint", applies_to="together")
    assert (ask(together, 5, KW).together, ask(together, 0, KW).together) == (True, False)
    assert ask(rule("LOAD_DISPATCH", "delta", "delta", applies_to="together"), -5, KW).together


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-1, NORMAL),
        (0, (Effect.STOP, 0.0, 0.0, Basis.FIXED)),
        (1, (Effect.STOP, 0.0, 0.0, Basis.FIXED)),
        (2, (Effect.CONSTRAIN, 0.5, 0.0, Basis.FIXED)),
        (3, (Effect.CONSTRAIN, 0.75, 0.0, Basis.FIXED)),
        (4, MORE),
        *[(mode, EXPORT) for mode in (5, 6, 7, 8)],
    ],
)
def test_map_02_demand_response_modes_by_number(value: int, expected: object) -> None:
    assert asks(rule("x-DRM", "level", "drm"), value) == expected


def test_map_17_prices_move_load_only_by_bands() -> None:
    bands = [{"at_least": 0.3, "fraction": 0.5}, {"at_least": 0.45, "fraction": 0.0}]
    price = rule("ELECTRICITY_PRICE", "price", "price", bands=bands, currency="EUR")
    found = [asks(price, value, EUR)[:2] for value in (-0.1, 0.29, 0.3, 0.44, 0.45, 9.0)]
    assert found == [
        (Effect.NORMAL, 0.0),
        (Effect.NORMAL, 0.0),
        (Effect.CONSTRAIN, 0.5),
        (Effect.CONSTRAIN, 0.5),
        (Effect.STOP, 0.0),
        (Effect.STOP, 0.0),
    ]
    cents = ItemBase(kind="currencyPerKWh", item_units="EUR", si_scale_code="c")
    assert asks(price, 30, cents)[1] == 0.5
    pounds = ItemBase(kind="currencyPerKWh", item_units="GBP")
    assert (refused(price, 0.1, pounds), refused(price, 0.1), refused(price, float("nan"), EUR)) == (460, 460, 454)
    multiplier = rule("ELECTRICITY_PRICE", "priceMultiplier", "price", bands=bands)
    assert asks(multiplier, 0.4)[1] == 0.5
    assert refused(multiplier, float("inf")) == 454


def test_evt_11_informative_signals_ask_for_nothing() -> None:
    bid = rule("BID_LOAD", "setpoint", "informative")
    assert asks(bid, 1e6) == NORMAL
    assert refused(bid, float("nan")) == 454


def test_a_device_set_point_means_what_is_declared_for_the_kind_of_resource() -> None:
    kind = {"evse": "A"}
    setpoint = rule("LOAD_CONTROL", "x-loadControlSetpoint", "device_setpoint", meaning=kind)
    assert setpoint.serves(ON, content_known=False)
    assert not setpoint.serves(resource(kind=Kind.WATER_HEATER), content_known=False)
    assert asks(setpoint, 10) == (Effect.CONSTRAIN, 0.0, 6900.0, None)
    assert asks(setpoint, 0) == (Effect.STOP, 0.0, 0.0, None)
    for unit, offset in (("W", 10.0), ("kW", 10_000.0)):
        other = rule("LOAD_CONTROL", "x-loadControlSetpoint", "device_setpoint", meaning={"evse": unit})
        assert asks(other, 10)[2] == offset
    share = rule("LOAD_CONTROL", "x-loadControlSetpoint", "device_setpoint", meaning={"evse": "fraction"})
    assert (asks(share, 0.5)[1], asks(share, 7)[1]) == (0.5, 1.0)
    assert (refused(setpoint, -1), refused(setpoint, float("nan"))) == (454, 454)


def test_tel_10_a_charge_state_serves_only_where_the_content_is_known() -> None:
    target = rule("CHARGE_STATE", "setpoint", "charge_state")
    assert (target.serves(ON, content_known=False), target.serves(ON, content_known=True)) == (False, True)
    assert target.dynamic
    kwh = energy_real(scale="k")
    assert ask(target, 40, kwh).target_wh == 40_000.0
    assert ask(rule("CHARGE_STATE", "delta", "charge_state"), 5, kwh).gain_wh == 5000.0
    assert asks(rule("CHARGE_STATE", "delta", "charge_state"), -5, kwh) == EXPORT
    share = rule("CHARGE_STATE", "multiplier", "charge_state")
    assert (ask(share, 0.8).target_share, ask(share, 0.8).stored) == (0.8, True)
    assert (refused(share, 1.1), refused(target, 1, KW)) == (454, 460)


def test_evt_05_apparent_and_reactive_power_and_a_missing_unit_are_460() -> None:
    setpoint = rule("LOAD_DISPATCH", "setpoint", "setpoint")
    for kind in ("powerApparent", "powerReactive", "energyReal"):
        assert refused(setpoint, 1, ItemBase(kind=kind, si_scale_code="k")) == 460
    assert refused(setpoint, 1) == 460
    assert refused(setpoint, 1, power_real(scale="Y")) == 460
    assert refused(setpoint, 2.0, power_real(scale="T")) == 454


@pytest.mark.parametrize(
    ("given_rule", "value"),
    [
        (rule("SIMPLE", "level", "levels", levels={"1": 0.5}), 2),
        (rule("SIMPLE", "level", "levels", levels={"1": 0.5}), 0.5),
        (rule("SIMPLE", "level", "levels", levels={"1": 0.5}), float("nan")),
        (rule("LOAD_CONTROL", "x-loadControlCapacity", "capacity"), 1.01),
        (rule("LOAD_CONTROL", "x-loadControlCapacity", "capacity"), float("nan")),
        (rule("LOAD_CONTROL", "x-loadControlPercentOffset", "percent"), float("inf")),
        (rule("LOAD_DISPATCH", "multiplier", "multiplier"), float("nan")),
        (rule("x-DRM", "level", "drm"), 9),
        (rule("x-DRM", "level", "drm"), 1.5),
    ],
)
def test_values_out_of_range_are_454_and_ask_refuses_what_check_refuses(given_rule: SignalRule, value: float) -> None:
    assert refused(given_rule, value) == 454
    with pytest.raises(InvalidData):
        given_rule.ask(carrying(given_rule, None), value, ON)


def test_map_08_every_prefix_of_the_standard_is_a_factor() -> None:
    assert set(SI) == SCALES
    assert [SI[name] for name in ("p", "n", "micro", "m", "c", "d", "none", "k", "M", "G", "T")] == [
        1e-12, 1e-9, 1e-6, 1e-3, 1e-2, 1e-1, 1.0, 1e3, 1e6, 1e9, 1e12,
    ]  # fmt: skip


def test_rule_104_every_well_known_signal_has_its_rules_and_no_other() -> None:
    assert set(FITTING) == set(RULES)


HEAD = 'market_context = "http://x.example/a"\nversion = "1"\nclass = "reliability"\n[[signals]]\n'


@pytest.mark.parametrize(
    ("name", "type_", "body", "why"),
    [
        ("SIMPLE", "setpoint", 'rule = "setpoint"', "SIMPLE setpoint is no signal of OpenADR 2.0b"),
        ("SIMPLE", "level", 'rule = "drm"', "SIMPLE is a step signal, its rule must be 'levels'"),
        ("DEMAND_CHARGE", "price", 'rule = "price"\nbands = [{ at_least = 1, fraction = 0 }]', "use informative"),
        ("LOAD_DISPATCH", "setpoint", 'rule = "delta"', "use informative or setpoint"),
        ("SIMPLE", "level", 'rule = "levels"\nlevels = { 4 = 0.5 }', "SIMPLE level has no level 4"),
        ("LOAD_DISPATCH", "level", 'rule = "levels"\nlevels = { -11 = 0.5 }', "has no level -11"),
        ("x-mine", "setpoint", 'rule = "levels"\nlevels = { 1 = 0.5 }', "x-mine setpoint cannot have the rule"),
        (
            "LOAD_CONTROL",
            "x-loadControlLevelOffset",
            'rule = "levels"\nlevels = { 1 = 0.5, 2 = 0.75 }',
            "2 asks for more load than 1",
        ),
        (
            "LOAD_CONTROL",
            "x-loadControlLevelOffset",
            'rule = "levels"\nlevels = { 1 = "more" , -1 = 0.5 }',
            "1 asks for more load than -1",
        ),
        (
            "ELECTRICITY_PRICE",
            "price",
            'rule = "price"\nbands = [{ at_least = 2, fraction = 1 }, { at_least = 1, fraction = 0 }]',
            "from low to high prices",
        ),
        (
            "ELECTRICITY_PRICE",
            "price",
            'rule = "price"\nbands = [{ at_least = 1, fraction = 0.1 }, { at_least = 2, fraction = 0.2 }]',
            "the band from 2 allows more than the one from 1",
        ),
        ("LOAD_CONTROL", "x-loadControlSetpoint", 'rule = "device_setpoint"\nmeaning = {}', "at least 1"),
    ],
)
def test_a_rule_that_does_not_fit_its_signal_is_refused_when_the_file_is_read(
    name: str, type_: str, body: str, why: str
) -> None:
    with pytest.raises(ProgrammeError) as refusal:
        parse(f'{HEAD}name = "{name}"\ntype = "{type_}"\n{body}\n', "mine.toml")
    assert str(refusal.value).startswith("mine.toml: ")
    assert why in str(refusal.value)


def test_rule_107_an_own_signal_may_have_any_rule_of_its_type() -> None:
    programme = parse(f'{HEAD}name = "x-mine"\ntype = "multiplier"\nrule = "multiplier"\n', "mine.toml")
    assert isinstance(programme, Programme)


@given(st.floats(-200, 200), st.floats(-200, 200))
def test_property_a_lower_percent_offset_never_allows_more(one: float, other: float) -> None:
    percent = rule("LOAD_CONTROL", "x-loadControlPercentOffset", "percent")
    low, high = sorted((one, other))
    first, second = ask(percent, low), ask(percent, high)
    rank = {Effect.EXPORT: -1.0, Effect.LOAD_UP: 2.0}
    assert rank.get(first.effect, first.fraction) <= rank.get(second.effect, second.fraction)


def test_units_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(SignalNotSupported, match="needs the unit powerReal, it came without one"):
        ask(rule("LOAD_DISPATCH", "delta", "delta"), -1)
