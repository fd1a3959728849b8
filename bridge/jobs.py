"""The bridge's periodic housekeeping, on APScheduler: half-hours, and what has been kept long enough.

Rule: a job is a plain ``async def job(now)`` that looks into the store and does what is due, so that a missed, late or
repeated run changes nothing: the store is the truth, the scheduler keeps its jobs in memory only. One run of a job at a
time; runs that were missed are one run. Tests call the jobs with a stepped clock.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bridge.rollup import RollUp
from bridge.store import BridgeStore
from runtime.clock import Clock
from runtime.logs import bound_reference, get_logger

log = get_logger(__name__)

GRACE_S = 300  # a run that is late by less still takes place


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job: its name, how often it runs in s, and what it does."""

    name: str
    every_s: float
    run: Callable[[datetime], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long things are kept, s."""

    readings_s: float = 7 * 86_400.0  # with the commands
    outcomes_s: float = 400 * 86_400.0  # closed ones, with what belongs to them
    half_hours_s: float = 760 * 86_400.0  # 25 months


def jobs(store: BridgeStore, roll_up: RollUp, keeping: Keeping) -> tuple[Job, ...]:
    """Return the bridge's jobs."""

    async def prune(now: datetime) -> None:
        await store.prune(now - timedelta(seconds=keeping.readings_s))
        await store.forget(now - timedelta(seconds=keeping.outcomes_s))
        await store.forget_half_hours(now - timedelta(seconds=keeping.half_hours_s))

    return (
        Job(name="half-hours", every_s=60, run=roll_up.run),
        Job(name="prune", every_s=3600, run=prune),
    )


class Housekeeper:
    """Runs jobs at their intervals, the first time at once; a fault of one is logged and met again at its next run."""

    def __init__(self, todo: tuple[Job, ...], clock: Clock) -> None:
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        for job in todo:
            self._scheduler.add_job(
                self._guarded,
                "interval",
                (job,),
                id=job.name,
                seconds=job.every_s,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=GRACE_S,
                next_run_time=clock.now(),
            )

    async def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    async def stop(self) -> None:
        """End; a run under way is given up: doing it again is harmless. It has let go of the database after this."""
        running = tuple(self._running)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _guarded(self, job: Job) -> None:
        this = asyncio.current_task()
        if this is not None:
            self._running.add(this)
            this.add_done_callback(self._running.discard)
        with bound_reference():
            try:
                await job.run(self._clock.now())
            except Exception as error:
                log.error("job failed", job=job.name, exc_info=error)
