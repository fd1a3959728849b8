"""CRC-32 (RFC 1952) of texts that differ in short parts only, without going through all that is the same.

Rule: CRC-32 is linear: what a change of a part does to the sum of the whole depends on that change and on how much
follows, and is the exclusive or of what its bits do, one by one. That is worked out once, with the function itself.
"""

from collections.abc import Sequence
from zlib import crc32

Effect = tuple[tuple[int, ...], ...]
"""What each byte of a change, by its place and value, does to the sum of the whole."""


def effect(gaps: Sequence[int]) -> Effect:
    """Return what a part does that occurs as often as there are ``gaps``.

    A gap is the number of bytes from the end of the part to its end where it occurs next, at last to that of the whole.
    """
    bits = [1 << place for place in range(32)]
    found = [0] * 32
    for gap in gaps:
        nothing = bytes(gap)
        empty = crc32(nothing)
        found = [crc32(nothing, so_far ^ bit) ^ empty for so_far, bit in zip(found, bits, strict=True)]
    return tuple(_table(found[start : start + 8]) for start in range(0, 32, 8))


def _table(bits: Sequence[int]) -> tuple[int, ...]:
    table = [0]
    for each in bits:
        table += [value ^ each for value in table]
    return tuple(table)


def changed(part: bytes, zeros: int, by: Effect) -> int:
    """Return by what the sum of the whole changes with a part in the place of zeros, whose own sum is ``zeros``."""
    change = crc32(part) ^ zeros
    return by[0][change & 255] ^ by[1][change >> 8 & 255] ^ by[2][change >> 16 & 255] ^ by[3][change >> 24]
