"""The VEN's figures: exchanges, failures, faults of our own, last contact, clock offset, outbox, registration."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge


class VenMetrics:
    """Counters and gauges of one VEN, on the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.exchanges = Counter(
            "oadr_ven_exchanges", "Exchanges that the VTN answered", ("message",), registry=registry
        )
        self.failures = Counter("oadr_ven_failures", "Exchanges without an answer", ("failure",), registry=registry)
        self.faults = Counter("oadr_ven_faults", "Turns that failed on our own side", registry=registry)
        self.last_contact = Gauge(
            "oadr_ven_last_contact_timestamp_seconds", "When the VTN last answered", registry=registry
        )
        self.clock_offset = Gauge("oadr_ven_clock_offset_seconds", "The VTN's clock less ours", registry=registry)
        self.outbox = Gauge("oadr_ven_outbox_messages", "Messages owed to the VTN", registry=registry)
        self.registered = Gauge("oadr_ven_registered", "1 while registered", registry=registry)

    def contact(self, message: str, now: datetime, clock_offset_s: float | None) -> None:
        """Note an answered exchange."""
        self.exchanges.labels(message=message).inc()
        self.last_contact.set(now.timestamp())
        if clock_offset_s is not None:
            self.clock_offset.set(clock_offset_s)

    def standing(self, *, registered: bool, outbox_depth: int) -> None:
        """Note how the VEN stands after a commit."""
        self.registered.set(registered)
        self.outbox.set(outbox_depth)
