"""For chargers that take no limits and whose operator chose so: out of service while the limit is 0, and no session.

Rule: only by opt-in (OCP-08, ARB-17), because it ends sessions or keeps drivers out. Only a limit of 0 can be kept so;
any other is refused, for a charger that can only be off must not look as if it could be less. What was taken out of
service comes back when the schedule ends, is cleared, or says so.
"""

from datetime import datetime, timedelta

from bridge.ocpp import commands
from bridge.ocpp.commands import Installed, Reply
from bridge.ocpp.rpc import RpcConnection
from bridge.ocpp.station import Station
from bridge.target import CommandOutcome, LimitSchedule

_OFF_A = 6.0  # IEC 61851-1: below it a car gets nothing


def needed(station: Station, reply: Reply) -> bool:
    """Tell whether ``reply`` to a schedule leaves the fallback as the only way."""
    return station.config.fallback != "none" and reply.outcome is CommandOutcome.NOT_SUPPORTED


def value_at(schedule: LimitSchedule, now: datetime) -> float | None:
    """Return the limit in force, A per phase; ``None`` for none."""
    if not schedule.start <= now < schedule.end:
        return None
    since_s = (now - schedule.start).total_seconds()
    return [period.limit_a for period in schedule.periods if period.start_s <= since_s][-1]


def next_change(schedule: LimitSchedule, now: datetime) -> datetime | None:
    """Return when the schedule says something else, its end included; ``None`` after that."""
    marks = [schedule.start + timedelta(seconds=period.start_s) for period in schedule.periods]
    return min((at for at in (*marks, schedule.end) if now < at <= schedule.end), default=None)


async def hold(
    rpc: RpcConnection, station: Station, installed: Installed, schedule: LimitSchedule, now: datetime
) -> Reply:
    """Bring the charger to what ``schedule`` says now, as far as being in or out of service can."""
    limits = [period.limit_a for period in schedule.periods if period.limit_a is not None]
    if any(limit >= _OFF_A for limit in limits):
        word = "takes no limits, and its fallback can only switch it off"
        return Reply(outcome=CommandOutcome.NOT_SUPPORTED, word=word)
    installed.schedule, installed.due = schedule, next_change(schedule, now)
    if value_at(schedule, now) is None:
        reply = await release(rpc, installed)
    else:
        reply = await commands.set_available(rpc, False)
        installed.out_of_service = True
        if reply.outcome is CommandOutcome.ACCEPTED and station.config.fallback == "stop" and station.sessions:
            reply = await commands.stop_sessions(rpc, station)
    if reply.outcome is CommandOutcome.ACCEPTED:
        installed.accepted_at = now
    if installed.due is None:
        installed.schedule = None
    return Reply(outcome=reply.outcome, word=f"{station.config.fallback} instead of a limit: {reply.word}")


async def release(rpc: RpcConnection, installed: Installed) -> Reply:
    """Put the charger back into service; also after a restart, when it is not known who took it out."""
    reply = await commands.set_available(rpc, True)
    if reply.outcome is CommandOutcome.ACCEPTED:
        installed.out_of_service = False
    return reply
