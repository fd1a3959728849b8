"""Deflate (RFC 1951) for texts that are the same but for two short parts of known length: compressed once for all.

Rule: a part goes in as a stored block, which has the length of its content and nothing to compute. The second part may
occur often: where it does so again, what is compressed refers to its first place. For that a filling of bytes that no
XML has stands in the places of parts, and the outcome is tried with two more fillings, which together tell each byte's
place in a part. If it is not right, each place of the part gets a block of its own.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product
from zlib import crc32

from vtn.checksums import Effect, changed, effect

MOST = 65_535  # bytes in a stored block
_LEVEL = 6  # it is done once for all
_NOT_XML = (*range(1, 9), 11, 12, *range(14, 32))  # characters that no XML may have (XML 1.0, 2.2)
_FILLING = bytes(byte for four in islice(product(_NOT_XML, repeat=4), MOST // 4 + 1) for byte in four)

Pieces = tuple[bytes, tuple[bytes, ...]]
"""What stands before the first part, and what stands before, between and after the places of the second."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What is the same around two parts, compressed, and what the whole's length and checksum are worked out with."""

    pieces: Pieces
    length: int  # of the whole, unpacked
    _sum: int  # CRC-32 of the whole with zeros in the place of the parts
    _zeros: tuple[int, int]  # CRC-32 of as many zeros as a part has bytes
    _effects: tuple[Effect, Effect]

    def crc(self, first: bytes, second: bytes) -> int:
        """Return the CRC-32 of the whole with these parts."""
        zeros, effects = self._zeros, self._effects
        return self._sum ^ changed(first, zeros[0], effects[0]) ^ changed(second, zeros[1], effects[1])


def packed(before: bytes, between: Sequence[bytes], sizes: tuple[int, int]) -> Packed:
    """Return what is the same around two parts of these sizes, up to ``MOST`` bytes each.

    The text is ``before``, the first part, and ``between`` with the second part between its members, of which there are
    two at least.
    """
    filling = _FILLING[: sizes[1]]
    pieces = _apart(before, sizes[0], (between[0], filling.join(between[1:])), filling)
    if not _is_right(pieces, before, between, sizes):
        pieces = _apart(before, sizes[0], between, bytes(sizes[1]))
    first, second = bytes(sizes[0]), bytes(sizes[1])
    rest = second.join(between)
    gaps = [len(each) + sizes[1] for each in between[1:-1]]
    return Packed(
        pieces,
        len(before) + sizes[0] + len(rest),
        crc32(before + first + rest),
        (crc32(first), crc32(second)),
        (effect([len(rest)]), effect([*gaps, len(between[-1])])),
    )


def _apart(before: bytes, size: int, between: Sequence[bytes], filling: bytes) -> Pieces:
    packer = zlib.compressobj(_LEVEL, wbits=-15)
    head = packer.compress(before) + packer.flush(zlib.Z_SYNC_FLUSH)
    rest = []
    for text, part in zip(between, (bytes(size), *[filling] * (len(between) - 1)), strict=True):
        packer.compress(part)
        packer.flush(zlib.Z_SYNC_FLUSH)
        rest.append(packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))
    return head, (*rest[:-1], rest[-1] + packer.flush())


def _is_right(pieces: Pieces, before: bytes, between: Sequence[bytes], sizes: tuple[int, int]) -> bool:
    """True if any parts of these sizes may be put in."""
    for step in (1, 256):
        numbers = bytes([index // step % 256 for index in range(max(sizes))])
        first, second = numbers[: sizes[0]], numbers[: sizes[1]]
        if zlib.decompress(filled(pieces, first, second), wbits=-15) != before + first + second.join(between):
            return False
    return True


def filled(pieces: Pieces, first: bytes, second: bytes) -> bytes:
    """Return the whole, compressed, with these parts."""
    head, rest = pieces
    return b"%b%b%b" % (head, stored(first), stored(second).join(rest))


def stored(part: bytes, *, last: bool = False) -> bytes:
    """Return a part as a stored block (RFC 1951, 3.2.4)."""
    size = len(part)
    return (b"\x01" if last else b"\x00") + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + part
