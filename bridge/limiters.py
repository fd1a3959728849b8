"""Who limits a resource, in which layer, and who answers for it; pure.

Rule (ARB-20): every mitigation has one layer and one owner. The table says whose it is where nobody is named; a name in
the settings or in a programme goes before it. What another system does at the charger is the charger's layer (ARB-13).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.arbiter import Effective, Source
from bridge.authority import Issuer
from bridge.target import ForeignLimit


class Layer(StrEnum):
    """Where a limit is made."""

    CHARGER = "charger"
    SITE = "site"
    BRIDGE = "bridge"
    VTN = "vtn"
    SUPPLIER = "supplier"


OWNERS: Mapping[str, tuple[Layer, str]] = {
    Source.SAFETY: (Layer.SITE, "owner of the installation"),
    Source.SITE: (Layer.SITE, "owner of the site"),
    Source.GROUP: (Layer.BRIDGE, "operator of the bridge"),
    Source.DSO: (Layer.VTN, "network operator"),
    Source.USER: (Layer.SITE, "customer"),
    Source.CALENDAR: (Layer.BRIDGE, "operator of the bridge"),
    Source.DEFAULT: (Layer.BRIDGE, "operator of the bridge"),
    "event": (Layer.VTN, "issuer of the programme"),
}
"""By source: the layer, and who answers for it where nobody is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """One who limits a resource now; ``acts``: what it asks for is what the charger is told."""

    layer: Layer
    owner: str
    source: str
    event_id: str | None
    limit_a: float | None
    authority: str
    reason: str
    acts: bool


def responsible(source: str, owner: str = "") -> tuple[Layer | None, str]:
    """Return layer and owner of a limit, ``None`` and '' where nobody limits."""
    layer, by_default = OWNERS.get(source, (None, ""))
    if source == "event" and owner == Issuer.SUPPLIER:
        layer = Layer.SUPPLIER
    return layer, owner or by_default


def register(limits: Iterable[Effective], foreign: Iterable[ForeignLimit]) -> tuple[Limiter, ...]:
    """Return everybody who limits a resource now: ours, the one that wins first, then other systems at the charger."""
    found = []
    for number, each in enumerate(limits):
        layer, owner = responsible(each.source, each.owner)
        if layer is not None:
            found.append(
                Limiter(
                    layer=layer,
                    owner=owner,
                    source=each.source,
                    event_id=each.event_id,
                    limit_a=each.limit_a,
                    authority=each.authority,
                    reason=each.reason,
                    acts=number == 0,
                )
            )
    least = found[0].limit_a if found else None
    for other in foreign:
        found.append(
            Limiter(
                layer=Layer.CHARGER,
                owner=other.source,
                source="foreign",
                event_id=None,
                limit_a=other.limit_a,
                authority="",
                reason=f"told by {other.by}: {other.detail}" if other.detail else f"told by {other.by}",
                acts=other.limit_a is not None and (least is None or other.limit_a < least),
            )
        )
    return tuple(found)
