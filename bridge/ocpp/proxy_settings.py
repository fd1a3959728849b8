"""Settings of the proxy in front of a CPO's own CSMS: ``[[proxies]]`` tables, each for chargers by pattern.

Rule: TLS and its verification are the default, and a combination that cannot work is refused at start by name. A path
may hold ``{identity}``, so that each charger has a credential of its own (OCP-10).
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.ocpp.proxy_profiles import BLOCK
from bridge.ocpp.proxy_table import Policy
from runtime.settings import Section, SettingsPath

_PLACE = "{identity}"
Seconds = Annotated[float, Field(gt=0)]


class ProxySection(Section):
    """One ``[[proxies]]`` table: the CSMS that some chargers belong to, and how the bridge stands in between."""

    chargers: tuple[str, ...] = Field(
        min_length=1, description="Identities, * and ? stand for any text; the first table that fits a charger counts"
    )
    csms_url: str = Field(description="The CSMS's address without the identity, wss://HOST/PATH")
    mode: Literal["control", "observe"] = Field(
        default="control", description="observe: the bridge never sends anything of its own to the charger"
    )
    auth: Literal["pass", "replace", "none"] = Field(
        default="pass", description="Basic auth towards the CSMS: the charger's own, one of ours, or none"
    )
    password_file: SettingsPath | None = Field(
        default=None, description="File with the password for auth = replace; {identity} in the path is the charger's"
    )
    password: SecretStr | None = Field(
        default=None, description="The password itself, where the table is for one charger"
    )
    ca: SettingsPath | None = Field(default=None, description="CA of the CSMS (PEM), needed for wss://")
    cert: SettingsPath | None = Field(
        default=None, description="Client certificate towards the CSMS (PEM); {identity} is the charger's"
    )
    key: SettingsPath | None = Field(default=None, description="Private key of that certificate; {identity} likewise")
    tls_profile: Literal["modern", "openadr", "pas1878"] = Field(
        default="modern", description="Cipher and version policy towards the CSMS"
    )
    allow_insecure: bool = Field(default=False, description="Accept a ws:// address: rehearsals only")
    offline_authorize: Policy = Field(
        default="known",
        description="Id tags while the CSMS is away: accept, refuse, or those it accepted since the bridge started",
    )
    stop_refused: bool = Field(
        default=True, description="End a session that began while the CSMS was away and that it then does not allow"
    )
    set_metering: bool = Field(
        default=False, description="Set the meter interval of [ocpp]; off: the CPO's settings are left alone"
    )
    tell_limits: bool = Field(
        default=True, description="Tell a 2.0.1 CSMS of our limits: NotifyChargingLimit, ClearedChargingLimit"
    )
    limit_source: Literal["SO", "EMS", "Other"] = Field(
        default="SO", description="Who limits, in the words of 2.0.1: system operator, energy management, other"
    )
    profile_id_base: int = Field(
        default=1_500_000_000,
        ge=1,
        le=2**31 - 1 - BLOCK,
        description=f"First of {BLOCK} charging profile ids that are ours and that the CPO does not use",
    )
    connect_timeout_s: Seconds = Field(default=10.0, description="Time-out of one dial to the CSMS")
    answer_timeout_s: Seconds = Field(
        default=20.0, description="Wait for the CSMS's answer; chargers give up after some 30 s"
    )
    backoff_s: Seconds = Field(default=1.0, description="Pause after a first failed dial; doubled with each, jittered")
    backoff_max_s: Seconds = Field(default=120.0, description="Longest pause between dials")
    retry_s: Seconds = Field(
        default=60.0, description="Pause before a kept message that the CSMS refused is sent again, longer each time"
    )
    attempts: int = Field(default=3, ge=1, description="Times a kept message is sent that the CSMS refuses")
    ping_s: Seconds = Field(default=30.0, description="Websocket ping interval towards the CSMS")
    most_kept: int = Field(
        default=10_000, ge=10, description="Messages kept for one charger; further ones stay with the charger"
    )

    @field_validator("csms_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"ws", "wss"} or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"{value!r} is no ws:// or wss:// address")
        if parts.username is not None or parts.password is not None:
            raise ValueError("credentials belong into password_file, with auth = 'replace'")
        return value

    @model_validator(mode="after")
    def _secured(self) -> Self:
        if self.csms_url.startswith("ws://"):
            if not self.allow_insecure:
                raise ValueError("csms_url: ws:// has no TLS: allow_insecure = true accepts that (OCP-10)")
            if self.ca or self.cert or self.key:
                raise ValueError("csms_url: ca, cert and key are for wss:// addresses")
        elif self.ca is None:
            raise ValueError("ca: wss:// needs the CA that the CSMS's certificate comes from")
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        return self

    @model_validator(mode="after")
    def _one_credential_each(self) -> Self:
        given = (self.password is not None) + (self.password_file is not None)
        if self.auth == "replace" and given != 1:
            raise ValueError("auth: 'replace' needs password_file or password, one of them")
        if self.auth != "replace" and given:
            raise ValueError(f"auth: {self.auth!r} has no use for a password of ours: use 'replace'")
        if self.password is not None and not self.for_one:
            raise ValueError(f"password: one for several chargers (OCP-10): use password_file with {_PLACE}")
        for name in ("password_file", "cert", "key"):
            path = getattr(self, name)
            if path is not None and not self.for_one and _PLACE not in str(path):
                raise ValueError(f"{name}: one for several chargers (OCP-10): put {_PLACE} into the path")
        return self

    @model_validator(mode="after")
    def _only_observes(self) -> Self:
        if self.mode == "observe" and self.set_metering:
            raise ValueError("set_metering: mode = 'observe' sends nothing to the charger")
        return self

    @property
    def for_one(self) -> bool:
        """Whether the table is for a single charger."""
        return len(self.chargers) == 1 and not set("*?[") & set(self.chargers[0])

    def fits(self, identity: str) -> bool:
        """Tell whether the table is for a charger."""
        return any(fnmatchcase(identity, pattern) for pattern in self.chargers)


def of(proxies: tuple[ProxySection, ...], identity: str) -> ProxySection | None:
    """Return the first table for a charger, ``None`` if its central system is the bridge itself."""
    return next((each for each in proxies if each.fits(identity)), None)


def place(path: Path, identity: str) -> Path:
    """Return the path of one charger's credential."""
    return Path(str(path).replace(_PLACE, identity))


def conflicts(
    proxies: tuple[ProxySection, ...], registrations: Mapping[str, str], security_profile: int, hold_pending: bool
) -> str | None:
    """Return what is wrong between the proxy's tables and the rest of the settings, ``None`` if nothing is.

    ``registrations`` is what each charger's boot is to be answered, by identity.
    """
    for number, each in enumerate(proxies):
        served = [name for name in registrations if of(proxies, name) is each]
        decided = next((name for name in served if registrations[name] != "accepted"), None)
        if decided is not None:
            return f"proxies: the CSMS decides on the boot of {decided}: registration is for chargers of our own"
        if not served:
            return f"proxies: no charger is left for table {number + 1} ({', '.join(each.chargers)})"
        if each.auth == "pass" and security_profile == 3:
            return "proxies: auth = 'pass': chargers of security_profile 3 send no password: use 'replace' or 'none'"
        if any("/" in name or name in {".", ".."} for name in served) and (each.cert or each.password_file):
            return "proxies: an identity with / cannot stand in a path"
    if proxies and hold_pending:
        return "proxies: [ocpp] hold_pending is for chargers of our own; behind a CSMS the CSMS decides on their boot"
    return None
