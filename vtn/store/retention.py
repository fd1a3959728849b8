"""What is pruned: for each table which rows are past, and their removal a bounded batch at a time.

Rule: only what is over goes, never what still has an effect: an event that may be in a payload, a payload that waits
for its answer, an opt that still counts. Past rows are looked for in a transaction that does not write.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Table, and_, delete, exists, or_, select, tuple_

from vtn.store.report_tables import data_point, own_report, report_document, report_request, telemetry, telemetry_latest
from vtn.store.store import Store
from vtn.store.tables import event, handout, idempotency, opt, outbound, payload_event

BATCH = 500  # rows removed in one transaction: some 10 ms of the one writer that SQLite has


class Age(StrEnum):
    """The ages an operator sets, in days."""

    TELEMETRY = "telemetry"
    EVENTS = "events"
    DELIVERIES = "deliveries"
    QUEUE = "queue"
    IDEMPOTENCY = "idempotency"


@dataclass(frozen=True, slots=True)
class _Past:
    """Rows of a table that are past at an instant."""

    table: Table
    age: Age
    batch: int = BATCH

    def rows(self, before: datetime) -> ColumnElement[bool]:
        """Return the condition: past for all that matters, and not of interest since ``before``."""
        columns = self.table.c
        match self.table.name:
            case "telemetry" | "telemetry_latest":  # rIDs that a VEN no longer uses go, too
                return columns.dtstart < before
            case "data_point":  # no value of it is left, and none is taken without the request
                return ~exists().where(telemetry.c.point_id == columns.id) & ~exists().where(
                    report_request.c.report_request_id == columns.report_request_id
                )
            case "report_document":
                return columns.received_at < before
            case "event":  # an open-ended one stays until it is cancelled
                return and_(columns.payload_end < before, columns.modified_at < before)
            case "opt":
                return and_(columns.received_at < before, _over(before))
            case "report_request" | "own_report":
                return columns.ended_at < before
            case "handout":  # without it, an event that may still be in a payload would be handed out anew
                return and_(columns.at < before, ~_in_payloads(before))
            case "idempotency":
                return columns.at < before
            case _:  # outbound
                return and_(columns.created_at < before, columns.due_at.is_(None))


def _in_payloads(before: datetime) -> ColumnElement[bool]:
    """Return the condition on a hand-out that one of its events may still be in a payload."""
    return exists().where(
        payload_event.c.payload_id == handout.c.payload_id,
        event.c.event_id == payload_event.c.event_id,
        or_(event.c.payload_end.is_(None), event.c.payload_end >= before),
    )


def _over(before: datetime) -> ColumnElement[bool]:
    return or_(
        opt.c.cancelled_at < before,
        opt.c.superseded_at < before,
        opt.c.ends_at < before,
        and_(opt.c.event_id.is_not(None), ~exists().where(event.c.event_id == opt.c.event_id)),
    )


PAST = (
    _Past(telemetry, Age.TELEMETRY),
    _Past(telemetry_latest, Age.TELEMETRY),
    _Past(report_document, Age.TELEMETRY),
    _Past(event, Age.EVENTS, batch=5),  # with it go its versions and its state at up to thousands of VENs
    _Past(opt, Age.EVENTS),  # after the events: those of an event go when it is gone
    _Past(report_request, Age.EVENTS),
    _Past(data_point, Age.TELEMETRY),  # after the requests and the values
    _Past(own_report, Age.EVENTS),
    _Past(handout, Age.DELIVERIES),
    _Past(outbound, Age.QUEUE),
    _Past(idempotency, Age.IDEMPOTENCY),
)


async def prune(store: Store, past: _Past, before: datetime) -> int:
    """Remove one batch; return how many rows went, less than the batch at the end."""
    key = tuple(past.table.primary_key)
    async with store.read() as tx:
        query = select(*key).where(past.rows(before)).limit(past.batch)  # in no order: an index finds them
        keys = [tuple(row) for row in await tx.connection.execute(query)]
    if keys:
        async with store.write() as tx:
            await tx.connection.execute(delete(past.table).where(tuple_(*key).in_(keys), past.rows(before)))
    return len(keys)


def limits(days: Mapping[Age, int], now: datetime) -> Mapping[Age, datetime]:
    """Return for each age the instant before which rows are pruned."""
    return {age: now - timedelta(days=days[age]) for age in Age}
