"""The signal programme: what each signal of one market context means, declared in a versioned TOML file; pure.

Rule: only triples a programme lists have a meaning (EVT-05); everything else is refused with 460 and moves nothing.
Each signal type states its own reference (MAP-04, MAP-05): a capacity is a fraction of the fixed installed maximum.
Prices are informative and never a limit (EVT-11). The programme's version goes with every decision made by it.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from openadr.errors import InvalidData, OadrError, SignalNotSupported, TargetMismatch
from openadr.model import Event, Signal, SignalName, SignalType
from openadr.uris import normal

MAX_WINDOW_S = 1800  # the GB regulations' capable maximum for the random window, 30 min


class ProgrammeError(Exception):
    """A programme file cannot be used; the text names the file, the key and the reason."""


class EventClass(StrEnum):
    """Event classes: they decide override, randomisation and floor policy (EVT-07)."""

    EMERGENCY = "emergency"
    RELIABILITY = "reliability"
    REGULATION = "regulation"
    PRICE = "price"
    LOAD_UP = "load-up"
    CALENDAR = "calendar"
    TEST = "test"


class FloorPolicy(StrEnum):
    """What becomes of a cap between 0 and 6 A per phase, which no charger can hold (MAP-09, decision 9)."""

    FLOOR = "floor"  # raise to 6 A; the overshoot is stated in the reason
    PAUSE = "pause"  # quantise down to 0 A


class OverridePolicy(StrEnum):
    """Whether the driver may take the charger out of an event (ARB-05)."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class LevelsRule(_Strict):
    """A step signal: level 0 is normal operation, each other level a fraction of the installed maximum."""

    name: str
    type: SignalType
    rule: Literal["levels"]
    levels: dict[str, Fraction]

    @field_validator("levels")
    @classmethod
    def _levels_are_steps(cls, value: dict[str, float]) -> dict[str, float]:
        wrong = [key for key in value if not key.isdecimal() or int(key) == 0]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no level: use 1, 2, 3 (0 is normal operation and has no cap)")
        if not value:
            raise ValueError("needs at least one level")
        return value

    def fraction(self, value: float) -> float | None:
        """Return the fraction for a level, ``None`` for level 0. Raises ``InvalidData`` (454) for other values."""
        if value == 0.0:
            return None
        if not float(value).is_integer() or str(int(value)) not in self.levels:
            raise InvalidData(f"{self.name} level {value:g} is not 0 or one of {', '.join(self.levels)}", field="value")
        return self.levels[str(int(value))]


class CapacityRule(_Strict):
    """A fraction of the fixed installed maximum, 0.0 to 1.0 (table 3.2, x-loadControlCapacity)."""

    name: str
    type: SignalType
    rule: Literal["capacity"]

    def fraction(self, value: float) -> float | None:
        """Return the value itself. Raises ``InvalidData`` (454) outside 0..1."""
        if not 0.0 <= value <= 1.0:
            raise InvalidData(f"{self.name} {self.type} {value:g} is outside 0.0 to 1.0", field="value")
        return value


class InformativeRule(_Strict):
    """Accepted, stored and shown, but never a limit: prices and the like (EVT-11)."""

    name: str
    type: SignalType
    rule: Literal["informative"]

    def fraction(self, value: float) -> float | None:
        """Return ``None``: no cap follows from it. Raises ``InvalidData`` (454) for NaN and INF."""
        if not math.isfinite(value):
            raise InvalidData(f"{self.name} value is not a number", field="value")
        return None


SignalRule = Annotated[LevelsRule | CapacityRule | InformativeRule, Field(discriminator="rule")]


class Programme(_Strict):
    """One market context's rules. ``signals`` is in order of preference: the first one an event carries decides."""

    market_context: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    title: str = ""
    event_class: EventClass = Field(alias="class")
    floor: FloorPolicy
    override: OverridePolicy
    emergency: bool = False
    random_window_s: Annotated[int, Field(ge=0, le=MAX_WINDOW_S)] = 600
    release_window_s: Annotated[int, Field(ge=0, le=MAX_WINDOW_S)] = 0
    signals: Annotated[tuple[SignalRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.emergency and self.override is not OverridePolicy.REFUSED:
            raise ValueError("override: an emergency programme must say 'refused' (ARB-05)")
        if self.emergency and self.random_window_s:
            raise ValueError("random_window_s: an emergency acts at once, it must be 0 (RND-03)")
        if self.emergency is not (self.event_class is EventClass.EMERGENCY):
            raise ValueError("emergency: must be true exactly for class 'emergency'")
        seen: set[tuple[str, SignalType]] = set()
        for rule in self.signals:
            if (rule.name, rule.type) in seen:
                raise ValueError(f"signals: {rule.name} {rule.type} is listed twice")
            if rule.name == SignalName.SIMPLE and rule.rule != "levels":
                raise ValueError("signals: SIMPLE is a step signal, its rule must be 'levels'")
            seen.add((rule.name, rule.type))
        return self

    @property
    def overridable(self) -> bool:
        """True if a driver's override takes a charger out of this programme's events."""
        return self.override is OverridePolicy.ALLOWED

    def rule_for(self, signal: Signal) -> SignalRule | None:
        """Return the rule of the signal's name and type, ``None`` if the programme does not know it."""
        for rule in self.signals:
            if rule.name == signal.signal_name and rule.type == signal.signal_type:
                return rule
        return None

    def check(self, event: Event) -> None:
        """Raise ``SignalNotSupported`` (460, R109) or ``InvalidData`` (454) if any signal has no meaning here."""
        for signal in event.signals:
            rule = self.rule_for(signal)
            if rule is None:
                raise SignalNotSupported(
                    f"{signal.signal_name} {signal.signal_type} is not in the programme of {self.market_context}",
                    field="signalName",
                )
            for interval in signal.intervals:
                rule.fraction(interval.value)


def parse(text: str, origin: str) -> Programme:
    """Read one programme file's text. Raises ``ProgrammeError`` naming ``origin``, the key and the reason."""
    try:
        return Programme.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProgrammeError(f"{origin}: not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = first["loc"]  # the part after an index is the kind of rule, which the file does not spell as a key
        key = ".".join(str(part) for i, part in enumerate(where) if i == 0 or not isinstance(where[i - 1], int))
        raise ProgrammeError(f"{origin}: {key + ': ' if key else ''}{first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Programmes:
    """All programmes this bridge is enrolled in, by normalised market context (R512)."""

    by_context: Mapping[str, Programme]

    @classmethod
    def of(cls, programmes: Iterable[Programme]) -> Self:
        """Collect them. Raises ``ProgrammeError`` if two claim the same market context."""
        table: dict[str, Programme] = {}
        for programme in programmes:
            context = normal(programme.market_context)
            if context in table:
                raise ProgrammeError(f"market_context: {programme.market_context} has two programmes")
            table[context] = programme
        return cls(table)

    def of_event(self, event: Event) -> Programme:
        """Return the event's programme. Raises ``TargetMismatch`` (462) if its market context is not enrolled."""
        programme = self.by_context.get(normal(event.descriptor.market_context))
        if programme is None:
            raise TargetMismatch(
                f"marketContext {event.descriptor.market_context} is not enrolled here", field="marketContext"
            )
        return programme

    def usable(self, event: Event) -> Programme | None:
        """Return the event's programme if it understands every signal, else ``None``: the event moves nothing."""
        try:
            programme = self.of_event(event)
            programme.check(event)
        except OadrError:
            return None
        return programme
