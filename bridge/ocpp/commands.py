"""Set and clear a limit on one connected charger: profiles out, the charger's word mapped to a ``CommandResult``.

Rule: the running session gets a TxProfile and the next one a TxDefaultProfile, because chargers differ in which they
obey (C.1 of the field notes: errata 3.8). An answer is only what the charger said; whether it obeys is for the meter
to tell.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from bridge.ocpp import profile
from bridge.ocpp.frames import Version
from bridge.ocpp.profile import Plan, ProfileOptions, Session
from bridge.ocpp.proxy_profiles import merge
from bridge.ocpp.quirks import PURPOSES, Knobs
from bridge.ocpp.rpc import CallFailed, CallTimeout, ConnectionGone, RpcConnection
from bridge.ocpp.schemas import OutboundInvalid
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Station
from bridge.ocpp.turns import URGENT
from bridge.ocpp.window import Window, make_window, next_write
from bridge.target import CommandOutcome, LimitSchedule

_ALIKE = 64  # one event to a fleet: chargers of one kind are told the same, which is worked out once
_WRITES_KEPT = 720  # one in five seconds for an hour: more than any setting allows
DEFAULT, SESSION, STATION = "TxDefaultProfile", "TxProfile", "StationMax"
STATION_NAMES = {Version.V16: "ChargePointMaxProfile", Version.V201: "ChargingStationMaxProfile"}
_NO = frozenset({"PropertyConstraintViolation", "OccurrenceConstraintViolation", "OccurenceConstraintViolation"})
_OUTCOMES = {
    "Accepted": CommandOutcome.ACCEPTED,
    "Rejected": CommandOutcome.REJECTED,
    "NotSupported": CommandOutcome.NOT_SUPPORTED,
}
_CANNOT = frozenset({"NotImplemented", "NotSupported"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How one profile message ended."""

    outcome: CommandOutcome
    word: str

    @property
    def final(self) -> bool:
        """Whether it makes no sense to send the next message."""
        return self.outcome in {CommandOutcome.OFFLINE, CommandOutcome.TIMEOUT}


@dataclass(slots=True, kw_only=True)
class Installed:
    """What we believe is on the charger: the schedule in force and the profile ids that it said yes to."""

    schedule: LimitSchedule | None = None
    ids: set[int] = field(default_factory=set)
    due: datetime | None = None  # when the next part of the schedule, or a default profile put off, is to be sent
    writes: deque[datetime] = field(default_factory=lambda: deque(maxlen=_WRITES_KEPT))  # of default profiles
    renewal: asyncio.Task[None] | None = None  # sends each next part of the schedule
    reading: asyncio.Task[None] | None = None  # waits to read the limit back
    accepted_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # one command at a time: set and clear never interleave
    out_of_service: bool = False  # by us, for want of a limit that the charger takes
    commanding: bool = False  # a limit is being set or cleared
    overtaking: int = 0  # newer commands that wait for that to end: it stops at its next message

    def due_by(self, at: datetime | None) -> None:
        """Have something sent at ``at``, unless something is due sooner."""
        self.due = min((each for each in (self.due, at) if each is not None), default=None)

    @asynccontextmanager
    async def command(self, rpc: RpcConnection) -> AsyncIterator[None]:
        """Take the turn to set or clear a limit; one that is under way yields to it, for the newer one rules."""
        self.overtaking += 1
        if self.commanding:
            rpc.hurry()
        try:
            await self.lock.acquire()
        finally:
            self.overtaking -= 1
        self.commanding = True
        try:
            yield
        finally:
            self.commanding = False
            self.lock.release()


async def install(
    rpc: RpcConnection,
    station: Station,
    settings: OcppSettings,
    installed: Installed,
    schedule: LimitSchedule,
    now: datetime,
) -> Reply:
    """Send ``schedule`` for every running session and for those to come. The result is that of what matters now."""
    options = station.options(settings)
    plan = _planned(station, options, schedule, now)
    if isinstance(plan, Reply):
        return plan
    before, installed.due = installed.due, None
    part = _part(station, settings, plan, now)
    sessions = station.running
    again = installed.schedule is not None and installed.schedule.schedule_id == schedule.schedule_id
    per_hour = station.knobs.writes_per_hour or settings.default_writes_per_hour
    later = next_write(installed.writes, per_hour, now) if sessions and again else None
    await _drop_others(rpc, installed, schedule.schedule_id, options)
    purposes = station.knobs.purposes or PURPOSES
    shared = profile.for_session(part.plan, len(sessions), options.decimals)
    told = sessions if SESSION in purposes else ()
    replies = await install_for(rpc, installed, schedule.schedule_id, shared, told, options)
    if not any(reply.final for _, reply in replies):
        bound = any(reply.outcome is CommandOutcome.ACCEPTED for _, reply in replies)
        if later is not None and bound:
            installed.due = later  # flash wear: the session's own profile rules, and one that begins gets its own
        else:
            installed.writes.append(now)
            rungs = tuple(each for each in (DEFAULT, STATION) if each in purposes and not (bound and each == STATION))
            replies += await install_lasting(rpc, installed, schedule.schedule_id, part.plan, rungs, options)
    result = _sum_up(replies)
    if result.outcome is CommandOutcome.ACCEPTED or result.outcome is CommandOutcome.TIMEOUT:
        installed.schedule, installed.accepted_at = schedule, now
        installed.due_by(part.renew_at)
    else:
        installed.due = before  # what was there may well be there still, and goes on in its parts
    return result


def _planned(station: Station, options: ProfileOptions, schedule: LimitSchedule, now: datetime) -> Plan | Reply:
    """Return what to send of a schedule, or why nothing of it can be sent to this charger."""
    try:
        profile.profile_id(schedule.schedule_id, profile.IDS_PER_SCHEDULE - 1, options)
        plan = _plan(schedule, options, now.replace(microsecond=0))
    except ValueError as error:
        return Reply(outcome=CommandOutcome.ERROR, word=str(error))
    if plan is None:
        return Reply(outcome=CommandOutcome.ERROR, word="the schedule limits nothing from now on")
    refusal = _cannot(station.knobs, plan)
    return Reply(outcome=CommandOutcome.NOT_SUPPORTED, word=refusal) if refusal else plan


def _cannot(knobs: Knobs, plan: Plan) -> str:
    """Return why a charger of this kind cannot be given a plan; "" if it can be tried."""
    if knobs.smart_charging is False:
        return "not enrolled: this kind of charger takes no charging profiles (OCP-08)"
    if knobs.zero == "refused" and any(value == 0 for _, value in plan.periods):
        return "this kind of charger takes no limit of 0"
    return ""


async def install_lasting(
    rpc: RpcConnection,
    installed: Installed,
    schedule_id: int,
    plan: Plan,
    rungs: Sequence[str],
    options: ProfileOptions,
) -> list[tuple[str, Reply]]:
    """Send what outlives sessions: the default profile, or where the answer to that is no the station's maximum."""
    replies: list[tuple[str, Reply]] = []
    for purpose in rungs:
        reply = await _install_one(rpc, installed, schedule_id, plan, None, options, station=purpose == STATION)
        replies.append((purpose, reply))
        if reply.outcome not in (CommandOutcome.REJECTED, CommandOutcome.NOT_SUPPORTED):
            break
    return replies


async def install_for(
    rpc: RpcConnection,
    installed: Installed,
    schedule_id: int,
    plan: Plan,
    sessions: Sequence[Session],
    options: ProfileOptions,
) -> list[tuple[str, Reply]]:
    """Send ``plan`` to each of ``sessions``, up to the first after which no more makes sense."""
    replies: list[tuple[str, Reply]] = []
    for session in sessions:
        reply = await _install_one(rpc, installed, schedule_id, plan, session, options)
        replies.append((SESSION, reply))
        if reply.final:
            break
    return replies


async def extend(
    rpc: RpcConnection, station: Station, settings: OcppSettings, installed: Installed, now: datetime
) -> Reply | None:
    """Bind the schedule in force to the sessions that run now; ``None`` if there is no schedule."""
    schedule = installed.schedule
    options = station.options(settings)
    plan = profile.make_plan(schedule, options, now) if schedule is not None else None
    if schedule is None or plan is None:
        return None
    part = _part(station, settings, plan, now)
    sessions = station.running
    if _cannot(station.knobs, plan) or SESSION not in (station.knobs.purposes or PURPOSES):
        return None
    shared = profile.for_session(part.plan, len(sessions), options.decimals)
    replies = await install_for(rpc, installed, schedule.schedule_id, shared, sessions, options)
    installed.due_by(part.renew_at)
    return _sum_up(replies) if replies else None


def unknown_is_gone(reply: Reply) -> Reply:
    """What the charger does not know is not there."""
    return Reply(outcome=CommandOutcome.ACCEPTED, word="Unknown") if reply.word == "Unknown" else reply


async def set_available(rpc: RpcConnection, available: bool) -> Reply:
    """Take the whole charger out of service, or back (ARB-17). *Scheduled* is a yes for when the session is over."""
    state = "Operative" if available else "Inoperative"
    v16 = rpc.version is Version.V16
    payload = {"connectorId": 0, "type": state} if v16 else {"operationalStatus": state}
    answer, reply = await ask(rpc, "ChangeAvailability", payload)
    if answer.get("status") == "Scheduled":
        return Reply(outcome=CommandOutcome.ACCEPTED, word=reply.word)
    return reply


async def stop_sessions(rpc: RpcConnection, station: Station) -> Reply:
    """End every running session (ARB-17)."""
    worst = Reply(outcome=CommandOutcome.ACCEPTED, word="no session")
    for session in station.running:
        if rpc.version is Version.V16:
            number = {"transactionId": int(session.transaction_id)}
            _, reply = await ask(rpc, "RemoteStopTransaction", number)
        else:
            _, reply = await ask(rpc, "RequestStopTransaction", {"transactionId": session.transaction_id})
        if worst.outcome is CommandOutcome.ACCEPTED:
            worst = reply
        if reply.final:
            break
    return worst


async def trigger(rpc: RpcConnection, message: str, connector: int | None) -> Reply:
    """Ask for a message (OCP-12). *NotImplemented* is a charger that cannot send it when asked."""
    payload: dict[str, Any] = {"requestedMessage": message}
    if connector is not None:
        payload |= {"connectorId": connector} if rpc.version is Version.V16 else {"evse": {"id": connector}}
    answer, reply = await ask(rpc, "TriggerMessage", payload)
    if answer.get("status") == "NotImplemented":
        return Reply(outcome=CommandOutcome.NOT_SUPPORTED, word=reply.word)
    return reply


async def _install_one(
    rpc: RpcConnection,
    installed: Installed,
    schedule_id: int,
    plan: Plan,
    session: Session | None,
    options: ProfileOptions,
    *,
    station: bool = False,
) -> Reply:
    try:
        payload = _payload(rpc.version, schedule_id, merge(plan, session, options), session, options, station)
        number = profile.profile_id(schedule_id, session.connector if session else 0, options)
    except ValueError as error:
        return Reply(outcome=CommandOutcome.NOT_SUPPORTED, word=str(error))
    answer, reply = await ask(rpc, "SetChargingProfile", payload, installed)
    if _duplicate(answer):  # 2.0.1 K01.FR.06: another id of ours sits on the same stack level, from before a restart
        purpose = SESSION if session else STATION_NAMES[rpc.version] if station else DEFAULT
        await ask(rpc, "ClearChargingProfile", profile.clear_stack_201(purpose, options), installed)
        answer, reply = await ask(rpc, "SetChargingProfile", payload, installed)
    if reply.outcome in {CommandOutcome.ACCEPTED, CommandOutcome.TIMEOUT}:  # after a time-out it may well be there
        installed.ids.add(number)
    return reply


@lru_cache(maxsize=_ALIKE)
def _plan(schedule: LimitSchedule, options: ProfileOptions, now: datetime) -> Plan | None:
    return profile.make_plan(schedule, options, now)


def _part(station: Station, settings: OcppSettings, plan: Plan, now: datetime) -> Window:
    """Return the part of a plan that goes into one profile now."""
    return _window(plan, station.most_periods(settings), settings.longest_profile_s, now.replace(microsecond=0))


@lru_cache(maxsize=_ALIKE)
def _window(plan: Plan, most: int, longest_s: int, now: datetime) -> Window:
    return make_window(plan, most, longest_s, now)


@lru_cache(maxsize=_ALIKE)
def _payload(
    version: Version, schedule_id: int, plan: Plan, session: Session | None, options: ProfileOptions, station: bool
) -> Mapping[str, Any]:
    if version is Version.V16:
        if station:
            return profile.station_profile_16(schedule_id, plan, options)
        if session is None:
            return profile.default_profile_16(schedule_id, plan, options)
        return profile.session_profile_16(schedule_id, plan, session, options)
    if station:
        return profile.station_profile_201(schedule_id, plan, options)
    if session is None:
        return profile.default_profile_201(schedule_id, plan, options)
    return profile.session_profile_201(schedule_id, plan, session, options)


async def _drop_others(rpc: RpcConnection, installed: Installed, schedule_id: int, options: ProfileOptions) -> None:
    """One schedule at a time: 1.6 replaces by purpose and stack level, 2.0.1 wants the old ids cleared first."""
    if not installed.ids:
        return
    keep = {profile.profile_id(schedule_id, c, options) for c in range(profile.IDS_PER_SCHEDULE)}
    for number in sorted(installed.ids - keep):
        if rpc.version is Version.V16:
            installed.ids.discard(number)
        elif (await clear_one(rpc, installed, number)).final:
            return


async def clear_one(rpc: RpcConnection, installed: Installed, number: int) -> Reply:
    """Remove one profile."""
    payload = profile.clear_16(number) if rpc.version is Version.V16 else profile.clear_201(number)
    reply = unknown_is_gone((await ask(rpc, "ClearChargingProfile", payload, installed))[1])
    if reply.outcome is CommandOutcome.ACCEPTED:
        installed.ids.discard(number)
    return reply


async def ask(
    rpc: RpcConnection, action: str, payload: Mapping[str, Any], installed: Installed | None = None
) -> tuple[Mapping[str, Any], Reply]:
    """Call and map: the status word, or the CALLERROR, to an outcome."""
    if installed is not None and installed.overtaking and installed.commanding:
        return {}, Reply(outcome=CommandOutcome.TIMEOUT, word="overtaken by a newer command")
    try:
        answer = await rpc.call(action, payload, priority=URGENT)
    except CallFailed as error:
        return {}, Reply(outcome=_refused(error.code), word=str(error))
    except CallTimeout as error:
        return {}, Reply(outcome=CommandOutcome.TIMEOUT, word=str(error))
    except ConnectionGone as error:
        outcome = CommandOutcome.TIMEOUT if error.sent else CommandOutcome.OFFLINE
        return {}, Reply(outcome=outcome, word=str(error))
    except OutboundInvalid as error:
        return {}, Reply(outcome=CommandOutcome.ERROR, word=str(error))
    word = str(answer.get("status", ""))
    outcome = _OUTCOMES.get(word, CommandOutcome.ERROR)
    info = answer.get("statusInfo")
    detail = f"{word} ({info.get('reasonCode', '')})" if isinstance(info, Mapping) else word
    return answer, Reply(outcome=outcome, word=detail)


def _refused(code: str) -> CommandOutcome:
    """A CALLERROR as an outcome: some chargers say no to a profile by one (field notes C.1)."""
    if code in _CANNOT:
        return CommandOutcome.NOT_SUPPORTED
    return CommandOutcome.REJECTED if code in _NO else CommandOutcome.ERROR


def _duplicate(answer: Mapping[str, Any]) -> bool:
    info = answer.get("statusInfo")
    return isinstance(info, Mapping) and str(info.get("reasonCode", "")).lower() == "duplicateprofile"


def _sum_up(replies: list[tuple[str, Reply]]) -> Reply:
    """The first message that was accepted makes the command accepted; the words of all are kept.

    A running session whose TxProfile is refused falls under an accepted TxDefaultProfile (1.6 errata 3.8, K01.FR.32).
    *Offline* means that nothing was sent; a link lost after the first message leaves the charger in doubt: no answer.
    """
    if not replies:
        return Reply(outcome=CommandOutcome.ACCEPTED, word="no session; it is told when one begins")
    words = "; ".join(f"{purpose} {reply.word}" for purpose, reply in replies)
    chosen = next((reply for _, reply in replies if reply.outcome is CommandOutcome.ACCEPTED), replies[0][1])
    broken = next((reply for _, reply in replies if reply.final), None)
    outcome = (broken or chosen).outcome
    if outcome is CommandOutcome.OFFLINE and len(replies) > 1:
        outcome = CommandOutcome.TIMEOUT
    return Reply(outcome=outcome, word=words)
