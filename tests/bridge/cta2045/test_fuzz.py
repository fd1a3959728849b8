"""Random and mutated bytes into the receive path: no exception, no unbounded buffer, no answer but the standard's."""

import os
import random

import pytest

from bridge.cta2045.frames import Ack, Message, Nak, NakReason, parse, serialise
from bridge.cta2045.inbox import refuses
from bridge.cta2045.link import Link, Write
from bridge.cta2045.receiver import Receiver, room
from bridge.cta2045.timing import Timing
from tests.bridge.cta2045.vectors import BASIC, OTHER

RUNS = int(os.environ.get("CTA_FUZZ_RUNS", "100000"))  # a million in a long run; both take seconds
GOOD = [bytes.fromhex(each[2]) for each in (*BASIC.values(), *OTHER.values())] + [b"\x06\x00", b"\x15\x03"]
ANSWERS = {serialise(Ack()), *(serialise(Nak(code=reason)) for reason in NakReason)}


def noise(dice: random.Random) -> bytes:
    """Return random bytes, or a good frame that was cut, lengthened, joined or hit."""
    kind = dice.randrange(4)
    if kind == 0:
        return dice.randbytes(dice.randrange(1, 40))
    data = bytearray(dice.choice(GOOD))
    if kind == 1:
        data[dice.randrange(len(data))] = dice.randrange(256)
    elif kind == 2:
        del data[dice.randrange(len(data)) :]
    else:
        data += dice.choice(GOOD)[: dice.randrange(1, 9)]
    return bytes(data) or b"\x00"


@pytest.mark.parametrize("seed", range(4))
def test_the_receive_path_survives_anything(seed: int) -> None:
    dice = random.Random(seed)
    link = Link(draw=dice.random, refuses=refuses)
    now, written, heard = 0.0, 0, 0
    for _ in range(RUNS // 4):
        now += dice.choice((0.0, 0.001, 0.02, 0.04, 0.12, 0.6))
        heard += 1
        for action in link.receive(noise(dice), now):
            if isinstance(action, Write):
                written += 1
                found = parse(action.data)
                assert isinstance(found, tuple)
                assert action.data in ANSWERS or found[0].payload[0] in (0x19, 0x1B, 0x1D)  # type: ignore[union-attr]
    assert written <= heard * 4
    link.reset()
    assert link.due() is None
    good = serialise(Message(type=0x0801, payload=b"\x11\x01"))
    assert any(not isinstance(each, Write) for each in link.receive(good, now + 10))


def test_the_buffer_is_bounded() -> None:
    dice = random.Random(5)
    receiver = Receiver(Timing(), 256)
    now, most = 0.0, 0
    for _ in range(RUNS // 10):
        now += dice.choice((0.0, 0.001, 0.02, 0.04, 0.12))
        receiver.feed(b"\x08\x01\x01\x00" + bytes(dice.randrange(200)) if dice.random() < 0.3 else noise(dice), now)
        receiver.rejected(now)
        most = max(most, receiver.held)
    assert 200 < most <= room(256)
