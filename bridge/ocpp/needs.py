"""What a car says that it needs, from NotifyEVChargingNeeds of OCPP 2.0.1 (K15, ISO 15118) to a value; pure.

Rule: energies come in Wh, states of charge in percent; a figure that is missing or senseless stays ``None``.
"""

from collections.abc import Mapping
from typing import Any

from bridge.ocpp.meter import parse_instant
from bridge.target import CarNeeds


def car_needs(said: Mapping[str, Any], session: str) -> CarNeeds:
    """Return the needs of the car in ``session``. AC tells an energy, DC may tell the battery as well."""
    ac: Mapping[str, Any] = said.get("acChargingParameters") or {}
    dc: Mapping[str, Any] = said.get("dcChargingParameters") or {}
    return CarNeeds(
        session=session,
        energy_wh=_positive(ac.get("energyAmount", dc.get("energyAmount"))),
        departure=parse_instant(said.get("departureTime")),
        soc=_share(dc.get("stateOfCharge")),
        full_soc=_share(dc.get("fullSoC")),
        battery_wh=_positive(dc.get("evEnergyCapacity")),
    )


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _share(percent: object) -> float | None:
    return percent / 100.0 if isinstance(percent, int | float) and 0 <= percent <= 100 else None
