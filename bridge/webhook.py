"""Posts what waits in the outbox of alerts to the operator's webhook.

Rule: at least once and in order: a message stays until the webhook has answered 2xx and carries the same
Idempotency-Key however often it is sent. A webhook that is away delays its own messages and nothing else.
"""

import ssl
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import aiohttp

from bridge.jobs import Job
from bridge.metrics import FleetMetrics
from bridge.store import AlertMessage, BridgeStore, Changes
from runtime.logs import get_logger

POST_S = 5.0  # so often it is seen whether something waits
AT_ONCE = 50  # messages a turn
TIMEOUT_S = 10.0  # of one post
FIRST_S, LONGEST_S = 5.0, 900.0  # pause after a failed post, doubled each time

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where alerts are posted to; ``tls`` is ``None`` for the system's trust."""

    url: str
    token: str = ""
    tls: ssl.SSLContext | None = None


class Poster:
    """The sender of one webhook."""

    def __init__(self, webhook: Webhook, store: BridgeStore, metrics: FleetMetrics) -> None:
        self._webhook, self._store, self._metrics = webhook, store, metrics

    def jobs(self) -> tuple[Job, ...]:
        """Return what is done periodically."""
        return (Job(name="webhook", every_s=POST_S, run=self.run),)

    async def run(self, now: datetime) -> int:
        """Post what is due, oldest first, until one is not taken; return how many were."""
        waiting = await self._store.alert_messages(AT_ONCE)
        self._metrics.waiting.set(len(waiting))
        if not waiting or now < waiting[0].not_before:
            return 0
        taken = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as http:
            for message in waiting:
                fault = await self._post(http, message)
                if fault:
                    await self._put_off(message, fault, now)
                    break
                await self._store.write(Changes(alert_messages_told=((message.alert_id, message.state),)))
                taken += 1
        self._metrics.waiting.set(len(waiting) - taken)
        return taken

    async def _post(self, http: aiohttp.ClientSession, message: AlertMessage) -> str:
        """Return what went wrong, '' for nothing."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{message.alert_id}/{message.state}"}
        if self._webhook.token:
            headers["Authorization"] = f"Bearer {self._webhook.token}"
        tls = True if self._webhook.tls is None else self._webhook.tls
        try:
            async with http.post(
                self._webhook.url, data=message.document, headers=headers, ssl=tls, allow_redirects=False
            ) as answer:
                return "" if 200 <= answer.status < 300 else f"answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return str(error) or type(error).__name__

    async def _put_off(self, message: AlertMessage, fault: str, now: datetime) -> None:
        pause_s = min(FIRST_S * 2.0 ** min(message.attempts, 20), LONGEST_S)
        later = replace(message, attempts=message.attempts + 1, not_before=now + timedelta(seconds=pause_s))
        await self._store.write(Changes(alert_messages=(later,)))
        self._metrics.unposted.inc()
        log.warning("webhook did not take an alert", alert_id=message.alert_id, fault=fault, again_in_s=pause_s)
