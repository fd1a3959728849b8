"""The 20 chargers and 2 CTA-2045 devices of the demonstration: how each behaves, and to which outcome each must come.

Rule: what is expected follows from the behaviour alone; nothing here is read by the software under demonstration.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must be true of one charger at the end of one event."""

    state: str
    opt: str  # the VTN's view of the resource
    reason: str = ""  # oadrCreateOpt's optReason, '' where the VEN's oadrCreatedEvent is the last word


VERIFIED = Expected(state="verified", opt="optIn")
IDLE = Expected(state="idle", opt="optIn")
FAILED = Expected(state="failed", opt="optOut", reason="notParticipating")
OPTED_OUT = Expected(state="opted_out", opt="optOut", reason="overrideStatus")
UNRESPONSIVE = Expected(state="unresponsive", opt="optOut", reason="outageRunStatus")
CONSTRAINED = Expected(state="constrained_by", opt="optIn")  # it complied, but somebody else limits it more
RECEIVED = Expected(state="received", opt="optIn")  # a price without a rule: stored, shown, and nothing moved

SITE, SITE_A = "depot", 60  # a site whose connection lets its chargers have 60 A on each phase; they could draw 80 A
AGGREGATOR, AGGREGATOR_KW = "aggregator", 10.5  # chargers whose flexibility is sold, and what they get together
PROXIED = "short"  # a few chargers that obey, for a short event
CPO_LIMITS_A = {"CP11": 6.0, "CP12": 24.0}  # with --proxy: limits of the CPO's own, below and above the events
FEEDER = "feeder-7"  # chargers on a feeder that the network operator must relieve
HEATER = "water-heater"  # a type of CTA-2045 device
NEVER_S = 86_400  # a car that comes so late does not come


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCharger:
    """One charger: OCPP version, wiring, place, behaviour, and the expected outcome of each act it takes part in."""

    identity: str
    version: str
    phases: int
    max_a: float
    story: str
    behaviour: str = "obeys"
    script: dict[str, object] = field(default_factory=dict)
    lines: tuple[int, ...] = ()  # phases of the site; empty: the first ones
    groups: tuple[str, ...] = ()
    site: str | None = None
    cta: str = ""  # a CTA-2045 device on a pseudo terminal instead of a charger that dials in: its type
    story_in: str = ""  # the act in which its story happens once; where that is not shown, it obeys
    pressed_in: str = ""  # the act in which its customer presses "override", to be released before the next
    quality: str = ""  # the data quality that its telemetry must have at the VTN
    expected: Mapping[str, Expected] = field(default_factory=dict)  # by act; left out: verified

    @property
    def resource_id(self) -> str:
        """The resourceID that the VEN reports upstream."""
        if self.cta == HEATER:
            return f"heater-{self.identity[2:]}"
        return f"evse-{self.identity[2:].lower()}"

    @property
    def car_after_s(self) -> int:
        """Seconds from the start until its car is plugged in."""
        after_s = self.script.get("plug_in_after_s", 0)
        return after_s if isinstance(after_s, int) else 0

    def outcome(self, act: str) -> Expected:
        """Return what the charger must come to in an act."""
        return self.expected.get(act, RECEIVED if act == "price" else VERIFIED)


def _obeys(number: int, version: str, phases: int, max_a: int, story: str = "obeys", **more: Any) -> DemoCharger:
    return DemoCharger(identity=f"CP{number:02}", version=version, phases=phases, max_a=max_a, story=story, **more)


FLEET: tuple[DemoCharger, ...] = (
    _obeys(1, "1.6", 1, 32, "depot", site=SITE),
    _obeys(2, "1.6", 3, 16, "depot", site=SITE),
    _obeys(3, "1.6", 3, 32, "depot", site=SITE),
    _obeys(4, "1.6", 1, 16, "depot, wired to phase 2", site=SITE, lines=(2,)),
    _obeys(5, "1.6", 3, 32, "on the feeder", groups=(FEEDER,), expected={"curtailment": CONSTRAINED}),
    _obeys(6, "1.6", 1, 32, "on the feeder", groups=(FEEDER,), expected={"curtailment": CONSTRAINED}),
    _obeys(7, "1.6", 3, 16, "on the feeder", groups=(FEEDER,), expected={"curtailment": CONSTRAINED}),
    _obeys(8, "2.0.1", 3, 32, "sold", groups=(AGGREGATOR,), expected={"curtailment": CONSTRAINED}),
    _obeys(9, "2.0.1", 1, 32, "sold", groups=(AGGREGATOR,), expected={"curtailment": CONSTRAINED}),
    _obeys(10, "2.0.1", 3, 32, "sold", groups=(AGGREGATOR,), expected={"curtailment": CONSTRAINED}),
    _obeys(11, "2.0.1", 1, 16, groups=(PROXIED,)),
    _obeys(12, "2.0.1", 3, 32, groups=(PROXIED,)),
    _obeys(13, "2.0.1", 1, 32, groups=(PROXIED,)),
    DemoCharger(
        identity="CP14",
        version="2.0.1",
        phases=3,
        max_a=32,
        story="no car",
        script={"plug_in_after_s": NEVER_S},
        expected={"simple": IDLE, "capacity": IDLE, "curtailment": IDLE},
    ),
    DemoCharger(
        identity="CP15",
        version="1.6",
        phases=3,
        max_a=32,
        story="refuses profiles",
        behaviour="refuses",
        expected={"simple": FAILED, "capacity": FAILED, "curtailment": FAILED},
    ),
    DemoCharger(
        identity="CP16",
        version="2.0.1",
        phases=3,
        max_a=16,
        story="accepts and ignores",
        behaviour="ignores",
        groups=(FEEDER,),
        expected={"simple": FAILED, "capacity": FAILED, "curtailment": FAILED, "emergency": FAILED},
    ),
    DemoCharger(
        identity="CP17",
        version="1.6",
        phases=3,
        max_a=32,
        story="driver overrides once",
        behaviour="driver_override",
        script={"since": "limit", "at_s": 8, "override_by": "api"},
        story_in="simple",
        expected={"simple": OPTED_OUT},
    ),
    DemoCharger(
        identity="CP18",
        version="2.0.1",
        phases=1,
        max_a=32,
        story="goes offline, returns",
        behaviour="offline",
        script={"since": "limit", "at_s": 0.5, "offline_for_s": 36},
        story_in="simple",
        expected={"simple": UNRESPONSIVE},
    ),
    DemoCharger(
        identity="CP19",
        version="1.6",
        phases=3,
        max_a=16,
        story="drops profile at reconnect",
        behaviour="drops_profile_at_reconnect",
        script={"since": "limit", "at_s": 6, "offline_for_s": 2},
        story_in="simple",
    ),
    DemoCharger(
        identity="CP20",
        version="2.0.1",
        phases=3,
        max_a=32,
        story="plugs in during the event",
        script={"plug_in_after_s": 28},
        story_in="simple",
    ),
    DemoCharger(
        identity="EV21",
        version="CTA",
        phases=1,
        max_a=32,
        story="on a serial line; its customer presses override, and takes it back",
        cta="evse",
        pressed_in="simple",
        quality="Quality Good - Non Specific",  # measured
        expected={"simple": OPTED_OUT},
    ),
    DemoCharger(
        identity="WH22",
        version="CTA",
        phases=1,
        max_a=18.75,
        story="a water heater on a serial line",
        cta=HEATER,
        groups=(FEEDER,),
        quality="Quality Uncertain - Non Specific",  # it knows its rating and whether it heats: an estimate
        expected={"curtailment": CONSTRAINED},
    ),
)


def playing(acts: Collection[str]) -> tuple[DemoCharger, ...]:
    """Return the fleet as it behaves where only these acts are shown."""
    return tuple(
        each if each.story_in in ("", *acts) else replace(each, story="obeys", behaviour="obeys", script={})
        for each in FLEET
    )
