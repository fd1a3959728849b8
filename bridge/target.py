"""What the bridge asks of a device family and what it hears back: limits, results, status, meter readings, with units.

Rule: only values and Protocols, no I/O and no knowledge of any device protocol. A limit is an upper cap in amperes
per phase (MAP-06, MAP-08); ``CommandResult`` says what the device answered, which is never proof of effect
(decision 0005).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class CommandOutcome(StrEnum):
    """How one command to a device ended. Only ACCEPTED means that the device agreed."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # the device answered no
    NOT_SUPPORTED = "not_supported"  # the device cannot do it at all (OCP-08)
    OFFLINE = "offline"  # no connection: nothing was sent
    TIMEOUT = "timeout"  # sent, no answer within the time-out (OCP-09)
    ERROR = "error"  # sent, answered by a protocol error, or failed on our side


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPeriod:
    """From ``start_s`` seconds after the schedule's start on: ``limit_a`` A per phase, ``None`` for no limit."""

    start_s: int
    limit_a: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSchedule:
    """Caps for one charger over [start, end). ``expires`` is when the device must drop it on its own (OUT-02).

    ``schedule_id`` is a positive number, stable for (charger, event), so that a re-sent schedule replaces itself.
    ``periods`` is non-empty, ordered, and begins with ``start_s`` 0. Sending it again is harmless.
    """

    schedule_id: int
    start: datetime
    end: datetime
    expires: datetime
    periods: tuple[LimitPeriod, ...]
    source: str
    reason: str
    authority: str = ""  # the bases of its limits: contract, emergency, customer (ARB-12)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The answer to one command; ``detail`` is the device's own word or the failure, ``at`` when it was known."""

    outcome: CommandOutcome
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """One reading: total ``power_w`` (W), ``current_a`` per phase (A), cumulative import ``energy_wh`` (Wh).

    Power is signed: below zero the device gives back (MAP-14). ``soc`` is the car's state of charge, 0 to 1, as it says
    itself; ``session`` names the charging session, so that one car's figures are never taken for another's.
    """

    charger: str
    at: datetime
    power_w: float | None = None
    current_a: tuple[float, ...] | None = None
    energy_wh: float | None = None
    source: str = "meter"
    estimated: bool = False  # worked out by the device (from a rating, say), not measured
    soc: float | None = None
    session: str = ""
    frequency_hz: float | None = None  # of the mains, where the device measures it (TEL-02)

    @property
    def metered(self) -> bool:
        """True if a meter has said anything, not only the car."""
        return self.power_w is not None or self.current_a is not None or self.energy_wh is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarNeeds:
    """What a car or its driver asks for in the running ``session``: energy (Wh), by when, and what its battery holds.

    ``None`` is what was not said. ``soc`` and ``full_soc`` are 0 to 1.
    """

    session: str
    energy_wh: float | None = None
    departure: datetime | None = None
    soc: float | None = None
    full_soc: float | None = None
    battery_wh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignLimit:
    """A limit on a charger that is not the bridge's: who set it, as the charger says, and what it is in A per phase.

    ``by`` is how it was learnt: it passed here on its way from another system (``relayed``), the charger told
    (``notified``), its profiles were read (``profiles``), or its composite schedule is below ours (``composite``),
    which is the weakest witness.
    """

    source: str
    connector: int
    by: str
    since: datetime
    limit_a: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerStatus:
    """What is known of a charger now. ``transaction`` is True while a session runs."""

    identity: str
    connected: bool
    protocol: str | None = None
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    transaction: bool = False
    status: str = ""
    last_seen: datetime | None = None
    last_reading: MeterReading | None = None
    connected_since: datetime | None = None
    foreign: tuple[ForeignLimit, ...] = ()
    limit_in_w: bool = False  # limits reach it as a total in W, not as A per phase
    enrolled: bool = True  # False: it takes no limits, and there is no fallback for it (OCP-08)
    own_delay_s: int | None = None  # it delays what it is told by up to so long at random (RND-05); None: not known
    unresponsive: bool = False  # connected, and has left several calls in a row without an answer (OCP-09)


class LimitTarget(Protocol):
    """A family of devices that take caps. Commands never raise for a device's fault: they return what happened."""

    async def set_limit(self, identity: str, schedule: LimitSchedule) -> CommandResult:
        """Install ``schedule`` on the charger, for a running session and for one that begins inside it."""
        ...

    async def clear_limit(self, identity: str, schedule_id: int) -> CommandResult:
        """Remove the schedule. Removing one that is not there is ACCEPTED."""
        ...

    async def set_available(self, identity: str, available: bool) -> CommandResult:
        """Take the charger out of service, or back; a running session may have to end first."""
        ...

    async def stop_session(self, identity: str) -> CommandResult:
        """End every running session. With none running it is ACCEPTED."""
        ...

    def status(self, identity: str) -> ChargerStatus | None:
        """Return what is known of one charger, ``None`` if it was never seen."""
        ...

    def chargers(self) -> tuple[ChargerStatus, ...]:
        """Return every charger seen, ordered by identity."""
        ...


class FleetEvents(Protocol):
    """What a device family tells the bridge. Callbacks are plain functions, return at once and never raise."""

    def connected(self, identity: str, now: datetime) -> None:
        """The charger is connected and ready for commands (after an accepted boot)."""
        ...

    def disconnected(self, identity: str, now: datetime) -> None:
        """The connection is gone."""
        ...

    def reading(self, reading: MeterReading) -> None:
        """A meter reading arrived; ``reading.at`` is the device's own time stamp."""
        ...

    def transaction(self, identity: str, started: bool, now: datetime) -> None:
        """A session started or ended."""
        ...

    def driver_action(self, identity: str, kind: str, now: datetime) -> None:
        """Something only a person does at the charger, for example ``override`` (OCP-11: a hint, never certain)."""
        ...

    def needs(self, identity: str, needs: CarNeeds, now: datetime) -> None:
        """The car has said what it needs (ISO 15118 by way of OCPP 2.0.1)."""
        ...
