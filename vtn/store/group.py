"""Group commit: the write transactions of many requests joined into one, each answered after it is on disk.

Rule: a piece of work sees and changes the database as if it had a transaction of its own: one after the other, each
behind a savepoint, and what one refuses or breaks is undone for that one alone. Nothing is answered before the commit.
Work waits for no timer: what comes while a group commits makes up the next one. Work may be run again, so it changes
nothing but the database.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text

from runtime.database import is_transient

if TYPE_CHECKING:
    from vtn.store.store import Store, Tx

MOST = 64  # pieces of work in one transaction: it lasts some 50 ms at most, and the first of them waits for the last
ATTEMPTS = 3  # of a transaction of its own that deadlocked or lost its connection
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '500ms'")  # who waits longer for another process waits alone
T = TypeVar("T")


class _Piece:
    """One piece of work and where its outcome goes."""

    __slots__ = ("outcome", "work")

    def __init__(self, work: Callable[["Tx"], Awaitable[Any]]) -> None:
        self.work = work
        self.outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, value: Any, error: BaseException | None = None) -> None:
        """Give the outcome to whoever still waits for it."""
        if self.outcome.done():
            return
        if error is None:
            self.outcome.set_result(value)
        else:
            self.outcome.set_exception(error)


class Group:
    """Write transactions of one process, joined."""

    def __init__(self, store: "Store", *, most: int = MOST) -> None:
        self._store = store
        self._most = most
        self._waits_for_others = store.engine.dialect.name == "postgresql"
        self._waiting: deque[_Piece] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._alone: set[asyncio.Task[None]] = set()

    async def run(self, work: Callable[["Tx"], Awaitable[T]]) -> T:
        """Return what ``work`` returns, once it is committed, or raise what it raises, once it is undone.

        Work of a caller that gives up before its turn is left out; after that it is done all the same.
        """
        piece = _Piece(work)
        self._waiting.append(piece)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit(), name="group commit")
        outcome: T = await piece.outcome
        return outcome

    async def _commit(self) -> None:
        """Commit group after group until nothing waits."""
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
                group = [each for each in group if not each.outcome.done()]
                again = await (self._together(group) if len(group) > 1 else self._single(group))
                for piece in again:
                    task = asyncio.create_task(self._by_itself(piece), name="commit")
                    self._alone.add(task)
                    task.add_done_callback(self._alone.discard)
        finally:
            self._committing = None
            for piece in self._waiting:  # only if this task was cancelled
                piece.outcome.cancel()
            self._waiting.clear()

    async def _together(self, group: list[_Piece]) -> list[_Piece]:
        """Run a group in one transaction; return those that it fails for."""
        done: list[tuple[_Piece, Any, Exception | None]] = []
        again: list[_Piece] = []
        try:
            async with self._hasty() as tx:
                for piece in group:
                    try:
                        async with tx.part() as part:
                            done.append((piece, await piece.work(part), None))
                    except Exception as error:
                        if is_transient(error):
                            again.append(piece)
                        else:
                            done.append((piece, None, error))
        except Exception:  # the transaction as a whole: nothing of it counts
            return group
        except BaseException:
            _give_up(group)
            raise
        for piece, value, failure in done:
            piece.settle(value, failure)
        return again

    async def _single(self, group: list[_Piece]) -> list[_Piece]:
        """Run a group of one, or none, without a savepoint; return those that it fails for."""
        for piece in group:
            try:
                async with self._hasty() as tx:
                    value = await piece.work(tx)
            except Exception as error:
                if is_transient(error):
                    return group
                piece.settle(None, error)
            except BaseException:
                _give_up(group)
                raise
            else:
                piece.settle(value)
        return []

    @asynccontextmanager
    async def _hasty(self) -> AsyncIterator["Tx"]:
        """Open a transaction that does not wait long for other processes, because others wait for it."""
        async with self._store.write() as tx:
            if self._waits_for_others:
                await tx.connection.execute(_LOCK_TIMEOUT)
            yield tx

    async def _by_itself(self, piece: _Piece) -> None:
        """Run one piece in a transaction of its own, again if the database gave it up for another one."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._store.write() as tx:
                    value = await piece.work(tx)
            except Exception as error:
                if attempt == ATTEMPTS or not is_transient(error):
                    piece.settle(None, error)
                    return
            except BaseException:
                _give_up([piece])
                raise
            else:
                piece.settle(value)
                return


def _give_up(group: list[_Piece]) -> None:
    for piece in group:
        piece.outcome.cancel()
