"""Calls of a charger that came before, by message id: answered alike, acted upon once; pure.

Rule: a repeat is the same id with the same action and payload. A charger that uses an id again for something else is
served as if the id were new; what asks for the time is always answered anew.
"""

from collections import OrderedDict
from enum import Enum, auto

import msgspec

from bridge.ocpp.frames import Call, CallError, CallResult

_KEPT = 16  # answers; a network repeats what is recent
_ANEW = frozenset({"Heartbeat", "BootNotification"})  # their answers hold the present time and registration state

Reply = CallResult | CallError


class State(Enum):
    """How a repeated call stands."""

    NEW = auto()
    OPEN = auto()  # being answered: the answer to come serves both


class Repeats:
    """The latest calls of one connection and their answers. Of a call only a mark is kept: payloads are large."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, Reply | None]] = OrderedDict()

    def look(self, call: Call) -> State | Reply:
        """Return the answer that ``call`` has had, or how it stands; a new one is taken note of."""
        if call.action in _ANEW:
            return State.NEW
        known, mark = self._known.get(call.unique_id), _mark(call)
        if known is not None and known[0] == mark:
            return known[1] if known[1] is not None else State.OPEN
        self._known[call.unique_id] = (mark, None)
        self._known.move_to_end(call.unique_id)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return State.NEW

    def answered(self, call: Call, reply: Reply) -> None:
        """Take note of the answer to ``call``."""
        known = self._known.get(call.unique_id)
        if known is not None and known[0] == _mark(call):
            self._known[call.unique_id] = (known[0], reply)

    def forget(self, call: Call) -> None:
        """Forget a call that was turned away unserved: its repeat is to be served."""
        known = self._known.get(call.unique_id)
        if known is not None and known[0] == _mark(call):
            del self._known[call.unique_id]


def _mark(call: Call) -> int:
    return hash((call.action, msgspec.json.encode(call.payload, order="deterministic")))
