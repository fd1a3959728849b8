"""Evenly spread places for chargers, so that what they do on their own they do not do together; pure.

Rule (RND-10): the same names always give the same places, over restarts too, and neighbours in the settings lie far
apart. Evenly spread beats drawn at random: in no second do more chargers move than their number asks for.
"""

import hashlib
from collections.abc import Iterable, Mapping

RAMP_KW_S = 500.0  # a fleet's power changes by no more than this (ramp.fleet_kw_s)
RAMP_SHARE_S = 0.01  # nor by more than this share of its rating a second (ramp.fleet_pct_s)


def places(names: Iterable[str]) -> Mapping[str, float]:
    """Return a place in [0, 1) for each name."""
    order = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
    return {name: (rank + 0.5) / len(order) for rank, name in enumerate(order)}


def least_window_s(total_kw: float) -> float:
    """Return the shortest window over which a fleet of this rating may move as a whole, s (RND-07)."""
    return max(total_kw / RAMP_KW_S, 1.0 / RAMP_SHARE_S)
