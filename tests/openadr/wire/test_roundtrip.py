"""Every message survives the wire: what is encoded is schema-valid, canonical, and decodes to the same message."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from openadr import wire
from openadr.messages import ROOTS, Message
from tests.openadr.wire.strategies import MESSAGES

_EXAMPLES = 40  # a root; the composite ones dominate the time


def test_every_root_has_a_strategy() -> None:
    assert set(MESSAGES) == set(ROOTS.values())
    assert len(ROOTS) == 23


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_any_message_round_trips_and_is_schema_valid(kind: type[Message]) -> None:
    @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(MESSAGES[kind])
    def check(message: Message) -> None:
        data = wire.encode(message)
        wire.schema().assertValid(etree.fromstring(data))
        assert wire.decode(data, max_bytes=10_000_000) == message

    check()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(*MESSAGES.values()))
def test_the_body_is_canonical_xml(message: Message) -> None:
    declaration, body = wire.encode(message).split(b"\n", 1)
    assert declaration == b'<?xml version="1.0" encoding="UTF-8"?>'
    assert etree.tostring(etree.fromstring(body), method="c14n") == body


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(*MESSAGES.values()))
def test_a_bare_root_decodes_like_a_wrapped_one(message: Message) -> None:
    payload = etree.fromstring(wire.encode(message))[0][0]
    assert wire.decode(etree.tostring(payload)) == message
    assert payload.tag.endswith("}" + wire.root_name(message))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(*MESSAGES.values()))
def test_the_outline_names_what_an_error_answer_needs(message: Message) -> None:
    outline = wire.outline(wire.encode(message))
    assert outline.kind is type(message)
    assert outline.opt_id == getattr(message, "opt_id", None) or not outline.opt_id
    assert outline.ven_id == (getattr(message, "ven_id", None) or outline.ven_id)
