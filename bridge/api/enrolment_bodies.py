"""What the API takes and gives about agreements, random windows, modes, forecasts, who limits, and what is sold.

Rule: no logic; names and units as in ``bridge.api.bodies``.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from bridge.api.bodies import Body
from bridge.limiters import Limiter
from bridge.spread import Step
from bridge.stacking import Claim
from bridge.store import Agreement

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Words = Annotated[str, msgspec.Meta(max_length=2000)]
Minutes = Annotated[float, msgspec.Meta(gt=0, le=5_270_400)]
MAX_WINDOW_S = 1800


class AgreementRequest(Body, frozen=True, forbid_unknown_fields=True):
    """POST /agreements: ``marketContext`` names the programme, ``who`` agreed, to which text ``terms``.

    Without ``minutes`` until it is withdrawn. ``overUser``: its events go before the user's own charging mode.
    """

    resource_id: Name
    market_context: Name
    who: Name
    terms: Words
    minutes: Minutes | None = None
    over_user: bool = False


class AgreementBody(Body, frozen=True):
    """One agreement; ``inForce``: it counts now."""

    id: str
    resource_id: str
    market_context: str
    who: str
    terms: str
    given_at: datetime
    until: datetime | None
    over_user: bool
    withdrawn_at: datetime | None
    in_force: bool

    @classmethod
    def of(cls, each: Agreement, now: datetime) -> "AgreementBody":
        """Return an agreement as the API shows it."""
        return cls(
            id=each.agreement_id,
            resource_id=each.resource_id,
            market_context=each.context,
            who=each.who,
            terms=each.terms,
            given_at=each.given_at,
            until=each.until,
            over_user=each.over_user,
            withdrawn_at=each.withdrawn_at,
            in_force=each.holds(now),
        )


class WindowRequest(Body, frozen=True, forbid_unknown_fields=True):
    """PUT /random-windows/{resourceID}: ``null`` is the one of the settings, else of the programme."""

    window_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_WINDOW_S)] | None


class WindowBody(Body, frozen=True):
    """The random window of one resource where an event carries none; ``null``: the programme's."""

    resource_id: str
    window_s: int | None
    own_delay_s: int


class ModeRequest(Body, frozen=True, forbid_unknown_fields=True):
    """PUT /modes/{resourceID}: plug_and_charge, cheapest, lowest_carbon, ready_by or boost."""

    mode: str


class ModeBody(Body, frozen=True):
    """The charging mode of one resource, and when it waits."""

    resource_id: str
    mode: str
    since: datetime
    pauses: tuple[tuple[datetime, datetime], ...]


class SlotBody(Body, frozen=True, forbid_unknown_fields=True):
    """One stretch of a forecast; less is better."""

    start: datetime
    minutes: Annotated[float, msgspec.Meta(gt=0, le=1440)]
    value: float


class ForecastBody(Body, frozen=True, forbid_unknown_fields=True):
    """PUT and GET /forecasts/{kind}: the whole forecast."""

    slots: Annotated[tuple[SlotBody, ...], msgspec.Meta(max_length=10_000)]


class LimiterBody(Body, frozen=True):
    """One who limits a resource now: layer, owner, authority; ``acts``: this is what the charger is told."""

    resource_id: str
    layer: str
    owner: str
    source: str
    event_id: str | None
    limit_a: float | None
    authority: str
    reason: str
    acts: bool

    @classmethod
    def of(cls, resource_id: str, each: Limiter) -> "LimiterBody":
        """Return a limiter as the API shows it."""
        return cls(
            resource_id=resource_id,
            layer=each.layer.value,
            owner=each.owner,
            source=each.source,
            event_id=each.event_id,
            limit_a=each.limit_a,
            authority=each.authority,
            reason=each.reason,
            acts=each.acts,
        )


class ClaimBody(Body, frozen=True):
    """What an event asks of a resource: in all, what counts for it alone, what another event has, what is withdrawn."""

    event_id: str
    resource_id: str
    programme: str
    start: datetime
    end: datetime
    kw_claimed: float
    kw_counted: float
    kw_doubled: float
    kw_withdrawn: float
    others: tuple[str, ...]

    @classmethod
    def of(cls, each: Claim) -> "ClaimBody":
        """Return a claim as the API shows it."""
        return cls(
            event_id=each.event_id,
            resource_id=each.resource_id,
            programme=each.programme,
            start=each.start,
            end=each.end,
            kw_claimed=each.claimed_kw,
            kw_counted=each.counted_kw,
            kw_doubled=each.doubled_kw,
            kw_withdrawn=each.withdrawn_kw,
            others=each.others,
        )


class OfferBody(Body, frozen=True):
    """What may be offered of a resource now, and what was sold for it."""

    resource_id: str
    kw_offerable: float
    kw_contracted: float | None
    ev_controlled: bool


class RampBody(Body, frozen=True):
    """How steeply an event changes the power of its resources; ``steep``: its windows are too short for them."""

    event_id: str
    kw_whole: float
    kw_per_s: float
    kw_per_s_most: float
    steep: bool

    @classmethod
    def of(cls, each: Step) -> "RampBody":
        """Return a step as the API shows it."""
        return cls(
            event_id=each.event_id,
            kw_whole=round(each.whole_kw, 1),
            kw_per_s=round(each.kw_s, 2),
            kw_per_s_most=round(each.most_kw_s, 2),
            steep=each.steep,
        )


class FrequencyRequest(Body, frozen=True, forbid_unknown_fields=True):
    """PUT /frequency: what an instrument reads now, Hz."""

    hz: Annotated[float, msgspec.Meta(ge=40, le=70)]


ANSWERED = (
    AgreementBody,
    AgreementRequest,
    WindowBody,
    WindowRequest,
    ModeBody,
    ModeRequest,
    ForecastBody,
    LimiterBody,
    ClaimBody,
    OfferBody,
    RampBody,
    FrequencyRequest,
)

_ONE = (("resourceID", "Only this resource"),)

ROUTES = (
    ("get", "/agreements", "Who agreed to which programme", {200: list[AgreementBody]}, None, _ONE),
    ("post", "/agreements", "Note an agreement (consent)", {201: AgreementBody}, AgreementRequest, ()),
    ("delete", "/agreements/{id}", "Withdraw an agreement; counts at once", {204: None}, None, ()),
    ("get", "/random-windows", "The random window of every resource", {200: list[WindowBody]}, None, ()),
    ("put", "/random-windows/{id}", "Set it for events to come; id: resourceID", {200: WindowBody}, WindowRequest, ()),
    ("get", "/modes", "Charging modes that were chosen", {200: list[ModeBody]}, None, ()),
    ("put", "/modes/{id}", "Choose a charging mode; id: resourceID", {200: ModeBody}, ModeRequest, ()),
    ("get", "/forecasts/{id}", "A forecast; id: price or carbon", {200: ForecastBody}, None, ()),
    ("put", "/forecasts/{id}", "Replace a forecast; id: price or carbon", {200: ForecastBody}, ForecastBody, ()),
    ("get", "/limiters", "Everybody who limits now: layer, owner, authority", {200: list[LimiterBody]}, None, _ONE),
    (
        "get",
        "/claims",
        "What events claim of resources in the hours ahead, each kW counted once",
        {200: list[ClaimBody]},
        None,
        (*_ONE, ("hours", "How far ahead, 1 to 168; 24 if absent")),
    ),
    ("get", "/offers", "What may be offered of each resource now", {200: list[OfferBody]}, None, ()),
    ("get", "/ramps", "How steeply events change the fleet's power", {200: list[RampBody]}, None, ()),
    (
        "put",
        "/frequency",
        "Tell the frequency of the mains, for the frequency guard",
        {204: None},
        FrequencyRequest,
        (),
    ),
)
"""Method, path, summary, answers, body, query: rows of the OpenAPI description; errors are added there."""
