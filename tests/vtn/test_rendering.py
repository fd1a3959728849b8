"""Rendering: joined from parts that VENs share, the bytes are those of the whole."""

from dataclasses import replace
from datetime import timedelta

from openadr.messages import DistributeEvent
from openadr.model import EiTarget, EventStatus
from openadr.wire import decode, encode
from tests.vtn.world import START, simple_event
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
