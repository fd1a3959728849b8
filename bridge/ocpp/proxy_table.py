"""How the proxy treats each message of a charger: what must never be lost, who answers when the CSMS cannot; pure.

Rule: while the CPO's CSMS can be reached, it alone answers. Without it a charger is told what lets it go on charging
and what is true: the time, the interval, a yes by the policy set for id tags. What it said is told to the CSMS later,
word for word.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from bridge.ocpp import handlers16, handlers201
from bridge.ocpp.frames import Version
from bridge.ocpp.station import DRIVER_VENDOR, Effect, Station

Policy = Literal["accept", "known", "refuse"]
_TABLES = {Version.V16: handlers16.HANDLERS, Version.V201: handlers201.HANDLERS}
_TRANSACTION = {
    Version.V16: frozenset({"StartTransaction", "StopTransaction", "MeterValues"}),
    Version.V201: frozenset({"TransactionEvent", "MeterValues"}),
}
_KEPT = frozenset(
    {
        "BootNotification",
        "StatusNotification",
        "FirmwareStatusNotification",
        "DiagnosticsStatusNotification",
        "LogStatusNotification",
        "SignedFirmwareStatusNotification",
        "SecurityEventNotification",
        "NotifyEvent",
        "NotifyReport",
        "NotifyMonitoringReport",
        "NotifyChargingLimit",
        "ClearedChargingLimit",
        "NotifyCustomerInformation",
        "NotifyDisplayMessages",
        "ReportChargingProfiles",
        "PublishFirmwareStatusNotification",
        "ReservationStatusUpdate",
    }
)
# Requests whose answer only the CSMS can give: without it the charger hears an error and asks again.
_ONLY_THE_CSMS = frozenset({"DataTransfer", "SignCertificate", "NotifyEVChargingNeeds", "NotifyEVChargingSchedule"})
_TOKEN_STATUS = {"accept": "Accepted", "refuse": "Invalid"}
_MOST_TOKENS = 10_000  # id tags remembered as accepted: hashes of 32 bytes
PROVISIONAL_FROM = 2_000_000_000  # below 2**31, above what CSMSs give: they count from 1 or from a clock in seconds
_PROVISIONAL_SPAN = 147_000_000  # seconds, more than four years
_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)


class Way(StrEnum):
    """How a charger's message reaches the CSMS."""

    JOURNALED = "journaled"  # on disk before it is sent, answered from disk if the charger repeats it
    KEPT = "kept"  # sent at once if possible; put on disk and answered if not
    LIVE = "live"  # has no meaning later


def way(version: Version, action: str) -> Way:
    """Return how ``action`` is treated."""
    if action in _TRANSACTION[version]:
        return Way.JOURNALED
    return Way.KEPT if action in _KEPT else Way.LIVE


def for_us(station: Station, action: str, payload: Mapping[str, Any]) -> bool:
    """Tell whether a message answers something of ours: our driver's button, profiles that we asked for."""
    if action == "DataTransfer":
        return payload.get("vendorId") == DRIVER_VENDOR
    return action == "ReportChargingProfiles" and payload.get("requestId") in station.reports


def observe(
    version: Version,
    station: Station,
    action: str,
    payload: Mapping[str, Any],
    answer: Mapping[str, Any],
    now: datetime,
) -> tuple[Effect, ...]:
    """Learn from what a charger said and its CSMS answered. Both have been checked against their schemas."""
    if action == "BootNotification" and answer["status"] != "Accepted":
        _TABLES[version][action](station, payload, now)  # who it is
        station.registration = answer["status"]
        return ()
    if action == "StartTransaction":
        return station.begin(payload["connectorId"], str(answer["transactionId"]))
    handler = _TABLES[version].get(action)
    return handler(station, payload, now)[1] if handler is not None else ()


def answer_for_csms(
    version: Version,
    station: Station,
    action: str,
    payload: Mapping[str, Any],
    now: datetime,
    *,
    token_status: str,
    interval_s: int,
    provisional: int,
) -> tuple[dict[str, Any], tuple[Effect, ...]] | None:
    """Answer in the place of a CSMS that cannot be reached; ``None`` if nobody else can.

    ``payload`` has been checked against its schema. ``provisional`` is the transaction id that a 1.6 start is given.
    """
    handler = _TABLES[version].get(action)
    if handler is None or action in _ONLY_THE_CSMS:
        return None
    if action == "StartTransaction":
        reply: dict[str, Any] = {"transactionId": provisional, "idTagInfo": {"status": token_status}}
        return reply, station.begin(payload["connectorId"], str(provisional))
    reply, effects = handler(station, payload, now)
    for name in ("idTagInfo", "idTokenInfo"):
        if name in reply:
            reply[name] = {"status": token_status}
    if action == "BootNotification":
        reply |= {"interval": interval_s}
    return reply, effects


def token_of(action: str, payload: Mapping[str, Any]) -> str | None:
    """Return the id tag or token that a request is about."""
    found = payload.get("idTag") or payload.get("idToken")
    if isinstance(found, Mapping):
        found = found.get("idToken")
    return found if isinstance(found, str) else None


class KnownTokens:
    """Id tags that the CSMS has accepted lately, as hashes: for the policy *known*. Not kept over a restart."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def learn(self, token: str, status: str) -> None:
        """Note what the CSMS said of a token."""
        mark = _hash(token)
        self._seen.pop(mark, None)
        if status == "Accepted":
            self._seen[mark] = None
            if len(self._seen) > _MOST_TOKENS:
                self._seen.popitem(last=False)

    def status(self, policy: Policy, token: str | None) -> str:
        """Return what a charger is told of a token while the CSMS cannot be asked."""
        if policy == "known":
            return "Accepted" if token is None or _hash(token) in self._seen else "Invalid"
        return _TOKEN_STATUS[policy]


def token_status(answer: Mapping[str, Any]) -> str | None:
    """Return what an answer says of the token that was asked about."""
    info = answer.get("idTagInfo") or answer.get("idTokenInfo")
    status = info.get("status") if isinstance(info, Mapping) else None
    return status if isinstance(status, str) else None


def provisional_id(last: int, now: datetime) -> int:
    """Return a transaction id that this charger has not been given, nor will be by its CSMS."""
    seconds = int((now - _EPOCH).total_seconds()) % _PROVISIONAL_SPAN
    return max(last + 1, PROVISIONAL_FROM + seconds)


def pause_s(failures: int, first_s: float, longest_s: float, u: float) -> float:
    """Return the pause before the next dial after ``failures`` in a row; ``u`` in [0, 1) spreads a fleet over it."""
    return min(first_s * 2.0 ** min(failures - 1, 30), longest_s) * (0.5 + u / 2)


def mark_of(tail: bytes) -> str:
    """Return by what a repeated message is known: its words, whatever id it comes under."""
    return hashlib.sha256(tail).hexdigest()[:32]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
