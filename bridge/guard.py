"""The local frequency guard: no load is switched on while the frequency is low, nor off while it is high; pure.

Rule (RND-11): off by default. It looks only at commands that change the load now, by events or by their end; what is
already under way stays. A command that is held back is tried again after a pause with a random part, and is no fault of
anybody: it is told as held back. Limits that protect an installation are never held back.
"""

from dataclasses import dataclass
from enum import StrEnum


class Change(StrEnum):
    """What a command does to the load now."""

    ON = "on"  # more may be drawn
    OFF = "off"  # less may be drawn
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyGuard:
    """Thresholds in Hz, times in s."""

    enabled: bool = False
    low_hz: float = 49.4  # below it nothing is switched on
    high_hz: float = 50.6  # above it nothing is switched off
    retry_s: float = 120.0
    jitter_s: float = 60.0  # and up to so much more, drawn for each command
    fresh_s: float = 120.0  # an older reading says nothing


def change(have_a: float | None, want_a: float | None) -> Change:
    """Return what going from one limit to another does; ``None`` is no limit."""
    have, want = (float("inf") if each is None else each for each in (have_a, want_a))
    if want > have:
        return Change.ON
    return Change.OFF if want < have else Change.NONE


def held_back(guard: FrequencyGuard, what: Change, hz: float | None) -> str:
    """Return why a command is held back, '' if it is not; ``hz`` is a fresh reading, ``None`` for none."""
    if not guard.enabled or hz is None:
        return ""
    if what is Change.ON and hz < guard.low_hz:
        return f"frequency guard: {hz:.2f} Hz is below {guard.low_hz:g} Hz"
    if what is Change.OFF and hz > guard.high_hz:
        return f"frequency guard: {hz:.2f} Hz is above {guard.high_hz:g} Hz"
    return ""
