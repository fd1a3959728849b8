"""What is past is pruned, a batch at a time; what still has an effect never is."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from openadr.messages import RequestReregistration
from openadr.model import EventStatus
from openadr.times import ZERO
from runtime.clock import FakeClock
from tests.vtn.blocks import blocks_of_rows
from tests.vtn.store.test_contract import request
from tests.vtn.world import START, World, simple_event
from vtn.retention import EVERY_S, FIRST_S, Retention
from vtn.settings import RetentionSection
from vtn.store.eventrows import Handout
from vtn.store.report_tables import data_point, telemetry
from vtn.store.retention import BATCH
from vtn.store.rows import NEVER, Answered, Telemetry
from vtn.store.store import Store
from vtn.store.tables import event, event_ven, event_version, idempotency, opt, outbound

DAYS = RetentionSection().days()


class Clock(FakeClock):
    """A clock on which sleeping takes no time."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


def value(number: int, at: datetime) -> Telemetry:
    return Telemetry(
        ven_id="ven-a",
        report_request_id="rpt-1",
        r_id=f"rid-{number % 3}",
        dtstart=at,
        duration_s=60,
        report_specifier_id="spec",
        report_name="TELEMETRY_USAGE",
        resource_id="r1",
        value=number + 0.1,
        unit="kW",
        received_at=START,
    )


async def count(store: Store, table: object) -> int:
    async with store.read() as tx:
        return int((await tx.connection.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]


async def once(store: Store, now: datetime) -> dict[str, int]:
    return await Retention(store, DAYS).once(Clock(now))


async def test_telemetry_goes_by_its_own_time_in_batches(store: Store) -> None:
    await World(store).enrol("ven-a", 1)
    edge = START - timedelta(days=400)
    rows = [value(number, edge + timedelta(seconds=number - BATCH - 20)) for number in range(BATCH + 40)]
    async with store.write() as tx:
        await tx.reports.store(blocks_of_rows(rows))
    assert await once(store, START) == {"telemetry": BATCH + 20}
    assert await count(store, telemetry) == 20
    assert await once(store, START) == {}


async def test_the_newest_value_of_a_data_point_that_is_used_no_more_goes_with_the_others(store: Store) -> None:
    await World(store).enrol("ven-a", 1)
    old, new = (START - timedelta(days=days) for days in (401, 1))
    async with store.write() as tx:
        await tx.reports.store(blocks_of_rows([value(0, old), value(1, old), value(1, new)]))
    assert await once(store, START) == {"telemetry": 2, "telemetry_latest": 1, "data_point": 1}
    async with store.read() as tx:
        assert [each.r_id for each in await tx.reports.latest(("ven-a",))] == ["rid-1"]


async def test_a_data_point_goes_when_neither_a_value_nor_its_request_is_left(store: Store) -> None:
    await World(store).enrol("ven-a", 1)
    old = START - timedelta(days=401)
    async with store.write() as tx:
        await tx.reports.store(blocks_of_rows([value(number, old) for number in range(3)]))
        await tx.reports.store(blocks_of_rows([value(0, START)]))
        await tx.reports.add_request(request("rpt-2"))
        await tx.reports.store(blocks_of_rows([replace(value(5, old), report_request_id="rpt-2")]))
    assert await count(store, data_point) == 4
    removed = {"telemetry": 4, "telemetry_latest": 2}
    assert await once(store, START) == {**removed, "data_point": 2}
    async with store.write() as tx:
        await tx.reports.set_request("rpt-2", ended_at=START)
    assert await once(store, START + timedelta(days=399)) == {}
    assert (await once(store, START + timedelta(days=402))) == {
        "telemetry": 1,
        "telemetry_latest": 1,
        "report_request": 1,
        "data_point": 2,
    }
    assert await count(store, data_point) == 0


async def test_events_go_when_they_have_been_over_for_long_with_all_that_is_theirs(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    for number in range(7):
        await world.put(simple_event(f"evt-{number}"), "ven-a")
    await world.put(simple_event("evt-open", duration=ZERO), "ven-a")
    await world.put(simple_event("evt-late", start=START + timedelta(days=30)), "ven-a")
    later = START + timedelta(days=401)
    assert (await once(store, later))["event"] == 7
    assert [await count(store, each) for each in (event, event_ven, event_version)] == [2, 2, 2]
    async with store.read() as tx:
        assert {each.event_id for each in await tx.events.page(after=None, limit=9)} == {"evt-open", "evt-late"}


async def test_a_cancelled_event_is_kept_from_its_last_change_on(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    row = await world.put(simple_event(), "ven-a")
    world.clock.advance(390 * 86_400)
    await world.modify(row, event_status=EventStatus.CANCELLED)
    assert "event" not in await once(store, START + timedelta(days=401))
    assert (await once(store, START + timedelta(days=800)))["event"] == 1


async def test_payloads_that_wait_are_kept_whatever_their_age(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    async with store.write() as tx:
        for number in range(3):
            name = f"req-{number}"
            message = RequestReregistration(ven_id="ven-a")
            await tx.queue.add("ven-a", message, name, START)
        head = await tx.queue.head("ven-a", START)
        assert head is not None
        await tx.queue.sent("ven-a", head.row_id, START, None)
    assert await once(store, START + timedelta(days=31)) == {"outbound": 1}
    assert await count(store, outbound) == 2


async def test_hand_outs_go_when_none_of_their_events_can_be_in_a_payload_any_more(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    await world.put(simple_event("evt-over"), "ven-a")
    await world.put(simple_event("evt-open", duration=ZERO), "ven-a")
    contents = (("evt-over", 0, None), ("evt-open", 0, None))
    made = [
        Handout(ven_id="ven-a", request_id=f"req-{number}", at=START, events=events, until=until)
        for number, (events, until) in enumerate(
            ((contents, NEVER), (contents[:1], START + timedelta(hours=2)), (contents[1:], NEVER))
        )
    ]
    async with store.write() as tx:
        await tx.events.delivered(made)
    assert "handout" not in await once(store, START + timedelta(days=400))
    assert (await once(store, START + timedelta(days=401)))["handout"] == 1
    async with store.read() as tx:
        assert (await tx.events.handed("evt-open"))["ven-a"][1] == ("req-0", "req-2")
        (left,) = await tx.events.of_ven("ven-a", START + timedelta(days=401))
    assert (left.stored.event_id, left.times, left.due) == ("evt-open", 2, None)


async def test_opts_go_when_they_no_longer_count(store: Store) -> None:
    world = World(store)
    await world.enrol("ven-a", 1)
    await world.put(simple_event("evt-open", duration=ZERO), "ven-a")
    old = START - timedelta(days=500)
    facts: list[dict[str, object]] = [
        {"opt_id": "cancelled", "kind": "schedule", "cancelled_at": old},
        {"opt_id": "superseded", "kind": "schedule", "superseded_at": old},
        {"opt_id": "over", "kind": "schedule", "ends_at": old},
        {"opt_id": "event gone", "kind": "event", "event_id": "evt-gone"},
        {"opt_id": "event there", "kind": "event", "event_id": "evt-open"},
        {"opt_id": "open-ended", "kind": "schedule"},
        {"opt_id": "still to come", "kind": "schedule", "ends_at": START + timedelta(days=1)},
        {"opt_id": "over lately", "kind": "schedule", "ends_at": START - timedelta(days=1)},
    ]
    common = {
        "ven_id": "ven-a",
        "opt_type": "optOut",
        "opt_reason": "economic",
        "created_date_time": old,
        "received_at": old,
        "document": "{}",
    }
    async with store.write() as tx:
        for each in facts:
            await tx.connection.execute(insert(opt).values(**common, **each))
    assert await once(store, START) == {"opt": 4}
    async with store.read() as tx:
        left = (await tx.connection.execute(select(opt.c.opt_id).order_by(opt.c.id))).scalars().all()
    assert left == ["event there", "open-ended", "still to come", "over lately"]


async def test_it_runs_soon_after_the_start_and_then_every_hour(store: Store) -> None:
    async with store.write() as tx:
        for number in range(2):
            at = START - timedelta(days=7) + timedelta(seconds=number * EVERY_S)
            await tx.keys.put(f"key-{number}", Answered(digest=b"d", status=200, body=b""), at)
    left: list[int] = []

    class Stopped(Exception):
        pass

    class Ticking(FakeClock):
        async def sleep(self, seconds: float) -> None:
            left.append(await count(store, idempotency))
            if len(left) == 3:
                raise Stopped
            self.advance(seconds)

    clock = Ticking(START)
    with pytest.raises(Stopped):
        await Retention(store, DAYS).run(clock)
    assert left == [2, 1, 0]
    assert clock.now() - START == timedelta(seconds=FIRST_S + EVERY_S)
