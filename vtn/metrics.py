"""The VTN's figures.

Rule: counters only, on the registry that is given; labels have few values.
"""

from prometheus_client import CollectorRegistry, Counter


class VtnMetrics:
    """Counters of the OpenADR listener."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.empty_polls = Counter("oadr_vtn_empty_polls", "Polls answered from memory", registry=registry)
        self.answered = Counter("oadr_vtn_answered", "Answers by responseCode", ("message", "code"), registry=registry)
        self.refused = Counter("oadr_vtn_refused", "Requests refused by HTTP status", ("status",), registry=registry)
