"""Opts that qualify an event for some resources (R206)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from openadr.errors import InvalidId, NotRegistered
from openadr.exchange import Service
from openadr.messages import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from openadr.model import Availability, EiTarget, OptType, QualifiedEventId, ResponseRequired
from openadr.times import Duration
from tests.ven.support import OK, VEN_ID, Bench, event
from ven import opts, outbox


def qualify(bench: Bench, event_id: str = "evt-1") -> str:
    bench.state, opt_id = opts.qualify(
        bench.state,
        opts.EventOpt(
            event_id=event_id,
            modification_number=2,
            resource_ids=("charger-1", "charger-2"),
            opt_type=OptType.OPT_OUT,
            reason="overrideStatus",
        ),
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


WINDOW = Availability(dtstart=datetime(2026, 3, 2, 20, tzinfo=UTC), duration=Duration(seconds=3600))


def schedule(bench: Bench, *windows: Availability, context: str | None = None) -> str:
    bench.state, opt_id = opts.schedule(
        bench.state,
        opts.ScheduleOpt(
            windows=windows,
            resource_ids=("charger-1",),
            opt_type=OptType.OPT_OUT,
            reason="x-schedule",
            market_context=context,
        ),
        now=bench.now,
        new_id=bench.rules.new_id,
    )
    return opt_id


def test_rule_200_204_an_opt_schedule_names_windows_resources_and_perhaps_a_programme() -> None:
    bench = Bench().register()
    opt_id = schedule(bench, WINDOW, context="http://programme")
    message = bench.exchange(CreateOpt, CreatedOpt(response=OK, opt_id=opt_id))
    assert (message.opt_id, message.vavailability, message.qualified_event_id) == (opt_id, (WINDOW,), None)
    assert (message.market_context, message.target.resource_ids) == ("http://programme", ("charger-1",))
    assert message.target.ven_ids == (VEN_ID,)
    assert not bench.state.outbox


def test_rule_210_an_open_ended_opt_schedule_has_the_duration_zero() -> None:
    bench = Bench().register()
    opt_id = schedule(bench, replace(WINDOW, duration=Duration()))
    message = bench.exchange(CreateOpt, CreatedOpt(response=OK, opt_id=opt_id))
    assert message.vavailability is not None
    assert message.vavailability[0].duration.is_zero


def test_rule_204_211_only_a_schedule_is_cancelled_by_its_opt_id() -> None:
    bench = Bench().register()
    opt_id = schedule(bench, WINDOW)
    bench.exchange(CreateOpt, CreatedOpt(response=OK, opt_id=opt_id))
    bench.state, same = opts.cancel(bench.state, opt_id=opt_id, now=bench.now, new_id=bench.rules.new_id)
    message = bench.exchange(CancelOpt, CanceledOpt(response=OK, opt_id=opt_id))
    assert (message.opt_id, message.ven_id, same) == (opt_id, VEN_ID, opt_id)
    assert not bench.state.outbox


def test_rule_208_a_schedule_and_its_cancellation_need_a_registration() -> None:
    bench = Bench()
    with pytest.raises(NotRegistered):
        schedule(bench, WINDOW)
    with pytest.raises(NotRegistered):
        opts.cancel(bench.state, opt_id="opt-1", now=bench.now, new_id=bench.rules.new_id)
