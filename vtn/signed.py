"""XML signatures at the edge (R514): what comes signed is opened, what goes to a VEN that signs is signed.

Rule: the order is size, hardened parse, XSD, signature, signer, time of sending, and only then the content; whoever
signed has to be the one the TLS connection belongs to. The nonce is the caller's to take before anything acts. Keys
are loaded once. Work that takes longer than its way to another thread goes there: large messages and RSA keys.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any

from lxml import etree

from openadr.errors import OadrError, SignatureMissing, WireError
from openadr.messages import Message
from openadr.wire import Outline
from openadr.wire.codec import outline_of, read
from openadr.wire.replay import WINDOW, UsedNonce, admit
from openadr.wire.signature import authenticate, may_be_signed
from openadr.wire.signing import NONCE_BYTES, Signer, sign
from vtn.services.context import SignaturePolicy

LARGE = 32_768  # bytes; to verify so many takes 1 ms, to hand them to a thread a tenth of it
_AT_ONCE = timedelta(seconds=1)  # what was opened longer ago is opened again, because its time of sending may be over
THREADS = 2  # the GIL is released in parsing and in signing: two keep two cores busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A signed message: its content, or why that has no meaning."""

    nonce: UsedNonce
    payload: etree._Element
    message: Message | None = None
    error: OadrError | None = None

    @property
    def outline(self) -> Outline:
        """Return what an error answer needs."""
        return outline_of(self.payload)


def open_signed(data: bytes, signer: bytes, now: datetime, window: timedelta, *, max_bytes: int, sha1: bool) -> Opened:
    """Open a message signed by the holder of this certificate.

    Raises ``SignatureMissing`` if it is not signed, ``SignatureInvalid``, ``Replayed`` for its time, or the
    ``WireError`` of bytes that are no message.
    """
    found = authenticate(data, trusted=signer, max_bytes=max_bytes, sha1=sha1)
    nonce = admit(found, now, window)
    try:
        return Opened(nonce=nonce, payload=found.payload, message=read(found.payload))
    except OadrError as error:
        return Opened(nonce=nonce, payload=found.payload, error=error)


class Signatures:
    """Opens and signs by the settings of one VTN."""

    def __init__(
        self,
        policy: SignaturePolicy = SignaturePolicy.OFF,
        signers: Sequence[Signer] = (),
        *,
        window: timedelta = WINDOW,
        sha1: bool = False,
        max_bytes: int,
        draw_nonce: Callable[[int], bytes] = token_bytes,
    ) -> None:
        if policy is not SignaturePolicy.OFF and not signers:
            raise ValueError("signatures need a certificate to sign with")
        self.policy = policy
        self._signers = tuple(signers)
        self._window = window
        self._sha1 = sha1
        self._max_bytes = max_bytes
        self._draw_nonce = draw_nonce
        self._pool = ThreadPoolExecutor(THREADS, "signatures")
        self._last: tuple[bytes, bytes, datetime, Opened] | None = None  # bytes, signer, when: opened and not used yet

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    async def open(self, data: bytes, signer: bytes, now: datetime) -> Opened | None:
        """Open a message from the holder of a certificate; ``None``: it is not signed and need not be.

        Raises as ``open_signed``.
        """
        if self.policy is SignaturePolicy.OFF:
            return None
        if self.policy is SignaturePolicy.ACCEPT and not may_be_signed(data):
            return None

        last, self._last = self._last, None
        if last is not None and last[:2] == (data, signer) and abs(now - last[2]) <= _AT_ONCE:
            return last[3]

        def work() -> Opened:
            return open_signed(data, signer, now, self._window, max_bytes=self._max_bytes, sha1=self._sha1)

        try:
            return await self._run(work) if len(data) > LARGE else work()
        except SignatureMissing:
            if self.policy is SignaturePolicy.REQUIRE:
                raise
            return None

    def open_at_once(self, data: bytes, signer: bytes, now: datetime) -> Opened | None:
        """Open a small message; ``None``: ``open`` has to look at it."""
        if self.policy is SignaturePolicy.OFF or len(data) > LARGE or not may_be_signed(data):
            return None
        try:
            return open_signed(data, signer, now, self._window, max_bytes=self._max_bytes, sha1=self._sha1)
        except (OadrError, WireError):
            return None

    def keep(self, data: bytes, signer: bytes, now: datetime, opened: Opened) -> None:
        """Remember what was opened at once for ``open``, which is asked next."""
        self._last = (data, signer, now, opened)

    async def seal(self, document: bytes, tls: Any, now: datetime) -> bytes:
        """Sign a document with the key whose certificate this TLS connection has shown, as far as that is known."""
        signer = self._signer(tls)

        def work() -> bytes:
            return sign(document, signer, timestamp=now, nonce=self._draw_nonce(NONCE_BYTES))

        return await self._run(work) if signer.is_rsa or len(document) > LARGE else work()

    def _signer(self, tls: Any) -> Signer:
        """Return the signer; TLS 1.2 tells the kind of key by its suite, and 1.3 takes EC where both are offered."""
        if tls is not None and len(self._signers) > 1:
            suite = tls.cipher()[0]
            rsa = "ECDSA" not in suite and not suite.startswith("TLS_")
            for signer in self._signers:
                if signer.is_rsa is rsa:
                    return signer
        return self._signers[0]

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def load_signer(cert: Path, key: Path) -> Signer:
    """Load a chain and its key. Raises ``ValueError`` or ``OSError``."""
    return Signer.from_pem(key.read_bytes(), cert.read_bytes())
