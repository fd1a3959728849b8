"""Reports offered and the data in them: real readings with their times, bad quality where there are none."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.asks import Content
from bridge.fleet import Fleet
from bridge.points import FLEXIBILITY, HISTORY, STATUS, USAGE, Sampling
from bridge.rollup import RollUp
from bridge.series import ESTIMATED, GOOD, NO_VALUE, NOT_CONNECTED, PARTIAL, STALE
from bridge.target import MeterReading
from bridge.telemetry import Telemetry
from openadr.messages import RegisterReport, UpdateReport
from openadr.model import Report, ReportInterval, ReportRequest, ReportSpecifier, ResourceStatus, SpecifierPayload
from openadr.times import Duration
from openadr.wire import decode, encode
from tests.bridge.parts import SimCharger, World, at, event, resource, simple


def request(*r_ids: str, specifier: str = USAGE, granularity: int = 10, back: int = 60) -> ReportRequest:
    return ReportRequest(
        report_request_id="rr-1",
        specifier=ReportSpecifier(
            report_specifier_id=specifier,
            granularity=Duration(seconds=granularity),
            report_back_duration=Duration(seconds=back),
            payloads=tuple(SpecifierPayload(r_id=r_id) for r_id in r_ids),
        ),
    )


def telemetry(world: World, **content_wh: float) -> Telemetry:
    held = {name.replace("_", "-"): Content(content_wh=wh, full_wh=40_000.0) for name, wh in content_wh.items()}
    return Telemetry(
        contents=lambda: held,
        resources=world.resources,
        samples=world.store,
        flush=world.supervisor.flush,
        sampling=Sampling(),
    )


def values(intervals: tuple[ReportInterval, ...]) -> list[tuple[str, float, float | ResourceStatus, str | None]]:
    found = []
    for interval in intervals:
        [payload] = interval.payloads
        assert interval.dtstart is not None
        found.append((payload.r_id, (interval.dtstart - at(0)).total_seconds(), payload.value, payload.data_quality))
    return found


async def test_tel_01_usage_and_status_are_offered_for_every_resource(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2")])
    usage, status, history = telemetry(world).capabilities()
    assert (usage.report_name, status.report_name) == ("TELEMETRY_USAGE", "TELEMETRY_STATUS")
    assert history.report_name == "HISTORY_USAGE"
    assert [row.r_id for row in history.descriptions] == [row.r_id for row in usage.descriptions]
    assert [row.r_id for row in usage.descriptions] == ["P-evse-1", "E-evse-1", "P-evse-2", "E-evse-2"]
    assert [row.r_id for row in status.descriptions] == ["S-evse-1", "S-evse-2"]
    assert usage.duration.seconds >= 100 * 10
    report = Report(
        report_request_id="0",
        report_specifier_id=usage.report_specifier_id,
        created_date_time=at(0),
        report_name=f"METADATA_{usage.report_name}",
        duration=usage.duration,
        descriptions=(*usage.descriptions, *status.descriptions),
    )
    message = RegisterReport(request_id="req-1", reports=(report,), ven_id="ven-1")
    assert decode(encode(message)) == message


async def test_tel_01_power_is_the_last_reading_and_energy_what_flowed(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", demand_a=10.0)])
    await world.start()
    await world.step(60)
    found = await telemetry(world).collect(request("P-evse-1", "E-evse-1", granularity=30), at(0), at(60))
    assert values(found) == [
        ("P-evse-1", 0, 6900.0, GOOD),
        ("E-evse-1", 0, 38.3, GOOD),
        ("P-evse-1", 30, 6900.0, GOOD),
        ("E-evse-1", 30, 57.5, GOOD),
    ]
    assert {interval.duration for interval in found} == {Duration(seconds=30)}
    report = Report(
        report_request_id="rr-1",
        report_specifier_id=USAGE,
        report_name="TELEMETRY_USAGE",
        created_date_time=at(60),
        dtstart=at(0),
        intervals=found,
    )
    message = UpdateReport(request_id="req-1", reports=(report,), ven_id="ven-1")
    assert decode(encode(message)) == message


async def test_tel_08_where_there_is_no_data_the_quality_says_so(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", connected=False)])
    await world.start()
    await world.step(60)
    found = await telemetry(world).collect(request("P-evse-1", "E-evse-1", granularity=60), at(0), at(60))
    assert values(found) == [("P-evse-1", 0, 0.0, NOT_CONNECTED), ("E-evse-1", 0, 0.0, NOT_CONNECTED)]


async def test_point_data_alone_has_no_duration(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.step(60)
    found = await telemetry(world).collect(request("P-evse-1"), at(0), at(60))
    assert len(found) == 6
    assert {interval.duration for interval in found} == {None}


async def test_rule_324_a_one_shot_has_one_interval_for_each_data_point(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.step(62)
    one_shot = request("P-evse-1", "E-evse-1", granularity=0, back=0)
    found = await telemetry(world).collect(one_shot, at(62) - timedelta(days=7), at(62))
    assert [row[0] for row in values(found)] == ["P-evse-1", "E-evse-1"]
    assert values(found)[0][2:] == (22080.0, GOOD)


async def test_a_register_with_one_value_or_going_back_is_handled(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", demand_a=10.0)])
    await world.start()
    await world.step(5)
    one = await telemetry(world).collect(request("E-evse-1", granularity=5), at(3), at(8))
    assert values(one) == [("E-evse-1", 3, 0.0, NO_VALUE)]
    world.park.energy_wh["CP1"] = -2.0  # a new session on a meter that counts by session
    await world.step(5)
    again = await telemetry(world).collect(request("E-evse-1", granularity=5), at(6), at(11))
    assert values(again) == [("E-evse-1", 6, 7.6, GOOD)]


async def test_tel_03_status_tells_online_override_and_load_control_state(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1"), SimCharger("CP2"), SimCharger("CP3", connected=False)])
    await world.start()
    await world.publish(event(simple((600, 2))))
    await world.supervisor.override("evse-2", event_id=None, reason="x", duration_s=None, source="user")
    await world.round()
    world.clock.advance(10)
    asked = request("S-evse-1", "S-evse-2", "S-evse-3", specifier=STATUS)
    found = await telemetry(world).collect(asked, at(0), at(10))
    statuses = [interval.payloads[0].value for interval in found]
    assert [(each.online, each.manual_override) for each in statuses if isinstance(each, ResourceStatus)] == [
        (True, False),
        (True, True),
        (False, False),
    ]
    states = [each.load_control_state for each in statuses if isinstance(each, ResourceStatus)]
    assert [state.capacity.current for state in states if state and state.capacity] == [0.5, 1.0, 0.5]


async def test_tel_03_out_10_status_in_a_late_report_is_what_was_so_then(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.step(10)
    await world.publish(event(simple((20, 2)), start=at(20)))
    await world.step(20)
    world.park["CP1"].connected = False
    await world.step(10)
    await world.restart()
    world.park["CP1"].connected = True
    await world.step(60)
    asked = request("S-evse-1", specifier=STATUS, granularity=10)
    found = await telemetry(world).collect(asked, at(0), at(60))
    told = []
    for _, second, status, _ in values(found):
        assert isinstance(status, ResourceStatus)
        assert status.load_control_state is not None
        assert status.load_control_state.capacity is not None
        told.append((second, status.online, status.load_control_state.capacity.current))
    assert told == [
        (10, True, 1.0),
        (20, True, 0.5),
        (30, True, 0.5),
        (40, False, 1.0),
        (50, True, 1.0),
        (60, True, 1.0),
    ]


async def test_tel_05_a_reading_before_the_interval_is_marked_as_old_and_one_too_old_is_none(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1", demand_a=10.0)])
    await world.start()
    await world.step(10)
    found = await telemetry(world).collect(request("P-evse-1", granularity=60, back=300), at(0), at(300))
    assert values(found) == [
        ("P-evse-1", 0, 6900.0, GOOD),
        ("P-evse-1", 60, 6900.0, STALE),
        ("P-evse-1", 120, 6900.0, STALE),
        ("P-evse-1", 180, 6900.0, STALE),
        ("P-evse-1", 240, 0.0, NOT_CONNECTED),
    ]


async def test_tel_01_tel_09_a_feeder_is_the_sum_of_its_chargers_and_says_if_one_is_missing(
    bridge_db: AsyncEngine,
) -> None:
    chargers = [SimCharger("CP1", demand_a=10.0), SimCharger("CP2", demand_a=20.0), SimCharger("CP3")]
    feeders = ("F7", "F7", "F8")
    made = [resource(number, feeder=feeder, groups=()) for number, feeder in enumerate(feeders, 1)]
    world = World(bridge_db, chargers, resources=made)
    await world.start()
    await world.step(30)
    chargers[1].connected = False
    await world.step(240)
    usage, *_ = telemetry(world).capabilities()
    assert [row.r_id for row in usage.descriptions][-4:] == ["GP-F7", "GE-F7", "GP-F8", "GE-F8"]
    assert usage.descriptions[-1].report_data_source is not None
    assert usage.descriptions[-1].report_data_source.group_ids == ("F8",)
    whole = await telemetry(world).collect(request("GP-F7", "GE-F7", granularity=20, back=20), at(10), at(30))
    assert values(whole) == [("GP-F7", 10, 20_700.0, GOOD), ("GE-F7", 10, 115.0, GOOD)]
    part = await telemetry(world).collect(request("GP-F7", granularity=20, back=20), at(250), at(270))
    assert values(part) == [("GP-F7", 250, 6900.0, PARTIAL)]
    old = await telemetry(world).collect(request("GP-F7", granularity=20, back=20), at(100), at(120))
    assert values(old) == [("GP-F7", 100, 20_700.0, STALE)]


async def test_tel_07_history_is_half_hourly_estimated_where_guessed_and_absent_where_unknown(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1", demand_a=10.0), SimCharger("CP2", demand_a=10.0, connected=False)])
    await world.start()
    await world.step(3600, every=60)
    world.park["CP1"].connected = False
    await world.step(7200, every=600)
    roll_up = RollUp(world.store, ["CP1", "CP2"], world.supervisor.fleet.take_late)
    await world.supervisor.flush()
    assert await roll_up.run(world.clock.now()) == 5
    assert await roll_up.run(world.clock.now()) == 0
    history = request("P-evse-1", "E-evse-1", "E-evse-2", specifier=HISTORY, granularity=0, back=0)
    found = await telemetry(world).collect(history, at(0), at(10_800))
    assert values(found) == [
        ("P-evse-1", 0, 6900.0, GOOD),
        ("E-evse-1", 0, 3335.0, ESTIMATED),
        ("E-evse-2", 0, 0.0, NOT_CONNECTED),
        ("P-evse-1", 1800, 6900.0, GOOD),
        ("E-evse-1", 1800, 3450.0, GOOD),
        ("E-evse-2", 1800, 0.0, NOT_CONNECTED),
        ("P-evse-1", 3600, 6900.0, ESTIMATED),
        ("E-evse-1", 3600, 0.0, NOT_CONNECTED),
        ("E-evse-2", 3600, 0.0, NOT_CONNECTED),
    ]
    report = Report(
        report_request_id="rr-1",
        report_specifier_id=HISTORY,
        report_name="HISTORY_USAGE",
        created_date_time=at(10_800),
        dtstart=at(0),
        intervals=found,
    )
    message = UpdateReport(request_id="req-1", reports=(report,), ven_id="ven-1")
    assert decode(encode(message)) == message


async def test_out_10_readings_that_come_late_have_their_half_hours_made_anew(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    fleet: Fleet = world.supervisor.fleet

    def reading(second: float, wh: float) -> None:
        fleet.reading(MeterReading(charger="CP1", at=at(second), power_w=6900.0, current_a=(10.0,) * 3, energy_wh=wh))

    roll_up = RollUp(world.store, ["CP1"], fleet.take_late)
    reading(0, 0.0)
    world.clock.advance(7320)
    reading(7300, 14_000.0)
    await world.supervisor.flush()
    assert await roll_up.run(world.clock.now()) == 4
    assert [row.energy_wh for row in await world.store.half_hours(["CP1"], at(0), at(7200))] == [None]
    for second in range(60, 7260, 60):
        reading(second, second * 6900 / 3600)
    await world.supervisor.flush()
    await roll_up.run(world.clock.now())
    rows = await world.store.half_hours(["CP1"], at(0), at(7200))
    assert [(row.energy_wh, row.estimated) for row in rows] == [(3450.0, False)] * 4
    again = RollUp(world.store, ["CP1"], fleet.take_late)
    assert await again.run(world.clock.now()) == 4
    assert await world.store.half_hours(["CP1"], at(0), at(7200)) == rows
    await world.store.forget_half_hours(at(3600))
    assert len(await world.store.half_hours(["CP1"], at(0), at(7200))) == 2


async def test_tel_10_flexibility_is_offered_where_the_state_of_charge_is_known_and_nowhere_else(
    bridge_db: AsyncEngine,
) -> None:
    world = World(bridge_db, [SimCharger("CP1", demand_a=10.0), SimCharger("CP2")])
    await world.start()
    await world.step(30)
    made = telemetry(world, evse_1=29_000.0)
    assert "x-FLEXIBILITY" not in {each.report_name for each in telemetry(world).capabilities()}
    flexibility = made.capabilities()[-1]
    assert [row.r_id for row in flexibility.descriptions] == ["U-evse-1", "D-evse-1", "H-evse-1"]
    asked = request("U-evse-1", "D-evse-1", "H-evse-1", specifier=FLEXIBILITY, granularity=10, back=10)
    found = await made.collect(asked, at(20), at(30))
    assert [(r_id, value, quality) for r_id, _, value, quality in values(found)] == [
        ("U-evse-1", 15_180.0, GOOD),
        ("D-evse-1", 6900.0, GOOD),
        ("H-evse-1", 1793, GOOD),
    ]
    report = Report(
        report_request_id="0",
        report_specifier_id=flexibility.report_specifier_id,
        created_date_time=at(0),
        report_name=flexibility.report_name,
        duration=flexibility.duration,
        descriptions=flexibility.descriptions,
    )
    message = RegisterReport(request_id="req-1", reports=(report,), ven_id="ven-1")
    assert decode(encode(message)) == message
    world.park["CP1"].connected = False
    world.clock.advance(600)
    silent = await made.collect(asked, at(600), at(630))
    assert {quality for _, _, _, quality in values(silent)} == {NO_VALUE}
