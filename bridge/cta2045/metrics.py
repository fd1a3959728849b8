"""The figures of the CTA-2045 side, made once a process on the registry that the composition root gives.

Rule: labels are few and closed: no identity of a device, no text from a line.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge


class CtaMetrics:
    """What is counted of all devices together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = Gauge("cta_connected", "CTA-2045 devices that answer now", registry=registry)
        self.deliveries = Counter("cta_deliveries", "How orders to devices went", ["outcome"], registry=registry)
        self.overrides = Counter("cta_overrides", "Customer overrides at devices", ["change"], registry=registry)
