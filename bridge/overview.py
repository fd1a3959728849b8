"""What an operator sees of the whole fleet: power that could be curtailed, status cards, key figures, availability.

Rule: a shell: it gathers what the supervisor knows and what is stored, and decides nothing; the figures are made in
``bridge.figures``. Nothing is promised for a meter that is silent.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.arbiter import SUSPENSION, Effective
from bridge.batches import gathered, in_turns
from bridge.figures import Availability, GroupFigures, KeyFigures, Seen, availability, group_figures, key_figures
from bridge.fleet import Charger
from bridge.prices import Price, price_of, prices_in_force
from bridge.resources import Resource
from bridge.store import BridgeStore, Outcome
from bridge.supervisor import Supervisor
from bridge.target import ChargerStatus, LimitTarget
from bridge.watch import GroupLimitFacts

RECENT = timedelta(hours=24)  # events that ended so long ago are still shown at a charger
FRESH_S = 180.0  # a reading older than this says nothing about now (telemetry.stale_after_s)

Silent = Callable[[str], datetime | None]
"""Returns since when the VTN that leads a resource has been silent, ``None`` while it is heard."""


def always_heard(_resource_id: str) -> datetime | None:
    """Return that no VTN is silent."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything that is known of one resource, as its owner or a DSO asks for it (TEL-04, TEL-15)."""

    resource: Resource
    charger: Charger
    status: ChargerStatus
    effective: Effective
    power_w: float | None
    price: Price | None
    outcomes: tuple[Outcome, ...]
    overridden: bool
    suspended: bool
    vtn_silent_since: datetime | None


class Overview:
    """The fleet as a whole."""

    def __init__(
        self, *, supervisor: Supervisor, target: LimitTarget, store: BridgeStore, silent_since: Silent = always_heard
    ) -> None:
        self._supervisor, self._target, self._store, self._silent_since = supervisor, target, store, silent_since

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Every resource by its resourceID."""
        return self._supervisor.resources

    # -- now ----------------------------------------------------------------------------------------------------------

    def _power_w(self, charger: Charger, now: datetime) -> float | None:
        reading = charger.reading
        fresh = reading is not None and now - reading.at <= timedelta(seconds=FRESH_S)
        return reading.power_w if reading is not None and fresh else None

    def _seen(self, resource: Resource, now: datetime) -> Seen:
        name, charger = resource.resource_id, self._supervisor.fleet.get(resource.charger)
        effective = self._supervisor.effective(name, now)
        suspended = self._supervisor.desk.suspension(name, now) is not None
        out = SUSPENSION if suspended else "override" if self._supervisor.overridden(name, now) else ""
        return Seen(
            resource=resource,
            online=charger.connected,
            session=charger.session,
            power_w=self._power_w(charger, now),
            limit_a=effective.limit_a,
            limit_source=effective.source,
            out=out,
        )

    async def seen(self, now: datetime) -> dict[str, Seen]:
        """Return every resource as it is now, by resourceID."""
        found = await gathered(self._seen(each, now) for each in tuple(self.resources.values()))
        return {each.resource.resource_id: each for each in found}

    async def groups(self, now: datetime) -> tuple[GroupFigures, ...]:
        """Return the figures of all resources together and of each group."""
        return group_figures((await self.seen(now)).values())

    def group_limits(self, fleet: Mapping[str, Seen], now: datetime) -> tuple[GroupLimitFacts, ...]:
        """Return what the meters of each limited group sum up to beside its limit; ``fleet`` is what was seen."""
        found: list[GroupLimitFacts] = []
        for each in self._supervisor.book.dividends(now):
            seen = [fleet[name] for name in each.members if name in fleet]
            if each.limit.total_kw is not None:
                drawn = sum(one.drawn_w for one in seen) / 1000.0
                found.append(_limited(each.key, each.name, drawn, each.limit.total_kw, "kW"))
            if each.limit.per_phase_a is not None:
                for line in (1, 2, 3):
                    amperes = sum(_amperes(one, line) for one in seen)
                    found.append(_limited(each.key, f"{each.name} phase {line}", amperes, each.limit.per_phase_a, "A"))
        return tuple(found)

    async def cards(self, names: Sequence[str], now: datetime) -> tuple[Card, ...]:
        """Return the cards of some resources."""
        recent = await self._store.outcomes_between(now - RECENT, now)
        stored = _by_resource(recent)
        live = _by_resource(self._supervisor.ledger.outcomes.values())
        prices = prices_in_force(self._supervisor.planner.known, now)
        found = []
        for name in names:
            resource = self.resources[name]
            charger = self._supervisor.fleet.get(resource.charger)
            status = self._target.status(resource.charger)
            outcomes = {each.event_id: each for each in (*stored.get(name, ()), *live.get(name, ()))}
            found.append(
                Card(
                    resource=resource,
                    charger=charger,
                    status=status or ChargerStatus(identity=resource.charger, connected=False),
                    effective=self._supervisor.effective(name, now),
                    power_w=self._power_w(charger, now),
                    price=price_of(resource, prices, None, now),
                    outcomes=tuple(sorted(outcomes.values(), key=lambda each: each.effective_start)),
                    overridden=self._supervisor.overridden(name, now),
                    suspended=self._supervisor.desk.suspension(name, now) is not None,
                    vtn_silent_since=self._silent_since(name),
                )
            )
        return tuple(found)

    # -- over a time --------------------------------------------------------------------------------------------------

    async def key_figures(self, start: datetime, end: datetime) -> KeyFigures:
        """Return what the events that were in force inside [start, end) came to."""
        outcomes = await self._store.outcomes_between(start, end)
        return key_figures(outcomes, await self._store.opts({each.event_id for each in outcomes}))

    async def availability(self, start: datetime, end: datetime) -> tuple[Availability, ...]:
        """Return how available every resource was over [start, end)."""
        resources = tuple(self.resources.values())
        rows = await self._store.presence([each.charger for each in resources], start, end)
        outcomes = _by_resource(await self._store.outcomes_between(start, end))
        found: list[Availability] = []
        async for some in in_turns(resources):
            for each in some:
                mine = outcomes.get(each.resource_id, ())
                found.append(availability(each.resource_id, rows.get(each.charger, ()), mine, start, end))
        return tuple(found)

    def shortfall_kwh(self, now: datetime) -> float:
        """Return the energy that drivers will miss at their departures, as the limits stand now, kWh."""
        views = (self._supervisor.stands(need, now) for need in self._supervisor.needs.values())
        return round(sum(view.stands.shortfall_wh for view in views) / 1000.0, 3)


def _by_resource(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for each in outcomes:
        found.setdefault(each.resource_id, []).append(each)
    return found


def _limited(key: str, what: str, drawn: float, allowed: float, unit: str) -> GroupLimitFacts:
    return GroupLimitFacts(group_id=key, what=what, drawn=drawn, allowed=allowed, unit=unit)


def _amperes(seen: Seen, line: int) -> float:
    resource = seen.resource
    return seen.drawn_w / resource.phases / resource.voltage if line in resource.lines else 0.0
