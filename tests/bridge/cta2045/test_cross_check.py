"""Our codec against the PyPI package ``cta2045`` 0.1. Where that package is wrong, the test says so."""

import pytest
from cta2045 import app
from cta2045.codec import Duration, build_frame

from bridge.cta2045 import commands, intermediate
from bridge.cta2045.bodies import Info
from bridge.cta2045.commands import Op
from bridge.cta2045.energy import Commodities, Commodity, EnergyUnit, LoadUp
from bridge.cta2045.frames import Message, parse, serialise
from bridge.cta2045.intermediate import Do, Reply, encode_reply, put
from bridge.cta2045.values import Capability, duration_byte, duration_s, level_byte
from tests.bridge.cta2045.vectors import BASIC

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("name", BASIC)
def test_the_same_header_and_payload(name: str) -> None:
    op, operand, raw = BASIC[name]
    theirs = build_frame(0x08, 0x01, bytes((op, operand)))
    assert bytes.fromhex(raw)[:-2] == theirs  # it has no checksum: the module's hardware makes it


def test_durations_agree_as_bytes_and_theirs_are_rounded_down() -> None:
    for byte in range(1, 0xFF):
        assert Duration.from_byte(byte).seconds == duration_s(byte)
    for seconds in range(2, 40_000, 97):
        theirs, ours = Duration.of_seconds(seconds).to_byte(), duration_byte(seconds)
        assert theirs in (ours, ours - 1)  # fault: an event may be longer, never shorter
    assert app.shed(30).to_payload() == commands.encode(commands.event(Op.SHED, 1800)).payload


def test_their_power_level_is_in_per_cent() -> None:
    assert app.power_level(50).to_payload()[1] == 50  # fault: 50 of 127 is 39 %
    assert level_byte(0.5) == 0x40


def test_they_read_our_states_and_commodities() -> None:
    message, _ = app.decode(serialise(commands.encode(commands.Basic(op=Op.STATE, operand=9)))[:-2])
    assert message.operational_state.value == 9
    readings = (
        Commodity(code=0, measured=False, rate=4500, cumulative=2**40),
        Commodity(code=7, measured=True, rate=0, cumulative=9000),
    )
    raw = serialise(encode_reply(Reply(do=Do.COMMODITY, body=Commodities(readings=readings))))
    reply = app.decode(raw[:-2])[0].body
    assert [(each.instantaneous, each.cumulative) for each in reply.reports] == [(4500, 2**40), (0, 9000)]
    assert reply.reports[0].code.value == 0
    assert reply.reports[1].code == 0x87  # fault: bit 7 is no part of the code


def test_they_read_the_fixed_part_of_our_information_and_miss_a_byte_of_each_text() -> None:
    info = Info(
        version="B",
        vendor=7,
        device_type=0x1102,
        capability=Capability.CYCLING,
        model="MODEL-OF-16-CHAR",
        serial="SERIAL",
        firmware="2021-01-31 4.2",
    )
    theirs = app.decode(serialise(encode_reply(Reply(do=Do.INFO, body=info)))[:-2])[0].body
    assert (theirs.cta2045_version, theirs.vendor_id, theirs.device_type.value) == ("B", 7, 0x1102)
    assert theirs.model == "MODEL-OF-16-CHA"  # fault: the fields have 16 bytes


def test_advanced_load_up_is_the_same() -> None:
    theirs = app.advanced_load_up(60, 5, 2).to_payload()
    ours = intermediate.encode(put(Do.LOAD_UP, LoadUp(minutes=60, value=5, unit=EnergyUnit.WH_100)))
    assert ours.payload == theirs
    assert parse(serialise(ours)) == (Message(type=0x0802, payload=theirs), 13)
