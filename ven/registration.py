"""Registration transitions of the VEN: becoming registered, registered again, refused, cancelled, unknown to the VTN.

Rule: an answer counts as a registration only with a 2xx code and both IDs filled; empty tags mean "not registered".
The table stands in ``ven.session``.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from openadr.errors import ResponseCode
from openadr.exchange import Service
from openadr.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    EiResponse,
    Message,
    RequestReregistration,
    Response,
)
from ven import outbox
from ven.model import Link, Note, Purpose, Reaction, Registration, Retry, Rules, State, Step, StoredEvent
from ven.reports import drop_data_requests

PROFILE = "2.0b"
TRANSPORT = "simpleHttp"


def create_request(rules: Rules, registration: Registration | None = None) -> CreatePartyRegistration:
    """Build oadrCreatePartyRegistration: both IDs only when registering again, the address only for push (R402)."""
    return CreatePartyRegistration(
        request_id=rules.new_id("req"),
        profile_name=PROFILE,
        transport_name=TRANSPORT,
        ven_name=rules.ven_name,
        http_pull_model=rules.push_address is None,
        transport_address=rules.push_address,
        xml_signature=rules.xml_signature,
        report_only=rules.report_only,
        registration_id=None if registration is None else registration.registration_id,
        ven_id=rules.ven_id if registration is None else registration.ven_id,
    )


def queried(state: State, answer: Message | None) -> Step:
    """Take the answer to the query: go on to create in any case, but say if the VTN does not offer what we speak."""
    state = state.linked(queried=True)
    if not isinstance(answer, CreatedPartyRegistration):
        return Step(state=state, notes=(Note(what="query_unanswered", detail=_name(answer), warning=True),))
    offered = {(profile.profile_name, transport) for profile in answer.profiles for transport in profile.transports}
    if (PROFILE, TRANSPORT) not in offered:
        detail = f"the VTN does not list {PROFILE} over {TRANSPORT}"
        return Step(state=state, notes=(Note(what="profile_not_offered", detail=detail, warning=True),))
    return Step(state=state)


def created(
    state: State, request: CreatePartyRegistration, answer: Message | None, now: datetime, rules: Rules
) -> Step:
    """Take the answer to a create: registered, registered again, or not."""
    if not isinstance(answer, CreatedPartyRegistration):
        return lost(state, f"oadrCreatePartyRegistration answered by {_name(answer)}", now, rules)
    if not answer.response.ok or not answer.registration_id or not answer.ven_id:
        code, text = answer.response.response_code, answer.response.response_description or "no IDs given"
        return lost(state, f"registration refused: {code} {text}", now, rules)
    held = state.registration
    poll = answer.requested_poll_freq
    registration = Registration(
        registration_id=answer.registration_id,
        ven_id=answer.ven_id,
        vtn_id=answer.vtn_id,
        poll_s=None if poll is None else poll.length(now).total_seconds(),
        push_address=request.transport_address,
    )
    asked = (request.registration_id, request.ven_id)
    if held is not None and asked == (answer.registration_id, answer.ven_id):
        registration = replace(registration, metadata=held.metadata)
        return Step(state=replace(state, registration=registration), notes=(Note(what="registered_again"),))
    state = outbox.rebind(drop_data_requests(replace(state, registration=registration)), answer.ven_id)
    detail = f"venID {answer.ven_id}, vtnID {answer.vtn_id}"
    return Step(state=replace(state, link=Link(queried=True)), notes=(Note(what="registered", detail=detail),))


def lost(state: State, reason: str, now: datetime, rules: Rules) -> Step:
    """Become unregistered without having been told so: events run on, and registration is tried again after a pause."""
    pause = rules.reregister_s * (1 + outbox.JITTER * (2 * rules.draw() - 1))
    retry = Retry(attempts=0, not_before=now + timedelta(seconds=pause))
    retries = {Purpose.QUERY: retry, Purpose.CREATE: retry}
    kept = {seq: owed for seq, owed in state.outbox.items() if not isinstance(owed.message, CreatePartyRegistration)}
    state = replace(state, registration=None, outbox=kept, link=Link(retries=retries))
    return Step(state=state, notes=(Note(what="not_registered", detail=reason, warning=True),))


def cancelled(
    state: State, registration: Registration, message: CancelPartyRegistration, now: datetime, rules: Rules
) -> Reaction:
    """Take oadrCancelPartyRegistration: with our IDs everything about the VTN is erased (R407), else 452 (R400)."""
    foreign = message.registration_id != registration.registration_id or message.ven_id not in (
        None,
        "",
        registration.ven_id,
    )
    if foreign:
        refusal = _refusal(message.request_id, "registrationID or venID is not ours (R400)")
        answer = CanceledPartyRegistration(response=refusal, ven_id=registration.ven_id)
        note = Note(what="cancel_registration_refused", detail=message.registration_id, warning=True)
        return Reaction(state=state, answer=answer, notes=(note,))
    events = _cancelled_events(state, now)
    step = lost(state, "the VTN cancelled the registration", now, rules)
    answer = CanceledPartyRegistration(
        response=EiResponse(request_id=message.request_id),
        registration_id=registration.registration_id,
        ven_id=registration.ven_id,
    )
    state = replace(step.state, events=events, requests={}, outbox={})
    return Reaction(state=state, answer=answer, notes=step.notes)


def _cancelled_events(state: State, now: datetime) -> dict[str, StoredEvent]:
    return {
        key: stored if stored.cancelled_at is not None else replace(stored, cancelled_at=now)
        for key, stored in state.events.items()
    }


def leave(state: State, now: datetime, rules: Rules) -> State:
    """Owe oadrCancelPartyRegistration because the operator wants so (R401); asked again, nothing changes."""
    if state.withdrawn_at is not None:
        return state
    state = replace(state, withdrawn_at=now)
    held = state.registration
    if held is None:
        return left(state, now).state
    kept = {seq: owed for seq, owed in state.outbox.items() if owed.service is not Service.EI_REGISTER_PARTY}
    message = CancelPartyRegistration(
        request_id=rules.new_id("req"), registration_id=held.registration_id, ven_id=held.ven_id
    )
    return outbox.owe(replace(state, outbox=kept), Service.EI_REGISTER_PARTY, message, now)


def left(state: State, now: datetime) -> Step:
    """Become unregistered as the operator wanted, whatever the VTN answered: nothing of it goes on (R407)."""
    events = _cancelled_events(state, now)
    state = replace(state, registration=None, events=events, requests={}, outbox={}, link=Link())
    return Step(state=state, notes=(Note(what="left", detail="the operator cancelled the registration"),))


def enter(state: State) -> State:
    """Register again from now on."""
    return replace(state, withdrawn_at=None, link=Link()) if state.withdrawn_at is not None else state


def reregister(state: State, registration: Registration, message: RequestReregistration, rules: Rules) -> Reaction:
    """Take oadrRequestReregistration: answer, then a create with both IDs (once, however often it is asked)."""
    if message.ven_id != registration.ven_id:
        answer = Response(response=_refusal("", "venID is not ours (R400)"), ven_id=registration.ven_id)
        note = Note(what="reregistration_refused", detail=message.ven_id, warning=True)
        return Reaction(state=state, answer=answer, notes=(note,))
    note = Note(what="reregistration_asked")
    if any(isinstance(owed.message, CreatePartyRegistration) for owed in state.outbox.values()):
        return Reaction(state=state, notes=(note,))
    accepted = Response(response=EiResponse(), ven_id=registration.ven_id)
    return Reaction(state=state, answer=accepted, then=(create_request(rules, registration),), notes=(note,))


def _refusal(request_id: str, description: str) -> EiResponse:
    return EiResponse(request_id=request_id, response_code=ResponseCode.INVALID_ID, response_description=description)


def _name(message: Message | None) -> str:
    return "nothing" if message is None else f"oadr{type(message).__name__}"
