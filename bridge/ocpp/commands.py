"""Set and clear a limit on one connected charger: profiles out, the charger's word mapped to a ``CommandResult``.

Rule: the running session gets a TxProfile and the next one a TxDefaultProfile, because chargers differ in which they
obey (C.1 of the field notes: errata 3.8). An answer is only what the charger said; whether it obeys is for the meter
to tell.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.ocpp import profile
from bridge.ocpp.frames import Version
from bridge.ocpp.profile import Plan, ProfileOptions, Session
from bridge.ocpp.rpc import URGENT, CallFailed, CallTimeout, ConnectionGone, RpcConnection
from bridge.ocpp.schemas import OutboundInvalid
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Station
from bridge.target import CommandOutcome, LimitSchedule

_DEFAULT, _SESSION = "TxDefaultProfile", "TxProfile"
_NO = frozenset({"PropertyConstraintViolation", "OccurrenceConstraintViolation", "OccurenceConstraintViolation"})
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
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # one command at a time: set and clear never interleave


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
    try:
        profile.profile_id(schedule.schedule_id, profile.IDS_PER_SCHEDULE - 1, options)
        plan = profile.make_plan(schedule, options, now)
    except ValueError as error:
        return Reply(outcome=CommandOutcome.ERROR, word=str(error))
    if plan is None:
        return Reply(outcome=CommandOutcome.ERROR, word="the schedule limits nothing from now on")
    if (fault := _too_much(station, plan)) is not None:
        return fault
    await _drop_others(rpc, installed, schedule.schedule_id, options)
    sessions = sorted(station.sessions.values(), key=lambda session: session.connector)
    shared = profile.for_session(plan, len(sessions))
    replies: list[tuple[str, Reply]] = []
    for session in (*sessions, None):
        reply = await _install_one(
            rpc, installed, schedule.schedule_id, plan if session is None else shared, session, options
        )
        replies.append((_DEFAULT if session is None else _SESSION, reply))
        if reply.final:
            break
    result = _sum_up(replies)
    if result.outcome is CommandOutcome.ACCEPTED or result.outcome is CommandOutcome.TIMEOUT:
        installed.schedule = schedule
    return result


async def extend(
    rpc: RpcConnection, station: Station, settings: OcppSettings, installed: Installed, now: datetime
) -> Reply | None:
    """Bind the schedule in force to the sessions that run now; ``None`` if there is no schedule."""
    schedule = installed.schedule
    options = station.options(settings)
    plan = profile.make_plan(schedule, options, now) if schedule is not None else None
    if schedule is None or plan is None:
        return None
    sessions = sorted(station.sessions.values(), key=lambda session: session.connector)
    shared = profile.for_session(plan, len(sessions))
    replies = []
    for session in sessions:
        reply = await _install_one(rpc, installed, schedule.schedule_id, shared, session, options)
        replies.append((_SESSION, reply))
    return _sum_up(replies) if replies else None


async def remove(
    rpc: RpcConnection, station: Station, settings: OcppSettings, installed: Installed, schedule_id: int
) -> Reply:
    """Clear every profile of ``schedule_id``. One that the charger does not know counts as cleared."""
    options = station.options(settings)
    connectors = {0, 1, *station.sessions, *(c for c in station.connectors if c < profile.IDS_PER_SCHEDULE)}
    try:
        block = {profile.profile_id(schedule_id, c, options) for c in range(profile.IDS_PER_SCHEDULE)}
        wanted = {profile.profile_id(schedule_id, c, options) for c in connectors} | (installed.ids & block)
    except ValueError as error:
        return Reply(outcome=CommandOutcome.ERROR, word=str(error))
    if installed.schedule is not None and installed.schedule.schedule_id == schedule_id:
        installed.schedule = None  # a session that begins now is free
    worst = Reply(outcome=CommandOutcome.ACCEPTED, word="cleared")
    for number in sorted(wanted, reverse=True):
        reply = await _clear_one(rpc, installed, number)
        if reply.outcome is not CommandOutcome.ACCEPTED:
            worst = reply
        if reply.final:
            break
    return worst


def _too_much(station: Station, plan: Plan) -> Reply | None:
    """Refuse what this charger cannot hold rather than send a part of it."""
    most = station.capabilities.max_periods if station.capabilities else None
    if most is not None and len(plan.periods) > most:
        word = f"the schedule has {len(plan.periods)} periods, the charger takes {most}"
        return Reply(outcome=CommandOutcome.NOT_SUPPORTED, word=word)
    return None


async def _install_one(
    rpc: RpcConnection,
    installed: Installed,
    schedule_id: int,
    plan: Plan,
    session: Session | None,
    options: ProfileOptions,
) -> Reply:
    try:
        payload = _payload(rpc.version, schedule_id, plan, session, options)
        number = profile.profile_id(schedule_id, session.connector if session else 0, options)
    except ValueError as error:
        return Reply(outcome=CommandOutcome.NOT_SUPPORTED, word=str(error))
    answer, reply = await _ask(rpc, "SetChargingProfile", payload)
    if _duplicate(answer):  # 2.0.1 K01.FR.06: another id of ours sits on the same stack level, from before a restart
        purpose = _SESSION if session else _DEFAULT
        await _ask(rpc, "ClearChargingProfile", profile.clear_stack_201(purpose, options))
        answer, reply = await _ask(rpc, "SetChargingProfile", payload)
    if reply.outcome in {CommandOutcome.ACCEPTED, CommandOutcome.TIMEOUT}:  # after a time-out it may well be there
        installed.ids.add(number)
    return reply


def _payload(
    version: Version, schedule_id: int, plan: Plan, session: Session | None, options: ProfileOptions
) -> dict[str, Any]:
    if version is Version.V16:
        if session is None:
            return profile.default_profile_16(schedule_id, plan, options)
        return profile.session_profile_16(schedule_id, plan, session, options)
    if session is None:
        return profile.default_profile_201(schedule_id, plan, options)
    return profile.session_profile_201(schedule_id, plan, session, options)


async def _drop_others(rpc: RpcConnection, installed: Installed, schedule_id: int, options: ProfileOptions) -> None:
    """One schedule at a time: 1.6 replaces by purpose and stack level, 2.0.1 wants the old ids cleared first."""
    keep = {profile.profile_id(schedule_id, c, options) for c in range(profile.IDS_PER_SCHEDULE)}
    for number in sorted(installed.ids - keep):
        if rpc.version is Version.V16:
            installed.ids.discard(number)
        elif (await _clear_one(rpc, installed, number)).final:
            return


async def _clear_one(rpc: RpcConnection, installed: Installed, number: int) -> Reply:
    payload = profile.clear_16(number) if rpc.version is Version.V16 else profile.clear_201(number)
    _, reply = await _ask(rpc, "ClearChargingProfile", payload)
    if reply.word == "Unknown":
        reply = Reply(outcome=CommandOutcome.ACCEPTED, word="Unknown")
    if reply.outcome is CommandOutcome.ACCEPTED:
        installed.ids.discard(number)
    return reply


async def _ask(rpc: RpcConnection, action: str, payload: Mapping[str, Any]) -> tuple[Mapping[str, Any], Reply]:
    """Call and map: the status word, or the CALLERROR, to an outcome."""
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
    outcome = {
        "Accepted": CommandOutcome.ACCEPTED,
        "Rejected": CommandOutcome.REJECTED,
        "NotSupported": CommandOutcome.NOT_SUPPORTED,
    }.get(word, CommandOutcome.ERROR)
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
    words = "; ".join(f"{purpose} {reply.word}" for purpose, reply in replies)
    chosen = next((reply for _, reply in replies if reply.outcome is CommandOutcome.ACCEPTED), replies[0][1])
    broken = next((reply for _, reply in replies if reply.final), None)
    outcome = (broken or chosen).outcome
    if outcome is CommandOutcome.OFFLINE and len(replies) > 1:
        outcome = CommandOutcome.TIMEOUT
    return Reply(outcome=outcome, word=words)
