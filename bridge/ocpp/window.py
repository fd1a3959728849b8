"""The part of a plan that a charger can hold now, and when to send the next part; pure.

Rule: a window never lets more through than the plan, even if the next one never arrives: what does not fit is held
at its strictest limit, and everything ends with the window's duration, so that no limit, zero least of all, outlives
a lost link for long (OUT-02, field notes C.3). Sent in time, the windows together are the plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.ocpp.profile import Plan

LEAD_S = 120  # a window is renewed so long before it matters: slow chargers need up to 30 s, and one retry
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What to send now; ``renew_at`` is when the next window is to be sent, ``None`` if this is all."""

    plan: Plan
    renew_at: datetime | None


def make_window(plan: Plan, most: int, longest_s: int, now: datetime) -> Window:
    """Return the window of ``plan`` at ``now``: at most ``most`` periods, none in force longer than ``longest_s``."""
    since_s = max(0, int((now - plan.start).total_seconds()))
    ahead = _ahead(plan.periods, since_s)
    end_s = min(plan.duration_s, since_s + longest_s)
    marks = [] if end_s == plan.duration_s else [since_s + max(1, longest_s // 2)]
    if len(ahead) > most:
        if most == 1:
            boundary_s = ahead[1][0]
            end_s = min(end_s, boundary_s + LEAD_S)  # lasts until its successor is there
            marks.append(boundary_s)
            ahead = ahead[:1]
        else:
            exact, rest = ahead[: most - 1], ahead[most - 1 :]
            boundary_s = rest[0][0]
            marks.append(max(exact[-1][0], boundary_s - LEAD_S) if len(exact) > 1 else boundary_s)
            ahead = [*exact, (boundary_s, min(value for at, value in rest if at < max(end_s, boundary_s + 1)))]
    if not marks:
        return Window(plan=replace(plan, periods=tuple(ahead)), renew_at=None)
    slack = plan.valid_to - (plan.start + timedelta(seconds=plan.duration_s))
    part = replace(
        plan,
        duration_s=end_s,
        valid_to=plan.start + timedelta(seconds=end_s) + slack,
        periods=tuple((at, value) for at, value in ahead if at < end_s),
    )
    return Window(plan=part, renew_at=plan.start + timedelta(seconds=min(marks)))


def next_write(writes: Sequence[datetime], per_hour: int, now: datetime) -> datetime | None:
    """Return when a charger's lasting memory may be written again, ``None`` for now (field notes C.6: flash wear).

    ``writes`` are the instants of earlier writes, oldest first; those ahead of a clock that was set back do not count.
    """
    lately = [at for at in writes if now - _HOUR < at <= now]
    return lately[-per_hour] + _HOUR if len(lately) >= per_hour else None


def _ahead(periods: Sequence[tuple[int, float]], since_s: int) -> list[tuple[int, float]]:
    """Return the period in force and those to come; what has passed is taken up by the one in force."""
    current = max(index for index, (at, _) in enumerate(periods) if at <= since_s)
    return [(0, periods[current][1]), *periods[current + 1 :]]
