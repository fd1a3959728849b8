"""Ramp-up and recovery of one event at one resource: the step to a cap and back, taken in several small ones; pure.

Rule (RND-07, RND-08): a positive length lies before the start or after the end, a negative one inside the event. The
steps are equal parts of the way between the installed maximum and the cap, and each resource shifts them by its own
stored draw, so that a fleet climbs in a slope and not in stairs. An emergency begins without a ramp (RND-03).

::

    maximum  ----+                                     +----
                 +--+                               +--+
                    +--+                         +--+
    cap                +=========================+
             |<- ramp-up ->|<--- duration --->|<- recovery ->|
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.asks import FloorPolicy, settle
from bridge.cap import Cap
from bridge.resources import Resource
from openadr.times import Duration

LONGEST_S = 86_400  # of a ramp: a longer one is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How one resource ramps: lengths in s (negative: inside the event), and how far each step is shifted, [0, 1)."""

    up_s: int
    recovery_s: int
    steps: int
    up_u: float
    recovery_u: float
    floor: FloorPolicy


def length_s(sent: Duration | None, default_s: int, at: datetime) -> int:
    """Return the length of a ramp in s: what the event carries, else the programme's."""
    if sent is None:
        return default_s
    try:
        seconds = int(sent.length(at).total_seconds())
    except (OverflowError, ValueError):
        seconds = LONGEST_S if sent.months > 0 or sent.seconds > 0 else -LONGEST_S
    return max(-LONGEST_S, min(LONGEST_S, seconds))


def _levels(bottom: float, resource: Resource, slope: Slope) -> list[float]:
    """Return the limits on the way from the installed maximum down to the cap, the cap itself last."""
    part = (resource.max_a - bottom) / slope.steps
    return [
        max(bottom, settle(resource.max_a - part * (step + 1), resource, slope.floor)[0]) for step in range(slope.steps)
    ]


def _stage(cap: Cap, start: datetime, end: datetime, limit_a: float, word: str) -> Cap:
    return replace(cap, start=start, end=end, limit_a=limit_a, reason=f"{cap.reason}; {word}: {limit_a:g} A")


def _up(first: Cap, bottom: float, resource: Resource, slope: Slope) -> Iterable[Cap]:
    """Yield what stands in the place of the first cap: its ramp, and the rest of it."""
    length = abs(slope.up_s)
    if slope.up_s < 0 and first.end is not None:
        length = min(length, int((first.end - first.start).total_seconds()))
    begin = first.start - timedelta(seconds=length) if slope.up_s > 0 else first.start
    step_s = length / slope.steps
    last_s = max(length - 1, 0)  # a draw next to 1 must leave a second for the cap itself
    edges = [begin + timedelta(seconds=min(int((k + slope.up_u) * step_s), last_s)) for k in range(slope.steps)]
    levels = _levels(bottom, resource, slope)
    for start, end, level in zip(edges[:-1], edges[1:], levels[:-1], strict=True):
        if start < end:
            yield _stage(first, start, end, level, "ramp-up")
    yield replace(first, start=edges[-1])


def _recovery(last: Cap, bottom: float, end: datetime, resource: Resource, slope: Slope) -> Iterable[Cap]:
    """Yield what stands in the place of the last cap: the part before the recovery, and its steps."""
    length = abs(slope.recovery_s)
    if slope.recovery_s < 0:
        length = min(length, int((end - last.start).total_seconds()))
    begin = end - timedelta(seconds=length) if slope.recovery_s < 0 else end
    step_s = length / slope.steps
    edges = [begin + timedelta(seconds=int((k + slope.recovery_u) * step_s)) for k in range(slope.steps)]
    levels = _levels(bottom, resource, slope)[-2::-1]  # upwards, the cap itself left out
    if last.start < edges[0]:
        yield replace(last, end=edges[0])
    for start, stop, level in zip(edges[:-1], edges[1:], levels, strict=True):
        if start < stop:
            yield _stage(last, start, stop, level, "recovery")


def ramped(caps: Sequence[Cap], resource: Resource, slope: Slope) -> tuple[Cap, ...]:
    """Return the caps with ramp-up and recovery; a limit shared by a group, and no limit at all, have none."""
    found = list(caps)
    first = found[0]
    if slope.up_s and not first.emergency and first.limit_a is not None:
        found[:1] = _up(first, first.limit_a, resource, slope)
    last = found[-1]
    if slope.recovery_s and last.limit_a is not None and last.end is not None:
        found[-1:] = _recovery(last, last.limit_a, last.end, resource, slope)
    return tuple(found)
