from datetime import UTC, datetime

import pytest

from bridge.cta2045.commands import (
    FROM_DEVICE,
    FROM_MODULE,
    OPERANDS,
    AppNak,
    Basic,
    Comm,
    Guidance,
    NotBasic,
    Op,
    Reset,
    answers,
    app_ack,
    app_nak,
    comm_status,
    decode,
    encode,
    end,
    event,
    guidance,
    override,
    pending,
    power_level,
    prices,
    query_state,
    reboot,
    state,
    sync,
)
from bridge.cta2045.frames import Message, MessageType, serialise
from bridge.cta2045.values import OperationalState
from tests.bridge.cta2045.vectors import BASIC

MADE = {
    "shed, unknown length": event(Op.SHED, None),
    "shed, 30 min": event(Op.SHED, 1800),
    "shed, 2 h": event(Op.SHED, 7200),
    "end shed": end(),
    "app ack of shed": app_ack(Op.SHED),
    "app nak, override": app_nak(AppNak.OVERRIDE),
    "app nak, opcode 1": app_nak(AppNak.OPCODE1),
    "power 50 %": power_level(0.5),
    "power 49.6 %": power_level(63 / 127),
    "power 100 %": power_level(1.0),
    "power 0 %": power_level(0.0),
    "price 1.0": prices(1.0, None, None)[0],
    "price 2.0": prices(2.0, None, None)[0],
    "next price 4.0": prices(None, 4.0, None)[1],
    "critical peak, 1 h": event(Op.CRITICAL_PEAK, 3528),
    "grid emergency": event(Op.GRID_EMERGENCY, None),
    "guidance bad": guidance(Guidance.BAD),
    "guidance good": guidance(Guidance.GOOD),
    "comm good": comm_status(Comm.GOOD),
    "comm lost": comm_status(Comm.LOST),
    "comm poor": comm_status(Comm.POOR),
    "override on": override(True),
    "override off": override(False),
    "state query": query_state(),
    "state 2": state(OperationalState.RUNNING_CURTAILED),
    "state 11": state(OperationalState.IDLE_OPTED_OUT),
    "load up, 1 h": event(Op.LOAD_UP, 3528),
    "pending, 30 min": pending(Op.SHED, 1800)[0],
    "pending shed": pending(Op.SHED, 1800)[1],
    "reboot": reboot(Reset.SOFT),
    "time sync, Tuesday 15 h": sync(datetime(2026, 11, 17, 15, tzinfo=UTC)),
}


@pytest.mark.parametrize("name", BASIC)
def test_cta_03_each_command_has_its_published_bytes(name: str) -> None:
    op, operand, raw = BASIC[name]
    assert MADE[name] == Basic(op=Op(op), operand=operand)
    assert serialise(encode(MADE[name])) == bytes.fromhex(raw)


def test_cta_03_every_basic_payload_is_a_command_or_has_its_app_nak() -> None:
    taken = 0
    for operands in range(0x10000):
        payload = operands.to_bytes(2)
        read = decode(Message(type=MessageType.BASIC, payload=payload))
        if isinstance(read, Basic):
            assert encode(read).payload == payload
            taken += 1
        else:
            wanted = AppNak.OPCODE1 if payload[0] not in OPERANDS else AppNak.OPCODE2
            assert read.nak is wanted
    durations_prices_levels_and_free = 16 * 256
    assert taken == durations_prices_levels_and_free + 3 + 3 + 2 + 5 + 2 + 7 * 24


def test_cta_03_every_assigned_opcode_has_an_operand_and_a_sender() -> None:
    assert set(OPERANDS) == set(Op)
    assert set(Op) == FROM_DEVICE | FROM_MODULE


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x00\x00"])
def test_a_basic_payload_of_another_length_gets_app_nak_4(payload: bytes) -> None:
    read = decode(Message(type=MessageType.BASIC, payload=payload))
    assert isinstance(read, NotBasic)
    assert read.nak is AppNak.LENGTH


def test_operands_are_read_back() -> None:
    assert event(Op.SHED, 1800).duration_s == 1800
    assert power_level(-1).share == -1
    assert prices(1.0, None, None)[0].price == 1.0
    assert state(OperationalState.ERROR).state is OperationalState.ERROR
    assert Basic(op=Op.STATE, operand=0x55).state is None
    assert app_nak(AppNak.BUSY).why is AppNak.BUSY
    assert Basic(op=Op.APP_NAK, operand=0x77).why is AppNak.NONE


def test_commands_without_duration_or_announcement_are_refused() -> None:
    with pytest.raises(ValueError, match="no duration"):
        event(Op.END_SHED, 60)
    with pytest.raises(ValueError, match="announced"):
        pending(Op.POWER_LEVEL, 60)


def test_cta_04_an_answer_is_the_ack_of_the_command_a_nak_or_the_state() -> None:
    shed, query = event(Op.SHED, 60), query_state()
    assert answers(shed, encode(app_ack(Op.SHED))) == app_ack(Op.SHED)
    assert answers(shed, encode(app_ack(Op.END_SHED))) is None
    assert answers(shed, encode(app_nak(AppNak.BUSY))) == app_nak(AppNak.BUSY)
    assert answers(query, encode(state(OperationalState.IDLE_NORMAL))) == state(OperationalState.IDLE_NORMAL)
    assert answers(shed, encode(state(OperationalState.IDLE_NORMAL))) is None
    assert answers(shed, Message(type=MessageType.BASIC, payload=b"\x05\x00")) is None
    assert answers(shed, Message(type=MessageType.INTERMEDIATE, payload=b"\x03\x01")) is None
