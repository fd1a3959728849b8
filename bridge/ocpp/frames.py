"""OCPP-J frames: text to ``Call``, ``CallResult``, ``CallError`` and back; pure, no I/O.

Rule: ``parse`` never raises. What cannot be read becomes a ``BadFrame`` that already holds the CALLERROR that the
standard wants, or none where answering is forbidden: an answer is never answered, and OCPP-J 1.6 (4.1.3) ignores
unknown types.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

UNKNOWN_ID = "-1"  # OCPP 2.0.1 part 4, 4.2.3: stands for a message id that could not be read
_MAX_ID_CHARS = 255  # the standard says 36; longer ids are met in the field and can be echoed, without end they cannot
_MAX_DESCRIPTION_CHARS = 255  # OCPP-J 4.2.3: errorDescription
_DEEPEST = 24  # levels of nesting; the deepest message of either version has 8, and vendors add their own
_MAX_ACTION_CHARS = 64  # the longest action of either version has 34 characters


class Version(StrEnum):
    """An OCPP version that the bridge speaks; the value is the websocket subprotocol."""

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"


class MessageType(IntEnum):
    """The first element of a frame (OCPP-J 4.1.3)."""

    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4


class ErrorCode(StrEnum):
    """What a CALLERROR says. ``wire_code`` gives the spelling of each version."""

    NOT_IMPLEMENTED = "NotImplemented"  # an action that the receiver does not know
    NOT_SUPPORTED = "NotSupported"  # an action that the receiver knows and does not do
    INTERNAL = "InternalError"
    PROTOCOL = "ProtocolError"  # the payload is incomplete
    SECURITY = "SecurityError"
    FORMAT = "FormatViolation"
    PROPERTY = "PropertyConstraintViolation"
    OCCURRENCE = "OccurrenceConstraintViolation"
    TYPE = "TypeConstraintViolation"
    GENERIC = "GenericError"
    FRAMEWORK = "RpcFrameworkError"  # 2.0.1 only: the frame itself is not valid
    MESSAGE_TYPE = "MessageTypeNotSupported"  # 2.0.1 only


# OCPP-J 1.6 spells two codes its own way (errata 5.1, 5.2: kept for ever) and lacks the two of the framework.
_WIRE_16 = {
    ErrorCode.FORMAT: "FormationViolation",
    ErrorCode.OCCURRENCE: "OccurenceConstraintViolation",
    ErrorCode.FRAMEWORK: "FormationViolation",
    ErrorCode.MESSAGE_TYPE: "NotSupported",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, ``[2, id, action, payload]``."""

    unique_id: str
    action: str
    payload: Mapping[str, Any]
    tail: bytes = field(default=b"", compare=False, repr=False)  # what followed the id, to be passed on as it came


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """The answer to a request, ``[3, id, payload]``."""

    unique_id: str
    payload: Mapping[str, Any]
    tail: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallError:
    """The refusal of a request, ``[4, id, code, description, details]``."""

    unique_id: str
    code: str
    description: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    tail: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadFrame:
    """A frame that cannot be used: why, the CALLERROR to send (if any), and the id of the call it failed to answer."""

    reason: str
    reply: CallError | None = None
    answers: str | None = None


Frame = Call | CallResult | CallError
_TYPES = {Call: int(MessageType.CALL), CallResult: int(MessageType.CALLRESULT), CallError: int(MessageType.CALLERROR)}


def wire_code(code: ErrorCode, version: Version) -> str:
    """Return the spelling of ``code`` in ``version``."""
    return _WIRE_16.get(code, code.value) if version is Version.V16 else code.value


def call_error(unique_id: str, code: ErrorCode, description: str, version: Version) -> CallError:
    """Build a CALLERROR with the code in the spelling of ``version`` and the description cut to its 255 characters."""
    return CallError(
        unique_id=unique_id, code=wire_code(code, version), description=description[:_MAX_DESCRIPTION_CHARS]
    )


def parse(text: str | bytes, version: Version) -> Frame | BadFrame:
    """Read one frame. Whatever the other side sent, the result is a frame or a ``BadFrame``; nothing is raised."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _refuse(UNKNOWN_ID, ErrorCode.FRAMEWORK, "not JSON", version)
    if not isinstance(message, list) or not message:
        return _refuse(UNKNOWN_ID, ErrorCode.FRAMEWORK, "not a non-empty JSON array", version)
    if _too_deep(message):
        return _refuse(_id_of(message), ErrorCode.FRAMEWORK, f"nested deeper than {_DEEPEST} levels", version)
    kind = message[0]
    if isinstance(kind, bool) or not isinstance(kind, int):
        return _refuse(_id_of(message), ErrorCode.FRAMEWORK, "messageTypeId is not a number", version)
    if kind == MessageType.CALL:
        return _parse_call(message, version)
    if kind == MessageType.CALLRESULT:
        return _parse_result(message)
    if kind == MessageType.CALLERROR:
        return _parse_error(message)
    if version is Version.V16:
        return BadFrame(reason=f"messageTypeId {kind} ignored (OCPP-J 1.6, 4.1.3)")
    return _refuse(_id_of(message), ErrorCode.MESSAGE_TYPE, f"messageTypeId {kind} is not supported", version)


def tail_of(text: str | bytes) -> bytes:
    """Return what follows the message id in a frame that ``parse`` could read, each element byte for byte."""
    return b",".join(bytes(element) for element in msgspec.json.decode(text, type=list[msgspec.Raw])[2:])


def serialise(frame: Frame) -> str:
    """Write one frame as text; one with a ``tail`` is passed on with that instead of its fields."""
    message: list[Any]
    if frame.tail:
        return f"[{_TYPES[type(frame)]},{msgspec.json.encode(frame.unique_id).decode()},{frame.tail.decode()}]"
    match frame:
        case Call():
            message = [MessageType.CALL, frame.unique_id, frame.action, frame.payload]
        case CallResult():
            message = [MessageType.CALLRESULT, frame.unique_id, frame.payload]
        case _:
            message = [MessageType.CALLERROR, frame.unique_id, frame.code, frame.description, frame.details]
    return msgspec.json.encode(message).decode()


def _too_deep(message: list[Any]) -> bool:
    """Tell whether ``message`` is nested deeper than any of the standard's, so that nothing after here need recurse."""
    level: list[Any] = [message]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _readable_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID_CHARS


def _id_of(message: list[Any]) -> str:
    """Return the message id if it can be read, else the stand-in that 2.0.1 prescribes."""
    return message[1] if len(message) > 1 and _readable_id(message[1]) else UNKNOWN_ID


def _refuse(unique_id: str, code: ErrorCode, reason: str, version: Version) -> BadFrame:
    return BadFrame(reason=reason, reply=call_error(unique_id, code, reason, version))


def _parse_call(message: list[Any], version: Version) -> Call | BadFrame:
    unique_id = _id_of(message)
    if unique_id == UNKNOWN_ID:
        return _refuse(unique_id, ErrorCode.FRAMEWORK, "the message id is not a string of 1 to 36 characters", version)
    if len(message) != 4:
        return _refuse(unique_id, ErrorCode.FRAMEWORK, f"a CALL has 4 elements, not {len(message)}", version)
    action, payload = message[2], message[3]
    if not isinstance(action, str) or not 0 < len(action) <= _MAX_ACTION_CHARS:
        return _refuse(unique_id, ErrorCode.FRAMEWORK, "the action is not a name", version)
    if payload is None:  # met in the field for messages without fields, such as Heartbeat
        payload = {}
    if not isinstance(payload, dict):
        return _refuse(unique_id, ErrorCode.FORMAT, "the payload is not a JSON object", version)
    return Call(unique_id=unique_id, action=action, payload=payload)


def _parse_result(message: list[Any]) -> CallResult | BadFrame:
    unique_id = _id_of(message)
    payload = message[2] if len(message) > 2 else None
    if unique_id == UNKNOWN_ID or not isinstance(payload, dict):
        return BadFrame(reason="malformed CALLRESULT", answers=unique_id)
    return CallResult(unique_id=unique_id, payload=payload)


def _parse_error(message: list[Any]) -> CallError | BadFrame:
    unique_id = _id_of(message)
    if len(message) < 3 or not isinstance(message[2], str):
        return BadFrame(reason="malformed CALLERROR", answers=unique_id)
    description = message[3] if len(message) > 3 and isinstance(message[3], str) else ""
    details = message[4] if len(message) > 4 and isinstance(message[4], dict) else {}
    return CallError(
        unique_id=unique_id,
        code=message[2][:_MAX_ACTION_CHARS],
        description=description[:_MAX_DESCRIPTION_CHARS],
        details=details,
    )
