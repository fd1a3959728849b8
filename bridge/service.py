"""What a customer was promised: how often and how long events may limit a resource, and how far down; pure.

Rule (VEN-13): a resource rests when the week's events are used up or the last one is too near; an event longer than
agreed lets it go in time; a limit below the agreed floor is raised to it, but for the rare stops that are agreed.
Emergencies are no matter of contract: they are never held back, and they count. Events are taken in the order in which
they begin, so that one that comes later never takes back one that was begun.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

WEEK = timedelta(days=7)
LONGEST_GAP_H = 168.0  # a longer rest between two events is refused in the settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The terms of one resource; 0 (``floor``: 0.0) promises nothing.

    ``floor`` is a share of the installed maximum; ``stops_per_week`` events a week may go below it.
    """

    events_per_week: int = 0
    hours_per_event: float = 0.0
    gap_hours: float = 0.0
    floor: float = 0.0
    stops_per_week: int = 0


NOTHING_PROMISED = Promise()


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One event at the resource, over, running or to come: ``deep`` if it goes below the floor.

    ``limit_a`` is what one that is over came to, A per phase.
    """

    event_id: str
    start: datetime
    end: datetime | None
    emergency: bool = False
    deep: bool = False
    limit_a: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is agreed for one event: ``rest`` says why the resource stays out; ``raised`` if the floor holds in it."""

    rest: str = ""
    raised: bool = False


def decide(promise: Promise, events: Iterable[Past]) -> dict[str, Served]:
    """Return what holds for each event of a resource by eventID; the past ones among them count as they were."""
    decided: dict[str, Served] = {}
    taken: list[Past] = []
    for each in sorted(events, key=lambda one: (one.start, one.event_id)):
        rest = "" if each.emergency else _rest(promise, taken, each)
        raised = False
        if not rest:
            deep = [one for one in taken if one.deep and one.start > each.start - WEEK]
            raised = not each.emergency and each.deep and len(deep) >= promise.stops_per_week
            taken.append(replace(each, deep=each.deep and not raised))
        decided[each.event_id] = Served(rest=rest, raised=raised)
    return decided


def _rest(promise: Promise, taken: list[Past], each: Past) -> str:
    week = [one for one in taken if one.start > each.start - WEEK]
    if promise.events_per_week and len(week) >= promise.events_per_week:
        return f"it has had {len(week)} of {promise.events_per_week} events in 7 days"
    gap = timedelta(hours=promise.gap_hours)
    if gap and any(one.end is None or one.end > each.start - gap for one in taken):
        return f"its last event is less than {promise.gap_hours:g} h before"
    return ""


FEW = 4  # plug-ins in the earlier fortnight below which a drop says nothing
DROP = 0.5  # share of plug-ins that must be gone
SPAN = timedelta(days=14)


def dropped(plug_ins: Iterable[datetime], now: datetime) -> tuple[int, int, bool]:
    """Return plug-ins in the last fortnight and in the one before, and whether the fall is worth a look (VEN-13)."""
    late = early = 0
    for at in plug_ins:
        late += now - SPAN < at <= now
        early += now - 2 * SPAN < at <= now - SPAN
    return late, early, early >= FEW and late <= early * DROP
