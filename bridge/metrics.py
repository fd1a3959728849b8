"""Figures of the bridge core for Prometheus; the registry is given by the composition root."""

import math
from collections import Counter as Counts
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bridge.figures import GroupFigures, KeyFigures
from bridge.store.records import Alert


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


class FleetMetrics:
    """The fleet by group, what events came to in the last day, and alerts. As many series as groups and kinds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._power = Gauge(
            "oadr_bridge_group_kilowatts",
            "Power of a group ('' is all): rated, drawn, curtailable, to_floor (no stop), held (of the curtailable)",
            ("group", "what"),
            registry=registry,
        )
        self._count = Gauge(
            "oadr_bridge_group_resources",
            "Resources of a group: all, online, charging, out",
            ("group", "what"),
            registry=registry,
        )
        self._reduction = Gauge(
            "oadr_bridge_reduction_kilowatts",
            "By meter, last 24 h: sum, and peak of one event",
            ("what",),
            registry=registry,
        )
        self._rate = Gauge(
            "oadr_bridge_participation_share",
            "Of what was limited in the last 24 h: verified, opted out, overridden",
            ("what",),
            registry=registry,
        )
        self._withheld = Gauge(
            "oadr_bridge_withheld_kilowatt_hours", "Energy not drawn in events of the last 24 h", registry=registry
        )
        self.raised = Counter("oadr_bridge_alerts", "Alerts raised", ("kind",), registry=registry)
        self._open = Gauge("oadr_bridge_alerts_open", "Alerts that are not over", ("kind",), registry=registry)
        self._known_kinds: set[str] = set()
        self.waiting = Gauge(
            "oadr_bridge_webhook_waiting", "Alert messages that wait for the webhook", registry=registry
        )
        self.unposted = Counter(
            "oadr_bridge_webhook_failures", "Posts that the webhook did not take", registry=registry
        )

    def groups(self, groups: Iterable[GroupFigures]) -> None:
        """Show the groups."""
        for each in groups:
            kilowatts = {
                "rated": each.rated_kw,
                "drawn": each.power_kw,
                "curtailable": each.curtailable_kw,
                "to_floor": each.to_floor_kw,
                "held": each.held_kw,
            }
            counts = {"all": each.resources, "online": each.online, "charging": each.charging, "out": each.out}
            for what, value in kilowatts.items():
                self._power.labels(group=each.group_id, what=what).set(value)
            for what, count in counts.items():
                self._count.labels(group=each.group_id, what=what).set(count)

    def key_figures(self, figures: KeyFigures) -> None:
        """Show what events came to; a rate of nothing is not shown as 0."""
        self._reduction.labels(what="sum").set(figures.reduction_kw)
        self._reduction.labels(what="peak").set(figures.peak_reduction_kw)
        self._withheld.set(figures.withheld_kwh)
        rates = {"verified": figures.verified_rate, "opt_out": figures.opt_out_rate, "override": figures.override_rate}
        for what, rate in rates.items():
            self._rate.labels(what=what).set(math.nan if rate is None else rate)

    def open_alerts(self, alerts: Iterable[Alert]) -> None:
        """Show how many alerts of each kind are open."""
        kinds = Counts(each.kind for each in alerts)
        for kind in self._known_kinds | set(kinds):
            self._open.labels(kind=kind).set(kinds.get(kind, 0))
        self._known_kinds |= set(kinds)
