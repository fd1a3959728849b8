"""Work beside a connection: tasks that last no longer than what they are for.

Rule: nobody waits for a chore, so one that fails is logged; what is left when the owner closes is given up.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from runtime.logs import get_logger

_log = get_logger(__name__)


class Chores:
    """The chores of one owner; ``failed`` is what the log says of one that fails, with the charger's name."""

    def __init__(self, charger: str, failed: str) -> None:
        self._charger, self._failed = charger, failed
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` until it is done or the owner closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """Give up what is left; it has ended when this returns."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error(self._failed, charger=self._charger, exc_info=error)
