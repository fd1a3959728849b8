"""Evenly spread places for chargers, so that what they do on their own they do not do together; pure.

Rule (RND-10): the same names always give the same places, over restarts too, and neighbours in the settings lie far
apart. Evenly spread beats drawn at random: in no second do more chargers move than their number asks for.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

RAMP_KW_S = 500.0  # a fleet's power changes by no more than this (ramp.fleet_kw_s)
WORTH_KW = 1000.0  # a smaller fleet is no step to a grid
RAMP_SHARE_S = 0.01  # nor by more than this share of its rating a second (ramp.fleet_pct_s)


def places(names: Iterable[str]) -> Mapping[str, float]:
    """Return a place in [0, 1) for each name."""
    order = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
    return {name: (rank + 0.5) / len(order) for rank, name in enumerate(order)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How steeply one event changes a fleet's power: what it is about, kW, and the most that changes a second, kW/s."""

    event_id: str
    whole_kw: float
    kw_s: float

    @property
    def most_kw_s(self) -> float:
        """The steepest that a fleet of this rating may be (RND-07)."""
        return min(RAMP_KW_S, RAMP_SHARE_S * self.whole_kw)

    @property
    def steep(self) -> bool:
        """True if the windows are too short for such a fleet (RND-04); a fleet that no grid notices is never steep."""
        return self.whole_kw >= WORTH_KW and self.kw_s > self.most_kw_s * (1 + 1e-9)


def step(event_id: str, parts: Iterable[tuple[float, float]]) -> Step:
    """Return it for (kW, s over which they may change) of every resource."""
    parts = tuple(parts)
    return Step(event_id=event_id, whole_kw=sum(kw for kw, _ in parts), kw_s=sum(kw / window for kw, window in parts))


def least_window_s(total_kw: float) -> float:
    """Return the shortest window over which a fleet of this rating may move as a whole, s (RND-07)."""
    return max(total_kw / RAMP_KW_S, 1.0 / RAMP_SHARE_S)
