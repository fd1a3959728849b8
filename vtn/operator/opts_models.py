"""Opts and availability in the operator API: queries and views, in the standard's names.

Rule: every instant in UTC with ``Z``, every duration as ISO 8601 text; absent values are null, never left out.
"""

from enum import StrEnum

from pydantic import Field

from openadr.model import OptType
from vtn.operator.fields import DurationText, Instant, View
from vtn.operator.requests import Page
from vtn.operator.views import TargetsView
from vtn.services.availability import Source
from vtn.store.eventrows import OptKind

_ID = Field(None, min_length=1, max_length=255)


class OptQuery(Page):
    """Which opts."""

    venID: str | None = _ID
    eventID: str | None = _ID


class AvailabilityQuery(Page):
    """Whose availability, in which programme (none: what holds in all), at what time (none: now)."""

    venID: str | None = _ID
    resourceID: str | None = _ID
    marketContext: str | None = Field(None, min_length=1, max_length=2000)
    at: Instant | None = None


class OptState(StrEnum):
    """What has become of an opt."""

    IN_FORCE = "inForce"
    OVER = "over"  # a schedule whose last window is past
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class WindowView(View):
    """One window of an opt schedule; duration PT0S is open-ended."""

    dtstart: Instant
    duration: DurationText


class OptView(View):
    """An oadrCreateOpt and what became of it."""

    venID: str
    optID: str
    kind: OptKind
    state: OptState
    optType: OptType
    optReason: str
    eventID: str | None
    modificationNumber: int | None
    marketContext: str | None
    targets: TargetsView
    deviceClass: tuple[str, ...]
    available: tuple[WindowView, ...]
    endsDateTime: Instant | None
    createdDateTime: Instant
    receivedDateTime: Instant
    supersededDateTime: Instant | None
    supersededFor: tuple[str, ...]
    cancelledDateTime: Instant | None


class OptPage(View):
    """Some opts, newest first."""

    opts: tuple[OptView, ...]
    next: str | None


class AvailabilityView(View):
    """What holds for a resource, or (null) for a VEN that names none; ``optType`` null: nobody has said anything."""

    venID: str
    resourceID: str | None
    marketContext: str | None
    optType: OptType | None
    source: Source | None
    optID: str | None
    optReason: str | None
    since: Instant
    until: Instant | None


class AvailabilityPage(View):
    """The availability of the resources of some VENs."""

    availability: tuple[AvailabilityView, ...]
    next: str | None
