"""The push loop: order, back-off, places, fall back to the queue, restarts; with VENs that do what the test says."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from openadr.messages import (
    CancelReport,
    CreatedEvent,
    DistributeEvent,
    EiResponse,
    EventResponse,
    Message,
    Poll,
    RegisterReport,
    RequestReregistration,
    Response,
)
from openadr.model import OptType
from runtime.database import upgrade
from tests.databases import open_engine
from tests.vtn.push.kit import (
    POLICY,
    ScriptedLines,
    good_answer,
    later,
    push_desk,
    push_ven,
    pusher,
    round_of,
)
from tests.vtn.world import Party, World, simple_event
from vtn.services.pushing import Failed, Failure, Outcome, Taken
from vtn.store import MIGRATIONS
from vtn.store.rows import Ven
from vtn.store.store import VERSION_TABLE, Store
from vtn.store.tables import handout


def failing(failure: Failure) -> "ScriptedLines":
    async def fail(_ven: Ven, _message: Message) -> Outcome:
        return Failed(failure=failure, detail="as scripted")

    return ScriptedLines(fail)


async def queue(world: World, ven_id: str = "ven-a", *names: str) -> None:
    """Queue an oadrCancelReport for each name."""
    async with world.store.write() as tx:
        for name in names:
            message = CancelReport(request_id=name, report_request_ids=(name,), ven_id=ven_id)
            await tx.queue.add(ven_id, message, name, world.clock.now())


def answer_to(payload: Message, ven_id: str = "ven-a") -> CreatedEvent:
    assert isinstance(payload, DistributeEvent)
    (event,) = payload.events
    response = EventResponse(
        request_id=payload.request_id,
        event_id=event.descriptor.event_id,
        modification_number=event.descriptor.modification_number,
        opt_type=OptType.OPT_IN,
    )
    return CreatedEvent(response=EiResponse(), ven_id=ven_id, event_responses=(response,))


async def test_rule_301_502_the_greeting_comes_first_then_events_then_the_queue(world: World) -> None:
    party = await world.enrol()
    await party.register(http_pull_model=False, transport_address="https://127.0.0.1:9/")
    await queue(world, "ven-a", "cancel-1", "cancel-2")
    await world.put(simple_event(), "ven-a")
    lines = ScriptedLines()
    assert await round_of(pusher(world, lines)) == 1
    assert lines.kinds() == [RegisterReport, DistributeEvent, CancelReport, CancelReport]
    assert [getattr(each, "request_id", "") for _, each in lines.sent[2:]] == ["cancel-1", "cancel-2"]
    assert await round_of(pusher(world, lines)) == 0
    async with world.store.read() as tx:
        assert await tx.queue.depth() == 0


async def test_rule_051_500_502_only_what_is_new_is_pushed_and_never_a_poll_or_its_answer(world: World) -> None:
    party = await push_ven(world)
    lines = ScriptedLines()
    pushing = pusher(world, lines)
    assert await round_of(pushing) == 1  # registered: a look, and nothing to push
    assert lines.sent == []
    row = await world.put(simple_event(), "ven-a")
    await round_of(pushing)
    (_, payload), *_ = lines.sent
    assert isinstance(payload, DistributeEvent)
    assert payload.response is None
    await party.send(answer_to(payload))
    later(world, 3600)
    await round_of(pushing)
    assert lines.kinds() == [DistributeEvent]
    await world.modify(row)
    await round_of(pushing)
    assert lines.kinds() == [DistributeEvent, DistributeEvent]
    assert Poll not in lines.kinds()


async def test_an_event_that_was_taken_and_not_answered_is_pushed_again_until_given_up(world: World) -> None:
    await push_ven(world)
    await world.put(simple_event(), "ven-a")
    lines = ScriptedLines()
    pushing = pusher(world, lines)
    for count, pause in enumerate((0, 60, 120, 240, 480, 960), start=1):
        later(world, pause - 1 if pause else 0)
        if pause:
            await round_of(pushing)
            assert len(lines.sent) == count - 1
            later(world, 1)
        await round_of(pushing)
        assert len(lines.sent) == count
    requests = {getattr(message, "request_id", "") for _, message in lines.sent}
    assert len(requests) == 6
    async with world.store.read() as tx:
        recorded = await tx.connection.execute(select(handout.c.request_id))
        assert set(recorded.scalars()) == requests


async def test_the_answer_may_come_before_the_push_is_written_down(world: World) -> None:
    party = await push_ven(world)
    await world.put(simple_event(), "ven-a")

    async def answers_first(_ven: Ven, message: Message) -> Outcome:
        reply = await party.send(answer_to(message))
        assert isinstance(reply, Response)
        assert reply.response.ok
        return Taken(answer=None)

    lines = ScriptedLines(answers_first)
    pushing = pusher(world, lines)
    await round_of(pushing)
    later(world, 3600)
    await round_of(pushing)
    assert len(lines.sent) == 1


async def test_failures_double_the_pause_then_the_payload_waits_for_a_poll(world: World) -> None:
    party = await push_ven(world)
    await world.put(simple_event(), "ven-a")
    lines = failing(Failure.UNREACHABLE)
    pushing = pusher(world, lines)
    for count, pause in enumerate((0, 2, 4), start=1):
        if pause:
            later(world, pause - 0.1)
            assert await round_of(pushing) == 0
            later(world, 0.1)
        assert await round_of(pushing) == 1
        assert len(lines.sent) == count
    later(world, 30 * 60)
    assert await round_of(pushing) == 0  # three attempts, no more
    payload = await party.poll()
    assert isinstance(payload, DistributeEvent)
    await party.send(answer_to(payload))
    assert isinstance(await party.poll(), Response)


async def test_something_new_is_tried_once_more_after_giving_up(world: World) -> None:
    await push_ven(world)
    await queue(world, "ven-a", "cancel-1")
    lines = failing(Failure.BUSY)
    pushing = pusher(world, lines)
    for pause in (0, 2, 4):
        later(world, pause)
        await round_of(pushing)
    assert len(lines.sent) == 3
    await queue(world, "ven-a", "cancel-2")
    await round_of(pushing)
    later(world, 600)
    await round_of(pushing)
    assert len(lines.sent) == 4
    lines.script = ScriptedLines().script
    await queue(world, "ven-a", "cancel-3")
    await round_of(pushing)
    assert [getattr(each, "request_id", "") for _, each in lines.sent[4:]] == ["cancel-1", "cancel-2", "cancel-3"]


async def test_a_ven_that_was_given_up_is_pushed_to_when_it_is_heard_of(world: World) -> None:
    party = await push_ven(world)
    await queue(world, "ven-a", "cancel-1")
    lines = failing(Failure.UNREACHABLE)
    pushing = pusher(world, lines)
    for pause in (0, 2, 4):
        later(world, pause)
        await round_of(pushing)
    lines.script = ScriptedLines().script
    later(world, 60)
    await round_of(pushing)
    assert len(lines.sent) == 3
    async with world.store.write() as tx:
        await tx.vens.seen({party.fingerprint: world.clock.now()})
    later(world, 31)
    await round_of(pushing)
    assert len(lines.sent) == 4
    assert (await pushing.backlog()).failing == 0


@pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.BROKEN])
async def test_a_payload_the_ven_cannot_take_does_not_stop_the_next(world: World, failure: Failure) -> None:
    await push_ven(world)
    await queue(world, "ven-a", "bad", "good")

    async def chokes(_ven: Ven, message: Message) -> Outcome:
        if getattr(message, "request_id", "") == "bad":
            return Failed(failure=failure, detail="as scripted")
        return Taken(answer=good_answer(message))

    lines = ScriptedLines(chokes)
    pushing = pusher(world, lines)
    await round_of(pushing)
    later(world, 2)
    await round_of(pushing)
    assert [getattr(each, "request_id", "") for _, each in lines.sent] == ["bad", "good"]
    later(world, 60)
    await round_of(pushing)
    assert [getattr(each, "request_id", "") for _, each in lines.sent][2:] == ["bad"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(RequestReregistration(ven_id="ven-a"), id="no answer at all"),
        pytest.param(good_answer(CancelReport(request_id="c", report_request_ids=()), "ven-b"), id="of another VEN"),
    ],
)
async def test_rule_021_304_an_answer_of_the_wrong_kind_or_ven_changes_nothing(world: World, answer: Message) -> None:
    await push_ven(world)
    await queue(world, "ven-a", "cancel-1")

    async def confuses(_ven: Ven, _message: Message) -> Outcome:
        return Taken(answer=answer)

    pushing = pusher(world, ScriptedLines(confuses))
    await round_of(pushing)
    async with world.store.read() as tx:
        assert await tx.queue.depth() == 1
    assert (await pushing.backlog()).failing == 1


async def test_rule_303_an_answer_belongs_to_its_exchange_whatever_request_id_it_repeats(world: World) -> None:
    await push_ven(world)
    await queue(world, "ven-a", "cancel-1")

    async def other_id(_ven: Ven, _message: Message) -> Outcome:
        return Taken(answer=good_answer(CancelReport(request_id="else", report_request_ids=())))

    await round_of(pusher(world, ScriptedLines(other_id)))
    async with world.store.read() as tx:
        assert await tx.queue.depth() == 0


async def test_an_answer_by_the_plainest_response_and_one_with_created_event_count(world: World) -> None:
    await push_ven(world)
    await queue(world, "ven-a", "cancel-1")
    await world.put(simple_event(), "ven-a")

    async def odd(_ven: Ven, message: Message) -> Outcome:
        if isinstance(message, DistributeEvent):
            return Taken(answer=answer_to(message))
        return Taken(answer=Response(response=EiResponse(response_code=452), ven_id="ven-a"))

    await round_of(pusher(world, ScriptedLines(odd)))
    async with world.store.read() as tx:
        assert await tx.queue.depth() == 0
        (state,) = await tx.events.states("evt-a")
        assert (state.answer, state.due_at) == (OptType.OPT_IN, None)


async def test_an_empty_answer_to_a_request_waits_for_the_logical_one(world: World) -> None:
    party = await push_ven(world)
    await queue(world, "ven-a", "cancel-1")
    async with world.store.write() as tx:
        await tx.queue.add("ven-a", RequestReregistration(ven_id="ven-a"), "again", world.clock.now())

    async def empty(_ven: Ven, _message: Message) -> Outcome:
        return Taken(answer=None)

    await round_of(pusher(world, ScriptedLines(empty)))
    async with world.store.read() as tx:
        assert await tx.queue.depth() == 1  # oadrRequestReregistration has nothing more to hear
    posted = good_answer(CancelReport(request_id="cancel-1", report_request_ids=()))
    assert posted is not None
    await party.send(posted)
    async with world.store.read() as tx:
        assert await tx.queue.depth() == 0


async def test_slow_and_dead_vens_do_not_delay_the_others(world: World) -> None:
    stuck = asyncio.Event()

    async def some_hang(ven: Ven, message: Message) -> Outcome:
        if ven.ven_id.startswith("ven-slow"):
            await stuck.wait()
            return Failed(failure=Failure.UNREACHABLE, detail="no answer")
        return Taken(answer=good_answer(message, ven.ven_id))

    names = [f"ven-slow{number}" for number in range(20)] + [f"ven-x{number}" for number in range(30)]
    for number, name in enumerate(names, start=1):
        await push_ven(world, name, number)
    lines = ScriptedLines(some_hang)
    pushing = pusher(world, lines, places=8)
    while await round_of(pushing):  # nothing to push yet: only looks
        pass
    stuck.set()
    for name in names[:20]:  # these fail a first time
        await queue(world, name, f"c-{name}")
    while await round_of(pushing):
        pass
    assert (await pushing.backlog()).failing == 20
    stuck.clear()
    later(world, 3)
    for name in names[20:]:
        await queue(world, name, f"c-{name}")
    lines.sent.clear()
    async with asyncio.timeout(60):
        while len({name for name, _ in lines.sent if name.startswith("ven-x")}) < 30:
            await pushing.look()
            await asyncio.sleep(0)
    assert len({name for name, _ in lines.sent if name.startswith("ven-slow")}) == 2  # a quarter of the places
    stuck.set()
    await pushing.idle()


async def test_the_payloads_of_one_ven_are_pushed_one_after_the_other_and_places_bound_the_rest(world: World) -> None:
    busy: set[str] = set()

    async def watches(ven: Ven, message: Message) -> Outcome:
        assert ven.ven_id not in busy
        busy.add(ven.ven_id)
        await asyncio.sleep(0)
        busy.discard(ven.ven_id)
        return Taken(answer=good_answer(message, ven.ven_id))

    lines = ScriptedLines(watches)
    pushing = pusher(world, lines, places=4)
    for number in range(1, 11):
        await push_ven(world, f"ven-{number}", number)
        await queue(world, f"ven-{number}", "c-1", "c-2", "c-3")
    while await round_of(pushing):
        pass
    assert len(lines.sent) == 30
    assert lines.most <= 4


async def test_a_kill_between_push_and_answer_pushes_again_and_the_answer_counts_once(world: World) -> None:
    party = await push_ven(world)
    await world.put(simple_event(), "ven-a")
    reached, never = asyncio.Event(), asyncio.Event()

    async def dies(_ven: Ven, _message: Message) -> Outcome:
        reached.set()
        await never.wait()
        raise AssertionError

    first = ScriptedLines(dies)
    killed = pusher(world, first)
    assert await killed.look() == 1
    await reached.wait()  # the VEN has it; the process dies here and writes nothing
    for task in asyncio.all_tasks():
        if task.get_name() == "push ven-a":
            task.cancel()
    await asyncio.sleep(0)
    assert (await party.send(answer_to(first.sent[0][1]))) is not None  # the VEN answers what it got
    lines = ScriptedLines()
    restarted = pusher(world, lines, owner="node-2")
    assert await round_of(restarted) == 0  # another one holds the lease
    later(world, POLICY.lease_s)
    assert await round_of(restarted) == 1
    assert lines.sent == []  # answered: settled
    await world.put(simple_event("evt-b"), "ven-a")
    await round_of(restarted)
    assert len(lines.sent) == 1


async def test_a_restart_on_sqlite_need_not_wait_for_the_lease_of_the_dead(world: World) -> None:
    await push_ven(world)
    await queue(world, "ven-a", "c-1")
    async with world.store.write() as tx:
        later_on = world.clock.now().replace(year=2030)
        assert await tx.push.claim("dead", world.clock.now(), later_on, failing=False, limit=9) == ("ven-a",)
    lines = ScriptedLines()
    running = asyncio.create_task(pusher(world, lines).run())
    async with asyncio.timeout(60):
        while not lines.sent:
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_stopping_gives_the_leases_back(world: World) -> None:
    await push_ven(world)
    await queue(world, "ven-a", "c-1")
    never = asyncio.Event()

    async def hangs(_ven: Ven, _message: Message) -> Outcome:
        await never.wait()
        raise AssertionError

    lines = ScriptedLines(hangs)
    running = asyncio.create_task(pusher(world, lines).run())
    async with asyncio.timeout(60):
        while not lines.sent:
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    again = ScriptedLines()
    assert await round_of(pusher(world, again, owner="node-2")) == 1
    assert len(again.sent) == 1


async def test_rule_407_a_ven_that_cancels_or_goes_over_to_pull_is_pushed_to_no_more(world: World) -> None:
    party = await push_ven(world)
    async with world.store.read() as tx:
        row = await tx.vens.get("ven-a")
    assert row is not None
    reply = await party.register(registration_id=row.registration_id, ven_id="ven-a", http_pull_model=True)
    assert reply.response.ok
    await queue(world, "ven-a", "c-1")
    lines = ScriptedLines()
    assert await round_of(pusher(world, lines)) == 0
    assert isinstance(await party.poll(), CancelReport)


async def test_rule_402_a_re_registration_changes_the_address(world: World) -> None:
    party = await push_ven(world)
    async with world.store.read() as tx:
        row = await tx.vens.get("ven-a")
    assert row is not None
    assert row.transport_address == "https://127.0.0.1:9/ven-a/"
    address = "https://127.0.0.2:1/elsewhere"
    reply = await party.register(
        registration_id=row.registration_id, ven_id="ven-a", http_pull_model=False, transport_address=address
    )
    assert reply.response.ok
    seen: list[str | None] = []

    async def looks(ven: Ven, message: Message) -> Outcome:
        seen.append(ven.transport_address)
        return Taken(answer=good_answer(message))

    await queue(world, "ven-a", "c-1")
    await round_of(pusher(world, ScriptedLines(looks)))
    assert seen == [address]


async def test_an_event_for_a_thousand_vens_is_pushed_to_each_once_and_the_places_stay_bounded(world: World) -> None:
    names = [f"ven-{number}" for number in range(1000)]
    address = "https://127.0.0.1:9/"
    async with world.store.write() as tx:
        for number, name in enumerate(names):
            print_ = number.to_bytes(10, "big").hex(":").upper()
            await tx.vens.add(Ven(ven_id=name, fingerprint=print_, enrolled_at=world.clock.now()))
            await tx.vens.update(
                name, registration_id=f"reg-{number}", http_pull_model=False, transport_address=address
            )
            await tx.push.enlist(name, world.clock.now())
    await world.put(simple_event(), *names)
    lines = ScriptedLines()
    pushing = pusher(world, lines, places=64)
    while await pushing.look():
        await asyncio.sleep(0)
        await pushing.idle()
    assert sorted(name for name, _ in lines.sent) == sorted(names)
    assert lines.most <= 64


@pytest.mark.postgres
async def test_two_nodes_on_one_database_push_everything_once(database_url: str, engine: AsyncEngine) -> None:
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    async with open_engine(database_url) as other:
        one = World(Store(engine), desk=push_desk())
        two = World(Store(other), clock=one.clock, desk=one.desk)
        names = [f"ven-{number}" for number in range(1, 41)]
        for number, name in enumerate(names, start=1):
            await push_ven(one, name, number)
        await one.put(simple_event(), *names)
        lines = ScriptedLines()
        nodes = [pusher(one, lines, owner="node-1", places=5), pusher(two, lines, owner="node-2", places=5)]
        for _ in range(40):
            await asyncio.gather(*(node.look() for node in nodes))
            await asyncio.gather(*(node.idle() for node in nodes))
        assert sorted(name for name, _ in lines.sent) == sorted(names)
        async with one.store.read() as tx:
            assert (await tx.push.backlog(one.clock.now())).waiting == 0


async def test_a_fault_of_ours_ends_the_turn_and_the_lease_runs_out(world: World) -> None:
    await push_ven(world)
    await queue(world, "ven-a", "c-1")

    async def breaks(_ven: Ven, _message: Message) -> Outcome:
        raise RuntimeError("our fault")

    lines = ScriptedLines(breaks)
    pushing = pusher(world, lines)
    assert await round_of(pushing) == 1
    assert await round_of(pushing) == 0
    later(world, POLICY.lease_s)
    lines.script = ScriptedLines().script
    assert await round_of(pushing) == 1
    assert len(lines.sent) == 2


async def test_a_poll_and_a_push_do_not_disturb_each_other(world: World) -> None:
    party: Party = await push_ven(world)
    await queue(world, "ven-a", "c-1", "c-2")
    assert getattr(await party.poll(), "request_id", "") == "c-1"
    lines = ScriptedLines()
    await round_of(pusher(world, lines))
    assert [getattr(each, "request_id", "") for _, each in lines.sent] == ["c-2"]
    posted = good_answer(CancelReport(request_id="c-1", report_request_ids=()))
    assert posted is not None
    await party.send(posted)
    async with world.store.read() as tx:
        assert await tx.queue.depth() == 0


def test_the_pause_is_spread_by_ten_percent_and_ends() -> None:
    policy = replace(POLICY, attempts=8, longest_s=20)
    assert [policy.pause_s(count, 0.5) for count in range(1, 8)] == [2, 4, 8, 16, 20, 20, 20]
    assert policy.pause_s(8, 0.5) is None
    assert (policy.pause_s(1, 0.0), policy.pause_s(1, 1.0)) == (1.8, 2.2)
