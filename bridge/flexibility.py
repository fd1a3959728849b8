"""How far up and down a resource could go, and for how long (TEL-10); pure.

Rule: it follows from what is measured: power now and the state of charge. Without a state of charge there is no
envelope at all, for an invented one would be promised to a grid that counts on it.
"""

from dataclasses import dataclass

from bridge.asks import Content
from bridge.resources import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Room around the present power in W, and for how long the higher power could be held, s."""

    up_w: float
    down_w: float
    hold_s: float


def envelope(resource: Resource, power_w: float, content: Content | None) -> Envelope | None:
    """Return the envelope of a charging-only store, ``None`` where its state of charge is not known."""
    if content is None:
        return None
    most_w = resource.kw(resource.max_a) * 1000.0
    room_wh = max(0.0, content.full_wh - content.content_wh)
    up_w = max(0.0, most_w - power_w) if room_wh > 0.0 else 0.0
    return Envelope(
        up_w=round(up_w, 1),
        down_w=round(max(0.0, power_w), 1),
        hold_s=round(room_wh / most_w * 3600.0) if up_w > 0.0 else 0.0,
    )
