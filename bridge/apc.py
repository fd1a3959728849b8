"""Proportional load control by a smart meter (APC, SAPC), said in the terms of this bridge; pure.

Rule (MAP-15, decision 21): the level of an auxiliary proportional controller is a share of the load's maximum, which is
what ``x-loadControlCapacity`` is. The meter's *input* is power that comes from the load: it is negative here, where
import counts above zero. Only a supplier may send such a command (decision 22).
"""

from dataclasses import dataclass
from enum import StrEnum

from bridge.asks import Basis, FloorPolicy, Limit, Terms, limit, reduced
from bridge.resources import Resource

SUPPLIER = "supplier"
SUPERVISORY = Terms(floor=FloorPolicy.PAUSE)  # decision 9: supervisory caps are quantised down


class Direction(StrEnum):
    """Which way the controlled power flows, as the meter sees it."""

    OUTPUT = "output"  # to the load
    INPUT = "input"  # from the load


class NotForUs(Exception):
    """The command is not for this load or not for this sender; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of the meter: at most ``level`` (0 to 1) of the load's maximum may flow in ``direction``."""

    direction: Direction
    level: float
    role: str = SUPPLIER


def signed_w(direction: Direction, power_w: float) -> float:
    """Return a power that the meter gives by magnitude and direction, import above zero."""
    return -power_w if direction is Direction.INPUT else power_w


def carried_out(command: Command, resource: Resource) -> Limit:
    """Return the limit that the command is. Raises ``NotForUs``."""
    if command.role != SUPPLIER:
        raise NotForUs(f"a {command.role} may not use the smart meter: only a {SUPPLIER} (ARB-12)")
    if not 0.0 <= command.level <= 1.0:
        raise NotForUs(f"level {command.level:g} is outside 0.0 to 1.0")
    if command.direction is Direction.INPUT:
        raise NotForUs(f"{resource.resource_id} only charges: nothing flows from it (MAP-14)")
    return limit(reduced(command.level, Basis.FIXED), resource, SUPERVISORY)
