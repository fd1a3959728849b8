"""What a VEN makes of each payload of its VTN, however it came: what changes, and what is to be answered.

Rule: a payload that was polled is answered by a new request, one that was pushed in the same exchange (profile section
1.3); the decision is the same. Events are answered by oadrCreatedEvent, which is always a request of our own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from openadr.errors import InvalidId, OadrError
from openadr.exchange import SERVICE_OF, error_reply, ven_id_of
from openadr.messages import (
    CanceledReport,
    CancelPartyRegistration,
    CancelReport,
    CreatedReport,
    CreateReport,
    DistributeEvent,
    EiResponse,
    Message,
    RegisteredReport,
    RegisterReport,
    RequestReregistration,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import ReportRequest
from ven import events, outbox, registration, reports
from ven.model import Note, Reaction, Registration, Rules, State, Step

_Handler = Callable[[State, Registration, Any, datetime], Reaction]
_REPORTS: tuple[type[Message], ...] = (CreateReport, RegisterReport, CancelReport, UpdateReport)


@dataclass(frozen=True, slots=True)
class Payloads:
    """The decisions of one VEN; holds its rules and nothing else."""

    rules: Rules

    def take(self, state: State, held: Registration, message: Message, now: datetime) -> Reaction | None:
        """Take a payload; ``None``: a VTN does not send this by itself."""
        handlers: dict[type[Message], _Handler] = {
            DistributeEvent: self._events,
            CreateReport: self._create_report,
            RegisterReport: self._register_report,
            CancelReport: self._cancel_report,
            UpdateReport: self._update_report,
            CancelPartyRegistration: self._cancel_registration,
            RequestReregistration: self._reregister,
        }
        handler = handlers.get(type(message))
        if handler is None:
            return None
        named = ven_id_of(message)
        if isinstance(message, _REPORTS) and named is not None and named != held.ven_id:
            error = InvalidId("venID is not ours (R304)", field="venID")
            answer = error_reply(message, error, vtn_id=held.vtn_id, ven_id=held.ven_id)
            return Reaction(state=state, answer=answer, notes=(_refused(message, error),))
        return handler(state, held, message, now)

    def take_requests(
        self, state: State, held: Registration, request_id: str, requests: tuple[ReportRequest, ...], now: datetime
    ) -> Reaction:
        """Take report requests, which come by oadrCreateReport or with an oadrRegisteredReport (R344)."""
        response, notes = EiResponse(request_id=request_id), tuple[Note, ...]()
        try:
            state = reports.take(state, requests, now, self.rules.capabilities())
        except OadrError as error:
            response = _error(request_id, error)
            notes = (Note(what="report_request_refused", detail=said(response), warning=True),)
        answer = CreatedReport(response=response, pending_reports=_pending(state), ven_id=held.ven_id)
        return Reaction(state=state, answer=answer, notes=notes)

    def _events(self, state: State, held: Registration, message: DistributeEvent, now: datetime) -> Reaction:
        step = events.receive(state, held, message, now, self.rules.assess)
        return Reaction(state=step.state, notes=step.notes)

    def _create_report(self, state: State, held: Registration, message: CreateReport, now: datetime) -> Reaction:
        return self.take_requests(state, held, message.request_id, message.report_requests, now)

    def _register_report(self, state: State, held: Registration, message: RegisterReport, now: datetime) -> Reaction:
        """Take the VTN's METADATA: we ask for none of its reports (R301)."""
        answer = RegisteredReport(response=EiResponse(request_id=message.request_id), ven_id=held.ven_id)
        return Reaction(state=state, answer=answer)

    def _cancel_report(self, state: State, held: Registration, message: CancelReport, now: datetime) -> Reaction:
        """Take oadrCancelReport: an unknown ID makes the answer 452, the others are cancelled all the same (R336)."""
        state, unknown = reports.cancel(state, message.report_request_ids, message.report_to_follow, now)
        response = EiResponse(request_id=message.request_id)
        if unknown:
            response = _error(message.request_id, InvalidId(f"reportRequestID {', '.join(unknown)} unknown (R336)"))
        answer = CanceledReport(response=response, pending_reports=_pending(state), ven_id=held.ven_id)
        return Reaction(state=state, answer=answer)

    def _update_report(self, state: State, held: Registration, message: UpdateReport, now: datetime) -> Reaction:
        """Take data that nobody asked for: this VEN never requests reports (R304)."""
        response = _error(message.request_id, InvalidId("this VEN asked for no such report (R304)"))
        return Reaction(state=state, answer=UpdatedReport(response=response, ven_id=held.ven_id))

    def _cancel_registration(
        self, state: State, held: Registration, message: CancelPartyRegistration, now: datetime
    ) -> Reaction:
        return registration.cancelled(state, held, message, now, self.rules)

    def _reregister(self, state: State, held: Registration, message: RequestReregistration, now: datetime) -> Reaction:
        return registration.reregister(state, held, message, self.rules)


def owed(reaction: Reaction, message: Message, now: datetime) -> Step:
    """Return the step that owes the VTN the answer to a polled ``message`` as a request of its own (section 2.2)."""
    state, service = reaction.state, SERVICE_OF[type(message)]
    for each in (reaction.answer, *reaction.then):
        if each is not None:
            state = outbox.owe(state, service, each, now)
    return Step(state=state, notes=reaction.notes)


def answered_at_once(
    reaction: Reaction, held: Registration, message: Message, now: datetime
) -> tuple[Step, Message | None]:
    """Return the step and the answer, ``None`` for an empty one, to a pushed ``message`` (section 1.3)."""
    answer = reaction.answer
    if answer is None and not isinstance(message, DistributeEvent):
        answer = Response(response=EiResponse(), ven_id=held.ven_id)  # asked again for what is under way
    return owed(replace(reaction, answer=None), message, now), answer


def said(response: EiResponse) -> str:
    """Return code and description of a response."""
    return f"{response.response_code} {response.response_description or ''}".strip()


def _refused(message: Message, error: OadrError) -> Note:
    return Note(what="payload_refused", detail=f"oadr{type(message).__name__}: {error.description}", warning=True)


def _pending(state: State) -> tuple[str, ...]:
    return tuple(sorted(state.requests))  # R329: everything still to be delivered


def _error(request_id: str, error: OadrError) -> EiResponse:
    return EiResponse(request_id=request_id, response_code=error.code, response_description=error.description)
