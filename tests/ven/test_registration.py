"""Registration, re-registration and cancellation of the VEN: the table in ven.session, row by row."""

from dataclasses import replace

import pytest

from openadr.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedOpt,
    CreatedPartyRegistration,
    CreatedReport,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    EiResponse,
    Message,
    Poll,
    QueryRegistration,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
)
from openadr.model import OptType
from openadr.times import Duration
from tests.ven.support import (
    OK,
    REGISTRATION_ID,
    VEN_ID,
    Bench,
    created_registration,
    distribute,
    event,
    report_request,
    rules,
)
from ven import opts, registration
from ven.model import Failure, State, Wait

NO_IDS = created_registration(registration_id=None, ven_id=None)
REFUSED = EiResponse(response_code=463, response_description="not authorised")


@pytest.fixture
def bench() -> Bench:
    return Bench().register()


def cancel(**changes: object) -> CancelPartyRegistration:
    message = CancelPartyRegistration(request_id="c-1", registration_id=REGISTRATION_ID, ven_id=VEN_ID)
    return replace(message, **changes)  # type: ignore[arg-type]


# --- registering ------------------------------------------------------------------------------------------------------


def test_rule_405_registration_then_metadata_and_request_event_before_anything_else() -> None:
    bench = Bench()
    bench.exchange(QueryRegistration, NO_IDS)
    request = bench.exchange(CreatePartyRegistration, created_registration())
    assert (request.registration_id, request.ven_id) == (None, None)  # R402
    assert (request.profile_name, request.transport_name, request.http_pull_model) == ("2.0b", "simpleHttp", True)
    assert (request.report_only, request.xml_signature, request.ven_name) == (False, False, "Bridge")
    metadata = bench.exchange(RegisterReport, RegisteredReport(response=OK))
    assert metadata.reports[0].report_name == "METADATA_TELEMETRY_USAGE"
    resync = bench.exchange(RequestEvent, distribute())
    assert (resync.ven_id, resync.reply_limit) == (VEN_ID, None)  # R27: a cut payload would imply cancels
    assert bench.sends(Poll).ven_id == VEN_ID


def test_rule_401_query_is_optional() -> None:
    bench = Bench(rules=rules(query_first=False))
    bench.sends(CreatePartyRegistration)


def test_rule_402_a_preconfigured_ven_id_is_sent_at_the_first_registration() -> None:
    bench = Bench(rules=rules(query_first=False, ven_id="VEN-1"))
    request = bench.sends(CreatePartyRegistration)
    assert (request.ven_id, request.registration_id) == ("VEN-1", None)


def test_rule_404_ids_in_the_answer_to_a_query_do_not_register() -> None:
    bench = Bench()
    bench.exchange(QueryRegistration, created_registration())
    bench.sends(CreatePartyRegistration)
    assert bench.state.registration is None


def test_query_answered_without_our_profile_or_by_something_else_is_noted_and_creation_tried() -> None:
    bench = Bench()
    bench.exchange(QueryRegistration, created_registration(profiles=()))
    assert bench.noted("profile_not_offered")
    other = Bench()
    other.exchange(QueryRegistration, None)
    assert other.noted("query_unanswered")
    for one in (bench, other):
        one.sends(CreatePartyRegistration)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(created_registration(registration_id="", ven_id=""), id="empty-tags"),
        pytest.param(created_registration(registration_id=None), id="registrationID-missing"),
        pytest.param(created_registration(ven_id=None), id="venID-missing"),
        pytest.param(created_registration(response=REFUSED), id="463-with-ids"),
        pytest.param(replace(NO_IDS, response=replace(REFUSED, response_code=452)), id="452"),
        pytest.param(Response(response=OK), id="oadrResponse"),
        pytest.param(None, id="empty-200"),
    ],
)
def test_rule_403_without_2xx_and_both_ids_the_ven_is_not_registered_and_tries_again_later(
    answer: CreatedPartyRegistration | None,
) -> None:
    bench = Bench(rules=rules(query_first=False))
    bench.exchange(CreatePartyRegistration, answer)
    assert bench.state.registration is None
    assert bench.noted("not_registered")
    assert bench.waits_s() == 60
    bench.clock.advance(60)
    bench.sends(CreatePartyRegistration)


def test_unreachable_vtn_is_tried_for_ever_with_doubling_pauses_up_to_a_limit() -> None:
    bench, pauses = Bench(), []
    for _ in range(12):
        bench.fail(QueryRegistration, Failure.UNREACHABLE)
        pauses.append(bench.waits_s())
        bench.clock.advance(pauses[-1])
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    bench.exchange(QueryRegistration, NO_IDS)
    bench.sends(CreatePartyRegistration)


def test_a_vtn_that_refuses_the_query_is_asked_to_register_all_the_same() -> None:
    bench = Bench()
    bench.fail(QueryRegistration, Failure.REFUSED)
    bench.sends(CreatePartyRegistration)


def test_a_refused_create_is_tried_again_only_after_the_long_pause() -> None:
    bench = Bench(rules=rules(query_first=False))
    bench.fail(CreatePartyRegistration, Failure.REFUSED)
    assert bench.noted("request_given_up")
    assert bench.waits_s() == 60


def test_rule_403_poll_frequency_is_taken_from_the_answer_or_from_the_settings() -> None:
    bench = Bench().register()
    assert bench.state.registration is not None
    assert bench.state.registration.poll_s == 10
    bench.state = replace(bench.state, registration=replace(bench.state.registration, poll_s=None))
    bench.clock.advance(10)
    bench.empty_poll()
    assert bench.waits_s() == 30


# --- re-registration --------------------------------------------------------------------------------------------------


def test_rule_402_re_registration_on_request_answers_then_creates_with_both_ids(bench: Bench) -> None:
    bench.receive(event())
    bench.empty_poll()
    bench.poll(RequestReregistration(ven_id=VEN_ID))
    assert bench.exchange(Response, None).response.ok
    request = bench.exchange(CreatePartyRegistration, created_registration(requested_poll_freq=Duration(seconds=20)))
    assert (request.registration_id, request.ven_id) == (REGISTRATION_ID, VEN_ID)
    assert bench.noted("registered_again")
    bench.empty_poll()
    assert isinstance(bench.action(), Wait)  # no METADATA, no oadrRequestEvent (R405)
    assert "evt-1" in bench.state.events
    assert bench.state.registration is not None
    assert bench.state.registration.poll_s == 20


def test_re_registration_for_a_foreign_ven_id_is_452_and_changes_nothing(bench: Bench) -> None:
    bench.poll(RequestReregistration(ven_id="VEN-2"))
    assert bench.exchange(Response, Response(response=OK)).response.response_code == 452
    bench.notes.clear()
    assert isinstance(bench.action(), Wait)
    assert bench.state.registration is not None


def test_re_registration_asked_for_several_times_is_carried_out_once(bench: Bench) -> None:
    bench.poll(RequestReregistration(ven_id=VEN_ID))
    bench.exchange(Response, RequestReregistration(ven_id=VEN_ID))
    bench.exchange(CreatePartyRegistration, created_registration())
    bench.empty_poll()
    assert isinstance(bench.action(), Wait)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(created_registration(response=replace(REFUSED, response_code=452)), id="452"),
        pytest.param(created_registration(response=REFUSED), id="463"),
        pytest.param(created_registration(registration_id="", ven_id=""), id="empty-tags"),
        pytest.param(RequestReregistration(ven_id=VEN_ID), id="asked-again"),
    ],
)
def test_refused_re_registration_becomes_a_new_registration(bench: Bench, answer: Message) -> None:
    bench.poll(RequestReregistration(ven_id=VEN_ID))
    bench.exchange(Response, None)
    bench.exchange(CreatePartyRegistration, answer)
    if isinstance(answer, RequestReregistration):
        bench.exchange(Response, None)
        bench.exchange(CreatePartyRegistration, None)
    assert bench.state.registration is None
    bench.clock.advance(60)
    bench.exchange(QueryRegistration, NO_IDS)
    assert bench.sends(CreatePartyRegistration).registration_id is None


def test_re_registration_under_new_ids_is_a_new_registration(bench: Bench) -> None:
    bench.poll(RequestReregistration(ven_id=VEN_ID))
    bench.exchange(Response, None)
    bench.exchange(CreatePartyRegistration, created_registration(registration_id="REG-2", ven_id="VEN-2"))
    bench.exchange(RegisterReport, RegisteredReport(response=OK))
    assert bench.exchange(RequestEvent, distribute()).ven_id == "VEN-2"


def test_re_registration_may_be_asked_for_on_any_service_and_what_was_owed_follows(bench: Bench) -> None:
    bench.receive(event())
    bench.empty_poll()
    bench.state, _ = qualify(bench)
    owed = bench.exchange(CreateOpt, RequestReregistration(ven_id=VEN_ID))
    bench.exchange(Response, None)
    bench.exchange(CreatePartyRegistration, created_registration())
    bench.clock.advance(1)
    assert bench.exchange(CreateOpt, CreatedOpt(response=OK, opt_id=owed.opt_id)) == owed


# --- losing the registration ------------------------------------------------------------------------------------------


def qualify(bench: Bench) -> tuple[State, str]:
    return opts.qualify(
        bench.state,
        opts.EventOpt(
            event_id="evt-1",
            modification_number=0,
            resource_ids=("charger-1",),
            opt_type=OptType.OPT_OUT,
            reason="overrideStatus",
        ),
        now=bench.now,
        new_id=bench.rules.new_id,
    )


def test_463_to_a_poll_leads_to_a_new_registration_and_events_run_on(bench: Bench) -> None:
    bench.receive(event())
    bench.exchange(Poll, Response(response=REFUSED))
    assert bench.state.registration is None
    assert bench.state.events["evt-1"].cancelled_at is None
    assert bench.waits_s() == 60


def test_452_to_a_poll_leads_to_a_new_registration_too(bench: Bench) -> None:
    bench.poll(Response(response=replace(REFUSED, response_code=452)))
    assert bench.state.registration is None


def test_463_to_an_opt_keeps_the_opt_and_sends_it_under_the_new_ven_id(bench: Bench) -> None:
    bench.receive(event())
    bench.empty_poll()
    bench.state, opt_id = qualify(bench)
    bench.exchange(CreateOpt, CreatedOpt(response=REFUSED, opt_id=opt_id))
    bench.clock.advance(60)
    bench.exchange(QueryRegistration, NO_IDS)
    bench.exchange(CreatePartyRegistration, created_registration(ven_id="VEN-9", registration_id="REG-9"))
    bench.exchange(RegisterReport, RegisteredReport(response=OK))
    bench.exchange(RequestEvent, distribute(event()))
    bench.sends(CreateOpt)
    message = bench.exchange(CreateOpt, CreatedOpt(response=OK, opt_id=opt_id))
    assert (message.opt_id, message.ven_id, message.target.ven_ids) == (opt_id, "VEN-9", ("VEN-9",))


def test_rule_406_a_new_registration_drops_report_requests_and_stale_answers(bench: Bench) -> None:
    bench.poll(CreateReport(request_id="r-1", report_requests=(report_request(),)))
    bench.exchange(CreatedReport, Response(response=REFUSED))
    bench.clock.advance(60)
    bench.exchange(QueryRegistration, NO_IDS)
    bench.exchange(CreatePartyRegistration, created_registration(ven_id="VEN-9"))
    assert not bench.state.requests
    assert not bench.state.outbox


def test_rule_407_cancel_by_the_vtn_is_answered_and_erases_everything(bench: Bench) -> None:
    bench.receive(event("running"), event("stopped", modification=0))
    bench.receive(event("running"))
    first = bench.state.events["stopped"].cancelled_at
    bench.clock.advance(10)
    bench.poll(CreateReport(request_id="r-1", report_requests=(report_request(),)))
    bench.fail(CreatedReport, Failure.UNREACHABLE)
    bench.exchange(Poll, cancel())
    message = bench.exchange(CanceledPartyRegistration, Response(response=REFUSED))
    assert (message.registration_id, message.ven_id) == (REGISTRATION_ID, VEN_ID)
    assert (message.response.ok, message.response.request_id) == (True, "c-1")
    assert bench.state.registration is None
    assert not bench.state.requests
    assert not bench.state.outbox
    assert bench.state.events["running"].cancelled_at == bench.now
    assert bench.state.events["stopped"].cancelled_at == first
    assert bench.waits_s() == 60


@pytest.mark.parametrize("changes", [{"registration_id": "REG-2"}, {"ven_id": "VEN-2"}])
def test_rule_400_cancel_with_foreign_ids_is_452_and_changes_nothing(bench: Bench, changes: dict[str, str]) -> None:
    bench.poll(cancel(**changes))
    message = bench.exchange(CanceledPartyRegistration, Response(response=OK))
    assert message.response.response_code == 452
    assert bench.state.registration is not None


def test_rule_407_cancel_without_ven_id_counts(bench: Bench) -> None:
    bench.poll(cancel(ven_id=None))
    bench.sends(CanceledPartyRegistration)
    assert bench.state.registration is None


def test_an_unregistered_ven_still_delivers_its_answer_to_the_cancel_and_nothing_else(bench: Bench) -> None:
    bench.receive(event())
    bench.empty_poll()
    bench.poll(cancel())
    bench.fail(CanceledPartyRegistration, Failure.UNREACHABLE)
    assert bench.waits_s() == 1
    bench.clock.advance(1)
    bench.exchange(CanceledPartyRegistration, Response(response=OK))
    assert bench.waits_s() == 59


def test_a_registration_kept_from_before_resynchronises_at_start_without_registering(bench: Bench) -> None:
    restarted = Bench(state=State(registration=bench.state.registration, events=bench.state.events))
    restarted.exchange(RequestEvent, distribute())
    restarted.sends(Poll)


# --- the operator leaves ----------------------------------------------------------------------------------------------


def test_rule_401_407_leaving_cancels_ends_the_events_and_stays_so_until_entering(bench: Bench) -> None:
    bench.receive(event())
    bench.state = registration.leave(bench.state, bench.now, bench.rules)
    assert registration.leave(bench.state, bench.now, bench.rules) is bench.state
    sent = bench.exchange(CancelPartyRegistration, Response(response=OK, ven_id=VEN_ID))
    assert (sent.registration_id, sent.ven_id) == (REGISTRATION_ID, VEN_ID)
    assert bench.state.registration is None
    assert bench.state.events["evt-1"].cancelled_at == bench.now
    assert bench.waits_s() == 86_400
    bench.state = registration.enter(bench.state)
    assert registration.enter(bench.state) is bench.state
    bench.sends(QueryRegistration)


def test_rule_401_leaving_holds_without_a_registration_and_without_an_answer(bench: Bench) -> None:
    unregistered = registration.leave(State(), bench.now, bench.rules)
    assert unregistered.withdrawn_at == bench.now
    bench.state = registration.leave(bench.state, bench.now, bench.rules)
    bench.fail(CancelPartyRegistration, Failure.UNREACHABLE)
    assert bench.state.registration is not None
    bench.clock.advance(5)
    bench.fail(CancelPartyRegistration, Failure.REFUSED)
    assert bench.state.registration is None
    assert bench.noted("message_given_up")


def test_ven_10_a_report_only_ven_in_the_push_model_has_nothing_to_ask_for() -> None:
    bench = Bench(rules=rules(report_only=True, push_address="https://ven.example"))
    bench.exchange(QueryRegistration, NO_IDS)
    assert bench.exchange(CreatePartyRegistration, created_registration()).report_only
    bench.exchange(RegisterReport, RegisteredReport(response=OK, ven_id=VEN_ID))
    assert bench.waits_s() == 86_400
