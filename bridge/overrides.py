"""Overrides: a driver's or operator's wish that a charger leaves an event, checked against the programmes; pure.

Rule: an override names the events it leaves, so it ends with them (ARB-07) and never outlives its reason. An event
whose programme refuses overrides cannot be left (ARB-05), and overriding is limited per day and week (ARB-06), by
event class as table 4.1 says; a refusal is said with the rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.arbiter import Override
from bridge.plan import Cap, ResourcePlan
from bridge.program import EventClass

BUDGETED: Mapping[EventClass, bool] = {
    EventClass.EMERGENCY: False,  # cannot be overridden at all
    EventClass.RELIABILITY: True,
    EventClass.REGULATION: True,
    EventClass.PRICE: False,
    EventClass.LOAD_UP: False,
    EventClass.CALENDAR: False,
    EventClass.TEST: False,
}
"""Which event classes cost budget when overridden (table 4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How often one resource may be overridden; 0 is no limit."""

    per_day: int = 1  # in any 24 h
    per_week: int = 0  # in any 7 days
    classes: frozenset[EventClass] = frozenset(kind for kind, counts in BUDGETED.items() if counts)
    two_step: frozenset[EventClass] = frozenset()  # classes whose events are left by a second step only
    confirm_s: float = 60.0  # the second step must come within so long


WEEK = timedelta(days=7)
PRESS = timedelta(seconds=1)  # two presses that are nearer are one that was told twice
_DAY = timedelta(days=1)


class OverrideRefused(Exception):
    """The override is against a rule; ``rule`` names it."""

    def __init__(self, detail: str, rule: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.rule = rule


class ConfirmationNeeded(Exception):
    """The override counts only when it is asked for again with ``token``, until ``until`` (ARB-06)."""

    def __init__(self, token: str, until: datetime, event_ids: tuple[str, ...]) -> None:
        super().__init__(f"leaving {', '.join(event_ids)} must be confirmed by a second step")
        self.token, self.until, self.event_ids = token, until, event_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStep:
    """The first step of an override: what was asked for, and until when the second may come."""

    token: str
    asked_at: datetime
    until: datetime
    by_hand: bool  # at the charger, where nobody can read a token

    def confirmed(self, token: str | None, by_hand: bool, now: datetime) -> bool:
        """True if this is the second step; the same press arriving twice is not."""
        if now > self.until:
            return False
        return now >= self.asked_at + PRESS if by_hand and self.by_hand else token == self.token


class UnknownEvent(Exception):
    """The event is not one of this resource's; ``event_id`` names it."""

    def __init__(self, event_id: str, resource_id: str) -> None:
        super().__init__(f"event {event_id} is not known at resource {resource_id}")
        self.event_id = event_id


def make_override(
    *,
    override_id: str,
    resource_id: str,
    plans: Sequence[ResourcePlan],
    event_id: str | None,
    reason: str,
    duration_s: float | None,
    source: str,
    now: datetime,
    budget: Budget | None = None,
) -> Override:
    """Return the override, of one named event (running or to come) or of every event in force that allows it.

    Raises ``UnknownEvent``, or ``OverrideRefused`` if the event is over, cannot be overridden, or none is in force.
    """
    if event_id is not None:
        events: tuple[str, ...] = (_named(plans, event_id, resource_id, now),)
    else:
        events = _in_force(plans, resource_id, now)
    classes = {cap.event_class for plan in plans if plan.event_id in events for cap in plan.caps}
    return Override(
        override_id=override_id,
        resource_id=resource_id,
        event_ids=events,
        reason=reason,
        start=now,
        end=None if duration_s is None else now + timedelta(seconds=duration_s),
        source=source,
        budgeted=budget is not None and bool(classes & budget.classes),
    )


def two_step(made: Override, plans: Iterable[ResourcePlan], budget: Budget) -> bool:
    """True if a second step must confirm the override: the programme or the settings say so (ARB-06)."""
    caps = [cap for plan in plans if plan.event_id in made.event_ids for cap in plan.caps]
    return any(cap.two_step or cap.event_class in budget.two_step for cap in caps)


def check_budget(made: Override, past: Iterable[Override], budget: Budget) -> None:
    """Raise ``OverrideRefused`` (ARB-06) if the resource has no override left; ``past`` are those already made."""
    if not made.budgeted:
        return
    spent = [each.start for each in past if each.resource_id == made.resource_id and each.budgeted]
    for most, span, words in ((budget.per_day, _DAY, "24 h"), (budget.per_week, WEEK, "7 days")):
        used = sum(at > made.start - span for at in spent)
        if most and used >= most:
            raise OverrideRefused(
                f"resource {made.resource_id} was overridden {used} of {most} times in {words} already", "ARB-06"
            )


def _named(plans: Sequence[ResourcePlan], event_id: str, resource_id: str, now: datetime) -> str:
    plan = next((plan for plan in plans if plan.event_id == event_id), None)
    if plan is None:
        raise UnknownEvent(event_id, resource_id)
    if plan.timing.end is not None and now >= plan.timing.end:
        raise OverrideRefused(f"event {event_id} is over at resource {resource_id}", "ARB-08")
    if not _allowed(plan.caps):
        raise OverrideRefused(f"event {event_id} belongs to a programme that cannot be overridden", "ARB-05")
    return event_id


def _in_force(plans: Sequence[ResourcePlan], resource_id: str, now: datetime) -> tuple[str, ...]:
    running = [plan for plan in plans if any(cap.contains(now) for cap in plan.caps)]
    if not running:
        raise OverrideRefused(
            f"no event is in force at resource {resource_id}; name the eventID of one to come", "ARB-08"
        )
    allowed = tuple(plan.event_id for plan in running if _allowed(plan.caps))
    if not allowed:
        names = ", ".join(plan.event_id for plan in running)
        raise OverrideRefused(f"event {names} belongs to a programme that cannot be overridden", "ARB-05")
    return allowed


def _allowed(caps: Iterable[Cap]) -> bool:
    return all(cap.overridable for cap in caps)


def finished(overrides: Iterable[Override], live: frozenset[tuple[str, str]], now: datetime) -> tuple[Override, ...]:
    """Return the overrides that have ended: by time, or because none of their (eventID, resourceID) is live."""
    return tuple(
        override
        for override in overrides
        if (override.end is not None and now >= override.end)
        or not (override.everything or any((event_id, override.resource_id) in live for event_id in override.event_ids))
    )
