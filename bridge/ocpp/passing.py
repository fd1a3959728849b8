"""What an operator may send to a charger as it is: firmware, logs, configuration, certificates, remote start and stop.

Rule: never a charging profile: limits come from events and standing limits, whose arbiter would not know of it. Each
message is checked against its schema before it leaves. Nothing is passed to a charger that a CPO's own CSMS leads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.ocpp.frames import Version
from bridge.ocpp.rpc import CallFailed, CallTimeout, ConnectionGone, RpcConnection
from bridge.ocpp.schemas import OutboundInvalid
from bridge.target import CommandOutcome

_BOTH = frozenset(
    {
        "ChangeAvailability",
        "ClearCache",
        "DataTransfer",
        "DeleteCertificate",
        "GetCompositeSchedule",
        "GetInstalledCertificateIds",
        "GetLocalListVersion",
        "GetLog",
        "InstallCertificate",
        "Reset",
        "SendLocalList",
        "TriggerMessage",
        "UnlockConnector",
        "UpdateFirmware",
    }
)
ACTIONS: Mapping[Version, frozenset[str]] = {
    Version.V16: _BOTH
    | {
        "ChangeConfiguration",
        "ExtendedTriggerMessage",
        "GetConfiguration",
        "GetDiagnostics",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "SignedUpdateFirmware",
    },
    Version.V201: _BOTH
    | {
        "CostUpdated",
        "GetBaseReport",
        "GetChargingProfiles",
        "GetReport",
        "GetTransactionStatus",
        "GetVariables",
        "RequestStartTransaction",
        "RequestStopTransaction",
        "SetDisplayMessage",
        "SetNetworkProfile",
        "SetVariables",
    },
}
"""Actions that are passed on, by version."""


class NotPassed(Exception):
    """A message that is not sent; the text names the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """How a message ended: the outcome, the charger's answer, and why there is none."""

    outcome: CommandOutcome
    answer: Mapping[str, Any]
    detail: str = ""


async def send(rpc: RpcConnection, action: str, payload: Mapping[str, Any]) -> Passed:
    """Send a message and return what the charger says. Raises ``NotPassed``."""
    if action not in ACTIONS[rpc.version]:
        allowed = ", ".join(sorted(ACTIONS[rpc.version]))
        raise NotPassed(f"{action} is not passed on by {rpc.version.value}; these are: {allowed}")
    if "chargingProfile" in payload:
        raise NotPassed(f"{action} with a chargingProfile is not passed on: limits are set as standing limits")
    try:
        return Passed(outcome=CommandOutcome.ACCEPTED, answer=await rpc.call(action, payload))
    except OutboundInvalid as error:
        raise NotPassed(str(error)) from error
    except CallFailed as error:
        return Passed(outcome=CommandOutcome.ERROR, answer={}, detail=str(error))
    except CallTimeout as error:
        return Passed(outcome=CommandOutcome.TIMEOUT, answer={}, detail=str(error))
    except ConnectionGone as error:
        outcome = CommandOutcome.TIMEOUT if error.sent else CommandOutcome.OFFLINE
        return Passed(outcome=outcome, answer={}, detail=str(error))
