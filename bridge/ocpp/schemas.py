"""Compiled validators over the JSON schemas that the ``ocpp`` library ships: strict on what leaves, lenient on what
comes.

Rule: a message of ours that its schema refuses is never sent. A message of a charger is mended where the meaning is
plain (unknown fields kept aside, numbers for strings and the reverse, ``null`` for absent), each mend is named as a
quirk, and only what then still has no meaning is refused.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs

from bridge.ocpp.frames import ErrorCode, Version

_PACKAGE = {Version.V16: "ocpp.v16", Version.V201: "ocpp.v201"}
_REQUEST_SUFFIX = {Version.V16: "", Version.V201: "Request"}
_MAX_ROUNDS = 4  # a mend may uncover one more fault below it; deeper than this is not a quirk but noise
# Fields in which a word that the standard does not know still leaves the message useful (for example the unit "Hz").
_TOLERANT_PARENTS = frozenset({"sampledValue", "unitOfMeasure"})
_CODE = {
    "type": ErrorCode.TYPE,
    "required": ErrorCode.OCCURRENCE,
    "minItems": ErrorCode.OCCURRENCE,
    "maxItems": ErrorCode.OCCURRENCE,
    "additionalProperties": ErrorCode.FORMAT,
}
_MISSING = object()
_MOST_PERIODS = 1024  # 2.0.1; 1.6 names no number
_HIGHEST = 1e9  # beyond it tenths are no matter of floats
_PHASES = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One place where a payload breaks its schema, and the CALLERROR code for it."""

    code: ErrorCode
    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A payload after the lenient check: mended, what was odd, unknown fields by path, and what cannot be mended."""

    payload: Mapping[str, Any]
    quirks: tuple[str, ...] = ()
    extras: Mapping[str, Any]
    violation: Violation | None = None


class UnknownAction(Exception):
    """The version has no such action."""


class OutboundInvalid(Exception):
    """A message of ours breaks its schema: a fault of ours, found before it left."""


@cache
def _validator(version: Version, name: str) -> jsonschema_rs.Validator | None:
    """Compile a schema on first use. Names come from the network, so only plain names reach the file system."""
    if not (name.isascii() and name.isalnum()):
        return None
    resource = files(_PACKAGE[version]) / "schemas" / f"{name}.json"
    if not resource.is_file():
        return None
    schema = json.loads(resource.read_text(encoding="utf-8-sig"))
    return jsonschema_rs.validator_for(schema, validate_formats=True)


@cache
def _actions(version: Version) -> frozenset[str]:
    suffix = "Response.json"
    names = (entry.name for entry in (files(_PACKAGE[version]) / "schemas").iterdir())
    return frozenset(name.removesuffix(suffix) for name in names if name.endswith(suffix))


def is_action(version: Version, action: str) -> bool:
    """Tell whether ``version`` has ``action``."""
    return action in _actions(version)


def _find(version: Version, action: str, response: bool) -> jsonschema_rs.Validator:
    name = action + ("Response" if response else _REQUEST_SUFFIX[version])
    found = _validator(version, name) if is_action(version, action) else None
    if found is None:
        raise UnknownAction(action)
    return found


def check_outbound(version: Version, action: str, payload: Mapping[str, Any], *, response: bool = False) -> None:
    """Raise ``OutboundInvalid`` unless ``payload`` obeys its schema to the letter."""
    validator = _find(version, action, response)
    if action == "SetChargingProfile" and not response:
        short = _shortened(version, payload)
        if short is not None and validator.is_valid(short):
            return
    if not validator.is_valid(payload):
        error = next(iter(validator.iter_errors(payload)))
        raise OutboundInvalid(f"{action}: {_path(error.instance_path)}: {error.message}")


def _shortened(version: Version, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the request with the first of its periods only, if all the others are like that; ``None`` if not.

    A profile is mostly periods, and the schema asks the same of each: the fields, a whole number, a limit in tenths.
    """
    name = "csChargingProfiles" if version is Version.V16 else "chargingProfile"
    try:
        profile = payload[name]
        schedule = profile["chargingSchedule"]
        alone = schedule if version is Version.V16 else schedule[0]
        periods = alone["chargingSchedulePeriod"]
        if not 1 < len(periods) <= _MOST_PERIODS or (version is Version.V201 and len(schedule) > 1):
            return None
        fields = periods[0].keys()
        for period in periods:
            at, limit = period["startPeriod"], period["limit"]
            if period.keys() != fields or type(at) is not int or type(limit) is not float or at < 0:
                return None
            if (
                not 0 <= limit < _HIGHEST
                or round(limit * 10) / 10 != limit
                or period.get("numberPhases", 3) not in _PHASES
            ):
                return None
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    one = {**alone, "chargingSchedulePeriod": periods[:1]}
    return {**payload, name: {**profile, "chargingSchedule": one if version is Version.V16 else [one]}}


def check_inbound(version: Version, action: str, payload: Mapping[str, Any], *, response: bool = False) -> Checked:
    """Check and mend what a charger sent. Raises ``UnknownAction``; every other fault is in the result."""
    validator = _find(version, action, response)
    if validator.is_valid(payload):
        return Checked(payload=payload, extras={})
    mended: dict[str, Any] = copy.deepcopy(dict(payload))
    quirks: list[str] = []
    extras: dict[str, Any] = {}
    tolerated: set[tuple[str, str]] = set()
    violation: Violation | None = None
    for _ in range(_MAX_ROUNDS):
        errors = [e for e in validator.iter_errors(mended) if (_path(e.instance_path), e.kind.name) not in tolerated]
        if not errors:
            return Checked(payload=mended, quirks=tuple(quirks), extras=extras)
        progress = False
        for error in errors:
            quirk = _mend(mended, error, extras)
            if quirk is None:
                continue
            progress = True
            quirks.append(quirk)
            if quirk.startswith("tolerated"):
                tolerated.add((_path(error.instance_path), error.kind.name))
        violation = _violation(errors[0])
        if not progress:
            break
    return Checked(payload=mended, quirks=tuple(quirks), extras=extras, violation=violation)


def _path(parts: list[str | int]) -> str:
    return "/".join(str(part) for part in parts) or "payload"


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    code = _CODE.get(error.kind.name, ErrorCode.PROPERTY)
    return Violation(code=code, path=_path(error.instance_path), message=error.message[:200])


def _mend(payload: dict[str, Any], error: jsonschema_rs.ValidationError, extras: dict[str, Any]) -> str | None:
    """Mend one fault in place and name it; ``None`` if its meaning is not plain."""
    path, name = _path(error.instance_path), error.kind.name
    if name == "additionalProperties":
        parent = _at(payload, error.instance_path)
        for key in getattr(error.kind, "unexpected", ()):
            extras[f"{path}/{key}"] = parent.pop(key, None)
        return f"unknown field at {path}"
    if name == "type":
        return _mend_type(payload, error, path)
    if name in {"maxLength", "format"}:  # texts too long, times of another form: read with care further on
        return f"tolerated {name} at {path}"
    if name == "enum" and any(part in _TOLERANT_PARENTS for part in error.instance_path):
        return f"tolerated word at {path}"
    return None


def _mend_type(payload: dict[str, Any], error: jsonschema_rs.ValidationError, path: str) -> str | None:
    if not error.instance_path:
        return None
    parent, key = _at(payload, error.instance_path[:-1]), error.instance_path[-1]
    value = parent[key]
    if value is None and isinstance(key, str):
        del parent[key]
        return f"null at {path}"
    converted = _convert(value, getattr(error.kind, "types", []))
    if converted is _MISSING:
        return None
    parent[key] = converted
    return f"{type(value).__name__} for {type(converted).__name__} at {path}"


def _at(payload: Any, parts: list[str | int]) -> Any:
    for part in parts:
        payload = payload[part]
    return payload


def _convert(value: object, wanted: list[str]) -> object:
    """Return ``value`` as one of the wanted JSON types where nothing is lost, else the missing mark."""
    kind = wanted[0] if wanted else ""
    if kind == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if kind == "boolean" and isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if kind in {"integer", "number"} and isinstance(value, (str, float)):
        return _number(value, whole=kind == "integer")
    return _MISSING


def _number(value: str | float, *, whole: bool) -> object:
    try:
        number = float(value)
    except ValueError:
        return _MISSING
    if number != number or number in (float("inf"), float("-inf")):
        return _MISSING
    if number.is_integer():
        return int(number)
    return _MISSING if whole else number
