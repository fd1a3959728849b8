"""The plans of one resource as its agreed terms leave them: events it rests from, limits raised, events cut; pure.

Rule: what is agreed is decided in ``bridge.service``; here it is carried out on the caps. A limit of all together is
divided later and is not raised: the floor is kept by leaving such a resource out of the group.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.asks import round_down
from bridge.cap import Cap, ResourcePlan
from bridge.resources import Resource
from bridge.service import Past, Promise, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The plans that are carried out, and by eventID why the resource stays out of the others."""

    plans: tuple[ResourcePlan, ...]
    rests: Mapping[str, str]


def keep(promise: Promise, resource: Resource, plans: Iterable[ResourcePlan], past: Iterable[Past]) -> Kept:
    """Return the plans under the terms; ``past`` are the resource's events that are over."""
    plans = tuple(plans)
    floor_a = round_down(promise.floor * resource.max_a)
    present = {each.event_id for each in plans}
    events = [
        replace(each, deep=each.limit_a is not None and each.limit_a < floor_a)
        for each in past
        if each.event_id not in present
    ]
    events += [_event(each, floor_a) for each in plans if _limits(each)]
    decided = decide(promise, events)
    kept: list[ResourcePlan] = []
    rests: dict[str, str] = {}
    for each in plans:
        found = decided.get(each.event_id)
        if found is not None and found.rest:
            rests[each.event_id] = f"{resource.resource_id} rests: {found.rest}"
            continue
        if found is not None and found.raised:
            each = _raised(each, floor_a, promise)
        kept.append(_cut(each, promise))
    return Kept(plans=tuple(kept), rests=rests)


def _limits(plan: ResourcePlan) -> bool:
    return any(cap.limit_a is not None or cap.group_kw is not None for cap in plan.caps)


def _emergency(plan: ResourcePlan) -> bool:
    return any(cap.emergency for cap in plan.caps)


def _event(plan: ResourcePlan, floor_a: float) -> Past:
    return Past(
        event_id=plan.event_id,
        start=plan.begins,
        end=plan.over,
        emergency=_emergency(plan),
        deep=any(cap.limit_a is not None and cap.limit_a < floor_a for cap in plan.caps),
    )


def _raised(plan: ResourcePlan, floor_a: float, promise: Promise) -> ResourcePlan:
    """Raise what is below the floor; a floor that no device can hold is its least current."""
    words = f"raised to the agreed {promise.floor * 100:g} % = {floor_a:g} A (VEN-13)"
    return replace(
        plan,
        caps=tuple(
            cap
            if cap.limit_a is None or cap.limit_a >= floor_a
            else replace(cap, limit_a=floor_a, reason=f"{cap.reason}; {words}")
            for cap in plan.caps
        ),
    )


def _cut(plan: ResourcePlan, promise: Promise) -> ResourcePlan:
    """Let the resource go after the agreed time."""
    if not promise.hours_per_event or _emergency(plan) or not _limits(plan):
        return plan
    last = plan.begins + timedelta(hours=promise.hours_per_event)
    if plan.over is not None and plan.over <= last:
        return plan
    end = last if plan.timing.end is None else min(last, plan.timing.end)
    return replace(plan, timing=replace(plan.timing, end=end), caps=tuple(_until(plan.caps, last)))


def _until(caps: Iterable[Cap], last: datetime) -> Iterable[Cap]:
    for cap in caps:
        if cap.start < last:
            yield cap if cap.end is not None and cap.end <= last else replace(cap, end=last)
