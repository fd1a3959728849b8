"""Settings of ``oadr-vtn``: one TOML file, every value overridable as ``OADR_VTN__SECTION__KEY``.

Rule: nothing insecure by default: client certificates are demanded, the operator API has no token until one is
given, and plain HTTP for it needs to be asked for and stays on this machine.
"""

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from openadr.times import Duration
from openadr.tls import TlsProfile
from runtime.clock import new_id
from runtime.settings import DatabaseUrl, Section, Settings, SettingsPath, load
from vtn.services.context import Desk, ReportPolicy, RetryPolicy

ENV_PREFIX = "OADR_VTN__"


class CertificateFiles(Section):
    """A certificate chain and its private key, PEM."""

    cert: SettingsPath
    key: SettingsPath


class ServerSection(Section):
    """The OpenADR listener for VENs."""

    host: str = "0.0.0.0"  # noqa: S104  VENs are elsewhere; clients without certificate are turned away
    port: int = Field(8443, ge=0, le=65535)
    certificates: tuple[CertificateFiles, ...] = Field(min_length=1, description="One RSA and one EC certificate (R68)")
    client_ca: SettingsPath = Field(description="Trust store for VEN certificates")
    tls_profile: TlsProfile = TlsProfile.OPENADR
    max_body_bytes: int = Field(4_000_000, ge=10_000, description="Larger requests are refused with 413")
    keepalive_s: float = Field(75.0, gt=0)


class VtnSection(Section):
    """Who this VTN is and how it treats VENs; times in seconds."""

    vtn_id: str = Field("VTN-1", min_length=1, max_length=128)
    poll_freq_s: int = Field(10, ge=1, description="oadrRequestedOadrPollFreq")
    event_retry_s: float = Field(60.0, gt=0, description="First repetition of an unanswered event; doubled each time")
    event_attempts: int = Field(6, ge=1)
    queue_retry_s: float = Field(60.0, gt=0, description="First repetition of another unanswered payload")
    queue_attempts: int = Field(4, ge=1)

    @field_validator("vtn_id")
    @classmethod
    def _with_capital(cls, value: str) -> str:
        if not value[0].isalpha() or value == value.lower():
            raise ValueError("must begin with a letter and contain a capital one, some VENs refuse others")
        return value


class OperatorSection(Section):
    """The operator API."""

    host: str = "127.0.0.1"
    port: int = Field(8081, ge=0, le=65535)
    token: SecretStr = Field(description="Bearer token, at least 16 characters")
    cert: SettingsPath | None = None
    key: SettingsPath | None = None
    allow_insecure_http: bool = Field(False, description="Serve plain HTTP, on a loopback address only")

    @field_validator("token")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 16:
            raise ValueError("at least 16 characters are needed")
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key are given together or not at all")
        if self.cert is None and not (self.allow_insecure_http and _loopback(self.host)):
            raise ValueError("without cert and key: set allow_insecure_http = true and a loopback host")
        return self


class DatabaseSection(Section):
    """Where everything is kept."""

    url: DatabaseUrl = "sqlite+aiosqlite:///vtn.sqlite3"


class ReportsSection(Section):
    """Which offered reports are asked for at once, and how often."""

    names: tuple[str, ...] = ("TELEMETRY_USAGE", "TELEMETRY_STATUS")
    granularity_s: int = Field(60, ge=1)
    back_s: int = Field(60, ge=1)


class LogSection(Section):
    """Logging to standard error."""

    level: str = Field("info", pattern="^(debug|info|warning|error)$")
    json_lines: bool = True


class VtnSettings(Settings):
    """All of it."""

    server: ServerSection
    vtn: VtnSection = VtnSection()
    operator: OperatorSection
    database: DatabaseSection = DatabaseSection()
    reports: ReportsSection = ReportsSection()
    log: LogSection = LogSection()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_settings(path: Path | None) -> VtnSettings:
    """Read file and environment. Raises ``SettingsError`` naming the keys at fault."""
    return load(VtnSettings, path, ENV_PREFIX)


def desk_of(settings: VtnSettings) -> Desk:
    """Return the VTN's identity and policies."""
    vtn, reports = settings.vtn, settings.reports
    return Desk(
        vtn_id=vtn.vtn_id,
        new_id=new_id,
        poll_freq=Duration(seconds=vtn.poll_freq_s),
        events=RetryPolicy(first_s=vtn.event_retry_s, attempts=vtn.event_attempts),
        queue=RetryPolicy(first_s=vtn.queue_retry_s, attempts=vtn.queue_attempts),
        reports=ReportPolicy(names=reports.names, granularity_s=reports.granularity_s, back_s=reports.back_s),
    )
