"""The rules a programme may give a signal, one model a rule: which values it takes and what each asks for; pure.

Rule: a value out of range is refused with 454, a unit that the rule does not take with 460 (EVT-05). LevelOffset and
PercentOffset have opposite senses, and neither is a capacity (table 3.2).
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from bridge.asks import EXPORT, MORE, NORMAL, Ask, Basis, Effect, reduced
from bridge.baserule import MOST_W, Rule, Strict
from bridge.resources import Kind, Resource
from openadr.errors import InvalidData, SignalNotSupported
from openadr.model import Signal, SignalType

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class LevelsRule(Rule):
    """A step signal: level 0 is normal operation, each other level a fraction of the reference, or ``more`` load."""

    rule: Literal["levels"]
    levels: dict[str, Fraction | Literal["more"]] = Field(description="level = fraction of the reference, or 'more'")
    reference: Basis = Basis.FIXED

    @field_validator("levels")
    @classmethod
    def _levels_are_steps(cls, value: dict[str, float | Literal["more"]]) -> dict[str, float | Literal["more"]]:
        for key in value:
            if not key.removeprefix("-").isdecimal() or str(int(key)) != key or key == "0":
                raise ValueError(f"{key!r} is no level: use 1, 2, 3 (0 is normal operation and has no cap)")
        if not value:
            raise ValueError("needs at least one level")
        return value

    @model_validator(mode="after")
    def _higher_is_less_load(self) -> Self:
        if self.type is not SignalType.LOAD_CONTROL_LEVEL_OFFSET:
            return self
        share = {int(key): math.inf if each == "more" else each for key, each in self.levels.items()}
        for low, high in pairwise(sorted(share)):
            if share[high] > share[low]:
                raise ValueError(f"levels: {high} asks for more load than {low}; a higher level offset is less load")
        return self

    def check(self, signal: Signal, value: float) -> None:
        """Refuse what is neither 0 nor a level of the table."""
        known = math.isfinite(value) and value == int(value) and (value == 0 or str(int(value)) in self.levels)
        if not known:
            text = f"{self.name} level {value:g} is not 0 or one of {', '.join(self.levels)}"
            raise InvalidData(text, field="value")

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Look the level up."""
        self.check(signal, value)
        share = None if value == 0 else self.levels[str(int(value))]
        if share is None:
            return NORMAL
        if share == "more":
            return MORE
        milder = {each for each in self.levels.values() if each != "more" and share < each < 1}
        return replace(reduced(share, self.reference), step=len(milder))


DRM_FRACTION: Mapping[int, float] = {0: 0.0, 1: 0.0, 2: 0.5, 3: 0.75}
"""Import allowed by DRM 0 to 3 of AS/NZS 4755 as a fraction of the reference (table 3.1)."""

NO_DRM = -1.0  # an interval without a demand response mode: DRM 0 is not normal operation


class DrmRule(Rule):
    """The modes of AS/NZS 4755 by number: 0 to 3 limit import, 4 asks for it, 5 to 8 are about export; -1 is none."""

    rule: Literal["drm"]
    reference: Basis = Basis.FIXED

    def check(self, signal: Signal, value: float) -> None:
        """Refuse other numbers."""
        if value not in (NO_DRM, *range(9)):
            raise InvalidData(f"{self.name} {value:g} is no demand response mode: 0 to 8, or -1", field="value")

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return the mode's meaning; DRM 0 is carried out as DRM 1, for nothing here opens a contactor."""
        self.check(signal, value)
        if value == NO_DRM:
            return NORMAL
        if value >= 4:
            return MORE if value == 4 else EXPORT
        note = "carried out as DRM 1: no disconnection device" if value == 0 else ""
        share = DRM_FRACTION[int(value)]
        milder = {each for each in DRM_FRACTION.values() if each > share}
        return replace(reduced(share, self.reference, note), step=len(milder))


class CapacityRule(Rule):
    """A fraction of the fixed installed maximum, 0.0 to 1.0 (table 3.2, x-loadControlCapacity)."""

    rule: Literal["capacity"]

    def check(self, signal: Signal, value: float) -> None:
        """Refuse what is outside 0..1."""
        if not 0.0 <= value <= 1.0:
            raise InvalidData(f"{self.what} {value:g} is outside 0.0 to 1.0", field="value")

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return the fraction itself."""
        self.check(signal, value)
        return reduced(value, Basis.FIXED)


class PercentRule(Rule):
    """A change of the load in percent of the reference: -50 is half, lower is less load; above 0 asks for more."""

    rule: Literal["percent"]
    reference: Basis = Basis.DYNAMIC

    def check(self, signal: Signal, value: float) -> None:
        """Refuse NaN and INF."""
        self.finite(value)

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return 1 + p/100 of the reference; below -100 % is export."""
        self.check(signal, value)
        if value > 0:
            return MORE
        return EXPORT if value < -100 else reduced((100 + value) / 100, self.reference)


class MultiplierRule(Rule):
    """A multiple of the reference: 0.5 is half; above 1 asks for more, below 0 for export."""

    rule: Literal["multiplier"]
    reference: Basis = Basis.DYNAMIC

    def check(self, signal: Signal, value: float) -> None:
        """Refuse NaN and INF."""
        self.finite(value)

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return the multiple."""
        self.check(signal, value)
        if value > 1:
            return MORE
        return EXPORT if value < 0 else reduced(value, self.reference)


class SetpointRule(Rule):
    """An absolute power, carried out as an upper limit: of each resource, or of all of the event together."""

    rule: Literal["setpoint"]
    applies_to: Literal["each", "together"] = "each"

    def check(self, signal: Signal, value: float) -> None:
        """Refuse what is no real power."""
        self.power_w(signal, value)

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return the power; below 0 it is export."""
        power_w = self.power_w(signal, value)
        if power_w < 0:
            return EXPORT
        effect = Effect.CONSTRAIN if power_w else Effect.STOP
        return Ask(effect=effect, offset_w=power_w, together=self.applies_to == "together" and power_w > 0)


class DeltaRule(Rule):
    """A change of the power against the reference: below 0 less load, above 0 asks for more.

    A change of all together is divided by installed power.
    """

    rule: Literal["delta"]
    reference: Basis = Basis.DYNAMIC
    applies_to: Literal["each", "together"] = "each"

    def check(self, signal: Signal, value: float) -> None:
        """Refuse what is no real power."""
        self.power_w(signal, value)

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return reference + d; a load cannot go below 0."""
        power_w = self.power_w(signal, value)
        if power_w > 0:
            return MORE
        together = self.applies_to == "together"
        return Ask(effect=Effect.CONSTRAIN, fraction=1.0, offset_w=power_w, basis=self.reference, together=together)


class DeviceSetpointRule(Rule):
    """A set-point whose meaning the programme declares for each kind of resource; other kinds do not take part."""

    rule: Literal["device_setpoint"]
    meaning: dict[Kind, Literal["A", "W", "kW", "fraction"]] = Field(min_length=1)

    def serves(self, resource: Resource, *, content_known: bool) -> bool:
        """True for the kinds that have a meaning."""
        return resource.kind in self.meaning

    def check(self, signal: Signal, value: float) -> None:
        """Refuse what is below 0 or no number."""
        if not 0 <= value <= MOST_W:
            raise InvalidData(f"{self.what} {value:g} is below 0 or no number", field="value")

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return the value by the meaning it has for this kind."""
        self.check(signal, value)
        unit = self.meaning[resource.kind]
        if unit == "fraction":
            return reduced(min(value, 1.0), Basis.FIXED)
        factor = {"A": resource.phases * resource.voltage, "W": 1.0, "kW": 1000.0}[unit]
        return Ask(effect=Effect.CONSTRAIN if value else Effect.STOP, offset_w=value * factor)


class ChargeStateRule(Rule):
    """An energy content to reach by the end of the interval; only where the content is known (TEL-10)."""

    rule: Literal["charge_state"]

    @property
    def dynamic(self) -> bool:
        """True: the content is taken at the start."""
        return True

    def serves(self, resource: Resource, *, content_known: bool) -> bool:
        """True where the state of charge is known."""
        return content_known

    def check(self, signal: Signal, value: float) -> None:
        """Refuse what is no real energy or no share of full."""
        if self.type is not SignalType.MULTIPLIER:
            self.scaled(signal, value, "energyReal")
        elif not 0.0 <= value <= 1.0:
            raise InvalidData(f"{self.what} {value:g} is outside 0.0 to 1.0", field="value")

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return the target; a content to be given back is export."""
        self.check(signal, value)
        if self.type is SignalType.MULTIPLIER:
            return Ask(effect=Effect.CONSTRAIN, target_share=value)
        energy_wh = self.scaled(signal, value, "energyReal")
        if energy_wh < 0:
            return EXPORT
        if self.type is SignalType.DELTA:
            return Ask(effect=Effect.CONSTRAIN, gain_wh=energy_wh)
        return Ask(effect=Effect.CONSTRAIN, target_wh=energy_wh)


class Band(Strict):
    """Prices from ``at_least`` on allow ``fraction`` of the reference."""

    at_least: Annotated[float, Field(allow_inf_nan=False, description="Lowest price of the band")]
    fraction: Fraction


class PriceRule(Rule):
    """The only way a price moves load (EVT-11): bands from low to high, each allowing less; below them all, no cap."""

    rule: Literal["price"]
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    currency: str = Field(default="", description="ISO 4217 code that the signal must carry; '' takes any")
    reference: Basis = Basis.FIXED

    @field_validator("bands")
    @classmethod
    def _dearer_is_less(cls, value: tuple[Band, ...]) -> tuple[Band, ...]:
        for low, high in pairwise(value):
            if high.at_least <= low.at_least:
                raise ValueError("bands must go from low to high prices")
            if high.fraction > low.fraction:
                raise ValueError(f"the band from {high.at_least:g} allows more than the one from {low.at_least:g}")
        return value

    def check(self, signal: Signal, value: float) -> None:
        """Refuse another currency and what is no number."""
        self._price(signal, value)

    def _price(self, signal: Signal, value: float) -> float:
        if self.type is SignalType.PRICE_MULTIPLIER:
            return self.finite(value)
        price = self.scaled(signal, value, "currencyPerKWh")
        unit = signal.item_base.item_units if signal.item_base else ""
        if self.currency and unit != self.currency:
            raise SignalNotSupported(f"{self.what}: the programme is in {self.currency}, not {unit}", field="itemBase")
        return price

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return the fraction of the highest band that the price reaches."""
        price = self._price(signal, value)
        reached = [band for band in self.bands if round(price, 9) >= band.at_least]
        return reduced(reached[-1].fraction, self.reference) if reached else NORMAL


class InformativeRule(Rule):
    """Accepted, stored and shown, but never a limit: prices, bids and the like (EVT-11)."""

    rule: Literal["informative"]

    def check(self, signal: Signal, value: float) -> None:
        """Refuse NaN and INF."""
        self.finite(value)

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Ask for nothing."""
        self.check(signal, value)
        return NORMAL


SignalRule = Annotated[
    LevelsRule
    | DrmRule
    | CapacityRule
    | PercentRule
    | MultiplierRule
    | SetpointRule
    | DeltaRule
    | DeviceSetpointRule
    | ChargeStateRule
    | PriceRule
    | InformativeRule,
    Field(discriminator="rule"),
]
