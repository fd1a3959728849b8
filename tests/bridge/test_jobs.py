"""Housekeeping: the jobs by a stepped clock, and the scheduler that runs them."""

import asyncio
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.jobs import Housekeeper, Job, Keeping, jobs
from bridge.rollup import RollUp
from runtime.clock import SystemClock
from tests.bridge.parts import T0, SimCharger, World


async def test_tel_07_the_jobs_roll_up_and_forget_by_the_time_they_are_given(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", demand_a=10.0)])
    await world.start()
    await world.step(7320, every=60)
    await world.supervisor.flush()
    todo = jobs(
        world.store,
        RollUp(world.store, ["CP1"]),
        Keeping(readings_s=3600, half_hours_s=5400),
    )
    assert [(job.name, job.every_s) for job in todo] == [("half-hours", 60), ("prune", 3600)]
    for job in todo:
        await job.run(world.clock.now())
        await job.run(world.clock.now())
    oldest = await world.store.oldest_reading()
    assert oldest is not None
    assert (world.clock.now() - oldest).total_seconds() <= 3600
    left = await world.store.half_hours(["CP1"], T0, world.clock.now())
    assert [(row.start - T0).total_seconds() for row in left] == [3600, 5400]


async def test_the_scheduler_runs_each_job_at_once_and_a_fault_of_one_stops_nobody() -> None:
    ran, seen = asyncio.Event(), list[datetime]()

    async def good(now: datetime) -> None:
        seen.append(now)
        ran.set()

    async def bad(_now: datetime) -> None:
        raise RuntimeError("no database")

    with structlog.testing.capture_logs() as lines:
        keeper = Housekeeper(
            (Job(name="bad", every_s=3600, run=bad), Job(name="good", every_s=3600, run=good)), SystemClock()
        )
        await keeper.start()
        async with asyncio.timeout(20):
            await ran.wait()
        await keeper.stop()
        await keeper.stop()
    assert len(seen) == 1
    assert [line["job"] for line in lines if line["event"] == "job failed"] == ["bad"]


async def test_a_run_under_way_has_ended_when_the_housekeeper_has() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def long(_now: datetime) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # as a transaction that is rolled back
            ended.set()

    keeper = Housekeeper((Job(name="long", every_s=60, run=long),), SystemClock())
    await keeper.start()
    async with asyncio.timeout(60):
        await begun.wait()
    await keeper.stop()
    assert ended.is_set()
