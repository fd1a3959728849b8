"""A VEN that signs, for tests of the listener: every answer is verified, and raw bytes can be sent instead."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_bytes

from certs.authority import Issued
from openadr.exchange import PATH, SERVICE_OF
from openadr.messages import CreatePartyRegistration, Message, Poll
from openadr.wire import encode
from openadr.wire.signature import Verified, verify
from openadr.wire.signing import Signer, sign
from tests.vtn.server import Running, VenSide
from vtn.signed import load_signer


def signer_of(issued: Issued) -> Signer:
    """Load the key of a certificate."""
    return load_signer(issued.chain_path, issued.key_path)


@dataclass
class SigningVen:
    """A VEN's client that signs with a key of its own."""

    side: VenSide
    vtn: Running
    signer: Signer

    @classmethod
    def of(cls, vtn: Running, issued: Issued, ven_id: str, by: Issued | None = None) -> "SigningVen":
        """Return the client of a certificate, signing with it or with another."""
        return cls(vtn.ven(issued, ven_id), vtn, signer_of(by or issued))

    def signed(self, message: Message, *, at: datetime | None = None, nonce: bytes | None = None) -> bytes:
        """Return a message with a signature, as of now or another time."""
        timestamp = self.vtn.clock.now() if at is None else at
        return sign(
            encode(message), self.signer, timestamp=timestamp, nonce=token_bytes(16) if nonce is None else nonce
        )

    async def post(self, body: bytes, message: type[Message] = Poll) -> tuple[int, bytes]:
        """Send bytes where messages of this kind go; return status and body."""
        status, _, answer = await self.side.post(PATH.format(service=SERVICE_OF[message].value), body)
        return status, answer

    async def send(self, message: Message) -> Message:
        """Send a message signed, and return the reply after verifying its signature."""
        status, answer = await self.post(self.signed(message), type(message))
        assert status == 200, answer
        return self.verified(answer).message

    def verified(self, answer: bytes) -> Verified:
        """Return a signed answer that holds: by the VTN's certificate, sent now."""
        found = verify(answer, trusted=signer_of(self.vtn.pki.vtn).certificate_der)
        assert abs(found.timestamp - self.vtn.clock.now()) < timedelta(seconds=2)
        return found

    async def register(self, *, xml_signature: bool = True) -> Message:
        """Register."""
        return await self.send(
            CreatePartyRegistration(request_id="req-r", ven_name="A VEN", xml_signature=xml_signature)
        )

    async def poll(self) -> Message:
        """Poll once."""
        return await self.send(Poll(ven_id=self.side.ven_id))
