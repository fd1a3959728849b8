"""The VTN's figures.

Rule: counters only, on the registry that is given; labels have few values.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge


class VtnMetrics:
    """Counters of the OpenADR listener."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.empty_polls = Counter("oadr_vtn_empty_polls", "Polls answered from memory", registry=registry)
        self.answered = Counter("oadr_vtn_answered", "Answers by responseCode", ("message", "code"), registry=registry)
        self.refused = Counter("oadr_vtn_refused", "Requests refused by HTTP status", ("status",), registry=registry)


class PushMetrics:
    """Figures of HTTP push."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ("message", "result")
        self.pushed = Counter("oadr_vtn_pushed", "Payloads pushed, by what became of them", names, registry=registry)
        self._vens = Gauge("oadr_vtn_push_vens", "VENs that are pushed to", registry=registry)
        self._waiting = Gauge("oadr_vtn_push_waiting", "Push VENs with something due", registry=registry)
        self._failing = Gauge("oadr_vtn_push_failing", "Push VENs whose last attempts failed", registry=registry)

    def backlog(self, *, vens: int, waiting: int, failing: int) -> None:
        """Note how many there are."""
        self._vens.set(vens)
        self._waiting.set(waiting)
        self._failing.set(failing)


class ReportMetrics:
    """Figures of report requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Gauge(
            "oadr_vtn_report_requests", "Report requests to VENs that are open", ("state",), registry=registry
        )
        self.missed = Counter("oadr_vtn_reports_overdue", "Reports that did not come in time", registry=registry)
