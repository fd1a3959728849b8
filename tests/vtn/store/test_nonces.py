"""Nonces on both databases: each is taken once, many at a time, and forgotten by their instant in batches."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from openadr.errors import Replayed
from openadr.wire.replay import UsedNonce
from runtime.clock import FakeClock
from tests.vtn.world import START, fingerprint
from vtn.replays import FORGET_AT_ONCE, FORGET_S, Replays
from vtn.store.nonces import take_at_once
from vtn.store.store import Store
from vtn.store.tables import nonce as table


def used(nonce: str, *, by: int = 1, until: datetime = START) -> UsedNonce:
    return UsedNonce(fingerprint=fingerprint(by), nonce=nonce, forget_after=until)


async def count(store: Store) -> int:
    async with store.read() as tx:
        return int((await tx.connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_rule_514_sec_06_a_nonce_is_taken_once_by_each_signer(store: Store) -> None:
    async with store.write() as tx:
        await tx.nonces.use(used("a"))
        await tx.nonces.use(used("a", by=2))
        with pytest.raises(Replayed):
            await tx.nonces.use(used("a", until=START + timedelta(days=1)))
    with pytest.raises(Replayed):
        async with store.write() as tx:
            await tx.nonces.use(used("a"))


async def test_rule_514_a_nonce_of_a_transaction_that_is_undone_is_not_taken(store: Store) -> None:
    with suppress(LookupError):
        async with store.write() as tx:
            await tx.nonces.use(used("a"))
            raise LookupError
    async with store.write() as tx:
        await tx.nonces.use(used("a"))


async def test_rule_514_many_are_taken_at_once_and_both_ways_write_the_same(store: Store) -> None:
    odd = "x" * 200 + " \" ' é ✓ \\ \n"
    key = fingerprint(1)
    assert await take_at_once(store.engine, [used("a"), used(odd)]) == {(key, "a"), (key, odd)}
    async with store.write() as tx:
        assert await tx.nonces.take([used(odd), used("b"), used("a")]) == {(key, "b")}
    assert await take_at_once(store.engine, [used("b"), used("c")]) == {(key, "c")}
    async with store.read() as tx:
        assert set((await tx.connection.execute(select(table.c.forget_after))).scalars()) == {START}


async def test_rule_514_who_asks_at_the_same_time_is_let_in_once(store: Store) -> None:
    replays, other = Replays(store), Replays(store)

    async def ask(by: Replays, name: str) -> bool:
        try:
            await by.use(used(name))
        except Replayed:
            return False
        return True

    names = [f"n{index}" for index in range(30)]
    answers = await asyncio.gather(*(ask(by, name) for name in names for by in (replays, replays, other)))
    assert sum(answers) == 30
    assert all(sum(answers[index : index + 3]) == 1 for index in range(0, 90, 3))


async def test_nonces_are_forgotten_oldest_first_and_in_batches(store: Store) -> None:
    rows = [used(f"n{index}", until=START + timedelta(seconds=index)) for index in range(50)]
    await take_at_once(store.engine, rows)
    async with store.write() as tx:
        assert await tx.nonces.forget(START + timedelta(seconds=40), 30) == 30
    assert await take_at_once(store.engine, [rows[29]]) != frozenset()
    assert await take_at_once(store.engine, [rows[30]]) == frozenset()
    assert await Replays(store).forget(START + timedelta(seconds=1000)) == 21


async def test_more_than_a_batch_is_forgotten_and_faults_do_not_end_it(store: Store) -> None:
    replays, clock = Replays(store), FakeClock(START)
    await take_at_once(store.engine, [used(f"n{index}") for index in range(FORGET_AT_ONCE + 5)])
    task = asyncio.create_task(replays.forget_on(clock))
    async with asyncio.timeout(30):
        while await count(store):
            if clock.sleepers:
                clock.advance(FORGET_S)
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_cannot_be_written_is_not_let_in(store: Store) -> None:
    replays = Replays(store)
    async with store.write() as tx:
        await tx.connection.run_sync(table.drop)
    with pytest.raises(Exception, match="nonce") as caught:
        await replays.use(used("a"))
    assert not isinstance(caught.value, Replayed)
    assert isinstance(caught.value, SQLAlchemyError) or "no such table" in str(caught.value)
    clock = FakeClock(START)
    task = asyncio.create_task(replays.forget_on(clock))
    async with asyncio.timeout(60):
        for _ in range(3):
            while not clock.sleepers:
                await asyncio.sleep(0.001)
            clock.advance(FORGET_S)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
