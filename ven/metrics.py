"""The VEN's figures: exchanges, failures, faults of our own, last contact, clock offset, outbox, registration.

Rule: one set of figures a process, labelled with the VTN's name as the settings give it ('' for the only one), so that
a process with several VTNs tells them apart and has no more series than VTNs.
"""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

_VTN = ("vtn",)


class VenFigures:
    """Counters and gauges of all VENs of a process, on the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.exchanges = Counter(
            "oadr_ven_exchanges", "Exchanges that the VTN answered", (*_VTN, "message"), registry=registry
        )
        self.failures = Counter(
            "oadr_ven_failures", "Exchanges without an answer", (*_VTN, "failure"), registry=registry
        )
        self.faults = Counter("oadr_ven_faults", "Turns that failed on our own side", _VTN, registry=registry)
        self.last_contact = Gauge(
            "oadr_ven_last_contact_timestamp_seconds", "When the VTN last answered", _VTN, registry=registry
        )
        self.clock_offset = Gauge("oadr_ven_clock_offset_seconds", "The VTN's clock less ours", _VTN, registry=registry)
        self.outbox = Gauge("oadr_ven_outbox_messages", "Messages owed to the VTN", _VTN, registry=registry)
        self.registered = Gauge("oadr_ven_registered", "1 while registered", _VTN, registry=registry)

    def of(self, vtn: str) -> "VenMetrics":
        """Return the figures of the VEN at the VTN named ``vtn``."""
        return VenMetrics(self, vtn)


class VenMetrics:
    """The figures of one VEN."""

    def __init__(self, figures: VenFigures, vtn: str) -> None:
        self._all, self._vtn = figures, vtn
        self._faults = figures.faults.labels(vtn=vtn)  # there from the start: 0, not absent
        self.standing(registered=False, outbox_depth=0)

    def contact(self, message: str, now: datetime, clock_offset_s: float | None) -> None:
        """Note an answered exchange."""
        self._all.exchanges.labels(vtn=self._vtn, message=message).inc()
        self._all.last_contact.labels(vtn=self._vtn).set(now.timestamp())
        if clock_offset_s is not None:
            self._all.clock_offset.labels(vtn=self._vtn).set(clock_offset_s)

    def failed(self, failure: str) -> None:
        """Note an exchange without an answer."""
        self._all.failures.labels(vtn=self._vtn, failure=failure).inc()

    def fault(self) -> None:
        """Note a turn that failed on our own side."""
        self._faults.inc()

    def standing(self, *, registered: bool, outbox_depth: int) -> None:
        """Note how the VEN stands after a commit."""
        self._all.registered.labels(vtn=self._vtn).set(registered)
        self._all.outbox.labels(vtn=self._vtn).set(outbox_depth)
