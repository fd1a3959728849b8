"""Reads relayed messages as far as the standard knows them, and writes the answers under the right message id; pure.

Rule: what cannot be read is ``None`` and is passed on all the same: it is between the charger and its CSMS.
"""

from collections.abc import Mapping
from typing import Any

from bridge.ocpp import schemas
from bridge.ocpp.frames import Call, CallError, CallResult, Version
from bridge.ocpp.schemas import Checked

_PASSWORDS = frozenset({"authorizationkey", "basicauthpassword"})

Reply = CallResult | CallError


def read(version: Version, call: Call) -> Checked | None:
    """Read a call, mended where its meaning is plain."""
    return _read(version, call.action, call.payload, response=False)


def read_answer(version: Version, action: str, payload: Mapping[str, Any]) -> Checked | None:
    """Read the answer to a call."""
    return _read(version, action, payload, response=True)


def _read(version: Version, action: str, payload: Mapping[str, Any], *, response: bool) -> Checked | None:
    try:
        checked = schemas.check_inbound(version, action, payload, response=response)
    except schemas.UnknownAction:
        return None
    return checked if checked.violation is None else None


def told(call: Call, answer: bytes) -> CallResult:
    """Return an answer that was given before, under the id of the call now."""
    return CallResult(unique_id=call.unique_id, payload={}, tail=answer)


def under(unique_id: str, reply: Reply) -> Reply:
    """Return the other side's answer under the caller's own id."""
    if isinstance(reply, CallResult):
        return CallResult(unique_id=unique_id, payload=reply.payload, tail=reply.tail)
    return CallError(
        unique_id=unique_id, code=reply.code, description=reply.description, details=reply.details, tail=reply.tail
    )


def fault(error: Exception) -> str:
    """Return an error for the log: of a database's without its statement, whose values name people."""
    return str(getattr(error, "orig", error))[:300]


def is_password(call: Call) -> bool:
    """Tell whether a call would change the password that the charger shows at the bridge's door."""
    if call.action == "ChangeConfiguration":
        return str(call.payload.get("key", "")).lower() in _PASSWORDS
    data = call.payload.get("setVariableData") if call.action == "SetVariables" else None
    return any(_names_password(each) for each in data) if isinstance(data, list) else False


def _names_password(data: object) -> bool:
    variable = data.get("variable") if isinstance(data, dict) else None
    return isinstance(variable, dict) and str(variable.get("name", "")).lower() in _PASSWORDS
