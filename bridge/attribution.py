"""Who limited what, interval by interval: contracted, requested, effective and metered power side by side (ARB-10).

Rule: everything a row says can be derived again from the history of limits, the plan and the meter; a shortfall under
somebody else's limit is labelled *constrained_by*, so that nobody answers for others' acts. ``attribute`` is pure; the
shell notes every change of an effective limit (ARB-09) and writes the rows when an interval is over.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from bridge.arbiter import Effective
from bridge.batches import batches
from bridge.plan import ResourcePlan
from bridge.resources import Resource
from bridge.stacking import Claim, counted_kw
from bridge.store import Attribution, BridgeStore, Changes, LimitNote, Outcome, PowerMean

_SAME_A = 0.05  # limits have one decimal: closer than half of it is equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One part of an interval with one limit: ``None`` for none."""

    seconds: float
    limit_a: float | None
    note: LimitNote | None = None


def interval_of(at: datetime, interval_s: float) -> tuple[datetime, datetime]:
    """Return the interval [start, end) that ``at`` lies in; intervals count from midnight UTC."""
    start = datetime.fromtimestamp(at.timestamp() // interval_s * interval_s, tz=UTC)
    return start, start + timedelta(seconds=interval_s)


def noted(notes: Sequence[LimitNote], start: datetime, end: datetime) -> list[Stretch]:
    """Return what the history of limits says about [start, end); before the first note there was no limit."""
    edges = [start, *(note.at for note in notes if start < note.at < end), end]
    found = []
    for begin, finish in pairwise(edges):
        note = next((each for each in reversed(notes) if each.at <= begin), None)
        limit = None if note is None else note.limit_a
        found.append(Stretch(seconds=(finish - begin).total_seconds(), limit_a=limit, note=note))
    return found


def asked(plan: ResourcePlan, start: datetime, end: datetime) -> list[Stretch]:
    """Return what an event asks for in [start, end), the parts without a cap included."""
    bounds = (at for cap in plan.caps for at in (cap.start, cap.end))
    edges = [start, *sorted({at for at in bounds if at is not None and start < at < end}), end]
    found = []
    for begin, finish in pairwise(edges):
        limit = next((cap.limit_a for cap in plan.caps if cap.contains(begin)), None)
        found.append(Stretch(seconds=(finish - begin).total_seconds(), limit_a=limit))
    return found


def mean_kw(stretches: Iterable[Stretch], resource: Resource) -> float | None:
    """Return the mean allowed power in kW; the installed maximum where there is no limit, ``None`` without any."""
    stretches = tuple(stretches)
    if all(each.limit_a is None for each in stretches):
        return None
    total = sum(each.seconds for each in stretches)
    energy = sum(
        each.seconds * resource.kw(resource.max_a if each.limit_a is None else min(each.limit_a, resource.max_a))
        for each in stretches
    )
    return round(energy / total, 3)


def attribute(
    outcome: Outcome,
    plan: ResourcePlan | None,
    resource: Resource,
    notes: Sequence[LimitNote],
    metered_w: float | None,
    window: tuple[datetime, datetime],
) -> Attribution | None:
    """Return the row of one event at one resource for the interval ``window``, ``None`` if it was not in force then."""
    start = max(window[0], outcome.effective_start)
    end = window[1] if outcome.effective_end is None else min(window[1], outcome.effective_end)
    if end <= start:
        return None
    length = (end - start).total_seconds()
    request = [Stretch(seconds=length, limit_a=outcome.limit_a)] if plan is None else asked(plan, start, end)
    held = noted(notes, start, end)
    longest: dict[tuple[str, str | None], float] = {}
    for each in held:
        if each.note is not None and each.limit_a is not None:
            who = (each.note.source, each.note.event_id)
            longest[who] = longest.get(who, 0.0) + each.seconds
    source, by_event = max(longest, key=lambda who: longest[who], default=("none", None))
    requested_kw, effective_kw = mean_kw(request, resource), mean_kw(held, resource)
    others = source != "none" and by_event != outcome.event_id
    below = effective_kw is not None and (requested_kw is None or effective_kw < requested_kw - resource.kw(_SAME_A))
    said = next((each.note.reason for each in held if each.note and _who(each.note) == (source, by_event)), "no limit")
    return Attribution(
        event_id=outcome.event_id,
        resource_id=outcome.resource_id,
        start=start,
        end=end,
        contracted_kw=resource.contracted_kw,
        requested_kw=requested_kw,
        effective_kw=effective_kw,
        metered_kw=None if metered_w is None else round(metered_w / 1000.0, 3),
        source=source,
        by_event=by_event,
        outcome="constrained_by" if others and below else outcome.state.value,
        reason=said,
    )


def _who(note: LimitNote) -> tuple[str, str | None]:
    return note.source, note.event_id


def note_of(resource_id: str, effective: Effective, now: datetime) -> LimitNote:
    """Return the note of an effective limit."""
    return LimitNote(
        resource_id=resource_id,
        at=now,
        limit_a=effective.limit_a,
        source=effective.source,
        event_id=effective.event_id,
        reason=effective.reason,
        losers="; ".join(effective.losers),
    )


def same_limit(one: LimitNote | None, other: LimitNote) -> bool:
    """True if nothing has changed between two notes; no note is no limit."""
    if one is None:
        return other.limit_a is None
    return (one.limit_a, *_who(one), one.reason, one.losers) == (
        other.limit_a,
        *_who(other),
        other.reason,
        other.losers,
    )


class Attributor:
    """Notes the limits and writes the rows of every interval that is over."""

    def __init__(self, store: BridgeStore, resources: Mapping[str, Resource], interval_s: float) -> None:
        self._store, self._resources, self._interval_s = store, resources, interval_s
        self._notes: dict[str, list[LimitNote]] = {}
        self._window: tuple[datetime, datetime] | None = None

    async def load(self, now: datetime) -> None:
        """Take up the history; the interval before this one is written again."""
        before = interval_of(now - timedelta(seconds=self._interval_s), self._interval_s)
        self._window = before
        self._notes = await self._store.notes_since(before[0])

    async def note(self, effective: Mapping[str, Effective], now: datetime) -> None:
        """Note the limits that have changed."""
        new = []
        for name, each in effective.items():
            note = note_of(name, each, now)
            known = self._notes.get(name)
            if not same_limit(known[-1] if known else None, note):
                new.append(note)
        await self._store.write(Changes(notes=tuple(new)))
        for note in new:
            self._notes.setdefault(note.resource_id, []).append(note)

    async def write(
        self,
        plans: Mapping[str, tuple[ResourcePlan, ...]],
        flush: Callable[[], Awaitable[None]],
        now: datetime,
        claims: Callable[[str, datetime, datetime], Iterable[Claim]] = lambda _name, _start, _end: (),
    ) -> int:
        """Write the rows of the interval that is over, if one is; return how many.

        ``claims`` tells what events claim of a resource in a stretch of time, each kW once (ARB-14).
        """
        if self._window is None:
            self._window = interval_of(now, self._interval_s)
        if now < self._window[1]:
            return 0
        window = self._window
        await flush()
        outcomes = [each for each in await self._store.outcomes_between(*window) if each.resource_id in self._resources]
        chargers = tuple(dict.fromkeys(each.charger for each in outcomes))
        means = await self._store.mean_power(chargers, *window) if chargers else {}
        planned = {(each.event_id, name): each for name, group in plans.items() for each in group} if outcomes else {}
        rows = 0
        for some in batches(outcomes):
            found = [self._row(each, planned, means.get(each.charger), window) for each in some]
            written = tuple(_counted(row, claims) for row in found if row is not None)
            await self._store.write(Changes(attributions=written))
            rows += len(written)
        self._window = (window[1], interval_of(window[1], self._interval_s)[1])
        self._notes = {name: _since(notes, window[1]) for name, notes in self._notes.items()}
        return rows

    def _row(
        self,
        outcome: Outcome,
        planned: Mapping[tuple[str, str], ResourcePlan],
        mean: PowerMean | None,
        window: tuple[datetime, datetime],
    ) -> Attribution | None:
        return attribute(
            outcome,
            planned.get((outcome.event_id, outcome.resource_id)),
            self._resources[outcome.resource_id],
            self._notes.get(outcome.resource_id, ()),
            None if mean is None else mean.power_w,
            window,
        )


def _counted(row: Attribution, claims: Callable[[str, datetime, datetime], Iterable[Claim]]) -> Attribution:
    """Return the row with what of its request counts for this event alone."""
    found = claims(row.resource_id, row.start, row.end)
    return replace(row, counted_kw=counted_kw(found, row.event_id, row.start, row.end))


def _since(notes: Sequence[LimitNote], start: datetime) -> list[LimitNote]:
    """Return the notes from ``start`` on, and the last one before."""
    before = [each for each in notes if each.at <= start]
    return [*before[-1:], *(each for each in notes if each.at > start)]
