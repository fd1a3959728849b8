"""Rules that bind the VTN about events, those that no other test names, in the order of their numbers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from openadr.errors import NotAllowed, OadrError
from openadr.messages import (
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    Message,
    RequestEvent,
    Response,
)
from openadr.model import (
    Event,
    EventStatus,
    OptType,
    ResponseRequired,
    SignalType,
)
from openadr.times import Duration
from openadr.wire import decode, encode
from tests.vtn.services.test_events import answer, poll_events, ready, request
from tests.vtn.world import START, Party, World, simple_event
from vtn.services.drafts import Draft, DraftInterval, DraftSignal
from vtn.services.modify import Change, modify
from vtn.services.overview import event_view
from vtn.services.publish import cancel, publish
from vtn.store.eventrows import StoredEvent

SIMPLE = DraftSignal(signal_name="SIMPLE", signal_type=SignalType.LEVEL, intervals=(DraftInterval(value=2.0),))
PRICE = DraftSignal(
    signal_name="ELECTRICITY_PRICE",
    signal_type=SignalType.PRICE,
    intervals=(
        DraftInterval(value=0.2, duration=Duration(seconds=600)),
        DraftInterval(value=0.4, duration=Duration(seconds=1200)),
    ),
)
DISPATCH = DraftSignal(
    signal_name="LOAD_DISPATCH", signal_type=SignalType.SETPOINT, intervals=(DraftInterval(value=7.0),)
)
DRAFT = Draft(
    market_context="https://dso.example/flex",
    duration=Duration(seconds=1800),
    signals=(SIMPLE,),
    ven_ids=("ven-a",),
    dtstart=START + timedelta(hours=1),
)


async def published(world: World, **changes: Any) -> StoredEvent:
    async with world.store.write() as tx:
        return await publish(tx, replace(DRAFT, **changes), world.clock.now(), world.desk, "tester")


async def cancelled(world: World, event_id: str) -> StoredEvent:
    async with world.store.write() as tx:
        done = await cancel(tx, event_id, world.clock.now(), "tester", "no more need")
    assert done is not None
    return done


async def only_event(party: Party) -> Event:
    """Return the one event that the VEN gets, read from the bytes that would be sent."""
    message = decode(encode(await request(party)))
    assert isinstance(message, DistributeEvent)
    (event,) = message.events
    return event


def code(reply: Message) -> int:
    response = getattr(reply, "response", None)
    assert isinstance(response, EiResponse)
    return response.response_code


async def opt_of(world: World, event_id: str) -> str:
    async with world.store.read() as tx:
        view = await event_view(tx, event_id, world.clock.now())
    assert view is not None
    return str(view.vens[0].opt.opt_type)


async def test_rule_003_priority_1_comes_first_and_0_last(world: World) -> None:
    party = await ready(world)
    for priority in (0, 2, 1):
        await world.put(simple_event(f"evt-{priority}", start=START, priority=priority), "ven-a")
    events = (await request(party)).events
    assert [each.descriptor.priority for each in events] == [1, 2, 0]


async def test_rule_004_005_010_versions_begin_at_0_and_a_cancel_is_one_more(world: World) -> None:
    party = await ready(world)
    made = await published(world)
    descriptor = (await only_event(party)).descriptor
    assert (descriptor.modification_number, descriptor.event_status) == (0, EventStatus.FAR)
    world.clock.advance(3600)
    descriptor = (await only_event(party)).descriptor
    assert (descriptor.modification_number, descriptor.event_status) == (0, EventStatus.ACTIVE)
    await cancelled(world, made.event_id)
    await cancelled(world, made.event_id)
    descriptor = (await only_event(party)).descriptor
    assert (descriptor.modification_number, descriptor.event_status) == (1, EventStatus.CANCELLED)


async def test_rule_013_status_goes_from_far_over_near_to_active_and_then_out_of_the_payload(world: World) -> None:
    party = await ready(world)
    await published(world, ramp_up=Duration(seconds=600))
    seen = []
    for _ in range(5):
        events = (await request(party)).events
        seen += [str(each.descriptor.event_status) for each in events] or ["gone"]
        world.clock.advance(1500)
    assert seen == ["far", "far", "near", "active", "gone"]


async def test_rule_113_current_value_is_not_sent_unless_asked_for(world: World) -> None:
    party = await ready(world)
    await published(world, signals=(SIMPLE, PRICE))
    for _ in range(3):
        assert [each.current_value for each in (await only_event(party)).signals] == [None, None]
        world.clock.advance(1800)


async def test_rule_014_029_110_113_current_value_is_the_running_one_and_0_or_none_before(world: World) -> None:
    world.desk = replace(world.desk, current_value=True)
    party = await ready(world)
    event_id = (await published(world, signals=(SIMPLE, PRICE))).event_id
    seen = []
    for seconds in (3599, 1, 599, 1, 1199):
        world.clock.advance(seconds)
        event = await only_event(party)
        seen.append(tuple(each.current_value for each in event.signals))
        assert event.descriptor.modification_number == 0  # R5: no change of the event
    assert seen == [(0.0, None), (2.0, 0.2), (2.0, 0.2), (2.0, 0.4), (2.0, 0.4)]
    await cancelled(world, event_id)
    assert [each.current_value for each in (await only_event(party)).signals] == [0.0, None]


async def test_rule_020_005_a_change_is_one_version_more_and_what_is_past_stays(world: World) -> None:
    party = await ready(world)
    event_id = (await published(world, signals=(PRICE,))).event_id
    for number, (seconds, values) in enumerate(((0, (0.1, 0.4)), (3600, (0.1, 0.5)))):
        world.clock.advance(seconds)
        intervals = tuple(replace(each, value=value) for each, value in zip(PRICE.intervals, values, strict=True))
        draft = replace(DRAFT, signals=(replace(PRICE, intervals=intervals),), priority=number)
        async with world.store.write() as tx:
            await modify(tx, event_id, Change(draft=draft, expected=number), world.clock.now(), world.desk, "tester")
        event = await only_event(party)
        assert event.descriptor.modification_number == number + 1
        assert [each.value for each in event.signals[0].intervals] == list(values)
    world.clock.advance(60)
    with pytest.raises(NotAllowed, match="R20"):
        async with world.store.write() as tx:
            await modify(
                tx, event_id, Change(draft=replace(DRAFT, signals=(PRICE,))), world.clock.now(), world.desk, ""
            )
    assert (await only_event(party)).descriptor.modification_number == 2


async def test_rule_017_a_later_opt_out_nobody_asked_for_is_taken(world: World) -> None:
    party = await ready(world)
    event_id = (await published(world)).event_id
    payload = await party.poll()
    assert code(await party.send(answer(payload, event_id))) == 200
    assert await opt_of(world, event_id) == "optIn"
    world.clock.advance(5000)
    assert code(await party.send(answer(payload, event_id, opt=OptType.OPT_OUT))) == 200
    assert await opt_of(world, event_id) == "optOut"


async def test_rule_018_overlapping_events_are_both_sent(world: World) -> None:
    party = await ready(world)
    made = [await published(world), await published(world, dtstart=START + timedelta(minutes=70))]
    assert [each.descriptor.event_id for each in (await request(party)).events] == [each.event_id for each in made]


async def test_rule_021_048_unknown_event_ids_are_told_and_the_known_ones_count(world: World) -> None:
    party = await ready(world)
    event_id = (await published(world)).event_id
    payload = await party.poll()
    reply = await party.send(answer(payload, "evt-unknown", event_id))
    assert isinstance(reply, Response)
    assert reply.response.response_code == 452
    assert "evt-unknown" in (reply.response.response_description or "")
    assert await opt_of(world, event_id) == "optIn"


async def test_rule_040_041_an_answer_to_a_poll_has_a_response_and_a_request_id_too(world: World) -> None:
    party = await ready(world)
    await published(world)
    payload = await party.poll()
    assert isinstance(payload, DistributeEvent)
    assert payload.response is not None
    assert (payload.response.response_code, payload.response.request_id) == (200, "")
    assert payload.request_id


async def test_rule_042_answers_are_read_from_inside_whatever_the_outer_request_id(world: World) -> None:
    party = await ready(world)
    event_id = (await published(world)).event_id
    payload = await party.poll()
    for outer, opt in (("", OptType.OPT_IN), ("something else", OptType.OPT_OUT)):
        message = replace(answer(payload, event_id, opt=opt), response=EiResponse(request_id=outer))
        assert code(await party.send(message)) == 200
        assert await opt_of(world, event_id) == str(opt)


@pytest.mark.parametrize("responses", ["", "<ei:eventResponses></ei:eventResponses>"])
async def test_rule_046_empty_event_responses_are_absent_ones(world: World, responses: str) -> None:
    party = await ready(world)
    made = answer(await request(party))
    text = encode(made).decode()
    bare = text.replace("<ei:eventResponses></ei:eventResponses>", "").replace("<ei:eventResponses/>", "")
    message = decode(bare.replace("</ei:eiResponse>", f"</ei:eiResponse>{responses}").encode())
    assert isinstance(message, CreatedEvent)
    assert message.event_responses == ()
    assert code(await party.send(message)) == 200


async def test_rule_051_501_502_only_new_content_waits_for_a_poll_and_it_is_complete(world: World) -> None:
    party = await ready(world)
    first = (await published(world)).event_id
    await party.send(answer(await party.poll(), first))
    for _ in range(3):  # far, then active: no payload of its own
        world.clock.advance(1300)
        assert await poll_events(party) == ()
    second = (await published(world, dtstart=START + timedelta(hours=3))).event_id
    assert await poll_events(party) == (first, second)


async def test_rule_070_ven_ids_and_event_ids_are_unique(world: World) -> None:
    await ready(world)
    made = [(await published(world)).event_id for _ in range(3)]
    assert len(set(made)) == 3
    with pytest.raises(Exception, match=r"(?i)unique"):
        await world.enrol("ven-a", 2)


async def test_rule_100_103_105_intervals_have_one_value_no_start_and_the_event_its_notification(world: World) -> None:
    party = await ready(world)
    await published(world, signals=(PRICE,))
    text = encode(await request(party)).decode()
    event = await only_event(party)
    (signal,) = event.signals
    assert [each.dtstart for each in signal.intervals] == [None, None]
    assert [each.uid for each in signal.intervals] == [0, 1]
    assert text.count("<xcal:dtstart>") == 1
    assert text.count("<ei:signalPayload>") == text.count("<ei:payloadFloat>") == 2
    assert "<ei:x-eiNotification><xcal:duration>PT0S</xcal:duration></ei:x-eiNotification>" in text


async def test_rule_106_107_510_simple_price_and_dispatch_go_together_with_ids_of_their_own(world: World) -> None:
    party = await ready(world)
    await published(world, signals=(SIMPLE, PRICE, DISPATCH))
    signals = (await only_event(party)).signals
    assert [each.signal_name for each in signals] == ["SIMPLE", "ELECTRICITY_PRICE", "LOAD_DISPATCH"]
    assert len({each.signal_id for each in signals}) == 3
    assert [each.item_base.kind if each.item_base else None for each in signals] == [
        None,
        "currencyPerKWh",
        "powerReal",
    ]


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        pytest.param(replace(SIMPLE, signal_type=SignalType.DELTA), 460, id="SIMPLE delta"),
        pytest.param(replace(SIMPLE, intervals=(DraftInterval(value=4.0),)), 454, id="SIMPLE 4"),
        pytest.param(replace(SIMPLE, intervals=(DraftInterval(value=float("nan")),)), 454, id="NaN"),
        pytest.param(replace(PRICE, signal_type=SignalType.SETPOINT), 460, id="price setpoint"),
        pytest.param(replace(PRICE, intervals=PRICE.intervals[:1]), 459, id="too short"),
        pytest.param(replace(SIMPLE, device_classes=("Toaster",)), 459, id="unknown class"),
    ],
)
async def test_rule_008_009_104_111_116_what_the_rules_forbid_is_never_published(
    world: World, signal: DraftSignal, expected: int
) -> None:
    party = await ready(world)
    with pytest.raises(OadrError) as refused:
        await published(world, signals=(signal,))
    assert refused.value.code == expected
    assert await poll_events(party) == ()


async def test_rule_012_052_a_cancel_of_a_never_event_is_handed_out_and_not_waited_for(world: World) -> None:
    party = await ready(world)
    made = await published(world, response_required=ResponseRequired.NEVER)
    assert await poll_events(party) == (made.event_id,)
    assert await poll_events(party) == ()
    await cancelled(world, made.event_id)
    assert await poll_events(party) == (made.event_id,)
    assert await poll_events(party) == ()


async def test_rule_115_status_is_fresh_when_the_ven_asks(world: World) -> None:
    party = await ready(world)
    await published(world)
    await request(party)
    world.clock.advance(3600)
    assert (await only_event(party)).descriptor.event_status is EventStatus.ACTIVE


async def test_rule_115_created_date_time_never_goes_back(world: World) -> None:
    party = await ready(world)
    await published(world, dtstart=START + timedelta(hours=5))
    world.clock.advance(60)
    await published(world, dtstart=START + timedelta(hours=1))
    before = (await request(party)).events[0].descriptor.created_date_time
    world.clock.advance(2 * 3600)
    (left,) = (await request(party)).events
    assert left.descriptor.created_date_time >= before


async def test_rule_027_a_reply_limit_of_0_gives_no_event(world: World) -> None:
    party = await ready(world)
    await published(world)
    reply = await party.send(RequestEvent(request_id="req-e", ven_id="ven-a", reply_limit=0))
    assert isinstance(reply, DistributeEvent)
    assert (reply.events, code(reply)) == ((), 200)
