"""Deflate (RFC 1951) for texts that are the same but for short parts of known length: compressed once, parts put in.

Rule: each part goes in as a stored block, which has the length of its content and nothing to compute. When the rest is
compressed, zeros stand in the places of the parts: no text that is XML has them, so nothing later refers to a part,
and over it at the right distance.
"""

import zlib
from collections.abc import Sequence

MOST = 65_535  # bytes in a stored block
_LEVEL = 3  # of a payload of ten events: no slower than level 1, and hardly larger than level 9


def compressed(constant: Sequence[bytes], sizes: Sequence[int]) -> tuple[bytes, ...]:
    """Return what is the same: pieces before, between and after parts of these sizes.

    ``constant`` is one text more than there are parts; parts have up to ``MOST`` bytes.
    """
    packer = zlib.compressobj(_LEVEL, wbits=-15)
    pieces = []
    for text, size in zip(constant, sizes, strict=False):
        pieces.append(packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))
        packer.compress(bytes(size))
        packer.flush(zlib.Z_SYNC_FLUSH)
    pieces.append(packer.compress(constant[-1]) + packer.flush())
    return tuple(pieces)


def stored(part: bytes, *, last: bool = False) -> bytes:
    """Return a part as a stored block (RFC 1951, 3.2.4)."""
    size = len(part)
    return (b"\x01" if last else b"\x00") + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + part
