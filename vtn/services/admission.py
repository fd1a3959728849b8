"""Who is left out of an event although its target names them: report-only VENs, and, where the programme wants it so,
VENs that have opted out for its time.

Rule (R201): it is decided when an event is published or changed, like all targets. Somebody who was named and can
never get an event is an error; who is only a member of a group is passed over.
"""

from dataclasses import replace
from datetime import datetime

from openadr.errors import NotAllowed, TargetMismatch
from openadr.model import Event
from openadr.timeline import scheduled_end
from vtn.services.availability import Subject, opted_out
from vtn.services.subjects import Subjects, read_subjects
from vtn.services.targets import Audience
from vtn.store.eventrows import StoredOpt
from vtn.store.programmes import OptRules
from vtn.store.store import Tx


async def admit(tx: Tx, event: Event, audience: Audience) -> Audience:
    """Return the audience less those who are left out. Raises ``OadrError`` if somebody named, or everybody, is."""
    left = _without(audience, await _report_only(tx, event, audience))
    if audience.ven_ids and not left.ven_ids:
        raise TargetMismatch("targets: only report-only VENs are meant, which have no events", field="targets")
    programme = await tx.programmes.get(event.descriptor.market_context)
    if programme is None or programme.terms.opts.events_during_opt_out or not left.ven_ids:
        return left
    out = await _opted_out(tx, event, left, programme.terms.opts)
    if out == left.ven_ids:
        text = "targets: all have opted out for the time of the event, and the programme sends none then (R201)"
        raise NotAllowed(text, field="targets")
    return _without(left, out)


async def _report_only(tx: Tx, event: Event, audience: Audience) -> frozenset[str]:
    found = await tx.vens.report_only(sorted(audience.ven_ids))
    named = found & set(event.target.ven_ids)
    if named:
        raise TargetMismatch(f"venID {min(named)!r} is a report-only VEN, which has no events", field="targets.venID")
    return found


async def _opted_out(tx: Tx, event: Event, audience: Audience, rules: OptRules) -> frozenset[str]:
    period = event.active_period
    start, end = period.dtstart, scheduled_end(period)
    schedules = await tx.opts.schedules_of(sorted(audience.ven_ids), start)
    subjects = await read_subjects(tx, sorted(schedules))
    context = event.descriptor.market_context
    return frozenset(
        ven_id
        for ven_id, rows in schedules.items()
        if all(_out(rows, each, context, rules, start, end) for each in _meant(subjects, ven_id, audience))
    )


def _meant(subjects: Subjects, ven_id: str, audience: Audience) -> tuple[Subject, ...]:
    if ven_id in audience.whole:
        return subjects.all_of(ven_id)
    return tuple(subjects.one(ven_id, name) for name in audience.resources[ven_id])


def _out(
    rows: tuple[StoredOpt, ...],
    subject: Subject,
    context: str,
    rules: OptRules,
    start: datetime,
    end: datetime | None,
) -> bool:
    return opted_out(rows, subject, context, rules, start, end) is not None


def _without(audience: Audience, ven_ids: frozenset[str]) -> Audience:
    if not ven_ids:
        return audience
    return replace(
        audience,
        whole=audience.whole - ven_ids,
        resources={ven_id: names for ven_id, names in audience.resources.items() if ven_id not in ven_ids},
        parts={ven_id: names for ven_id, names in audience.parts.items() if ven_id not in ven_ids},
    )
