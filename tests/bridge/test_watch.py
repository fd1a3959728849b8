"""What is worth an alert, and when it is raised and cleared; pure."""

from dataclasses import replace
from datetime import datetime

from bridge.figures import Seen, group_figures
from bridge.store.records import Phase
from bridge.verify import OutcomeState
from bridge.watch import (
    Condition,
    Facts,
    GroupLimitFacts,
    Thresholds,
    Turn,
    VtnFacts,
    conditions,
    look,
)
from tests.bridge.parts import at, resource
from tests.bridge.store.test_contract import OUTCOME

LIMITS = Thresholds()


def found(facts: Facts) -> list[tuple[str, str, str]]:
    return [(each.kind, each.subject, each.text) for each in conditions(facts, LIMITS)]


def vtn(silent_since: datetime | None = None, offset_s: float | None = 0.5, owed: int = 0) -> VtnFacts:
    return VtnFacts(name="", silent_since=silent_since, offset_s=offset_s, owed=owed)


def test_tel_17_a_vtn_that_is_silent_apart_or_behind_is_an_alert() -> None:
    assert found(Facts(vtns=(vtn(), vtn(offset_s=None)))) == []
    assert found(Facts(vtns=(vtn(at(0)),))) == [("vtn_silent", "VTN", "silent since 2026-03-02T14:00:00Z")]
    assert found(Facts(vtns=(vtn(offset_s=-31.0),))) == [("clock_apart", "VTN", "its clock differs from ours by -31 s")]
    assert found(Facts(vtns=(replace(vtn(owed=101), name="dso"),))) == [
        ("messages_owed", "dso", "101 messages wait for it")
    ]


def test_tel_17_chargers_offline_supplies_cut_and_readings_lost_are_alerts() -> None:
    fleet = [Seen(resource=resource(n), online=n > 2, session=True, power_w=None) for n in range(10)]
    assert found(Facts(groups=group_figures(fleet))) == [("chargers_offline", "fleet", "3 of 10 chargers are offline")]
    fleet[2] = replace(fleet[2], online=True)
    assert found(Facts(groups=group_figures(fleet))) == []
    text = "taken out of service because it ignored emergency evt"
    assert found(Facts(cut=(("CP1", "evt"),))) == [("supply_cut", "CP1", text)]
    assert [kind for kind, _, _ in found(Facts(dropped=3))] == ["readings_lost"]


def test_tel_17_an_event_that_many_do_not_follow_is_one_alert_that_names_some() -> None:
    rows = tuple(
        replace(
            OUTCOME,
            resource_id=f"evse-{n:02}",
            phase=Phase.RUNNING,
            state=OutcomeState.FAILED if n < 7 else OutcomeState.VERIFIED,
        )
        for n in range(20)
    )
    text = "7 of 20 resources do not follow: evse-00, evse-01, evse-02, evse-03, evse-04 and 2 more"
    assert found(Facts(outcomes=rows)) == [("event_not_followed", "event-1", text)]
    few = (rows[0], *rows[7:])
    assert found(Facts(outcomes=few)) == []
    assert found(Facts(outcomes=tuple(replace(each, phase=Phase.CLOSED) for each in rows))) == []
    small = (rows[0], rows[8])
    assert found(Facts(outcomes=small))[0][2] == "1 of 2 resources do not follow: evse-00"


def test_tel_09_a_feeder_above_its_cap_by_meter_is_an_alert() -> None:
    limit = GroupLimitFacts(group_id="feeder-7", what="group feeder-7", drawn=51.6, allowed=50.0, unit="kW")
    assert found(Facts(limits=(limit,))) == [
        ("group_over_limit", "feeder-7", "group feeder-7: 51.6 kW by meter, 50 kW are allowed")
    ]
    assert found(Facts(limits=(replace(limit, drawn=51.4),))) == []


ONE = Condition(kind="vtn_silent", subject="VTN", severity="critical", text="silent")


def test_tel_17_a_state_of_affairs_is_raised_when_it_lasts_and_cleared_when_it_is_over_for_as_long() -> None:
    turn = Turn()
    heard: list[tuple[float, list[str]]] = []
    for second, so in ((0, 1), (59, 1), (60, 1), (70, 0), (80, 1), (100, 0), (159, 0), (160, 0), (170, 0)):
        turn = look(turn.watched, [ONE] if so else [], at(second), 60.0)
        heard.append((second, [*("raised" for _ in turn.raised), *("cleared" for _ in turn.cleared)]))
    assert [each for each in heard if each[1]] == [(60, ["raised"]), (160, ["cleared"])]
    assert turn.watched == {}


def test_tel_17_what_does_not_last_is_no_alert_and_a_changed_text_is_the_same_one() -> None:
    turn = look({}, [ONE], at(0), 60.0)
    assert look(turn.watched, [], at(30), 60.0) == Turn()
    turn = look(turn.watched, [replace(ONE, text="silent for long")], at(60), 60.0)
    assert [each.text for each in turn.raised] == ["silent for long"]
    assert look(turn.watched, [ONE], at(90), 60.0).raised == ()
    assert [each.kind for each in look({}, [ONE], at(0), 0.0).raised] == ["vtn_silent"]
