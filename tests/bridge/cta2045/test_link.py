"""One suite of scenarios over four wires, and the single rules of the link layer."""

import random
from collections.abc import Callable

import pytest

from bridge.cta2045 import commands, datalink
from bridge.cta2045.commands import Op
from bridge.cta2045.datalink import DataLink, Offer
from bridge.cta2045.frames import Ack, Message, MessageType, Nak, NakReason, serialise
from bridge.cta2045.link import Action, Finished, Link, Received, Result, SetBitRate, Write
from bridge.cta2045.timing import Timing
from bridge.cta2045.values import OperationalState
from tests.bridge.cta2045.wires import End, Line, Wire, bytewise, corrupting, lossy, plain

SHED = commands.encode(commands.event(Op.SHED, 1800))
QUERY = commands.encode(commands.query_state())
STATE = commands.encode(commands.state(OperationalState.RUNNING_CURTAILED))
OVERRIDE = commands.encode(commands.override(True))
ACK, NAK_CHECKSUM = serialise(Ack()), serialise(Nak(code=3))

WIRES: dict[str, Callable[[int], Wire]] = {
    "plain": lambda seed: plain,
    "bytewise": lambda seed: bytewise,
    "lossy": lossy,
    "corrupting": corrupting,
}
SURE = ("plain", "bytewise")


def is_state(message: Message) -> bool:
    return message.payload[:1] == bytes((Op.STATE,))


def is_app_answer(message: Message) -> bool:
    return message.payload[:1] in (bytes((Op.APP_ACK,)), bytes((Op.APP_NAK,)))


def is_payload(message: Message) -> bool:
    return message.payload[:1] == bytes((DataLink.PAYLOAD,))


def device(end: End, received: Received, now: float) -> None:
    """Answer as a device does."""
    message = received.message
    if message == QUERY:
        end.link.reply(STATE, now)
    elif message.type == MessageType.BASIC and message.payload[0] not in (Op.APP_ACK, Op.APP_NAK):
        end.link.reply(commands.encode(commands.app_ack(message.payload[0])), now)


def pair(name: str = "plain", seed: int = 0, timing: Timing | None = None) -> Line:
    dice = random.Random(seed)
    module = End(Link(draw=dice.random, timing=timing), WIRES[name](seed))
    other = End(Link(draw=dice.random), WIRES[name](seed + 1), on_received=device)
    return Line(module, other)


@pytest.fixture(params=[(name, seed) for name in WIRES for seed in range(1 if name in SURE else 8)], ids=str)
def line(request: pytest.FixtureRequest) -> Line:
    name, seed = request.param
    made = pair(name, seed)
    made.sure = name in SURE  # type: ignore[attr-defined]
    return made


def check(line: Line, ticket: int, wanted: Result) -> None:
    """On a sure wire it must have worked; on any wire it has ended, in a way that the wire explains."""
    result = line.ends[0].finished[ticket].result
    if line.sure:  # type: ignore[attr-defined]
        assert result is wanted
    else:
        assert result in {wanted, Result.NO_ACK, Result.NO_REPLY, Result.REFUSED}
    assert line.ends[0].link.idle
    assert line.ends[1].link.idle


# -- scenarios over every wire


def test_a_command_is_delivered_and_answered(line: Line) -> None:
    ticket = line.ends[0].link.send(SHED, line.now, is_app_answer)
    line.run()
    check(line, ticket, Result.REPLIED)
    assert all(each.message == SHED for each in line.ends[1].received)


def test_questions_one_after_the_other(line: Line) -> None:
    tickets = [line.ends[0].link.send(QUERY, line.now, is_state) for _ in range(5)]
    line.run(120)
    for ticket in tickets:
        check(line, ticket, Result.REPLIED)


def test_cta_02_negotiation_by_both_at_once(line: Line) -> None:
    tickets = []
    for end in line.ends:
        tickets.append(end.link.send(Message(type=MessageType.DATA_LINK), line.now))
        tickets.append(end.link.send(datalink.message(DataLink.QUERY_PAYLOAD), line.now, is_payload))
    line.run()
    check(line, tickets[0], Result.DELIVERED)
    check(line, tickets[1], Result.REPLIED)
    if line.sure:  # type: ignore[attr-defined]
        assert [end.link.peer_payload for end in line.ends] == [256, 256]


def test_both_begin_at_the_same_instant(line: Line) -> None:
    ticket = line.ends[0].link.send(SHED, line.now, is_app_answer)
    theirs = line.ends[1].link.send(OVERRIDE, line.now)
    line.run()
    check(line, ticket, Result.REPLIED)
    assert theirs in line.ends[1].finished


def test_discovery_in_the_middle_of_a_sequence(line: Line) -> None:
    tickets = [line.ends[0].link.send(QUERY, line.now, is_state) for _ in range(3)]
    line.run(0.3)
    query = line.ends[1].link.send(datalink.message(DataLink.QUERY_PAYLOAD), line.now, is_payload)
    line.run(120)
    for ticket in tickets:
        check(line, ticket, Result.REPLIED)
    assert query in line.ends[1].finished


@pytest.mark.parametrize("name", ["lossy", "corrupting"])
def test_most_gets_through_a_bad_line(name: str) -> None:
    results = []
    for seed in range(40):
        line = pair(name, seed)
        line.ends[0].link.send(QUERY, line.now, is_state)
        line.run()
        results += line.ends[0].results()
    assert results.count(Result.REPLIED) >= 30


# -- single rules, one end of the line scripted


class Script:
    """A link whose other side is the test."""

    def __init__(self, **options: object) -> None:
        self.link = Link(draw=lambda: 0.0, **options)  # type: ignore[arg-type]
        self.now = 1000.0
        self.out: list[Action] = []

    def hear(self, *data: bytes | Message, after: float = 0.01) -> list[Action]:
        self.wait(after)
        raw = b"".join(serialise(each) if isinstance(each, Message) else each for each in data)
        return self._note(self.link.receive(raw, self.now))

    def wait(self, seconds: float) -> list[Action]:
        until, seen = self.now + seconds, len(self.out)
        for _ in range(1000):
            due = self.link.due()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self._note(self.link.tick(self.now))
        else:
            raise AssertionError("due without end")
        self.now = until
        return self.out[seen:]

    def say(self, message: Message, expects: Callable[[Message], bool] | None = None) -> int:
        ticket = self.link.send(message, self.now, expects)
        self._note(self.link.tick(self.now))
        return ticket

    def _note(self, actions: list[Action]) -> list[Action]:
        self.out += actions
        return actions

    @property
    def written(self) -> list[bytes]:
        return [each.data for each in self.out if isinstance(each, Write)]

    @property
    def finished(self) -> list[Finished]:
        return [each for each in self.out if isinstance(each, Finished)]

    @property
    def received(self) -> list[Message]:
        return [each.message for each in self.out if isinstance(each, Received)]

    def results(self) -> list[Result]:
        return [each.result for each in self.finished]


def test_an_ack_comes_40_to_200_ms_after_the_end_of_the_message() -> None:
    script = Script()
    script.hear(OVERRIDE)
    assert script.wait(0.039) == []
    assert script.wait(0.02) == [Write(data=ACK)]
    assert script.received == [OVERRIDE]


def test_three_tries_without_an_ack_and_no_more() -> None:
    script = Script()
    script.say(SHED)
    script.wait(60)
    assert script.written == [serialise(SHED)] * 3
    assert script.results() == [Result.NO_ACK]


def test_three_tries_after_nak_3() -> None:
    script = Script()
    script.say(SHED)
    for _ in range(3):
        script.hear(NAK_CHECKSUM)
        script.wait(0.15)
    assert script.written == [serialise(SHED)] * 3
    assert [(each.result, each.nak) for each in script.finished] == [(Result.REFUSED, NakReason.CHECKSUM)]


@pytest.mark.parametrize("code", [0, 1, 2, 4, 5, 6, 7, 99])
def test_another_nak_is_final(code: int) -> None:
    script = Script()
    script.say(SHED, is_app_answer)
    script.hear(serialise(Nak(code=code)))
    script.wait(10)
    assert script.written == [serialise(SHED)]
    assert script.results() == [Result.REFUSED]


def test_an_ack_at_once_and_one_between_two_tries_are_taken() -> None:
    early, late = Script(), Script()
    early.say(SHED)
    early.hear(ACK, after=0.0)
    late.say(SHED)
    late.wait(0.3)  # the wait is over, the second try not yet out
    late.hear(ACK)
    for script in (early, late):
        script.wait(10)
        assert script.results() == [Result.DELIVERED]
        assert script.written == [serialise(SHED)]


def test_a_late_ack_is_not_taken_for_the_next_message() -> None:
    script = Script()
    script.say(SHED)
    script.say(QUERY, is_state)
    script.wait(0.4)  # the second try is out
    assert len(script.written) == 2
    script.hear(ACK)  # of the first
    assert script.results() == [Result.DELIVERED]
    script.hear(ACK, after=0.1)  # of the second: nothing of ours is in the air
    assert script.written[2:] == []
    script.wait(5)
    assert script.results() == [Result.DELIVERED, Result.NO_ACK]


def test_ack_and_reply_in_one_read() -> None:
    script = Script()
    script.say(QUERY, is_state)
    script.hear(ACK, STATE)
    assert script.results() == [Result.REPLIED]
    assert script.finished[0].reply == STATE
    assert script.wait(1) == [Write(data=ACK)]


def test_a_reply_whose_ack_was_lost_counts_as_both() -> None:
    script = Script()
    script.say(QUERY, is_state)
    script.hear(STATE)
    script.wait(5)
    assert script.results() == [Result.REPLIED]
    assert script.written == [serialise(QUERY), ACK]


def test_a_repeated_reply_gets_its_ack_and_nothing_else() -> None:
    script = Script()
    script.say(QUERY, is_state)
    script.hear(ACK, STATE)
    for _ in range(3):
        script.hear(STATE, after=0.2)
    script.wait(1)
    assert script.written == [serialise(QUERY)] + [ACK] * 4
    assert script.received == []
    script.hear(STATE, after=5)  # so much later it is news
    assert script.received == [STATE]


def test_a_repeated_reply_is_not_the_answer_to_a_question_still_without_ack() -> None:
    script = Script()
    script.say(QUERY, is_state)
    script.hear(ACK, STATE)
    script.wait(0.3)
    script.say(QUERY, is_state)
    script.hear(STATE)  # again the first
    assert script.results() == [Result.REPLIED]
    script.hear(ACK)
    script.hear(STATE, after=0.2)  # after the ACK it is the answer, whatever it says
    assert script.results() == [Result.REPLIED, Result.REPLIED]


def test_no_reply_within_three_seconds() -> None:
    script = Script()
    script.say(QUERY, is_state)
    script.hear(ACK)
    script.wait(2.9)
    assert script.results() == []
    script.wait(0.2)
    assert script.results() == [Result.NO_REPLY]


def test_messages_are_100_ms_apart() -> None:
    script = Script()
    script.say(SHED)
    script.say(SHED)
    script.hear(ACK)
    assert script.wait(0.09) == []
    assert script.wait(0.02) == [Write(data=serialise(SHED))]


def test_a_collision_acks_theirs_and_repeats_ours() -> None:
    script = Script()
    script.say(SHED, is_app_answer)
    script.hear(OVERRIDE)
    script.wait(2)
    assert script.received == [OVERRIDE]
    assert script.written[:3] == [serialise(SHED), ACK, serialise(SHED)]


def test_we_do_not_speak_into_an_incomplete_frame_unless_it_never_ends() -> None:
    script = Script()
    script.hear(serialise(STATE)[:3])
    script.say(SHED)
    assert script.written == []
    script.wait(0.9)
    assert script.written[0] == serialise(Nak(code=NakReason.TIMEOUT))
    assert serialise(SHED) in script.written
    babble = Script()
    babble.say(SHED)
    babble.hear(ACK)
    babble.say(SHED)
    for _ in range(400):
        babble.hear(b"\xff" * 4, after=0.01)
    assert babble.written.count(serialise(SHED)) >= 2


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b"\x08\x01\x00\x02\x01\x1e\xcf\x5c", NakReason.CHECKSUM),
        (b"\x08\x01\x00", NakReason.TIMEOUT),
        (b"\xff" * 500, NakReason.CHECKSUM),
        (b"\x08\x01\x01\x01" + bytes(259), NakReason.INVALID_LENGTH),
        (b"\x06", None),
        (b"\x06\x55", None),
    ],
)
def test_a_rejected_run_gets_one_nak(raw: bytes, answer: NakReason | None) -> None:
    script = Script()
    for start in range(0, len(raw), 7):
        script.hear(raw[start : start + 7], after=0.002)
    script.wait(5)
    assert script.written == ([] if answer is None else [serialise(Nak(code=answer))])


def test_a_frame_begun_anew_after_a_silence_replaces_the_broken_one() -> None:
    script = Script()
    script.hear(serialise(STATE)[:5])
    script.hear(STATE, after=0.25)
    script.wait(1)
    assert script.received == [STATE]
    assert script.written == [ACK]


def test_a_frame_in_two_halves_within_500_ms_is_whole() -> None:
    script = Script()
    script.hear(serialise(STATE)[:5])
    script.hear(serialise(STATE)[5:], after=0.4)
    assert script.received == [STATE]


def test_a_slow_frame_is_not_the_tail_of_a_frame() -> None:
    script = Script()
    script.hear(serialise(STATE)[:5])
    script.hear(b"\x06", after=0.2)  # looks like the beginning of an ACK and is not
    script.wait(1)
    assert script.received == []


def test_cta_01_unsupported_types_and_requests_are_refused() -> None:
    script = Script(refuses=lambda message: NakReason.NOT_SUPPORTED if message.payload[:1] == b"\x7f" else None)
    script.hear(Message(type=MessageType.OPENADR2))
    script.wait(1)
    script.hear(Message(type=MessageType.BASIC, payload=b"\x7f\x00"))
    script.wait(1)
    script.hear(Message(type=MessageType.BASIC))
    script.wait(1)
    assert script.written == [serialise(Nak(code=6)), serialise(Nak(code=7)), ACK]
    assert script.received == []


def test_discovery_is_answered_once_and_after_a_pause_for_deaf_devices() -> None:
    script = Script()
    query = datalink.message(DataLink.QUERY_PAYLOAD)
    script.hear(query)
    script.wait(0.06)
    script.hear(query, after=0.2)  # again: our ACK was lost
    script.wait(0.2)
    assert script.written == [ACK, ACK]
    script.wait(0.5)
    assert script.written[2:] == [serialise(datalink.message(DataLink.PAYLOAD, 7))]


def test_the_pause_after_our_ack_grows_when_the_device_does_not_hear() -> None:
    script = Script()
    script.hear(datalink.message(DataLink.QUERY_PAYLOAD))
    script.wait(15)
    assert script.link.deaf_s == script.link.timing.deaf_most_s == 2.0
    script.hear(datalink.message(DataLink.QUERY_PAYLOAD))
    seen = script.wait(1.9)
    assert seen == [Write(data=ACK)]


def test_a_reply_that_came_too_early_and_is_refused_is_deafness_too() -> None:
    script = Script()
    script.hear(datalink.message(DataLink.QUERY_PAYLOAD))
    script.wait(0.7)
    script.hear(serialise(Nak(code=7)))
    assert script.link.deaf_s == 0.5


def test_payload_beyond_what_was_negotiated_is_not_sent() -> None:
    script = Script()
    long = Message(type=MessageType.INTERMEDIATE, payload=b"\x06\x00\x00")
    script.say(long)
    assert script.results() == [Result.TOO_LONG]
    script.hear(datalink.message(DataLink.PAYLOAD, 13))
    script.say(long)
    script.say(Message(type=MessageType.INTERMEDIATE, payload=bytes(1000)))  # half a second at 19200 bit/s
    script.wait(1)
    assert script.results() == [Result.TOO_LONG, Result.TOO_LONG]
    assert script.link.peer_payload == 4096


def test_an_app_reply_that_does_not_match_goes_up() -> None:
    script = Script()
    script.say(QUERY, is_state)
    script.hear(ACK)
    script.hear(OVERRIDE)
    assert script.received == [OVERRIDE]
    script.hear(STATE, after=0.2)
    assert script.results() == [Result.REPLIED]


def test_a_bit_rate_of_ours_is_switched_after_the_ack_and_reverts_after_15_silent_minutes() -> None:
    script = Script()
    script.say(datalink.message(DataLink.BIT_RATE, 1))
    assert script.hear(ACK) == [SetBitRate(bit_rate=38400), Finished(ticket=1, result=Result.DELIVERED)]
    script.wait(600)
    script.hear(STATE)
    assert SetBitRate(bit_rate=19200) not in script.wait(899)
    assert SetBitRate(bit_rate=19200) in script.wait(2)
    assert script.wait(5000) == []


def test_a_bit_rate_of_theirs_is_switched_after_our_ack() -> None:
    script = Script(offer=Offer(bit_rates=frozenset({0, 3})))
    script.hear(datalink.message(DataLink.BIT_RATE, 3))
    assert script.wait(1) == [Write(data=ACK), SetBitRate(bit_rate=115200)]
    script.hear(datalink.message(DataLink.BIT_RATE, 5))
    assert script.wait(1) == [Write(data=serialise(Nak(code=7)))]


def test_reset_ends_everything() -> None:
    script = Script(offer=Offer(bit_rates=frozenset({0, 1})))
    script.hear(datalink.message(DataLink.PAYLOAD, 7))
    script.wait(1)
    script.say(datalink.message(DataLink.BIT_RATE, 1))
    script.hear(ACK)
    script.wait(1)
    script.say(QUERY, is_state)
    script.hear(ACK)
    script.say(SHED)
    for each in (STATE, OVERRIDE, STATE, OVERRIDE):
        script.link.reply(each, script.now)
    actions = script.link.reset()
    assert [each.result for each in actions if isinstance(each, Finished)] == [Result.DROPPED] * 4
    assert SetBitRate(bit_rate=19200) in actions
    assert script.link.idle
    assert script.link.peer_payload == 2
    assert script.link.due() is None
    assert script.link.reset() == []


def test_what_waits_and_what_is_owed_is_bounded() -> None:
    script = Script()
    for _ in range(100):
        script.link.send(SHED, script.now)
    assert [each.result for each in script.link.tick(script.now) if isinstance(each, Finished)] == [Result.DROPPED] * 36
    owing = Script()
    owing.hear(*[STATE] * 50)
    owing.wait(5)
    assert owing.written == [ACK] * 4


def test_stray_acks_naks_and_nothing_at_all_change_nothing() -> None:
    script = Script()
    assert script.hear(b"") == []
    script.hear(ACK, NAK_CHECKSUM, NAK_CHECKSUM, ACK)
    assert script.wait(5) == []
    script.say(SHED)
    script.wait(0.3)
    script.hear(NAK_CHECKSUM)  # between two tries
    script.hear(ACK)
    assert script.results() == [Result.DELIVERED]
