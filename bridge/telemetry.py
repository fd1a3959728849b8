"""Collects the data of the VEN's reports: live and half-hourly usage, status as it was, flexibility.

Rule: a shell: it reads what is stored, for the times asked for, so that a report that comes late says what one in time
would have said (OUT-10). What the values are is decided in ``bridge.series``, what is offered in ``bridge.points``.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from bridge.flexibility import envelope
from bridge.halfhour import HALF_HOUR, HalfHour, start_of, starts
from bridge.points import FLEXIBILITY, HISTORY, STATUS, USAGE, Point, Quantity, Sampling, offered, points
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
    ) -> None:
        self._samples, self._flush, self._sampling, self._contents = samples, flush, sampling, contents
        self._points: Mapping[str, Point] = points(resources, frozenset(contents()))

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
            found.setdefault(sample.charger, []).append(sample)
        return found

    async def _history(self, asked: Sequence[Point], start: datetime, end: datetime) -> tuple[ReportInterval, ...]:
        rows = await self._samples.half_hours(_chargers(asked), start_of(start), end)
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


def _chargers(asked: Iterable[Point]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(resource.charger for point in asked for resource in point.members))


Row = TypeVar("Row", Presence, LimitNote)


def _last(rows: Sequence[Row], at: datetime) -> Row | None:
    return next((row for row in reversed(rows) if row.at <= at), None)


def _resource_status(resource: Resource, here: Presence | None, limit_a: float | None) -> ResourceStatus:
    current = 1.0 if limit_a is None else min(1.0, limit_a / resource.max_a)
    capacity = LoadControlValue(current=round(current, 4), minimum=0.0, maximum=1.0, normal=1.0)
    return ResourceStatus(
        online=here is not None and here.online,
        manual_override=here is not None and here.overridden,
        load_control_state=LoadControlState(capacity=capacity),
    )


def _interval(point: Point, value: Value, start: datetime, end: datetime | None) -> ReportInterval:
    return ReportInterval(
        payloads=(ReportPayload(r_id=point.r_id, value=value[0], data_quality=value[1]),),
        dtstart=whole_second(start),
        duration=None if end is None else Duration.of(end - start),
    )
