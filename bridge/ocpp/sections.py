"""Sections of the settings file about OCPP: ``[ocpp]``, and one ``[[chargers]]`` table a charger.

Rule: as in ``bridge.settings``; what the central system itself needs to know is in ``settings`` beside this file.
"""

from typing import Literal

from pydantic import Field, SecretStr

from bridge.load_settings import LoadSection
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from runtime.settings import SettingsPath


class OcppSection(OcppSettings):
    """The ``[ocpp]`` section; relative paths count from the settings file."""

    cert: SettingsPath | None = Field(default=None, description="Server certificate chain (PEM), profiles 2 and 3")
    key: SettingsPath | None = Field(default=None, description="Private key of the server certificate (PEM)")
    client_ca: SettingsPath | None = Field(
        default=None, description="CA that chargers' certificates must come from, profile 3"
    )


class ChargerSection(LoadSection):
    """One ``[[chargers]]`` table: a charger, which is a resource of the VEN."""

    identity: str = Field(min_length=1, max_length=48, description="Charge point identity, the last part of its URL")
    max_a: float = Field(default=32.0, ge=6, le=1000, description="Installed maximum, A per phase")
    rated_a: float | None = Field(
        default=None, ge=6, le=1000, description="What the device itself could do, A per phase"
    )
    password: SecretStr | None = Field(default=None, description="Basic-auth password, security profiles 1 and 2")
    unit: Literal["A", "W"] | None = Field(default=None, description="Overrules the unit the charger says it takes")
    stack_level: int | None = Field(default=None, ge=0, description="Overrules the stack level of [ocpp]")
    max_periods: int | None = Field(
        default=None, ge=1, description="Overrules how many periods the charger says a profile may have"
    )
    decimals: Literal[0, 1] = Field(default=1, description="0 sends whole amperes or watts only")
    registration: Literal["accepted", "pending", "rejected"] = Field(
        default="accepted", description="What its BootNotification is answered"
    )
    fallback: Literal["none", "availability", "stop"] = Field(
        default="none",
        description="What a limit of 0 does where it takes no limits: nothing, no new sessions, or end the session too",
    )
    soc: bool = Field(default=False, description="Have it send the car's state of charge, if it can")

    @property
    def config(self) -> ChargerConfig:
        """The charger as the OCPP side knows it."""
        return ChargerConfig(
            identity=self.identity,
            phases=self.phases,
            max_a=self.max_a,
            voltage=self.voltage,
            password=None if self.password is None else self.password.get_secret_value(),
            unit=self.unit,
            stack_level=self.stack_level,
            max_periods=self.max_periods,
            decimals=self.decimals,
            registration=self.registration,
            soc=self.soc,
            fallback=self.fallback,
        )
