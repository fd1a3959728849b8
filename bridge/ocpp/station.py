"""What the central system knows of one charger: boot, status, sessions, meter; no I/O, no clock.

Rule: state changes only here, by what the charger said, and each change that others must hear of leaves as an
``Effect``. Sessions are also learnt from later messages, because the bridge may have been away when they began
(OUT-04).
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from bridge.ocpp.deadline import Deadline
from bridge.ocpp.frames import Version
from bridge.ocpp.knowledge import Knowledge
from bridge.ocpp.meter import Electrical, Sample, with_power_from_energy
from bridge.ocpp.profile import ProfileOptions, Rating, Session
from bridge.ocpp.proxy_profiles import OtherProfile, level_above
from bridge.ocpp.quirks import Kind, Knobs
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.target import CarNeeds, ChargerStatus, ForeignLimit, MeterReading

DRIVER_VENDOR = "openadr-gateway"  # DataTransfer vendorId by which a charger reports its driver's button
DRIVER_OVERRIDE = "DriverOverride"  # its messageId
MOST_CONNECTORS = 64  # higher numbers are no connector of a charger: they are answered and not kept
MOST_TEXT = 50  # characters of a vendor, model or firmware name (2.0.1; 1.6 has less)
_STARTS_KEPT = 8  # 1.6 starts that a charger may repeat for want of an answer
_MOST_FOREIGN = 32  # limits of others kept for one charger
_RECENT = timedelta(minutes=5)  # what happened longer ago was queued while the charger was offline
_UNRESPONSIVE = 4  # calls in a row without an answer: as many as one command is tried at short pauses
_ENDED_KEPT = 8  # ids of ended sessions, so that their late meter values do not revive them
_ID_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)  # 1.6 transaction ids count seconds from here: unique over our restarts


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A BootNotification was accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A BootNotification was answered Pending: the charger is to be read first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignChanged:
    """A limit that is not ours came or went; ``limit`` is ``None`` for went. ``by`` is how it was learnt."""

    source: str
    by: str
    limit: ForeignLimit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilesReported:
    """The last part of what GetChargingProfiles asked for has come."""

    request_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """A transaction began or ended on ``connector`` (EVSE in 2.0.1)."""

    connector: int
    started: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A reading of the whole charger."""

    reading: MeterReading


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverActed:
    """A hint that a person did something: ``override``, ``stop`` or ``unplug`` (OCP-11: never certain)."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsSaid:
    """The car has said what it needs (NotifyEVChargingNeeds)."""

    needs: CarNeeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something that the charger reported of itself, to be kept: a security event, how a transfer goes."""

    kind: str
    name: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureAsked:
    """The charger asks for a certificate; ``kind`` is 2.0.1's certificateType."""

    csr: str
    kind: str | None


Effect = (
    Noticed
    | SignatureAsked
    | Booted
    | Held
    | SessionChanged
    | Read
    | DriverActed
    | ForeignChanged
    | ProfilesReported
    | NeedsSaid
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the charger said of its smart charging; ``None`` where it said nothing."""

    smart_charging: bool | None = None  # said, and not reliable (field notes C.4): only a profile's answer tells
    units: frozenset[str] | None = None
    max_stack_level: int | None = None
    max_periods: int | None = None


@dataclass(slots=True, kw_only=True)
class Station:
    """One charger. Outlives its connections."""

    config: ChargerConfig
    version: Version | None = None
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    capabilities: Capabilities | None = None
    own_delay_s: int | None = None  # it delays what it is told by up to so long at random, as it says (RND-05)
    connected_since: datetime | None = None
    last_seen: datetime | None = None
    last_reading: MeterReading | None = None
    connectors: dict[int, str] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    samples: dict[int, Sample] = field(default_factory=dict)
    ended: deque[str] = field(default_factory=lambda: deque(maxlen=_ENDED_KEPT))
    starts: OrderedDict[tuple[object, ...], int] = field(default_factory=OrderedDict)  # 1.6: ids given, by start
    last_transaction_id: int = 0
    registration: str = "Accepted"  # a charger that only reconnects has booted before
    held: bool = False  # answer Pending until ``read_as``
    read_as: tuple[str, str, str] | None = None  # what it called itself when it was read while Pending
    deadline: Deadline | None = None
    foreign: dict[tuple[str, int], ForeignLimit] = field(default_factory=dict)  # by source and connector
    reports: dict[int, list[ForeignLimit]] = field(default_factory=dict)  # 2.0.1 ReportChargingProfiles by request
    composite_lies: int = 0  # read-backs that the meter contradicted
    others: tuple[OtherProfile, ...] = ()  # the CPO's profiles, where its own CSMS is behind us
    probed_as: Kind | None = None
    knowledge: Knowledge = field(default_factory=Knowledge)
    id_base: int | None = None  # of our profiles, where they must not meet the CPO's

    @property
    def electrical(self) -> Electrical:
        """What power is worked out with."""
        return Electrical(voltage=self.config.voltage, phases=self.config.phases, max_a=self.config.max_a)

    @property
    def rating(self) -> Rating:
        """What limits are converted with."""
        return Rating(phases=self.config.phases, max_a=self.config.max_a, voltage=self.config.voltage)

    @property
    def running(self) -> list[Session]:
        """The sessions that run, by connector."""
        return [self.sessions[connector] for connector in sorted(self.sessions)]

    @property
    def kind(self) -> Kind:
        """What kind of charger it is, as far as quirks are concerned."""
        protocol = self.version.value if self.version else ""
        return Kind(vendor=self.vendor, model=self.model, firmware=self.firmware, protocol=protocol)

    @property
    def knobs(self) -> Knobs:
        """What is known of its kind."""
        return self.knowledge.of(self.kind)

    @property
    def steerable(self) -> bool:
        """Tell whether it can be limited at all, if only by the fallback that its operator chose (OCP-08)."""
        return self.knobs.smart_charging is not False or self.config.fallback != "none"

    @property
    def unit(self) -> str:
        """The unit that limits are told in: configured, else known of its kind, else the only one it takes, else A."""
        said = self.capabilities.units if self.capabilities else None
        return self.config.unit or self.knobs.unit or ("W" if said == frozenset({"W"}) else "A")

    def options(self, settings: OcppSettings) -> ProfileOptions:
        """Return how profiles are made for this charger: configured, else known of its kind, else as it said."""
        said, knobs = self.capabilities or Capabilities(), self.knobs
        fixed = knobs.stack_level if self.config.stack_level is None else self.config.stack_level
        level = settings.stack_level if fixed is None else fixed
        highest = said.max_stack_level if fixed is None else fixed
        if highest is not None:
            level = min(level, highest)
        level = level_above(self.others, level, highest)
        return ProfileOptions(
            rating=self.rating,
            unit=self.unit,
            stack_level=level,
            id_base=settings.profile_id_base if self.id_base is None else self.id_base,
            backdate_s=settings.backdate_s if knobs.backdate_s is None else knobs.backdate_s,
            decimals=self.config.decimals if knobs.decimals is None else min(knobs.decimals, self.config.decimals),
            most_periods=self.most_periods(settings),
            kind=knobs.kind or "Absolute",
            min_a=knobs.min_a or 0.0,
            default_connector=knobs.default_connector or 0,
            number_phases=bool(knobs.number_phases),
            others=self.others,
        )

    def most_periods(self, settings: OcppSettings) -> int:
        """Return how many periods one profile may have: configured, of its kind, as said, or the default."""
        if self.knobs.kind == "Relative":
            return 1  # later periods would count from the session's start
        said = self.capabilities.max_periods if self.capabilities else None
        return self.config.max_periods or self.knobs.max_periods or said or settings.max_periods

    def booted(self, vendor: str, model: str, firmware: str) -> tuple[str, tuple[Effect, ...]]:
        """Take in a BootNotification and return the registration status to answer, and what follows."""
        self.vendor, self.model, self.firmware = vendor[:MOST_TEXT], model[:MOST_TEXT], firmware[:MOST_TEXT]
        said = (self.vendor, self.model, self.firmware)
        was, self.registration = self.registration, self.config.registration.capitalize()
        if self.registration == "Accepted" and self.held and self.read_as != said:
            self.registration = "Pending"
        if self.registration != "Accepted":
            self.capabilities = None
            return self.registration, ((Held(),) if self.registration == "Pending" else ())
        if was != "Pending" or self.read_as != said:
            self.capabilities = None  # new firmware may have come with the boot
        return self.registration, (Booted(),)

    def start_16(self, key: tuple[object, ...], now: datetime) -> int:
        """Return the transaction id for a start; the same start sent again gets the same."""
        if key not in self.starts:
            self.starts[key] = self.next_transaction_id(now)
            while len(self.starts) > _STARTS_KEPT:
                self.starts.popitem(last=False)
        return self.starts[key]

    def note_foreign(self, limit: ForeignLimit) -> tuple[Effect, ...]:
        """Note a limit that is not ours; nothing if it was known as it is."""
        key = (limit.source, limit.connector)
        known = self.foreign.get(key)
        if known is not None and replace(known, since=limit.since) == limit:
            return ()
        if known is None and len(self.foreign) >= _MOST_FOREIGN:
            return ()
        self.foreign[key] = limit
        return (ForeignChanged(source=limit.source, by=limit.by, limit=limit),)

    def drop_foreign(self, source: str, connector: int | None, by: str) -> tuple[Effect, ...]:
        """Note that a source limits no more; without ``connector`` nowhere."""
        gone = [key for key in self.foreign if key[0] == source and connector in (None, key[1])]
        for key in gone:
            del self.foreign[key]
        return (ForeignChanged(source=source, by=by, limit=None),) if gone else ()

    @staticmethod
    def recent(at: datetime | None, now: datetime) -> bool:
        """Tell whether something is news: a queue of an offline charger tells what was hours ago (OCP-11)."""
        return at is None or now - at <= _RECENT

    def begin(self, connector: int, transaction_id: str) -> tuple[Effect, ...]:
        """Note that ``transaction_id`` runs on ``connector``; nothing if that was known or is over."""
        if not _is_connector(connector):
            return ()
        known = self.sessions.get(connector)
        if transaction_id in self.ended or (known is not None and known.transaction_id == transaction_id):
            return ()
        effects = () if known is None else self.end(known.transaction_id)
        self.sessions[connector] = Session(connector=connector, transaction_id=transaction_id)
        return (*effects, SessionChanged(connector=connector, started=True))

    def end(self, transaction_id: str) -> tuple[Effect, ...]:
        """Note that ``transaction_id`` is over; nothing if it was not known to run."""
        if transaction_id not in self.ended:
            self.ended.append(transaction_id)
        connector = self.connector_of(transaction_id)
        if connector is None:
            return ()
        del self.sessions[connector]
        return (SessionChanged(connector=connector, started=False),)

    def connector_of(self, transaction_id: str) -> int | None:
        """Return where ``transaction_id`` runs."""
        return next((c for c, session in self.sessions.items() if session.transaction_id == transaction_id), None)

    def note_status(self, connector: int, status: str) -> None:
        """Note a connector's status, and nothing else."""
        if _is_connector(connector):
            self.connectors[connector] = status

    def set_status(self, connector: int, status: str) -> tuple[Effect, ...]:
        """Note a connector's status. A free connector has no session, even if its end was never told."""
        self.note_status(connector, status)
        session = self.sessions.get(connector)
        return self.end(session.transaction_id) if status == "Available" and session is not None else ()

    def next_transaction_id(self, now: datetime) -> int:
        """Return a 1.6 transaction id that this charger has not had, nor will be given after a restart of ours."""
        self.last_transaction_id = max(self.last_transaction_id + 1, int((now - _ID_EPOCH).total_seconds()))
        return self.last_transaction_id

    def add_samples(self, connector: int, samples: Iterable[Sample]) -> tuple[Effect, ...]:
        """Take in meter values of one connector and return the charger's readings, oldest first."""
        effects: list[Effect] = []
        if not _is_connector(connector):
            return ()
        for raw in samples:
            previous = self.samples.get(connector)
            if not raw.metered:  # only the car has spoken: what the meter said stands
                effects.append(Read(reading=self._reading((raw,), raw)))
                continue
            sample = with_power_from_energy(raw, previous, self.electrical)
            if previous is not None and sample.at < previous.at:  # sent late: its own value, not the charger's present
                effects.append(Read(reading=self._reading((sample,), sample)))
                continue
            self.samples[connector] = sample
            self.last_reading = self._reading(self._present(), sample)
            effects.append(Read(reading=self.last_reading))
        return tuple(effects)

    def no_power(self, connector: int, at: datetime, energy_wh: float | None) -> tuple[Effect, ...]:
        """Take the end of a session as a reading of 0 W: the charger said that it delivers no more."""
        return self.add_samples(connector, (Sample(at=at, power_w=0.0, energy_wh=energy_wh, source="session ended"),))

    def _present(self) -> tuple[Sample, ...]:
        """The last samples of the connectors; connector 0 is the charger's main meter and counts only on its own."""
        parts = tuple(sample for connector, sample in sorted(self.samples.items()) if connector)
        return parts or tuple(self.samples.values())

    def _reading(self, parts: tuple[Sample, ...], newest: Sample) -> MeterReading:
        powers = [part.power_w for part in parts if part.power_w is not None]
        energies = [part.energy_wh for part in parts if part.energy_wh is not None]
        return MeterReading(
            charger=self.config.identity,
            at=newest.at,
            power_w=sum(powers) if powers else None,
            current_a=newest.current_a if len(parts) == 1 else None,
            energy_wh=sum(energies) if energies else None,
            source=newest.source or "meter",
            frequency_hz=newest.frequency_hz,
            soc=newest.soc if len(self.sessions) == 1 else None,
            session=next(iter(self.sessions.values())).transaction_id if len(self.sessions) == 1 else "",
        )

    def status(self, *, connected: bool) -> ChargerStatus:
        """Return the public view."""
        return ChargerStatus(
            identity=self.config.identity,
            connected=connected,
            protocol=self.version.value if self.version else None,
            vendor=self.vendor,
            model=self.model,
            firmware=self.firmware,
            transaction=bool(self.sessions),
            status=self._status_word(),
            last_seen=self.last_seen,
            last_reading=self.last_reading,
            connected_since=self.connected_since if connected else None,
            unresponsive=connected and self.deadline is not None and self.deadline.misses >= _UNRESPONSIVE,
            own_delay_s=self.own_delay_s,
            foreign=tuple(limit for _, limit in sorted(self.foreign.items())),
            limit_in_w=self.unit == "W",
            enrolled=self.steerable,
        )

    def _status_word(self) -> str:
        """The status of a connector in use, else of the first connector, else of the charger itself."""
        order = [*self.sessions, *sorted(c for c in self.connectors if c), 0]
        return next((self.connectors[c] for c in order if c in self.connectors), "")


def _is_connector(number: int) -> bool:
    return 0 <= number <= MOST_CONNECTORS
