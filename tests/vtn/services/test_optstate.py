"""Precedence of oadrCreatedEvent and oadrCreateOpt per resource (R16, R17, R206), against a plain model of the rule."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from openadr.model import OptType
from tests.vtn.world import START
from vtn.services.optstate import OptState, answered, of_resource, of_ven, qualify_resources, release
from vtn.store.eventrows import EventResource, EventVen, OptSource

RESOURCES = ("r1", "r2", "r3")
STATE = EventVen(event_id="evt-a", ven_id="ven-a", whole_ven=True)
OPTS = st.sampled_from(OptType)
ANSWER = st.tuples(st.just("answer"), OPTS, st.just(RESOURCES))
WHOLE = st.tuples(st.just("whole"), OPTS, st.just(RESOURCES))
SOME = st.tuples(st.just("some"), OPTS, st.sets(st.sampled_from(RESOURCES), min_size=1).map(tuple))


@given(steps=st.lists(st.one_of(ANSWER, WHOLE, SOME), max_size=12))
def test_rule_206_a_qualified_resource_changes_only_by_another_create_opt(
    steps: list[tuple[str, OptType, tuple[str, ...]]],
) -> None:
    state, rows = STATE, dict[str, EventResource]()
    model: dict[str, tuple[OptType, str]] = {}
    for kind, opt_type, names in steps:
        chosen = OptState(opt_type=opt_type, source=OptSource.CREATE_OPT, reason="economic")
        if kind == "answer":
            state = replace(state, answer=opt_type, response_code=200)
            for name in names:
                if model.get(name, (opt_type, "createdEvent"))[1] == "createdEvent":
                    model[name] = (opt_type, "createdEvent")
            continue
        if kind == "whole":
            state = replace(state, qualified=opt_type, qualified_reason="economic")
            rows = {row.resource_id: row for row in release(tuple(rows.values()))}
        else:
            rows |= {row.resource_id: row for row in qualify_resources(state, names, chosen, "opt-1", START)}
        model |= {name: (opt_type, "createOpt") for name in names}
    for name in RESOURCES:
        got = of_resource(state, rows.get(name))
        want = model.get(name)
        assert (None if got.opt_type is None else (got.opt_type, str(got.source))) == want


def test_rule_016_before_any_answer_nothing_is_known() -> None:
    assert of_ven(STATE) == answered(STATE) == of_resource(STATE, None) == OptState()


def test_a_4xx_answer_is_a_refusal_whatever_its_opt_type() -> None:
    state = replace(STATE, answer=OptType.OPT_IN, response_code=460, response_description="no such signal")
    assert of_ven(state) == OptState(opt_type=OptType.OPT_OUT, source=OptSource.CREATED_EVENT, reason="no such signal")
