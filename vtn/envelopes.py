"""What a pushed payload is put into for one VEN, and what its answer is taken out of: signed if it registered so.

Rule: to a VEN that registered with oadrXmlSignature everything goes signed, by the certificate that push shows in TLS,
and only a signed answer of the holder of the certificate it has shown counts (R514). ``encode`` and ``decode`` are the
one place where that is decided.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from openadr.errors import SignatureMissing
from openadr.messages import Message
from openadr.wire import decode
from openadr.wire.replay import UsedNonce
from runtime.clock import Clock
from vtn.rendering import Renderer
from vtn.services.context import SignaturePolicy
from vtn.signed import Signatures
from vtn.store.rows import Ven


@dataclass(slots=True, kw_only=True)
class Envelopes:
    """Encodes and decodes for VENs that are pushed to; ``use_nonce`` raises ``Replayed``."""

    signatures: Callable[[], Signatures]
    use_nonce: Callable[[UsedNonce], Awaitable[None]]
    clock: Clock
    renderer: Renderer
    max_bytes: int

    async def encode(self, message: Message, ven: Ven) -> bytes:
        """Write a payload for a VEN."""
        body = self.renderer.encode(message)
        return await self.signatures().seal(body, None, self._now()) if self._signed(ven) else body

    async def decode(self, data: bytes, ven: Ven, signer: bytes) -> Message:
        """Read what a VEN answered that has shown the certificate ``signer``. Raises ``WireError``, ``OadrError``."""
        if len(data) > self.max_bytes or not self._signed(ven):
            return decode(data, max_bytes=self.max_bytes)
        opened = await self.signatures().open(data, signer, self._now())
        if opened is None:
            raise SignatureMissing("the answer is not signed, as was agreed (R514)")
        await self.use_nonce(opened.nonce)
        if opened.error is not None:
            raise opened.error
        assert opened.message is not None  # noqa: S101  one of the two is there
        return opened.message

    def _signed(self, ven: Ven) -> bool:
        policy = self.signatures().policy
        return policy is SignaturePolicy.REQUIRE or (policy is SignaturePolicy.ACCEPT and ven.xml_signature)

    def _now(self) -> datetime:
        return self.clock.now()
