"""Read-back: composite schedules that agree, lie or show a foreign limit, and whose it is (OCP-06, OCP-07)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.ocpp import handlers201
from bridge.ocpp.profile import Rating
from bridge.ocpp.readback import Verdict, amperes_at, composite, judge, not_ours, reported_profiles
from bridge.ocpp.settings import ChargerConfig
from bridge.ocpp.station import ForeignChanged, Station
from bridge.target import CommandOutcome, ForeignLimit
from tests.bridge.ocpp.harness import Bench, Raw, bench, charging, metered, raw, running, settled, simulated

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RATING = Rating(phases=3, max_a=32.0, voltage=230.0)
CHARGER = ChargerConfig(identity="CP-1")


def schedule(*periods: tuple[int, Any], unit: str = "A", start: str | None = None, **more: Any) -> dict[str, Any]:
    entries = [{"startPeriod": at, "limit": limit} | more for at, limit in periods]
    made: dict[str, Any] = {"chargingRateUnit": unit, "chargingSchedulePeriod": entries}
    return made | ({"startSchedule": start} if start else {})


@pytest.mark.parametrize(
    ("given", "amperes"),
    [
        (schedule((0, 16.0)), 16.0),
        (schedule((0, 16.0), (300, 8.0)), 16.0),
        (schedule((0, 16.0), (300, 8.0), start="2026-03-01T11:50:00Z"), 8.0),
        (schedule((0, 6900), unit="W"), 10.0),
        (schedule((0, 2300), unit="W", numberPhases=1), 10.0),
        (schedule((0, 6900), unit="W", numberPhases=9), 10.0),
        (schedule((0, -1)), None),
        (schedule((0, True)), None),
        (schedule((0, 1e12)), None),
        (schedule((0, 1e7)), None),
        (schedule((60, 8.0)), None),
        (schedule(), None),
    ],
)
def test_c_5_a_schedule_as_chargers_write_it_is_amperes_per_phase_or_nothing(
    given: dict[str, Any], amperes: float | None
) -> None:
    assert amperes_at(given, RATING, NOW) == amperes


@pytest.mark.parametrize(
    ("answer", "amperes"),
    [
        ({"status": "Accepted", "scheduleStart": "2026-03-01T11:50:00Z", "chargingSchedule": schedule((0, 9.0))}, 9.0),
        ({"status": "Accepted", "schedule": schedule((0, 9.0)) | {"scheduleStart": "2026-03-01T11:50:00Z"}}, 9.0),
        ({"status": "Rejected"}, None),
        ({"status": "Accepted"}, None),
        ({}, None),
    ],
)
def test_composites_of_both_versions_are_read(answer: dict[str, Any], amperes: float | None) -> None:
    assert composite(answer, RATING, NOW) == amperes


@pytest.mark.parametrize(
    ("said", "expected", "power", "verdict"),
    [
        (10.0, 10.0, None, Verdict.AGREES),
        (10.3, 10.0, 6900.0, Verdict.AGREES),
        (32.0, None, None, Verdict.AGREES),
        (63.0, None, None, Verdict.AGREES),
        (63.0, 40.0, None, Verdict.LOOSER),
        (6.0, 10.0, None, Verdict.STRICTER),
        (6.0, None, 4140.0, Verdict.STRICTER),
        (6.0, 10.0, 6900.0, Verdict.LIES),
        (16.0, 10.0, None, Verdict.LOOSER),
        (16.0, 10.0, 11040.0, Verdict.LOOSER),
        (16.0, 10.0, 20.0, Verdict.LOOSER),
        (16.0, 10.0, 6900.0, Verdict.LIES),
        (None, 10.0, 6900.0, Verdict.UNUSABLE),
    ],
)
def test_ocp_06_a_composite_is_weighed_against_ours_and_the_meter(
    said: float | None, expected: float | None, power: float | None, verdict: Verdict
) -> None:
    assert judge(said, expected, power, RATING).verdict is verdict


def profile(number: int, limit: float, level: int = 0) -> dict[str, Any]:
    return {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule((0, limit)) | {"id": 1}],
    }


def test_ocp_07_our_own_profiles_are_told_from_those_of_others() -> None:
    payload = {"requestId": 1, "chargingLimitSource": "CSO", "evseId": 1}
    found = reported_profiles(
        payload | {"chargingProfile": [profile(28, 6), profile(90, 9), profile(91, 8), profile(92, 12)]}, RATING, NOW
    )
    found += reported_profiles(
        payload | {"chargingLimitSource": "EMS", "chargingProfile": [profile(28, 7)]}, RATING, NOW
    )
    foreign = not_ours(found, {28})
    assert {(limit.source, limit.limit_a) for limit in foreign} == {("CSO", 8.0), ("EMS", 7.0)}
    assert foreign[0].detail == "TxDefaultProfile 91 at level 0"
    unclear = reported_profiles(payload | {"chargingProfile": [profile(90, -1), profile(91, 5)]}, RATING, NOW)
    assert not_ours(unclear, set())[0].limit_a == 5.0


LIMIT: dict[str, Any] = {"chargingLimit": {"chargingLimitSource": "EMS", "isGridCritical": True}, "evseId": 1}


def test_ocp_07_a_limit_that_the_station_tells_of_is_attributed_and_goes_when_cleared() -> None:
    station = Station(config=CHARGER)
    told = LIMIT | {"chargingSchedule": [schedule((0, 9.0)) | {"id": 1}]}
    handlers = handlers201.HANDLERS
    _, effects = handlers["NotifyChargingLimit"](station, told, NOW)
    expected = ForeignLimit(source="EMS", connector=1, by="notified", since=NOW, limit_a=9.0, detail="grid critical")
    assert effects == (ForeignChanged(source="EMS", by="notified", limit=expected),)
    assert station.status(connected=True).foreign == (expected,)
    assert handlers["NotifyChargingLimit"](station, told, NOW + timedelta(minutes=1))[1] == ()
    assert handlers["NotifyChargingLimit"](station, {"chargingLimit": {"chargingLimitSource": "SO"}}, NOW)[1]
    assert handlers["ClearedChargingLimit"](station, {"chargingLimitSource": "EMS", "evseId": 2}, NOW)[1] == ()
    _, effects = handlers["ClearedChargingLimit"](station, {"chargingLimitSource": "EMS"}, NOW)
    assert effects == (ForeignChanged(source="EMS", by="notified", limit=None),)
    assert [limit.source for limit in station.foreign.values()] == ["SO"]


def test_a_hostile_charger_cannot_fill_our_memory_with_limits() -> None:
    station = Station(config=CHARGER)
    for number in range(100):
        handlers201.HANDLERS["NotifyChargingLimit"](station, LIMIT | {"evseId": number}, NOW)
    assert len(station.foreign) == 32
    station.reports[5] = []
    for _ in range(20):
        payload = {"requestId": 5, "chargingLimitSource": "CSO", "evseId": 1, "tbc": True}
        handlers201.HANDLERS["ReportChargingProfiles"](
            station, payload | {"chargingProfile": [profile(n, 8) for n in range(10)]}, NOW
        )
    assert len(station.reports[5]) == 100


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_ocp_06_an_accepted_limit_is_read_back(version: str) -> None:
    async with bench(CHARGER, read_back_s=15) as at, running(point := simulated(at, version=version)):
        assert await at.central.read_back("CP-1") is None
        await charging(at, point)
        await at.central.set_limit("CP-1", at.schedule(10.0))
        found = await at.central.read_back("CP-1")
        assert found is not None
        assert (found.verdict, found.said_a, found.expected_a) == (Verdict.AGREES, 10.0, 10.0)
        assert await metered(at, point) == pytest.approx(6900, rel=0.01)
        status = at.central.status("CP-1")
        assert status is not None
        assert status.foreign == ()


async def limited(at: Bench, charger: Raw, version: str = "2.0.1") -> asyncio.Task[Any]:
    """Boot, set a limit that is accepted, and let the time come at which it is read back."""
    await (charger.boot201() if version == "2.0.1" else charger.boot())
    await at.fleet.heard("connected", "CP-1")
    command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
    frame = await charger.asked("SetChargingProfile")
    await charger.send(3, frame[1], {"status": "Accepted"})
    assert (await command).outcome is CommandOutcome.ACCEPTED
    return asyncio.create_task(at.central.read_back("CP-1"))


async def composite_of(charger: Raw, limit: float, version: str = "2.0.1") -> None:
    frame = await charger.asked("GetCompositeSchedule")
    at = "2026-03-01T11:59:00Z"
    given = {"duration": 600, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    answer: dict[str, Any]
    if version == "2.0.1":
        answer = {"status": "Accepted", "schedule": given | {"evseId": 1, "scheduleStart": at}}
    else:
        answer = {"status": "Accepted", "connectorId": 1, "scheduleStart": at, "chargingSchedule": given}
    await charger.send(3, frame[1], answer)


async def test_ocp_07_a_foreign_profile_is_found_and_attributed_by_the_stations_own_list() -> None:
    async with bench(CHARGER) as at, raw(at, "CP-1", "ocpp2.0.1") as charger:
        for limit in (6.0, None):  # there, then gone
            reading: asyncio.Task[Any] = (
                await limited(at, charger) if limit else asyncio.create_task(at.central.read_back("CP-1"))
            )
            await composite_of(charger, 6.0)
            frame = await charger.asked("GetChargingProfiles")
            await charger.send(3, frame[1], {"status": "Accepted" if limit else "NoProfiles"})
            if limit:
                report = {"requestId": frame[3]["requestId"], "chargingLimitSource": "SO", "evseId": 1}
                await charger.ask(
                    "r1", "ReportChargingProfiles", report | {"tbc": True, "chargingProfile": [profile(5, limit, 3)]}
                )
                ours = report | {"chargingLimitSource": "CSO", "chargingProfile": [profile(28, 10.0)]}
                await charger.ask("r2", "ReportChargingProfiles", ours)
            assert (await reading).verdict is Verdict.STRICTER
            status = at.central.status("CP-1")
            assert status is not None
            if limit:
                assert [(f.source, f.by, f.limit_a) for f in status.foreign] == [("SO", "profiles", 6.0)]
                assert at.value("ocpp_foreign_limits_total", by="profiles") == 1
            else:
                assert [(f.source, f.by) for f in status.foreign] == [("unknown", "composite")]


async def test_ocp_07_a_1_6_charger_that_is_limited_further_is_limited_by_somebody_unknown() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        reading = await limited(at, charger, "1.6")
        await composite_of(charger, 6.0, "1.6")
        assert (await reading).verdict is Verdict.STRICTER
        status = at.central.status("CP-1")
        assert status is not None
        assert [(f.source, f.by, f.limit_a) for f in status.foreign] == [("unknown", "composite", 6.0)]
        reading = asyncio.create_task(at.central.read_back("CP-1"))
        await composite_of(charger, 10.0, "1.6")
        assert (await reading).verdict is Verdict.AGREES
        status = at.central.status("CP-1")
        assert status is not None
        assert status.foreign == ()


async def test_c_5_a_schedule_that_the_meter_contradicts_is_no_longer_believed() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        reading = await limited(at, charger, "1.6")
        station = at.central._stations["CP-1"]
        at.clock.advance(60)
        for lies in (1, 2):
            value = {"value": "6900", "measurand": "Power.Active.Import", "unit": "W"}
            stamp = at.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            values = [{"timestamp": stamp, "sampledValue": [value]}]
            asking = asyncio.create_task(charger.asked("GetCompositeSchedule")) if lies == 1 else None
            if asking is not None:
                frame = await asking
                await charger.ask("m1", "MeterValues", {"connectorId": 1, "meterValue": values})
                given = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}]}
                await charger.send(3, frame[1], {"status": "Accepted", "chargingSchedule": given})
            else:
                reading = asyncio.create_task(at.central.read_back("CP-1"))
                await composite_of(charger, 6.0, "1.6")
            assert (await reading).verdict is Verdict.LIES
            assert station.composite_lies == lies
        station.last_reading = None
        reading = asyncio.create_task(at.central.read_back("CP-1"))
        await composite_of(charger, 6.0, "1.6")
        assert (await reading).verdict is Verdict.STRICTER
        assert station.foreign == {}


@pytest.mark.parametrize("answer", ["none", "refusal", "silence"])
async def test_a_station_that_lists_nothing_is_limited_by_somebody_unknown(answer: str) -> None:
    async with bench(CHARGER, profile_report_s=0.05) as at, raw(at, "CP-1", "ocpp2.0.1") as charger:
        reading = await limited(at, charger)
        await composite_of(charger, 6.0)
        frame = await charger.asked("GetChargingProfiles")
        if answer == "refusal":
            await charger.send(4, frame[1], "NotImplemented", "", {})
        else:
            await charger.send(3, frame[1], {"status": "NoProfiles" if answer == "none" else "Accepted"})
        assert (await reading).verdict is Verdict.STRICTER
        status = at.central.status("CP-1")
        assert status is not None
        assert [f.source for f in status.foreign] == ["unknown"]
        assert at.central._stations["CP-1"].reports == {}
        late = {"requestId": frame[3]["requestId"], "chargingLimitSource": "SO", "evseId": 1}
        await charger.ask("late", "ReportChargingProfiles", late | {"chargingProfile": [profile(5, 6.0)]})


async def test_ocp_06_it_is_read_back_by_itself_after_a_while() -> None:
    async with bench(CHARGER, read_back_s=15) as at, raw(at) as charger:
        await charger.boot()
        await at.fleet.heard("connected", "CP-1")
        command = asyncio.create_task(at.central.set_limit("CP-1", at.schedule(10.0)))
        frame = await charger.asked("SetChargingProfile")
        await charger.send(3, frame[1], {"status": "Accepted"})
        await command
        await settled(lambda: at.clock.sleepers == 2)
        at.clock.advance(16)
        frame = await charger.asked("GetCompositeSchedule")
        assert frame[3] == {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}
