"""The store's contract, the same on SQLite and PostgreSQL: what is written is read back, replaced, counted and kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from openadr.messages import CreateOpt, CreateReport, RegisterReport
from openadr.model import (
    Availability,
    EiTarget,
    EventStatus,
    OptType,
    ReportDescription,
    ReportRequest,
    ReportSpecifier,
    SpecifierPayload,
)
from openadr.times import ZERO, Duration
from runtime.database import upgrade
from tests.databases import drift, open_engine
from tests.vtn.blocks import blocks_of_rows
from tests.vtn.world import START, World, fingerprint, simple_event, stored
from vtn.store import MIGRATIONS, metadata
from vtn.store.assignments import _OF_VENS
from vtn.store.eventrows import EventResource, EventVen, Handout, OptKind, OptSource
from vtn.store.readings import Selection
from vtn.store.rows import (
    AT_ONCE,
    NEVER,
    Answered,
    Point,
    QueueHead,
    RequestState,
    Resource,
    Specifier,
    StoredRequest,
    Telemetry,
    Ven,
)
from vtn.store.store import VERSION_TABLE, Store

LATER = START + timedelta(minutes=5)


async def add_vens(store: Store, *names: str) -> None:
    async with store.write() as tx:
        for number, name in enumerate(names):
            await tx.vens.add(Ven(ven_id=name, fingerprint=fingerprint(number), enrolled_at=START))


async def test_migrations_build_exactly_the_tables(store: Store) -> None:
    assert await drift(store.engine, metadata) == []


async def test_a_ven_is_read_back_as_written(store: Store) -> None:
    await add_vens(store, "ven-a")
    async with store.write() as tx:
        await tx.vens.update("ven-a", registration_id="reg-1", registered_at=LATER, http_pull_model=True)
        await tx.vens.seen({fingerprint(0): LATER})
    async with store.read() as tx:
        found = await tx.vens.by_fingerprint(fingerprint(0))
        assert found == await tx.vens.get("ven-a")
    assert found == Ven(
        ven_id="ven-a",
        fingerprint=fingerprint(0),
        enrolled_at=START,
        registration_id="reg-1",
        registered_at=LATER,
        http_pull_model=True,
        last_seen=LATER,
    )
    assert found.registered


async def test_rule_512_ven_ids_are_case_sensitive(store: Store) -> None:
    await add_vens(store, "ven-a", "VEN-a")
    async with store.read() as tx:
        assert await tx.vens.known(["ven-a", "VEN-A"]) == {"ven-a"}


async def test_a_certificate_belongs_to_one_ven(store: Store) -> None:
    await add_vens(store, "ven-a")
    with pytest.raises(IntegrityError):
        async with store.write() as tx:
            await tx.vens.add(Ven(ven_id="ven-b", fingerprint=fingerprint(0), enrolled_at=START))
    async with store.read() as tx:
        assert await tx.vens.get("ven-b") is None


async def test_vens_are_paged_by_id(store: Store) -> None:
    await add_vens(store, "ven-c", "ven-a", "ven-b")
    async with store.read() as tx:
        first = await tx.vens.page(limit=2)
        rest = await tx.vens.page(after=first[-1].ven_id, limit=2)
    assert [each.ven_id for each in (*first, *rest)] == ["ven-a", "ven-b", "ven-c"]


async def test_resources_are_found_by_ven_by_name_and_by_group(store: Store) -> None:
    await add_vens(store, "ven-a", "ven-b")
    rows = (
        Resource(ven_id="ven-a", resource_id="r1", group_ids=("g1", "g2")),
        Resource(ven_id="ven-a", resource_id="r2"),
        Resource(ven_id="ven-b", resource_id="r1", group_ids=("g2",)),
    )
    async with store.write() as tx:
        await tx.vens.add_resources(rows)
        await tx.vens.add_resources([Resource(ven_id="ven-a", resource_id="r2", source="metadata")])
        await tx.vens.add_resources([Resource(ven_id="ven-a", resource_id="r3", source="metadata")])
    async with store.read() as tx:
        assert await tx.vens.resources(ven_ids=["ven-b"]) == rows[2:]
        assert await tx.vens.resources(group_ids=["g2"]) == (rows[0], rows[2])
        assert [each.ven_id for each in await tx.vens.resources(resource_ids=["r1"])] == ["ven-a", "ven-b"]
        assert await tx.vens.resources() == ()
    async with store.write() as tx:
        await tx.vens.drop_metadata_resources("ven-a")
    async with store.read() as tx:
        assert await tx.vens.resources(ven_ids=["ven-a"]) == rows[:2]


async def test_an_event_keeps_every_version(store: Store) -> None:
    await add_vens(store, "ven-a")
    first = stored(simple_event())
    second = replace(stored(simple_event(number=1, status=EventStatus.CANCELLED)), modified_at=LATER)
    async with store.write() as tx:
        await tx.events.put(first, "alice")
        await tx.events.put(second, "bob")
    async with store.read() as tx:
        assert await tx.events.get("evt-a") == second
        versions = await tx.events.versions("evt-a")
        assert await tx.events.get("evt-b") is None
    assert [(each.actor, each.event.descriptor.modification_number) for each in versions] == [("alice", 0), ("bob", 1)]
    assert versions[0].event == first.event


async def test_events_are_paged_latest_start_first(store: Store) -> None:
    async with store.write() as tx:
        for name, hours in (("evt-a", 1), ("evt-b", 3), ("evt-c", 3)):
            await tx.events.put(stored(simple_event(name, start=START + timedelta(hours=hours))), "alice")
    async with store.read() as tx:
        first = await tx.events.page(after=None, limit=2)
        last = first[-1]
        rest = await tx.events.page(after=(last.event.active_period.dtstart, last.event_id), limit=2)
    assert [each.event_id for each in (*first, *rest)] == ["evt-b", "evt-c", "evt-a"]


async def test_rule_050_payload_rows_are_those_not_over_and_not_acknowledged_cancels(store: Store) -> None:
    await add_vens(store, "ven-a")
    async with store.write() as tx:
        for name, status, hours in (("evt-a", "far", 1), ("evt-b", "cancelled", 1), ("evt-c", "far", -3)):
            event = simple_event(name, status=EventStatus(status), start=START + timedelta(hours=hours))
            await tx.events.put(stored(event), "alice")
            await tx.events.assign([EventVen(event_id=name, ven_id="ven-a", whole_ven=True, due_at=START)], [])
    async with store.read() as tx:
        assert [each.stored.event_id for each in await tx.events.of_ven("ven-a", START)] == ["evt-a", "evt-b"]
    async with store.write() as tx:
        await tx.events.set_state("evt-b", "ven-a", answered_modification=0)
    async with store.read() as tx:
        assert [each.stored.event_id for each in await tx.events.of_ven("ven-a", START)] == ["evt-a"]
        assert await tx.events.of_ven("ven-b", START) == ()
        assert await tx.events.one_of_ven("ven-a", "evt-c") is not None


async def test_events_of_the_past_are_not_read_for_a_payload(world: World) -> None:
    await world.enrol()
    async with world.store.read() as tx:
        text = str(_OF_VENS.compile(tx.connection.sync_connection)).replace("(__[POSTCOMPILE_b_ven_ids])", "(?)")
        plan = (await tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("ven-a", START.isoformat()))).all()
    steps = [row[-1] for row in plan]
    assert any("ix_event_ven_ven_id_told_until (ven_id=? AND told_until>?)" in each for each in steps), steps


async def test_a_narrowed_event_names_its_resources(store: Store) -> None:
    await add_vens(store, "ven-a", "ven-b")
    rows = [EventResource(event_id="evt-a", ven_id="ven-a", resource_id=name) for name in ("r2", "r1")]
    states = [
        EventVen(event_id="evt-a", ven_id="ven-a", whole_ven=False),
        EventVen(event_id="evt-a", ven_id="ven-b", whole_ven=True),
    ]
    async with store.write() as tx:
        await tx.events.put(stored(simple_event()), "alice")
        await tx.events.assign(states, rows)
    async with store.read() as tx:
        (of_a,) = await tx.events.of_ven("ven-a", START)
        (of_b,) = await tx.events.of_ven("ven-b", START)
        assert await tx.events.states("evt-a") == tuple(states)
    assert of_a.resource_ids == ("r1", "r2")
    assert of_b.resource_ids == ()


async def test_deliveries_are_counted_per_version_and_an_answer_stays(store: Store) -> None:
    await add_vens(store, "ven-a")
    async with store.write() as tx:
        await tx.events.put(stored(simple_event()), "alice")
        await tx.events.assign([EventVen(event_id="evt-a", ven_id="ven-a", whole_ven=True, due_at=START)], [])

    def delivery(number: int, request_id: str) -> Handout:
        events = (("evt-a", number, timedelta(0)),)
        return Handout(ven_id="ven-a", request_id=request_id, at=LATER, events=events, until=NEVER)

    async def standing() -> tuple[object, ...]:
        async with store.read() as tx:
            (found,) = await tx.events.of_ven("ven-a", START)
        handed = found.handed
        assert handed is not None
        return found.times, handed.modification_number, handed.at, found.due

    async with store.write() as tx:
        await tx.events.delivered([delivery(0, "req-1")])
        await tx.events.delivered([delivery(0, "req-2")])
    assert await standing() == (2, 0, LATER, LATER)
    async with store.write() as tx:
        await tx.events.put(stored(simple_event(number=1)), "alice")
        await tx.events.modified("evt-a", START)
        await tx.events.delivered([delivery(0, "req-3")])  # of the old version, written late
    assert await standing() == (0, 0, LATER, AT_ONCE)
    async with store.write() as tx:
        await tx.events.set_state("evt-a", "ven-a", answered_modification=1, answer="optIn", due_at=None)
        await tx.events.delivered([delivery(1, "req-4")])
    async with store.read() as tx:
        (state,) = await tx.events.states("evt-a")
        handed, request_ids = (await tx.events.handed("evt-a"))["ven-a"]
    assert request_ids == ("req-1", "req-2", "req-3", "req-4")
    assert (state.answer, state.due_at) == (OptType.OPT_IN, None)
    assert (handed.times, handed.modification_number) == (1, 1)
    assert await standing() == (1, 1, LATER, None)


async def test_opt_states_of_resources_are_replaced(store: Store) -> None:
    await add_vens(store, "ven-a")
    row = EventResource(event_id="evt-a", ven_id="ven-a", resource_id="r1")
    qualified = replace(row, opt_type=OptType.OPT_OUT, source=OptSource.CREATE_OPT, reason="overrideStatus", at=LATER)
    async with store.write() as tx:
        await tx.events.put(stored(simple_event()), "alice")
        await tx.events.assign([EventVen(event_id="evt-a", ven_id="ven-a", whole_ven=False)], [row])
        await tx.events.set_resources([qualified, replace(qualified, resource_id="r2")])
    async with store.read() as tx:
        assert await tx.events.resource_states("evt-a") == (qualified, replace(qualified, resource_id="r2"))
        assert await tx.events.resource_states("evt-a", "ven-b") == ()


async def test_a_queue_is_first_in_first_out_until_answered(store: Store) -> None:
    await add_vens(store, "ven-a")
    first = RegisterReport(request_id="req-1", ven_id="ven-a")
    second = CreateReport(request_id="req-2", report_requests=(), ven_id="ven-a")
    async with store.write() as tx:
        await tx.queue.add("ven-a", first, "req-1", START)
        await tx.queue.add("ven-a", second, "req-2", START)
    async with store.write() as tx:
        head = await tx.queue.head("ven-a", START)
        assert head is not None
        assert head.message == first
        heads = await tx.queue.heads(["ven-a", "ven-b"], START)
        assert heads == {"ven-a": QueueHead(root="oadrRegisterReport", due_at=AT_ONCE, attempts=0)}
        await tx.queue.sent("ven-a", head.row_id, START, LATER)
        after = await tx.queue.head("ven-a", START)
        assert after is not None
        assert after.message == second
        heads = await tx.queue.heads(["ven-a"], START)
        assert heads == {"ven-a": QueueHead(root="oadrCreateReport", due_at=AT_ONCE, attempts=0)}
        await tx.queue.sent("ven-a", after.row_id, START, LATER + timedelta(seconds=1))
        heads = await tx.queue.heads(["ven-a"], START)
        assert heads == {"ven-a": QueueHead(root="oadrRegisterReport", due_at=LATER, attempts=1)}
        assert not await tx.queue.answered("ven-a", "oadrRegisterReport", "req-9", 200, LATER)
        assert await tx.queue.answered("ven-a", "oadrRegisterReport", "", 200, LATER)
        assert not await tx.queue.answered("ven-a", "oadrCreateReport", "req-9", 200, LATER)
        assert await tx.queue.depth() == 1
        await tx.queue.clear("ven-a")
        assert await tx.queue.head("ven-a", LATER) is None
        assert await tx.queue.heads(["ven-a"], LATER) == {}


def opt(opt_id: str, *, opt_type: OptType = OptType.OPT_OUT) -> CreateOpt:
    return CreateOpt(
        opt_id=opt_id,
        opt_type=opt_type,
        opt_reason="economic",
        ven_id="ven-a",
        created_date_time=START,
        request_id="req-1",
        vavailability=(Availability(dtstart=LATER, duration=Duration(seconds=60)),),
        target=EiTarget(ven_ids=("ven-a",)),
    )


async def test_opts_are_kept_with_what_became_of_them(store: Store) -> None:
    await add_vens(store, "ven-a")
    async with store.write() as tx:
        await tx.opts.add(opt("opt-1"), OptKind.SCHEDULE, START)
        await tx.opts.add(opt("opt-1"), OptKind.SCHEDULE, LATER)  # the same again
        await tx.opts.add(opt("opt-2"), OptKind.SCHEDULE, LATER)
        await tx.opts.add(opt("opt-3", opt_type=OptType.OPT_IN), OptKind.SCHEDULE, LATER)
        first, second = await tx.opts.schedules("ven-a", "optOut")
        await tx.opts.supersede(second.row_id, ["r1"], LATER)
        await tx.opts.supersede(first.row_id, None, LATER)
    async with store.write() as tx:
        (left,) = await tx.opts.schedules("ven-a", "optOut")
        assert left.superseded_for == ("r1",)
        await tx.opts.cancel([left.row_id], LATER)
        assert await tx.opts.schedules("ven-a", "optOut") == ()
        assert [each.message.opt_id for each in await tx.opts.page()] == ["opt-3", "opt-2", "opt-1"]
        assert await tx.opts.page(ven_id="ven-b") == ()
        assert await tx.opts.page(event_id="evt-a") == ()
        assert len(await tx.opts.page(after=left.row_id)) == 1
        (kept,) = await tx.opts.of_id("ven-a", "opt-1")
    assert (kept.message, kept.superseded_at) == (opt("opt-1"), LATER)


def request(name: str) -> StoredRequest:
    specifier = ReportSpecifier(
        report_specifier_id="spec-1",
        granularity=Duration(seconds=60),
        report_back_duration=Duration(seconds=60),
        payloads=(SpecifierPayload(r_id="rid-1"),),
        interval_start=START,
        interval_duration=ZERO,
    )
    return StoredRequest(
        ven_id="ven-a",
        report_name="TELEMETRY_USAGE",
        request=ReportRequest(report_request_id=name, specifier=specifier),
        points={"rid-1": Point(resource_id="r1", unit="W")},
        state=RequestState.REQUESTED,
        created_at=START,
    )


async def test_rule_306_a_new_offer_replaces_the_old_one_and_its_requests(store: Store) -> None:
    await add_vens(store, "ven-a")
    description = ReportDescription(
        r_id="rid-1",
        report_type="usage",
        reading_type="Direct Read",
        report_data_source=EiTarget(resource_ids=("r1",)),
    )
    old = Specifier(
        ven_id="ven-a",
        report_specifier_id="spec-1",
        report_name="TELEMETRY_USAGE",
        duration="PT1H",
        registered_at=START,
        descriptions=(description, replace(description, r_id="rid-2")),
    )
    new = replace(old, report_specifier_id="spec-2", duration=None, descriptions=(description,))
    async with store.write() as tx:
        await tx.reports.replace_offer("ven-a", [old])
        await tx.reports.add_request(request("rpt-1"))
        assert await tx.reports.offer("ven-a") == (old,)
        await tx.reports.replace_offer("ven-a", [new])
        assert await tx.reports.offer("ven-a") == (new,)
        (asked,) = await tx.reports.requests("ven-a")
        assert asked == replace(request("rpt-1"), state=RequestState.REPLACED)
        await tx.reports.erase("ven-a")
        assert await tx.reports.requests("ven-a") == ()
        assert await tx.reports.offer("ven-a") == ()


def reading(minutes: int, value: float, *, r_id: str = "rid-1", ven_id: str = "ven-a") -> Telemetry:
    return Telemetry(
        ven_id=ven_id,
        report_request_id="rpt-1",
        r_id=r_id,
        dtstart=START + timedelta(minutes=minutes),
        report_specifier_id="spec-1",
        report_name="TELEMETRY_USAGE",
        received_at=LATER,
        duration_s=60,
        resource_id="r1",
        value=value,
        unit="W",
        confidence=90,
        accuracy=0.5,
        data_quality="Quality Good - Non Specific",
    )


@pytest.mark.parametrize("count", [1, 9, 611, 1234])
async def test_any_number_of_values_is_kept_with_what_they_have_in_common_and_what_not(
    store: Store, count: int
) -> None:
    await add_vens(store, "ven-a")
    alike = [reading(minutes, 1.0) for minutes in range(count)]
    different = [
        replace(
            reading(minutes, minutes / 3, r_id=f"rid-{minutes % 3}"),
            report_request_id="rpt-2",
            duration_s=minutes or None,
            resource_id=f"r{minutes % 3}" if minutes % 3 else None,
            unit="kW" if minutes % 2 else None,
            online=minutes % 2 == 0,
            manual_override=None,
            load_control_state="{}" if minutes % 4 else None,
            data_quality=None if minutes % 5 else "Quality Bad - Non Specific",
            confidence=minutes % 101,
            accuracy=None if minutes % 7 else 0.1,
        )
        for minutes in range(count)
    ]
    async with store.write() as tx:
        await tx.reports.store(blocks_of_rows(alike))
        await tx.reports.store(blocks_of_rows(reversed(different)))
    async with store.read() as tx:
        rows = await tx.readings.page(Selection(), limit=10_000)
    kept = [replace(row, row_id=None) for row in rows]
    assert sorted(kept, key=lambda row: (row.report_request_id, row.dtstart)) == [*alike, *different]


async def test_rule_346_of_the_same_value_twice_in_one_report_the_later_counts(store: Store) -> None:
    await add_vens(store, "ven-a")
    texts = tuple(f"2026-01-01T00:0{minute}:00Z" for minute in (0, 1, 0))
    (block,) = blocks_of_rows([reading(0, 1.0), reading(1, 2.0), reading(0, 3.0)])
    async with store.write() as tx:
        await tx.reports.store([block])
    async with store.read() as tx:
        assert [row.value for row in await tx.readings.page(Selection())] == [3.0, 2.0]
    starts = tuple(map(datetime.fromisoformat, texts))
    async with store.write() as tx:
        await tx.reports.store([replace(block, report_request_id="rpt-2", dtstart=starts)])
        points = dict.fromkeys("ab", block.points["rid-1"])
        in_order = replace(block, report_request_id="rpt-3", r_id=("a", "a", "b"), points=points, dtstart=starts)
        await tx.reports.store([in_order])
    async with store.read() as tx:
        rows = [row for row in await tx.readings.page(Selection()) if row.report_request_id != "rpt-1"]
    assert [(row.report_request_id, row.dtstart, row.value) for row in rows] == [
        ("rpt-2", starts[0], 3.0),
        ("rpt-3", starts[0], 1.0),
        ("rpt-3", starts[0], 3.0),
        ("rpt-2", starts[1], 2.0),
        ("rpt-3", starts[1], 2.0),
    ]


async def test_rule_346_data_sent_again_replaces_earlier_values(store: Store) -> None:
    await add_vens(store, "ven-a", "ven-b")
    async with store.write() as tx:
        await tx.reports.store(blocks_of_rows([reading(0, 1.0), reading(1, 2.0)]))
        await tx.reports.store(blocks_of_rows([reading(0, 5.0), reading(2, 3.0), reading(9, 7.0, ven_id="ven-b")]))
        await tx.reports.store(blocks_of_rows([]))
    async with store.read() as tx:
        rows = await tx.readings.page(Selection(ven_id="ven-a"))
        assert [row.value for row in rows] == [5.0, 2.0, 3.0]
        assert replace(rows[0], row_id=None) == reading(0, 5.0)
        start, end = START + timedelta(minutes=1), START + timedelta(minutes=9)
        part = await tx.readings.page(Selection(resource_id="r1", r_ids=("rid-1",), start=start, end=end), limit=1)
        assert [row.value for row in part] == [2.0]
        row_id = part[0].row_id
        assert row_id is not None
        rest = await tx.readings.page(Selection(), after=(part[0].dtstart, row_id))
        assert [row.value for row in rest] == [3.0, 7.0]
        assert [row.value for row in await tx.reports.latest(["ven-a", "ven-b"])] == [3.0, 7.0]


async def test_idempotency_keys_keep_the_answer(store: Store) -> None:
    answer = Answered(digest=b"d" * 32, status=201, body=b"{}")
    async with store.write() as tx:
        assert await tx.keys.get("k") is None
        await tx.keys.put("k", answer, START)
    async with store.read() as tx:
        assert await tx.keys.get("k") == answer


async def test_a_commit_tells_whom_it_touched_and_moves_the_counter(store: Store) -> None:
    heard: list[frozenset[str]] = []
    store.listen(heard.append)
    before = await store.changes()
    await add_vens(store, "ven-a")
    assert heard == [frozenset({"ven-a"})]
    assert await store.changes() == before + 1
    async with store.write() as tx:
        await tx.keys.put("k", Answered(digest=b"", status=200, body=b""), START)
    assert len(heard) == 1
    assert await store.changes() == before + 1


async def test_a_failed_transaction_leaves_nothing_and_tells_nobody(store: Store) -> None:
    heard: list[frozenset[str]] = []
    store.listen(heard.append)
    before = await store.changes()

    async def fail() -> None:
        async with store.write() as tx:
            await tx.vens.add(Ven(ven_id="ven-a", fingerprint=fingerprint(1), enrolled_at=START))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with store.read() as tx:
        assert await tx.vens.get("ven-a") is None
    assert (heard, await store.changes()) == ([], before)


async def test_a_version_that_was_never_committed_is_not_remembered(store: Store) -> None:
    await add_vens(store, "ven-a")
    first, second = simple_event(priority=1), simple_event(priority=2)

    async def fail() -> None:
        async with store.write() as tx:
            await tx.events.put(stored(first), "tester")
            await tx.events.assign([EventVen(event_id="evt-a", ven_id="ven-a", whole_ven=True)], [])
            assert len(await tx.events.of_ven("ven-a", START)) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with store.write() as tx:
        await tx.events.put(stored(second), "tester")
        await tx.events.assign([EventVen(event_id="evt-a", ven_id="ven-a", whole_ven=True)], [])
    for _ in range(2):
        async with store.read() as tx:
            (found,) = await tx.events.of_ven("ven-a", START)
        assert found.stored.event.descriptor.priority == 2


async def test_many_vens_are_read_at_once_as_one_by_one(store: Store) -> None:
    names = ("ven-a", "ven-b", "ven-c")
    await add_vens(store, *names)
    async with store.write() as tx:
        await tx.vens.update("ven-a", registration_id="reg-a")
        await tx.vens.update("ven-c", registration_id="reg-c")
        for number, event_id in enumerate(("evt-b", "evt-a")):
            await tx.events.put(stored(simple_event(event_id), START + timedelta(seconds=number)), "tester")
            await tx.events.assign(
                [EventVen(event_id=event_id, ven_id=name, whole_ven=name == "ven-a") for name in names[: number + 1]],
                [EventResource(event_id=event_id, ven_id=name, resource_id=name) for name in names[: number + 1]],
            )
    async with store.read() as tx:
        together = await tx.events.of_vens(names, START)
        assert together == {name: await tx.events.of_ven(name, START) for name in ("ven-a", "ven-b")}
        assert [each.stored.event_id for each in together["ven-a"]] == ["evt-b", "evt-a"]
        assert [each.resource_ids for each in together["ven-b"]] == [("ven-b",)]
        wanted = [fingerprint(number) for number in range(4)]
        assert await tx.vens.registered(wanted) == {fingerprint(0): ("ven-a", False), fingerprint(2): ("ven-c", False)}


async def test_instants_come_back_in_utc_and_naive_ones_are_refused(store: Store) -> None:
    abroad = datetime(2026, 11, 21, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    async with store.write() as tx:
        await tx.vens.add(Ven(ven_id="ven-a", fingerprint=fingerprint(1), enrolled_at=abroad))
    async with store.read() as tx:
        found = await tx.vens.get("ven-a")
        assert found is not None
        assert (found.enrolled_at, found.enrolled_at.tzinfo) == (START, UTC)

    async def naive() -> None:
        async with store.write() as tx:
            await tx.vens.update("ven-a", last_seen=START.replace(tzinfo=None))

    with pytest.raises(Exception, match="without time zone"):
        await naive()


async def test_a_restart_finds_everything(engine: AsyncEngine, database_url: str) -> None:
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    world = World(Store(engine))
    party = await world.enrol()
    await party.register()
    row = await world.put(simple_event(), "ven-a")
    await engine.dispose()
    async with open_engine(database_url) as again:
        await upgrade(again, MIGRATIONS, version_table=VERSION_TABLE)
        async with Store(again).read() as tx:
            assert await tx.events.get("evt-a") == row
            found = await tx.vens.get("ven-a")
            assert found is not None
            assert found.registered
            assert await tx.queue.depth() == 1
