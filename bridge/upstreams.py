"""Several VTNs as one source of events and one sink of opts; each resource has one lead and may follow others (VEN-04).

Rule: an event counts at a resource only if its VTN leads it or the resource is enrolled with it; where several limit,
the arbiter takes the most restrictive. Events of a named VTN go by ``name/eventID`` inside the bridge, for two VTNs may
use the same eventID; with one VTN nothing is renamed. Opts and reports go to the VTN they are about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.desk import ScheduleSink
from bridge.opts import OptSink
from bridge.resources import Resource, select
from openadr.errors import NotRegistered
from openadr.model import EiTarget
from ven.contact import VenStatus
from ven.model import StoredEvent
from ven.opts import EventOpt, ScheduleOpt
from ven.state import Beside

MARK = "/"  # between the name of a VTN and what it names; not part of a name


class Events(Protocol):
    """The events of one VTN."""

    async def events(self) -> tuple[StoredEvent, ...]:
        """Return every event that is to be carried out."""
        ...

    async def forget(self, event_id: str) -> None:
        """Hide an event that every resource has ended."""
        ...


class Sink(OptSink, ScheduleSink, Protocol):
    """The outbox of one VTN."""

    @property
    def status(self) -> VenStatus:
        """How the VEN stands there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One VTN: its name ('' for the only or first one), its events, its outbox, and the resources it may limit."""

    name: str
    events: Events
    sink: Sink
    resources: tuple[Resource, ...]

    def named(self, what: str) -> str:
        """Return an identifier of this VTN as the bridge knows it."""
        return f"{self.name}{MARK}{what}" if self.name else what


async def _nothing(_connection: AsyncConnection, _opt_id: str) -> None:
    return None


class Upstreams:
    """The bridge's view of all its VTNs. ``leads`` names the lead of each resource."""

    def __init__(self, lanes: Sequence[Lane], leads: Mapping[str, str]) -> None:
        self._lanes, self._leads = {lane.name: lane for lane in lanes}, leads

    def vtn_of(self, identifier: str) -> str:
        """Return the name of the VTN that an identifier of the bridge belongs to."""
        name, mark, _ = identifier.partition(MARK)
        return name if mark and name in self._lanes else ""

    def _split(self, identifier: str) -> tuple[Lane, str]:
        name = self.vtn_of(identifier)
        return self._lanes[name], identifier.removeprefix(f"{name}{MARK}") if name else identifier

    # -- events -------------------------------------------------------------------------------------------------------

    async def events(self) -> tuple[StoredEvent, ...]:
        """Return the events of all VTNs, each aimed at those of its resources that it may limit."""
        found: list[StoredEvent] = []
        for lane in self._lanes.values():
            stored = await lane.events.events()
            found += stored if len(self._lanes) == 1 else [one for each in stored if (one := _aimed(lane, each))]
        return tuple(found)

    async def everything(self) -> tuple[StoredEvent, ...]:
        """Return the events of all VTNs as they came, under their names in the bridge."""
        found: list[StoredEvent] = []
        for lane in self._lanes.values():
            for each in await lane.events.events():
                descriptor = each.event.descriptor
                named = replace(descriptor, event_id=lane.named(descriptor.event_id))
                found.append(replace(each, event=replace(each.event, descriptor=named)))
        return tuple(found)

    async def forget(self, event_id: str) -> None:
        """Hide an event that every resource has ended."""
        lane, raw = self._split(event_id)
        await lane.events.forget(raw)

    # -- opts ---------------------------------------------------------------------------------------------------------

    async def opt(self, asked: EventOpt, now: datetime, beside: Beside[str]) -> str:
        """Owe an oadrCreateOpt to the VTN that the event is from."""
        lane, raw = self._split(asked.event_id)
        return await lane.sink.opt(replace(asked, event_id=raw), now, beside)

    async def opt_schedule(self, asked: ScheduleOpt, now: datetime, beside: Beside[str]) -> str:
        """Owe an oadrCreateOpt with a schedule to every VTN of a resource; the lead's and ``beside`` go together, last.

        Told again after a crash in between, the others replace what they have. Raises ``NotRegistered`` for the lead.
        """
        lead = self._lanes[self._leads.get(asked.resource_ids[0], "")]
        if not lead.sink.status.registered:
            raise NotRegistered("not registered: an opt needs a venID (R208)")
        told: list[str] = []

        async def together(connection: AsyncConnection, opt_id: str) -> None:
            await beside(connection, " ".join([*told, lead.named(opt_id)]))

        for lane in [*(each for each in self._also(asked.resource_ids) if each is not lead), lead]:
            opt_id = await lane.sink.opt_schedule(asked, now, together if lane is lead else _nothing)
            told.append(lane.named(opt_id))
        return " ".join(told)

    def _also(self, resource_ids: tuple[str, ...]) -> list[Lane]:
        wanted = set(resource_ids)
        return [
            lane
            for lane in self._lanes.values()
            if lane.sink.status.registered and wanted & {each.resource_id for each in lane.resources}
        ]

    async def cancel_opt(self, opt_id: str, now: datetime, beside: Beside[str]) -> None:
        """Owe an oadrCancelOpt wherever the schedule was told; ``beside`` goes with the lead's."""
        *others, last = opt_id.split(" ")
        for each in others:
            lane, raw = self._split(each)
            if lane.sink.status.registered:
                await lane.sink.cancel_opt(raw, now, _nothing)
        lane, raw = self._split(last)
        await lane.sink.cancel_opt(raw, now, beside)


def _aimed(lane: Lane, stored: StoredEvent) -> StoredEvent | None:
    """Return the event under its name in the bridge, aimed at this VTN's resources; ``None`` if it is for none."""
    event = stored.event
    targeted = select(lane.resources, event.target, lane.sink.status.ven_id)
    if not targeted:
        return None
    descriptor = replace(event.descriptor, event_id=lane.named(event.descriptor.event_id))
    target = EiTarget(resource_ids=tuple(each.resource_id for each in targeted))
    return replace(stored, event=replace(event, descriptor=descriptor, target=target))
