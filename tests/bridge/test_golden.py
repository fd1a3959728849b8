"""The golden vectors of the published signal profile, run against the code: inputs to amperes, reason or refusal."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.asks import Content, Reference
from bridge.assess import Assessor
from bridge.plan import Draw, KnownEvent, plan, start_window_s
from bridge.program import Programmes
from bridge.programmes import load, names
from openadr.model import Event, ItemBase, OptType, SignalType, energy_real, power_real
from openadr.signals import check_signal
from tests.bridge.parts import T0, VEN_ID, event, resource, signal, simple

ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((ROOT / "schemas" / "signal-profile.vectors.json").read_text())
UNITS = {
    None: None,
    "W": power_real(),
    "kW": power_real(scale="k"),
    "MW": power_real(scale="M"),
    "kVA": ItemBase(kind="powerApparent", item_units="VA", si_scale_code="k", hertz=50, voltage=230, ac=True),
    "kWh": energy_real(scale="k"),
    "EUR/kWh": ItemBase(kind="currencyPerKWh", item_description="currencyPerKWh", item_units="EUR"),
    "GBP/kWh": ItemBase(kind="currencyPerKWh", item_description="currencyPerKWh", item_units="GBP"),
    "EUR/kW": ItemBase(kind="currencyPerKW", item_description="currencyPerKW", item_units="EUR"),
}


def by_id(kind: str) -> list[Any]:
    return [pytest.param(each, id=each["id"]) for each in VECTORS[kind]]


def of(vector: dict[str, Any]) -> tuple[Programmes, Event]:
    programmes = load((vector["programme"],))
    [context] = [each.market_context for each in programmes.by_context.values()]
    unit = UNITS[vector["unit"]]
    one = signal(vector["signalName"], SignalType(vector["signalType"]), (3600, vector["value"]), unit=unit)
    return programmes, event(one, context=context)


@pytest.mark.parametrize("vector", by_id("values"))
def test_map_01_golden_vectors_of_values(vector: dict[str, Any]) -> None:
    programmes, given = of(vector)
    on = tuple(resource(number + 1, **vector["resource"]) for number in range(vector["resources"]))
    expect = vector["expect"]
    answer = Assessor(programmes, on, lambda: VEN_ID)(given, T0)
    keys = [("event-1", each.resource_id) for each in on]
    draws = {key: Draw(event_id=key[0], resource_id=key[1], start_u=0.0, release_u=0.0) for key in keys}
    before = vector["powerBeforeW"]
    taken = {
        key: Reference(event_id=key[0], resource_id=key[1], at=T0, power_w=before, window_s=300, samples=5)
        for key in keys
        if before is not None
    }
    plans = plan([KnownEvent(event=given)], programmes, on, draws, VEN_ID, taken)
    if "responseCode" in expect:
        assert (answer.response_code, answer.opt_type) == (expect["responseCode"], OptType.OPT_OUT)
        assert plans == ()
        return
    assert (answer.response_code, answer.opt_type) == (200, OptType.OPT_IN)
    check_signal(given.signals[0])
    if expect.get("no_cap"):
        assert plans[0].caps == ()
        return
    [cap] = plans[0].caps
    found = {"limit_a": cap.limit_a, "effect": cap.effect.value, "overridable": cap.overridable, "reason": cap.reason}
    if cap.group_kw is not None:
        found["group_kw"] = cap.group_kw
    assert found == expect


@pytest.mark.parametrize("vector", by_id("contents"))
def test_tel_10_golden_vectors_of_contents(vector: dict[str, Any]) -> None:
    programmes = load((vector["programme"],))
    [context] = [each.market_context for each in programmes.by_context.values()]
    length, kind = vector["hours"] * 3600, SignalType(vector["signalType"])
    one = signal("CHARGE_STATE", kind, (length, vector["value"]), unit=UNITS[vector["unit"]])
    given, on, key = event(one, context=context), resource(1, **vector["resource"]), ("event-1", "evse-1")
    held = Content(content_wh=vector["contentKWh"] * 1000, full_wh=vector["fullKWh"] * 1000, at=T0)
    taken = {key: Reference(event_id="event-1", resource_id="evse-1", at=T0, power_w=0.0, window_s=300, content=held)}
    draws = {key: Draw(event_id="event-1", resource_id="evse-1", start_u=0.0, release_u=0.0)}
    known = frozenset({"evse-1"})
    check_signal(given.signals[0])
    answer = Assessor(programmes, (on,), lambda: VEN_ID, lambda: known)(given, T0)
    assert (answer.response_code, answer.opt_type) == (200, OptType.OPT_IN)
    [found] = plan([KnownEvent(event=given)], programmes, [on], draws, VEN_ID, taken, known)
    steps = [[(cap.start - T0).total_seconds(), cap.limit_a] for cap in found.caps]
    assert steps == vector["expect"]
    assert found.caps[-1].end == found.timing.end


@pytest.mark.parametrize("vector", by_id("times"))
def test_rnd_02_golden_vectors_of_times(vector: dict[str, Any]) -> None:
    programmes = load((vector["programme"],))
    [programme] = programmes.by_context.values()
    start = datetime.fromisoformat(f"2026-03-02T{vector['start']}+00:00")
    given = event(
        simple((vector["durationS"], 2)),
        context=programme.market_context,
        start=start,
        startafter=vector["startafterS"],
    )
    window = start_window_s(given, programme)
    u = (vector["drawS"] + 0.5) / (window + 1)
    draw = Draw(event_id="event-1", resource_id="evse-1", start_u=u, release_u=0.0)
    [found] = plan([KnownEvent(event=given)], programmes, [resource()], {("event-1", "evse-1"): draw}, VEN_ID)
    assert found.timing.end is not None
    times = {"start": f"{found.timing.start:%H:%M:%S}", "end": f"{found.timing.end:%H:%M:%S}"}
    assert times == vector["expect"]
    assert found.caps[0].end == found.timing.end


def test_every_shipped_programme_and_every_acting_signal_has_a_vector() -> None:
    covered = {(each["programme"], each["signalName"], each["signalType"]) for each in VECTORS["values"]}
    for name in names():
        [programme] = load((name,)).by_context.values()
        for rule in programme.acting:
            assert (name, rule.name, rule.type.value) in covered
