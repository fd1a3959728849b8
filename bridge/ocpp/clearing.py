"""Removes limits from a charger, by the way that its kind understands.

Rule: what a charger does not know counts as removed. Where a kind charges on only by another limit, it gets one at its
rating first, for a minute, so that nobody is locked out by a zero of ours (field notes C.3).
"""

from datetime import datetime, timedelta
from typing import Any

from bridge.ocpp import profile
from bridge.ocpp.commands import (
    DEFAULT,
    SESSION,
    STATION,
    STATION_NAMES,
    Installed,
    Reply,
    ask,
    clear_one,
    install_for,
    install_lasting,
    unknown_is_gone,
)
from bridge.ocpp.frames import Version
from bridge.ocpp.profile import Plan, ProfileOptions
from bridge.ocpp.quirks import PURPOSES, Knobs
from bridge.ocpp.rpc import RpcConnection
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Station
from bridge.target import CommandOutcome

_RAISED_S = 60  # how long a charger that only charges on after a limit at its rating holds that one


async def remove(
    rpc: RpcConnection,
    station: Station,
    settings: OcppSettings,
    installed: Installed,
    schedule_id: int,
    now: datetime,
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
        installed.schedule = installed.due = None  # a session that begins now is free
    if station.knobs.smart_charging is False:
        return Reply(outcome=CommandOutcome.ACCEPTED, word="this kind of charger holds no profiles")
    if station.knobs.resume == "raise":
        await _raise(rpc, station, installed, schedule_id, options, now)
    if station.knobs.clear_by not in (None, "id"):
        return await _clear_wide(rpc, installed, station.knobs, block, options)
    worst = Reply(outcome=CommandOutcome.ACCEPTED, word="cleared")
    for number in sorted(wanted, reverse=True):
        reply = await clear_one(rpc, installed, number)
        if reply.outcome is not CommandOutcome.ACCEPTED:
            worst = reply
        if reply.final:
            break
    return worst


async def _raise(
    rpc: RpcConnection,
    station: Station,
    installed: Installed,
    schedule_id: int,
    options: ProfileOptions,
    now: datetime,
) -> None:
    """Put a limit at the charger's rating in the place of ours for a minute: it charges on by nothing less."""
    value = options.rating.max_a * (options.rating.phases * options.rating.voltage if options.unit == "W" else 1.0)
    until = now.replace(microsecond=0) + timedelta(seconds=_RAISED_S)
    start = now.replace(microsecond=0) - timedelta(seconds=options.backdate_s)
    length_s = int((until - start).total_seconds())
    plan = Plan(start=start, duration_s=length_s, valid_to=until, unit=options.unit, periods=((0, float(int(value))),))
    purposes = station.knobs.purposes or PURPOSES
    sessions = station.running
    told = sessions if SESSION in purposes else ()
    replies = await install_for(rpc, installed, schedule_id, plan, told, options)
    if not any(reply.final for _, reply in replies):
        rungs = tuple(each for each in (DEFAULT, STATION) if each in purposes)
        await install_lasting(rpc, installed, schedule_id, plan, rungs, options)


async def _clear_wide(
    rpc: RpcConnection, installed: Installed, knobs: Knobs, block: set[int], options: ProfileOptions
) -> Reply:
    """Clear by what a charger understands that does not know its profiles by their ids (field notes C.4)."""
    found = []
    if knobs.clear_by == "all":
        criteria: tuple[dict[str, Any], ...] = ({},)
    else:
        level = {"stackLevel": options.stack_level} if knobs.clear_by == "stack" else {}
        names = {DEFAULT: DEFAULT, SESSION: SESSION, STATION: STATION_NAMES[rpc.version]}
        wanted = [names[purpose] for purpose in knobs.purposes or (SESSION, DEFAULT, STATION)]
        criteria = tuple({"chargingProfilePurpose": purpose} | level for purpose in wanted)
    for each in criteria:
        payload = each if rpc.version is Version.V16 or not each else {"chargingProfileCriteria": each}
        reply = unknown_is_gone((await ask(rpc, "ClearChargingProfile", payload, installed))[1])
        found.append(reply)
        if reply.final:
            break
    bad = [reply for reply in found if reply.outcome is not CommandOutcome.ACCEPTED]
    if not bad:
        installed.ids -= block
    return bad[-1] if bad else Reply(outcome=CommandOutcome.ACCEPTED, word="cleared")
