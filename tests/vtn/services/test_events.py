"""EiEvent and OadrPoll: payload content and order, answers one by one, repetition, one payload a poll."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.event import listen

from openadr.messages import (
    CancelReport,
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Message,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
)
from openadr.model import EiTarget, EventStatus, OptType, ResponseRequired
from openadr.times import ZERO, Duration
from tests.vtn.world import START, Party, World, simple_event
from vtn.services.context import RetryPolicy
from vtn.services.overview import DeliveryState, event_view
from vtn.store.eventrows import OptSource


async def ready(world: World, ven_id: str = "ven-a", number: int = 1) -> Party:
    """Return a registered VEN that has taken our METADATA."""
    party = await world.enrol(ven_id, number)
    await party.register()
    offer = await party.poll()
    assert isinstance(offer, RegisterReport)
    await party.send(RegisteredReport(response=EiResponse(request_id=offer.request_id), ven_id=ven_id))
    return party


def answer(
    payload: Message, *event_ids: str, opt: OptType = OptType.OPT_IN, code: int = 200, number: int = 0
) -> CreatedEvent:
    assert isinstance(payload, DistributeEvent)
    return CreatedEvent(
        response=EiResponse(),
        ven_id="ven-a",
        event_responses=tuple(
            EventResponse(
                request_id=payload.request_id,
                event_id=event_id,
                modification_number=number,
                opt_type=opt,
                response_code=code,
            )
            for event_id in event_ids
        ),
    )


async def poll_events(party: Party) -> tuple[str, ...]:
    """Poll and return the eventIDs found, () for an empty poll."""
    found = await party.poll()
    return tuple(each.descriptor.event_id for each in found.events) if isinstance(found, DistributeEvent) else ()


async def test_rule_500_an_empty_queue_answers_oadr_response(world: World) -> None:
    party = await ready(world)
    assert await party.poll() == Response(response=EiResponse(response_description="OK"), ven_id="ven-a")


async def test_rule_050_every_payload_is_complete_whatever_changed(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event("evt-a"), "ven-a")
    assert await poll_events(party) == ("evt-a",)
    await party.send(answer(await request(party), "evt-a"))
    await world.put(simple_event("evt-b", start=START + timedelta(hours=2)), "ven-a")
    assert await poll_events(party) == ("evt-a", "evt-b")


async def request(party: Party, limit: int | None = None) -> DistributeEvent:
    reply = await party.send(RequestEvent(request_id="req-e", ven_id=party.ven_id, reply_limit=limit))
    assert isinstance(reply, DistributeEvent)
    return reply


async def test_rule_015_order_and_rule_027_reply_limit_after_it(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event("evt-far", start=START + timedelta(hours=5), priority=1), "ven-a")
    await world.put(simple_event("evt-soon", start=START + timedelta(hours=1)), "ven-a")
    await world.put(simple_event("evt-none", start=START - timedelta(minutes=9)), "ven-a")
    await world.put(simple_event("evt-two", start=START - timedelta(minutes=5), priority=2), "ven-a")
    full = await request(party)
    assert [each.descriptor.event_id for each in full.events] == ["evt-two", "evt-none", "evt-soon", "evt-far"]
    assert [str(each.descriptor.event_status) for each in full.events] == ["active", "active", "far", "far"]
    part = await request(party, 2)
    assert [each.descriptor.event_id for each in part.events] == ["evt-two", "evt-none"]


async def test_rule_115_one_created_date_time_renewed_by_a_change(world: World) -> None:
    party = await ready(world)
    first = await world.put(simple_event("evt-a"), "ven-a")
    world.clock.advance(60)
    await world.put(simple_event("evt-b"), "ven-a")
    stamps = {each.descriptor.created_date_time for each in (await request(party)).events}
    assert stamps == {START + timedelta(seconds=60)}
    world.clock.advance(60)
    assert {each.descriptor.created_date_time for each in (await request(party)).events} == stamps
    await world.modify(first, vtn_comment="changed")
    changed = await request(party)
    assert {each.descriptor.created_date_time for each in changed.events} == {START + timedelta(seconds=120)}


async def test_rule_041_040_payloads_have_a_request_id_and_a_response(world: World) -> None:
    party = await ready(world)
    reply = await request(party)
    assert reply.request_id[0].isalpha()
    assert reply.vtn_id == "VTN-1"
    assert reply.response == EiResponse(request_id="req-e", response_description="OK")


async def test_rule_063_each_ven_sees_only_its_own_part_of_the_target(world: World) -> None:
    party, other = await ready(world), await ready(world, "ven-b", 2)
    event = simple_event(target=EiTarget(group_ids=("g1",), ven_ids=("ven-b",)))
    await world.put(event, "ven-b", resources={"ven-a": ("r1", "r2")})
    (of_a,) = (await request(party)).events
    (of_b,) = (await request(other)).events
    assert of_a.target == EiTarget(ven_ids=("ven-a",), resource_ids=("r1", "r2"))
    assert of_b.target == EiTarget(ven_ids=("ven-b",))


async def test_rule_066_startafter_keeps_an_event_in_payloads_after_its_end(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(start=START, startafter=Duration(seconds=600)), "ven-a")
    world.clock.advance(3600 + 599)
    (late,) = (await request(party)).events
    assert late.descriptor.event_status is EventStatus.COMPLETED
    world.clock.advance(1)
    assert (await request(party)).events == ()


async def test_rule_047_an_open_ended_event_stays(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(duration=ZERO), "ven-a")
    world.clock.advance(10 * 365 * 86_400)
    (event,) = (await request(party)).events
    assert event.descriptor.event_status is EventStatus.ACTIVE


async def test_evt_18_an_unanswered_event_comes_again_after_q_2q_4q_and_then_rests(world: World) -> None:
    world.desk = replace(world.desk, events=RetryPolicy(first_s=10, attempts=4))
    party = await ready(world)
    await world.put(simple_event(duration=ZERO), "ven-a")
    handed_out = []
    for second in range(200):
        if await poll_events(party):
            handed_out.append(second)
        world.clock.advance(1)
    assert handed_out == [0, 10, 30, 70]
    assert len((await request(party)).events) == 1  # still part of every payload


async def test_rule_012_an_event_that_needs_no_answer_is_handed_out_once(world: World) -> None:
    party = await ready(world)
    row = await world.put(simple_event(duration=ZERO, required=ResponseRequired.NEVER), "ven-a")
    assert await poll_events(party) == ("evt-a",)
    world.clock.advance(86_400)
    assert await poll_events(party) == ()
    await world.modify(row, vtn_comment="changed")
    assert await poll_events(party) == ("evt-a",)


async def test_rule_052_repetition_stops_at_the_end_of_the_event(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(start=START, duration=Duration(seconds=30)), "ven-a")
    assert await poll_events(party) == ("evt-a",)
    world.clock.advance(61)
    assert await poll_events(party) == ()


async def test_rule_016_an_answer_settles_a_modification_and_a_new_one_asks_again(world: World) -> None:
    party = await ready(world)
    row = await world.put(simple_event(), "ven-a")
    payload = await party.poll()
    reply = await party.send(answer(payload, "evt-a", opt=OptType.OPT_OUT))
    assert reply == Response(response=EiResponse(response_description="OK"), ven_id="ven-a")
    assert await poll_events(party) == ()
    await world.modify(row, vtn_comment="changed")
    async with world.store.read() as tx:
        view = await event_view(tx, "evt-a", START)
    assert view is not None
    assert (view.vens[0].delivery, view.vens[0].opt.opt_type) == (DeliveryState.QUEUED, OptType.OPT_OUT)
    again = await party.poll()
    stale = await party.send(answer(again, "evt-a", number=0))
    assert isinstance(stale, Response)
    assert stale.response.response_code == 450
    await party.send(answer(again, "evt-a", number=1))
    async with world.store.read() as tx:
        view = await event_view(tx, "evt-a", START)
    assert view is not None
    assert (view.vens[0].delivery, view.vens[0].opt.source) == (DeliveryState.ACKNOWLEDGED, OptSource.CREATED_EVENT)


async def test_rule_025_good_answers_count_although_another_is_bad(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(), "ven-a")
    reply = await party.send(answer(await party.poll(), "evt-none", "evt-a"))
    assert isinstance(reply, Response)
    assert reply.response.response_code == 452
    assert await poll_events(party) == ()


async def test_rule_025_answers_below_a_failed_response_do_not_count(world: World) -> None:
    party = await ready(world)
    await world.put(simple_event(), "ven-a")
    good = answer(await party.poll(), "evt-a")
    failed = EiResponse(request_id="req-x", response_code=452)
    reply = await party.send(replace(good, response=failed))
    assert isinstance(reply, Response)
    assert reply.response == EiResponse(request_id="req-x", response_description="OK")
    assert (await party.send(CreatedEvent(response=failed, ven_id="ven-a"))) is not None
    async with world.store.read() as tx:
        (state,) = await tx.events.states("evt-a")
    assert state.answer is None


async def test_another_ven_s_event_is_unknown_to_this_one(world: World) -> None:
    party = await ready(world)
    await ready(world, "ven-b", 2)
    await world.put(simple_event(), "ven-b")
    payload = await request(party)
    reply = await party.send(answer(payload, "evt-a"))
    assert isinstance(reply, Response)
    assert reply.response.response_code == 452


async def test_rule_500_one_payload_a_poll_events_before_the_rest_of_the_queue(world: World) -> None:
    party = await ready(world)
    cancel = CancelReport(request_id="req-9", report_request_ids=("rpt-1",), ven_id="ven-a")
    async with world.store.write() as tx:
        await tx.queue.add("ven-a", cancel, "req-9", START)
        await tx.queue.add("ven-a", RequestReregistration(ven_id="ven-a"), "", START)
    await world.put(simple_event(), "ven-a")
    assert await poll_events(party) == ("evt-a",)
    assert await party.poll() == cancel
    assert isinstance(await party.poll(), RequestReregistration)
    assert isinstance(await party.poll(), Response)


async def test_a_queued_payload_comes_again_until_answered_or_given_up(world: World) -> None:
    party = await ready(world)
    async with world.store.write() as tx:
        await tx.queue.add("ven-a", RequestReregistration(ven_id="ven-a"), "", START)
    seen = []
    for second in range(0, 1000, 20):
        if isinstance(await party.poll(), RequestReregistration):
            seen.append(second)
        world.clock.advance(20)
    assert seen == [0, 60, 180, 420]
    async with world.store.write() as tx:
        await tx.queue.add("ven-a", RequestReregistration(ven_id="ven-a"), "", world.clock.now())
    await party.poll()
    await party.send(Response(response=EiResponse(), ven_id="ven-a"))
    world.clock.advance(600)
    assert isinstance(await party.poll(), Response)


async def test_rule_025_thousands_of_answers_are_read_in_a_few_queries_and_the_last_of_each_counts(
    world: World,
) -> None:
    party = await ready(world)
    await world.put(simple_event(), "ven-a")
    payload = await party.poll()
    ins = answer(payload, *("evt-a" for _ in range(1000)))
    outs = answer(payload, *(f"evt-{number}" for number in range(1000)), "evt-a", opt=OptType.OPT_OUT)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    listen(world.store.engine.sync_engine, "before_cursor_execute", note)
    reply = await party.send(replace(ins, event_responses=ins.event_responses + outs.event_responses))
    assert isinstance(reply, Response)
    assert reply.response.response_code == 452
    assert len(statements) < 12, statements
    async with world.store.read() as tx:
        (state,) = await tx.events.states("evt-a")
    assert (state.answer, state.answered_modification) == (OptType.OPT_OUT, 0)
