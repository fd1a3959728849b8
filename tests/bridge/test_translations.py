"""Other standards in our terms: AS/NZS 4755 by driver and regulation, IEEE 2030.5, smart-meter load control."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.apc import Command, Direction, NotForUs, carried_out, signed_w
from bridge.assess import Assessor
from bridge.csip import BANDS, decoded, encoded, percent_offset
from bridge.drm import DRIVERS, EXPORT_MODES, REGULATIONS, Driver, Support, may_export, supports
from bridge.plan import refusal
from bridge.simulators.smart_meter import SmartMeter
from openadr.model import Event, OptType, SignalType
from tests.bridge.api.test_api import api_of
from tests.bridge.parts import DRM, PROGRAMMES, T0, VEN_ID, SimCharger, World, event, resource, signal

ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((ROOT / "schemas" / "csip-aus.vectors.json").read_text())
OCPP = DRIVERS["ocpp-2.0.1"]


def drm(mode: int) -> Event:
    return event(signal("x-DRM", SignalType.LEVEL, (600, mode)), context=DRM)


# -- modes and regulations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", DRIVERS.values(), ids=lambda each: each.name)
@pytest.mark.parametrize("mode", range(9))
def test_map_02_map_14_map_19_what_a_driver_is_said_to_do_is_what_the_programme_does(driver: Driver, mode: int) -> None:
    said = supports(driver)[mode]
    answer = Assessor(PROGRAMMES, (resource(),), lambda: VEN_ID)(drm(mode), T0)
    assert (answer.opt_type is OptType.OPT_OUT) == (said is Support.REFUSED)
    if said is Support.REFUSED:
        assert (answer.response_code, "notParticipating" in (answer.description or "")) == (469, True)


@pytest.mark.parametrize("mode", sorted(EXPORT_MODES))
def test_map_14_declaring_export_is_not_enough_a_probe_must_have_shown_it(mode: int) -> None:
    programme = PROGRAMMES.of_event(drm(mode))
    charging = refusal(drm(mode), programme, resource())
    declared = refusal(drm(mode), programme, resource(exports=True))
    assert charging is not None
    assert declared is not None
    assert charging.reason.endswith("evse-1 only charges: notParticipating")
    assert declared.reason.endswith("no driver has proven that evse-1 exports: notParticipating")


def test_map_14_export_needs_the_flag_the_probe_and_a_driver_that_has_one() -> None:
    able = Driver(name="v2g", disconnects=True, export_probe=True)
    allowed = [(d, p) for d in (False, True) for p in (False, True) if may_export(able, declared=d, probed=p)]
    assert allowed == [(True, True)]
    assert not any(may_export(driver, declared=True, probed=True) for driver in DRIVERS.values())
    full = supports(able, declared=True, probed=True)
    assert set(full.values()) == {Support.YES}
    assert supports(OCPP)[0] is Support.AS_DRM_1  # DRM 0 is not claimed over OCPP


@pytest.mark.parametrize(("name", "since"), [("coag", date(2026, 7, 1)), ("sa2021", date(2024, 7, 1))])
def test_map_19_profiles_of_regulations_name_what_is_missing_from_their_day_on(name: str, since: date) -> None:
    profile = REGULATIONS[name]
    assert (profile.since, sorted(profile.mandatory), sorted(profile.optional)) == (
        since,
        [0, 1, 2, 3, 4, 5, 8],
        [6, 7],
    )
    assert profile.gaps(supports(OCPP), since) == (0, 5, 8)
    assert profile.gaps(supports(OCPP), date(2024, 6, 30)) == ()
    able = Driver(name="v2g", disconnects=True, export_probe=True)
    assert profile.gaps(supports(able, declared=True, probed=True), since) == ()


# -- IEEE 2030.5 / CSIP-AUS --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["decode"], ids=str)
def test_map_16_decode_vectors(vector: dict[str, Any]) -> None:
    assert decoded(vector["fixedW"], connect=vector["connect"]) == vector["drm"]


@pytest.mark.parametrize("vector", VECTORS["percentOffset"], ids=str)
def test_map_16_a_percentage_offset_flips_its_sign_with_load_shift_forward(vector: dict[str, Any]) -> None:
    found = percent_offset(vector["loadAdjustment"], load_shift_forward=vector["loadShiftForward"])
    assert found == vector["percentOffset"]


def test_map_16_every_mode_comes_back_and_drm_1_is_never_zero() -> None:
    for mode in range(9):
        fixed_w, connect = encoded(mode)
        assert decoded(fixed_w, connect=connect) == mode
    assert encoded(1) == (-0.01, True)
    assert decoded(0.0) == 5
    assert [mode for mode, _, _ in BANDS] == [4, 3, 2, 1, 5, 6, 7, 8]
    for wrong in (-100.01, 100.01):
        with pytest.raises(ValueError, match="outside"):
            decoded(wrong)
    with pytest.raises(ValueError, match="DRM 9"):
        encoded(9)


# -- smart meter -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "amperes"), [(1.0, 32.0), (0.5, 16.0), (0.25, 8.0), (0.1, 0.0), (0.0, 0.0)])
def test_map_15_the_level_of_a_proportional_controller_is_a_capacity(level: float, amperes: float) -> None:
    found = carried_out(Command(direction=Direction.OUTPUT, level=level), resource())
    assert found.amperes == amperes


def test_map_15_input_is_power_from_the_load_and_negative_here() -> None:
    assert signed_w(Direction.INPUT, 3000.0) == -3000.0
    assert signed_w(Direction.OUTPUT, 3000.0) == 3000.0
    with pytest.raises(NotForUs, match="only charges"):
        carried_out(Command(direction=Direction.INPUT, level=0.5), resource())


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
def test_map_15_a_level_outside_its_range_is_refused(level: float) -> None:
    with pytest.raises(NotForUs, match="outside"):
        carried_out(Command(direction=Direction.OUTPUT, level=level), resource())


async def test_map_15_a_simulated_meter_limits_its_load_and_only_a_supplier_may_use_it(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")], resources=[resource()])
    await world.start()
    async with api_of(world) as call:
        meter = SmartMeter(world.resources[0], call)
        status, made = await meter.set_level(0.5)
        assert (status, made["source"], made["limitA"]) == (201, "dso", 16.0)
        await meter.set_level(0.25)
        await world.round()
        [limit] = (await call("GET", "/api/v1/limits"))[1]
        assert (limit["limitA"], limit["source"]) == (8.0, "dso")
        assert limit["reason"].startswith("smart meter, APC level 0.25")
        with pytest.raises(NotForUs, match="dso may not"):
            await meter.set_level(0.0, role="dso")
        await meter.release()
        await meter.release()
        assert (await call("GET", "/api/v1/standing"))[1] == []
    await world.close()
