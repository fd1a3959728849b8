"""Settings of limits: how they are sent, proven, shared in a group, and how often a charger may leave events.

Rule: as in ``bridge.settings``; each section turns itself into the values that the core works with. A window that
spreads a whole fleet is never narrower than that fleet needs (RND-07).
"""

import math
from typing import Annotated

from pydantic import Field

from bridge.allocate import GroupLimit, Strategy
from bridge.arbiter import Source
from bridge.escalate import LastResort
from bridge.groups import Group, Sharing
from bridge.outcomes import Measuring
from bridge.overrides import Budget
from bridge.program import EventClass
from bridge.schedule import Horizon
from bridge.spread import least_window_s
from bridge.steps import Calm, Patience
from bridge.verify import VerifyPolicy
from runtime.settings import Section

PositiveSeconds = Annotated[float, Field(gt=0)]


class VerifySection(Section):
    """The ``[verify]`` section: how proof by meter is taken."""

    enabled: bool = Field(default=True, description="false: nothing is ever verified, outcomes stay 'applied'")
    settle_s: float = Field(default=60.0, ge=0, description="Wait after a limit begins before a reading counts, s")
    tolerance: float = Field(default=0.05, ge=0, le=0.5, description="Share above the limit that still counts as met")
    tolerance_w: float = Field(default=200.0, ge=0, description="The same in W; the larger of the two counts")
    retries: int = Field(
        default=2, ge=0, le=10, description="Times the limit is asserted again when the meter disagrees"
    )
    idle_w: float = Field(default=100.0, ge=0, description="Below it a charger is not charging, W")
    offline_after_s: float = Field(default=60.0, ge=0, description="A shorter loss of contact is no outage, s")
    stale_s: float = Field(
        default=900.0, gt=0, description="A meter silent for so long takes a verified outcome back to applied, s"
    )
    before_s: float = Field(default=300.0, gt=0, description="The power before an event is the mean over so long, s")
    after_s: float = Field(default=60.0, ge=0, description="How long the power after an event is measured, s")

    @property
    def policy(self) -> VerifyPolicy:
        """How proof is taken, as values."""
        return VerifyPolicy(
            enabled=self.enabled,
            settle_s=self.settle_s,
            tolerance=self.tolerance,
            tolerance_w=self.tolerance_w,
            retries=self.retries,
            stale_s=self.stale_s,
            idle_w=self.idle_w,
            offline_after_s=self.offline_after_s,
        )

    @property
    def measuring(self) -> Measuring:
        """When an event's power is measured."""
        return Measuring(before_s=self.before_s, settle_s=self.settle_s, after_s=self.after_s)


class DispatchSection(Section):
    """The ``[dispatch]`` section: how limits are sent."""

    tick_s: PositiveSeconds = Field(default=1.0, description="Longest pause between two reconciliations, s")
    lead_s: int = Field(default=43_200, ge=0, description="How far ahead schedules are sent to chargers, s")
    open_ended_s: int = Field(default=3600, ge=60, description="How long an open-ended limit lasts without us, s")
    expiry_jitter_s: int = Field(
        default=300, ge=0, le=3600, description="Without us, chargers end a limit that has no end over so long, s"
    )
    rejoin_s: float = Field(
        default=600.0, ge=0, le=3600, description="Chargers that come back together change over so long, s"
    )
    expiry_grace_s: int = Field(default=60, ge=0, description="The charger drops a schedule this long after its end, s")
    attempts: int = Field(default=4, ge=1, le=20, description="Tries of one command without a usable answer")
    backoff_s: PositiveSeconds = Field(default=5.0, description="First pause between tries, doubled each time, s")
    backoff_max_s: PositiveSeconds = Field(default=300.0, description="Longest pause between tries, s")

    @property
    def patience(self) -> Patience:
        """How often and how soon a command is tried again."""
        return Patience(attempts=self.attempts, backoff_s=self.backoff_s, backoff_max_s=self.backoff_max_s)

    def horizon(self, whole_kw: float) -> Horizon:
        """Return how far schedules reach in a fleet of so much installed power."""
        return Horizon(
            lead_s=self.lead_s,
            open_ended_s=self.open_ended_s,
            expiry_jitter_s=_spread_s(self.expiry_jitter_s, whole_kw),
            expiry_grace_s=self.expiry_grace_s,
        )

    def rejoining_s(self, whole_kw: float) -> int:
        """Return over how long chargers of such a fleet change that come back together."""
        return _spread_s(self.rejoin_s, whole_kw)


class ArbiterSection(Section):
    """The ``[arbiter]`` section: what keeps controllers from fighting, and how group events are shared."""

    min_dwell_s: float = Field(default=60.0, ge=0, description="A limit stays so long before it is loosened, s")
    deadband_kw: float = Field(default=0.3, ge=0, description="A smaller gain is not worth a command, kW")
    writes_per_hour: int = Field(default=10, ge=1, description="Commands an hour to one charger that only loosen")
    strategy: Strategy = Field(default=Strategy.PROPORTIONAL, description="How a group event's limit is shared")
    rotate_s: PositiveSeconds = Field(default=900.0, description="round_robin: who waits changes this often, s")
    reserve_offline: bool = Field(
        default=True, description="Keep room for chargers without contact; false: they are without power"
    )
    interval_s: float = Field(default=1800.0, ge=60, description="Length of a row of the attribution ledger, s")
    cut_supply: bool = Field(
        default=True, description="Last resort against a charger that ignores an emergency: out of service, then stop"
    )
    cut_verify_s: PositiveSeconds = Field(default=60.0, description="Between two steps of the last resort, s")

    def calm(self, rejoin_s: float) -> Calm:
        """Return what keeps controllers from fighting; ``rejoin_s`` is that of the whole fleet."""
        return Calm(
            min_dwell_s=self.min_dwell_s,
            deadband_kw=self.deadband_kw,
            writes_per_hour=self.writes_per_hour,
            rejoin_s=rejoin_s,
        )

    @property
    def sharing(self) -> Sharing:
        """How a group event's limit is shared."""
        return Sharing(strategy=self.strategy, rotate_s=self.rotate_s, reserve_offline=self.reserve_offline)

    @property
    def last_resort(self) -> LastResort:
        """Whether and when the supply is cut."""
        return LastResort(enabled=self.cut_supply, verify_s=self.cut_verify_s)


class OverrideSection(Section):
    """The ``[override]`` section: how often one charger may leave events."""

    per_day: int = Field(default=1, ge=0, description="Overrides of one charger in 24 h; 0 is no limit")
    per_week: int = Field(default=0, ge=0, description="Overrides of one charger in 7 days; 0 is no limit")
    classes: tuple[EventClass, ...] = Field(
        default=(EventClass.RELIABILITY, EventClass.REGULATION), description="Event classes that cost budget"
    )
    two_step: tuple[EventClass, ...] = Field(
        default=(), description="Event classes that are left by a second, confirming step only"
    )
    confirm_s: PositiveSeconds = Field(default=60.0, description="The second step must come within so long, s")

    @property
    def budget(self) -> Budget:
        """The section as the core knows it."""
        return Budget(
            per_day=self.per_day,
            per_week=self.per_week,
            classes=frozenset(self.classes),
            two_step=frozenset(self.two_step),
            confirm_s=self.confirm_s,
        )


class GroupSection(Section):
    """One ``[[groups]]`` table: a group of chargers with a limit of its own, for example a feeder."""

    id: str = Field(min_length=1, description="groupID, as in the chargers' groups, site or feeder")
    max_a: float | None = Field(default=None, gt=0, le=100_000, description="Limit, A per phase")
    max_kw: float | None = Field(default=None, gt=0, le=1_000_000, description="Limit over all phases, kW")
    strategy: Strategy = Field(default=Strategy.PROPORTIONAL, description="How the limit is shared")
    rotate_s: PositiveSeconds = Field(default=900.0, description="round_robin: who waits changes this often, s")
    reserve_offline: bool = Field(
        default=True, description="Keep room for chargers without contact; false: they are without power"
    )
    owner: str = Field(default="", description="Who answers for the limit, as the register of limits names it")
    deadband_a: float = Field(default=1.0, ge=0, description="Shares that fit stay unless one would gain more, A")

    def group(self, source: Source) -> Group:
        """Return the group as the core knows it."""
        return Group(
            group_id=self.id,
            source=source,
            owner=self.owner,
            limit=GroupLimit(per_phase_a=self.max_a, total_kw=self.max_kw),
            sharing=Sharing(
                strategy=self.strategy,
                rotate_s=self.rotate_s,
                reserve_offline=self.reserve_offline,
                deadband_a=self.deadband_a,
            ),
        )


class SiteSection(GroupSection):
    """One ``[[sites]]`` table: a site with its connection's limit."""


def _spread_s(asked_s: float, whole_kw: float) -> int:
    """Return a window wide enough for a fleet to move as a whole (RND-07); 0 stays 0: switched off."""
    return math.ceil(max(asked_s, least_window_s(whole_kw))) if asked_s else 0
