"""Charging modes: when a driver's own wish lets a car charge, and when it waits for a better hour; pure.

Rule (ARB-18): a mode only ever pauses, and never so long that a known need would be missed; without a forecast nothing
waits. *plug_and_charge* and *boost* pause nothing. *cheapest*, *lowest_carbon* and *ready_by* take the best hours that
are enough until the departure; where no need is known, the better half of the coming day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median

DAY = timedelta(hours=24)
MARGIN = 1.15  # time planned over time needed: a car slows down when it is nearly full


class Mode(StrEnum):
    """How a driver wants to charge."""

    PLUG_AND_CHARGE = "plug_and_charge"  # at once; events may still limit
    CHEAPEST = "cheapest"  # when the price is low
    LOWEST_CARBON = "lowest_carbon"  # when little CO2 is emitted for it
    READY_BY = "ready_by"  # at the best prices, and full at the departure
    BOOST = "boost"  # at once, and out of every event that may be left, until the car leaves


KINDS = {Mode.CHEAPEST: "price", Mode.READY_BY: "price", Mode.LOWEST_CARBON: "carbon"}
"""Which forecast a mode goes by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The mode of one resource, since when."""

    resource_id: str
    mode: Mode
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One stretch [start, end) of a forecast: money or g CO2 a kWh, whatever the unit; less is better."""

    start: datetime
    end: datetime
    value: float

    @property
    def seconds(self) -> float:
        """Its length, s."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is known of the need: energy still to be charged in Wh, and the departure; ``None`` where not known."""

    left_wh: float | None = None
    departure: datetime | None = None


def clipped(slots: Iterable[Slot], start: datetime, end: datetime) -> list[Slot]:
    """Return the forecast inside [start, end), by start."""
    found = [
        Slot(start=max(each.start, start), end=min(each.end, end), value=each.value)
        for each in slots
        if each.end > start and each.start < end
    ]
    return sorted(found, key=lambda each: each.start)


def pauses(
    mode: Mode, slots: Iterable[Slot], target: Target, max_kw: float, now: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    """Return the stretches in which the mode lets nothing be charged, by start, neighbours joined."""
    if mode not in KINDS or (mode is Mode.READY_BY and (target.departure is None or target.left_wh is None)):
        return ()
    end = target.departure or now + DAY
    ahead = clipped(slots, now, end)
    if not ahead:
        return ()
    chosen = _enough(ahead, target.left_wh, max_kw, now, end)
    return _joined(each for each in ahead if each not in chosen)


def _enough(ahead: Sequence[Slot], left_wh: float | None, max_kw: float, now: datetime, end: datetime) -> list[Slot]:
    """Return the slots to charge in: the best ones that are enough, or the better half where no need is known."""
    if left_wh is None:
        middle = median(each.value for each in ahead)
        return [each for each in ahead if each.value <= middle]
    needed_s = left_wh / (max_kw * 1000.0) * 3600.0 * MARGIN
    uncovered_s = (end - now).total_seconds() - sum(each.seconds for each in ahead)
    needed_s -= max(0.0, uncovered_s)  # what no forecast is about is not paused
    chosen: list[Slot] = []
    for each in sorted(ahead, key=lambda slot: (slot.value, slot.start)):
        if needed_s <= 0.0:
            break
        chosen.append(each)
        needed_s -= each.seconds
    return chosen


def _joined(slots: Iterable[Slot]) -> tuple[tuple[datetime, datetime], ...]:
    found: list[tuple[datetime, datetime]] = []
    for each in slots:
        if found and found[-1][1] == each.start:
            found[-1] = (found[-1][0], each.end)
        else:
            found.append((each.start, each.end))
    return tuple(found)
