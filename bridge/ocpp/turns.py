"""Whose CALL goes next on one connection: one at a time, the most urgent first.

Rule: a turn that is given to a waiter who was cancelled in the same breath is handed on; no turn is ever lost.
"""

import asyncio
import heapq

URGENT, NORMAL = 0, 1  # a limit overtakes housekeeping that waits for its turn


class Turns:
    """A lock that is given to the most urgent waiter, in order of arrival among equals."""

    def __init__(self) -> None:
        self._held = False
        self._count = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    async def acquire(self, priority: int) -> None:
        """Wait for the turn."""
        if not self._held:
            self._held = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waiting, (priority, self._count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # given and cancelled in the same breath: hand it on
                self.release()
            raise

    def release(self) -> None:
        """Give the turn to the next."""
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._held = False
