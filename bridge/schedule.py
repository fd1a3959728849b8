"""From the effective limit over time to the one schedule a charger should hold, and whether it does; pure.

Rule: a charger holds at most one schedule of ours, the combination of everything known inside the lead window,
because a higher OCPP stack level replaces a lower one instead of combining with it (ARB-02). Every schedule has a
start, an end and an expiry, so that it ends without us (OUT-02); an open-ended limit is given a bounded end and
renewed in time. Instants are cut to whole seconds, as devices take them, so that the same inputs give the same
schedule at any moment.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bridge.arbiter import Effective
from bridge.target import LimitPeriod, LimitSchedule
from openadr.times import whole_second

FOREVER = datetime.max.replace(tzinfo=UTC)
SAME_A = 0.05  # limits have one decimal: closer than half of it is equal
SCHEDULE_ID = 1  # one schedule a charger; a new one replaces the old one under the same id


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """How far ahead schedules are pushed, all in seconds."""

    lead_s: int = 43_200  # 12 h: survives a night without contact, and few chargers hold more than 24 periods
    open_ended_s: int = 3600  # how long an open-ended event lasts without us; renewed at half of it
    standing_s: int = 86_400  # the same for a standing cap: a site's fuse needs its limit while the bridge is down
    expiry_jitter_s: int = 0  # chargers outlast us by so much more, each at its own place (RND-10)
    expiry_grace_s: int = 60  # the device drops the schedule this long after its end, should it miss the end itself


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    start: datetime
    end: datetime
    limit_a: float | None


def desired(pieces: Sequence[Effective], now: datetime, horizon: Horizon, place: float = 0.0) -> LimitSchedule | None:
    """Return the schedule a charger should hold at ``now``; ``None`` if nothing limits it inside the lead window.

    ``place`` in [0, 1) is the charger's own: without us, chargers end a limit that has no end one after the other.
    """
    now = whole_second(now)
    ahead = now + timedelta(seconds=horizon.lead_s)
    limited = [piece for piece in pieces if piece.limit_a is not None and piece.start < ahead]
    if not limited:
        return None
    start, last = whole_second(limited[0].start), limited[-1]
    late_s = int(place * horizon.expiry_jitter_s)
    lasting = timedelta(seconds=lasting_s(limited, horizon) + late_s)
    end = whole_second(last.end or max(last.start, now) + lasting)
    if end <= start:
        return None
    inside = [piece for piece in pieces if limited[0].start <= piece.start < end]
    names = dict.fromkeys(piece.event_id or piece.source for piece in limited)
    return LimitSchedule(
        schedule_id=SCHEDULE_ID,
        start=start,
        end=end,
        expires=end + timedelta(seconds=horizon.expiry_grace_s + late_s),
        periods=_periods(inside, start),
        source=", ".join(names),
        reason="; ".join(dict.fromkeys(piece.reason for piece in limited)),
        authority=", ".join(dict.fromkeys(piece.authority for piece in limited if piece.authority)),
    )


def lasting_s(limited: Sequence[Effective], horizon: Horizon) -> int:
    """Return how long the last of these limits is given if it has no end, s: a standing cap holds longer."""
    return horizon.standing_s if limited[-1].standing else horizon.open_ended_s


def _periods(pieces: Iterable[Effective], start: datetime) -> tuple[LimitPeriod, ...]:
    periods: list[LimitPeriod] = []
    for piece in pieces:
        if not periods or periods[-1].limit_a != piece.limit_a:
            at = int((whole_second(piece.start) - start).total_seconds())
            periods.append(LimitPeriod(start_s=at, limit_a=piece.limit_a))
    return tuple(periods)


def limit_at(schedule: LimitSchedule, at: datetime) -> float | None:
    """Return the cap of ``schedule`` at ``at`` in A per phase, ``None`` for none or outside it."""
    if not schedule.start <= at < schedule.end:
        return None
    passed = [p for p in schedule.periods if schedule.start + timedelta(seconds=p.start_s) <= at]
    return passed[-1].limit_a


def _tail(schedule: LimitSchedule, now: datetime) -> list[_Piece]:
    """Return what is left of the schedule from ``now`` on, unlimited parts dropped, equal neighbours merged."""
    starts = [schedule.start + timedelta(seconds=period.start_s) for period in schedule.periods]
    pieces: list[_Piece] = []
    for period, start, end in zip(schedule.periods, starts, [*starts[1:], schedule.end], strict=True):
        if end <= now or period.limit_a is None:
            continue
        start = max(start, now)
        if pieces and pieces[-1].end == start and pieces[-1].limit_a == period.limit_a:
            start = pieces.pop().start
        pieces.append(_Piece(start=start, end=end, limit_a=period.limit_a))
    return pieces


def holds(installed: LimitSchedule, wanted: LimitSchedule, now: datetime, *, lasting_s: float | None) -> bool:
    """True if what is left of ``installed`` does what ``wanted`` asks, so that nothing need be sent.

    ``lasting_s`` is how long a limit without an end is given, ``None`` if the last one has an end; a shorter end is
    enough while more than half of it is left.
    """
    now = whole_second(now)
    have, want = _tail(installed, now), _tail(wanted, now)
    if have == want:
        return True
    if lasting_s is None or not have or not want or have[:-1] != want[:-1]:
        return False
    left_s = (have[-1].end - max(now, have[-1].start)).total_seconds()
    same = (have[-1].start, have[-1].limit_a) == (want[-1].start, want[-1].limit_a)
    return same and left_s * 2 > lasting_s


def growth_a(installed: LimitSchedule, wanted: LimitSchedule | None, now: datetime, until: datetime = FOREVER) -> float:
    """Return by how many A per phase ``wanted`` lets the charger have more than ``installed`` at its widest.

    Negative infinity if it is tighter anywhere, infinity where a limit ends. What comes from ``until`` on is left out.
    """
    edges = {now}
    for each in (installed,) if wanted is None else (installed, wanted):
        starts = {each.start + timedelta(seconds=period.start_s) for period in each.periods}
        edges |= {at for at in (*starts, each.end) if now < at < until}
    most = -math.inf
    for at in edges:
        have, want = limit_at(installed, at), None if wanted is None else limit_at(wanted, at)
        if want is not None and (have is None or want < have - SAME_A):
            return -math.inf  # tighter anywhere: it protects somebody and goes at once
        if have is not None:
            most = max(most, math.inf if want is None else want - have)
    return most


def over(schedule: LimitSchedule, now: datetime) -> bool:
    """True once nothing of the schedule is left to carry out."""
    return not _tail(schedule, now)
