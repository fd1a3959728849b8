"""From stored readings to the values of a report's intervals, each with its quality; pure.

Rule (TEL-08, R318): values come from meters and keep the meters' own times. Where there is none the value is a
placeholder that says so; one that is older than the interval is marked as the last usable one, a sum over a group of
which a part is missing as below normal. Energy is what flowed in the interval, power the last reading in it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from bridge.halfhour import HalfHour
from bridge.store.records import Sample

GOOD = "Quality Good - Non Specific"
STALE = "Quality Uncertain - Last Usable Value"
ESTIMATED = "Quality Uncertain - Non Specific"
PARTIAL = "Quality Uncertain - Sub Normal"
NOT_CONNECTED = "Quality Bad - Not Connected"
NO_VALUE = "No Quality - No Value"
MOSTLY_S = 1620.0  # a mean over nine tenths of a half-hour is that of the half-hour
_BAD = frozenset({NOT_CONNECTED, NO_VALUE})

Value = tuple[float, str]
"""A number and its quality."""


def slots(start: datetime, end: datetime, step: timedelta) -> list[tuple[datetime, datetime]]:
    """Return the intervals of [start, end), the last one shorter if the step does not fit in whole numbers."""
    found, at = [], start
    while at < end:
        found.append((at, min(at + step, end)))
        at += step
    return found or [(start, end)]


def power(samples: Sequence[Sample], start: datetime, end: datetime, stale_s: float) -> Value:
    """Return the last power in W inside [start, end); failing that the last one before, as long as it is usable."""
    known = [sample for sample in samples if sample.at < end and sample.power_w is not None]
    if not known or known[-1].at < start - timedelta(seconds=stale_s):
        return 0.0, NOT_CONNECTED
    last = known[-1]
    return round(last.power_w or 0.0, 1), STALE if last.at < start else ESTIMATED if last.estimated else GOOD


def energy(samples: Sequence[Sample], start: datetime, end: datetime) -> Value:
    """Return the energy in Wh that flowed from the last reading before ``start`` to the last one before ``end``.

    So nothing is lost between two intervals. A register that went back (a new session on some meters) counts from zero.
    """
    registers = [sample for sample in samples if sample.energy_wh is not None]
    times = [sample.at for sample in registers]
    before, last = bisect_left(times, start), bisect_left(times, end)
    if last == 0 or registers[last - 1].at < start:
        return 0.0, NOT_CONNECTED
    inside = registers[max(0, before - 1) : last]
    values = [sample.energy_wh or 0.0 for sample in inside]
    if len(values) < 2:
        return 0.0, NO_VALUE
    flowed = sum(b - a if b >= a else b for a, b in pairwise(values))
    return round(flowed, 1), ESTIMATED if any(sample.estimated for sample in inside) else GOOD


def half_hourly(row: HalfHour | None, *, of_energy: bool) -> Value:
    """Return the energy in Wh or the mean power in W of a stored half-hour."""
    value = None if row is None else row.energy_wh if of_energy else row.mean_w
    if row is None or value is None:
        return 0.0, NOT_CONNECTED
    guessed = row.estimated if of_energy else row.covered_s < MOSTLY_S
    return value, ESTIMATED if guessed else GOOD


def together(values: Iterable[Value]) -> Value:
    """Return the sum over the members of a group; its quality is that of the worst part."""
    values = tuple(values)
    known = [each for each in values if each[1] not in _BAD]
    if not known:
        return 0.0, values[0][1] if values else NO_VALUE
    total = round(sum(value for value, _ in known), 1)
    if len(known) < len(values):
        return total, PARTIAL
    worst = next((quality for _, quality in known if quality != GOOD), GOOD)
    return total, worst


def within(samples: Sequence[Sample], start: datetime, end: datetime, before_s: float) -> Sequence[Sample]:
    """Return the samples of [start - before_s, end]; ``samples`` are by time."""
    times = [sample.at for sample in samples]
    return samples[bisect_left(times, start - timedelta(seconds=before_s)) : bisect_right(times, end)]
