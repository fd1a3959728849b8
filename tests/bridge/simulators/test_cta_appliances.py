"""The models behind the simulated CTA-2045 devices."""

import pytest

from bridge.cta2045 import commands
from bridge.cta2045.commands import AppNak, Comm, Guidance, Op
from bridge.cta2045.energy import EnergyUnit, LoadUp
from bridge.cta2045.values import CommodityCode, OperationalState
from bridge.simulators.cta_appliances import Appliance, Evse, WaterHeater

S = OperationalState


def shows(appliance: Appliance, state: OperationalState) -> bool:
    return appliance.state is state


@pytest.mark.parametrize(
    ("command", "amperes", "state"),
    [
        (commands.event(Op.SHED, 60), 11.25, S.RUNNING_CURTAILED),
        (commands.event(Op.CRITICAL_PEAK, 60), 6.0, S.RUNNING_CURTAILED),  # 5.625 A lies under the floor
        (commands.event(Op.GRID_EMERGENCY, 60), 0.0, S.IDLE_CURTAILED),
        (commands.power_level(0.5), 22.5 * 64 / 127, S.VARIABLE_FOLLOWING),
        (commands.power_level(0.0), 0.0, S.VARIABLE_FOLLOWING),
        (commands.power_level(0.1), 6.0, S.VARIABLE_NOT_FOLLOWING),
        (commands.event(Op.LOAD_UP, 60), 22.5, S.RUNNING_HEIGHTENED),
        (commands.end(), 22.5, S.RUNNING_NORMAL),
    ],
)
def test_cta_10_what_an_evse_makes_of_the_commands(
    command: commands.Basic, amperes: float, state: OperationalState
) -> None:
    evse = Evse(reference_a=22.5)
    assert evse.command(command, 1.0) is None
    assert evse.power_w == pytest.approx(amperes * 240)
    assert evse.state is state


def test_an_evse_without_a_car_is_idle_in_every_event() -> None:
    evse = Evse(connected=False)
    assert shows(evse, S.IDLE_NORMAL)
    evse.command(commands.event(Op.LOAD_UP, 60), 0)
    assert shows(evse, S.IDLE_HEIGHTENED)
    evse.command(commands.event(Op.SHED, 60), 0)
    assert shows(evse, S.IDLE_CURTAILED)


def test_an_event_ends_after_its_duration_or_without_a_module() -> None:
    evse = Evse(comm_timeout_s=300)
    evse.command(commands.event(Op.SHED, 1800), 0)
    evse.advance(1799)
    assert evse.event is Op.SHED
    evse.advance(1801)
    assert evse.event is None
    evse.command(commands.comm_status(Comm.GOOD), 2000)
    evse.command(commands.event(Op.SHED, None), 2000)
    evse.advance(2299)
    assert evse.event is Op.SHED
    evse.advance(2400)
    assert evse.event is None
    evse.command(commands.event(Op.SHED, None), 2500)
    evse.command(commands.comm_status(Comm.LOST), 2501)
    assert evse.event is None


def test_cta_09_the_button_covers_12_hours_and_no_grid_emergency() -> None:
    evse = Evse()
    evse.command(commands.event(Op.SHED, 7200), 0)
    evse.press_override(10)
    assert shows(evse, S.RUNNING_OPTED_OUT)
    assert evse.power_w == 32 * 240
    evse.naks_when_overridden = True
    assert evse.command(commands.event(Op.CRITICAL_PEAK, 60), 20) is AppNak.OVERRIDE
    assert evse.command(commands.event(Op.GRID_EMERGENCY, 60), 30) is None
    assert evse.power_w == 0
    evse.command(commands.end(), 40)
    evse.advance(10 + 12 * 3600)
    assert shows(evse, S.RUNNING_NORMAL)
    evse.press_override(50_000)
    evse.press_override(50_001, on=False)
    assert not evse.overridden
    evse.connected = False
    evse.press_override(50_002)
    evse.command(commands.event(Op.SHED, 60), 50_003)
    assert shows(evse, S.IDLE_OPTED_OUT)


def test_cta_18_a_water_heater_keeps_its_tank_and_its_events() -> None:
    heater = WaterHeater(stored_wh=9000)
    heater.advance(1)
    assert shows(heater, S.RUNNING_NORMAL)
    heater.command(commands.event(Op.SHED, 3600), 10)
    assert heater.power_w == 0
    assert shows(heater, S.IDLE_CURTAILED)
    heater.advance(3900)
    assert heater.power_w == 4500
    heater.advance(3900 + 7200)
    assert heater.power_w in (0, 4500)
    stored = heater.stored_wh
    heater.load_up(LoadUp(minutes=30, value=5, unit=EnergyUnit.WH_1000), 20_000)
    assert heater.state in (S.RUNNING_HEIGHTENED, S.IDLE_HEIGHTENED)
    heater.advance(21_000)
    assert heater.stored_wh >= stored
    heater.advance(22_000)
    assert heater.event is None
    heater.heating = True
    heater.command(commands.power_level(0.5), 22_001)
    assert heater.power_w == pytest.approx(4500 * 64 / 127)
    heater.press_override(22_002)
    assert shows(heater, S.RUNNING_OPTED_OUT)
    now = next(each for each in heater.commodities() if each.kind is CommodityCode.STORAGE_NOW)
    assert now.cumulative == pytest.approx(12_000 - heater.stored_wh, abs=1)


def test_prices_and_guidance_are_taken_note_of() -> None:
    evse = Evse()
    for each in commands.prices(2.0, None, 60):
        assert evse.command(each, 0) is None
    evse.command(commands.guidance(Guidance.GOOD), 0)
    assert evse.price == pytest.approx(2.0, abs=0.01)
    assert evse.guidance is Guidance.GOOD
    assert {each.kind for each in evse.commodities()} == {CommodityCode.CONSUMED, CommodityCode.RATED_CONSUMPTION}
