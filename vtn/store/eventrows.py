"""Frozen rows about events and opts: what was published, who has it, what was handed out and what was said to it.

Rule: a row says what is stored, in the words of the standard; what it means is for the services.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from openadr.messages import CreateOpt
from openadr.model import Event, OptType, ResponseRequired
from vtn.store.rows import AT_ONCE


class OptSource(StrEnum):
    """Which payload set an opt state: an oadrCreateOpt wins over every oadrCreatedEvent (R206)."""

    CREATED_EVENT = "createdEvent"
    CREATE_OPT = "createOpt"


class OptKind(StrEnum):
    """What an oadrCreateOpt was: a schedule or the qualification of an event."""

    SCHEDULE = "schedule"
    EVENT = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as published: its target names everyone, its status is only ``cancelled`` or not."""

    event: Event
    cancelled: bool
    created_at: datetime
    modified_at: datetime
    payload_end: datetime | None  # R66; None: open-ended

    @property
    def event_id(self) -> str:
        """The eventID."""
        return self.event.descriptor.event_id

    @property
    def modification_number(self) -> int:
        """The present modificationNumber."""
        return self.event.descriptor.modification_number

    @property
    def always(self) -> bool:
        """True if the VEN has to answer (R12)."""
        return self.event.response_required is ResponseRequired.ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class EventVersion:
    """One version of an event, who made it and when."""

    event: Event
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventVen:
    """What one VEN has to do with an event and what it said."""

    event_id: str
    ven_id: str
    whole_ven: bool
    due_at: datetime | None = None  # since when it is to be handed out; None: the VEN has answered
    answered_modification: int | None = None
    answered_at: datetime | None = None
    response_code: int | None = None
    response_description: str | None = None
    answer: OptType | None = None
    qualified: OptType | None = None
    qualified_reason: str | None = None
    parts: tuple[str, ...] | None = None  # signalIDs and baselineID that concern the VEN; None: all
    withdrawn: int | None = None  # the version that left the VEN out: it sees the event cancelled with that number
    withdrawn_at: datetime | None = None
    withdrawn_end: datetime | None = None
    told_until: datetime | None = field(default=None, compare=False)  # when it leaves the payloads; the store's own


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResource:
    """The opt state of one resource in one event (R16, R17, R206)."""

    event_id: str
    ven_id: str
    resource_id: str
    opt_type: OptType | None = None
    source: OptSource | None = None
    reason: str | None = None
    opt_id: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """The newest version of an event that a VEN was handed: when last, how often, when again without an answer."""

    modification_number: int
    at: datetime
    times: int
    due_at: datetime | None

    @classmethod
    def after(cls, before: "Handed | None", number: int, at: datetime, again: timedelta | None) -> "Handed":
        """Return it once version ``number`` is handed out ``at``, due ``again`` after that; an older one is nothing."""
        if before is not None and before.modification_number > number:
            return before
        times = before.times if before is not None and before.modification_number == number else 0
        return cls(modification_number=number, at=at, times=times + 1, due_at=None if again is None else at + again)


def times_of(handed: Handed | None, number: int) -> int:
    """Return how often version ``number`` was handed out to a VEN that was handed this last."""
    return handed.times if handed is not None and handed.modification_number == number else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An event of one VEN: the event, the VEN's own state, and its resources in the event (empty: all it has)."""

    stored: StoredEvent
    state: EventVen
    resource_ids: tuple[str, ...] = ()
    changed_at: datetime | None = None  # when an event of this VEN was last made or changed (R115)
    handed: Handed | None = None  # since it registered last; None as well where nobody asked for it

    @property
    def times(self) -> int:
        """How often this version was handed out."""
        return times_of(self.handed, self.stored.modification_number)

    @property
    def due(self) -> datetime | None:
        """When to hand it out next; what never was is due whatever the clock says: it may have been set back."""
        if self.state.due_at is None:
            return None
        handed = self.handed
        if handed is None or not self.times:
            return AT_ONCE
        return None if self.state.answered_modification == handed.modification_number else handed.due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """How an event stands with all its VENs: who has the present version and what they say."""

    vens: int = 0
    delivered: int = 0  # have the present version
    acknowledged: int = 0  # have answered it
    opted_in: int = 0  # by the last answer, or by an oadrCreateOpt for the whole VEN
    opted_out: int = 0
    unanswered: int = 0  # an answer to the present version is due and missing
    resources: int = 0


Contents = tuple[tuple[str, int, timedelta | None], ...]
"""The events of a payload with modificationNumber and how long after its hand-out each is due again."""


@dataclass(slots=True, kw_only=True)  # not frozen, as there is one for almost every poll; nobody changes it
class Handout:
    """A payload handed out to a VEN; ``until``: when the last of its events leaves payloads."""

    ven_id: str
    request_id: str
    at: datetime
    events: Contents
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOpt:
    """An oadrCreateOpt and what became of it."""

    row_id: int
    ven_id: str
    kind: OptKind
    message: CreateOpt
    received_at: datetime
    superseded_at: datetime | None = None
    superseded_for: tuple[str, ...] = ()
    cancelled_at: datetime | None = None
    ends_at: datetime | None = None  # of a schedule: when its last window is over; None: open-ended
