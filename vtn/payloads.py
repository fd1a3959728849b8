"""Payloads for VENs: those that have the same events share all but the target and the requestID.

Rule: what is shared is made once and holds until a status, a value or the set of events changes; joined with a VEN's
own target it gives the same message as encoding the whole.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from openadr.model import Event
from openadr.timeline import next_change
from openadr.wire import PayloadFrame, encode_payload_frame, encode_target
from vtn.packing import MOST, Packed, packed
from vtn.services.context import RetryPolicy, done
from vtn.services.events import addressed, changed_at, firsts, fresh, over_at, stamped
from vtn.store import eventrows
from vtn.store.eventrows import Assignment, StoredEvent

SETS = 1_000  # different sets of events that VENs have at one time
_FEW = 2  # VENs for which nothing is compressed in advance: it costs half as much again as compressing one payload
_LENGTHS = 20  # different ones of targets for which the rest of a payload is compressed in advance, 2 kB each
TARGETS = 20_000  # rendered, some 200 bytes each; a VEN has mostly the same one in all its events
_ANSWER = done("")  # to a poll, which has no requestID


Contents = tuple[datetime | None, tuple[int, ...], tuple[tuple[str, ...] | None, ...]]


def contents(assignments: tuple[Assignment, ...], changed: datetime | None) -> Contents:
    """Return what is the same for all the VENs that get the same of these events, but for the target.

    Versions count by identity: whoever remembers something by this has to keep them.
    """
    return changed, tuple([id(each.stored) for each in assignments]), tuple([each.state.parts for each in assignments])


@dataclass(slots=True)
class Shared:
    """Events as made at ``since`` but for their targets, the same before ``until``."""

    stored: tuple[StoredEvent, ...]  # what it was made of; remembered by identity, so they have to stay
    events: tuple[Event, ...]
    first: eventrows.Contents  # what to record of the first hand-out
    since: datetime
    until: datetime | None
    over_at: datetime  # when the last of them leaves the payload
    again: timedelta | None = field(init=False)  # how long after the first hand-out something is due again
    _frame: PayloadFrame | None = field(default=None, init=False)  # of the answer to a poll
    _packed: dict[tuple[int, int], Packed] = field(default_factory=dict, init=False)
    _asked: dict[tuple[int, int], int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.again = min([again for _, _, again in self.first if again is not None], default=None)

    def holds(self, now: datetime) -> bool:
        """True while it is still what would be made at ``now``."""
        return self.since <= now and (self.until is None or now < self.until)

    def around(self, assignments: tuple[Assignment, ...], request_id: str, vtn_id: str) -> "Parcel":
        """Return the answer to the poll of the VEN with these events."""
        first = assignments[0]
        ven_id, named = first.state.ven_id, first.resource_ids
        if all([each.resource_ids == named for each in assignments]):
            return self.around_same(ven_id, named, request_id, vtn_id)
        names = {each.stored.event_id: each.resource_ids for each in assignments}
        targets = [_target(ven_id, names[each.descriptor.event_id]) for each in self.events]
        return Parcel(self, self._rendered(vtn_id), request_id, targets)

    def around_same(self, ven_id: str, named: tuple[str, ...], request_id: str, vtn_id: str) -> "Parcel":
        """Return it for a VEN that has all these events with the same resources."""
        return Parcel(self, self._rendered(vtn_id), request_id, _target(ven_id, named))

    def _rendered(self, vtn_id: str) -> PayloadFrame:
        if self._frame is None:
            self._frame = encode_payload_frame(vtn_id, _ANSWER, self.events)
        return self._frame

    def packed(self, frame: PayloadFrame, sizes: tuple[int, int]) -> Packed | None:
        """Return what is the same for requestIDs and targets of these lengths, if enough VENs ask for it."""
        found = self._packed.get(sizes)
        if found is None:
            asked = self._asked[sizes] = self._asked.get(sizes, 0) + 1
            if asked > _FEW and len(self._packed) < _LENGTHS and max(sizes) <= MOST:
                found = self._packed[sizes] = packed(frame.before, frame.between, sizes)
        return found


@dataclass(slots=True)  # not frozen, as there is one for almost every poll; nobody changes it
class Parcel:
    """An oadrDistributeEvent for one VEN; ``target``: that of all its events, or one for each."""

    _shared: Shared
    _frame: PayloadFrame
    _request_id: str
    _target: bytes | list[bytes]

    @property
    def events(self) -> int:
        """How many events it has."""
        return len(self._shared.events)

    @property
    def body(self) -> bytes:
        """It as bytes."""
        if isinstance(self._target, bytes):
            return self._frame.around(self._request_id, self._target)
        return self._frame.around_each(self._request_id, self._target)

    def packed(self) -> tuple[Packed, bytes, bytes] | None:
        """Return it compressed but for the requestID and the target, and these two, if that costs little."""
        target = self._target
        if not isinstance(target, bytes):
            return None
        request = self._frame.request(self._request_id)
        found = self._shared.packed(self._frame, (len(request), len(target)))
        return None if found is None else (found, request, target)


@lru_cache(maxsize=TARGETS)
def _target(ven_id: str, resource_ids: tuple[str, ...]) -> bytes:
    return encode_target(ven_id, resource_ids)


class Payloads:
    """Makes payloads and remembers what VENs share."""

    def __init__(self, retry: RetryPolicy, *, current_value: bool = False) -> None:
        self._retry = retry
        self._current_value = current_value
        self._shared: dict[Contents, Shared] = {}

    def __call__(self, assignments: tuple[Assignment, ...], now: datetime) -> tuple[Event, ...]:
        """Return the payload of the VEN with these events."""
        return addressed(self.shared(assignments, now)[0].events, assignments)

    def shared(self, assignments: tuple[Assignment, ...], now: datetime) -> tuple[Shared, tuple[Assignment, ...]]:
        """Return what the VEN with these events shares with others, and which of them are in its payload."""
        due = fresh(assignments, now)
        if not due:
            return Shared((), (), (), now, now, now), ()
        changed = changed_at(assignments)
        return self.of(due, changed, contents(due, changed), now), due

    def of(self, due: tuple[Assignment, ...], changed: datetime | None, same: Contents, now: datetime) -> Shared:
        """Return what VENs share that have exactly these events in their payloads, in the order of their making."""
        known = self._shared.get(same)
        if known is None or not known.holds(now):
            events = stamped(due, now, current_value=self._current_value, changed=changed)
            stored = tuple(each.stored for each in due)
            known = Shared(stored, events, firsts(due, self._retry), now, next_change(events, now), over_at(due))
            if len(self._shared) >= SETS:
                self._shared.clear()
            self._shared[same] = known
        return known
