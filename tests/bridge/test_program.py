"""Programme files: what they may say, and the clear refusal of what they may not."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge.asks import Effect, FloorPolicy
from bridge.program import EventClass, OverridePolicy, Programme, ProgrammeError, Programmes, parse
from bridge.programmes import load, names
from openadr.errors import InvalidData, SignalNotSupported, TargetMismatch
from openadr.model import Signal, SignalType
from tests.bridge.parts import (
    AGGREGATOR,
    DNO,
    EMERGENCY,
    EUR,
    PROGRAMMES,
    capacity,
    dispatch,
    event,
    resource,
    signal,
    simple,
)

GOOD = """
market_context = "http://x.example/a"
version = "3"
class = "reliability"
floor = "pause"
override = "allowed"
[[signals]]
name = "SIMPLE"
type = "level"
rule = "levels"
levels = { 1 = 0.8 }
[[signals]]
name = "ELECTRICITY_PRICE"
type = "price"
rule = "informative"
"""


def test_a_programme_is_read() -> None:
    programme = parse(GOOD, "good.toml")
    assert (programme.market_context, programme.version, programme.event_class) == (
        "http://x.example/a",
        "3",
        EventClass.RELIABILITY,
    )
    assert programme.floor is FloorPolicy.PAUSE
    assert programme.random_window_s == 600
    assert programme.overridable(Effect.CONSTRAIN)
    assert programme.label == "http://x.example/a 3"
    assert [rule.rule for rule in programme.acting] == ["levels"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "3"', "", "version: Field required"),
        ('version = "3"', 'version = "3"\ncolour = "red"', "colour: Extra inputs"),
        ('floor = "pause"', 'floor = "stop"', "floor: Input should be 'floor' or 'pause'"),
        ("0.8", "1.2", "signals.0.levels.1: Input should be less than or equal to 1"),
        ("{ 1 = 0.8 }", "{ 0 = 0.8 }", "'0' is no level"),
        ("{ 1 = 0.8 }", "{ high = 0.8 }", "'high' is no level"),
        ("{ 1 = 0.8 }", "{ }", "needs at least one level"),
        ('rule = "informative"', 'rule = "guess"', "signals.1: Input tag 'guess'"),
        (
            'name = "ELECTRICITY_PRICE"\ntype = "price"',
            'name = "SIMPLE"\ntype = "level"',
            "SIMPLE level is listed twice",
        ),
        ('rule = "levels"\nlevels = { 1 = 0.8 }', 'rule = "capacity"', "SIMPLE is a step signal"),
        ('class = "reliability"', 'class = "emergency"', "emergency: must be true exactly for class"),
        ('class = "reliability"', 'class = "emergency"\nemergency = true', "must say 'refused' (ARB-05)"),
        (
            'class = "reliability"\nfloor = "pause"\noverride = "allowed"',
            'class = "emergency"\nemergency = true\nfloor = "pause"\noverride = "refused"',
            "random_window_s: an emergency acts at once",
        ),
        ('version = "3"', "version = ", "not TOML"),
    ],
)
def test_a_wrong_programme_is_refused_with_the_file_and_the_key(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ProgrammeError) as refusal:
        parse(GOOD.replace(old, new), "mine.toml")
    assert str(refusal.value).startswith("mine.toml: ")
    assert message in str(refusal.value)


def test_shipped_programmes_load_and_own_ones_are_found_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(GOOD)
    found = load((*names(), "own.toml"), tmp_path)
    assert {DNO, EMERGENCY, "http://x.example/a"} <= set(found.by_context)


def test_an_unreadable_programme_and_a_context_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgrammeError, match=r"none.toml: cannot be read"):
        load(("none.toml",), tmp_path)
    one = parse(GOOD, "a")
    with pytest.raises(ProgrammeError, match="has two programmes"):
        Programmes.of([one, one])


def test_rule_109_an_unknown_triple_is_460() -> None:
    programme = PROGRAMMES.by_context[DNO]
    with pytest.raises(SignalNotSupported, match="LOAD_DISPATCH setpoint is not in the programme"):
        programme.check(event(simple((60, 1)), signal("LOAD_DISPATCH", SignalType.SETPOINT, (60, 1))))


@pytest.mark.parametrize(
    "wrong",
    [simple((60, 4)), simple((60, 1.5)), simple((60, float("nan"))), capacity((60, 1.01)), capacity((60, -0.1))],
)
def test_values_out_of_range_are_454(wrong: Signal) -> None:
    with pytest.raises(InvalidData):
        PROGRAMMES.by_context[DNO].check(event(wrong))
    assert PROGRAMMES.usable(event(wrong)) is None


def test_evt_11_a_price_is_informative_and_never_a_limit() -> None:
    programme = parse(GOOD, "a")
    price = signal("ELECTRICITY_PRICE", SignalType.PRICE, (60, 0.31))
    programme.check(event(price, simple((60, 1))))
    rule = programme.rule_for(price)
    assert rule is not None
    assert rule.ask(price, 0.31, resource()).effect is Effect.NORMAL
    with pytest.raises(InvalidData):
        rule.check(price, float("inf"))


def test_a_market_context_that_is_not_enrolled_is_462() -> None:
    with pytest.raises(TargetMismatch):
        PROGRAMMES.of_event(event(simple((60, 1)), context="http://other.example"))
    assert PROGRAMMES.usable(event(simple((60, 1)), context="http://other.example")) is None
    assert PROGRAMMES.usable(event(simple((60, 1)))) is PROGRAMMES.by_context[DNO]


def test_a_file_with_several_faults_names_each_by_its_key() -> None:
    text = GOOD.replace('version = "3"', "").replace('override = "allowed"', 'override = { stop = "never", foo = 1 }')
    with pytest.raises(ProgrammeError) as refusal:
        parse(text, "mine.toml")
    assert str(refusal.value).splitlines() == [
        "mine.toml: version: Field required",
        "mine.toml: override: Input should be 'allowed' or 'refused'",
        "mine.toml: override.stop: Input should be 'allowed' or 'refused'",
        "mine.toml: override.foo: Extra inputs are not permitted",
    ]


@pytest.mark.parametrize(
    ("kind", "floor", "stop", "constrain", "load_up"),
    [
        ("reliability", "floor", False, True, True),
        ("regulation", "floor", False, True, True),
        ("price", "floor", True, True, True),
        ("load-up", "floor", True, True, True),
        ("calendar", "floor", True, True, True),
        ("test", "floor", True, True, True),
        ("emergency", "pause", False, False, False),
    ],
)
def test_arb_05_what_a_file_leaves_out_follows_from_its_class(
    kind: str, floor: str, stop: bool, constrain: bool, load_up: bool
) -> None:
    text = GOOD.replace('floor = "pause"\noverride = "allowed"\n', "").replace('"reliability"', f'"{kind}"')
    if kind == "emergency":
        text = text.replace('version = "3"', 'version = "3"\nemergency = true\nrandom_window_s = 0')
    programme = parse(text, "a")
    assert programme.terms.floor == floor
    asked = (Effect.STOP, Effect.CONSTRAIN, Effect.LOAD_UP)
    assert [programme.overridable(each) for each in asked] == [stop, constrain, load_up]


def test_arb_05_the_override_policy_is_a_table_by_what_is_asked() -> None:
    programme = parse(GOOD.replace('"allowed"', '{ stop = "refused" }'), "a")
    assert not programme.overridable(Effect.STOP)
    assert programme.overridable(Effect.CONSTRAIN)
    assert parse(GOOD.replace('"allowed"', '"refused"'), "a").overrides.load_up is OverridePolicy.REFUSED


def test_rnd_03_an_emergency_may_have_no_ramp_up_of_its_own() -> None:
    head = 'class = "emergency"\nemergency = true\nrandom_window_s = 0\nramp_up_s = 30'
    text = GOOD.replace('class = "reliability"', head).replace('"allowed"', '"refused"')
    with pytest.raises(ProgrammeError, match="ramp_up_s: an emergency acts at once"):
        parse(text, "a")


def test_ops_03_a_programme_that_changes_needs_a_new_version() -> None:
    before = Programmes.of([parse(GOOD, "a")])
    with pytest.raises(ProgrammeError, match=r"http://x\.example/a has changed and is still version 3"):
        Programmes.of([parse(GOOD.replace("0.8", "0.7"), "a")]).succeed(before)
    Programmes.of([parse(GOOD.replace("0.8", "0.7").replace('"3"', '"4"'), "a")]).succeed(before)
    Programmes.of([parse(GOOD, "a"), PROGRAMMES.by_context[DNO]]).succeed(before)


def test_a_programme_that_is_no_table_is_refused() -> None:
    with pytest.raises(ValidationError):
        Programme.model_validate([])


def test_rule_510_the_shipped_aggregator_programme_takes_simple_price_and_dispatch_together() -> None:
    given_event = event(
        dispatch(SignalType.SETPOINT, (60, 11.0)),
        simple((60, 2)),
        signal("ELECTRICITY_PRICE", SignalType.PRICE, (60, 0.3), unit=EUR),
        context=AGGREGATOR,
    )
    assert PROGRAMMES.usable(given_event) is PROGRAMMES.by_context[AGGREGATOR]
