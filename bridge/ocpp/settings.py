"""Settings of the OCPP side: the central system's own, and what is known in advance of each charger.

Rule: the safe choice is the default: security profile 3, and anything weaker than TLS needs ``allow_insecure``
(OCP-10).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge.ocpp.authorise import AuthoriseSection
from runtime.settings import SettingsPath


class OcppSettings(BaseModel):
    """The ``[ocpp]`` section of the bridge's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address that chargers dial")
    port: int = Field(default=9000, ge=0, le=65535, description="TCP port; 0 takes a free one")
    security_profile: Annotated[int, Field(ge=0, le=3)] = Field(
        default=3, description="3 TLS with client certificate, 2 TLS with password, 1 password only, 0 nothing"
    )
    allow_insecure: bool = Field(
        default=False, description="Needed for security profiles 0 and 1 (no TLS): rehearsals only"
    )
    cert: Path | None = Field(default=None, description="Server certificate chain (PEM), profiles 2 and 3")
    key: Path | None = Field(default=None, description="Private key of the server certificate (PEM)")
    client_ca: Path | None = Field(default=None, description="CA that chargers' certificates must come from, profile 3")
    cpo_name: str | None = Field(
        default=None, description="Organisation that a charger's certificate must name, if set"
    )
    tls_profile: Literal["modern", "openadr", "pas1878"] = Field(
        default="modern", description="Cipher and version policy"
    )
    call_timeout_s: float = Field(default=30.0, gt=0, le=120, description="Time-out of one call to a charger (OCP-09)")
    yield_s: float = Field(
        default=5.0, gt=0, le=60, description="So long a call may still wait for its answer when a limit overtakes it"
    )
    heartbeat_s: int = Field(default=300, ge=1, description="Heartbeat interval given at boot")
    meter_interval_s: int = Field(default=60, ge=1, description="Meter sample interval set at boot")
    ping_s: float = Field(
        default=30.0, gt=0, description="Websocket ping interval; a charger that misses it is offline"
    )
    boot_grace_s: float = Field(default=10.0, gt=0, description="Wait for BootNotification after a connect")
    stack_level: int = Field(default=1, ge=0, description="Stack level of our profiles")
    profile_id_base: int = Field(default=0, ge=0, description="First number of our profile id block")
    backdate_s: int = Field(
        default=60, ge=0, description="A schedule due now starts this long ago, for slow charger clocks"
    )
    max_periods: int = Field(
        default=24, ge=1, description="Periods sent in one profile to a charger that does not say how many it takes"
    )
    longest_profile_s: int = Field(
        default=86_400, ge=600, description="No profile lasts longer; a longer limit is renewed in time (OUT-02)"
    )
    default_writes_per_hour: int = Field(
        default=12,
        ge=1,
        description="Default profiles written to one charger's lasting memory while its session's own profile rules",
    )
    read_back_s: float | None = Field(
        default=15.0, gt=0, description="Wait before an accepted limit is read back; unset never asks (OCP-06)"
    )
    profile_report_s: float = Field(
        default=30.0, gt=0, description="Wait for the last part of a 2.0.1 station's report of its profiles"
    )
    hold_pending: bool = Field(
        default=False, description="Answer Pending at boot until the charger's configuration was read, then Accepted"
    )
    probe: bool = Field(
        default=True, description="Try harmless profiles on a kind of charger not seen before, to learn what it takes"
    )
    authorise: AuthoriseSection = Field(default=AuthoriseSection(), description="Whose id tags and tokens are accepted")
    authority: SettingsPath | None = Field(
        default=None, description="Folder of oadr-certs that signs the certificates chargers ask for; unset refuses"
    )
    quirk_files: tuple[SettingsPath, ...] = Field(
        default=(), description="Own quirk files (TOML), after the shipped one, which they overrule"
    )
    max_frame_bytes: int = Field(default=1_048_576, ge=4096, description="Larger websocket messages end the connection")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.security_profile < 2 and not self.allow_insecure:
            raise ValueError(
                f"security_profile {self.security_profile} has no TLS: allow_insecure = true accepts that (OCP-10)"
            )
        if self.security_profile >= 2 and (self.cert is None or self.key is None):
            raise ValueError(f"security_profile {self.security_profile} needs cert and key")
        if self.security_profile == 3 and self.client_ca is None:
            raise ValueError("security_profile 3 needs client_ca")
        if self.authority is not None and not self.cpo_name:
            raise ValueError("authority needs cpo_name: a charger's certificate names its operator")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerConfig:
    """What is known of a charger before it dials in. Only these identities are let in.

    ``password`` is the basic-auth password of profiles 1 and 2, plain or as ``sha256:<hex>`` of a long random one.
    ``unit``, ``stack_level`` and ``max_periods`` overrule what the charger says of itself; ``decimals`` is how finely
    it takes limits. ``registration`` is what its BootNotification is answered. ``soc``: the car's state of charge is
    asked for.
    ``fallback`` is what a limit of 0 does at a charger that takes none: nothing, no new sessions, or no session at all.
    """

    identity: str
    phases: int = 3
    max_a: float = 32.0
    voltage: float = 230.0
    password: str | None = None
    unit: Literal["A", "W"] | None = None
    stack_level: int | None = None
    max_periods: int | None = None
    decimals: Literal[0, 1] = 1
    registration: Literal["accepted", "pending", "rejected"] = "accepted"
    soc: bool = False
    fallback: Literal["none", "availability", "stop"] = "none"
