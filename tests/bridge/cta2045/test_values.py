from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cta2045.values import (
    BEYOND,
    LONGEST_S,
    UNKNOWN,
    device_name,
    duration_byte,
    duration_s,
    instant,
    level_below,
    level_byte,
    level_share,
    price_byte,
    price_ratio,
    seconds_2000,
    time_sync,
    time_sync_byte,
)


@pytest.mark.parametrize(
    ("seconds", "byte"),
    [
        *((None, 0), (0, 1), (-5, 1), (2, 1), (2.5, 2), (60, 6), (300, 0x0D), (600, 0x12), (900, 0x16), (1800, 0x1E)),
        *((3600, 0x2B), (7200, 0x3C), (14400, 0x55), (28800, 0x78), (LONGEST_S, 0xFE), (LONGEST_S + 1, 0xFF)),
        (float("inf"), 0xFF),
    ],
)
def test_cta_03_durations_are_rounded_up(seconds: float | None, byte: int) -> None:
    assert duration_byte(seconds) == byte


@given(st.floats(0.001, LONGEST_S))
def test_cta_03_an_event_is_never_shorter_than_asked_for(seconds: float) -> None:
    byte = duration_byte(seconds)
    lasts = duration_s(byte)
    assert lasts is not None
    assert lasts >= seconds
    assert byte == 1 or 2 * (byte - 1) ** 2 < seconds


def test_duration_bytes_without_a_length() -> None:
    assert duration_s(UNKNOWN) is None
    assert duration_s(BEYOND) is None
    with pytest.raises(ValueError, match="NaN"):
        duration_byte(float("nan"))


@pytest.mark.parametrize(
    ("ratio", "byte"),
    [
        *((0.0, 1), (0.375, 33), (0.5, 41), (1.0, 0x41), (1.5, 84), (2.0, 0x65), (4.0, 0x99), (9.79, 0xFE)),
        *((10.0, 0xFF), (None, 0), (-1.0, 1)),
    ],
)
def test_cta_13_relative_prices(ratio: float | None, byte: int) -> None:
    assert price_byte(ratio) == byte


def test_cta_13_every_price_byte_comes_back() -> None:
    for byte in range(1, 0xFF):
        assert price_byte(price_ratio(byte)) == byte
    assert price_ratio(UNKNOWN) is None
    assert price_ratio(BEYOND) is None
    with pytest.raises(ValueError, match="not a number"):
        price_byte(float("nan"))


@pytest.mark.parametrize(
    ("share", "byte"), [(0, 0), (0.5, 0x40), (1, 0x7F), (-1, 0xFF), (-0.5, 0xC0), (0.496, 0x3F), (0.25, 0x20)]
)
def test_cta_10_power_levels_on_127_steps(share: float, byte: int) -> None:
    assert level_byte(share) == byte
    assert level_share(byte) == pytest.approx(share, abs=0.5 / 127)


@given(st.floats(-1, 2))
def test_cta_10_a_cap_is_rounded_down_to_the_scale(cap: float) -> None:
    share = level_below(cap)
    assert level_share(level_byte(share)) <= max(cap, 0) + 1e-9
    assert share > min(cap, 1) - 1 / 127 - 1e-9


@pytest.mark.parametrize("share", [1.01, -1.01, float("nan")])
def test_no_power_level_beyond_the_rating(share: float) -> None:
    with pytest.raises(ValueError, match="between -1 and 1"):
        level_byte(share)


def test_cta_15_time_sync_is_local_with_sunday_0() -> None:
    assert time_sync_byte(datetime(2026, 11, 17, 15, 59, tzinfo=timezone(timedelta(hours=1)))) == 0x4F  # a Tuesday
    assert time_sync_byte(datetime(2026, 11, 22, 0, 0, tzinfo=UTC)) == 0  # a Sunday
    assert time_sync(0x4F) == (2, 15)
    assert time_sync(0xE0) is None
    assert time_sync(0x18) is None


def test_cta_14_times_count_from_2000() -> None:
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert instant(seconds_2000(at)) == at
    assert seconds_2000(datetime(2000, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0
    with pytest.raises(ValueError, match="32 bit"):
        seconds_2000(datetime(1999, 12, 31, tzinfo=UTC))


def test_cta_01_cta_18_device_types_have_names() -> None:
    assert device_name(0x0003) == "water heater, heat pump"
    assert device_name(0x1102) == "EVSE, level 2"
    assert device_name(0x7777) == "device type 0x7777"
