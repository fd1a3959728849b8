"""A day of prices by the local clock as OpenADR intervals: 48 half-hours, 46 or 50 when the clocks change; pure.

Rule (EVT-10): a day runs from local midnight to local midnight, and blocks are equal lengths of real time inside it,
so that nothing is lost or doubled on a clock-change day. The number of prices must fit: nothing is stretched or cut.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from openadr.model import Interval
from openadr.times import Duration

HALF_HOUR_S = 1800


def local(day: date, at: time, zone: tzinfo) -> datetime:
    """Return a local clock time as an instant in UTC; of a time that comes twice the first, of one that is left out
    the one as long after the change as it would have been.
    """
    return datetime.combine(day, at, zone).astimezone(UTC)


def blocks(day: date, zone: tzinfo, length_s: int = HALF_HOUR_S) -> tuple[datetime, ...]:
    """Return the starts of the day's blocks and, last, its end. Raises ``ValueError`` for lengths that do not fit."""
    start, end = local(day, time(), zone), local(day + timedelta(days=1), time(), zone)
    count, rest = divmod(int((end - start).total_seconds()), max(length_s, 1))
    if length_s <= 0 or rest:
        raise ValueError(f"blocks of {length_s} s do not fill {day}, which lasts {end - start}")
    return tuple(start + timedelta(seconds=number * length_s) for number in range(count + 1))


def day_ahead(
    day: date, zone: tzinfo, prices: Sequence[float], length_s: int = HALF_HOUR_S
) -> tuple[datetime, tuple[Interval, ...]]:
    """Return dtstart and the intervals of a day's prices. Raises ``ValueError`` if their number is not the day's."""
    edges = blocks(day, zone, length_s)
    if len(prices) != len(edges) - 1:
        raise ValueError(f"{day} has {len(edges) - 1} blocks of {length_s} s, and {len(prices)} prices were given")
    length = Duration(seconds=length_s)
    return edges[0], tuple(Interval(duration=length, uid=uid, value=value) for uid, value in enumerate(prices))


def daily_window(
    day: date, zone: tzinfo, start: time, end: time, inside: float, outside: float
) -> tuple[datetime, tuple[Interval, ...]]:
    """Return dtstart and the intervals of a day with one fixed window by the clock, which may pass midnight."""
    edges = [local(day, time(), zone)]
    first, second = (start, end) if start < end else (end, start)
    edges += [local(day, first, zone), local(day, second, zone), local(day + timedelta(days=1), time(), zone)]
    values = (outside, inside, outside) if start < end else (inside, outside, inside)
    found: list[Interval] = []
    for one, other, value in zip(edges[:-1], edges[1:], values, strict=False):
        if one < other:
            length = Duration(seconds=int((other - one).total_seconds()))
            found.append(Interval(duration=length, uid=len(found), value=value))
    return edges[0], tuple(found)
