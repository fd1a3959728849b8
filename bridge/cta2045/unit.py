"""One CTA-2045 device as the fleet keeps it: what is told of it, what it is asked for, and who listens to it.

Rule: values and Protocols; whatever a device is asked for is worked out in one place, ``Unit.all_orders``.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from bridge.cta2045 import caps
from bridge.cta2045.commands import Comm
from bridge.cta2045.delivery import Delivery
from bridge.cta2045.dialogue import Facts
from bridge.cta2045.energy import Commodity
from bridge.cta2045.ladder import DeviceModel, model_for
from bridge.cta2045.mapping import Words
from bridge.cta2045.memory import Standing
from bridge.cta2045.meter import Meter
from bridge.cta2045.module import Module
from bridge.cta2045.orders import Order, in_force
from bridge.cta2045.serial import SerialPort
from bridge.cta2045.values import OperationalState, device_name
from bridge.target import LimitSchedule, MeterReading


@dataclass(frozen=True, slots=True, kw_only=True)
class CtaDevice:
    """One device: its identity, its port (see ``serial.address``), and the installer's maximum in A per phase.

    ``least_a`` is what it can run at if not off: 6 A for a charger (MAP-09).
    """

    identity: str
    port: str
    reference_a: float
    least_a: float = 0.0
    echo: bool = False
    tls: ssl.SSLContext | None = None
    model: DeviceModel | None = None  # in place of the table


class CtaEvents(Protocol):
    """What only this family tells, beyond ``FleetEvents``. Callbacks return at once and never raise."""

    def override(self, identity: str, on: bool, now: datetime) -> None:
        """The customer overrides, or no longer does (CTA-09)."""
        ...

    def state(self, identity: str, state: OperationalState, now: datetime) -> None:
        """The operational state."""
        ...

    def commodities(self, identity: str, readings: tuple[Commodity, ...], now: datetime) -> None:
        """All readings, with their quality: measured or estimated."""
        ...

    def delivery(self, identity: str, delivery: Delivery) -> None:
        """How an order goes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that is known of one device, for people: ``order`` is asked for now, ``standing`` was sent."""

    identity: str
    port: str
    open: bool
    facts: Facts | None
    state: OperationalState | None
    overridden: bool
    upstream: Comm
    seen: datetime | None
    order: Order | None
    standing: Standing | None
    bit_rate: int
    deaf_s: float


class Phrasing(Protocol):
    """How limits are said to a device, and what it is asked for beyond them. Pure: asked often."""

    def words(self, identity: str, at: datetime, limit_a: float) -> Words:
        """Return how a limit is said that is in force at ``at``."""
        ...

    def more(self, identity: str, now: datetime) -> tuple[Order, ...]:
        """Return what is wanted that is no limit: more load."""
        ...


@dataclass(slots=True, kw_only=True)
class Unit:
    """One device at work."""

    device: CtaDevice
    module: Module
    port: SerialPort
    phrasing: Phrasing | None = None
    schedules: dict[int, LimitSchedule] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    waiting: list[asyncio.Future[Delivery]] = field(default_factory=list)
    connected_since: datetime | None = None
    reading: MeterReading | None = None

    def all_orders(self, now: datetime) -> tuple[Order, ...]:
        """Everything that the device is asked for from ``now`` on."""
        more = () if self.phrasing is None else self.phrasing.more(self.device.identity, now)
        limits = (each for schedule in self.schedules.values() for each in caps.orders(schedule, self._say(), now))
        return (*limits, *more, *self.orders.values())

    def look(self, now: datetime) -> Look:
        """Return everything known of the device."""
        module, link = self.module, self.port.link
        return Look(
            identity=self.device.identity,
            port=self.device.port,
            open=self.port.is_up,
            facts=module.facts,
            state=module.state,
            overridden=module.overridden,
            upstream=module.upstream,
            seen=module.seen,
            order=None if module.orders is None else in_force(module.orders, now),
            standing=module.standing,
            bit_rate=link.bit_rate,
            deaf_s=link.deaf_s,
        )

    def _say(self) -> caps.Say:
        if self.phrasing is None:
            return caps.share_of(self.device.reference_a)
        return partial(self.phrasing.words, self.device.identity)


def model_of(device: CtaDevice, models: Mapping[str, DeviceModel], facts: Facts) -> DeviceModel:
    """Return what is known of the device's model: told for this device, else by the table; its least share in any case.

    A limit between nothing and that share is no fault of the device (decision 9).
    """
    model = device.model
    if model is None:
        info = facts.info
        model = DeviceModel() if info is None else model_for(models, info.model, device_name(info.device_type))
    return replace(model, floor=max(model.floor, min(device.least_a / device.reference_a, 1.0)))
