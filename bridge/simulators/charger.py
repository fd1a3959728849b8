"""A simulated charger apart from its protocol: car, meter, profiles, session, behaviour; no I/O, no clock.

Rule: what the meter shows follows from the car and the limit in force, second by second; a behaviour changes what the
charger does with its profiles, never what it measures. All of this outlives a lost connection.
"""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bridge.simulators.composite import STATION_MAX, TX, Profile, Wiring, limit_a
from bridge.simulators.ev import Ev, step

MAX_PERIODS = 24  # what a common embedded stack holds
_FINE_STEPS = 7200  # beyond this many seconds at once, steps get coarser


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a charger treats its profiles.

    ``accepts``: it says Accepted (else Rejected). ``obeys``: it limits the car. ``drops_at_reconnect``: it forgets its
    profiles when it reconnects. ``keeps_limit``: a limit that ends by itself stays until it is cleared.
    ``composite_a``: what its composite schedule always says. ``goes_offline``, ``driver_overrides``: it does so at the
    time the fleet file gives.
    """

    accepts: bool = True
    obeys: bool = True
    drops_at_reconnect: bool = False
    keeps_limit: bool = False
    composite_a: float | None = None
    goes_offline: bool = False
    driver_overrides: bool = False


BEHAVIOURS: dict[str, Behaviour] = {
    "obeys": Behaviour(),
    "refuses": Behaviour(accepts=False),
    "ignores": Behaviour(obeys=False),
    "offline": Behaviour(goes_offline=True),
    "driver_override": Behaviour(driver_overrides=True),
    "keeps_limit": Behaviour(keeps_limit=True),
    "lying_composite": Behaviour(composite_a=16.0),
    "drops_profile_at_reconnect": Behaviour(drops_at_reconnect=True, goes_offline=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A running charging session, with the id of its transaction ("" until the central system has given one)."""

    transaction_id: str
    started: datetime


@dataclass(slots=True, kw_only=True)
class Charger:
    """The state of one charger with one connector."""

    identity: str
    ev: Ev
    phases: int
    max_a: float
    now: datetime
    voltage: float = 230.0
    behaviour: Behaviour = field(default_factory=Behaviour)
    units: frozenset[str] = frozenset({"A", "W"})
    meter_wh: float = 0.0
    profiles: dict[int, Profile] = field(default_factory=dict)
    session: Session | None = None
    overridden: bool = False
    kept_a: float | None = None  # the last limit, in a charger that keeps it
    in_service: bool = True  # as the central system asked; a running session is finished first

    def limit_a(self, at: datetime) -> float | None:
        """Return the limit that the installed profiles make at ``at``, whether obeyed or not."""
        running = (self.session.transaction_id, self.session.started) if self.session else None
        wiring = Wiring(phases=self.phases, voltage=self.voltage)
        limit = limit_a(self.profiles.values(), at, wiring, running)
        if self.behaviour.keeps_limit:
            self.kept_a = limit = self.kept_a if limit is None else limit
        return limit

    def composite_a(self, at: datetime) -> float:
        """Return what the composite schedule says, which is not always the limit (A per phase, one decimal)."""
        limit = self.limit_a(at) if self.behaviour.composite_a is None else self.behaviour.composite_a
        return float(round(self.max_a if limit is None else limit, 1))

    def offered_a(self, at: datetime) -> float:
        """Return what the charger offers to the car (A per phase)."""
        if self.session is None:
            return 0.0
        limit = self.limit_a(at) if self.behaviour.obeys and not self.overridden else None
        return self.max_a if limit is None else min(limit, self.max_a)

    @property
    def power_w(self) -> float:
        """What the meter shows now."""
        return self.ev.power_w

    def limited(self, at: datetime) -> bool:
        """Tell whether a profile holds the charger below its rating at ``at``."""
        limit = self.limit_a(at)
        return limit is not None and limit < self.max_a

    def advance(self, now: datetime) -> None:
        """Let time pass up to ``now``, a second at a time, so that a limit bites when its period begins."""
        total_s = (now - self.now).total_seconds()
        slice_s = max(1.0, total_s / _FINE_STEPS)
        for index in range(math.ceil(total_s / slice_s)):
            length_s = min(slice_s, total_s - index * slice_s)
            before = self.ev.energy_wh
            at = self.now + timedelta(seconds=index * slice_s)
            self.ev = step(self.ev, self.offered_a(at), length_s)
            self.meter_wh += self.ev.energy_wh - before
        self.now = max(self.now, now)

    def begin(self, transaction_id: str, now: datetime) -> None:
        """Start a session."""
        self.advance(now)
        self.session = Session(transaction_id=transaction_id, started=now)
        self.overridden = False

    def end(self, now: datetime) -> None:
        """End the session; its TxProfiles go with it (OCPP 1.6, 3.13.1)."""
        self.advance(now)
        self.session = None
        self.overridden = False
        self.ev = replace(self.ev, current_a=0.0)
        self.profiles = {n: p for n, p in self.profiles.items() if p.purpose != TX}

    def reconnected(self, now: datetime) -> None:
        """Note that the link came back."""
        self.advance(now)
        if self.behaviour.drops_at_reconnect:
            self.profiles.clear()

    def refusal(self, profile: Profile, *, replaces_by_stack: bool) -> str | None:
        """Return why ``profile`` cannot be installed, as 2.0.1 words it; ``None`` if it can."""
        if not self.behaviour.accepts:
            return "NotEnabled"
        if profile.purpose in STATION_MAX and profile.connector != 0:
            return "InvalidProfile"
        if profile.purpose == TX and (self.session is None or profile.transaction_id != self.session.transaction_id):
            return "TxNotFound"
        if profile.unit not in self.units:
            return "UnsupportedRateUnit"
        if not 0 < len(profile.periods) <= MAX_PERIODS or profile.periods[0].start_s != 0:
            return "InvalidSchedule"
        if not replaces_by_stack and any(self._collides(profile, other) for other in self.profiles.values()):
            return "DuplicateProfile"
        return None

    def install(self, profile: Profile, now: datetime, *, replaces_by_stack: bool) -> str | None:
        """Install ``profile`` or return why not. 1.6 replaces by stack level and purpose, 2.0.1 only by id."""
        self.advance(now)
        reason = self.refusal(profile, replaces_by_stack=replaces_by_stack)
        if reason is None:
            if replaces_by_stack:
                self.profiles = {n: p for n, p in self.profiles.items() if not self._collides(profile, p)}
            self.profiles[profile.number] = profile
        return reason

    def clear(
        self,
        now: datetime,
        *,
        number: int | None = None,
        connector: int | None = None,
        purpose: str | None = None,
        stack_level: int | None = None,
    ) -> bool:
        """Remove what matches (everything, if nothing is asked for); ``False`` if nothing did."""
        self.advance(now)
        gone = {
            n
            for n, p in self.profiles.items()
            if (number is None or n == number)
            and (number is not None or connector is None or p.connector == connector)
            and (number is not None or purpose is None or p.purpose == purpose)
            and (number is not None or stack_level is None or p.stack_level == stack_level)
        }
        self.profiles = {n: p for n, p in self.profiles.items() if n not in gone}
        self.kept_a = None
        return bool(gone)

    @staticmethod
    def _collides(new: Profile, old: Profile) -> bool:
        same_place = (new.stack_level, new.purpose, new.connector) == (old.stack_level, old.purpose, old.connector)
        return same_place and new.number != old.number
