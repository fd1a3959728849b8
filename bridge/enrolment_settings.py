"""The ``[consent]`` and ``[frequency_guard]`` sections of the bridge's settings.

Rule: as in ``bridge.settings``; both are off unless they are switched on.
"""

from pydantic import Field, model_validator

from bridge.guard import FrequencyGuard
from runtime.settings import Section


class ConsentSection(Section):
    """The ``[consent]`` section."""

    required: bool = Field(
        default=False, description="Only resources that agreed to a programme follow its events; emergencies always do"
    )


class FrequencyGuardSection(Section):
    """The ``[frequency_guard]`` section: no event switches load on while the frequency is low, nor off while high."""

    enabled: bool = Field(default=False, description="Hold such commands back")
    low_hz: float = Field(default=49.4, ge=40, le=60, description="Below it nothing is switched on, Hz")
    high_hz: float = Field(default=50.6, ge=50, le=70, description="Above it nothing is switched off, Hz")
    retry_s: float = Field(default=120.0, gt=0, description="A command that is held back is tried again after, s")
    jitter_s: float = Field(default=60.0, ge=0, description="And up to so much later, each charger for itself, s")
    fresh_s: float = Field(default=120.0, gt=0, description="An older reading of the frequency says nothing, s")

    @model_validator(mode="after")
    def _apart(self) -> "FrequencyGuardSection":
        if self.low_hz >= self.high_hz:
            raise ValueError("low_hz: must be below high_hz")
        return self

    @property
    def guard(self) -> FrequencyGuard:
        """The section as the core knows it."""
        return FrequencyGuard(
            enabled=self.enabled,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
            retry_s=self.retry_s,
            jitter_s=self.jitter_s,
            fresh_s=self.fresh_s,
        )
