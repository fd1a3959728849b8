"""Learns what a kind of charger takes, by profiles that do no harm: at its rating, or for a minute an hour from now.

Rule: nothing is probed while a car charges, everything is cleared, and what has no clear answer stays unknown: a
refusal of everything may be this charger's fault, and only *not implemented* means that its kind cannot (OCP-08). Few
calls, one after the other, for some chargers restart when asked for too much.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, Literal

from bridge.ocpp import profile
from bridge.ocpp.commands import STATION_NAMES
from bridge.ocpp.frames import Version
from bridge.ocpp.profile import Plan, ProfileOptions
from bridge.ocpp.quirks import Knobs, Purpose, said
from bridge.ocpp.readback import composite
from bridge.ocpp.rpc import CallFailed, CallTimeout, ConnectionGone, RpcConnection
from bridge.ocpp.schemas import OutboundInvalid
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Station
from runtime.logs import get_logger

_log = get_logger(__name__)
_PROBE = 2  # the schedule number whose profile ids are the probe's: that of limits is 1
_AHEAD = timedelta(hours=1)  # a probe that must not be in force lies so far ahead
_LENGTH_S = 60  # and lasts no longer, should the charger not clear it
_LESS_A = 2.0  # the composite schedule is asked for a limit so far below the rating: no car is there to notice
_NEAR_A = 0.5
_CANNOT = frozenset({"NotImplemented", "NotSupported"})
_MOST_WAYS = 16  # as it is, each way that differs in one thing, and those that differ in two


class _Lost(Exception):
    """The charger is gone or does not answer: what was found so far proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """An answer: taken, and if not whether the charger knows the message at all."""

    yes: bool
    cannot: bool = False


async def probe(rpc: RpcConnection, station: Station, settings: OcppSettings, now: datetime) -> Knobs | None:
    """Return what the charger was found to take; ``None`` if that is not clear."""
    try:
        found = await _probe(rpc, station, settings, now.replace(microsecond=0))
    except _Lost as error:
        _log.info("probe given up", charger=rpc.identity, why=str(error))
        return None
    _log.info(
        "charger probed",
        charger=rpc.identity,
        vendor=station.vendor,
        model=station.model,
        firmware=station.firmware,
        found="nothing clear" if found is None else said(found),
    )
    return found


async def _probe(rpc: RpcConnection, station: Station, settings: OcppSettings, now: datetime) -> Knobs | None:
    composite_says = await _composite(rpc, station, now)
    start = replace(station.options(settings), others=(), min_a=0.0)
    options, refusals = await _first_taken(rpc, start, now)
    if options is None:
        station_max = await _try(rpc, start, _plan(start, now, ((0, 0.0),)), station=True)
        await _clear(rpc, start)
        if station_max.yes:
            return Knobs(smart_charging=True, purposes=("StationMax",), unit=_unit(start))
        unable = composite_says.cannot and station_max.cannot and all(each.cannot for each in refusals)
        return Knobs(smart_charging=False) if unable else None
    found: dict[str, Any] = {"smart_charging": True, "unit": _unit(options)}
    if options.stack_level != start.stack_level:
        found["stack_level"] = options.stack_level
    if options.kind != start.kind:
        found["kind"] = options.kind
    if options.default_connector != start.default_connector:
        found["default_connector"] = options.default_connector
    if options.number_phases != start.number_phases:
        found["number_phases"] = options.number_phases
    found |= await _values(rpc, options, now, station.most_periods(settings))
    found["composite"] = await _tells_truth(rpc, station, options, now)
    found |= await _clears(rpc, options)
    found["purposes"] = await _purposes(rpc, options, now, found.get("clear_by", "id"))
    return Knobs(**{name: value for name, value in found.items() if value is not None})


def _unit(options: ProfileOptions) -> Literal["A", "W"]:
    return "W" if options.unit == "W" else "A"


async def _first_taken(
    rpc: RpcConnection, start: ProfileOptions, now: datetime
) -> tuple[ProfileOptions | None, list[_Word]]:
    """Find the nearest way of speaking that is taken: as it is, else by level, unit, connector and kind."""
    refusals: list[_Word] = []
    for options in _ways(start):
        word = await _try(rpc, options, _plan(options, now, ((0, 0.0),)))
        if word.yes:
            await _clear(rpc, options)
            return options, refusals
        refusals.append(word)
        if word.cannot:
            break
    return None, refusals


def _ways(start: ProfileOptions) -> list[ProfileOptions]:
    """Return the ways of speaking to try, the most usual first."""
    other: dict[str, Any] = {
        "stack_level": 0,
        "unit": "A" if start.unit == "W" else "W",
        "default_connector": 1,
        "kind": "Relative",
        "number_phases": True,
    }
    changes: list[dict[str, Any]] = [{}, *({name: value} for name, value in other.items())]
    changes += [{one: other[one], two: other[two]} for one, two in combinations(other, 2)]
    return list(dict.fromkeys(replace(start, **change) for change in changes))[:_MOST_WAYS]


async def _values(rpc: RpcConnection, options: ProfileOptions, now: datetime, most: int) -> dict[str, Any]:
    """Learn of decimals, of how many periods, and of 0."""
    found: dict[str, Any] = {}
    if options.decimals and not (await _try(rpc, options, _plan(options, now, ((0, -0.5),)))).yes:
        found["decimals"] = 0
    whole = replace(options, decimals=0)
    most = 1 if options.kind == "Relative" else most
    for count in dict.fromkeys((most, 2)):
        if count < 2:
            break
        steps = tuple((index, -float(index % 2)) for index in range(count))
        if (await _try(rpc, whole, _plan(whole, now, steps))).yes:
            if count < most:
                found["max_periods"] = count
            break
    else:
        found["max_periods"] = 1
    zero = _plan(whole, now, ((0, -options.rating.max_a),))
    found["zero"] = "ok" if (await _try(rpc, whole, zero)).yes else "refused"
    return found


async def _tells_truth(rpc: RpcConnection, station: Station, options: ProfileOptions, now: datetime) -> bool | None:
    """Tell whether the composite schedule shows a limit that is in force; ``None`` if that is not clear."""
    if station.sessions:
        return None
    wanted = options.rating.max_a - _LESS_A
    back = timedelta(seconds=options.backdate_s)
    plan = _plan(options, now - _AHEAD - back, ((0, -_LESS_A),))
    plan = replace(plan, duration_s=plan.duration_s + options.backdate_s, valid_to=plan.valid_to + back)
    if not (await _try(rpc, options, plan)).yes:
        return None
    where = {"connectorId": 1} if rpc.version is Version.V16 else {"evseId": 1}
    question = where | {"duration": _LENGTH_S, "chargingRateUnit": options.unit}
    answer = await _ask(rpc, "GetCompositeSchedule", question)
    said_a = composite(answer, station.rating, now) if not isinstance(answer, str) else None
    if said_a is None or said_a > options.rating.max_a - _NEAR_A:
        return None  # without a session some apply no default profile, and rightly show no limit (MicroOcpp 1.2.0)
    return abs(said_a - wanted) < _NEAR_A


async def _clears(rpc: RpcConnection, options: ProfileOptions) -> dict[str, Any]:
    """Learn by what it removes a profile."""
    if await _clear(rpc, options):
        return {}
    for way in ("stack", "purpose"):
        if await _clear(rpc, options, way, "TxDefaultProfile"):
            return {"clear_by": way}
    return {}


async def _purposes(rpc: RpcConnection, options: ProfileOptions, now: datetime, way: str) -> tuple[Purpose, ...]:
    """Add the station's maximum if it is taken; a TxProfile needs a session, so it is tried when there is one."""
    word = await _try(rpc, options, _plan(options, now, ((0, 0.0),)), station=True)
    if word.yes:
        await _clear(rpc, options, way, STATION_NAMES[rpc.version])
    return ("TxProfile", "TxDefaultProfile", "StationMax") if word.yes else ("TxProfile", "TxDefaultProfile")


def _plan(options: ProfileOptions, now: datetime, steps: tuple[tuple[int, float], ...]) -> Plan:
    """Make a minute's plan an hour ahead; ``steps`` are (seconds, A per phase above the rating)."""
    rating = options.rating
    per_a = rating.phases * rating.voltage if options.unit == "W" else 1.0
    values = ((at, max(0.0, rating.max_a + change) * per_a) for at, change in steps)
    start = now + _AHEAD
    return Plan(
        start=start,
        duration_s=_LENGTH_S,
        valid_to=start + timedelta(seconds=_LENGTH_S),
        unit=options.unit,
        periods=tuple((at, value if value % 1 == 0.5 else float(int(value))) for at, value in values),
    )


async def _try(rpc: RpcConnection, options: ProfileOptions, plan: Plan, *, station: bool = False) -> _Word:
    make = {
        (Version.V16, False): profile.default_profile_16,
        (Version.V16, True): profile.station_profile_16,
        (Version.V201, False): profile.default_profile_201,
        (Version.V201, True): profile.station_profile_201,
    }[rpc.version, station]
    answer = await _ask(rpc, "SetChargingProfile", make(_PROBE, plan, options))
    if isinstance(answer, str):
        return _Word(yes=False, cannot=answer in _CANNOT)
    return _Word(yes=answer.get("status") == "Accepted", cannot=answer.get("status") == "NotSupported")


async def _composite(rpc: RpcConnection, station: Station, now: datetime) -> _Word:
    """Ask for a composite schedule: any answer to it counts as smart charging (field notes C.4)."""
    where = {"connectorId": 0} if rpc.version is Version.V16 else {"evseId": 0}
    answer = await _ask(rpc, "GetCompositeSchedule", where | {"duration": _LENGTH_S})
    return _Word(yes=not isinstance(answer, str), cannot=isinstance(answer, str) and answer in _CANNOT)


async def _clear(rpc: RpcConnection, options: ProfileOptions, way: str = "id", purpose: str = "") -> bool:
    number = profile.profile_id(_PROBE, 0, options)
    payload = profile.clear_16(number) if rpc.version is Version.V16 else profile.clear_201(number)
    if way != "id":
        criteria = {"chargingProfilePurpose": purpose} | ({"stackLevel": options.stack_level} if way == "stack" else {})
        payload = criteria if rpc.version is Version.V16 else {"chargingProfileCriteria": criteria}
    return await _accepted(rpc, "ClearChargingProfile", payload)


async def _accepted(rpc: RpcConnection, action: str, payload: Mapping[str, Any]) -> bool:
    answer = await _ask(rpc, action, payload)
    return not isinstance(answer, str) and answer.get("status") == "Accepted"


async def _ask(rpc: RpcConnection, action: str, payload: Mapping[str, Any]) -> Mapping[str, Any] | str:
    """Return the answer, or the word of a CALLERROR."""
    try:
        return await rpc.call(action, payload)
    except CallFailed as error:
        return error.code
    except (CallTimeout, ConnectionGone, OutboundInvalid) as error:
        raise _Lost(f"{action}: {error}") from error
