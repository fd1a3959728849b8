"""The well-known signals (R104): which name takes which type, unit and values, and the checks of a whole event.

Rule: pure tables and checks, the same for a VTN that makes an event and a VEN that takes one; nothing is corrected.
Errors name the field and the rule: 460 for a name, type or unit that is not supported, 454 for a value out of range,
450 for uids out of order, 459 for durations that do not add up.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from openadr.errors import ComplianceError, InvalidData, OutOfSequence, SignalNotSupported
from openadr.model import Baseline, EiTarget, Event, Interval, ItemBase, Signal, SignalName, SignalType, power_real
from openadr.times import Duration
from openadr.wire.units import CURRENCY, ENERGY, POWER, check_item_base

DEVICE_CLASSES = frozenset(
    {
        "Thermostat",
        "Strip_Heater",
        "Baseboard_Heater",
        "Water_Heater",
        "Pool_Pump",
        "Sauna",
        "Hot_tub",
        "Smart_Appliance",
        "Irrigation_Pump",
        "Managed_Commercial_and_Industrial_Loads",
        "Simple_Residential_On_Off_Loads",
        "Exterior_Lighting",
        "Interior_Lighting",
        "Electric_Vehicle",
        "Generation_Systems",
        "Load_Control_Switch",
        "Smart_Inverter",
        "EVSE",
        "RESU",
        "Energy_Management_System",
        "Smart_Energy_Module",
        "Storage",
    }
)
"""Device classes of signal targets (R111); the schema does not check them. ``x-`` classes are free."""

_UNSIGNED_INT_MAX = 2**32 - 1  # xs:unsignedInt of modificationNumber and priority
_NO_UNIT: frozenset[str] = frozenset()


def _any(value: float) -> bool:
    return True


def _whole(value: float) -> bool:
    return value == int(value)


def _simple(value: float) -> bool:
    return value in (0, 1, 2, 3)


def _share(value: float) -> bool:
    return 0 <= value <= 1


def _level(value: float) -> bool:
    return _whole(value) and -10 <= value <= 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRule:
    """One row of R104: the unit kinds allowed (empty: no unit), whether one must be given, and the values."""

    units: frozenset[str] = _NO_UNIT
    unit_optional: bool = False
    allowed: Callable[[float], bool] = _any
    values: str = "any number"
    default_unit: ItemBase | None = None


_EUR_PER_KWH = ItemBase(kind="currencyPerKWh", item_description="currencyPerKWh", item_units="EUR")
_EUR_PER_KW = ItemBase(kind="currencyPerKW", item_description="currencyPerKW", item_units="EUR")
_EUR = ItemBase(kind="currency", item_description="currency", item_units="EUR")
_KW = power_real(scale="k")
_KWH = ItemBase(kind="energyReal", item_description="RealEnergy", item_units="Wh", si_scale_code="k")

_PRICE = SignalRule(units=frozenset({"currencyPerKWh"}), default_unit=_EUR_PER_KWH)
_DEMAND = SignalRule(units=frozenset({"currencyPerKW"}), default_unit=_EUR_PER_KW)
_POWER = SignalRule(units=POWER, default_unit=_KW)
_ENERGY = SignalRule(units=ENERGY, default_unit=_KWH)
_FREE = SignalRule()
_INTEGERS = SignalRule(allowed=_whole, values="whole numbers")
_SHARE = SignalRule(allowed=_share, values="0.0 to 1.0")

RULES: dict[tuple[str, SignalType], SignalRule] = {
    (SignalName.SIMPLE, SignalType.LEVEL): SignalRule(allowed=_simple, values="0, 1, 2 or 3"),
    (SignalName.ELECTRICITY_PRICE, SignalType.PRICE): _PRICE,
    (SignalName.ELECTRICITY_PRICE, SignalType.PRICE_RELATIVE): _PRICE,
    (SignalName.ELECTRICITY_PRICE, SignalType.PRICE_MULTIPLIER): _FREE,
    (SignalName.ENERGY_PRICE, SignalType.PRICE): _PRICE,
    (SignalName.ENERGY_PRICE, SignalType.PRICE_RELATIVE): _PRICE,
    (SignalName.ENERGY_PRICE, SignalType.PRICE_MULTIPLIER): _FREE,
    (SignalName.DEMAND_CHARGE, SignalType.PRICE): _DEMAND,
    (SignalName.DEMAND_CHARGE, SignalType.PRICE_RELATIVE): _DEMAND,
    (SignalName.DEMAND_CHARGE, SignalType.PRICE_MULTIPLIER): _FREE,
    (SignalName.BID_PRICE, SignalType.PRICE): SignalRule(units=CURRENCY, default_unit=_EUR),
    (SignalName.BID_LOAD, SignalType.SETPOINT): _POWER,
    (SignalName.BID_ENERGY, SignalType.SETPOINT): _ENERGY,
    (SignalName.CHARGE_STATE, SignalType.SETPOINT): _ENERGY,
    (SignalName.CHARGE_STATE, SignalType.DELTA): _ENERGY,
    (SignalName.CHARGE_STATE, SignalType.MULTIPLIER): _SHARE,
    (SignalName.LOAD_DISPATCH, SignalType.SETPOINT): _POWER,
    (SignalName.LOAD_DISPATCH, SignalType.DELTA): _POWER,
    (SignalName.LOAD_DISPATCH, SignalType.MULTIPLIER): _FREE,
    (SignalName.LOAD_DISPATCH, SignalType.LEVEL): SignalRule(
        units=POWER, unit_optional=True, allowed=_level, values="whole numbers from -10 to 10", default_unit=_KW
    ),
    (SignalName.LOAD_CONTROL, SignalType.LOAD_CONTROL_CAPACITY): _SHARE,
    (SignalName.LOAD_CONTROL, SignalType.LOAD_CONTROL_LEVEL_OFFSET): _INTEGERS,
    (SignalName.LOAD_CONTROL, SignalType.LOAD_CONTROL_SETPOINT): _FREE,
    (SignalName.LOAD_CONTROL, SignalType.LOAD_CONTROL_PERCENT_OFFSET): _FREE,
}
"""R104 by signalName and signalType; names with ``x-`` are not in it: anything goes."""


def default_item_base(signal_name: str, signal_type: SignalType) -> ItemBase | None:
    """Return the unit a signal is made with when none is given (kW, kWh, EUR), ``None`` if it has no unit."""
    rule = RULES.get((signal_name, signal_type))
    return None if rule is None else rule.default_unit


def check_signal(signal: Signal) -> None:
    """Check one signal: triple, unit, values, uids, target.

    Raises ``SignalNotSupported`` (460), ``InvalidData`` (454), ``OutOfSequence`` (450) or ``ComplianceError`` (459).
    """
    rule = _rule(signal)
    if rule is not None:
        _check_unit(signal, rule)
    if signal.item_base is not None:
        check_item_base(signal.item_base)
    _check_intervals(signal.signal_name, signal.intervals)
    for value in _values(signal):
        if rule is not None and not rule.allowed(value):
            raise InvalidData(
                f"{signal.signal_name}/{signal.signal_type} takes {rule.values}, not {value} (R104)",
                field="payloadFloat",
            )
    _check_device_classes(signal)


def _rule(signal: Signal) -> SignalRule | None:
    if signal.signal_name.startswith("x-"):
        return None
    rule = RULES.get((signal.signal_name, signal.signal_type))
    if rule is None:
        raise SignalNotSupported(
            f"signal {signal.signal_name} with type {signal.signal_type} is not defined (R104)", field="signalType"
        )
    return rule


def _check_unit(signal: Signal, rule: SignalRule) -> None:
    about = f"{signal.signal_name}/{signal.signal_type}"
    if signal.item_base is None:
        if rule.units and not rule.unit_optional:
            raise SignalNotSupported(f"{about} needs a unit: {sorted(rule.units)} (R104)", field="itemBase")
    elif signal.item_base.kind not in rule.units:
        wanted = f"one of {sorted(rule.units)}" if rule.units else "no unit"
        raise SignalNotSupported(f"{about} takes {wanted}, not {signal.item_base.kind} (R104)", field="itemBase")


def _values(signal: Signal) -> Iterable[float]:
    yield from (interval.value for interval in signal.intervals)
    if signal.current_value is not None:
        if not math.isfinite(signal.current_value):
            raise InvalidData(f"{signal.signal_name}: currentValue must be a finite number", field="currentValue")
        yield signal.current_value


def _check_intervals(name: str, intervals: tuple[Interval, ...]) -> None:
    if not intervals:
        raise ComplianceError(f"{name} has no interval (R102)", field="intervals")
    for index, interval in enumerate(intervals):
        if interval.uid != index:
            raise OutOfSequence(f"{name}: uids must count 0, 1, 2 ... (R2, R101)", field="uid")
        if not math.isfinite(interval.value):
            raise InvalidData(f"{name}: each interval needs one finite payloadFloat (R100)", field="payloadFloat")
        if interval.duration.months < 0 or interval.duration.seconds < 0:
            raise ComplianceError(f"{name}: an interval duration must not be negative", field="duration")


def _check_device_classes(signal: Signal) -> None:
    if signal.target is None:
        return
    classes = signal.target.end_device_assets
    if signal.target != EiTarget(end_device_assets=classes):
        raise ComplianceError(
            f"{signal.signal_name}: the target names more than device classes (R111)", field="eiTarget"
        )
    unknown = [name for name in classes if name not in DEVICE_CLASSES and not name.startswith("x-")]
    if unknown:
        raise ComplianceError(f"{signal.signal_name}: unknown device class {unknown[0]!r} (R111)", field="eiTarget")


def check_event(event: Event) -> None:
    """Check everything about an event that can be told from the event alone.

    Raises an ``OadrError``: 450, 454, 459 or 460, with the rule in the text.
    """
    _check_descriptor(event)
    _check_period(event)
    if not event.signals:
        raise ComplianceError("an event needs at least one signal", field="eiEventSignals")
    if len({signal.signal_id for signal in event.signals}) != len(event.signals):
        raise ComplianceError("signalIDs must be unique within the event (R107)", field="signalID")
    if len(event.target.ven_ids) > 1:
        raise ComplianceError("an event target names at most one venID (R63)", field="venID")
    period = event.active_period
    for signal in event.signals:
        check_signal(signal)
        _check_sum(signal.signal_name, signal.intervals, period.dtstart, period.duration)
    if event.baseline is not None:
        _check_baseline(event.baseline)


def _check_descriptor(event: Event) -> None:
    descriptor = event.descriptor
    for field, value in (
        ("modificationNumber", descriptor.modification_number),
        ("priority", descriptor.priority),
    ):
        if not 0 <= value <= _UNSIGNED_INT_MAX:
            raise InvalidData(f"{field} must be from 0 to {_UNSIGNED_INT_MAX}", field=field)
    for field, text in (("eventID", descriptor.event_id), ("marketContext", descriptor.market_context)):
        if not text:
            raise ComplianceError(f"{field} is missing (R33)", field=field)


def _check_period(event: Event) -> None:
    period = event.active_period
    lengths = (
        ("duration", period.duration),
        ("startafter", period.startafter),
        ("x-eiNotification", period.notification),
    )
    for field, length in lengths:
        if length is not None and (length.months < 0 or length.seconds < 0):
            raise ComplianceError(f"{field} must not be negative: an event cannot end before it starts", field=field)
    _end(period.dtstart, period.duration, "duration")


def _end(start: datetime, length: Duration, field: str) -> datetime:
    try:
        return length.after(start)
    except (OverflowError, ValueError) as error:
        raise InvalidData(f"{field} leads beyond the year 9999", field=field) from error


def _check_sum(name: str, intervals: tuple[Interval, ...], start: datetime, whole: Duration) -> None:
    """Compare the sum of interval durations with the whole, if need be by the calendar; open-ended has no sum (R47)."""
    if whole.is_zero:
        return
    months = sum(interval.duration.months for interval in intervals)
    seconds = sum(interval.duration.seconds for interval in intervals)
    if Duration(months=months, seconds=seconds) == whole:
        return
    at = start
    for interval in intervals:
        at = _end(at, interval.duration, "duration")
    if at != _end(start, whole, "duration"):
        raise ComplianceError(f"{name}: interval durations do not add up to {whole} (R8, R102)", field="duration")


def _check_baseline(baseline: Baseline) -> None:
    if baseline.duration.months < 0 or baseline.duration.seconds < 0:
        raise ComplianceError("the baseline duration must not be negative", field="duration")
    if baseline.item_base is not None:
        check_item_base(baseline.item_base)
    _check_intervals(baseline.baseline_name, baseline.intervals)
    _check_sum(baseline.baseline_name, baseline.intervals, baseline.dtstart, baseline.duration)
