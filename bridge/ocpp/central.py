"""The OCPP central system: chargers of both versions that have dialled in, as a ``LimitTarget`` of the bridge.

Rule: one command at a time to a charger, and none raises for a charger's fault. Connections are the listener's; what a
message means is decided in the handlers and in ``profile``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from prometheus_client import CollectorRegistry

from bridge.ocpp import audit, clearing, commands, commission, fallback, passing
from bridge.ocpp.backoffice import BackOffice
from bridge.ocpp.commands import Installed
from bridge.ocpp.deadline import Deadline
from bridge.ocpp.frames import Version
from bridge.ocpp.knowledge import Knowledge
from bridge.ocpp.link import Link
from bridge.ocpp.listener import Listener, listener_context
from bridge.ocpp.metrics import OcppMetrics
from bridge.ocpp.passing import NotPassed, Passed
from bridge.ocpp.proxy import ListeningRpc, Proxy
from bridge.ocpp.proxy_session import ProxySession
from bridge.ocpp.quirks import Knobs
from bridge.ocpp.readback import ReadBack
from bridge.ocpp.rpc import RpcConnection
from bridge.ocpp.sending import Send
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from bridge.ocpp.station import Station
from bridge.ocpp.upkeep import Upkeep
from bridge.store import BridgeStore
from bridge.target import ChargerStatus, CommandOutcome, CommandResult, FleetEvents, LimitSchedule
from runtime.clock import Clock, new_id
from runtime.logs import get_logger

_log = get_logger(__name__)


class CentralSystem:
    """Chargers of both OCPP versions behind ``bridge.target.LimitTarget``."""

    def __init__(
        self,
        *,
        settings: OcppSettings,
        chargers: Iterable[ChargerConfig],
        events: FleetEvents,
        clock: Clock,
        registry: CollectorRegistry,
        proxy: Proxy | None = None,
        knowledge: Knowledge | None = None,
        store: BridgeStore | None = None,
    ) -> None:
        self._proxy = proxy
        self._office = BackOffice(settings, clock, store, knowledge)
        self.knowledge = self._office.knowledge
        self._settings = settings
        self._events = events
        self._clock = clock
        self._metrics = OcppMetrics(registry)
        self._stations = {
            config.identity: Station(
                config=config,
                held=settings.hold_pending,
                registration=config.registration.capitalize(),
                knowledge=self.knowledge,
            )
            for config in chargers
        }
        self._installed = {identity: Installed() for identity in self._stations}
        self._upkeep = Upkeep(settings, clock, self._metrics, self._installed)
        self._listener = Listener(
            settings=settings,
            stations=self._stations,
            metrics=self._metrics,
            make_link=self._link,
            behind=self._behind,
        )

    async def start(self) -> None:
        """Listen. Raises ``OSError`` if the port is taken, ``TlsError`` if a certificate is no good."""
        context = listener_context(self._settings)
        await self._office.start()
        if self._proxy is not None:
            await self._proxy.start(self._stations.values(), self)
        await self._listener.start(context)

    async def stop(self) -> None:
        """Close every connection (their profiles stay in the chargers) and stop listening."""
        await self._listener.stop()
        await self._office.stop()
        if self._proxy is not None:
            await self._proxy.stop()

    @property
    def port(self) -> int:
        """The TCP port in use; 0 before ``start``."""
        return self._listener.port

    async def set_limit(self, identity: str, schedule: LimitSchedule) -> CommandResult:
        """Install ``schedule`` on the charger, for a running session and for one that begins inside it."""
        link = self._ready(identity)
        if link is None:
            return self._result("set", CommandOutcome.OFFLINE, self._why_not(identity))
        installed, behind = self._installed[identity], self._behind(identity)
        async with installed.command(link.rpc):
            if behind is not None:
                await behind.others.before_ours()
            reply = await self._upkeep.install(link, installed, schedule)
            self._upkeep.follow_up(link, installed, reply)
        if behind is not None and reply.outcome is CommandOutcome.ACCEPTED:
            await behind.limited(schedule)
        _log.debug(
            "limit sent", charger=identity, schedule=schedule.schedule_id, outcome=reply.outcome, word=reply.word
        )
        return self._result("set", reply.outcome, reply.word)

    async def clear_limit(self, identity: str, schedule_id: int) -> CommandResult:
        """Remove the schedule. Removing one that is not there is ACCEPTED."""
        link = self._ready(identity)
        if link is None:
            self._forget(identity, schedule_id)
            return self._result("clear", CommandOutcome.OFFLINE, self._why_not(identity))
        installed = self._installed[identity]
        async with installed.command(link.rpc):
            reply = await clearing.remove(
                link.rpc, link.station, self._settings, installed, schedule_id, self._clock.now()
            )
            if link.station.config.fallback != "none" and (
                installed.out_of_service or link.station.knobs.smart_charging is False
            ):
                reply = await fallback.release(link.rpc, installed)
            self._upkeep.follow_up(link, installed, reply)
        behind = self._behind(identity)
        if behind is not None and self.in_force(identity) is None:
            await behind.freed()
        _log.debug("limit cleared", charger=identity, schedule=schedule_id, outcome=reply.outcome, word=reply.word)
        return self._result("clear", reply.outcome, reply.word)

    async def set_available(self, identity: str, available: bool) -> CommandResult:
        """Take the charger out of service, or back; a running session may have to end first."""
        link = self._ready(identity)
        if link is None:
            return self._result("availability", CommandOutcome.OFFLINE, self._why_not(identity))
        async with self._installed[identity].lock:
            reply = await commands.set_available(link.rpc, available)
        return self._result("availability", reply.outcome, reply.word)

    async def stop_session(self, identity: str) -> CommandResult:
        """End every running session. With none running it is ACCEPTED."""
        link = self._ready(identity)
        if link is None:
            return self._result("stop", CommandOutcome.OFFLINE, self._why_not(identity))
        async with self._installed[identity].lock:
            reply = await commands.stop_sessions(link.rpc, link.station)
        return self._result("stop", reply.outcome, reply.word)

    async def trigger(self, identity: str, message: str, connector: int | None = None) -> CommandResult:
        """Ask for a message now, for example MeterValues (OCP-12)."""
        link = self._ready(identity)
        if link is None:
            return self._result("trigger", CommandOutcome.OFFLINE, self._why_not(identity))
        reply = await commands.trigger(link.rpc, message, connector)
        return self._result("trigger", reply.outcome, reply.word)

    async def pass_on(self, identity: str, action: str, payload: Mapping[str, Any]) -> Passed:
        """Send an operator's message as it is; ``NotPassed`` for one that is not sent."""
        if self._behind(identity) is not None:
            raise NotPassed("its own CSMS leads this charger")
        link = self._ready(identity)
        if link is None:
            return Passed(outcome=CommandOutcome.OFFLINE, answer={}, detail=self._why_not(identity))
        found = await passing.send(link.rpc, action, payload)
        self._metrics.command_ended("pass", found.outcome.value)
        _log.info("message passed on", charger=identity, action=action, outcome=found.outcome.value)
        return found

    def knows(self, identity: str) -> bool:
        """Tell whether a charger of this name may dial in."""
        return identity in self._stations

    def knobs(self, identity: str) -> tuple[Knobs, bool]:
        """Return what is known of a charger's kind, and whether it was probed."""
        station = self._stations[identity]
        return station.knobs, station.kind in self.knowledge.learnt

    async def read_back(self, identity: str) -> ReadBack | None:
        """Ask the charger what limits it holds, beside ours (OCP-06); ``None`` if it is not there."""
        link = self._ready(identity)
        if link is None:
            return None
        return await audit.read_back(link, self._settings, self._installed[identity], self._clock)

    async def set_registration(self, identity: str, registration: Literal["accepted", "pending", "rejected"]) -> bool:
        """Decide what the charger's boot is answered from now on and have it boot; ``False`` if it is not known.

        A charger behind a CSMS is registered by that: ``False`` as well.
        """
        station = self._stations.get(identity)
        if station is None or self._behind(identity) is not None:
            return False
        station.config = replace(station.config, registration=registration)
        link = self._listener.links.get(identity)
        if link is not None:
            await commission.ask_to_boot(link.rpc)
        return True

    def in_force(self, identity: str) -> LimitSchedule | None:
        """Return our schedule that a charger holds and that is not over."""
        schedule = self._installed[identity].schedule
        return schedule if schedule is not None and schedule.end > self._clock.now() else None

    async def assert_again(self, identity: str) -> None:
        """Send the schedule in force once more: what it meets on the charger has changed."""
        link, installed = self._ready(identity), self._installed[identity]
        if link is not None:
            async with installed.lock:
                schedule, behind = self.in_force(identity), self._behind(identity)
                if behind is not None and schedule is not None:
                    await behind.others.before_ours()
                    reply = await self._upkeep.install(link, installed, schedule)
                    self._upkeep.follow_up(link, installed, reply)
                    self._metrics.command_ended("assert", reply.outcome.value)

    def _behind(self, identity: str) -> ProxySession | None:
        return self._proxy.of(identity) if self._proxy is not None else None

    def status(self, identity: str) -> ChargerStatus | None:
        """Return what is known of one charger, ``None`` if it was never seen."""
        station = self._stations.get(identity)
        if station is None or station.last_seen is None:
            return None
        return station.status(connected=self._ready(identity) is not None)

    def chargers(self) -> tuple[ChargerStatus, ...]:
        """Return every charger seen, ordered by identity."""
        return tuple(status for identity in sorted(self._stations) if (status := self.status(identity)) is not None)

    def _ready(self, identity: str) -> Link | None:
        link = self._listener.links.get(identity)
        return link if link is not None and link.ready else None

    def _why_not(self, identity: str) -> str:
        if identity not in self._stations:
            return "unknown charger"
        return "connected, not yet booted" if identity in self._listener.links else "not connected"

    def _forget(self, identity: str, schedule_id: int) -> None:
        """A schedule cleared while the charger is away must not be bound to its next session by us."""
        installed = self._installed.get(identity)
        if installed is not None and installed.schedule is not None and installed.schedule.schedule_id == schedule_id:
            installed.schedule = None

    def _result(self, command: str, outcome: CommandOutcome, detail: str) -> CommandResult:
        self._metrics.command_ended(command, outcome.value)
        return CommandResult(outcome=outcome, detail=detail, at=self._clock.now())

    def _link(self, station: Station, version: Version, send: Send) -> Link:
        if station.deadline is None:
            station.deadline = Deadline(self._settings.call_timeout_s)

        behind = self._behind(station.config.identity)
        listens = behind is not None and behind.settings.mode == "observe"

        def make_rpc(link: Link) -> RpcConnection:
            return (ListeningRpc if listens else RpcConnection)(
                identity=station.config.identity,
                version=version,
                send=send,
                handle=link.handle,
                clock=self._clock,
                metrics=self._metrics,
                new_id=lambda: new_id("c"),
                deadline=station.deadline,
                yield_s=self._settings.yield_s,
                relay=behind.from_charger if behind is not None else None,
            )

        return Link(
            station=station,
            settings=self._settings,
            events=self._events,
            clock=self._clock,
            metrics=self._metrics,
            make_rpc=make_rpc,
            session_began=self._upkeep.session_began,
            leads=behind is None,
            sets_metering=behind is None or behind.settings.set_metering,
            services=self._office.services,
        )
