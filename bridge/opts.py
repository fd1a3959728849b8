"""What is told upstream about each resource: opt out when it cannot or will not take part, opt in again when it does.

Rule: once per (event, resource, state) (VEN-07, VEN-11); the charger always comes first and the report follows,
durable and asynchronous (VEN-08); the message and the note that it was told are one transaction. Resources with the
same news share one oadrCreateOpt. Nothing is told of a resource that takes part from the beginning: the VEN's
oadrCreatedEvent has said so.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.eventplans import Refused
from bridge.store import BridgeStore, Changes, OptTold, Outcome
from bridge.store.records import Phase
from bridge.verify import SETTLED, OutcomeState
from openadr.errors import InvalidId, NotRegistered
from openadr.model import OptReason, OptType
from runtime.logs import get_logger
from ven.opts import EventOpt
from ven.state import Beside

log = get_logger(__name__)

_REFUSED = OptReason.NOT_PARTICIPATING
_OUT: Mapping[OutcomeState, OptReason] = {
    OutcomeState.FAILED: OptReason.NOT_PARTICIPATING,
    OutcomeState.UNRESPONSIVE: OptReason.OUTAGE_RUN_STATUS,
    OutcomeState.OPTED_OUT: OptReason.OVERRIDE_STATUS,
}


class OptSink(Protocol):
    """Where opts go: the VEN's durable outbox."""

    async def opt(self, asked: EventOpt, now: datetime, beside: Beside[str]) -> str:
        """Put one oadrCreateOpt into the outbox and ``beside`` with it, in one transaction; return its optID."""
        ...


def wanted(outcome: Outcome) -> tuple[OptType, OptReason] | None:
    """Return the opt that an outcome means, ``None`` if it says nothing about taking part."""
    if outcome.state in _OUT:
        return OptType.OPT_OUT, _OUT[outcome.state]
    if outcome.state in SETTLED:
        return OptType.OPT_IN, OptReason.PARTICIPATING
    return None


def news(outcomes: Iterable[Outcome], told: Mapping[tuple[str, str], OptTold]) -> tuple[EventOpt, ...]:
    """Return what has not been told yet, grouped by event and kind; closed outcomes say nothing more."""
    groups: dict[tuple[str, int, OptType, OptReason], list[str]] = {}
    for outcome in outcomes:
        want = wanted(outcome)
        if want is None or outcome.phase is Phase.CLOSED:
            continue
        last = told.get((outcome.event_id, outcome.resource_id))
        if last is None and want[0] is OptType.OPT_IN:
            continue
        if last is not None and (last.opt_type, last.reason) == (want[0].value, want[1].value):
            continue
        groups.setdefault((outcome.event_id, outcome.modification_number, *want), []).append(outcome.resource_id)
    return tuple(
        EventOpt(event_id=event, modification_number=number, opt_type=kind, reason=why.value, resource_ids=tuple(names))
        for (event, number, kind, why), names in groups.items()
    )


def refusals(refused: Iterable[Refused], told: Mapping[tuple[str, str], OptTold]) -> tuple[EventOpt, ...]:
    """Return what has not been told yet of resources that take no part in an event in which others do (VEN-11)."""
    groups: dict[tuple[str, int], list[str]] = {}
    for each in refused:
        last = told.get((each.event_id, each.resource_id))
        if last is None or (last.opt_type, last.reason) != (OptType.OPT_OUT.value, _REFUSED.value):
            groups.setdefault((each.event_id, each.modification_number), []).append(each.resource_id)
    return tuple(
        EventOpt(
            event_id=event,
            modification_number=number,
            opt_type=OptType.OPT_OUT,
            reason=_REFUSED.value,
            resource_ids=tuple(names),
        )
        for (event, number), names in groups.items()
    )


class OptReporter:
    """Tells the news and remembers what was told."""

    def __init__(self, sink: OptSink, store: BridgeStore) -> None:
        self._sink, self._store = sink, store
        self.told: dict[tuple[str, str], OptTold] = {}
        self._read: set[str] = set()  # events whose rows are in ``told``
        self._waits = False  # there is news and no registration to tell it under; said once
        self.behind = True  # something may be untold: at first, and after a call that failed

    async def report(self, outcomes: Iterable[Outcome], now: datetime, events: Iterable[str] | None = None) -> int:
        """Tell what is new; return how many messages. A failure is logged and tried again at the next call.

        ``events`` names all that may still change; ``None``: those of ``outcomes``.
        """
        outcomes, self.behind = tuple(outcomes), True
        await self._recall({outcome.event_id for outcome in outcomes} if events is None else set(events))
        sent, told = await self._tell_all(news(outcomes, self.told), now)
        self.behind = not told
        return sent

    async def refuse(self, refused: Sequence[Refused], now: datetime, events: Iterable[str]) -> int:
        """Tell of resources that take no part; return how many messages. What fails is tried at the next call."""
        await self._recall({*events, *(each.event_id for each in refused)})
        for each in (each for each in refused if (each.event_id, each.resource_id) not in self.told):
            log.info("takes no part", event_id=each.event_id, resource=each.resource_id, why=each.reason)
        return (await self._tell_all(refusals(refused, self.told), now))[0]

    async def _tell_all(self, items: Iterable[EventOpt], now: datetime) -> tuple[int, bool]:
        """Tell one after the other; return how many were, and whether all were."""
        sent = 0
        for item in items:
            try:
                rows = await self._tell(item, now)
            except NotRegistered:
                if not self._waits:
                    log.warning("opts wait for the registration", event_id=item.event_id, resources=item.resource_ids)
                self._waits = True
                return sent, False
            except Exception as error:
                log.error("opt not queued", event_id=item.event_id, resources=item.resource_ids, exc_info=error)
                self._read.clear()  # nobody knows whether it counts: read what is so before the next try
                return sent, False
            self._waits = False
            self.told |= {(row.event_id, row.resource_id): row for row in rows}
            log.info(
                "opt queued" if rows[0].opt_id else "opt settled",
                event_id=item.event_id,
                opt=item.opt_type.value,
                reason=item.reason,
                resources=item.resource_ids,
                opt_id=rows[0].opt_id,
            )
            sent += 1
        return sent, True

    async def _recall(self, events: set[str]) -> None:
        """Keep in memory what was told about ``events``, and nothing else."""
        if events == self._read:
            return
        if unread := events - self._read:
            self.told |= await self._store.opts(unread)
        self.told = {key: row for key, row in self.told.items() if key[0] in events}
        self._read = events

    async def _tell(self, item: EventOpt, now: datetime) -> tuple[OptTold, ...]:
        async def note(connection: AsyncConnection, opt_id: str) -> None:
            await self._store.write_in(connection, Changes(opts=_rows(item, opt_id, now)))

        try:
            opt_id = await self._sink.opt(item, now, note)
        except InvalidId as error:  # the VEN has let the event go: nobody is left to be told
            log.info("opt not told", event_id=item.event_id, why=error.description)
            opt_id = ""
            await self._store.write(Changes(opts=_rows(item, opt_id, now)))
        return _rows(item, opt_id, now)


def _rows(item: EventOpt, opt_id: str, now: datetime) -> tuple[OptTold, ...]:
    return tuple(
        OptTold(
            event_id=item.event_id,
            resource_id=resource_id,
            opt_type=item.opt_type.value,
            reason=item.reason,
            opt_id=opt_id,
            at=now,
        )
        for resource_id in item.resource_ids
    )
