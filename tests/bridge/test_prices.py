"""The price in force at a resource: by priority, target and device class; pure."""

from dataclasses import replace

from bridge.cap import KnownEvent
from bridge.prices import Price, price_of, prices_in_force
from openadr.model import EiTarget, EventStatus, SignalType
from tests.bridge.parts import EUR, TARIFF, at, event, resource, signal, simple


def known(event_id: str, value: float, **more: object) -> KnownEvent:
    unit = more.pop("unit", EUR)
    price = signal("ELECTRICITY_PRICE", SignalType.PRICE, (1800, value), (1800, value + 1), unit=unit)  # type: ignore[arg-type]
    return KnownEvent(event=event(price, event_id=event_id, context=TARIFF, **more))  # type: ignore[arg-type]


def test_tel_15_the_price_of_now_is_that_of_the_active_event_with_the_first_priority() -> None:
    events = [
        known("second", 0.4, priority=2),
        known("first", 0.3, priority=1),
        known("later", 0.1, start=at(7200)),
        replace(known("gone", 0.0), cancelled_at=at(0)),
        KnownEvent(event=event(simple((3600, 2)), event_id="no-price")),
        known("cancelled", 0.0, status=EventStatus.CANCELLED),
    ]
    prices = prices_in_force(events, at(60))
    assert [each.descriptor.event_id for each, _ in prices] == ["first", "second"]
    expected = Price(value=0.3, kind="price", unit="EUR currencyPerKWh", event_id="first")
    assert price_of(resource(1), prices, None, at(60)) == expected
    later = price_of(resource(1), prices_in_force(events, at(1900)), None, at(1900))
    assert later is not None
    assert later.value == 1.3


def test_tel_15_a_price_for_others_is_none_of_ours() -> None:
    target = EiTarget(resource_ids=("evse-2",))
    prices = prices_in_force([known("theirs", 0.3, target=target, unit=None)], at(60))
    assert price_of(resource(1), prices, None, at(60)) is None
    assert price_of(resource(2), prices, None, at(60)) == Price(value=0.3, kind="price", unit="", event_id="theirs")
    assert price_of(resource(2), prices, None, at(4000)) is None  # over since
    assert price_of(resource(1), (), None, at(60)) is None
