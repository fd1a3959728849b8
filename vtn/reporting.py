"""The VTN's standing work on reports: late ones are noticed, missing METADATA is asked for, our own reports go out.

Rule: a round is a few short transactions; what fails is logged and tried again in the next round. Two nodes on one
database share the work: a row that one looks at is skipped by the other.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from runtime.logs import get_logger
from vtn.metrics import ReportMetrics
from vtn.services import ownreports, reports
from vtn.services.context import Desk
from vtn.store.rows import RequestState
from vtn.store.store import Store, Tx

ROUND_S = 1.0  # the shortest granularity of our own reports is ten times that
COUNT_S = 15.0  # how old the figures of the metrics may be
TOGETHER = 100  # requests in one transaction
log = get_logger(__name__)


class Sleeper(Protocol):
    """The part of a clock that the loop needs."""

    def now(self) -> datetime:
        """Return the present instant."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when ``seconds`` s have passed."""
        ...


class Reporting:
    """The rounds of one process."""

    def __init__(self, store: Store, desk: Desk, metrics: ReportMetrics, since: datetime | None = None) -> None:
        """Take ``since`` if METADATA from before is to be asked for again."""
        self._store = store
        self._desk = desk
        self._metrics = metrics
        self._since = since
        self._counted: datetime | None = None

    async def round(self, now: datetime) -> None:
        """Do what is due at ``now``; the database is written to only if there is something."""
        patience = timedelta(seconds=self._desk.reports.metadata_s)
        late, missing, due = await self._store.reports_due(now, now - patience, self._since)
        for wanted, step in ((late, self._judge), (missing, self._ask), (due, self._deliver)):
            if wanted:
                await self._drain(step, now)
        if self._counted is None or abs((now - self._counted).total_seconds()) >= COUNT_S:
            await self._count()
            self._counted = now

    async def _drain(self, step: Callable[[Tx, datetime], Awaitable[int]], now: datetime) -> None:
        """Repeat a step as long as it finds as much as one transaction takes."""
        done = TOGETHER
        while done >= TOGETHER:
            async with self._store.write() as tx:
                done = await step(tx, now)

    async def _judge(self, tx: Tx, now: datetime) -> int:
        looked, changed = await reports.look_after(tx, now, self._desk, TOGETHER)
        for row, state in changed:
            facts = {"ven_id": row.ven_id, "report_request_id": row.report_request_id, "report_name": row.report_name}
            if state is RequestState.OVERDUE:
                self._metrics.missed.inc()
                log.warning("report overdue", **facts, last_data_at=row.last_data_at)
            else:
                log.info("report request ended", **facts, state=str(state))
        return looked

    async def _ask(self, tx: Tx, now: datetime) -> int:
        ven_ids = await reports.ask_for_missing(tx, now, self._desk, self._since, TOGETHER)
        for ven_id in ven_ids:
            log.info("asked for METADATA", ven_id=ven_id)
        return len(ven_ids)

    async def _deliver(self, tx: Tx, now: datetime) -> int:
        return TOGETHER if await ownreports.deliver_due(tx, now, self._desk) >= ownreports.TOGETHER else 0

    async def _count(self) -> None:
        async with self._store.read() as tx:
            found = await tx.reports.states()
        for state in RequestState:
            if state.open:
                self._metrics.requests.labels(str(state)).set(found.get(str(state), 0))

    async def run(self, clock: Sleeper) -> None:
        """Do rounds for ever."""
        while True:
            try:
                await self.round(clock.now())
            except Exception as error:
                log.warning("will be tried again", action="reports", exc_info=error)
            await clock.sleep(ROUND_S)
