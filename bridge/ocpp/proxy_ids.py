"""Transaction ids that the proxy gave in the place of the CSMS, exchanged both ways in messages of OCPP 1.6; pure.

Rule: only the one number changes; every other byte of a message stays as it came. A message without such a number is
returned as it is.
"""

from collections.abc import Callable, Mapping

import msgspec

_UP = {"StopTransaction": (), "MeterValues": ()}
_DOWN: dict[str, tuple[str, ...]] = {"RemoteStopTransaction": (), "SetChargingProfile": ("csChargingProfiles",)}
_NAME = "transactionId"


def parts(tail: bytes) -> tuple[str, bytes]:
    """Return action and payload of a CALL's tail."""
    action, payload = msgspec.json.decode(b"[" + tail + b"]", type=list[msgspec.Raw])
    return msgspec.json.decode(action, type=str), bytes(payload)


def join(action: str, payload: bytes) -> bytes:
    """Return the tail of a CALL."""
    return msgspec.json.encode(action) + b"," + payload


def to_csms(tail: bytes, actual: Mapping[int, int | None]) -> bytes:
    """Put the CSMS's number for ours; ``actual`` holds it by ours, ``None`` while it is not known."""
    return _exchange(tail, _UP, actual.get)


def to_charger(tail: bytes, actual: Mapping[int, int | None]) -> bytes:
    """Put our number, which the charger knows, for the CSMS's."""
    ours = {number: provisional for provisional, number in actual.items() if number is not None}
    return _exchange(tail, _DOWN, ours.get)


def _exchange(tail: bytes, where: Mapping[str, tuple[str, ...]], other: Callable[[int], int | None]) -> bytes:
    action, payload = parts(tail)
    if action not in where:
        return tail
    changed = _replace(payload, where[action], other)
    return tail if changed is None else join(action, changed)


def _replace(payload: bytes, path: tuple[str, ...], other: Callable[[int], int | None]) -> bytes | None:
    """Return the payload with its number exchanged, ``None`` if there is nothing to exchange."""
    try:
        fields = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
        name = path[0] if path else _NAME
        inner: bytes | None
        if path:
            inner = _replace(bytes(fields[name]), path[1:], other)
        else:
            number = other(msgspec.json.decode(fields[name], type=int))
            inner = None if number is None else msgspec.json.encode(number)
    except (msgspec.DecodeError, KeyError):  # not of the form that the standard gives it: passed on as it is
        return None
    if inner is None:
        return None
    fields[name] = msgspec.Raw(inner)
    return msgspec.json.encode(fields)
