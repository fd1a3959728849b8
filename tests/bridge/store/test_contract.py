"""What the bridge's store promises, on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import Override
from bridge.asks import Content, Reference
from bridge.cta2045.commands import Op
from bridge.cta2045.memory import Phase as CtaPhase
from bridge.cta2045.memory import Standing
from bridge.plan import Draw
from bridge.store import (
    MIGRATIONS,
    VERSION_TABLE,
    Alert,
    AlertMessage,
    BridgeStore,
    Changes,
    Command,
    Installed,
    MessageState,
    OptTold,
    Outcome,
    Presence,
    ProxyMessage,
    ProxyProfile,
    ProxyTransaction,
    metadata,
)
from bridge.store.cta import StandingStore
from bridge.store.records import InstallState, Phase
from bridge.target import CommandOutcome, LimitPeriod, LimitSchedule, MeterReading
from bridge.verify import OutcomeState
from runtime.database import upgrade
from tests.bridge.parts import at
from tests.databases import drift, open_engine

SCHEDULE = LimitSchedule(
    schedule_id=1,
    start=at(0),
    end=at(600),
    expires=at(660),
    periods=(LimitPeriod(start_s=0, limit_a=16.0), LimitPeriod(start_s=300, limit_a=None)),
    source="event-1",
    reason="half",
)
INSTALLED = Installed(
    charger="CP1",
    schedule=SCHEDULE,
    state=InstallState.SENT,
    detail="new limit",
    attempts=1,
    sent_at=at(1.5),
    accepted_at=None,
)
OUTCOME = Outcome(
    event_id="event-1",
    resource_id="evse-1",
    modification_number=0,
    charger="CP1",
    programme="p 1",
    state=OutcomeState.RECEIVED,
    reason="event received",
    limit_a=None,
    effective_start=at(0),
    effective_end=None,
    known_at=at(-5),
    updated_at=at(-5),
)


@pytest.fixture
async def store(engine: AsyncEngine) -> BridgeStore:
    await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
    return BridgeStore(engine)


def reading(second: float, watts: float | None, charger: str = "CP1") -> MeterReading:
    return MeterReading(charger=charger, at=at(second), power_w=watts, current_a=(1.0, 2.0), energy_wh=second)


async def test_migrations_make_exactly_the_tables_of_the_code(store: BridgeStore) -> None:
    assert await drift(store.engine, metadata) == []


async def test_everything_written_is_read_back_as_it_was(store: BridgeStore) -> None:
    draw = Draw(event_id="event-1", resource_id="evse-1", start_u=0.25, release_u=0.5)
    override = Override(
        override_id="override-1",
        resource_id="evse-1",
        event_ids=("event-1", "event-2"),
        reason="doctor",
        start=at(10.25),
        end=at(20),
        source="driver",
    )
    told = OptTold(
        event_id="event-1", resource_id="evse-1", opt_type="optOut", reason="overrideStatus", opt_id="opt-1", at=at(3)
    )
    command = Command(
        charger="CP1",
        kind="set",
        cause="new limit",
        schedule=SCHEDULE,
        outcome=CommandOutcome.ACCEPTED,
        detail="Accepted",
        sent_at=at(1),
        done_at=at(2),
    )
    await store.write(
        Changes(
            draws=(draw,),
            installed=(INSTALLED,),
            commands=(command, replace(command, kind="clear", schedule=None)),
            outcomes=(OUTCOME,),
            overrides=(override,),
            opts=(told,),
        )
    )
    assert await store.draws() == {("event-1", "evse-1"): draw}
    assert await store.installed() == {"CP1": INSTALLED}
    assert await store.commands("CP1") == (replace(command, kind="clear", schedule=None), command)
    assert await store.commands("CP1", limit=1) == (replace(command, kind="clear", schedule=None),)
    assert await store.outcomes() == (OUTCOME,)
    assert await store.overrides() == (override,)
    assert await store.opts() == {("event-1", "evse-1"): told}


async def test_draws_can_be_read_for_some_events(store: BridgeStore) -> None:
    draws = tuple(Draw(event_id=f"event-{n}", resource_id="r", start_u=0.1, release_u=0.2) for n in range(3))
    await store.write(Changes(draws=draws))
    assert set(await store.draws(["event-1"])) == {("event-1", "r")}


async def test_writing_again_replaces_and_does_not_double(store: BridgeStore) -> None:
    accepted = replace(INSTALLED, state=InstallState.ACCEPTED, accepted_at=at(2))
    await store.write(Changes(installed=(INSTALLED,), outcomes=(OUTCOME,), readings=(reading(0, 100.0),)))
    await store.write(
        Changes(installed=(accepted,), outcomes=(replace(OUTCOME, met=3),), readings=(reading(0, 200.0),))
    )
    assert await store.installed() == {"CP1": accepted}
    assert [outcome.met for outcome in await store.outcomes()] == [3]
    assert [sample.power_w for sample in await store.samples(["CP1"], at(0), at(1))] == [200.0]
    await store.write(Changes(removed=("CP1", "CP9")))
    assert await store.installed() == {}


async def test_outcomes_are_found_by_event_and_by_phase_in_order_of_start(store: BridgeStore) -> None:
    later = replace(OUTCOME, event_id="event-0", effective_start=at(50), phase=Phase.CLOSED)
    await store.write(Changes(outcomes=(later, OUTCOME)))
    assert [outcome.event_id for outcome in await store.outcomes()] == ["event-1", "event-0"]
    assert await store.outcomes(event_id="event-0") == (later,)
    assert await store.outcomes(unfinished=True) == (OUTCOME,)


async def test_closed_overrides_are_kept_but_not_in_force(store: BridgeStore) -> None:
    override = Override(override_id="o", resource_id="r", event_ids=("e",), reason="", start=at(0), end=None)
    await store.write(Changes(overrides=(override,)))
    await store.write(Changes(closed_overrides=("o",)))
    assert await store.overrides() == ()
    assert await store.overrides(include_closed=True) == (override,)


async def test_samples_and_means_are_by_half_open_time_and_charger(store: BridgeStore) -> None:
    rows = tuple(reading(second, watts) for second, watts in ((0, 100.0), (10, 200.0), (20, None), (30, 900.0)))
    await store.write(Changes(readings=(*rows, reading(5, 50.0, "CP2"))))
    found = await store.samples(["CP1", "CP2"], at(0), at(30))
    assert [(sample.charger, sample.at, sample.power_w) for sample in found] == [
        ("CP1", at(0), 100.0),
        ("CP2", at(5), 50.0),
        ("CP1", at(10), 200.0),
        ("CP1", at(20), None),
    ]
    assert found[0].max_a == 2.0
    means = await store.mean_power(["CP1", "CP2", "CP3"], at(0), at(30))
    assert {name: (mean.power_w, mean.samples) for name, mean in means.items()} == {"CP1": (150.0, 2), "CP2": (50.0, 1)}
    assert await store.mean_power([], at(0), at(30)) == {}


async def test_old_readings_and_commands_are_pruned(store: BridgeStore) -> None:
    command = Command(
        charger="CP1",
        kind="set",
        cause="",
        schedule=None,
        outcome=CommandOutcome.TIMEOUT,
        detail="",
        sent_at=at(0),
        done_at=at(0),
    )
    await store.write(Changes(readings=(reading(0, 1.0), reading(100, 1.0)), commands=(command,)))
    assert await store.prune(at(50)) == 1
    assert len(await store.samples(["CP1"], at(0), at(200))) == 1
    assert await store.commands("CP1") == ()


async def test_writers_at_the_same_time_share_commits_and_all_are_on_disk(store: BridgeStore) -> None:
    await asyncio.gather(
        *(store.write(Changes(outcomes=(replace(OUTCOME, resource_id=f"evse-{n}"),))) for n in range(200))
    )
    assert len(await store.outcomes()) == 200


async def test_a_transaction_is_all_or_nothing_and_every_writer_of_it_is_told(store: BridgeStore) -> None:
    naive = replace(OUTCOME, resource_id="evse-2", updated_at=datetime(2026, 1, 1))  # noqa: DTZ001
    results = await asyncio.gather(
        store.write(Changes(outcomes=(OUTCOME,), installed=(INSTALLED,))),
        store.write(Changes(outcomes=(naive,))),
        return_exceptions=True,
    )
    assert isinstance(results[1], SQLAlchemyError)
    stored = await store.outcomes()
    assert (results[0] is None) == (stored == (OUTCOME,))
    assert bool(stored) == bool(await store.installed())


async def test_nothing_to_write_is_no_transaction(store: BridgeStore) -> None:
    await store.engine.dispose()
    await store.write(Changes())
    assert not Changes()


async def test_out_04_another_process_reads_what_was_written(store: BridgeStore, database_url: str) -> None:
    await store.write(Changes(outcomes=(OUTCOME,)))
    async with open_engine(database_url) as second:
        assert await BridgeStore(second).outcomes() == (OUTCOME,)


async def test_what_belongs_to_outcomes_closed_long_ago_is_forgotten_and_nothing_else(store: BridgeStore) -> None:
    closed = replace(OUTCOME, phase=Phase.CLOSED, updated_at=at(10))
    rows = (
        closed,
        replace(closed, event_id="event-2", updated_at=at(90)),
        replace(closed, event_id="event-3", phase=Phase.RUNNING),
    )
    names = [row.event_id for row in rows]
    override = Override(override_id="o", resource_id="evse-1", event_ids=("event-1",), reason="", start=at(0), end=None)
    await store.write(
        Changes(
            outcomes=rows,
            draws=tuple(Draw(event_id=n, resource_id="evse-1", start_u=0.1, release_u=0.2) for n in names),
            opts=tuple(
                OptTold(event_id=n, resource_id="evse-1", opt_type="optOut", reason="x", opt_id="o", at=at(3))
                for n in names
            ),
            overrides=(
                override,
                replace(override, override_id="open"),
                replace(override, override_id="new", start=at(60)),
            ),
        )
    )
    await store.write(Changes(closed_overrides=("o", "new")))
    assert await store.forget(at(50)) == 1
    assert {outcome.event_id for outcome in await store.outcomes()} == {"event-2", "event-3"}
    assert {event_id for event_id, _ in await store.draws()} == {"event-2", "event-3"}
    assert {event_id for event_id, _ in await store.opts()} == {"event-2", "event-3"}
    assert {each.override_id for each in await store.overrides(include_closed=True)} == {"open", "new"}


async def test_pages_of_outcomes_hold_each_once_latest_start_first(store: BridgeStore) -> None:
    rows = [
        replace(OUTCOME, event_id=f"event-{event}", resource_id=f"evse-{n}", effective_start=at(event))
        for event in range(3)
        for n in range(4)
    ]
    await store.write(Changes(outcomes=tuple(rows)))
    found: list[Outcome] = []
    while page := await store.outcome_page(
        (found[-1].effective_start, found[-1].event_id, found[-1].resource_id) if found else None, 5
    ):
        found += page
    assert [each.event_id for each in found] == ["event-2"] * 4 + ["event-1"] * 4 + ["event-0"] * 4
    assert len({(each.event_id, each.resource_id) for each in found}) == 12


async def test_a_writer_that_is_cancelled_does_not_cancel_those_who_share_its_commit(store: BridgeStore) -> None:
    """A report that takes too long must not end the supervisor."""
    writers = [
        asyncio.create_task(store.write(Changes(outcomes=(replace(OUTCOME, resource_id=f"evse-{n}"),))))
        for n in range(3)
    ]
    await writers[0]
    for _ in range(3):
        await asyncio.sleep(0)
    writers[1].cancel()  # it commits for the third one, too
    results = await asyncio.gather(*writers, return_exceptions=True)
    assert not isinstance(results[2], asyncio.CancelledError)
    for n, result in enumerate(results):
        if result is not None:
            await store.write(Changes(outcomes=(replace(OUTCOME, resource_id=f"evse-{n}"),)))
    assert len(await store.outcomes()) == 3


async def test_map_05_references_are_read_back_by_event_as_they_were_taken_and_go_with_their_outcome(
    store: BridgeStore,
) -> None:
    taken = Reference(event_id="event-1", resource_id="evse-1", at=at(0), power_w=7360.5, window_s=300, samples=5)
    stored = replace(taken, resource_id="evse-2", content=Content(content_wh=1.5, full_wh=2.5))
    unmeasured = replace(taken, event_id="event-2", power_w=None, samples=0)
    await store.write(Changes(references=(taken, stored, unmeasured)))
    found = await store.references(["event-1"])
    assert found == {("event-1", "evse-1"): taken, ("event-1", "evse-2"): stored}
    assert await store.references(["event-2", "event-9"]) == {("event-2", "evse-1"): unmeasured}
    closed = replace(OUTCOME, phase=Phase.CLOSED, scheduled_start=at(-60), scheduled_end=at(60))
    await store.write(Changes(outcomes=(closed,)))
    assert await store.outcomes(event_id="event-1") == (closed,)
    await store.forget(at(100))
    assert await store.references(["event-1"]) == {("event-1", "evse-2"): stored}


async def test_cta_05_what_stands_on_a_device_is_replaced_and_forgotten(store: BridgeStore) -> None:
    memory = StandingStore(store.engine)
    assert await memory.load("ECO1") is None
    first = Standing(
        device="ECO1",
        key="1:0/shed",
        op=Op.SHED,
        operand=0x1E,
        since=at(0),
        ends=at(1800),
        phase=CtaPhase.SENDING,
    )
    await memory.save(first)
    assert await StandingStore(store.engine).load("ECO1") == first
    later = replace(first, op=Op.POWER_LEVEL, operand=0x3F, ends=None, phase=CtaPhase.ACTIVE)
    await memory.save(later)
    assert await memory.load("ECO1") == later
    assert await memory.load("ECO2") is None
    await memory.forget("ECO1")
    await memory.forget("ECO2")
    assert await memory.load("ECO1") is None


async def test_messages_for_a_csms_behind_the_proxy_are_kept_in_order_until_they_are_forgotten(
    store: BridgeStore,
) -> None:
    message = ProxyMessage(
        charger="CP1",
        seq=1,
        version="ocpp1.6",
        action="MeterValues",
        message_id="p-1",
        tail='"MeterValues",{"v":"é"}',
        mark="m",
        state=MessageState.QUEUED,
        answer="",
        attempts=0,
        provisional=None,
        at=at(0),
    )
    transaction = ProxyTransaction(charger="CP1", provisional=2_000_000_000, actual=None, at=at(0))
    profile = ProxyProfile(charger="CP1", number=5, version="ocpp1.6", tail="{}", held=True, at=at(0))
    second = replace(message, seq=2, state=MessageState.REFUSED)
    await store.write(
        Changes(proxy_messages=(second, message), proxy_transactions=(transaction,), proxy_profiles=(profile,))
    )
    assert await store.proxy_messages() == {"CP1": [message, second]}
    assert await store.proxy_transactions() == {"CP1": {2_000_000_000: transaction}}
    assert await store.proxy_profiles() == {"CP1": [profile]}
    await store.write(Changes(proxy_transactions=(replace(transaction, actual=41),), proxy_forgotten=(("CP1", 1),)))
    assert (await store.proxy_transactions())["CP1"][2_000_000_000].actual == 41
    await store.forget(at(1))
    await store.write(Changes(proxy_profiles_gone=(("CP1", 5),)))
    assert not await store.proxy_messages()
    assert not await store.proxy_transactions()
    assert not await store.proxy_profiles()


async def test_tel_17_alerts_and_their_messages_are_read_back_and_go_when_they_are_taken(store: BridgeStore) -> None:
    alert = Alert(alert_id="a", kind="k", subject="s", severity="warning", text="t", raised_at=at(0))
    raised = AlertMessage(alert_id="a", state="raised", document="{}", made_at=at(0), not_before=at(0))
    cleared = replace(raised, state="cleared", made_at=at(5), not_before=at(5))
    await store.write(Changes(alerts=(alert,), alert_messages=(cleared, raised)))
    assert await store.alerts(open_only=True) == (alert,)
    assert await store.alert_messages(10) == (raised, cleared)
    over = replace(alert, cleared_at=at(5))
    later = replace(raised, attempts=1, not_before=at(10))
    await store.write(Changes(alerts=(over,), alert_messages=(later,)))
    assert await store.alerts(open_only=True) == ()
    assert await store.alerts(limit=1) == (over,)
    assert await store.alert_messages(1) == (later,)
    await store.write(Changes(alert_messages_told=(("a", "raised"),)))
    assert await store.alert_messages(10) == (cleared,)
    await store.forget(at(6))
    assert (await store.alerts(), await store.alert_messages(10)) == ((), ())


async def test_out_10_half_hours_to_be_made_anew_are_kept_until_they_were_made_after_that(store: BridgeStore) -> None:
    await store.write(Changes(late=((at(0), at(60)), (at(1800), at(60)))))
    await store.write(Changes(late=((at(0), at(90)),)))
    await store.write(Changes(late_made=((at(0), at(60)), (at(1800), at(60)))))
    assert await store.late_half_hours() == {at(0): at(90)}


async def test_tel_02_tel_14_frequency_and_sessions_are_read_back(store: BridgeStore) -> None:
    here = Presence(charger="CP1", at=at(0), online=True, overridden=False, session=True)
    await store.write(Changes(presence=(here,), readings=(replace(reading(1, 230.0), frequency_hz=49.97),)))
    assert await store.last_presence() == {"CP1": here}
    assert [each.frequency_hz for each in await store.samples(["CP1"], at(0), at(5))] == [49.97]
