"""What the arbiter's part of the operator API takes and gives; names and units as in ``bridge.api.bodies``.

Rule: no logic.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from bridge.api.bodies import Body

Amount = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
Words = Annotated[str, msgspec.Meta(max_length=500)]


class StandingRequest(Body, frozen=True, forbid_unknown_fields=True):
    """POST /standing: exactly one of ``resourceID`` and ``groupID``; ``limitA`` per phase, ``kWLimit``, or both.

    ``source`` is safety, site, dso, user, calendar or default; without ``start`` now, without ``minutes`` until
    taken back.
    """

    source: str
    resource_id: Name | None = None
    group_id: Name | None = None
    limit_a: Amount | None = None
    kw_limit: Amount | None = None
    reason: Words = "not given"
    start: datetime | None = None
    minutes: Annotated[float, msgspec.Meta(gt=0, le=527_040)] | None = None


class StandingBody(Body, frozen=True):
    """One standing limit in force or to come; ``members`` counts the resources it is about."""

    id: str
    source: str
    resource_id: str | None
    group_id: str | None
    limit_a: float | None
    kw_limit: float | None
    reason: str
    start: datetime
    end: datetime | None
    members: int


class AheadRequest(Body, frozen=True, forbid_unknown_fields=True):
    """POST /opt-schedules and /suspensions: which resource, from when (now), for how long (until taken back)."""

    resource_id: Name
    reason: Words = "not given"
    start: datetime | None = None
    minutes: Annotated[float, msgspec.Meta(gt=0, le=527_040)] | None = None


class AheadBody(Body, frozen=True):
    """An opt schedule or suspension; ``optID`` as told to the VTN, ``null`` until there is a registration."""

    id: str
    kind: str
    resource_id: str
    reason: str
    start: datetime
    end: datetime | None
    opt_id: str | None


class LedgerBody(Body, frozen=True):
    """One interval of one event at one resource: who contracted, asked, allowed and drew what, mean kW."""

    event_id: str
    resource_id: str
    start: datetime
    end: datetime
    kw_contracted: float | None
    kw_requested: float | None
    kw_effective: float | None
    kw_metered: float | None
    kw_counted: float | None
    source: str
    by_event: str | None
    outcome: str
    reason: str


class NoteBody(Body, frozen=True):
    """From ``at`` on this limited the resource; ``layer`` and ``owner`` say who answers for it (ARB-20)."""

    resource_id: str
    at: datetime
    limit_a: float | None
    source: str
    layer: str | None
    owner: str
    event_id: str | None
    reason: str
    losers: str
