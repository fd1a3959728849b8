"""What a CSMS has been told: sessions as the CPO will bill them, samples by their times, and what came twice.

Rule: no I/O; a message is known by its id, and what may be told once only also by its words.
"""

import json
from dataclasses import dataclass, field
from typing import Any

ONCE = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"})  # each is one event


@dataclass(slots=True)
class Session:
    """A transaction as the CPO will bill it."""

    charger: str
    token: str
    start: object
    stop: object = None


@dataclass(slots=True)
class Ledger:
    """What all chargers have said: sessions by transaction id, and every message by its id."""

    sessions: dict[str, Session] = field(default_factory=dict)
    starts: dict[tuple[object, ...], int] = field(default_factory=dict)
    boots: dict[str, int] = field(default_factory=dict)
    meters: dict[str, list[str]] = field(default_factory=dict)  # by charger: the samples' own times
    notices: list[tuple[str, str]] = field(default_factory=list)  # 2.0.1: limits of others, as chargers tell
    seen: dict[str, set[str]] = field(default_factory=dict)  # by charger: message ids
    again: int = 0  # messages that came once more under the same id: told apart, not counted
    said: set[tuple[str, str, str]] = field(default_factory=set)  # by charger: what may be told once only
    twice: list[tuple[str, str]] = field(default_factory=list)  # what was told once more, as if it were another message

    def start(self, charger: str, token: str, connector: object, at: object, meter: object) -> int:
        """Return the id of a 1.6 transaction; the same start sent again is the same transaction."""
        key = (charger, connector, token, at, meter)
        if key not in self.starts:
            self.starts[key] = len(self.starts) + 1
            self.sessions[f"{charger}/{self.starts[key]}"] = Session(charger, token, meter)
        return self.starts[key]

    def new(self, charger: str, message_id: str, action: str, payload: Any) -> bool:
        """Take note of a message; False for one that has been seen under its id."""
        ids = self.seen.setdefault(charger, set())
        if message_id in ids:
            self.again += 1
            return False
        ids.add(message_id)
        if action in ONCE:
            words = (charger, action, json.dumps(payload, sort_keys=True))
            if words in self.said:
                self.twice.append((charger, action))
            self.said.add(words)
        return True

    def metered(self, charger: str, values: Any) -> None:
        """Take note of samples by their times."""
        self.meters.setdefault(charger, []).extend(str(each.get("timestamp")) for each in values or ())

    def summary(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "chargers": len(self.seen),
            "sessions": len(self.sessions),
            "open": sum(each.stop is None for each in self.sessions.values()),
            "samples": sum(map(len, self.meters.values())),
            "toldTwice": len(self.twice),
            "messagesAgain": self.again,
            "limitNotices": len(self.notices),
        }
