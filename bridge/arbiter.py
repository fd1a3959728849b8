"""From caps of several controllers to the one effective limit of a resource, with its source and reason; pure.

Rule: every cap is an upper limit, so the most restrictive wins (ARB-02, MAP-12); what won and what lost is kept
(ARB-09). A driver's override takes the caps of the overridable events it names out of the sum until it ends; an
emergency cannot be overridden (ARB-05). Adding a cap can only lower the result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.plan import Cap


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A driver's wish to charge freely during ``event_ids``; ``end`` ``None`` means until these events end."""

    override_id: str
    resource_id: str
    event_ids: tuple[str, ...]
    reason: str
    start: datetime
    end: datetime | None
    source: str = "user"

    def covers(self, event_id: str, at: datetime) -> bool:
        """True if the override takes that event out at that time."""
        return event_id in self.event_ids and self.start <= at and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingCap:
    """A cap that is no event's: ``source`` names the controller (site, default), ``limit_a`` is A per phase."""

    source: str
    limit_a: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What holds over [start, end): ``limit_a`` A per phase or ``None``, who set it and why, and who lost."""

    start: datetime
    end: datetime | None
    limit_a: float | None
    source: str
    reason: str
    event_id: str | None = None
    losers: tuple[str, ...] = ()


_LAST = 2**63  # sorts after every priority: 0 means none and therefore last (R3)


def overridden_by(cap: Cap, overrides: Iterable[Override], at: datetime) -> Override | None:
    """Return the override that takes this cap out at ``at``, if any and if the programme allows it."""
    if not cap.overridable:
        return None
    for override in overrides:
        if override.resource_id == cap.resource_id and override.covers(cap.event_id, at):
            return override
    return None


def _rank(cap: Cap) -> tuple[float, bool, int, datetime, str]:
    """Sort key: most restrictive, then emergency, priority, earlier start, eventID (ARB-03)."""
    amperes = float("inf") if cap.limit_a is None else cap.limit_a
    return (amperes, not cap.emergency, cap.priority or _LAST, cap.start, cap.event_id)


def _at(
    caps: Sequence[Cap],
    overrides: Sequence[Override],
    standing: Sequence[StandingCap],
    at: datetime,
    end: datetime | None,
) -> Effective:
    active = [cap for cap in caps if cap.contains(at) and overridden_by(cap, overrides, at) is None]
    asking = sorted((cap for cap in active if cap.limit_a is not None), key=_rank)
    fixed = min(standing, key=lambda cap: (cap.limit_a, cap.source), default=None)
    names = [f"event {cap.event_id} ({cap.limit_a:g} A)" for cap in asking]
    if asking and (fixed is None or (asking[0].limit_a or 0.0) <= fixed.limit_a):
        winner = asking[0]
        return Effective(
            start=at,
            end=end,
            limit_a=winner.limit_a,
            source="event",
            reason=winner.reason,
            event_id=winner.event_id,
            losers=(*names[1:], *(f"{cap.source} ({cap.limit_a:g} A)" for cap in standing)),
        )
    if fixed is not None:
        return Effective(
            start=at, end=end, limit_a=fixed.limit_a, source=fixed.source, reason=fixed.reason, losers=tuple(names)
        )
    return Effective(start=at, end=end, limit_a=None, source="none", reason="no limit")


def timeline(
    caps: Sequence[Cap],
    overrides: Sequence[Override],
    standing: Sequence[StandingCap],
    now: datetime,
) -> tuple[Effective, ...]:
    """Return the effective limit from ``now`` on: gapless, the last piece open-ended, equal neighbours merged."""
    edges = {now}
    bounds = [(cap.start, cap.end) for cap in caps] + [(override.start, override.end) for override in overrides]
    edges.update(at for bound in bounds for at in bound if at is not None and at > now)
    ordered = sorted(edges)
    pieces: list[Effective] = []
    for start, end in zip(ordered, [*ordered[1:], None], strict=True):
        piece = _at(caps, overrides, standing, start, end)
        if pieces and _same(pieces[-1], piece):
            pieces[-1] = _extended(pieces[-1], end)
        else:
            pieces.append(piece)
    return tuple(pieces)


def effective(
    caps: Sequence[Cap], overrides: Sequence[Override], standing: Sequence[StandingCap], now: datetime
) -> Effective:
    """Return the effective limit at ``now``."""
    return timeline(caps, overrides, standing, now)[0]


def _same(one: Effective, other: Effective) -> bool:
    return (one.limit_a, one.source, one.event_id, one.reason, one.losers) == (
        other.limit_a,
        other.source,
        other.event_id,
        other.reason,
        other.losers,
    )


def _extended(piece: Effective, end: datetime | None) -> Effective:
    return Effective(
        start=piece.start,
        end=end,
        limit_a=piece.limit_a,
        source=piece.source,
        reason=piece.reason,
        event_id=piece.event_id,
        losers=piece.losers,
    )
