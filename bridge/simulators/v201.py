"""A simulated OCPP 2.0.1 charging station on the ``ocpp`` library's client side.

Rule: as for 1.6: it knows the standard from the library, not from the bridge: what the bridge sends wrong, it
refuses.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any

from ocpp.exceptions import NotImplementedError, OCPPError
from ocpp.v201 import ChargePoint, call, call_result
from ocpp.v201.enums import Action

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
from runtime.clock import new_id

_EVSE = {"id": CONNECTOR, "connector_id": 1}


class ChargePoint201(ChargePoint):  # type: ignore[misc]
    """One connection of a 2.0.1 charging station."""

    def __init__(self, hardware: Hardware, connection: Any, response_timeout: float = 30) -> None:
        super().__init__(hardware.charger.identity, connection, response_timeout, logger=FRAMES)
        self.hardware = hardware
        self._sequence = 0

    async def boot(self) -> str:
        """Send BootNotification and return the status given."""
        known = self.hardware
        station = {"vendor_name": known.vendor, "model": known.model, "firmware_version": known.firmware}
        request = call.BootNotification(charging_station=station, reason="PowerUp")
        return str((await self.call(request, suppress=False)).status)

    async def heartbeat(self) -> None:
        """Send Heartbeat."""
        await self.call(call.Heartbeat(), suppress=False)

    async def status(self) -> None:
        """Send the connector's status."""
        word = "Available" if self.hardware.charger.session is None else "Occupied"
        request = call.StatusNotification(
            timestamp=stamp(self.hardware.now()), connector_status=word, evse_id=CONNECTOR, connector_id=1
        )
        await self.call(request, suppress=False)

    async def begin(self) -> None:
        """Start a transaction under an id of the station's own."""
        charger = self.hardware.charger
        charger.begin(new_id("tx"), self.hardware.now())
        self.hardware.now()
        await self._event("Started", "Authorized", id_token={"id_token": ID_TAG, "type": "Central"})

    async def meter(self) -> None:
        """Send the meter values of this moment: in the transaction, else as MeterValues."""
        if self.hardware.charger.session is not None:
            await self._event("Updated", "MeterValuePeriodic")
            return
        await self.call(call.MeterValues(evse_id=CONNECTOR, meter_value=[self._meter_value()]), suppress=False)

    async def end(self, reason: str) -> None:
        """End the transaction."""
        charger = self.hardware.charger
        session = charger.session
        if session is not None:
            charger.end(self.hardware.now())
            trigger = "StopAuthorized" if reason == "Local" else "RemoteStop"
            await self._event("Ended", trigger, transaction_id=session.transaction_id, stopped=reason)

    async def tell_needs(self, departure: datetime, energy_wh: int | None = None) -> str:
        """Send what the car asks for (K15), AC with an energy, else DC with what its battery holds; return the word."""
        ev = self.hardware.charger.ev
        needs: dict[str, Any] = {"departure_time": stamp(departure)}
        if energy_wh is not None:
            needs["requested_energy_transfer"] = "AC_three_phase"
            needs["ac_charging_parameters"] = {
                "energy_amount": energy_wh,
                "ev_min_current": round(ev.least_a),
                "ev_max_current": round(ev.max_a),
                "ev_max_voltage": round(ev.voltage),
            }
        else:
            needs["requested_energy_transfer"] = "DC"
            needs["dc_charging_parameters"] = {
                "ev_max_current": round(ev.max_a),
                "ev_max_voltage": 400,
                "state_of_charge": round(ev.soc * 100),
                "full_soc": round(ev.target_soc * 100),
                "ev_energy_capacity": round(ev.battery_kwh * 1000),
            }
        request = call.NotifyEVChargingNeeds(evse_id=CONNECTOR, charging_needs=needs)
        return str((await self.call(request, suppress=False)).status)

    async def report_override(self) -> None:
        """Tell the central system that the driver pressed the override button."""
        await self.call(call.DataTransfer(vendor_id=DRIVER_VENDOR, message_id=DRIVER_OVERRIDE), suppress=False)

    async def _event(
        self,
        kind: str,
        trigger: str,
        *,
        id_token: dict[str, str] | None = None,
        transaction_id: str | None = None,
        stopped: str | None = None,
    ) -> None:
        now, session = self.hardware.now(), self.hardware.charger.session
        info: dict[str, Any] = {"transaction_id": transaction_id or (session.transaction_id if session else "")}
        if stopped:
            info["stopped_reason"] = stopped
        else:
            info["charging_state"] = self.hardware.status()
        self._sequence += 1
        request = call.TransactionEvent(
            event_type=kind,
            timestamp=stamp(now),
            trigger_reason=trigger,
            seq_no=self._sequence,
            transaction_info=info,
            evse=_EVSE,
            id_token=id_token,
            meter_value=[self._meter_value()],
        )
        await self.call(request, suppress=False)

    def _meter_value(self) -> dict[str, Any]:
        sampled = [
            {"value": value, "measurand": measurand, "unit_of_measure": {"unit": unit}}
            | ({"phase": phase} if phase else {})
            for measurand, phase, unit, value in self.hardware.samples()
        ]
        return {"timestamp": stamp(self.hardware.charger.now), "sampled_value": sampled}

    def _able(self) -> None:
        """Answer NotImplemented where the charger has no smart charging."""
        if not self.hardware.charger.behaviour.demands.smart_charging:
            raise NotImplementedError

    @on(Action.set_charging_profile)
    def on_set(self, evse_id: int, charging_profile: dict[str, Any], **_: Any) -> Any:
        """Install a profile."""
        self._able()
        raw = charging_profile
        profile = read_profile(raw, raw["charging_schedule"][0], number=int(raw["id"]), connector=evse_id)
        reason = self.hardware.charger.install(profile, self.hardware.now(), replaces_by_stack=False)
        self.hardware.profile_arrived.set()
        if reason is None:
            return call_result.SetChargingProfile(status="Accepted")
        return call_result.SetChargingProfile(status="Rejected", status_info={"reason_code": reason[:20]})

    @on(Action.clear_charging_profile)
    def on_clear(
        self,
        charging_profile_id: int | None = None,
        charging_profile_criteria: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        """Remove profiles."""
        self._able()
        criteria = charging_profile_criteria or {}
        done = self.hardware.charger.clear(
            self.hardware.now(),
            number=charging_profile_id,
            connector=criteria.get("evse_id"),
            purpose=criteria.get("charging_profile_purpose"),
            stack_level=criteria.get("stack_level"),
        )
        return call_result.ClearChargingProfile(status="Accepted" if done else "Unknown")

    @on(Action.get_composite_schedule)
    def on_composite(self, duration: int, evse_id: int, **_: Any) -> Any:
        """Give the limit in force as a schedule of one period."""
        self._able()
        now, charger = self.hardware.now(), self.hardware.charger
        schedule = {
            "evse_id": evse_id,
            "duration": duration,
            "schedule_start": stamp(now),
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": charger.composite_a(now)}],
        }
        return call_result.GetCompositeSchedule(status="Accepted", schedule=schedule)

    @on(Action.get_variables)
    def on_get(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        """Give variables of the device model."""
        known = {
            ("SmartChargingCtrlr", "RateUnit"): ",".join(sorted(self.hardware.charger.units)),
            ("SmartChargingCtrlr", "ProfileStackLevel"): "10",
            ("SmartChargingCtrlr", "PeriodsPerSchedule"): "24",
            ("SampledDataCtrlr", "TxUpdatedInterval"): str(self.hardware.sample_interval_s),
            ("SampledDataCtrlr", "TxUpdatedMeasurands"): self.hardware.measurands,
        }
        results = []
        for entry in get_variable_data:
            value = known.get((entry["component"]["name"], entry["variable"]["name"]))
            result = {"component": entry["component"], "variable": entry["variable"]}
            found = {"attribute_status": "Accepted", "attribute_value": value}
            results.append(result | (found if value is not None else {"attribute_status": "UnknownVariable"}))
        return call_result.GetVariables(get_variable_result=results)

    @on(Action.set_variables)
    def on_change(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        """Set variables of the device model."""
        results = []
        for entry in set_variable_data:
            status, value = "Accepted", str(entry["attribute_value"])
            match entry["variable"]["name"]:
                case "TxUpdatedInterval" if value.isdecimal():
                    self.hardware.meter_every(int(value))
                case "TxUpdatedMeasurands":
                    self.hardware.measurands = value
                case _:
                    status = "UnknownVariable"
            results.append({"component": entry["component"], "variable": entry["variable"], "attribute_status": status})
        return call_result.SetVariables(set_variable_result=results)

    @on(Action.trigger_message)
    def on_trigger(self, requested_message: str, **_: Any) -> Any:
        """Promise a message."""
        in_session = self.hardware.charger.session is not None
        known = requested_message in {"MeterValues", "StatusNotification", "Heartbeat", "BootNotification"}
        accepted = known or (requested_message == "TransactionEvent" and in_session)
        return call_result.TriggerMessage(status="Accepted" if accepted else "Rejected")

    @after(Action.trigger_message)
    async def after_trigger(self, requested_message: str, **_: Any) -> None:
        """Keep the promise."""
        table = {
            "MeterValues": self.meter,
            "TransactionEvent": self.meter,
            "StatusNotification": self.status,
            "Heartbeat": self.heartbeat,
        }
        with suppress(OCPPError, OSError, TimeoutError):
            await table.get(requested_message, self.boot)()

    @on(Action.change_availability)
    def on_availability(self, operational_status: str, **_: Any) -> Any:
        """Agree; out of service, a running session is finished first (*Scheduled*)."""
        charger = self.hardware.charger
        charger.in_service = operational_status == "Operative"
        waits = not charger.in_service and charger.session is not None
        return call_result.ChangeAvailability(status="Scheduled" if waits else "Accepted")

    @on(Action.request_stop_transaction)
    def on_remote_stop(self, transaction_id: str, **_: Any) -> Any:
        """Agree to end the session."""
        session = self.hardware.charger.session
        known = session is not None and session.transaction_id == transaction_id
        return call_result.RequestStopTransaction(status="Accepted" if known else "Rejected")

    @after(Action.request_stop_transaction)
    async def after_remote_stop(self, **_: Any) -> None:
        """End the session."""
        with suppress(OCPPError, OSError, TimeoutError):
            await self.end("Remote")
