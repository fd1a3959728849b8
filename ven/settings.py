"""The VEN's section of the bridge's settings: where the VTN is, who we are, and how patient we are.

Rule: plain HTTP is refused unless ``allow_insecure_http`` says so; time-outs keep the profile's floor of 5 s (9.1).
"""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from openadr.errors import InvalidData
from openadr.identity import normal_fingerprint
from openadr.tls import TlsProfile
from runtime.settings import Section, SettingsPath


def _fingerprints(given: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(normal_fingerprint(each) for each in given)
    except InvalidData as error:
        raise ValueError(error.description) from None


class PushSettings(Section):
    """The ``[ven.push]`` section: have the VTN push instead of polling it."""

    address: str = Field(
        description="Base address the VTN pushes to (oadrTransportAddress): https://bridge.example:8444/"
    )
    host: str = Field(default="0.0.0.0", description="Address to listen on")  # noqa: S104  the VTN is elsewhere
    port: int = Field(default=8444, ge=0, le=65535, description="TCP port; 0 takes a free one")
    cert: SettingsPath | None = Field(default=None, description="Server certificate (PEM); default: ven.cert")
    key: SettingsPath | None = Field(default=None, description="Its private key (PEM)")
    ca: SettingsPath | None = Field(
        default=None, description="CA that the VTN's client certificate comes from; default: ven.ca"
    )
    vtn_fingerprints: tuple[str, ...] = Field(
        default=(),
        description="Fingerprints of the VTN's client certificates; default: any that is made out to the host of "
        "vtn_url",
    )
    resync_s: float = Field(
        default=3600.0, ge=60, description="Ask for the events so often all the same, should a push be lost"
    )
    max_body_bytes: int = Field(default=4_000_000, ge=10_000, description="Larger requests are refused with 413")
    body_timeout_s: float = Field(default=20.0, gt=0, description="Time-out of receiving one request")
    keepalive_s: float = Field(default=75.0, gt=0, description="Idle connections are closed after so long")

    @field_validator("vtn_fingerprints")
    @classmethod
    def _normal(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _fingerprints(value)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        parts = urlsplit(self.address)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("address must be an https:// base address")
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        return self


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

    report_only: bool = Field(
        default=False, description="Meter only: reports are delivered, events are neither asked for nor taken (VEN-10)"
    )
    clock_warn_s: float = Field(
        default=2.0, ge=1, description="The VTN's clock differs by more: a warning in the log (its Date has whole s)"
    )
    clock_degraded_s: float = Field(
        default=10.0, ge=1, description="The VTN's clock differs by more: /health says so; times of events are doubtful"
    )

    xml_signature: bool = Field(
        default=False,
        description="High security (R514): sign every message with key, say so at registration (oadrXmlSignature), and "
        "read signed answers only",
    )
    signature_window_s: float = Field(
        default=60.0, ge=1, le=3600, description="Time of sending may differ from the own clock by so much, either way"
    )
    signer_fingerprints: tuple[str, ...] = Field(
        default=(),
        description="Fingerprints of the certificates the VTN signs with; default: those it shows in TLS",
    )
    push: PushSettings | None = Field(default=None, description="Set for the push model")

    @field_validator("signer_fingerprints")
    @classmethod
    def _normal(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _fingerprints(value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        scheme, host = urlsplit(self.vtn_url).scheme, urlsplit(self.vtn_url).hostname
        if scheme not in ("http", "https") or not host:
            raise ValueError("vtn_url must be an https:// address")
        if scheme == "http" and not self.allow_insecure_http:
            raise ValueError("vtn_url has no TLS: allow_insecure_http = true accepts that")
        if scheme == "https" and (self.ca is None or self.cert is None or self.key is None):
            raise ValueError("an https:// vtn_url needs ca, cert and key (mutual TLS)")
        if self.xml_signature and (self.cert is None or self.key is None):
            raise ValueError("xml_signature needs cert and key")
        if self.xml_signature and scheme == "http" and not self.signer_fingerprints:
            raise ValueError("xml_signature without TLS needs signer_fingerprints: the VTN shows no certificate")
        push = self.push
        if push is not None and ((self.cert or push.cert) is None or (self.ca or push.ca) is None):
            raise ValueError("push needs ca, cert and key, here or in its own section")
        return self
