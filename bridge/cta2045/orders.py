"""What the bridge wants of a CTA-2045 device, and which of several wishes is in force; pure.

Rule: the bridge owns the clock of every event: a device stores no schedule, so an order is in force or not by ``now``
alone. The higher rank wins, then the later start; when an inner order ends, the outer one is in force again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """What an order asks for."""

    SHED = "shed"
    CRITICAL_PEAK = "critical_peak"
    GRID_EMERGENCY = "grid_emergency"  # opens the contactor and cannot be overridden (CTA-11)
    POWER_LEVEL = "power_level"
    LOAD_UP = "load_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One wish over [start, end); ``end`` ``None`` is until taken back.

    ``share`` is the cap of a power level as a share of the device's full rating (0 to 1); ``energy_wh`` what a load up
    shall store. ``overridable`` is False for emergency classes only.
    """

    key: str
    mode: Mode
    start: datetime
    end: datetime | None = None
    share: float = 0.0
    energy_wh: float | None = None
    rank: int = 0
    overridable: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"order {self.key}: ends before it starts")
        if not 0 <= self.share <= 1:
            raise ValueError(f"order {self.key}: share {self.share} is not between 0 and 1")
        if self.mode is Mode.GRID_EMERGENCY and self.overridable:
            raise ValueError(f"order {self.key}: a grid emergency cannot be overridable (CTA-11)")

    def left_s(self, now: datetime) -> float | None:
        """Return the seconds it still lasts; ``None`` without an end."""
        return None if self.end is None else max((self.end - now).total_seconds(), 0.0)


def in_force(orders: Iterable[Order], now: datetime) -> Order | None:
    """Return the order in force at ``now``."""
    running = (order for order in orders if order.start <= now and (order.end is None or now < order.end))
    return max(running, key=lambda order: (order.rank, order.start, order.key), default=None)


def next_change(orders: Iterable[Order], now: datetime) -> datetime | None:
    """Return the next start or end after ``now``."""
    instants = (at for order in orders for at in (order.start, order.end) if at is not None and at > now)
    return min(instants, default=None)


def next_start(orders: Iterable[Order], now: datetime) -> Order | None:
    """Return the order that starts next, if none is in force: what may be announced."""
    orders = tuple(orders)
    coming = (order for order in orders if order.start > now)
    return None if in_force(orders, now) else min(coming, key=lambda order: (order.start, -order.rank), default=None)
