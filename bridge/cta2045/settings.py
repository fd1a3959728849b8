"""Settings of the CTA-2045 side: ``[cta]`` with its ``[cta.models]``, and one ``[[cta_devices]]`` table a device.

Rule: what Shed and Critical Peak mean in per cent is told for each model and never assumed (CTA-10); a port belongs to
one device; a port on a network is inside TLS (CTA-17). A mistake is refused at start with the key that is wrong.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from bridge.cta2045.delivery import Patience
from bridge.cta2045.ladder import DeviceModel
from bridge.cta2045.module import Rhythm
from bridge.cta2045.serial import Address, address
from bridge.cta2045.timing import Timing
from bridge.cta2045.unit import CtaDevice
from bridge.load_settings import LoadSection
from openadr import tls
from runtime.settings import Section, SettingsPath

Percent = Annotated[float, Field(ge=0, le=100)]


class ModelSection(Section):
    """One ``[cta.models."NAME"]`` table: what a model makes of the commands, told by its maker or measured."""

    shed_pct: Percent | None = Field(default=None, description="Shed leaves so much of the installed maximum, %")
    critical_peak_pct: Percent | None = Field(default=None, description="Critical Peak leaves so much of it, %")
    power_level: bool | None = Field(
        default=None, description="It takes Request Power Level; left out: found out by asking"
    )

    @model_validator(mode="after")
    def _stronger(self) -> Self:
        if self.shed_pct is not None and self.critical_peak_pct is not None and self.critical_peak_pct > self.shed_pct:
            raise ValueError(
                f"critical_peak_pct: {self.critical_peak_pct:g} % is more than shed_pct = {self.shed_pct:g} %; "
                "Critical Peak is the stronger reduction"
            )
        return self

    @property
    def model(self) -> DeviceModel:
        """The entry as the driver takes it."""
        return DeviceModel(
            shed=None if self.shed_pct is None else self.shed_pct / 100,
            critical_peak=None if self.critical_peak_pct is None else self.critical_peak_pct / 100,
            power_level=self.power_level,
        )


class CtaSection(Section):
    """The ``[cta]`` section: times of all CTA-2045 devices, and what their models make of the commands."""

    zone: str = Field(default="UTC", description="Time zone of the devices, for their clocks (IANA name)")
    heartbeat_s: float = Field(default=180.0, ge=60, le=300, description="Between two Outside Comm Status, s (CTA-07)")
    poll_s: float = Field(default=60.0, ge=1, le=900, description="Between two looks at state and readings, s")
    effect_s: float = Field(default=60.0, ge=1, description="A command shows its effect within this, or has none, s")
    guidance_s: float = Field(default=120.0, ge=0, description="From guidance 'good' to Load Up, s (CTA-12)")
    announce_s: float = Field(default=3600.0, ge=0, description="Events that begin within this are announced, s; 0 not")
    reply_delay_s: float = Field(
        default=0.5, ge=0.1, le=3, description="Before our replies, for devices that are deaf after an ACK, s"
    )
    models: dict[str, ModelSection] = Field(
        default={}, description="By model name as the device tells it, by device type, or by the name in 'model'"
    )

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):  # what ZoneInfo raises for names that are none
            raise ValueError(f"{value!r} is no time zone of the IANA database") from None
        return value

    @property
    def rhythm(self) -> Rhythm:
        """The module's own times."""
        return Rhythm(heartbeat_s=self.heartbeat_s, poll_s=self.poll_s)

    @property
    def patience(self) -> Patience:
        """How long is waited for effects."""
        return Patience(effect_s=self.effect_s, guidance_s=self.guidance_s, announce_s=self.announce_s)

    @property
    def timing(self) -> Timing:
        """The times of the link layer."""
        return Timing(reply_delay_s=self.reply_delay_s)

    @property
    def table(self) -> dict[str, DeviceModel]:
        """What the models make of the commands."""
        return {name: each.model for name, each in self.models.items()}


class CtaDeviceSection(LoadSection):
    """One ``[[cta_devices]]`` table: a device with an EcoPort, which is a resource of the VEN."""

    port: str = Field(description="/dev/..., tcp://127.0.0.1:PORT, or tls://HOST:PORT of a serial server")
    model: str | None = Field(
        default=None, description="Entry of [cta.models] to use, whatever the device tells of itself"
    )
    echo: bool = Field(default=False, description="The adapter returns what is written (two wires without a switch)")
    ca: SettingsPath | None = Field(default=None, description="CA of a serial server behind TLS (PEM)")
    phases: Literal[1, 2, 3] = Field(default=1, description="Phases connected")
    max_a: float = Field(
        gt=0, le=1000, description="Installed maximum, A per phase: what all per cent are of, not the nameplate"
    )

    @field_validator("port")
    @classmethod
    def _readable(cls, value: str) -> str:
        address(value)
        return value

    @model_validator(mode="after")
    def _trusted(self) -> Self:
        if self.where.tls != (self.ca is not None):
            raise ValueError("ca: needed for a tls:// port" if self.where.tls else "ca: only a tls:// port has one")
        return self

    @property
    def where(self) -> Address:
        """The port, read."""
        return address(self.port)


def check_devices(cta: CtaSection, devices: Sequence[CtaDeviceSection]) -> None:
    """Raise ``ValueError`` naming the key if two devices have one port, or a model is none of ``[cta.models]``."""
    owners: dict[str, str] = {}
    for number, each in enumerate(devices):
        port = str(Path(each.where.device).resolve()) if each.where.device else str(each.where)
        if port in owners:
            raise ValueError(f"cta_devices.{number}.port: {each.port} is taken by {owners[port]!r}")
        owners[port] = each.identity
        if each.model is not None and each.model not in cta.models:
            known = ", ".join(sorted(cta.models)) or "it is empty"
            raise ValueError(f"cta_devices.{number}.model: {each.model!r} is none of [cta.models] ({known})")


def cta_devices(cta: CtaSection, devices: Sequence[CtaDeviceSection]) -> tuple[CtaDevice, ...]:
    """Return the devices as the driver takes them. Raises ``TlsError`` naming the file at fault."""
    return tuple(
        CtaDevice(
            identity=each.identity,
            port=each.port,
            reference_a=each.max_a,
            least_a=each.resource.least_a,
            echo=each.echo,
            tls=None if each.ca is None else tls.client_context(ca=each.ca, cert_chain=None),
            model=None if each.model is None else cta.models[each.model].model,
        )
        for each in devices
    )
