"""Meter values of both OCPP versions to readings with units; pure.

Rule: a reading says what was measured and by what road. Power comes from the charger's own total, else from its
phases, else from current times voltage, else from the energy register; what is not there stays ``None`` and is never
invented. Power is signed: what the car gives back counts below zero. The state of charge is the car's own word.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

_POWER = "Power.Active.Import"
_EXPORT = "Power.Active.Export"
_SOC = "SoC"
_ENERGY = "Energy.Active.Import.Register"  # also the default measurand of both versions
_CURRENT = "Current.Import"
_VOLTAGE = "Voltage"
_FREQUENCY = "Frequency"  # Hz; a phase, if given, does not matter
_MAX_FUTURE = timedelta(seconds=30)  # a stamp further ahead is a wrong clock, not a reading of tomorrow
_SCALE = {"w": 1.0, "kw": 1e3, "wh": 1.0, "kwh": 1e3, "a": 1.0, "ma": 1e-3, "v": 1.0, "kv": 1e3}
_PHASE = {"L1": 1, "L2": 2, "L3": 3, "L1-N": 1, "L2-N": 2, "L3-N": 3}
_MIN_DELTA_S = 5.0  # a register step over less time is mostly rounding
_MAX_OVER_RATING = 1.5  # more than this times the rating is a register that jumped, not power


@dataclass(frozen=True, slots=True, kw_only=True)
class Electrical:
    """What power is worked out with where the charger gives only current: volts phase to neutral, phases, rating A."""

    voltage: float
    phases: int
    max_a: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One meter value of one connector. ``source`` says how ``power_w`` was found ("" if it was not).

    ``soc`` is the car's state of charge, 0 to 1.
    """

    at: datetime
    power_w: float | None = None
    current_a: tuple[float, ...] | None = None
    energy_wh: float | None = None
    source: str = ""
    soc: float | None = None
    frequency_hz: float | None = None  # of the mains

    @property
    def metered(self) -> bool:
        """True if a meter has said anything, not only the car."""
        return self.power_w is not None or self.current_a is not None or self.energy_wh is not None


def parse_instant(text: object) -> datetime | None:
    """Read a time stamp as chargers write it; without a zone it is UTC. ``None`` if it is no time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def parse_meter_values(
    values: Iterable[Mapping[str, Any]], electrical: Electrical, now: datetime
) -> tuple[Sample, ...]:
    """Read the ``meterValue`` list of MeterValues or TransactionEvent (either version), oldest first."""
    samples = [
        sample
        for value in values
        if (sample := _sample(value.get("sampledValue", ()), _stamp(value.get("timestamp"), now), electrical))
        is not None
    ]
    return tuple(sorted(samples, key=lambda sample: sample.at))


def with_power_from_energy(sample: Sample, previous: Sample | None, electrical: Electrical) -> Sample:
    """Fill a missing power from the register's step since ``previous``, if the mean W of it is believable."""
    if sample.power_w is not None or sample.energy_wh is None or previous is None or previous.energy_wh is None:
        return sample
    seconds = (sample.at - previous.at).total_seconds()
    step_wh = sample.energy_wh - previous.energy_wh
    if seconds < _MIN_DELTA_S or step_wh < 0:
        return sample
    power_w = step_wh * 3600.0 / seconds
    if power_w > _MAX_OVER_RATING * electrical.max_a * electrical.voltage * electrical.phases:
        return sample
    return replace(sample, power_w=power_w, source="energy register")


def _stamp(text: object, now: datetime) -> datetime:
    moment = parse_instant(text)
    return now if moment is None or moment > now + _MAX_FUTURE else moment


def _sample(sampled: Sequence[Mapping[str, Any]], at: datetime, electrical: Electrical) -> Sample | None:
    table: dict[str, dict[int, float]] = {}
    for entry in sorted(sampled, key=_is_outlet):  # the outlet is written last, over the same at the inlet
        number = _value(entry)
        if number is not None:
            measurand = str(entry.get("measurand", _ENERGY))
            table.setdefault(measurand, {})[_phase(entry.get("phase"))] = number
    power_w, source = _power(table, electrical)
    current = table.get(_CURRENT, {})
    sample = Sample(
        at=at,
        power_w=power_w,
        current_a=_per_phase(current),
        energy_wh=_total(table.get(_ENERGY, {})),
        source=source,
        soc=_soc(sampled),
        frequency_hz=next(iter(table.get(_FREQUENCY, {}).values()), None),
    )
    return sample if sample.metered or sample.soc is not None else None


def _soc(sampled: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the car's state of charge, 0 to 1; it is measured in the car (location EV) and always in percent."""
    for entry in sampled:
        if entry.get("measurand") == _SOC and entry.get("format") != "SignedData":
            try:
                percent = float(entry.get("value", ""))
            except (TypeError, ValueError):
                continue
            if 0.0 <= percent <= 100.0:
                return percent / 100.0
    return None


def _value(entry: Mapping[str, Any]) -> float | None:
    """One sampled value in W, Wh, A or V. Signed blobs and text that is no number give ``None``."""
    if entry.get("format") == "SignedData" or entry.get("location") == "EV" or _is_line_voltage(entry):
        return None
    try:
        number = float(entry.get("value", ""))
    except (TypeError, ValueError):
        return None
    of_measure = entry.get("unitOfMeasure")
    unit: object = entry.get("unit")
    multiplier: object = 0
    if isinstance(of_measure, Mapping):  # 2.0.1: unit and a power of ten
        unit, multiplier = of_measure.get("unit"), of_measure.get("multiplier", 0)
    scale = _SCALE.get(unit.strip().lower(), 1.0) if isinstance(unit, str) else 1.0
    if isinstance(multiplier, int) and -12 <= multiplier <= 12:
        scale *= 10.0**multiplier
    result = number * scale
    return result if math.isfinite(result) else None


def _is_outlet(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("location", "Outlet") == "Outlet")


def _is_line_voltage(entry: Mapping[str, Any]) -> bool:
    return entry.get("phase") in ("L1-L2", "L2-L3", "L3-L1", "N")


def _phase(name: object) -> int:
    return _PHASE.get(name, 0) if isinstance(name, str) else 0


def _total(by_phase: Mapping[int, float]) -> float | None:
    """The charger's total if it gives one, else the sum of its phases."""
    if 0 in by_phase:
        return by_phase[0]
    return sum(by_phase.values()) if by_phase else None


def _per_phase(by_phase: Mapping[int, float]) -> tuple[float, ...] | None:
    phases = tuple(by_phase[i] for i in (1, 2, 3) if i in by_phase)
    if phases:
        return phases
    return (by_phase[0],) if 0 in by_phase else None


def _power(table: Mapping[str, Mapping[int, float]], electrical: Electrical) -> tuple[float | None, str]:
    power, export = table.get(_POWER, {}), table.get(_EXPORT, {})
    if power or export:
        net_w = (_total(power) or 0.0) - (_total(export) or 0.0)
        return net_w, "power" if 0 in (power or export) else "power per phase"
    current = table.get(_CURRENT, {})
    if not current:
        return None, ""
    voltage = table.get(_VOLTAGE, {})
    mean_v = sum(voltage.values()) / len(voltage) if voltage else electrical.voltage
    phases = {i: amperes for i, amperes in current.items() if i}
    if phases:
        return sum(amperes * voltage.get(i, mean_v) for i, amperes in phases.items()), "current and voltage"
    return current[0] * mean_v * electrical.phases, "current and voltage"  # one figure for all phases in use
