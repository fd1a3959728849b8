"""Limit schedules to OCPP charging profiles, 1.6 and 2.0.1; pure.

Rule: a profile that leaves here is absolute, bounded by ``duration`` and ``validTo``, begins in the charger's past or
at its true future start, and never lets more through than the schedule says: every limit is rounded down to 0.1
(OCP-04, OUT-02).
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ocpp.v16 import enums as v16
from ocpp.v201 import enums as v201

from bridge.target import LimitPeriod, LimitSchedule

if TYPE_CHECKING:
    from bridge.ocpp.proxy_profiles import OtherProfile

IDS_PER_SCHEDULE = 4  # one id for the default profile and one for each of three connectors
_BINARY_NOISE = 6  # decimals: 16.9 A on three phases is 11661 W, not 11660.999999999998 W
_TO_SECOND = 19  # characters: YYYY-MM-DDThh:mm:ss
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
    most_periods: int = 24
    kind: str = "Absolute"
    min_a: float = 0.0  # the charger makes more of a limit between 0 and this: it is sent as 0
    default_connector: int = 0
    number_phases: bool = False
    others: "tuple[OtherProfile, ...]" = ()  # behind a CPO's own CSMS: its profiles, which ours must not loosen


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


def floor_tenth(value: float) -> float:
    """Round down to one decimal, by the decimal digits that a person sees (8.1 stays 8.1).

    Of two floats the greater one also reads as the greater decimal, so it is enough to compare floats.
    """
    tenths = math.floor(value * 10)  # one too many where the product was rounded up, never one too few
    return tenths / 10 if tenths / 10 <= value else (tenths - 1) / 10


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
        periods=tuple([(at if at == 0 else at + shift_s, value) for at, value in periods] if shift_s else periods),
    )


def default_profile_16(schedule_id: int, plan: Plan, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfile.req payload of the TxDefaultProfile on connector 0."""
    purpose = v16.ChargingProfilePurposeType.tx_default_profile
    profile = _profile_16(profile_id(schedule_id, 0, options), purpose, plan, options)
    return {"connectorId": options.default_connector, "csChargingProfiles": profile}


def session_profile_16(schedule_id: int, plan: Plan, session: Session, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfile.req payload of the TxProfile for ``session`` (1.6, 5.16: with transactionId)."""
    number = profile_id(schedule_id, session.connector, options)
    profile = _profile_16(number, v16.ChargingProfilePurposeType.tx_profile, plan, options)
    profile["transactionId"] = int(session.transaction_id)
    return {"connectorId": session.connector, "csChargingProfiles": profile}


def default_profile_201(schedule_id: int, plan: Plan, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfileRequest of the TxDefaultProfile on EVSE 0."""
    number = profile_id(schedule_id, 0, options)
    profile = _profile_201(number, v201.ChargingProfilePurposeEnumType.tx_default_profile, plan, options)
    return {"evseId": options.default_connector, "chargingProfile": profile}


def session_profile_201(schedule_id: int, plan: Plan, session: Session, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfileRequest of the TxProfile for ``session`` (K01.FR.03: with transactionId)."""
    number = profile_id(schedule_id, session.connector, options)
    profile = _profile_201(number, v201.ChargingProfilePurposeEnumType.tx_profile, plan, options)
    profile["transactionId"] = session.transaction_id
    return {"evseId": session.connector, "chargingProfile": profile}


def station_profile_16(schedule_id: int, plan: Plan, options: ProfileOptions) -> dict[str, Any]:
    """Return the SetChargingProfile.req payload of the ChargePointMaxProfile: only on connector 0 (1.6, 3.13.1)."""
    purpose = v16.ChargingProfilePurposeType.charge_point_max_profile
    profile = _profile_16(profile_id(schedule_id, 0, options), purpose, plan, replace(options, kind="Absolute"))
    return {"connectorId": 0, "csChargingProfiles": profile}


def station_profile_201(schedule_id: int, plan: Plan, options: ProfileOptions) -> dict[str, Any]:
    """Return the request of the ChargingStationMaxProfile: on EVSE 0 and never Relative (K01.FR.38)."""
    purpose = v201.ChargingProfilePurposeEnumType.charging_station_max_profile
    profile = _profile_201(profile_id(schedule_id, 0, options), purpose, plan, replace(options, kind="Absolute"))
    return {"evseId": 0, "chargingProfile": profile}


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
    return moment.astimezone(UTC).isoformat()[:_TO_SECOND] + "Z"


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
    rating, least_a, most_a = options.rating, options.min_a, options.rating.max_a
    per_a = rating.phases * rating.voltage if options.unit == "W" else 1.0  # W is the total over all phases, A is
    tenths = bool(options.decimals)  # per phase (OCPP 1.6 7.45, 2.0.1 K01.FR.50)
    steps: list[tuple[int, float]] = []
    last = -1.0
    for period in periods:  # with limits of their own for each charger, this is most of what a fan-out costs
        at, limit_a = period.start_s - offset_s, period.limit_a
        if at >= length_s:
            break
        amperes = most_a if limit_a is None else limit_a
        if not -math.inf < amperes < math.inf:
            raise ValueError(f"limit_a {amperes} is not a finite number of amperes")
        if amperes <= 0 or amperes < least_a:
            amperes = 0.0
        value = floor_tenth(amperes * per_a) if tenths else _floor(amperes * per_a, 0)
        if value != last:
            steps.append((at, value))
            last = value
    return steps


def _profile_16(
    number: int, purpose: v16.ChargingProfilePurposeType, plan: Plan, options: ProfileOptions
) -> dict[str, Any]:
    return {
        "chargingProfileId": number,
        "stackLevel": options.stack_level,
        "chargingProfilePurpose": purpose.value,
        **_validity(plan, options),
        "chargingSchedule": _schedule(plan, options),
    }


def _profile_201(
    number: int, purpose: v201.ChargingProfilePurposeEnumType, plan: Plan, options: ProfileOptions
) -> dict[str, Any]:
    return {
        "id": number,
        "stackLevel": options.stack_level,
        "chargingProfilePurpose": purpose.value,
        **_validity(plan, options),
        "chargingSchedule": [{"id": number, **_schedule(plan, options)}],
    }


def _validity(plan: Plan, options: ProfileOptions) -> dict[str, Any]:
    """Kind and bounds. A Relative schedule counts from the session's start, so only ``validTo`` can end it in time."""
    relative = options.kind == "Relative"
    until = plan.start + timedelta(seconds=plan.duration_s) if relative else plan.valid_to
    return {
        "chargingProfileKind": options.kind,
        "validFrom": instant(plan.start),
        "validTo": instant(until),
    }


def _schedule(plan: Plan, options: ProfileOptions) -> dict[str, Any]:
    """The schedule part, equal in both versions.

    numberPhases is left out unless the charger wants it: chargers differ in what they make of it.
    """
    phases = {"numberPhases": options.rating.phases} if options.number_phases else {}
    schedule: dict[str, Any] = {
        "chargingRateUnit": plan.unit,
        "chargingSchedulePeriod": [{"startPeriod": at, "limit": value, **phases} for at, value in plan.periods],
    }
    if options.kind == "Relative":
        return schedule
    return {"startSchedule": instant(plan.start), "duration": plan.duration_s} | schedule
