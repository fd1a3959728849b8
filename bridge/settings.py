"""The bridge's settings: one TOML file, each value overridable as ``OADR_BRIDGE__SECTION__KEY``.

Rule: every figure has its unit in its name and a default that is safe in the field; a mistake is refused at start
with the key that is wrong. ``supervision`` and ``resources`` turn settings into the values the core works with.
Sections of one subject are in modules of their own; here is what concerns the process, and what sections say together.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.arbiter import Source, StandingCap
from bridge.cta2045.settings import CtaDeviceSection, CtaSection, check_devices
from bridge.data_settings import AlertSection, EnergySection, TelemetrySection
from bridge.downlink import DownstreamSection
from bridge.enrolment_settings import ConsentSection, FrequencyGuardSection
from bridge.jobs import Keeping
from bridge.limit_settings import (
    ArbiterSection,
    DispatchSection,
    GroupSection,
    OverrideSection,
    SiteSection,
    VerifySection,
)
from bridge.load_settings import LoadSection
from bridge.ocpp.proxy_settings import ProxySection, conflicts
from bridge.ocpp.sections import ChargerSection, OcppSection
from bridge.resources import Resource
from bridge.selftest import SelfTestSection
from bridge.supervision import Rhythm, Supervision
from bridge.timetable import TimetableRule
from runtime.settings import DatabaseUrl, Section, Settings, SettingsPath, load
from ven.settings import VenSettings

ENV_PREFIX = "OADR_BRIDGE__"
_TOKEN_LENGTH = 16  # characters: shorter bearer tokens can be guessed


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


class VtnSection(VenSettings):
    """One ``[[vtns]]`` table: a further VTN, with the keys of ``[ven]``."""

    name: str = Field(
        pattern=r"^[a-z0-9-]{1,32}$", description="Its name: events go by name/eventID, chargers say vtn = name"
    )


class LogSection(Section):
    """The ``[log]`` section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = Field(default=True, description="JSON lines; false: readable lines for a terminal")


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
    verify, dispatch, arbiter = settings.verify, settings.dispatch, settings.arbiter
    whole_kw = sum(each.kw(each.max_a) for each in resources(settings))
    return Supervision(
        policy=verify.policy,
        horizon=dispatch.horizon(whole_kw),
        patience=dispatch.patience,
        rhythm=Rhythm(tick_s=dispatch.tick_s, flush_s=settings.telemetry.flush_s, interval_s=arbiter.interval_s),
        measuring=verify.measuring,
        calm=arbiter.calm(dispatch.rejoining_s(whole_kw)),
        budget=settings.override.budget,
        sharing=arbiter.sharing,
        guard=settings.frequency_guard.guard,
        calendar=settings.calendar,
        consent_required=settings.consent.required,
        last_resort=arbiter.last_resort,
        groups=(
            *(each.group(Source.SITE) for each in settings.sites),
            *(each.group(Source.GROUP) for each in settings.groups),
        ),
        configured={
            each.resource_id: (
                StandingCap(source=Source.DEFAULT, limit_a=each.limit_a, reason="limit_a of the settings"),
            )
            for each in settings.loads
            if each.limit_a is not None
        },
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
