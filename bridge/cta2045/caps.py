"""From the schedule of limits that a device is to keep to orders in its own words; pure.

Rule: each limited period is one order over its time; what is said is asked anew whenever the orders are made, for the
same limit may have another reason by then (an emergency in place of a curtailment).
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from bridge.cta2045.mapping import Words
from bridge.cta2045.orders import Mode, Order
from bridge.target import LimitSchedule

Say = Callable[[datetime, float], Words]
"""Returns how a limit in A per phase is said that is in force at an instant."""


def share_of(reference_a: float) -> Say:
    """Return how limits are said where nobody knows more of them: as a share of the rating."""

    def say(_at: datetime, limit_a: float) -> Words:
        return Words(mode=Mode.POWER_LEVEL, share=min(max(limit_a / reference_a, 0.0), 1.0))

    return say


def orders(schedule: LimitSchedule, say: Say, now: datetime) -> tuple[Order, ...]:
    """Return an order for each limited period that is not over."""
    starts = [schedule.start + timedelta(seconds=period.start_s) for period in schedule.periods]
    ends = [*starts[1:], min(schedule.end, schedule.expires)]
    found = []
    for period, start, end in zip(schedule.periods, starts, ends, strict=True):
        if period.limit_a is None or end <= max(start, now):
            continue
        words = say(max(start, now), period.limit_a)
        found.append(
            Order(
                key=f"{schedule.schedule_id}:{period.start_s}",
                mode=words.mode,
                start=start,
                end=end,
                share=words.share,
                overridable=words.overridable,
            )
        )
    return tuple(found)
