"""From one group limit to a limit for each member, phase by phase; pure.

Rule: on no phase do the members' limits add up to more than the group's cap (ARB-16), and no member gets anything
between 0 and 6 A (MAP-09). Shares are in proportion to the installed maxima. Where there is not enough to give 6 A
to everyone, the members at the end of the order pause; ``first`` rotates the order, so that waiting is shared over
time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.plan import FLOOR_A, round_down


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One charger of a group: ``max_a`` is its installed maximum (A per phase), ``lines`` the phases it loads (1-3)."""

    resource_id: str
    max_a: float
    lines: tuple[int, ...] = (1, 2, 3)


def proportional(cap_a: float, members: Sequence[Member], first: int = 0) -> dict[str, float]:
    """Return the limit of each member in A per phase for a group cap of ``cap_a`` A per phase."""
    turn = first % len(members) if members else 0
    order = [*members[turn:], *members[:turn]]
    kept = _most(cap_a, order)
    shares = _shares(cap_a, order[:kept])
    return {member.resource_id: shares.get(member.resource_id, 0.0) for member in members}


def _most(cap_a: float, order: Sequence[Member]) -> int:
    """Return how many members, from the front, can have 6 A or more: fewer members never get less each."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        if all(share >= FLOOR_A for share in _shares(cap_a, order[:middle]).values()):
            low = middle
        else:
            high = middle - 1
    return low


def _shares(cap_a: float, members: Sequence[Member]) -> dict[str, float]:
    """Return proportional shares, rounded down: each member follows the tightest of its phases."""
    wanted = dict.fromkeys((1, 2, 3), 0.0)
    for member in members:
        for line in member.lines:
            wanted[line] += member.max_a
    factor = {line: 1.0 if total <= cap_a else cap_a / total for line, total in wanted.items()}
    return {
        member.resource_id: round_down(member.max_a * min(factor[line] for line in member.lines)) for member in members
    }
