"""Rates by half-hour and what a resource's energy costs and carries; pure."""

import pytest

from bridge.halfhour import HalfHour
from bridge.rates import Rate, RatesError, billed, parse
from tests.bridge.parts import at

HEADER = "start,price_per_kwh,g_co2_per_kwh\n"
TABLE = parse(HEADER + "2026-03-02T14:00:00Z,0.30,200\n2026-03-02T15:30:00+01:00,,100\n2026-03-02T15:00:00Z,0.10,\n")


def half_hour(number: int, energy_wh: float | None, *, estimated: bool = False) -> HalfHour:
    return HalfHour(
        charger="CP1",
        start=at(number * 1800),
        energy_wh=energy_wh,
        mean_w=None,
        max_w=None,
        samples=1,
        covered_s=1800.0,
        estimated=estimated,
    )


def test_tel_16_a_table_of_rates_is_by_half_hour_in_utc() -> None:
    assert {
        at(0): Rate(price=0.3, carbon_g=200.0),
        at(1800): Rate(price=None, carbon_g=100.0),
        at(3600): Rate(price=0.1, carbon_g=None),
    } == TABLE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("start,price\n", "line 1: the header must be"),
        ("", "line 1"),
        (HEADER + "2026-03-02T14:00:00Z,cheap,1\n", "line 2: could not convert"),
        (HEADER + "2026-03-02T14:00:00Z,nan,1\n", "line 2: nan is no number"),
        (HEADER + "2026-03-02T14:00:00Z\n", "line 2"),
        (HEADER + "2026-03-02T14:00:00,1,1\n", "line 2: start must be"),
        (HEADER + "2026-03-02T14:10:00Z,1,1\n", "line 2: start must be"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(RatesError, match=fault):
        parse(text)


def test_tel_16_energy_cost_and_carbon_and_what_has_no_rate() -> None:
    rows = [half_hour(0, 1000.0), half_hour(1, 2000.0, estimated=True), half_hour(2, 3000.0), half_hour(3, 500.0)]
    found = billed("evse-1", [*rows, half_hour(4, None)], TABLE)
    assert (found.half_hours, found.kwh, found.estimated_kwh) == (4, 6.5, 2.0)
    assert (found.cost, found.carbon_g, found.unrated) == (0.6, 400.0, 2)
    nothing = billed("evse-1", rows, {})
    assert (nothing.kwh, nothing.cost, nothing.carbon_g, nothing.unrated) == (6.5, None, None, 4)
