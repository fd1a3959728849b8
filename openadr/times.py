"""Durations and instants as OpenADR 2.0b writes them (R1, xcal:duration pattern); whole seconds, UTC, no clock.

A ``Duration`` keeps months apart from seconds, because ``P1M`` is calendar arithmetic from dtstart and has no length of
its own. Writing is canonical (days and below, ``PT0S`` for zero); reading accepts every form the XSD accepts.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self

_DURATION = re.compile(
    r"(?P<sign>[+-])?P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"T?(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?"
)
_WEEKS = re.compile(r"(?P<sign>[+-])?(?P<weeks>\d+)W")
_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d+)?Z")
_MAX_SECONDS = 100 * 366 * 86_400  # a century: beyond it date arithmetic overflows, and no event is meant
_MAX_MONTHS = 1200


def _bounded(digits: str | None, name: str) -> int:
    if digits is None:
        return 0
    if len(digits) > 10:
        raise ValueError(f"duration: {name} out of range")
    return int(digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A signed length of time: ``months`` by the calendar plus ``seconds`` (both whole, same sign)."""

    months: int = 0
    seconds: int = 0

    @classmethod
    @lru_cache(maxsize=1_000)  # a report repeats the same few thousands of times
    def parse(cls, text: str) -> Self:
        """Read an XSD-valid duration. Raises ``ValueError`` for fractions, ``P1W`` and lengths over a century."""
        if match := _WEEKS.fullmatch(text):
            sign = -1 if match["sign"] == "-" else 1
            return cls._checked(0, sign * _bounded(match["weeks"], "weeks") * 7 * 86_400)
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError(f"not an OpenADR duration (R1): {text[:40]!r}")
        sign = -1 if match["sign"] == "-" else 1
        months = _bounded(match["years"], "years") * 12 + _bounded(match["months"], "months")
        seconds = (
            _bounded(match["days"], "days") * 86_400
            + _bounded(match["hours"], "hours") * 3600
            + _bounded(match["minutes"], "minutes") * 60
            + _bounded(match["seconds"], "seconds")
        )
        return cls._checked(sign * months, sign * seconds)

    @classmethod
    def _checked(cls, months: int, seconds: int) -> Self:
        if abs(months) > _MAX_MONTHS or abs(seconds) > _MAX_SECONDS:
            raise ValueError("duration longer than a century")
        return cls(months=months, seconds=seconds)

    @classmethod
    def of(cls, length: timedelta) -> Self:
        """Make one from a ``timedelta``; fractions of a second are cut (R1)."""
        return cls(seconds=int(length.total_seconds()))

    @property
    def is_zero(self) -> bool:
        """True for PT0S: open-ended as an event duration (R47), immediate as a window."""
        return self.months == 0 and self.seconds == 0

    def after(self, start: datetime) -> datetime:
        """Return ``start`` plus this length; months keep the day of month or fall back to the month's last day."""
        if self.months:
            index = start.year * 12 + start.month - 1 + self.months
            year, month = divmod(index, 12)
            day = min(start.day, calendar.monthrange(year, month + 1)[1])
            start = start.replace(year=year, month=month + 1, day=day)
        return start + timedelta(seconds=self.seconds)

    def length(self, start: datetime) -> timedelta:
        """Return the exact length when it begins at ``start``."""
        return self.after(start) - start

    def __str__(self) -> str:
        """Canonical text: ``P1M``, ``P2DT3H``, ``-PT5M``, ``PT0S``."""
        if self.is_zero:
            return "PT0S"
        negative = self.months < 0 or self.seconds < 0
        days, rest = divmod(abs(self.seconds), 86_400)
        hours, rest = divmod(rest, 3600)
        minutes, seconds = divmod(rest, 60)
        date = "".join(f"{n}{unit}" for n, unit in ((abs(self.months), "M"), (days, "D")) if n)
        time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
        return f"{'-' if negative else ''}P{date}{'T' + time if time else ''}"


ZERO = Duration()


def parse_instant(text: str) -> datetime:
    """Read ``YYYY-MM-DDThh:mm:ss(.f)Z``; fractions are cut, offsets refused with ``ValueError`` (R1)."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a UTC date-time ending in Z (R1): {text[:40]!r}")
    return datetime.fromisoformat(match[1] + "Z")


def format_instant(value: datetime) -> str:
    """Write an aware datetime in UTC with ``Z``, fractions cut (R1). Raises ``ValueError`` for naive values."""
    if value.tzinfo is None:
        raise ValueError("instant without time zone")
    return f"{value.astimezone(UTC).isoformat(timespec='seconds')[:19]}Z"


def whole_second(value: datetime) -> datetime:
    """Return the instant cut to the second, as it will be on the wire."""
    return value.astimezone(UTC).replace(microsecond=0)
