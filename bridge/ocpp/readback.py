"""What a charger says of the limits it holds, read and compared with ours: agrees, a foreign limit, or a lie; pure.

Rule: a composite schedule is advice (field notes C.5: constant, empty, wrong unit, divided twice): it never makes a
limit count as obeyed, which only the meter does. Below ours it is a foreign limit; above ours it is doubted, and told
apart by the meter.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bridge.ocpp.meter import parse_instant
from bridge.ocpp.profile import Rating
from bridge.target import ForeignLimit

MOST_REPORTED = 100  # profiles kept from one report
_TOLERANCE_A = 0.5  # conversions between A and W, and rounding, stay within this
_NOTHING_W = 100.0  # a charger draws so much for itself
_HIGHEST_A = 100_000.0  # a number beyond this is no limit


class Verdict(StrEnum):
    """What a read-back amounts to."""

    AGREES = "agrees"
    STRICTER = "stricter"  # something else limits the charger further
    LOOSER = "looser"  # our profile is not in force, or the schedule lies
    LIES = "lies"  # looser, and the meter shows that our limit is kept
    UNUSABLE = "unusable"  # refused, empty, or no number


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """A composite schedule beside what was asked for, A per phase at this moment."""

    verdict: Verdict
    said_a: float | None
    expected_a: float | None


def amperes_at(schedule: Mapping[str, Any], rating: Rating, now: datetime) -> float | None:
    """Return the limit of a charging schedule at ``now`` in A per phase; ``None`` for no limit or none that is clear.

    A schedule without a start begins now. A negative limit is how some stacks say "none".
    """
    start = parse_instant(str(schedule.get("startSchedule") or schedule.get("scheduleStart") or ""))
    since_s = (now - start).total_seconds() if start is not None else 0.0
    limit: object = None
    phases: object = None
    for period in schedule.get("chargingSchedulePeriod", ()):
        if period["startPeriod"] <= max(0.0, since_s):
            limit, phases = period["limit"], period.get("numberPhases")
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 <= limit < _HIGHEST_A * 1000:
        return None
    if schedule.get("chargingRateUnit") == "W":
        count = phases if isinstance(phases, int) and 0 < phases <= rating.phases else rating.phases
        limit = limit / (count * rating.voltage)
    return float(limit) if limit < _HIGHEST_A else None


def composite(answer: Mapping[str, Any], rating: Rating, now: datetime) -> float | None:
    """Return what GetCompositeSchedule of either version says for now, A per phase; ``None`` if nothing usable."""
    if answer.get("status") != "Accepted":
        return None
    schedule = answer.get("chargingSchedule") or answer.get("schedule")
    if not isinstance(schedule, Mapping):
        return None
    start = answer.get("scheduleStart") or schedule.get("scheduleStart") or schedule.get("startSchedule")
    return amperes_at({**schedule, "startSchedule": start}, rating, now)


def judge(said_a: float | None, expected_a: float | None, power_w: float | None, rating: Rating) -> ReadBack:
    """Weigh a composite schedule against ours and against the meter (``power_w`` now, if it is known)."""
    verdict = Verdict.AGREES
    expected = rating.max_a if expected_a is None else min(expected_a, rating.max_a)
    if said_a is None:
        verdict = Verdict.UNUSABLE
    elif min(said_a, rating.max_a) < expected - _TOLERANCE_A:
        verdict = Verdict.STRICTER
        if power_w is not None and _draws(power_w, rating) > said_a + _TOLERANCE_A:
            verdict = Verdict.LIES  # it takes more than it says it may
    elif said_a > expected + _TOLERANCE_A and expected_a is not None:
        kept = power_w is not None and power_w > _NOTHING_W and _draws(power_w, rating) <= expected + _TOLERANCE_A
        verdict = Verdict.LIES if kept else Verdict.LOOSER
    return ReadBack(verdict=verdict, said_a=said_a, expected_a=expected_a)


def reported_profiles(payload: Mapping[str, Any], rating: Rating, now: datetime) -> list[ForeignLimit]:
    """Return the profiles of a ReportChargingProfiles, each as who set it and what it limits; ids in ``detail``."""
    found = []
    for item in payload.get("chargingProfile", ()):
        limits = [amperes_at(schedule, rating, now) for schedule in item["chargingSchedule"]]
        found.append(
            ForeignLimit(
                source=str(payload["chargingLimitSource"]),
                connector=payload["evseId"],
                by="profiles",
                since=now,
                limit_a=min((value for value in limits if value is not None), default=None),
                detail=f"{item['chargingProfilePurpose']} {item['id']} at level {item['stackLevel']}",
            )
        )
    return found


def not_ours(found: Iterable[ForeignLimit], ours: Container[int]) -> list[ForeignLimit]:
    """Leave out the profiles with our ids; of the rest, keep the strictest of each source and connector."""
    strictest: dict[tuple[str, int], ForeignLimit] = {}
    for limit in found:
        if limit.source == "CSO" and int(limit.detail.split(" ")[1]) in ours:
            continue
        key = (limit.source, limit.connector)
        known = strictest.get(key)
        if known is None or _order(limit) < _order(known):
            strictest[key] = limit
    return list(strictest.values())


def _order(limit: ForeignLimit) -> float:
    return float("inf") if limit.limit_a is None else limit.limit_a


def _draws(power_w: float, rating: Rating) -> float:
    """The least current per phase that explains ``power_w``: the load may be on all phases."""
    return power_w / (rating.phases * rating.voltage)
