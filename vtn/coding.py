"""Bodies of answers in the coding that was asked for, and whole answers as bytes for the short way.

Rule: a coding that is asked for is used (section 1.4), whatever it costs us: what VENs share is compressed once, other
short bodies are stored in it as they are.
"""

import zlib
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from aiohttp.http import SERVER_SOFTWARE

from openadr.exchange import CONTENT_TYPE
from runtime.http import REFERENCE_HEADER
from vtn.packing import filled, stored
from vtn.payloads import Parcel

_STORED_BYTES = 6_000  # longer answers are compressed; must be below 65,536, what one stored block holds
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952: deflate, no name, no time, unknown system
_ZLIB_HEAD = b"\x78\x01"  # RFC 1950: deflate, 32 kB window, fastest


@lru_cache(maxsize=1000)
def chosen(accepted: str) -> str | None:
    """Return the coding to use; one that is asked for must be used (section 1.4)."""
    if not accepted:
        return None
    offered = {
        name.strip().lower(): q.replace(" ", "") for name, _, q in (x.partition(";") for x in accepted.split(","))
    }
    for coding in ("gzip", "deflate"):
        q = offered.get(coding)
        if q is not None and q.rstrip("0.") != "q=":
            return coding
    return None


def whole(reference: str, coding: str | None, body: bytes, date: bytes) -> bytes:
    """Write a whole answer, with the headers that the long way writes."""
    encoding = "" if coding is None else f"Content-Encoding: {coding}\r\n"
    head = (
        f"HTTP/1.1 200 OK\r\n{REFERENCE_HEADER}: {reference}\r\nContent-Type: {CONTENT_TYPE}\r\n{encoding}"
        f"Content-Length: {len(body)}\r\n"
    )
    return b"%b%b%b" % (head.encode(), date, body)


@lru_cache(maxsize=2)
def last_headers(second: int) -> bytes:
    """Return the last headers of an answer, which change once a second."""
    date = format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True)
    return f"Date: {date}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n".encode()


def packed(parcel: Parcel, coding: str | None) -> bytes:
    """Put a payload into a coding."""
    parts = None if coding is None else parcel.packed()
    if parts is None or coding is None:
        return coded(parcel.body, coding)
    shared, request, target = parts
    data = filled(shared.pieces, request, target)
    if coding == "gzip":
        return _gzip(data, shared.crc(request, target), shared.length)
    return _wrapped(data, parcel.body, coding)


def _wrapped(data: bytes, body: bytes, coding: str) -> bytes:
    """Put what was compressed into the frame of a coding."""
    if coding == "gzip":
        return _gzip(data, zlib.crc32(body), len(body))
    return b"%b%b%b" % (_ZLIB_HEAD, data, zlib.adler32(body).to_bytes(4, "big"))


def _gzip(data: bytes, crc: int, length: int) -> bytes:
    return b"%b%b%b%b" % (_GZIP_HEAD, data, crc.to_bytes(4, "little"), (length % 2**32).to_bytes(4, "little"))


def coded(body: bytes, coding: str | None, *, small: bool = False) -> bytes:
    """Put a body into a coding; short ones are stored in it as they are unless they are wanted ``small``.

    Compressing 2 kB costs more than all the rest of an answer with an event and saves one packet.
    """
    if coding is None:
        return body
    if small or len(body) > _STORED_BYTES:
        packer = zlib.compressobj(1, wbits=31 if coding == "gzip" else 15)
        return packer.compress(body) + packer.flush()
    return _wrapped(stored(body, last=True), body, coding)
