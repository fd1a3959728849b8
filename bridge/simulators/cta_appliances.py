"""What CTA-2045 devices do with commands: an EVSE and a water heater, as models without protocol, I/O or clock.

Rule: time is a number of seconds that is handed in; an appliance takes a load command or refuses it, and its state and
power follow from it second by second. What a command means in amperes is the model's own, not the standard's.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from bridge.cta2045.commands import LOAD_EVENTS, REDUCTIONS, AppNak, Basic, Guidance, Op
from bridge.cta2045.energy import Commodity, LoadUp
from bridge.cta2045.values import CommodityCode, OperationalState

OVERRIDE_S = 12 * 3600.0  # the button covers the running event and the next 12 h (CTA-09)
_STEP_S = 60.0  # the longest step of a model


@dataclass(slots=True, kw_only=True)
class Appliance(ABC):
    """What both have: the event in force, the customer's override, and the watch over the module's heartbeat."""

    now: float = 0.0
    comm_timeout_s: float = 300.0  # without Outside Comm Status for so long, the event is dropped
    naks_when_overridden: bool = False  # App NAK 05; else App ACK, and Customer Override right after
    event: Op | None = None
    share: float = 1.0  # of a power level
    ends_at: float | None = None
    overridden_until: float | None = None
    comm_at: float | None = None
    energy_wh: float = 0.0
    price: float | None = None
    guidance: Guidance | None = None

    @property
    @abstractmethod
    def power_w(self) -> float:
        """What it takes now."""

    @abstractmethod
    def commodities(self) -> tuple[Commodity, ...]:
        """Its readings."""

    @abstractmethod
    def _run(self, seconds: float) -> None:
        """Let so many seconds pass under the event in force."""

    def _follows(self) -> bool:
        """Tell whether a power level is followed."""
        return True

    @property
    def overridden(self) -> bool:
        """The customer wants no reduction now."""
        return self.overridden_until is not None and self.now < self.overridden_until

    @property
    def effective(self) -> Op | None:
        """The event that has effect: nobody overrides a grid emergency (CTA-11)."""
        if self.overridden and self.event in REDUCTIONS - {Op.GRID_EMERGENCY}:
            return None
        return self.event

    @property
    def state(self) -> OperationalState:
        """What it says when asked."""
        running = self.power_w > 0
        if self.overridden and self.effective is None:
            return OperationalState.RUNNING_OPTED_OUT if running else OperationalState.IDLE_OPTED_OUT
        match self.effective:
            case None:
                return OperationalState.RUNNING_NORMAL if running else OperationalState.IDLE_NORMAL
            case Op.LOAD_UP:
                return OperationalState.RUNNING_HEIGHTENED if running else OperationalState.IDLE_HEIGHTENED
            case Op.POWER_LEVEL:
                follows = self._follows()
                return OperationalState.VARIABLE_FOLLOWING if follows else OperationalState.VARIABLE_NOT_FOLLOWING
            case _:
                return OperationalState.RUNNING_CURTAILED if running else OperationalState.IDLE_CURTAILED

    def advance(self, now: float) -> None:
        """Let time pass up to ``now``."""
        while self.now < now:
            until = min(now, self.now + _STEP_S)
            if self.ends_at is not None:
                until = min(until, max(self.ends_at, self.now))
            before = self.power_w
            self._run(until - self.now)
            self.energy_wh += before * (until - self.now) / 3600
            self.now = until
            self._expire()

    def command(self, basic: Basic, now: float) -> AppNak | None:
        """Take a command of Basic DR; returns why not, if not."""
        self.advance(now)
        if basic.op in REDUCTIONS and basic.op is not Op.GRID_EMERGENCY and self.overridden:
            self._begin(basic)
            return AppNak.OVERRIDE if self.naks_when_overridden else None
        if basic.op in LOAD_EVENTS:
            self._begin(basic)
        elif basic.op is Op.END_SHED:
            self.end()
        elif basic.op is Op.COMM_STATUS:
            self.comm_at = now if basic.operand else None
            if not basic.operand:
                self.end()
        elif basic.op is Op.PRESENT_PRICE:
            self.price = basic.price
        elif basic.op is Op.GRID_GUIDANCE:
            self.guidance = Guidance(basic.operand)
        return None

    def load_up(self, order: LoadUp, now: float) -> None:
        """Take an advanced load up."""
        self.advance(now)
        self.event, self.ends_at = Op.LOAD_UP, now + order.minutes * 60

    def end(self) -> None:
        """Go back to normal."""
        self.event, self.ends_at, self.share = None, None, 1.0

    def press_override(self, now: float, on: bool = True) -> None:
        """The customer presses the button, or takes it back."""
        self.advance(now)
        self.overridden_until = now + OVERRIDE_S if on else None

    def _begin(self, basic: Basic) -> None:
        length = None if basic.op is Op.POWER_LEVEL else basic.duration_s
        self.event, self.ends_at = basic.op, None if length is None else self.now + length
        self.share = basic.share if basic.op is Op.POWER_LEVEL else 1.0

    def _expire(self) -> None:
        if self.overridden_until is not None and self.now >= self.overridden_until:
            self.overridden_until = None
        if self.ends_at is not None and self.now >= self.ends_at:
            self.end()
        if self.comm_at is not None and self.now - self.comm_at >= self.comm_timeout_s:
            self.comm_at = None
            self.end()


@dataclass(slots=True, kw_only=True)
class Evse(Appliance):
    """A charging point. ``reference_a`` is the installer's maximum, of which the percentages count (decision 4)."""

    reference_a: float = 32.0
    shed: float = 0.5
    critical_peak: float = 0.25
    min_a: float = 6.0  # SAE J1772, IEC 61851: below this no car charges
    phases: int = 1
    voltage: float = 240.0
    connected: bool = True
    wants_a: float = 32.0

    @property
    def limit_a(self) -> float:
        """What it offers to the car."""
        match self.effective:
            case Op.SHED:
                return max(self.reference_a * self.shed, self.min_a)
            case Op.CRITICAL_PEAK:
                return max(self.reference_a * self.critical_peak, self.min_a)
            case Op.GRID_EMERGENCY:
                return 0.0
            case Op.POWER_LEVEL if self.share <= 0:
                return 0.0
            case Op.POWER_LEVEL:
                return max(self.reference_a * self.share, self.min_a)
            case _:
                return self.reference_a

    @property
    def power_w(self) -> float:
        """What the car takes."""
        return min(self.limit_a, self.wants_a) * self.phases * self.voltage if self.connected else 0.0

    def commodities(self) -> tuple[Commodity, ...]:
        """Consumption, measured, and the rating."""
        rated = round(self.reference_a * self.phases * self.voltage)
        return (
            Commodity(
                code=CommodityCode.CONSUMED, measured=True, rate=round(self.power_w), cumulative=int(self.energy_wh)
            ),
            Commodity(code=CommodityCode.RATED_CONSUMPTION, measured=True, rate=rated, cumulative=0),
        )

    def _follows(self) -> bool:
        return self.share <= 0 or self.reference_a * self.share >= self.min_a

    def _run(self, seconds: float) -> None:
        """A charging point stores nothing."""


@dataclass(slots=True, kw_only=True)
class WaterHeater(Appliance):
    """A tank with one element: it heats below the level where heating begins and stops when full."""

    element_w: float = 4500.0
    capacity_wh: float = 12_000.0
    stored_wh: float = 9_000.0
    use_w: float = 400.0  # hot water drawn, on average
    begins: dict[Op | None, float] = field(
        default_factory=lambda: {None: 0.9, Op.SHED: 0.6, Op.CRITICAL_PEAK: 0.4, Op.GRID_EMERGENCY: 0.0}
    )
    heating: bool = False

    @property
    def power_w(self) -> float:
        """What the element takes."""
        return self.element_w * (max(self.share, 0.0) if self.effective is Op.POWER_LEVEL else 1) if self.heating else 0

    def commodities(self) -> tuple[Commodity, ...]:
        """Consumption by the element's rating (an estimate), and what the tank holds."""
        return (
            Commodity(
                code=CommodityCode.CONSUMED, measured=False, rate=round(self.power_w), cumulative=int(self.energy_wh)
            ),
            Commodity(code=CommodityCode.STORAGE_TOTAL, measured=True, rate=0, cumulative=int(self.capacity_wh)),
            Commodity(
                code=CommodityCode.STORAGE_NOW,
                measured=True,
                rate=0,
                cumulative=max(0, int(self.capacity_wh - self.stored_wh)),
            ),
        )

    def command(self, basic: Basic, now: float) -> AppNak | None:
        """Take a command and look at the thermostat at once."""
        refused = Appliance.command(self, basic, now)
        self._thermostat()
        return refused

    def load_up(self, order: LoadUp, now: float) -> None:
        """Take an advanced load up and look at the thermostat at once."""
        Appliance.load_up(self, order, now)
        self._thermostat()

    def press_override(self, now: float, on: bool = True) -> None:
        """As for every appliance."""
        Appliance.press_override(self, now, on)
        self._thermostat()

    def _thermostat(self) -> None:
        if self.effective is Op.LOAD_UP:
            self.heating = self.stored_wh < self.capacity_wh
            return
        begins = self.begins.get(self.effective, 0.9) * self.capacity_wh
        if self.stored_wh < begins:
            self.heating = True
        elif self.stored_wh >= self.capacity_wh or self.effective in (Op.SHED, Op.CRITICAL_PEAK, Op.GRID_EMERGENCY):
            self.heating = False

    def _run(self, seconds: float) -> None:
        self.stored_wh += (self.power_w - self.use_w) * seconds / 3600
        self.stored_wh = min(max(self.stored_wh, 0.0), self.capacity_wh)
        self._thermostat()
