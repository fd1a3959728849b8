"""An electric car as a load: pure stepping, no clock, no I/O.

Rule: it draws what the charger offers, up to its own maximum, nothing below 6 A (IEC 61851), and moves between
currents at a finite ramp; energy goes into the battery until the target state of charge is reached.
"""

from dataclasses import dataclass, replace

FLOOR_A = 6.0  # IEC 61851-1: the lowest current that a pilot signal can offer
_WS_PER_WH = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ev:
    """A car. ``soc`` and ``target_soc`` are 0..1, ``current_a`` is per phase, ``energy_wh`` all that it took."""

    battery_kwh: float = 60.0
    soc: float = 0.3
    target_soc: float = 1.0
    max_a: float = 32.0
    phases: int = 3
    voltage: float = 230.0
    ramp_a_s: float = 8.0
    current_a: float = 0.0
    energy_wh: float = 0.0

    @property
    def power_w(self) -> float:
        """The power drawn now, over all phases."""
        return self.current_a * self.phases * self.voltage


def wanted_a(ev: Ev, offered_a: float) -> float:
    """Return the current per phase that the car settles at under ``offered_a``."""
    usable = min(offered_a, ev.max_a)
    return usable if usable >= FLOOR_A and ev.soc < ev.target_soc else 0.0


def step(ev: Ev, offered_a: float, seconds: float) -> Ev:
    """Return the car after ``seconds`` s under a constant offer of ``offered_a`` A per phase."""
    if seconds <= 0:
        return ev
    goal = wanted_a(ev, offered_a)
    begin = ev.current_a
    if goal > 0 and begin < FLOOR_A:
        begin = FLOOR_A  # contactors close at the lowest current
    elif goal == 0:
        begin = 0.0  # and open at once when the offer ends
    ramp_s = min(seconds, abs(goal - begin) / ev.ramp_a_s)
    reached = begin + (ev.ramp_a_s * ramp_s if goal > begin else -ev.ramp_a_s * ramp_s)
    ampere_seconds = (begin + reached) / 2 * ramp_s + reached * (seconds - ramp_s)
    return _charged(replace(ev, current_a=reached), ampere_seconds)


def _charged(ev: Ev, ampere_seconds: float) -> Ev:
    """Put the charge of a step into the battery; full means that the current ends."""
    energy_wh = ampere_seconds * ev.phases * ev.voltage / _WS_PER_WH
    room_wh = max(0.0, (ev.target_soc - ev.soc) * ev.battery_kwh * 1000)
    if energy_wh >= room_wh:
        return replace(ev, soc=max(ev.soc, ev.target_soc), current_a=0.0, energy_wh=ev.energy_wh + room_wh)
    return replace(ev, soc=ev.soc + energy_wh / (ev.battery_kwh * 1000), energy_wh=ev.energy_wh + energy_wh)
