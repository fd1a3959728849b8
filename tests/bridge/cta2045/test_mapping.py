"""What limits, wishes and prices become at a CTA-2045 device: golden vectors and rules."""

from datetime import timedelta
from typing import Any

import pytest

from bridge.arbiter import Effective, Override
from bridge.asks import Ask, Effect, Reference
from bridge.assess import Assessor
from bridge.cap import Cap, KnownEvent, ResourcePlan, Timing
from bridge.cta2045 import commands
from bridge.cta2045.caps import orders, share_of
from bridge.cta2045.ladder import DeviceModel, spelled
from bridge.cta2045.mapping import Prices, Words, limiting, load_ups, price_events, prices, ratio, words
from bridge.cta2045.orders import Mode, Order
from bridge.filling import unthrottled
from bridge.native import Native
from bridge.plan import Draw, plan
from bridge.program import EventClass, Programme, Programmes
from bridge.resources import Kind
from bridge.target import LimitPeriod, LimitSchedule
from openadr.model import EiTarget, Event, OptType, Signal, SignalType
from tests.bridge.parts import EUR, PROGRAMMES, T0, TARIFF, VEN_ID, at, event, resource, signal, simple
from tests.bridge.test_golden import by_id, of

KINDS = {"evse": Kind.EVSE, "water_heater": Kind.WATER_HEATER}
EVSE = resource()
HEATER = resource(kind=Kind.WATER_HEATER, device_classes=("Water_Heater",))


def cap(limit_a: float | None = 16.0, **changes: Any) -> Cap:
    values: dict[str, Any] = {
        "resource_id": "evse-1",
        "event_id": "event-1",
        "modification_number": 0,
        "start": T0,
        "end": at(3600),
        "limit_a": limit_a,
        "value": 1.0,
        "reason": "test",
        "priority": 1,
        "emergency": False,
        "overridable": True,
        "programme": "p 1",
        "event_class": EventClass.RELIABILITY,
    }
    return Cap(**values | changes)


def told(vector: dict[str, Any], kind: Kind) -> str:
    """Return what a device of this kind is sent for a golden vector, for an hour."""
    programmes, given = of(vector)
    on = tuple(resource(n + 1, **vector["resource"], kind=kind) for n in range(vector["resources"]))
    if Assessor(programmes, on, lambda: VEN_ID)(given, T0).opt_type is OptType.OPT_OUT:
        return "refused"
    keys = [("event-1", each.resource_id) for each in on]
    draws = {key: Draw(event_id=key[0], resource_id=key[1], start_u=0.0, release_u=0.0) for key in keys}
    before = vector["powerBeforeW"]
    taken = {
        key: Reference(event_id=key[0], resource_id=key[1], at=T0, power_w=before, window_s=300, samples=5)
        for key in keys
        if before is not None
    }
    [programme] = programmes.by_context.values()
    plans = plan([KnownEvent(event=given)], programmes, on, draws, VEN_ID, taken)
    said = []
    for each in plans[0].caps[:1]:
        if each.group_kw is not None:
            said.append("by its share of the power")
        elif each.limit_a is not None:
            way = words(each.limit_a, "event", each, on[0], programme.cta2045)
            order = Order(key="x", mode=way.mode, start=T0, end=at(3600), share=way.share, overridable=way.overridable)
            said.append(spelled(order, DeviceModel(floor=on[0].least_a / on[0].max_a), T0))
    said += [spelled(each, DeviceModel(), T0) for each in load_ups(plans[:1], (), on[0].resource_id, T0)]
    known = [KnownEvent(event=given)]
    if (found := prices(price_events(known, programmes), on[0], VEN_ID, T0)) is not None:
        said.append(commands.encode(commands.prices(found.present, None, None)[0]).payload.hex(" "))
    return "; ".join(said) or "nothing"


@pytest.mark.parametrize("vector", by_id("values"))
def test_map_01_golden_vectors_at_cta_2045_devices(vector: dict[str, Any]) -> None:
    assert {name: told(vector, kind) for name, kind in KINDS.items()} == vector["cta2045"]


NATIVE = Native()


@pytest.mark.parametrize("source", ["safety", "site", "group", "dso"])
def test_cta_11_no_power_by_a_limit_that_no_customer_can_lift_is_a_grid_emergency(source: str) -> None:
    assert words(0.0, source, None, EVSE, NATIVE) == Words(mode=Mode.GRID_EMERGENCY, overridable=False)
    assert words(8.0, source, None, EVSE, NATIVE) == Words(mode=Mode.POWER_LEVEL, share=0.25, overridable=False)


@pytest.mark.parametrize("source", ["user", "calendar", "default"])
def test_cta_11_no_power_by_ones_own_limit_is_no_emergency(source: str) -> None:
    assert words(0.0, source, None, EVSE, NATIVE) == Words(mode=Mode.POWER_LEVEL)


def test_map_09_less_than_a_charger_can_hold_is_a_pause_and_a_tank_may_have_it() -> None:
    assert words(5.9, "dso", None, EVSE, NATIVE).mode is Mode.GRID_EMERGENCY
    assert words(5.9, "user", None, EVSE, NATIVE) == Words(mode=Mode.POWER_LEVEL)
    assert words(6.0, "user", None, EVSE, NATIVE).share == 6 / 32
    assert words(4.0, "user", None, HEATER, NATIVE).share == 0.125


def test_a_limit_above_the_rating_is_all_of_it() -> None:
    assert words(40.0, "user", None, EVSE, NATIVE).share == 1.0


def test_map_01_a_programme_chooses_who_is_told_in_steps() -> None:
    high, special = cap(16.0, step=1), cap(0.0, step=2)
    assert words(16.0, "event", high, HEATER, NATIVE).mode is Mode.CRITICAL_PEAK
    assert words(16.0, "event", high, HEATER, Native(steps=())).mode is Mode.POWER_LEVEL
    assert words(16.0, "event", high, EVSE, Native(steps=(Kind.EVSE,))).mode is Mode.CRITICAL_PEAK
    assert words(24.0, "event", cap(24.0, step=0), HEATER, NATIVE).mode is Mode.SHED
    assert words(0.0, "event", cap(0.0, step=0), HEATER, NATIVE).mode is Mode.CRITICAL_PEAK  # the only step is a stop
    assert words(0.0, "event", special, HEATER, NATIVE).mode is Mode.CRITICAL_PEAK
    assert words(16.0, "event", cap(16.0), HEATER, NATIVE) == Words(mode=Mode.POWER_LEVEL, share=0.5)


def test_map_01_a_content_is_a_mean_power_to_what_can_run_at_one_and_an_energy_to_what_has_only_steps() -> None:
    ask = Ask(effect=Effect.CONSTRAIN, gain_wh=2400.0)
    tank = resource(phases=1, voltage=240.0, kind=Kind.WATER_HEATER)
    given = cap(10.0)
    found = unthrottled(given, ask, tank, NATIVE.steps, 3600.0)
    assert (found.limit_a, found.effect, found.reason) == (
        None,
        Effect.LOAD_UP,
        "test; asked for as 2.4 kWh, without a limit",
    )
    assert found.energy_wh == pytest.approx(2400.0)
    [order] = load_ups([plans(found)], (), "evse-1", T0)
    assert order.energy_wh == found.energy_wh
    assert unthrottled(given, ask, EVSE, NATIVE.steps, 3600.0) is given
    assert unthrottled(given, ask, tank, NATIVE.steps, None) is given
    assert unthrottled(cap(0.0), ask, tank, NATIVE.steps, 3600.0).limit_a == 0.0  # it is there: no more
    assert unthrottled(given, Ask(effect=Effect.CONSTRAIN), tank, NATIVE.steps, 3600.0) is given


def plans(*caps: Cap) -> ResourcePlan:
    timing = Timing(start=T0, end=at(3600), start_offset_s=0, release_offset_s=0)
    return ResourcePlan(
        resource_id="evse-1", event_id="event-1", modification_number=0, timing=timing, caps=caps, programme="p 1"
    )


def test_the_cap_behind_an_effective_limit() -> None:
    early, late = cap(16.0, end=at(60)), cap(8.0, start=at(60))
    piece = Effective(start=T0, end=None, limit_a=16.0, source="event", reason="", event_id="event-1")
    other = plans(early)
    found = [limiting(piece, [other, plans(early, late)][1:], at(seconds)) for seconds in (0, 60, 3600)]
    assert found == [early, late, None]
    site = Effective(start=T0, end=None, limit_a=6.0, source="site", reason="")
    assert limiting(site, [plans(early)], T0) is None


def test_map_13_wishes_for_load_that_are_over_or_left_are_none() -> None:
    more = cap(None, effect=Effect.LOAD_UP, end=at(600))
    open_ended = cap(None, effect=Effect.LOAD_UP, start=at(700), end=None)
    empty = cap(None, effect=Effect.LOAD_UP, start=at(600), end=at(600))
    found = load_ups([plans(more, cap(8.0), open_ended, empty)], (), "evse-1", T0)
    assert [(each.mode, each.start, each.end, each.rank) for each in found] == [
        (Mode.LOAD_UP, T0, at(600), -1),
        (Mode.LOAD_UP, at(700), None, -1),
    ]
    assert load_ups([plans(more)], (), "evse-1", at(600)) == ()
    assert load_ups([plans(more)], (), "evse-2", T0) == ()
    left = Override(
        override_id="o", resource_id="evse-1", event_ids=("event-1",), reason="", start=T0, end=None, source="user"
    )
    assert load_ups([plans(more)], (left,), "evse-1", T0) == ()


def priced(*events: Event, now_s: float = 0, base: float | None = 0.25, **known: Any) -> Prices | None:
    def changed(each: Programme) -> Programme:
        return each.model_copy(update={"cta2045": Native(base_price=base)})

    programmes = Programmes({context: changed(each) for context, each in PROGRAMMES.by_context.items()})
    told = price_events([KnownEvent(event=each, **known) for each in events], programmes)
    return prices(told, EVSE, VEN_ID, at(now_s))


def tariff(*values: tuple[int, float], kind: SignalType = SignalType.PRICE, **changes: Any) -> Event:
    unit = None if kind is SignalType.PRICE_MULTIPLIER else EUR
    one: Signal = signal("ELECTRICITY_PRICE", kind, *values, unit=unit)
    return event(one, **({"context": TARIFF} | changes))


def test_cta_13_prices_are_relative_to_the_usual_one() -> None:
    assert ratio(SignalType.PRICE_MULTIPLIER, 1.5, None) == 1.5
    assert ratio(SignalType.PRICE_MULTIPLIER, -1.5, None) == 0.0
    assert ratio(SignalType.PRICE, 0.5, 0.25) == 2.0
    assert ratio(SignalType.PRICE_RELATIVE, 0.125, 0.25) == 1.5
    assert ratio(SignalType.PRICE, 0.5, None) is None
    two = tariff((600, 0.25), (600, 0.5))
    assert priced(two) == Prices(present=1.0, following=2.0, ends=at(600))
    assert priced(two, now_s=600) == Prices(present=2.0, following=None, ends=at(1200))
    assert priced(two, now_s=1200) is None
    assert priced(two, now_s=-1) is None
    assert priced(two, base=None) is None
    assert priced(two, cancelled_at=at(-60)) is None


def test_cta_13_of_several_prices_the_highest_priority_counts_and_others_are_no_business() -> None:
    first = tariff((600, 0.25), priority=2)
    second = tariff((600, 0.5), priority=1, event_id="event-2")
    found = priced(first, second)
    assert found is not None
    assert found.present == 2.0
    assert priced(tariff((600, 0.5), target=EiTarget(resource_ids=("somebody-else",)))) is None
    assert priced(tariff((600, 0.5), test="true")) is None
    assert priced(tariff((600, 0.5), context="http://unknown.example")) is None
    assert priced(event(simple((600, 1)))) is None
    other_class = EiTarget(end_device_assets=("Water_Heater",))
    one = signal("ELECTRICITY_PRICE", SignalType.PRICE, (600, 0.5), unit=EUR, target=other_class)
    assert priced(event(one, context=TARIFF)) is None


def test_periods_become_orders_that_are_not_over() -> None:
    schedule = LimitSchedule(
        schedule_id=1,
        start=T0,
        end=at(1800),
        expires=at(1860),
        periods=tuple(
            LimitPeriod(start_s=start, limit_a=limit) for start, limit in ((0, 16.0), (600, None), (900, 0.0))
        ),
        source="test",
        reason="test",
    )
    found = orders(schedule, share_of(32.0), at(0))
    assert [(each.start, each.end, each.share) for each in found] == [(T0, at(600), 0.5), (at(900), at(1800), 0.0)]
    assert [each.share for each in orders(schedule, share_of(32.0), at(600))] == [0.0]
    assert orders(schedule, share_of(32.0), at(1800)) == ()


def test_map_09_six_amperes_are_the_step_that_a_charger_can_hold() -> None:
    model = DeviceModel(floor=6 / 32)

    def asked(share: float) -> str:
        order = Order(key="x", mode=Mode.POWER_LEVEL, start=T0, end=T0 + timedelta(hours=1), share=share)
        return spelled(order, model, T0)[:5]

    assert asked(6 / 32) == "06 18"  # 24/127 of 32 A is 6.05 A; 23/127 would be 5.8 A and "not following"
    assert asked(5.9 / 32) == "06 17"  # nobody allowed 6 A: what the device makes of it, it says
    assert asked(7 / 32) == "06 1b"
    assert asked(0.0) == "06 00"
    assert (
        spelled(Order(key="x", mode=Mode.POWER_LEVEL, start=T0, share=1.0), DeviceModel(floor=1.0), T0)[:5] == "06 7f"
    )
