"""Reading data back: pages both ways, buckets as plain arithmetic would make them, newest values, documents."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.database import create_engine, upgrade
from tests.vtn.blocks import blocks_of_rows
from tests.vtn.store.test_contract import add_vens, reading
from tests.vtn.world import START
from vtn.store import MIGRATIONS
from vtn.store.readings import Selection
from vtn.store.rows import Bucket, ReportDocument, Telemetry
from vtn.store.store import VERSION_TABLE, Store

ALL = Selection()


async def keep(store: Store, *rows: Telemetry) -> None:
    async with store.write() as tx:
        await tx.reports.store(blocks_of_rows(rows))


async def buckets(store: Store, seconds: int, which: Selection = ALL, size: int = 1000) -> list[Bucket]:
    found: list[Bucket] = []
    after = None
    async with store.read() as tx:
        while page := await tx.readings.buckets(which, seconds, after=after, limit=size):
            found += page
            end = page[-1]
            after = (end.start, end.ven_id, end.resource_id or "", end.report_name, end.r_id, end.unit or "")
    return found


@pytest.mark.parametrize("which", [ALL, Selection(ven_id="ven-a"), Selection(ven_id="ven-a", resource_id="r1")])
async def test_pages_come_in_either_order_and_meet(store: Store, which: Selection) -> None:
    await add_vens(store, "ven-a")
    await keep(store, *(reading(minute // 2, float(minute), r_id=f"rid-{minute % 3}") for minute in range(14)))
    between = replace(which, start=START + timedelta(minutes=1), end=START + timedelta(minutes=6))
    for newest in (False, True):
        for selected, values in ((which, range(14)), (between, range(2, 12))):
            seen: list[float | None] = []
            after = None
            async with store.read() as tx:
                while page := await tx.readings.page(selected, after=after, newest_first=newest, limit=3):
                    seen += [row.value for row in page]
                    after = (page[-1].dtstart, page[-1].row_id or 0)
            assert seen == sorted(values, reverse=newest)


async def test_a_page_of_a_resource_has_nothing_of_another(store: Store) -> None:
    await add_vens(store, "ven-a", "ven-b")
    other = replace(reading(0, 9.0, r_id="rid-9"), resource_id="r9")
    await keep(store, reading(0, 1.0), reading(1, 2.0), other, reading(0, 8.0, ven_id="ven-b"))
    async with store.read() as tx:
        found = await tx.readings.page(Selection(ven_id="ven-a", resource_id="r1", r_ids=("rid-1",)), limit=10)
        assert [row.value for row in found] == [1.0, 2.0]
        assert await tx.readings.page(Selection(ven_id="ven-a", resource_id="r1", r_ids=("rid-9",))) == ()


async def test_a_selection_narrows_by_everything(store: Store) -> None:
    await add_vens(store, "ven-a", "ven-b")
    await keep(store, reading(0, 1.0), reading(1, 2.0, ven_id="ven-b"), reading(2, 3.0, r_id="rid-9"))
    async with store.read() as tx:
        for which, values in (
            (Selection(ven_id="ven-b"), [2.0]),
            (Selection(r_ids=("rid-9", "rid-8")), [3.0]),
            (Selection(r_ids=()), []),
            (Selection(resource_id="r1", report_name="TELEMETRY_USAGE", report_specifier_id="spec-1"), [1.0, 2.0, 3.0]),
            (Selection(report_request_id="rpt-2"), []),
            (Selection(start=START + timedelta(minutes=1), end=START + timedelta(minutes=2)), [2.0]),
        ):
            assert [row.value for row in await tx.readings.page(which)] == values


async def test_tel_07_buckets_are_aligned_to_utc_and_hold_what_begins_in_them(store: Store) -> None:
    await add_vens(store, "ven-a")
    start = datetime(2026, 11, 21, 11, 59, 59, tzinfo=UTC)
    await keep(store, *(replace(reading(0, float(n)), dtstart=start + timedelta(seconds=n)) for n in range(3)))
    found = await buckets(store, 1800)
    assert [(each.start.minute, each.count, each.mean) for each in found] == [(30, 1, 0.0), (0, 2, 1.5)]


async def test_rule_318_values_of_bad_quality_take_no_part(store: Store) -> None:
    await add_vens(store, "ven-a")
    bad = replace(reading(1, 0.0), data_quality="Quality Bad - Comm Failure")
    none = replace(reading(2, 0.0), data_quality="No Quality - No Value")
    await keep(store, reading(0, 4.0), bad, none, replace(reading(3, 6.0), data_quality=None))
    (one,) = await buckets(store, 3600)
    assert (one.count, one.bad, one.mean, one.minimum, one.last) == (2, 2, 5.0, 4.0, 6.0)
    await keep(store, *(replace(each, dtstart=each.dtstart + timedelta(days=1)) for each in (bad, none)))
    empty = (await buckets(store, 3600))[-1]
    assert (empty.count, empty.bad, empty.mean, empty.last, empty.last_at) == (0, 2, None, None, None)


async def test_a_value_that_two_requests_brought_counts_once_and_the_one_received_last(store: Store) -> None:
    await add_vens(store, "ven-a")
    first = reading(0, 1.0)
    again = replace(first, report_request_id="rpt-2", value=3.0, received_at=first.received_at + timedelta(seconds=1))
    await keep(store, again, first)
    (one,) = await buckets(store, 60)
    assert (one.count, one.total) == (1, 3.0)


async def test_means_of_intervals_are_weighted_by_their_length(store: Store) -> None:
    await add_vens(store, "ven-a")
    await keep(store, replace(reading(0, 1.0), duration_s=180), replace(reading(3, 5.0), duration_s=60))
    (one,) = await buckets(store, 3600)
    assert (one.spans, one.mean, one.total) == (True, 2.0, 6.0)
    await keep(store, replace(reading(4, 6.0), duration_s=None))
    (mixed,) = await buckets(store, 3600)
    assert (mixed.spans, mixed.mean) == (False, 4.0)


async def test_the_newest_value_is_kept_whatever_comes_late(store: Store) -> None:
    await add_vens(store, "ven-a", "ven-b")
    await keep(store, reading(5, 5.0), reading(3, 3.0))
    await keep(store, reading(4, 4.0))
    await keep(store, replace(reading(1, 1.0), resource_id=None), reading(9, 9.0, ven_id="ven-b"))
    async with store.read() as tx:
        found = await tx.reports.latest(["ven-a"])
        assert [(row.resource_id, row.value) for row in found] == [(None, 1.0), ("r1", 5.0)]
        assert [row.value for row in await tx.reports.latest(["ven-a"], "r1")] == [5.0]
        assert await tx.reports.latest(["ven-a"], report_name="HISTORY_USAGE") == ()
        assert await tx.reports.latest([]) == ()
    await keep(store, reading(5, 5.5))  # corrected
    async with store.read() as tx:
        assert [row.value for row in await tx.reports.latest(["ven-a"], "r1")] == [5.5]


async def test_documents_are_replaced_in_their_place(store: Store) -> None:
    await add_vens(store, "ven-a")

    def feed(position: int, body: str) -> ReportDocument:
        return ReportDocument(
            ven_id="ven-a",
            report_request_id="rpt-1",
            position=position,
            report_specifier_id="spec-g",
            report_name="HISTORY_GREENBUTTON",
            received_at=START,
            body=body,
        )

    async with store.write() as tx:
        await tx.readings.keep_documents([feed(0, "<a/>"), feed(1, "<b/>")])
        await tx.readings.keep_documents([feed(0, "<c/>")])
        await tx.readings.keep_documents([])
    async with store.read() as tx:
        (found,) = await tx.readings.documents(ven_id="ven-a")
        assert found.row_id is not None
        full = await tx.readings.document(found.row_id)
        assert full is not None
        assert (full.body, found.body) == ("<c/>", "")
        assert await tx.readings.documents(after=found.row_id) == ()
        assert await tx.readings.document(10**6) is None


async def test_a_value_of_a_clock_that_was_years_ahead_gives_way_to_any_other(store: Store) -> None:
    await add_vens(store, "ven-a")
    ahead = replace(reading(0, 1.0), dtstart=START + timedelta(days=4000), received_at=START)
    now = replace(reading(1, 2.0), received_at=START)
    for rows, expected in (([ahead], 1.0), ([now], 2.0), ([ahead], 2.0), ([ahead, now, ahead], 2.0)):
        async with store.write() as tx:
            await tx.reports.store(blocks_of_rows({each.dtstart: each for each in rows}.values()))
        async with store.read() as tx:
            (newest,) = await tx.reports.latest(("ven-a",))
        assert newest.value == expected


# --- against plain arithmetic -----------------------------------------------------------------------------------------

ROWS = st.lists(
    st.tuples(
        st.integers(-50_000, 50_000),
        st.sampled_from(("a", "b")),
        st.sampled_from((None, "W", "kWh")),
        st.integers(-1000, 1000),
        st.sampled_from((None, 60, 900)),
        st.booleans(),
    ),
    max_size=40,
)


def plain(rows: list[Telemetry], seconds: int) -> dict[tuple[int, str, str], tuple[object, ...]]:
    groups: dict[tuple[int, str, str], list[Telemetry]] = defaultdict(list)
    for row in rows:
        second = int(row.dtstart.timestamp())
        groups[second - second % seconds, row.r_id, row.unit or ""].append(row)
    made: dict[tuple[int, str, str], tuple[object, ...]] = {}
    for key, found in groups.items():
        good = [row for row in found if not (row.data_quality or "").startswith("Quality Bad")]
        values = [row.value or 0.0 for row in good]
        mean = fmean(values) if values else None
        if good and all(row.duration_s for row in good):
            weights = [float(row.duration_s or 0) for row in good]
            mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        last = max(good, key=lambda row: row.dtstart).value if good else None
        figures = (min(values), max(values), sum(values)) if values else (None, None, None)
        made[key] = (len(good), len(found) - len(good), mean, *figures, last)
    return made


@settings(max_examples=25, deadline=None)
@given(given_rows=ROWS, seconds=st.integers(1, 10_000), size=st.integers(1, 7))
async def test_property_buckets_are_what_plain_arithmetic_makes(
    given_rows: list[tuple[int, str, str | None, int, int | None, bool]], seconds: int, size: int
) -> None:
    engine = create_engine("sqlite+aiosqlite:///:memory:")
    try:
        await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
        store = Store(engine)
        await add_vens(store, "ven-a")
        rows = {
            (at, r_id): replace(
                reading(0, float(number), r_id=r_id),
                dtstart=START + timedelta(seconds=at),
                unit=unit,
                duration_s=length,
                data_quality="Quality Bad - Non Specific" if bad else None,
            )
            for at, r_id, unit, number, length, bad in given_rows
        }
        await keep(store, *rows.values())
        found = await buckets(store, seconds, size=size)
    finally:
        await engine.dispose()
    got = {
        (int(each.start.timestamp()), each.r_id, each.unit or ""): (
            each.count,
            each.bad,
            each.mean,
            each.minimum,
            each.maximum,
            each.total,
            each.last,
        )
        for each in found
    }
    wanted = plain(list(rows.values()), seconds)
    assert list(got) == sorted(wanted)
    for key, figures in wanted.items():
        assert got[key] == pytest.approx(figures), key
