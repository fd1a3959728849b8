"""The operator API's view of CTA-2045 devices: what each is, what it was told, what it says, what it measured.

Rule: only shown, nothing decided; a device is steered by events, limits and overrides like every other load.
"""

from datetime import datetime

from aiohttp import web

from bridge.api.bodies import PREFIX, Body
from bridge.cta2045.delivery import Delivery
from bridge.cta2045.energy import Commodity
from bridge.cta2045.memory import Standing
from bridge.cta2045.orders import Order
from bridge.cta2045.unit import Look
from bridge.cta2045.values import Capability, device_name
from bridge.ecoport import EcoPorts
from runtime.http import Problem, json_response


class InfoBody(Body, frozen=True):
    """What a device says of itself."""

    type: str
    vendor: str
    model: str
    serial: str
    firmware: str
    edition: str
    capabilities: tuple[str, ...]


class OrderBody(Body, frozen=True):
    """What is asked for now; ``share`` is of the rating, where a power level is asked for."""

    key: str
    mode: str
    start: datetime
    end: datetime | None
    share: float | None
    energy_wh: float | None
    overridable: bool


class StandingCommandBody(Body, frozen=True):
    """The command that stands on the device and still gets its End Shed."""

    command: str
    bytes: str
    since: datetime
    ends: datetime | None
    phase: str


class DeliveryBody(Body, frozen=True):
    """How the last order went: ``taken`` is an acknowledgement, ``followed`` is effect."""

    key: str
    outcome: str
    at: datetime
    sent: str
    share: float | None
    detail: str


class CommodityBody(Body, frozen=True):
    """One reading; ``measured`` false: the device's own estimate."""

    code: int
    name: str
    rate: int
    cumulative: int
    measured: bool


class CtaDeviceBody(Body, frozen=True):
    """One CTA-2045 device. ``commStatus`` is what it is told of the VTN: good, poor or lost."""

    device_id: str
    resource_id: str
    type: str
    port: str
    port_open: bool
    connected: bool
    last_seen: datetime | None
    info: InfoBody | None
    intermediate: bool
    payload: int | None
    bit_rate: int
    state: str | None
    override: bool
    comm_status: str
    order: OrderBody | None
    standing: StandingCommandBody | None
    last_delivery: DeliveryBody | None
    commodities: tuple[CommodityBody, ...]


class DevicesApi:
    """Handlers of ``/cta-devices``; ``ecoports`` is ``None`` where nobody minds any."""

    def __init__(self, ecoports: EcoPorts | None) -> None:
        self._ecoports = ecoports

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{PREFIX}/cta-devices", self.devices),
            web.get(f"{PREFIX}/cta-devices/{{id}}", self.device),
        ]

    async def devices(self, _request: web.Request) -> web.Response:
        """GET /cta-devices."""
        if self._ecoports is None:
            return json_response([])
        return json_response([_body(name, self._ecoports) for name in self._ecoports.resources])

    async def device(self, request: web.Request) -> web.Response:
        """GET /cta-devices/{id}."""
        name = request.match_info["id"]
        if self._ecoports is None or name not in self._ecoports.resources:
            raise Problem(404, f"device {name} is not known here", title="Unknown device")
        return json_response(_body(name, self._ecoports))


def _body(name: str, ecoports: EcoPorts) -> CtaDeviceBody:
    resource, notes = ecoports.resources[name], ecoports.notes
    look = ecoports.devices.look(name)
    last = notes.deliveries.get(name)
    return CtaDeviceBody(
        device_id=name,
        resource_id=resource.resource_id,
        type=resource.kind.value,
        port=look.port,
        port_open=look.open,
        connected=look.facts is not None,
        last_seen=look.seen,
        info=_info(look),
        intermediate=look.facts is not None and look.facts.intermediate,
        payload=None if look.facts is None else look.facts.payload,
        bit_rate=look.bit_rate,
        state=None if look.state is None else look.state.name.lower(),
        override=look.overridden,
        comm_status=look.upstream.name.lower(),
        order=None if look.order is None else _order(look.order),
        standing=None if look.standing is None else _standing(look.standing),
        last_delivery=None if last is None else _delivery(last),
        commodities=tuple(_commodity(each) for each in notes.readings.get(name, ())),
    )


def _info(look: Look) -> InfoBody | None:
    info = None if look.facts is None else look.facts.info
    if info is None:
        return None
    return InfoBody(
        type=device_name(info.device_type),
        vendor=f"{info.vendor:04x}",
        model=info.model,
        serial=info.serial,
        firmware=info.firmware,
        edition=info.version,
        capabilities=tuple(flag.name.lower() for flag in Capability if flag in info.capability and flag.name),
    )


def _order(order: Order) -> OrderBody:
    level = order.mode.value == "power_level"
    return OrderBody(
        key=order.key,
        mode=order.mode.value,
        start=order.start,
        end=order.end,
        share=order.share if level else None,
        energy_wh=order.energy_wh,
        overridable=order.overridable,
    )


def _standing(standing: Standing) -> StandingCommandBody:
    return StandingCommandBody(
        command=standing.op.name.lower(),
        bytes=f"{standing.op:02x} {standing.operand:02x}",
        since=standing.since,
        ends=standing.ends,
        phase=standing.phase.value,
    )


def _delivery(last: Delivery) -> DeliveryBody:
    return DeliveryBody(
        key=last.key, outcome=last.outcome.value, at=last.at, sent=last.sent, share=last.share, detail=last.detail
    )


def _commodity(each: Commodity) -> CommodityBody:
    name = f"commodity {each.code}" if each.kind is None else each.kind.name.lower()
    return CommodityBody(
        code=each.code & 0x7F, name=name, rate=each.rate, cumulative=each.cumulative, measured=each.measured
    )
