"""Programme files: what they may say, and the clear refusal of what they may not."""

from pathlib import Path

import pytest

from bridge.program import EventClass, FloorPolicy, ProgrammeError, Programmes, parse
from bridge.programmes import load, names
from openadr.errors import InvalidData, SignalNotSupported, TargetMismatch
from openadr.model import Signal, SignalType
from tests.bridge.parts import DNO, EMERGENCY, PROGRAMMES, capacity, event, signal, simple

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
    assert programme.overridable


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
    assert rule.fraction(0.31) is None
    with pytest.raises(InvalidData):
        rule.fraction(float("inf"))


def test_a_market_context_that_is_not_enrolled_is_462() -> None:
    with pytest.raises(TargetMismatch):
        PROGRAMMES.of_event(event(simple((60, 1)), context="http://other.example"))
    assert PROGRAMMES.usable(event(simple((60, 1)), context="http://other.example")) is None
    assert PROGRAMMES.usable(event(simple((60, 1)))) is PROGRAMMES.by_context[DNO]
