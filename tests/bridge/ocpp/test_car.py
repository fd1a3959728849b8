"""What cars say of themselves, from simulated stations of both versions: state of charge, needs, waking up."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.ocpp.needs import car_needs
from bridge.ocpp.settings import ChargerConfig
from bridge.simulators.ev import Ev, vehicle
from bridge.target import CarNeeds, CommandOutcome
from tests.bridge.ocpp.harness import START, bench, charging, metered, raw, running, settled, simulated

TELLING = ChargerConfig(identity="CP-1", soc=True)
CAR = Ev(battery_kwh=60.0, soc=0.4, target_soc=0.8, ramp_a_s=16.0)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_tel_10_a_station_is_asked_for_the_state_of_charge_and_tells_it_with_the_session(version: str) -> None:
    async with bench(TELLING) as at, running(point := simulated(at, version=version, ev=CAR)):
        await charging(at, point)
        await settled(lambda: "SoC" in point.hardware.measurands)
        assert "Power.Active.Import" in point.hardware.measurands
        await metered(at, point)
        last = at.fleet.readings[-1]
        session = point.hardware.charger.session
        assert session is not None
        assert last.soc == pytest.approx(point.hardware.charger.ev.soc, abs=0.001)
        assert last.session == session.transaction_id
        assert last.power_w == pytest.approx(22_080, rel=0.01)


async def test_tel_10_a_station_that_is_not_to_tell_is_not_asked() -> None:
    async with bench(replace(TELLING, soc=False)) as at, running(point := simulated(at, ev=CAR)):
        await charging(at, point)
        await metered(at, point)
        assert at.fleet.readings[-1].soc is None


async def test_tel_10_a_station_that_refuses_the_state_of_charge_meters_all_the_same() -> None:
    async with bench(TELLING) as at, raw(at) as charger:
        await charger.boot()
        await charger.decline("ChangeConfiguration")
        tried = []
        for status in ("Rejected", "Accepted"):
            frame = await charger.asked("ChangeConfiguration")
            tried.append(frame[3]["value"])
            await charger.send(3, frame[1], {"status": status})
        assert tried == [
            "Energy.Active.Import.Register,Power.Active.Import,SoC",
            "Energy.Active.Import.Register,Power.Active.Import",
        ]


async def test_ven_12_a_2_0_1_car_says_how_much_it_needs_by_when() -> None:
    departure = START + timedelta(hours=3)
    async with bench(TELLING) as at, running(point := simulated(at, version="2.0.1", ev=CAR)):
        await charging(at, point)
        session = point.hardware.charger.session
        assert session is not None
        assert await point.tell_needs(departure, 20_000) == "Processing"
        expected = CarNeeds(session=session.transaction_id, energy_wh=20_000.0, departure=departure)
        await at.fleet.heard("needs", "CP-1", expected)
        assert await point.tell_needs(departure) == "Processing"
        soc = round(point.hardware.charger.ev.soc, 2)
        battery = CarNeeds(
            session=session.transaction_id, departure=departure, soc=soc, full_soc=0.8, battery_wh=60_000.0
        )
        await at.fleet.heard("needs", "CP-1", battery)


async def test_ven_12_needs_without_a_session_are_nobodys() -> None:
    async with bench(TELLING) as at, raw(at, "CP-1", "ocpp2.0.1") as charger:
        await charger.boot201()
        needs = {"requestedEnergyTransfer": "DC", "dcChargingParameters": {"evMaxCurrent": 32, "evMaxVoltage": 400}}
        answer = await charger.ask("n-1", "NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
        assert answer[2]["status"] == "Rejected"


def test_ven_12_senseless_needs_are_left_out() -> None:
    said = {"departureTime": "soon", "dcChargingParameters": {"stateOfCharge": 120, "evEnergyCapacity": 0}}
    assert car_needs(said, "tx") == CarNeeds(session="tx")


@pytest.mark.parametrize("kind", ["ordinary", "sleeper", "ten_amps"])
async def test_map_18_a_pause_is_kept_by_every_car_and_only_waking_up_differs(kind: str) -> None:
    async with bench(TELLING) as at, running(point := simulated(at, ev=vehicle(kind, CAR))):
        await charging(at, point)
        assert (await at.central.set_limit("CP-1", at.schedule(0.0))).outcome is CommandOutcome.ACCEPTED
        assert await metered(at, point, seconds=400) == 0.0
        assert point.hardware.charger.ev.asleep is (kind == "sleeper")
        assert (await at.central.clear_limit("CP-1", 7)).outcome is CommandOutcome.ACCEPTED
        assert await metered(at, point, seconds=100) > 0.0
