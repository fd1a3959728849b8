"""The family as the supervisor sees it: caps in amperes to commands, states and readings upward."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

from bridge.cta2045.bodies import Info
from bridge.cta2045.commands import AppNak, Comm, Guidance, Op
from bridge.cta2045.delivery import Delivery, Patience
from bridge.cta2045.energy import Commodity
from bridge.cta2045.fleet import CtaFleet
from bridge.cta2045.ladder import DeviceModel
from bridge.cta2045.memory import InMemory
from bridge.cta2045.meter import Meter, stored
from bridge.cta2045.orders import Mode
from bridge.cta2045.unit import CtaDevice
from bridge.cta2045.values import OperationalState
from bridge.simulators.cta_appliances import Evse
from bridge.simulators.cta_device import Faults, SimulatedDevice
from bridge.target import CarNeeds, CommandOutcome, LimitPeriod, LimitSchedule, LimitTarget, MeterReading
from tests.bridge.cta2045.virtual import T0, Cable, VirtualClock, order, virtually


class Heard:
    """``FleetEvents`` and ``CtaEvents`` in one, keeping everything."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.readings: list[MeterReading] = []
        self.deliveries: list[Delivery] = []
        self.overrides: list[bool] = []

    def connected(self, identity: str, now: datetime) -> None:
        self.events.append(f"{identity} connected")

    def disconnected(self, identity: str, now: datetime) -> None:
        self.events.append(f"{identity} disconnected")

    def reading(self, reading: MeterReading) -> None:
        self.readings.append(reading)

    def transaction(self, identity: str, started: bool, now: datetime) -> None: ...

    def driver_action(self, identity: str, kind: str, now: datetime) -> None:
        self.events.append(f"{identity} {kind}")

    def needs(self, identity: str, needs: CarNeeds, now: datetime) -> None:
        self.events.append(f"{identity} stores {needs.soc:.0%} of {needs.battery_wh:g} Wh")

    def override(self, identity: str, on: bool, now: datetime) -> None:
        self.overrides.append(on)

    def state(self, identity: str, state: OperationalState, now: datetime) -> None: ...

    def commodities(self, identity: str, readings: tuple[Commodity, ...], now: datetime) -> None: ...

    def delivery(self, identity: str, delivery: Delivery) -> None:
        self.deliveries.append(delivery)


class Park:
    """Two devices on cables and their fleet."""

    def __init__(self, **faults: object) -> None:
        self.heard = Heard()
        self.devices = {
            name: SimulatedDevice(
                Evse(),
                info=Info(version="B", vendor=0xAB, device_type=0x1102, model="SIM"),
                draw=Random(1).random,
                faults=Faults(**faults),  # type: ignore[arg-type]
            )
            for name in ("a", "b")
        }
        self.away: set[str] = set()
        self.cables: dict[str, Cable] = {}
        self.fleet = CtaFleet(
            [CtaDevice(identity=name, port=f"/dev/{name}", reference_a=32.0) for name in self.devices],
            memory=InMemory(),
            events=self.heard,
            more=self.heard,
            clock=VirtualClock(),
            draw=Random(2).random,
            zone=UTC,
            models={"SIM": DeviceModel(shed=0.5, critical_peak=0.25, floor=6 / 32)},
            patience=Patience(effect_s=20),
            connect={name: self._connect(name) for name in self.devices},
        )
        self.task = asyncio.create_task(self.fleet.run())

    def _connect(self, name: str):  # type: ignore[no-untyped-def]
        async def connect(factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
            if name in self.away:
                raise OSError("no such device")
            self.cables[name] = Cable(self.devices[name], factory())
            return self.cables[name]

        return connect

    def power_a(self, name: str) -> float:
        return self.devices[name].appliance.power_w / 240


def schedule(*limits: tuple[int, float | None], end: int = 3600, number: int = 7, expires: int = 7200) -> LimitSchedule:
    return LimitSchedule(
        schedule_id=number,
        start=T0,
        end=T0 + timedelta(seconds=end),
        expires=T0 + timedelta(seconds=expires),
        periods=tuple(LimitPeriod(start_s=start, limit_a=limit) for start, limit in limits),
        source="test",
        reason="test",
    )


def run(main: Callable[[Park], object], **faults: object) -> None:
    async def whole() -> None:
        park = Park(**faults)
        await asyncio.sleep(20)
        await main(park)  # type: ignore[misc]
        assert not park.task.done()

    virtually(whole)


def test_cta_10_a_schedule_in_amperes_is_followed_by_the_bridges_clock() -> None:
    async def main(park: Park) -> None:
        target: LimitTarget = park.fleet
        result = await target.set_limit("a", schedule((0, 16.0), (600, 8.0), (1200, None), (1800, 0.0)))
        assert (result.outcome, result.detail) == (CommandOutcome.ACCEPTED, "taken power_level")
        await asyncio.sleep(30)
        assert 15.5 < park.power_a("a") <= 16
        assert park.power_a("b") == 32
        await asyncio.sleep(600)
        assert 7.5 < park.power_a("a") <= 8
        await asyncio.sleep(600)
        assert park.power_a("a") == 32
        await asyncio.sleep(600)
        assert park.power_a("a") == 0
        await asyncio.sleep(1800)
        assert park.power_a("a") == 32
        ends = [each for _, each in park.devices["a"].heard if getattr(each, "op", None) is Op.END_SHED]
        assert len(ends) == 2  # of two curtailments
        reading = park.heard.readings[-1]
        assert reading.source == "cta2045 measured"
        assert reading.energy_wh is not None

    run(main)


def test_clearing_a_limit_ends_it_and_clearing_none_is_fine() -> None:
    async def main(park: Park) -> None:
        assert (await park.fleet.clear_limit("a", 1)).outcome is CommandOutcome.ACCEPTED
        await park.fleet.set_limit("a", schedule((0, 16.0)))
        again = await park.fleet.set_limit("a", schedule((0, 16.0)))
        assert (again.outcome, again.detail) == (CommandOutcome.ACCEPTED, "kept until it is due")
        assert (await park.fleet.clear_limit("a", 7)).detail == "ended end_shed"
        assert park.power_a("a") == 32
        later = await park.fleet.set_limit("a", schedule((900, 16.0)))
        assert later.detail == "kept until it is due"

    run(main)


def test_cta_11_out_of_service_opens_the_contactor_and_lasts_above_everything() -> None:
    async def main(park: Park) -> None:
        assert (await park.fleet.set_available("a", True)).detail == "it was available"
        assert (await park.fleet.set_available("a", False)).outcome is CommandOutcome.ACCEPTED
        await park.fleet.set_available("a", False)
        assert park.power_a("a") == 0
        await park.fleet.set_limit("a", schedule((0, 16.0)))
        await asyncio.sleep(60)
        assert park.power_a("a") == 0
        assert (await park.fleet.set_available("a", True)).outcome is CommandOutcome.ACCEPTED
        await asyncio.sleep(60)
        assert 15.5 < park.power_a("a") <= 16
        assert (await park.fleet.stop_session("a")).outcome is CommandOutcome.NOT_SUPPORTED

    run(main)


def test_cta_09_an_override_is_a_rejection_and_is_told() -> None:
    async def main(park: Park) -> None:
        park.devices["a"].appliance.naks_when_overridden = True
        park.cables["a"].do(park.devices["a"].press_override(asyncio.get_running_loop().time()))
        await asyncio.sleep(5)
        result = await park.fleet.set_limit("a", schedule((0, 16.0)))
        assert result.outcome is CommandOutcome.REJECTED
        assert park.heard.overrides == [True]
        again = await park.fleet.set_limit("a", schedule((0, 16.0)))
        assert (again.outcome, again.detail) == (CommandOutcome.REJECTED, "overridden")

    run(main)


def test_a_device_that_is_away_or_refuses_or_is_silent() -> None:
    async def main(park: Park) -> None:
        everything = dict.fromkeys((Op.POWER_LEVEL, Op.CRITICAL_PEAK, Op.SHED), AppNak.OPCODE1)
        park.devices["b"].faults.app_naks = everything
        assert (await park.fleet.set_limit("b", schedule((0, 8.0)))).outcome is CommandOutcome.NOT_SUPPORTED
        park.devices["a"].faults.silent = True
        assert (await park.fleet.set_limit("a", schedule((0, 8.0)))).outcome is CommandOutcome.TIMEOUT
        park.away.add("a")
        park.cables["a"].pull()
        await asyncio.sleep(1)
        assert (await park.fleet.set_limit("a", schedule((0, 9.0)))).outcome is CommandOutcome.OFFLINE
        assert "a disconnected" in park.heard.events
        status = park.fleet.status("a")
        assert status is not None
        assert not status.connected
        park.devices["a"].faults.silent = False
        park.away.clear()
        await asyncio.sleep(60)
        assert park.power_a("a") <= 9

    run(main)


def test_status_names_the_device() -> None:
    async def main(park: Park) -> None:
        first, second = park.fleet.chargers()
        assert (first.identity, second.identity) == ("a", "b")
        assert (first.protocol, first.vendor, first.model) == ("cta2045", "00ab", "SIM")
        assert first.transaction
        assert first.status == "running_normal"
        assert park.fleet.status("nobody") is None

    run(main)


def test_orders_prices_guidance_and_the_upstream() -> None:
    async def main(park: Park) -> None:
        fleet = park.fleet
        assert (await fleet.order("a", order(Mode.CRITICAL_PEAK, end=900))).detail == "taken critical_peak"
        assert park.power_a("a") == 8
        assert (await fleet.withdraw("a", "e1", "none")).detail == "ended end_shed"
        fleet.settled("b")
        fleet.tell_prices("a", 1.0, 2.0, 600)
        fleet.guide("a", Guidance.BAD)
        fleet.set_upstream(Comm.LOST)
        await asyncio.sleep(20)
        heard = [each.op for _, each in park.devices["a"].heard if hasattr(each, "op")]
        assert {Op.PRESENT_PRICE, Op.NEXT_PRICE, Op.PRICE_TIME_LEFT, Op.GRID_GUIDANCE} <= set(heard)
        assert park.devices["b"].appliance.comm_at is None

    run(main)


def test_only_deltas_of_a_counter_count_and_power_stands_in_for_a_counter_that_stands_still() -> None:
    def reading(rate: int, cumulative: int) -> Commodity:
        return Commodity(code=0, measured=True, rate=rate, cumulative=cumulative)

    counting = Meter()
    assert counting.take(reading(1000, 5000), T0) == 0
    assert counting.take(reading(1000, 5100), T0 + timedelta(minutes=6)) == 100
    assert counting.take(reading(1000, 10), T0 + timedelta(minutes=12)) == 100  # it began anew
    assert counting.take(reading(1000, 20), T0 + timedelta(minutes=12)) == 110
    still = Meter()
    still.take(reading(1000, 0), T0)
    assert still.take(reading(1000, 0), T0 + timedelta(minutes=6)) == 100


def test_tel_10_what_is_stored_is_told_where_it_is_measured() -> None:
    def reading(code: int, cumulative: int, *, measured: bool = True) -> Commodity:
        return Commodity(code=code, measured=measured, rate=0, cumulative=cumulative)

    found = stored((reading(0, 5), reading(6, 12_000), reading(7, 3_000)))
    assert found is not None
    assert (found.share, found.full_wh) == (0.75, 12_000.0)
    assert stored((reading(6, 12_000),)) is None
    assert stored((reading(7, 3_000),)) is None
    assert stored((reading(6, 12_000), reading(7, 13_000))) is None  # it could take more than it holds
    assert stored((reading(6, 0), reading(7, 0))) is None
    assert stored((reading(6, 12_000, measured=False), reading(7, 3_000))) is None
