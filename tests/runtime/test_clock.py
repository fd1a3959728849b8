"""The clock, its fake, and what is drawn at random."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from runtime.clock import Beat, Clock, FakeClock, SystemClock, new_id, system_draw

START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def test_the_system_clock_is_aware_and_in_utc() -> None:
    clock: Clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)


async def test_the_system_clock_sleeps_and_never_backwards() -> None:
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(-5)
    await clock.sleep(0.01)
    assert timedelta(seconds=0.005) < clock.now() - before < timedelta(seconds=5)


def test_a_fake_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(START.astimezone(timezone(timedelta(hours=9))))
    assert clock.now() == START
    assert clock.now().tzinfo is UTC
    assert clock.advance(1.5) == START + timedelta(seconds=1.5) == clock.now()


def test_a_fake_clock_goes_back_only_on_purpose() -> None:
    clock = FakeClock(START)
    with pytest.raises(ValueError, match="negative"):
        clock.advance(-1)
    assert clock.set(START - timedelta(hours=1)) == clock.now()


def test_a_fake_clock_demands_an_aware_start() -> None:
    with pytest.raises(ValueError, match="aware"):
        FakeClock(datetime(2026, 1, 15))  # noqa: DTZ001


async def test_sleepers_wake_in_order_when_their_time_has_come() -> None:
    clock, woken = FakeClock(START), list[int]()

    async def sleep(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (30, 10, 20, 0):
            group.create_task(sleep(seconds))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (woken, clock.sleepers) == ([0], 3)
        clock.advance(20)
        await asyncio.sleep(0)
        assert (woken, clock.sleepers) == ([0, 10, 20], 1)
        clock.advance(10)
    assert woken == [0, 10, 20, 30]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock(START)
    sleeper = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    clock.advance(20)
    assert clock.sleepers == 0


def test_draws_lie_in_the_half_open_interval() -> None:
    drawn = [system_draw() for _ in range(100)]
    assert all(0 <= value < 1 for value in drawn)
    assert len(set(drawn)) > 90


def test_ids_begin_with_a_letter_and_differ() -> None:
    made = {new_id("req") for _ in range(1000)}
    assert len(made) == 1000
    assert all(each.startswith("req-") for each in made)
    with pytest.raises(ValueError, match="letter"):
        new_id("1")


async def test_sleeps_of_a_beat_end_together_and_never_late() -> None:
    clock = FakeClock(START + timedelta(seconds=0.1))
    beat = Beat(clock)
    woken: list[tuple[float, float]] = []

    async def sleeper(seconds: float) -> None:
        await beat.sleep(seconds)
        woken.append((seconds, (clock.now() - START).total_seconds()))

    async with asyncio.TaskGroup() as group:
        for seconds in (0.05, 1.0, 1.04, 5.0):
            group.create_task(sleeper(seconds))
        for _ in range(60):
            await asyncio.sleep(0)
            clock.advance(0.1)
    assert beat.now() == clock.now()
    found = {seconds: at for seconds, at in woken}
    assert found[0.05] == pytest.approx(0.2)
    assert found[1.0] == found[1.04] == pytest.approx(1.0)
    assert found[5.0] == pytest.approx(5.0)
    clock.set(START)
    exact = asyncio.create_task(beat.sleep(1.0))
    await asyncio.sleep(0)
    clock.advance(1.0)
    await exact
