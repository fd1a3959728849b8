"""The evidence of a commissioning self-test: what was asked, what the meter said, what that proves; pure.

Rule: the verdict follows from the figures in the document alone. Half the load counts from 40 to 60 % of what was drawn
before (CHG-03): a charger that has only steps is fine, one that only switches is not.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.resources import LEAST_A
from bridge.target import MeterReading

BAND = (0.4, 0.6)  # of the power before, when half of it is asked for
RETURNED = 0.8  # of the power before, after the release: cars come back slowly, and charge less when nearly full


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: the limit asked for (A per phase, ``None`` for none) and the readings that counted."""

    name: str
    limit_a: float | None
    asked_at: datetime
    readings: tuple[MeterReading, ...]

    @property
    def mean_w(self) -> float | None:
        """The mean power (W), ``None`` without a reading."""
        powers = [each.power_w for each in self.readings if each.power_w is not None]
        return sum(powers) / len(powers) if powers else None


def half_of(before: Step, phases: int, voltage: float) -> float | None:
    """Return half of the current per phase that was drawn (A, whole tenths), ``None`` if a car could not be held there.

    A car on fewer phases than the charger has draws more on each: what the meter says per phase counts, if it does.
    """
    by_phase = [max(each.current_a) for each in before.readings if each.current_a]
    drawn = max(by_phase) if by_phase else (before.mean_w or 0.0) / (phases * voltage)
    half = round(drawn / 2, 1)
    return half if half >= LEAST_A else None


def faults(steps: Sequence[Step], idle_w: float) -> list[str]:
    """Return what speaks against the installation; nothing means that it obeys."""
    means = {step.name: step.mean_w for step in steps}
    before = means.get("before")
    if before is None:
        return ["no reading before the test: is the meter configured?"]
    if before <= idle_w:
        return [f"no load: {before:.0f} W before the test; connect an EV or EV analogue that charges"]
    found = [f"{name}: no reading" for name, mean in means.items() if mean is None]
    half, stopped, after = means.get("half"), means.get("stop"), means.get("after")
    if "half" not in means:
        found.append(f"half of the load is below {LEAST_A:g} A per phase: a larger load is needed")
    elif half is not None and not BAND[0] * before <= half <= BAND[1] * before:
        found.append(f"half: {half:.0f} W is {half / before:.0%} of {before:.0f} W, not 40 to 60 %")
    if stopped is not None and stopped > idle_w:
        found.append(f"stop: {stopped:.0f} W is still drawn")
    if after is not None and after < RETURNED * before:
        found.append(f"after: {after:.0f} W came back of {before:.0f} W")
    return found


def document(
    *,
    test_id: str,
    about: Mapping[str, Any],
    steps: Sequence[Step],
    commands: Sequence[Mapping[str, Any]],
    idle_w: float,
    wrong: Sequence[str],
    ended_at: datetime,
) -> str:
    """Return the evidence as the text that is signed: JSON, sorted keys, one trailing newline."""
    before = next((step.mean_w for step in steps if step.name == "before"), None)
    body = {
        "selfTest": test_id,
        **about,
        "band": list(BAND),
        "idleW": idle_w,
        "steps": [_step(step, before) for step in steps],
        "commands": list(commands),
        "passed": not wrong,
        "faults": list(wrong),
        "endedAt": stamp(ended_at),
    }
    return json.dumps(body, indent=2, sort_keys=True) + "\n"


def _step(step: Step, before: float | None) -> dict[str, Any]:
    mean = step.mean_w
    return {
        "name": step.name,
        "limitA": step.limit_a,
        "askedAt": stamp(step.asked_at),
        "meanW": None if mean is None else round(mean, 1),
        "shareOfBefore": None if mean is None or not before else round(mean / before, 3),
        "readings": [
            {"at": stamp(each.at), "powerW": each.power_w, "energyWh": each.energy_wh} for each in step.readings
        ],
    }


def stamp(moment: datetime) -> str:
    """Write an instant: UTC, whole seconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
