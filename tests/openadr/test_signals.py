"""R104 and the checks of an event, rule by rule."""

from dataclasses import replace
from datetime import UTC, datetime
from math import inf, nan
from typing import Any

import pytest

from openadr import wire
from openadr.errors import ComplianceError, InvalidData, OadrError, OutOfSequence, ResponseCode, SignalNotSupported
from openadr.messages import DistributeEvent
from openadr.model import (
    ActivePeriod,
    Baseline,
    EiTarget,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    ItemBase,
    Signal,
    SignalName,
    SignalType,
    energy_real,
    power_real,
)
from openadr.signals import RULES, check_event, check_signal, default_item_base
from openadr.times import ZERO, Duration
from openadr.wire.units import UNITS

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
START = datetime(2026, 1, 31, 17, 0, tzinfo=UTC)
HOUR = Duration(seconds=3600)
EUR = ItemBase(kind="currencyPerKWh", item_units="EUR")


def signal(
    name: str = "SIMPLE",
    kind: SignalType = SignalType.LEVEL,
    *values: float,
    unit: ItemBase | None = None,
    current: float | None = None,
) -> Signal:
    numbers = values or (1.0,)
    return Signal(
        signal_name=name,
        signal_type=kind,
        signal_id="signal-1",
        intervals=tuple(
            Interval(duration=Duration(seconds=3600 // len(numbers)), uid=uid, value=value)
            for uid, value in enumerate(numbers)
        ),
        item_base=unit,
        current_value=current,
    )


def event(*signals: Signal) -> Event:
    return Event(
        descriptor=EventDescriptor(
            event_id="event-1",
            modification_number=0,
            market_context="http://programmes.example/peak",
            created_date_time=NOW,
            event_status=EventStatus.FAR,
        ),
        active_period=ActivePeriod(dtstart=START, duration=HOUR),
        signals=signals or (signal(),),
    )


def period(one: Event, **changes: Any) -> Event:
    return replace(one, active_period=replace(one.active_period, **changes))


def lengths(*durations: Duration) -> Signal:
    return replace(
        signal(),
        intervals=tuple(Interval(duration=one, uid=uid, value=1.0) for uid, one in enumerate(durations)),
    )


@pytest.mark.parametrize(("name", "kind"), RULES, ids=lambda part: str(part))
def test_rule_104_every_known_triple_is_accepted_with_its_unit_and_is_schema_valid(name: str, kind: SignalType) -> None:
    one = signal(name, kind, 1.0, unit=default_item_base(name, kind))
    check_signal(one)
    message = DistributeEvent(request_id="r", vtn_id="V", events=(event(one),))
    read = wire.decode(wire.encode(message))
    assert isinstance(read, DistributeEvent)
    check_event(read.events[0])


@pytest.mark.parametrize("name", SignalName)
@pytest.mark.parametrize("kind", SignalType)
def test_rule_104_every_other_pair_of_name_and_type_is_460(name: SignalName, kind: SignalType) -> None:
    if (name, kind) in RULES:
        assert RULES[name, kind].values
        return
    with pytest.raises(SignalNotSupported) as caught:
        check_signal(signal(name, kind))
    assert caught.value.code == ResponseCode.SIGNAL_NOT_SUPPORTED


@pytest.mark.parametrize("name", ["SPEED", "simple", "", "X-own"])
def test_rule_048_unknown_signal_names_are_460(name: str) -> None:
    with pytest.raises(SignalNotSupported):
        check_signal(signal(name))


def test_rule_104_own_signals_take_any_type_unit_and_value() -> None:
    check_signal(signal("x-own", SignalType.DELTA, -1e9, unit=power_real()))
    check_signal(signal("x-own", SignalType.LEVEL))
    assert default_item_base("x-own", SignalType.LEVEL) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ELECTRICITY_PRICE", SignalType.PRICE),
        ("LOAD_DISPATCH", SignalType.SETPOINT),
        ("CHARGE_STATE", SignalType.DELTA),
        ("BID_PRICE", SignalType.PRICE),
    ],
)
def test_rule_104_a_missing_unit_is_460(name: str, kind: SignalType) -> None:
    with pytest.raises(SignalNotSupported, match="needs a unit"):
        check_signal(signal(name, kind))


def test_the_level_of_load_dispatch_may_come_without_unit() -> None:
    check_signal(signal("LOAD_DISPATCH", SignalType.LEVEL, -10.0))
    check_signal(signal("LOAD_DISPATCH", SignalType.LEVEL, 10.0, unit=power_real()))


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("SIMPLE", SignalType.LEVEL, power_real()),
        ("LOAD_DISPATCH", SignalType.SETPOINT, energy_real()),
        ("CHARGE_STATE", SignalType.SETPOINT, power_real()),
        ("ELECTRICITY_PRICE", SignalType.PRICE, ItemBase(kind="currencyPerKW", item_units="EUR")),
        ("DEMAND_CHARGE", SignalType.PRICE, EUR),
        ("LOAD_CONTROL", SignalType.LOAD_CONTROL_CAPACITY, power_real()),
    ],
)
def test_rule_104_another_unit_is_460(name: str, kind: SignalType, unit: ItemBase) -> None:
    with pytest.raises(SignalNotSupported, match="takes"):
        check_signal(signal(name, kind, unit=unit))


def test_a_unit_the_schema_would_refuse_is_454() -> None:
    with pytest.raises(InvalidData, match="siScaleCode"):
        check_signal(signal("LOAD_DISPATCH", SignalType.SETPOINT, unit=replace(power_real(), si_scale_code="K")))
    with pytest.raises(InvalidData, match="unknown unit"):
        check_signal(signal("x-own", unit=ItemBase(kind="kilowatt")))


@pytest.mark.parametrize(
    ("name", "kind", "good", "bad"),
    [
        ("SIMPLE", SignalType.LEVEL, (0.0, 1.0, 2.0, 3.0), (-1.0, 4.0, 0.5)),
        ("LOAD_CONTROL", SignalType.LOAD_CONTROL_CAPACITY, (0.0, 0.5, 1.0), (-0.01, 1.01, 50.0)),
        ("LOAD_CONTROL", SignalType.LOAD_CONTROL_LEVEL_OFFSET, (-3.0, 0.0, 7.0), (0.5,)),
        ("LOAD_DISPATCH", SignalType.LEVEL, (-10.0, 0.0, 10.0), (-11.0, 10.5, 11.0)),
        ("CHARGE_STATE", SignalType.MULTIPLIER, (0.0, 1.0), (-0.1, 1.1)),
        ("LOAD_CONTROL", SignalType.LOAD_CONTROL_PERCENT_OFFSET, (-250.0, 0.0, 1e9), ()),
    ],
)
def test_rule_009_104_values_out_of_range_are_454(
    name: str, kind: SignalType, good: tuple[float, ...], bad: tuple[float, ...]
) -> None:
    for value in good:
        check_signal(signal(name, kind, value, current=value))
    for value in bad:
        with pytest.raises(InvalidData) as caught:
            check_signal(signal(name, kind, good[0], value))
        assert caught.value.field == "payloadFloat"
        with pytest.raises(InvalidData):
            check_signal(signal(name, kind, good[0], current=value))


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("name", ["SIMPLE", "x-own"])
def test_nan_and_inf_are_454(value: float, name: str) -> None:
    with pytest.raises(InvalidData, match="finite"):
        check_signal(signal(name, SignalType.LEVEL, value))
    with pytest.raises(InvalidData, match="currentValue"):
        check_signal(signal(name, SignalType.LEVEL, 1.0, current=value))


@pytest.mark.parametrize("uids", [(1, 2), (0, 2), (1, 0), (0, 0), (0, -1)])
def test_rule_002_uids_that_do_not_count_from_zero_are_450(uids: tuple[int, int]) -> None:
    one = signal("SIMPLE", SignalType.LEVEL, 1.0, 2.0)
    wrong = replace(one, intervals=tuple(replace(i, uid=uid) for i, uid in zip(one.intervals, uids, strict=True)))
    with pytest.raises(OutOfSequence) as caught:
        check_event(event(wrong))
    assert caught.value.code == ResponseCode.OUT_OF_SEQUENCE


def test_rule_102_a_signal_without_intervals_is_459() -> None:
    with pytest.raises(ComplianceError, match="no interval"):
        check_signal(replace(signal(), intervals=()))


@pytest.mark.parametrize(
    "durations", [(Duration(seconds=1800),), (HOUR, HOUR), (ZERO,), (Duration(seconds=3599),), (Duration(months=1),)]
)
def test_rule_008_102_interval_durations_that_do_not_add_up_are_459(durations: tuple[Duration, ...]) -> None:
    with pytest.raises(ComplianceError, match="add up"):
        check_event(event(lengths(*durations)))


def test_rule_102_months_add_up_by_count_or_by_calendar() -> None:
    month = Duration(months=1)
    check_event(period(event(lengths(month, month)), duration=Duration(months=2)))
    check_event(period(event(lengths(Duration(seconds=28 * 86_400))), duration=month))  # January 31st to February 28th
    with pytest.raises(ComplianceError, match="add up"):
        check_event(period(event(lengths(Duration(seconds=30 * 86_400))), duration=month))


def test_rule_047_an_open_ended_event_needs_no_sum() -> None:
    check_event(period(event(lengths(ZERO)), duration=ZERO))
    check_event(period(event(lengths(HOUR)), duration=ZERO))


def test_a_negative_interval_is_459_even_if_the_sum_is_right() -> None:
    with pytest.raises(ComplianceError, match="negative"):
        check_event(event(lengths(Duration(seconds=7200), Duration(seconds=-3600))))
    with pytest.raises(ComplianceError, match="negative"):
        check_event(event(lengths(Duration(months=-1))))


@pytest.mark.parametrize("field", ["duration", "startafter", "notification"])
@pytest.mark.parametrize("length", [Duration(seconds=-1), Duration(months=-1)])
def test_an_event_that_ends_before_it_starts_is_459(field: str, length: Duration) -> None:
    with pytest.raises(ComplianceError, match="must not be negative"):
        check_event(period(event(), **{field: length}))


def test_ramp_up_and_recovery_may_be_negative() -> None:
    check_event(period(event(), ramp_up=Duration(seconds=-60), recovery=Duration(seconds=-60), startafter=HOUR))


def test_times_beyond_the_calendar_are_454() -> None:
    late = event()
    late = replace(late, active_period=replace(late.active_period, dtstart=datetime(9999, 12, 31, 23, 30, tzinfo=UTC)))
    with pytest.raises(InvalidData, match="9999"):
        check_event(late)
    with pytest.raises(InvalidData, match="9999"):
        check_event(period(late, duration=Duration(months=1)))


def test_rule_107_signal_ids_are_unique() -> None:
    with pytest.raises(ComplianceError, match="R107"):
        check_event(event(signal(), signal("x-own")))
    check_event(event(signal(), replace(signal("x-own"), signal_id="signal-2")))


def test_rule_063_an_event_names_at_most_one_ven() -> None:
    check_event(replace(event(), target=EiTarget(ven_ids=("a",), resource_ids=("r", "s"))))
    with pytest.raises(ComplianceError, match="R63"):
        check_event(replace(event(), target=EiTarget(ven_ids=("a", "b"))))


def test_rule_111_a_signal_target_names_device_classes_only() -> None:
    check_signal(replace(signal(), target=EiTarget(end_device_assets=("EVSE", "Electric_Vehicle", "x-mine"))))
    check_signal(replace(signal(), target=EiTarget()))
    with pytest.raises(ComplianceError, match="unknown device class 'Toaster'"):
        check_signal(replace(signal(), target=EiTarget(end_device_assets=("EVSE", "Toaster"))))
    with pytest.raises(ComplianceError, match="more than device classes"):
        check_signal(replace(signal(), target=EiTarget(end_device_assets=("EVSE",), resource_ids=("r",))))


@pytest.mark.parametrize("number", [-1, 2**32])
def test_numbers_outside_the_schema_are_454(number: int) -> None:
    descriptor = event().descriptor
    with pytest.raises(InvalidData, match="modificationNumber"):
        check_event(replace(event(), descriptor=replace(descriptor, modification_number=number)))
    with pytest.raises(InvalidData, match="priority"):
        check_event(replace(event(), descriptor=replace(descriptor, priority=number)))


def test_rule_033_missing_information_is_459() -> None:
    descriptor = event().descriptor
    for bad in (
        replace(event(), signals=()),
        replace(event(), descriptor=replace(descriptor, event_id="")),
        replace(event(), descriptor=replace(descriptor, market_context="")),
    ):
        with pytest.raises(OadrError) as caught:
            check_event(bad)
        assert caught.value.code == ResponseCode.COMPLIANCE_ERROR


BASELINE = Baseline(
    dtstart=START,
    duration=HOUR,
    intervals=lengths(HOUR).intervals,
    baseline_id="b",
    baseline_name="mean",
    item_base=energy_real(),
)


def test_rule_101_102_a_baseline_has_its_own_times() -> None:
    check_event(replace(event(), baseline=BASELINE))
    check_event(replace(event(), baseline=replace(BASELINE, item_base=None)))
    two = Duration(seconds=7200)
    check_event(replace(event(), baseline=replace(BASELINE, duration=two, intervals=lengths(two).intervals)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"duration": Duration(seconds=7200)}, "add up"),
        ({"duration": Duration(seconds=-1)}, "negative"),
        ({"duration": Duration(months=-1)}, "negative"),
        ({"intervals": ()}, "no interval"),
        ({"item_base": ItemBase(kind="kilowatt")}, "unknown unit"),
    ],
)
def test_rule_102_a_bad_baseline_is_refused(changes: dict[str, object], reason: str) -> None:
    values = {name: getattr(BASELINE, name) for name in BASELINE.__slots__} | changes
    with pytest.raises(OadrError, match=reason):
        check_event(replace(event(), baseline=Baseline(**values)))


def test_every_default_unit_is_one_the_schema_knows() -> None:
    defaults = [rule.default_unit for rule in RULES.values() if rule.default_unit]
    assert {unit.kind for unit in defaults} <= set(UNITS)
    assert default_item_base("LOAD_DISPATCH", SignalType.SETPOINT) == power_real(scale="k")
    assert default_item_base("SIMPLE", SignalType.LEVEL) is None
