"""bridge.ocpp.meter: every shape of meter values that chargers send, and no invented power."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ocpp.meter import Electrical, Sample, parse_instant, parse_meter_values, with_power_from_energy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WIRED = Electrical(voltage=230.0, phases=3, max_a=32.0)


def one(*sampled: dict[str, Any], at: str = "2026-03-01T12:00:00Z") -> Sample:
    (sample,) = parse_meter_values([{"timestamp": at, "sampledValue": list(sampled)}], WIRED, NOW)
    return sample


def value(number: Any, measurand: str | None = None, **more: Any) -> dict[str, Any]:
    return {"value": number} | ({"measurand": measurand} if measurand else {}) | more


POWER, CURRENT, VOLTAGE = "Power.Active.Import", "Current.Import", "Voltage"


def test_the_default_measurand_is_the_import_register_in_wh() -> None:
    sample = one(value("1234.5"))
    assert (sample.energy_wh, sample.power_w, sample.source) == (1234.5, None, "")


@pytest.mark.parametrize(
    ("entry", "watts"),
    [
        (value("7.2", POWER, unit="kW"), 7200.0),
        (value("7200", POWER, unit="W"), 7200.0),
        (value("7200", POWER), 7200.0),
        (value(7.2, POWER, unitOfMeasure={"unit": "kW"}), 7200.0),
        (value(72, POWER, unitOfMeasure={"unit": "W", "multiplier": 2}), 7200.0),
        (value(7.2, POWER, unitOfMeasure={"multiplier": 3}), 7200.0),
        (value("7200", POWER, unit="W", context="Transaction.Begin"), 7200.0),
        (value("7200", POWER, unit="W", location="Inlet"), 7200.0),
    ],
)
def test_power_in_every_unit(entry: dict[str, Any], watts: float) -> None:
    sample = one(entry)
    assert sample.power_w == pytest.approx(watts)
    assert sample.source == "power"


def test_energy_in_kwh() -> None:
    assert one(value("1.5", "Energy.Active.Import.Register", unit="kWh")).energy_wh == 1500.0


def test_power_per_phase_without_a_total_is_summed() -> None:
    sample = one(*(value("2300", POWER, phase=phase) for phase in ("L1", "L2-N", "L3")))
    assert (sample.power_w, sample.source) == (6900.0, "power per phase")


def test_a_total_beside_phases_is_taken_as_it_is() -> None:
    assert one(value("2300", POWER, phase="L1"), value("6850", POWER)).power_w == 6850.0


def test_the_outlet_counts_before_the_inlet_and_the_car_not_at_all() -> None:
    sample = one(
        value("5000", POWER),
        value("5400", POWER, location="Inlet"),
        value("4800", POWER, location="EV"),
    )
    assert sample.power_w == 5000.0


def test_current_and_measured_voltage_make_power_where_there_is_none() -> None:
    sample = one(
        value("10", CURRENT, phase="L1", unit="A"),
        value("9", CURRENT, phase="L2", unit="A"),
        value("240", VOLTAGE, phase="L1-N", unit="V"),
        value("400", VOLTAGE, phase="L1-L2", unit="V"),
    )
    assert sample.power_w == pytest.approx(10 * 240 + 9 * 240)
    assert sample.current_a == (10.0, 9.0)
    assert sample.source == "current and voltage"


def test_one_current_for_all_phases_uses_the_wired_phases_and_voltage() -> None:
    sample = one(value("10", CURRENT, unit="A"))
    assert sample.power_w == 10 * 230 * 3
    assert sample.current_a == (10.0,)


@pytest.mark.parametrize("wrong", ["", "abc", "NaN", "inf", None, [], "1e999"])
def test_what_is_no_number_is_no_reading(wrong: object) -> None:
    entries = [{"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [value(wrong, POWER)]}]
    assert parse_meter_values(entries, WIRED, NOW) == ()


def test_signed_data_is_not_read_as_a_number() -> None:
    entries = [{"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [value("1234", format="SignedData")]}]
    assert parse_meter_values(entries, WIRED, NOW) == ()


def test_other_measurands_make_no_reading() -> None:
    entries = [
        {"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [value("20", "RPM"), value("9", "Current.Offered")]}
    ]
    assert parse_meter_values(entries, WIRED, NOW) == ()


def test_tel_10_the_state_of_charge_is_a_share_told_by_the_car_and_nothing_else() -> None:
    assert one(value("42.5", "SoC", unit="Percent", location="EV"), value("7200", POWER)).soc == 0.425
    alone = one(value(80, "SoC", location="EV"))
    assert (alone.soc, alone.metered) == (0.8, False)
    for wrong in ("full", 101, -1):
        assert one(value(wrong, "SoC"), value("7200", POWER)).soc is None
    assert one(value("42", "SoC", format="SignedData"), value("7200", POWER)).soc is None


def test_tel_02_the_mains_frequency_is_taken_beside_a_meter_value() -> None:
    assert one(value("7200", POWER), value("49.97", "Frequency")).frequency_hz == 49.97
    assert one(value("7200", POWER), value("49.97", "Frequency", phase="L1")).frequency_hz == 49.97
    assert one(value("7200", POWER)).frequency_hz is None


def test_map_14_power_is_signed_and_what_the_car_gives_back_counts_below_zero() -> None:
    assert one(value("5000", "Power.Active.Export", unit="W")).power_w == -5000.0
    both = one(value("0", POWER), value("3.6", "Power.Active.Export", unit="kW"))
    assert (both.power_w, both.source) == (-3600.0, "power")
    by_phase = one(*(value("1000", "Power.Active.Export", phase=phase) for phase in ("L1", "L2", "L3")))
    assert (by_phase.power_w, by_phase.source) == (-3000.0, "power per phase")


def test_several_values_come_oldest_first_with_their_own_stamps() -> None:
    entries = [
        {"timestamp": "2026-03-01T11:59:00+00:00", "sampledValue": [value("2")]},
        {"timestamp": "2026-03-01T12:58:00+01:00", "sampledValue": [value("1")]},
    ]
    samples = parse_meter_values(entries, WIRED, NOW)
    assert [sample.energy_wh for sample in samples] == [1.0, 2.0]
    assert samples[0].at == NOW - timedelta(minutes=2)


@pytest.mark.parametrize("stamp", ["not-a-date", "2031-01-01T00:00:00Z", None, 5])
def test_a2_12_a_stamp_that_cannot_be_is_replaced_by_now(stamp: object) -> None:
    (sample,) = parse_meter_values([{"timestamp": stamp, "sampledValue": [value("1")]}], WIRED, NOW)
    assert sample.at == NOW


def test_instants_as_chargers_write_them() -> None:
    assert parse_instant("2026-03-01T12:00:00") == NOW
    assert parse_instant(" 2026-03-01T13:00:00.000+01:00") == NOW
    assert parse_instant("0001-01-01T00:00:00+14:00") is None


def test_power_from_the_register_between_two_samples() -> None:
    before = Sample(at=NOW, energy_wh=1000.0)
    after = with_power_from_energy(Sample(at=NOW + timedelta(seconds=60), energy_wh=1100.0), before, WIRED)
    assert after.power_w == pytest.approx(6000.0)
    assert after.source == "energy register"


@pytest.mark.parametrize(
    ("seconds", "energy"), [(1, 1001.0), (60, 900.0), (60, 900_000.0), (60, None)], ids=["soon", "back", "jump", "none"]
)
def test_a_register_that_cannot_be_believed_gives_no_power(seconds: int, energy: float | None) -> None:
    before = Sample(at=NOW, energy_wh=1000.0)
    sample = Sample(at=NOW + timedelta(seconds=seconds), energy_wh=energy, current_a=(1.0,))
    assert with_power_from_energy(sample, before, WIRED) is sample


def test_without_a_sample_before_there_is_no_power() -> None:
    sample = Sample(at=NOW, energy_wh=1.0)
    assert with_power_from_energy(sample, None, WIRED) is sample
    assert with_power_from_energy(sample, Sample(at=NOW, power_w=1.0), WIRED) is sample
    known = Sample(at=NOW, power_w=5.0, energy_wh=1.0)
    assert with_power_from_energy(known, sample, WIRED) is known


WORDS = st.sampled_from([POWER, CURRENT, VOLTAGE, "L1", "L2", "kW", "A", "x", "", None, 5, {"unit": 3}, "12"])
SAMPLED = st.lists(
    st.dictionaries(
        st.sampled_from(["value", "measurand", "phase", "unit", "unitOfMeasure", "location", "format"]),
        WORDS | st.floats() | st.integers(),
    ),
    max_size=6,
)


@given(SAMPLED)
def test_no_sampled_value_raises(sampled: list[dict[str, Any]]) -> None:
    assert len(parse_meter_values([{"timestamp": "x", "sampledValue": sampled}], WIRED, NOW)) <= 1
