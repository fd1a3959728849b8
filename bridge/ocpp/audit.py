"""Reads back what a charger holds after a limit was accepted, and finds limits that are not ours (OCP-06, OCP-07).

Rule: advice only. What it finds is told and logged with the one who, as the charger says, set it; no limit of ours
counts as obeyed or broken by it, which only the meter decides. A schedule that the meter contradicted twice is no
longer believed.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from typing import Any

from bridge.ocpp import profile
from bridge.ocpp.commands import Installed
from bridge.ocpp.frames import Version
from bridge.ocpp.link import Link
from bridge.ocpp.readback import ReadBack, Verdict, composite, judge, not_ours
from bridge.ocpp.rpc import CallFailed, CallTimeout, ConnectionGone
from bridge.ocpp.schemas import OutboundInvalid
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Station
from bridge.target import ForeignLimit
from runtime.clock import Clock
from runtime.logs import get_logger

_log = get_logger(__name__)
_LENGTH_S = 600  # of the composite schedule asked for: only its beginning matters
_BELIEVED_LIES = 2  # after so many a composite schedule below ours is no sign of a foreign limit
_UNKNOWN = "unknown"  # who limits a charger that cannot say
_request_ids = count(2**30)  # a CSMS behind the bridge counts its own from 1


async def read_back(link: Link, settings: OcppSettings, installed: Installed, clock: Clock) -> ReadBack:
    """Ask for the composite schedule, weigh it against ours and the meter, and look for whose a stricter one is."""
    station, now = link.station, clock.now()
    connector = min(station.sessions, default=1)
    options = station.options(settings)
    v16 = link.rpc.version is Version.V16
    where = {"connectorId": connector} if v16 else {"evseId": connector}
    question = where | {"duration": _LENGTH_S, "chargingRateUnit": options.unit}
    answer = await _ask(link, "GetCompositeSchedule", question)
    expected = _expected_a(installed, station, options, now)
    found = judge(composite(answer, station.rating, now), expected, _power(station, installed), station.rating)
    _log.info(
        "limit read back",
        charger=link.rpc.identity,
        verdict=found.verdict.value,
        said_a=found.said_a,
        expected_a=found.expected_a,
    )
    if found.verdict is Verdict.LIES:
        station.composite_lies += 1
    if found.verdict is Verdict.AGREES:
        link.tell(station.drop_foreign(_UNKNOWN, None, "composite"))
    elif not (not v16 and await _look_at_profiles(link, installed, settings, now)):
        _suspect(link, found, connector, now)
    return found


async def _look_at_profiles(link: Link, installed: Installed, settings: OcppSettings, now: datetime) -> bool:
    """2.0.1: have the station list what is installed and by whom (K09). ``False`` if it does not say."""
    station, request_id = link.station, next(_request_ids)
    station.reports[request_id] = []
    link.reported[request_id] = asyncio.Event()
    try:
        question = {"requestId": request_id, "chargingProfile": {}}
        status = (await _ask(link, "GetChargingProfiles", question)).get("status")
        if status == "Accepted":
            async with asyncio.timeout(settings.profile_report_s):
                await link.reported[request_id].wait()
        elif status != "NoProfiles":
            return False
    except TimeoutError:
        return False
    finally:
        del link.reported[request_id]
        found = station.reports.pop(request_id)
    options = station.options(settings)
    number = installed.schedule.schedule_id if installed.schedule is not None else 0
    first = options.id_base + number * profile.IDS_PER_SCHEDULE
    foreign = not_ours(found, {*range(first, first + profile.IDS_PER_SCHEDULE), *installed.ids})
    seen = {(limit.source, limit.connector) for limit in foreign}
    for limit in tuple(station.foreign.values()):
        if limit.by == "profiles" and (limit.source, limit.connector) not in seen:
            link.tell(station.drop_foreign(limit.source, limit.connector, "profiles"))
    for limit in foreign:
        link.tell(station.note_foreign(limit))
    return bool(foreign)


def _suspect(link: Link, found: ReadBack, connector: int, now: datetime) -> None:
    """A composite schedule below ours is a limit of somebody: unless one is known, of somebody unknown."""
    station = link.station
    told = any(limit.source != _UNKNOWN for limit in station.foreign.values())
    if found.verdict is not Verdict.STRICTER or told or not _believed(station):
        return
    limit = ForeignLimit(source=_UNKNOWN, connector=connector, by="composite", since=now, limit_a=found.said_a)
    link.tell(station.note_foreign(limit))


def _believed(station: Station) -> bool:
    return station.composite_lies < _BELIEVED_LIES and station.knobs.composite is not False


def _expected_a(installed: Installed, station: Station, options: profile.ProfileOptions, now: datetime) -> float | None:
    """Return what our schedule lets through now on one connector, A per phase; ``None`` for no limit."""
    plan = profile.make_plan(installed.schedule, options, now) if installed.schedule is not None else None
    if plan is None or plan.start > now:
        return None
    since_s = (now - plan.start).total_seconds()
    shared = profile.for_session(plan, len(station.sessions), options.decimals)
    value = [value for at, value in shared.periods if at <= since_s][-1]
    return value / (station.rating.phases * station.rating.voltage) if plan.unit == "W" else value


def _power(station: Station, installed: Installed) -> float | None:
    """Return the charger's power if it was metered after the limit was accepted, and of one session only."""
    reading, since = station.last_reading, installed.accepted_at
    if reading is None or since is None or reading.at <= since or len(station.sessions) > 1:
        return None
    return reading.power_w


async def _ask(link: Link, action: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return await link.rpc.call(action, payload)
    except (CallFailed, CallTimeout, ConnectionGone, OutboundInvalid) as error:
        _log.info("charger did not say", charger=link.rpc.identity, action=action, why=str(error))
        return {}
