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
        self.repeated = Counter("ocpp_repeated_calls", "Calls of chargers that had been answered", registry=registry)
        self.foreign = Counter(
            "ocpp_foreign_limits", "Limits found that are not ours, by how they were learnt", ["by"], registry=registry
        )
        self.calls = Counter(
            "ocpp_calls", "Calls to chargers by how they ended", ["action", "ended"], registry=registry
        )
        self.call_seconds = Histogram(
            "ocpp_call_seconds", "Time to the answer of a charger", ["action"], registry=registry
        )
        self.commands = Counter("ocpp_commands", "Limit commands by outcome", ["command", "outcome"], registry=registry)
        self.frames_in, self.frames_out = self.frames.labels("in"), self.frames.labels("out")
        self._ended: dict[tuple[str, str], Counter] = {}
        self._timed: dict[str, Histogram] = {}
        self._commanded: dict[tuple[str, str], Counter] = {}

    def call_ended(self, action: str, ended: str, seconds: float) -> None:
        """Count a call to a charger; one that was answered, well or badly, is timed. Looking up labels is dear."""
        counter = self._ended.get((action, ended))
        if counter is None:
            counter = self._ended[action, ended] = self.calls.labels(action, ended)
        counter.inc()
        if ended in {"answered", "refused"}:
            timer = self._timed.get(action)
            if timer is None:
                timer = self._timed[action] = self.call_seconds.labels(action)
            timer.observe(seconds)

    def command_ended(self, command: str, outcome: str) -> None:
        """Count a command by its outcome."""
        counter = self._commanded.get((command, outcome))
        if counter is None:
            counter = self._commanded[command, outcome] = self.commands.labels(command, outcome)
        counter.inc()


class ProxyMetrics:
    """What the proxy in front of CPOs' own CSMSs counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = Gauge("ocpp_proxy_connected", "Connections to CSMSs now", registry=registry)
        self.dials = Counter("ocpp_proxy_dials", "Dials to CSMSs by how they ended", ["ended"], registry=registry)
        self.relayed = Counter("ocpp_proxy_relayed", "Calls relayed, by who called", ["by"], registry=registry)
        self.answered = Counter(
            "ocpp_proxy_answered", "Calls of chargers answered in the place of a CSMS", registry=registry
        )
        self.kept = Gauge("ocpp_proxy_kept", "Messages that wait for a CSMS", registry=registry)
        self.told = Counter("ocpp_proxy_told", "Kept messages that a CSMS has answered", registry=registry)
        self.refused = Counter("ocpp_proxy_refused", "Kept messages that a CSMS does not take", registry=registry)
        self.repeated = Counter(
            "ocpp_proxy_repeated", "Messages that a charger sent again, answered from what is kept", registry=registry
        )
        self.profiles = Counter(
            "ocpp_proxy_profiles", "Charging profiles of CPOs by what was done", ["done"], registry=registry
        )
        # Frames to CSMSs are counted apart from those of chargers, and not shown.
        self.frames = OcppMetrics(CollectorRegistry())
