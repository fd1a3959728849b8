"""One live connection of a charger: its calls to the handlers, what they cause to the fleet, and getting it ready.

Rule: a link is ready, and the fleet told so, only after an accepted boot, or when a charger that booted before is
back; then its capabilities are known. A charger whose boot is Pending or Rejected is answered nothing else (2.0.1
B02.FR.09, B03.FR.07). Whatever takes a call to the charger runs as a task of the link and ends with it.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bridge.ocpp import commission, handlers16, handlers201
from bridge.ocpp.authorise import Authorise, accept_all
from bridge.ocpp.chores import Chores
from bridge.ocpp.frames import ErrorCode, Version
from bridge.ocpp.metrics import OcppMetrics
from bridge.ocpp.probe import probe
from bridge.ocpp.rpc import Answer, Refused, RpcConnection
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.signing import STATION_KINDS, NotSigned
from bridge.ocpp.station import (
    Booted,
    DriverActed,
    Effect,
    ForeignChanged,
    Held,
    NeedsSaid,
    Noticed,
    ProfilesReported,
    Read,
    SessionChanged,
    SignatureAsked,
    Station,
)
from bridge.target import FleetEvents
from runtime.clock import Clock
from runtime.logs import get_logger

_log = get_logger(__name__)
_WHILE_HELD = frozenset({"BootNotification", "NotifyReport"})
_TABLES = {Version.V16: handlers16.HANDLERS, Version.V201: handlers201.HANDLERS}


async def nothing_kept(charger: str, notices: Sequence[Noticed]) -> None:
    """Keep nothing."""


class Socket(Protocol):
    """The part of a websocket that a link uses."""

    async def send_str(self, data: str) -> None:
        """Send one text message; raises ``OSError`` if the connection is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a link has others do: keep what a charger reports, decide on tokens, sign certificates."""

    keep: Callable[[str, Sequence[Noticed]], Awaitable[None]] = nothing_kept
    authorise: Authorise = accept_all
    sign: Callable[[str, str], Awaitable[str]] | None = None


class Link:
    """A charger's connection from its upgrade to its end."""

    def __init__(
        self,
        *,
        station: Station,
        settings: OcppSettings,
        events: FleetEvents,
        clock: Clock,
        metrics: OcppMetrics,
        make_rpc: Callable[["Link"], RpcConnection],
        session_began: Callable[["Link"], Coroutine[Any, Any, None]],
        leads: bool = True,
        sets_metering: bool = True,
        services: Services | None = None,
    ) -> None:
        self._services = services or Services()
        self._leads, self._sets_metering = leads, sets_metering  # False: another system's charger, its settings stay
        self.station = station
        self.ready = False
        self._settings = settings
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self.reported: dict[int, asyncio.Event] = {}  # requests for profiles that wait for their last part
        self._session_began = session_began
        self._chores = Chores(station.config.identity, "link task failed")
        self._preparing: asyncio.Task[None] | None = None
        self._closed = False
        self.rpc = make_rpc(self)

    def start(self) -> None:
        """Begin: answer calls, and ask for a boot if none comes."""
        self.station.version = self.rpc.version
        self.station.connected_since = self.station.last_seen = self._clock.now()
        self.rpc.start()
        self.spawn(self._await_boot())

    async def close(self) -> None:
        """End all work of the link and, if the fleet knew it as connected, tell that it is not."""
        if self._closed:
            return
        self._closed = True
        await self.rpc.close()
        await self._chores.close()
        if self.ready:
            self.ready = False
            self._events.disconnected(self.station.config.identity, self._clock.now())

    async def handle(self, action: str, payload: Mapping[str, Any], now: datetime) -> Answer:
        """Answer one call of the charger."""
        handler = _TABLES[self.rpc.version].get(action)
        if handler is None:
            raise Refused(ErrorCode.NOT_SUPPORTED, f"{action} is not supported here")
        self.station.last_seen = now
        if self.station.registration != "Accepted" and action not in _WHILE_HELD:
            raise Refused(ErrorCode.SECURITY, f"registration is {self.station.registration}")
        reply, effects = handler(self.station, payload, now)
        await self._services.keep(self.station.config.identity, [each for each in effects if isinstance(each, Noticed)])
        await self._authorise(payload, reply)
        if action == "SignCertificate" and not self._signs(payload):
            return Answer(payload={"status": "Rejected"})
        if action == "BootNotification":
            pending = reply["status"] == "Pending"  # soon again: reading takes a few calls
            reply["interval"] = math.ceil(self._settings.boot_grace_s) if pending else self._settings.heartbeat_s
        return Answer(payload=reply, after=lambda: self._apply(effects, now))

    async def _authorise(self, payload: Mapping[str, Any], reply: dict[str, Any]) -> None:
        """Put the word on the driver's token into the answers that have a place for it."""
        for field in ("idTagInfo", "idTokenInfo"):
            if field in reply:
                said = payload.get("idTag") or payload.get("idToken", {}).get("idToken", "")
                reply[field] = {"status": await self._services.authorise(self.station.config.identity, str(said))}

    def _signs(self, payload: Mapping[str, Any]) -> bool:
        return self._services.sign is not None and payload.get("certificateType") in STATION_KINDS

    async def _sign(self, asked: SignatureAsked) -> None:
        """Have the request signed and send the certificate (A02); a charger that gets none asks again."""
        identity = self.station.config.identity
        if self._services.sign is None:
            return
        try:
            chain = await self._services.sign(identity, asked.csr)
        except NotSigned as error:
            _log.warning("certificate not signed", charger=identity, why=str(error))
            return
        answer = await commission.send_certificate(self.rpc, chain, asked.kind)
        _log.info("certificate signed", charger=identity, answer=answer)

    def _apply(self, effects: tuple[Effect, ...], now: datetime) -> None:
        for effect in effects:
            self._apply_one(effect, now)
        if self._preparing is None:  # a charger that calls without a boot has booted before (it only reconnected)
            self._prepare(booted=False)

    def _apply_one(self, effect: Effect, now: datetime) -> None:
        identity = self.station.config.identity
        match effect:
            case Booted():
                self._prepare(booted=True)
            case Held():
                self.spawn(self._read_while_held())
            case Read() | DriverActed() | NeedsSaid():
                self._pass_on(effect, now)
            case SessionChanged(started=started):
                self._events.transaction(identity, started, now)
                if started:
                    self.spawn(self._session_began(self))
            case ForeignChanged():
                self._tell_foreign(effect)
            case SignatureAsked():
                self.spawn(self._sign(effect))
            case ProfilesReported(request_id=request_id):
                if request_id in self.reported:
                    self.reported[request_id].set()

    def _pass_on(self, effect: Read | DriverActed | NeedsSaid, now: datetime) -> None:
        identity = self.station.config.identity
        match effect:
            case Read(reading=reading):
                self._events.reading(reading)
            case DriverActed(kind=kind):
                self._events.driver_action(identity, kind, now)
            case NeedsSaid(needs=needs):
                self._events.needs(identity, needs, now)

    def _tell_foreign(self, change: ForeignChanged) -> None:
        limit = change.limit
        if limit is not None:
            self._metrics.foreign.labels(change.by).inc()
        _log.warning(
            "limit of another system" if limit is not None else "limit of another system is gone",
            charger=self.station.config.identity,
            source=change.source,
            by=change.by,
            limit_a=None if limit is None else limit.limit_a,
            detail="" if limit is None else limit.detail,
        )

    def tell(self, effects: tuple[Effect, ...]) -> None:
        """Pass on effects that did not come with a call of the charger."""
        self._apply(effects, self._clock.now())

    async def _read_while_held(self) -> None:
        """Learn what a Pending charger can do, then have it boot again, which accepts it (B02)."""
        station = self.station
        if station.config.registration != "accepted":
            return
        said = (station.vendor, station.model, station.firmware)
        values = await commission.read_capabilities(self.rpc, station)
        await commission.set_metering(self.rpc, self._settings, station, values)
        station.read_as = said
        await commission.ask_to_boot(self.rpc)

    def _prepare(self, *, booted: bool) -> None:
        if self.station.registration != "Accepted":
            return
        if self._preparing is not None:
            self._preparing.cancel()
        self._preparing = self.spawn(self._get_ready(booted=booted))

    async def _get_ready(self, *, booted: bool) -> None:
        values: dict[str, str] | None = None
        if self.station.capabilities is None:
            values = await commission.read_capabilities(self.rpc, self.station)
        if self._settings.probe and self._leads and self._to_be_probed():
            if values is not None and self._sets_metering:  # a car that plugs in meanwhile is metered in our rhythm
                await commission.set_metering(self.rpc, self._settings, self.station, values)
                values = None
            await self._probe()
        if self._closed:
            return
        self.ready = True
        identity = self.station.config.identity
        _log.info(
            "charger ready", charger=identity, booted=booted, vendor=self.station.vendor, model=self.station.model
        )
        self._events.connected(identity, self._clock.now())
        if values is not None and self._sets_metering:
            await commission.set_metering(self.rpc, self._settings, self.station, values)
        if not booted:
            await commission.ask_for_state(self.rpc)

    def _to_be_probed(self) -> bool:
        station = self.station
        known = station.probed_as == station.kind or not station.knowledge.unknown(station.kind)
        return not (station.sessions or known)

    async def _probe(self) -> None:
        """Learn what a kind of charger takes before it is given its first limit; never while a car charges."""
        station, knowledge = self.station, self.station.knowledge
        kind = station.kind
        station.probed_as = kind  # once, whatever comes of it
        with knowledge.probing(kind):
            found = await probe(self.rpc, station, self._settings, self._clock.now())
            if found is not None:
                await knowledge.learn(kind, found)

    async def _await_boot(self) -> None:
        await self._clock.sleep(self._settings.boot_grace_s)
        if self._preparing is not None:
            return
        if self._leads:
            await commission.ask_to_boot(self.rpc)
            await self._clock.sleep(self._settings.boot_grace_s)
        if self._preparing is None:
            self._prepare(booted=False)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` as long as the link lasts."""
        return self._chores.spawn(work)
