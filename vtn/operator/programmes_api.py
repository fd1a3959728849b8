"""Market contexts in the operator API: their programmes, what events and opt schedules in them may be.

Rule: handlers carry no rule of the protocol. A programme is named by its URI, however it is written (R512).
"""

from datetime import datetime

from aiohttp import web
from pydantic import BaseModel, Field

from openadr.model import OptType, ResponseRequired, SignalType
from openadr.uris import normal
from runtime.http import ACTOR, Problem
from vtn.operator.fields import DurationText, Instant, Model, View
from vtn.operator.handling import Handling, Route, cursor, json, next_cursor
from vtn.operator.requests import Page
from vtn.services import programmes
from vtn.store.programmes import OptRules, Programme, SignalPair, Terms
from vtn.store.store import Tx

_URI = Field(min_length=1, max_length=2000)


class SignalTerm(Model):
    """A signal that events may have; without signalType, every type of that name."""

    signalName: str = Field(min_length=1, max_length=255)
    signalType: SignalType | None = None


class OptTerms(Model):
    """What the programme says of opt schedules (R201)."""

    scheduleTypes: tuple[OptType, ...] = (OptType.OPT_IN, OptType.OPT_OUT)
    defaultState: OptType = OptType.OPT_IN
    precedence: OptType = OptType.OPT_OUT
    overlaps: bool = True
    eventsDuringOptOut: bool = True


class ProgrammeIn(Model):
    """A programme; an empty list or null allows everything."""

    marketContext: str = _URI
    name: str = Field(min_length=1, max_length=255)
    signals: tuple[SignalTerm, ...] = Field((), max_length=100)
    targets: tuple[str, ...] = ()
    priorities: tuple[int, ...] = Field((), max_length=100)
    maxDuration: DurationText | None = None
    minNotification: DurationText | None = None
    responseRequired: ResponseRequired | None = None
    testEventsOnly: bool = False
    opts: OptTerms = OptTerms()

    def programme(self, now: datetime, actor: str) -> Programme:
        """Return it for the service."""
        opts = self.opts
        terms = Terms(
            signals=tuple(
                SignalPair(signal_name=each.signalName, signal_type=each.signalType) for each in self.signals
            ),
            targets=self.targets,
            priorities=self.priorities,
            max_duration=self.maxDuration,
            min_notification=self.minNotification,
            response_required=self.responseRequired,
            test_events_only=self.testEventsOnly,
            opts=OptRules(
                schedule_types=opts.scheduleTypes,
                default_state=opts.defaultState,
                precedence=opts.precedence,
                overlaps=opts.overlaps,
                events_during_opt_out=opts.eventsDuringOptOut,
            ),
        )
        return Programme(market_context=self.marketContext, name=self.name, terms=terms, modified_at=now, actor=actor)


class ContextQuery(Model):
    """Which market context."""

    marketContext: str = _URI


class ProgrammeView(View):
    """A programme, who laid it down and when."""

    marketContext: str
    name: str
    signals: tuple[SignalTerm, ...]
    targets: tuple[str, ...]
    priorities: tuple[int, ...]
    maxDuration: DurationText | None
    minNotification: DurationText | None
    responseRequired: ResponseRequired | None
    testEventsOnly: bool
    opts: OptTerms
    modifiedDateTime: Instant
    actor: str


class ProgrammePage(View):
    """Some programmes; ``next`` is the cursor of the following page, null at the end."""

    programmes: tuple[ProgrammeView, ...]
    next: str | None


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/market-contexts",
        handler="get_programmes",
        summary="List market contexts with their programmes",
        answer=ProgrammePage,
        query=Page,
    ),
    Route(
        method="POST",
        path="/api/v1/market-contexts",
        handler="post_programme",
        summary="Set up a market context",
        answer=ProgrammeView,
        status=201,
        body=ProgrammeIn,
    ),
    Route(
        method="PUT",
        path="/api/v1/market-contexts",
        handler="put_programme",
        summary="Set up a market context, or replace its programme",
        answer=ProgrammeView,
        body=ProgrammeIn,
    ),
    Route(
        method="DELETE",
        path="/api/v1/market-contexts",
        handler="delete_programme",
        summary="Forget a market context; its events stay",
        answer=ProgrammeView,
        query=ContextQuery,
    ),
)


class ProgrammesApi:
    """The handlers of ``ROUTES``."""

    def __init__(self, handling: Handling) -> None:
        self._with = handling

    async def get_programmes(self, request: web.Request) -> web.StreamResponse:
        """List market contexts with their programmes."""
        page = Page.model_validate(dict(request.query))
        async with self._with.store.read() as tx:
            rows = await tx.programmes.page(after=cursor(page.cursor, str) or "", limit=page.limit)
        last = rows[-1].market_context if len(rows) == page.limit else None
        return json(ProgrammePage(programmes=tuple(map(_view, rows)), next=next_cursor(last)))

    async def post_programme(self, request: web.Request) -> web.StreamResponse:
        """Set up a market context."""
        return await self._lay_down(request, new=True)

    async def put_programme(self, request: web.Request) -> web.StreamResponse:
        """Set up a market context, or replace its programme."""
        return await self._lay_down(request, new=False)

    async def _lay_down(self, request: web.Request, *, new: bool) -> web.StreamResponse:
        async def act(tx: Tx, body: ProgrammeIn, now: datetime) -> tuple[int, BaseModel]:
            programme = body.programme(now, request[ACTOR])
            await programmes.lay_down(tx, programme, new=new)
            return 201 if new else 200, _view(programme)

        return await self._with.change(request, ProgrammeIn, act)

    async def delete_programme(self, request: web.Request) -> web.StreamResponse:
        """Forget a market context; its events stay."""
        uri = ContextQuery.model_validate(dict(request.query)).marketContext
        async with self._with.store.write() as tx:
            programme = await tx.programmes.get(uri)
            if programme is None:
                raise Problem(404, "no such market context is set up", field="marketContext")
            await programmes.drop(tx, uri)
        return json(_view(programme))


def _view(programme: Programme) -> ProgrammeView:
    terms = programme.terms
    return ProgrammeView(
        marketContext=normal(programme.market_context),
        name=programme.name,
        signals=tuple(
            SignalTerm(
                signalName=each.signal_name,
                signalType=None if each.signal_type is None else SignalType(each.signal_type),
            )
            for each in terms.signals
        ),
        targets=terms.targets,
        priorities=terms.priorities,
        maxDuration=terms.max_duration,
        minNotification=terms.min_notification,
        responseRequired=terms.response_required,
        testEventsOnly=terms.test_events_only,
        opts=OptTerms(
            scheduleTypes=terms.opts.schedule_types,
            defaultState=terms.opts.default_state,
            precedence=terms.opts.precedence,
            overlaps=terms.opts.overlaps,
            eventsDuringOptOut=terms.opts.events_during_opt_out,
        ),
        modifiedDateTime=programme.modified_at,
        actor=programme.actor,
    )
