"""Long work in small parts, so that the one loop that serves everybody is never held for long.

Rule: a part is at most so many items; between two parts whoever waits has its turn. What is done in parts must bear
that the world moves on in between: callers take over what they need before the first part.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

PART = 50  # items of some 0.1 ms each: others wait for 5 ms


def batches(items: Sequence[Item], most: int = PART) -> Iterator[Sequence[Item]]:
    """Yield ``items`` in parts of at most ``most``, in order; nothing for none."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


async def gathered(items: Iterable[Item], most: int = PART) -> list[Item]:
    """Return what an iterable yields, giving way to others after every ``most`` items."""
    found: list[Item] = []
    for item in items:
        found.append(item)
        if len(found) % most == 0:
            await asyncio.sleep(0)
    return found


async def in_turns(items: Sequence[Item], most: int = PART) -> AsyncIterator[Sequence[Item]]:
    """Yield ``items`` in parts of at most ``most``, in order, and give way to others after each."""
    for some in batches(items, most):
        yield some
        await asyncio.sleep(0)
