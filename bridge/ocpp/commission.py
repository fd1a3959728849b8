"""After a boot: read what the charger can do and set how often it meters.

Rule: every step may fail without harm: a charger that answers none of this still takes limits in amperes (OCP-08).
Only what is needed is asked, for some chargers restart when asked for too much.
"""

from collections.abc import Mapping
from typing import Any

from bridge.ocpp import owndelay
from bridge.ocpp.frames import Version
from bridge.ocpp.rpc import CallFailed, CallTimeout, ConnectionGone, RpcConnection
from bridge.ocpp.schemas import OutboundInvalid
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Capabilities, Station
from runtime.logs import get_logger

_log = get_logger(__name__)
_UNITS = {"current": "A", "a": "A", "power": "W", "w": "W"}  # 1.6 errata 3.86, and what is met in the field
_KEYS_16 = (
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleMaxPeriods",
    "MeterValueSampleInterval",
    "MeterValuesSampledData",
    *owndelay.KEYS_16,
)
_VARIABLES_201 = (
    ("SmartChargingCtrlr", "RateUnit"),
    ("SmartChargingCtrlr", "ProfileStackLevel"),
    ("SmartChargingCtrlr", "PeriodsPerSchedule"),
    ("SampledDataCtrlr", "TxUpdatedInterval"),
    ("SampledDataCtrlr", "TxUpdatedMeasurands"),
    *owndelay.VARIABLES_201,
)
_MEASURANDS = "Energy.Active.Import.Register,Power.Active.Import"
_SOC = "SoC"


async def read_capabilities(rpc: RpcConnection, station: Station) -> dict[str, str]:
    """Ask once for the few settings that limits depend on; returns those, by name."""
    if rpc.version is Version.V16:
        answer = await _try(rpc, "GetConfiguration", {"key": list(_KEYS_16)})
        entries = answer.get("configurationKey", ())
        given = {str(entry.get("key")): str(entry.get("value", "")) for entry in entries}
        values = {key: given[key] for key in _KEYS_16 if key in given}  # some give all they have, passwords included
        names = _KEYS_16[:3]
    else:
        wanted = [{"component": {"name": c}, "variable": {"name": v}} for c, v in _VARIABLES_201]
        asked = {name for _, name in _VARIABLES_201}
        answer = await _try(rpc, "GetVariables", {"getVariableData": wanted})
        values = {
            str(result["variable"]["name"]): str(result.get("attributeValue", ""))
            for result in answer.get("getVariableResult", ())
            if result["attributeStatus"] == "Accepted" and str(result["variable"]["name"]) in asked
        }
        names = ("RateUnit", "ProfileStackLevel", "PeriodsPerSchedule")
    station.capabilities = Capabilities(
        units=parse_units(values.get(names[0])),
        max_stack_level=_whole(values.get(names[1])),
        max_periods=_whole(values.get(names[2]), least=1),
    )
    station.own_delay_s = owndelay.own_delay_s(values)
    _log.info("charger read", charger=rpc.identity, values=values)
    return values


async def set_metering(rpc: RpcConnection, settings: OcppSettings, station: Station, values: Mapping[str, str]) -> None:
    """Set the meter interval, and the measurands if power is not among them. Nothing is written that is so already.

    Where the car's state of charge is wanted as well, a charger that refuses it keeps what it had, or gets the rest.
    """
    knobs, soc = station.knobs, station.config.soc
    if knobs.set_metering is False:
        return
    interval = str(knobs.meter_interval_s or settings.meter_interval_s)
    if rpc.version is Version.V16:
        if values.get("MeterValueSampleInterval") != interval:
            await _try(rpc, "ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": interval})
        for measurands in _measurands(values.get("MeterValuesSampledData", ""), soc, knobs.measurands):
            change = {"key": "MeterValuesSampledData", "value": measurands}
            if (await _try(rpc, "ChangeConfiguration", change)).get("status") in ("Accepted", "RebootRequired"):
                break
        return
    if values.get("TxUpdatedInterval") != interval:
        await _set_201(rpc, "TxUpdatedInterval", interval)
    for measurands in _measurands(values.get("TxUpdatedMeasurands", ""), soc, knobs.measurands):
        if await _set_201(rpc, "TxUpdatedMeasurands", measurands):
            break


def _measurands(present: str, soc: bool, fixed: str | None) -> tuple[str, ...]:
    """Return what to set, in order of preference; nothing if all that is wanted is there."""
    if fixed is not None:
        return () if fixed == present else (fixed,)
    power = "Power.Active.Import" in present
    base = present if power else _MEASURANDS
    if soc and _SOC not in present.split(","):
        return (f"{base},{_SOC}",) if power else (f"{base},{_SOC}", base)
    return () if power else (base,)


async def _set_201(rpc: RpcConnection, name: str, value: str) -> bool:
    data = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": name}, "attributeValue": value}
    answer = await _try(rpc, "SetVariables", {"setVariableData": [data]})
    return any(result["attributeStatus"] == "Accepted" for result in answer.get("setVariableResult", ()))


async def ask_for_state(rpc: RpcConnection) -> None:
    """Ask a charger that did not boot, and whose state we may have lost, for its status and its meter."""
    where: dict[str, Any] = {"connectorId": 1} if rpc.version is Version.V16 else {"evse": {"id": 1, "connectorId": 1}}
    await _try(rpc, "TriggerMessage", {"requestedMessage": "StatusNotification", **where})
    if rpc.version is Version.V16:
        await _try(rpc, "TriggerMessage", {"requestedMessage": "MeterValues", **where})
    else:
        await _try(rpc, "TriggerMessage", {"requestedMessage": "TransactionEvent", "evse": {"id": 1}})


async def ask_to_boot(rpc: RpcConnection) -> None:
    """Ask for a BootNotification."""
    await _try(rpc, "TriggerMessage", {"requestedMessage": "BootNotification"})


async def send_certificate(rpc: RpcConnection, chain: str, kind: str | None) -> str:
    """Send a signed certificate and return the charger's word, "" for none."""
    payload = {"certificateChain": chain} | ({} if kind is None else {"certificateType": kind})
    return str((await _try(rpc, "CertificateSigned", payload)).get("status", ""))


async def _try(rpc: RpcConnection, action: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return await rpc.call(action, payload)
    except (CallFailed, CallTimeout, ConnectionGone, OutboundInvalid) as error:
        _log.info("charger did not answer", charger=rpc.identity, action=action, why=str(error))
        return {}


def parse_units(text: str | None) -> frozenset[str] | None:
    """Return the units a charger takes ("A", "W") in any of the spellings met; ``None`` if it does not say."""
    words = (text or "").replace(";", ",").split(",")
    units = frozenset(_UNITS[word.strip().lower()] for word in words if word.strip().lower() in _UNITS)
    return units or None


def _whole(text: str | None, least: int = 0) -> int | None:
    cleaned = (text or "").strip()
    if not (cleaned.isascii() and cleaned.isdecimal() and len(cleaned) <= 6):
        return None
    return number if (number := int(cleaned)) >= least else None
