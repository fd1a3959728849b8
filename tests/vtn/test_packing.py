"""Deflate with parts put in: what comes out of any decompressor is the whole text."""

import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtn.packing import _FILLING as FILLING
from vtn.packing import MOST, filled, packed, stored

TEXTS = st.lists(st.sampled_from([b"<event>", b"</event>", b"0123456789", "ä€".encode(), b"ven-"])).map(b"".join)
PARTS = st.binary(max_size=300)


def whole(before: bytes, between: Sequence[bytes], first: bytes, second: bytes) -> bytes:
    return before + first + second.join(between)


@given(
    before=TEXTS, between=st.lists(TEXTS, min_size=2, max_size=12), parts=st.lists(st.tuples(PARTS, PARTS), min_size=1)
)
def test_parts_are_put_in_between(before: bytes, between: list[bytes], parts: list[tuple[bytes, bytes]]) -> None:
    """What was compressed for one pair of parts holds for every other of the same lengths."""
    first, second = parts[0]
    pieces = packed(before, between, (len(first), len(second)))
    for one, other in [(first, second), (first[::-1], second[::-1]), (bytes(len(first)), b"v" * len(second)), *parts]:
        if (len(one), len(other)) == (len(first), len(second)):
            found = zlib.decompress(filled(pieces.pieces, one, other), wbits=-15)
            assert found == whole(before, between, one, other)
            assert (len(found), zlib.crc32(found)) == (pieces.length, pieces.crc(one, other))


@pytest.mark.parametrize("size", [0, 1, 2, 258, 40_000, MOST])
def test_the_longest_part_and_the_shortest(size: int) -> None:
    part = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert zlib.decompress(stored(part, last=True), wbits=-15) == part
    texts = b"a" * 1000, [b"b" * 1000, b"c" * 1000, b"c" * 1000]
    pieces = packed(*texts, (size, size))
    assert zlib.decompress(filled(pieces.pieces, part, part), wbits=-15) == whole(*texts, part, part)


def test_a_part_that_comes_often_takes_its_room_once() -> None:
    part = bytes(range(200))
    pieces = packed(b"<a>", [b"<b>"] * 100, (10, len(part)))
    assert len(filled(pieces.pieces, b"0" * 10, part)) < 2 * len(part)


@pytest.mark.parametrize("texts", [[b"", b"<b>", b"<c>"], [b"", FILLING[:100] + b"<b>", b"<c>" + FILLING[20:60]]])
@pytest.mark.parametrize("size", [1, 2, 100, 259, 260, 40_000])
def test_a_part_that_nothing_can_refer_to_is_stored_each_time(size: int, texts: list[bytes]) -> None:
    """Too short, a little longer than what one reference takes, too far away; no XML has bytes of the filling."""
    pieces = packed(b"<a>", texts, (3, size))
    part = bytes(index % 251 for index in range(size))
    assert zlib.decompress(filled(pieces.pieces, b"abc", part), wbits=-15) == whole(b"<a>", texts, b"abc", part)
