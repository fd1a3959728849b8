"""Chores end with their owner, and one that fails is logged with the charger's name."""

import asyncio

import structlog

from bridge.ocpp.chores import Chores


async def test_what_is_left_has_ended_when_the_owner_has_closed() -> None:
    chores, ended = Chores("CP-1", "link task failed"), []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("left")

    async def do() -> None:
        ended.append("done")

    done, left = chores.spawn(do()), chores.spawn(wait())
    await done
    assert ended == ["done"]
    await chores.close()
    assert ended == ["done", "left"]
    assert left.cancelled()
    await chores.close()


async def test_a_failed_chore_is_logged_and_costs_the_others_nothing() -> None:
    chores = Chores("CP-1", "link task failed")

    async def fail() -> None:
        raise RuntimeError("a fault on our side")

    failed, other = chores.spawn(fail()), chores.spawn(asyncio.sleep(0))
    with structlog.testing.capture_logs() as lines:
        await asyncio.gather(failed, other, return_exceptions=True)
        await asyncio.sleep(0)
    assert [(line["event"], line["charger"], str(line["exc_info"])) for line in lines] == [
        ("link task failed", "CP-1", "a fault on our side")
    ]
    assert other.exception() is None
    await chores.close()
