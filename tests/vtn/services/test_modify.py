"""Changing events: the next version as a pure function, and what becomes of it with every VEN concerned."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr.errors import InvalidData, InvalidId, NotAllowed, OutOfSequence
from openadr.messages import CreatedEvent, DistributeEvent, EiResponse, EventResponse, RequestEvent
from openadr.model import Event, EventStatus, OptType, ResponseRequired, SignalType
from openadr.timeline import segments, status
from openadr.times import ZERO, Duration
from tests.vtn.services.test_events import poll_events, ready, request
from tests.vtn.world import START, Ids, Party, World
from vtn.services.drafts import Draft, DraftBaseline, DraftInterval, DraftSignal, build
from vtn.services.modify import Change, equal, modified, modify
from vtn.services.overview import DeliveryState, EventView, event_view
from vtn.services.publish import CANCEL_KEPT, cancel, publish
from vtn.store.eventrows import StoredEvent
from vtn.store.rows import Resource
from vtn.store.store import Store

HOUR = Duration(seconds=3600)


def steps(*values: tuple[int, float]) -> DraftSignal:
    """Return a SIMPLE signal of (seconds, value)."""
    return DraftSignal(
        signal_name="SIMPLE",
        signal_type=SignalType.LEVEL,
        intervals=tuple(DraftInterval(value=value, duration=Duration(seconds=seconds)) for seconds, value in values),
    )


PRICE = DraftSignal(
    signal_name="ELECTRICITY_PRICE", signal_type=SignalType.PRICE, intervals=(DraftInterval(value=0.3, duration=HOUR),)
)
DRAFT = Draft(
    market_context="https://dso.example/flex",
    duration=HOUR,
    signals=(steps((1800, 1.0), (1800, 2.0)),),
    ven_ids=("ven-a",),
    dtstart=START + timedelta(hours=1),
    startafter=Duration(seconds=300),
    ramp_up=Duration(seconds=600),
)
OLD = build(DRAFT, START, Ids())
FAR, NEAR = START, START + timedelta(minutes=55)
ACTIVE = START + timedelta(minutes=80)  # 20 minutes in, in the first interval


def changed(now: datetime, old: Event = OLD, reason: str | None = None, **changes: Any) -> Event:
    return modified(old, replace(DRAFT, **changes), now, Ids(), reason)


def test_rule_005_020_a_pending_event_may_change_altogether() -> None:
    for now in (FAR, NEAR):
        new = changed(
            now,
            reason="the peak comes later",
            dtstart=START + timedelta(hours=3),
            duration=Duration(seconds=600),
            signals=(steps((600, 3.0)), replace(PRICE, intervals=(DraftInterval(value=0.3),))),
            startafter=None,
            ramp_up=None,
            priority=1,
            market_context="https://other.example",
            test_event="true",
        )
        assert new.descriptor.event_id == OLD.descriptor.event_id
        assert new.descriptor.modification_number == 1
        assert new.descriptor.modification_date_time == now
        assert new.descriptor.modification_reason == "the peak comes later"
        assert new.descriptor.created_date_time == OLD.descriptor.created_date_time
        assert new.active_period.dtstart == START + timedelta(hours=3)
        assert [each.signal_name for each in new.signals] == ["SIMPLE", "ELECTRICITY_PRICE"]
        assert new.signals[0].signal_id == OLD.signals[0].signal_id
        assert new.signals[1].signal_id not in {each.signal_id for each in OLD.signals}


def test_what_is_not_said_stays_and_equal_is_no_change() -> None:
    old = replace(OLD, response_required=ResponseRequired.NEVER)
    for now in (FAR, NEAR, ACTIVE):
        new = changed(now, old, dtstart=None)
        assert (new.active_period.dtstart, new.response_required) == (old.active_period.dtstart, old.response_required)
        assert equal(old, new)
        assert not equal(old, changed(now, old, dtstart=None, priority=5))


def test_signals_keep_their_ids_by_name_type_unit_and_class_first() -> None:
    two = (replace(PRICE, device_classes=("EVSE",)), PRICE)
    old = build(replace(DRAFT, signals=two), START, Ids())
    new = modified(old, replace(DRAFT, signals=(PRICE, replace(PRICE, device_classes=("Sauna",)))), FAR, Ids())
    assert [each.signal_id for each in new.signals] == [old.signals[1].signal_id, old.signals[0].signal_id]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("dtstart", {"dtstart": START + timedelta(minutes=61)}),
        ("startafter", {"startafter": Duration(seconds=301)}),
        ("notification", {"notification": Duration(seconds=1)}),
        ("rampUp", {"ramp_up": None}),
        ("marketContext", {"market_context": "https://other.example"}),
        ("testEvent", {"test_event": "true"}),
        ("duration", {"duration": Duration(seconds=1200), "signals": (steps((1200, 1.0)),)}),
        ("signals", {"signals": (steps((1800, 1.0), (1800, 2.0)), PRICE)}),
        ("signals", {"signals": (PRICE,)}),
        ("signals", {"signals": (replace(DRAFT.signals[0], device_classes=("EVSE",)),)}),
        ("signals.intervals", {"signals": (steps((1800, 3.0), (1800, 2.0)),)}),
        ("signals.intervals", {"signals": (steps((1199, 1.0), (2401, 2.0)),)}),
        ("signals.intervals", {"signals": (steps((1199, 1.0), (1, 0.0), (2400, 1.0)),)}),
    ],
)
def test_rule_020_what_lies_in_the_past_does_not_change(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed) as refused:
        changed(ACTIVE, **changes)
    assert refused.value.field == field
    assert int(refused.value.code) == 451


@pytest.mark.parametrize(
    "changes",
    [
        {"signals": (steps((1200, 1.0), (2400, 3.0)),)},  # from now on
        {"signals": (steps((600, 1.0), (1200, 1.0), (1800, 2.0)),)},  # the same, cut differently
        {"duration": Duration(seconds=1201), "signals": (steps((1201, 1.0)),)},
        {"duration": Duration(seconds=7200), "signals": (steps((1800, 1.0), (5400, 0.0)),)},
        {"duration": ZERO, "signals": (replace(DRAFT.signals[0], intervals=(DraftInterval(value=1.0),)),)},
        {"priority": 1, "recovery": HOUR, "vtn_comment": "longer", "response_required": ResponseRequired.NEVER},
        {"ven_ids": ("ven-b",)},
        {"test_event": "false"},
    ],
)
def test_rule_020_the_rest_of_an_active_event_may_change(changes: dict[str, Any]) -> None:
    assert changed(ACTIVE, **changes).descriptor.modification_number == 1


def test_rule_047_an_open_ended_event_can_be_given_an_end_later_than_now() -> None:
    endless = replace(DRAFT, duration=ZERO, signals=(replace(steps((0, 1.0)), intervals=(DraftInterval(value=1.0),)),))
    old = build(endless, START, Ids())
    now = START + timedelta(days=3)
    length = Duration.of(now - old.active_period.dtstart + timedelta(seconds=10))
    new = modified(old, replace(endless, duration=length, dtstart=None), now, Ids())
    assert status(new, now) is EventStatus.ACTIVE
    assert status(new, now + timedelta(seconds=10)) is EventStatus.COMPLETED
    with pytest.raises(NotAllowed, match="cancel"):
        modified(old, replace(endless, duration=HOUR, dtstart=None), now, Ids())


def test_rule_020_a_baseline_keeps_what_has_been() -> None:
    draft = replace(DRAFT, baseline=DraftBaseline(name="typical", intervals=steps((1800, 5.0), (1800, 6.0)).intervals))
    old = build(draft, START, Ids())
    assert old.baseline is not None
    later = DraftBaseline(name="typical", intervals=steps((1800, 5.0), (1800, 9.0)).intervals)
    new = modified(old, replace(draft, baseline=later), ACTIVE, Ids())
    assert new.baseline is not None
    assert new.baseline.baseline_id == old.baseline.baseline_id
    for wrong in (None, DraftBaseline(name="typical", intervals=steps((3600, 4.0)).intervals)):
        with pytest.raises(NotAllowed, match="baseline"):
            modified(old, replace(draft, baseline=wrong), ACTIVE, Ids())


def test_an_event_that_is_over_or_cancelled_is_not_changed() -> None:
    gone = replace(OLD, descriptor=replace(OLD.descriptor, event_status=EventStatus.CANCELLED))
    for old, now in ((gone, FAR), (OLD, START + timedelta(hours=2))):
        with pytest.raises(NotAllowed) as refused:
            changed(now, old)
        assert refused.value.field == "eventID"
    with pytest.raises(NotAllowed, match="dtstart"):
        changed(NEAR, dtstart=NEAR - timedelta(seconds=1))


LENGTHS = st.lists(st.tuples(st.integers(1, 900), st.integers(0, 3)), min_size=1, max_size=6)


@given(old=LENGTHS, new=LENGTHS, offset=st.integers(-600, 4000))
def test_rule_005_020_whatever_is_asked_an_accepted_change_keeps_the_past_and_counts_one(
    old: list[tuple[int, int]], new: list[tuple[int, int]], offset: int
) -> None:
    def draft(values: list[tuple[int, int]]) -> Draft:
        whole = Duration(seconds=sum(length for length, _ in values))
        return replace(DRAFT, duration=whole, signals=(steps(*((length, float(value)) for length, value in values)),))

    before = build(draft(old), START, Ids())
    start = before.active_period.dtstart
    now = start + timedelta(seconds=offset)
    try:
        after = modified(before, draft(new), now, Ids())
    except NotAllowed:
        assert status(before, now) in (EventStatus.ACTIVE, EventStatus.COMPLETED)
        return
    assert after.descriptor.modification_number == before.descriptor.modification_number + 1
    assert after.descriptor.event_id == before.descriptor.event_id
    assert status(after, now) is not EventStatus.COMPLETED
    for second in range(0, max(0, offset), 7):
        at = start + timedelta(seconds=second)
        values = [
            next(piece.value for piece in segments(event, event.signals[0]) if piece.end is None or at < piece.end)
            for event in (before, after)
        ]
        assert values[0] == values[1]


# ---- with VENs ----


@pytest.fixture
async def both(store: Store) -> World:
    """Return a world on each kind of database."""
    return World(store)


async def published(world: World, **changes: Any) -> StoredEvent:
    async with world.store.write() as tx:
        return await publish(tx, replace(DRAFT, **changes), world.clock.now(), world.desk, "alice")


async def put(world: World, event_id: str, expected: int | None = 0, **changes: Any) -> StoredEvent:
    change = Change(draft=replace(DRAFT, **changes), expected=expected, reason="as asked")
    async with world.store.write() as tx:
        done = await modify(tx, event_id, change, world.clock.now(), world.desk, "bob")
    assert done is not None
    return done


async def view_of(world: World, event_id: str) -> EventView:
    async with world.store.read() as tx:
        view = await event_view(tx, event_id, world.clock.now())
    assert view is not None
    return view


async def take(party: Party, opt: OptType = OptType.OPT_IN) -> dict[str, tuple[int, str]]:
    """Poll, answer every event, and return modificationNumber and status by eventID."""
    found = await party.poll()
    if not isinstance(found, DistributeEvent):
        return {}
    answers = tuple(
        EventResponse(
            request_id=found.request_id,
            event_id=each.descriptor.event_id,
            modification_number=each.descriptor.modification_number,
            opt_type=opt,
        )
        for each in found.events
    )
    await party.send(CreatedEvent(response=EiResponse(), ven_id=party.ven_id, event_responses=answers))
    return {
        each.descriptor.event_id: (each.descriptor.modification_number, str(each.descriptor.event_status))
        for each in found.events
    }


async def test_rule_005_115_a_change_is_handed_out_once_more_and_answered_anew(both: World) -> None:
    party = await ready(both)
    event_id = (await published(both)).event_id
    assert await take(party, OptType.OPT_OUT) == {event_id: (0, "far")}
    created = (await request(party)).events[0].descriptor.created_date_time
    both.clock.advance(60)
    assert (await put(both, event_id, priority=1)).modification_number == 1
    view = await view_of(both, event_id)
    assert (view.vens[0].opt.opt_type, view.vens[0].delivery) == (None, DeliveryState.QUEUED)
    assert (view.counts.unanswered, view.counts.opted_out, view.counts.delivered) == (1, 0, 0)
    assert await take(party) == {event_id: (1, "far")}
    assert await take(party) == {}
    (event,) = (await request(party)).events
    assert event.descriptor.created_date_time == created + timedelta(seconds=60)
    assert event.descriptor.modification_reason == "as asked"
    view = await view_of(both, event_id)
    assert (view.counts.unanswered, view.counts.opted_in, view.counts.acknowledged) == (0, 1, 1)
    assert [(each.actor, each.event.descriptor.priority) for each in view.versions] == [("alice", 0), ("bob", 1)]


async def test_a_stale_number_is_refused_and_the_same_content_makes_no_version(world: World) -> None:
    party = await ready(world)
    event_id = (await published(world)).event_id
    await take(party)
    assert (await put(world, event_id)).modification_number == 0
    assert await poll_events(party) == ()
    await put(world, event_id, priority=1)
    with pytest.raises(OutOfSequence) as refused:
        await put(world, event_id, priority=2)
    assert (refused.value.field, int(refused.value.code)) == ("modificationNumber", 450)
    with pytest.raises(InvalidId):
        await put(world, event_id, 1, ven_ids=("ven-x",))
    with pytest.raises(InvalidData):
        await put(world, event_id, 1, ven_ids=())
    async with world.store.write() as tx:
        assert await modify(tx, "evt-x", Change(draft=DRAFT), world.clock.now(), world.desk, "bob") is None
    assert (await view_of(world, event_id)).stored.modification_number == 1


async def test_rule_010_050_a_ven_left_out_gets_the_event_cancelled_and_the_new_one_gets_it(both: World) -> None:
    first, second = await ready(both), await ready(both, "ven-b", 2)
    event_id = (await published(both)).event_id
    assert await take(first) == {event_id: (0, "far")}
    await put(both, event_id, ven_ids=("ven-b",), priority=4)
    assert await take(second) == {event_id: (1, "far")}
    (left,) = (await request(first)).events
    assert left.descriptor.event_status is EventStatus.CANCELLED
    assert (left.descriptor.modification_number, left.descriptor.priority) == (1, 0)  # what it had, not what others get
    assert left.target.ven_ids == ("ven-a",)
    both.clock.advance(61)  # unanswered: it comes again
    assert await take(first) == {event_id: (1, "cancelled")}
    assert (await request(first)).events == ()
    view = await view_of(both, event_id)
    assert [(each.state.ven_id, each.state.withdrawn, str(each.delivery)) for each in view.vens] == [
        ("ven-a", 1, "acknowledged"),
        ("ven-b", None, "acknowledged"),
    ]
    assert view.counts.vens == 1


async def test_rule_005_a_ven_that_comes_back_has_a_higher_number_and_a_later_cancel_is_not_its_own(
    both: World,
) -> None:
    first, second = await ready(both), await ready(both, "ven-b", 2)
    event_id = (await published(both, ven_ids=("ven-a", "ven-b"))).event_id
    await take(first)
    await put(both, event_id, ven_ids=("ven-b",))
    both.clock.advance(1)
    await put(both, event_id, 1, ven_ids=("ven-b",), priority=2)
    (left,) = (await request(first)).events
    assert (left.descriptor.modification_number, left.descriptor.event_status) == (1, EventStatus.CANCELLED)
    await put(both, event_id, 2, ven_ids=("ven-a",))
    assert await take(first) == {event_id: (3, "far")}
    assert await take(second) == {event_id: (3, "cancelled")}
    async with both.store.write() as tx:
        await cancel(tx, event_id, both.clock.now(), "bob", "over")
    assert await take(first) == {event_id: (4, "cancelled")}
    assert await poll_events(second) == ()


async def test_rule_052_066_a_withdrawal_that_nobody_answers_leaves_with_the_event_or_after_a_week(
    world: World,
) -> None:
    party = await ready(world)
    await ready(world, "ven-b", 2)
    short = (await published(world)).event_id
    endless = DraftSignal(signal_name="SIMPLE", signal_type=SignalType.LEVEL, intervals=(DraftInterval(value=1.0),))
    long = (await published(world, duration=ZERO, signals=(endless,))).event_id
    await put(world, short, ven_ids=("ven-b",))
    await put(world, long, ven_ids=("ven-b",), duration=ZERO, signals=(endless,))
    assert set(await poll_events(party)) == {short, long}
    world.clock.advance(2 * 3600 + 301)
    assert [each.descriptor.event_id for each in (await request(party)).events] == [long]
    world.clock.advance(CANCEL_KEPT.total_seconds())
    assert (await request(party)).events == ()


async def test_resources_of_a_target_come_and_go_and_a_qualified_one_stays(both: World) -> None:
    names = ("r1", "r2", "r3")
    party = await both.enrol("ven-a", 1, *(Resource(ven_id="ven-a", resource_id=name) for name in names))
    await party.register()
    event_id = (await published(both, ven_ids=(), resource_ids=("r1", "r2"))).event_id
    changes: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
        ({"resource_ids": ("r2", "r3")}, ("r2", "r3")),
        ({"ven_ids": ("ven-a",)}, ()),
        ({"resource_ids": ("r1",)}, ("r1",)),
    )
    for number, (targets, seen) in enumerate(changes):
        await put(both, event_id, number, **{"ven_ids": (), **targets})
        reply = await party.send(RequestEvent(request_id="q", ven_id="ven-a"))
        assert isinstance(reply, DistributeEvent)
        (event,) = reply.events
        assert (event.target.resource_ids, event.descriptor.modification_number) == (seen, number + 1)
    assert (await view_of(both, event_id)).counts.resources == 1


async def test_rule_052_a_cancelled_open_ended_event_leaves_payloads_of_a_silent_ven_at_last(world: World) -> None:
    party = await ready(world)
    signal = DraftSignal(signal_name="SIMPLE", signal_type=SignalType.LEVEL, intervals=(DraftInterval(value=1.0),))
    for required in (ResponseRequired.ALWAYS, ResponseRequired.NEVER):
        made = await published(world, duration=ZERO, signals=(signal,), response_required=required)
        async with world.store.write() as tx:
            await cancel(tx, made.event_id, world.clock.now(), "bob", "over")
    assert len((await request(party)).events) == 2
    world.clock.advance(CANCEL_KEPT.total_seconds())
    assert (await request(party)).events == ()


async def test_rule_020_an_active_event_changes_for_the_ven_from_now_on(world: World) -> None:
    party = await ready(world)
    event_id = (await published(world)).event_id
    await take(party)
    world.clock.advance(80 * 60)
    await put(world, event_id, dtstart=None, signals=(steps((1200, 1.0), (2400, 3.0)),))
    assert await take(party) == {event_id: (1, "active")}
    with pytest.raises(NotAllowed):
        await put(world, event_id, 1, dtstart=None, signals=(steps((1200, 2.0), (2400, 3.0)),))
    assert await poll_events(party) == ()
