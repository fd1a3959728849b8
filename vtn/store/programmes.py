"""Repository of programmes: what an operator has laid down for a market context.

Rule: the key is the URI as RFC 3986 normalises it (R512); the settings are one document, replaced as a whole.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from openadr.model import OptType, ResponseRequired
from openadr.times import Duration
from openadr.uris import normal
from vtn.store.codec import dump, load, upsert
from vtn.store.tables import market_context


@dataclass(frozen=True, slots=True, kw_only=True)
class OptRules:
    """What a programme says of opt schedules (R201)."""

    schedule_types: tuple[OptType, ...] = (OptType.OPT_IN, OptType.OPT_OUT)  # empty: no schedules at all
    default_state: OptType = OptType.OPT_IN  # where no schedule speaks
    precedence: OptType = OptType.OPT_OUT  # which wins where an optIn and an optOut schedule overlap
    overlaps: bool = True  # schedules of one type may overlap
    events_during_opt_out: bool = True  # events are sent to a VEN that has opted out for their time


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPair:
    """A signal that a programme allows; without type, every type of that name."""

    signal_name: str
    signal_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What events of a programme may be; an empty list or ``None`` allows everything."""

    signals: tuple[SignalPair, ...] = ()
    targets: tuple[str, ...] = ()  # kinds of target: venID, resourceID, groupID, partyID, area
    priorities: tuple[int, ...] = ()
    max_duration: Duration | None = None  # with it, open-ended events are not allowed either
    min_notification: Duration | None = None  # from publication to dtstart
    response_required: ResponseRequired | None = None  # of events that do not say
    test_events_only: bool = False
    opts: OptRules = field(default_factory=OptRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """A market context with its terms."""

    market_context: str
    name: str
    terms: Terms
    modified_at: datetime
    actor: str


class Programmes:
    """Programmes within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, uri: str) -> Programme | None:
        """Return the programme of a market context, however its URI is written."""
        query = select(market_context).where(market_context.c.uri == normal(uri))
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _programme(row)

    async def page(self, *, after: str = "", limit: int = 1000) -> tuple[Programme, ...]:
        """Return programmes by URI, those after ``after``."""
        query = select(market_context).where(market_context.c.uri > after)
        rows = await self._connection.execute(query.order_by(market_context.c.uri).limit(limit))
        return tuple(_programme(row) for row in rows)

    async def put(self, programme: Programme) -> None:
        """Write a programme, new or in place of the one before."""
        row = {
            "uri": normal(programme.market_context),
            "name": programme.name,
            "document": dump(programme.terms),
            "modified_at": programme.modified_at,
            "actor": programme.actor,
        }
        await upsert(self._connection, market_context, [row], ("uri",))

    async def drop(self, uri: str) -> bool:
        """Forget a programme; false if there was none."""
        done = await self._connection.execute(delete(market_context).where(market_context.c.uri == normal(uri)))
        return done.rowcount > 0


def _programme(row: Row[tuple[object, ...]]) -> Programme:
    return Programme(
        market_context=row.uri,
        name=row.name,
        terms=load(row.document, Terms),
        modified_at=row.modified_at,
        actor=row.actor,
    )
