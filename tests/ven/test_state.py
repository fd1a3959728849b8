"""Contract of the VEN's store on SQLite and PostgreSQL: what is committed is there after a kill, once and in order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from openadr.exchange import Service
from openadr.messages import (
    CanceledPartyRegistration,
    CanceledReport,
    CancelPartyRegistration,
    CancelReport,
    CreatedEvent,
    CreatedOpt,
    CreatedReport,
    CreateOpt,
    CreatePartyRegistration,
    CreateReport,
    EiResponse,
    Message,
    Poll,
    RegisteredReport,
    RegisterReport,
    RequestEvent,
    RequestReregistration,
    Response,
    UpdatedReport,
    UpdateReport,
)
from openadr.model import OptType, Report, ReportInterval, ReportPayload, ResourceStatus
from tests.databases import drift, open_engine
from tests.ven.support import (
    OK,
    REGISTRATION_ID,
    T0,
    VEN_ID,
    Bench,
    created_registration,
    distribute,
    event,
    minutes,
    report_request,
)
from ven import opts, outbox
from ven.model import Gather, Registration, Send, State, Step, StoredEvent, StoredRequest, Wait
from ven.state import MIGRATIONS, VERSION_TABLE, VenStore, metadata
from ven.tables import StoredValueError


@pytest.fixture
async def store(engine: AsyncEngine) -> VenStore:
    return await VenStore.open(engine)


async def put(store: VenStore, change: Callable[[State], State]) -> None:
    await store.transact(lambda state: (change(state), None))


def stored(event_id: str = "evt-1", *, at: datetime = T0) -> StoredEvent:
    return StoredEvent(
        event=event(event_id, startafter=minutes(5)), received_at=at, opt_type=OptType.OPT_IN, request_id="dist-1"
    )


def full(state: State) -> State:
    """Return a state with something of everything."""
    registration = Registration(registration_id="REG-1", ven_id="007", vtn_id="VTN-1", poll_s=10.0, metadata="abc")
    request = StoredRequest(
        request=report_request(), next_due=T0, covered_until=T0 - timedelta(seconds=1), until=T0, last=True
    )
    state = replace(
        state,
        registration=registration,
        events={"evt-1": replace(stored(), cancelled_at=T0, forgotten=True), "evt-2": stored("evt-2")},
        requests={"rr-1": request},
    )
    state = outbox.owe(state, Service.EI_EVENT, CreatedEvent(response=OK, ven_id="007"), T0)
    return outbox.owe(state, Service.EI_REPORT, status_report(), T0 + timedelta(microseconds=1))


def status_report() -> UpdateReport:
    message = UpdateReport(request_id="u-1", ven_id="007")
    status = ReportPayload(r_id="s", value=ResourceStatus(online=True, manual_override=False))
    number = ReportPayload(r_id="n", value=7000, confidence=90)
    interval = ReportInterval(payloads=(status, number), dtstart=T0)
    report = Report(
        report_request_id="rr-1", report_specifier_id="usage", created_date_time=T0, dtstart=T0, intervals=(interval,)
    )
    return replace(message, reports=(report,))


async def test_migrations_make_exactly_the_tables_of_the_code(engine: AsyncEngine, store: VenStore) -> None:
    assert await drift(engine, metadata) == []
    assert MIGRATIONS.is_dir()
    async with engine.begin() as connection:
        assert (await connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))).scalar_one() == "0004"


async def test_everything_is_there_again_after_a_kill(database_url: str, engine: AsyncEngine, store: VenStore) -> None:
    await put(store, full)
    before = await store.state()
    async with open_engine(database_url) as again:
        after = await (await VenStore.open(again)).state()
    assert after == before


async def test_ven_04_several_vtns_have_states_of_their_own_in_one_database(
    database_url: str, engine: AsyncEngine, store: VenStore
) -> None:
    other = await VenStore.open(engine, "aggregator")
    await put(store, full)
    await put(other, lambda state: replace(full(state), withdrawn_at=T0, events={"evt-1": stored(at=T0)}))
    await put(store, lambda state: replace(state, events={}, requests={}, outbox={}))
    assert (await store.state()).registration is not None
    async with open_engine(database_url) as again:
        first, second = (
            await (await VenStore.open(again)).state(),
            await (await VenStore.open(again, "aggregator")).state(),
        )
    assert (first.events, first.outbox, first.withdrawn_at) == ({}, {}, None)
    assert (set(second.events), len(second.outbox), second.withdrawn_at) == ({"evt-1"}, 2, T0)


async def test_what_was_there_before_names_of_vtns_is_kept(engine: AsyncEngine) -> None:
    def to_third(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"], config.attributes["version_table"] = connection, VERSION_TABLE
        command.upgrade(config, "0003")

    async with engine.begin() as connection:
        await connection.run_sync(to_third)
        await connection.execute(
            text(
                "INSERT INTO ven_registration (id, registration_id, ven_id, vtn_id, push_address) "
                "VALUES (1, 'REG-1', '007', 'VTN-1', 'https://ven.example')"
            )
        )
    state = await (await VenStore.open(engine)).state()
    assert state.registration is not None
    assert (state.registration.ven_id, state.registration.push_address) == ("007", "https://ven.example")


async def test_changes_and_removals_are_written_too(database_url: str, engine: AsyncEngine, store: VenStore) -> None:
    await put(store, full)
    await put(
        store,
        lambda state: replace(
            outbox.settle(state, 1),
            registration=None,
            events={"evt-2": replace(state.events["evt-2"], opt_type=OptType.OPT_OUT)},
            requests={"rr-1": replace(state.requests["rr-1"], next_due=T0 + timedelta(hours=1))},
        ),
    )
    before = await store.state()
    async with open_engine(database_url) as again:
        after = await (await VenStore.open(again)).state()
    assert after == before
    assert list(after.outbox) == [2]


async def test_outbox_numbers_never_run_backwards_within_a_process(store: VenStore) -> None:
    await put(store, lambda state: outbox.owe(state, Service.EI_EVENT, CreatedEvent(response=OK, ven_id="v"), T0))
    await put(store, lambda state: outbox.settle(state, 1))
    with pytest.raises(RuntimeError, match="no"):
        await store.transact(refuse)
    await put(store, lambda state: outbox.owe(state, Service.EI_EVENT, CreatedEvent(response=OK, ven_id="v"), T0))
    assert list((await store.state()).outbox) == [2]


def refuse(_state: State) -> tuple[State, None]:
    raise RuntimeError("no")


async def test_a_change_that_raises_changes_nothing(store: VenStore) -> None:
    await put(store, full)
    before = await store.state()
    with pytest.raises(RuntimeError, match="no"):
        await store.transact(refuse)
    assert await store.state() == before


async def test_a_commit_that_fails_changes_nothing_and_the_state_is_read_anew(
    engine: AsyncEngine, store: VenStore
) -> None:
    await put(store, full)
    before = await store.state()

    def unwritable(state: State) -> State:
        naive = replace(stored("evt-3"), received_at=datetime(2026, 1, 1))  # noqa: DTZ001 - refused by the column
        return replace(state, registration=None, events={**state.events, "evt-3": naive})

    with pytest.raises(Exception, match="instant without time zone"):
        await put(store, unwritable)
    assert await store.state() == before
    await put(store, lambda state: replace(state, registration=None))
    assert (await store.state()).registration is None


async def test_the_link_is_volatile(database_url: str, engine: AsyncEngine, store: VenStore) -> None:
    await put(store, lambda state: state.linked(resync=False, queried=True, next_poll=T0))
    assert (await store.state()).link.queried
    async with open_engine(database_url) as again:
        assert (await (await VenStore.open(again)).state()).link == State().link


async def test_events_are_shown_in_order_of_receipt_until_forgotten(store: VenStore) -> None:
    later = stored("evt-1", at=T0 + timedelta(seconds=5))
    cancelled = replace(stored("evt-2"), cancelled_at=T0)
    await put(store, lambda state: replace(state, events={"evt-1": later, "evt-2": cancelled}))
    assert [one.event.descriptor.event_id for one in await store.events()] == ["evt-2", "evt-1"]
    assert (await store.events())[0].cancelled_at == T0
    await store.forget("evt-2")
    await store.forget("evt-2")
    await store.forget("nope")
    assert [one.event.descriptor.event_id for one in await store.events()] == ["evt-1"]
    assert (await store.state()).events["evt-2"].forgotten
    assert store.snapshot.events["evt-2"].forgotten


async def test_an_unreadable_row_is_named(engine: AsyncEngine, store: VenStore) -> None:
    await put(store, full)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE ven_event SET document = '{}' WHERE event_id = 'evt-2'"))
    with pytest.raises(StoredValueError, match="ven_event evt-2"):
        await VenStore.open(engine)


# --- kill and restart in the middle of each owed message -----------------------------------------------------------


class Journey:
    """A session on a real store, killed and reopened at will."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bench = Bench()

    async def step(self, change: Callable[[State], Step]) -> None:
        """Commit one transition in a process of its own, which is killed right after the commit."""
        async with open_engine(self.url) as engine:
            store = await VenStore.open(engine)

            def apply(state: State) -> tuple[State, None]:
                linked = replace(state, link=self.bench.state.link)
                return change(linked).state, None

            await store.transact(apply)
            link = (await store.state()).link
        self.bench.state = replace(await self.reread(), link=link)

    async def reread(self) -> State:
        async with open_engine(self.url) as engine:
            return await (await VenStore.open(engine)).state()

    async def answer(self, kind: type[Message], reply: Message | None) -> Message:
        """Send the next message from what the database says, killing the VEN before and after the answer."""
        link = self.bench.state.link
        self.bench.state = replace(await self.reread(), link=link)
        first = self.bench.sends(kind)
        self.bench.state = replace(await self.reread(), link=link)
        again = self.bench.sends(kind)
        assert again == first or not is_owed(self.bench.last)  # a resend is the same message
        send = self.bench.last
        assert send is not None
        await self.step(lambda state: self.bench.session.answered(state, send, reply, self.bench.now))
        return again

    async def register(self) -> None:
        self.bench.rules = replace(self.bench.rules, query_first=False)
        self.bench.__post_init__()
        await self.answer(CreatePartyRegistration, created_registration())
        await self.answer(RegisterReport, RegisteredReport(response=OK))
        await self.answer(RequestEvent, distribute())


def is_owed(send: Send | None) -> bool:
    return send is not None and send.seq is not None


@pytest.fixture
async def journey(database_url: str) -> Journey:
    made = Journey(database_url)
    await made.register()
    return made


CASES: list[tuple[str, Message, type[Message], Message]] = [
    ("created-event", distribute(event()), CreatedEvent, Response(response=OK)),
    (
        "created-report",
        CreateReport(request_id="c", report_requests=(report_request(),)),
        CreatedReport,
        Response(response=OK),
    ),
    ("registered-report", RegisterReport(request_id="m"), RegisteredReport, Response(response=OK)),
    ("canceled-report", CancelReport(request_id="x", report_request_ids=("q",)), CanceledReport, Response(response=OK)),
    ("updated-report", UpdateReport(request_id="u"), UpdatedReport, Response(response=OK)),
    ("re-registration", RequestReregistration(ven_id=VEN_ID), Response, Response(response=OK)),
    (
        "canceled-registration",
        CancelPartyRegistration(request_id="c", registration_id=REGISTRATION_ID, ven_id=VEN_ID),
        CanceledPartyRegistration,
        Response(response=EiResponse(response_code=463)),
    ),
]


@pytest.mark.parametrize(("payload", "owed", "reply"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_a_kill_around_each_owed_answer_neither_loses_nor_doubles_it(
    journey: Journey, payload: Message, owed: type[Message], reply: Message
) -> None:
    await journey.answer(Poll, payload)
    assert len((await journey.reread()).outbox) >= 1
    await journey.answer(owed, reply)
    left = [type(one.message) for one in (await journey.reread()).outbox.values()]
    assert owed not in left


async def test_a_kill_during_re_registration_still_sends_the_create_with_both_ids(journey: Journey) -> None:
    await journey.answer(Poll, RequestReregistration(ven_id=VEN_ID))
    await journey.answer(Response, None)
    message = await journey.answer(CreatePartyRegistration, created_registration())
    assert isinstance(message, CreatePartyRegistration)
    assert (message.registration_id, message.ven_id) == (REGISTRATION_ID, VEN_ID)
    assert not (await journey.reread()).outbox


async def test_a_kill_around_an_opt_neither_loses_nor_doubles_it(journey: Journey) -> None:
    await journey.answer(Poll, distribute(event()))
    await journey.answer(CreatedEvent, Response(response=OK))
    await journey.step(
        lambda state: Step(
            state=opts.qualify(
                state,
                opts.EventOpt(
                    event_id="evt-1",
                    modification_number=0,
                    resource_ids=("charger-1",),
                    opt_type=OptType.OPT_OUT,
                    reason="overrideStatus",
                ),
                now=T0,
                new_id=journey.bench.rules.new_id,
            )[0]
        )
    )
    message = await journey.answer(CreateOpt, CreatedOpt(response=OK, opt_id="o"))
    assert isinstance(message, CreateOpt)
    assert not (await journey.reread()).outbox


async def test_a_kill_around_a_delivery_neither_loses_nor_doubles_the_period(journey: Journey) -> None:
    await journey.answer(Poll, CreateReport(request_id="c", report_requests=(report_request(),)))
    await journey.answer(CreatedReport, Response(response=OK))
    bench = journey.bench
    bench.clock.advance(300)
    bench.state = (await journey.reread()).linked(resync=False, next_poll=bench.now + timedelta(seconds=10))
    gather = bench.action()
    assert isinstance(gather, Gather)
    await journey.step(lambda state: bench.session.collected(state, gather, (), bench.now))
    assert isinstance(bench.sends(UpdateReport), UpdateReport)  # killed before it was sent: still owed, collected once
    await journey.answer(UpdateReport, UpdatedReport(response=OK))
    assert isinstance(bench.action(), Wait)
    assert (await journey.reread()).requests["rr-1"].covered_until == gather.end


async def test_a_kill_before_the_answer_was_committed_resynchronises_at_start(journey: Journey) -> None:
    journey.bench.sends(Poll)
    journey.bench.state = await journey.reread()  # the poll's answer died with the process
    journey.bench.sends(RequestEvent)
    await journey.answer(RequestEvent, distribute(event()))
    await journey.answer(CreatedEvent, Response(response=OK))
    assert set((await journey.reread()).events) == {"evt-1"}


async def test_the_database_file_is_made_where_it_is_named(tmp_path: Path) -> None:
    async with open_engine(f"sqlite+aiosqlite:///{tmp_path / 'deep' / 'ven.sqlite3'}") as engine:
        assert (await VenStore.open(engine)).snapshot == State()
    assert (tmp_path / "deep" / "ven.sqlite3").is_file()
