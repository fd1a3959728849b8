"""Reports offered and the data in them: real readings with their times, bad quality where there are none."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.telemetry import GOOD, NO_VALUE, NOT_CONNECTED, STATUS, USAGE, Sampling, Telemetry
from openadr.messages import RegisterReport, UpdateReport
from openadr.model import Report, ReportInterval, ReportRequest, ReportSpecifier, ResourceStatus, SpecifierPayload
from openadr.times import Duration
from openadr.wire import decode, encode
from tests.bridge.parts import SimCharger, World, at, event, simple


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


def telemetry(world: World) -> Telemetry:
    return Telemetry(
        resources=world.resources,
        samples=world.store,
        standing=world.supervisor,
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
    usage, status = telemetry(world).capabilities()
    assert (usage.report_name, status.report_name) == ("TELEMETRY_USAGE", "TELEMETRY_STATUS")
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
        ("E-evse-1", 0, 47.9, GOOD),
        ("P-evse-1", 30, 6900.0, GOOD),
        ("E-evse-1", 30, 47.9, GOOD),
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
