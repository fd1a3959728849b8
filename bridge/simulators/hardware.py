"""What the two protocol dialects of a simulated charge point share: the charger, its clock and its configuration.

Rule: the dialects translate; whatever must survive a reconnect is kept here or in the charger.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bridge.simulators.charger import Charger
from bridge.simulators.composite import Period, Profile
from runtime.clock import Clock

DRIVER_VENDOR = "openadr-gateway"  # vendorId of the DataTransfer that reports the driver's button
DRIVER_OVERRIDE = "DriverOverride"
CONNECTOR = 1  # each simulated charger has one
VENDOR, MODEL, FIRMWARE = "Simulated", "EV analogue", "1.0"
ID_TAG = "SIMULATED0001"


@dataclass(slots=True, kw_only=True)
class Hardware:
    """A charger with the parts that a dialect needs. ``limited`` is set once a limit bites for the first time."""

    charger: Charger
    clock: Clock
    sample_interval_s: int = 60
    vendor: str = VENDOR
    model: str = MODEL
    firmware: str = FIRMWARE
    measurands: str = "Energy.Active.Import.Register,Power.Active.Import,Current.Import"
    retimed: asyncio.Event = field(default_factory=asyncio.Event)
    limited: asyncio.Event = field(default_factory=asyncio.Event)
    profile_arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def meter_every(self, interval_s: int) -> None:
        """Meter in this rhythm from now on, s."""
        self.sample_interval_s = interval_s
        self.retimed.set()

    async def metering_due(self) -> None:
        """Return when the next sample is due; a new rhythm begins anew."""
        while True:
            self.retimed.clear()
            waits = {
                asyncio.create_task(self.clock.sleep(max(1, self.sample_interval_s))),
                changed := asyncio.create_task(self.retimed.wait()),
            }
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if not changed.done():
                    return
            finally:
                for wait in waits:
                    wait.cancel()

    def now(self) -> datetime:
        """Let the charger's time pass up to now, and return it."""
        now = self.clock.now()
        self.charger.advance(now)
        if self.charger.session is not None and self.charger.limited(now):
            self.limited.set()
        return now

    def status(self) -> str:
        """Return the state of the connector in words that both versions share."""
        charger = self.charger
        if charger.session is None:
            return "Available"
        if charger.offered_a(charger.now) < 6.0:
            return "SuspendedEVSE"
        return "Charging" if charger.ev.soc < charger.ev.target_soc else "SuspendedEV"

    def samples(self) -> list[tuple[str, str | None, str, float]]:
        """Return (measurand, phase, unit, value) of all that is measured, as configured."""
        charger, wanted = self.charger, self.measurands
        phases = min(charger.ev.phases, charger.phases)
        found: list[tuple[str, str | None, str, float]] = [
            ("Energy.Active.Import.Register", None, "Wh", round(charger.meter_wh, 1)),
            ("Power.Active.Import", None, "W", round(charger.power_w, 1)),
            *(("Current.Import", f"L{i + 1}", "A", round(charger.ev.current_a, 2)) for i in range(phases)),
            ("SoC", None, "Percent", round(charger.ev.soc * 100, 1)),
        ]
        return [entry for entry in found if entry[0] in wanted]


def stamp(moment: datetime) -> str:
    """Write an instant as OCPP wants it, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_profile(raw: Mapping[str, Any], schedule: Mapping[str, Any], *, number: int, connector: int) -> Profile:
    """Read a charging profile from the library's snake-case dictionaries; ``schedule`` is the one that counts."""
    transaction = raw.get("transaction_id")
    duration = schedule.get("duration")
    return Profile(
        number=number,
        connector=connector,
        purpose=str(raw["charging_profile_purpose"]),
        kind=str(raw["charging_profile_kind"]),
        stack_level=int(raw["stack_level"]),
        unit=str(schedule["charging_rate_unit"]),
        periods=tuple(
            Period(start_s=int(p["start_period"]), limit=float(p["limit"]), phases=p.get("number_phases"))
            for p in schedule["charging_schedule_period"]
        ),
        start=_moment(schedule.get("start_schedule")),
        duration_s=None if duration is None else int(duration),
        valid_from=_moment(raw.get("valid_from")),
        valid_to=_moment(raw.get("valid_to")),
        recurrency=raw.get("recurrency_kind"),
        transaction_id=None if transaction is None else str(transaction),
    )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
