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
    registered                the operator leaves                           oadrCancelPartyRegistration, then left: like
                                                                            cancelled, and no new registration by itself
    left                      the operator registers again                  unregistered
    unregistered              a payload of the VTN                          ignored

Rule: ``State`` in, ``Step`` out; time and randomness come in from outside. One request is under way at a time.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from openadr.errors import ComplianceError, NotRegistered, OadrError, ResponseCode
from openadr.exchange import SERVICE_OF, VEN_ACCEPTS, Service, error_reply, request_id_of
from openadr.messages import (
    CancelPartyRegistration,
    CreatePartyRegistration,
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
from openadr.model import ReportInterval
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
from ven.payloads import Payloads, answered_at_once, owed, said
from ven.portions import pieces

_IDLE = timedelta(days=1)  # nothing known to wait for: a bound, so that a wait is always finite


class Session:
    """The transitions of one VEN; holds its rules and nothing else."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._payloads = Payloads(rules)
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
        if held is None and state.withdrawn_at is None:
            proposals.append(self._register(state, now))
        elif held is not None and state.withdrawn_at is None:
            if held.push_address != self._rules.push_address and not party:
                proposals.append(self._register_again(state, held, now))
            proposals += [self._metadata(state, held, now), self._resync(state, held, now)]
            proposals += [self._owed(one, now) for one in answers]
            proposals.append(self._poll(state, held, now))
            proposals += [self._owed(one, now) for one in data]
            if len(outbox.waiting_reports(state)) < self._rules.max_waiting_reports:
                proposals.append(reports.due(state, now, self._rules.capabilities()))
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

    def _register_again(self, state: State, held: Registration, now: datetime) -> Action:
        """Propose to tell the VTN that it is to push from now on, to push elsewhere, or to push no more."""
        return self._unless_paused(state, Purpose.CREATE, registration.create_request(self._rules, held), now)

    def _metadata(self, state: State, held: Registration, now: datetime) -> Action | None:
        """Propose METADATA when what we offer is not what the VTN last acknowledged (R306, R309)."""
        capabilities = self._rules.capabilities()
        digest = reports.digest(capabilities)
        if digest == held.metadata:
            return None
        message = reports.metadata(capabilities, held.ven_id, _METADATA_ID + digest, now)
        return self._unless_paused(state, Purpose.METADATA, message, now)

    def _resync(self, state: State, held: Registration, now: datetime) -> Action | None:
        if not state.link.resync or self._rules.report_only:
            return None
        message = RequestEvent(request_id=self._rules.new_id("req"), ven_id=held.ven_id)  # no replyLimit (R27)
        return self._unless_paused(state, Purpose.RESYNC, message, now)

    def _poll(self, state: State, held: Registration, now: datetime) -> Action:
        """Propose a poll when it is time; in the push model never one (R51, R500), but a look at the events."""
        at = state.link.next_poll
        if at is not None and self._ahead(at, now, longest_s=self._interval_s(held) * (1 + self._rules.poll_jitter)):
            return Wait(until=at)
        if held.push_address is None:
            return self._unless_paused(state, Purpose.POLL, Poll(ven_id=held.ven_id), now)
        if self._rules.report_only:
            return Wait(until=now + _IDLE)
        message = RequestEvent(request_id=self._rules.new_id("req"), ven_id=held.ven_id)
        return self._unless_paused(state, Purpose.RESYNC, message, now)

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
        if held.push_address is not None:
            return self._rules.resync_s
        asked = self._rules.poll_s if held.poll_s is None else held.poll_s
        return max(asked, self._rules.min_poll_s)

    # --- what an answer changes ---------------------------------------------------------------------------------------

    def answered(self, state: State, send: Send, answer: Message | None, now: datetime) -> Step:
        """Take the answer to ``send``; ``None`` is an empty HTTP 200."""
        held = state.registration
        if isinstance(send.message, CancelPartyRegistration):
            return registration.left(state, now)
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
            return self._after_poll(_settled(state, send), held, send.message, answer, now)
        if send.service is Service.EI_REGISTER_PARTY:
            state = _settled(state, send)
        else:
            state = self.failed(state, send, Failure.BUSY, now).state
        return owed(registration.reregister(state, held, answer, self._rules), answer, now)

    def failed(self, state: State, send: Send, failure: Failure, now: datetime) -> Step:
        """Take a failed exchange: pause, or give up what would fail again."""
        if send.seq is not None:
            step = outbox.failed(state, send.seq, failure, now, self._rules)
            given_up = isinstance(send.message, CancelPartyRegistration) and send.seq not in step.state.outbox
            return Step(state=registration.left(step.state, now).state, notes=step.notes) if given_up else step
        purpose = Purpose(send.purpose or Purpose.POLL)
        earlier = state.link.retries.get(purpose)
        attempts = 1 if earlier is None else earlier.attempts + 1
        hopeless = failure is Failure.REFUSED or (failure is Failure.BROKEN and attempts >= self._rules.give_up_after)
        notes: tuple[Note, ...] = ()
        if hopeless:
            state = _given_up(state, purpose, send)
            notes = (Note(what="request_given_up", detail=f"{purpose}: {failure}", warning=True),)
        draw = self._rules.draw
        if hopeless:
            pause = outbox.spread_s(self._rules.reregister_s, draw)
        else:
            pause = outbox.pause_s(attempts, self._rules, draw)
        retry = Retry(attempts=attempts, not_before=now + timedelta(seconds=pause))
        return Step(state=state.linked(retries={**state.link.retries, purpose: retry}), notes=notes)

    def _after_poll(
        self, state: State, held: Registration, sent: Message, answer: Message | None, now: datetime
    ) -> Step:
        """Take a poll's answer: one payload; the next poll follows at once until oadrResponse (R500)."""
        if isinstance(answer, Response):
            return self._on_empty(state, held, answer, now)
        drained = state.link.drained + 1
        foreign = isinstance(answer, RequestReregistration) and answer.ven_id != held.ven_id
        at_once = drained < self._rules.max_drain and not foreign
        after = state.linked(next_poll=None, drained=drained) if at_once else self._poll_later(state, held, now)
        reaction = None if answer is None else self._payloads.take(after, held, answer, now)
        if answer is None or reaction is None:
            notes = () if answer is None else (_unexpected(sent, answer),)
            return Step(state=self._poll_later(state, held, now), notes=notes)
        return owed(reaction, answer, now)

    def _poll_later(self, state: State, held: Registration, now: datetime) -> State:
        interval = self._interval_s(held) * (1 + self._rules.poll_jitter * self._rules.draw())
        return state.linked(next_poll=now + timedelta(seconds=interval), drained=0)

    def _on_empty(self, state: State, held: Registration, answer: Response, now: datetime) -> Step:
        state = self._poll_later(state, held, now)
        if answer.response.response_code == ResponseCode.INVALID_ID:
            return registration.lost(state, "oadrPoll answered 452: venID not ours", now, self._rules)
        notes = () if answer.response.ok else (Note(what="poll_refused", detail=said(answer.response), warning=True),)
        return Step(state=state, notes=notes)

    def _after_request_event(
        self, state: State, held: Registration, sent: RequestEvent, answer: Message | None, now: datetime
    ) -> Step:
        state = state.linked(resync=False)
        if held.push_address is not None:
            state = self._poll_later(state, held, now)
        if isinstance(answer, DistributeEvent):
            return events.receive(state, held, answer, now, self._rules.assess)
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
        request_id, requests = answer.response.request_id, answer.report_requests
        return owed(self._payloads.take_requests(state, held, request_id, requests, now), answer, now)

    def _after_update_report(
        self, state: State, held: Registration, sent: UpdateReport, answer: Message | None, now: datetime
    ) -> Step:
        """Take the answer to data; a cancel inside names only reports of this update and is not confirmed (R328)."""
        if not isinstance(answer, UpdatedReport):
            return Step(state=state, notes=(_unexpected(sent, answer),))
        notes = () if answer.response.ok else (Note(what="report_refused", detail=said(answer.response), warning=True),)
        inner = answer.cancel_report
        if inner is not None:
            own = {report.report_request_id for report in sent.reports}
            ids = [one for one in inner.report_request_ids if one in own]
            state, _ = reports.cancel(state, ids, inner.report_to_follow, now)
        return Step(state=state, notes=notes)

    # --- what the VTN pushes ------------------------------------------------------------------------------------------

    def pushed(self, state: State, message: Message, service: Service, now: datetime) -> tuple[Step, Message | None]:
        """Take what was pushed to ``service``; return the step and the answer, ``None`` for an empty one (R51).

        An error is told in the answer and changes nothing.
        """
        held = state.registration
        try:
            if held is None:
                raise NotRegistered("this VEN is not registered (R405)")
            reaction = self._payloads.take(state, held, message, now)
            if reaction is None or SERVICE_OF[type(message)] is not service:
                raise ComplianceError(f"oadr{type(message).__name__} is not for the service {service} of a VEN (R33)")
        except OadrError as error:
            return Step(state=state, notes=(_refused(message, error),)), refusal(message, error, held)
        return answered_at_once(reaction, held, message, now)

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
        if gather.partial and not intervals:
            return Step(state=state)  # nothing from so far back; what follows says more
        notes: tuple[Note, ...] = ()
        for number, piece in enumerate(pieces(intervals)):
            request_id = request_id if number == 0 else self._rules.new_id("req")
            try:
                update = reports.data(gather, piece, capabilities, ven_id=held.ven_id, request_id=request_id, now=now)
            except OadrError as error:
                state, _ = reports.cancel(state, [key], False, now)
                return Step(state=state, notes=(Note(what="report_ended", detail=error.description, warning=True),))
            step = outbox.owe_report(state, update, now, self._rules.max_owed_reports)
            state, notes = step.state, (*notes, *step.notes)
        return Step(state=state, notes=notes)


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


def refusal(message: Message, error: OadrError, held: Registration | None) -> Message:
    """Return the answer to a pushed payload that is not taken; events have no answer of their own."""
    if type(message) not in VEN_ACCEPTS or isinstance(message, DistributeEvent):
        response = EiResponse(
            request_id=request_id_of(message), response_code=error.code, response_description=error.description
        )
        return Response(response=response, ven_id=None if held is None else held.ven_id)
    vtn_id, ven_id = ("", None) if held is None else (held.vtn_id, held.ven_id)
    return error_reply(message, error, vtn_id=vtn_id, ven_id=ven_id)


def _refused(message: Message, error: OadrError) -> Note:
    return Note(what="push_refused", detail=f"oadr{type(message).__name__}: {error.description}", warning=True)


def _unexpected(sent: Message, answer: Message | None) -> Note:
    name = "nothing" if answer is None else f"oadr{type(answer).__name__}"
    response: EiResponse | None = getattr(answer, "response", None)
    code = f" {said(response)}" if response is not None else ""
    return Note(what="answer_unexpected", detail=f"oadr{type(sent).__name__} answered by {name}{code}", warning=True)


def _complaint(send: Send, response: EiResponse | None) -> tuple[Note, ...]:
    if response is None or response.ok:
        return ()
    detail = f"oadr{type(send.message).__name__}: {said(response)}"
    return (Note(what="message_refused", detail=detail, warning=True),)
