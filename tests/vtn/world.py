"""A small world for VTN tests: instants, ids that count, events, enrolled VENs, and a VEN's side of the exchanges."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from openadr.messages import CreatedPartyRegistration, CreatePartyRegistration, Message, Poll
from openadr.model import (
    ActivePeriod,
    EiTarget,
    Event,
    EventDescriptor,
    EventStatus,
    Interval,
    ResponseRequired,
    Signal,
    SignalType,
)
from openadr.times import Duration
from runtime.clock import FakeClock
from vtn.services.context import Desk
from vtn.services.dispatch import handle
from vtn.store.eventrows import EventResource, EventVen, StoredEvent
from vtn.store.rows import Resource, Ven
from vtn.store.store import Store

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = Duration(seconds=3600)
MARKET = "https://dso.example/flex"


def fingerprint(number: int) -> str:
    """Return a well-formed fingerprint."""
    return number.to_bytes(10, "big").hex(":").upper()


def counting_ids() -> "Ids":
    """Return a maker of ids that count up from 1."""
    return Ids()


class Ids:
    """Makes ``prefix-1``, ``prefix-2`` and so on."""

    def __init__(self) -> None:
        self._count = count(1)

    def __call__(self, prefix: str) -> str:
        return f"{prefix}-{next(self._count)}"


def simple_event(
    event_id: str = "evt-a",
    *,
    number: int = 0,
    start: datetime = START + timedelta(hours=1),
    duration: Duration = HOUR,
    status: EventStatus = EventStatus.FAR,
    required: ResponseRequired = ResponseRequired.ALWAYS,
    target: EiTarget | None = None,
    startafter: Duration | None = None,
    priority: int = 0,
) -> Event:
    """Return an event with one SIMPLE signal of level 1."""
    return Event(
        descriptor=EventDescriptor(
            event_id=event_id,
            modification_number=number,
            market_context=MARKET,
            created_date_time=START,
            event_status=status,
            priority=priority,
        ),
        active_period=ActivePeriod(dtstart=start, duration=duration, startafter=startafter),
        signals=(
            Signal(
                signal_name="SIMPLE",
                signal_type=SignalType.LEVEL,
                signal_id="sig-a",
                intervals=(Interval(duration=duration, uid=0, value=1.0),),
            ),
        ),
        target=target or EiTarget(ven_ids=("ven-a",)),
        response_required=required,
    )


def stored(event: Event, at: datetime = START) -> StoredEvent:
    """Return the row of an event."""
    period = event.active_period
    end = period.end
    if end is not None and period.startafter is not None:
        end = period.startafter.after(end)
    return StoredEvent(
        event=event,
        cancelled=event.descriptor.event_status is EventStatus.CANCELLED,
        created_at=at,
        modified_at=at,
        payload_end=end,
    )


@dataclass
class World:
    """A VTN's inside without HTTP: store, desk and clock."""

    store: Store
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    desk: Desk = field(default_factory=lambda: Desk(vtn_id="VTN-1", new_id=Ids()))

    async def enrol(self, ven_id: str = "ven-a", number: int = 1, *resources: Resource) -> "Party":
        """Enrol a VEN and return its side."""
        async with self.store.write() as tx:
            await tx.vens.add(Ven(ven_id=ven_id, fingerprint=fingerprint(number), enrolled_at=self.clock.now()))
            await tx.vens.add_resources(resources)
        return Party(self, ven_id, fingerprint(number))

    async def put(
        self, event: Event, *ven_ids: str, resources: dict[str, tuple[str, ...]] | None = None
    ) -> StoredEvent:
        """Publish an event for whole VENs, or for the resources of some."""
        row = stored(event, self.clock.now())
        narrowed = resources or {}
        async with self.store.write() as tx:
            await tx.events.put(row, "tester")
            await tx.events.assign(
                [
                    EventVen(event_id=row.event_id, ven_id=ven_id, whole_ven=ven_id in ven_ids, due_at=self.clock.now())
                    for ven_id in (*ven_ids, *narrowed)
                ],
                [
                    EventResource(event_id=row.event_id, ven_id=ven_id, resource_id=name)
                    for ven_id, names in narrowed.items()
                    for name in names
                ],
                new=row,
            )
        return row

    async def modify(self, row: StoredEvent, **descriptor: object) -> StoredEvent:
        """Publish the next version of an event."""
        old = row.event.descriptor
        changed = replace(old, modification_number=old.modification_number + 1, **descriptor)  # type: ignore[arg-type]
        new = replace(stored(replace(row.event, descriptor=changed), row.created_at), modified_at=self.clock.now())
        async with self.store.write() as tx:
            await tx.events.put(new, "tester")
            await tx.events.modified(new.event_id, self.clock.now())
        return new


@dataclass
class Party:
    """A VEN as the VTN meets it: a venID and a certificate."""

    world: World
    ven_id: str
    fingerprint: str

    async def send(self, message: Message) -> Message:
        """Send a message and return the reply."""
        world = self.world
        return await handle(world.store, message, self.fingerprint, world.clock.now(), world.desk)

    async def register(self, **fields: object) -> CreatedPartyRegistration:
        """Register."""
        request = CreatePartyRegistration(request_id="reg-1", ven_name="A VEN", **fields)  # type: ignore[arg-type]
        reply = await self.send(request)
        assert isinstance(reply, CreatedPartyRegistration)
        return reply

    async def poll(self) -> Message:
        """Poll once."""
        return await self.send(Poll(ven_id=self.ven_id))
