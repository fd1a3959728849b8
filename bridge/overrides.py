"""Overrides: a driver's or operator's wish that a charger leaves an event, checked against the programmes; pure.

Rule: an override names the events it leaves, so it ends with them (ARB-07) and never outlives its reason. An event
whose programme refuses overrides cannot be left (ARB-05); it is said with the rule.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bridge.arbiter import Override
from bridge.plan import Cap, ResourcePlan


class OverrideRefused(Exception):
    """The override is against a rule; ``rule`` names it."""

    def __init__(self, detail: str, rule: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.rule = rule


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
) -> Override:
    """Return the override, of one named event (running or to come) or of every event in force that allows it.

    Raises ``UnknownEvent``, or ``OverrideRefused`` if the event is over, cannot be overridden, or none is in force.
    """
    if event_id is not None:
        events: tuple[str, ...] = (_named(plans, event_id, resource_id, now),)
    else:
        events = _in_force(plans, resource_id, now)
    return Override(
        override_id=override_id,
        resource_id=resource_id,
        event_ids=events,
        reason=reason,
        start=now,
        end=None if duration_s is None else now + timedelta(seconds=duration_s),
        source=source,
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
        or not any((event_id, override.resource_id) in live for event_id in override.event_ids)
    )
