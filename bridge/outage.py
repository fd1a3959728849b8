"""What a silent VTN does to the events in force: they go on, fall back, or turn into a safe cap, by programme; pure.

Rule (OUT-03): a stored event keeps its own end. One without an end is given up ``hold_s`` after the last contact, for
nobody is curtailed for ever by a VTN that is gone. Every charger leaves and comes back at a moment of its own, taken
from its stored draws (RND-10), so that a fleet steps neither at loss nor at return; an emergency comes back at once.

::

    contact ..................... silence ................................. contact
            |<- after_s ->|<- 0..spread_s ->|  policy counts   |            |<- 0..return_s ->|  event counts again
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.cap import Cap, Draw, ResourcePlan
from bridge.program import CommsLoss, OnCommsLoss, Programme


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A silence of one VTN: ``since`` the last contact, ``noticed`` by us, ``until`` contact again, ``None``: lasts."""

    vtn: str
    since: datetime
    noticed: datetime
    until: datetime | None = None


def lost_after_s(programmes: Iterable[Programme]) -> float:
    """Return how long a VTN must be silent before the most impatient programme calls it lost, s."""
    return float(min((each.comms_loss.after_s for each in programmes), default=CommsLoss().after_s))


def _window(outage: Outage, programme: Programme, draw: Draw, endless: bool) -> tuple[datetime, datetime | None] | None:
    """Return [start, end) in which the event does not count at this resource, ``None`` if it counts throughout."""
    terms = programme.comms_loss
    wait_s = terms.hold_s if terms.policy is OnCommsLoss.CONTINUE else terms.after_s
    if terms.policy is OnCommsLoss.CONTINUE and not endless:
        return None
    start = _jittered(max(outage.since + timedelta(seconds=wait_s), outage.noticed), draw.release_u, terms.spread_s)
    if outage.until is None:
        return start, None
    end = _jittered(outage.until, draw.start_u, 0 if programme.emergency else terms.return_s)
    return (start, end) if start < end and start < outage.until else None


def _jittered(at: datetime, u: float, window_s: int) -> datetime:
    return at + timedelta(seconds=int(u * (window_s + 1)))


def _part(cap: Cap, start: datetime | None, end: datetime | None) -> Cap | None:
    """Return the part of a cap inside [start, end), ``None`` if there is none."""
    begin = cap.start if start is None else max(cap.start, start)
    finish = end if cap.end is None else cap.end if end is None else min(cap.end, end)
    if finish is not None and finish <= begin:
        return None
    return replace(cap, start=begin, end=finish)


def _safe(cap: Cap, outage: Outage, limit_a: float) -> Cap:
    silence = f"no word from the VTN since {outage.since:%Y-%m-%dT%H:%M:%SZ}"
    return replace(cap, limit_a=limit_a, group_kw=None, reason=f"{silence}: safe cap {limit_a:g} A")


def _through(caps: Iterable[Cap], outage: Outage, programme: Programme, draw: Draw, endless: bool) -> tuple[Cap, ...]:
    window = _window(outage, programme, draw, endless)
    if window is None:
        return tuple(caps)
    start, end = window
    terms, found = programme.comms_loss, list[Cap]()
    for cap in caps:
        found += [part for part in (_part(cap, None, start), None if end is None else _part(cap, end, None)) if part]
        inside = _part(cap, start, end)
        if terms.policy is OnCommsLoss.SAFE_CAP and inside is not None:
            safe: Cap | None = _safe(inside, outage, terms.safe_cap_a)
            if endless:
                held = max(outage.since + timedelta(seconds=terms.hold_s), outage.noticed)
                safe = _part(
                    _safe(inside, outage, terms.safe_cap_a), None, _jittered(held, draw.release_u, terms.spread_s)
                )
            found += [safe] if safe else []
    return tuple(sorted(found, key=lambda cap: cap.start))


def interrupted(
    plan: ResourcePlan,
    programme: Programme,
    draw: Draw,
    outages: Sequence[Outage],
    received_at: datetime | None = None,
) -> ResourcePlan:
    """Return the plan as the silences of its VTN leave it; what was received after a silence is not touched by it."""
    caps, endless = plan.caps, plan.timing.end is None
    for outage in outages:
        if outage.until is None or received_at is None or received_at < outage.until:
            caps = _through(caps, outage, programme, draw, endless)
    return plan if caps == plan.caps else replace(plan, caps=caps)
