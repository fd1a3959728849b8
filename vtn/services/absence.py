"""Who would not take part in an event because an opt schedule has them out for its time.

Rule: what counts is the programme of the event (R201, R205) and what of the event is still to come. It says nothing of
answers to the event: a VEN may take part all the same, and a qualification tells more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from openadr.timeline import scheduled_end
from vtn.services.availability import Verdict, opted_out
from vtn.services.subjects import Subjects, read_subjects
from vtn.store.eventrows import StoredEvent, StoredOpt
from vtn.store.programmes import OptRules
from vtn.store.store import Tx


@dataclass(frozen=True, slots=True)
class Absences:
    """The schedules of the VENs of an event, and whom they are about."""

    schedules: Mapping[str, tuple[StoredOpt, ...]]
    subjects: Subjects
    context: str
    rules: OptRules | None
    start: datetime
    end: datetime | None

    def of(self, ven_id: str, resource_id: str | None) -> Verdict | None:
        """Return when a resource, or (None) a VEN as a whole, is first opted out during the event."""
        rows = self.schedules.get(ven_id)
        if rows is None or (self.end is not None and self.end <= self.start):
            return None
        subject = self.subjects.one(ven_id, resource_id)
        return opted_out(rows, subject, self.context, self.rules, self.start, self.end)


async def absences_of(tx: Tx, stored: StoredEvent, ven_ids: Sequence[str], now: datetime) -> Absences:
    """Read what is needed to tell who is out of an event from now on."""
    period = stored.event.active_period
    context = stored.event.descriptor.market_context
    start = max(period.dtstart, now)
    schedules = {} if stored.cancelled else await tx.opts.schedules_of(ven_ids, start)
    programme = await tx.programmes.get(context) if schedules else None
    return Absences(
        schedules=schedules,
        subjects=await read_subjects(tx, sorted(schedules)),
        context=context,
        rules=None if programme is None else programme.terms.opts,
        start=start,
        end=scheduled_end(period),
    )
