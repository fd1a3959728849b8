"""VEN-03: what is passed on to a VTN below, and who takes it on; the chain itself is tried in ``tests/pair``."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.app import build
from bridge.assess import Assessor
from bridge.downlink import DownstreamSection, Passing
from bridge.downstream import Below, Route, body_of, read_below, steps
from bridge.settings import read_settings
from openadr.model import EiTarget, Event, OptType, SignalType
from runtime.clock import SystemClock
from runtime.database import create_engine
from tests.bridge.parts import AGGREGATOR, DNO, KW, PROGRAMMES, T0, at, capacity, dispatch, event, signal
from tests.bridge.test_settings import GOOD
from ven.model import StoredEvent

ROUTE = Route(above=DNO, below="https://aggregator.example/flex", ven_ids=("ven-a",))


def stored(given: Event, **changes: Any) -> StoredEvent:
    base = StoredEvent(event=given, received_at=T0, opt_type=OptType.OPT_IN, request_id="r-1")
    return replace(base, **changes)


def below(modification: int = 0, *, ended: bool = False) -> dict[str, Below]:
    known = Below(event_id="evt-9", modification_number=3, ended=ended, of="event-1", of_modification=modification)
    return {"event-1": known}


def test_ven_03_new_events_are_published_changed_ones_changed_and_cancelled_ones_cancelled() -> None:
    given = event(capacity((3600, 0.5)), modification=0)
    changed = event(capacity((3600, 0.25)), modification=1)
    [new] = steps([stored(given)], {}, (ROUTE,), T0)
    assert (new.method, new.path, new.body["marketContext"]) == ("POST", "/events", ROUTE.below)
    assert new.body["vtnComment"] == "[passed on: event-1 0]"
    assert steps([stored(given)], below(), (ROUTE,), T0) == ()
    [put] = steps([stored(changed)], below(), (ROUTE,), T0)
    assert (put.method, put.path, put.body["modificationNumber"]) == ("PUT", "/events/evt-9", 3)
    [cancel] = steps([stored(given, cancelled_at=T0)], below(), (ROUTE,), T0)
    assert (cancel.path, cancel.body) == ("/events/evt-9/cancel", {"reason": "cancelled above"})
    assert steps([stored(given, opt_type=OptType.OPT_OUT)], {}, (ROUTE,), T0) == ()
    for over in ({"cancelled_at": T0}, {}):
        assert steps([stored(changed, **over)], below(ended=True), (ROUTE,), T0) == ()


def test_ven_03_what_is_over_or_of_another_context_is_not_passed_on() -> None:
    given = event(capacity((3600, 0.5)))
    assert steps([stored(given)], {}, (ROUTE,), at(3600)) == ()
    assert steps([stored(given)], {}, (replace(ROUTE, above=AGGREGATOR),), T0) == ()


def test_ven_03_times_windows_units_and_classes_are_passed_on_as_they_came() -> None:
    target = EiTarget(end_device_assets=("EVSE",))
    power = signal("LOAD_DISPATCH", SignalType.SETPOINT, (600, 11.0), (300, 4.2), unit=KW, target=target)
    given = event(power, startafter=120, ramp_up=60, recovery=30, priority=2, test="true")
    given = replace(given, descriptor=replace(given.descriptor, vtn_comment="evening peak"))
    body = body_of(given, ROUTE)
    assert (body["startafter"], body["rampUp"], body["recovery"], body["priority"]) == ("PT2M", "PT1M", "PT30S", 2)
    assert (body["testEvent"], body["vtnComment"]) == ("true", "evening peak [passed on: event-1 0]")
    [sent] = body["signals"]
    assert [each["value"] for each in sent["intervals"]] == [11.0, 4.2]
    assert (sent["itemBase"]["kind"], sent["itemBase"]["siScaleCode"], sent["deviceClass"]) == (
        "powerReal",
        "k",
        ["EVSE"],
    )
    assert body_of(event(capacity((60, 1.0)), startafter=None), ROUTE)["startafter"] is None


def test_ven_03_what_was_passed_on_is_read_from_below_and_others_events_are_left_alone() -> None:
    def row(event_id: str, comment: str | None, status: str = "far") -> dict[str, Any]:
        return {"eventID": event_id, "modificationNumber": 0, "eventStatus": status, "vtnComment": comment}

    rows = [
        row("evt-1", None),
        row("evt-2", "passed on"),
        row("evt-3", "x [passed on: e 1]", "cancelled"),
        row("evt-4", "x [passed on: e 2]"),
        row("evt-5", "x [passed on: e 1]", "completed"),
    ]
    assert {name: (each.event_id, each.of_modification) for name, each in read_below(rows).items()} == {
        "e": ("evt-4", 2)
    }


@pytest.mark.parametrize(
    ("url", "ven_ids", "why"), [("https://x", [], "at least one name"), ("http://x", ["cpo"], "needs https")]
)
def test_ven_03_a_route_needs_somebody_below_and_a_safe_way(url: str, ven_ids: list[str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        DownstreamSection.model_validate(
            {"url": url, "token": "t" * 16, "routes": [{"above": DNO, "below": "https://y", "ven_ids": ven_ids}]}
        )


def test_ven_03_only_what_is_passed_on_is_taken_on_without_chargers() -> None:
    passing = Passing(Assessor(PROGRAMMES, (), lambda: "ven-a"), (ROUTE,))
    assert passing(event(capacity((60, 0.5))), T0).opt_type is OptType.OPT_IN
    other = event(dispatch(SignalType.SETPOINT, (60, 5.0)), context=AGGREGATOR)
    assert passing(other, T0).opt_type is OptType.OPT_OUT


async def test_ven_03_an_aggregator_needs_no_chargers_of_its_own(tmp_path: Path) -> None:
    """The same program: with a VTN below and without a load it passes events on, and does nothing else."""
    own = GOOD[: GOOD.index("[[chargers]]")].replace("[ocpp]", "[ocpp]\nport = 0").replace("[api]", "[api]\nport = 0")
    way = f'''
[database]
url = "sqlite+aiosqlite:///{tmp_path}/bridge.sqlite3"
[downstream]
url = "https://vtn.example:8081"
token = "0123456789abcdef"
[[downstream.routes]]
above = "{DNO}"
group_ids = ["north"]
'''
    path = tmp_path / "bridge.toml"
    path.write_text(own + way)
    settings = read_settings(path)
    assert settings.downstream is not None
    assert settings.downstream.routes[0].route == Route(above=DNO, below=DNO, group_ids=("north",))
    engine = create_engine(settings.database.url)
    bridge = await build(settings, engine=engine, clock=SystemClock(), draw=lambda: 0.5, base=tmp_path)
    assert [part.name for part in bridge.parts()][-1] == "downstream"
    assert await bridge.supervisor.reconcile(SystemClock().now()) is False
    await bridge.up.main.ven.close()
    await bridge.supervisor.dispatcher.close()
    await bridge.supervisor.escalator.close()
    await engine.dispose()
