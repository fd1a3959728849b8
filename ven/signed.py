"""XML signatures at the VEN (R514): what goes to the VTN is signed as it is sent, what comes from it is let in once.

Rule: only a message that was signed just now, by a certificate of the VTN, is read at all. That is one the VTN has
shown in this VEN's own TLS handshakes (issued under the CA, made out to the host), or one of the fingerprints in the
settings. TLS alone would already keep an answer from being replayed by others; whoever ends TLS in between could do
it, so nonces are kept, in the database, because a restart is when nobody would notice.
"""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from secrets import token_bytes

from openadr.errors import Replayed
from openadr.identity import fingerprint
from openadr.messages import Message
from openadr.tls import TlsError
from openadr.wire.codec import read
from openadr.wire.replay import UsedNonce, admit
from openadr.wire.signature import authenticate
from openadr.wire.signing import NONCE_BYTES, Signer, sign
from runtime.clock import Clock
from ven.settings import VenSettings

UseNonce = Callable[[UsedNonce, datetime], Awaitable[bool]]
"""Write a nonce; False if it was there before."""


class Seal:
    """Signs and opens for one VEN; the key is loaded once."""

    def __init__(
        self,
        signer: Signer,
        *,
        clock: Clock,
        use_nonce: UseNonce,
        window: timedelta,
        signers: Collection[str] = (),
        draw_nonce: Callable[[int], bytes] = token_bytes,
    ) -> None:
        self._signer = signer
        self._clock = clock
        self._use_nonce = use_nonce
        self._window = window
        self._signers = frozenset(signers)
        self._draw_nonce = draw_nonce

    def sign(self, document: bytes) -> bytes:
        """Sign a document of ours as of now."""
        return sign(document, self._signer, timestamp=self._clock.now(), nonce=self._draw_nonce(NONCE_BYTES))

    async def open(self, data: bytes, shown: Collection[bytes], *, max_bytes: int) -> Message:
        """Return a message of the VTN, which has ``shown`` these certificates in TLS.

        Raises ``SignatureInvalid`` and its kind, and what ``decode`` raises.
        """

        def trusted(der: bytes) -> bool:
            return fingerprint(der) in self._signers if self._signers else der in shown

        found = authenticate(data, trusted=trusted, max_bytes=max_bytes)
        now = self._clock.now()
        if not await self._use_nonce(admit(found, now, self._window), now):
            raise Replayed("this nonce was used before (R514)")
        return read(found.payload)


def seal_of(settings: VenSettings, clock: Clock, use_nonce: UseNonce) -> Seal | None:
    """Return what signs and opens, ``None`` without high security. Raises ``TlsError`` naming the files at fault."""
    signer = signer_of(settings)
    if signer is None:
        return None
    return Seal(
        signer,
        clock=clock,
        use_nonce=use_nonce,
        window=timedelta(seconds=settings.signature_window_s),
        signers=settings.signer_fingerprints,
    )


def signer_of(settings: VenSettings) -> Signer | None:
    """Load the key to sign with, ``None`` without high security. Raises ``TlsError`` naming the files at fault."""
    if not settings.xml_signature:
        return None
    if settings.cert is None or settings.key is None:
        raise TlsError("ven.xml_signature: ven.cert and ven.key are needed to sign")
    try:
        return Signer.from_pem(settings.key.read_bytes(), settings.cert.read_bytes())
    except (OSError, ValueError) as error:
        raise TlsError(f"{settings.cert} with {settings.key}: cannot be used to sign: {error}") from None
