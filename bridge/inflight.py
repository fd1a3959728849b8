"""What is in flight: tasks that wait for somebody's answer, each under a name, so that all can be awaited or given up.

Rule: a task is kept until it has ended, also one that was overtaken by a newer one of its name; only the newest says
with ``land`` that nothing is in flight under the name any more.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class InFlight(Generic[T]):
    """Tasks by name, each with what it carries out; its length is how many names have something in flight."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[T, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # with those that were overtaken

    def __len__(self) -> int:
        return len(self._latest)

    def __contains__(self, name: str) -> bool:
        return name in self._latest

    def get(self, name: str) -> T | None:
        """Return what is in flight under a name, ``None`` for nothing."""
        found = self._latest.get(name)
        return None if found is None else found[0]

    def start(self, name: str, what: T, work: Coroutine[Any, Any, None], *, label: str) -> None:
        """Carry ``what`` out by ``work``, which ends with ``land(name)``; ``label`` names its task."""
        task = asyncio.create_task(work, name=label)
        self._latest[name] = what, task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def overtaken(self, name: str) -> bool:
        """True in a task of the name after which a newer one was started."""
        found = self._latest.get(name)
        return found is None or found[1] is not asyncio.current_task()

    def land(self, name: str) -> None:
        """Say in a task of the name that its work is done; one that was overtaken changes nothing."""
        if not self.overtaken(name):
            del self._latest[name]

    async def settle(self) -> None:
        """Wait until nothing is in flight, what is started meanwhile included."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Give up what is in flight."""
        flying = list(self._tasks)
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)
