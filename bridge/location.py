"""Where a resource is in the network, level by level, how sure that is, and which levels a VTN may know (TEL-11); pure.

Rule: the premises are private: they stay in the bridge. Everything else leaves it only towards a VTN whose policy
names the level.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """A level of the network that may be told, from the charger upwards."""

    LV_FEEDER = "lv_feeder"
    SECONDARY = "secondary"  # substation
    PRIMARY = "primary"  # substation
    BSP = "bsp"  # bulk supply point
    GSP = "gsp"  # grid supply point


class Confidence(StrEnum):
    """How sure a location is."""

    SURVEYED = "surveyed"
    RECORDS = "records"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """One place; '' where a level is not known. ``voltage_v`` is that of the connection, line to line."""

    premises: str = ""
    lv_feeder: str = ""
    secondary: str = ""
    primary: str = ""
    bsp: str = ""
    gsp: str = ""
    voltage_v: float | None = None
    confidence: Confidence = Confidence.ASSUMED

    def told(self, levels: Iterable[Level]) -> tuple[str, ...]:
        """Return what may be told, as ``level:name``, from the charger upwards; never the premises."""
        allowed = frozenset(levels)
        names = ((level, getattr(self, level.value)) for level in Level if level in allowed)
        return tuple(f"{level.value}:{name}" for level, name in names if name)
