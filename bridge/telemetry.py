"""What the VEN offers as reports and how the data is made from stored readings: TELEMETRY_USAGE and TELEMETRY_STATUS.

Rule: values come from meters and keep the meters' own times; where there is none, the value is a placeholder with a
bad quality mark, never an invention (R318, TEL-08). rIDs are ``P-`` (power), ``E-`` (energy), ``S-`` (status) and
the resourceID. Energy is what flowed in the interval, power the last reading in it.
"""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from bridge.arbiter import Effective
from bridge.resources import Resource
from bridge.store import Sample
from openadr.model import (
    EiTarget,
    LoadControlState,
    LoadControlValue,
    ReportDescription,
    ReportInterval,
    ReportPayload,
    ReportRequest,
    ResourceStatus,
    SamplingRate,
    energy_real,
    power_real,
)
from openadr.times import Duration, whole_second
from ven.model import ReportCapability

USAGE = "bridge-usage"
STATUS = "bridge-status"
GOOD = "Quality Good - Non Specific"
NOT_CONNECTED = "Quality Bad - Not Connected"
NO_VALUE = "No Quality - No Value"
LOOK_BACK_S = 3600  # how old a meter register may be and still count as the start of an interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What is offered: fastest and slowest interval, and how far back data is kept, in s."""

    fastest_s: int = 10
    slowest_s: int = 900
    buffer_s: int = 7 * 86_400  # at the fastest rate far more than the 100 points that R510 asks for


class Samples(Protocol):
    """Where stored readings come from."""

    async def samples(self, chargers: Sequence[str], start: datetime, end: datetime) -> tuple[Sample, ...]:
        """Return readings with ``start`` <= at < ``end``, oldest first."""
        ...


class Standing(Protocol):
    """What is known of a resource now."""

    def online(self, resource_id: str) -> bool:
        """True while its charger is connected."""
        ...

    def overridden(self, resource_id: str, now: datetime) -> bool:
        """True while a driver's override is in force there."""
        ...

    def effective(self, resource_id: str, now: datetime) -> Effective:
        """Return its effective limit."""
        ...


class Telemetry:
    """The ``capabilities`` and ``collect`` of the VEN contract."""

    def __init__(
        self,
        *,
        resources: Sequence[Resource],
        samples: Samples,
        standing: Standing,
        flush: Callable[[], Awaitable[None]],
        sampling: Sampling,
    ) -> None:
        self._resources: Mapping[str, Resource] = {resource.resource_id: resource for resource in resources}
        self._samples, self._standing, self._flush, self._sampling = samples, standing, flush, sampling

    def capabilities(self) -> tuple[ReportCapability, ...]:
        """Return what is offered in METADATA: one usage and one status report over all resources."""
        buffered = Duration(seconds=self._sampling.buffer_s)
        usage = tuple(row for resource in self._resources.values() for row in self._usage(resource))
        status = tuple(self._status(resource) for resource in self._resources.values())
        return (
            ReportCapability(
                report_specifier_id=USAGE, report_name="TELEMETRY_USAGE", duration=buffered, descriptions=usage
            ),
            ReportCapability(
                report_specifier_id=STATUS, report_name="TELEMETRY_STATUS", duration=buffered, descriptions=status
            ),
        )

    def _rate(self) -> SamplingRate:
        return SamplingRate(
            min_period=Duration(seconds=self._sampling.fastest_s), max_period=Duration(seconds=self._sampling.slowest_s)
        )

    def _usage(self, resource: Resource) -> tuple[ReportDescription, ReportDescription]:
        source = EiTarget(resource_ids=(resource.resource_id,))
        power = ReportDescription(
            r_id=f"P-{resource.resource_id}",
            report_type="usage",
            reading_type="Direct Read",
            report_data_source=source,
            item_base=power_real(voltage=resource.voltage),
            sampling_rate=self._rate(),
        )
        energy = ReportDescription(
            r_id=f"E-{resource.resource_id}",
            report_type="usage",
            reading_type="Direct Read",
            report_data_source=source,
            item_base=energy_real(),
            sampling_rate=self._rate(),
        )
        return power, energy

    def _status(self, resource: Resource) -> ReportDescription:
        return ReportDescription(
            r_id=f"S-{resource.resource_id}",
            report_type="x-resourceStatus",
            reading_type="x-notApplicable",
            report_data_source=EiTarget(resource_ids=(resource.resource_id,)),
            sampling_rate=self._rate(),
        )

    async def collect(self, request: ReportRequest, start: datetime, end: datetime) -> tuple[ReportInterval, ...]:
        """Return the data of ``request`` for [start, end), oldest first; one interval for each time and rID."""
        r_ids = [payload.r_id for payload in request.specifier.payloads]
        if request.specifier.report_specifier_id == STATUS:
            return tuple(self._status_point(r_id, end) for r_id in r_ids)
        await self._flush()
        one_shot = request.specifier.report_back_duration.is_zero
        step = self._step(request, start)
        first = end - step if one_shot else start
        data = await self._by_resource(r_ids, first, end)
        with_length = any(r_id.startswith("E-") for r_id in r_ids)
        return tuple(
            _interval(r_id, data[r_id[2:]], at, until, with_length)
            for at, until in _slots(first, end, step)
            for r_id in r_ids
        )

    def _step(self, request: ReportRequest, start: datetime) -> timedelta:
        granularity = request.specifier.granularity
        if granularity.is_zero or request.specifier.report_back_duration.is_zero:
            return timedelta(seconds=self._sampling.fastest_s)
        return granularity.length(start)

    async def _by_resource(self, r_ids: Sequence[str], start: datetime, end: datetime) -> dict[str, list[Sample]]:
        names = dict.fromkeys(r_id[2:] for r_id in r_ids)
        chargers = {self._resources[name].charger: name for name in names}
        found: dict[str, list[Sample]] = {name: [] for name in names}
        for sample in await self._samples.samples(tuple(chargers), start - timedelta(seconds=LOOK_BACK_S), end):
            found[chargers[sample.charger]].append(sample)
        return found

    def _status_point(self, r_id: str, at: datetime) -> ReportInterval:
        resource = self._resources[r_id[2:]]
        name = resource.resource_id
        limit_a = self._standing.effective(name, at).limit_a
        current = 1.0 if limit_a is None else min(1.0, limit_a / resource.max_a)
        capacity = LoadControlValue(current=round(current, 4), minimum=0.0, maximum=1.0, normal=1.0)
        status = ResourceStatus(
            online=self._standing.online(name),
            manual_override=self._standing.overridden(name, at),
            load_control_state=LoadControlState(capacity=capacity),
        )
        return ReportInterval(payloads=(ReportPayload(r_id=r_id, value=status),), dtstart=whole_second(at))


def _slots(start: datetime, end: datetime, step: timedelta) -> list[tuple[datetime, datetime]]:
    slots = []
    at = start
    while at + step <= end:
        slots.append((at, at + step))
        at += step
    return slots or [(start, end)]


def _interval(r_id: str, samples: list[Sample], start: datetime, end: datetime, with_length: bool) -> ReportInterval:
    value, quality = (_power if r_id.startswith("P-") else _energy)(samples, start, end)
    return ReportInterval(
        payloads=(ReportPayload(r_id=r_id, value=value, data_quality=quality),),
        dtstart=whole_second(start),
        duration=Duration.of(end - start) if with_length else None,
    )


def _power(samples: list[Sample], start: datetime, end: datetime) -> tuple[float, str]:
    """Return the last power in W inside [start, end), with its quality."""
    inside = [sample.power_w for sample in samples if start <= sample.at < end and sample.power_w is not None]
    return (round(inside[-1], 1), GOOD) if inside else (0.0, NOT_CONNECTED)


def _energy(samples: list[Sample], start: datetime, end: datetime) -> tuple[float, str]:
    """Return the energy in Wh that flowed in [start, end) by the meter's register, with its quality.

    The register before the start is the base; one that went back (a new session on some meters) counts from zero.
    """
    registers = [sample for sample in samples if sample.energy_wh is not None]
    times = [sample.at for sample in registers]
    before, last = bisect_right(times, start), bisect_right(times, end)
    if last == 0 or registers[last - 1].at < start:
        return 0.0, NOT_CONNECTED
    first = max(0, before - 1)
    values = [sample.energy_wh or 0.0 for sample in registers[first:last]]
    if len(values) < 2:
        return 0.0, NO_VALUE
    flowed = sum(b - a if b >= a else b for a, b in pairwise(values))
    return round(flowed, 1), GOOD
