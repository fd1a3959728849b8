"""What must survive a restart of the bridge for each CTA-2045 device: the curtailment that still needs its End Shed.

Rule: it is written before the command goes out and taken away after End Shed was answered, so that a bridge killed in
between neither forgets an End Shed nor sends a second one (CTA-05).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bridge.cta2045.commands import Op


class Phase(StrEnum):
    """How far a curtailment has come."""

    SENDING = "sending"  # the command may or may not have arrived
    ACTIVE = "active"  # the device acknowledged it
    ENDING = "ending"  # End Shed may or may not have arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The curtailment of one device: the order that it serves, the command that was sent, when it ends."""

    device: str
    key: str
    op: Op
    operand: int
    since: datetime
    ends: datetime | None
    phase: Phase


class Memory(Protocol):
    """Where ``Standing`` is kept. Both writes are durable when they return."""

    async def load(self, device: str) -> Standing | None:
        """Return what stands for ``device``."""
        ...

    async def save(self, standing: Standing) -> None:
        """Put ``standing`` in place of what stood for its device."""
        ...

    async def forget(self, device: str) -> None:
        """Nothing stands any more."""
        ...


class InMemory:
    """A ``Memory`` for rehearsals and tests: it lives as long as its owner, past the life of a module."""

    def __init__(self) -> None:
        self._standing: dict[str, Standing] = {}

    async def load(self, device: str) -> Standing | None:
        """Return what stands for ``device``."""
        return self._standing.get(device)

    async def save(self, standing: Standing) -> None:
        """Put ``standing`` in place of what stood for its device."""
        self._standing[standing.device] = standing

    async def forget(self, device: str) -> None:
        """Nothing stands any more."""
        self._standing.pop(device, None)
