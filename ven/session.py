"""A VEN without I/O: what to do next, and what an answer or a failure changes.

Registration, as a table (R401-R405)::

    state                     what happens                                  next
    ------------------------  --------------------------------------------  ------------------------------------------
    unregistered              time has come                                 oadrQueryRegistration (optional)
    queried                   answered (any code)                           oadrCreatePartyRegistration without IDs
    created                   2xx with registrationID and venID             registered: METADATA, oadrRequestEvent, poll
    created                   4xx, or either ID missing or empty            unregistered, again after ``reregister_s``
    registered                oadrRequestReregistration, own venID          oadrResponse, then create with both IDs
    re-created                2xx with both IDs                             registered (reports and events kept)
    re-created                anything else                                 unregistered
    registered                oadrCancelPartyRegistration, own IDs          oadrCanceledPartyRegistration; unregistered,
                                                                            events cancelled, the rest erased (R407)
    registered                responseCode 463 to anything                  unregistered
    unregistered              a payload of the VTN                          ignored

Rule: ``State`` in, ``Step`` out; time and randomness come in from outside. One request is under way at a time.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from openadr.errors import InvalidId, OadrError, ResponseCode
from openadr.exchange import SERVICE_OF, Service
from openadr.messages import (
    CanceledReport,
    CancelPartyRegistration,
    CancelReport,
    CreatedReport,
    CreatePartyRegistration,
    CreateReport,
    DistributeEvent,
    EiResponse,
    Message,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import ReportInterval, ReportRequest
from ven import events, outbox, registration, reports
from ven.model import (
    Action,
    Failure,
    Gather,
    Note,
    Owed,
    Purpose,
    Registration,
    Retry,
    Rules,
    Send,
    State,
    Step,
    Wait,
)

_IDLE = timedelta(days=1)  # nothing known to wait for: a bound, so that a wait is always finite


class Session:
    """The transitions of one VEN; holds its rules and nothing else."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._payloads: dict[type[Message], Callable[[State, Registration, Any, datetime], Step]] = {
            Response: self._on_empty,
            DistributeEvent: self._on_events,
            CreateReport: self._on_create_report,
            RegisterReport: self._on_register_report,
            CancelReport: self._on_cancel_report,
            UpdateReport: self._on_update_report,
            CancelPartyRegistration: self._on_cancel_registration,
        }
        self._answers: dict[type[Message], Callable[[State, Registration, Any, Any, datetime], Step]] = {
            Poll: self._after_poll,
            RequestEvent: self._after_request_event,
            RegisterReport: self._after_register_report,
            UpdateReport: self._after_update_report,
        }

    # --- what to do next ----------------------------------------------------------------------------------------------

    def next_action(self, state: State, now: datetime) -> Action:
        """Return the one thing to do at ``now``: send, collect the data of a report, or wait.

        In this order of rank; data comes last, so that a backlog of reports never delays an event.
        """
        held = state.registration
        owed = list(outbox.heads(state))
        party = [one for one in owed if one.service is Service.EI_REGISTER_PARTY]
        data = [one for one in owed if isinstance(one.message, UpdateReport)]
        answers = [one for one in owed if one not in party and one not in data]
        proposals: list[Action | None] = [self._owed(one, now) for one in party]
        if held is None:
            proposals.append(self._register(state, now))
        else:
            proposals += [self._metadata(state, held, now), self._resync(state, held, now)]
            proposals += [self._owed(one, now) for one in answers]
            proposals.append(self._poll(state, held, now))
            proposals += [self._owed(one, now) for one in data]
            proposals.append(reports.due(state, now))
            proposals += [Wait(until=stored.next_due) for stored in state.requests.values()]
        waits = []
        for action in proposals:
            if isinstance(action, Wait):
                waits.append(action.until)
            elif action is not None:
                return action
        return Wait(until=min(waits, default=now + _IDLE))

    def _owed(self, owed: Owed, now: datetime) -> Action:
        if self._ahead(owed.not_before, now):
            return Wait(until=owed.not_before)
        return Send(service=owed.service, message=owed.message, seq=owed.seq)

    def _register(self, state: State, now: datetime) -> Action:
        query = self._rules.query_first and not state.link.queried
        message: Message
        if query:
            message = QueryRegistration(request_id=self._rules.new_id("req"))
        else:
            message = registration.create_request(self._rules)
        return self._unless_paused(state, Purpose.QUERY if query else Purpose.CREATE, message, now)

    def _metadata(self, state: State, held: Registration, now: datetime) -> Action | None:
        """Propose METADATA when what we offer is not what the VTN last acknowledged (R306, R309)."""
        capabilities = self._rules.capabilities()
        digest = reports.digest(capabilities)
        if digest == held.metadata:
            return None
        message = reports.metadata(capabilities, held.ven_id, _METADATA_ID + digest, now)
        return self._unless_paused(state, Purpose.METADATA, message, now)

    def _resync(self, state: State, held: Registration, now: datetime) -> Action | None:
        if not state.link.resync:
            return None
        message = RequestEvent(request_id=self._rules.new_id("req"), ven_id=held.ven_id)  # no replyLimit (R27)
        return self._unless_paused(state, Purpose.RESYNC, message, now)

    def _poll(self, state: State, held: Registration, now: datetime) -> Action:
        at = state.link.next_poll
        if at is not None and self._ahead(at, now, longest_s=self._interval_s(held) * (1 + self._rules.poll_jitter)):
            return Wait(until=at)
        return self._unless_paused(state, Purpose.POLL, Poll(ven_id=held.ven_id), now)

    def _unless_paused(self, state: State, purpose: Purpose, message: Message, now: datetime) -> Action:
        retry = state.link.retries.get(purpose)
        if retry is not None and self._ahead(retry.not_before, now):
            return Wait(until=retry.not_before)
        return Send(service=SERVICE_OF[type(message)], message=message, purpose=purpose)

    def _ahead(self, at: datetime, now: datetime, *, longest_s: float = 0.0) -> bool:
        """Tell whether ``at`` lies ahead; one further than any pause of ours means that the clock was set back."""
        longest = max(longest_s, self._rules.backoff_max_s, self._rules.reregister_s) * (1 + 2 * outbox.JITTER)
        return now < at <= now + timedelta(seconds=longest)

    def _interval_s(self, held: Registration) -> float:
        asked = self._rules.poll_s if held.poll_s is None else held.poll_s
        return max(asked, self._rules.min_poll_s)

    # --- what an answer changes ---------------------------------------------------------------------------------------

    def answered(self, state: State, send: Send, answer: Message | None, now: datetime) -> Step:
        """Take the answer to ``send``; ``None`` is an empty HTTP 200."""
        held = state.registration
        if isinstance(answer, RequestReregistration) and held is not None:
            return self._asked_to_reregister(state, held, send, answer, now)
        response: EiResponse | None = getattr(answer, "response", None)
        if held is not None and response is not None and response.response_code == ResponseCode.NOT_REGISTERED:
            if send.service is Service.EI_REGISTER_PARTY:
                state = _settled(state, send)
            return registration.lost(state, "responseCode 463", now, self._rules)
        state = _settled(state, send)
        if isinstance(send.message, QueryRegistration):
            return registration.queried(state, answer)
        if isinstance(send.message, CreatePartyRegistration):
            return registration.created(state, send.message, answer, now, self._rules)
        take = self._answers.get(type(send.message))
        if take is not None and held is not None:
            return take(state, held, send.message, answer, now)
        return Step(state=state, notes=_complaint(send, response))

    def _asked_to_reregister(
        self, state: State, held: Registration, send: Send, answer: RequestReregistration, now: datetime
    ) -> Step:
        """Take oadrRequestReregistration on any service; what we asked or owed there is left for a later attempt."""
        if send.purpose is Purpose.POLL:
            state = self._poll_later(_settled(state, send), held, now)
        elif send.service is Service.EI_REGISTER_PARTY:
            state = _settled(state, send)
        else:
            state = self.failed(state, send, Failure.BUSY, now).state
        return registration.reregister(state, held, answer, now, self._rules)

    def failed(self, state: State, send: Send, failure: Failure, now: datetime) -> Step:
        """Take a failed exchange: pause, or give up what would fail again."""
        if send.seq is not None:
            return outbox.failed(state, send.seq, failure, now, self._rules)
        purpose = Purpose(send.purpose or Purpose.POLL)
        earlier = state.link.retries.get(purpose)
        attempts = 1 if earlier is None else earlier.attempts + 1
        hopeless = failure is Failure.REFUSED or (failure is Failure.BROKEN and attempts >= self._rules.give_up_after)
        notes: tuple[Note, ...] = ()
        if hopeless:
            state = _given_up(state, purpose, send)
            notes = (Note(what="request_given_up", detail=f"{purpose}: {failure}", warning=True),)
        pause = self._rules.reregister_s if hopeless else outbox.pause_s(attempts, self._rules, self._rules.draw)
        retry = Retry(attempts=attempts, not_before=now + timedelta(seconds=pause))
        return Step(state=state.linked(retries={**state.link.retries, purpose: retry}), notes=notes)

    def _after_poll(self, state: State, held: Registration, sent: Poll, answer: Message | None, now: datetime) -> Step:
        """Take a poll's answer: one payload; the next poll follows at once until oadrResponse (R500)."""
        take = self._payloads.get(type(answer)) if answer is not None else None
        if take is None:
            state = self._poll_later(state, held, now)
            notes = () if answer is None else (_unexpected(sent, answer),)
            return Step(state=state, notes=notes)
        if not isinstance(answer, Response):
            drained = state.link.drained + 1
            at_once = drained < self._rules.max_drain
            state = state.linked(next_poll=None, drained=drained) if at_once else self._poll_later(state, held, now)
        return take(state, held, answer, now)

    def _poll_later(self, state: State, held: Registration, now: datetime) -> State:
        interval = self._interval_s(held) * (1 + self._rules.poll_jitter * self._rules.draw())
        return state.linked(next_poll=now + timedelta(seconds=interval), drained=0)

    def _on_empty(self, state: State, held: Registration, answer: Response, now: datetime) -> Step:
        state = self._poll_later(state, held, now)
        if answer.response.response_code == ResponseCode.INVALID_ID:
            return registration.lost(state, "oadrPoll answered 452: venID not ours", now, self._rules)
        notes = () if answer.response.ok else (Note(what="poll_refused", detail=_said(answer.response), warning=True),)
        return Step(state=state, notes=notes)

    def _after_request_event(
        self, state: State, held: Registration, sent: RequestEvent, answer: Message | None, now: datetime
    ) -> Step:
        state = state.linked(resync=False)
        if isinstance(answer, DistributeEvent):
            return self._on_events(state, held, answer, now)
        if isinstance(answer, Response) and answer.response.ok:
            return events.no_events(state, now)
        return Step(state=state, notes=(_unexpected(sent, answer),))

    def _after_register_report(
        self, state: State, held: Registration, sent: RegisterReport, answer: Message | None, now: datetime
    ) -> Step:
        """Take the answer to METADATA: earlier requests are void (R306), piggy-back ones count (R344)."""
        if sent.request_id.startswith(_METADATA_ID):
            metadata = sent.request_id.removeprefix(_METADATA_ID)
            state = replace(state, registration=replace(held, metadata=metadata))
        if not isinstance(answer, RegisteredReport) or not answer.response.ok:
            return Step(state=state, notes=(_unexpected(sent, answer),))
        state = reports.drop_data_requests(state)
        if not answer.report_requests:
            return Step(state=state)
        return self._take_requests(state, held, answer.response.request_id, answer.report_requests, now)

    def _after_update_report(
        self, state: State, held: Registration, sent: UpdateReport, answer: Message | None, now: datetime
    ) -> Step:
        """Take the answer to data; a cancel inside names only reports of this update and is not confirmed (R328)."""
        if not isinstance(answer, UpdatedReport):
            return Step(state=state, notes=(_unexpected(sent, answer),))
        notes = (
            () if answer.response.ok else (Note(what="report_refused", detail=_said(answer.response), warning=True),)
        )
        inner = answer.cancel_report
        if inner is not None:
            own = {report.report_request_id for report in sent.reports}
            ids = [one for one in inner.report_request_ids if one in own]
            state, _ = reports.cancel(state, ids, inner.report_to_follow, now)
        return Step(state=state, notes=notes)

    # --- payloads of the VTN ------------------------------------------------------------------------------------------

    def _on_events(self, state: State, held: Registration, message: DistributeEvent, now: datetime) -> Step:
        return events.receive(state, held, message, now, self._rules.assess)

    def _on_create_report(self, state: State, held: Registration, message: CreateReport, now: datetime) -> Step:
        return self._take_requests(state, held, message.request_id, message.report_requests, now)

    def _take_requests(
        self, state: State, held: Registration, request_id: str, requests: tuple[ReportRequest, ...], now: datetime
    ) -> Step:
        response, notes = EiResponse(request_id=request_id), tuple[Note, ...]()
        try:
            state = reports.take(state, requests, now, self._rules.capabilities())
        except OadrError as error:
            response = _error(request_id, error)
            notes = (Note(what="report_request_refused", detail=_said(response), warning=True),)
        answer = CreatedReport(response=response, pending_reports=_pending(state), ven_id=held.ven_id)
        return Step(state=outbox.owe(state, Service.EI_REPORT, answer, now), notes=notes)

    def _on_register_report(self, state: State, held: Registration, message: RegisterReport, now: datetime) -> Step:
        """Take the VTN's METADATA: we ask for none of its reports (R301)."""
        answer = RegisteredReport(response=EiResponse(request_id=message.request_id), ven_id=held.ven_id)
        return Step(state=outbox.owe(state, Service.EI_REPORT, answer, now))

    def _on_cancel_report(self, state: State, held: Registration, message: CancelReport, now: datetime) -> Step:
        """Take oadrCancelReport: an unknown ID makes the answer 452, the others are cancelled all the same (R336)."""
        state, unknown = reports.cancel(state, message.report_request_ids, message.report_to_follow, now)
        response = EiResponse(request_id=message.request_id)
        if unknown:
            response = _error(message.request_id, InvalidId(f"reportRequestID {', '.join(unknown)} unknown (R336)"))
        answer = CanceledReport(response=response, pending_reports=_pending(state), ven_id=held.ven_id)
        return Step(state=outbox.owe(state, Service.EI_REPORT, answer, now))

    def _on_update_report(self, state: State, held: Registration, message: UpdateReport, now: datetime) -> Step:
        """Take data that nobody asked for: this VEN never requests reports (R304)."""
        response = _error(message.request_id, InvalidId("this VEN asked for no such report (R304)"))
        answer = UpdatedReport(response=response, ven_id=held.ven_id)
        return Step(state=outbox.owe(state, Service.EI_REPORT, answer, now))

    def _on_cancel_registration(
        self, state: State, held: Registration, message: CancelPartyRegistration, now: datetime
    ) -> Step:
        return registration.cancelled(state, held, message, now, self._rules)

    # --- what the resources add ---------------------------------------------------------------------------------------

    def collected(self, state: State, gather: Gather, intervals: tuple[ReportInterval, ...], now: datetime) -> Step:
        """Take the data of a delivery: owe the oadrUpdateReport (or METADATA) and move the request on."""
        held, key = state.registration, gather.stored.request.report_request_id
        if held is None or key not in state.requests:
            return Step(state=state)  # cancelled while the data was collected
        state = reports.advanced(state, gather)
        capabilities, request_id = self._rules.capabilities(), self._rules.new_id("req")
        if reports.is_metadata(gather.stored.request):
            message = reports.metadata(capabilities, held.ven_id, request_id, now, report_request_id=key)
            return Step(state=outbox.owe(state, Service.EI_REPORT, message, now))
        try:
            update = reports.data(gather, intervals, capabilities, ven_id=held.ven_id, request_id=request_id, now=now)
        except OadrError as error:
            state, _ = reports.cancel(state, [key], False, now)
            return Step(state=state, notes=(Note(what="report_ended", detail=error.description, warning=True),))
        return outbox.owe_report(state, update, now, self._rules.max_owed_reports)


_METADATA_ID = "metadata-"  # the requestID names the content, so a resend after a restart is the same message


def _settled(state: State, send: Send) -> State:
    """Return the state in which ``send`` needs no further attempt."""
    if send.seq is not None:
        return outbox.settle(state, send.seq)
    return state if send.purpose is None else state.without_retry(send.purpose)


def _given_up(state: State, purpose: Purpose, send: Send) -> State:
    """Return the state that does without a request the VTN will not serve."""
    if purpose is Purpose.QUERY:
        return state.linked(queried=True)
    if purpose is Purpose.RESYNC:
        return state.linked(resync=False)
    if purpose is Purpose.METADATA and state.registration is not None and isinstance(send.message, RegisterReport):
        metadata = send.message.request_id.removeprefix(_METADATA_ID)
        return replace(state, registration=replace(state.registration, metadata=metadata))
    return state


def _pending(state: State) -> tuple[str, ...]:
    return tuple(sorted(state.requests))  # R329: everything still to be delivered


def _error(request_id: str, error: OadrError) -> EiResponse:
    return EiResponse(request_id=request_id, response_code=error.code, response_description=error.description)


def _said(response: EiResponse) -> str:
    return f"{response.response_code} {response.response_description or ''}".strip()


def _unexpected(sent: Message, answer: Message | None) -> Note:
    name = "nothing" if answer is None else f"oadr{type(answer).__name__}"
    response: EiResponse | None = getattr(answer, "response", None)
    said = f" {_said(response)}" if response is not None else ""
    return Note(what="answer_unexpected", detail=f"oadr{type(sent).__name__} answered by {name}{said}", warning=True)


def _complaint(send: Send, response: EiResponse | None) -> tuple[Note, ...]:
    if response is None or response.ok:
        return ()
    detail = f"oadr{type(send.message).__name__}: {_said(response)}"
    return (Note(what="message_refused", detail=detail, warning=True),)
