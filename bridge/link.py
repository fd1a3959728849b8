"""Watches whether a VTN is heard: last contacts and silences, on disk, so that a restart neither begins nor ends one.

Rule: what a silence means is decided in ``bridge.outage``; this shell only notes when it began, when it was noticed and
when it ended. After a start it waits as long as for a first silence, so that the bridge's own absence is none of the
VTN's.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bridge.outage import Outage
from bridge.store import BridgeStore, Changes
from runtime.logs import get_logger

NOTE_S = 60.0  # a contact is written this often: after a restart it is known to a minute

log = get_logger(__name__)


class Contact(Protocol):
    """One VTN as its VEN hears it."""

    @property
    def last_contact(self) -> datetime | None:
        """When it was last heard since the start, ``None`` if it was not."""
        ...

    @property
    def patience_s(self) -> float:
        """How long a VTN that is well may be silent, s."""
        ...


class LinkWatch:
    """The silences of all VTNs.

    ``lost_after_s`` returns how long the most impatient programme waits, ``vtn_of`` the VTN that an event is from.
    """

    def __init__(
        self,
        store: BridgeStore,
        contacts: Mapping[str, Contact],
        lost_after_s: Callable[[], float],
        vtn_of: Callable[[str], str],
    ) -> None:
        self._store, self._contacts, self._lost_after_s, self._vtn_of = store, contacts, lost_after_s, vtn_of
        self._started = datetime.min.replace(tzinfo=UTC)
        self._heard: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._outages: dict[str, tuple[Outage, ...]] = {}

    async def load(self, now: datetime) -> None:
        """Take up what was known before the restart."""
        self._started = now
        self._heard = {vtn: min(at, now) for vtn, at in (await self._store.heard()).items()}
        self._noted = dict(self._heard)
        for each in await self._store.outages():
            self._outages[each.vtn] = (*self._outages.get(each.vtn, ()), each)

    def of(self, vtn: str) -> tuple[Outage, ...]:
        """Return the silences of one VTN, oldest first."""
        return self._outages.get(vtn, ())

    def outages(self, event_id: str) -> tuple[Outage, ...]:
        """Return the silences of the VTN that an event is from."""
        return self.of(self._vtn_of(event_id))

    def silent_since(self, vtn: str) -> datetime | None:
        """Return since when a VTN has been silent, ``None`` if it is in contact."""
        latest = self.of(vtn)[-1:]
        return latest[0].since if latest and latest[0].until is None else None

    async def update(self, now: datetime) -> bool:
        """Note what has changed; True if a silence began or ended."""
        changed = False
        for vtn, contact in self._contacts.items():
            fresh = contact.last_contact
            if fresh is not None:
                fresh = min(fresh, now)
                changed |= await self._ended(vtn, fresh)
                self._heard[vtn] = fresh
                await self._note(vtn, fresh)
            changed |= await self._began(vtn, contact, now)
        return changed

    async def _note(self, vtn: str, at: datetime) -> None:
        known = self._noted.get(vtn)
        if known is None or abs((at - known).total_seconds()) >= NOTE_S:
            await self._store.write(Changes(heard=((vtn, at),)))
            self._noted[vtn] = at

    async def _began(self, vtn: str, contact: Contact, now: datetime) -> bool:
        since = self._heard.get(vtn)
        if since is None or self.silent_since(vtn) is not None:
            return False  # a VTN that never was heard has sent nothing that could be interrupted
        limit = timedelta(seconds=max(self._lost_after_s(), contact.patience_s))
        if now - max(since, self._started) < limit:
            return False
        outage = Outage(vtn=vtn, since=since, noticed=now)
        await self._store.write(Changes(outages=(outage,), heard=((vtn, since),)))
        self._outages[vtn] = (*self.of(vtn), outage)
        log.warning("the VTN is silent", vtn=vtn, since=since)
        return True

    async def _ended(self, vtn: str, heard: datetime) -> bool:
        since = self.silent_since(vtn)
        if since is None or heard <= since:
            return False
        ended = replace(self.of(vtn)[-1], until=heard)
        await self._store.write(Changes(outages=(ended,), heard=((vtn, heard),)))
        self._outages[vtn] = (*self.of(vtn)[:-1], ended)
        self._noted[vtn] = heard
        log.warning("the VTN is back", vtn=vtn, silent_s=(heard - since).total_seconds())
        return True
