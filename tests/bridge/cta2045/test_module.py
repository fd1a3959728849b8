import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from bridge.cta2045 import commands
from bridge.cta2045.bodies import Utc
from bridge.cta2045.commands import AppNak, Comm, Guidance, Op, Reset
from bridge.cta2045.delivery import OrderOutcome, Patience
from bridge.cta2045.energy import Commodities, Commodity
from bridge.cta2045.frames import Message, NakReason
from bridge.cta2045.intermediate import Do, Reply, decode_reply, encode, get, put
from bridge.cta2045.ladder import DeviceModel
from bridge.cta2045.memory import InMemory, Phase, Standing
from bridge.cta2045.orders import Mode
from bridge.cta2045.values import CommodityCode, OperationalState
from bridge.simulators.cta_appliances import Evse, WaterHeater
from bridge.simulators.cta_device import Faults
from tests.bridge.cta2045.virtual import T0, World, order, virtually

TAKEN, FOLLOWED, ENDED = OrderOutcome.TAKEN, OrderOutcome.FOLLOWED, OrderOutcome.ENDED


def test_cta_02_start_up_finds_out_what_the_device_is() -> None:
    async def main() -> None:
        world = World(WaterHeater())
        await world.run(15)
        assert world.notes.connections == [True]
        facts = world.module.facts
        assert facts is not None
        assert facts.intermediate
        assert facts.payload == 256
        assert facts.info is not None
        assert facts.info.model == "SIM"
        assert world.notes.states[0] is OperationalState.RUNNING_NORMAL
        assert {each.kind for each in world.notes.readings[0]} == {
            CommodityCode.CONSUMED,
            CommodityCode.STORAGE_TOTAL,
            CommodityCode.STORAGE_NOW,
        }

    virtually(main)


def test_cta_02_a_device_with_basic_dr_only_and_two_bytes() -> None:
    async def main() -> None:
        world = World(intermediate=False, payload=0)
        world.module.follow([order()])
        await world.run(30)
        assert world.module.facts is not None
        assert (world.module.facts.intermediate, world.module.facts.payload) == (False, 2)
        assert world.notes.readings == []
        assert world.notes.outcomes() == [TAKEN, FOLLOWED]

    virtually(main)


def test_cta_04_an_order_is_taken_and_then_followed_and_ended_once() -> None:
    async def main() -> None:
        world = World(model=DeviceModel(shed=0.5))
        world.module.follow([order(start=20, end=620)])
        await world.run(15)
        assert world.heard()[-2:] == ["PENDING_TIME", "PENDING_TYPE"]
        await world.run(30)
        assert world.heard()[-1] == "SHED"
        assert world.device.appliance.power_w == 16 * 240
        assert world.notes.outcomes() == [TAKEN, FOLLOWED]
        assert world.notes.deliveries[0].share == 0.5
        await world.run(3000)
        assert world.count("SHED") == 1
        assert world.count("END_SHED") == 1
        assert world.notes.outcomes() == [TAKEN, FOLLOWED, ENDED]
        assert world.device.appliance.power_w == 32 * 240
        assert await world.memory.load("ev-1") is None

    virtually(main)


def test_cta_04_an_ack_without_effect_is_not_followed() -> None:
    async def main() -> None:
        world = World(faults=Faults(pretends=True))
        world.module.follow([order()])
        await world.run(90)
        assert world.notes.outcomes()[:2] == [TAKEN, OrderOutcome.NOT_FOLLOWED]
        await world.run(1500)
        assert world.count("SHED") == 4  # the first and three repetitions

    virtually(main)


def test_cta_05_end_shed_is_sent_once_though_its_answer_is_lost() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order()])
        await world.run(60)
        world.device.faults.silent = True  # hears, and its answers are lost
        world.module.follow([])
        await world.run(20)
        assert await world.memory.load("ev-1") is not None
        world.device.faults.silent = False
        await world.run(200)
        assert world.device.appliance.event is None
        assert world.count("END_SHED") <= 3  # the link's own tries
        sent = world.count("END_SHED")
        await world.run(2000)
        assert world.count("END_SHED") == sent
        assert ENDED in world.notes.outcomes()

    virtually(main)


@pytest.mark.parametrize("down_s", [5, 4000])
def test_cta_05_a_bridge_killed_in_an_event_ends_it_once_after_the_restart(down_s: float) -> None:
    async def main() -> None:
        world = World()
        orders = [order(end=1800)]
        world.module.follow(orders)
        await world.run(60)
        await world.kill()
        await asyncio.sleep(down_s)
        world.start()
        world.module.follow([each for each in orders if T0 + timedelta(seconds=60 + down_s) < (each.end or T0)])
        await world.run(4000)
        assert world.count("END_SHED") == 1
        assert await world.memory.load("ev-1") is None

    virtually(main)


@pytest.mark.parametrize("phase", [Phase.SENDING, Phase.ENDING])
def test_cta_05_what_was_ended_before_the_crash_is_not_ended_again(phase: Phase) -> None:
    async def main() -> None:
        world = World()
        await world.kill()
        await world.memory.save(
            Standing(device="ev-1", key="e/shed", op=Op.SHED, operand=30, since=T0, ends=T0, phase=phase)
        )
        world.start()  # and the bridge says nothing: what is over is ended all the same
        await world.run(100)
        assert world.count("END_SHED") == 0
        assert await world.memory.load("ev-1") is None

    virtually(main)


def test_cta_05_an_event_without_orders_after_a_restart_ends_when_it_is_over() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(end=600)])
        await world.run(60)
        await world.kill()
        world.start()
        await world.run(300)
        assert world.count("END_SHED") == 0
        await world.run(400)
        assert world.count("END_SHED") == 1

    virtually(main)


def test_cta_06_a_refused_critical_peak_becomes_shed() -> None:
    async def main() -> None:
        world = World(faults=Faults(app_naks={Op.CRITICAL_PEAK: AppNak.OPCODE1, Op.GRID_EMERGENCY: AppNak.OPCODE2}))
        world.module.follow([order(Mode.CRITICAL_PEAK)])
        await world.run(60)
        assert world.heard() == ["CRITICAL_PEAK", "SHED"]
        assert world.notes.outcomes() == [TAKEN, FOLLOWED]
        world.module.follow([order(Mode.GRID_EMERGENCY, key="e2", overridable=False, rank=9)])
        await world.run(60)
        assert world.heard() == ["CRITICAL_PEAK", "SHED", "GRID_EMERGENCY", "SHED"]
        world.module.follow([order(Mode.CRITICAL_PEAK, key="e3", start=100)])
        await world.run(60)
        assert world.heard()[4:] == ["SHED"]  # it is known by now

    virtually(main)


def test_cta_06_a_link_nak_07_is_a_refusal_and_busy_is_tried_again() -> None:
    async def main() -> None:
        world = World()
        await world.run(20)
        world.device.faults.link_naks = [NakReason.NOT_SUPPORTED]
        world.module.follow([order(Mode.POWER_LEVEL, share=0.5, start=20)])
        await world.run(20)
        assert world.notes.deliveries[0].sent == "shed"
        assert world.heard() == ["SHED"]
        world.device.faults.app_naks[Op.CRITICAL_PEAK] = AppNak.BUSY
        world.module.follow([order(Mode.CRITICAL_PEAK, key="e2", start=30)])
        await world.run(8)
        world.device.faults.app_naks.clear()
        await world.run(20)
        assert world.heard() == ["SHED"] + ["CRITICAL_PEAK"] * 3
        assert world.notes.outcomes("e2") == [TAKEN, FOLLOWED]

    virtually(main)


def test_cta_06_nak_05_is_an_override_and_no_shed_follows() -> None:
    async def main() -> None:
        world = World(Evse(naks_when_overridden=True))
        await world.run(20)
        world.press()
        await world.run(5)
        assert world.notes.overrides == [True]
        world.module.follow([order(Mode.CRITICAL_PEAK, start=25)])
        await world.run(300)
        assert world.heard()[-1] == "CRITICAL_PEAK"
        assert world.count("SHED") == 0
        assert world.notes.outcomes() == [OrderOutcome.OVERRIDDEN]
        world.press(on=False)
        await world.run(60)
        assert world.notes.overrides == [True, False]
        assert world.notes.outcomes()[1:] == [TAKEN, FOLLOWED]

    virtually(main)


def test_cta_07_the_status_goes_out_on_change_and_every_few_minutes() -> None:
    async def main() -> None:
        world = World()
        await world.run(3600)
        beats = [at for at, each in world.device.heard if getattr(each, "op", None) is Op.COMM_STATUS]
        gaps = [after - before for before, after in pairwise(beats)]
        assert all(60 <= gap <= 300 for gap in gaps)
        before = len(beats)
        world.module.set_upstream(Comm.LOST)
        world.module.set_upstream(Comm.LOST)
        await world.run(2)
        told = [each for _, each in world.device.heard if getattr(each, "op", None) is Op.COMM_STATUS]
        assert len(told) == before + 1
        assert told[-1].operand == Comm.LOST  # type: ignore[union-attr]

    virtually(main)


def test_cta_08_a_wake_gets_everything_within_ten_seconds() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(Mode.CRITICAL_PEAK)])
        world.module.tell_prices(1.0, 2.0, 3600)
        world.module.guide(Guidance.BAD)
        await world.run(120)
        world.device.heard.clear()
        assert world.cable is not None
        world.cable.do(world.device.sleep(asyncio.get_running_loop().time()))
        await world.run(1)
        woken = asyncio.get_running_loop().time()
        world.cable.do(world.device.wake(woken))
        await world.run(20)
        got = {each.op: at - woken for at, each in world.device.heard if hasattr(each, "op")}
        wanted = {Op.COMM_STATUS, Op.CRITICAL_PEAK, Op.PRESENT_PRICE, Op.NEXT_PRICE, Op.PRICE_TIME_LEFT}
        for op in wanted | {Op.GRID_GUIDANCE, Op.TIME_SYNC}:
            assert got[op] <= 10, op
        left = next(each for _, each in world.device.heard if getattr(each, "op", None) is Op.PRICE_TIME_LEFT)
        assert left.duration_s is not None  # type: ignore[union-attr]
        assert left.duration_s < 3600  # type: ignore[union-attr]

    virtually(main)


def test_cta_09_the_button_in_an_event_is_told_upward_and_its_release_sends_the_event_again() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(end=7200)])
        await world.run(60)
        world.press()
        await world.run(120)
        assert world.notes.overrides == [True]
        assert world.device.appliance.power_w == 32 * 240
        assert world.module.overridden
        world.press(on=False)
        await world.run(60)
        assert world.notes.overrides == [True, False]
        assert world.count("SHED") == 2
        assert world.device.appliance.power_w == 16 * 240

    virtually(main)


def test_cta_09_a_reduction_while_overridden_is_acked_and_then_told() -> None:
    async def main() -> None:
        world = World()
        await world.run(20)
        world.press()
        await world.run(5)
        world.module.follow([order(start=25)])
        await world.run(20)
        assert world.notes.outcomes() == [TAKEN, OrderOutcome.OVERRIDDEN]

    virtually(main)


def test_cta_10_power_levels_come_first_and_the_table_decides_without_them() -> None:
    async def main() -> None:
        model = DeviceModel(shed=0.5, critical_peak=0.25, floor=6 / 32)
        world = World(model=model, faults=Faults(app_naks={Op.POWER_LEVEL: AppNak.OPCODE1}))
        world.module.follow([order(Mode.POWER_LEVEL, share=0.4)])
        await world.run(60)
        assert world.heard() == ["POWER_LEVEL", "CRITICAL_PEAK"]
        assert world.notes.deliveries[0].share == 0.25
        follows = World(model=model)
        follows.module.follow([order(Mode.POWER_LEVEL, share=0.4)])
        await follows.run(60)
        assert follows.heard() == ["POWER_LEVEL"]
        assert follows.notes.outcomes() == [TAKEN, FOLLOWED]
        assert follows.device.appliance.power_w <= 0.4 * 32 * 240
        follows.module.follow([order(Mode.POWER_LEVEL, share=0.1)])
        await follows.run(60)
        assert follows.notes.outcomes()[-1] is OrderOutcome.NOT_FOLLOWED  # the 6 A floor
        assert follows.notes.deliveries[-1].share == 6 / 32

    virtually(main)


def test_cta_11_a_grid_emergency_is_not_overridden() -> None:
    async def main() -> None:
        world = World()
        await world.run(20)
        world.press()
        await world.run(5)
        world.module.follow([order(Mode.GRID_EMERGENCY, overridable=False, start=25)])
        await world.run(60)
        assert world.device.appliance.power_w == 0
        assert world.notes.outcomes() == [TAKEN, FOLLOWED]

    virtually(main)


def test_cta_12_load_up_is_guidance_first_and_an_emergency_does_not_wait_for_it() -> None:
    async def main() -> None:
        world = World(WaterHeater())
        world.module.follow([order(Mode.LOAD_UP, end=3600)])
        await world.run(60)
        assert world.heard() == ["GRID_GUIDANCE"]
        assert world.device.appliance.guidance is not Guidance.BAD
        await world.run(120)
        assert world.heard() == ["GRID_GUIDANCE", "LOAD_UP"]
        assert world.notes.outcomes() == [TAKEN, FOLLOWED]
        assert world.device.appliance.power_w == 4500
        world.module.follow([])
        await world.run(30)
        assert world.heard()[2:] == ["END_SHED", "GRID_GUIDANCE"]
        assert world.device.appliance.guidance == Guidance.NEUTRAL
        world.module.follow([order(Mode.LOAD_UP, key="l2", start=190, end=3600)])
        await world.run(10)
        world.module.follow([order(Mode.GRID_EMERGENCY, key="x", start=200, overridable=False)])
        await world.run(10)
        assert world.heard()[-1] == "GRID_EMERGENCY"

    virtually(main)


def test_advanced_load_up_where_the_device_has_it() -> None:
    async def main() -> None:
        world = World(WaterHeater(), patience=Patience(guidance_s=0))
        world.module.follow([order(Mode.LOAD_UP, end=3600, energy_wh=2000)])
        await world.run(60)
        assert any(getattr(each, "do", None) is Do.LOAD_UP for _, each in world.device.heard)
        assert world.count("LOAD_UP") == 0
        assert world.notes.outcomes() == [TAKEN, FOLLOWED]
        without = World(WaterHeater(), patience=Patience(guidance_s=0), supports=frozenset({Do.INFO}))
        without.module.follow([order(Mode.LOAD_UP, end=3600, energy_wh=2000)])
        await without.run(60)
        assert without.count("LOAD_UP") == 1

    virtually(main)


def test_nested_events_are_sent_again_without_an_end_between() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(end=3600), order(Mode.CRITICAL_PEAK, key="e2", start=600, end=1200, rank=1)])
        await world.run(4000)
        assert world.heard() == ["SHED", "CRITICAL_PEAK", "SHED", "END_SHED"]

    virtually(main)


def test_an_order_that_changes_its_end_is_sent_again() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(end=3600)])
        await world.run(60)
        world.module.follow([order(end=1800)])
        world.module.follow([order(end=1800)])
        await world.run(60)
        assert world.heard() == ["SHED", "SHED"]

    virtually(main)


def test_cta_15_the_time_is_told_every_hour_on_the_hour() -> None:
    async def main() -> None:
        world = World()
        await world.run(3 * 3600)
        synced = [(at, each) for at, each in world.device.heard if getattr(each, "op", None) is Op.TIME_SYNC]
        assert [each.operand & 0x1F for _, each in synced] == [12, 13, 14, 15]  # type: ignore[union-attr]
        assert all((at - 2400) % 3600 < 5 for at, _ in synced[1:])

    virtually(main)


def test_cta_16_a_device_that_reboots_is_started_up_again_and_gets_its_event_back() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(end=7200)])
        await world.run(100)
        world.device.power_cycle(asyncio.get_running_loop().time())  # without a word
        await world.run(130)
        assert world.count("SHED") == 2
        assert world.device.appliance.event is Op.SHED

    virtually(main)


def test_a_pulled_cable_drops_everything_and_the_event_is_sent_again_on_return() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(end=7200)])
        await world.run(12.37)
        world.pull()
        await world.run(600)
        assert world.notes.connections[-1:] in ([False], [])
        world.plugged = True
        await world.run(60)
        assert world.notes.connections[-1]
        assert world.device.appliance.event is Op.SHED
        world.module.follow([])
        await world.run(60)
        assert world.count("END_SHED") == 1

    virtually(main)


def test_a_device_that_falls_silent_is_away_and_comes_back() -> None:
    async def main() -> None:
        world = World()
        await world.run(60)
        world.device.faults.silent = True
        await world.run(600)
        assert world.notes.connections == [True, False]
        world.device.faults.silent = False
        await world.run(60)
        assert world.notes.connections == [True, False, True]

    virtually(main)


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_line_still_delivers(seed: int) -> None:
    async def main() -> None:
        world = World(faults=Faults(drop=0.1, corrupt=0.1, duplicate=0.2, split=bool(seed % 2), ack_late_s=0.1 * seed))
        world.module.follow([order(end=1800)])
        await world.run(600)
        assert FOLLOWED in world.notes.outcomes()
        await world.run(3000)
        assert world.device.appliance.event is None
        assert await world.memory.load("ev-1") is None

    virtually(main)


def test_a_deaf_device_is_learned() -> None:
    async def main() -> None:
        world = World(faults=Faults(deaf_s=0.9), finds=True)
        world.module.follow([order(end=1800)])
        await world.run(120)
        assert world.port.link.deaf_s >= 0.9
        assert FOLLOWED in world.notes.outcomes()

    virtually(main)


def test_an_override_that_only_the_state_tells_of() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(end=7200)])
        await world.run(60)
        world.device.appliance.overridden_until = 500.0  # and the device says nothing
        await world.run(100)
        assert world.notes.overrides == [True]
        await world.run(600)
        assert world.notes.overrides == [True, False]
        assert world.device.appliance.event is Op.SHED

    virtually(main)


def test_an_order_without_any_answer_is_sent_again_later() -> None:
    async def main() -> None:
        world = World()
        await world.run(20)
        world.device.faults.silent = True
        world.module.follow([order(end=7200)])
        await world.run(15)
        assert world.notes.outcomes() == [OrderOutcome.NO_ANSWER]
        assert (await world.memory.load("ev-1")).phase is Phase.SENDING  # type: ignore[union-attr]
        world.device.faults.silent = False
        await world.run(60)
        assert world.notes.outcomes()[-2:] == [TAKEN, FOLLOWED]

    virtually(main)


def test_cta_05_end_shed_that_is_refused_is_still_the_end() -> None:
    async def main() -> None:
        world = World(faults=Faults(app_naks={Op.END_SHED: AppNak.OPCODE1}))
        world.module.follow([order(end=600)])
        await world.run(900)
        assert world.count("END_SHED") == 1
        assert world.notes.deliveries[-1].outcome is ENDED
        assert "refused" in world.notes.deliveries[-1].detail

    virtually(main)


def test_a_device_in_error_is_said_to_be_so() -> None:
    async def main() -> None:
        class Broken(Evse):
            @property
            def state(self) -> OperationalState:
                return OperationalState.ERROR

        world = World(Broken())
        world.module.follow([order()])
        await world.run(60)
        assert world.notes.outcomes() == [TAKEN, OrderOutcome.FAULT]

    virtually(main)


def test_a_device_may_ask_for_the_time_and_tell_its_readings() -> None:
    async def main() -> None:
        world = World()
        await world.run(20)
        now = asyncio.get_running_loop().time()
        got: list[Message] = []

        def expects(message: Message) -> bool:
            got.append(message)
            return True

        world.device.link.send(encode(get(Do.UTC)), now, expects)
        reading = Commodity(code=0, measured=True, rate=1234, cumulative=0)
        world.device.link.send(encode(put(Do.COMMODITY, Commodities(readings=(reading,)))), now)
        assert world.cable is not None
        world.cable.do(world.device.tick(now))
        await world.run(10)
        reply = decode_reply(got[-1])
        assert isinstance(reply, Reply)
        assert isinstance(reply.body, Utc)
        assert (reply.body.zone_quarters, reply.body.dst_quarters) == (0, 0)
        assert (reading,) in world.notes.readings

    virtually(main)


def test_cta_16_a_reboot_message_starts_everything_anew() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(end=7200)])
        await world.run(60)
        assert world.cable is not None
        world.cable.do(world.device._say(commands.reboot(Reset.SOFT), asyncio.get_running_loop().time()))
        world.device.appliance.end()
        await world.run(60)
        assert world.notes.connections == [True, False, True]
        assert world.device.appliance.event is Op.SHED

    virtually(main)


def test_cta_03_a_price_stream_state_is_normal_and_an_unknown_state_is_no_effect() -> None:
    async def main() -> None:
        world = World()
        await world.run(20)
        world.module.learn_state(OperationalState.RUNNING_PRICE_STREAM, world.clock.now())
        assert world.notes.overrides == []
        assert not world.module.overridden

    virtually(main)


def test_a_memory_that_fails_is_tried_again_and_nothing_is_sent_before_it_is_written() -> None:
    class Failing(InMemory):
        failing = True

        async def load(self, device: str) -> Standing | None:
            self._check()
            return await super().load(device)

        async def save(self, standing: Standing) -> None:
            self._check()
            await super().save(standing)

        def _check(self) -> None:
            if self.failing:
                raise OSError("no space left on device")

    async def main() -> None:
        world = World()
        await world.kill()
        world.memory = failing = Failing()
        world.start()
        world.module.follow([order(end=7200)])
        await world.run(15)
        assert world.notes.connections == []
        failing.failing = False
        await world.run(20)
        failing.failing = True
        world.module.follow([order(Mode.CRITICAL_PEAK, key="e2", end=7200)])
        await world.run(15)
        assert world.count("CRITICAL_PEAK") == 0
        failing.failing = False
        await world.run(30)
        assert world.heard()[-1] == "CRITICAL_PEAK"

    virtually(main)


def test_cta_06_a_device_that_stays_busy_gets_the_next_rung_and_may_take_it_later() -> None:
    async def main() -> None:
        world = World(faults=Faults(app_naks={Op.CRITICAL_PEAK: AppNak.BUSY}))
        world.module.follow([order(Mode.CRITICAL_PEAK)])
        await world.run(60)
        assert world.heard() == ["CRITICAL_PEAK"] * 4 + ["SHED"]
        world.device.faults.app_naks.clear()
        world.module.follow([order(Mode.CRITICAL_PEAK, key="e2")])  # busy is not "unsupported"
        await world.run(60)
        assert world.heard()[5:] == ["CRITICAL_PEAK"]

    virtually(main)


def test_an_order_far_ahead_is_announced_in_its_last_hour_only() -> None:
    async def main() -> None:
        world = World()
        world.module.follow([order(start=5000, end=6000)])
        await world.run(600)
        assert world.heard() == []
        await world.run(1000)
        assert world.heard() == ["PENDING_TIME", "PENDING_TYPE"]

    virtually(main)


@pytest.mark.parametrize("at_ms", range(0, 700, 35))
@pytest.mark.parametrize("moment", ["begin", "end"])
def test_cta_05_a_cable_pulled_in_the_middle_of_a_frame_neither_loses_nor_doubles_the_end(
    moment: str, at_ms: int
) -> None:
    """The device writes byte by byte; the cable goes at every phase of the exchange that begins or ends the event."""

    async def main() -> None:
        world = World(faults=Faults(split=True))
        await world.run(30)
        world.module.follow([order(end=7200)])
        if moment == "end":
            await world.run(60)
            assert world.device.appliance.event is Op.SHED
            world.module.follow([])
        await world.run(at_ms / 1000)
        world.pull()
        await world.run(20)
        world.plugged = True
        await world.run(60)
        if moment == "begin":
            assert world.device.appliance.event is Op.SHED
            world.module.follow([])
            await world.run(60)
        assert world.device.appliance.event is None
        assert world.count("END_SHED") == 1
        assert await world.memory.load("ev-1") is None

    virtually(main)
