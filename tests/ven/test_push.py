"""What a VEN makes of pushed payloads: decided as if polled, answered in the same exchange, never a poll of its own."""

from dataclasses import replace

import pytest

from openadr.exchange import Service
from openadr.messages import (
    CanceledPartyRegistration,
    CanceledReport,
    CancelPartyRegistration,
    CancelReport,
    CreatedEvent,
    CreatedReport,
    CreatePartyRegistration,
    CreateReport,
    DistributeEvent,
    EiResponse,
    Message,
    Poll,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
    UpdatedReport,
    UpdateReport,
)
from tests.ven.support import (
    REGISTRATION_ID,
    VEN_ID,
    VTN_ID,
    Bench,
    created_registration,
    distribute,
    event,
    report_request,
    rules,
)
from ven.model import Failure, Send, Wait

ADDRESS = "https://ven.example:8444/site1/"


@pytest.fixture
def bench() -> Bench:
    made = Bench(rules(push_address=ADDRESS, query_first=False))
    made.exchange(CreatePartyRegistration, created_registration())
    made.exchange(RegisterReport, RegisteredReport(response=EiResponse(), ven_id=VEN_ID))
    made.exchange(RequestEvent, distribute())
    made.notes.clear()
    return made


def push(bench: Bench, message: Message, service: Service) -> Message | None:
    step, answer = bench.session.pushed(bench.state, message, service, bench.now)
    bench.apply(step)
    return answer


def code(message: Message | None) -> int:
    response = getattr(message, "response", None)
    assert isinstance(response, EiResponse)
    return int(response.response_code)


def test_rule_402_a_push_ven_registers_with_its_address() -> None:
    bench = Bench(rules(push_address=ADDRESS, query_first=False))
    request = bench.exchange(CreatePartyRegistration, created_registration())
    assert (request.http_pull_model, request.transport_address) == (False, ADDRESS)
    assert bench.state.registration is not None
    assert bench.state.registration.push_address == ADDRESS


def test_rule_051_500_a_push_ven_never_polls_but_asks_for_its_events_from_time_to_time(bench: Bench) -> None:
    for _ in range(3):
        assert bench.waits_s() == 3600
        bench.clock.advance(3600)
        bench.exchange(RequestEvent, distribute())
    bench.clock.advance(3600)
    bench.fail(RequestEvent, Failure.UNREACHABLE)
    assert bench.waits_s() == 1
    bench.clock.advance(1)
    bench.exchange(RequestEvent, None)
    assert bench.waits_s() == 3600


def test_a_pushed_event_is_answered_empty_and_then_by_created_event(bench: Bench) -> None:
    payload = replace(distribute(event()), response=None)
    assert push(bench, payload, Service.EI_EVENT) is None
    answer = bench.exchange(CreatedEvent, Response(response=EiResponse(), ven_id=VEN_ID))
    assert answer.event_responses[0].request_id == payload.request_id
    assert push(bench, payload, Service.EI_EVENT) is None  # the same again: no harm
    assert list(bench.state.events) == ["evt-1"]
    bench.exchange(CreatedEvent, Response(response=EiResponse(), ven_id=VEN_ID))
    assert isinstance(bench.action(), Wait)


def test_report_payloads_are_answered_in_the_same_exchange_and_nothing_is_owed(bench: Bench) -> None:
    created = push(bench, CreateReport(request_id="c-1", report_requests=(report_request(),)), Service.EI_REPORT)
    assert isinstance(created, CreatedReport)
    assert (created.response.request_id, created.pending_reports, code(created)) == ("c-1", ("rr-1",), 200)
    again = push(bench, CreateReport(request_id="c-1", report_requests=(report_request(),)), Service.EI_REPORT)
    assert again == created
    offered = push(bench, RegisterReport(request_id="m-1", ven_id=VEN_ID), Service.EI_REPORT)
    assert isinstance(offered, RegisteredReport)
    cancelled = push(bench, CancelReport(request_id="x-1", report_request_ids=("rr-1", "rr-9")), Service.EI_REPORT)
    assert isinstance(cancelled, CanceledReport)
    assert (code(cancelled), cancelled.pending_reports) == (452, ())
    unasked = push(bench, UpdateReport(request_id="u-1", ven_id=VEN_ID), Service.EI_REPORT)
    assert isinstance(unasked, UpdatedReport)
    assert code(unasked) == 452
    assert not bench.state.outbox


def test_rule_304_a_report_payload_for_another_ven_is_452(bench: Bench) -> None:
    message = CreateReport(request_id="c-1", report_requests=(report_request(),), ven_id="VEN-2")
    answer = push(bench, message, Service.EI_REPORT)
    assert isinstance(answer, CreatedReport)
    assert code(answer) == 452
    assert not bench.state.requests
    assert bench.noted("payload_refused")


def test_rule_401_a_pushed_re_registration_request_is_answered_and_followed_once(bench: Bench) -> None:
    for _ in range(2):
        answer = push(bench, RequestReregistration(ven_id=VEN_ID), Service.EI_REGISTER_PARTY)
        assert isinstance(answer, Response)
        assert code(answer) == 200
    request = bench.exchange(CreatePartyRegistration, created_registration())
    assert (request.registration_id, request.ven_id) == (REGISTRATION_ID, VEN_ID)
    assert request.transport_address == ADDRESS
    assert isinstance(bench.action(), Wait)
    foreign = push(bench, RequestReregistration(ven_id="VEN-2"), Service.EI_REGISTER_PARTY)
    assert code(foreign) == 452


def test_rule_407_a_pushed_cancel_of_the_registration_erases_everything(bench: Bench) -> None:
    push(bench, distribute(event()), Service.EI_EVENT)
    message = CancelPartyRegistration(request_id="p-1", registration_id=REGISTRATION_ID, ven_id=VEN_ID)
    answer = push(bench, message, Service.EI_REGISTER_PARTY)
    assert isinstance(answer, CanceledPartyRegistration)
    assert code(answer) == 200
    assert bench.state.registration is None
    assert not bench.state.outbox
    assert bench.waits_s() > 0


def test_rule_405_an_unregistered_ven_refuses_and_stays_as_it_was() -> None:
    bench = Bench(rules(push_address=ADDRESS))
    before = bench.state
    events = push(bench, distribute(event()), Service.EI_EVENT)
    assert isinstance(events, Response)
    assert code(events) == 463
    report = push(bench, CreateReport(request_id="c-1", report_requests=()), Service.EI_REPORT)
    assert isinstance(report, CreatedReport)
    assert (code(report), report.response.request_id) == (463, "c-1")
    assert bench.state == before
    assert bench.noted("push_refused")


@pytest.mark.parametrize(
    ("message", "service"),
    [
        pytest.param(Poll(ven_id=VEN_ID), Service.EI_EVENT, id="oadrPoll"),
        pytest.param(CreateReport(request_id="c-1", report_requests=()), Service.EI_EVENT, id="wrong path"),
        pytest.param(DistributeEvent(request_id="d-1", vtn_id=VTN_ID), Service.EI_REPORT, id="events elsewhere"),
    ],
)
def test_rule_033_051_500_what_is_not_for_a_ven_or_its_service_is_459(
    bench: Bench, message: Message, service: Service
) -> None:
    before = bench.state
    assert code(push(bench, message, service)) == 459
    assert bench.state == before


def test_a_pull_ven_that_is_to_be_pushed_to_registers_again_with_both_ids(bench: Bench) -> None:
    pull = Bench(rules(push_address=ADDRESS, query_first=False))
    pull.state = replace(
        bench.state,
        registration=replace(bench.state.registration, push_address=None),  # type: ignore[type-var]
    )
    request = pull.exchange(CreatePartyRegistration, created_registration())
    assert (request.registration_id, request.http_pull_model, request.transport_address) == (
        REGISTRATION_ID,
        False,
        ADDRESS,
    )
    assert isinstance(pull.action(), Wait)
    back = Bench(rules(query_first=False))
    back.state = pull.state
    request = back.exchange(CreatePartyRegistration, created_registration())
    assert (request.http_pull_model, request.transport_address) == (True, None)
    back.clock.advance(3600)
    action = back.action()
    assert isinstance(action, Send)
    assert isinstance(action.message, Poll)


def test_a_registration_that_is_to_change_waits_while_one_is_owed(bench: Bench) -> None:
    bench.state = replace(
        bench.state,
        registration=replace(bench.state.registration, push_address=None),  # type: ignore[type-var]
    )
    push(bench, RequestReregistration(ven_id=VEN_ID), Service.EI_REGISTER_PARTY)
    bench.fail(CreatePartyRegistration, Failure.BUSY)
    assert bench.last is not None
    assert bench.last.seq is not None
    action = bench.action()
    assert not (isinstance(action, Send) and isinstance(action.message, CreatePartyRegistration))
