"""The CPO's charging profiles beside ours: read, merged, kept apart, put back; pure.

Rule: the most restrictive wins at every moment. Ours stands on a stack level above the CPO's and carries the lower of
both values, because within one purpose the highest level hides the others (1.6 3.13.2, 2.0.1 K01); under it the CPO's
own profile stays, and is in force again as soon as ours is over. Where there is no room above, the CPO's is kept here
meanwhile and sent again afterwards. What is not clear in a profile is taken at its strictest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.ocpp.frames import Version
from bridge.ocpp.meter import parse_instant
from bridge.ocpp.profile import Plan, ProfileOptions, Rating, Session, floor_tenth, instant
from bridge.target import LimitSchedule

BLOCK = 1000  # profile ids from the proxy's base on that are ours
DEFAULT, SESSION = "TxDefaultProfile", "TxProfile"
STATION = frozenset({"ChargePointMaxProfile", "ChargingStationMaxProfile"})
_EVERY_S = {"Daily": 86_400, "Weekly": 604_800}
_MOST_EDGES = 400  # changes of one profile that are looked at: days of a daily profile with many periods


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherProfile:
    """A charging profile of the CPO; ``periods`` are (seconds, A per phase) from ``start`` on."""

    number: int
    purpose: str
    connector: int
    level: int
    periods: tuple[tuple[int, float], ...]
    transaction_id: str | None = None
    start: datetime | None = None  # None: counts from a moment that is not known here
    duration_s: int | None = None
    every_s: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def limit_a(self, at: datetime) -> float | None:
        """Return what it lets through at a moment, A per phase; ``None`` where it says nothing."""
        if (self.valid_from and at < self.valid_from) or (self.valid_to and at >= self.valid_to):
            return None
        if self.start is None:
            return min(value for _, value in self.periods)
        since_s = (at - self.start).total_seconds()
        if since_s < 0:
            return None
        if self.every_s is not None:
            since_s %= self.every_s
        if self.duration_s is not None and since_s >= self.duration_s:
            return None
        return next((value for begin_s, value in reversed(self.periods) if begin_s <= since_s), None)

    def edges(self, begin: datetime, end: datetime) -> list[datetime]:
        """Return the moments between ``begin`` and ``end`` at which it may change."""
        found = [at for at in (self.valid_from, self.valid_to) if at is not None]
        if self.start is not None:
            offsets = [at for at, _ in self.periods] + ([self.duration_s] if self.duration_s is not None else [])
            round_s = self.every_s or 0
            first = max(0, int((begin - self.start).total_seconds()) // round_s) if round_s else 0
            rounds = range(first, first + max(1, _MOST_EDGES // len(offsets))) if round_s else (0,)
            found += [self.start + timedelta(seconds=turn * round_s + offset) for turn in rounds for offset in offsets]
        return [at for at in found if begin < at < end]


def read(version: Version, payload: Mapping[str, Any], rating: Rating) -> OtherProfile | None:
    """Read the profile of a SetChargingProfile request; ``None`` if it is none that ours can collide with."""
    name, place = ("csChargingProfiles", "connectorId") if version is Version.V16 else ("chargingProfile", "evseId")
    return _read(version, payload.get(name), payload.get(place), rating)


def read_start(version: Version, payload: Mapping[str, Any], rating: Rating) -> OtherProfile | None:
    """Read the profile that a remote start carries for the session that it begins."""
    place = "connectorId" if version is Version.V16 else "evseId"
    return _read(version, payload.get("chargingProfile"), payload.get(place, 1), rating)


def _read(version: Version, raw: Any, connector: Any, rating: Rating) -> OtherProfile | None:
    try:
        schedule = raw["chargingSchedule"]
        schedule = schedule[0] if version is Version.V201 else schedule
        purpose = raw["chargingProfilePurpose"]
        if purpose not in (DEFAULT, SESSION) and purpose not in STATION:
            return None
        transaction = raw.get("transactionId")
        start = parse_instant(str(schedule.get("startSchedule") or ""))
        return OtherProfile(
            number=int(raw["chargingProfileId" if version is Version.V16 else "id"]),
            purpose=purpose,
            connector=int(connector),
            level=int(raw["stackLevel"]),
            periods=tuple(
                (int(period["startPeriod"]), _amperes(period, schedule["chargingRateUnit"], rating))
                for period in schedule["chargingSchedulePeriod"]
            ),
            transaction_id=None if transaction is None else str(transaction),
            start=None if raw.get("chargingProfileKind") == "Relative" else start,
            duration_s=schedule.get("duration"),
            every_s=_EVERY_S.get(raw.get("recurrencyKind", "")) if raw["chargingProfileKind"] == "Recurring" else None,
            valid_from=parse_instant(str(raw.get("validFrom") or "")),
            valid_to=parse_instant(str(raw.get("validTo") or "")),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):  # not of the standard's form
        return None


def _amperes(period: Mapping[str, Any], unit: str, rating: Rating) -> float:
    limit = float(period["limit"])
    if unit == "W":
        limit /= int(period.get("numberPhases") or rating.phases) * rating.voltage
    return limit


def merge(plan: Plan, session: Session | None, options: ProfileOptions) -> Plan:
    """Lower ``plan`` to what the CPO's profiles let through; ``session`` is the one that it is for, if any."""
    others = [each for each in options.others if each.periods]
    if not others:
        return plan
    end = plan.start + timedelta(seconds=plan.duration_s)
    edges = {int((at - plan.start).total_seconds()) for each in others for at in each.edges(plan.start, end)}
    steps: list[tuple[int, float]] = []
    for at in sorted({0, *(at for at, _ in plan.periods), *edges}):
        value = next(value for begin, value in reversed(plan.periods) if begin <= at)
        theirs = _in_force(others, session, plan.start + timedelta(seconds=at))
        if theirs is not None:
            value = min(value, _in_unit(theirs, plan.unit, options))
        if not steps or steps[-1][1] != value:
            steps.append((at, value))
    if len(steps) > options.most_periods:
        kept = steps[: options.most_periods - 1]
        rest = steps[options.most_periods - 1 :]
        steps = [*kept, (rest[0][0], min(value for _, value in rest))]
    return replace(plan, periods=tuple(steps))


def _in_unit(amperes: float, unit: str, options: ProfileOptions) -> float:
    value = amperes * options.rating.phases * options.rating.voltage if unit == "W" else amperes
    value = floor_tenth(round(max(value, 0.0), 6))
    return value if options.decimals else float(int(value))


def _in_force(others: Sequence[OtherProfile], session: Session | None, at: datetime) -> float | None:
    """The CPO's limit at a moment for a session, or for those to come: then the lowest of all connectors."""
    limits = [_strongest([each for each in others if each.purpose in STATION], at)]
    if session is not None:
        own = _strongest([each for each in others if each.purpose == SESSION and _of(each, session)], at)
        limits.append(own if own is not None else _default(others, session.connector, at))
    else:
        limits += [_default(others, connector, at) for connector in {each.connector for each in others}]
    return min((limit for limit in limits if limit is not None), default=None)


def _default(others: Sequence[OtherProfile], connector: int, at: datetime) -> float | None:
    return _strongest([e for e in others if e.purpose == DEFAULT and e.connector in (0, connector)], at)


def _of(profile: OtherProfile, session: Session) -> bool:
    return profile.connector == session.connector and profile.transaction_id in (None, session.transaction_id)


def _strongest(profiles: Iterable[OtherProfile], at: datetime) -> float | None:
    active = [(each.level, limit) for each in profiles if (limit := each.limit_a(at)) is not None]
    return max(active, key=lambda each: each[0])[1] if active else None


def level_above(others: Iterable[OtherProfile], level: int, highest: int | None) -> int:
    """Return our stack level: ``level``, or one above the CPO's; not above ``highest``, which the charger takes."""
    wanted = max((each.level + 1 for each in others), default=level)
    if wanted <= level:
        return level
    return wanted if highest is None else max(level, min(wanted, highest))


def replaced_by(new: OtherProfile, old: OtherProfile, version: Version) -> bool:
    """Tell whether a charger drops ``old`` for ``new``: same id, or for 1.6 the same purpose and level (5.16.2)."""
    if new.number == old.number:
        return True
    same = (new.purpose, new.level, new.connector) == (old.purpose, old.level, old.connector)
    return version is Version.V16 and same


def clears(profile: OtherProfile, version: Version, payload: Mapping[str, Any]) -> bool:
    """Tell whether a ClearChargingProfile request is about ``profile``."""
    number = cleared_id(version, payload)
    if number is not None:
        return number == profile.number
    which = payload if version is Version.V16 else payload.get("chargingProfileCriteria") or {}
    given = (
        which.get("connectorId" if version is Version.V16 else "evseId"),
        which.get("chargingProfilePurpose"),
        which.get("stackLevel"),
    )
    own = (profile.connector, profile.purpose, profile.level)
    return all(wanted in (None, has) for wanted, has in zip(given, own, strict=True))


def cleared_id(version: Version, payload: Mapping[str, Any]) -> int | None:
    """Return the one id that a ClearChargingProfile request names, if it does."""
    number = payload.get("id" if version is Version.V16 else "chargingProfileId")
    return number if isinstance(number, int) else None


def is_ours(number: int, base: int) -> bool:
    """Tell whether a profile id lies in our block."""
    return base <= number < base + BLOCK


def strictest(others: Iterable[OtherProfile], at: datetime) -> dict[int, tuple[OtherProfile, float]]:
    """Return by connector the profile that lets the least through at a moment, and what that is (ARB-13)."""
    found: dict[int, tuple[OtherProfile, float]] = {}
    for each in others:
        limit = each.limit_a(at)
        if limit is not None and (each.connector not in found or limit < found[each.connector][1]):
            found[each.connector] = (each, limit)
    return found


def limit_notice(plan: Plan, source: str) -> dict[str, Any]:
    """Return NotifyChargingLimit: the limit of an external system that the station is under (2.0.1 K12)."""
    return {
        "chargingLimit": {"chargingLimitSource": source},
        "chargingSchedule": [
            {
                "id": 1,
                "startSchedule": instant(plan.start),
                "duration": plan.duration_s,
                "chargingRateUnit": plan.unit,
                "chargingSchedulePeriod": [{"startPeriod": at, "limit": value} for at, value in plan.periods],
            }
        ],
    }


def same_limit(one: LimitSchedule | None, other: LimitSchedule) -> bool:
    """Tell whether two schedules say the same, whenever they expire on their own."""
    return one is not None and (one.start, one.end, one.periods) == (other.start, other.end, other.periods)
