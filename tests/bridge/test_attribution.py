"""The ledger of each interval: contracted, requested, effective, metered, and who limited."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import Source
from bridge.attribution import attribute, interval_of
from bridge.store import LimitNote, Outcome, StandingLimit
from bridge.verify import OutcomeState
from tests.bridge.parts import QUICK, SimCharger, World, at, event, resource, simple

HALF_HOUR = (at(0), at(1800))
OUTCOME = Outcome(
    event_id="event-1",
    resource_id="evse-1",
    modification_number=0,
    charger="CP1",
    programme="p 1",
    state=OutcomeState.VERIFIED,
    reason="",
    limit_a=16.0,
    effective_start=at(0),
    effective_end=at(3600),
    known_at=at(0),
    updated_at=at(0),
)


def note(second: float, limit: float | None, event_id: str | None = "event-1", source: str = "event") -> LimitNote:
    return LimitNote(
        resource_id="evse-1",
        at=at(second),
        limit_a=limit,
        source=source,
        event_id=event_id,
        reason=f"{source} asks",
        losers="",
    )


def test_arb_10_a_row_sets_contracted_requested_effective_and_metered_side_by_side() -> None:
    row = attribute(OUTCOME, None, resource(contracted_kw=11.0), [note(0, 16.0)], 10_500.0, HALF_HOUR)
    assert row is not None
    assert (row.contracted_kw, row.requested_kw, row.effective_kw, row.metered_kw) == (11.0, 11.04, 11.04, 10.5)
    assert (row.source, row.by_event, row.outcome, row.reason) == ("event", "event-1", "verified", "event asks")


def test_arb_10_somebody_else_s_lower_limit_is_labelled_constrained_by() -> None:
    row = attribute(OUTCOME, None, resource(), [note(-60, 16.0), note(600, 8.0, None, "dso")], None, HALF_HOUR)
    assert row is not None
    assert (row.source, row.by_event, row.outcome) == ("dso", None, "constrained_by")
    assert row.effective_kw == pytest.approx((600 * 11.04 + 1200 * 5.52) / 1800, abs=1e-3)
    assert row.metered_kw is None


def test_arb_10_only_the_part_of_the_interval_in_which_the_event_was_in_force_counts() -> None:
    late = replace(OUTCOME, effective_start=at(900), effective_end=at(1200))
    row = attribute(late, None, resource(), [], None, HALF_HOUR)
    assert row is not None
    assert (row.start, row.end, row.source, row.effective_kw, row.reason) == (
        at(900),
        at(1200),
        "none",
        None,
        "no limit",
    )
    assert attribute(late, None, resource(), [], None, (at(1800), at(3600))) is None
    open_ended = replace(OUTCOME, effective_end=None, limit_a=None)
    row = attribute(open_ended, None, resource(), [note(0, None, None, "none")], None, HALF_HOUR)
    assert row is not None
    assert (row.requested_kw, row.end) == (None, at(1800))


def test_intervals_count_from_midnight_utc() -> None:
    assert interval_of(at(1799), 1800.0) == HALF_HOUR
    assert interval_of(at(1800), 1800.0) == (at(1800), at(3600))


async def test_arb_10_rows_are_written_when_the_half_hour_is_over_also_over_a_restart(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], settings=QUICK)
    await world.start()
    await world.publish(event(simple((3600, 2))))
    await world.step(600, every=30)
    await world.supervisor.set_standing(
        StandingLimit(
            limit_id="limit-1",
            source=Source.DSO,
            resource_id="evse-1",
            group_id=None,
            limit_a=8.0,
            limit_kw=None,
            reason="overload",
            start=world.clock.now(),
            end=None,
        )
    )
    await world.round()
    await world.step(1000, every=50)
    await world.restart()
    await world.step(260, every=20)
    (row,) = await world.store.attributions(event_id="event-1")
    assert (row.start, row.end, row.source, row.outcome) == (at(0), at(1800), "dso", "constrained_by")
    assert row.requested_kw == 11.04
    assert row.effective_kw == pytest.approx((600 * 11.04 + 1200 * 5.52) / 1800, rel=0.01)
    assert row.metered_kw is not None
    history = await world.store.limit_notes("evse-1")
    assert [(each.source, each.limit_a) for each in history] == [("dso", 8.0), ("event", 16.0)]
    assert history[0].losers == "event event-1 (16 A)"
    await world.step(2000, every=100)
    assert [each.start for each in await world.store.attributions()] == [at(0), at(1800)]
    await world.store.forget(at(10_000))
    assert await world.store.attributions() == ()
    assert len(await world.store.limit_notes("evse-1")) == 1, "what is in force now stays known"
