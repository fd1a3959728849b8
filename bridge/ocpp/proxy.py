"""The proxy: for chargers that belong to a CPO's own CSMS, one session each between the two.

Rule: which chargers these are, the settings say; to the rest of the bridge they are chargers like others. What was
kept for a CSMS is read from disk before the first charger dials in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import aiohttp
from prometheus_client import CollectorRegistry

from bridge.ocpp.metrics import ProxyMetrics
from bridge.ocpp.proxy_limits import Limiter, OtherLimits
from bridge.ocpp.proxy_outbox import Outbox
from bridge.ocpp.proxy_session import Parts, ProxySession
from bridge.ocpp.proxy_settings import ProxySection, of
from bridge.ocpp.proxy_table import KnownTokens
from bridge.ocpp.proxy_upstream import Upstream, context, credentials
from bridge.ocpp.rpc import CallFailed, RpcConnection
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Station
from bridge.store import BridgeStore, ProxyMessage, ProxyProfile, ProxyTransaction
from runtime.clock import Clock, Draw, new_id
from runtime.logs import get_logger
from runtime.settings import SettingsError

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What the database kept for the CSMSs, by charger."""

    messages: Mapping[str, list[ProxyMessage]]
    transactions: Mapping[str, Mapping[int, ProxyTransaction]]
    profiles: Mapping[str, list[ProxyProfile]]


class Proxy:
    """All chargers behind CSMSs. ``start`` before the central system listens, ``stop`` after it stopped."""

    def __init__(
        self,
        *,
        proxies: tuple[ProxySection, ...],
        ocpp: OcppSettings,
        store: BridgeStore,
        clock: Clock,
        draw: Draw,
        registry: CollectorRegistry,
    ) -> None:
        self._proxies, self._ocpp, self._store, self._clock, self._draw = proxies, ocpp, store, clock, draw
        self._metrics = ProxyMetrics(registry)
        self._http: aiohttp.ClientSession | None = None
        self._sessions: dict[str, ProxySession] = {}

    def of(self, identity: str) -> ProxySession | None:
        """Return the session of a charger behind a CSMS, ``None`` for one of our own."""
        return self._sessions.get(identity)

    async def start(self, stations: Iterable[Station], limiter: Limiter) -> None:
        """Take up what was kept, and begin to tell it."""
        if not self._proxies:
            return
        http = self._http = aiohttp.ClientSession()
        kept = _Kept(
            messages=await self._store.proxy_messages(),
            transactions=await self._store.proxy_transactions(),
            profiles=await self._store.proxy_profiles(),
        )
        tokens = {id(each): KnownTokens() for each in self._proxies}
        for station in stations:
            settings = of(self._proxies, station.config.identity)
            if settings is not None:
                station.id_base, station.held = settings.profile_id_base, False
                given = self._parts(station, settings, kept, tokens[id(settings)], limiter)
                self._sessions[station.config.identity] = self._session(given, http)
        waiting = sum(len(session.outbox.queue) for session in self._sessions.values())
        self._metrics.kept.set(waiting)
        _log.info("proxy in front of CSMSs", chargers=len(self._sessions), kept=waiting)
        for session in self._sessions.values():
            session.start()

    def _parts(
        self, station: Station, settings: ProxySection, kept: _Kept, tokens: KnownTokens, limiter: Limiter
    ) -> Parts:
        identity = station.config.identity
        outbox = Outbox(
            charger=identity,
            store=self._store,
            clock=self._clock,
            new_id=lambda: new_id("p"),
            most=settings.most_kept,
            messages=kept.messages.get(identity, ()),
            transactions=kept.transactions.get(identity),
        )
        others = OtherLimits(
            station=station,
            settings=self._ocpp,
            base=settings.profile_id_base,
            store=self._store,
            clock=self._clock,
            limiter=limiter,
            metrics=self._metrics,
            rows=kept.profiles.get(identity, []),
        )
        return Parts(
            station=station,
            settings=settings,
            ocpp=self._ocpp,
            outbox=outbox,
            others=others,
            tokens=tokens,
            clock=self._clock,
            metrics=self._metrics,
        )

    def _session(self, given: Parts, http: aiohttp.ClientSession) -> ProxySession:
        session = ProxySession(given)
        session.upstream = Upstream(
            identity=given.station.config.identity,
            settings=given.settings,
            max_frame_bytes=self._ocpp.max_frame_bytes,
            http=http,
            clock=self._clock,
            draw=self._draw,
            relay=session.from_csms,
            changed=session.changed,
            metrics=self._metrics,
        )
        return session

    async def stop(self) -> None:
        """Close every connection to a CSMS. What was not told stays on disk."""
        for session in self._sessions.values():
            await session.stop()
        self._sessions = {}
        if self._http is not None:
            await self._http.close()
            self._http = None


class ListeningRpc(RpcConnection):
    """A charger's connection on which nothing of ours is ever sent: observe-only mode."""

    async def call(self, action: str, *_: object, **__: object) -> dict[str, object]:
        """Refuse, as a charger would that cannot do it."""
        raise CallFailed("NotSupported", f"{action} is not sent: the bridge only observes this charger")


def check(proxies: tuple[ProxySection, ...], identities: Iterable[str]) -> None:
    """Read every credential that the settings name, as a dial would. Raises ``TlsError`` or ``SettingsError``."""
    for identity in identities:
        settings = of(proxies, identity)
        if settings is not None:
            context(settings, identity)
            try:
                credentials(settings, identity, None)
            except OSError as error:
                raise SettingsError(f"proxies.password_file: {error.filename}: {error.strerror}") from error
