"""Makes the CTA-2045 side of a bridge out of its settings: the devices, what is kept of them, and who minds them.

Rule: as in ``bridge.app``: everything is made here and handed over. A bridge without such devices has an empty side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.cta2045.fleet import CtaFleet
from bridge.cta2045.metrics import CtaMetrics
from bridge.cta2045.settings import cta_devices
from bridge.ecoport import DeviceNotes, EcoPorts, Spokesman
from bridge.families import Families
from bridge.fleet import Fleet
from bridge.settings import BridgeSettings
from bridge.store.cta import StandingStore
from bridge.supervisor import Supervisor
from bridge.target import LimitTarget
from runtime.clock import Clock, Draw
from runtime.lifecycle import Part, task


@dataclass(frozen=True, slots=True, kw_only=True)
class CtaSide:
    """The devices and what is known of them."""

    devices: CtaFleet
    notes: DeviceNotes
    settings: BridgeSettings
    clock: Clock

    def families(self, first: LimitTarget) -> LimitTarget:
        """Return ``first`` together with these devices as one target."""
        others = {each.identity: self.devices for each in self.settings.cta_devices}
        return Families(first, others) if others else first

    def minded(
        self, supervisor: Supervisor, silent: Callable[[str], bool], ven_id: Callable[[], str | None]
    ) -> EcoPorts:
        """Return who minds the devices; ``silent`` is by resourceID."""
        return EcoPorts(
            resources=[each.resource for each in self.settings.cta_devices],
            devices=self.devices,
            notes=self.notes,
            supervisor=supervisor,
            silent=silent,
            ven_id=ven_id,
            clock=self.clock,
        )

    def parts(self, ecoports: EcoPorts) -> tuple[Part, ...]:
        """Return what runs in the process; nothing without devices."""
        if not self.settings.cta_devices:
            return ()
        return (task("cta2045", self.devices.run), task("cta2045 minder", ecoports.run))


def cta_side(
    settings: BridgeSettings,
    *,
    engine: AsyncEngine,
    fleet: Fleet,
    supervisor: Callable[[], Supervisor],
    clock: Clock,
    draw: Draw,
    registry: CollectorRegistry,
) -> CtaSide:
    """Make it; ``supervisor`` returns the one that will be made after it. Raises ``TlsError``."""
    metrics = CtaMetrics(registry)
    notes = DeviceNotes(fleet, metrics)
    cta = settings.cta
    devices = CtaFleet(
        cta_devices(cta, settings.cta_devices),
        memory=StandingStore(engine),
        events=fleet,
        more=notes,
        clock=clock,
        draw=draw,
        zone=ZoneInfo(cta.zone),
        models=cta.table,
        timing=cta.timing,
        rhythm=cta.rhythm,
        patience=cta.patience,
        phrasing=Spokesman([each.resource for each in settings.cta_devices], supervisor),
    )
    metrics.connected.set_function(lambda: float(sum(each.connected for each in devices.chargers())))
    return CtaSide(devices=devices, notes=notes, settings=settings, clock=clock)
