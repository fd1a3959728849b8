"""The VEN's shell: asks the session what to do, does it over the transport, commits what it changes, waits, repeats.

Rule: it never ends by itself. A VTN that cannot be reached, a database that fails or a report that cannot be collected
delays its own part and nothing else; each exchange has one reference id in the log.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from prometheus_client import CollectorRegistry

from openadr.errors import ResponseCode
from openadr.exchange import Service
from openadr.messages import Message
from openadr.model import Event, OptType, ReportInterval
from runtime.clock import Clock, Draw, new_id
from runtime.logs import bound_reference, get_logger
from ven import opts, registration, reports
from ven.contact import Contact, VenStatus
from ven.metrics import VenFigures, VenMetrics
from ven.model import (
    Action,
    Assess,
    Assessment,
    Collect,
    Gather,
    Note,
    Purpose,
    ReportCapability,
    Rules,
    Send,
    State,
    Step,
    Wait,
)
from ven.opts import EventOpt, ScheduleOpt
from ven.session import Session
from ven.settings import VenSettings
from ven.signed import seal_of
from ven.state import Beside, VenStore
from ven.transport import Answer, ExchangeFailed, HttpTransport, Transport

MAX_WAIT_S = 30.0  # waits are cut to this, so that a step of the wall clock is noticed
FAULT_PAUSE_S = 5.0  # after a fault of our own (database away): long enough not to spin

T = TypeVar("T")
log = get_logger(__name__)


class VenClient:
    """A running VEN. ``on_change`` is called after a commit that changed the events; ``seal`` signs, if it is set.

    Making one raises ``TlsError`` if it is to sign and has no usable key.
    """

    def __init__(
        self,
        *,
        settings: VenSettings,
        store: VenStore,
        assess: Assess,
        capabilities: Callable[[], tuple[ReportCapability, ...]],
        collect: Collect,
        clock: Clock,
        draw: Draw,
        on_change: Callable[[], None],
        ssl_context: ssl.SSLContext | None,
        transport: Transport | None = None,
        metrics: VenMetrics | None = None,
        make_id: Callable[[str], str] = new_id,
    ) -> None:
        self._settings = settings
        self._store = store
        self._collect = collect
        self._clock = clock
        self._on_change = on_change
        self._new_id = make_id
        self.seal = seal_of(settings, clock, store.use_nonce)
        self._transport = transport or HttpTransport(
            vtn_url=settings.vtn_url,
            ssl_context=ssl_context,
            timeout_s=settings.timeout_s,
            max_answer_bytes=settings.max_answer_bytes,
            seal=self.seal,
        )
        self._metrics = metrics or VenFigures(CollectorRegistry()).of("")
        self._contact = Contact(settings, self._metrics)
        self._rules = _rules(settings, assess, capabilities, draw, make_id)
        self._session = Session(self._rules)
        self._turn = asyncio.Lock()
        self._woken = asyncio.Event()
        self._resync = False

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Register, poll, answer and deliver until cancelled."""
        log.info("ven starts", vtn_url=self._settings.vtn_url, ven_name=self._settings.ven_name)
        try:
            while True:
                try:
                    action = await self._act()
                except Exception:
                    log.exception("ven turn failed")
                    self._metrics.fault()
                    self._resync = True  # an answer may be lost with it
                    action = Wait(until=self._clock.now() + timedelta(seconds=FAULT_PAUSE_S))
                if isinstance(action, Wait):
                    await self._pause(action.until)
        finally:
            await self.close()

    async def poll_once(self) -> None:
        """Do everything that is due, poll, and go on until nothing is due; failures are left for later."""
        await self._transact(lambda state: Step(state=state.linked(next_poll=None)))
        while not isinstance(await self._act(), Wait):
            pass

    async def close(self) -> None:
        """Close the connections to the VTN."""
        await self._transport.close()

    def wake(self) -> None:
        """Look again for something to do, for example because the offered reports changed."""
        self._woken.set()

    # --- what the VTN pushes ------------------------------------------------------------------------------------------

    async def pushed(self, message: Message, service: Service) -> Message | None:
        """Take a pushed payload and return the answer, ``None`` for an empty one, once what it changes is durable.

        An exchange of ours that is under way comes first. Raises ``TimeoutError`` if that takes too long.
        """
        async with asyncio.timeout(self._settings.timeout_s):
            await self._turn.acquire()
        try:
            now = self._clock.now()
            answers: list[Message | None] = []

            def take(state: State) -> Step:
                step, answer = self._session.pushed(state, message, service, now)
                answers.append(answer)
                return step

            await self._transact(take)
        finally:
            self._turn.release()
        name = f"oadr{type(message).__name__}"
        self._contact.heard(name, now)
        log.info("pushed", message=name, code=_code(answers[-1]))
        self.wake()  # what it makes us owe
        return answers[-1]

    # --- what the bridge asks -----------------------------------------------------------------------------------------

    async def opt(self, asked: EventOpt, now: datetime, beside: Beside[str] | None = None) -> str:
        """Owe an oadrCreateOpt for some resources of an event and return its optID once it is durable.

        '' means that the event was sent with ``never`` (R206). ``beside`` is written in the same transaction and is
        given the optID. Raises ``NotRegistered``, ``InvalidId``.
        """
        opt_id = await self._store.transact(
            lambda state: opts.qualify(state, asked, now=now, new_id=self._new_id), beside
        )
        self.wake()
        return opt_id

    async def opt_schedule(self, asked: ScheduleOpt, now: datetime, beside: Beside[str] | None = None) -> str:
        """Owe an oadrCreateOpt with a schedule and return its optID once it is durable. Raises ``NotRegistered``."""
        opt_id = await self._store.transact(
            lambda state: opts.schedule(state, asked, now=now, new_id=self._new_id), beside
        )
        self.wake()
        return opt_id

    async def cancel_opt(self, opt_id: str, now: datetime, beside: Beside[str] | None = None) -> None:
        """Owe an oadrCancelOpt for a schedule. Raises ``NotRegistered``."""
        await self._store.transact(
            lambda state: opts.cancel(state, opt_id=opt_id, now=now, new_id=self._new_id), beside
        )
        self.wake()

    async def leave(self) -> None:
        """Cancel the registration for good (R401): durable when this returns, told to the VTN after it."""
        now = self._clock.now()
        await self._transact(lambda state: Step(state=registration.leave(state, now, self._rules)))
        log.warning("the operator leaves the VTN")
        self.wake()

    async def enter(self) -> None:
        """Register again after ``leave``."""
        await self._transact(lambda state: Step(state=registration.enter(state)))
        self.wake()

    @property
    def status(self) -> VenStatus:
        """How the VEN stands now."""
        return self._contact.status(self._store.snapshot)

    @property
    def last_contact(self) -> datetime | None:
        """When the VTN was last heard since the start, ``None`` if it was not."""
        return self._contact.last

    @property
    def patience_s(self) -> float:
        """How long a VTN that is well may be silent, s: a few poll intervals."""
        return self._contact.patience_s(self._store.snapshot)

    async def health(self) -> None:
        """Return if registered and in contact; raises ``Unwell``."""
        self._contact.check(self._store.snapshot, self._clock.now())

    # --- one turn -----------------------------------------------------------------------------------------------------

    async def _act(self) -> Action:
        async with self._turn:
            self._woken.clear()
            if self._resync:
                await self._transact(lambda state: Step(state=state.linked(resync=True)))
                self._resync = False
            action = self._session.next_action(await self._store.state(), self._clock.now())
            if isinstance(action, Send):
                await self._send(action)
            elif isinstance(action, Gather):
                await self._gather(action)
            return action

    async def _send(self, send: Send) -> None:
        with bound_reference():
            name = f"oadr{type(send.message).__name__}"
            try:
                answer = await self._transport.exchange(send.service, send.message)
            except ExchangeFailed as failed:
                self._contact.failed(name, failed)
                failure = failed.failure
                await self._transact(lambda state: self._session.failed(state, send, failure, self._clock.now()))
                return
            self._answered(name, send, answer)
            await self._transact(lambda state: self._session.answered(state, send, answer.message, self._clock.now()))

    def _answered(self, name: str, send: Send, answer: Answer) -> None:
        self._contact.heard(name, self._clock.now(), answer.vtn_time)
        quiet = send.purpose is Purpose.POLL and _code(answer.message) == 200
        reply = "empty" if answer.message is None else f"oadr{type(answer.message).__name__}"
        (log.debug if quiet else log.info)("exchange", message=name, answer=reply, code=_code(answer.message))

    async def _gather(self, gather: Gather) -> None:
        with bound_reference():
            intervals: tuple[ReportInterval, ...] = ()
            request = gather.stored.request
            if not reports.is_metadata(request):
                try:
                    async with asyncio.timeout(self._settings.collect_timeout_s):
                        intervals = await self._collect(request, gather.start, gather.end)
                except Exception:  # R318: the report goes out all the same, saying that there is no valid data
                    log.exception("report data could not be collected", report_request_id=request.report_request_id)
            await self._transact(lambda state: self._session.collected(state, gather, intervals, self._clock.now()))

    async def _transact(self, change: Callable[[State], Step]) -> None:
        def apply(state: State) -> tuple[State, tuple[tuple[Note, ...], bool]]:
            step = change(state)
            return step.state, (step.notes, _carried_out(step.state) != _carried_out(state))

        notes, changed = await self._store.transact(apply)
        for note in notes:
            (log.warning if note.warning else log.info)(note.what, detail=note.detail)
        state = self._store.snapshot
        self._metrics.standing(registered=state.registration is not None, outbox_depth=len(state.outbox))
        if changed:
            self._on_change()

    async def _pause(self, until: datetime) -> None:
        """Wait until ``until``, for at most ``MAX_WAIT_S``, or until woken."""
        remaining = min((until - self._clock.now()).total_seconds(), MAX_WAIT_S)
        waits = [asyncio.ensure_future(self._clock.sleep(remaining)), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _carried_out(state: State) -> list[tuple[Event, OptType, datetime | None]]:
    """Return what the resources act on: a payload that merely shows the events again is no change."""
    shown = (stored for stored in state.events.values() if not stored.forgotten)
    return [(stored.event, stored.opt_type, stored.cancelled_at) for stored in shown]


def _code(message: Message | None) -> int | None:
    response = getattr(message, "response", None)
    return None if response is None else int(response.response_code)


def _stay_out(_event: Event, _now: datetime) -> Assessment:
    return Assessment(
        response_code=ResponseCode.OK, opt_type=OptType.OPT_OUT, description="this VEN only reports (VEN-10)"
    )


def _rules(
    settings: VenSettings,
    assess: Assess,
    capabilities: Callable[[], tuple[ReportCapability, ...]],
    draw: Draw,
    make_id: Callable[[str], str],
) -> Rules:
    return Rules(
        assess=_stay_out if settings.report_only else assess,
        report_only=settings.report_only,
        capabilities=capabilities,
        draw=draw,
        new_id=make_id,
        ven_name=settings.ven_name,
        ven_id=settings.ven_id,
        query_first=settings.query_first,
        poll_s=settings.poll_s,
        min_poll_s=settings.min_poll_s,
        poll_jitter=settings.poll_jitter,
        reregister_s=settings.reregister_s,
        backoff_first_s=settings.backoff_first_s,
        backoff_max_s=settings.backoff_max_s,
        give_up_after=settings.give_up_after,
        max_owed_reports=settings.max_owed_reports,
        xml_signature=settings.xml_signature,
        push_address=None if settings.push is None else settings.push.address,
        resync_s=3600.0 if settings.push is None else settings.push.resync_s,
    )
