"""Orders, the ladder, the inbox, the echo filter: decisions without a line."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cta2045 import commands
from bridge.cta2045.bodies import Offset, Unit, Utc
from bridge.cta2045.commands import AppNak, Op
from bridge.cta2045.echo import EchoFilter
from bridge.cta2045.energy import Commodities, Commodity
from bridge.cta2045.frames import Message, MessageType, NakReason
from bridge.cta2045.inbox import Heard, refuses, take
from bridge.cta2045.intermediate import Do, Reply, ResponseCode, encode, encode_reply, get, put
from bridge.cta2045.ladder import (
    EXPECTED,
    Answer,
    DeviceModel,
    Verdict,
    answer,
    delivered_share,
    model_for,
    rungs,
    verdict,
)
from bridge.cta2045.link import Finished, Result
from bridge.cta2045.orders import Mode, Order, in_force, next_change, next_start
from bridge.cta2045.values import OperationalState
from tests.bridge.cta2045.virtual import T0, order

TABLE = DeviceModel(shed=0.5, critical_peak=0.25, power_level=False)
UTC = Utc(at=T0)
SHED = commands.event(Op.SHED, 1800)


def ops(order_: Order, model: DeviceModel = TABLE, refused: frozenset[Op] = frozenset()) -> list[Op]:
    return [each.op for each in rungs(order_, model, refused, T0)]


# -- orders


def test_the_higher_rank_then_the_later_start_is_in_force() -> None:
    outer, inner, late = order(), order(key="e2", rank=1, start=60, end=120), order(key="e3", start=30, end=None)
    both = (outer, inner, late)
    assert in_force(both, T0) is outer
    assert in_force(both, T0 + timedelta(seconds=31)) is late
    assert in_force(both, T0 + timedelta(seconds=60)) is inner
    assert in_force(both, T0 + timedelta(seconds=120)) is late
    assert in_force((outer,), T0 + timedelta(seconds=1800)) is None
    assert next_change(both, T0) == late.start
    assert next_change((), T0) is None
    assert next_start(both, T0) is None
    assert next_start(both, T0 - timedelta(seconds=1)) is outer
    assert late.left_s(T0) is None
    assert outer.left_s(T0 + timedelta(seconds=1000)) == 800


@pytest.mark.parametrize("bad", [{"end": -1}, {"share": 1.5}, {"mode": Mode.GRID_EMERGENCY}])
def test_cta_11_orders_that_cannot_be_meant_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="order e1"):
        order(**bad)  # type: ignore[arg-type]


# -- ladder


def test_cta_02_the_last_rung_of_a_reduction_is_shed() -> None:
    assert ops(order(Mode.SHED)) == [Op.SHED]
    assert ops(order(Mode.CRITICAL_PEAK)) == [Op.CRITICAL_PEAK, Op.SHED]
    assert ops(order(Mode.GRID_EMERGENCY, overridable=False)) == [Op.GRID_EMERGENCY, Op.SHED]
    assert ops(order(Mode.LOAD_UP)) == [Op.LOAD_UP]
    refused = frozenset({Op.CRITICAL_PEAK, Op.SHED, Op.LOAD_UP})
    assert ops(order(Mode.CRITICAL_PEAK), refused=refused) == [Op.SHED]
    assert ops(order(Mode.LOAD_UP), refused=refused) == [Op.LOAD_UP]


@pytest.mark.parametrize(
    ("share", "model", "wanted"),
    [
        (0.6, TABLE, [Op.SHED]),
        (0.5, TABLE, [Op.SHED]),
        (0.4, TABLE, [Op.CRITICAL_PEAK, Op.SHED]),
        (0.0, TABLE, [Op.CRITICAL_PEAK, Op.SHED]),
        (0.4, DeviceModel(shed=0.5, power_level=False), [Op.CRITICAL_PEAK, Op.SHED]),
        (0.4, DeviceModel(power_level=False), [Op.SHED]),
        (0.0, DeviceModel(power_level=False), [Op.CRITICAL_PEAK, Op.SHED]),
        (0.4, DeviceModel(), [Op.POWER_LEVEL, Op.SHED]),
    ],
)
def test_cta_10_a_cap_without_power_levels_goes_by_the_table(
    share: float, model: DeviceModel, wanted: list[Op]
) -> None:
    assert ops(order(Mode.POWER_LEVEL, share=share), model) == wanted


def test_cta_11_an_overridable_stop_is_never_a_grid_emergency() -> None:
    for model in (TABLE, DeviceModel(), DeviceModel(power_level=True)):
        assert Op.GRID_EMERGENCY not in ops(order(Mode.POWER_LEVEL, share=0.0), model)


def test_cta_10_what_was_delivered_is_said() -> None:
    model = DeviceModel(shed=0.5, critical_peak=0.25, floor=0.2)
    assert delivered_share(SHED, model) == 0.5
    assert delivered_share(commands.event(Op.CRITICAL_PEAK, 60), model) == 0.25
    assert delivered_share(commands.event(Op.GRID_EMERGENCY, 60), model) == 0
    assert delivered_share(commands.power_level(0.0), model) == 0
    assert delivered_share(commands.power_level(0.1), model) == 0.2
    assert delivered_share(commands.end(), model) is None


def test_cta_10_models_are_found_by_name_then_by_type() -> None:
    named, kind = DeviceModel(shed=0.1), DeviceModel(shed=0.2)
    table = {"X1": named, "EVSE, level 2": kind}
    assert model_for(table, "X1", "EVSE, level 2") is named
    assert model_for(table, "X2", "EVSE, level 2") is kind
    assert model_for(table, "", "fan") == DeviceModel()


def finished(result: Result, reply: commands.Basic | None = None, nak: NakReason | None = None) -> Finished:
    return Finished(ticket=1, result=result, reply=None if reply is None else commands.encode(reply), nak=nak)


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        (finished(Result.REPLIED, commands.app_ack(Op.SHED)), Answer.TAKEN),
        (finished(Result.REPLIED, commands.app_nak(AppNak.BUSY)), Answer.BUSY),
        (finished(Result.REPLIED, commands.app_nak(AppNak.OVERRIDE)), Answer.OVERRIDDEN),
        (finished(Result.REPLIED, commands.app_nak(AppNak.OPCODE2)), Answer.REFUSED),
        (finished(Result.REPLIED, commands.app_nak(AppNak.NONE)), Answer.REFUSED),
        (finished(Result.REPLIED, commands.end()), Answer.DOUBT),
        (finished(Result.REFUSED, nak=NakReason.NOT_SUPPORTED), Answer.REFUSED),
        (finished(Result.REFUSED, nak=NakReason.UNSUPPORTED_TYPE), Answer.REFUSED),
        (finished(Result.REFUSED, nak=NakReason.CHECKSUM), Answer.UNSENT),
        (finished(Result.TOO_LONG), Answer.UNSENT),
        (finished(Result.NO_ACK), Answer.DOUBT),
        (finished(Result.NO_REPLY), Answer.DOUBT),
        (finished(Result.DROPPED), Answer.DOUBT),
    ],
)
def test_cta_06_each_answer_has_its_meaning(end: Finished, wanted: Answer) -> None:
    assert answer(SHED, end) is wanted


def test_cta_04_the_state_decides() -> None:
    s = OperationalState
    assert verdict(Op.SHED, s.IDLE_CURTAILED) is Verdict.FOLLOWED
    assert verdict(Op.SHED, s.RUNNING_NORMAL) is Verdict.NOT_YET
    assert verdict(Op.SHED, None) is Verdict.NOT_YET
    assert verdict(Op.LOAD_UP, s.RUNNING_HEIGHTENED) is Verdict.FOLLOWED
    assert verdict(Op.END_SHED, s.RUNNING_PRICE_STREAM) is Verdict.FOLLOWED
    assert verdict(Op.POWER_LEVEL, s.VARIABLE_NOT_FOLLOWING) is Verdict.NOT_FOLLOWING
    assert verdict(Op.SHED, s.VARIABLE_NOT_FOLLOWING) is Verdict.NOT_YET
    assert verdict(Op.CRITICAL_PEAK, s.RUNNING_OPTED_OUT) is Verdict.OPTED_OUT
    assert verdict(Op.GRID_EMERGENCY, s.ERROR) is Verdict.FAULT
    assert set(EXPECTED) == commands.LOAD_EVENTS | {Op.END_SHED}


# -- inbox


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (commands.override(True), Heard(reply=commands.encode(commands.app_ack(0x11)), override=True)),
        (commands.override(False), Heard(reply=commands.encode(commands.app_ack(0x11)), override=False)),
        (
            commands.state(OperationalState.ERROR),
            Heard(reply=commands.encode(commands.app_ack(0x13)), state=OperationalState.ERROR),
        ),
        (commands.Basic(op=Op.SLEEP), Heard(reply=commands.encode(commands.app_ack(0x14)), asleep=True)),
        (commands.Basic(op=Op.WAKE), Heard(reply=commands.encode(commands.app_ack(0x15)), wants_all=True)),
        (commands.reboot(commands.Reset.SOFT), Heard(reply=commands.encode(commands.app_ack(0x1A)), restarts=True)),
        (commands.app_ack(Op.SHED), Heard()),
        (commands.app_nak(AppNak.BUSY), Heard()),
        (SHED, Heard(reply=commands.encode(commands.app_nak(AppNak.OPCODE1)))),
    ],
)
def test_cta_08_cta_09_cta_16_what_a_device_says_has_its_answer(said: commands.Basic, heard: Heard) -> None:
    assert take(commands.encode(said), UTC) == heard


def test_what_is_no_basic_command_gets_the_app_nak_that_fits() -> None:
    for payload, nak in ((b"\x05\x00", AppNak.OPCODE1), (b"\x11\x07", AppNak.OPCODE2), (b"\x11", AppNak.LENGTH)):
        heard = take(Message(type=MessageType.BASIC, payload=payload), UTC)
        assert heard == Heard(reply=commands.encode(commands.app_nak(nak)))


def test_intermediate_from_a_device() -> None:
    reading = Commodity(code=0, measured=True, rate=5, cumulative=7)
    told = put(Do.COMMODITY, Commodities(readings=(reading,)))
    assert take(encode(get(Do.UTC)), UTC) == Heard(reply=encode_reply(Reply(do=Do.UTC, body=UTC)))
    assert take(encode(told), UTC) == Heard(reply=encode_reply(Reply(do=Do.COMMODITY)), commodities=(reading,))
    assert take(encode(get(Do.COMMODITY)), UTC) == Heard(reply=encode_reply(Reply(do=Do.COMMODITY)))
    assert take(encode_reply(Reply(do=Do.COMMODITY)), UTC) == Heard()
    assert take(Message(type=MessageType.INTERMEDIATE, payload=b"\x0d\x00"), UTC) == Heard()
    short = take(Message(type=MessageType.INTERMEDIATE, payload=b"\x02\x00\x01"), UTC)
    assert short == Heard(reply=encode_reply(Reply(do=Do.UTC, code=ResponseCode.COMMAND_LENGTH)))
    for refused in (encode(get(Do.INFO)), encode(put(Do.OFFSET, Offset(offset=1, unit=Unit.CELSIUS)))):
        assert refuses(refused) is NakReason.NOT_SUPPORTED
    for taken in (encode(told), encode(get(Do.UTC)), encode_reply(Reply(do=Do.INFO)), commands.encode(SHED)):
        assert refuses(taken) is None
    assert refuses(Message(type=MessageType.INTERMEDIATE, payload=b"\x0d")) is NakReason.NOT_SUPPORTED


# -- echo


def test_an_exact_echo_is_taken_out_and_a_reply_that_begins_alike_is_not() -> None:
    echo = EchoFilter()
    assert echo.heard(b"\x06\x00") == b"\x06\x00"  # nothing was written
    echo.wrote(b"\x08\x02\x00\x02")
    assert echo.heard(b"\x08\x02\x00") == b""
    assert echo.heard(b"\x02\x06\x00") == b"\x06\x00"
    echo.wrote(b"\x08\x02\x00\x02")
    assert echo.heard(b"\x08\x02\x00\x10") == b"\x08\x02\x00\x10"
    assert echo.silence() == b""
    echo.wrote(b"\x08\x02\x00\x02")
    assert echo.heard(b"\x08") == b""
    assert echo.silence() == b"\x08"
    assert echo.heard(b"\x02") == b"\x02"


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=6), st.binary(max_size=12), st.integers(1, 5))
def test_echoes_in_any_pieces_leave_what_the_other_side_said(writes: list[bytes], said: bytes, size: int) -> None:
    echo, got = EchoFilter(), b""
    for data in writes:
        echo.wrote(data)
    stream = b"".join(writes) + said
    for start in range(0, len(stream), size):
        got += echo.heard(stream[start : start + size])
    assert got + echo.silence() == said
