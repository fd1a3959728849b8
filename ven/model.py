"""What a VEN knows and owes, as values: registration, events, report requests, outbox, and the volatile link state.

Rule: frozen values only. A transition takes a ``State`` and returns a ``Step``; whatever differs between the old and
the new ``State`` is committed in one transaction, so a change and the message it causes cannot be parted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from openadr.exchange import Service
from openadr.messages import Message
from openadr.model import Event, OptType, ReportDescription, ReportInterval, ReportRequest
from openadr.times import Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the resources behind the VEN make of an event: ``response_code`` 2xx or 4xx (R48), and the opt decision."""

    response_code: int
    opt_type: OptType
    description: str | None = None


class Assess(Protocol):
    """Decide on one event: market context, target, signals, values, ability. Pure and quick."""

    def __call__(self, event: Event, now: datetime, /) -> Assessment:
        """Return the decision; it must be the same for the same event and ``now``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCapability:
    """One report offered in METADATA: ``duration`` is what is buffered at the fastest rate (R312)."""

    report_specifier_id: str
    report_name: str  # without METADATA_
    duration: Duration
    descriptions: tuple[ReportDescription, ...]


class Collect(Protocol):
    """Fetch the data of one report request for [start, end), oldest first."""

    async def __call__(self, request: ReportRequest, start: datetime, end: datetime, /) -> tuple[ReportInterval, ...]:
        """Return the intervals; empty means that there is no data at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The registration in force; ``poll_s`` is what the VTN asked for, ``metadata`` the digest it last acknowledged.

    ``push_address`` is the oadrTransportAddress it was made with, ``None`` in the pull model.
    """

    registration_id: str
    ven_id: str
    vtn_id: str
    poll_s: float | None = None
    metadata: str | None = None
    push_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event we took on, with our answer to it.

    ``cancelled_at`` is when a cancel (or its absence, R61) became known; the random stop is the resource's (R65).
    ``forgotten`` hides it from ``VenStore.events``: carried out, but the VTN may still show it.
    """

    event: Event
    received_at: datetime
    opt_type: OptType
    request_id: str  # of the oadrDistributeEvent that last carried it (R42)
    cancelled_at: datetime | None = None
    forgotten: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """A report request in force: data is delivered up to ``covered_until``, the next delivery is due at ``next_due``.

    ``until`` is the end of reporting, ``None`` for ever. ``last`` marks that the next delivery is the final one.
    """

    request: ReportRequest
    next_due: datetime
    covered_until: datetime
    until: datetime | None = None
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A message in the outbox: sent unchanged, with the same requestID, until it is answered."""

    seq: int
    service: Service
    message: Message
    created_at: datetime
    not_before: datetime
    attempts: int = 0
    broken: int = 0  # attempts that the VTN answered with a fault of its own (HTTP 500, unreadable)


class Purpose(StrEnum):
    """Requests that follow from the state instead of being owed: made anew at each attempt."""

    QUERY = "query"
    CREATE = "create"
    METADATA = "metadata"
    RESYNC = "resync"
    POLL = "poll"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Failed attempts so far and the earliest instant of the next one."""

    attempts: int
    not_before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Volatile: forgotten at a restart, which then queries, resynchronises and polls at once."""

    queried: bool = False
    resync: bool = True
    next_poll: datetime | None = None  # None: at once
    drained: int = 0  # payloads received since the last empty answer
    retries: Mapping[Purpose, Retry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything: the persisted parts, keyed, and the link."""

    registration: Registration | None = None
    events: Mapping[str, StoredEvent] = field(default_factory=dict)
    requests: Mapping[str, StoredRequest] = field(default_factory=dict)
    outbox: Mapping[int, Owed] = field(default_factory=dict)  # ascending by seq
    next_seq: int = 1
    withdrawn_at: datetime | None = None  # when the operator left this VTN: it is not registered with again by itself
    link: Link = field(default_factory=Link)

    def linked(self, **changes: object) -> "State":
        """Return a copy with changes in ``link``."""
        return replace(self, link=replace(self.link, **changes))  # type: ignore[arg-type]

    def without_retry(self, purpose: Purpose) -> "State":
        """Return a copy in which ``purpose`` has no failed attempts."""
        if purpose not in self.link.retries:
            return self
        return self.linked(retries={key: value for key, value in self.link.retries.items() if key is not purpose})


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something an operator may want to know; ``what`` is a fixed name, ``detail`` the particulars."""

    what: str
    detail: str = ""
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The outcome of a transition."""

    state: State
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What a payload of the VTN leads to: the change, the answer to it if any, and requests that follow the answer."""

    state: State
    answer: Message | None = None
    then: tuple[Message, ...] = ()
    notes: tuple[Note, ...] = ()


class Failure(StrEnum):
    """How an exchange failed (HTTP table of the profile), which decides about sending it again."""

    UNREACHABLE = "unreachable"  # no answer at all: try for ever
    BUSY = "busy"  # 503: quiesce, must retry
    IDENTITY = "identity"  # 403 or a TLS refusal: certificates must be put right, keep trying
    BROKEN = "broken"  # 500, or an answer that cannot be read: a few more tries, then give up
    REFUSED = "refused"  # 404, 406, 400, 501...: the same bytes would be refused again


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Action: post ``message`` to ``service``. Exactly one of ``seq`` (outbox) and ``purpose`` is set."""

    service: Service
    message: Message
    seq: int | None = None
    purpose: Purpose | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """Action: collect the data of ``stored`` for [start, end) and hand it to ``Session.collected``.

    ``partial``: more of what was asked for follows in further collections.
    """

    stored: StoredRequest
    start: datetime
    end: datetime
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Action: nothing to do before ``until``."""

    until: datetime


Action = Send | Gather | Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a session is told once: who it is, how patient it is, whom it asks."""

    assess: Assess
    capabilities: Callable[[], tuple[ReportCapability, ...]]  # what is offered now (METADATA)
    draw: Callable[[], float]  # uniform [0, 1)
    new_id: Callable[[str], str]  # fresh identifier with this prefix
    ven_name: str
    ven_id: str | None = None  # pre-configured by the VTN's operator
    query_first: bool = True
    xml_signature: bool = False  # say at registration that messages are signed (R514)
    push_address: str | None = None  # where the VTN may push to; None: the pull model
    resync_s: float = 3600.0  # push model: ask for the events so often all the same
    poll_s: float = 30.0  # when the VTN does not say
    min_poll_s: float = 1.0  # never faster, even if the VTN asks for it; never shorter than it asks (R500)
    poll_jitter: float = 0.0  # share of the interval added at random, against herds
    reregister_s: float = 60.0  # pause after a refused or cancelled registration
    backoff_first_s: float = 1.0
    backoff_max_s: float = 60.0
    give_up_after: int = 8  # tries of one message that the VTN itself fails on
    max_owed_reports: int = 1000  # oldest data goes first; a VEN buffers at least 100 points (R510)
    max_waiting_reports: int = 10  # data is made only so far ahead of what the VTN has taken: the rest stays buffered
    report_only: bool = False  # say so at registration and ask for no events (VEN-10)
    max_drain: int = 100  # payloads taken in a row before the poll interval is kept all the same
