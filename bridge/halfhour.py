"""Half-hours of metered energy and power, made of a charger's readings; pure.

Rule (TEL-07): half-hours count from midnight UTC, so a local day has 46, 48 or 50 of them and none repeats at a clock
change. Energy is cut at the borders by interpolation, so that neighbours add up to what the meter counted; a border
with no reading near it makes the value an estimate (TEL-08), and where nothing is known there is no row.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol

HALF_HOUR = timedelta(minutes=30)
NEAR_S = 180.0  # readings on both sides of a border no further apart than this measure it (telemetry.stale_after_s)
LATE = timedelta(minutes=2)  # an older reading was kept by the charger, or by us, while it could not be stored
FAR_S = 3600.0  # beyond it two readings say nothing about the time between them


class Reading(Protocol):
    """What is needed of a meter reading."""

    @property
    def at(self) -> datetime:
        """When it was taken."""
        ...

    @property
    def power_w(self) -> float | None:
        """Power in W."""
        ...

    @property
    def energy_wh(self) -> float | None:
        """Energy register in Wh."""
        ...

    @property
    def estimated(self) -> bool:
        """True if the device worked it out instead of measuring."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfHour:
    """One half-hour of one charger: ``energy_wh`` by the register, ``mean_w`` and ``max_w`` by the power readings."""

    charger: str
    start: datetime
    energy_wh: float | None
    mean_w: float | None
    max_w: float | None
    samples: int
    covered_s: float  # of the 1,800 s, how many lie between readings
    estimated: bool


def start_of(at: datetime) -> datetime:
    """Return the start of the half-hour that ``at`` lies in."""
    return datetime.fromtimestamp(at.timestamp() // 1800 * 1800, tz=UTC)


def starts(begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the start of every whole half-hour inside [begin, end)."""
    at = start_of(begin)
    at = at if at == begin else at + HALF_HOUR
    while at + HALF_HOUR <= end:
        yield at
        at += HALF_HOUR


def to_make_again(taken: Iterable[datetime], now: datetime) -> tuple[datetime, ...]:
    """Return the half-hours that readings stored at ``now`` may change though they may have been made already.

    A late reading changes its neighbours too: energy is cut at the borders.
    """
    late = {start_of(at) for at in taken if at < now - LATE}
    return tuple(sorted({start + step for start in late for step in (-HALF_HOUR, timedelta(), HALF_HOUR)}))


@dataclass(frozen=True, slots=True)
class _Register:
    at: datetime
    wh: float  # counted on over resets


def _registers(readings: Iterable[Reading]) -> list[_Register]:
    """Return the register without its resets: one that goes back counts from zero (a new session on some meters)."""
    found: list[_Register] = []
    last = 0.0
    for reading in readings:
        if reading.energy_wh is None:
            continue
        before = found[-1].wh if found else 0.0
        grown = reading.energy_wh - last if reading.energy_wh >= last else reading.energy_wh
        found.append(_Register(reading.at, before + grown if found else 0.0))
        last = reading.energy_wh
    return found


def _flowed(registers: Sequence[_Register], start: datetime, end: datetime) -> tuple[float, float, bool] | None:
    """Return energy in Wh, seconds covered and whether a border was guessed, ``None`` if nothing is known."""
    energy, covered, near = 0.0, 0.0, {start: False, end: False}
    for one, other in pairwise(registers):
        gap_s = (other.at - one.at).total_seconds()
        begin, finish = max(one.at, start), min(other.at, end)
        part_s = (finish - begin).total_seconds()
        if part_s <= 0.0 or gap_s > FAR_S:
            continue
        energy += (other.wh - one.wh) * part_s / gap_s
        covered += part_s
        for border in near:
            near[border] |= one.at <= border <= other.at and gap_s <= NEAR_S
    return None if covered == 0.0 else (energy, covered, not all(near.values()))


def half_hour(charger: str, readings: Sequence[Reading], start: datetime) -> HalfHour | None:
    """Return one half-hour of one charger, ``None`` without any reading; ``readings`` by time, some beyond it."""
    end = start + HALF_HOUR
    powers = [each.power_w for each in readings if start <= each.at < end and each.power_w is not None]
    mean_w = sum(powers) / len(powers) if powers else None
    registers = _registers(readings)
    flowed = _flowed(registers, start, end)
    if flowed is None and mean_w is None:
        return None
    by_power = mean_w / 2.0 if mean_w is not None and len(powers) > 1 and not registers else None
    energy, covered, guessed = flowed or (by_power, 0.0, True)
    return HalfHour(
        charger=charger,
        start=start,
        energy_wh=None if energy is None else round(energy, 1),
        mean_w=None if mean_w is None else round(mean_w, 1),
        max_w=round(max(powers), 1) if powers else None,
        samples=len(powers),
        covered_s=round(covered, 1),
        estimated=guessed
        or covered < HALF_HOUR.total_seconds() - 1.0
        or any(each.estimated for each in readings if start <= each.at < end),
    )
