"""The bridge's settings: one TOML file, each value overridable as ``OADR_BRIDGE__SECTION__KEY``.

Rule: every figure has its unit in its name and a default that is safe in the field; a mistake is refused at start
with the key that is wrong. ``supervision`` and ``resources`` turn settings into the values the core works with.
"""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.allocate import GroupLimit, Strategy
from bridge.arbiter import Source, StandingCap
from bridge.cta2045.settings import CtaDeviceSection, CtaSection, check_devices
from bridge.data_settings import AlertSection, EnergySection
from bridge.dispatch import Calm, Patience
from bridge.downlink import DownstreamSection
from bridge.enrolment_settings import ConsentSection, FrequencyGuardSection
from bridge.escalate import LastResort
from bridge.groups import Group, Sharing
from bridge.jobs import Keeping
from bridge.load_settings import LoadSection
from bridge.location import Level
from bridge.ocpp.proxy_settings import ProxySection, conflicts
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.outcomes import Measuring
from bridge.overrides import Budget
from bridge.points import Sampling
from bridge.program import EventClass
from bridge.resources import Resource
from bridge.schedule import Horizon
from bridge.selftest import SelfTestSection
from bridge.spread import least_window_s
from bridge.supervision import Rhythm, Supervision
from bridge.timetable import TimetableRule
from bridge.verify import VerifyPolicy
from runtime.settings import DatabaseUrl, Section, Settings, SettingsPath, load
from ven.settings import VenSettings

ENV_PREFIX = "OADR_BRIDGE__"
_TOKEN_LENGTH = 16  # characters: shorter bearer tokens can be guessed

PositiveSeconds = Annotated[float, Field(gt=0)]


class OcppSection(OcppSettings):
    """The ``[ocpp]`` section; relative paths count from the settings file."""

    cert: SettingsPath | None = Field(default=None, description="Server certificate chain (PEM), profiles 2 and 3")
    key: SettingsPath | None = Field(default=None, description="Private key of the server certificate (PEM)")
    client_ca: SettingsPath | None = Field(
        default=None, description="CA that chargers' certificates must come from, profile 3"
    )


class ApiSection(Section):
    """The ``[api]`` section: the operator API."""

    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(default=8082, ge=0, le=65535, description="TCP port; 0 takes a free one")
    token: SecretStr = Field(description=f"Bearer token, at least {_TOKEN_LENGTH} characters")
    cert: SettingsPath | None = Field(default=None, description="Server certificate chain (PEM)")
    key: SettingsPath | None = Field(default=None, description="Private key of that certificate (PEM)")
    allow_insecure_http: bool = Field(default=False, description="Serve without TLS: loopback and rehearsals only")

    @field_validator("token")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < _TOKEN_LENGTH:
            raise ValueError(f"must have at least {_TOKEN_LENGTH} characters")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        if self.cert is None and not self.allow_insecure_http:
            raise ValueError("needs cert and key; allow_insecure_http = true accepts plain HTTP")
        return self


class DatabaseSection(Section):
    """The ``[database]`` section."""

    url: DatabaseUrl = Field(
        default="sqlite+aiosqlite:///bridge.sqlite3",
        description="sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER@HOST/NAME",
    )
    keep_days: float = Field(
        default=400.0, ge=1, description="Closed outcomes, their draws and opts, and ended overrides are kept this long"
    )


class ProgrammeSection(Section):
    """The ``[programme]`` section."""

    files: tuple[str, ...] = Field(
        default=("aggregator-dispatch", "dno-curtailment", "drm", "emergency-limit", "time-of-use"),
        min_length=1,
        description="Shipped programmes by name, own ones by path (counted from the settings file)",
    )
    reload_s: float = Field(default=5.0, ge=0, description="Changed files are taken over this often, s; 0: never")


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


class SiteSection(GroupSection):
    """One ``[[sites]]`` table: a site with its connection's limit."""


class TelemetrySection(Section):
    """The ``[telemetry]`` section: what is stored and offered upstream."""

    fastest_s: int = Field(default=10, ge=1, description="Shortest report interval offered, s")
    slowest_s: int = Field(default=900, ge=1, description="Longest report interval offered, s")
    buffer_days: float = Field(default=7.0, gt=0, le=400, description="Readings are kept this long, days")
    flush_s: PositiveSeconds = Field(default=5.0, description="Readings are stored this often, s")
    stale_after_s: PositiveSeconds = Field(
        default=180.0, description="A reading older than this is no value any more; a younger one is marked as old, s"
    )
    history_days: float = Field(
        default=760.0, ge=1, le=4000, description="Half-hours of energy and power are kept this long, days"
    )
    dsr: bool = Field(
        default=False, description="Offer x-DSR as well: register, mains frequency, power and energy available"
    )
    locations: dict[str, tuple[Level, ...]] = Field(
        default={},
        description="Levels of the network that a VTN is told of its resources, by its name ('' is that of [ven])",
    )


class VtnSection(VenSettings):
    """One ``[[vtns]]`` table: a further VTN, with the keys of ``[ven]``."""

    name: str = Field(
        pattern=r"^[a-z0-9-]{1,32}$", description="Its name: events go by name/eventID, chargers say vtn = name"
    )


class LogSection(Section):
    """The ``[log]`` section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = Field(default=True, description="JSON lines; false: readable lines for a terminal")


class ChargerSection(LoadSection):
    """One ``[[chargers]]`` table: a charger, which is a resource of the VEN."""

    identity: str = Field(min_length=1, max_length=48, description="Charge point identity, the last part of its URL")
    max_a: float = Field(default=32.0, ge=6, le=1000, description="Installed maximum, A per phase")
    rated_a: float | None = Field(
        default=None, ge=6, le=1000, description="What the device itself could do, A per phase"
    )
    password: SecretStr | None = Field(default=None, description="Basic-auth password, security profiles 1 and 2")
    unit: Literal["A", "W"] | None = Field(default=None, description="Overrules the unit the charger says it takes")
    stack_level: int | None = Field(default=None, ge=0, description="Overrules the stack level of [ocpp]")
    max_periods: int | None = Field(
        default=None, ge=1, description="Overrules how many periods the charger says a profile may have"
    )
    decimals: Literal[0, 1] = Field(default=1, description="0 sends whole amperes or watts only")
    registration: Literal["accepted", "pending", "rejected"] = Field(
        default="accepted", description="What its BootNotification is answered"
    )
    fallback: Literal["none", "availability", "stop"] = Field(
        default="none",
        description="What a limit of 0 does where it takes no limits: nothing, no new sessions, or end the session too",
    )
    soc: bool = Field(default=False, description="Have it send the car's state of charge, if it can")


class BridgeSettings(Settings):
    """Everything one bridge process is told."""

    ven: VenSettings
    ocpp: OcppSection
    api: ApiSection
    database: DatabaseSection = DatabaseSection()
    programme: ProgrammeSection = ProgrammeSection()
    verify: VerifySection = VerifySection()
    dispatch: DispatchSection = DispatchSection()
    arbiter: ArbiterSection = ArbiterSection()
    override: OverrideSection = OverrideSection()
    consent: ConsentSection = ConsentSection()
    frequency_guard: FrequencyGuardSection = FrequencyGuardSection()
    telemetry: TelemetrySection = TelemetrySection()
    alerts: AlertSection = AlertSection()
    energy: EnergySection = EnergySection()
    log: LogSection = LogSection()
    self_test: SelfTestSection = SelfTestSection()
    vtns: tuple[VtnSection, ...] = Field(default=(), description="Further VTNs")
    sites: tuple[SiteSection, ...] = Field(default=(), description="Sites with the limit of their connection")
    groups: tuple[GroupSection, ...] = Field(default=(), description="Other groups with a limit of their own")
    calendar: tuple[TimetableRule, ...] = Field(default=(), description="Limits that return every week")
    downstream: DownstreamSection | None = Field(default=None, description="A VTN below that events are passed on to")
    chargers: tuple[ChargerSection, ...] = Field(default=(), description="The chargers; only these are let in")
    proxies: tuple[ProxySection, ...] = Field(
        default=(), description="CSMSs of CPOs that the bridge stands in front of, with their chargers"
    )
    cta: CtaSection = CtaSection()
    cta_devices: tuple[CtaDeviceSection, ...] = Field(default=(), description="CTA-2045 devices on ports of this host")

    @property
    def loads(self) -> tuple[LoadSection, ...]:
        """Everything that can be limited."""
        return (*self.chargers, *self.cta_devices)

    @model_validator(mode="after")
    def _loads_are_told_apart(self) -> Self:
        if not self.loads and self.downstream is None:
            raise ValueError("chargers: needs at least one of [[chargers]] and [[cta_devices]]")
        for name in ("identity", "resource_id"):
            seen: set[str] = set()
            for table, loads in (("chargers", self.chargers), ("cta_devices", self.cta_devices)):
                for each in loads:
                    key = getattr(each, name)
                    if key in seen:
                        raise ValueError(f"{table}: {name} {key!r} is given twice")
                    seen.add(key)
        check_devices(self.cta, self.cta_devices)
        return self

    @model_validator(mode="after")
    def _groups_have_members(self) -> Self:
        members = {name for each in resources(self) for name in each.memberships}
        seen: set[str] = set()
        for kind, section in (("sites", self.sites), ("groups", self.groups)):
            for each in section:
                if each.id in seen:
                    raise ValueError(f"{kind}: id {each.id!r} is given twice")
                if each.id not in members:
                    raise ValueError(f"{kind}: no charger belongs to {each.id!r}")
                if each.max_a is None and each.max_kw is None:
                    raise ValueError(f"{kind}: {each.id!r} needs max_a or max_kw")
                seen.add(each.id)
        return self

    @model_validator(mode="after")
    def _calendar_has_members(self) -> Self:
        known, seen = resources(self), set[str]()
        for each in self.calendar:
            if each.id in seen:
                raise ValueError(f"calendar: id {each.id!r} is given twice")
            if not any(each.is_for(resource) for resource in known):
                raise ValueError(f"calendar: {each.id!r} is for nobody here")
            seen.add(each.id)
        return self

    @model_validator(mode="after")
    def _vtns_are_known(self) -> Self:
        names = ["", *(each.name for each in self.vtns)]
        if len(set(names)) != len(names):
            raise ValueError("vtns: a name is given twice")
        for each in self.loads:
            for name in (each.vtn, *each.also_vtns):
                if name not in names:
                    table = "chargers" if isinstance(each, ChargerSection) else "cta_devices"
                    raise ValueError(f"{table}: {each.identity!r} names {name!r}, which is none of [[vtns]]")
        return self

    @model_validator(mode="after")
    def _proxies_fit(self) -> Self:
        registrations = {each.identity: each.registration for each in self.chargers}
        fault = conflicts(self.proxies, registrations, self.ocpp.security_profile, self.ocpp.hold_pending)
        if fault is not None:
            raise ValueError(fault)
        return self


def read_settings(path: Path | None) -> BridgeSettings:
    """Read the file and the environment. Raises ``SettingsError`` naming every key at fault."""
    return load(BridgeSettings, path, ENV_PREFIX)


def supervision(settings: BridgeSettings) -> Supervision:
    """Return the core's figures."""
    verify, dispatch, telemetry = settings.verify, settings.dispatch, settings.telemetry
    return Supervision(
        policy=VerifyPolicy(
            enabled=verify.enabled,
            settle_s=verify.settle_s,
            tolerance=verify.tolerance,
            tolerance_w=verify.tolerance_w,
            retries=verify.retries,
            stale_s=verify.stale_s,
            idle_w=verify.idle_w,
            offline_after_s=verify.offline_after_s,
        ),
        horizon=Horizon(
            lead_s=dispatch.lead_s,
            open_ended_s=dispatch.open_ended_s,
            expiry_jitter_s=_spread_s(dispatch.expiry_jitter_s, settings),
            expiry_grace_s=dispatch.expiry_grace_s,
        ),
        patience=Patience(
            attempts=dispatch.attempts, backoff_s=dispatch.backoff_s, backoff_max_s=dispatch.backoff_max_s
        ),
        rhythm=Rhythm(
            tick_s=dispatch.tick_s,
            flush_s=telemetry.flush_s,
            interval_s=settings.arbiter.interval_s,
        ),
        measuring=Measuring(before_s=verify.before_s, settle_s=verify.settle_s, after_s=verify.after_s),
        calm=Calm(
            min_dwell_s=settings.arbiter.min_dwell_s,
            deadband_kw=settings.arbiter.deadband_kw,
            writes_per_hour=settings.arbiter.writes_per_hour,
            rejoin_s=_spread_s(dispatch.rejoin_s, settings),
        ),
        budget=Budget(
            per_day=settings.override.per_day,
            per_week=settings.override.per_week,
            classes=frozenset(settings.override.classes),
            two_step=frozenset(settings.override.two_step),
            confirm_s=settings.override.confirm_s,
        ),
        sharing=Sharing(
            strategy=settings.arbiter.strategy,
            rotate_s=settings.arbiter.rotate_s,
            reserve_offline=settings.arbiter.reserve_offline,
        ),
        guard=settings.frequency_guard.guard,
        calendar=settings.calendar,
        consent_required=settings.consent.required,
        last_resort=LastResort(enabled=settings.arbiter.cut_supply, verify_s=settings.arbiter.cut_verify_s),
        groups=(
            *(_group(each, Source.SITE) for each in settings.sites),
            *(_group(each, Source.GROUP) for each in settings.groups),
        ),
        configured={
            each.resource_id: (
                StandingCap(source=Source.DEFAULT, limit_a=each.limit_a, reason="limit_a of the settings"),
            )
            for each in settings.loads
            if each.limit_a is not None
        },
    )


def _spread_s(asked_s: float, settings: BridgeSettings) -> int:
    """Return a window wide enough for this fleet to move as a whole (RND-07); 0 stays 0: switched off."""
    whole_kw = sum(each.kw(each.max_a) for each in resources(settings))
    return math.ceil(max(asked_s, least_window_s(whole_kw))) if asked_s else 0


def _group(section: GroupSection, source: Source) -> Group:
    return Group(
        group_id=section.id,
        source=source,
        owner=section.owner,
        limit=GroupLimit(per_phase_a=section.max_a, total_kw=section.max_kw),
        sharing=Sharing(
            strategy=section.strategy,
            rotate_s=section.rotate_s,
            reserve_offline=section.reserve_offline,
            deadband_a=section.deadband_a,
        ),
    )


def sampling(settings: BridgeSettings) -> Sampling:
    """Return what telemetry offers."""
    telemetry = settings.telemetry
    return Sampling(
        fastest_s=telemetry.fastest_s,
        slowest_s=telemetry.slowest_s,
        buffer_s=int(telemetry.buffer_days * 86_400),
        history_s=int(telemetry.history_days * 86_400),
        stale_s=telemetry.stale_after_s,
        dsr=telemetry.dsr,
        locations=telemetry.locations,
    )


def keeping(settings: BridgeSettings) -> Keeping:
    """Return how long things are kept."""
    return Keeping(
        readings_s=settings.telemetry.buffer_days * 86_400,
        outcomes_s=settings.database.keep_days * 86_400,
        half_hours_s=settings.telemetry.history_days * 86_400,
    )


def resources(settings: BridgeSettings) -> tuple[Resource, ...]:
    """Return all loads as resources, the chargers first."""
    return tuple(load.resource for load in settings.loads)


def upstreams(
    settings: BridgeSettings, chargers: tuple[Resource, ...]
) -> tuple[tuple[str, VenSettings, tuple[Resource, ...]], ...]:
    """Return every VTN: its name, its settings, and the resources it leads or that are enrolled with it."""
    served = {each.resource_id: {each.vtn, *each.also_vtns} for each in settings.loads}
    return tuple(
        (name, ven, tuple(each for each in chargers if name in served[each.resource_id]))
        for name, ven in (("", settings.ven), *((each.name, each) for each in settings.vtns))
    )


def charger_configs(settings: BridgeSettings) -> tuple[ChargerConfig, ...]:
    """Return the chargers as the OCPP side knows them."""
    return tuple(
        ChargerConfig(
            identity=charger.identity,
            phases=charger.phases,
            max_a=charger.max_a,
            voltage=charger.voltage,
            password=None if charger.password is None else charger.password.get_secret_value(),
            unit=charger.unit,
            stack_level=charger.stack_level,
            max_periods=charger.max_periods,
            decimals=charger.decimals,
            registration=charger.registration,
            soc=charger.soc,
            fallback=charger.fallback,
        )
        for charger in settings.chargers
    )
