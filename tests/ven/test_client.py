"""The VEN's shell against a VTN over loopback HTTPS with mutual TLS: whole journeys, outages, faults, restarts."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from openadr.errors import NotRegistered
from openadr.messages import (
    CancelPartyRegistration,
    CreatedEvent,
    CreatedReport,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    EiResponse,
    Poll,
    QueryRegistration,
    RegisterReport,
    RequestEvent,
    Response,
    UpdateReport,
)
from openadr.model import OptType, ReportInterval, ReportPayload, ReportRequest
from runtime import logs
from runtime.clock import FakeClock, new_id
from runtime.metrics import render
from tests.databases import open_engine
from tests.ven.conftest import Pki
from tests.ven.fake_vtn import FakeVtn
from tests.ven.support import T0, VEN_ID, VTN_ID, distribute, event, opt_in, report_request, usage_capability
from ven.client import VenClient
from ven.contact import Unwell
from ven.metrics import VenFigures
from ven.opts import EventOpt
from ven.settings import VenSettings
from ven.state import VenStore


@dataclass
class Site:
    """What stands behind the VEN: its fake clock, the data it collects, and the changes it heard of."""

    vtn: FakeVtn
    pki: Pki
    clock: FakeClock = field(default_factory=lambda: FakeClock(T0))
    changes: int = 0
    broken_collect: bool = False
    report_only: bool = False
    collected: list[tuple[datetime, datetime]] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def settings(self) -> VenSettings:
        chain, key = self.pki.ven.chain
        return VenSettings(
            vtn_url=self.vtn.url,
            ca=self.pki.ca,
            cert=chain,
            key=key,
            ven_name="Bridge",
            poll_jitter=0,
            timeout_s=5,
            report_only=self.report_only,
        )

    async def collect(self, _request: ReportRequest, start: datetime, end: datetime) -> tuple[ReportInterval, ...]:
        if self.broken_collect:
            raise ConnectionError("no meter")
        self.collected.append((start, end))
        return (ReportInterval(payloads=(ReportPayload(r_id="power-1", value=7000.0),), dtstart=start),)

    def heard(self) -> None:
        self.changes += 1

    def client(self, store: VenStore) -> VenClient:
        return VenClient(
            settings=self.settings(),
            store=store,
            assess=opt_in,
            capabilities=lambda: (usage_capability(),),
            collect=self.collect,
            clock=self.clock,
            draw=lambda: 0.5,
            on_change=self.heard,
            ssl_context=self.pki.client(),
            metrics=VenFigures(self.registry).of(""),
        )


@pytest.fixture
def site(vtn: FakeVtn, pki: Pki) -> Site:
    made = Site(vtn=vtn, pki=pki)
    vtn.clock = made.clock.now
    return made


@pytest.fixture
async def engine(sqlite_url: str) -> AsyncIterator[AsyncEngine]:
    async with open_engine(sqlite_url) as opened:
        yield opened


@pytest.fixture
async def client(site: Site, engine: AsyncEngine) -> AsyncIterator[VenClient]:
    made = site.client(await VenStore.open(engine))
    yield made
    await made.close()


async def reached(condition: Callable[[], object], clock: FakeClock | None = None, step_s: float = 1.0) -> None:
    """Let the loop turn, moving the clock if given, until ``condition`` holds."""
    async with asyncio.timeout(20):
        while not condition():
            if clock is not None and clock.sleepers:
                clock.advance(step_s)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(client: VenClient) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(client.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def kinds(vtn: FakeVtn) -> list[type]:
    return [type(one.message) for one in vtn.received]


async def test_rule_405_500_one_cycle_registers_resynchronises_answers_and_drains(
    client: VenClient, vtn: FakeVtn, site: Site, engine: AsyncEngine
) -> None:
    vtn.events = (event(),)
    vtn.queue.append(CreateReport(request_id="c-1", report_requests=(report_request(),)))
    await client.poll_once()
    assert kinds(vtn) == [
        QueryRegistration,
        CreatePartyRegistration,
        RegisterReport,
        RequestEvent,
        CreatedEvent,
        Poll,
        CreatedReport,
        Poll,
    ]
    assert [one.service for one in vtn.received][-4:] == ["EiEvent", "OadrPoll", "EiReport", "OadrPoll"]
    assert site.changes == 1
    assert await events_of(engine) == ["evt-1"]
    assert client.status.outbox_depth == 0


async def events_of(engine: AsyncEngine) -> list[str]:
    """Return what a bridge that opens the database now would see."""
    return [one.event.descriptor.event_id for one in await (await VenStore.open(engine)).events()]


async def test_events_are_told_after_commit_and_only_when_they_changed(
    client: VenClient, vtn: FakeVtn, site: Site
) -> None:
    await client.poll_once()
    assert site.changes == 0
    vtn.queue.extend([distribute(event()), distribute(event(), request_id="dist-2")])
    await client.poll_once()
    assert site.changes == 1
    vtn.queue.append(distribute())
    await client.poll_once()
    assert site.changes == 2


async def test_status_health_and_metrics_tell_how_the_ven_stands(client: VenClient, vtn: FakeVtn, site: Site) -> None:
    with pytest.raises(Unwell, match="not registered"):
        await client.health()
    await client.poll_once()
    await client.health()
    status = client.status
    assert (status.registered, status.ven_id, status.vtn_id) == (True, VEN_ID, VTN_ID)
    assert (status.last_contact, status.outbox_depth, status.last_failure) == (T0, 0, None)
    assert status.clock_offset_s is not None
    await vtn.stop()
    await client.poll_once()
    assert "unreachable" in (client.status.last_failure or "")
    site.clock.advance(31)
    with pytest.raises(Unwell, match="no contact"):
        await client.health()
    figures = render(site.registry).decode()
    assert 'oadr_ven_exchanges_total{message="oadrPoll",vtn=""} 1.0' in figures
    assert 'oadr_ven_failures_total{failure="unreachable",vtn=""} 1.0' in figures
    assert site.registry.get_sample_value("oadr_ven_last_contact_timestamp_seconds", {"vtn": ""}) == T0.timestamp()
    assert 'oadr_ven_registered{vtn=""} 1.0' in figures


@pytest.mark.parametrize(("apart_s", "warned", "well"), [(1, False, True), (-5, True, True), (60, True, False)])
async def test_ops_04_a_clock_that_parts_from_the_vtns_is_warned_of_and_makes_the_ven_unwell(
    client: VenClient, vtn: FakeVtn, site: Site, apart_s: int, warned: bool, well: bool
) -> None:
    vtn.clock = lambda: site.clock.now() + timedelta(seconds=apart_s)
    with structlog.testing.capture_logs() as lines:
        await client.poll_once()
        await client.poll_once()
    said = [line for line in lines if line["event"] == "the VTN's clock differs from ours"]
    assert len(said) == warned
    assert client.status.clock_offset_s == apart_s
    if well:
        await client.health()
    else:
        with pytest.raises(Unwell, match="clock differs from ours by"):
            await client.health()
    vtn.clock = site.clock.now
    with structlog.testing.capture_logs() as lines:
        await client.poll_once()
    await client.health()
    assert any(line["event"].endswith("agrees with ours again") for line in lines) == warned


async def test_rule_401_407_an_operator_leaves_for_good_over_a_restart_and_enters_again(
    client: VenClient, vtn: FakeVtn, site: Site, engine: AsyncEngine
) -> None:
    vtn.events = (event(),)
    await client.poll_once()
    await client.leave()
    assert client.status.withdrawn
    site.registry = CollectorRegistry()
    again = site.client(await VenStore.open(engine))  # killed before the cancel went out
    vtn.received.clear()
    await again.poll_once()
    assert kinds(vtn) == [CancelPartyRegistration]
    assert vtn.got(CancelPartyRegistration)[0].registration_id == "REG-1"
    assert (again.status.registered, again.status.withdrawn) == (False, True)
    await again.health()
    site.registry = CollectorRegistry()
    third = site.client(await VenStore.open(engine))
    vtn.received.clear()
    await third.poll_once()
    assert kinds(vtn) == []
    await third.enter()
    await third.poll_once()
    assert kinds(vtn)[:3] == [QueryRegistration, CreatePartyRegistration, RegisterReport]
    assert third.status.registered
    await again.close()
    await third.close()


async def test_ven_10_a_report_only_ven_says_so_and_never_asks_for_events(
    vtn: FakeVtn, site: Site, engine: AsyncEngine
) -> None:
    store = await VenStore.open(engine)
    site.report_only = True
    client = site.client(store)
    vtn.queue.append(distribute(event()))
    await client.poll_once()
    assert vtn.got(CreatePartyRegistration)[0].report_only
    assert vtn.got(RequestEvent) == []
    [answer] = vtn.got(CreatedEvent)
    assert [each.opt_type for each in answer.event_responses] == [OptType.OPT_OUT]
    await client.close()


async def test_a_vtn_that_is_not_there_at_start_is_tried_until_it_is(
    client: VenClient, vtn: FakeVtn, site: Site
) -> None:
    await vtn.stop()
    async with running(client) as task:
        await reached(lambda: client.status.last_failure, site.clock)
        with pytest.raises(Unwell, match="unreachable"):
            await client.health()
        await vtn.start()
        await reached(lambda: client.status.registered, site.clock)
        assert not task.done()


async def test_polling_goes_on_at_the_interval_asked_for(client: VenClient, vtn: FakeVtn, site: Site) -> None:
    async with running(client):
        await reached(lambda: len(vtn.got(Poll)) == 1 and site.clock.sleepers)
        for number in range(2, 5):
            site.clock.advance(9.9)
            await asyncio.sleep(0.01)
            assert len(vtn.got(Poll)) == number - 1
            site.clock.advance(0.1)
            await reached(lambda number=number: len(vtn.got(Poll)) == number and site.clock.sleepers)  # type: ignore[misc]


async def test_an_opt_is_durable_at_once_and_delivered_without_waiting_for_the_poll(
    client: VenClient, vtn: FakeVtn, site: Site
) -> None:
    vtn.events = (event(),)
    async with running(client):
        await reached(lambda: vtn.got(Poll) and site.clock.sleepers)
        vtn.faults[CreateOpt].append(503)
        opt_id = await opt(client)
        assert client.status.outbox_depth == 1
        await reached(lambda: len(vtn.got(CreateOpt)) == 1)
        await reached(lambda: len(vtn.got(CreateOpt)) == 2, site.clock)
        await reached(lambda: client.status.outbox_depth == 0)
    first, second = vtn.got(CreateOpt)
    assert first == second
    assert (first.opt_id, first.target.resource_ids) == (opt_id, ("charger-1",))


async def opt(client: VenClient) -> str:
    return await client.opt(
        EventOpt(
            event_id="evt-1",
            modification_number=0,
            resource_ids=("charger-1",),
            opt_type=OptType.OPT_OUT,
            reason="overrideStatus",
        ),
        T0,
    )


async def test_an_opt_without_registration_is_refused(client: VenClient) -> None:
    with pytest.raises(NotRegistered):
        await opt(client)


async def test_reports_are_collected_and_delivered_on_time(client: VenClient, vtn: FakeVtn, site: Site) -> None:
    vtn.queue.append(CreateReport(request_id="c-1", report_requests=(report_request(),)))
    await client.poll_once()
    site.clock.advance(300)
    await client.poll_once()
    assert site.collected == [(T0, T0 + timedelta(seconds=300))]
    (update,) = vtn.got(UpdateReport)
    assert update.reports[0].intervals[0].payloads[0].value == 7000.0


async def test_rule_318_a_collector_that_fails_leads_to_a_report_that_says_so(
    client: VenClient, vtn: FakeVtn, site: Site
) -> None:
    site.broken_collect = True
    vtn.queue.append(CreateReport(request_id="c-1", report_requests=(report_request(),)))
    await client.poll_once()
    site.clock.advance(300)
    await client.poll_once()
    (update,) = vtn.got(UpdateReport)
    assert update.reports[0].intervals[0].payloads[0].data_quality == "Quality Bad - Not Connected"


async def test_rule_301_metadata_asked_for_is_sent_without_collecting(
    client: VenClient, vtn: FakeVtn, site: Site
) -> None:
    wanted = report_request("meta", specifier="METADATA", back=report_request().specifier.granularity, r_ids=("0",))
    wanted = replace(wanted, specifier=replace(wanted.specifier, report_back_duration=wanted.specifier.granularity))
    vtn.queue.append(CreateReport(request_id="c-1", report_requests=(wanted,)))
    await client.poll_once()
    assert [one.report_request_id for one in vtn.got(RegisterReport)] == [None, "meta"]
    assert not site.collected


async def test_a_restart_neither_registers_again_nor_loses_events_and_sends_what_is_owed(
    site: Site, vtn: FakeVtn, sqlite_url: str
) -> None:
    async with open_engine(sqlite_url) as first:
        client = site.client(await VenStore.open(first))
        vtn.events = (event(),)
        vtn.faults[CreatedEvent].append(503)
        await client.poll_once()
        assert client.status.outbox_depth == 1
        await client.close()
    owed = vtn.got(CreatedEvent)
    vtn.received.clear()
    site.registry = CollectorRegistry()
    site.clock.advance(2)
    async with open_engine(sqlite_url) as second:
        again = site.client(await VenStore.open(second))
        vtn.faults[RequestEvent].append(503)  # so that the owed answer is not overtaken by a newer one
        await again.poll_once()
        assert await events_of(second) == ["evt-1"]
        assert again.status.outbox_depth == 0
        await again.close()
    assert QueryRegistration not in kinds(vtn)
    assert vtn.got(CreatedEvent) == owed


async def test_a_database_that_fails_delays_and_resynchronises_but_ends_nothing(
    client: VenClient, vtn: FakeVtn, site: Site, engine: AsyncEngine
) -> None:
    async with running(client) as task:
        await reached(lambda: vtn.got(Poll) and site.clock.sleepers)
        await rename(engine, "ven_event", "ven_away")
        vtn.queue.append(distribute(event()))
        await reached(lambda: 'oadr_ven_faults_total{vtn=""} 1.0' in render(site.registry).decode(), site.clock)
        await rename(engine, "ven_away", "ven_event")
        vtn.events = (event(),)
        await reached(lambda: vtn.got(CreatedEvent), site.clock)
        assert not task.done()
    assert len(vtn.got(RequestEvent)) == 2
    assert await events_of(engine) == ["evt-1"]


async def rename(engine: AsyncEngine, old: str, new: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


async def test_each_exchange_has_one_reference_from_request_to_consequence(
    client: VenClient, vtn: FakeVtn, site: Site
) -> None:
    stream = io.StringIO()
    logs.configure(level="debug", json=True, stream=stream)
    try:
        vtn.events = (event(value=9.0),)
        await client.poll_once()
    finally:
        structlog.reset_defaults()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    exchanges = [line for line in lines if line["event"] == "exchange"]
    assert len({line["ref"] for line in exchanges}) == len(exchanges) == len(vtn.received)
    (refused,) = [line for line in lines if line["event"] == "event_refused"]
    (resync,) = [line for line in exchanges if line["message"] == "oadrRequestEvent"]
    assert refused["ref"] == resync["ref"]
    assert "454" in refused["detail"]


async def test_a_wake_looks_again_at_once(client: VenClient, vtn: FakeVtn, site: Site) -> None:
    async with running(client):
        await reached(lambda: vtn.got(Poll) and site.clock.sleepers)
        vtn.queue.append(Response(response=EiResponse()))
        site.clock.advance(0)
        client.wake()
        await reached(lambda: site.clock.sleepers)
    assert len(vtn.got(Poll)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vtn_url": "http://vtn.example"}, "allow_insecure_http"),
        ({"vtn_url": "vtn.example:8443"}, "https:// address"),
        ({"vtn_url": "https://"}, "https:// address"),
        ({"key": None}, "ca, cert and key"),
        ({"timeout_s": 4.9}, "timeout_s"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(site: Site, changes: dict[str, object], message: str) -> None:
    values = site.settings().model_dump() | changes
    with pytest.raises(ValueError, match=message):
        VenSettings.model_validate(values)


def test_plain_http_needs_to_be_said() -> None:
    settings = VenSettings(vtn_url="http://127.0.0.1:8080", allow_insecure_http=True, ven_name=new_id("ven"))
    assert settings.ca is None
