"""Energy of one device from its commodity readings, used and stored; pure.

Rule: of a cumulative counter only deltas count, for it may begin anew; where it stands still for ever, as on devices
that only state their rating, energy is the power over the time since the last reading.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bridge.cta2045.energy import Commodity
from bridge.cta2045.values import CommodityCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a store holds, as a share of ``full_wh``."""

    share: float
    full_wh: float


def stored(readings: Iterable[Commodity]) -> Stored | None:
    """Return what the device stores, where it measures it: it tells its capacity and what it can still take."""
    by_kind = {each.kind: each for each in readings if each.measured}
    full, room = by_kind.get(CommodityCode.STORAGE_TOTAL), by_kind.get(CommodityCode.STORAGE_NOW)
    if full is None or room is None or not 0 <= room.cumulative <= full.cumulative or not full.cumulative:
        return None
    return Stored(share=(full.cumulative - room.cumulative) / full.cumulative, full_wh=float(full.cumulative))


class Meter:
    """Energy from cumulative readings of which only the deltas count, or from the power where they stand still."""

    def __init__(self) -> None:
        self.energy_wh = 0.0
        self._cumulative: int | None = None
        self._last: tuple[datetime, float] | None = None
        self._counts = False  # the device's counter moves

    def take(self, reading: Commodity, now: datetime) -> float:
        """Add a reading of consumption; return the energy so far in Wh."""
        before, self._cumulative = self._cumulative, reading.cumulative
        delta = 0 if before is None else reading.cumulative - before
        self._counts = self._counts or delta > 0
        if self._counts:
            self.energy_wh += max(delta, 0)  # a counter that begins anew is no energy
        elif self._last is not None:
            self.energy_wh += self._last[1] * (now - self._last[0]).total_seconds() / 3600
        self._last = (now, float(reading.rate))
        return self.energy_wh
