"""What every rule of a programme has: the signal it is for, and how it reads a value with its unit; pure.

Rule: a unit that is not the one a rule needs is refused with 460 (EVT-05), a value that is no number, or beyond any
load, with 454.
"""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bridge.asks import Ask, Basis
from bridge.resources import Resource
from openadr.errors import InvalidData, SignalNotSupported
from openadr.model import Signal, SignalType

SI: Mapping[str, float] = {
    "p": 1e-12,
    "n": 1e-9,
    "micro": 1e-6,
    "m": 1e-3,
    "c": 1e-2,
    "d": 1e-1,
    "none": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
}
"""siScaleCode as a factor."""

MOST_W = 1e12  # beyond a terawatt a value is a mistake in its unit


class Strict(BaseModel):
    """A table of a programme file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(Strict):
    """What all rules have: the signal they are for."""

    name: Annotated[str, Field(min_length=1, description="signalName")]
    type: SignalType = Field(description="signalType")

    @property
    def what(self) -> str:
        """The signal as texts name it."""
        return f"{self.name} {self.type}"

    @property
    def dynamic(self) -> bool:
        """True if values are taken of the power before the start, or of a content measured then."""
        return getattr(self, "reference", None) is Basis.DYNAMIC

    def serves(self, resource: Resource, *, content_known: bool) -> bool:
        """False if the rule can mean nothing at this resource."""
        return True

    def ask(self, signal: Signal, value: float, resource: Resource) -> Ask:
        """Return what the value asks of the resource. Raises as ``check`` does."""
        raise NotImplementedError

    def check(self, signal: Signal, value: float) -> None:
        """Raise ``SignalNotSupported`` (460) for the unit, ``InvalidData`` (454) for the value."""
        raise NotImplementedError

    def finite(self, value: float) -> float:
        """Return the value. Raises ``InvalidData`` (454) for NaN and INF."""
        if not math.isfinite(value):
            raise InvalidData(f"{self.name} value is not a number", field="value")
        return value

    def scaled(self, signal: Signal, value: float, kind: str) -> float:
        """Return the value without its prefix. Raises if the unit is not ``kind`` or the value is no number."""
        unit, value = signal.item_base, self.finite(value)
        if unit is None or unit.kind != kind:
            found = "without one" if unit is None else f"in {unit.kind}"
            raise SignalNotSupported(f"{self.what} needs the unit {kind}, it came {found}", field="itemBase")
        if unit.si_scale_code not in SI:
            raise SignalNotSupported(f"{self.what}: the prefix {unit.si_scale_code!r} is unknown", field="siScaleCode")
        return value * SI[unit.si_scale_code]

    def power_w(self, signal: Signal, value: float) -> float:
        """Return a real power, W. Raises if it is none, or beyond any load."""
        power_w = self.scaled(signal, value, "powerReal")
        if abs(power_w) > MOST_W:
            raise InvalidData(f"{self.what} {value:g} is beyond any load", field="value")
        return power_w
