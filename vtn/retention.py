"""The loop that removes what is past, so that the database stays bounded.

Rule: a batch at a time with a pause after each, so that pruning years takes hours and never a VEN's turn. What went is
one line of log a round.
"""

from collections.abc import Mapping

from runtime.clock import Clock
from runtime.logs import get_logger
from vtn.store.retention import PAST, Age, limits, prune
from vtn.store.store import Store

FIRST_S = 60.0  # after a start: a process that is restarted often prunes too
EVERY_S = 3_600.0
PAUSE_S = 0.2  # between batches
MOST = 20_000  # batches a round; what is left goes in the next
log = get_logger(__name__)


class Retention:
    """Prunes for ever; one per process, and of several on one database each does its share."""

    def __init__(self, store: Store, days: Mapping[Age, int]) -> None:
        self._store = store
        self._days = days

    async def run(self, clock: Clock) -> None:
        """Prune soon after the start and then every hour."""
        await clock.sleep(FIRST_S)
        while True:
            try:
                await self.once(clock)
            except Exception as error:
                log.warning("pruning will be tried again", exc_info=error)
            await clock.sleep(EVERY_S)

    async def once(self, clock: Clock) -> dict[str, int]:
        """Remove everything that is past; return how many rows of which table went."""
        before = limits(self._days, clock.now())
        gone: dict[str, int] = {}
        for past in PAST:
            for _ in range(MOST):
                count = await prune(self._store, past, before[past.age])
                if count:
                    gone[past.table.name] = gone.get(past.table.name, 0) + count
                if count < past.batch:
                    break
                await clock.sleep(PAUSE_S)
        if gone:
            log.info("pruned", rows=gone)
        return gone
