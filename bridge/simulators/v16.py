"""A simulated OCPP 1.6J charge point on the ``ocpp`` library's client side.

Rule: it knows the standard from the library, not from the bridge: what the bridge sends wrong, it refuses.
"""

import asyncio
from contextlib import suppress
from typing import Any

from ocpp.exceptions import NotImplementedError, OCPPError
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action

from bridge.simulators.hardware import (
    CONNECTOR,
    DRIVER_OVERRIDE,
    DRIVER_VENDOR,
    ID_TAG,
    Hardware,
    read_profile,
    stamp,
)
from bridge.simulators.routing import FRAMES, after, on

_START_TURNS = 10  # turns of the loop in which an answer that was read is acted on


class ChargePoint16(ChargePoint):  # type: ignore[misc]
    """One connection of a 1.6 charge point."""

    def __init__(self, hardware: Hardware, connection: Any, response_timeout: float = 30) -> None:
        super().__init__(hardware.charger.identity, connection, response_timeout, logger=FRAMES)
        self.hardware = hardware
        self._starting = False

    async def boot(self) -> str:
        """Send BootNotification and return the status given."""
        known = self.hardware
        request = call.BootNotification(
            charge_point_vendor=known.vendor, charge_point_model=known.model, firmware_version=known.firmware
        )
        return str((await self.call(request, suppress=False)).status)

    async def heartbeat(self) -> None:
        """Send Heartbeat."""
        await self.call(call.Heartbeat(), suppress=False)

    async def status(self) -> None:
        """Send the connector's status."""
        now = self.hardware.now()
        request = call.StatusNotification(
            connector_id=CONNECTOR, error_code="NoError", status=self.hardware.status(), timestamp=stamp(now)
        )
        await self.call(request, suppress=False)

    async def begin(self) -> None:
        """Start a transaction."""
        now, charger = self.hardware.now(), self.hardware.charger
        request = call.StartTransaction(
            connector_id=CONNECTOR, id_tag=ID_TAG, meter_start=round(charger.meter_wh), timestamp=stamp(now)
        )
        self._starting = True
        try:
            answer = await self.call(request, suppress=False)
            charger.begin(str(answer.transaction_id), self.hardware.now())
        finally:
            self._starting = False

    async def meter(self) -> None:
        """Send MeterValues of this moment."""
        now, session = self.hardware.now(), self.hardware.charger.session
        request = call.MeterValues(
            connector_id=CONNECTOR,
            transaction_id=int(session.transaction_id) if session else None,
            meter_value=[{"timestamp": stamp(now), "sampled_value": self._sampled()}],
        )
        await self.call(request, suppress=False)

    async def end(self, reason: str) -> None:
        """Stop the transaction."""
        now, charger = self.hardware.now(), self.hardware.charger
        session = charger.session
        if session is None:
            return
        charger.end(now)
        request = call.StopTransaction(
            meter_stop=round(charger.meter_wh),
            timestamp=stamp(now),
            transaction_id=int(session.transaction_id),
            reason=reason,
        )
        await self.call(request, suppress=False)

    async def report_override(self) -> None:
        """Tell the central system that the driver pressed the override button."""
        await self.call(call.DataTransfer(vendor_id=DRIVER_VENDOR, message_id=DRIVER_OVERRIDE), suppress=False)

    def _sampled(self) -> list[dict[str, Any]]:
        return [
            {"value": f"{value:g}" if abs(value) < 1e5 else f"{value:.1f}", "measurand": measurand, "unit": unit}
            | ({"phase": phase} if phase else {})
            for measurand, phase, unit, value in self.hardware.samples()
        ]

    def _able(self) -> None:
        """Answer NotImplemented where the charger has no smart charging."""
        if not self.hardware.charger.behaviour.demands.smart_charging:
            raise NotImplementedError

    @on(Action.set_charging_profile)
    async def on_set(self, connector_id: int, cs_charging_profiles: dict[str, Any], **_: Any) -> Any:
        """Install a profile; first let the answer to our start, if it came just before, take effect."""
        self._able()
        for _turn in range(_START_TURNS):
            if self._starting:
                await asyncio.sleep(0)
        raw = cs_charging_profiles
        profile = read_profile(
            raw, raw["charging_schedule"], number=int(raw["charging_profile_id"]), connector=connector_id
        )
        reason = self.hardware.charger.install(profile, self.hardware.now(), replaces_by_stack=True)
        self.hardware.profile_arrived.set()
        return call_result.SetChargingProfile(status="Accepted" if reason is None else "Rejected")

    @on(Action.clear_charging_profile)
    def on_clear(
        self,
        id: int | None = None,
        connector_id: int | None = None,
        charging_profile_purpose: str | None = None,
        stack_level: int | None = None,
        **_: Any,
    ) -> Any:
        """Remove profiles."""
        self._able()
        done = self.hardware.charger.clear(
            self.hardware.now(),
            number=id,
            connector=connector_id,
            purpose=charging_profile_purpose,
            stack_level=stack_level,
        )
        return call_result.ClearChargingProfile(status="Accepted" if done else "Unknown")

    @on(Action.get_composite_schedule)
    def on_composite(self, connector_id: int, duration: int, **_: Any) -> Any:
        """Give the limit in force as a schedule of one period."""
        self._able()
        now, charger = self.hardware.now(), self.hardware.charger
        return call_result.GetCompositeSchedule(
            status="Accepted",
            connector_id=connector_id,
            schedule_start=stamp(now),
            charging_schedule={
                "duration": duration,
                "charging_rate_unit": "A",
                "charging_schedule_period": [{"start_period": 0, "limit": charger.composite_a(now)}],
            },
        )

    @on(Action.get_configuration)
    def on_get(self, key: list[str] | None = None, **_: Any) -> Any:
        """Give configuration keys."""
        charger = self.hardware.charger
        words = {"A": "Current", "W": "Power"}
        known = {
            "ChargingScheduleAllowedChargingRateUnit": ",".join(sorted(words[unit] for unit in charger.units)),
            "ChargeProfileMaxStackLevel": "10",
            "ChargingScheduleMaxPeriods": "24",
            "MaxChargingProfilesInstalled": "10",
            "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger",
            "NumberOfConnectors": "1",
            "MeterValueSampleInterval": str(self.hardware.sample_interval_s),
            "MeterValuesSampledData": self.hardware.measurands,
        }
        asked = list(known) if key is None else key
        return call_result.GetConfiguration(
            configuration_key=[{"key": k, "readonly": False, "value": known[k]} for k in asked if k in known],
            unknown_key=[k for k in asked if k not in known],
        )

    @on(Action.change_configuration)
    def on_change(self, key: str, value: str, **_: Any) -> Any:
        """Set a configuration key."""
        if key == "MeterValueSampleInterval" and value.isdecimal():
            self.hardware.meter_every(int(value))
        elif key == "MeterValuesSampledData":
            self.hardware.measurands = value
        else:
            return call_result.ChangeConfiguration(status="NotSupported")
        return call_result.ChangeConfiguration(status="Accepted")

    @on(Action.trigger_message)
    def on_trigger(self, requested_message: str, **_: Any) -> Any:
        """Promise a message."""
        known = requested_message in {"MeterValues", "StatusNotification", "Heartbeat", "BootNotification"}
        return call_result.TriggerMessage(status="Accepted" if known else "NotImplemented")

    @after(Action.trigger_message)
    async def after_trigger(self, requested_message: str, **_: Any) -> None:
        """Keep the promise."""
        table = {"MeterValues": self.meter, "StatusNotification": self.status, "Heartbeat": self.heartbeat}
        with suppress(OCPPError, OSError, TimeoutError):
            await table.get(requested_message, self.boot)()

    @on(Action.change_availability)
    def on_availability(self, connector_id: int, **asked: Any) -> Any:
        """Agree; out of service, a running session is finished first (*Scheduled*)."""
        charger = self.hardware.charger
        charger.in_service = asked["type"] == "Operative"
        waits = not charger.in_service and charger.session is not None
        return call_result.ChangeAvailability(status="Scheduled" if waits else "Accepted")

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int, **_: Any) -> Any:
        """Agree to end the session."""
        session = self.hardware.charger.session
        known = session is not None and session.transaction_id == str(transaction_id)
        return call_result.RemoteStopTransaction(status="Accepted" if known else "Rejected")

    @after(Action.remote_stop_transaction)
    async def after_remote_stop(self, **_: Any) -> None:
        """End the session."""
        with suppress(OCPPError, OSError, TimeoutError):
            await self.end("Remote")
