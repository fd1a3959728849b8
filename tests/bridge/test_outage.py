"""What a silent VTN does to events, as values: the policies of a programme, moments of each charger, and the return."""

from datetime import datetime

import pytest

from bridge.cap import Draw, KnownEvent, ResourcePlan
from bridge.outage import Outage, interrupted, lost_after_s
from bridge.plan import plan
from bridge.program import CommsLoss, OnCommsLoss, Programme, ProgrammeError, Programmes, parse
from bridge.spread import least_window_s, places
from openadr.model import Event
from tests.bridge.parts import DNO, EMERGENCY, PROGRAMMES, at, capacity, event, programme, resource, simple

DRAW = Draw(event_id="event-1", resource_id="evse-1", start_u=0.5, release_u=0.5)


def losing(**changes: object) -> Programme:
    return programme(comms_loss=CommsLoss.model_validate(changes))


def planned(sent: Event, terms: Programme) -> ResourcePlan:
    [found] = plan(
        [KnownEvent(event=sent, received_at=at(0))],
        Programmes.of([terms]),
        [resource()],
        {("event-1", "evse-1"): DRAW},
    )
    return found


def silence(since: float, until: float | None = None, noticed: float | None = None) -> Outage:
    return Outage(
        vtn="vtn",
        since=at(since),
        noticed=at(since if noticed is None else noticed),
        until=None if until is None else at(until),
    )


def stretches(found: ResourcePlan) -> list[tuple[float, float | None, float | None]]:
    def seconds(when: datetime) -> float:
        return (when - at(0)).total_seconds()

    return [(seconds(cap.start), None if cap.end is None else seconds(cap.end), cap.limit_a) for cap in found.caps]


def test_out_03_a_stored_event_runs_to_its_own_end_through_any_silence() -> None:
    terms = losing(policy="continue_programme")
    before = planned(event(simple((7200, 2))), terms)
    assert interrupted(before, terms, DRAW, [silence(60)], at(0)) is before


def test_out_03_an_event_without_an_end_is_given_up_after_the_hold_at_the_chargers_own_moment() -> None:
    terms = losing(hold_s=3600, spread_s=300)
    before = planned(event(simple((0, 2)), open_ended=True), terms)
    assert stretches(before) == [(0, None, 16.0)]
    assert stretches(interrupted(before, terms, DRAW, [silence(60)], at(0))) == [(0, 60 + 3600 + 150, 16.0)]


def test_out_03_default_profile_ends_the_event_and_comes_back_to_it_at_moments_of_its_own() -> None:
    terms = losing(policy="default_profile", after_s=300, spread_s=300, return_s=600)
    before = planned(event(simple((7200, 2))), terms)
    assert stretches(interrupted(before, terms, DRAW, [silence(60)], at(0))) == [(0, 510, 16.0)]
    back = interrupted(before, terms, DRAW, [silence(60, 1000)], at(0))
    assert stretches(back) == [(0, 510, 16.0), (1300, 7200, 16.0)]


def test_out_03_a_safe_cap_stands_in_and_says_since_when() -> None:
    terms = losing(policy="safe_cap", safe_cap_a=10)
    found = interrupted(planned(event(simple((3600, 2))), terms), terms, DRAW, [silence(60)], at(0))
    assert stretches(found) == [(0, 510, 16.0), (510, 3600, 10.0)]
    assert found.caps[1].reason == "no word from the VTN since 2026-03-02T14:01:00Z: safe cap 10 A"


def test_out_03_a_safe_cap_does_not_last_for_ever_either() -> None:
    terms = losing(policy="safe_cap", safe_cap_a=10, hold_s=3600)
    found = interrupted(planned(event(simple((0, 2)), open_ended=True), terms), terms, DRAW, [silence(60)], at(0))
    assert stretches(found) == [(0, 510, 16.0), (510, 60 + 3600 + 150, 10.0)]
    late = interrupted(
        planned(event(simple((0, 2)), open_ended=True), terms), terms, DRAW, [silence(60, noticed=9000)], at(0)
    )
    assert stretches(late) == [(0, 9150, 16.0)]


@pytest.mark.parametrize("until", [70, 400, 510])
def test_out_03_a_silence_that_ends_before_the_charger_has_left_is_none(until: int) -> None:
    terms = losing(policy="default_profile", after_s=300, spread_s=300, return_s=600)
    before = planned(event(simple((7200, 2))), terms)
    assert interrupted(before, terms, DRAW, [silence(60, until)], at(0)) is before


def test_out_03_what_the_vtn_sent_after_its_return_counts_at_once() -> None:
    terms = losing(policy="default_profile")
    before = planned(event(simple((7200, 2))), terms)
    assert interrupted(before, terms, DRAW, [silence(60, 1000)], at(1000)) is before
    assert interrupted(before, terms, DRAW, [silence(60, 1000)], None) is not before


def test_out_03_an_emergency_goes_on_for_two_hours_and_comes_back_at_once() -> None:
    terms = PROGRAMMES.by_context[EMERGENCY]
    before = planned(event(simple((0, 3)), context=EMERGENCY, open_ended=True), terms)
    lost = interrupted(before, terms, DRAW, [silence(60)], at(0))
    assert stretches(lost) == [(0, 60 + 7200 + 150, 0.0)]
    back = interrupted(before, terms, DRAW, [silence(60, 9000)], at(0))
    assert stretches(back)[1] == (9000, None, 0.0)


def test_out_03_a_restart_late_in_a_silence_does_not_move_all_chargers_at_once() -> None:
    terms = losing(policy="default_profile", after_s=300, spread_s=300)
    before = planned(event(capacity((7200, 0.5))), terms)
    found = interrupted(before, terms, DRAW, [silence(60, noticed=3000)], at(0))
    assert stretches(found) == [(0, 3150, 16.0)]


def test_out_03_the_most_impatient_programme_says_when_a_vtn_is_lost() -> None:
    assert lost_after_s(PROGRAMMES.by_context.values()) == 300
    assert lost_after_s([]) == 300
    assert lost_after_s([losing(after_s=60), programme()]) == 60


@pytest.mark.parametrize(
    ("table", "fault"),
    [("hold_s = 100", "hold_s"), ("safe_cap_a = 3.0", "safe_cap_a"), ('policy = "hope"', "policy")],
)
def test_out_03_a_policy_that_cannot_be_is_refused_with_its_key(table: str, fault: str) -> None:
    text = f'market_context = "{DNO}"\nversion = "1"\nclass = "reliability"\n[comms_loss]\n{table}\n'
    text += '[[signals]]\nname = "SIMPLE"\ntype = "level"\nrule = "levels"\nlevels = { 1 = 0.5 }\n'
    with pytest.raises(ProgrammeError, match=fault):
        parse(text, "own.toml")


def test_out_03_the_default_is_to_go_on() -> None:
    assert {each.comms_loss.policy for each in PROGRAMMES.by_context.values()} == {OnCommsLoss.CONTINUE}


def test_rnd_10_places_are_evenly_spread_and_always_the_same() -> None:
    names = [f"CP{number}" for number in range(1000)]
    found = places(names)
    assert found == places(reversed(names))
    assert sorted(found.values()) == [(rank + 0.5) / 1000 for rank in range(1000)]
    assert sorted(names, key=found.__getitem__) != names
    assert places([]) == {}


@pytest.mark.parametrize(("fleet_kw", "window_s"), [(11, 100), (22_000, 100), (220_000, 440)])
def test_rnd_07_a_fleet_is_given_the_time_its_ramp_needs(fleet_kw: float, window_s: float) -> None:
    assert least_window_s(fleet_kw) == window_s
