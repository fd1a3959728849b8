"""Alerts of the bridge: looked for, stored, logged, counted, and put into the outbox of the webhook (TEL-17).

Rule: an alert and its message are written in one transaction. A restart neither raises nor clears anything: what is
open is on disk. What is an alert is decided in ``bridge.watch``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from bridge.figures import GroupFigures, Seen, group_figures
from bridge.jobs import Job
from bridge.metrics import FleetMetrics
from bridge.overview import Overview
from bridge.store import Alert, AlertMessage, BridgeStore, Changes
from bridge.supervisor import Supervisor
from bridge.watch import Condition, Facts, Thresholds, VtnFacts, Watched, conditions, look
from runtime.clock import new_id
from runtime.logs import get_logger

LOOK_S = 15.0  # the fleet is looked at this often
FIGURES_S = 300.0  # key figures are worked out this often
FIGURES_OF = timedelta(hours=24)  # over so long
RAISED, CLEARED = "raised", "cleared"

log = get_logger(__name__)


class Alerts:
    """The watch over one bridge; ``vtns`` returns how its VTNs stand, ``messages`` is true if a webhook is set."""

    def __init__(
        self,
        *,
        overview: Overview,
        supervisor: Supervisor,
        vtns: Callable[[], tuple[VtnFacts, ...]],
        store: BridgeStore,
        metrics: FleetMetrics,
        thresholds: Thresholds,
        messages: bool,
    ) -> None:
        self._overview, self._supervisor, self._vtns, self._store = overview, supervisor, vtns, store
        self._metrics, self._thresholds, self._messages = metrics, thresholds, messages
        self._watched: Mapping[tuple[str, str], Watched] | None = None
        self._open: dict[tuple[str, str], Alert] = {}

    def jobs(self) -> tuple[Job, ...]:
        """Return what is done periodically."""
        return (
            Job(name="alerts", every_s=LOOK_S, run=self.run),
            Job(name="figures", every_s=FIGURES_S, run=self.figures),
        )

    async def run(self, now: datetime) -> None:
        """Look at the fleet once: figures for Prometheus, alerts raised and cleared."""
        fleet = await self._overview.seen(now)
        groups = group_figures(fleet.values())
        self._metrics.groups(groups)
        if self._watched is None:
            await self._load(now)
        turn = look(
            self._watched or {},
            conditions(self._facts(fleet, groups, now), self._thresholds),
            now,
            self._thresholds.for_s,
        )
        raised = [_alert(each, now) for each in turn.raised]
        cleared = [
            replace(self._open[each.key], text=each.text, cleared_at=now)
            for each in turn.cleared
            if each.key in self._open
        ]
        told = [*((each, RAISED) for each in raised), *((each, CLEARED) for each in cleared)]
        messages = tuple(_message(alert, state, now) for alert, state in told) if self._messages else ()
        try:
            await self._store.write(Changes(alerts=(*raised, *cleared), alert_messages=messages))
        except BaseException:
            self._watched = None  # nobody knows whether it is stored: read what is so before the next look
            raise
        self._watched = turn.watched
        for alert, state in told:
            self._tell(alert, state)
        self._metrics.open_alerts(self._open.values())

    async def figures(self, now: datetime) -> None:
        """Work the key figures of the last day out for Prometheus (TEL-18)."""
        self._metrics.key_figures(await self._overview.key_figures(now - FIGURES_OF, now))

    async def _load(self, now: datetime) -> None:
        self._open = {(each.kind, each.subject): each for each in await self._store.alerts(open_only=True)}
        self._watched = {
            key: Watched(condition=_condition(each), since=now, raised=True) for key, each in self._open.items()
        }

    def _facts(self, fleet: Mapping[str, Seen], groups: tuple[GroupFigures, ...], now: datetime) -> Facts:
        supplies = self._supervisor.escalator.supplies.values()
        return Facts(
            vtns=self._vtns(),
            groups=groups,
            outcomes=tuple(self._supervisor.ledger.outcomes.values()),
            limits=self._overview.group_limits(fleet, now),
            cut=tuple((each.charger, each.event_id) for each in supplies),
            dropped=self._supervisor.fleet.dropped,
            steps=self._supervisor.planner.steps,
        )

    def _tell(self, alert: Alert, state: str) -> None:
        key = (alert.kind, alert.subject)
        if state == RAISED:
            self._open[key] = alert
            self._metrics.raised.labels(kind=alert.kind).inc()
            log.warning("alert", kind=alert.kind, subject=alert.subject, severity=alert.severity, text=alert.text)
        else:
            self._open.pop(key, None)
            log.info("alert is over", kind=alert.kind, subject=alert.subject, raised_at=alert.raised_at)


def _alert(condition: Condition, now: datetime) -> Alert:
    return Alert(
        alert_id=new_id("alert"),
        kind=condition.kind,
        subject=condition.subject,
        severity=condition.severity,
        text=condition.text,
        raised_at=now,
    )


def _condition(alert: Alert) -> Condition:
    return Condition(kind=alert.kind, subject=alert.subject, severity=alert.severity, text=alert.text)


def _message(alert: Alert, state: str, now: datetime) -> AlertMessage:
    document = {
        "alertID": alert.alert_id,
        "state": state,
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": alert.severity,
        "text": alert.text,
        "raisedAt": alert.raised_at,
        "clearedAt": alert.cleared_at,
    }
    return AlertMessage(
        alert_id=alert.alert_id,
        state=state,
        document=msgspec.json.encode(document).decode(),
        made_at=now,
        not_before=now,
    )
