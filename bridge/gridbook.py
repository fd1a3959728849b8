"""Keeps what the meters of sites say and what is lent from it; in memory, for after a restart nothing of it is fresh.

Rule: who draws how much comes from the chargers' own meters; one that has not spoken lately counts as nothing, which
lends less. What is lent is decided in ``bridge.grid``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bridge.cap import Cap
from bridge.fleet import Fleet
from bridge.grid import DRAWN_S, Loan, SiteReading, at_grid, lent, own_supply_w
from bridge.resources import Resource
from bridge.verify import power_w


class UnknownSite(Exception):
    """No resource stands at the site."""


class GridBook:
    """The loans of all resources at sites with a meter."""

    def __init__(self, resources: Sequence[Resource], fleet: Fleet) -> None:
        self._by_name, self._fleet = {each.resource_id: each for each in resources}, fleet
        self._at: dict[str, list[Resource]] = {}
        for each in resources:
            if each.site is not None:
                self._at.setdefault(each.site, []).append(each)
        self.loans: dict[str, Loan] = {}

    def read(self, reading: SiteReading, now: datetime) -> tuple[float, dict[str, Loan], set[str]]:
        """Take a reading; return the own supply in W, the site's loans, and whose loan is another than before.

        Raises ``UnknownSite``.
        """
        members = self._at.get(reading.site)
        if members is None:
            raise UnknownSite(f"no resource stands at site {reading.site}")
        supply_w = own_supply_w(reading, (self._drawn_w(each, now) for each in members))
        present = {each.resource_id: self.loans[each.resource_id] for each in members if each.resource_id in self.loans}
        loans = lent(reading, members, supply_w, present, now)
        changed = {name for name in {*present, *loans} if present.get(name) != loans.get(name)}
        for name in present:
            del self.loans[name]
        self.loans |= loans
        return supply_w, loans, changed

    def _drawn_w(self, resource: Resource, now: datetime) -> float:
        reading = self._fleet.get(resource.charger).reading
        if reading is None or reading.at < now - timedelta(seconds=DRAWN_S):
            return 0.0
        return max(0.0, power_w(reading, resource.voltage) or 0.0)

    def at_grid(self, cap: Cap) -> tuple[Cap, ...]:
        """Return a limit at the grid as limits at the device."""
        return tuple(at_grid(cap, self._by_name[cap.resource_id], self.loans.get(cap.resource_id)))
