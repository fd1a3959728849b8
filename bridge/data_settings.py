"""Settings of what is kept and told about the resources: places, meters, since when, telemetry, alerts, energy.

Rule: every key has a default that tells nobody anything.
"""

from typing import Self
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field, SecretStr, field_validator, model_validator

from bridge.location import Confidence, Level, Location
from bridge.points import Sampling
from bridge.watch import Thresholds
from runtime.settings import Section, SettingsPath

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class LocationSection(Section):
    """Where a load is in the network; every key may be left out."""

    premises: str = Field(default="", description="Address or name of the premises: private, never told upstream")
    lv_feeder: str = Field(default="", description="Low-voltage feeder")
    secondary: str = Field(default="", description="Secondary substation")
    primary: str = Field(default="", description="Primary substation")
    bsp: str = Field(default="", description="Bulk supply point")
    gsp: str = Field(default="", description="Grid supply point")
    voltage_v: float | None = Field(default=None, gt=0, le=500_000, description="Of the connection, line to line, V")
    confidence: Confidence = Field(default=Confidence.ASSUMED, description="How sure it is")

    @property
    def location(self) -> Location:
        """The location as a value."""
        return Location(**self.model_dump())


class DataSection(Section):
    """Keys of a load that say how its data may be used."""

    location: LocationSection | None = Field(default=None, description="Where it is in the network")
    meter_class: str = Field(
        default="", max_length=40, description="Accuracy class of its meter, e.g. MID B; empty: not known"
    )
    provider_since: AwareDatetime | None = Field(
        default=None, description="Since when its VTN serves it: no older data is told upstream (change of provider)"
    )


class AlertSection(Section):
    """The ``[alerts]`` section: when somebody is to be told, and where to."""

    webhook: str = Field(default="", description="https URL that alerts are posted to as JSON; empty: log and API only")
    token: SecretStr | None = Field(default=None, description="Bearer token for it")
    ca: SettingsPath | None = Field(default=None, description="CA of its certificate (PEM); none: those of the system")
    for_s: float = Field(default=60.0, ge=0, description="A state of affairs counts, or is over, after so long, s")
    offline_share: float = Field(default=0.2, ge=0, le=1, description="Alert if more of the chargers are offline")
    failed_share: float = Field(
        default=0.1, ge=0, le=1, description="Alert if more of an event's resources failed or do not answer"
    )
    clock_s: float = Field(default=30.0, gt=0, description="Alert if the VTN's clock differs by more, s")
    owed: int = Field(default=100, ge=1, description="Alert if more messages wait for a VTN")
    over_share: float = Field(
        default=0.03, ge=0, le=1, description="Alert if a group's meters are above its limit by more than this share"
    )

    @field_validator("webhook")
    @classmethod
    def _safe(cls, value: str) -> str:
        if value:
            parts = urlsplit(value)
            local = parts.scheme == "http" and parts.hostname in _LOOPBACK
            if not parts.hostname or not (parts.scheme == "https" or local):
                raise ValueError("must be an https URL (http only on this machine)")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.webhook and (self.token is not None or self.ca is not None):
            raise ValueError("token and ca need webhook")
        return self

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds as values."""
        return Thresholds(
            for_s=self.for_s,
            offline_share=self.offline_share,
            failed_share=self.failed_share,
            clock_s=self.clock_s,
            owed=self.owed,
            over_share=self.over_share,
        )


class EnergySection(Section):
    """The ``[energy]`` section: what energy costs and carries, for ``GET /energy``."""

    rates: SettingsPath | None = Field(
        default=None, description="CSV of half-hours: start,price_per_kwh,g_co2_per_kwh; read at each call"
    )
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of the prices")


class TelemetrySection(Section):
    """The ``[telemetry]`` section: what is stored and offered upstream."""

    fastest_s: int = Field(default=10, ge=1, description="Shortest report interval offered, s")
    slowest_s: int = Field(default=900, ge=1, description="Longest report interval offered, s")
    buffer_days: float = Field(default=7.0, gt=0, le=400, description="Readings are kept this long, days")
    flush_s: float = Field(default=5.0, gt=0, description="Readings are stored this often, s")
    stale_after_s: float = Field(
        default=180.0,
        gt=0,
        description="A reading older than this is no value any more; a younger one is marked as old, s",
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

    @property
    def sampling(self) -> Sampling:
        """What telemetry offers, as values."""
        return Sampling(
            fastest_s=self.fastest_s,
            slowest_s=self.slowest_s,
            buffer_s=int(self.buffer_days * 86_400),
            history_s=int(self.history_days * 86_400),
            stale_s=self.stale_after_s,
            dsr=self.dsr,
            locations=self.locations,
        )
