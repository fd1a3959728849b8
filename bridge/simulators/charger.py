"""A simulated charger apart from its protocol: car, meter, profiles, session, behaviour; no I/O, no clock.

Rule: what the meter shows follows from the car and the limit in force, second by second; a behaviour changes what the
charger does with its profiles, never what it measures. All of this outlives a lost connection.
"""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bridge.simulators.composite import STATION_MAX, TX, TX_DEFAULT, Profile, Wiring, limit_a
from bridge.simulators.ev import Ev, step

MAX_PERIODS = 24  # what a common embedded stack holds
_FINE_STEPS = 7200  # beyond this many seconds at once, steps get coarser


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a charger asks of profiles beyond the standard: each field is a trait met in the field.

    ``smart_charging``: it knows the messages at all. ``purposes``: the only ones taken ("max" is the station's).
    ``running``: a TxDefaultProfile rules a running session. ``level``: the only stack level. ``connector``: where a
    default profile must go. ``kind``: the only profile kind. ``phases``: it wants numberPhases. ``whole``: whole limits
    only. ``zero``: it takes 0. ``least_a``: it makes this of anything above 0. ``most_periods``: more are refused.
    ``latches``: after 0 it charges on only by another limit. ``clears_by_id``: it knows its profiles by id.
    """

    smart_charging: bool = True
    purposes: frozenset[str] = frozenset({TX, TX_DEFAULT, "max"})
    running: bool = True
    level: int | None = None
    connector: int | None = None
    kind: str | None = None
    phases: bool = False
    whole: bool = False
    zero: bool = True
    least_a: float = 0.0
    most_periods: int = MAX_PERIODS
    latches: bool = False
    clears_by_id: bool = True

    def refusal(self, profile: Profile) -> str | None:
        """Return why ``profile`` is not taken, ``None`` if it is."""
        limits = [period.limit for period in profile.periods]
        purpose = "max" if profile.purpose in STATION_MAX else profile.purpose
        faults = {
            "UnsupportedPurpose": purpose not in self.purposes,
            "InvalidStackLevel": self.level is not None and profile.stack_level != self.level,
            "InvalidProfile": self.connector is not None
            and profile.purpose == TX_DEFAULT
            and profile.connector != self.connector,
            "UnsupportedKind": self.kind is not None and purpose != "max" and profile.kind != self.kind,
            "PhasesMissing": self.phases and any(period.phases is None for period in profile.periods),
            "InvalidLimit": self.whole and any(limit % 1 for limit in limits),
            "InvalidZero": not self.zero and 0 in limits,
            "InvalidSchedule": len(limits) > self.most_periods,
        }
        return next((word for word, wrong in faults.items() if wrong), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a charger treats its profiles.

    ``accepts``: it says Accepted (else Rejected). ``obeys``: it limits the car. ``drops_at_reconnect``: it forgets its
    profiles when it reconnects. ``keeps_limit``: a limit that ends by itself stays until it is cleared.
    ``composite_a``: what its composite schedule always says. ``demands``: what it asks of a profile.
    ``goes_offline``, ``driver_overrides``: it does so at the time the fleet file gives.
    """

    accepts: bool = True
    obeys: bool = True
    drops_at_reconnect: bool = False
    keeps_limit: bool = False
    composite_a: float | None = None
    goes_offline: bool = False
    driver_overrides: bool = False
    demands: Demands = field(default_factory=Demands)


BEHAVIOURS: dict[str, Behaviour] = {
    "obeys": Behaviour(),
    "refuses": Behaviour(accepts=False),
    "ignores": Behaviour(obeys=False),
    "offline": Behaviour(goes_offline=True),
    "driver_override": Behaviour(driver_overrides=True),
    "keeps_limit": Behaviour(keeps_limit=True),
    "lying_composite": Behaviour(composite_a=16.0),
    "drops_profile_at_reconnect": Behaviour(drops_at_reconnect=True, goes_offline=True),
    "no_smart_charging": Behaviour(demands=Demands(smart_charging=False)),
    "default_only": Behaviour(demands=Demands(purposes=frozenset({TX_DEFAULT}))),
    "session_only": Behaviour(demands=Demands(purposes=frozenset({TX}))),
    "station_max_only": Behaviour(demands=Demands(purposes=frozenset({"max"}))),
    "default_from_next_session": Behaviour(demands=Demands(running=False)),
    "stack_level_zero": Behaviour(demands=Demands(level=0)),
    "default_on_connector": Behaviour(demands=Demands(connector=1)),
    "relative_only": Behaviour(demands=Demands(kind="Relative")),
    "wants_number_phases": Behaviour(demands=Demands(phases=True)),
    "whole_limits": Behaviour(demands=Demands(whole=True)),
    "zero_refused": Behaviour(demands=Demands(zero=False)),
    "six_for_less": Behaviour(demands=Demands(least_a=6.0)),
    "two_periods": Behaviour(demands=Demands(most_periods=2)),
    "latches_at_zero": Behaviour(demands=Demands(latches=True)),
    "clears_by_stack": Behaviour(demands=Demands(clears_by_id=False)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A running charging session, with the id of its transaction ("" until the central system has given one)."""

    transaction_id: str
    started: datetime
    defaults: frozenset[int] = frozenset()  # the default profiles that were there when it began


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
    divides_by_use: bool = False  # W go to the phases in use, not to all that are wired (not what OCPP says, and met)
    meter_wh: float = 0.0
    profiles: dict[int, Profile] = field(default_factory=dict)
    session: Session | None = None
    overridden: bool = False
    latched: bool = False  # at 0, until another limit comes
    kept_a: float | None = None  # the last limit, in a charger that keeps it
    in_service: bool = True  # as the central system asked; a running session is finished first

    def limit_a(self, at: datetime) -> float | None:
        """Return the limit that the installed profiles make at ``at``, whether obeyed or not."""
        running = (self.session.transaction_id, self.session.started) if self.session else None
        phases = min(self.phases, self.ev.phases) if self.divides_by_use else self.phases
        wiring = Wiring(phases=phases, voltage=self.voltage)
        demands = self.behaviour.demands
        known = list(self.profiles.values())
        if not demands.running and self.session is not None:
            known = [each for each in known if each.purpose != TX_DEFAULT or each.number in self.session.defaults]
        limit = limit_a(known, at, wiring, running)
        if limit is not None and 0 < limit < demands.least_a:
            limit = demands.least_a
        if demands.latches:
            self.latched = limit == 0 or (self.latched and limit is None)
            limit = 0.0 if self.latched else limit
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
        self.session = Session(transaction_id=transaction_id, started=now, defaults=frozenset(self.profiles))
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
        if (demanded := self.behaviour.demands.refusal(profile)) is not None:
            return demanded
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
        if number is not None and not self.behaviour.demands.clears_by_id:
            return False
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
