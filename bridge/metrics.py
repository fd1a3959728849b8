"""Figures of the bridge core for Prometheus; the registry is given by the composition root."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class BridgeMetrics:
    """Counters and histograms of supervision."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter("oadr_bridge_outcomes", "Outcome states entered", ("state",), registry=registry)
        self.faults = Counter("oadr_bridge_reconcile_faults", "Reconciliations that failed", registry=registry)
        self.override_to_command = Histogram(
            "oadr_bridge_override_to_command_seconds",
            "From an override's arrival to its command's departure",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
            registry=registry,
        )
