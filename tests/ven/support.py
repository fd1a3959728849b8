"""Builders and a bench for the VEN's tests: a session stepped by hand, with a fake clock and counted identifiers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

from openadr.messages import (
    CreatedEvent,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Message,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    Response,
)
from openadr.model import (
    ActivePeriod,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    OptType,
    Profile,
    ReportDescription,
    ReportRequest,
    ReportSpecifier,
    ResponseRequired,
    SamplingRate,
    Signal,
    SignalType,
    SpecifierPayload,
    power_real,
)
from openadr.times import ZERO, Duration
from runtime.clock import FakeClock
from ven.model import Assessment, Failure, Gather, Note, ReportCapability, Rules, Send, State, Step, Wait
from ven.session import Session

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VEN_ID, VTN_ID, REGISTRATION_ID = "VEN-1", "VTN-1", "REG-1"
OK = EiResponse()
M = TypeVar("M", bound=Message)


def minutes(number: float) -> Duration:
    return Duration(seconds=int(number * 60))


def event(
    event_id: str = "evt-1",
    *,
    modification: int = 0,
    start: datetime = T0,
    duration: Duration = minutes(60),  # noqa: B008 - a frozen value
    startafter: Duration | None = None,
    status: EventStatus = EventStatus.FAR,
    required: ResponseRequired = ResponseRequired.ALWAYS,
    value: float = 1.0,
    context: str = "http://market.example/simple",
) -> Event:
    """Return a SIMPLE event of one interval."""
    return Event(
        descriptor=EventDescriptor(
            event_id=event_id,
            modification_number=modification,
            market_context=context,
            created_date_time=T0,
            event_status=status,
        ),
        active_period=ActivePeriod(dtstart=start, duration=duration, startafter=startafter),
        signals=(
            Signal(
                signal_name="SIMPLE",
                signal_type=SignalType.LEVEL,
                signal_id="sig-1",
                intervals=(Interval(duration=duration, uid=0, value=value),),
            ),
        ),
        response_required=required,
    )


def distribute(*events: Event, request_id: str = "dist-1", **changes: Any) -> DistributeEvent:
    """Return a payload of events as the VTN sends it."""
    message = DistributeEvent(request_id=request_id, vtn_id=VTN_ID, events=events, response=OK)
    return replace(message, **changes)


def created_registration(**changes: Any) -> CreatedPartyRegistration:
    """Return the answer that registers the VEN, asked to poll every 10 s."""
    message = CreatedPartyRegistration(
        response=OK,
        vtn_id=VTN_ID,
        profiles=(Profile(profile_name="2.0b", transports=("simpleHttp",)),),
        registration_id=REGISTRATION_ID,
        ven_id=VEN_ID,
        requested_poll_freq=Duration(seconds=10),
    )
    return replace(message, **changes)


def usage_capability(**changes: Any) -> ReportCapability:
    """Return TELEMETRY_USAGE with the data points ``power-1`` and ``power-2``, sampled every 10 s to 1 h."""
    rate = SamplingRate(min_period=Duration(seconds=10), max_period=minutes(60), on_change=False)
    capability = ReportCapability(
        report_specifier_id="usage",
        report_name="TELEMETRY_USAGE",
        duration=minutes(120),
        descriptions=tuple(
            ReportDescription(
                r_id=name,
                report_type="usage",
                reading_type="Direct Read",
                item_base=power_real(),
                sampling_rate=rate,
            )
            for name in ("power-1", "power-2")
        ),
    )
    return replace(capability, **changes)


def report_request(
    request_id: str = "rr-1",
    *,
    specifier: str = "usage",
    granularity: Duration = minutes(1),  # noqa: B008 - a frozen value
    back: Duration = minutes(5),  # noqa: B008 - a frozen value
    start: datetime | None = None,
    duration: Duration | None = ZERO,
    r_ids: tuple[str, ...] = ("power-1",),
) -> ReportRequest:
    """Return a periodic request, for ever by default."""
    return ReportRequest(
        report_request_id=request_id,
        specifier=ReportSpecifier(
            report_specifier_id=specifier,
            granularity=granularity,
            report_back_duration=back,
            payloads=tuple(SpecifierPayload(r_id=r_id) for r_id in r_ids),
            interval_start=start,
            interval_duration=duration,
        ),
    )


def opt_in(_event: Event, _now: datetime) -> Assessment:
    """Take part in everything."""
    return Assessment(response_code=200, opt_type=OptType.OPT_IN)


def counted_ids() -> Callable[[str], str]:
    """Return a maker of ``req-1``, ``opt-2``..."""
    numbers = count(1)
    return lambda prefix: f"{prefix}-{next(numbers)}"


def rules(**changes: Any) -> Rules:
    """Return rules without jitter: draws are 0.5, the middle of every spread."""
    made = Rules(
        assess=opt_in,
        capabilities=lambda: (usage_capability(),),
        draw=lambda: 0.5,
        new_id=counted_ids(),
        ven_name="Bridge",
    )
    return replace(made, **changes)


@dataclass
class Bench:
    """A session and its state, stepped by a test."""

    rules: Rules = field(default_factory=rules)
    state: State = field(default_factory=State)
    clock: FakeClock = field(default_factory=lambda: FakeClock(T0))
    notes: list[Note] = field(default_factory=list)
    last: Send | None = None

    def __post_init__(self) -> None:
        self.session = Session(self.rules)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def action(self) -> Send | Gather | Wait:
        return self.session.next_action(self.state, self.now)

    def apply(self, step: Step) -> None:
        self.state = step.state
        self.notes += step.notes

    def noted(self, what: str) -> bool:
        return any(note.what == what for note in self.notes)

    def sends(self, kind: type[M]) -> M:
        """Assert that the next action is to send a ``kind`` and return it."""
        action = self.action()
        assert isinstance(action, Send), action
        assert isinstance(action.message, kind), action.message
        self.last = action
        return action.message

    def exchange(self, kind: type[M], answer: Message | None) -> M:
        """Let it send a ``kind`` and answer it."""
        message = self.sends(kind)
        assert self.last is not None
        self.apply(self.session.answered(self.state, self.last, answer, self.now))
        return message

    def fail(self, kind: type[M], failure: Failure) -> M:
        """Let it send a ``kind`` and fail that."""
        message = self.sends(kind)
        assert self.last is not None
        self.apply(self.session.failed(self.state, self.last, failure, self.now))
        return message

    def waits_s(self) -> float:
        """Assert that there is nothing to do and return for how many seconds."""
        action = self.action()
        assert isinstance(action, Wait), action
        return (action.until - self.now).total_seconds()

    def register(self) -> "Bench":
        """Go through registration, METADATA and the first empty oadrRequestEvent and poll."""
        self.exchange(QueryRegistration, created_registration(registration_id=None, ven_id=None))
        self.exchange(CreatePartyRegistration, created_registration())
        self.exchange(RegisterReport, RegisteredReport(response=OK, ven_id=VEN_ID))
        self.exchange(RequestEvent, distribute())
        self.empty_poll()
        assert self.waits_s() >= 10
        self.notes.clear()
        return self

    def empty_poll(self) -> None:
        self.exchange(Poll, Response(response=OK, ven_id=VEN_ID))

    def poll(self, answer: Message) -> None:
        """Let the poll interval pass and answer the poll."""
        if isinstance(self.action(), Wait):
            self.clock.advance(self.waits_s())
        self.exchange(Poll, answer)

    def receive(self, *events: Event, request_id: str = "dist-1") -> tuple[EventResponse, ...]:
        """Deliver events by a poll; return the eventResponses that the VEN posts, () if it posts none."""
        self.poll(distribute(*events, request_id=request_id))
        action = self.action()
        if not (isinstance(action, Send) and isinstance(action.message, CreatedEvent)):
            return ()
        message = self.exchange(CreatedEvent, Response(response=OK, ven_id=VEN_ID))
        assert message.response == EiResponse(request_id="")  # R42
        return message.event_responses
