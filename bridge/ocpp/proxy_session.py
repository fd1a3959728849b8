"""One charger between the bridge and its CPO's CSMS: every call of either side, and what was kept for the CSMS.

Rule: what the charger says is passed on as it is and answered by the CSMS; only where that does not answer is it
answered here, and told to the CSMS later, in order. Ours and the CSMS's calls to the charger take turns on one
connection, ours to limit first. What passes is observed, so that a charger behind a CSMS is known as well as one of
our own.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from bridge.ocpp import handlers16, handlers201, profile, proxy_ids, proxy_profiles, proxy_table, proxy_words, schemas
from bridge.ocpp.chores import Chores
from bridge.ocpp.frames import Call, CallError, CallResult, ErrorCode, Version, call_error
from bridge.ocpp.link import Link
from bridge.ocpp.metrics import ProxyMetrics
from bridge.ocpp.proxy_limits import OtherLimits
from bridge.ocpp.proxy_outbox import Outbox, OutboxFull
from bridge.ocpp.proxy_settings import ProxySection
from bridge.ocpp.proxy_table import KnownTokens, Way
from bridge.ocpp.proxy_teller import UNREACHABLE, Teller
from bridge.ocpp.proxy_upstream import Upstream
from bridge.ocpp.rpc import ConnectionGone
from bridge.ocpp.schemas import Checked, OutboundInvalid
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Effect, SessionChanged, Station
from bridge.store import ProxyMessage
from bridge.target import ForeignLimit, LimitSchedule
from runtime.clock import Clock
from runtime.logs import get_logger

_log = get_logger(__name__)
_AFTER_S = 5.0  # our clear of a limit that is over comes first
_OWED_S = 60.0  # after a restart: the supervisor asserts ours again before that, if it is still in force
_CPO = "CSO"  # the charging station operator, as 2.0.1 calls a limit of its CSMS
_PROFILES = frozenset(
    {"SetChargingProfile", "ClearChargingProfile", "RemoteStartTransaction", "RequestStartTransaction"}
)
_STOPS = {Version.V16: "RemoteStopTransaction", Version.V201: "RequestStopTransaction"}

Reply = CallResult | CallError
After = Callable[[], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a session is made of."""

    station: Station
    settings: ProxySection
    ocpp: OcppSettings
    outbox: Outbox
    others: OtherLimits
    tokens: KnownTokens
    clock: Clock
    metrics: ProxyMetrics


class ProxySession:
    """A charger behind a CSMS, through all its connections. ``upstream`` is put in after it is made."""

    def __init__(self, given: Parts) -> None:
        self.settings, self.outbox, self.others = given.settings, given.outbox, given.others
        self._station, self._ocpp, self._clock, self._metrics = given.station, given.ocpp, given.clock, given.metrics
        self._tokens = given.tokens
        self.upstream: Upstream
        self.link: Link | None = None
        self._teller = Teller(
            outbox=given.outbox,
            settings=given.settings,
            clock=given.clock,
            metrics=given.metrics,
            rpc=lambda: self.upstream.rpc,
            judge=self._judge,
            idle=self._idle,
        )
        self._told: LimitSchedule | None = None
        self._minding: asyncio.Task[Any] | None = None
        self._chores = Chores(given.station.config.identity, "proxy task failed")
        self._log = _log.bind(charger=given.station.config.identity)

    def start(self) -> None:
        """Begin to tell the CSMS what was kept; without a charger only if we know how to dial for it."""
        self._chores.spawn(self._teller.run())
        waiting = self.outbox.first()
        if waiting is not None and self.settings.auth != "pass":
            self.upstream.start(Version(waiting.version), None)

    async def stop(self) -> None:
        """Close the connection to the CSMS and end all work."""
        await self._chores.close()
        await self.upstream.stop()

    async def charger_came(self, link: Link, authorization: str | None) -> None:
        """The charger has connected: so does it, to its CSMS."""
        await self.upstream.stop()
        self.link = link
        self.upstream.start(link.rpc.version, authorization)
        if self.others.owed:
            self._mind(_OWED_S)

    async def charger_went(self, link: Link) -> None:
        """The charger's connection is gone; the CSMS's goes with it once all is told."""
        if self.link is link:
            self.link = None
            if self.outbox.first() is None:
                await self.upstream.stop()

    def changed(self) -> None:
        """Something may be sent now that could not before."""
        self._teller.wake()

    async def _idle(self) -> None:
        """All is told: without its charger the connection has no more use."""
        if self.link is None and self.upstream.running:
            await self.upstream.stop()

    # -- calls of the charger -----------------------------------------------------------------------------------------

    async def from_charger(self, call: Call) -> tuple[Reply, After]:
        """Answer a call of the charger: as the CSMS does, or in its place."""
        link = self.link
        version, now = self.upstream.version, self._clock.now()
        self._station.last_seen = now
        checked = proxy_words.read(version, call)
        if checked is not None and proxy_table.for_us(self._station, call.action, checked.payload):
            table = handlers16.HANDLERS if version is Version.V16 else handlers201.HANDLERS
            reply, effects = table[call.action](self._station, checked.payload, now)
            return CallResult(unique_id=call.unique_id, payload=reply), lambda: self._after(link, effects)
        self._metrics.relayed.labels("charger").inc()
        if not self.upstream.tried.is_set():
            await self._first_dial()
        how = proxy_table.way(version, call.action)
        try:
            if how is Way.JOURNALED:
                return await self._journaled(call, version, checked, link)
            return await self._passed(call, version, checked, link, keep=how is Way.KEPT)
        except OutboxFull as full:
            self._log.error("message not taken", action=call.action, why=str(full))
            return call_error(call.unique_id, ErrorCode.GENERIC, "no more is kept for the CSMS", version), None
        except SQLAlchemyError as error:  # the charger keeps it
            self._log.error("message not written down", action=call.action, why=proxy_words.fault(error))
            return call_error(call.unique_id, ErrorCode.INTERNAL, "internal error", version), None

    async def _first_dial(self) -> None:
        try:
            async with asyncio.timeout(self.settings.answer_timeout_s):
                await self.upstream.tried.wait()
        except TimeoutError:
            self._log.info("the first dial takes long: answered here")

    async def _passed(
        self, call: Call, version: Version, checked: Checked | None, link: Link | None, *, keep: bool
    ) -> tuple[Reply, After]:
        """Pass a call on at once; answer it here if that fails."""
        rpc, message_id = self.upstream.rpc, self.outbox.new_message_id()
        in_order = not keep or call.action == "BootNotification" or self.outbox.first() is None
        if rpc is not None and in_order:
            try:
                out = Call(unique_id=message_id, action=call.action, payload={}, tail=call.tail)
                reply = await rpc.forward(out, deadline_s=self.settings.answer_timeout_s)
                return self._heard(call, version, checked, link, reply)
            except UNREACHABLE as error:
                self._log.info("the CSMS did not answer", action=call.action, why=str(error))
        local = self._for_csms(call, version, checked)
        if local is None:
            return call_error(call.unique_id, ErrorCode.GENERIC, "the CSMS cannot be reached", version), None
        own, effects, _ = local
        if keep:
            await self.outbox.add(version, call.action, call.tail, message_id=message_id, answer=own.tail)
            self._teller.note_kept()
        return own, lambda: self._after(link, effects)

    async def _journaled(
        self, call: Call, version: Version, checked: Checked | None, link: Link | None
    ) -> tuple[Reply, After]:
        """Write a message down, then tell the CSMS; answer it here if that fails. Once told is told."""
        known = self.outbox.find(call.tail)
        if known is not None and known.answer:
            self._metrics.repeated.inc()
            return proxy_words.told(call, known.answer.encode()), lambda: self._after(link, ())
        if known is None and checked is None and self.upstream.rpc is None:
            return call_error(call.unique_id, ErrorCode.GENERIC, "the CSMS cannot be reached", version), None
        alone = self.outbox.first() is None or known is self.outbox.first()
        message = known
        if message is None:
            message = await self.outbox.add(version, call.action, call.tail)
            self._teller.note_kept()
        if alone and self.upstream.rpc is not None:
            reply = await self._teller.told_now(message)
            if reply is not None:
                return self._heard(call, version, checked, link, reply)
        local = self._for_csms(call, version, checked)
        if local is None:  # told later; the charger asks again, and is known by its words
            return call_error(call.unique_id, ErrorCode.GENERIC, "the CSMS cannot be reached", version), None
        answer, effects, provisional = local
        promised = await self.outbox.promise(message.seq, answer.tail, provisional)
        if promised is None and (late := self.outbox.find(call.tail)) is not None and late.answer:
            return proxy_words.told(call, late.answer.encode()), lambda: self._after(link, ())
        return answer, lambda: self._after(link, effects)

    def _heard(
        self, call: Call, version: Version, checked: Checked | None, link: Link | None, reply: Reply
    ) -> tuple[Reply, After]:
        """The CSMS has answered: so is the charger, and what both said is learnt from."""
        passed = proxy_words.under(call.unique_id, reply)
        if isinstance(reply, CallError):
            return passed, None
        answer = proxy_words.read_answer(version, call.action, reply.payload)
        effects: tuple[Effect, ...] = ()
        if checked is not None and answer is not None:
            self._learn_token(call.action, checked, answer)
            effects = proxy_table.observe(
                version, self._station, call.action, checked.payload, answer.payload, self._clock.now()
            )
        return passed, lambda: self._after(link, effects)

    def _learn_token(self, action: str, checked: Checked, answer: Checked) -> None:
        token, status = proxy_table.token_of(action, checked.payload), proxy_table.token_status(answer.payload)
        if token is not None and status is not None:
            self._tokens.learn(token, status)

    def _for_csms(
        self, call: Call, version: Version, checked: Checked | None
    ) -> tuple[CallResult, tuple[Effect, ...], int | None] | None:
        """Answer in the place of the CSMS; ``None`` where nobody else can."""
        if checked is None:
            return None
        token = proxy_table.token_of(call.action, checked.payload)
        provisional = self.outbox.next_provisional()
        found = proxy_table.answer_for_csms(
            version,
            self._station,
            call.action,
            checked.payload,
            self._clock.now(),
            token_status=self._tokens.status(self.settings.offline_authorize, token),
            interval_s=self._ocpp.heartbeat_s,
            provisional=provisional,
        )
        if found is None:
            return None
        self._metrics.answered.inc()
        payload, effects = found
        reply = CallResult(unique_id=call.unique_id, payload=payload, tail=msgspec.json.encode(payload))
        return reply, effects, provisional if call.action == "StartTransaction" else None

    def _after(self, link: Link | None, effects: tuple[Effect, ...]) -> None:
        if link is None or self.link is not link:
            return
        for effect in effects:
            if isinstance(effect, SessionChanged) and not effect.started:
                self._chores.spawn(self.others.session_ended(effect.connector))
        link.tell(effects)

    async def _judge(self, message: ProxyMessage, reply: CallResult) -> None:
        """A session that the CSMS does not allow, begun while it could not be asked, is ended as it would have."""
        status = proxy_table.token_status(reply.payload)
        if status in (None, "Accepted", "ConcurrentTx") or not self.settings.stop_refused:
            return
        version = Version(message.version)
        fields = msgspec.json.decode(proxy_ids.parts(message.tail.encode())[1])
        number = message.provisional or fields.get("transactionInfo", {}).get("transactionId")
        link = self.link
        if link is None or number is None or self._station.connector_of(str(number)) is None:
            return
        self._log.warning("the CSMS does not allow a session that began while it was away", status=status)
        try:
            await link.rpc.call(_STOPS[version], {"transactionId": number})
        except (*UNREACHABLE, OutboundInvalid) as error:
            self._log.warning("the session could not be ended", why=str(error))

    # -- calls of the CSMS --------------------------------------------------------------------------------------------

    async def from_csms(self, call: Call) -> tuple[Reply, After]:
        """Answer a call of the CSMS: as the charger does; its profiles are resolved against ours."""
        self._metrics.relayed.labels("csms").inc()
        version = self.upstream.version
        call = Call(
            unique_id=call.unique_id,
            action=call.action,
            payload=call.payload,
            tail=proxy_ids.to_charger(call.tail, self.outbox.actual),
        )
        if proxy_words.is_password(call) and self._ocpp.security_profile in (1, 2):
            self._log.warning("the charger's password is the bridge's to change", action=call.action)
            return call_error(call.unique_id, ErrorCode.NOT_SUPPORTED, "set at the gateway", version), None
        try:
            reply = await self._treat(call, version)
        except UNREACHABLE as error:
            return call_error(call.unique_id, ErrorCode.GENERIC, f"the charger: {error}", version), None
        except SQLAlchemyError as error:
            self._log.error("call of the CSMS not treated", action=call.action, why=proxy_words.fault(error))
            return call_error(call.unique_id, ErrorCode.INTERNAL, "internal error", version), None
        return proxy_words.under(call.unique_id, reply), self._attribute if call.action in _PROFILES else None

    def _attribute(self) -> None:
        """Say whose limits the charger is under besides ours: the CPO's, as they passed here (ARB-13)."""
        now, station = self._clock.now(), self._station
        found = proxy_profiles.strictest(station.others, now)
        relayed = [limit for limit in station.foreign.values() if limit.by == "relayed"]
        effects: tuple[Effect, ...] = ()
        for gone in [limit for limit in relayed if limit.connector not in found]:
            effects += station.drop_foreign(gone.source, gone.connector, gone.by)
        for connector, (each, limit_a) in found.items():
            detail = f"{each.purpose} {each.number} at level {each.level}"
            effects += station.note_foreign(
                ForeignLimit(source=_CPO, connector=connector, by="relayed", since=now, limit_a=limit_a, detail=detail)
            )
        if self.link is not None and effects:
            self.link.tell(effects)

    async def _treat(self, call: Call, version: Version) -> Reply:
        match call.action:
            case "SetChargingProfile":
                return await self.others.set(call, version, self.forward)
            case "ClearChargingProfile":
                return await self.others.clear(call, version, self.forward)
            case "RemoteStartTransaction" | "RequestStartTransaction":
                return await self.others.started(call, version, self.forward)
            case _:
                return await self.forward(call)

    async def forward(self, call: Call) -> Reply:
        """Send a call of the CSMS to the charger. Raises ``CallFailed``, ``CallTimeout`` or ``ConnectionGone``."""
        link = self.link
        if link is None:
            raise ConnectionGone("not connected", sent=False)
        out = Call(unique_id="", action=call.action, payload=call.payload, tail=call.tail)
        return await link.rpc.forward(out)

    # -- our limits ---------------------------------------------------------------------------------------------------

    async def limited(self, schedule: LimitSchedule) -> None:
        """The charger has taken a limit of ours: a 2.0.1 CSMS is told of it (K12)."""
        self._mind((schedule.end - self._clock.now()).total_seconds() + _AFTER_S)
        if not self._tells() or proxy_profiles.same_limit(self._told, schedule):
            return
        options = self._station.options(self._ocpp)
        plan = profile.make_plan(schedule, options, self._clock.now())
        if plan is not None:
            self._told = schedule
            await self._say("NotifyChargingLimit", proxy_profiles.limit_notice(plan, self.settings.limit_source))

    async def freed(self) -> None:
        """Nothing of ours limits the charger any more: it gets back what it is owed, the CSMS hears of it (K13)."""
        if self._told is not None:
            self._told = None
            if self._tells():
                await self._say("ClearedChargingLimit", {"chargingLimitSource": self.settings.limit_source})
        if self.others.owed and self.link is not None:
            try:
                await self.others.restore(self.forward)
            except UNREACHABLE as error:
                self._log.warning("the CPO's profile is not back yet", why=str(error))

    def _mind(self, wait_s: float) -> None:
        """See after a while that nothing of ours has been left to be cleaned up."""
        if self._minding is not None:
            self._minding.cancel()
        self._minding = self._chores.spawn(self._look_after(wait_s))

    async def _look_after(self, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        if not self.others.ours_in_force():
            await self.freed()

    def _tells(self) -> bool:
        return self.settings.tell_limits and self._station.version is Version.V201

    async def _say(self, action: str, payload: dict[str, Any]) -> None:
        """Tell the CSMS something of our own, as everything else: in order, and later if it is away."""
        schemas.check_outbound(Version.V201, action, payload)
        tail = proxy_ids.join(action, msgspec.json.encode(payload))
        try:
            await self.outbox.add(Version.V201, action, tail, answer=b"{}")
            self._teller.note_kept()
        except OutboxFull as full:
            self._log.error("the CSMS will not hear of a limit", why=str(full))
