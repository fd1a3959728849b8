"""Messages to bytes, with each event rendered once per version, status and part for all the VENs that have it.

Rule: joining rendered parts gives the same message as encoding the whole; the cache is bounded and never wrong, only
smaller or larger.
"""

from collections import OrderedDict

from openadr.messages import DistributeEvent, Message
from openadr.model import Event, EventStatus
from openadr.wire import EventFrame, encode, encode_frame, join_distribute

CACHED_EVENTS = 5_000  # about 2 kB each
_Key = tuple[str, int, EventStatus, tuple[tuple[str, float | None], ...], bool]


class Renderer:
    """An encoder that remembers events but for their targets, which differ from VEN to VEN."""

    def __init__(self, size: int = CACHED_EVENTS) -> None:
        self._size = size
        self._frames: OrderedDict[_Key, EventFrame] = OrderedDict()

    def encode(self, message: Message) -> bytes:
        """Return the payload of a message."""
        if not isinstance(message, DistributeEvent) or not message.events:
            return encode(message)
        return join_distribute(
            message.request_id,
            message.vtn_id,
            message.response,
            [self._frame(each).around(each.target) for each in message.events],
            created=message.events[0].descriptor.created_date_time,
        )

    def _frame(self, event: Event) -> EventFrame:
        described = event.descriptor
        shown = tuple((each.signal_id, each.current_value) for each in event.signals)
        key = (
            described.event_id,
            described.modification_number,
            described.event_status,
            shown,
            event.baseline is None,
        )
        known = self._frames.get(key)
        if known is None:
            known = self._frames[key] = encode_frame(event)
            if len(self._frames) > self._size:
                self._frames.popitem(last=False)
        return known
