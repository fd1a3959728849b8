"""All CTA-2045 devices of the bridge: a ``LimitTarget`` for caps in amperes, and orders for everything that has none.

Rule: devices keep no schedule, so this keeps it for them: a cap is a share of the device's reference, in force for its
period and no longer, and the bridge's end of it is sent even if the bridge was away. ACCEPTED means that the device
acknowledged; what it did is told by state and readings.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo

from bridge.cta2045 import caps
from bridge.cta2045.commands import Comm, Guidance
from bridge.cta2045.datalink import BASE_RATE, BIT_RATES, Offer
from bridge.cta2045.delivery import Delivery, OrderOutcome, Patience
from bridge.cta2045.dialogue import Facts
from bridge.cta2045.energy import Commodity
from bridge.cta2045.frames import Message
from bridge.cta2045.inbox import refuses
from bridge.cta2045.ladder import DeviceModel
from bridge.cta2045.link import Link
from bridge.cta2045.memory import Memory
from bridge.cta2045.meter import stored
from bridge.cta2045.module import Module, Rhythm
from bridge.cta2045.orders import Mode, Order
from bridge.cta2045.serial import Connect, SerialPort, address, connector
from bridge.cta2045.timing import Timing
from bridge.cta2045.unit import CtaDevice, CtaEvents, Look, Phrasing, Unit, model_of
from bridge.cta2045.values import CommodityCode, OperationalState, device_name
from bridge.target import (
    CarNeeds,
    ChargerStatus,
    CommandOutcome,
    CommandResult,
    FleetEvents,
    LimitSchedule,
    MeterReading,
)
from runtime.clock import Clock, Draw

ANSWER_S = 45.0  # a command with its tries, its rungs and a busy device; then the result is a time-out
_ANY = caps.share_of(1.0)
_SUPPLY = "supply"  # key of the order that takes a device out of service
_OUT_OF_SERVICE = 1_000_000  # rank: above every event

_RESULTS = {
    OrderOutcome.TAKEN: CommandOutcome.ACCEPTED,
    OrderOutcome.FOLLOWED: CommandOutcome.ACCEPTED,
    OrderOutcome.NOT_FOLLOWED: CommandOutcome.ACCEPTED,
    OrderOutcome.ENDED: CommandOutcome.ACCEPTED,
    OrderOutcome.OVERRIDDEN: CommandOutcome.REJECTED,
    OrderOutcome.FAULT: CommandOutcome.ERROR,
    OrderOutcome.REFUSED: CommandOutcome.NOT_SUPPORTED,
    OrderOutcome.NO_ANSWER: CommandOutcome.TIMEOUT,
}


class CtaFleet:
    """Every device of this family. Its ``run`` is a part of the process; the rest is for the supervisor."""

    def __init__(
        self,
        devices: Iterable[CtaDevice],
        *,
        memory: Memory,
        events: FleetEvents,
        more: CtaEvents,
        clock: Clock,
        draw: Draw,
        zone: tzinfo,
        models: Mapping[str, DeviceModel] | None = None,
        timing: Timing | None = None,
        rhythm: Rhythm | None = None,
        patience: Patience | None = None,
        connect: Mapping[str, Connect] | None = None,
        phrasing: Phrasing | None = None,
    ) -> None:
        self._clock = clock
        self._events, self._more = events, more
        self._models = models or {}
        self._phrasing = phrasing
        self._units = {
            each.identity: self._unit(each, memory, draw, zone, timing, rhythm, patience, (connect or {}))
            for each in devices
        }

    def _unit(
        self,
        device: CtaDevice,
        memory: Memory,
        draw: Draw,
        zone: tzinfo,
        timing: Timing | None,
        rhythm: Rhythm | None,
        patience: Patience | None,
        connect: Mapping[str, Connect],
    ) -> Unit:
        where = address(device.port)
        rates = frozenset(range(len(BIT_RATES))) if where.device else frozenset({BASE_RATE})
        link = Link(draw=draw, timing=timing, offer=Offer(bit_rates=rates), refuses=refuses)
        door = _Door()
        open_port = connect.get(device.identity) or connector(where, device.tls)
        port = SerialPort(open_port, link, door, name=str(where), echo=device.echo)
        door.module = Module(
            device.identity,
            port=port,
            memory=memory,
            listener=self,
            clock=self._clock,
            zone=zone,
            model=lambda facts: model_of(device, self._models, facts),
            rhythm=rhythm,
            patience=patience,
        )
        return Unit(device=device, module=door.module, port=port, phrasing=self._phrasing)

    async def run(self) -> None:
        """Serve all devices until cancelled."""
        async with asyncio.TaskGroup() as group:
            for unit in self._units.values():
                group.create_task(unit.port.run(), name=f"port of {unit.device.identity}")
                group.create_task(unit.module.run(), name=f"module of {unit.device.identity}")

    # -- LimitTarget

    async def set_limit(self, identity: str, schedule: LimitSchedule) -> CommandResult:
        """Keep ``schedule`` and carry it out; answers at once where nothing of it is in force yet."""
        unit = self._units[identity]
        unit.schedules[schedule.schedule_id] = schedule
        return await self._follow(unit, now=self._clock.now())

    async def clear_limit(self, identity: str, schedule_id: int) -> CommandResult:
        """Forget the schedule; the device gets its End Shed if that was in force."""
        unit = self._units[identity]
        unit.schedules.pop(schedule_id, None)
        return await self._follow(unit, now=self._clock.now())

    async def set_available(self, identity: str, available: bool) -> CommandResult:
        """Open the contactor by a grid emergency that nobody can override, or let it close again (CTA-11)."""
        unit, now = self._units[identity], self._clock.now()
        if available:
            if unit.orders.pop(_SUPPLY, None) is None:
                return self._result(CommandOutcome.ACCEPTED, "it was available")
        else:
            emergency = Order(key=_SUPPLY, mode=Mode.GRID_EMERGENCY, start=now, rank=_OUT_OF_SERVICE, overridable=False)
            unit.orders[_SUPPLY] = unit.orders.get(_SUPPLY, emergency)
        return await self._follow(unit, now=now)

    async def stop_session(self, identity: str) -> CommandResult:
        """There are no sessions: ``set_available`` is the way."""
        return self._result(CommandOutcome.NOT_SUPPORTED, "CTA-2045 knows no sessions")

    def status(self, identity: str) -> ChargerStatus | None:
        """Return what is known of one device."""
        unit = self._units.get(identity)
        if unit is None:
            return None
        facts, state = unit.module.facts, unit.module.state
        info = None if facts is None else facts.info
        return ChargerStatus(
            identity=identity,
            connected=facts is not None,
            protocol="cta2045" if facts is not None else None,
            vendor="" if info is None else f"{info.vendor:04x}",
            model="" if info is None else info.model or device_name(info.device_type),
            firmware="" if info is None else info.firmware,
            transaction=facts is not None,  # it may draw at any time: there is no session to wait for
            status="" if state is None else state.name.lower(),
            last_seen=unit.module.seen,
            last_reading=unit.reading,
            connected_since=unit.connected_since,
        )

    def chargers(self) -> tuple[ChargerStatus, ...]:
        """Return every device, ordered by identity."""
        return tuple(found for name in sorted(self._units) if (found := self.status(name)) is not None)

    # -- beyond amperes

    async def order(self, identity: str, *orders: Order) -> CommandResult:
        """Take these orders in, each in place of the one with its key."""
        unit = self._units[identity]
        unit.orders |= {each.key: each for each in orders}
        return await self._follow(unit, now=self._clock.now())

    async def withdraw(self, identity: str, *keys: str) -> CommandResult:
        """Take orders back."""
        unit = self._units[identity]
        for key in keys:
            unit.orders.pop(key, None)
        return await self._follow(unit, now=self._clock.now())

    def settled(self, identity: str) -> None:
        """All orders after a start are in: what stands on the device and is not among them is ended."""
        unit = self._units[identity]
        unit.module.follow(unit.all_orders(self._clock.now()))

    def reword(self, identity: str) -> None:
        """Say anew what is asked for, if that is said differently now; nothing before the first word after a start."""
        unit = self._units[identity]
        orders = unit.all_orders(self._clock.now())
        if unit.module.orders is not None and unit.module.orders != orders:
            unit.module.follow(orders)

    def told(self, identity: str) -> bool:
        """True once the device has been given its orders after a start."""
        return self._units[identity].module.orders is not None

    def overridden(self, identity: str) -> bool | None:
        """Return whether the customer overrides, ``None`` while that is not known."""
        module = self._units[identity].module
        known = module.override_known and (module.overridden or module.facts is not None)
        return module.overridden if known else None

    def look(self, identity: str) -> Look:
        """Return everything known of one device. Raises ``KeyError``."""
        return self._units[identity].look(self._clock.now())

    def set_upstream(self, status: Comm, identity: str | None = None) -> None:
        """Tell one device, or all, how the upstream is (CTA-07): LOST lets them drop what they were told."""
        for unit in self._units.values():
            if identity in (None, unit.device.identity):
                unit.module.set_upstream(status)

    def tell_prices(self, identity: str, present: float | None, following: float | None, left_s: float | None) -> None:
        """Tell one device the relative prices (CTA-13)."""
        self._units[identity].module.tell_prices(present, following, left_s)

    def guide(self, identity: str, value: Guidance) -> None:
        """Tell one device the grid guidance."""
        self._units[identity].module.guide(value)

    # -- Listener

    def connected(self, device: str, facts: Facts, now: datetime) -> None:
        """A device was found."""
        self._units[device].connected_since = now
        self._events.connected(device, now)
        self._events.transaction(device, True, now)  # a device may draw at any time: there is nothing to wait for

    def disconnected(self, device: str, now: datetime) -> None:
        """A device is away: who waits for it need not."""
        self._units[device].connected_since = None
        self._events.disconnected(device, now)

    def state(self, device: str, state: OperationalState, now: datetime) -> None:
        """Pass it on."""
        self._more.state(device, state, now)

    def override(self, device: str, on: bool, now: datetime) -> None:
        """Pass it on: a fact at the device, not a wish that could be refused."""
        self._more.override(device, on, now)

    def commodities(self, device: str, readings: tuple[Commodity, ...], now: datetime) -> None:
        """Consumption is a meter reading; everything goes on as it is."""
        content = stored(readings)
        if content is not None:
            self._events.needs(device, CarNeeds(session="", soc=content.share, battery_wh=content.full_wh), now)
        consumed = next((each for each in readings if each.kind is CommodityCode.CONSUMED), None)
        if consumed is not None:
            energy = self._units[device].meter.take(consumed, now)
            source = "cta2045 measured" if consumed.measured else "cta2045 estimated"
            reading = MeterReading(
                charger=device,
                at=now,
                power_w=float(consumed.rate),
                energy_wh=energy,
                source=source,
                estimated=not consumed.measured,
            )
            self._units[device].reading = reading
            self._events.reading(reading)
        self._more.commodities(device, readings, now)

    def delivery(self, device: str, delivery: Delivery) -> None:
        """Tell who waits for it, and pass it on."""
        for future in self._units[device].waiting:
            if not future.done():
                future.set_result(delivery)
        self._more.delivery(device, delivery)

    # -- inside

    async def _follow(self, unit: Unit, now: datetime) -> CommandResult:
        """Give the device its orders; wait for its answer if there is something for it to do now."""
        for key in [key for key, schedule in unit.schedules.items() if not caps.orders(schedule, _ANY, now)]:
            del unit.schedules[key]
        orders = unit.all_orders(now)
        if unit.module.facts is None:
            unit.module.follow(orders)
            return self._result(CommandOutcome.OFFLINE, "no answer from the device")
        if (closed := unit.module.closed_as(orders)) is not None:
            unit.module.follow(orders)
            return self._result(_RESULTS[closed], closed.value)
        if not unit.module.will_act(orders):
            unit.module.follow(orders)
            return self._result(CommandOutcome.ACCEPTED, "kept until it is due")
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        unit.waiting.append(future)
        unit.module.follow(orders)
        try:
            async with asyncio.timeout(ANSWER_S):
                delivery = await future
        except TimeoutError:
            return self._result(CommandOutcome.TIMEOUT, f"no answer in {ANSWER_S:.0f} s")
        finally:
            unit.waiting.remove(future)
        detail = " ".join(filter(None, (delivery.outcome.value, delivery.sent, delivery.detail)))
        return self._result(_RESULTS[delivery.outcome], detail)

    def _result(self, outcome: CommandOutcome, detail: str) -> CommandResult:
        return CommandResult(outcome=outcome, detail=detail, at=self._clock.now())


class _Door:
    """Passes on to the module what its port tells: each needs the other to be made."""

    module: Module

    def up(self) -> None:
        self.module.up()

    def down(self, reason: str) -> None:
        self.module.down(reason)

    def heard(self, message: Message) -> None:
        self.module.heard(message)
