"""Polling, draining, resynchronisation and failures of the VEN."""

from dataclasses import replace
from datetime import timedelta

import pytest

from openadr.messages import (
    CreatedEvent,
    CreatedOpt,
    CreatedReport,
    CreateReport,
    EiResponse,
    Poll,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
    UpdatedReport,
    UpdateReport,
)
from tests.ven.support import OK, VEN_ID, Bench, distribute, event, report_request, rules
from ven.model import Failure, State, Wait


@pytest.fixture
def bench() -> Bench:
    return Bench().register()


def test_rule_500_poll_is_repeated_at_once_until_oadr_response_then_waits(bench: Bench) -> None:
    bench.poll(RegisterReport(request_id="m-1"))
    bench.exchange(RegisteredReport, Response(response=OK))
    bench.exchange(Poll, distribute(event()))
    bench.exchange(CreatedEvent, Response(response=OK))
    bench.exchange(Poll, Response(response=OK))
    assert bench.waits_s() == 10


def test_rule_500_answers_go_out_before_the_next_poll_but_a_failing_answer_does_not_stop_polling(bench: Bench) -> None:
    bench.poll(distribute(event()))
    bench.fail(CreatedEvent, Failure.BUSY)
    bench.exchange(Poll, CreateReport(request_id="r-1", report_requests=(report_request(),)))
    bench.exchange(CreatedReport, Response(response=OK))
    bench.exchange(Poll, Response(response=OK))
    bench.clock.advance(1)
    bench.exchange(CreatedEvent, Response(response=OK))


def test_rule_500_interval_is_never_shorter_than_asked_and_jitter_only_lengthens_it() -> None:
    bench = Bench(rules=rules(poll_jitter=0.2, draw=lambda: 0.5)).register()
    assert bench.waits_s() == 11


def test_own_minimum_interval_holds_against_a_vtn_that_asks_for_less(bench: Bench) -> None:
    assert bench.state.registration is not None
    bench.state = replace(bench.state, registration=replace(bench.state.registration, poll_s=0))
    bench.clock.advance(10)
    bench.empty_poll()
    assert bench.waits_s() == 1


def test_a_vtn_that_never_empties_its_queue_gets_the_poll_interval_after_the_limit() -> None:
    bench = Bench(rules=rules(max_drain=3)).register()
    bench.clock.advance(10)
    for _ in range(3):
        bench.exchange(Poll, distribute())
    assert bench.waits_s() == 10


@pytest.mark.parametrize("answer", [None, CreatedOpt(response=OK, opt_id="x")], ids=["empty-200", "wrong-type"])
def test_an_answer_that_is_no_payload_counts_as_an_empty_poll(bench: Bench, answer: CreatedOpt | None) -> None:
    bench.clock.advance(10)
    bench.exchange(Poll, answer)
    assert bench.waits_s() == 10
    assert bench.noted("answer_unexpected") is (answer is not None)


def test_a_refused_poll_is_noted_and_repeated_at_the_next_interval(bench: Bench) -> None:
    bench.poll(Response(response=EiResponse(response_code=459, response_description="?")))
    assert bench.noted("poll_refused")
    assert bench.waits_s() == 10


def test_a_foreign_re_registration_request_ends_the_drain_so_that_it_cannot_loop(bench: Bench) -> None:
    bench.poll(RequestReregistration(ven_id="VEN-2"))
    bench.exchange(Response, None)
    assert bench.waits_s() == 10


def test_failed_polls_pause_longer_each_time_with_ten_percent_jitter() -> None:
    draws = iter([0.5] * 1 + [0.0, 0.999999, 0.5])
    bench = Bench().register()
    bench.rules = rules(draw=lambda: next(draws))
    bench.__post_init__()
    bench.clock.advance(10)
    pauses = []
    for _ in range(3):
        bench.fail(Poll, Failure.UNREACHABLE)
        pauses.append(round(bench.waits_s(), 3))
        bench.clock.advance(pauses[-1] + 0.001)
    assert pauses == [1.0, 1.8, 4.4]
    bench.empty_poll()
    assert not bench.state.link.retries


@pytest.mark.parametrize("failure", list(Failure))
def test_whatever_a_poll_fails_with_the_ven_goes_on_polling(bench: Bench, failure: Failure) -> None:
    bench.clock.advance(10)
    for _ in range(20):
        bench.fail(Poll, failure)
        assert 0 < bench.waits_s() <= 60
        bench.clock.advance(60)
    bench.empty_poll()


def test_a_clock_set_back_does_not_silence_the_ven(bench: Bench) -> None:
    bench.clock.set(bench.now - timedelta(hours=3))
    bench.empty_poll()
    assert bench.waits_s() == 10


def test_a_clock_set_back_does_not_hold_back_what_is_owed_or_retried(bench: Bench) -> None:
    bench.poll(distribute(event()))
    bench.fail(CreatedEvent, Failure.UNREACHABLE)
    bench.fail(Poll, Failure.UNREACHABLE)
    bench.clock.set(bench.now - timedelta(hours=3))
    bench.exchange(CreatedEvent, Response(response=OK))
    bench.empty_poll()


# --- oadrRequestEvent -------------------------------------------------------------------------------------------------


def test_resynchronisation_answered_by_oadr_response_means_no_events(bench: Bench) -> None:
    bench.receive(event())
    bench.empty_poll()
    bench.state = bench.state.linked(resync=True)
    bench.exchange(RequestEvent, Response(response=OK))
    assert bench.state.events["evt-1"].cancelled_at is not None
    assert isinstance(bench.action(), Wait)


@pytest.mark.parametrize(
    "answer", [Response(response=EiResponse(response_code=459)), CreatedOpt(response=OK, opt_id="x"), None]
)
def test_resynchronisation_answered_by_an_error_cancels_nothing(bench: Bench, answer: Response | None) -> None:
    bench.receive(event())
    bench.empty_poll()
    bench.state = bench.state.linked(resync=True)
    bench.exchange(RequestEvent, answer)
    assert bench.state.events["evt-1"].cancelled_at is None
    assert bench.noted("answer_unexpected")


def test_resynchronisation_is_given_up_after_several_faults_of_the_vtn_and_polling_goes_on(bench: Bench) -> None:
    bench.state = bench.state.linked(resync=True)
    for _ in range(8):
        bench.fail(RequestEvent, Failure.BROKEN)
        bench.clock.advance(60)
        bench.state = bench.state.linked(next_poll=bench.now + timedelta(seconds=30))
    assert bench.noted("request_given_up")
    assert isinstance(bench.action(), Wait)


# --- what is owed -----------------------------------------------------------------------------------------------------


def owing(bench: Bench) -> None:
    bench.poll(distribute(event()))


@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.BUSY, Failure.IDENTITY])
def test_an_owed_message_is_retried_unchanged_until_answered(bench: Bench, failure: Failure) -> None:
    owing(bench)
    first = bench.sends(CreatedEvent)
    for _ in range(30):
        assert bench.fail(CreatedEvent, failure) == first
        bench.clock.advance(60)
    assert bench.exchange(CreatedEvent, Response(response=OK)) == first


def test_an_owed_message_refused_by_http_is_not_resent(bench: Bench) -> None:
    owing(bench)
    bench.fail(CreatedEvent, Failure.REFUSED)
    assert not bench.state.outbox
    assert bench.noted("message_given_up")


def test_an_owed_message_that_the_vtn_fails_on_is_given_up_after_several_attempts(bench: Bench) -> None:
    owing(bench)
    for _ in range(7):
        bench.fail(CreatedEvent, Failure.BROKEN)
        bench.clock.advance(60)
        bench.state = bench.state.linked(next_poll=bench.now)
    assert bench.state.outbox
    bench.fail(CreatedEvent, Failure.BROKEN)
    assert not bench.state.outbox


def test_order_is_kept_per_service_and_services_do_not_wait_for_each_other(bench: Bench) -> None:
    bench.poll(CreateReport(request_id="r-1", report_requests=(report_request(),)))
    bench.fail(CreatedReport, Failure.UNREACHABLE)
    bench.exchange(Poll, RegisterReport(request_id="m-1"))
    bench.exchange(Poll, distribute(event()))
    bench.exchange(CreatedEvent, Response(response=OK))  # EiEvent overtakes the blocked EiReport
    bench.empty_poll()
    bench.clock.advance(1)
    bench.exchange(CreatedReport, Response(response=OK))
    bench.exchange(RegisteredReport, Response(response=OK))


def test_a_message_that_the_vtn_fails_on_steps_aside_for_the_others(bench: Bench) -> None:
    bench.poll(distribute(event("a")))
    bench.fail(CreatedEvent, Failure.BROKEN)
    bench.exchange(Poll, distribute(event("b"), request_id="dist-2"))
    message = bench.exchange(CreatedEvent, Response(response=OK))
    assert [one.event_id for one in message.event_responses] == ["b"]
    bench.empty_poll()
    bench.clock.advance(1)
    assert [one.event_id for one in bench.sends(CreatedEvent).event_responses] == ["a"]


def test_an_answer_that_says_more_does_not_inherit_the_pause(bench: Bench) -> None:
    bench.poll(distribute(event("a")))
    bench.fail(CreatedEvent, Failure.BROKEN)
    bench.exchange(Poll, distribute(event("a"), event("b"), request_id="dist-2"))
    assert [one.event_id for one in bench.sends(CreatedEvent).event_responses] == ["a", "b"]
    assert len(bench.state.outbox) == 1


def test_a_failure_of_a_message_that_is_owed_no_more_changes_nothing(bench: Bench) -> None:
    owing(bench)
    bench.sends(CreatedEvent)
    sent = bench.last
    assert sent is not None
    bench.apply(bench.session.answered(bench.state, sent, Response(response=OK), bench.now))
    before = bench.state
    bench.apply(bench.session.failed(bench.state, sent, Failure.UNREACHABLE, bench.now))
    assert bench.state == before


def test_rule_304_data_that_nobody_asked_for_is_answered_452(bench: Bench) -> None:
    bench.poll(UpdateReport(request_id="u-1"))
    answer = bench.exchange(UpdatedReport, Response(response=OK))
    assert (answer.response.response_code, answer.response.request_id) == (452, "u-1")


def test_an_answer_that_arrives_after_the_registration_was_lost_is_ignored(bench: Bench) -> None:
    bench.clock.advance(10)
    bench.sends(Poll)
    assert bench.last is not None
    bench.state = State()
    bench.apply(bench.session.answered(bench.state, bench.last, distribute(event()), bench.now))
    assert not bench.state.events


def test_rule_508_polls_name_the_ven(bench: Bench) -> None:
    bench.clock.advance(10)
    assert bench.sends(Poll).ven_id == VEN_ID
