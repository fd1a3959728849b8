import pytest

from bridge.cta2045.datalink import PAYLOADS, DataLink, Offer, Response, answer, message
from bridge.cta2045.frames import Message, MessageType, NakReason

OFFER = Offer(payload=7, bit_rates=frozenset({0, 1}))


@pytest.mark.parametrize(
    ("asked", "response"),
    [
        ((0x18, 0), Response(reply=message(DataLink.PAYLOAD, 7))),
        ((0x19, 5), Response(peer_payload=64)),
        ((0x19, 13), Response(peer_payload=4096)),
        ((0x19, 14), Response(nak=NakReason.INVALID_BYTE)),
        ((0x17, 1), Response(bit_rate=1)),
        ((0x17, 2), Response(nak=NakReason.NOT_SUPPORTED)),
        ((0x1A, 0), Response(reply=message(DataLink.SLOT, 1))),
        ((0x1C, 0), Response(reply=message(DataLink.SLOTS, 1))),
        ((0x1B, 1), Response()),
        ((0x1D, 1), Response()),
        ((0x16, 6), Response(nak=NakReason.INVALID_BYTE)),
        ((0x16, 5), Response(nak=NakReason.NOT_SUPPORTED)),
        ((0x1E, 1), Response(nak=NakReason.NOT_SUPPORTED)),
        ((0x42, 0), Response(nak=NakReason.NOT_SUPPORTED)),
    ],
)
def test_cta_02_each_data_link_message_has_its_answer(asked: tuple[int, int], response: Response) -> None:
    assert answer(Message(type=MessageType.DATA_LINK, payload=bytes(asked)), OFFER) == response


def test_a_data_link_payload_has_two_bytes() -> None:
    asked = Message(type=MessageType.DATA_LINK, payload=b"\x18")
    assert answer(asked, OFFER) == Response(nak=NakReason.INVALID_LENGTH)
    assert PAYLOADS[7] == 256
