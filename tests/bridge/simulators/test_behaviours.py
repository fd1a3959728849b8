"""Each behaviour of a simulated charger against the central system, over websockets, seen by the meter."""

import asyncio
import logging
from pathlib import Path
from textwrap import dedent

import aiohttp
import pytest
from aiohttp import web

from bridge.ocpp.readback import Verdict
from bridge.ocpp.settings import ChargerConfig
from bridge.simulators.ev import Ev
from bridge.simulators.fleet import build, load, run_fleet
from bridge.target import CommandOutcome
from runtime.clock import SystemClock
from tests.bridge.ocpp.harness import bench, charging, metered, running, settled, simulated

CHARGER = ChargerConfig(identity="CP-1")
VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
FULL_W, LIMITED_W = pytest.approx(32 * 690, rel=0.01), pytest.approx(10 * 690, rel=0.01)


@VERSIONS
async def test_refuses_says_rejected_and_draws_on(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version, behaviour="refuses")):
        await charging(at, point)
        result = await at.central.set_limit("CP-1", at.schedule(10.0))
        assert result.outcome is CommandOutcome.REJECTED
        assert await metered(at, point) == FULL_W


@VERSIONS
async def test_ignores_says_accepted_and_draws_on(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version, behaviour="ignores")):
        await charging(at, point)
        result = await at.central.set_limit("CP-1", at.schedule(10.0))
        assert result.outcome is CommandOutcome.ACCEPTED
        assert await metered(at, point) == FULL_W


@VERSIONS
async def test_c_3_a_charger_that_keeps_its_limit_is_free_once_it_is_cleared(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version, behaviour="keeps_limit")):
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(0.0, length_s=600))
        assert await metered(at, point) == 0.0
        at.clock.advance(700)
        assert await metered(at, point) == 0.0  # by itself it would be so for ever
        assert (await at.central.clear_limit("CP-1", 7)).outcome is CommandOutcome.ACCEPTED
        assert await metered(at, point) == FULL_W


@VERSIONS
async def test_c_5_a_composite_schedule_that_lies_is_seen_through_by_the_meter(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version, behaviour="lying_composite")):
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(10.0))
        assert await metered(at, point) == LIMITED_W
        found = await at.central.read_back("CP-1")
        assert found is not None
        assert (found.verdict, found.said_a, found.expected_a) == (Verdict.LIES, 16.0, 10.0)
        status = at.central.status("CP-1")
        assert status is not None
        assert status.foreign == ()


@VERSIONS
async def test_offline_for_good_is_not_heard_of_again_and_still_obeys(version: str) -> None:
    async with bench(CHARGER) as at:
        point = simulated(at, version=version, behaviour="offline", since="limit", at_s=1000)
        async with running(point):
            await charging(at, point)
            await at.central.set_limit("CP-1", at.schedule(10.0))
            assert await metered(at, point) == LIMITED_W
            at.clock.advance(1001)
            await at.fleet.heard("disconnected", "CP-1")
            at.clock.advance(300)
            point.hardware.now()
            assert point.hardware.charger.power_w == LIMITED_W
            assert (await at.central.set_limit("CP-1", at.schedule(6.0))).outcome is CommandOutcome.OFFLINE


@VERSIONS
async def test_offline_for_a_while_comes_back_with_its_session_and_profiles(version: str) -> None:
    async with bench(CHARGER) as at:
        point = simulated(at, version=version, behaviour="offline", at_s=20, offline_for_s=100)
        async with running(point):
            await charging(at, point)
            await at.central.set_limit("CP-1", at.schedule(10.0))
            at.clock.advance(21)
            await at.fleet.heard("disconnected", "CP-1")
            await settled(lambda: at.clock.sleepers == 1)
            at.clock.advance(101)
            await at.fleet.heard("connected", "CP-1", times=2)
            assert await metered(at, point) == LIMITED_W
            assert at.fleet.log.count(("transaction", "CP-1", True)) == 1
            status = at.central.status("CP-1")
            assert status is not None
            assert status.transaction


@VERSIONS
async def test_drops_profile_at_reconnect_draws_on_until_it_is_sent_again(version: str) -> None:
    async with bench(CHARGER) as at:
        behaviour = "drops_profile_at_reconnect"
        point = simulated(at, version=version, behaviour=behaviour, at_s=20, offline_for_s=5, boots_at_reconnect=False)
        async with running(point):
            await charging(at, point)
            await at.central.set_limit("CP-1", at.schedule(10.0))
            at.clock.advance(21)
            await at.fleet.heard("disconnected", "CP-1")
            await settled(lambda: at.clock.sleepers == 1)
            at.clock.advance(6)
            await at.fleet.heard("connected", "CP-1", times=2)
            assert await metered(at, point) == FULL_W
            assert (await at.central.set_limit("CP-1", at.schedule(10.0))).outcome is CommandOutcome.ACCEPTED
            assert await metered(at, point) == LIMITED_W


@VERSIONS
async def test_driver_override_by_the_button_is_reported_and_shows_in_the_meter(version: str) -> None:
    async with bench(CHARGER) as at:
        point = simulated(at, version=version, behaviour="driver_override", at_s=3600)
        async with running(point):
            await charging(at, point)
            await at.central.set_limit("CP-1", at.schedule(10.0))
            assert await metered(at, point) == LIMITED_W
            await point.override()
            await at.fleet.heard("driver", "CP-1", "override")
            assert await metered(at, point) == FULL_W


async def test_driver_override_by_the_app_asks_the_bridge_at_the_scripted_time() -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def app(identity: str) -> None:
        asked.put_nowait(identity)

    async with bench(CHARGER) as at:
        point = simulated(
            at, behaviour="driver_override", since="limit", at_s=8, override_by="api", override_by_app=app
        )
        async with running(point):
            await charging(at, point)
            await at.central.set_limit("CP-1", at.schedule(10.0))
            await metered(at, point)
            at.clock.advance(9)
            async with asyncio.timeout(5):
                assert await asked.get() == "CP-1"
            assert not point.hardware.charger.overridden  # the charger itself obeys on: the bridge must lift the limit


@VERSIONS
async def test_a_driver_who_unplugs_ends_the_session(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        await point.unplug()
        await at.fleet.heard("transaction", "CP-1", False)
        await at.fleet.heard("driver", "CP-1", "unplug")
        assert at.fleet.readings[-1].power_w == 0.0
        assert at.fleet.readings[-1].source == "session ended"


@VERSIONS
async def test_a_limit_below_6_a_suspends_the_car_and_the_status_says_so(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(0.0))
        assert await metered(at, point) == 0.0
        await metered(at, point)
        status = at.central.status("CP-1")
        assert status is not None
        assert status.status == "SuspendedEVSE"


async def test_a_full_car_suspends_itself() -> None:
    car = Ev(soc=0.999, battery_kwh=10.0, ramp_a_s=100.0)
    async with bench(CHARGER) as at, running(point := simulated(at, ev=car)):
        await charging(at, point)
        assert await metered(at, point, seconds=60) == 0.0
        assert point.hardware.status() == "SuspendedEV"


@VERSIONS
async def test_a_single_phase_charger_meters_a_third(version: str) -> None:
    wired = ChargerConfig(identity="CP-1", phases=1)
    async with bench(wired) as at, running(point := simulated(at, version=version, phases=1)):
        await charging(at, point)
        assert await metered(at, point) == pytest.approx(32 * 230, rel=0.01)


@VERSIONS
async def test_a_charger_dials_again_when_the_central_system_was_away(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        link = next(iter(at.central._listener._sockets.values()))
        await link.close()
        await at.fleet.heard("disconnected", "CP-1")
        async with asyncio.timeout(10):
            while ("connected", "CP-1") not in at.fleet.log[at.fleet.log.index(("disconnected", "CP-1")) :]:
                at.clock.advance(3)
                await asyncio.sleep(0)
        assert at.fleet.log.count(("transaction", "CP-1", True)) == 1


FLEET = """
    url = "{url}"
    [api]
    url = "{api}"
    token = "driver-token"
    [[chargers]]
    identity = "CP-1"
    version = "1.6"
    sample_interval_s = 1
    [[chargers]]
    identity = "CP-2"
    version = "2.0.1"
    phases = 1
    max_a = 16
    behaviour = "driver_override"
    override_by = "api"
    at_s = 0
"""


async def test_a_fleet_file_runs_many_chargers_and_the_drivers_app(tmp_path: Path) -> None:
    asked: asyncio.Queue[tuple[str | None, object]] = asyncio.Queue()

    async def overrides(request: web.Request) -> web.Response:
        asked.put_nowait((request.headers.get("Authorization"), await request.json()))
        return web.json_response({}, status=201)

    application = web.Application()
    application.router.add_post("/api/v1/overrides", overrides)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with bench(CHARGER, ChargerConfig(identity="CP-2", phases=1, max_a=16.0), meter_interval_s=1) as at:
        file = tmp_path / "fleet.toml"
        file.write_text(dedent(FLEET.format(url=at.url, api=api)))
        task = asyncio.create_task(run_fleet(file))
        try:
            await at.fleet.heard("transaction", "CP-1", True)
            await at.fleet.heard("transaction", "CP-2", True)
            async with asyncio.timeout(10):
                header, body = await asked.get()
            assert header == "Bearer driver-token"
            assert body == {"chargerID": "CP-2", "reason": "driver needs the car"}
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await runner.cleanup()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("driver_override", "dances"), "behaviour 'dances' is none of obeys, refuses"),
        (('"2.0.1"', '"2.1"'), "chargers.1.version"),
        (("phases = 1", "phases = 4"), "chargers.1.phases"),
        (("at_s = 0", "nonsense = 1"), "chargers.1.nonsense"),
        (("[[chargers]]", "[[charger]]"), "chargers"),
    ],
)
def test_a_fleet_file_with_a_fault_is_refused_by_name(tmp_path: Path, change: tuple[str, str], text: str) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(dedent(FLEET.format(url="ws://x/ocpp", api="http://x")).replace(*change))
    with pytest.raises(ValueError, match=text):
        load(file)


@pytest.mark.parametrize("ca", ["", 'ca = "none.pem"'])
async def test_a_tls_fleet_needs_a_ca_that_can_be_read(tmp_path: Path, ca: str) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(f'url = "wss://x/ocpp"\n{ca}\n[[chargers]]\nidentity = "CP-1"\n')
    async with aiohttp.ClientSession() as http:
        with pytest.raises(ValueError, match="ca"):
            build(load(file), base=tmp_path, clock=SystemClock(), http=http)


async def test_a_fleet_s_frames_are_logged_at_debug_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "bridge.simulators.ocpp")
    async with bench(CHARGER) as at, running(point := simulated(at)):
        await charging(at, point)
    frames = [record for record in caplog.records if record.name == "bridge.simulators.ocpp"]
    assert any("BootNotification" in record.getMessage() for record in frames)
    assert {record.levelno for record in frames} == {logging.DEBUG}
