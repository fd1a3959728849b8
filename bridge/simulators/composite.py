"""The charging profiles in a simulated charger and the limit that follows from them; pure.

Rule: evaluated as the standard says, and independently of what the bridge thinks it sent: per purpose the highest
stack level that is valid and has a period now, TxProfile in place of TxDefaultProfile, and the lowest of that and the
station's maximum.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

TX, TX_DEFAULT, EXTERNAL = "TxProfile", "TxDefaultProfile", "ChargingStationExternalConstraints"
STATION_MAX = frozenset({"ChargePointMaxProfile", "ChargingStationMaxProfile"})
_CYCLE = {"Daily": timedelta(days=1), "Weekly": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From ``start_s`` seconds after the schedule's start: ``limit`` in the schedule's unit."""

    start_s: int
    limit: float
    phases: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An installed charging profile of either version. ``connector`` 0 is all of them; ``unit`` is "A" or "W"."""

    number: int
    connector: int
    purpose: str
    kind: str
    stack_level: int
    unit: str
    periods: tuple[Period, ...]
    start: datetime | None = None
    duration_s: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    recurrency: str | None = None
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What W are turned into A with: phases and configured voltage of the charger."""

    phases: int
    voltage: float


def limit_a(
    profiles: Iterable[Profile], now: datetime, wiring: Wiring, transaction: tuple[str, datetime] | None
) -> float | None:
    """Return the limit per phase (A) at ``now``, ``None`` if none; ``transaction`` is (id, start) of the session."""
    best: dict[str, tuple[int, float]] = {}
    for profile in profiles:
        if profile.purpose == TX and (transaction is None or profile.transaction_id not in {None, transaction[0]}):
            continue
        value = value_a(profile, now, wiring, transaction[1] if transaction else now)
        purpose = "max" if profile.purpose in STATION_MAX else profile.purpose
        if value is not None and (purpose not in best or profile.stack_level > best[purpose][0]):
            best[purpose] = (profile.stack_level, value)
    charging = best.get(TX, best.get(TX_DEFAULT))
    caps = [entry[1] for entry in (charging, best.get("max"), best.get(EXTERNAL)) if entry is not None]
    return min(caps) if caps else None


def value_a(profile: Profile, now: datetime, wiring: Wiring, session_start: datetime) -> float | None:
    """Return what one profile allows at ``now`` (A per phase), ``None`` if it is not in force."""
    if profile.valid_from is not None and now < profile.valid_from:
        return None
    if profile.valid_to is not None and now >= profile.valid_to:
        return None
    elapsed = _elapsed_s(profile, now, session_start)
    if elapsed < 0 or (profile.duration_s is not None and elapsed >= profile.duration_s):
        return None
    current = [period for period in profile.periods if period.start_s <= elapsed]
    if not current:
        return None
    period = current[-1]
    if profile.unit == "W":
        return period.limit / (wiring.voltage * min(wiring.phases, period.phases or 3))
    return period.limit


def _elapsed_s(profile: Profile, now: datetime, session_start: datetime) -> float:
    """Seconds since the schedule's start: absolute, of the running cycle, or of the session."""
    start = session_start if profile.kind == "Relative" or profile.start is None else profile.start
    elapsed = now - start
    if profile.kind == "Recurring" and profile.recurrency in _CYCLE and elapsed >= timedelta(0):
        elapsed %= _CYCLE[profile.recurrency]
    return elapsed.total_seconds()
