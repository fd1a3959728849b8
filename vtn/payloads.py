"""Payloads for VENs: those that have the same events share all but the target and the requestID.

Rule: what is shared is made once and holds until a status, a value or the set of events changes; joined with a VEN's
own target it gives the same message as encoding the whole.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from openadr.model import Event
from openadr.timeline import next_change
from openadr.wire import PayloadFrame, encode_payload_frame, encode_target
from vtn.services.context import done
from vtn.services.events import addressed, created_at, fresh, stamped
from vtn.store.rows import Assignment

SETS = 1_000  # different sets of events that VENs have at one time
TARGETS = 20_000  # rendered, some 200 bytes each; a VEN has mostly the same one in all its events
_ANSWER = done("")  # to a poll, which has no requestID


@dataclass(frozen=True, slots=True)
class Parcel:
    """An oadrDistributeEvent as bytes, and how many events it has."""

    body: bytes
    events: int


@dataclass(slots=True)
class Shared:
    """Events as made at ``since`` but for their targets, the same before ``until``."""

    events: tuple[Event, ...]
    since: datetime
    until: datetime | None
    _frame: PayloadFrame | None = field(default=None, init=False)  # of the answer to a poll

    def holds(self, now: datetime) -> bool:
        """True while it is still what would be made at ``now``."""
        return self.since <= now and (self.until is None or now < self.until)

    def around(self, assignments: tuple[Assignment, ...], request_id: str, vtn_id: str) -> bytes:
        """Return the answer to the poll of the VEN with these events."""
        frame = self._frame
        if frame is None:
            frame = self._frame = encode_payload_frame(vtn_id, _ANSWER, self.events)
        first = assignments[0]
        ven_id, named = first.state.ven_id, first.resource_ids
        if all(each.resource_ids == named for each in assignments):
            return frame.around(request_id, _target(ven_id, named))
        names = {each.stored.event_id: each.resource_ids for each in assignments}
        targets = [_target(ven_id, names[each.descriptor.event_id]) for each in self.events]
        return frame.around_each(request_id, targets)


@lru_cache(maxsize=TARGETS)
def _target(ven_id: str, resource_ids: tuple[str, ...]) -> bytes:
    return encode_target(ven_id, resource_ids)


class Payloads:
    """Makes payloads and remembers what VENs share."""

    def __init__(self, *, current_value: bool = False) -> None:
        self._current_value = current_value
        self._shared: dict[tuple[object, ...], Shared] = {}

    def __call__(self, assignments: tuple[Assignment, ...], now: datetime) -> tuple[Event, ...]:
        """Return the payload of the VEN with these events."""
        return addressed(self.shared(assignments, now)[0].events, assignments)

    def shared(self, assignments: tuple[Assignment, ...], now: datetime) -> tuple[Shared, tuple[Assignment, ...]]:
        """Return what the VEN with these events shares with others, and which of them are in its payload."""
        due = fresh(assignments, now)
        if not due:
            return Shared((), now, now), ()
        key = (created_at(due), *[each.content for each in due])
        known = self._shared.get(key)
        if known is None or not known.holds(now):
            events = stamped(due, now, current_value=self._current_value)
            known = Shared(events, now, next_change(events, now))
            if len(self._shared) >= SETS:
                self._shared.clear()
            self._shared[key] = known
        return known, due
