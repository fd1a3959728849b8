"""What a driver needs by when, whether the limits let it happen, and which events stand in its way; pure.

Rule (VEN-12): energy needed, time left and limits give feasible or a shortfall in kWh, said before it happens. A need
that must run leaves the events that may be left, fewest first, until it is met; what may not be left (an emergency, a
contract) is the only thing that makes it miss. The car's own maximum is not known: the installed one counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.arbiter import Effective, Override, StandingCap, overridden_by, timeline
from bridge.asks import Content
from bridge.cap import Cap
from bridge.resources import Resource

ENOUGH_WH = 50.0  # a smaller shortfall is rounding: limits have one decimal
DRIVER, CAR = "driver", "car"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverNeed:
    """One wish at one resource: ``energy_wh`` from ``asked_at`` on, or ``target_soc`` (0 to 1), until ``departure``.

    ``meter_wh`` is the register when it was asked for. It ends with its ``session`` ('' until one is known).
    """

    resource_id: str
    departure: datetime
    asked_at: datetime
    energy_wh: float | None = None
    target_soc: float | None = None
    must_run: bool = False
    source: str = DRIVER
    session: str = ""
    meter_wh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What is still needed and what the limits let through until the departure, Wh; ``None``: not known."""

    left_wh: float | None
    reachable_wh: float

    @property
    def shortfall_wh(self) -> float:
        """What will be missing at the departure, Wh."""
        short = 0.0 if self.left_wh is None else self.left_wh - self.reachable_wh
        return short if short > ENOUGH_WH else 0.0

    @property
    def words(self) -> str:
        """The same as a driver reads it."""
        if self.left_wh is None:
            return "the state of charge is not known: nobody can say"
        if self.shortfall_wh:
            return f"{self.shortfall_wh / 1000:.1f} kWh short of {self.left_wh / 1000:.1f} kWh at departure"
        return f"{self.left_wh / 1000:.1f} kWh will be charged in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controllers:
    """Everybody who limits a resource."""

    caps: Sequence[Cap]
    overrides: Sequence[Override]
    standing: Sequence[StandingCap]

    def line(self, now: datetime, without: Iterable[str] = ()) -> tuple[Effective, ...]:
        """Return the effective limit from ``now`` on, some events left out."""
        left_out = frozenset(without)
        caps = [cap for cap in self.caps if cap.event_id not in left_out]
        return timeline(caps, self.overrides, self.standing, now)


def left_wh(need: DriverNeed, content: Content | None, meter_wh: float | None) -> float | None:
    """Return what is still to be charged, Wh; ``None`` where only a state of charge would tell."""
    if need.target_soc is not None:
        return None if content is None else max(0.0, need.target_soc * content.full_wh - content.content_wh)
    if need.energy_wh is None:
        return None
    had = max(0.0, meter_wh - need.meter_wh) if meter_wh is not None and need.meter_wh is not None else 0.0
    return max(0.0, need.energy_wh - had)


def reachable_wh(line: Iterable[Effective], resource: Resource, now: datetime, departure: datetime) -> float:
    """Return the most energy that can be charged until ``departure``, Wh."""
    found = 0.0
    for piece in line:
        start, end = max(piece.start, now), departure if piece.end is None else min(piece.end, departure)
        if end > start:
            amperes = resource.max_a if piece.limit_a is None else min(piece.limit_a, resource.max_a)
            found += resource.kw(amperes) * 1000.0 * (end - start).total_seconds() / 3600.0
    return found


def feasibility(
    need: DriverNeed,
    left: float | None,
    resource: Resource,
    limits: Controllers,
    now: datetime,
    without: Iterable[str] = (),
) -> Feasibility:
    """Return how the need stands, some events left out."""
    line = limits.line(now, without)
    return Feasibility(left_wh=left, reachable_wh=reachable_wh(line, resource, now, need.departure))


def by_event(
    need: DriverNeed, left: float | None, resource: Resource, limits: Controllers, now: datetime
) -> Mapping[str, Feasibility]:
    """Return how the need would stand if each event were the only one, by eventID; those after it are left out."""
    events = dict.fromkeys(cap.event_id for cap in limits.caps if cap.start < need.departure)
    return {
        name: feasibility(need, left, resource, limits, now, [other for other in events if other != name])
        for name in events
    }


def to_leave(
    need: DriverNeed, left: float | None, resource: Resource, limits: Controllers, now: datetime
) -> tuple[tuple[str, ...], Feasibility]:
    """Return the events to leave so that the need is met, most helpful first, and how it stands then."""
    firm = {cap.event_id for cap in limits.caps if not cap.overridable}
    options = {
        cap.event_id: None
        for cap in limits.caps
        if cap.event_id not in firm
        and cap.start < need.departure
        and overridden_by(cap, limits.overrides, max(now, cap.start)) is None
    }
    chosen: list[str] = []
    stands = feasibility(need, left, resource, limits, now)
    while stands.shortfall_wh and options:
        tried = {name: feasibility(need, left, resource, limits, now, [*chosen, name]) for name in options}
        best = max(tried, key=lambda name: tried[name].reachable_wh)
        if tried[best].reachable_wh <= stands.reachable_wh + ENOUGH_WH:
            break
        chosen.append(best)
        del options[best]
        stands = tried[best]
    return tuple(chosen), stands
