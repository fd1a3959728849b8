"""What is told upstream, once, and what happens when it cannot be told."""

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from bridge.opts import OptReporter, news, wanted
from bridge.store import BridgeStore, OptTold
from bridge.store.records import Phase
from bridge.verify import OutcomeState
from openadr.errors import InvalidId
from openadr.messages import CreateOpt
from openadr.model import OptReason, OptType
from runtime.clock import new_id
from tests.bridge.parts import Upstream, at, event, simple
from tests.bridge.store.test_contract import OUTCOME
from ven.model import Registration, State, StoredEvent
from ven.opts import EventOpt, qualify
from ven.state import Beside, VenStore

FAILED = replace(OUTCOME, state=OutcomeState.FAILED)


def told(opt_type: OptType, reason: OptReason) -> dict[tuple[str, str], OptTold]:
    row = OptTold(
        event_id="event-1", resource_id="evse-1", opt_type=opt_type.value, reason=reason.value, opt_id="o", at=at(0)
    )
    return {("event-1", "evse-1"): row}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (OutcomeState.FAILED, (OptType.OPT_OUT, OptReason.NOT_PARTICIPATING)),
        (OutcomeState.UNRESPONSIVE, (OptType.OPT_OUT, OptReason.OUTAGE_RUN_STATUS)),
        (OutcomeState.OPTED_OUT, (OptType.OPT_OUT, OptReason.OVERRIDE_STATUS)),
        (OutcomeState.VERIFIED, (OptType.OPT_IN, OptReason.PARTICIPATING)),
        (OutcomeState.CONSTRAINED_BY, (OptType.OPT_IN, OptReason.PARTICIPATING)),
        (OutcomeState.APPLIED, None),
        (OutcomeState.IDLE, None),
    ],
)
def test_ven_07_each_state_means_its_opt(state: OutcomeState, expected: tuple[OptType, OptReason] | None) -> None:
    assert wanted(replace(OUTCOME, state=state)) == expected


def test_ven_07_resources_with_the_same_news_share_a_message_and_closed_outcomes_say_nothing() -> None:
    other = replace(FAILED, resource_id="evse-2")
    away = replace(FAILED, resource_id="evse-3", state=OutcomeState.UNRESPONSIVE)
    closed = replace(FAILED, resource_id="evse-4", phase=Phase.CLOSED)
    found = news([FAILED, other, away, closed], {})
    assert [item.resource_ids for item in found] == [("evse-1", "evse-2"), ("evse-3",)]


def test_ven_07_the_same_state_is_told_once_and_taking_part_from_the_beginning_not_at_all() -> None:
    verified = replace(OUTCOME, state=OutcomeState.VERIFIED)
    assert news([FAILED], told(OptType.OPT_OUT, OptReason.NOT_PARTICIPATING)) == ()
    assert news([verified], {}) == ()
    assert len(news([verified], told(OptType.OPT_OUT, OptReason.NOT_PARTICIPATING))) == 1
    assert len(news([FAILED], told(OptType.OPT_OUT, OptReason.OUTAGE_RUN_STATUS))) == 1


class Gone:
    """A VEN that has let the event go."""

    asked = 0

    async def opt(self, asked: EventOpt, now: datetime, beside: Beside[str]) -> str:
        self.asked += 1
        raise InvalidId(f"event {asked.event_id} is not known")


async def test_an_opt_for_an_event_that_is_gone_is_settled_and_not_asked_for_ever(bridge_db: AsyncEngine) -> None:
    sink, outcomes = Gone(), [FAILED]
    reporter = OptReporter(sink, BridgeStore(bridge_db))
    await reporter.report(outcomes, at(0))
    await reporter.report(outcomes, at(1))
    again = OptReporter(sink, BridgeStore(bridge_db))
    await again.report(outcomes, at(2))
    assert sink.asked == 1


async def opts_owed(store: VenStore) -> list[CreateOpt]:
    state = await store.state()
    return [owed.message for owed in state.outbox.values() if isinstance(owed.message, CreateOpt)]


async def registered(engine: AsyncEngine) -> VenStore:
    """A VEN's store on the bridge's own database, registered, with the event."""
    store = await VenStore.open(engine)
    held = Registration(registration_id="r-1", ven_id="ven-1", vtn_id="vtn-1")
    known = StoredEvent(event=event(simple((600, 2))), received_at=at(0), opt_type=OptType.OPT_IN, request_id="q")
    await store.transact(lambda state: (replace(state, registration=held, events={"event-1": known}), None))
    return store


class Ven:
    """The VEN's outbox without its sockets."""

    def __init__(self, store: VenStore) -> None:
        self._store = store

    async def opt(self, asked: EventOpt, now: datetime, beside: Beside[str]) -> str:
        def owe(state: State) -> tuple[State, str]:
            return qualify(state, asked, now=now, new_id=new_id)

        return await self._store.transact(owe, beside)


async def test_ven_07_the_message_and_the_note_that_it_was_told_are_one_transaction(bridge_db: AsyncEngine) -> None:
    """Whatever moment the bridge dies at: the VTN gets the opt once, never twice and never not at all."""
    ven = await registered(bridge_db)
    reporter = OptReporter(Ven(ven), BridgeStore(bridge_db))
    async with bridge_db.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON bridge_opt_told BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    assert await reporter.report([FAILED], at(0)) == 0
    assert await opts_owed(await VenStore.open(bridge_db)) == []
    async with bridge_db.begin() as connection:
        await connection.exec_driver_sql("DROP TRIGGER full")
    assert await reporter.report([FAILED], at(1)) == 1
    assert await OptReporter(Ven(await VenStore.open(bridge_db)), BridgeStore(bridge_db)).report([FAILED], at(2)) == 0
    [owed] = await opts_owed(await VenStore.open(bridge_db))
    [row] = (await BridgeStore(bridge_db).opts()).values()
    assert owed.opt_id == row.opt_id


async def test_ven_08_without_a_registration_opts_wait_and_are_told_after_it(bridge_db: AsyncEngine) -> None:
    ven = await VenStore.open(bridge_db)
    reporter = OptReporter(Ven(ven), BridgeStore(bridge_db))
    with capture_logs() as lines:
        for second in range(5):
            assert await reporter.report([FAILED], at(second)) == 0
    assert [line["event"] for line in lines] == ["opts wait for the registration"]
    reporter = OptReporter(Ven(await registered(bridge_db)), BridgeStore(bridge_db))
    assert await reporter.report([FAILED], at(9)) == 1


async def test_only_what_was_told_of_events_at_hand_is_kept_in_memory(bridge_db: AsyncEngine) -> None:
    reporter = OptReporter(Upstream(bridge_db), BridgeStore(bridge_db))
    await reporter.report([replace(FAILED, event_id=f"event-{n}") for n in range(3)], at(0))
    await reporter.report([FAILED], at(1))
    assert set(reporter.told) == {("event-1", "evse-1")}
    assert await reporter.report([replace(FAILED, event_id="event-2")], at(2)) == 0
