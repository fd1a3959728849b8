"""From one group limit to a limit for each member, phase by phase, by a named strategy; pure.

Rule: on no phase, and not in total power, do the members' limits add up to more than the group's limit (ARB-16), and
no member gets anything between 0 and 6 A (MAP-09). Members in use come first, idle ones share what they leave. First
6 A for as many as there is room for, in the strategy's order; then the rest: in proportion to the maxima, by priority,
or in equal parts. Who has to wait changes with ``turn`` under round robin. ``steady`` keeps shares that still fit, and
``grant`` lets a share grow only once the room for it has really been given up, so that a charger that starts never
breaks the limit.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

POWER = 0  # index of the total in W; 1 to 3 are the phases in A
_EPSILON = 1e-9  # A and W: what floating-point sums may be wrong by


class Strategy(StrEnum):
    """How a group's limit is divided."""

    PROPORTIONAL = "proportional"
    PRIORITY = "priority"
    ROUND_ROBIN = "round_robin"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimit:
    """What a group may draw: A on each phase, kW over all phases, or both; ``None`` for no such limit."""

    per_phase_a: float | None = None
    total_kw: float | None = None

    def room(self) -> list[float]:
        """Return the room of each constraint: W, A, A, A."""
        watts = math.inf if self.total_kw is None else self.total_kw * 1000.0
        return [watts, *[math.inf if self.per_phase_a is None else self.per_phase_a] * 3]

    def words(self) -> str:
        """Return the limit as a person reads it."""
        parts = [] if self.per_phase_a is None else [f"{self.per_phase_a:g} A per phase"]
        return " and ".join(parts if self.total_kw is None else [*parts, f"{self.total_kw:g} kW"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One charger of a group: ``max_a`` is the most it may have (A per phase), ``lines`` the phases it loads (1-3).

    ``fixed_a`` is what counts for a charger that cannot be told (offline, refusing): it is reserved, not shared.
    """

    resource_id: str
    max_a: float
    lines: tuple[int, ...] = (1, 2, 3)
    voltage: float = 230.0
    priority: int = 0
    active: bool = True
    least_a: float = 6.0
    fixed_a: float | None = None


Shares = Mapping[str, float]
"""A per phase by resourceID."""

_LAST = 2**31  # sorts after every priority: 0 means none and therefore last


def round_share(amperes: float) -> float:
    """Return ``amperes`` rounded down to 0.1 A, as chargers take it."""
    return math.floor(amperes * 10.0 + _EPSILON) / 10.0


def _take(room: list[float], member: Member, amperes: float) -> None:
    room[POWER] -= amperes * len(member.lines) * member.voltage
    for line in member.lines:
        room[line] -= amperes


def _fits(room: Sequence[float], member: Member, amperes: float) -> bool:
    watts = amperes * len(member.lines) * member.voltage
    return watts <= room[POWER] + _EPSILON and all(amperes <= room[line] + _EPSILON for line in member.lines)


def _order(members: Iterable[Member], strategy: Strategy, turn: int, *, active: bool) -> list[Member]:
    """Return those in use, or those idle, in the order in which they are served."""
    order = [member for member in members if member.fixed_a is None and member.active is active]
    if strategy is Strategy.PRIORITY:
        order.sort(key=lambda member: member.priority or _LAST)
    elif strategy is Strategy.ROUND_ROBIN and order:
        first = turn % len(order)
        order = [*order[first:], *order[:first]]
    return order


def allocate(limit: GroupLimit, members: Sequence[Member], strategy: Strategy, turn: int = 0) -> dict[str, float]:
    """Return the share of each member that is not fixed, in A per phase."""
    room = limit.room()
    for member in members:
        if member.fixed_a is not None:
            _take(room, member, member.fixed_a)
    shares = {member.resource_id: 0.0 for member in members if member.fixed_a is None}
    for active in (True, False):  # idle members share what those in use leave
        order = _order(members, strategy, turn, active=active)
        admitted = [member for member in order if _admitted(room, member)]
        if strategy is Strategy.PRIORITY:
            _fill_in_order(room, admitted, shares)
        else:
            _fill_together(room, admitted, shares, equal=strategy is Strategy.ROUND_ROBIN)
    return shares


def _admitted(room: list[float], member: Member) -> bool:
    """Take the least current for a member if there is room for it."""
    if member.max_a < max(member.least_a, _EPSILON) or not _fits(room, member, member.least_a):
        return False
    _take(room, member, member.least_a)
    return True


def _fill_in_order(room: list[float], members: Sequence[Member], shares: dict[str, float]) -> None:
    """Give each member in turn all it may have."""
    for member in members:
        watts = room[POWER] / (len(member.lines) * member.voltage)
        more = max(0.0, min(member.max_a - member.least_a, watts, *(room[line] for line in member.lines)))
        share = round_share(member.least_a + more)
        _take(room, member, share - member.least_a)
        shares[member.resource_id] = share


def _fill_together(room: list[float], members: Sequence[Member], shares: dict[str, float], *, equal: bool) -> None:
    """Raise all members together, in proportion to their weights, each until its own or a constraint's limit.

    The level rises from one stop to the next: a member that has all it may have, or a constraint without room.
    """
    weight = {member.resource_id: 1.0 if equal else member.max_a for member in members}
    stops = sorted(members, key=lambda m: (m.max_a - m.least_a) / weight[m.resource_id])
    loads = [0.0] * 4
    for member in members:
        _load(loads, member, weight[member.resource_id])
    left, level, reached = list(room), 0.0, dict[str, float]()
    position = 0
    while len(reached) < len(members):
        while stops[position].resource_id in reached:
            position += 1
        member = stops[position]
        stop = (member.max_a - member.least_a) / weight[member.resource_id]
        full, at = min(
            ((c, level + max(0.0, left[c]) / loads[c]) for c in range(4) if loads[c] > _EPSILON),
            key=lambda pair: pair[1],
            default=(None, math.inf),
        )
        rise = min(stop, at) - level
        left = [have - rise * load if load > _EPSILON else have for have, load in zip(left, loads, strict=True)]
        level += rise
        ending = [member] if full is None or stop <= at else _users(members, full, reached)
        for each in ending:
            reached[each.resource_id] = level
            _load(loads, each, -weight[each.resource_id])
        if full is not None and stop > at:
            loads[full] = 0.0  # nobody is left there; what remains of the sum is rounding
    for member in members:
        share = round_share(
            min(member.max_a, member.least_a + reached[member.resource_id] * weight[member.resource_id])
        )
        share = max(share, member.least_a)
        _take(room, member, share - member.least_a)
        shares[member.resource_id] = share


def _load(loads: list[float], member: Member, weight: float) -> None:
    loads[POWER] += weight * len(member.lines) * member.voltage
    for line in member.lines:
        loads[line] += weight


def _users(members: Sequence[Member], constraint: int, reached: Mapping[str, float]) -> list[Member]:
    return [
        member
        for member in members
        if (constraint == POWER or constraint in member.lines) and member.resource_id not in reached
    ]


def fits(limit: GroupLimit, members: Iterable[Member], shares: Shares) -> bool:
    """True if ``shares``, with what is reserved for fixed members, stay within the limit."""
    room = limit.room()
    for member in members:
        _take(room, member, shares.get(member.resource_id, 0.0) if member.fixed_a is None else member.fixed_a)
    return min(room) >= -1e-6


def steady(
    limit: GroupLimit, members: Sequence[Member], present: Shares, fresh: Shares, deadband_a: float
) -> dict[str, float]:
    """Return the present shares while they fit and nobody waits or loses more than the dead band; else the fresh ones.

    So a car that comes or goes moves the others only if it matters (ARB-04).
    """
    free = [member for member in members if member.fixed_a is None]
    kept: dict[str, float] = {}
    for member in free:
        share = present.get(member.resource_id)
        new = fresh[member.resource_id]
        if share is None:
            return dict(fresh)
        held = min(share, member.max_a)
        waits = held < member.least_a <= new and member.active
        if waits or (member.active and new - held > deadband_a) or 0.0 < held < member.least_a:
            return dict(fresh)
        kept[member.resource_id] = held
    return kept if fits(limit, members, kept) else dict(fresh)


def grant(limit: GroupLimit, members: Sequence[Member], shares: Shares, held: Shares) -> dict[str, float]:
    """Return what each member may be told now: less at once, more only out of room that nobody holds any more.

    ``held`` is what each member may be drawing until it has confirmed something lower, A per phase.
    """
    room = limit.room()
    for member in members:
        free = member.fixed_a is None
        _take(room, member, held[member.resource_id] if free else member.fixed_a or 0.0)
    told: dict[str, float] = {}
    for member in members:
        if member.fixed_a is not None:
            continue
        share, has = shares[member.resource_id], held[member.resource_id]
        if share > has and not _fits(room, member, share - has):
            share = has if has >= member.least_a else 0.0  # waits until the others have given up theirs
        elif share > has:
            _take(room, member, share - has)
        told[member.resource_id] = share
    return told
