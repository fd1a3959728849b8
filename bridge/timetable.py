"""Limits by the calendar: on these days, between these times of this zone, so much; pure.

Rule: local times follow the clock changes of their zone. Every charger begins and ends at a place of its own inside the
spread, so that a timetable never steps a fleet, enrolled in anything or not (RND-06); a person may always leave it
(table 4.1).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from bridge.allocate import round_share
from bridge.baserule import Strict
from bridge.resources import Resource

AHEAD_DAYS = 2  # so many days are worked out; longer than schedules are sent ahead
MAX_SPREAD_S = 1800
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class TimetableRule(Strict):
    """One ``[[calendar]]`` table: a limit that returns every week."""

    id: str = Field(min_length=1, description="Its name, shown with the limit")
    days: tuple[Day, ...] = Field(default=DAYS, min_length=1, description="On which days it begins")
    begin: time = Field(description="Local time it begins at, HH:MM")
    end: time = Field(description="Local time it ends at; not later than begin: on the next day")
    timezone: str = Field(default="UTC", description="Zone of these times (IANA), for example Europe/London")
    limit_a: Annotated[float, Field(ge=0, le=100_000)] | None = Field(default=None, description="A per phase")
    limit_kw: Annotated[float, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="kW of one resource over all phases; the lower of the two counts"
    )
    members: tuple[str, ...] = Field(
        default=(), description="resourceIDs, groups, sites or feeders it is for; empty: all"
    )
    spread_s: Annotated[int, Field(ge=0, le=MAX_SPREAD_S)] = Field(
        default=600, description="Chargers begin and end over so long, s (RND-06)"
    )

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is no time zone") from None
        return value

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.limit_a is None and self.limit_kw is None:
            raise ValueError("limit_a or limit_kw is needed")
        if self.begin.tzinfo is not None or self.end.tzinfo is not None:
            raise ValueError("begin and end are local times: without an offset")
        return self

    def is_for(self, resource: Resource) -> bool:
        """True if the resource is a member."""
        names = (resource.resource_id, *resource.memberships)
        return not self.members or any(name in self.members for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One time that a rule limits a resource, A per phase."""

    rule: str
    start: datetime
    end: datetime
    limit_a: float
    reason: str


def stretches(rule: TimetableRule, resource: Resource, place: float, now: datetime) -> Iterator[Stretch]:
    """Yield when a rule limits a resource from ``now`` on; ``place`` in [0, 1) is the charger's own."""
    amperes, shift = _amperes(rule, resource), timedelta(seconds=int(place * rule.spread_s))
    for start, end in _times(rule, now):
        if end + shift > now:
            yield Stretch(
                rule=rule.id,
                start=start + shift,
                end=end + shift,
                limit_a=amperes,
                reason=f"calendar {rule.id}, {rule.begin:%H:%M} to {rule.end:%H:%M} {rule.timezone}",
            )


def _amperes(rule: TimetableRule, resource: Resource) -> float:
    options = [resource.max_a if rule.limit_a is None else rule.limit_a]
    if rule.limit_kw is not None:
        options.append(rule.limit_kw / resource.kw(1.0))
    amperes = round_share(min(options))
    return amperes if amperes >= resource.least_a else 0.0


def _times(rule: TimetableRule, now: datetime) -> Iterable[tuple[datetime, datetime]]:
    zone = ZoneInfo(rule.timezone)
    today = now.astimezone(zone).date()
    for offset in range(-1, AHEAD_DAYS + 1):
        day = today + timedelta(days=offset)
        if DAYS[day.weekday()] in rule.days:
            last = day if rule.end > rule.begin else day + timedelta(days=1)
            yield _instant(day, rule.begin, zone), _instant(last, rule.end, zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)
