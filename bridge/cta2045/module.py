"""The module of one CTA-2045 device: start-up, heartbeat, orders carried out and ended, state and readings told upward.

Rule: one task speaks to the device, one thing after the other, so that nothing overtakes. The bridge's clock owns every
event; what stands on the device is in ``Memory`` before it is sent. ACK is not effect: after a command the operational
state is asked for until it shows it or the time is up (CTA-04).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

import structlog

from bridge.cta2045 import commands, inbox
from bridge.cta2045.bodies import Utc
from bridge.cta2045.commands import Basic, Comm, Guidance, Op
from bridge.cta2045.curtail import Curtailer
from bridge.cta2045.delivery import Delivery, OrderOutcome, Patience
from bridge.cta2045.dialogue import Dialogue, Exchanges, Facts
from bridge.cta2045.energy import Commodity
from bridge.cta2045.frames import Message
from bridge.cta2045.ladder import OPTED_OUT, Answer, DeviceModel
from bridge.cta2045.memory import Memory, Standing
from bridge.cta2045.orders import Order
from bridge.cta2045.values import OperationalState
from runtime.clock import Clock

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The module's own times, in seconds."""

    heartbeat_s: float = 180.0  # Outside Comm Status: every 1 to 5 minutes (CTA-07)
    poll_s: float = 60.0  # state and readings
    find_s: float = 10.0  # between attempts to find a device on an open port
    gone_after: int = 3  # heartbeats or polls without an answer: the device is away


class Listener(Protocol):
    """What a module tells the bridge. Callbacks return at once and never raise."""

    def connected(self, device: str, facts: Facts, now: datetime) -> None:
        """The device is there and has been told the status."""
        ...

    def disconnected(self, device: str, now: datetime) -> None:
        """The device does not answer any more, or its port is gone."""
        ...

    def state(self, device: str, state: OperationalState, now: datetime) -> None:
        """The device's operational state, whenever it is told."""
        ...

    def override(self, device: str, on: bool, now: datetime) -> None:
        """The customer overrides (CTA-09), or no longer does."""
        ...

    def commodities(self, device: str, readings: tuple[Commodity, ...], now: datetime) -> None:
        """Readings, measured or estimated."""
        ...

    def delivery(self, device: str, delivery: Delivery) -> None:
        """How an order goes: taken, followed, refused, overridden, no answer."""
        ...


class Module:
    """One device. Give it orders and the status of the upstream; it tells its ``Listener``."""

    def __init__(
        self,
        device: str,
        *,
        port: Exchanges,
        memory: Memory,
        listener: Listener,
        clock: Clock,
        zone: tzinfo,
        model: Callable[[Facts], DeviceModel] = lambda _: DeviceModel(),
        rhythm: Rhythm | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.device = device
        self.facts: Facts | None = None
        self.state: OperationalState | None = None
        self.overridden = False
        self.seen: datetime | None = None
        self.override_known = False  # the device said so or otherwise since the start
        self._seen_override = False  # known by the state alone
        self.dialogue = Dialogue(port)
        self.memory, self.clock = memory, clock
        self._port = port
        self._listener = listener
        self._zone = zone
        self._model = model
        self._rhythm = rhythm or Rhythm()
        self._curtailer = Curtailer(self, patience)
        self._comm = Comm.GOOD
        self._silent = 0  # exchanges in a row without an answer
        self._up = asyncio.Event()
        self._wake = asyncio.Event()
        self._restart = False
        self._asleep = False  # the device said so: its silence means nothing
        self._say: list[Basic] = []  # owed to the device
        self._standing_words: dict[Op, Basic] = {}  # guidance and prices, told again after a wake
        self._price_ends: datetime | None = None
        self._beat_at = self._poll_at = self._sync_at = clock.now()
        self._log = _log.bind(device=device)

    # -- what the bridge asks

    def follow(self, orders: Iterable[Order]) -> None:
        """These are all orders from now on; those in force and to come."""
        self._curtailer.orders = tuple(orders)
        self._wake.set()

    @property
    def orders(self) -> tuple[Order, ...] | None:
        """The orders as the bridge last gave them, ``None`` if it has not since the start."""
        return self._curtailer.orders

    @property
    def standing(self) -> Standing | None:
        """The curtailment that stands on the device."""
        return self._curtailer.standing

    @property
    def upstream(self) -> Comm:
        """What the device is told of the upstream."""
        return self._comm

    def will_act(self, orders: Iterable[Order]) -> bool:
        """Tell whether the device would be sent something at once, had it these orders."""
        return self._curtailer.would_send(orders, self.clock.now())

    def closed_as(self, orders: Iterable[Order]) -> OrderOutcome | None:
        """Return why the device is not sent what is in force: it refused, or its customer overrides."""
        return self._curtailer.closed_as(orders, self.clock.now())

    def set_upstream(self, status: Comm) -> None:
        """Tell the device at once how the upstream is, and with every heartbeat (CTA-07)."""
        if status is not self._comm:
            self._comm, self._beat_at = status, self.clock.now()
            self._wake.set()

    def tell_prices(self, present: float | None, following: float | None, left_s: float | None) -> None:
        """Tell the relative prices: at the beginning of a price period (CTA-13)."""
        words = commands.prices(present, following, left_s)
        self._price_ends = None if left_s is None else self.clock.now() + timedelta(seconds=left_s)
        self._standing_words |= {basic.op: basic for basic in words}
        self._say += words
        self._wake.set()

    def guide(self, value: Guidance) -> None:
        """Tell the grid guidance."""
        basic = commands.guidance(value)
        self._standing_words[Op.GRID_GUIDANCE] = basic
        self._say.append(basic)
        self._wake.set()

    # -- what the port tells

    def up(self) -> None:
        """The port is open."""
        self._up.set()
        self._wake.set()

    def down(self, reason: str) -> None:
        """The port is gone."""
        self._up.clear()
        self._restart = True
        self._wake.set()

    def heard(self, message: Message) -> None:
        """The device says something by itself: answered at once."""
        now = self.clock.now()
        heard = inbox.take(message, self._utc(now))
        if heard.reply is not None:
            self._port.reply(heard.reply)
        self.seen = now
        if heard.state is not None:
            self.learn_state(heard.state, now)
        if heard.override is not None:
            self.learn_override(heard.override, now)
        if heard.commodities:
            self._listener.commodities(self.device, heard.commodities, now)
        if heard.wants_all:
            self._refresh(now)
        self._restart = self._restart or heard.restarts
        self._asleep = heard.asleep
        self._wake.set()

    # -- the life of the module

    async def run(self) -> None:
        """Be the module until cancelled. The port runs beside this."""
        while not await self._guarded(self._curtailer.load()):
            await self.clock.sleep(self._rhythm.find_s)
        while True:
            await self._up.wait()
            self._restart = False
            self._wake.clear()
            facts = await self.dialogue.discover()
            if facts is None or self._restart:
                await self._rest(self._rhythm.find_s)
                continue
            await self._serve(facts)

    async def _serve(self, facts: Facts) -> None:
        """Serve a device that answers until it goes away or starts anew."""
        now = self.clock.now()
        self.facts, self.seen, self._silent = facts, now, 0
        self._curtailer.begin(self._model(facts), facts)
        self._refresh(now)
        self._log.info("device found", model=facts.info.model if facts.info else "", payload=facts.payload)
        self._listener.connected(self.device, facts, now)
        try:
            while not self._restart and self._silent < self._rhythm.gone_after:
                self._wake.clear()
                now = self.clock.now()
                if not await self._guarded(self._turn(now)):
                    await self.clock.sleep(self._rhythm.find_s)
        finally:
            self.facts = None
            self._listener.disconnected(self.device, self.clock.now())

    async def _turn(self, now: datetime) -> None:
        """Do what is due, or wait until something is."""
        if not await self._step(now):
            await self._rest((self._due(now) - now).total_seconds())

    async def _guarded(self, work: Awaitable[None]) -> bool:
        """Do ``work``; a fault on our side (the memory's disk, say) is logged and tried again, and ends no device."""
        try:
            await work
        except Exception:
            self._log.exception("the module failed; trying again")
            return False
        return True

    async def _step(self, now: datetime) -> bool:
        """Do the most urgent thing that is due; False if nothing is."""
        if now >= self._beat_at:
            self._beat_at = now + timedelta(seconds=self._rhythm.heartbeat_s)
            self._count(await self.dialogue.command(commands.comm_status(self._comm)))
        elif await self._curtailer.step(now):
            pass
        elif self._say:
            await self.dialogue.command(self._say.pop(0))
        elif now >= self._sync_at:
            self._sync_at = _next_hour(now)
            await self.dialogue.command(commands.sync(now.astimezone(self._zone)))
        elif now >= self._poll_at:
            self._poll_at = now + timedelta(seconds=self._rhythm.poll_s)
            await self._poll()
        else:
            return False
        return True

    def _due(self, now: datetime) -> datetime:
        dues = (self._beat_at, self._poll_at, self._sync_at, self._curtailer.due(now))
        return min(at for at in dues if at is not None)

    async def _rest(self, seconds: float) -> None:
        """Sleep until the time is over or something happens."""
        sleeping = asyncio.ensure_future(self.clock.sleep(seconds))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    async def _poll(self) -> None:
        await self.ask_state()
        if self.facts is not None and self.facts.intermediate and not self._restart:
            readings = await self.dialogue.commodities()
            if readings:
                self._listener.commodities(self.device, readings, self.clock.now())

    async def ask_state(self) -> tuple[bool, OperationalState | None]:
        """Ask for the operational state and tell it: (answered, the state if it is a known one)."""
        answered, state = await self.dialogue.state()
        self._count(Answer.TAKEN if answered else Answer.DOUBT)
        if state is not None:
            self.learn_state(state, self.clock.now())
        return answered, state

    def learn_state(self, state: OperationalState, now: datetime) -> None:
        """Note a state. Opted out is an override; another state ends only an override that a state told of."""
        if state is not self.state:
            self._log.info("operational state", state=state.name.lower())
        self.state = state
        self._listener.state(self.device, state, now)
        self._curtailer.saw(state, now)
        self.override_known = True
        out = state in OPTED_OUT
        if out and not self.overridden:
            self.learn_override(True, now)
            self._seen_override = True
        elif not out and self._seen_override:
            self.learn_override(False, now)

    def learn_override(self, on: bool, now: datetime) -> None:
        """Note that the customer overrides, or no longer does: then what is in force is sent again."""
        self._seen_override, self.override_known = False, True
        if on is not self.overridden:
            self.overridden = on
            self._log.info("customer override", on=on)
            self._listener.override(self.device, on, now)
            if not on:
                self._curtailer.again()

    def tell(self, delivery: Delivery) -> None:
        """Tell how an order goes."""
        self._log.info("order", key=delivery.key, outcome=delivery.outcome, sent=delivery.sent)
        self._listener.delivery(self.device, delivery)

    def owe(self, *words: Basic) -> None:
        """Send these when nothing is more urgent."""
        self._say += words

    def _count(self, answer: Answer) -> None:
        if answer in (Answer.DOUBT, Answer.UNSENT):
            self._silent += not self._asleep
        else:
            self._silent, self.seen = 0, self.clock.now()

    def _refresh(self, now: datetime) -> None:
        """All that the device should know is due now: status, event, guidance, prices, time, in this order (CTA-08)."""
        self._beat_at = self._poll_at = self._sync_at = now
        self._curtailer.again()
        words = self._standing_words
        if self._price_ends is not None and Op.PRICE_TIME_LEFT in words:
            left = (self._price_ends - now).total_seconds()
            words[Op.PRICE_TIME_LEFT] = commands.event(Op.PRICE_TIME_LEFT, max(left, 0.0))
        self._say = list(words.values())

    def _utc(self, now: datetime) -> Utc:
        local = now.astimezone(self._zone)
        offset, dst = local.utcoffset() or timedelta(), local.dst() or timedelta()
        quarter = timedelta(minutes=15)
        return Utc(at=now, zone_quarters=(offset - dst) // quarter, dst_quarters=dst // quarter)


def _next_hour(now: datetime) -> datetime:
    """Return the next whole hour of UTC; zones that lie half an hour off are told at their half hour."""
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
