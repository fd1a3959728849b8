"""How a store fills along an event that asks for an energy content (CHARGE_STATE); pure.

Rule: the content is measured once (``Reference.content``) and carried on from there: what an interval is to reach is
what the next one begins with. A limit that had to be raised to the 6 A floor reaches its content early, and is a pause
from then on. A car that joins in the middle has the rest of its interval.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.asks import Ask, Effect, Limit, Reference, missing_wh
from bridge.cap import Cap
from bridge.resources import Kind, Resource

_WS = 3600.0  # W s a Wh


def begun(ask: Ask, reference: Reference | None, start: datetime) -> datetime:
    """Return from when on the ask counts: for a content that was measured later than its start, from then on."""
    content = None if reference is None or not ask.stored else reference.content
    return start if content is None or content.at is None else max(start, content.at)


def filled(
    ask: Ask, limit: Limit, resource: Resource, reference: Reference | None, begin: datetime, length_s: float | None
) -> tuple[Reference | None, datetime | None]:
    """Return the reference that the next interval begins with, and when the content is reached before the end."""
    content = None if reference is None else reference.content
    if reference is None or content is None or not ask.stored or not length_s or limit.amperes is None:
        return reference, None
    missing, granted_w = missing_wh(ask, content), resource.kw(limit.amperes) * 1000.0
    most_wh = granted_w * length_s / _WS
    after = replace(reference, content=replace(content, content_wh=content.content_wh + min(missing, most_wh)))
    if most_wh <= missing + 1.0 or not missing:  # Wh: closer than that is the end of the interval
        return after, None
    return after, begin + timedelta(seconds=int(missing * _WS / granted_w) + 1)


def unthrottled(cap: Cap, ask: Ask, resource: Resource, stepped: Iterable[Kind], length_s: float | None) -> Cap:
    """Return the cap as it is, or as a wish for the energy: what has only steps (a tank) cannot run at a mean power."""
    if not ask.stored or not cap.limit_a or length_s is None or resource.kind not in stepped:
        return cap
    energy_wh = resource.kw(cap.limit_a) * 1000.0 * length_s / _WS
    reason = f"{cap.reason}; asked for as {energy_wh / 1000:.6g} kWh, without a limit"
    return replace(cap, limit_a=None, effect=Effect.LOAD_UP, energy_wh=energy_wh, reason=reason)


def until(cap: Cap, reached: datetime | None) -> Iterable[Cap]:
    """Yield the cap up to the moment at which the content is reached, and a pause for the rest."""
    if reached is None:
        yield cap
        return
    yield replace(cap, end=reached)
    yield replace(cap, start=reached, limit_a=0.0, reason=f"{cap.reason}; the content is reached: paused")
