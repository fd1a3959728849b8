"""The counters of the OCPP side, made once a process on the registry that the composition root gives.

Rule: labels are few and closed (no charger identity, no free text from the network).
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class OcppMetrics:
    """What the central system and its connections count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = Gauge("ocpp_connected", "Chargers connected now", ["version"], registry=registry)
        self.refused = Counter("ocpp_refused", "Connections refused at the door", ["reason"], registry=registry)
        self.frames = Counter("ocpp_frames", "Frames by direction", ["direction"], registry=registry)
        self.bad_frames = Counter("ocpp_bad_frames", "Frames that could not be used", registry=registry)
        self.quirks = Counter("ocpp_quirks", "Inbound messages that had to be mended", ["action"], registry=registry)
        self.refusals = Counter(
            "ocpp_call_errors_sent", "Calls of chargers answered CALLERROR", ["code"], registry=registry
        )
        self.late = Counter("ocpp_late_answers", "Answers that came after their deadline", registry=registry)
        self.calls = Counter(
            "ocpp_calls", "Calls to chargers by how they ended", ["action", "ended"], registry=registry
        )
        self.call_seconds = Histogram(
            "ocpp_call_seconds", "Time to the answer of a charger", ["action"], registry=registry
        )
        self.commands = Counter("ocpp_commands", "Limit commands by outcome", ["command", "outcome"], registry=registry)
