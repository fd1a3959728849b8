"""An electric car as a load: pure stepping, no clock, no I/O.

Rule: it draws what the charger offers, up to its own maximum, nothing below 6 A (IEC 61851), and moves between
currents at a finite ramp; energy goes into the battery until the target state of charge is reached. Cars differ
(MAP-18): some take nothing below a higher least current, some ramp slowly, some fall asleep in a long pause and need
an offer of some length, or of some height, to wake. ``VEHICLES`` has the kinds that are met.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

FLOOR_A = 6.0  # IEC 61851-1: the lowest current that a pilot signal can offer
_WS_PER_WH = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ev:
    """A car. ``soc`` and ``target_soc`` are 0..1, ``current_a`` is per phase, ``energy_wh`` all that it took.

    It sleeps after a pause of ``sleeps_after_s`` (``None``: never) and wakes after ``wake_s`` under an offer of
    ``wake_a`` or more; ``paused_s`` and ``waking_s`` count.
    """

    battery_kwh: float = 60.0
    soc: float = 0.3
    target_soc: float = 1.0
    max_a: float = 32.0
    phases: int = 3
    voltage: float = 230.0
    ramp_a_s: float = 8.0
    current_a: float = 0.0
    energy_wh: float = 0.0
    least_a: float = FLOOR_A
    sleeps_after_s: float | None = None
    wake_s: float = 0.0
    wake_a: float = FLOOR_A
    paused_s: float = 0.0
    waking_s: float = 0.0

    @property
    def asleep(self) -> bool:
        """True while the pause has lasted too long for it."""
        return self.sleeps_after_s is not None and self.paused_s >= self.sleeps_after_s

    @property
    def power_w(self) -> float:
        """The power drawn now, over all phases."""
        return self.current_a * self.phases * self.voltage


VEHICLES: Mapping[str, Mapping[str, float]] = {
    "ordinary": {},
    "ten_amps": {"least_a": 10.0},  # below it the losses of its charger are too high: it pauses
    "slow": {"ramp_a_s": 0.25},  # two minutes from nothing to 32 A
    "sleeper": {"sleeps_after_s": 300.0, "wake_s": 60.0},
    "deep_sleeper": {"sleeps_after_s": 120.0, "wake_s": 20.0, "wake_a": 10.0},  # 6 A does not wake it
}
"""What makes each kind of car differ from the ordinary one."""


def vehicle(name: str, ev: Ev) -> Ev:
    """Return a car as one of the kinds in ``VEHICLES``."""
    return replace(ev, **VEHICLES[name])  # type: ignore[arg-type]  # floats all of them


def wanted_a(ev: Ev, offered_a: float) -> float:
    """Return the current per phase that the car settles at under ``offered_a``."""
    usable = min(offered_a, ev.max_a)
    return usable if usable >= ev.least_a and ev.soc < ev.target_soc else 0.0


def step(ev: Ev, offered_a: float, seconds: float) -> Ev:
    """Return the car after ``seconds`` s under a constant offer of ``offered_a`` A per phase."""
    if seconds <= 0:
        return ev
    goal = wanted_a(ev, offered_a)
    if goal == 0:
        paused_s = 0.0 if ev.sleeps_after_s is None else ev.paused_s + seconds
        return replace(ev, current_a=0.0, paused_s=paused_s, waking_s=0.0)
    if ev.asleep:
        if offered_a < ev.wake_a:
            return replace(ev, waking_s=0.0)
        waking_s = ev.waking_s + seconds
        if waking_s < ev.wake_s:
            return replace(ev, waking_s=waking_s)
        seconds = waking_s - ev.wake_s
    ev = replace(ev, paused_s=0.0, waking_s=0.0)
    begin = ev.current_a
    if begin < ev.least_a:
        begin = ev.least_a  # contactors close at the lowest current
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
