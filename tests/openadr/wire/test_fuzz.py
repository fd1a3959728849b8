"""Fuzz target of the decoder: golden messages with a changed tree give a message or one of our errors, in bounded time.

What is a message can be written again and reads back as the same. Longer runs: ``FUZZ_EXAMPLES=100000 pytest ...``.
"""

import os

from hypothesis import HealthCheck, given, settings

from openadr import wire
from openadr.errors import InvalidData, OadrError, WireError
from openadr.messages import ROOTS, Message
from tests.openadr.wire.mutation import DOCUMENTS, documents

KINDS = frozenset(ROOTS.values())
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3000"))


@settings(max_examples=EXAMPLES, deadline=2_000, suppress_health_check=list(HealthCheck))
@given(documents())
def test_sec_30_a_mutated_message_is_a_message_or_one_of_our_errors(case: tuple[str, bytes]) -> None:
    _, data = case
    message, refused = _decoded(data)
    if message is None:
        assert refused
        return
    if getattr(message, "unreadable", ()):
        return  # what cannot be read is answered and never sent on
    try:
        again = wire.encode(message)
    except InvalidData:
        return
    assert repr(wire.decode(again)) == repr(message)  # by text: NaN in a single event is kept, and differs from itself


def _decoded(data: bytes) -> tuple[Message | None, bool]:
    """Return the message, else whether it was refused as it should be."""
    try:
        return wire.decode(data), False
    except WireError as error:
        return None, error.http_status in (406, 413)
    except OadrError as error:  # then the answer to it can be made
        return None, wire.outline(data).kind in KINDS and len(error.description) < 1_000


def test_the_corpus_is_there() -> None:
    assert len(DOCUMENTS) > 20
