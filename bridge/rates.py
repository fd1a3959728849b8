"""What energy costs and how much carbon it carries, by half-hour, and what that makes for one resource (TEL-16); pure.

Rule: rates come from a table that an operator gives; a half-hour without a rate is not guessed but counted. Estimated
energy is told apart from measured: informational readings are never of settlement grade (TEL-08).
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.halfhour import HalfHour, start_of

COLUMNS = ("start", "price_per_kwh", "g_co2_per_kwh")


class RatesError(ValueError):
    """The table of rates cannot be used; the text says which line and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One half-hour: money per kWh, g CO2 per kWh; ``None`` where the table says nothing."""

    price: float | None
    carbon_g: float | None


Rates = Mapping[datetime, Rate]


def parse(text: str) -> Rates:
    """Read a table: CSV with the header ``COLUMNS``, one row a half-hour, starts in UTC. Raises ``RatesError``."""
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise RatesError(f"line 1: the header must be {','.join(COLUMNS)}")
    found: dict[datetime, Rate] = {}
    for number, row in enumerate(rows, start=2):
        try:
            start = datetime.fromisoformat(row["start"])
            rate = Rate(price=_number(row["price_per_kwh"]), carbon_g=_number(row["g_co2_per_kwh"]))
        except (TypeError, ValueError) as error:
            raise RatesError(f"line {number}: {error}") from None
        if start.tzinfo is None or start != start_of(start):
            raise RatesError(f"line {number}: start must be that of a half-hour, with its offset")
        found[start.astimezone(UTC)] = rate
    return found


def _number(text: str | None) -> float | None:
    if text is None:
        raise ValueError("a column is missing")
    if not text.strip():
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """One resource over a time: energy by its own meter, apart from the premises; ``unrated`` half-hours cost nothing.

    ``cost`` and ``carbon_g`` are ``None`` where no half-hour has a rate.
    """

    resource_id: str
    half_hours: int
    kwh: float
    estimated_kwh: float
    cost: float | None
    carbon_g: float | None
    unrated: int


def billed(resource_id: str, rows: Iterable[HalfHour], rates: Rates) -> Billed:
    """Return what a resource's half-hours come to."""
    known = [(each.energy_wh / 1000.0, each) for each in rows if each.energy_wh is not None]
    costs: list[float] = []
    grams: list[float] = []
    unrated = 0
    for kwh, each in known:
        rate = rates.get(each.start)
        unrated += rate is None or rate.price is None
        if rate is not None and rate.price is not None:
            costs.append(kwh * rate.price)
        if rate is not None and rate.carbon_g is not None:
            grams.append(kwh * rate.carbon_g)
    return Billed(
        resource_id=resource_id,
        half_hours=len(known),
        kwh=round(sum(kwh for kwh, _ in known), 3),
        estimated_kwh=round(sum(kwh for kwh, each in known if each.estimated), 3),
        cost=round(sum(costs), 4) if costs else None,
        carbon_g=round(sum(grams), 1) if grams else None,
        unrated=unrated,
    )
