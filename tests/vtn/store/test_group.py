"""Group commit: many writers share a transaction, and none notices the others."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from openadr.errors import InvalidId
from tests.databases import open_engine
from tests.vtn.world import START, fingerprint
from vtn.store.group import MOST
from vtn.store.rows import Ven
from vtn.store.store import Store, Tx


def row(number: int) -> Ven:
    return Ven(ven_id=f"ven-{number}", fingerprint=fingerprint(number), enrolled_at=START)


def adding(*numbers: int, then: Exception | None = None) -> Callable[[Tx], Awaitable[int]]:
    """Work that enrols VENs, and then fails if told so."""

    async def work(tx: Tx) -> int:
        for number in numbers:
            await tx.vens.add(row(number))
        if then is not None:
            raise then
        return numbers[0]

    return work


async def known(store: Store) -> list[str]:
    async with store.read() as tx:
        return [each.ven_id for each in await tx.vens.page()]


def heard(store: Store) -> list[frozenset[str]]:
    """What listeners are told, one entry a commit."""
    told: list[frozenset[str]] = []
    store.listen(told.append)
    return told


async def test_work_that_comes_together_is_one_commit(store: Store) -> None:
    told = heard(store)
    counter = await store.changes()
    numbers = range(1, MOST + 11)
    answers = await asyncio.gather(*(store.group.run(adding(number)) for number in numbers))
    assert answers == list(numbers)
    assert [len(each) for each in told] == [MOST, 10]
    assert await store.changes() - counter == store.announced == 2


async def test_it_is_answered_after_the_commit(store: Store, database_url: str) -> None:
    async with open_engine(database_url) as engine:
        other = Store(engine)

        async def one(number: int) -> bool:
            await store.group.run(adding(number))
            return f"ven-{number}" in await known(other)

        assert all(await asyncio.gather(*map(one, range(1, 9))))
        assert await one(9)


async def test_work_that_refuses_is_undone_for_itself_alone(store: Store) -> None:
    told = heard(store)
    refusal = InvalidId("no", field="venID")
    answers = await asyncio.gather(
        store.group.run(adding(1)),
        store.group.run(adding(2, 3, then=refusal)),
        store.group.run(adding(4, 1)),  # the second is there already
        store.group.run(adding(5)),
        return_exceptions=True,
    )
    assert (answers[0], answers[3]) == (1, 5)
    assert answers[1] is refusal
    assert isinstance(answers[2], IntegrityError)
    assert await known(store) == ["ven-1", "ven-5"]
    assert told == [frozenset({"ven-1", "ven-5"})]


async def test_single_work_that_fails_leaves_nothing(store: Store) -> None:
    told = heard(store)
    with pytest.raises(InvalidId):
        await store.group.run(adding(1, then=InvalidId("no", field="venID")))
    assert (await known(store), told) == ([], [])
    assert await store.group.run(adding(1)) == 1


async def test_later_work_sees_what_earlier_work_of_its_group_did(store: Store) -> None:
    async def look(tx: Tx) -> list[str]:
        return [each.ven_id for each in await tx.vens.page()]

    results = await asyncio.gather(
        store.group.run(adding(1)),
        store.group.run(look),
        store.group.run(adding(2, then=InvalidId("no", field="venID"))),
        store.group.run(look),
        return_exceptions=True,
    )
    assert (results[1], results[3]) == (["ven-1"], ["ven-1"])


async def test_who_gives_up_before_the_turn_is_left_out(store: Store) -> None:
    first = asyncio.create_task(store.group.run(adding(1)))
    second = asyncio.create_task(store.group.run(adding(2)))
    third = asyncio.create_task(store.group.run(adding(3)))
    await asyncio.sleep(0)  # all wait, none has begun
    second.cancel()
    assert list(await asyncio.gather(first, third)) == [1, 3]
    await asyncio.wait([second])
    assert second.cancelled()
    assert await known(store) == ["ven-1", "ven-3"]


async def test_a_group_that_loses_its_connection_is_done_one_by_one(store: Store) -> None:
    lost = 0

    async def losing(tx: Tx) -> int:
        nonlocal lost
        lost += 1
        await tx.vens.add(row(2))
        if lost == 1:
            await tx.connection.invalidate()
        return 2

    answers = await asyncio.gather(
        store.group.run(adding(1)), store.group.run(losing), store.group.run(adding(3)), return_exceptions=True
    )
    assert (list(answers), lost) == ([1, 2, 3], 2)
    assert await known(store) == ["ven-1", "ven-2", "ven-3"]


async def test_what_is_cancelled_with_the_loop_leaves_nobody_waiting(store: Store) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    async def waiting(_tx: Tx) -> None:
        begun.set()
        await never.wait()

    tasks = [asyncio.create_task(store.group.run(waiting)) for _ in range(2)]
    await begun.wait()
    late = asyncio.create_task(store.group.run(adding(1)))  # for the next group
    await asyncio.sleep(0)
    (committing,) = (each for each in asyncio.all_tasks() if each.get_name() == "group commit")
    committing.cancel()
    outcomes = await asyncio.gather(*tasks, late, return_exceptions=True)
    assert [type(each) for each in outcomes] == [asyncio.CancelledError] * 3
    assert await store.group.run(adding(2)) == 2
    assert await known(store) == ["ven-2"]


async def test_work_that_another_process_locks_out_does_not_hold_up_the_rest(store: Store) -> None:
    if store.engine.dialect.name != "postgresql":
        return  # on SQLite there is one writer at a time
    await store.group.run(adding(1, 2))

    def naming(number: int) -> Callable[[Tx], Awaitable[int]]:
        async def work(tx: Tx) -> int:
            await tx.vens.update(f"ven-{number}", ven_name="named")
            return number

        return work

    async with store.engine.begin() as other:
        await other.execute(text("SELECT 1 FROM ven WHERE ven_id = 'ven-1' FOR UPDATE"))
        locked = asyncio.create_task(store.group.run(naming(1)))
        free = asyncio.create_task(store.group.run(naming(2)))
        assert await free == 2
        alone = asyncio.create_task(store.group.run(naming(1)))
        assert await store.group.run(naming(2)) == 2
        assert not locked.done()
    assert list(await asyncio.gather(locked, alone)) == [1, 1]
