"""The 20 chargers of the demonstration, how each behaves, and the outcome that each must come to in both events.

Rule: what is expected follows from the behaviour alone; nothing here is read by the software under demonstration.
"""

from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCharger:
    """One charger: OCPP version, wiring, behaviour, and the expected outcome of the SIMPLE and the capacity event."""

    identity: str
    version: str
    phases: int
    max_a: int
    story: str
    behaviour: str = "obeys"
    script: dict[str, object] = field(default_factory=dict)
    simple: Expected = VERIFIED
    capacity: Expected = VERIFIED

    @property
    def resource_id(self) -> str:
        """The resourceID that the VEN reports upstream."""
        return f"evse-{self.identity[2:].lower()}"


def _obeys(number: int, version: str, phases: int, max_a: int) -> DemoCharger:
    return DemoCharger(identity=f"CP{number:02}", version=version, phases=phases, max_a=max_a, story="obeys")


FLEET: tuple[DemoCharger, ...] = (
    _obeys(1, "1.6", 1, 32),
    _obeys(2, "1.6", 3, 16),
    _obeys(3, "1.6", 3, 32),
    _obeys(4, "1.6", 1, 16),
    _obeys(5, "1.6", 3, 32),
    _obeys(6, "1.6", 1, 32),
    _obeys(7, "1.6", 3, 16),
    _obeys(8, "2.0.1", 3, 32),
    _obeys(9, "2.0.1", 1, 32),
    _obeys(10, "2.0.1", 3, 16),
    _obeys(11, "2.0.1", 1, 16),
    _obeys(12, "2.0.1", 3, 32),
    _obeys(13, "2.0.1", 1, 32),
    DemoCharger(
        identity="CP14",
        version="2.0.1",
        phases=3,
        max_a=32,
        story="no car",
        script={"plug_in_after_s": 86400},
        simple=IDLE,
        capacity=IDLE,
    ),
    DemoCharger(
        identity="CP15",
        version="1.6",
        phases=3,
        max_a=32,
        story="refuses profiles",
        behaviour="refuses",
        simple=FAILED,
        capacity=FAILED,
    ),
    DemoCharger(
        identity="CP16",
        version="2.0.1",
        phases=3,
        max_a=16,
        story="accepts and ignores",
        behaviour="ignores",
        simple=FAILED,
        capacity=FAILED,
    ),
    DemoCharger(
        identity="CP17",
        version="1.6",
        phases=3,
        max_a=32,
        story="driver overrides once",
        behaviour="driver_override",
        script={"since": "limit", "at_s": 8, "override_by": "api"},
        simple=OPTED_OUT,
    ),
    DemoCharger(
        identity="CP18",
        version="2.0.1",
        phases=1,
        max_a=32,
        story="goes offline, returns",
        behaviour="offline",
        script={"since": "start", "at_s": 10, "offline_for_s": 50},
        simple=UNRESPONSIVE,
    ),
    DemoCharger(
        identity="CP19",
        version="1.6",
        phases=3,
        max_a=16,
        story="drops profile at reconnect",
        behaviour="drops_profile_at_reconnect",
        script={"since": "limit", "at_s": 6, "offline_for_s": 2},
    ),
    DemoCharger(
        identity="CP20",
        version="2.0.1",
        phases=3,
        max_a=32,
        story="plugs in during the event",
        script={"plug_in_after_s": 28},
    ),
)
