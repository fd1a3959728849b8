from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cta2045.bodies import (
    KEEP,
    Activation,
    Byte,
    Info,
    Offset,
    Pair,
    Price,
    SetPoint,
    Temperature,
    Tier,
    Unit,
    Utc,
)
from bridge.cta2045.energy import (
    Commodities,
    Commodity,
    Cycling,
    EndCycling,
    EnergyUnit,
    LoadUp,
    Subscription,
    load_up,
)
from bridge.cta2045.frames import Message, MessageType, serialise
from bridge.cta2045.intermediate import (
    LAYOUTS,
    NAMES,
    Body,
    Do,
    NotIntermediate,
    Reply,
    Request,
    ResponseCode,
    answers,
    decode,
    decode_reply,
    encode,
    encode_reply,
    get,
    put,
)
from bridge.cta2045.values import Capability, CommodityCode
from tests.bridge.cta2045.vectors import OTHER

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
INFO = Info(
    version="B",
    vendor=0x1234,
    device_type=0x1102,
    revision=3,
    capability=Capability.CYCLING | Capability.ADVANCED_LOAD_UP,
    model="EVSE-32",
    serial="SN0001",
    firmware="2021-01-31 4.2",
)
READINGS = Commodities(
    readings=(
        Commodity(code=0, measured=True, rate=7360, cumulative=123456),
        Commodity(code=7, measured=False, rate=0, cumulative=2**48 - 1),
    )
)

SETS: dict[Do, tuple[Body, ...]] = {
    Do.UTC: (Utc(at=AT, zone_quarters=-20, dst_quarters=4),),
    Do.PRICE: (
        Price(price=12345, currency=840, digits=4),
        Price(price=12345, currency=840, digits=4, expiry=AT),
        Price(price=12345, currency=840, digits=4, expiry=AT, following=99),
        Price(price=123, currency=978, digits=2, width=2),
        Price(price=123, currency=978, digits=2, expiry=AT, width=2),
        Price(price=123, currency=978, digits=2, expiry=AT, following=99, width=2),
    ),
    Do.TIER: (Tier(tier=2), Tier(tier=2, expiry=AT), Tier(tier=2, expiry=AT, following=3)),
    Do.OFFSET: (Offset(offset=-3, unit=Unit.CELSIUS),),
    Do.SET_POINT: (
        SetPoint(device_type=4, unit=Unit.FAHRENHEIT, first=72),
        SetPoint(device_type=4, unit=Unit.CELSIUS, first=KEEP, second=-5),
    ),
    Do.START_CYCLING: (
        Cycling(event_id=7, minutes=60, duty=50),
        Cycling(
            event_id=7,
            minutes=60,
            duty=50,
            start=AT,
            start_random_min=1,
            end_random_min=2,
            criticality=3,
            duty_period_min=30,
        ),
    ),
    Do.END_CYCLING: (EndCycling(event_id=7), EndCycling(event_id=7, end_random_min=5)),
    Do.COMMODITY: (READINGS,),
    Do.SUBSCRIPTION: (Subscription(entries=((0, 60), (7, 900))),),
    Do.SET_ACTIVATION: (Activation(index=1, status=2), Activation(index=1, status=2, key="ABC")),
    Do.SET_PREFERENCE: (Pair(first=1, second=3),),
    Do.LOAD_UP: (
        LoadUp(minutes=60, value=5, unit=EnergyUnit.WH_100),
        LoadUp(minutes=60, value=5, unit=EnergyUnit.WH_100, tail=b"\x01"),
        LoadUp(minutes=0, value=0, unit=EnergyUnit.OFF, tail=bytes(11)),
    ),
}
GETS = {
    Do.COMMODITY: Byte(value=0),
    Do.ACTIVATION: Byte(value=1),
    Do.PREFERENCE: Byte(value=1),
}
REPLIES: dict[Do, Body] = {
    Do.INFO: INFO,
    Do.EFFICIENCY: Byte(value=4),
    Do.TEMPERATURE: Temperature(device_type=2, unit=Unit.CELSIUS, raw=-51),
    Do.ACTIVATION: Pair(first=1, second=0),
    Do.SET_ACTIVATION: Pair(first=1, second=7),
    Do.PREFERENCE: Pair(first=1, second=3),
    Do.SET_PREFERENCE: Pair(first=1, second=3),
    **{do: each[-1] for do, each in SETS.items() if LAYOUTS[do].reply is not None and LAYOUTS[do].coded},
}


@pytest.mark.parametrize(("do", "body"), [(do, body) for do, bodies in SETS.items() for body in bodies])
def test_cta_03_every_set_both_ways(do: Do, body: Body) -> None:
    assert decode(encode(put(do, body))) == put(do, body)


@pytest.mark.parametrize("do", Do)
def test_cta_02_every_get_both_ways(do: Do) -> None:
    bare = decode(encode(get(do)))
    if LAYOUTS[do].bare_get:
        assert bare == get(do)
    else:
        assert isinstance(bare, NotIntermediate)
        assert (bare.known, bare.code) == (do, ResponseCode.COMMAND_LENGTH)
    if do in GETS:
        assert decode(encode(get(do, GETS[do]))) == get(do, GETS[do])


@pytest.mark.parametrize(("do", "body"), REPLIES.items())
def test_every_reply_both_ways(do: Do, body: Body) -> None:
    reply = Reply(do=do, body=body)
    message = encode_reply(reply)
    assert decode_reply(message) == reply
    assert answers(get(do), message)
    assert not answers(get(do), encode(get(do)))
    assert not answers(get(do), Message(type=MessageType.BASIC, payload=message.payload))


@pytest.mark.parametrize("do", [do for do in Do if LAYOUTS[do].coded])
def test_a_refusal_has_only_its_code(do: Do) -> None:
    reply = decode_reply(encode_reply(Reply(do=do, code=ResponseCode.NOT_IMPLEMENTED)))
    assert isinstance(reply, Reply)
    assert reply.code == ResponseCode.NOT_IMPLEMENTED
    assert not reply.ok
    missing = decode_reply(Message(type=MessageType.INTERMEDIATE, payload=(do | 0x80).to_bytes(2)))
    assert isinstance(missing, NotIntermediate)


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("get information", get(Do.INFO)),
        ("get all commodities", get(Do.COMMODITY)),
        ("get commodity 0", get(Do.COMMODITY, Byte(value=0))),
        ("get efficiency", get(Do.EFFICIENCY)),
        ("get advanced load up", get(Do.LOAD_UP)),
        ("advanced load up, 60 min, 500 Wh", put(Do.LOAD_UP, LoadUp(minutes=60, value=5, unit=EnergyUnit.WH_100))),
    ],
)
def test_cta_03_published_requests(name: str, request_: Request) -> None:
    assert serialise(encode(request_)) == bytes.fromhex(OTHER[name][2])


def test_cta_14_start_cycling_has_its_published_layout() -> None:
    wanted = bytes.fromhex("0400 00000007 32906dc0 003c 32")
    body = Cycling(event_id=7, minutes=60, duty=50, start=datetime(2026, 11, 18, 14, 8, 0, tzinfo=UTC))
    assert encode(put(Do.START_CYCLING, body)).payload == wanted
    now = encode(put(Do.START_CYCLING, Cycling(event_id=7, minutes=60, duty=50)))
    assert now.payload[6:10] == bytes(4)


@pytest.mark.parametrize(("length", "known"), [(16, ""), (32, "EVSE-32"), (48, "EVSE-32"), (53, "EVSE-32")])
def test_device_information_of_every_length(length: int, known: str) -> None:
    raw = encode_reply(Reply(do=Do.INFO, body=INFO)).payload[:length]
    reply = decode_reply(Message(type=MessageType.INTERMEDIATE, payload=raw))
    assert isinstance(reply, Reply)
    assert isinstance(reply.body, Info)
    assert (reply.body.version, reply.body.model) == ("B", known)
    assert bool(reply.body.firmware) is (length == 53)


def test_device_information_of_51_bytes_and_a_version_on_the_right() -> None:
    raw = bytes.fromhex("0181 00 0042") + bytes(46)
    reply = decode_reply(Message(type=MessageType.INTERMEDIATE, payload=raw))
    assert isinstance(reply, Reply)
    assert isinstance(reply.body, Info)
    assert reply.body.version == "B"
    assert Info(version="A").pack()[:2] == b"A\0"
    assert len(Info(version="A").pack()) == 45


def test_bit_7_of_a_commodity_code_is_measured() -> None:
    raw = encode_reply(Reply(do=Do.COMMODITY, body=READINGS)).payload
    assert raw[3] == 0x80
    assert raw[16] == 0x07
    assert READINGS.readings[0].kind is CommodityCode.CONSUMED
    assert Commodity(code=99, measured=True, rate=0, cumulative=0).kind is None


def test_one_module_writes_its_success_as_0x80() -> None:
    reply = decode_reply(Message(type=MessageType.INTERMEDIATE, payload=b"\x02\x80\x80" + Utc(at=AT).pack()))
    assert isinstance(reply, Reply)
    assert reply.ok


@pytest.mark.parametrize("first", NAMES)
def test_unknown_layouts_are_refused_by_name(first: int) -> None:
    for read in (decode, decode_reply):
        result = read(Message(type=MessageType.INTERMEDIATE, payload=bytes((first, 0x80, 1, 2))))
        assert isinstance(result, NotIntermediate)
        assert NAMES[first] in result.why
        assert result.known is None


@pytest.mark.parametrize(
    ("payload", "code", "known"),
    [
        (b"", ResponseCode.NOT_IMPLEMENTED, None),
        (b"\x01", ResponseCode.NOT_IMPLEMENTED, None),
        (b"\x77\x00", ResponseCode.NOT_IMPLEMENTED, None),
        (b"\x01\x01\x00", ResponseCode.COMMAND_LENGTH, Do.INFO),
        (b"\x02\x00\x00", ResponseCode.COMMAND_LENGTH, Do.UTC),
        (b"\x03\x02\x00\x07", ResponseCode.BAD_VALUE, Do.OFFSET),
        (b"\x0a\x01\x00", ResponseCode.COMMAND_LENGTH, Do.SET_ACTIVATION),
        (b"\x06\x00\x00\x00", ResponseCode.COMMAND_LENGTH, Do.COMMODITY),
    ],
)
def test_wrong_requests_have_their_response_code(payload: bytes, code: ResponseCode, known: Do | None) -> None:
    result = decode(Message(type=MessageType.INTERMEDIATE, payload=payload))
    assert isinstance(result, NotIntermediate)
    assert (result.code, result.known) == (code, known)


@pytest.mark.parametrize("payload", [b"\x77\x80\x00", b"\x02\x80\x00\x00", b"\x01\x81\x00\x00", b"\x0a\x80\x00"])
def test_wrong_replies_are_said_to_be_so(payload: bytes) -> None:
    assert isinstance(decode_reply(Message(type=MessageType.INTERMEDIATE, payload=payload)), NotIntermediate)


@pytest.mark.parametrize(
    "body",
    [
        Price(price=2**32, currency=840, digits=2),
        Cycling(event_id=2**32, minutes=1, duty=1),
        Byte(value=256),
    ],
)
def test_numbers_that_do_not_fit_are_refused(body: Body) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode(put(Do.PRICE, body))


def test_advanced_load_up_uses_the_finest_unit() -> None:
    assert load_up(60, 500) == LoadUp(minutes=60, value=500, unit=EnergyUnit.WH_1)
    assert load_up(60, 70_000).energy_wh == 70_000
    assert load_up(60, 700_009).energy_wh == 700_000
    assert load_up(60, 7_000_000).unit is EnergyUnit.WH_1000
    assert LoadUp(minutes=0, value=0, unit=EnergyUnit.OFF).energy_wh is None
    for minutes, energy in ((60, 70_000_000), (-1, 5), (60, -1), (70_000, 1)):
        with pytest.raises(ValueError, match="advanced load up"):
            load_up(minutes, energy)


@given(st.binary(max_size=64))
def test_nothing_is_raised_for_any_payload(payload: bytes) -> None:
    message = Message(type=MessageType.INTERMEDIATE, payload=payload)
    request = decode(message)
    if isinstance(request, Request) and not isinstance(request.body, (Cycling, Activation)):
        assert encode(request) == message
    assert isinstance(decode_reply(message), (Reply, NotIntermediate))
