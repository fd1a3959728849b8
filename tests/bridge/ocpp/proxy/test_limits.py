"""bridge.ocpp.proxy_limits: the CPO's profiles and ours on one charger; the most restrictive wins, nothing is lost."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.ocpp.frames import Version
from bridge.simulators.charge_point import SimulatedChargePoint
from bridge.target import CommandOutcome
from examples.demo.csms import Csms
from examples.demo.csms_chargers import Charger
from runtime.clock import FakeClock
from tests.bridge.ocpp.harness import START, charging, metered, raw, running, simulated
from tests.bridge.ocpp.proxy.harness import (
    ProxyBench,
    Socket,
    booted,
    hand_csms,
    library_csms,
    passing,
    proxied,
    section,
    settled,
)

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
BASE = 1_500_000_000
OURS = BASE + 7 * 4


class Scene(AsyncExitStack):
    """A charging car behind a CPO's CSMS."""

    cpo: Csms
    at: ProxyBench
    point: SimulatedChargePoint

    async def begin(self, engine: AsyncEngine, version: str, **settings: Any) -> "Scene":
        clock = FakeClock(START)
        self.cpo = await self.enter_async_context(library_csms(clock, meter_interval_s=10))
        url = f"ws://127.0.0.1:{self.cpo.port}"
        self.at = await self.enter_async_context(proxied(engine, section(url, **settings), clock=clock))
        self.point = simulated(self.at, version=version)
        await self.enter_async_context(running(self.point))
        await charging(self.at, self.point)
        return self

    @property
    def charger(self) -> Charger:
        """The charger as its CPO has it."""
        return self.cpo.chargers["CP-1"]

    async def amperes(self) -> float:
        """What the car draws once a change has settled."""
        await metered(self.at, self.point)
        return await metered(self.at, self.point) / (3 * 230)


@VERSIONS
@pytest.mark.parametrize(("theirs", "during"), [(20.0, 10.0), (8.0, 8.0)])
async def test_the_most_restrictive_wins_and_the_cpos_value_is_back_at_the_end(
    bridge_db: AsyncEngine, version: str, theirs: float, during: float
) -> None:
    async with Scene() as scene:
        await scene.begin(bridge_db, version)
        assert await scene.charger.limit(theirs, level=1) == "Accepted"
        assert await scene.amperes() == pytest.approx(theirs, abs=0.2)
        result = await scene.at.central.set_limit("CP-1", scene.at.schedule(10.0))
        assert result.outcome is CommandOutcome.ACCEPTED
        assert await scene.amperes() == pytest.approx(during, abs=0.2)
        await scene.at.central.clear_limit("CP-1", 7)
        assert await scene.amperes() == pytest.approx(theirs, abs=0.2)


@VERSIONS
async def test_a_profile_that_comes_while_ours_is_in_force_is_below_it(bridge_db: AsyncEngine, version: str) -> None:
    async with Scene() as scene:
        await scene.begin(bridge_db, version)
        await scene.at.central.set_limit("CP-1", scene.at.schedule(10.0))
        assert await scene.charger.limit(25.0, level=5) == "Accepted"
        assert await scene.amperes() == pytest.approx(10.0, abs=0.2)
        assert await scene.charger.limit(7.0, level=5) == "Accepted"
        assert await scene.amperes() == pytest.approx(7.0, abs=0.2)
        await scene.at.central.clear_limit("CP-1", 7)
        assert await scene.amperes() == pytest.approx(7.0, abs=0.2)


@VERSIONS
async def test_where_there_is_no_level_above_the_cpos_profile_waits_and_is_sent_afterwards(
    bridge_db: AsyncEngine, version: str
) -> None:
    async with Scene() as scene:
        await scene.begin(bridge_db, version)
        await scene.at.central.set_limit("CP-1", scene.at.schedule(10.0))
        assert await scene.charger.limit(25.0, level=10) == "Accepted"  # the highest that the charger takes
        assert scene.at.value("ocpp_proxy_profiles_total", done="held") == 1
        assert await scene.amperes() == pytest.approx(10.0, abs=0.2)
        rows = (await scene.at.store.proxy_profiles())["CP-1"]
        assert [(row.number, row.held) for row in rows] == [(1, True)]
        await scene.at.central.clear_limit("CP-1", 7)
        assert await scene.amperes() == pytest.approx(25.0, abs=0.2)
        assert scene.at.value("ocpp_proxy_profiles_total", done="restored") == 1
        rows = (await scene.at.store.proxy_profiles())["CP-1"]
        assert [row.held for row in rows] == [False]


@VERSIONS
async def test_a_profile_that_ours_takes_the_place_of_is_sent_again_when_ours_ends_by_itself(
    bridge_db: AsyncEngine, version: str
) -> None:
    async with Scene() as scene:
        await scene.begin(bridge_db, version)
        assert await scene.charger.limit(25.0, level=10) == "Accepted"
        await scene.at.central.set_limit("CP-1", scene.at.schedule(10.0, length_s=3600))
        assert await scene.amperes() == pytest.approx(10.0, abs=0.2)
        scene.at.clock.advance(3600)
        await passing(scene.at, lambda: scene.at.value("ocpp_proxy_profiles_total", done="restored") == 1)
        assert await scene.amperes() == pytest.approx(25.0, abs=0.2)


@VERSIONS
async def test_arb_13_a_limit_of_the_cpos_is_attributed_to_it(bridge_db: AsyncEngine, version: str) -> None:
    async with Scene() as scene:
        await scene.begin(bridge_db, version)
        assert await scene.charger.limit(8.0, level=3) == "Accepted"
        await settled(lambda: bool(scene.at.central._stations["CP-1"].foreign))
        status = scene.at.central.status("CP-1")
        assert status is not None
        [limit] = status.foreign
        assert (limit.source, limit.by, limit.limit_a) == ("CSO", "relayed", 8.0)
        assert limit.detail == "TxDefaultProfile 1 at level 3"
        assert await scene.charger.clear(1) == "Accepted"
        await settled(lambda: not scene.at.central._stations["CP-1"].foreign)


@VERSIONS
async def test_a_clear_of_everything_does_not_lose_ours(bridge_db: AsyncEngine, version: str) -> None:
    async with Scene() as scene:
        await scene.begin(bridge_db, version)
        assert await scene.charger.limit(8.0, level=0) == "Accepted"
        await scene.at.central.set_limit("CP-1", scene.at.schedule(10.0))
        assert await scene.amperes() == pytest.approx(8.0, abs=0.2)
        assert await scene.charger.clear() == "Accepted"
        assert await scene.amperes() == pytest.approx(10.0, abs=0.2)
        assert await scene.at.store.proxy_profiles() == {}
        assert await scene.charger.clear(OURS) == "Unknown"
        assert await scene.charger.limit(8.0, number=OURS) == "Rejected"
        assert await scene.amperes() == pytest.approx(10.0, abs=0.2)


@VERSIONS
async def test_the_cpos_maximum_of_the_station_is_passed_on_at_once(bridge_db: AsyncEngine, version: str) -> None:
    name = "ChargePointMaxProfile" if version == "1.6" else "ChargingStationMaxProfile"
    async with Scene() as scene:
        await scene.begin(bridge_db, version)
        await scene.at.central.set_limit("CP-1", scene.at.schedule(10.0))
        assert await scene.charger.limit(7.0, level=10, purpose=name) == "Accepted"
        assert scene.at.value("ocpp_proxy_profiles_total", done="passed") == 1
        assert await scene.amperes() == pytest.approx(7.0, abs=0.2)
        await scene.at.central.clear_limit("CP-1", 7)
        assert await scene.amperes() == pytest.approx(7.0, abs=0.2)
        assert await scene.charger.clear(1) == "Accepted"
        assert await scene.amperes() == pytest.approx(32.0, abs=0.2)


async def set_by(csms: Socket, number: int, level: int, limit: float, unique_id: str) -> None:
    await csms.send(
        2,
        unique_id,
        "SetChargingProfile",
        {
            "connectorId": 0,
            "csChargingProfiles": {
                "chargingProfileId": number,
                "stackLevel": level,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": "W",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
                },
            },
        },
    )


async def test_a_profile_that_the_charger_refuses_changes_nothing(bridge_db: AsyncEngine) -> None:
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at) as charger:
        csms = await cpo.charger()
        await booted(charger, csms)
        await at.fleet.heard("connected", "CP-1")
        setting = at.central.set_limit("CP-1", at.schedule(10.0))
        sent: list[Any] = []

        async def charger_answers(times: int, word: str = "Accepted") -> None:
            for _ in range(times):
                frame = await charger.asked("SetChargingProfile")
                sent.append(frame[3]["csChargingProfiles"])
                theirs = frame[3]["csChargingProfiles"]["chargingProfileId"] < BASE
                await charger.send(3, frame[1], {"status": word if theirs else "Accepted"})

        answers = asyncio.create_task(charger_answers(1))
        assert (await setting).outcome is CommandOutcome.ACCEPTED
        await answers
        await set_by(csms, 5, 3, 3450.0, "x-1")
        await charger_answers(3, "Rejected")
        assert await csms.receive() == [3, "x-1", {"status": "Rejected"}]
        limits = [
            (
                each["chargingProfileId"],
                each["stackLevel"],
                each["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"],
            )
            for each in sent
        ]
        assert limits == [(OURS, 1, 10.0), (OURS, 4, 5.0), (5, 3, 3450.0), (OURS, 1, 10.0)]
        assert await at.store.proxy_profiles() == {}
        station = at.central._stations["CP-1"]
        assert station.others == ()


async def test_the_cpos_profiles_are_known_again_after_a_restart(bridge_db: AsyncEngine) -> None:
    async with Scene() as scene:
        await scene.begin(bridge_db, "1.6")
        assert await scene.charger.limit(8.0, level=3) == "Accepted"
    async with proxied(bridge_db, section("ws://127.0.0.1:9")) as at:
        [known] = at.central._stations["CP-1"].others
        assert (known.number, known.level, known.periods) == (1, 3, ((0, 8.0),))
        assert at.central._stations["CP-1"].version is not Version.V201


async def test_the_profile_of_a_remote_start_is_kept_without_the_id_tag(bridge_db: AsyncEngine) -> None:
    profile = {
        "chargingProfileId": 9,
        "stackLevel": 2,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]},
    }
    async with hand_csms() as cpo, proxied(bridge_db, section(cpo.url)) as at, raw(at) as charger:
        csms = await cpo.charger()
        start = {"connectorId": 1, "idTag": "TAG-123456", "chargingProfile": profile}
        await csms.send(2, "r", "RemoteStartTransaction", start)
        frame = await charger.asked("RemoteStartTransaction")
        assert frame[3] == start
        await charger.send(3, frame[1], {"status": "Accepted"})
        assert await csms.receive() == [3, "r", {"status": "Accepted"}]
        [row] = (await at.store.proxy_profiles())["CP-1"]
        assert row.number == 9
        assert "TAG" not in row.tail
    async with proxied(bridge_db, section("ws://127.0.0.1:9")) as at:
        [known] = at.central._stations["CP-1"].others
        assert (known.purpose, known.connector, known.periods) == ("TxProfile", 1, ((0, 9.0),))


@VERSIONS
async def test_profiles_of_a_session_end_with_it(bridge_db: AsyncEngine, version: str) -> None:
    async with Scene() as scene:
        await scene.begin(bridge_db, version)
        station = scene.at.central._stations["CP-1"]
        number = station.sessions[1].transaction_id
        assert await scene.charger.limit(8.0, purpose="TxProfile", transaction=number) == "Accepted"
        assert [each.purpose for each in station.others] == ["TxProfile"]
        await scene.at.central.set_limit("CP-1", scene.at.schedule(10.0))
        assert await scene.amperes() == pytest.approx(8.0, abs=0.2)
        await scene.point.unplug()
        await scene.at.fleet.heard("transaction", "CP-1", False)
        await settled(lambda: station.others == ())
        assert await scene.at.store.proxy_profiles() == {}
