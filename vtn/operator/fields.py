"""Field types of the operator API: durations and instants as text, targets by the standard's names.

Rule: a value that cannot be meant is refused with the reason; unknown fields are refused by name.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from openadr.times import Duration, format_instant

_WEEKS = re.compile(r"P(\d{1,4})W")  # ISO 8601, though not in the OpenADR schema; sent as days


class Model(BaseModel):
    """Base of what comes in: frozen, unknown fields refused, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class View(BaseModel):
    """Base of what goes out."""

    model_config = ConfigDict(frozen=True)


def _duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if not isinstance(value, str):
        raise ValueError("an ISO 8601 duration such as PT1H30M is expected")
    if match := _WEEKS.fullmatch(value):
        return Duration(seconds=int(match[1]) * 7 * 86_400)
    return Duration.parse(value)


def _testing(value: Any) -> Any:
    """Read testEvent given as true or false: anything but exactly ``false`` is a test (R6)."""
    return str(value).lower() if isinstance(value, bool) else value


DurationText = Annotated[
    Duration,
    PlainValidator(_duration),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "duration", "examples": ["PT1H30M"]}),
]
"""An ISO 8601 duration in whole seconds."""

Instant = Annotated[
    AwareDatetime,
    PlainSerializer(lambda value: format_instant(value), return_type=str),
]
"""An instant with its offset from UTC; written in UTC with ``Z``."""

TestText = Annotated[str | None, BeforeValidator(_testing)]


def utc(value: datetime | None) -> datetime | None:
    """Return an instant in UTC."""
    return None if value is None else value.astimezone(UTC)
