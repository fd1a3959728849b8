"""Notes when each charger was connected and when somebody there had left an event: what TELEMETRY_STATUS is made of.

Rule: only changes are written, at the instant they were seen, so that a report made after an outage says what was so
then (OUT-10), not what is so now.
"""

from collections.abc import Iterable
from datetime import datetime

from bridge.store import BridgeStore, Changes, Presence


class PresenceBook:
    """The last row of every charger, and the writer of new ones."""

    def __init__(self, store: BridgeStore) -> None:
        self._store = store
        self._last: dict[str, Presence] = {}

    async def load(self) -> None:
        """Take up what was noted before the restart."""
        self._last = await self._store.last_presence()

    async def note(self, seen: Iterable[tuple[str, bool, bool]], now: datetime) -> None:
        """Write what has changed of (charger, connected, overridden)."""
        rows = [
            Presence(charger=charger, at=now, online=online, overridden=overridden)
            for charger, online, overridden in seen
            if _changed(self._last.get(charger), online, overridden)
        ]
        await self._store.write(Changes(presence=tuple(rows)))
        self._last |= {row.charger: row for row in rows}


def _changed(last: Presence | None, online: bool, overridden: bool) -> bool:
    if last is None:
        return online or overridden  # nothing noted is not connected
    return (last.online, last.overridden) != (online, overridden)
