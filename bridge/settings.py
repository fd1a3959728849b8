"""The bridge's settings: one TOML file, each value overridable as ``OADR_BRIDGE__SECTION__KEY``.

Rule: every figure has its unit in its name and a default that is safe in the field; a mistake is refused at start
with the key that is wrong. ``supervision`` and ``resources`` turn settings into the values the core works with.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.dispatch import Patience
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.outcomes import Measuring
from bridge.resources import Resource
from bridge.schedule import Horizon
from bridge.supervisor import Rhythm, Supervision
from bridge.telemetry import Sampling
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
        default=("dno-curtailment", "emergency-limit"),
        min_length=1,
        description="Shipped programmes by name, own ones by path (counted from the settings file)",
    )


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
    expiry_grace_s: int = Field(default=60, ge=0, description="The charger drops a schedule this long after its end, s")
    attempts: int = Field(default=4, ge=1, le=20, description="Tries of one command without a usable answer")
    backoff_s: PositiveSeconds = Field(default=5.0, description="First pause between tries, doubled each time, s")
    backoff_max_s: PositiveSeconds = Field(default=300.0, description="Longest pause between tries, s")


class TelemetrySection(Section):
    """The ``[telemetry]`` section: what is stored and offered upstream."""

    fastest_s: int = Field(default=10, ge=1, description="Shortest report interval offered, s")
    slowest_s: int = Field(default=900, ge=1, description="Longest report interval offered, s")
    buffer_days: float = Field(default=7.0, gt=0, le=400, description="Readings are kept this long, days")
    flush_s: PositiveSeconds = Field(default=5.0, description="Readings are stored this often, s")


class LogSection(Section):
    """The ``[log]`` section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = Field(default=True, description="JSON lines; false: readable lines for a terminal")


class ChargerSection(Section):
    """One ``[[chargers]]`` table: a charger, which is a resource of the VEN."""

    identity: str = Field(min_length=1, max_length=48, description="Charge point identity, the last part of its URL")
    resource_id: str = Field(min_length=1, description="resourceID that the VTN targets")
    phases: Literal[1, 2, 3] = Field(default=3, description="Phases connected")
    max_a: float = Field(default=32.0, ge=6, le=1000, description="Installed maximum, A per phase")
    voltage: float = Field(default=230.0, ge=100, le=1000, description="Line to neutral, V")
    groups: tuple[str, ...] = Field(default=(), description="groupIDs it belongs to: site, feeder, substation")
    test_enrolled: bool = Field(default=False, description="Takes part in test events")
    password: SecretStr | None = Field(default=None, description="Basic-auth password, security profiles 1 and 2")
    unit: Literal["A", "W"] | None = Field(default=None, description="Overrules the unit the charger says it takes")
    stack_level: int | None = Field(default=None, ge=0, description="Overrules the stack level of [ocpp]")


class BridgeSettings(Settings):
    """Everything one bridge process is told."""

    ven: VenSettings
    ocpp: OcppSection
    api: ApiSection
    database: DatabaseSection = DatabaseSection()
    programme: ProgrammeSection = ProgrammeSection()
    verify: VerifySection = VerifySection()
    dispatch: DispatchSection = DispatchSection()
    telemetry: TelemetrySection = TelemetrySection()
    log: LogSection = LogSection()
    chargers: tuple[ChargerSection, ...] = Field(min_length=1, description="The chargers; only these are let in")

    @field_validator("chargers")
    @classmethod
    def _unique(cls, value: tuple[ChargerSection, ...]) -> tuple[ChargerSection, ...]:
        for name in ("identity", "resource_id"):
            seen: set[str] = set()
            for charger in value:
                key = getattr(charger, name)
                if key in seen:
                    raise ValueError(f"{name} {key!r} is given twice")
                seen.add(key)
        return value


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
            lead_s=dispatch.lead_s, open_ended_s=dispatch.open_ended_s, expiry_grace_s=dispatch.expiry_grace_s
        ),
        patience=Patience(
            attempts=dispatch.attempts, backoff_s=dispatch.backoff_s, backoff_max_s=dispatch.backoff_max_s
        ),
        rhythm=Rhythm(
            tick_s=dispatch.tick_s,
            flush_s=telemetry.flush_s,
            keep_s=telemetry.buffer_days * 86_400,
            keep_outcomes_s=settings.database.keep_days * 86_400,
        ),
        measuring=Measuring(before_s=verify.before_s, settle_s=verify.settle_s, after_s=verify.after_s),
    )


def sampling(settings: BridgeSettings) -> Sampling:
    """Return what telemetry offers."""
    telemetry = settings.telemetry
    return Sampling(
        fastest_s=telemetry.fastest_s,
        slowest_s=telemetry.slowest_s,
        buffer_s=int(telemetry.buffer_days * 86_400),
    )


def resources(settings: BridgeSettings) -> tuple[Resource, ...]:
    """Return the chargers as resources."""
    return tuple(
        Resource(
            resource_id=charger.resource_id,
            charger=charger.identity,
            max_a=charger.max_a,
            phases=charger.phases,
            voltage=charger.voltage,
            groups=charger.groups,
            test_enrolled=charger.test_enrolled,
        )
        for charger in settings.chargers
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
        )
        for charger in settings.chargers
    )
