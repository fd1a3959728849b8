"""Makes the side of a bridge towards its VTNs out of its settings: one link each, and what is known of their silences.

Rule: as in ``bridge.app``: everything is made here and handed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from bridge.link import LinkWatch
from bridge.program import Programmes
from bridge.resources import Resource
from bridge.settings import BridgeSettings, upstreams
from bridge.upstreams import Upstreams
from bridge.vtnlink import Surroundings, VtnLink, open_link
from runtime.http import HealthCheck
from runtime.lifecycle import Part
from ven.metrics import VenFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class UpSide:
    """The VTNs: the links to them, their events and opts as one ``source``, their silences, the lead of each load."""

    links: tuple[VtnLink, ...]
    source: Upstreams
    watch: LinkWatch
    leads: Mapping[str, str]

    @property
    def main(self) -> VtnLink:
        """The VTN of ``[ven]``."""
        return self.links[0]

    def use(self, programmes: Programmes) -> None:
        """Judge events by these programmes from now on."""
        for link in self.links:
            link.assessor.use(programmes)

    def enrol(self, found: Mapping[str, Resource]) -> None:
        """Judge events by what the loads have agreed to now."""
        for link in self.links:
            link.assessor.enrol(found)

    def silent(self, resource_id: str) -> bool:
        """True while the VTN that leads a load is silent."""
        return self.watch.silent_since(self.leads[resource_id]) is not None

    def checks(self) -> dict[str, HealthCheck]:
        """Return a health check for each VTN."""
        return {f"ven {link.name}".rstrip(): link.ven.health for link in self.links}

    def parts(self) -> tuple[Part, ...]:
        """Return what runs in the process."""
        return tuple(part for link in self.links for part in link.parts())


async def up_side(
    settings: BridgeSettings,
    loads: tuple[Resource, ...],
    around: Surroundings,
    *,
    lost_after_s: Callable[[], float],
    registry: CollectorRegistry,
) -> UpSide:
    """Open the links, their state read; ``lost_after_s`` is how long the most impatient programme waits for a VTN."""
    figures = VenFigures(registry)
    links = tuple([await open_link(name, ven, mine, around, figures) for name, ven, mine in upstreams(settings, loads)])
    leads = {each.resource_id: each.vtn for each in settings.loads}
    source = Upstreams([link.lane for link in links], leads)
    watch = LinkWatch(around.store, {link.name: link.ven for link in links}, lost_after_s, source.vtn_of)
    return UpSide(links=links, source=source, watch=watch, leads=leads)
