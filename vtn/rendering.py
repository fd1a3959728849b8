"""Messages to bytes, with each event rendered once per VEN, version and status.

Rule: joining rendered parts gives the same message as encoding the whole; the cache is bounded and never wrong, only
smaller or larger.
"""

from collections import OrderedDict

from openadr.messages import DistributeEvent, Message
from openadr.model import Event, EventStatus
from openadr.wire import encode, encode_event, join_distribute

CACHED_EVENTS = 20_000  # about 2 kB each
_Key = tuple[str, int, EventStatus, tuple[str, ...]]


class Renderer:
    """An encoder that remembers events."""

    def __init__(self, size: int = CACHED_EVENTS) -> None:
        self._size = size
        self._events: OrderedDict[_Key, bytes] = OrderedDict()

    def encode(self, message: Message) -> bytes:
        """Return the payload of a message."""
        if not isinstance(message, DistributeEvent) or not message.events:
            return encode(message)
        return join_distribute(
            message.request_id,
            message.vtn_id,
            message.response,
            [self._event(each) for each in message.events],
            created=message.events[0].descriptor.created_date_time,
        )

    def _event(self, event: Event) -> bytes:
        described = event.descriptor
        key = (
            described.event_id,
            described.modification_number,
            described.event_status,
            event.target.ven_ids,
        )
        known = self._events.get(key)
        if known is None:
            known = self._events[key] = encode_event(event)
            if len(self._events) > self._size:
                self._events.popitem(last=False)
        return known
