"""Opts that qualify an event for some resources (R206)."""

import pytest

from openadr.errors import InvalidId, NotRegistered
from openadr.exchange import Service
from openadr.messages import CancelOpt, CreatedOpt, CreateOpt
from openadr.model import EiTarget, OptType, QualifiedEventId, ResponseRequired
from tests.ven.support import OK, VEN_ID, Bench, event
from ven import opts, outbox


def qualify(bench: Bench, event_id: str = "evt-1") -> str:
    bench.state, opt_id = opts.qualify(
        bench.state,
        event_id=event_id,
        modification_number=2,
        resource_ids=("charger-1", "charger-2"),
        opt_type=OptType.OPT_OUT,
        reason="overrideStatus",
        now=bench.now,
        new_id=bench.rules.new_id,
    )
    return opt_id


def test_rule_206_contents_of_an_event_qualification() -> None:
    bench = Bench().register()
    bench.receive(event(modification=2))
    bench.empty_poll()
    opt_id = qualify(bench)
    message = bench.exchange(CreateOpt, CreatedOpt(response=OK, opt_id=opt_id))
    assert (message.opt_id, message.ven_id, message.opt_type) == (opt_id, VEN_ID, OptType.OPT_OUT)
    assert message.qualified_event_id == QualifiedEventId(event_id="evt-1", modification_number=2)
    assert (message.vavailability, message.market_context, message.device_class) == (None, None, None)
    assert message.target == EiTarget(ven_ids=(VEN_ID,), resource_ids=("charger-1", "charger-2"))
    assert (message.opt_reason, message.created_date_time) == ("overrideStatus", bench.now)
    assert not bench.state.outbox


def test_rule_206_no_opt_for_an_event_sent_with_never() -> None:
    bench = Bench().register()
    bench.receive(event(required=ResponseRequired.NEVER))
    assert qualify(bench) == ""
    assert not bench.state.outbox


def test_an_opt_needs_a_known_event_and_a_registration() -> None:
    bench = Bench().register()
    with pytest.raises(InvalidId):
        qualify(bench, "nope")
    unregistered = Bench()
    with pytest.raises(NotRegistered):
        qualify(unregistered)


def test_opt_cancels_follow_the_new_ven_id_after_a_new_registration() -> None:
    bench = Bench().register()
    message = CancelOpt(request_id="r", opt_id="opt-1", ven_id=VEN_ID)
    state = outbox.rebind(outbox.owe(bench.state, Service.EI_OPT, message, bench.now), "VEN-9")
    assert [owed.message for owed in state.outbox.values()] == [
        CancelOpt(request_id="r", opt_id="opt-1", ven_id="VEN-9")
    ]
