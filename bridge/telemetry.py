"""Collects the data of the VEN's reports: live and half-hourly usage, status as it was, flexibility.

Rule: a shell: it reads what is stored, for the times asked for, so that a report that comes late says what one in time
would have said (OUT-10). What the values are is decided in ``bridge.series``, what is offered in ``bridge.points``.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from bridge.figures import Seen
from bridge.flexibility import envelope
from bridge.halfhour import HALF_HOUR, HalfHour, start_of, starts
from bridge.location import Level
from bridge.points import (
    CURTAILABLE,
    DSR,
    FLEXIBILITY,
    HISTORY,
    STATUS,
    USAGE,
    Point,
    Quantity,
    Sampling,
    offered,
    points,
)
from bridge.references import Contents, unknown_contents
from bridge.resources import Resource
from bridge.series import GOOD, NO_VALUE, NOT_CONNECTED, Value, energy, half_hourly, power, slots, together, within
from bridge.store import LimitNote, Presence, Sample
from openadr.model import (
    LoadControlState,
    LoadControlValue,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ResourceStatus,
)
from openadr.times import Duration, whole_second
from ven.model import ReportCapability

__all__ = ["GOOD", "HISTORY", "NOT_CONNECTED", "NO_VALUE", "STATUS", "USAGE", "Sampling", "Telemetry"]

LOOK_BACK_S = 3600  # how old a meter register may be and still count as the start of an interval


class Samples(Protocol):
    """Where stored values come from."""

    async def samples(self, chargers: Sequence[str], start: datetime, end: datetime) -> tuple[Sample, ...]:
        """Return readings with ``start`` <= at < ``end``, oldest first."""
        ...

    async def half_hours(self, chargers: Sequence[str], start: datetime, end: datetime) -> tuple[HalfHour, ...]:
        """Return the half-hours that start in [start, end), oldest first."""
        ...

    async def presence(self, chargers: Sequence[str], start: datetime, end: datetime) -> dict[str, list[Presence]]:
        """Return the changes of connection in [start, end) and the last one before it, by charger."""
        ...

    async def limits_between(self, names: Sequence[str], start: datetime, end: datetime) -> dict[str, list[LimitNote]]:
        """Return the changes of limits in [start, end) and the last one before it, by resourceID."""
        ...


class Telemetry:
    """The ``capabilities`` and ``collect`` of the VEN contract."""

    def __init__(
        self,
        *,
        resources: Sequence[Resource],
        samples: Samples,
        flush: Callable[[], Awaitable[None]],
        sampling: Sampling,
        contents: Contents = unknown_contents,
        tellers: Callable[[], frozenset[str]] | None = None,
        levels: Sequence[Level] = (),
    ) -> None:
        self._samples, self._flush, self._sampling, self._contents = samples, flush, sampling, contents
        self._since = {each.charger: each.provider_since for each in resources}
        self._resources, self._tellers = resources, tellers or (lambda: frozenset(contents()))
        self._levels = tuple(levels)
        self._offered: tuple[frozenset[str], Mapping[str, Point]] | None = None

    @property
    def _points(self) -> Mapping[str, Point]:
        """The points by rID; those of flexibility where a state of charge has ever been told (TEL-10)."""
        tellers = self._tellers()
        if self._offered is None or self._offered[0] != tellers:
            self._offered = tellers, points(self._resources, tellers, levels=self._levels, dsr=self._sampling.dsr)
        return self._offered[1]

    def capabilities(self) -> tuple[ReportCapability, ...]:
        """Return what is offered in METADATA."""
        return offered(self._points.values(), self._sampling)

    async def collect(self, request: ReportRequest, start: datetime, end: datetime) -> tuple[ReportInterval, ...]:
        """Return the data of ``request`` for [start, end), oldest first; one interval for each time and rID."""
        asked = [self._points[payload.r_id] for payload in request.specifier.payloads]
        await self._flush()
        specifier = request.specifier.report_specifier_id
        if specifier == HISTORY:
            return await self._history(asked, start, end)
        step = self._step(request, start)
        times = slots(end - step if request.specifier.report_back_duration.is_zero else start, end, step)
        if specifier == STATUS:
            return await self._status(asked, [until for _, until in times])
        if specifier == FLEXIBILITY:
            return await self._flexibility(asked, end)
        if specifier == CURTAILABLE:
            return await self._curtailable(asked, [until for _, until in times])
        if specifier == DSR:
            return await self._data_set(asked, end)
        return await self._usage(asked, times)

    def _step(self, request: ReportRequest, start: datetime) -> timedelta:
        granularity = request.specifier.granularity
        if granularity.is_zero or request.specifier.report_back_duration.is_zero:
            return timedelta(seconds=self._sampling.fastest_s)
        return granularity.length(start)

    # -- usage --------------------------------------------------------------------------------------------------------

    async def _usage(
        self, asked: Sequence[Point], times: Sequence[tuple[datetime, datetime]]
    ) -> tuple[ReportInterval, ...]:
        data = await self._by_charger(asked, times[0][0], times[-1][1])
        lengthy = any(point.quantity is Quantity.ENERGY for point in asked)
        return tuple(
            _interval(point, together(self._usage_of(point, data, at, until)), at, until if lengthy else None)
            for at, until in times
            for point in asked
        )

    def _usage_of(
        self, point: Point, data: Mapping[str, Sequence[Sample]], at: datetime, until: datetime
    ) -> Iterable[Value]:
        for resource in point.members:
            samples = within(data.get(resource.charger, ()), at, until, LOOK_BACK_S)
            if point.quantity is Quantity.POWER:
                yield power(samples, at, until, self._sampling.stale_s)
            else:
                yield energy(samples, at, until)

    async def _by_charger(self, asked: Iterable[Point], start: datetime, end: datetime) -> dict[str, list[Sample]]:
        found: dict[str, list[Sample]] = {}
        for sample in await self._samples.samples(_chargers(asked), start - timedelta(seconds=LOOK_BACK_S), end):
            if self._may_know(sample.charger, sample.at):
                found.setdefault(sample.charger, []).append(sample)
        return found

    def _may_know(self, charger: str, at: datetime) -> bool:
        """False for data from before the VTN came to serve the resource (TEL-06)."""
        since = self._since.get(charger)
        return since is None or at >= since

    async def _history(self, asked: Sequence[Point], start: datetime, end: datetime) -> tuple[ReportInterval, ...]:
        stored_rows = await self._samples.half_hours(_chargers(asked), start_of(start), end)
        rows = [row for row in stored_rows if self._may_know(row.charger, row.start)]
        known = {(row.charger, row.start): row for row in rows}
        stored = {row.start for row in rows}
        return tuple(
            _interval(
                point,
                together(
                    half_hourly(known.get((member.charger, at)), of_energy=point.quantity is Quantity.ENERGY)
                    for member in point.members
                ),
                at,
                at + HALF_HOUR,
            )
            for at in starts(start, end)
            if at in stored
            for point in asked
        )

    # -- status -------------------------------------------------------------------------------------------------------

    async def _status(self, asked: Sequence[Point], times: Sequence[datetime]) -> tuple[ReportInterval, ...]:
        begin, end = times[0], times[-1] + timedelta(microseconds=1)
        names = [resource.resource_id for point in asked for resource in point.members]
        presence = await self._samples.presence(_chargers(asked), begin, end)
        limits = await self._samples.limits_between(names, begin, end)
        found = []
        for at in times:
            for point in asked:
                [resource] = point.members
                if not self._may_know(resource.charger, at):
                    continue
                here = _last(presence.get(resource.charger, ()), at)
                limit = _last(limits.get(resource.resource_id, ()), at)
                status = _resource_status(resource, here, None if limit is None else limit.limit_a)
                payload = ReportPayload(r_id=point.r_id, value=status)
                found.append(ReportInterval(payloads=(payload,), dtstart=whole_second(at)))
        return tuple(found)

    # -- flexibility --------------------------------------------------------------------------------------------------

    async def _flexibility(self, asked: Sequence[Point], at: datetime) -> tuple[ReportInterval, ...]:
        data = await self._by_charger(asked, at, at)
        contents = self._contents()
        found = []
        for point in asked:
            [resource] = point.members
            watts, quality = power(data.get(resource.charger, ()), at, at, self._sampling.stale_s)
            room = envelope(resource, watts, contents.get(resource.resource_id))
            value = (0.0, NO_VALUE)
            if room is not None and quality != NOT_CONNECTED:
                part = {Quantity.UP: room.up_w, Quantity.DOWN: room.down_w}.get(point.quantity, room.hold_s)
                value = (part, GOOD)
            found.append(_interval(point, value, at, None))
        return tuple(found)

    # -- what could be curtailed --------------------------------------------------------------------------------------

    async def _curtailable(self, asked: Sequence[Point], times: Sequence[datetime]) -> tuple[ReportInterval, ...]:
        begin, end = times[0], times[-1]
        data = await self._by_charger(asked, begin, end + timedelta(microseconds=1))
        presence = await self._samples.presence(_chargers(asked), begin, end + timedelta(microseconds=1))
        found = []
        for at in times:
            for point in asked:
                parts = (self._could_go(each, data, presence, at) for each in point.members)
                found.append(_interval(point, together(parts), at, None))
        return tuple(found)

    def _could_go(
        self,
        resource: Resource,
        data: Mapping[str, Sequence[Sample]],
        presence: Mapping[str, Sequence[Presence]],
        at: datetime,
    ) -> Value:
        """Return what a command would have taken away at ``at``, W; 0 where nobody charges or nobody can be told."""
        here = _last(presence.get(resource.charger, ()), at)
        samples = within(data.get(resource.charger, ()), at, at, LOOK_BACK_S)
        watts, quality = power(samples, at, at + timedelta(microseconds=1), self._sampling.stale_s)
        seen = Seen(
            resource=resource,
            online=here is not None and here.online,
            session=here is not None and here.session,
            power_w=None if quality == NOT_CONNECTED else watts,
            out="override" if here is not None and here.overridden else "",
        )
        return round(seen.curtailable_w, 1), GOOD

    # -- data set for demand side response ----------------------------------------------------------------------------

    async def _data_set(self, asked: Sequence[Point], at: datetime) -> tuple[ReportInterval, ...]:
        """Return the values of now: the last register and frequency; power and energy available as in flexibility."""
        envelopes = [point for point in asked if point.quantity in (Quantity.UP, Quantity.DOWN)]
        others = [point for point in asked if point not in envelopes]
        data, contents = await self._by_charger(others, at, at), self._contents()
        found = list(await self._flexibility(envelopes, at))
        oldest = at - timedelta(seconds=self._sampling.stale_s)
        for point in others:
            [resource] = point.members
            fresh = [each for each in data.get(resource.charger, ()) if each.at >= oldest]
            if point.quantity is Quantity.AVAILABLE:
                content = contents.get(resource.resource_id)
                value = (0.0, NO_VALUE) if content is None else (max(0.0, content.full_wh - content.content_wh), GOOD)
                found.append(_interval(point, value, at, None))
                continue
            known = [(each.at, number) for each in fresh if (number := _of(each, point.quantity)) is not None]
            when, number = known[-1] if known else (at, 0.0)
            found.append(_interval(point, (number, GOOD if known else NOT_CONNECTED), when, None))
        return tuple(sorted(found, key=lambda each: each.dtstart or at))


def _of(sample: Sample, quantity: Quantity) -> float | None:
    return sample.frequency_hz if quantity is Quantity.FREQUENCY else sample.energy_wh


def _chargers(asked: Iterable[Point]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(resource.charger for point in asked for resource in point.members))


Row = TypeVar("Row", Presence, LimitNote)


def _last(rows: Sequence[Row], at: datetime) -> Row | None:
    return next((row for row in reversed(rows) if row.at <= at), None)


def _resource_status(resource: Resource, here: Presence | None, limit_a: float | None) -> ResourceStatus:
    current = 1.0 if limit_a is None else min(1.0, limit_a / resource.max_a)
    capacity = LoadControlValue(current=round(current, 4), minimum=0.0, maximum=1.0, normal=1.0)
    said = None if here is None or here.level is None else float(here.level)
    level = None if said is None else LoadControlValue(current=said, minimum=-1.0, maximum=1.0, normal=0.0)
    return ResourceStatus(
        online=here is not None and here.online,
        manual_override=here is not None and here.overridden,
        load_control_state=LoadControlState(capacity=capacity, level_offset=level),
    )


def _interval(point: Point, value: Value, start: datetime, end: datetime | None) -> ReportInterval:
    return ReportInterval(
        payloads=(ReportPayload(r_id=point.r_id, value=value[0], data_quality=value[1]),),
        dtstart=whole_second(start),
        duration=None if end is None else Duration.of(end - start),
    )
