"""Which demand response modes each kind of driver carries out, and what regulations ask of equipment; pure.

Rule (MAP-02, MAP-14, MAP-19): a mode is claimed only where it is carried out as it is meant. DRM 0 needs a device that
disconnects: without one it is carried out as DRM 1 and not claimed. DRM 5 to 8 are about export: they are refused
unless the equipment is declared to export *and* a probe of its driver has shown that it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

EXPORT_MODES = frozenset({5, 6, 7, 8})


class Support(StrEnum):
    """How a mode is carried out."""

    YES = "yes"
    AS_DRM_1 = "as DRM 1"  # carried out, not claimed
    REFUSED = "refused"  # optOut with the reason, nothing sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What one kind of driver can do. ``disconnects``: it opens a contactor; ``export_probe``: it can test export."""

    name: str
    disconnects: bool = False
    export_probe: bool = False


DRIVERS: Mapping[str, Driver] = {
    each.name: each for each in (Driver(name="ocpp-1.6"), Driver(name="ocpp-2.0.1"), Driver(name="cta-2045"))
}


def may_export(driver: Driver, *, declared: bool, probed: bool) -> bool:
    """True if equipment may be asked for export: declared, and shown by a probe that the driver has."""
    return declared and probed and driver.export_probe


def supports(driver: Driver, *, declared: bool = False, probed: bool = False) -> Mapping[int, Support]:
    """Return how each mode is carried out."""
    export = Support.YES if may_export(driver, declared=declared, probed=probed) else Support.REFUSED
    return {
        0: Support.YES if driver.disconnects else Support.AS_DRM_1,
        **dict.fromkeys((1, 2, 3, 4), Support.YES),
        **dict.fromkeys(sorted(EXPORT_MODES), export),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Regulation:
    """The modes that equipment must have from ``since`` on, and those that it may have."""

    name: str
    mandatory: frozenset[int]
    optional: frozenset[int]
    since: date

    def gaps(self, known: Mapping[int, Support], on: date) -> tuple[int, ...]:
        """Return the mandatory modes that are not claimed, none before the regulation is in force."""
        if on < self.since:
            return ()
        return tuple(sorted(mode for mode in self.mandatory if known[mode] is not Support.YES))


_MODES = frozenset({0, 1, 2, 3, 4, 5, 8})
REGULATIONS: Mapping[str, Regulation] = {
    each.name: each
    for each in (
        Regulation(name="sa2021", mandatory=_MODES, optional=frozenset({6, 7}), since=date(2024, 7, 1)),
        Regulation(name="coag", mandatory=_MODES, optional=frozenset({6, 7}), since=date(2026, 7, 1)),
    )
}
"""South Australia's requirement and the COAG decision for EV supply equipment."""
