"""Settings of ``oadr-vtn``: one TOML file, every value overridable as ``OADR_VTN__SECTION__KEY``.

Rule: nothing insecure by default: client certificates are demanded, the operator API has no token until one is
given, and plain HTTP for it needs to be asked for and stays on this machine.
"""

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from openadr.times import Duration
from runtime.clock import new_id
from runtime.settings import DatabaseUrl, Section, Settings, SettingsPath, load
from vtn.listener import ServerSection
from vtn.services.addresses import PUBLIC, address_rule
from vtn.services.context import (
    Contexts,
    Desk,
    EnrolmentMode,
    EnrolmentPolicy,
    PushPolicy,
    ReportPolicy,
    RetryPolicy,
)
from vtn.store.retention import Age

ENV_PREFIX = "OADR_VTN__"
LEASE_SLACK_S = 30.0  # of a push beyond its time-out: writing down what came of it, and clocks that differ


class VtnSection(Section):
    """Who this VTN is and how it treats VENs; times in seconds."""

    vtn_id: str = Field("VTN-1", min_length=1, max_length=128)
    poll_freq_s: int = Field(10, ge=1, description="oadrRequestedOadrPollFreq")
    event_retry_s: float = Field(60.0, gt=0, description="First repetition of an unanswered event; doubled each time")
    event_attempts: int = Field(6, ge=1)
    queue_retry_s: float = Field(60.0, gt=0, description="First repetition of another unanswered payload")
    queue_attempts: int = Field(4, ge=1)
    programmes: Contexts = Field(
        Contexts.OPEN, description="open: events of any market context; listed: only of market contexts that are set up"
    )
    current_value: bool = Field(False, description="Send currentValue with every signal (R113)")

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


class PushSection(Section):
    """HTTP push to VENs that register for it; times in seconds."""

    enabled: bool = Field(True, description="Offer the push model (R38)")
    allow: tuple[str, ...] = Field(
        (PUBLIC,),
        description="Where VENs may be: public (addresses of the internet), networks (10.2.0.0/16), host names "
        "(*.ven.example), any. Guards the network of this VTN: a VEN names the address itself",
    )
    allow_insecure_http: bool = Field(False, description="Push to http:// addresses too: rehearsals only")
    cert: SettingsPath | None = Field(None, description="Client certificate; default: the first of server.certificates")
    key: SettingsPath | None = None
    ca: SettingsPath | None = Field(None, description="Trust store for VENs as servers; default: server.client_ca")
    timeout_s: float = Field(15.0, ge=5, description="Of one exchange, connecting included (at least 5 s)")
    retry_s: float = Field(2.0, gt=0, description="First pause after a failure; doubled each time")
    retry_max_s: float = Field(600.0, gt=0, description="Longest pause")
    attempts: int = Field(8, ge=1, description="Failures in a row after which payloads wait to be polled for")
    concurrency: int = Field(64, ge=1, le=1000, description="VENs pushed to at one time")
    max_answer_bytes: int = Field(1_000_000, ge=10_000, description="Larger answers are refused")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key are given together or not at all")
        address_rule(self.allow)
        return self


class DatabaseSection(Section):
    """Where everything is kept."""

    url: DatabaseUrl = "sqlite+aiosqlite:///vtn.sqlite3"


class ReportsSection(Section):
    """Which offered reports are asked for at once, and how often."""

    names: tuple[str, ...] = ("TELEMETRY_USAGE", "TELEMETRY_STATUS")
    granularity_s: int = Field(60, ge=1)
    back_s: int = Field(60, ge=1)
    overdue_s: float = Field(120.0, ge=1, description="How late a report may be before it is overdue")
    metadata_s: float = Field(
        300.0, ge=10, description="A VEN that has sent no METADATA this long after its registration is asked for it"
    )
    metadata_on_start: bool = Field(False, description="Ask every VEN for its METADATA anew when the VTN starts")
    offer: tuple[Literal["TELEMETRY_USAGE", "HISTORY_USAGE"], ...] = Field(
        ("TELEMETRY_USAGE", "HISTORY_USAGE"),
        description="Reports of its own that the VTN offers each VEN: what that VEN has reported, nothing else",
    )
    offer_days: int = Field(30, ge=1, le=3660, description="How far back they go")


class EnrolmentSection(Section):
    """How VENs come to be enrolled."""

    mode: EnrolmentMode = Field(
        EnrolmentMode.LISTED,
        description="listed: an operator enrols them; ask: one with a trusted certificate that tries to register is "
        "shown to the operator, who approves or rejects it",
    )
    max_candidates: int = Field(1000, ge=1, le=100_000, description="Candidates kept in mode ask")


class RetentionSection(Section):
    """How long things are kept, in days; what still has an effect is kept longer."""

    telemetry_days: int = Field(
        400, ge=1, le=36_500, description="A year and a month: settlement, and a baseline of the same season"
    )
    events_days: int = Field(400, ge=1, le=36_500, description="After their end, with versions, answers and opts")
    deliveries_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="Which payload was handed out when; of older events only the answers are known",
    )
    queue_days: int = Field(30, ge=1, le=36_500, description="Payloads that were answered or given up")
    idempotency_days: int = Field(7, ge=1, le=36_500, description="Answers kept for a repeated Idempotency-Key")

    def days(self) -> dict[Age, int]:
        """Return them by what they are of."""
        return {age: getattr(self, f"{age}_days") for age in Age}


class LogSection(Section):
    """Logging to standard error."""

    level: str = Field("info", pattern="^(debug|info|warning|error)$")
    json_lines: bool = True


class VtnSettings(Settings):
    """All of it."""

    server: ServerSection
    vtn: VtnSection = VtnSection()
    operator: OperatorSection
    push: PushSection = PushSection()
    database: DatabaseSection = DatabaseSection()
    reports: ReportsSection = ReportsSection()
    enrolment: EnrolmentSection = EnrolmentSection()
    retention: RetentionSection = RetentionSection()
    log: LogSection = LogSection()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_settings(path: Path | None) -> VtnSettings:
    """Read file and environment. Raises ``SettingsError`` naming the keys at fault."""
    return load(VtnSettings, path, ENV_PREFIX)


def push_policy(settings: VtnSettings) -> PushPolicy:
    """Return how VENs are pushed to."""
    push = settings.push
    return PushPolicy(
        addresses=address_rule(push.allow, insecure=push.allow_insecure_http),
        first_s=push.retry_s,
        longest_s=push.retry_max_s,
        attempts=push.attempts,
        lease_s=push.timeout_s + LEASE_SLACK_S,
    )


def desk_of(settings: VtnSettings) -> Desk:
    """Return the VTN's identity and policies."""
    vtn, reports = settings.vtn, settings.reports
    return Desk(
        vtn_id=vtn.vtn_id,
        new_id=new_id,
        poll_freq=Duration(seconds=vtn.poll_freq_s),
        signatures=settings.server.signatures.policy,
        events=RetryPolicy(first_s=vtn.event_retry_s, attempts=vtn.event_attempts),
        queue=RetryPolicy(first_s=vtn.queue_retry_s, attempts=vtn.queue_attempts),
        enrolment=EnrolmentPolicy(mode=settings.enrolment.mode, most=settings.enrolment.max_candidates),
        contexts=vtn.programmes,
        current_value=vtn.current_value,
        reports=ReportPolicy(
            names=reports.names,
            granularity_s=reports.granularity_s,
            back_s=reports.back_s,
            overdue_s=reports.overdue_s,
            metadata_s=reports.metadata_s,
            offer=reports.offer,
            offer_s=reports.offer_days * 86_400,
        ),
    )
