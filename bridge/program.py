"""The signal programme: what each signal of one market context means, declared in a versioned TOML file; pure.

Rule: only triples a programme lists have a meaning (EVT-05); everything else is refused with 460 and moves nothing.
Prices are informative unless the programme has an explicit rule from price to limit (EVT-11). What a file leaves out
follows from its class (table 4.1, decision 9). The programme's version goes with every decision made by it.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from bridge.asks import Effect, FloorPolicy, StartedInside, Terms
from bridge.authority import EMERGENCY_ISSUERS, Authority, Issuer
from bridge.baserule import Strict
from bridge.fitting import misfit
from bridge.native import Native
from bridge.resources import LEAST_A
from bridge.rules import InformativeRule, SignalRule
from bridge.timetable import TimetableRule
from openadr.errors import OadrError, SignalNotSupported, TargetMismatch
from openadr.model import Event, Signal
from openadr.uris import normal

MAX_WINDOW_S = 1800  # the GB regulations' capable maximum for the random window, 30 min
MAX_RAMP_S = 3600  # a programme's own ramp; an event may carry a longer one
REFERENCE_S = 300  # the dynamic reference is the mean of the 5 min before the start (MAP-05)


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


class OverridePolicy(StrEnum):
    """Whether the driver may take the charger out of an event (ARB-05)."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class ApplyAt(StrEnum):
    """Where a programme's limits count (MAP-11)."""

    DEVICE = "device"
    GRID = "grid"  # at the connection of the resource's site: what the site makes itself comes on top


class OverrideTable(Strict):
    """The same by what is asked: table 4.1 refuses it for a stop and allows it for the rest."""

    stop: OverridePolicy = Field(default=OverridePolicy.REFUSED, description="No import: DRM 0 and 1, level 0 %")
    constrain: OverridePolicy = Field(default=OverridePolicy.ALLOWED, description="Less import")
    load_up: OverridePolicy = Field(default=OverridePolicy.ALLOWED, description="More import, and normal operation")


class OnCommsLoss(StrEnum):
    """What becomes of a programme's events while its VTN is silent (OUT-03)."""

    CONTINUE = "continue_programme"  # stored events run to their end; one without an end is given up after hold_s
    DEFAULT = "default_profile"  # events end; what the settings and the site say goes on
    SAFE_CAP = "safe_cap"  # a fixed cap stands in for the events


class CommsLoss(Strict):
    """What happens when the VTN falls silent, and when it is back."""

    policy: OnCommsLoss = Field(default=OnCommsLoss.CONTINUE, description="What its events become")
    after_s: Annotated[int, Field(ge=30, le=86_400)] = Field(default=300, description="Silence that counts as loss, s")
    hold_s: Annotated[int, Field(ge=60, le=86_400)] = Field(
        default=3600, description="An event without an end is given up so long after the last contact, s"
    )
    spread_s: Annotated[int, Field(ge=0, le=MAX_WINDOW_S)] = Field(
        default=300, description="Chargers leave their events over so long, s (RND-10)"
    )
    return_s: Annotated[int, Field(ge=0, le=MAX_WINDOW_S)] = Field(
        default=600, description="Chargers come back to their events over so long, s; an emergency at once"
    )
    safe_cap_a: Annotated[float, Field(ge=0, le=1000)] = Field(default=10.0, description="The safe cap, A per phase")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.hold_s < self.after_s:
            raise ValueError("hold_s: must not be shorter than after_s")
        if 0.0 < self.safe_cap_a < LEAST_A:
            raise ValueError(f"safe_cap_a: a charger can hold 0 or {LEAST_A:g} A and more (MAP-09)")
        return self


_FREE_CLASSES = (EventClass.PRICE, EventClass.LOAD_UP, EventClass.CALENDAR, EventClass.TEST)
_ALL_ALLOWED = OverrideTable(stop=OverridePolicy.ALLOWED)
_ALL_REFUSED = OverrideTable(
    stop=OverridePolicy.REFUSED, constrain=OverridePolicy.REFUSED, load_up=OverridePolicy.REFUSED
)
Window = Annotated[int, Field(ge=0, le=MAX_WINDOW_S)]
Ramp = Annotated[int, Field(ge=-MAX_RAMP_S, le=MAX_RAMP_S)]


class Programme(Strict):
    """One market context's rules. ``signals`` is in order of preference: the first one an event carries decides."""

    market_context: Annotated[str, Field(min_length=1, description="The events it is for")]
    version: Annotated[str, Field(min_length=1, description="Named with every decision: a new content, a new version")]
    title: str = Field(default="", description="For people")
    event_class: EventClass = Field(alias="class", description="Decides what the file leaves out")
    floor: FloorPolicy | None = Field(
        default=None, description="A cap between 0 and 6 A: 6 A or a pause; left out: pause for emergencies, else floor"
    )
    override: OverridePolicy | OverrideTable | None = Field(
        default=None, description="May a driver leave its events; a word, or a table by what is asked (ARB-05)"
    )
    two_step_override: bool = Field(
        default=False, description="A driver's override must be confirmed by a second step (ARB-06)"
    )
    issuer: Issuer | None = Field(default=None, description="Who stands behind its events (ARB-12)")
    emergency: bool = Field(default=False, description="Acts at once, whatever window was sent (RND-03)")
    random_window_s: Window = Field(default=600, description="Random start where an event carries no startafter, s")
    release_window_s: Window = Field(default=0, description="Random release at the end, s (RND-01)")
    ramp_up_s: Ramp = Field(
        default=0, description="Ramp of the start where an event carries none, s; negative: inside the event"
    )
    recovery_s: Ramp = Field(
        default=0, description="Ramp of the release where an event carries none, s; negative: inside the event"
    )
    ramp_steps: Annotated[int, Field(ge=1, le=8)] = Field(default=4, description="Steps of a ramp (RND-07)")
    reference_window_s: Annotated[int, Field(ge=60, le=3600)] = Field(
        default=REFERENCE_S, description="The dynamic reference is the mean power of so long before the start, s"
    )
    started_inside: StartedInside = Field(
        default=StartedInside.FIXED, description="A dynamic limit where nothing was charging before the start (MAP-05)"
    )
    apply_at: ApplyAt = Field(
        default=ApplyAt.DEVICE, description="grid: what a site with a fresh meter supplies itself comes on top (MAP-11)"
    )
    comms_loss: CommsLoss = Field(default=CommsLoss(), description="While the VTN is silent (OUT-03)")
    calendar: tuple[TimetableRule, ...] = Field(
        default=(), description="Limits that return every week, on whoever has agreed to the programme"
    )
    cta2045: Native = Field(default=Native(), description="How CTA-2045 devices are told (by kind of resource)")
    signals: Annotated[tuple[SignalRule, ...], Field(min_length=1, description="In order of preference")]

    @model_validator(mode="before")
    @classmethod
    def _by_class(cls, data: Any) -> Any:
        """Fill in what follows from the class."""
        if not isinstance(data, dict):
            return data
        kind = data.get("class")
        emergency = kind == EventClass.EMERGENCY
        floor = FloorPolicy.PAUSE if emergency else FloorPolicy.FLOOR
        override: object = OverrideTable()
        if emergency:
            override = OverridePolicy.REFUSED
        elif kind in _FREE_CLASSES:
            override = OverridePolicy.ALLOWED
        return {"floor": floor, "override": override} | data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.emergency and self.override is not OverridePolicy.REFUSED:
            raise ValueError("override: an emergency programme must say 'refused' (ARB-05)")
        if self.emergency and self.random_window_s:
            raise ValueError("random_window_s: an emergency acts at once, it must be 0 (RND-03)")
        if self.emergency and self.ramp_up_s:
            raise ValueError("ramp_up_s: an emergency acts at once, it must be 0 (RND-03)")
        if self.emergency and self.issuer is not None and self.issuer not in EMERGENCY_ISSUERS:
            raise ValueError(f"issuer: {self.issuer} has no authority for an emergency (ARB-12)")
        if self.emergency is not (self.event_class is EventClass.EMERGENCY):
            raise ValueError("emergency: must be true exactly for class 'emergency'")
        seen: set[tuple[str, str]] = set()
        for rule in self.signals:
            if (rule.name, rule.type) in seen:
                raise ValueError(f"signals: {rule.what} is listed twice")
            wrong = misfit(rule)
            if wrong:
                raise ValueError(f"signals: {wrong}")
            seen.add((rule.name, rule.type))
        return self

    @property
    def label(self) -> str:
        """Market context and version, as they go with every decision."""
        return f"{self.market_context} {self.version}"

    @property
    def context(self) -> str:
        """The market context, normalised (R512)."""
        return normal(self.market_context)

    @property
    def authority(self) -> Authority:
        """On what basis its events limit anybody: an emergency, or else an agreement (ARB-12)."""
        return Authority.EMERGENCY if self.emergency else Authority.CONTRACT

    @property
    def terms(self) -> Terms:
        """How asks become limits."""
        return Terms(floor=self.floor or FloorPolicy.FLOOR, started_inside=self.started_inside)

    @property
    def overrides(self) -> OverrideTable:
        """The override policy as a table."""
        if isinstance(self.override, OverrideTable):
            return self.override
        return _ALL_REFUSED if self.override is OverridePolicy.REFUSED else _ALL_ALLOWED

    def overridable(self, effect: Effect) -> bool:
        """True if a driver's override takes a charger out of what asks for this."""
        table = self.overrides
        policy = {Effect.STOP: table.stop, Effect.CONSTRAIN: table.constrain}.get(effect, table.load_up)
        return policy is OverridePolicy.ALLOWED

    def rule_for(self, signal: Signal) -> SignalRule | None:
        """Return the rule of the signal's name and type, ``None`` if the programme does not know it."""
        for rule in self.signals:
            if rule.name == signal.signal_name and rule.type == signal.signal_type:
                return rule
        return None

    @property
    def acting(self) -> tuple[SignalRule, ...]:
        """The rules that can limit anything, in order of preference."""
        return tuple(rule for rule in self.signals if not isinstance(rule, InformativeRule))

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
                rule.check(signal, interval.value)


def parse(text: str, origin: str) -> Programme:
    """Read one programme file's text. Raises ``ProgrammeError``: a line for each fault with file, key and reason."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProgrammeError(f"{origin}: not TOML: {error}") from error
    try:
        return Programme.model_validate(data)
    except ValidationError as error:
        faults = error.errors()
        faults = [each for each in faults if each["type"] != "too_short"] or faults  # a list without its faulty parts
        lines = dict.fromkeys(f"{origin}: {_key(each, data)}{each['msg']}" for each in faults)
        raise ProgrammeError("\n".join(lines)) from error


def _key(fault: Any, data: Any) -> str:
    """Return the key as the file spells it: what pydantic adds to say which kind of rule it tried is left out."""
    parts: list[str] = []
    for part in fault["loc"]:
        if isinstance(part, int) or (isinstance(data, dict) and part in data):
            data = data[part]
            parts.append(str(part))
    if fault["type"] == "missing":
        parts.append(str(fault["loc"][-1]))
    return f"{'.'.join(parts)}: " if parts else ""


def schema() -> str:
    """Return the JSON Schema of a programme file as canonical text, for ``schemas/``."""
    return json.dumps(Programme.model_json_schema(), indent=2, sort_keys=True) + "\n"


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

    def succeed(self, before: "Programmes") -> None:
        """Raise ``ProgrammeError`` if a programme changed without a new version: a version names one content."""
        for context, programme in self.by_context.items():
            old = before.by_context.get(context)
            if old is not None and old != programme and old.version == programme.version:
                raise ProgrammeError(
                    f"version: {programme.market_context} has changed and is still version {programme.version}"
                )
