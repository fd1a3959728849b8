"""How an order goes on a device, how long is waited for it, and what its carrying out needs of the module.

Rule: values and one Protocol, no decisions. TAKEN is an App ACK; only FOLLOWED is effect (CTA-04).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bridge.cta2045.commands import Basic
from bridge.cta2045.dialogue import Dialogue
from bridge.cta2045.memory import Memory
from bridge.cta2045.values import OperationalState
from runtime.clock import Clock


class OrderOutcome(StrEnum):
    """How an order goes. TAKEN is an App ACK; only FOLLOWED is effect."""

    TAKEN = "taken"
    FOLLOWED = "followed"
    NOT_FOLLOWED = "not_followed"
    OVERRIDDEN = "overridden"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    FAULT = "fault"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One outcome: of which order, by which command, standing for which share of the rating (``None``: not known)."""

    key: str
    outcome: OrderOutcome
    at: datetime
    sent: str = ""
    share: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the curtailer waits and how often it tries; seconds."""

    effect_s: float = 60.0  # a command shows its effect within this, or it has none
    look_s: float = 5.0  # between two looks at the state
    busy_s: float = 5.0  # after App NAK "busy"
    busy_tries: int = 3
    again_s: float = 30.0  # after no answer
    guidance_s: float = 120.0  # from guidance "good" to load up (CTA-12)
    repeats: int = 3  # a device that loses an event is told so many times
    announce_s: float = 3600.0  # an order that starts within this is announced (CTA-14); 0: never


class Host(Protocol):
    """What the curtailer needs of its module."""

    device: str
    dialogue: Dialogue
    memory: Memory
    clock: Clock

    async def ask_state(self) -> tuple[bool, OperationalState | None]:
        """Ask for the operational state and tell it: (answered, the state if it is a known one)."""
        ...

    def learn_override(self, on: bool, now: datetime) -> None:
        """Note that the customer overrides, or no longer does."""
        ...

    def tell(self, delivery: Delivery) -> None:
        """Tell how an order goes."""
        ...

    def owe(self, *words: Basic) -> None:
        """Send these when nothing is more urgent."""
        ...
