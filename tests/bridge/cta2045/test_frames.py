import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cta2045.frames import (
    MAX_LENGTH,
    Ack,
    Damaged,
    Message,
    MessageType,
    Nak,
    NakReason,
    checksum,
    parse,
    residue,
    serialise,
    type_name,
)
from tests.bridge.cta2045.vectors import BASIC, OTHER

FRAMES = {name: (0x0801, bytes((op, operand)), bytes.fromhex(raw)) for name, (op, operand, raw) in BASIC.items()} | {
    name: (kind, bytes.fromhex(payload), bytes.fromhex(raw)) for name, (kind, payload, raw) in OTHER.items()
}
EDGE = 515  # of the 65,536 Basic DR frames have a checksum byte that could be 0x00 or 0xFF

types = st.integers(0, 0xFFFF).filter(lambda kind: kind >> 8 not in (0x06, 0x15))


@pytest.mark.parametrize("name", FRAMES)
def test_cta_03_published_frames_both_ways(name: str) -> None:
    kind, payload, raw = FRAMES[name]
    message = Message(type=kind, payload=payload)
    assert serialise(message) == raw
    assert parse(raw) == (message, len(raw))
    assert message.is_support_query is (not payload)


def test_cta_03_every_basic_frame_has_a_zero_residue_and_never_a_zero_checksum_byte() -> None:
    edge = 0
    for operands in range(0x10000):
        raw = serialise(Message(type=MessageType.BASIC, payload=operands.to_bytes(2)))
        assert residue(raw) == (0, 0)
        assert 0 not in raw[-2:]
        assert parse(raw) == (Message(type=MessageType.BASIC, payload=operands.to_bytes(2)), 8)
        edge += 0xFF in raw[-2:]
    assert edge == EDGE


def test_a_checksum_of_another_implementation_with_00_for_ff_is_taken() -> None:
    raw = bytes.fromhex("08 01 00 02 00 87 ff c2")
    assert checksum(raw[:6]) == raw[6:]
    assert parse(raw[:6] + b"\x00\xc2") == (Message(type=0x0801, payload=b"\x00\x87"), 8)


@given(types, st.binary(max_size=300), st.binary(max_size=20))
def test_what_is_written_is_read_whatever_follows(kind: int, payload: bytes, rest: bytes) -> None:
    message = Message(type=kind, payload=payload)
    raw = serialise(message)
    assert parse(raw + rest) == (message, len(raw))
    for cut in range(1, len(raw)):
        assert parse(raw[:cut]) is None


@given(types, st.binary(max_size=40), st.data())
def test_one_wrong_bit_is_never_taken_for_the_message(kind: int, payload: bytes, data: st.DataObject) -> None:
    raw = bytearray(serialise(Message(type=kind, payload=payload)))
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[at // 8] ^= 1 << at % 8
    result = parse(raw)
    if isinstance(result, tuple):  # it may read as an ACK or NAK if the first byte was hit, or as the other zero
        assert not isinstance(result[0], Message)


@given(st.binary(max_size=64))
def test_nothing_is_raised_for_any_bytes(raw: bytes) -> None:
    result = parse(raw, max_payload=16)
    assert result is None or isinstance(result, (Damaged, tuple))


def test_ack_and_nak() -> None:
    assert parse(b"") is None
    assert parse(b"\x06") is None
    assert parse(b"\x06\x00\x15\x03") == (Ack(), 2)
    assert parse(b"\x15\x03") == (Nak(code=3), 2)
    assert serialise(Ack()) == b"\x06\x00"
    assert serialise(Nak(code=7)) == b"\x15\x07"
    assert Nak(code=3).reason is NakReason.CHECKSUM
    assert Nak(code=0x42).reason is NakReason.RESERVED


def test_a_damaged_ack_is_not_answered() -> None:
    damaged = parse(b"\x06\x07")
    assert isinstance(damaged, Damaged)
    assert damaged.nak is None


@pytest.mark.parametrize(
    ("raw", "nak", "claimed"),
    [
        ("08 01 20 02 01 1e cf 5b", NakReason.INVALID_LENGTH, 8),  # a reserved bit
        ("08 01 01 01", NakReason.INVALID_LENGTH, 263),  # longer than offered
        ("08 01 00 02 01 1e cf 5c", NakReason.CHECKSUM, 8),
    ],
)
def test_damage_says_how_to_refuse_it(raw: str, nak: NakReason, claimed: int) -> None:
    damaged = parse(bytes.fromhex(raw), max_payload=256)
    assert isinstance(damaged, Damaged)
    assert (damaged.nak, damaged.claimed) == (nak, claimed)


@pytest.mark.parametrize("kind", [0x0600, 0x1507, -1, 0x10000])
def test_a_type_that_reads_as_an_ack_is_not_written(kind: int) -> None:
    with pytest.raises(ValueError, match="type"):
        serialise(Message(type=kind))


def test_a_payload_beyond_13_bits_is_not_written() -> None:
    assert len(serialise(Message(type=0x0907, payload=bytes(MAX_LENGTH)))) == MAX_LENGTH + 6
    with pytest.raises(ValueError, match="payload"):
        serialise(Message(type=0x0907, payload=bytes(MAX_LENGTH + 1)))


def test_cta_01_all_message_classes_have_a_name() -> None:
    assert type_name(0x0801) == "basic"
    assert type_name(0x0906) == "openadr2"
    assert type_name(0x0001) == "vendor 0x0001"
    assert type_name(0xF0FF) == "vendor 0xf0ff"
    assert type_name(0x0A00) == "reserved 0x0a00"
    assert len(MessageType) == 16
