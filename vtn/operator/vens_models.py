"""VENs in the operator API: requests and views, in the standard's names.

Rule: models check form; what needs the database is checked by the services. Absent values are null, never left out.
"""

from typing import Any, Self

from pydantic import Field, model_validator

from vtn.operator.fields import Instant, Model, View, utc
from vtn.operator.requests import Page
from vtn.services.administration import LONGEST_POLL_S, Belongings, Change
from vtn.services.enrolment import Enrolment
from vtn.services.presence import Presence
from vtn.store.rows import CandidateState, EndedBy, OutboundState

_TEXT = Field(min_length=1, max_length=255)
_FINGERPRINT = Field(min_length=20, max_length=64)
_POLL = Field(None, ge=1, le=LONGEST_POLL_S)
_REASON = Field(None, max_length=4000)


class BelongingsIn(Model):
    """What a VEN or a resource belongs to; events can be aimed at it."""

    party: tuple[str, ...] = ()
    area: tuple[str, ...] = ()
    deviceClass: tuple[str, ...] = ()


class ResourceIn(BelongingsIn):
    """A resource behind a VEN."""

    resourceID: str = _TEXT
    groupIDs: tuple[str, ...] = ()

    def belongings(self) -> Belongings:
        """Return what it belongs to."""
        return Belongings(resource_id=self.resourceID, party=self.party, area=self.area, device_class=self.deviceClass)


def _of_ven(given: BelongingsIn) -> Belongings:
    return Belongings(party=given.party, area=given.area, device_class=given.deviceClass)


class ApproveIn(BelongingsIn):
    """The enrolment of a VEN whose certificate is known."""

    venID: str = _TEXT
    venName: str | None = Field(None, max_length=255)
    pollFreqSeconds: int | None = _POLL
    resources: tuple[ResourceIn, ...] = ()

    def enrolment_of(self, fingerprint: str) -> Enrolment:
        """Return it for the service."""
        return Enrolment(
            ven_id=self.venID,
            fingerprint=fingerprint,
            ven_name=self.venName,
            resources=tuple((each.resourceID, each.groupIDs) for each in self.resources),
        )

    def rest(self) -> Change:
        """Return what is written once the VEN is there."""
        return Change(
            poll_freq_s=self.pollFreqSeconds,
            belongings=(_of_ven(self), *(each.belongings() for each in self.resources)),
        )


class VenIn(ApproveIn):
    """A VEN to enrol; ``fingerprint`` is that of its certificate."""

    fingerprint: str = _FINGERPRINT

    def enrolment(self) -> Enrolment:
        """Return it for the service."""
        return self.enrolment_of(self.fingerprint)


class VenPatch(Model):
    """What to change of a VEN: what is left out stays, null is back to nothing or to the VTN's own.

    ``resources`` takes the place of all that were enrolled, and of their groups and attributes.
    """

    venName: str | None = Field(None, max_length=255)
    pollFreqSeconds: int | None = _POLL
    party: tuple[str, ...] | None = None
    area: tuple[str, ...] | None = None
    deviceClass: tuple[str, ...] | None = None
    resources: tuple[ResourceIn, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _lists_are_lists(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for name in ("party", "area", "deviceClass", "resources"):
                if name in given and given[name] is None:
                    raise ValueError(f"{name}: a list is needed; an empty one removes all")
        return given

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing to change is named")
        return self

    def change(self, held: tuple[Belongings, ...]) -> Change:
        """Return it for the service; ``held`` is what the VEN and its resources belong to now."""
        named = self.model_fields_set
        belongings: tuple[Belongings, ...] | None = None
        if named & {"party", "area", "deviceClass", "resources"}:
            before = next((each for each in held if each.resource_id is None), Belongings())
            own = Belongings(
                party=before.party if self.party is None else self.party,
                area=before.area if self.area is None else self.area,
                device_class=before.device_class if self.deviceClass is None else self.deviceClass,
            )
            of_resources = tuple(each for each in held if each.resource_id is not None)
            if self.resources is not None:
                of_resources = tuple(each.belongings() for each in self.resources)
            belongings = (own, *of_resources)
        return Change(
            ven_name=(self.venName or "") if "venName" in named else None,
            poll_freq_s=(self.pollFreqSeconds or 0) if "pollFreqSeconds" in named else None,
            resources=None
            if self.resources is None
            else tuple((each.resourceID, each.groupIDs) for each in self.resources),
            belongings=belongings,
        )


class CertificateIn(Model):
    """The next certificate of a VEN; with ``oldUntil`` the present one stays good until then."""

    fingerprint: str = _FINGERPRINT
    oldUntil: Instant | None = None

    @property
    def until(self) -> Any:
        """The end of the overlap in UTC."""
        return utc(self.oldUntil)


class ReasonIn(Model):
    """Why."""

    reason: str | None = _REASON


class NothingIn(Model):
    """An empty body."""


class QueueQuery(Page):
    """How much of a queue."""


class CandidateQuery(Page):
    """Which candidates."""

    state: CandidateState | None = None


class ResourceView(View):
    """A resource behind a VEN; ``source`` is enrolment or metadata."""

    resourceID: str
    source: str
    groupIDs: tuple[str, ...]
    party: tuple[str, ...]
    area: tuple[str, ...]
    deviceClass: tuple[str, ...]


class VenView(View):
    """A VEN.

    ``presence`` goes by the last message and the poll interval it was told. ``oldFingerprint`` is the certificate that
    is still good until ``oldUntilDateTime``. ``cancelByDateTime`` is set while an operator cancels its registration.
    """

    venID: str
    venName: str | None
    presence: Presence
    fingerprint: str
    oldFingerprint: str | None
    oldUntilDateTime: Instant | None
    oldLastSeenDateTime: Instant | None
    certificateCN: str | None
    certificateNotAfterDateTime: Instant | None
    registered: bool
    registrationID: str | None
    registeredDateTime: Instant | None
    cancelByDateTime: Instant | None
    endedDateTime: Instant | None
    endedBy: EndedBy | None
    suspendedDateTime: Instant | None
    suspendedReason: str | None
    enrolledDateTime: Instant
    lastSeenDateTime: Instant | None
    pollFreqSeconds: int
    toldPollFreqSeconds: int | None
    profileName: str | None
    transportName: str | None
    transportAddress: str | None
    httpPullModel: bool | None
    reportOnly: bool
    xmlSignature: bool
    party: tuple[str, ...]
    area: tuple[str, ...]
    deviceClass: tuple[str, ...]
    resources: tuple[ResourceView, ...]


class VenPage(View):
    """Some VENs."""

    vens: tuple[VenView, ...]
    next: str | None


class RemovedView(View):
    """What was removed."""

    venID: str
    telemetry: int  # values deleted with it


class QueuedView(View):
    """A payload that waits for a VEN, or that is done with."""

    id: int
    payload: str
    requestID: str
    state: OutboundState
    attempts: int
    createdDateTime: Instant
    dueDateTime: Instant | None
    sentDateTime: Instant | None
    answeredDateTime: Instant | None
    responseCode: int | None


class QueuePage(View):
    """The queue of a VEN, oldest first; ``eventsDue`` are the events that the next poll hands out."""

    queue: tuple[QueuedView, ...]
    eventsDue: tuple[str, ...]
    next: str | None


class PurgedView(View):
    """How many payloads were dropped."""

    purged: int


class CandidateView(View):
    """The holder of a trusted certificate that has tried to register; ``venName`` is what it calls itself."""

    fingerprint: str
    state: CandidateState
    subjectCN: str
    issuerCN: str
    notAfterDateTime: Instant | None
    venName: str | None
    firstSeenDateTime: Instant
    lastSeenDateTime: Instant


class CandidatePage(View):
    """Some candidates, first seen first."""

    candidates: tuple[CandidateView, ...]
    next: str | None
