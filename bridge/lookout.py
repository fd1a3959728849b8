"""Puts the view over the whole fleet together: overview, alerts, webhook; the composition root's part for them.

Rule: everything is made here and handed over; nothing happens before its jobs run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from bridge.alerts import Alerts
from bridge.data_settings import AlertSection
from bridge.jobs import Job
from bridge.link import LinkWatch
from bridge.metrics import FleetMetrics
from bridge.overview import Overview
from bridge.store import BridgeStore
from bridge.supervisor import Supervisor
from bridge.target import LimitTarget
from bridge.vtnlink import VtnLink
from bridge.watch import VtnFacts
from bridge.webhook import Poster, Webhook
from openadr import tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookout:
    """The overview for the API, and the jobs of the alerts."""

    overview: Overview
    alerts: Alerts
    jobs: tuple[Job, ...]


def webhook(settings: AlertSection) -> Webhook | None:
    """Return where alerts are posted to, ``None`` for nowhere. Raises ``TlsError``."""
    if not settings.webhook:
        return None
    context = None if settings.ca is None else tls.client_context(ca=settings.ca, cert_chain=None)
    token = "" if settings.token is None else settings.token.get_secret_value()
    return Webhook(url=settings.webhook, token=token, tls=context)


def lookout(
    settings: AlertSection,
    *,
    supervisor: Supervisor,
    target: LimitTarget,
    store: BridgeStore,
    links: tuple[VtnLink, ...],
    watch: LinkWatch,
    leads: Mapping[str, str],
    registry: CollectorRegistry,
) -> Lookout:
    """Make it; ``leads`` names the VTN of each resource. Raises ``TlsError``."""
    metrics, hook = FleetMetrics(registry), webhook(settings)
    overview = Overview(
        supervisor=supervisor,
        target=target,
        store=store,
        silent_since=lambda resource_id: watch.silent_since(leads.get(resource_id, "")),
    )

    def vtns() -> tuple[VtnFacts, ...]:
        return tuple(
            VtnFacts(
                name=link.name,
                silent_since=watch.silent_since(link.name),
                offset_s=link.ven.status.clock_offset_s,
                owed=link.ven.status.outbox_depth,
            )
            for link in links
        )

    alerts = Alerts(
        overview=overview,
        supervisor=supervisor,
        vtns=vtns,
        store=store,
        metrics=metrics,
        thresholds=settings.thresholds,
        messages=hook is not None,
    )
    poster = () if hook is None else Poster(hook, store, metrics).jobs()
    return Lookout(overview=overview, alerts=alerts, jobs=(*alerts.jobs(), *poster))
