"""Limits at the grid connection of a site, not at the device: what the site supplies itself may flow on top; pure.

Rule (MAP-11): a demand response mode limits what comes from the grid, and a site's own supply is not the grid's. With a
fresh meter at the connection, what the site makes beyond its other loads is shared among its resources on top of their
limits. It is lent for a short time only and written into the schedule so: without a fresh meter the limit is the
device's again, whether or not anybody is there to say so.

::

    own supply = what the chargers draw - what comes from the grid, never below 0
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.asks import round_down
from bridge.cap import Cap
from bridge.resources import Resource

FRESH_S = 600.0  # so long a reading of the site's meter lends its supply
RENEW_S = FRESH_S / 2  # what is lent is written anew when less than this is left
STEP_A = 1.0  # a smaller gain is not worth a command
DRAWN_S = 120.0  # an older reading of a charger says nothing about what it draws now


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReading:
    """What flows through a site's connection, W: import above zero."""

    site: str
    net_w: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """What a resource may draw on top of its limits at the grid over [since, until), A per phase."""

    amperes: float
    since: datetime
    until: datetime
    words: str


def own_supply_w(reading: SiteReading, drawn_w: Iterable[float]) -> float:
    """Return what the site supplies itself beyond its other loads, W."""
    return max(0.0, sum(drawn_w) - reading.net_w)


def lent(
    reading: SiteReading, resources: Sequence[Resource], supply_w: float, present: Mapping[str, Loan], now: datetime
) -> dict[str, Loan]:
    """Return the loans of a site's resources, in parts of their installed power; loans that will do stay.

    A smaller supply counts at once, a larger one from ``STEP_A`` on or when a loan would run out.
    """
    until = reading.at + timedelta(seconds=FRESH_S)
    if until <= now:
        return {}
    whole = sum(each.max_kw for each in resources)
    loans: dict[str, Loan] = {}
    for each in resources:
        part_w = supply_w * each.max_kw / whole
        amperes = min(round_down(part_w / (each.phases * each.voltage)), each.max_a)
        old = present.get(each.resource_id)
        will_do = old is not None and old.amperes <= amperes < old.amperes + STEP_A
        if old is not None and will_do and old.until >= now + timedelta(seconds=RENEW_S):
            loans[each.resource_id] = old
            continue
        words = f"{amperes:g} A of the site's own {supply_w / 1000:.3g} kW on top until {until:%H:%M:%S}Z"
        loans[each.resource_id] = Loan(amperes=amperes, since=now, until=until, words=words)
    return loans


def at_grid(cap: Cap, resource: Resource, loan: Loan | None) -> Iterable[Cap]:
    """Yield a limit at the grid as limits at the device: with the loan for as long as it lasts, else without."""
    if cap.limit_a is None:
        yield cap
        return
    bare = replace(cap, reason=f"{cap.reason}; at the device, for no fresh supply of the site's own is known")
    with_loan = 0.0 if loan is None else round_down(min(cap.limit_a + loan.amperes, resource.max_a))
    begin = cap.start if loan is None else max(cap.start, loan.since)
    end = begin if loan is None else loan.until if cap.end is None else min(cap.end, loan.until)
    if loan is None or begin >= end or with_loan < resource.least_a or with_loan <= cap.limit_a:
        yield bare
        return
    if cap.start < begin:
        yield replace(bare, end=begin)
    yield replace(cap, start=begin, end=end, limit_a=with_loan, reason=f"{cap.reason}; {loan.words}")
    if cap.end is None or end < cap.end:
        yield replace(bare, start=end)
