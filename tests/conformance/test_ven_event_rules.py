"""Rules that bind the VEN about events and opts, those that no other test names, in the order of their numbers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.assess import Assessor
from bridge.plan import Draw, KnownEvent, plan
from openadr.messages import (
    CreatedEvent,
    CreatedOpt,
    CreateOpt,
    DistributeEvent,
    EiResponse,
    Poll,
    RequestEvent,
    Response,
)
from openadr.model import EiTarget, Event, EventStatus, Interval, ItemBase, OptType, Signal, SignalType
from openadr.times import Duration
from openadr.wire import decode, encode
from tests.bridge import parts
from tests.ven.support import OK, T0, VEN_ID, Bench, distribute, event, minutes, rules
from ven import opts
from ven.model import Failure

HEATERS = EiTarget(end_device_assets=("Water_Heater",))


@pytest.fixture
def bench() -> Bench:
    return Bench().register()


def start_s(given: Event, u: float) -> float:
    """Return the effective start at one charger in seconds after the event's dtstart, for a stored draw of ``u``."""
    draw = Draw(event_id=given.descriptor.event_id, resource_id="evse-1", start_u=u, release_u=0.0)
    known = [KnownEvent(event=given)]
    draws = {(draw.event_id, draw.resource_id): draw}
    (made,) = plan(known, parts.PROGRAMMES, [parts.resource()], draws, parts.VEN_ID)
    return (made.timing.start - given.active_period.dtstart).total_seconds()


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("false", OptType.OPT_IN), (None, OptType.OPT_IN), ("False", OptType.OPT_OUT), ("0", OptType.OPT_OUT)],
)
def test_rule_006_a_test_event_does_not_move_a_charger_that_is_not_enrolled_for_tests(
    text: str | None, expected: OptType
) -> None:
    assess = Assessor(parts.PROGRAMMES, (parts.resource(),), lambda: parts.VEN_ID)
    assert assess(parts.event(parts.simple((60, 2)), test=text), parts.T0).opt_type is expected


def test_rule_018_overlapping_events_are_both_taken(bench: Bench) -> None:
    answers = bench.receive(event("a"), event("b", start=T0 + timedelta(minutes=30)))
    assert [(each.event_id, each.opt_type) for each in answers] == [("a", OptType.OPT_IN), ("b", OptType.OPT_IN)]


def test_rule_033_048_missing_information_in_one_event_is_459_for_that_event(bench: Bench) -> None:
    bad = replace(event("b"), signals=())
    answers = bench.receive(event("a"), bad)
    assert [(each.event_id, each.response_code) for each in answers] == [("a", 200), ("b", 459)]


async def test_rule_030_the_offset_is_kept_over_a_modification_and_a_restart(bridge_db: AsyncEngine) -> None:
    world = parts.World(bridge_db, [parts.SimCharger("CP1")], draws=(0.5, 0.5, 0.9, 0.9))
    await world.start()
    await world.publish(parts.event(parts.simple((600, 2)), startafter=100, start=parts.at(60)))
    first = await world.store.draws()
    await world.publish(parts.event(parts.simple((900, 1)), startafter=100, start=parts.at(60), modification=1))
    await world.restart()
    assert await world.store.draws() == first
    ((made,),) = world.supervisor.planner.plans.values()
    assert (made.modification_number, made.timing.start_offset_s) == (1, 50)


def test_rule_030_another_startafter_makes_another_offset_inside_the_new_window() -> None:
    one = parts.event(parts.simple((600, 2)), startafter=100)
    wider = parts.event(parts.simple((600, 2)), startafter=300, modification=1)
    assert (start_s(one, 0.5), start_s(wider, 0.5)) == (50, 150)


def test_rule_031_032_start_duration_tolerance_and_each_interval_shape_the_limit() -> None:
    given = parts.event(parts.simple((600, 1), (300, 3)), startafter=60, start=parts.at(1000))
    draw = Draw(event_id="event-1", resource_id="evse-1", start_u=0.5, release_u=0.0)
    (made,) = plan(
        [KnownEvent(event=given)], parts.PROGRAMMES, [parts.resource()], {("event-1", "evse-1"): draw}, parts.VEN_ID
    )
    found = [((cap.start - parts.at(0)).total_seconds(), cap.end, cap.limit_a) for cap in made.caps]
    assert found == [(1030, parts.at(1630), 24.0), (1630, parts.at(1930), 0.0)]


def test_rule_035_025_event_responses_are_missing_only_beside_an_error(bench: Bench) -> None:
    bench.poll(distribute(event()))
    good = bench.sends(CreatedEvent)
    assert (good.response.response_code, len(good.event_responses)) == (200, 1)
    assert b"eventResponses" in encode(good)
    other = Bench().register()
    other.poll(distribute(event(), vtn_id="VTN-other"))
    bad = other.sends(CreatedEvent)
    assert (bad.response.response_code, bad.event_responses) == (452, ())


def test_rule_037_051_501_the_ven_begins_every_exchange_and_asks_by_oadr_poll(bench: Bench) -> None:
    bench.clock.advance(bench.waits_s())
    assert bench.exchange(Poll, Response(response=OK, ven_id=VEN_ID)).ven_id == VEN_ID
    assert bench.waits_s() >= 10


def test_rule_042_each_answer_repeats_the_request_id_of_its_payload_and_the_outer_one_is_empty(bench: Bench) -> None:
    bench.receive(event("a"), request_id="dist-1")
    bench.poll(distribute(event("a"), event("b"), request_id="dist-2"))
    message = bench.sends(CreatedEvent)
    assert message.response == EiResponse(request_id="")
    assert [each.request_id for each in message.event_responses] == ["dist-2", "dist-2"]


def test_rule_043_payloads_with_the_same_request_id_are_each_processed(bench: Bench) -> None:
    first = bench.receive(event("a"), request_id="0")
    second = bench.receive(event("a", modification=1), event("b"), request_id="0")
    assert [[each.event_id for each in found] for found in (first, second)] == [["a"], ["a", "b"]]
    assert bench.state.events["a"].event.descriptor.modification_number == 1


@pytest.mark.parametrize("element", ["ei:testEvent", "ei:vtnComment", "ei:modificationReason"])
def test_rule_046_an_empty_optional_element_is_an_absent_one(bench: Bench, element: str) -> None:
    after = "</ei:modificationNumber>" if element == "ei:modificationReason" else "</ei:eventStatus>"
    text = encode(distribute(event())).decode()
    assert after in text
    message = decode(text.replace(after, f"{after}<{element}></{element}>").encode())
    assert isinstance(message, DistributeEvent)
    assert message == distribute(event())
    assert not message.events[0].descriptor.is_test


def test_rule_047_061_an_open_ended_event_runs_until_it_is_missing(bench: Bench) -> None:
    bench.receive(event(duration=Duration(seconds=0)))
    bench.clock.advance(30 * 86_400)
    bench.receive(event(duration=Duration(seconds=0)))
    assert bench.state.events["evt-1"].cancelled_at is None
    bench.receive()
    assert bench.state.events["evt-1"].cancelled_at == bench.now


def test_rule_061_a_failed_exchange_is_no_payload_and_cancels_nothing(bench: Bench) -> None:
    bench.receive(event())
    bench.clock.advance(60)
    bench.fail(Poll, Failure.UNREACHABLE)
    bench.state = bench.state.linked(resync=True)
    bench.exchange(RequestEvent, distribute(response=EiResponse(response_code=452)))
    assert bench.state.events["evt-1"].cancelled_at is None


def test_rule_065_061_an_implied_cancel_ends_at_random_inside_the_window() -> None:
    given = parts.event(parts.simple((600, 2)), startafter=100)
    draw = Draw(event_id="event-1", resource_id="evse-1", start_u=0.0, release_u=0.5)
    known = KnownEvent(event=given, cancelled_at=parts.at(200))  # absent from the payload at 200 s
    (made,) = plan([known], parts.PROGRAMMES, [parts.resource()], {("event-1", "evse-1"): draw}, parts.VEN_ID)
    assert made.timing.end == parts.at(250)


def with_signal(**changes: Any) -> Event:
    base = event()
    return replace(base, signals=(replace(base.signals[0], **changes),))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(with_signal(signal_type=SignalType.DELTA), 460, id="SIMPLE delta"),
        pytest.param(with_signal(signal_name="LOAD_SHED"), 460, id="unknown name"),
        pytest.param(with_signal(signal_name="LOAD_DISPATCH", signal_type=SignalType.SETPOINT), 460, id="no unit"),
        pytest.param(with_signal(item_base=ItemBase(kind="voltage", item_units="V")), 460, id="wrong unit"),
        pytest.param(with_signal(target=EiTarget(end_device_assets=("Toaster",))), 459, id="unknown class"),
        pytest.param(with_signal(target=EiTarget(resource_ids=("r1",))), 459, id="no class"),
        pytest.param(
            with_signal(intervals=(Interval(duration=minutes(60), uid=0, value=float("inf")),)), 454, id="INF"
        ),
    ],
)
def test_rule_109_111_116_what_cannot_be_carried_out_is_refused_with_its_code(
    bench: Bench, given: Event, expected: int
) -> None:
    (response,) = bench.receive(given)
    assert (response.response_code, response.opt_type) == (expected, OptType.OPT_OUT)
    assert not bench.state.events


def test_rule_112_a_signal_for_devices_that_are_not_there_is_469() -> None:
    assess = Assessor(parts.PROGRAMMES, (parts.resource(),), lambda: parts.VEN_ID)
    heaters = parts.signal("SIMPLE", SignalType.LEVEL, (60, 2), target=HEATERS)
    found = assess(parts.event(heaters), parts.T0)
    assert (found.response_code, found.opt_type) == (469, OptType.OPT_OUT)
    assert assess(parts.event(heaters, parts.simple((60, 2))), parts.T0).opt_type is OptType.OPT_IN


def test_rule_114_013_the_ven_trusts_its_clock_and_not_the_status_sent(bench: Bench) -> None:
    over = event(start=T0 - timedelta(hours=3), status=EventStatus.ACTIVE)
    (response,) = bench.receive(over)
    assert (response.response_code, response.opt_type) == (450, OptType.OPT_OUT)
    assert not bench.state.events


def test_rule_512_a_market_context_in_another_spelling_is_the_same() -> None:
    assess = Assessor(parts.PROGRAMMES, (parts.resource(),), lambda: parts.VEN_ID)
    other = parts.DNO.replace("http://gateway.example", "HTTP://Gateway.Example:80")
    assert assess(parts.event(parts.simple((60, 2)), context=other), parts.T0).response_code == 200


def test_rule_512_a_vtn_id_in_another_spelling_is_another(bench: Bench) -> None:
    bench.poll(distribute(event(), vtn_id="vtn-1"))
    assert bench.sends(CreatedEvent).response.response_code == 452


def test_rule_510_106_a_price_may_come_with_simple_where_a_programme_lists_it() -> None:
    price = Signal(
        signal_name="ELECTRICITY_PRICE",
        signal_type=SignalType.PRICE,
        signal_id="sig-2",
        item_base=ItemBase(kind="currencyPerKWh", item_description="currencyPerKWh", item_units="EUR"),
        intervals=(Interval(duration=minutes(60), uid=0, value=0.3),),
    )
    both = Bench(rules=rules()).register()
    (response,) = both.receive(replace(event(), signals=(*event().signals, price)))
    assert response.opt_type is OptType.OPT_IN


# --- opts -------------------------------------------------------------------------------------------------------------


def qualification(bench: Bench, *resource_ids: str) -> CreateOpt:
    bench.receive(event())
    bench.empty_poll()
    bench.state, opt_id = opts.qualify(
        bench.state,
        opts.EventOpt(
            event_id="evt-1",
            modification_number=0,
            resource_ids=resource_ids,
            opt_type=OptType.OPT_OUT,
            reason="overrideStatus",
        ),
        now=bench.now,
        new_id=bench.rules.new_id,
    )
    return bench.exchange(CreateOpt, CreatedOpt(response=OK, opt_id=opt_id))


def test_rule_202_208_207_204_an_opt_has_its_ids_and_names_what_it_is_for(bench: Bench) -> None:
    message = qualification(bench, "evse-1", "evse-2")
    assert message.target == EiTarget(ven_ids=(VEN_ID,), resource_ids=("evse-1", "evse-2"))
    assert message.ven_id == VEN_ID
    assert message.opt_id[0].isalpha()
    assert message.request_id[0].isalpha()
    assert message.opt_id != message.request_id


def test_rule_202_206_an_opt_for_the_whole_ven_names_the_ven_only(bench: Bench) -> None:
    message = qualification(bench)
    assert message.target == EiTarget(ven_ids=(VEN_ID,))
    assert message.target.names_all
    text = encode(message).decode()
    assert "oadrDeviceClass" not in text
    assert "vavailability" not in text
