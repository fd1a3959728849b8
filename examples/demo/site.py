"""The demonstration's folder: where certificates, settings files, logs and APIs of one run are.

Rule: only names and addresses; the files are written by ``prepare`` and ``configs``.
"""

from dataclasses import dataclass
from pathlib import Path

from examples.demo import behind

VEN_ID = "VEN-demo"
MARKET_CONTEXT = "http://gateway.example/programmes/dno-curtailment"
EMERGENCY = "http://gateway.example/programmes/emergency-limit"
DISPATCH = "http://gateway.example/programmes/aggregator-dispatch"
TARIFF = "http://gateway.example/programmes/time-of-use"
METER_S = 1  # the chargers' meter interval in compressed time


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything is: ``vtn_api`` and ``bridge_api`` are base addresses, ``token`` opens both."""

    folder: Path
    ca: Path
    token: str
    vtn_api: str
    bridge_api: str
    fingerprint: str
    csms: behind.Csms | None = None  # with --proxy: the CPO's own, behind the bridge

    @property
    def vtn_config(self) -> Path:
        """The VTN's settings file."""
        return self.folder / "vtn.toml"

    @property
    def bridge_config(self) -> Path:
        """The bridge's settings file."""
        return self.folder / "bridge.toml"

    @property
    def fleet_config(self) -> Path:
        """The simulated fleet."""
        return self.folder / "fleet.toml"
