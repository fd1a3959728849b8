"""What an event means for one resource, as values: caps over time, effective times, draws; pure.

Rule: a cap is an upper limit in A per phase, never a set-point (MAP-06); scheduled and effective times are kept apart
(EVT-04), and with the draw they can be worked out again (RND-01).
"""

from dataclasses import dataclass
from datetime import datetime

from bridge.asks import Effect
from bridge.authority import Authority
from bridge.program import EventClass
from openadr.model import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The random numbers of one (event, resource), uniform [0, 1), drawn once and stored (RND-01)."""

    event_id: str
    resource_id: str
    start_u: float
    release_u: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEvent:
    """An event this VEN takes part in; ``cancelled_at`` is when its cancellation was learnt.

    ``received_at`` is when its present modification was.
    """

    event: Event
    cancelled_at: datetime | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Effective times of one event at one resource: ``end`` exclusive, ``None`` open-ended; offsets in s.

    ``scheduled_start`` and ``scheduled_end`` are what the VTN asked for.
    """

    start: datetime
    end: datetime | None
    start_offset_s: int
    release_offset_s: int
    scheduled_start: datetime | None = None
    scheduled_end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """One stretch of one event at one resource. ``limit_a`` is A per phase, ``None`` where the event asks for none."""

    resource_id: str
    event_id: str
    modification_number: int
    start: datetime
    end: datetime | None
    limit_a: float | None
    value: float
    reason: str
    priority: int
    emergency: bool
    overridable: bool
    programme: str  # market context and version: goes with every decision
    event_class: EventClass = EventClass.RELIABILITY
    group_kw: float | None = None  # limit in kW of all resources of the event together; the share is allocated later
    effect: Effect = Effect.CONSTRAIN
    two_step: bool = False  # an override must be confirmed (ARB-06)
    context: str = ""  # normalised market context of the programme
    authority: Authority = Authority.CONTRACT
    issuer: str = ""  # who stands behind the programme
    at_grid: bool = False  # a limit at the site's connection: its own supply comes on top (MAP-11)
    step: int | None = None  # of a step signal: 0 is its mildest reduction
    energy_wh: float | None = None  # of a wish for more load: what it is to store

    def contains(self, now: datetime) -> bool:
        """True while the cap is in force."""
        return self.start <= now and (self.end is None or now < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePlan:
    """All that one event means for one resource."""

    resource_id: str
    event_id: str
    modification_number: int
    timing: Timing
    caps: tuple[Cap, ...]
    programme: str

    @property
    def begins(self) -> datetime:
        """When the event first limits the resource: its ramp-up may come before its start."""
        return min((self.timing.start, *(cap.start for cap in self.caps)))

    @property
    def over(self) -> datetime | None:
        """When nothing is left of it, its recovery included; ``None`` while it is open-ended."""
        if self.timing.end is None or any(cap.end is None for cap in self.caps):
            return None
        return max((self.timing.end, *(cap.end for cap in self.caps if cap.end is not None)))
