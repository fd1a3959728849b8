"""The data of a report: intervals with numbers or resource states, and thousands of plain ones column by column.

Rule: values only, in the words of the standard. ``PlainIntervals`` says nothing that a tuple of ``ReportInterval`` does
not: it is equal to that tuple and gives the same intervals one by one; only who has many of them looks at its columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat

from openadr.times import Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadControlValue:
    """One child of oadrLoadControlState."""

    current: float
    minimum: float | None = None
    maximum: float | None = None
    normal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadControlState:
    """oadr:oadrLoadControlState; children mirror the four LOAD_CONTROL types."""

    capacity: LoadControlValue | None = None
    level_offset: LoadControlValue | None = None
    percent_offset: LoadControlValue | None = None
    set_point: LoadControlValue | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceStatus:
    """oadr:oadrPayloadResourceStatus (TELEMETRY_STATUS)."""

    online: bool
    manual_override: bool
    load_control_state: LoadControlState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPayload:
    """oadr:oadrReportPayload: the value of one rID; a float or a resource status."""

    r_id: str
    value: float | ResourceStatus
    confidence: int | None = None  # 0..100
    accuracy: float | None = None  # in the value's unit (R319)
    data_quality: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInterval:
    """One ei:interval of a data report: point data has dtstart and no duration (R314, R315, R342)."""

    payloads: tuple[ReportPayload, ...]
    dtstart: datetime | None = None
    duration: Duration | None = None
    uid: int | None = None
    feeds: tuple[str, ...] = ()  # Green Button: each an atom:feed as XML text, instead of payloads


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlainIntervals:
    """Intervals that each have a start and equally many numbers; of what is optional, all have it or none does."""

    starts: tuple[datetime, ...]
    r_ids: tuple[str, ...]  # here and of the values below: one a payload, interval after interval
    values: tuple[float, ...]
    durations: tuple[Duration, ...] | None = None
    uids: tuple[int, ...] | None = None
    confidences: tuple[int, ...] | None = None
    accuracies: tuple[float, ...] | None = None
    qualities: tuple[str | None, ...] | None = None  # also if only some payloads have one

    @property
    def width(self) -> int:
        """How many payloads each interval has."""
        return len(self.r_ids) // len(self.starts) if self.starts else 0

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[ReportInterval]:
        payloads = (
            ReportPayload(r_id=r_id, value=value, confidence=confidence, accuracy=accuracy, data_quality=quality)
            for r_id, value, confidence, accuracy, quality in zip(
                self.r_ids,
                self.values,
                self.confidences or repeat(None),
                self.accuracies or repeat(None),
                self.qualities or repeat(None),
                strict=False,
            )
        )
        width = self.width
        for start, duration, uid in zip(
            self.starts, self.durations or repeat(None), self.uids or repeat(None), strict=False
        ):
            own = tuple(next(payloads) for _ in range(width))
            yield ReportInterval(dtstart=start, duration=duration, uid=uid, payloads=own)

    def __getitem__(self, index: int) -> ReportInterval:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PlainIntervals | tuple):
            return tuple(self) == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))
