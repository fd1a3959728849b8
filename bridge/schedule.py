"""From the effective limit over time to the one schedule a charger should hold, and whether it does; pure.

Rule: a charger holds at most one schedule of ours, the combination of everything known inside the lead window,
because a higher OCPP stack level replaces a lower one instead of combining with it (ARB-02). Every schedule has a
start, an end and an expiry, so that it ends without us (OUT-02); an open-ended limit is given a bounded end and
renewed in time. Instants are cut to whole seconds, as devices take them, so that the same inputs give the same
schedule at any moment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.arbiter import Effective
from bridge.target import LimitPeriod, LimitSchedule
from openadr.times import whole_second

SCHEDULE_ID = 1  # one schedule a charger; a new one replaces the old one under the same id


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """How far ahead schedules are pushed, all in seconds."""

    lead_s: int = 43_200  # 12 h: survives a night without contact, and few chargers hold more than 24 periods
    open_ended_s: int = 3600  # how long an open-ended limit lasts without us; renewed at half of it
    expiry_grace_s: int = 60  # the device drops the schedule this long after its end, should it miss the end itself


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    start: datetime
    end: datetime
    limit_a: float | None


def desired(pieces: Sequence[Effective], now: datetime, horizon: Horizon) -> LimitSchedule | None:
    """Return the schedule a charger should hold at ``now``; ``None`` if nothing limits it inside the lead window."""
    now = whole_second(now)
    ahead = now + timedelta(seconds=horizon.lead_s)
    limited = [piece for piece in pieces if piece.limit_a is not None and piece.start < ahead]
    if not limited:
        return None
    start, last = whole_second(limited[0].start), limited[-1]
    end = whole_second(last.end or max(last.start, now) + timedelta(seconds=horizon.open_ended_s))
    if end <= start:
        return None
    inside = [piece for piece in pieces if limited[0].start <= piece.start < end]
    names = dict.fromkeys(piece.event_id or piece.source for piece in limited)
    return LimitSchedule(
        schedule_id=SCHEDULE_ID,
        start=start,
        end=end,
        expires=end + timedelta(seconds=horizon.expiry_grace_s),
        periods=_periods(inside, start),
        source=", ".join(names),
        reason="; ".join(dict.fromkeys(piece.reason for piece in limited)),
    )


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


def holds(
    installed: LimitSchedule, wanted: LimitSchedule, now: datetime, *, open_ended: bool, horizon: Horizon
) -> bool:
    """True if what is left of ``installed`` does what ``wanted`` asks, so that nothing need be sent.

    For an open-ended limit a shorter end is enough while more than half of ``open_ended_s`` is left.
    """
    now = whole_second(now)
    have, want = _tail(installed, now), _tail(wanted, now)
    if have == want:
        return True
    if not (open_ended and have and want) or have[:-1] != want[:-1]:
        return False
    left_s = (have[-1].end - max(now, have[-1].start)).total_seconds()
    same = (have[-1].start, have[-1].limit_a) == (want[-1].start, want[-1].limit_a)
    return same and left_s * 2 > horizon.open_ended_s


def over(schedule: LimitSchedule, now: datetime) -> bool:
    """True once nothing of the schedule is left to carry out."""
    return not _tail(schedule, now)
