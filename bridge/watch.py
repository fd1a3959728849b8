"""What somebody should be told of: states of affairs that are alerts, raised once they last, cleared when over; pure.

Rule (TEL-17): an alert is about one subject and one kind; how many resources it concerns is in its text, so that a
thousand chargers that fail together are one alert. What does not last is none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.figures import WHOLE, GroupFigures
from bridge.spread import Step
from bridge.store.records import Outcome, Phase
from bridge.verify import OutcomeState

WARNING, CRITICAL = "warning", "critical"
NAMED = 5  # resources named in a text; of the rest their number
_FAILED = frozenset({OutcomeState.FAILED, OutcomeState.UNRESPONSIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a state of affairs is an alert; shares are of the whole, ``for_s`` is how long it has to last, s."""

    for_s: float = 60.0
    offline_share: float = 0.2
    failed_share: float = 0.1
    clock_s: float = 30.0
    owed: int = 100
    over_share: float = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A state of affairs that is an alert if it lasts."""

    kind: str
    subject: str
    severity: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same one."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class VtnFacts:
    """How a VTN stands: ``silent_since`` is ``None`` while it is heard, ``offset_s`` its clock less ours."""

    name: str
    silent_since: datetime | None
    offset_s: float | None
    owed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimitFacts:
    """A limit of a group: what its meters sum up to, and what they may, in the limit's unit (kW, or A on a phase)."""

    group_id: str
    what: str
    drawn: float
    allowed: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is looked at."""

    vtns: tuple[VtnFacts, ...] = ()
    groups: tuple[GroupFigures, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    limits: tuple[GroupLimitFacts, ...] = ()
    cut: tuple[tuple[str, str], ...] = ()  # charger taken out of service, for which event
    dropped: int = 0  # readings lost since the start
    steps: tuple[Step, ...] = ()  # how steeply events change the fleet's power


def conditions(facts: Facts, limits: Thresholds) -> tuple[Condition, ...]:
    """Return what is worth an alert now."""
    found = [*_of_vtns(facts.vtns, limits), *_of_events(facts.outcomes, limits), *_of_groups(facts.limits, limits)]
    whole = next((each for each in facts.groups if each.group_id == WHOLE), None)
    if whole is not None and whole.resources - whole.online > limits.offline_share * whole.resources:
        text = f"{whole.resources - whole.online} of {whole.resources} chargers are offline"
        found.append(Condition(kind="chargers_offline", subject="fleet", severity=CRITICAL, text=text))
    for charger, event_id in facts.cut:
        text = f"taken out of service because it ignored emergency {event_id}"
        found.append(Condition(kind="supply_cut", subject=charger, severity=WARNING, text=text))
    for each_step in facts.steps:
        if each_step.steep:
            rate = f"{each_step.kw_s:.0f} kW/s of {each_step.whole_kw:.0f} kW, at most {each_step.most_kw_s:.0f} kW/s"
            text = f"its random windows are too short for its resources: {rate}"
            found.append(Condition(kind="event_steep", subject=each_step.event_id, severity=WARNING, text=text))
    if facts.dropped:
        text = f"{facts.dropped} readings lost since the start: the database was away for too long"
        found.append(Condition(kind="readings_lost", subject="readings", severity=CRITICAL, text=text))
    return tuple(found)


def _of_vtns(vtns: Iterable[VtnFacts], limits: Thresholds) -> Iterable[Condition]:
    for each in vtns:
        name = each.name or "VTN"
        if each.silent_since is not None:
            text = f"silent since {each.silent_since:%Y-%m-%dT%H:%M:%SZ}"
            yield Condition(kind="vtn_silent", subject=name, severity=CRITICAL, text=text)
        if each.offset_s is not None and abs(each.offset_s) > limits.clock_s:
            text = f"its clock differs from ours by {each.offset_s:+.0f} s"
            yield Condition(kind="clock_apart", subject=name, severity=WARNING, text=text)
        if each.owed > limits.owed:
            text = f"{each.owed} messages wait for it"
            yield Condition(kind="messages_owed", subject=name, severity=WARNING, text=text)


def _of_events(outcomes: Iterable[Outcome], limits: Thresholds) -> Iterable[Condition]:
    running: dict[str, list[Outcome]] = {}
    for each in outcomes:
        if each.phase is Phase.RUNNING:
            running.setdefault(each.event_id, []).append(each)
    for event_id, rows in sorted(running.items()):
        failed = sorted(each.resource_id for each in rows if each.state in _FAILED)
        if len(failed) > limits.failed_share * len(rows):
            more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
            text = f"{len(failed)} of {len(rows)} resources do not follow: {', '.join(failed[:NAMED])}{more}"
            yield Condition(kind="event_not_followed", subject=event_id, severity=WARNING, text=text)


def _of_groups(groups: Iterable[GroupLimitFacts], limits: Thresholds) -> Iterable[Condition]:
    for each in groups:
        if each.drawn > each.allowed * (1.0 + limits.over_share):
            text = f"{each.what}: {each.drawn:.1f} {each.unit} by meter, {each.allowed:g} {each.unit} are allowed"
            yield Condition(kind="group_over_limit", subject=each.group_id, severity=CRITICAL, text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is known of one condition: since when it is so (``gone``: is not so), and whether it was raised."""

    condition: Condition
    since: datetime
    raised: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a look has led to: everything watched from now on, what to raise, what to clear."""

    watched: Mapping[tuple[str, str], Watched] = field(default_factory=dict)
    raised: tuple[Condition, ...] = ()
    cleared: tuple[Condition, ...] = ()


def look(watched: Mapping[tuple[str, str], Watched], now_so: Iterable[Condition], now: datetime, for_s: float) -> Turn:
    """Compare what is so now with what was watched."""
    so = {each.key: each for each in now_so}
    after: dict[tuple[str, str], Watched] = {}
    raised: list[Condition] = []
    cleared: list[Condition] = []
    for key in dict.fromkeys((*watched, *so)):
        before, gone = watched.get(key), key not in so
        condition = so[key] if before is None or not gone else before.condition
        was_raised = before is not None and before.raised
        since = now if before is None or before.gone is not gone else before.since
        lasted = now - since >= timedelta(seconds=for_s)
        if gone and (lasted or not was_raised):
            cleared += [condition] if was_raised else []
            continue
        if lasted and not gone and not was_raised:
            raised.append(condition)
            was_raised = True
        after[key] = Watched(condition=condition, since=since, raised=was_raised, gone=gone)
    return Turn(watched=after, raised=tuple(raised), cleared=tuple(cleared))
