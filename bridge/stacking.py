"""What may be sold at the same time: services stack, but no kW is counted twice; pure.

Rule (ARB-14): an event claims what lies between its limit and the installed maximum. Where programmes claim the same kW
in the same interval, it counts once, for the event that comes first by the arbiter's order. What the network operator,
the site or protection take away anyway belongs to nobody: it is withdrawn. Prices and tests sell nothing. Times are
those that were scheduled: random offsets of single chargers are no part of what is offered (RND-13).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from bridge.arbiter import Source, StandingCap
from bridge.cap import Cap, ResourcePlan
from bridge.program import EventClass
from bridge.resources import Resource

UNPAID = frozenset({EventClass.PRICE, EventClass.TEST, EventClass.CALENDAR, EventClass.LOAD_UP})
TAKERS = frozenset({Source.DSO, Source.SITE, Source.SAFETY})  # what they take was never the customer's to sell
SAME_KW = 0.01  # closer than that is equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one event asks of one resource over [start, end), kW: in all, what is its alone, and who was before it."""

    event_id: str
    resource_id: str
    programme: str
    start: datetime
    end: datetime
    claimed_kw: float
    counted_kw: float
    withdrawn_kw: float
    others: tuple[str, ...]

    @property
    def doubled_kw(self) -> float:
        """What another programme has been promised already."""
        return round(self.claimed_kw - self.counted_kw - self.withdrawn_kw, 3)


def offerable_kw(resource: Resource, standing: Iterable[StandingCap], now: datetime) -> float:
    """Return what of the flexibility sold for a resource may be offered now (ARB-14, ARB-15), kW."""
    if not resource.dependable:
        return 0.0
    sold = resource.max_kw if resource.contracted_kw is None else resource.contracted_kw
    return round(max(0.0, min(sold, _ceiling_kw(resource, standing, now))), 3)


def _ceiling_kw(resource: Resource, standing: Iterable[StandingCap], at: datetime) -> float:
    """Return what network, site and protection leave of the installed maximum, kW."""
    taken = [each.limit_a for each in standing if each.source in TAKERS and each.contains(at)]
    return resource.kw(min([resource.max_a, *taken]))


def claims(
    resource: Resource, plans: Sequence[ResourcePlan], standing: Sequence[StandingCap], start: datetime, end: datetime
) -> tuple[Claim, ...]:
    """Return what events claim of one resource in [start, end), by time, then by who comes first."""
    bids = [(plan, cap) for plan in plans for cap in plan.caps if cap.event_class not in UNPAID]
    edges = {start, end}
    for plan, cap in bids:
        edges.update(_span(plan, cap, end))
    for each in standing:
        edges.update(at for at in (each.start, each.end) if at is not None)
    found: list[Claim] = []
    for begin, finish in pairwise(sorted(at for at in edges if start <= at <= end)):
        found += _at(resource, bids, standing, begin, finish, end)
    return tuple(_joined(found))


def _span(plan: ResourcePlan, cap: Cap, latest: datetime) -> tuple[datetime, datetime]:
    """Return when the cap was scheduled: as planned, without the resource's own random offset."""
    planned, scheduled = plan.timing.start, plan.timing.scheduled_start or plan.timing.start
    shift = planned - scheduled
    finish = latest if cap.end is None else cap.end - shift
    return cap.start - shift, min(finish, plan.timing.scheduled_end or latest)


def _at(
    resource: Resource,
    bids: Sequence[tuple[ResourcePlan, Cap]],
    standing: Sequence[StandingCap],
    begin: datetime,
    finish: datetime,
    latest: datetime,
) -> Iterator[Claim]:
    there = [
        (plan, cap)
        for plan, cap in bids
        if cap.limit_a is not None and (span := _span(plan, cap, latest))[0] <= begin < span[1]
    ]
    there.sort(key=lambda bid: (not bid[1].emergency, bid[1].priority or 2**63, bid[0].timing.start, bid[0].event_id))
    ceiling = _ceiling_kw(resource, standing, begin)
    counted_down_to, before = ceiling, list[str]()
    for plan, cap in there:
        limit_kw = resource.kw(min(cap.limit_a or 0.0, resource.max_a))
        own = max(0.0, counted_down_to - limit_kw) if resource.dependable else 0.0
        claimed = resource.max_kw - limit_kw
        yield Claim(
            event_id=plan.event_id,
            resource_id=plan.resource_id,
            programme=plan.programme,
            start=begin,
            end=finish,
            claimed_kw=round(claimed, 3),
            counted_kw=round(own, 3),
            withdrawn_kw=round(min(claimed, resource.max_kw - ceiling) if resource.dependable else claimed, 3),
            others=tuple(before),
        )
        counted_down_to = min(counted_down_to, limit_kw)
        before.append(plan.event_id)


def _joined(found: Iterable[Claim]) -> Iterator[Claim]:
    """Yield the claims, those that only go on joined."""
    last: dict[str, Claim] = {}
    done: list[Claim] = []
    for each in found:
        known = last.get(each.event_id)
        if known is not None and known.end == each.start and _same(known, each):
            last[each.event_id] = _longer(known, each.end)
            continue
        if known is not None:
            done.append(known)
        last[each.event_id] = each
    yield from sorted([*done, *last.values()], key=lambda each: (each.start, len(each.others), each.event_id))


def _same(one: Claim, other: Claim) -> bool:
    amounts = ((one.claimed_kw, other.claimed_kw), (one.counted_kw, other.counted_kw))
    return one.others == other.others and all(abs(a - b) < SAME_KW for a, b in amounts)


def _longer(claim: Claim, end: datetime) -> Claim:
    return replace(claim, end=end)


def counted_kw(found: Iterable[Claim], event_id: str, start: datetime, end: datetime) -> float | None:
    """Return the mean of what counts for one event over [start, end), kW; ``None`` if it claims nothing then."""
    mine = [each for each in found if each.event_id == event_id]
    if not mine or end <= start:
        return None
    energy = sum(
        each.counted_kw * max(0.0, (min(each.end, end) - max(each.start, start)).total_seconds()) for each in mine
    )
    return round(energy / (end - start).total_seconds(), 3)
