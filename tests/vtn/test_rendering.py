"""Rendering: joined from parts that VENs share, the bytes are those of the whole."""

from dataclasses import replace
from datetime import timedelta

from openadr.messages import DistributeEvent
from openadr.model import Baseline, EiTarget, EventStatus, Interval
from openadr.wire import decode, encode
from tests.vtn.world import HOUR, START, simple_event
from vtn.rendering import Renderer
from vtn.services.context import done

TARGETS = (
    EiTarget(ven_ids=("ven-a",)),
    EiTarget(ven_ids=("ven-b",), resource_ids=("evse-1", "evse-2")),
    EiTarget(ven_ids=("a&<b>",), resource_ids=("<ei:eiTarget>",)),
    EiTarget(ven_ids=("ven-a",), resource_ids=("evse-3",)),
)


def test_every_ven_gets_the_bytes_of_a_message_of_its_own() -> None:
    renderer = Renderer()
    for created in (START, START + timedelta(hours=1)):
        for state in (EventStatus.FAR, EventStatus.ACTIVE):
            for target in TARGETS:
                events = [
                    replace(event, target=target, descriptor=replace(event.descriptor, created_date_time=created))
                    for event in (simple_event("evt-a", status=state), simple_event("evt-b", number=3, status=state))
                ]
                message = DistributeEvent(
                    request_id="req-1", vtn_id="VTN-1", events=tuple(events), response=done("req-0")
                )
                assert renderer.encode(message) == encode(message)
                assert decode(renderer.encode(message)) == message


def test_a_full_cache_changes_nothing() -> None:
    renderer = Renderer(size=1)
    for name in ("evt-a", "evt-b", "evt-a", "evt-b"):
        message = DistributeEvent(request_id="req-1", vtn_id="VTN-1", events=(simple_event(name),), response=done(""))
        assert renderer.encode(message) == encode(message)


def test_rule_005_029_the_same_version_in_parts_and_with_running_values_is_never_mixed_up() -> None:
    renderer = Renderer()
    event = simple_event("evt-a", status=EventStatus.ACTIVE)
    (signal,) = event.signals
    baseline = Baseline(
        dtstart=START,
        duration=HOUR,
        intervals=(Interval(duration=HOUR, uid=0, value=1.0),),
        baseline_id="bas-a",
        baseline_name="typical",
    )
    whole = replace(event, signals=(signal, replace(signal, signal_id="sig-b")), baseline=baseline)
    shown = [
        whole,
        replace(whole, baseline=None),
        replace(whole, signals=whole.signals[:1]),
        replace(whole, signals=whole.signals[1:]),
        replace(whole, signals=(replace(signal, current_value=0.0),)),
        replace(whole, signals=(replace(signal, current_value=1.0),)),
    ]
    for each in shown + shown:
        message = DistributeEvent(request_id="req-1", vtn_id="VTN-1", events=(each,), response=done(""))
        assert renderer.encode(message) == encode(message)
