"""What the central system answers to each call of an OCPP 2.0.1 charging station; no I/O, no clock.

Rule: as for 1.6: one function an action, from (station, payload, now) to the reply and its effects.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bridge.ocpp import handlers16
from bridge.ocpp.handlers16 import Outcome, Payload
from bridge.ocpp.meter import parse_instant, parse_meter_values
from bridge.ocpp.needs import car_needs
from bridge.ocpp.profile import instant
from bridge.ocpp.readback import MOST_REPORTED, amperes_at, reported_profiles
from bridge.ocpp.station import DriverActed, Effect, NeedsSaid, ProfilesReported, Station
from bridge.target import ForeignLimit

_REASONS = {"Local": "stop", "EVDisconnected": "unplug"}  # stoppedReason values in which a person has a hand


def boot_notification(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Answer the boot by the station's registration. The interval is put in by the caller, who knows the settings."""
    described: Mapping[str, Any] = payload["chargingStation"]
    status, effects = station.booted(described["vendorName"], described["model"], described.get("firmwareVersion", ""))
    return {"currentTime": instant(now), "status": status}, effects


def status_notification(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Note an EVSE's status. A session may run while its connector is free (TxStartPoint), so none is ended by it."""
    if payload["evseId"] not in station.sessions:
        station.note_status(payload["evseId"], payload["connectorStatus"])
    return {}, ()


def authorize(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Accept the token; who may charge is decided by the caller, who knows the settings."""
    return {"idTokenInfo": {"status": "Accepted"}}, ()


def transaction_event(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Follow a session from any of its events; begin, update and end may each be the first that we see."""
    info: Mapping[str, Any] = payload["transactionInfo"]
    transaction_id: str = info["transactionId"]
    known = station.connector_of(transaction_id)
    evse = payload.get("evse", {}).get("id", known if known is not None else 1)  # the usual station has one EVSE
    effects: tuple[Effect, ...] = ()
    if payload["eventType"] != "Ended":
        effects += station.begin(evse, transaction_id)
        if state := info.get("chargingState"):
            station.note_status(evse, state)
    samples = parse_meter_values(payload.get("meterValue", ()), station.electrical, now)
    effects += station.add_samples(evse, samples)
    if payload["eventType"] == "Ended":
        effects += _ended(station, payload, evse, transaction_id, now)
    reply: dict[str, Any] = {"idTokenInfo": {"status": "Accepted"}} if "idToken" in payload else {}
    return reply, effects


def _ended(station: Station, payload: Payload, evse: int, transaction_id: str, now: datetime) -> tuple[Effect, ...]:
    effects = station.end(transaction_id)
    if not effects:
        return ()
    last = station.samples.get(evse)
    at = min(parse_instant(payload["timestamp"]) or now, now)
    if last is not None:
        at = max(at, last.at)
    effects += station.no_power(evse, at, last.energy_wh if last else None)
    news = station.recent(at, now)
    kind = _REASONS.get(payload["transactionInfo"].get("stoppedReason", "")) if news else None
    return effects + ((DriverActed(kind=kind),) if kind else ())


def meter_values(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Take in readings outside transactions."""
    samples = parse_meter_values(payload["meterValue"], station.electrical, now)
    return {}, station.add_samples(payload["evseId"], samples)


def charging_limit(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Note a limit that came to the station by another way than ours (K12, OCP-07)."""
    said: Mapping[str, Any] = payload["chargingLimit"]
    critical = "grid critical" if said.get("isGridCritical") else ""
    connector = payload.get("evseId", 0)
    schedules = payload.get("chargingSchedule") or ()
    lowest = [amperes_at(schedule, station.rating, now) for schedule in schedules]
    limit = ForeignLimit(
        source=said["chargingLimitSource"],
        connector=connector,
        by="notified",
        since=now,
        limit_a=min((value for value in lowest if value is not None), default=None),
        detail=critical,
    )
    return {}, station.note_foreign(limit)


def cleared_limit(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Note that such a limit is gone (K13)."""
    return {}, station.drop_foreign(payload["chargingLimitSource"], payload.get("evseId"), "notified")


def charging_profiles(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Take in what the station says is installed, asked for by GetChargingProfiles."""
    asked = station.reports.get(payload["requestId"])
    if asked is None:
        return {}, ()
    asked += reported_profiles(payload, station.rating, now)[: MOST_REPORTED - len(asked)]
    return {}, (() if payload.get("tbc") else (ProfilesReported(request_id=payload["requestId"]),))


def schedule_noted(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Confirm an EV's charging schedule."""
    return {"status": "Accepted"}, ()


def charging_needs(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Take in what the car asks for (K15). *Processing*: a schedule comes when an event asks for one, not now."""
    session = station.sessions.get(payload["evseId"])
    if session is None:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}, ()
    needs = car_needs(payload["chargingNeeds"], session.transaction_id)
    return {"status": "Processing"}, (NeedsSaid(needs=needs),)


HANDLERS: dict[str, Callable[[Station, Payload, datetime], Outcome]] = {
    "BootNotification": boot_notification,
    "Heartbeat": handlers16.heartbeat,
    "StatusNotification": status_notification,
    "Authorize": authorize,
    "TransactionEvent": transaction_event,
    "MeterValues": meter_values,
    "DataTransfer": handlers16.data_transfer,
    "NotifyEVChargingSchedule": schedule_noted,
    "NotifyEVChargingNeeds": charging_needs,
    "SignCertificate": handlers16.sign_certificate,
    "ClearedChargingLimit": cleared_limit,
    "FirmwareStatusNotification": handlers16.transfer_status,
    "LogStatusNotification": handlers16.transfer_status,
    "NotifyChargingLimit": charging_limit,
    "NotifyCustomerInformation": handlers16.noted,
    "NotifyDisplayMessages": handlers16.noted,
    "NotifyEvent": handlers16.noted,
    "NotifyMonitoringReport": handlers16.noted,
    "NotifyReport": handlers16.noted,
    "PublishFirmwareStatusNotification": handlers16.transfer_status,
    "ReportChargingProfiles": charging_profiles,
    "ReservationStatusUpdate": handlers16.noted,
    "SecurityEventNotification": handlers16.security_event,
}
