"""One VTN of the bridge, made ready: the VEN that speaks to it, its state, its answer to events, its reports.

Rule: a VTN is told of, and may limit, only the resources that it leads or that are enrolled with it (VEN-04).
"""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.assess import Assessor
from bridge.contents import ContentBook
from bridge.downlink import Passing
from bridge.downstream import Route
from bridge.points import Sampling
from bridge.program import Programmes
from bridge.resources import Resource
from bridge.store import BridgeStore
from bridge.telemetry import Telemetry
from bridge.upstreams import Lane
from openadr import tls
from runtime.clock import Clock, Draw
from runtime.lifecycle import Part, held, task
from ven.client import VenClient
from ven.listener import PushListener
from ven.metrics import VenFigures
from ven.settings import VenSettings
from ven.state import VenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all VTNs of a bridge share; ``changed`` is called after events changed, ``flush`` stores readings."""

    engine: AsyncEngine
    store: BridgeStore
    programmes: Programmes
    sampling: Sampling
    clock: Clock
    draw: Draw
    changed: Callable[[], None]
    flush: Callable[[], Awaitable[None]]
    contents: ContentBook
    routes: tuple[Route, ...] = ()  # events that are passed on are taken on, whatever the loads here can do


@dataclass(frozen=True, slots=True, kw_only=True)
class VtnLink:
    """One VTN; ``name`` is '' for the one of ``[ven]``."""

    name: str
    store: VenStore
    ven: VenClient
    assessor: Assessor
    listener: PushListener | None
    lane: Lane

    def ven_id(self) -> str | None:
        """Return the venID there, ``None`` without a registration."""
        return _ven_id(self.store)

    def parts(self) -> tuple[Part, ...]:
        """Return what runs for it."""
        suffix = f" {self.name}" if self.name else ""
        listener = self.listener
        return (
            *(() if listener is None else (held(f"push{suffix}", listener.start, listener.stop),)),
            task(f"ven{suffix}", self.ven.run),
        )


def client_tls(ven: VenSettings) -> ssl.SSLContext | None:
    """Return the context towards a VTN, ``None`` for plain HTTP. Raises ``TlsError`` naming the file at fault."""
    if ven.ca is None:
        return None
    chain = None if ven.cert is None or ven.key is None else (ven.cert, ven.key)
    return tls.client_context(ca=ven.ca, cert_chain=chain, profile=ven.tls_profile)


async def open_link(
    name: str,
    settings: VenSettings,
    resources: tuple[Resource, ...],
    around: Surroundings,
    figures: VenFigures,
) -> VtnLink:
    """Make one VTN's part, its state read; ``figures`` takes its figures under its name."""
    store = await VenStore.open(around.engine, name)
    contents = around.contents
    assessor = Assessor(around.programmes, resources, lambda: _ven_id(store), lambda: frozenset(contents()))
    telemetry = _telemetry(name, resources, around)
    ven = VenClient(
        settings=settings,
        store=store,
        assess=Passing(assessor, around.routes) if around.routes else assessor,
        capabilities=telemetry.capabilities,
        collect=telemetry.collect,
        clock=around.clock,
        draw=around.draw,
        on_change=around.changed,
        ssl_context=client_tls(settings),
        metrics=figures.of(name),
    )
    return VtnLink(
        name=name,
        store=store,
        ven=ven,
        assessor=assessor,
        listener=None if settings.push is None else PushListener(settings, ven, ven.seal),
        lane=Lane(name=name, events=store, sink=ven, resources=resources),
    )


def _telemetry(name: str, resources: tuple[Resource, ...], around: Surroundings) -> Telemetry:
    contents = around.contents
    return Telemetry(
        resources=resources,
        samples=around.store,
        flush=around.flush,
        sampling=around.sampling,
        contents=contents,
        tellers=lambda: contents.tellers,
        levels=around.sampling.locations.get(name, ()),
    )


def _ven_id(store: VenStore) -> str | None:
    registration = store.snapshot.registration
    return None if registration is None else registration.ven_id
