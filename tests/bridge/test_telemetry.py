"""Reports offered and the data in them: real readings with their times, bad quality where there are none."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.asks import Content
from bridge.fleet import Fleet
from bridge.location import Level, Location
from bridge.points import CURTAILABLE, DSR, FLEXIBILITY, HISTORY, STATUS, USAGE, Sampling
from bridge.rollup import RollUp
from bridge.series import ESTIMATED, GOOD, NO_VALUE, NOT_CONNECTED, PARTIAL, STALE
from bridge.store import Changes
from bridge.target import MeterReading
from bridge.telemetry import Telemetry
from openadr.messages import RegisterReport, UpdateReport
from openadr.model import (
    EiTarget,
    Report,
    ReportInterval,
    ReportRequest,
    ReportSpecifier,
    ResourceStatus,
    SpecifierPayload,
)
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
    usage, status, history, *_ = telemetry(world).capabilities()
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
    roll_up = RollUp(world.store, ["CP1", "CP2"])
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

    roll_up = RollUp(world.store, ["CP1"])
    reading(0, 0.0)
    world.clock.advance(7320)
    reading(7300, 14_000.0)
    await world.supervisor.flush()
    assert await roll_up.run(world.clock.now()) == 5  # and what lies before the first, which was stored late
    assert [row.energy_wh for row in await world.store.half_hours(["CP1"], at(0), at(7200))] == [None]
    for second in range(60, 7260, 60):
        reading(second, second * 6900 / 3600)
    await world.supervisor.flush()
    await roll_up.run(world.clock.now())
    rows = await world.store.half_hours(["CP1"], at(0), at(7200))
    assert [(row.energy_wh, row.estimated) for row in rows] == [(3450.0, False)] * 4
    again = RollUp(world.store, ["CP1"])
    assert await again.run(world.clock.now()) == 4
    assert await world.store.half_hours(["CP1"], at(0), at(7200)) == rows
    await world.store.forget_half_hours(at(3600))
    assert len(await world.store.half_hours(["CP1"], at(0), at(7200))) == 2


async def test_out_10_half_hours_that_are_to_be_made_anew_outlive_a_kill(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()

    def reading(second: float) -> MeterReading:
        return MeterReading(charger="CP1", at=at(second), power_w=6900.0, energy_wh=second * 6900 / 3600)

    world.supervisor.fleet.reading(reading(0))
    world.clock.advance(8 * 1800 + 300)
    world.supervisor.fleet.reading(reading(8 * 1800 + 290))
    await world.supervisor.flush()
    await RollUp(world.store, ["CP1"]).run(world.clock.now())
    assert await world.store.late_half_hours() == {}
    for second in range(60, 1860, 60):
        world.supervisor.fleet.reading(reading(second))
    await world.supervisor.flush()
    await world.restart()
    assert list(await world.store.late_half_hours()) == [at(-1800), at(0), at(1800), at(3600)]
    await RollUp(world.store, ["CP1"]).run(world.clock.now())
    [first, *_] = await world.store.half_hours(["CP1"], at(0), at(7200))
    assert (first.energy_wh, first.estimated) == (3450.0, False)
    assert await world.store.late_half_hours() == {}
    noted = at(60)
    await world.store.write(Changes(late=((at(0), noted),)))
    await world.store.write(Changes(late_made=((at(0), at(59)),)))  # made of what was there before it came
    assert await world.store.late_half_hours() == {at(0): noted}


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


async def test_tel_13_curtailable_power_of_a_feeder_is_reported_upstream(bridge_db: AsyncEngine) -> None:
    members = [resource(n, groups=(), feeder="F7") for n in (1, 2, 3)]
    chargers = [SimCharger("CP1", demand_a=10.0), SimCharger("CP2", demand_a=10.0), SimCharger("CP3", session=False)]
    world = World(bridge_db, chargers, resources=members)
    await world.start()
    await world.step(60)
    made = telemetry(world)
    [offer] = [each for each in made.capabilities() if each.report_name == "x-CURTAILABLE"]
    assert [(row.r_id, row.report_type) for row in offer.descriptions] == [("GC-F7", "x-curtailable")]
    asked = request("GC-F7", specifier=CURTAILABLE, granularity=30, back=30)
    assert values(await made.collect(asked, at(30), at(60))) == [("GC-F7", 60, 13_800.0, GOOD)]
    await world.publish(event(simple((600, 2)), start=at(60)))
    await world.supervisor.override("evse-1", event_id=None, reason="late", duration_s=None, source="user")
    world.park["CP2"].connected = False
    await world.step(60)
    late = await made.collect(asked, at(90), at(120))
    assert values(late) == [("GC-F7", 120, 0.0, GOOD)]  # one has left the event, one cannot be told, one is idle
    earlier = await made.collect(asked, at(30), at(60))
    assert values(earlier) == [("GC-F7", 60, 13_800.0, GOOD)]  # asked for later it says what was so then
    report = Report(
        report_request_id="0",
        report_specifier_id=offer.report_specifier_id,
        created_date_time=at(0),
        report_name=offer.report_name,
        duration=offer.duration,
        descriptions=offer.descriptions,
    )
    message = RegisterReport(request_id="req-1", reports=(report,), ven_id="ven-1")
    assert decode(encode(message)) == message


async def test_tel_02_the_data_set_for_demand_side_response_has_exactly_these_points(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1", demand_a=10.0)])
    await world.start()
    reading = MeterReading(charger="CP1", at=at(0), power_w=6900.0, energy_wh=1234.5, frequency_hz=49.97)
    world.supervisor.fleet.reading(reading)
    held = {"evse-1": Content(content_wh=29_000.0, full_wh=40_000.0)}
    made = Telemetry(
        contents=lambda: held,
        resources=world.resources,
        samples=world.store,
        flush=world.supervisor.flush,
        sampling=Sampling(dsr=True),
    )
    offer = made.capabilities()[-1]
    assert offer.report_name == "x-DSR"
    r_ids = [row.r_id for row in offer.descriptions]
    assert sorted(r_ids) == ["A-evse-1", "D-evse-1", "F-evse-1", "M-evse-1", "U-evse-1"]
    assert all(row.report_data_source == EiTarget(resource_ids=("evse-1",)) for row in offer.descriptions)
    found = await made.collect(request(*r_ids, specifier=DSR, back=10), at(0), at(10))
    assert {row[0]: row[2:] for row in values(found)} == {
        "M-evse-1": (1234.5, GOOD),
        "F-evse-1": (49.97, GOOD),
        "U-evse-1": (15_180.0, GOOD),
        "D-evse-1": (6900.0, GOOD),
        "A-evse-1": (11_000.0, GOOD),
    }
    silent = await made.collect(request(*r_ids, specifier=DSR, back=10), at(600), at(610))
    assert {row[0]: row[3] for row in values(silent)} == {
        "M-evse-1": NOT_CONNECTED,
        "F-evse-1": NOT_CONNECTED,
        "U-evse-1": NO_VALUE,
        "D-evse-1": NO_VALUE,
        "A-evse-1": GOOD,
    }
    report = Report(
        report_request_id="0",
        report_specifier_id=offer.report_specifier_id,
        created_date_time=at(0),
        report_name=offer.report_name,
        duration=offer.duration,
        descriptions=offer.descriptions,
    )
    message = RegisterReport(request_id="req-1", reports=(report,), ven_id="ven-1")
    assert decode(encode(message)) == message
    assert "x-DSR" not in {each.report_name for each in telemetry(world, evse_1=1.0).capabilities()}


async def test_tel_06_a_new_provider_is_told_nothing_from_before_its_time(bridge_db: AsyncEngine) -> None:
    members = [resource(1, provider_since=at(1800)), resource(2)]
    chargers = [SimCharger("CP1", demand_a=10.0), SimCharger("CP2", demand_a=10.0)]
    world = World(bridge_db, chargers, resources=members)
    await world.start()
    await world.step(3900, every=60)
    await world.supervisor.flush()
    await RollUp(world.store, ["CP1", "CP2"]).run(world.clock.now())
    made = telemetry(world)
    history = request("E-evse-1", "GE-feeder-7", specifier=HISTORY, granularity=0, back=0)
    assert values(await made.collect(history, at(0), at(3600))) == [
        ("E-evse-1", 0, 0.0, NOT_CONNECTED),
        ("GE-feeder-7", 0, 3335.0, PARTIAL),
        ("E-evse-1", 1800, 3450.0, GOOD),
        ("GE-feeder-7", 1800, 6900.0, GOOD),
    ]
    usage = request("P-evse-1", granularity=900, back=900)
    assert values(await made.collect(usage, at(900), at(1800)))[0][2:] == (0.0, NOT_CONNECTED)
    assert values(await made.collect(usage, at(1800), at(2700)))[0][2:] == (6900.0, GOOD)
    status = request("S-evse-1", specifier=STATUS, granularity=900, back=900)
    assert await made.collect(status, at(0), at(900)) == ()
    assert len(await made.collect(status, at(1800), at(2700))) == 1


async def test_tel_11_a_vtn_gets_sums_of_the_levels_that_it_may_know(bridge_db: AsyncEngine) -> None:
    place = Location(premises="1 High Street", lv_feeder="F7", primary="Elm")
    members = [resource(1, groups=(), location=place), resource(2, groups=(), location=replace(place, lv_feeder="F8"))]
    world = World(bridge_db, [SimCharger("CP1", demand_a=10.0), SimCharger("CP2", demand_a=10.0)], resources=members)
    await world.start()
    await world.step(60)

    def made(*levels: Level) -> Telemetry:
        return Telemetry(
            resources=members,
            samples=world.store,
            flush=world.supervisor.flush,
            sampling=Sampling(),
            levels=levels,
        )

    def told(*levels: Level) -> set[str]:
        return {row.r_id for each in made(*levels).capabilities() for row in each.descriptions if row.r_id[0] == "G"}

    assert told() == set()
    assert {name for name in told(Level.PRIMARY) if name.startswith("GP")} == {"GP-primary:Elm"}
    assert {name for name in told(*Level) if name.startswith("GP")} == {
        "GP-primary:Elm",
        "GP-lv_feeder:F7",
        "GP-lv_feeder:F8",
    }
    asked = request("GP-primary:Elm", granularity=30, back=30)
    assert values(await made(Level.PRIMARY).collect(asked, at(30), at(60)))[0][2:] == (13_800.0, GOOD)
