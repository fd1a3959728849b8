"""The VTN's standing work on registrations: those that an operator cancels end also if the VEN does not answer (R407).

Rule: a round is one short transaction, and none where nothing is due; what fails is logged and tried again.
"""

from datetime import datetime
from typing import Protocol

from runtime.logs import get_logger
from vtn.services.farewell import end_overdue
from vtn.store.store import Store, Tx

ROUND_S = 5.0  # how late a registration may end
log = get_logger(__name__)


class Sleeper(Protocol):
    """The part of a clock that the loop needs."""

    def now(self) -> datetime:
        """Return the present instant."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` s have passed."""
        ...


class Farewells:
    """The rounds of one process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def round(self, now: datetime) -> None:
        """End what is overdue at ``now``."""
        while True:
            async with self._store.read() as tx:
                if not await tx.vens.overdue(now, 1):
                    return

            async def end(tx: Tx) -> tuple[str, ...]:
                return await end_overdue(tx, now)

            ended = await self._store.group.run(end)
            for ven_id in ended:
                log.warning("registration ended: the VEN has not answered oadrCancelPartyRegistration", ven_id=ven_id)
            if not ended:
                return  # another node was first

    async def run(self, clock: Sleeper) -> None:
        """Do rounds for ever."""
        while True:
            try:
                await self.round(clock.now())
            except Exception as error:
                log.warning("will be tried again", action="farewells", exc_info=error)
            await clock.sleep(ROUND_S)
