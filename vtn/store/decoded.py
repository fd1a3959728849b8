"""Events decoded once for all the VENs that have them.

Rule: an entry stands for one version as one commit wrote it (eventID, modificationNumber, modified at), so it is never
wrong; the oldest entries give way to new ones.
"""

from collections import OrderedDict
from datetime import datetime

from vtn.store.eventrows import StoredEvent

KEPT = 5_000  # events, about 3 kB each; more than are in payloads at one time
Version = tuple[str, int, datetime]
"""eventID, modificationNumber, modified at; a number below 0 is the cancel that VENs get which a version left out."""


class Decoded:
    """A bounded memory of committed versions; one per process."""

    def __init__(self, size: int = KEPT) -> None:
        self._size = size
        self._events: OrderedDict[Version, StoredEvent] = OrderedDict()

    def __len__(self) -> int:
        return len(self._events)

    def get(self, version: Version) -> StoredEvent | None:
        """Return a version if it is remembered."""
        return self._events.get(version)

    def keep(self, version: Version, stored: StoredEvent) -> None:
        """Remember a version that is committed."""
        self._events[version] = stored
        if len(self._events) > self._size:
            self._events.popitem(last=False)
