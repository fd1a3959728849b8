"""What the figures of a self-test prove, and the document that is signed."""

import json

import pytest

from bridge.evidence import Step, document, faults, half_of, stamp
from bridge.target import MeterReading
from tests.bridge.parts import T0, at


def step(name: str, *powers: float | None, current_a: tuple[float, ...] | None = None) -> Step:
    readings = tuple(
        MeterReading(charger="CP1", at=at(i), power_w=power, current_a=current_a) for i, power in enumerate(powers)
    )
    return Step(name=name, limit_a=None, asked_at=T0, readings=readings)


GOOD = (step("before", 22000.0), step("half", 11000.0), step("stop", 20.0), step("after", 21000.0))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (GOOD, []),
        ((step("before"),), ["no reading before the test: is the meter configured?"]),
        ((step("before", None),), ["no reading before the test: is the meter configured?"]),
        ((step("before", 50.0),), ["no load: 50 W before the test; connect an EV or EV analogue that charges"]),
        ((GOOD[0], step("half", 8000.0), *GOOD[2:]), ["half: 8000 W is 36% of 22000 W, not 40 to 60 %"]),
        ((GOOD[0], step("half", 14000.0), *GOOD[2:]), ["half: 14000 W is 64% of 22000 W, not 40 to 60 %"]),
        ((*GOOD[:2], step("stop", 400.0), GOOD[3]), ["stop: 400 W is still drawn"]),
        ((*GOOD[:3], step("after", 100.0)), ["after: 100 W came back of 22000 W"]),
        ((GOOD[0], step("half"), *GOOD[2:]), ["half: no reading"]),
        ((GOOD[0], *GOOD[2:]), ["half of the load is below 6 A per phase: a larger load is needed"]),
        (GOOD[:2], []),
    ],
)
def test_chg_03_the_verdict_follows_from_the_figures(steps: tuple[Step, ...], expected: list[str]) -> None:
    assert faults(steps, 100.0) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (step("before", 22080.0), 16.0),
        (step("before", 7360.0, current_a=(32.0, 0.0, 0.0)), 16.0),  # a car on one phase of three
        (step("before", 7360.0), None),  # 10.7 A on each of three: half is too little to charge with
        (step("before"), None),
    ],
)
def test_half_is_half_of_what_is_drawn_on_the_busiest_phase(before: Step, expected: float | None) -> None:
    assert half_of(before, 3, 230.0) == expected


def test_the_document_holds_every_figure_that_the_verdict_needs() -> None:
    text = document(
        test_id="t-1",
        about={"charger": "CP1"},
        steps=(*GOOD[:2], step("stop")),
        commands=[{"outcome": "accepted"}],
        idle_w=100.0,
        wrong=["stop: no reading"],
        ended_at=T0,
    )
    found = json.loads(text)
    assert text.endswith("}\n")
    assert (found["passed"], found["faults"]) == (False, ["stop: no reading"])
    assert [each["shareOfBefore"] for each in found["steps"]] == [1.0, 0.5, None]
    assert found["steps"][0]["readings"] == [{"at": stamp(T0), "powerW": 22000.0, "energyWh": None}]
    assert found["commands"] == [{"outcome": "accepted"}]


def test_without_a_reading_before_there_are_no_shares() -> None:
    text = document(test_id="t-1", about={}, steps=(step("before"),), commands=(), idle_w=1.0, wrong=(), ended_at=T0)
    assert json.loads(text)["steps"][0]["shareOfBefore"] is None
