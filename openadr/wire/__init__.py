"""The wire codec of OpenADR 2.0b: bytes to messages and back, for all 23 payload roots.

Rule: the rest of the gateway sees only what is exported here and only the dataclasses of ``openadr.messages``; XML
stays inside this package.
"""

from openadr.wire.codec import (
    Outline,
    PayloadFrame,
    decode,
    encode,
    encode_event,
    encode_payload_frame,
    encode_target,
    join_distribute,
    outline,
    root_name,
)
from openadr.wire.event_data import EventFrame, encode_frame
from openadr.wire.parsing import MAX_BYTES, parse, schema

__all__ = [
    "MAX_BYTES",
    "EventFrame",
    "Outline",
    "PayloadFrame",
    "decode",
    "encode",
    "encode_event",
    "encode_frame",
    "encode_payload_frame",
    "encode_target",
    "join_distribute",
    "outline",
    "parse",
    "root_name",
    "schema",
]
