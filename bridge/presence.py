"""Notes when each charger was connected, had a session, and when somebody there had left an event.

TELEMETRY_STATUS and the hours for which a charger was available are made of it.

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

    async def note(self, seen: Iterable[tuple[str, bool, bool, bool, int | None]], now: datetime) -> None:
        """Write what has changed of (charger, connected, overridden, session, level)."""
        rows = [
            Presence(charger=charger, at=now, online=online, overridden=overridden, session=session, level=level)
            for charger, online, overridden, session, level in seen
            if _changed(self._last.get(charger), (online, overridden, session, level))
        ]
        await self._store.write(Changes(presence=tuple(rows)))
        self._last |= {row.charger: row for row in rows}


def _changed(last: Presence | None, seen: tuple[bool, bool, bool, int | None]) -> bool:
    if last is None:
        return any(seen)  # nothing noted is not connected
    return (last.online, last.overridden, last.session, last.level) != seen
