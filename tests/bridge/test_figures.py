"""Figures of a fleet: curtailable power by feeder, what events came to, availability; pure."""

from dataclasses import replace

import pytest

from bridge.figures import Response, Seen, availability, group_figures, key_figures
from bridge.location import Level, Location
from bridge.resources import Kind, Scenario
from bridge.store.records import OptTold, Presence
from bridge.verify import OutcomeState
from tests.bridge.parts import at, resource
from tests.bridge.store.test_contract import OUTCOME


def seen(number: int = 1, power_w: float | None = 11_040.0, **changes: object) -> Seen:
    base = Seen(resource=resource(number), online=True, session=True, power_w=power_w)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_tel_13_curtailable_power_by_feeder_counts_only_what_a_command_would_change() -> None:
    fleet = [
        seen(1),
        seen(2, limit_a=16.0, limit_source="event"),
        seen(3, online=False),
        seen(4, power_w=0.0),
        seen(5, power_w=None),
        seen(6, out="override"),
        seen(7, resource=resource(7, scenario=Scenario.EN_ROUTE)),
        seen(8, session=False),
        seen(9, resource=resource(9, binary=True, site="depot")),
    ]
    whole, depot, feeder = group_figures(fleet)
    assert [each.group_id for each in (whole, depot, feeder)] == ["", "depot", "feeder-7"]
    assert (feeder.resources, feeder.online, feeder.metered, feeder.charging, feeder.out) == (9, 8, 8, 7, 1)
    assert (feeder.power_kw, feeder.curtailable_kw, feeder.held_kw) == (77.28, 33.12, 11.04)
    assert feeder.to_floor_kw == round(2 * (11.04 - 6 * 3 * 0.23), 3)  # on and off is no step down to 6 A
    assert (depot.curtailable_kw, depot.to_floor_kw) == (11.04, 0.0)
    assert (whole.rated_kw, whole.resources) == (198.72, 9)


def test_tel_13_what_gives_back_is_not_curtailable_and_other_loads_have_no_floor() -> None:
    heater = resource(2, kind=Kind.WATER_HEATER, phases=1)
    [whole, _] = group_figures([seen(1, power_w=-3000.0), seen(2, resource=heater, power_w=3000.0)])
    assert (whole.power_kw, whole.curtailable_kw, whole.to_floor_kw) == (3.0, 3.0, 3.0)


def outcome(number: int, state: OutcomeState, *, event: str = "event-1", **changes: object):  # type: ignore[no-untyped-def]
    base = replace(
        OUTCOME,
        event_id=event,
        resource_id=f"evse-{number}",
        state=state,
        limit_a=16.0,
        effective_start=at(0),
        effective_end=at(3600),
        known_at=at(-5),
        kw_before=22.0,
        kw_during=11.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_tel_18_reduction_against_the_baseline_and_rates_of_opt_out_and_override() -> None:
    rows = [
        outcome(1, OutcomeState.VERIFIED, applied_at=at(0)),
        outcome(2, OutcomeState.FAILED, kw_during=24.0),
        outcome(3, OutcomeState.OPTED_OUT, limit_a=None, kw_before=None),
        outcome(1, OutcomeState.VERIFIED, event="event-2", applied_at=at(1800)),
        outcome(1, OutcomeState.VERIFIED, event="event-3", effective_end=None, kw_during=None),
        outcome(4, OutcomeState.RECEIVED, event="price", limit_a=None),
    ]
    told = {
        (event, name): OptTold(event_id=event, resource_id=name, opt_type=kind, reason="", opt_id="o", at=at(0))
        for event, name, kind in (
            ("event-1", "evse-2", "optOut"),
            ("event-1", "evse-3", "optOut"),
            ("event-1", "evse-1", "optIn"),
        )
    }
    found = key_figures(rows, told)
    assert (found.events, found.participations, found.measured) == (3, 5, 3)
    assert found.states == {"failed": 1, "opted_out": 1, "verified": 3}
    assert (found.baseline_kw, found.reduction_kw, found.peak_reduction_kw) == (66.0, 20.0, 11.0)
    assert found.reduction_share == round(20 / 66, 4)
    assert found.withheld_kwh == 11.0 + 5.5
    assert (found.opt_out_rate, found.override_rate, found.verified_rate) == (0.4, 0.2, 0.6)
    nothing = key_figures([], {})
    assert (nothing.events, nothing.opt_out_rate, nothing.reduction_share) == (0, None, None)


def test_tel_18_an_event_without_an_end_has_withheld_nothing_yet() -> None:
    assert key_figures([outcome(1, OutcomeState.VERIFIED, effective_end=None)], {}).withheld_kwh == 0.0


def here(second: float, *, online: bool = True, session: bool = True, overridden: bool = False) -> Presence:
    return Presence(charger="CP1", at=at(second), online=online, session=session, overridden=overridden)


def test_tel_14_plugged_in_hours_and_response_class() -> None:
    rows = [here(-600, session=False), here(1800), here(5400, overridden=True), here(7200, online=False)]
    found = availability("evse-1", rows, [], at(0), at(14_400))
    assert (found.hours, found.online_h, found.plugged_h, found.overridden_h) == (4.0, 2.0, 1.5, 0.5)
    assert (found.responses, found.response) == (0, Response.UNPROVEN)
    assert availability("evse-1", [], [], at(0), at(3600)).online_h == 0.0


@pytest.mark.parametrize(
    ("seconds", "response"),
    [(8, Response.SECONDS), (45, Response.MINUTE), (400, Response.MINUTES), (4000, Response.SLOW)],
)
def test_tel_14_the_response_is_the_middle_of_what_was_seen_by_meter(seconds: float, response: Response) -> None:
    rows = [
        outcome(1, OutcomeState.VERIFIED, verified_at=at(seconds)),
        outcome(1, OutcomeState.VERIFIED, verified_at=at(1000 + seconds), known_at=at(1000)),
        outcome(1, OutcomeState.FAILED),
    ]
    found = availability("evse-1", [], rows, at(0), at(3600))
    assert (found.responses, found.response_s, found.response) == (2, seconds, response)


def test_tel_11_levels_are_told_by_policy_and_the_premises_never() -> None:
    place = Location(premises="1 High Street", lv_feeder="F-7", primary="Elm", voltage_v=400)
    assert place.told(Level) == ("lv_feeder:F-7", "primary:Elm")
    assert place.told([Level.PRIMARY, Level.GSP]) == ("primary:Elm",)
    assert place.told([]) == ()
