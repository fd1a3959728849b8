"""What is told upstream, once, and what happens when it cannot be told."""

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.opts import OptReporter, news, wanted
from bridge.store import BridgeStore, OptTold
from bridge.store.records import Phase
from bridge.verify import OutcomeState
from openadr.errors import InvalidId
from openadr.model import OptReason, OptType
from tests.bridge.parts import at
from tests.bridge.store.test_contract import OUTCOME

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

    async def opt(
        self,
        *,
        event_id: str,
        modification_number: int,
        resource_ids: tuple[str, ...],
        opt_type: OptType,
        reason: str,
        now: datetime,
    ) -> str:
        self.asked += 1
        raise InvalidId(f"event {event_id} is not known")


async def test_an_opt_for_an_event_that_is_gone_is_settled_and_not_asked_for_ever(bridge_db: AsyncEngine) -> None:
    sink, outcomes = Gone(), [FAILED]
    reporter = OptReporter(sink, BridgeStore(bridge_db))
    await reporter.report(outcomes, at(0))
    await reporter.report(outcomes, at(1))
    again = OptReporter(sink, BridgeStore(bridge_db))
    await again.load()
    await again.report(outcomes, at(2))
    assert sink.asked == 1
