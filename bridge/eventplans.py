"""What each event means for each resource, kept for as long as nothing has changed that it follows from.

Rule: a plan is a pure function of event, programme, resources, draws, references and silences (``bridge.plan``); this
shell only remembers what it gave and works in small parts, so that neither one event for ten thousand chargers nor one
more beside many others holds up the loop. Every part of a round sees the inputs that the round began with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from bridge.asks import Reference
from bridge.batches import gathered, in_turns
from bridge.outage import Outage, interrupted
from bridge.plan import (
    NONE_MEASURED,
    Draw,
    KnownEvent,
    ResourcePlan,
    Scene,
    about_content,
    planned,
    refusal,
    spread_s,
    staged,
    wanted,
)
from bridge.program import Programme, Programmes
from bridge.reference import References, Wanted
from bridge.resources import Resource, select
from bridge.spread import Step, step
from openadr.model import Event

Draws = Mapping[tuple[str, str], Draw]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a round plans by: the same values give the same plans."""

    known: tuple[KnownEvent, ...]
    resources: tuple[Resource, ...]
    programmes: Programmes
    ven_id: str | None
    measured: frozenset[str]  # resources whose state of charge is known now
    silences: Mapping[str, tuple[Outage, ...]]
    content_kept: Mapping[str, frozenset[str]] = field(default_factory=dict)  # and those where it was, by eventID

    def measured_for(self, event: Event) -> frozenset[str]:
        """Return where the state of charge is known, as far as it matters to an event."""
        if not about_content(event):
            return NONE_MEASURED
        return self.measured | self.content_kept.get(event.descriptor.event_id, NONE_MEASURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A resource that takes no part in an event, and why: told upstream by an opt (VEN-11)."""

    event_id: str
    modification_number: int
    resource_id: str
    reason: str

    @classmethod
    def of(cls, known: KnownEvent, resource: Resource, reason: str) -> Self:
        """Return it for one event at one resource."""
        of = known.event.descriptor
        return cls(
            event_id=of.event_id,
            modification_number=of.modification_number,
            resource_id=resource.resource_id,
            reason=reason,
        )


@dataclass(slots=True)
class _Kept:
    """One event: what it was worked out from, and what came of it."""

    basis: object
    scenes: list[Scene]
    refused: list[Refused]
    step: Step
    wanted: list[Wanted] = field(default_factory=list)
    drawn: bool = False
    grounds: object = None  # the references and silences that ``plans`` follow from; None: nothing is planned yet
    plans: list[ResourcePlan] = field(default_factory=list)


class EventPlans:
    """The plans of all events that the VEN lists."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._resources: tuple[Resource, ...] = ()

    async def stage(self, inputs: Inputs) -> None:
        """Take over who takes part in which event."""
        same = inputs.resources == self._resources  # by identity first: quick while nobody was changed
        kept: dict[str, _Kept] = {}
        for known in inputs.known:
            name = known.event.descriptor.event_id
            programme = inputs.programmes.usable(known.event)
            if programme is None:
                continue
            basis = (known, programme, inputs.ven_id, inputs.measured_for(known.event))
            before = self._kept.get(name)
            if before is not None and same and before.basis == basis:
                kept[name] = before
                continue
            scenes, refused = await self._scenes(known, programme, inputs)
            kept[name] = _Kept(
                basis=basis, scenes=scenes, refused=refused, step=await self._step(name, scenes, programme)
            )
        self._kept, self._resources = kept, inputs.resources

    async def _scenes(
        self, known: KnownEvent, programme: Programme, inputs: Inputs
    ) -> tuple[list[Scene], list[Refused]]:
        taking: list[Resource] = []
        refused: list[Refused] = []
        measured = inputs.measured_for(known.event)
        async for some in in_turns(inputs.resources):
            for resource in select(some, known.event.target, inputs.ven_id):
                why = refusal(known.event, programme, resource, measured)
                if why is None:
                    taking.append(resource)
                elif why.told:
                    refused.append(Refused.of(known, resource, why.reason))
        return await gathered(staged(known, programme, taking, measured)), refused

    async def _step(self, name: str, scenes: Sequence[Scene], programme: Programme) -> Step:
        """Return how steep an event is; an emergency is meant to be."""
        parts: list[tuple[float, float]] = []
        async for some in in_turns(() if programme.emergency else scenes):
            parts += [(scene.resource.max_kw, spread_s(scene)) for scene in some]
        return step(name, parts)

    @property
    def steps(self) -> tuple[Step, ...]:
        """How steeply each event changes the fleet's power (RND-04)."""
        return tuple(each.step for each in self._kept.values())

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What single resources cannot do."""
        return tuple(one for each in self._kept.values() for one in each.refused)

    @property
    def undrawn(self) -> list[tuple[str, str]]:
        """The (eventID, resourceID) whose draws have not been taken into account yet."""
        return [scene.key for each in self._kept.values() if not each.drawn for scene in each.scenes]

    async def want(self, draws: Draws) -> list[Wanted]:
        """Return the references that all events need."""
        for each in self._kept.values():
            if each.drawn:
                continue
            found: list[Wanted] = []
            async for some in in_turns(each.scenes):
                found += [need for need in (wanted(scene, draws) for scene in some) if need is not None]
            each.wanted, each.drawn = found, True
        return [need for each in self._kept.values() for need in each.wanted]

    async def plan(
        self, draws: Draws, valid: References, silences: Mapping[str, tuple[Outage, ...]]
    ) -> dict[str, tuple[ResourcePlan, ...]]:
        """Return what every event means, by resourceID; only what follows from something new is worked out."""
        by_event = _by_event(valid)
        grouped: dict[str, list[ResourcePlan]] = {}
        for name, each in self._kept.items():
            grounds = (by_event.get(name, {}), silences.get(name, ()))
            if each.grounds != grounds:
                each.plans = await self._planned(each.scenes, draws, *grounds)
                each.grounds = grounds
            async for some in in_turns(each.plans, 1000):
                for found in some:
                    grouped.setdefault(found.resource_id, []).append(found)
        return {name: tuple(plans) for name, plans in grouped.items()}

    async def _planned(
        self, scenes: Sequence[Scene], draws: Draws, valid: References, outages: tuple[Outage, ...]
    ) -> list[ResourcePlan]:
        found: list[ResourcePlan] = []
        async for some in in_turns(scenes):
            found += [_one(scene, draws, valid, outages) for scene in some]
        return found


def _one(scene: Scene, draws: Draws, valid: References, outages: Iterable[Outage]) -> ResourcePlan:
    """Return the plan of one event at one resource as the silences of its VTN leave it (OUT-03)."""
    each, outages = planned(scene, draws, valid), tuple(outages)
    if not outages:
        return each
    return interrupted(each, scene.programme, draws[scene.key], outages, scene.known.received_at)


def _by_event(valid: References) -> dict[str, dict[tuple[str, str], Reference]]:
    found: dict[str, dict[tuple[str, str], Reference]] = {}
    for key, reference in valid.items():
        found.setdefault(key[0], {})[key] = reference
    return found
