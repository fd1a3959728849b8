"""The VEN's section of the bridge's settings: where the VTN is, who we are, and how patient we are.

Rule: plain HTTP is refused unless ``allow_insecure_http`` says so; time-outs keep the profile's floor of 5 s (9.1).
"""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from openadr.tls import TlsProfile
from runtime.settings import Section, SettingsPath


class VenSettings(Section):
    """The ``[ven]`` section."""

    vtn_url: str = Field(description="Base address of the VTN, without /OpenADR2/...: https://vtn.example:8443")
    ca: SettingsPath | None = Field(default=None, description="CA file (PEM) that the VTN's certificate comes from")
    cert: SettingsPath | None = Field(default=None, description="This VEN's certificate chain (PEM)")
    key: SettingsPath | None = Field(default=None, description="Private key of that certificate (PEM)")
    tls_profile: TlsProfile = Field(default=TlsProfile.OPENADR, description="Cipher and version policy")
    allow_insecure_http: bool = Field(default=False, description="Accept an http:// address: rehearsals only")
    ven_name: str = Field(min_length=1, description="oadrVenName shown to the VTN's operator")
    ven_id: str | None = Field(default=None, min_length=1, description="venID pre-configured by the VTN's operator")
    query_first: bool = Field(default=True, description="Send oadrQueryRegistration before registering")
    poll_s: float = Field(default=30.0, gt=0, description="Poll interval when the VTN names none")
    min_poll_s: float = Field(default=1.0, gt=0, description="Never poll faster, whatever the VTN names")
    poll_jitter: float = Field(default=0.05, ge=0, le=1, description="Share of the interval added at random")
    timeout_s: float = Field(default=15.0, ge=5, description="Time-out of one exchange (at least 5 s)")
    max_answer_bytes: int = Field(default=1_000_000, ge=10_000, description="Larger answers are refused")
    reregister_s: float = Field(default=60.0, gt=0, description="Pause after a refused or cancelled registration")
    backoff_first_s: float = Field(default=1.0, gt=0, description="First pause after a failure, then doubled")
    backoff_max_s: float = Field(default=60.0, gt=0, description="Longest pause between attempts")
    give_up_after: int = Field(default=8, ge=1, description="Attempts of one message that the VTN itself fails on")
    max_owed_reports: int = Field(default=1000, ge=100, description="Undelivered reports kept, oldest dropped (R510)")
    collect_timeout_s: float = Field(default=30.0, gt=0, description="Time-out of collecting the data of one report")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        scheme, host = urlsplit(self.vtn_url).scheme, urlsplit(self.vtn_url).hostname
        if scheme not in ("http", "https") or not host:
            raise ValueError("vtn_url must be an https:// address")
        if scheme == "http" and not self.allow_insecure_http:
            raise ValueError("vtn_url has no TLS: allow_insecure_http = true accepts that")
        if scheme == "https" and (self.ca is None or self.cert is None or self.key is None):
            raise ValueError("an https:// vtn_url needs ca, cert and key (mutual TLS)")
        return self
