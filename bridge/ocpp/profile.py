"""Limit schedules to OCPP charging profiles, 1.6 and 2.0.1; pure.

Rule: a profile that leaves here is absolute, bounded by ``duration`` and ``validTo``, begins in the charger's past or
at its true future start, and never lets more through than the schedule says: every limit is rounded down to 0.1
(OCP-04, OUT-02).
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any

from ocpp.v16 import enums as v16
from ocpp.v201 import enums as v201

from bridge.target import LimitPeriod, LimitSchedule

IDS_PER_SCHEDULE = 4  # one id for the default profile and one for each of three connectors
_TENTH = Decimal("0.1")  # OCPP 1.6 and 2.0.1 accept one decimal; strict stacks refuse more
_BINARY_NOISE = 6  # decimals: 16.9 A on three phases is 11661 W, not 11660.999999999998 W
_MAX_ID = 2**31 - 1  # chargers keep ids in 32 signed bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What the charger is wired for: phases, the most A per phase, and the voltage it converts with (K01.FR.50)."""

    phases: int
    max_a: float
    voltage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """Choices per charger: ``unit`` "A" (per phase) or "W" (total), stack level, id block, start in the past (s)."""

    rating: Rating
    unit: str = "A"
    stack_level: int = 0
    id_base: int = 0
    backdate_s: int = 60
    decimals: int = 1  # 0 for chargers that take whole amperes or watts only


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A running transaction that a TxProfile binds to (K01.FR.03): connector or EVSE number and its id."""

    connector: int
    transaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A schedule made ready for a charger: whole seconds, values in ``unit``, bounded."""

    start: datetime
    duration_s: int
    valid_to: datetime
    unit: str
    periods: tuple[tuple[int, float], ...]


@lru_cache(maxsize=8192)  # a fleet is told the same few values in one event
def floor_tenth(value: float) -> float:
    """Round down to one decimal, by the decimal digits that a person sees (8.1 stays 8.1)."""
    return float(Decimal(repr(float(value))).quantize(_TENTH, rounding=ROUND_FLOOR))


def _floor(value: float, decimals: int) -> float:
    return floor_tenth(value) if decimals else float(math.floor(round(value, _BINARY_NOISE)))


def profile_id(schedule_id: int, connector: int, options: ProfileOptions) -> int:
    """Return the id of a schedule's profile; connector 0 is the default profile. ``ValueError`` outside the block."""
    if not 0 <= connector < IDS_PER_SCHEDULE:
        raise ValueError(f"connector {connector}: the id block of a schedule holds {IDS_PER_SCHEDULE - 1} connectors")
    number = options.id_base + schedule_id * IDS_PER_SCHEDULE + connector
    if schedule_id < 0 or not 0 < number <= _MAX_ID:
        raise ValueError(f"schedule_id {schedule_id}: the profile id {number} is outside 1..{_MAX_ID}")
    return number


def make_plan(schedule: LimitSchedule, options: ProfileOptions, now: datetime) -> Plan | None:
    """Make ``schedule`` ready to send at ``now``; ``None`` if nothing of it is left to limit.

    Parts without a limit at either end are cut off: no profile is the only "unlimited" that OCPP knows. Between two
    limits such a part carries the charger's own rating.
    """
    limited = [i for i, period in enumerate(schedule.periods) if period.limit_a is not None]
    if not limited:
        return None
    first, last = schedule.periods[limited[0]], limited[-1]
    start = _whole_second(schedule.start + timedelta(seconds=first.start_s))
    end = schedule.end
    if last + 1 < len(schedule.periods):
        end = min(end, schedule.start + timedelta(seconds=schedule.periods[last + 1].start_s))
    if end <= start or end <= now:
        return None
    length_s = (end - start).total_seconds()
    periods = _steps(schedule.periods[limited[0] : last + 1], first.start_s, length_s, options)
    begin = _safe_start(start, now, options.backdate_s)
    shift_s = round((start - begin).total_seconds())
    return Plan(
        start=begin,
        duration_s=math.ceil((end - begin).total_seconds()),
        valid_to=_whole_second(max(schedule.expires, end) + timedelta(microseconds=999_999)),
        unit=options.unit,
        periods=tuple((at if at == 0 else at + shift_s, value) for at, value in periods),
    )


def default_profile_16(schedule_id: int, plan: Plan, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfile.req payload of the TxDefaultProfile on connector 0."""
    profile = _profile_16(profile_id(schedule_id, 0, options), v16.ChargingProfilePurposeType.tx_default_profile, plan)
    profile["stackLevel"] = options.stack_level
    return {"connectorId": 0, "csChargingProfiles": profile}


def session_profile_16(schedule_id: int, plan: Plan, session: Session, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfile.req payload of the TxProfile for ``session`` (1.6, 5.16: with transactionId)."""
    number = profile_id(schedule_id, session.connector, options)
    profile = _profile_16(number, v16.ChargingProfilePurposeType.tx_profile, plan)
    profile |= {"stackLevel": options.stack_level, "transactionId": int(session.transaction_id)}
    return {"connectorId": session.connector, "csChargingProfiles": profile}


def default_profile_201(schedule_id: int, plan: Plan, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfileRequest of the TxDefaultProfile on EVSE 0."""
    number = profile_id(schedule_id, 0, options)
    profile = _profile_201(number, v201.ChargingProfilePurposeEnumType.tx_default_profile, plan)
    profile["stackLevel"] = options.stack_level
    return {"evseId": 0, "chargingProfile": profile}


def session_profile_201(schedule_id: int, plan: Plan, session: Session, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfileRequest of the TxProfile for ``session`` (K01.FR.03: with transactionId)."""
    number = profile_id(schedule_id, session.connector, options)
    profile = _profile_201(number, v201.ChargingProfilePurposeEnumType.tx_profile, plan)
    profile |= {"stackLevel": options.stack_level, "transactionId": session.transaction_id}
    return {"evseId": session.connector, "chargingProfile": profile}


def clear_16(number: int) -> dict[str, Any]:
    """Return the ClearChargingProfile.req payload that removes profile ``number``."""
    return {"id": number}


def clear_201(number: int) -> dict[str, Any]:
    """Return the ClearChargingProfileRequest that removes profile ``number``."""
    return {"chargingProfileId": number}


def clear_stack_201(purpose: str, options: ProfileOptions) -> dict[str, Any]:
    """Return the request that frees our stack level for ``purpose``: 2.0.1 allows one id there (K01.FR.06)."""
    return {"chargingProfileCriteria": {"chargingProfilePurpose": purpose, "stackLevel": options.stack_level}}


def for_session(plan: Plan, sessions: int, decimals: int = 1) -> Plan:
    """Share a charger's limit over ``sessions`` connectors in use, rounding down."""
    if sessions <= 1:
        return plan
    shares = ((at, value / sessions) for at, value in plan.periods)
    return replace(plan, periods=tuple((at, _floor(value, decimals)) for at, value in shares))


def instant(moment: datetime) -> str:
    """Write an instant as both versions read it: UTC, whole seconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _safe_start(start: datetime, now: datetime, backdate_s: int) -> datetime:
    """A start that is due lies ``backdate_s`` back or more: a slow charger clock leaves no gap (1.6, 5.16.4)."""
    if start > now:
        return start
    return min(start, _whole_second(now - timedelta(seconds=backdate_s)))


def _steps(
    periods: tuple[LimitPeriod, ...], offset_s: int, length_s: float, options: ProfileOptions
) -> list[tuple[int, float]]:
    """Return (seconds, value in the charger's unit) of each change within ``length_s``; equal neighbours are one."""
    steps: list[tuple[int, float]] = []
    for period in periods:
        at, value = period.start_s - offset_s, _value(period.limit_a, options)
        if at < length_s and (not steps or steps[-1][1] != value):
            steps.append((at, value))
    return steps


def _value(limit_a: float | None, options: ProfileOptions) -> float:
    rating = options.rating
    if limit_a is not None and not math.isfinite(limit_a):
        raise ValueError(f"limit_a {limit_a} is not a finite number of amperes")
    amperes = rating.max_a if limit_a is None else limit_a if limit_a > 0 else 0.0
    if options.unit == "W":  # W is the total over all phases, A is per phase (OCPP 1.6 7.45, 2.0.1 K01.FR.50)
        amperes *= rating.phases * rating.voltage
    return _floor(amperes, options.decimals)


def _profile_16(number: int, purpose: v16.ChargingProfilePurposeType, plan: Plan) -> dict[str, Any]:
    return {
        "chargingProfileId": number,
        "chargingProfilePurpose": purpose.value,
        "chargingProfileKind": v16.ChargingProfileKindType.absolute.value,
        "validFrom": instant(plan.start),
        "validTo": instant(plan.valid_to),
        "chargingSchedule": _schedule(plan),
    }


def _profile_201(number: int, purpose: v201.ChargingProfilePurposeEnumType, plan: Plan) -> dict[str, Any]:
    return {
        "id": number,
        "chargingProfilePurpose": purpose.value,
        "chargingProfileKind": v201.ChargingProfileKindEnumType.absolute.value,
        "validFrom": instant(plan.start),
        "validTo": instant(plan.valid_to),
        "chargingSchedule": [{"id": number, **_schedule(plan)}],
    }


def _schedule(plan: Plan) -> dict[str, Any]:
    """The schedule part, equal in both versions. numberPhases is left out: chargers differ in what they make of it."""
    return {
        "startSchedule": instant(plan.start),
        "duration": plan.duration_s,
        "chargingRateUnit": plan.unit,
        "chargingSchedulePeriod": [{"startPeriod": at, "limit": value} for at, value in plan.periods],
    }
