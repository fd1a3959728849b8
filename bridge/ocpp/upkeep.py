"""Keeps a limit in force after it was accepted: its next parts, new sessions, the fallback, reading it back.

Rule: one command at a time to a charger: each of these takes the charger's lock, and what a newer command made void is
dropped.
"""

from collections.abc import Mapping
from datetime import timedelta

from bridge.ocpp import audit, commands, fallback
from bridge.ocpp.commands import Installed, Reply
from bridge.ocpp.link import Link
from bridge.ocpp.metrics import OcppMetrics
from bridge.ocpp.settings import OcppSettings
from bridge.target import CommandOutcome, LimitSchedule
from runtime.clock import Clock
from runtime.logs import get_logger

_log = get_logger(__name__)
_START_RETRIES_S = (2.0, 10.0)  # some chargers refuse a TxProfile until their session is fully under way
_AGAIN = timedelta(seconds=60)  # a part of a schedule that was not taken is sent again so much later


class Upkeep:
    """What follows a command; ``installed`` is what each charger holds."""

    def __init__(
        self, settings: OcppSettings, clock: Clock, metrics: OcppMetrics, installed: Mapping[str, Installed]
    ) -> None:
        self._settings, self._clock, self._metrics, self._installed = settings, clock, metrics, installed

    def follow_up(self, link: Link, installed: Installed, reply: Reply) -> None:
        """See to what comes after a command: the next part of a long schedule, and reading back (OCP-06)."""
        for task in (installed.renewal, installed.reading):
            if task is not None:
                task.cancel()
        installed.renewal = installed.reading = None
        if installed.due is not None:
            installed.renewal = link.spawn(self._keep_up(link, installed))
        wait_s = self._settings.read_back_s
        if wait_s is not None and reply.outcome is CommandOutcome.ACCEPTED and installed.schedule is not None:
            installed.reading = link.spawn(self._read_back_after(link, installed, wait_s))

    async def install(self, link: Link, installed: Installed, schedule: LimitSchedule) -> Reply:
        """Send a schedule as profiles, or by the fallback where the charger takes none and its operator chose so."""
        now = self._clock.now()
        if installed.out_of_service and schedule.end <= now:
            return await fallback.hold(link.rpc, link.station, installed, schedule, now)
        reply = await commands.install(link.rpc, link.station, self._settings, installed, schedule, now)
        if fallback.needed(link.station, reply):
            reply = await fallback.hold(link.rpc, link.station, installed, schedule, now)
        return reply

    async def _keep_up(self, link: Link, installed: Installed) -> None:
        """Send each next part of the schedule in force when it is due; a failed one again a minute later."""
        while installed.due is not None:
            now = self._clock.now()
            await self._clock.sleep((installed.due - now).total_seconds())
            async with installed.lock:
                now, schedule = self._clock.now(), installed.schedule
                if schedule is None:
                    return
                reply = await self.install(link, installed, schedule)
                if reply.outcome is not CommandOutcome.ACCEPTED:
                    installed.due = self._clock.now() + _AGAIN if now < schedule.end else None
            self._metrics.commands.labels("renew", reply.outcome.value).inc()
            _log.info("next part of the limit sent", charger=link.rpc.identity, outcome=reply.outcome, word=reply.word)

    async def _read_back_after(self, link: Link, installed: Installed, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        installed.reading = None  # from here on not to be cancelled: a call that is out is waited for
        await audit.read_back(link, self._settings, installed, self._clock)

    async def session_began(self, link: Link) -> None:
        """Bind the schedule in force to a session that begins inside it (field notes C.1)."""
        identity = link.station.config.identity
        installed = self._installed[identity]
        reply: Reply | None = None
        for wait_s in (0.0, *_START_RETRIES_S):
            await self._clock.sleep(wait_s)
            async with installed.lock:
                if installed.out_of_service and installed.schedule is not None:
                    reply = await self.install(link, installed, installed.schedule)
                else:
                    reply = await commands.extend(link.rpc, link.station, self._settings, installed, self._clock.now())
                if reply is not None and installed.due is not None:
                    self.follow_up(link, installed, reply)
            if reply is None or reply.outcome is not CommandOutcome.REJECTED:
                break
        if reply is not None:
            self._metrics.commands.labels("extend", reply.outcome.value).inc()
            _log.info("limit sent to new session", charger=identity, outcome=reply.outcome, word=reply.word)
