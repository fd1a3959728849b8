"""Services are stacked, but no kW is sold twice, and nothing is offered that is not the customer's to give."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.arbiter import Source, StandingCap
from bridge.plan import Draw, KnownEvent, ResourcePlan, plan
from bridge.resources import Resource
from bridge.stacking import claims, counted_kw, offerable_kw
from bridge.store import StandingLimit
from openadr.model import Event
from tests.bridge.parts import (
    AGGREGATOR,
    DNO,
    EMERGENCY,
    PROGRAMMES,
    VEN_ID,
    SimCharger,
    World,
    at,
    capacity,
    event,
    resource,
    simple,
)

KW_A = 0.69  # kW of one A on three phases


def planned(*events: Event, on: Resource | None = None, u: float = 0.0) -> tuple[ResourcePlan, ...]:
    on = on or resource()
    draws = {
        (each.descriptor.event_id, on.resource_id): Draw(
            event_id=each.descriptor.event_id, resource_id=on.resource_id, start_u=u, release_u=u
        )
        for each in events
    }
    return plan([KnownEvent(event=each) for each in events], PROGRAMMES, [on], draws, VEN_ID)


def cap(source: Source, amperes: float) -> StandingCap:
    return StandingCap(source=source, limit_a=amperes, reason="test")


def sold(plans: tuple[ResourcePlan, ...], *standing: StandingCap, on: Resource | None = None) -> dict[str, object]:
    found = claims(on or resource(), plans, standing, at(0), at(600))
    return {each.event_id: (each.claimed_kw, each.counted_kw, each.doubled_kw, each.withdrawn_kw) for each in found}


def test_arb_14_a_kw_that_two_programmes_ask_for_counts_once_for_the_first_by_order() -> None:
    first = event(simple((600, 2)), priority=1)
    second = event(simple((600, 3)), event_id="event-2", context=AGGREGATOR, priority=2)
    assert sold(planned(first, second)) == {
        "event-1": (11.04, 11.04, 0.0, 0.0),
        "event-2": (22.08, 11.04, 11.04, 0.0),
    }
    [one, two] = claims(resource(), planned(first, second), (), at(0), at(600))
    assert (one.others, two.others) == ((), ("event-1",))
    assert sold(planned(second, first)) == sold(planned(first, second)), "the order in which they came does not count"
    emergency = event(capacity((600, 0.5)), event_id="event-3", context=EMERGENCY, priority=9)
    assert sold(planned(first, emergency))["event-1"] == (11.04, 0.0, 11.04, 0.0)


def test_arb_14_capacity_under_the_network_operator_s_cap_is_withdrawn() -> None:
    plans = planned(event(simple((600, 2))))
    assert sold(plans, cap(Source.DSO, 20.0)) == {"event-1": (11.04, 2.76, 0.0, 8.28)}
    assert sold(plans, cap(Source.DSO, 10.0)) == {"event-1": (11.04, 0.0, -0.0, 11.04)}
    assert sold(plans, cap(Source.USER, 10.0)) == {"event-1": (11.04, 11.04, 0.0, 0.0)}, "a customer's limit is its own"


def test_arb_14_intervals_are_told_apart_and_prices_and_tests_sell_nothing() -> None:
    long, short = event(simple((600, 2))), event(simple((200, 3)), event_id="event-2", start=at(200), priority=2)
    found = claims(resource(), planned(long, short), (), at(0), at(600))
    assert [(each.event_id, each.start, each.end) for each in found] == [
        ("event-1", at(0), at(600)),
        ("event-2", at(200), at(400)),
    ]
    assert counted_kw(found, "event-2", at(0), at(400)) == 5.52
    assert counted_kw(found, "event-9", at(0), at(400)) is None
    steps = claims(resource(), planned(event(simple((200, 1), (200, 3)))), (), at(0), at(600))
    assert [(each.start, each.end, each.counted_kw) for each in steps] == [
        (at(0), at(200), 5.52),
        (at(200), at(400), 22.08),
    ]
    [open_ended] = claims(resource(), planned(event(simple((0, 2)), open_ended=True)), (), at(0), at(600))
    assert open_ended.end == at(600)
    on = resource(test_enrolled=True)
    assert sold(planned(event(simple((600, 2)), test="true"), on=on), on=on) != {}, "what is sold follows the programme"
    assert claims(on, (), (), at(0), at(600)) == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from([DNO, AGGREGATOR])), max_size=5))
def test_arb_14_property_what_counts_is_never_more_than_there_is(asked: list[tuple[int, int, str]]) -> None:
    events = [
        event(simple((600, level)), event_id=f"event-{number}", priority=priority, context=context)
        for number, (level, priority, context) in enumerate(asked)
    ]
    on = resource()
    found = claims(on, planned(*events), (), at(0), at(600))
    assert sum(each.counted_kw for each in found) <= on.max_kw + 1e-6
    assert all(each.counted_kw <= each.claimed_kw + 1e-6 for each in found)


def test_arb_15_a_car_that_is_controlled_elsewhere_is_counted_only_if_it_keeps_an_emergency_s_limit() -> None:
    assert offerable_kw(resource(contracted_kw=7.0), (), at(0)) == 7.0
    assert offerable_kw(resource(contracted_kw=7.0), (cap(Source.DSO, 6.0),), at(0)) == 4.14
    kept = resource(ev_controlled=True, contracted_kw=7.0)
    assert offerable_kw(kept, (), at(0)) == 7.0
    left = replace(kept, accepts_emergency=False)
    assert offerable_kw(left, (), at(0)) == 0.0
    assert sold(planned(event(simple((600, 2))), on=left), on=left) == {"event-1": (11.04, 0.0, 0.0, 11.04)}


async def test_arb_15_limits_here_go_before_the_car_s_service_and_the_charger_s_meter_decides(
    bridge_db: AsyncEngine,
) -> None:
    on = resource(ev_controlled=True)
    world = World(bridge_db, [SimCharger("CP1")], resources=[on])
    await world.start()
    await world.publish(event(simple((900, 2))))
    world.park["CP1"].demand_a = 10.0  # what the maker's service lets it draw
    await world.step(60)
    assert world.outcome()[0] == "verified"
    world.park["CP1"].ignores, world.park["CP1"].demand_a = True, 32.0
    await world.step(200)
    state, reason = world.outcome()
    assert (state, "meter reads 32.0 A per phase against a limit of 16 A" in reason) == ("failed", True)


def test_rnd_13_what_is_offered_carries_no_random_offset() -> None:
    given_event = event(simple((300, 2)), startafter=300)
    offers = {
        tuple((each.start, each.end) for each in claims(resource(), planned(given_event, u=u), (), at(0), at(3600)))
        for u in (0.0, 0.3, 0.99)
    }
    assert offers == {((at(0), at(300)),)}


async def test_arb_14_the_ledger_says_what_counts_for_each_event(bridge_db: AsyncEngine) -> None:
    world = World(bridge_db, [SimCharger("CP1")])
    await world.start()
    await world.publish(
        event(simple((7200, 2))), event(simple((7200, 3)), event_id="event-2", context=AGGREGATOR, priority=2)
    )
    await world.supervisor.set_standing(
        StandingLimit(
            limit_id="limit-1",
            source=Source.DSO,
            resource_id="evse-1",
            group_id=None,
            limit_a=24.0,
            limit_kw=None,
            reason="overload",
            start=at(0),
            end=None,
        )
    )
    await world.step(1830, every=60)
    rows = {row.event_id: row for row in await world.store.attributions()}
    assert (rows["event-1"].counted_kw, rows["event-2"].counted_kw) == (5.52, 11.04)
