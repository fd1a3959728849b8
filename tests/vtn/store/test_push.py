"""The push rows on both databases: due, leases, failures, news that come in between."""

from datetime import timedelta

import pytest

from tests.vtn.world import START, fingerprint
from vtn.store.push import Backlog
from vtn.store.rows import Ven
from vtn.store.store import Store

LATER = START + timedelta(minutes=1)


@pytest.fixture
async def filled(store: Store) -> Store:
    """Return a store with three VENs that are pushed to and one that is not."""
    async with store.write() as tx:
        for number in range(1, 5):
            name = f"ven-{number}"
            await tx.vens.add(Ven(ven_id=name, fingerprint=fingerprint(number), enrolled_at=START))
            if number < 4:
                await tx.push.enlist(name, START)
    return store


async def claim(store: Store, owner: str = "a", *, failing: bool = False, limit: int = 9) -> tuple[str, ...]:
    async with store.write() as tx:
        return await tx.push.claim(owner, START, LATER, failing=failing, limit=limit)


async def test_what_is_claimed_is_claimed_once_until_the_lease_ends(filled: Store) -> None:
    assert await claim(filled, limit=2) == ("ven-1", "ven-2")
    assert await claim(filled, "b") == ("ven-3",)
    assert await claim(filled, "b") == ()
    assert not await filled.push_due(START)
    assert await filled.push_due(LATER)
    async with filled.write() as tx:
        assert await tx.push.renew("ven-1", "a", LATER)
        assert not await tx.push.renew("ven-3", "a", LATER)
        assert await tx.push.claim("b", LATER, LATER, failing=False, limit=9) == ("ven-1", "ven-2", "ven-3")
        assert not await tx.push.renew("ven-1", "a", LATER)
        await tx.push.release_all("b")
    assert len(await claim(filled, "c")) == 3


async def test_news_that_come_during_a_turn_are_not_overlooked(filled: Store) -> None:
    await claim(filled)
    async with filled.write() as tx:
        states = await tx.push.states(("ven-1", "ven-4"))
    assert set(states) == {"ven-1"}
    seen = states["ven-1"].news
    async with filled.write() as tx:
        await tx.push.news(("ven-4", "ven-1"))
    async with filled.write() as tx:
        await tx.push.release("ven-1", "a", seen, None)
        await tx.push.release("ven-2", "a", (await tx.push.states(("ven-2",)))["ven-2"].news, None)
        await tx.push.release("ven-3", "b", 0, None)  # not its lease
    assert await claim(filled) == ("ven-1",)


async def test_failures_put_off_and_give_up_and_being_heard_of_revives(filled: Store) -> None:
    await claim(filled)
    async with filled.write() as tx:
        seen = {name: state.news for name, state in (await tx.push.states(("ven-1", "ven-2"))).items()}
        await tx.push.failed("ven-1", "a", START, "x" * 5000, seen=seen["ven-1"], not_before=LATER)
        await tx.push.failed("ven-2", "a", START, "gone", seen=seen["ven-2"], not_before=None)
        assert await tx.push.backlog(START) == Backlog(vens=3, waiting=2, failing=2)
    assert await claim(filled, failing=True) == ()
    async with filled.write() as tx:
        assert await tx.push.claim("a", LATER, LATER, failing=True, limit=9) == ("ven-1",)
        assert await tx.push.revive() == 0
        await tx.vens.seen({fingerprint(2): LATER})
        assert await tx.push.revive() == 1
        assert await tx.push.claim("a", LATER, LATER, failing=False, limit=1) == ("ven-2",)
        await tx.push.succeeded("ven-1", LATER)
        assert (await tx.push.backlog(LATER)).failing == 0


async def test_enlisting_again_keeps_the_lease_and_removing_ends_it(filled: Store) -> None:
    await claim(filled)
    async with filled.write() as tx:
        await tx.push.enlist("ven-1", START)
        assert await tx.push.renew("ven-1", "a", LATER)
        await tx.push.remove("ven-1")
        assert not await tx.push.renew("ven-1", "a", LATER)
        assert "ven-1" not in await tx.push.states(("ven-1",))
    async with filled.write() as tx:
        await tx.push.release_all(None)
    assert await claim(filled) == ("ven-2", "ven-3")
