"""Keeps CTA-2045 devices in step with the supervisor: how limits are said, load ups, prices, overrides, the upstream.

Rule: ``round`` compares what each device should know with what it was told and makes the difference disappear, so that
a lost callback or a restart changes nothing. A customer's override is a fact at the device: its resource is opted out
for as long as it lasts, at most 12 hours, and back in when it is released (CTA-09).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from bridge.arbiter import CUSTOMER
from bridge.cta2045.commands import Comm, Op
from bridge.cta2045.delivery import Delivery, OrderOutcome
from bridge.cta2045.energy import Commodity
from bridge.cta2045.fleet import CtaFleet
from bridge.cta2045.ladder import EXPECTED
from bridge.cta2045.mapping import Prices, Words, limiting, load_ups, price_events, prices, words
from bridge.cta2045.metrics import CtaMetrics
from bridge.cta2045.orders import Order
from bridge.cta2045.values import OperationalState
from bridge.fleet import DeviceWord, Fleet
from bridge.native import Native
from bridge.plan import KnownEvent
from bridge.program import Programme
from bridge.resources import Resource
from bridge.supervisor import Supervisor
from runtime.clock import Clock
from runtime.logs import get_logger

OVERRIDE_S = 12 * 3600.0  # the button covers the running event and the next 12 h (CTA-09)
EVERY_S = 1.0  # between two rounds when nothing happens

_SAYS = {
    OrderOutcome.FOLLOWED: True,
    OrderOutcome.NOT_FOLLOWED: False,
    OrderOutcome.FAULT: False,
    OrderOutcome.REFUSED: False,
}

_VARIABLE = frozenset({OperationalState.VARIABLE_FOLLOWING, OperationalState.VARIABLE_NOT_FOLLOWING})

log = get_logger(__name__)


class DeviceNotes:
    """What devices told last: a ``CtaEvents`` that keeps it and wakes whoever waits."""

    def __init__(self, fleet: Fleet, metrics: CtaMetrics) -> None:
        self._fleet, self._metrics = fleet, metrics
        self.awake = asyncio.Event()
        self.deliveries: dict[str, Delivery] = {}
        self.readings: dict[str, tuple[Commodity, ...]] = {}

    def override(self, identity: str, on: bool, now: datetime) -> None:
        """Count it; the round acts on what is so then."""
        self._metrics.overrides.labels("pressed" if on else "released").inc()
        self.awake.set()

    def state(self, identity: str, state: OperationalState, now: datetime) -> None:
        """Pass on whether it holds back, for TELEMETRY_STATUS, and have a look."""
        self._fleet.operates(identity, None if state is OperationalState.ERROR else _level(state))
        self.awake.set()

    def commodities(self, identity: str, readings: tuple[Commodity, ...], now: datetime) -> None:
        """Keep the readings, each in place of the one of its kind."""
        known = {each.code: each for each in self.readings.get(identity, ())}
        self.readings[identity] = tuple((known | {each.code: each for each in readings}).values())

    def delivery(self, identity: str, delivery: Delivery) -> None:
        """Keep how an order goes, and what the device itself says of it: the meter outranks it (CTA-04)."""
        self.deliveries[identity] = delivery
        self._metrics.deliveries.labels(delivery.outcome.value).inc()
        follows = _SAYS.get(delivery.outcome)
        words = f"{delivery.sent} {delivery.detail}".strip()
        self._fleet.says(identity, None if follows is None else DeviceWord(follows=follows, words=words))


def _level(state: OperationalState) -> int:
    """Return what a state means for the load: 1 less than usual, -1 more, 0 as usual."""
    return -1 if state in EXPECTED[Op.LOAD_UP] else int(state in EXPECTED[Op.SHED] | _VARIABLE)


class Spokesman:
    """A ``Phrasing``: says the supervisor's limits in the words of the programmes."""

    def __init__(self, resources: Sequence[Resource], supervisor: Callable[[], Supervisor]) -> None:
        self._resources = {each.charger: each for each in resources}
        self._supervisor = supervisor

    def words(self, identity: str, at: datetime, limit_a: float) -> Words:
        """Return how a limit is said that is in force at ``at``."""
        resource, planner = self._resources[identity], self._supervisor().planner
        line = planner.line(resource.resource_id, at)
        piece = next((each for each in line if each.start <= at and (each.end is None or at < each.end)), line[0])
        cap = limiting(piece, planner.plans.get(resource.resource_id, ()), at)
        native = Native()
        if cap is not None:
            labels = {each.label: each.cta2045 for each in planner.programmes.by_context.values()}
            native = labels.get(cap.programme, native)
        return words(limit_a, piece.source, cap, resource, native)

    def more(self, identity: str, now: datetime) -> tuple[Order, ...]:
        """Return the wishes for more load."""
        name, supervisor = self._resources[identity].resource_id, self._supervisor()
        return load_ups(supervisor.planner.plans.get(name, ()), supervisor.desk.of(name), name, now)


class EcoPorts:
    """The devices as the bridge minds them. ``silent`` tells whether the VTN that leads a resource is silent."""

    def __init__(
        self,
        *,
        resources: Sequence[Resource],
        devices: CtaFleet,
        notes: DeviceNotes,
        supervisor: Supervisor,
        silent: Callable[[str], bool],
        ven_id: Callable[[], str | None],
        clock: Clock,
    ) -> None:
        self.resources: Mapping[str, Resource] = {each.charger: each for each in resources}
        self.devices, self.notes = devices, notes
        self._supervisor, self._silent, self._ven_id, self._clock = supervisor, silent, ven_id, clock
        self._priced: dict[str, Prices] = {}  # by device: what it was told
        self._planned: tuple[object, object] = (None, None)
        self._prices: tuple[tuple[KnownEvent, Programme], ...] = ()

    async def run(self) -> None:
        """Mind the devices until cancelled."""
        while True:
            self.notes.awake.clear()
            await self.round(self._clock.now())
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self.notes.awake.wait()

    async def round(self, now: datetime) -> None:
        """Make every device know what it should; before the first plan nothing is known."""
        if self._supervisor.reconciled_at is None:
            return
        for identity, resource in self.resources.items():
            try:
                await self._mind(identity, resource, now)
            except Exception:  # a database that is away, say: the others are minded all the same
                log.exception("minding a device failed; tried again", device=identity)

    async def _mind(self, identity: str, resource: Resource, now: datetime) -> None:
        await self._follow_override(identity, resource, now)
        self._settle(identity)
        self.devices.reword(identity)
        self._tell_prices(identity, resource, now)
        self._tell_upstream(identity, resource)

    async def _follow_override(self, identity: str, resource: Resource, now: datetime) -> None:
        """Opt the resource out while its customer overrides, and in again."""
        pressed = self.devices.overridden(identity)
        mine = [each for each in self._supervisor.desk.of(resource.resource_id) if each.source == CUSTOMER]
        if pressed and not mine:
            await self._supervisor.opt_ahead(
                resource.resource_id,
                source=CUSTOMER,
                start=now,
                end=now + timedelta(seconds=OVERRIDE_S),
                reason="pressed at the device",
            )
        elif pressed is False:
            for each in mine:
                await self._supervisor.end_override(each.override_id)

    def _settle(self, identity: str) -> None:
        """After a start: once the limits are in, what stands on the device and is not wanted any more is ended."""
        if self.devices.told(identity) or self._supervisor.dispatcher.busy(identity):
            return
        if self._supervisor.dispatcher.installed.get(identity) is None:
            self.devices.settled(identity)

    def _tell_prices(self, identity: str, resource: Resource, now: datetime) -> None:
        found = prices(self._price_events(), resource, self._ven_id(), now)
        if found == self._priced.get(identity):
            return
        if found is None:
            del self._priced[identity]
            self.devices.tell_prices(identity, None, None, None)
            return
        self._priced[identity] = found
        left_s = None if found.ends is None else (found.ends - now).total_seconds()
        self.devices.tell_prices(identity, found.present, found.following, left_s)

    def _price_events(self) -> tuple[tuple[KnownEvent, Programme], ...]:
        """Return the events with prices, looked for anew only when the plan has changed."""
        planner = self._supervisor.planner
        if self._planned[0] is not planner.known or self._planned[1] is not planner.programmes:
            self._planned = (planner.known, planner.programmes)
            self._prices = price_events(planner.known, planner.programmes)
        return self._prices

    def _tell_upstream(self, identity: str, resource: Resource) -> None:
        """Tell of a silent VTN: *lost* lets the device go back to normal, *poor* while stored events go on here."""
        status = Comm.GOOD
        if self._silent(resource.resource_id):
            status = Comm.LOST if self.devices.look(identity).order is None else Comm.POOR
        self.devices.set_upstream(status, identity)
