"""The events of the demonstration: what is asked for, when, of whom; and which of them overlap.

Rule: times are seconds from the publication, compressed; the wire carries them as an operator would give them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from examples.demo.fleet import AGGREGATOR, AGGREGATOR_KW, FEEDER, PROXIED, DemoCharger
from examples.demo.site import DISPATCH, EMERGENCY, MARKET_CONTEXT, TARIFF

WHOLE_FLEET = "demo-fleet"  # the group of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One event of the demonstration; times in seconds, compressed. ``group`` is whom it is for."""

    key: str
    title: str
    signal_name: str
    signal_type: str
    value: float
    in_s: int
    duration_s: int
    startafter_s: int
    context: str = MARKET_CONTEXT
    group: str = WHOLE_FLEET
    unit: tuple[tuple[str, str], ...] = ()  # itemBase, where the signal needs one
    together_kw: float | None = None  # what all chargers of the event may draw together

    def among(self, fleet: Iterable[DemoCharger]) -> tuple[DemoCharger, ...]:
        """Return the chargers that it is for."""
        return tuple(each for each in fleet if self.group == WHOLE_FLEET or self.group in each.groups)

    @property
    def ends_s(self) -> int:
        """Seconds from its publication to its latest end."""
        return self.in_s + self.startafter_s + self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """An act that the VTN holds as an event; ``start`` is its dtstart."""

    act: Act
    event_id: str
    start: datetime
    changed: bool = False  # it ends earlier than it was published to


SIMPLE = Act(
    key="simple",
    title="SIMPLE level 2 (half of the installed maximum)",
    signal_name="SIMPLE",
    signal_type="level",
    value=2.0,
    in_s=8,
    duration_s=32,
    startafter_s=3,
)
CAPACITY = Act(
    key="capacity",
    title="LOAD_CONTROL x-loadControlCapacity 0.25 (a quarter of the installed maximum)",
    signal_name="LOAD_CONTROL",
    signal_type="x-loadControlCapacity",
    value=0.25,
    in_s=6,
    duration_s=26,
    startafter_s=3,
)
# It begins when the dispatch has been divided and seen by meter, and ends before it: who limits whom is no chance.
CURTAILMENT = replace(
    CAPACITY, key="curtailment", title=f"curtailment: {CAPACITY.title}", in_s=12, duration_s=22, startafter_s=2
)
SOLD = Act(
    key="dispatch",
    title=f"aggregator: LOAD_DISPATCH setpoint {AGGREGATOR_KW:g} kW for all of its chargers together",
    signal_name="LOAD_DISPATCH",
    signal_type="setpoint",
    value=AGGREGATOR_KW,
    in_s=4,
    duration_s=36,
    startafter_s=1,
    context=DISPATCH,
    group=AGGREGATOR,
    unit=(("kind", "powerReal"), ("siScaleCode", "k")),
    together_kw=AGGREGATOR_KW,
)
CUT = Act(
    key="emergency",
    title=f"emergency: no supply for {FEEDER}, at once and in the middle of the curtailment",
    signal_name="LOAD_CONTROL",
    signal_type="x-loadControlCapacity",
    value=0.0,
    in_s=18,
    duration_s=20,
    startafter_s=0,
    context=EMERGENCY,
    group=FEEDER,
)
PRICE = Act(
    key="price",
    title="price: ENERGY_PRICE 0.55 EUR/kWh, for which the programme has no rule",
    signal_name="ENERGY_PRICE",
    signal_type="price",
    value=0.55,
    in_s=6,
    duration_s=30,
    startafter_s=0,
    context=TARIFF,
    unit=(("kind", "currencyPerKWh"), ("itemUnits", "EUR")),
)
SHORT = replace(
    SIMPLE,
    key="short",
    title="SIMPLE level 2 for three chargers, one of which the CPO itself limits further",
    in_s=4,
    duration_s=12,
    startafter_s=0,
    group=PROXIED,
)
OVERLAP = (CURTAILMENT, SOLD, CUT, PRICE)
