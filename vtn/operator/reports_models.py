"""Reports in the operator API: queries, requests and views, in the standard's names.

Rule: every instant in UTC with ``Z``, every duration as ISO 8601 text; absent values are null, never left out.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from openadr.times import Duration
from vtn.operator.fields import DurationText, Instant, Model, View, utc
from vtn.operator.requests import Page
from vtn.operator.views import TelemetryView
from vtn.services.reportask import Draft
from vtn.store.readings import Selection
from vtn.store.rows import RequestState

LONGEST = timedelta(days=366)  # one bucket
_ID = Field(None, min_length=1, max_length=255)


class Aggregate(StrEnum):
    """What stands for a bucket; ``auto``: sum of energy that has durations, last of other energy, mean of the rest."""

    AUTO = "auto"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    LAST = "last"
    COUNT = "count"


class ReportQuery(Page):
    """Which telemetry; ``start`` is inclusive, ``end`` exclusive. With ``resolution`` one row a bucket of time."""

    venID: str | None = _ID
    resourceID: str | None = _ID
    reportName: str | None = _ID
    reportSpecifierID: str | None = _ID
    reportRequestID: str | None = _ID
    rID: str | None = _ID
    start: Instant | None = None
    end: Instant | None = None
    order: Literal["oldest", "newest"] = "oldest"
    resolution: DurationText | None = None
    aggregate: Aggregate = Aggregate.AUTO

    @model_validator(mode="before")
    @classmethod
    def _meant(cls, given: Any) -> Any:
        """Read an offset such as +01:00 whose plus sign was not escaped."""
        if not isinstance(given, dict):
            return given
        times = {name: text.replace(" ", "+") for name, text in given.items() if name in ("start", "end") and text}
        return {**given, **times}

    @model_validator(mode="after")
    def _possible(self) -> Self:
        length = self.resolution
        if length is None:
            if self.aggregate is not Aggregate.AUTO:
                raise ValueError("aggregate needs a resolution")
            return self
        if length.months or not 1 <= length.seconds <= LONGEST.total_seconds():
            raise ValueError("resolution: from PT1S to P366D, without months or years")
        if self.order != "oldest":
            raise ValueError("order: buckets come oldest first")
        return self

    def selection(self) -> Selection:
        """Return it for the store."""
        return Selection(
            ven_id=self.venID,
            resource_id=self.resourceID,
            report_name=self.reportName,
            report_specifier_id=self.reportSpecifierID,
            report_request_id=self.reportRequestID,
            r_ids=None if self.rID is None else (self.rID,),
            start=utc(self.start),
            end=utc(self.end),
        )


class BucketView(View):
    """Values of one point in ``[dtstart, dtstart + resolution)``; those of bad quality are only counted (R318)."""

    venID: str
    resourceID: str | None
    reportName: str
    rID: str
    unit: str | None
    dtstart: Instant
    durationSeconds: int
    aggregate: Aggregate
    value: float | None
    count: int
    bad: int
    mean: float | None
    min: float | None
    max: float | None
    sum: float | None
    last: float | None


class ReportPage(View):
    """Some telemetry; ``buckets`` instead of ``reports`` where a resolution was asked for."""

    reports: tuple[TelemetryView, ...]
    buckets: tuple[BucketView, ...] = ()
    next: str | None


class CsvQuery(Model):
    """Which telemetry to export, oldest first."""

    venID: str | None = _ID
    resourceID: str | None = _ID
    reportName: str | None = _ID
    reportRequestID: str | None = _ID
    rID: str | None = _ID
    start: Instant | None = None
    end: Instant | None = None

    def selection(self) -> Selection:
        """Return it for the store."""
        return Selection(
            ven_id=self.venID,
            resource_id=self.resourceID,
            report_name=self.reportName,
            report_request_id=self.reportRequestID,
            r_ids=None if self.rID is None else (self.rID,),
            start=utc(self.start),
            end=utc(self.end),
        )


class LatestQuery(Model):
    """Whose newest values."""

    venID: str = Field(min_length=1, max_length=255)
    resourceID: str | None = _ID
    reportName: str | None = _ID


class LatestView(View):
    """The newest value of each point of a VEN."""

    reports: tuple[TelemetryView, ...]


class DocumentQuery(Page):
    """Which Green Button documents."""

    venID: str | None = _ID


class DocumentView(View):
    """A Green Button feed; its text is at ``/report-documents/{documentID}``."""

    documentID: int
    venID: str
    reportRequestID: str
    reportSpecifierID: str
    reportName: str
    position: int
    dtstart: Instant | None
    receivedDateTime: Instant


class DocumentPage(View):
    """Some documents, newest first."""

    documents: tuple[DocumentView, ...]
    next: str | None


class OfferQuery(Page):
    """Which offered reports."""

    venID: str | None = _ID
    reportName: str | None = _ID


class SamplingView(View):
    """How often a point can be read."""

    minPeriod: DurationText
    maxPeriod: DurationText
    onChange: bool


class UnitView(View):
    """The unit of a data point."""

    kind: str
    itemDescription: str
    itemUnits: str
    siScaleCode: str


class PointView(View):
    """A data point that a VEN offers; without sources it is the sum of all behind the VEN (R343)."""

    rID: str
    reportType: str
    readingType: str
    itemBase: UnitView | None
    resourceIDs: tuple[str, ...]
    deviceClasses: tuple[str, ...]
    marketContext: str | None
    samplingRate: SamplingView | None


class OfferView(View):
    """A report that a VEN offers; ``remarks`` say what is irregular in its METADATA."""

    venID: str
    reportSpecifierID: str
    reportName: str
    duration: str | None
    registeredDateTime: Instant
    remarks: tuple[str, ...]
    points: tuple[PointView, ...]


class OfferPage(View):
    """Some offered reports."""

    offers: tuple[OfferView, ...]
    next: str | None


class RequestIn(Model):
    """A report to ask a VEN for; no ``rIDs``: all, no ``reportBackDuration``: once, ``METADATA``: its offer."""

    venID: str = Field(min_length=1, max_length=255)
    reportSpecifierID: str = Field(min_length=1, max_length=255)
    rIDs: tuple[str, ...] = Field((), max_length=10_000)
    granularity: DurationText | None = None
    reportBackDuration: DurationText | None = None
    dtstart: Instant | None = None
    duration: DurationText | None = None

    def draft(self) -> Draft:
        """Return it for the service."""
        return Draft(
            ven_id=self.venID,
            report_specifier_id=self.reportSpecifierID,
            r_ids=self.rIDs,
            granularity=self.granularity,
            back=self.reportBackDuration,
            start=utc(self.dtstart),
            duration=self.duration,
        )


class RequestCancelIn(Model):
    """How a report request ends: with ``reportToFollow`` after one more report (R345)."""

    reportToFollow: bool = False
    reason: str | None = Field(None, max_length=4000)


class RequestQuery(Page):
    """Which report requests."""

    venID: str | None = _ID
    state: RequestState | None = None


class RequestPointView(View):
    """What an rID means in a request."""

    rID: str
    resourceID: str | None
    unit: str | None


class RequestView(View):
    """A report request; ``actor`` is null where the VTN asked by itself, ``dueDateTime`` is when a report is late."""

    reportRequestID: str
    venID: str
    reportSpecifierID: str
    reportName: str
    state: RequestState
    granularity: DurationText
    reportBackDuration: DurationText
    dtstart: Instant | None
    duration: DurationText | None
    points: tuple[RequestPointView, ...]
    actor: str | None
    standing: bool
    createdDateTime: Instant
    confirmedDateTime: Instant | None
    expectedDateTime: Instant | None
    overdueSince: Instant | None
    lastDataDateTime: Instant | None
    endedDateTime: Instant | None
    reports: int
    responseCode: int | None
    reason: str | None


class RequestPage(View):
    """Some report requests, newest first."""

    requests: tuple[RequestView, ...]
    next: str | None


class DeliveryView(View):
    """A report that a VEN has asked of this VTN."""

    venID: str
    reportRequestID: str
    reportSpecifierID: str
    rIDs: tuple[str, ...]
    granularity: DurationText
    reportBackDuration: DurationText
    createdDateTime: Instant
    nextDateTime: Instant | None
    untilDateTime: Instant | None
    reports: int
    endedDateTime: Instant | None
    reason: str | None


class DeliveryPage(View):
    """Some of them."""

    deliveries: tuple[DeliveryView, ...]
    next: str | None


def whole_seconds(length: Duration) -> int:
    """Return a resolution in seconds."""
    return length.seconds
