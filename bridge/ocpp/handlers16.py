"""What the central system answers to each call of an OCPP 1.6 charger; no I/O, no clock.

Rule: one function an action, from (station, payload, now) to the reply and its effects; ``HANDLERS`` is the whole
list.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bridge.ocpp.meter import parse_instant, parse_meter_values
from bridge.ocpp.profile import instant
from bridge.ocpp.station import DRIVER_OVERRIDE, DRIVER_VENDOR, DriverActed, Effect, Noticed, SignatureAsked, Station

Payload = Mapping[str, Any]
Outcome = tuple[dict[str, Any], tuple[Effect, ...]]
MOST_NAME, MOST_DETAIL = 50, 255  # characters of a security event's type and of what it says (A04)
_FOREIGN_ID = 2**30  # an id from here on is another system's: ours must stay within 32 signed bits
_REASONS = {"Local": "stop", "EVDisconnected": "unplug"}  # StopTransaction reasons in which a person has a hand


def boot_notification(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Answer the boot by the charger's registration. The interval is put in by the caller, who knows the settings."""
    status, effects = station.booted(
        payload["chargePointVendor"], payload["chargePointModel"], payload.get("firmwareVersion", "")
    )
    return {"currentTime": instant(now), "status": status}, effects


def heartbeat(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Give the time."""
    return {"currentTime": instant(now)}, ()


def status_notification(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Note a connector's status."""
    return {}, station.set_status(payload["connectorId"], payload["status"])


def authorize(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Accept the id tag; who may charge is decided by the caller, who knows the settings."""
    return {"idTagInfo": {"status": "Accepted"}}, ()


def start_transaction(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Begin a session. The same start sent again (a lost answer) gets the same id."""
    key = tuple(payload.get(name) for name in ("connectorId", "idTag", "timestamp", "meterStart"))
    number = station.start_16(key, now)
    effects = station.begin(payload["connectorId"], str(number))
    return {"idTagInfo": {"status": "Accepted"}, "transactionId": number}, effects


def stop_transaction(station: Station, payload: Payload, now: datetime) -> Outcome:
    """End a session, known or not: a charger repeats a stop until it is answered."""
    transaction_id = str(payload["transactionId"])
    connector = station.connector_of(transaction_id)
    effects = station.end(transaction_id)
    if connector is not None:
        at = parse_instant(payload["timestamp"]) or now
        effects += station.no_power(connector, min(at, now), float(payload["meterStop"]))
        kind = _REASONS.get(payload.get("reason", "")) if station.recent(at, now) else None
        effects += (DriverActed(kind=kind),) if kind else ()
    return ({"idTagInfo": {"status": "Accepted"}} if "idTag" in payload else {}), effects


def meter_values(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Take in readings, and learn of a session that began while the bridge was away."""
    connector = payload["connectorId"]
    effects: tuple[Effect, ...] = ()
    number = payload.get("transactionId")
    if connector and number is not None and number >= 0:
        effects = station.begin(connector, str(number))
        if number < _FOREIGN_ID:
            station.last_transaction_id = max(station.last_transaction_id, number)
    samples = parse_meter_values(payload["meterValue"], station.electrical, now)
    return {}, effects + station.add_samples(connector, samples)


def data_transfer(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Know one vendor message: the driver's override button."""
    if payload["vendorId"] != DRIVER_VENDOR:
        return {"status": "UnknownVendorId"}, ()
    if payload.get("messageId") != DRIVER_OVERRIDE:
        return {"status": "UnknownMessageId"}, ()
    return {"status": "Accepted"}, (DriverActed(kind="override"),)


def transfer_status(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Keep how a transfer of firmware, diagnostics or a log goes."""
    request = payload.get("requestId")
    detail = "" if request is None else f"request {request}"
    return {}, (Noticed(kind="transfer", name=str(payload["status"]), detail=detail, at=now),)


def security_event(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Keep a security event (1.6 security whitepaper, 2.0.1 A04)."""
    at = min(parse_instant(payload["timestamp"]) or now, now)
    name, detail = str(payload["type"])[:MOST_NAME], str(payload.get("techInfo", ""))[:MOST_DETAIL]
    return {}, (Noticed(kind="security", name=name, detail=detail, at=at),)


def sign_certificate(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Have a certificate signed; the caller knows whether there is an authority, and refuses if not."""
    asked = SignatureAsked(csr=payload["csr"], kind=payload.get("certificateType"))
    return {"status": "Accepted"}, (asked,)


def noted(station: Station, payload: Payload, now: datetime) -> Outcome:
    """Confirm a notification that changes nothing here."""
    return {}, ()


HANDLERS: dict[str, Callable[[Station, Payload, datetime], Outcome]] = {
    "BootNotification": boot_notification,
    "Heartbeat": heartbeat,
    "StatusNotification": status_notification,
    "Authorize": authorize,
    "StartTransaction": start_transaction,
    "StopTransaction": stop_transaction,
    "MeterValues": meter_values,
    "DataTransfer": data_transfer,
    "DiagnosticsStatusNotification": transfer_status,
    "FirmwareStatusNotification": transfer_status,
    "LogStatusNotification": transfer_status,
    "SecurityEventNotification": security_event,
    "SignedFirmwareStatusNotification": transfer_status,
    "SignCertificate": sign_certificate,
}
