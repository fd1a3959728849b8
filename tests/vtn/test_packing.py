"""Deflate with parts put in: what comes out of any decompressor is the whole text."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtn.packing import MOST, compressed, stored

TEXTS = st.lists(st.sampled_from([b"<event>", b"</event>", b"0123456789", "ä€".encode(), b"ven-"])).map(b"".join)
PARTS = st.binary(max_size=300)


@given(pairs=st.lists(st.tuples(TEXTS, PARTS), max_size=12), end=TEXTS)
def test_parts_are_put_in_between(pairs: list[tuple[bytes, bytes]], end: bytes) -> None:
    texts, parts = [text for text, _ in pairs], [part for _, part in pairs]
    pieces = compressed([*texts, end], [len(part) for part in parts])
    joined = b"".join(piece + stored(part) for piece, part in zip(pieces, parts, strict=False)) + pieces[-1]
    whole = b"".join(text + part for text, part in pairs) + end
    assert zlib.decompress(joined, wbits=-15) == whole


@pytest.mark.parametrize("size", [0, 1, MOST])
def test_the_longest_part_and_the_shortest(size: int) -> None:
    part = bytes(range(256)) * (size // 256 + 1)
    assert zlib.decompress(stored(part[:size], last=True), wbits=-15) == part[:size]
    before, after = compressed([b"a" * 1000, b"a" * 1000], [size])
    joined = before + stored(part[:size]) + after
    assert zlib.decompress(joined, wbits=-15) == b"a" * 1000 + part[:size] + b"a" * 1000
