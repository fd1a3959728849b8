"""What the cars' batteries hold, from their state of charge and their capacity; only where both are known (TEL-10).

Rule: measured or absent, never invented: the state of charge must be fresh, of the session that runs now, and of a
battery whose capacity the car, its driver or the settings have told. Who has ever told one is kept, so that what is
offered upstream does not change whenever a car comes or goes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bridge.asks import Content
from bridge.fleet import Fleet
from bridge.resources import Resource
from bridge.store import BridgeStore, Changes
from runtime.clock import Clock

STALE_S = 900.0  # an older state of charge says nothing about now: the slowest meters send every 15 min


class ContentBook:
    """Called, it returns what stores hold now, by resourceID."""

    def __init__(self, *, resources: Sequence[Resource], fleet: Fleet, store: BridgeStore, clock: Clock) -> None:
        self._resources = {each.charger: each for each in resources}
        self._by_name = {each.resource_id: each for each in resources}
        self._fleet, self._store, self._clock = fleet, store, clock
        self._batteries: dict[str, tuple[str, float]] = {}  # by charger: session, Wh
        self._told: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Take up who has told a state of charge before the restart."""
        self._told = await self._store.content_told()

    def __call__(self) -> Mapping[str, Content]:
        """Return what is known now."""
        now = self._clock.now()
        found = {}
        for charger in self._fleet.telling:
            resource = self._resources.get(charger)
            content = None if resource is None else self._content(resource, now)
            if resource is not None and content is not None:
                found[resource.resource_id] = content
        return found

    def of(self, resource_id: str) -> Content | None:
        """Return what one resource's store holds now."""
        return self._content(self._by_name[resource_id], self._clock.now())

    def _content(self, resource: Resource, now: datetime) -> Content | None:
        charger = self._fleet.get(resource.charger)
        said, full_wh = charger.soc, self.battery_wh(resource.resource_id)
        if said is None or full_wh is None or not charger.connected or said.session != charger.session_name:
            return None
        if not charger.session or now > said.at + timedelta(seconds=STALE_S):
            return None
        return Content(content_wh=said.share * full_wh, full_wh=full_wh, at=said.at, session=said.session)

    def battery_wh(self, resource_id: str) -> float | None:
        """Return the capacity of the battery that is there: as told in this session, else as configured."""
        resource = self._by_name[resource_id]
        session, told = self._batteries.get(resource.charger, ("", None))
        return told if told is not None and session == self.session_of(resource_id) else resource.battery_wh

    def session_of(self, resource_id: str) -> str:
        """Return the name of the charging session there, '' if none is known."""
        resource = self._by_name.get(resource_id)  # None: of an event before the settings changed
        return "" if resource is None else self._fleet.get(resource.charger).session_name

    def learn(self, resource_id: str, session: str, battery_wh: float) -> None:
        """Take the capacity of the battery that is there in ``session``."""
        self._batteries[self._by_name[resource_id].charger] = (session, battery_wh)

    @property
    def tellers(self) -> frozenset[str]:
        """The resources where a state of charge has ever been told together with a capacity."""
        return self._told

    async def note(self) -> None:
        """Keep who has told a state of charge for the first time."""
        new = frozenset(self()) - self._told
        if new:
            now = self._clock.now()
            await self._store.write(Changes(content_told=tuple((name, now) for name in sorted(new))))
            self._told |= new
