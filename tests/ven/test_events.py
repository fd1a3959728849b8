"""The VEN's decision table for events, row by row, driven through the session as the VTN drives it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from openadr.errors import SignalNotSupported
from openadr.messages import CreatedEvent, DistributeEvent, EiResponse, EventResponse, Poll, Response, UnreadableEvent
from openadr.model import Event, EventStatus, OptType, ResponseRequired
from tests.ven.support import OK, T0, VEN_ID, Bench, distribute, event, minutes, rules
from ven.model import Assessment, Failure, StoredEvent

CANCELLED = EventStatus.CANCELLED


@pytest.fixture
def bench() -> Bench:
    return Bench().register()


def answer(response: EventResponse) -> tuple[int, OptType]:
    return response.response_code, response.opt_type


def held(bench: Bench, event_id: str = "evt-1") -> StoredEvent:
    return bench.state.events[event_id]


# --- the rows ---------------------------------------------------------------------------------------------------------


def test_rule_056_unknown_event_is_stored_with_the_decision(bench: Bench) -> None:
    (response,) = bench.receive(event(), request_id="dist-7")
    assert answer(response) == (200, OptType.OPT_IN)
    assert (response.request_id, response.event_id, response.modification_number) == ("dist-7", "evt-1", 0)
    assert held(bench).opt_type is OptType.OPT_IN
    assert bench.noted("event_taken")


def test_rule_012_unchanged_event_is_answered_each_time_with_the_current_opt(bench: Bench) -> None:
    bench.rules = rules(assess=lambda _event, _now: Assessment(response_code=200, opt_type=OptType.OPT_OUT))
    bench.__post_init__()
    bench.receive(event())
    first = held(bench).received_at
    (response,) = bench.receive(event(), request_id="dist-2")
    assert answer(response) == (200, OptType.OPT_OUT)
    assert response.request_id == "dist-2"
    assert held(bench).request_id == "dist-2"
    assert held(bench).received_at == first


def test_rule_012_never_gets_no_answer_but_is_carried_out(bench: Bench) -> None:
    assert bench.receive(event(required=ResponseRequired.NEVER)) == ()
    assert "evt-1" in bench.state.events


def test_rule_062_one_message_answers_only_the_always_events_of_a_payload(bench: Bench) -> None:
    responses = bench.receive(event("a"), event("b", required=ResponseRequired.NEVER), event("c"))
    assert [response.event_id for response in responses] == ["a", "c"]


def test_rule_057_higher_modification_replaces_and_is_decided_anew(bench: Bench) -> None:
    bench.receive(event())
    (response,) = bench.receive(event(modification=1, value=2.0))
    assert answer(response) == (200, OptType.OPT_IN)
    assert held(bench).event.signals[0].intervals[0].value == 2.0


def test_rule_057_a_modification_that_ends_the_event_in_the_past_is_taken_without_a_new_decision(bench: Bench) -> None:
    bench.receive(event(start=T0 - timedelta(minutes=30)))
    (response,) = bench.receive(event(modification=1, start=T0 - timedelta(minutes=30), duration=minutes(10)))
    assert answer(response) == (200, OptType.OPT_IN)
    assert held(bench).event.descriptor.modification_number == 1


@pytest.mark.parametrize("status", [EventStatus.FAR, CANCELLED])
def test_rule_058_lower_modification_is_450_whatever_its_status(bench: Bench, status: EventStatus) -> None:
    bench.receive(event(modification=3))
    (response,) = bench.receive(event(modification=2, status=status))
    assert answer(response) == (450, OptType.OPT_OUT)
    assert held(bench).event.descriptor.modification_number == 3
    assert held(bench).cancelled_at is None


def test_rule_058_lower_modification_of_a_cancelled_event_is_450_too(bench: Bench) -> None:
    bench.receive(event(modification=1))
    bench.receive(event(modification=2, status=CANCELLED))
    (response,) = bench.receive(event(modification=1))
    assert answer(response) == (450, OptType.OPT_OUT)


def test_rule_059_036_cancelled_known_event_is_marked_and_confirmed_by_opt_in(bench: Bench) -> None:
    bench.receive(event())
    (response,) = bench.receive(event(modification=1, status=CANCELLED))
    assert answer(response) == (200, OptType.OPT_IN)
    assert held(bench).cancelled_at == bench.now
    assert bench.noted("event_cancelled")


def test_rule_036_a_repeated_cancel_is_confirmed_again_and_keeps_its_first_instant(bench: Bench) -> None:
    bench.receive(event())
    bench.receive(event(modification=1, status=CANCELLED))
    first = held(bench).cancelled_at
    bench.clock.advance(60)
    (response,) = bench.receive(event(modification=1, status=CANCELLED))
    assert answer(response) == (200, OptType.OPT_IN)
    assert held(bench).cancelled_at == first


def test_rule_036_cancelled_never_event_is_stopped_silently(bench: Bench) -> None:
    bench.receive(event(required=ResponseRequired.NEVER))
    assert bench.receive(event(modification=1, status=CANCELLED, required=ResponseRequired.NEVER)) == ()
    assert held(bench).cancelled_at is not None


def test_rule_060_cancelled_unknown_event_is_ignored_but_answered(bench: Bench) -> None:
    (response,) = bench.receive(event(modification=4, status=CANCELLED))
    assert answer(response) == (200, OptType.OPT_IN)
    assert not bench.state.events


def test_a_cancelled_event_shown_uncancelled_with_the_same_number_stays_cancelled(bench: Bench) -> None:
    bench.receive(event())
    bench.receive(event(modification=1, status=CANCELLED))
    (response,) = bench.receive(event(modification=1))
    assert answer(response) == (200, OptType.OPT_IN)
    assert held(bench).cancelled_at is not None


def test_a_cancelled_event_with_a_higher_number_is_taken_up_again(bench: Bench) -> None:
    bench.receive(event())
    bench.receive(event(modification=1, status=CANCELLED))
    bench.receive(event(modification=2))
    assert held(bench).cancelled_at is None


def test_rule_061_absent_event_is_an_implied_cancel_without_answer(bench: Bench) -> None:
    bench.receive(event("a"), event("b"))
    responses = bench.receive(event("b"), request_id="dist-2")
    assert [response.event_id for response in responses] == ["b"]
    assert held(bench, "a").cancelled_at == bench.now
    assert held(bench, "b").cancelled_at is None


def test_rule_061_an_empty_payload_cancels_everything(bench: Bench) -> None:
    bench.receive(event("a"), event("b"))
    assert bench.receive() == ()
    assert all(stored.cancelled_at is not None for stored in bench.state.events.values())


def test_rule_061_an_event_shown_again_after_mere_absence_is_decided_anew(bench: Bench) -> None:
    bench.receive(event())
    bench.receive()
    (response,) = bench.receive(event())
    assert answer(response) == (200, OptType.OPT_IN)
    assert held(bench).cancelled_at is None


def test_rule_061_an_event_that_is_over_anyway_is_not_cancelled_by_its_absence(bench: Bench) -> None:
    bench.receive(event(start=T0 - timedelta(minutes=59)))
    bench.clock.advance(60)
    bench.receive()
    assert held(bench).cancelled_at is None


def test_rule_066_completed_known_event_changes_nothing_and_keeps_its_opt(bench: Bench) -> None:
    bench.receive(event(startafter=minutes(10)))
    bench.clock.advance(3700)
    (response,) = bench.receive(event(startafter=minutes(10), status=EventStatus.COMPLETED))
    assert answer(response) == (200, OptType.OPT_IN)


def test_rule_066_completed_unknown_event_is_not_acted_on(bench: Bench) -> None:
    (response,) = bench.receive(event(start=T0 - timedelta(hours=2), status=EventStatus.COMPLETED))
    assert answer(response) == (200, OptType.OPT_OUT)
    assert not bench.state.events


def test_answers_to_completed_events_go_apart_and_last(bench: Bench) -> None:
    bench.receive(event("old", startafter=minutes(10)))
    bench.clock.advance(3700)
    bench.poll(distribute(event("old", startafter=minutes(10)), event("new", start=bench.now)))
    for expected in ("new", "old"):
        message = bench.exchange(CreatedEvent, Response(response=OK))
        assert [one.event_id for one in message.event_responses] == [expected]


def test_rule_048_old_date_on_a_new_event_is_450(bench: Bench) -> None:
    (response,) = bench.receive(event(start=T0 - timedelta(hours=2)))
    assert answer(response) == (450, OptType.OPT_OUT)
    assert not bench.state.events


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [454, 460, 462, 469])
def test_rule_048_a_refused_event_is_opt_out_with_its_code_and_not_stored(code: int) -> None:
    verdict = Assessment(response_code=code, opt_type=OptType.OPT_IN, description="no")
    bench = Bench(rules=rules(assess=lambda _event, _now: verdict)).register()
    (response,) = bench.receive(event())
    assert answer(response) == (code, OptType.OPT_OUT)
    assert response.response_description == "no"
    assert not bench.state.events
    assert bench.noted("event_refused")


def test_rule_019_bad_events_do_not_spoil_the_good_ones() -> None:
    def assess(one: Event, _now: datetime) -> Assessment:
        if one.descriptor.event_id == "broken":
            raise ZeroDivisionError
        if one.descriptor.event_id == "unsupported":
            raise SignalNotSupported("no such signal")
        return Assessment(response_code=200, opt_type=OptType.OPT_IN)

    bench = Bench(rules=rules(assess=assess)).register()
    responses = bench.receive(
        event("good-1"), event("wild", value=17.0), event("broken"), event("unsupported"), event("good-2")
    )
    codes = {response.event_id: answer(response) for response in responses}
    assert codes == {
        "good-1": (200, OptType.OPT_IN),
        "wild": (454, OptType.OPT_OUT),
        "broken": (469, OptType.OPT_OUT),
        "unsupported": (460, OptType.OPT_OUT),
        "good-2": (200, OptType.OPT_IN),
    }
    assert set(bench.state.events) == {"good-1", "good-2"}


def test_rule_019_021_an_event_that_cannot_be_read_is_answered_and_the_version_we_hold_goes_on(bench: Bench) -> None:
    bench.receive(event("held"))
    faults = tuple(
        UnreadableEvent(event_id=name, modification_number=1, response_required=required, code=454, description="no")
        for name, required in (
            ("held", ResponseRequired.ALWAYS),
            ("new", ResponseRequired.ALWAYS),
            ("quiet", ResponseRequired.NEVER),
        )
    )
    bench.poll(distribute(event("good"), unreadable=faults))
    message = bench.exchange(CreatedEvent, Response(response=OK, ven_id=VEN_ID))
    codes = {each.event_id: (each.modification_number, *answer(each)) for each in message.event_responses}
    assert codes == {
        "good": (0, 200, OptType.OPT_IN),
        "held": (1, 454, OptType.OPT_OUT),
        "new": (1, 454, OptType.OPT_OUT),
    }
    assert bench.state.events["held"].cancelled_at is None
    assert set(bench.state.events) == {"held", "good"}


def only_small(one: Event, _now: datetime) -> Assessment:
    value = one.signals[0].intervals[0].value
    code = {1.0: 200, 2.0: 462, 3.0: 469}[value]
    return Assessment(response_code=code, opt_type=OptType.OPT_IN)


def test_a_refused_modification_leaves_the_running_version_alone() -> None:
    bench = Bench(rules=rules(assess=only_small)).register()
    bench.receive(event())
    (response,) = bench.receive(event(modification=1, value=3.0))
    assert answer(response) == (469, OptType.OPT_OUT)
    assert held(bench).event.descriptor.modification_number == 0
    assert held(bench).cancelled_at is None


def test_rule_048_a_modification_aimed_at_others_stops_the_old_version_once() -> None:
    bench = Bench(rules=rules(assess=only_small)).register()
    bench.receive(event())
    (response,) = bench.receive(event(modification=1, value=2.0))
    assert answer(response) == (462, OptType.OPT_OUT)
    first = held(bench).cancelled_at
    assert first is not None
    bench.clock.advance(30)
    bench.receive(event(modification=1, value=2.0))
    assert held(bench).cancelled_at == first


def test_rule_021_a_foreign_vtn_id_is_452_for_the_whole_payload_and_changes_nothing(bench: Bench) -> None:
    bench.receive(event())
    bench.poll(distribute(vtn_id="VTN-2", request_id="dist-9"))
    message = bench.exchange(CreatedEvent, Response(response=OK))
    assert (message.response.response_code, message.response.request_id) == (452, "dist-9")
    assert message.event_responses == ()
    assert held(bench).cancelled_at is None


def test_rule_025_a_payload_with_a_failing_eiresponse_is_ignored_and_cancels_nothing(bench: Bench) -> None:
    bench.receive(event())
    bench.poll(distribute(response=EiResponse(response_code=463 - 4, response_description="busy")))
    bench.sends(Poll)
    assert held(bench).cancelled_at is None
    assert bench.noted("events_refused_by_vtn")


# --- what the bridge has ended ----------------------------------------------------------------------------------------


def forget(bench: Bench, event_id: str = "evt-1") -> None:
    known = bench.state.events[event_id]
    bench.state = replace(bench.state, events={**bench.state.events, event_id: replace(known, forgotten=True)})


def test_rule_066_an_event_carried_out_and_forgotten_is_still_answered_with_its_opt(bench: Bench) -> None:
    bench.receive(event(startafter=minutes(10)))
    bench.clock.advance(3700)
    forget(bench)
    (response,) = bench.receive(event(startafter=minutes(10)))
    assert answer(response) == (200, OptType.OPT_IN)
    assert held(bench).forgotten


def test_a_forgotten_event_is_dropped_once_the_vtn_shows_it_no_more(bench: Bench) -> None:
    bench.receive(event())
    forget(bench)
    bench.receive()
    assert not bench.state.events


# --- owing the answer -------------------------------------------------------------------------------------------------


def test_rule_042_an_unanswered_created_event_is_replaced_by_a_newer_one_for_the_same_events(bench: Bench) -> None:
    bench.poll(distribute(event(), request_id="dist-1"))
    bench.fail(CreatedEvent, Failure.UNREACHABLE)
    bench.exchange(Poll, distribute(event(), request_id="dist-2"))
    bench.empty_poll()
    assert len(bench.state.outbox) == 1
    assert bench.waits_s() == 1  # the pause already earned is kept
    bench.clock.advance(1)
    assert [one.request_id for one in bench.sends(CreatedEvent).event_responses] == ["dist-2"]


def test_an_unanswered_created_event_that_speaks_of_others_is_kept_and_goes_first(bench: Bench) -> None:
    bench.poll(distribute(event("a"), event("b"), request_id="dist-1"))
    bench.fail(CreatedEvent, Failure.UNREACHABLE)
    bench.exchange(Poll, distribute(event("a"), request_id="dist-2"))
    assert [one.event_id for one in bench.state.outbox[1].message.event_responses] == ["a", "b"]  # type: ignore[union-attr]
    assert len(bench.state.outbox) == 2


def test_the_answer_to_a_created_event_settles_it_whatever_its_code(bench: Bench) -> None:
    bench.poll(distribute(event()))
    bench.exchange(CreatedEvent, Response(response=EiResponse(response_code=450), ven_id=VEN_ID))
    assert not bench.state.outbox
    assert bench.noted("message_refused")


def test_events_pushed_as_a_bare_distribute_event_without_eiresponse_are_taken(bench: Bench) -> None:
    bench.poll(DistributeEvent(request_id="dist-1", vtn_id="VTN-1", events=(event(),)))
    assert [one.event_id for one in bench.sends(CreatedEvent).event_responses] == ["evt-1"]
