"""Events of a VTN above passed on to a VTN below: what is to be published, changed and cancelled there; pure.

Rule (VEN-03): the bridge is an end node upwards and the operator of a top node downwards (DNO, aggregator, charge point
operator). What it has passed on is read from the top node below, where each event carries the eventID and the
modification of the one above, so that a restart repeats nothing. Times, windows and values are passed on as they came.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openadr.model import Event, EventStatus, ItemBase, OptType, Signal
from openadr.times import Duration, format_instant
from openadr.uris import normal
from ven.model import StoredEvent

_MARK = re.compile(r"\[passed on: (?P<event>\S+) (?P<modification>\d+)\]$")
_ENDED = frozenset({EventStatus.CANCELLED.value, EventStatus.COMPLETED.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Events of the market context ``above`` go to ``below``, for these targets there."""

    above: str
    below: str
    ven_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """One event of the top node below that came from above: ``event_id`` is its own, ``of`` the one above."""

    event_id: str
    modification_number: int
    ended: bool
    of: str
    of_modification: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of the operator API below; ``key`` makes it one even if it is made twice."""

    method: str
    path: str
    body: Mapping[str, Any]
    key: str


def read_below(rows: Iterable[Mapping[str, Any]]) -> dict[str, Below]:
    """Return what was passed on, by the eventID above; the latest of each. Events of others are none of ours."""
    found: dict[str, Below] = {}
    for row in rows:
        mark = _MARK.search(row.get("vtnComment") or "")
        if mark is None:
            continue
        each = Below(
            event_id=row["eventID"],
            modification_number=row["modificationNumber"],
            ended=row["eventStatus"] in _ENDED,
            of=mark["event"],
            of_modification=int(mark["modification"]),
        )
        if each.of not in found or found[each.of].ended:
            found[each.of] = each
    return found


def route_of(event: Event, routes: Sequence[Route]) -> Route | None:
    """Return where an event goes, ``None`` if it is not to be passed on."""
    context = normal(event.descriptor.market_context)
    return next((each for each in routes if normal(each.above) == context), None)


def steps(
    stored: Iterable[StoredEvent], below: Mapping[str, Below], routes: Sequence[Route], now: datetime
) -> tuple[Step, ...]:
    """Return what is to be done so that below is as above."""
    found: list[Step] = []
    for each in stored:
        route = route_of(each.event, routes)
        if route is not None:
            step = _step(each, below.get(each.event.descriptor.event_id), route, now)
            found += () if step is None else (step,)
    return tuple(found)


def _step(each: StoredEvent, known: Below | None, route: Route, now: datetime) -> Step | None:
    of = each.event.descriptor
    stopped = each.cancelled_at is not None or each.opt_type is OptType.OPT_OUT
    key = f"passed-on {of.event_id} {of.modification_number}"
    if stopped:
        if known is None or known.ended:
            return None
        body = {"reason": of.modification_reason or "cancelled above"}
        return Step(method="POST", path=f"/events/{known.event_id}/cancel", body=body, key=f"{key} cancel")
    end = each.event.active_period.end
    if end is not None and end <= now:
        return None
    if known is None:
        return Step(method="POST", path="/events", body=body_of(each.event, route), key=key)
    if known.ended or known.of_modification == of.modification_number:
        return None
    body = body_of(each.event, route) | {
        "modificationNumber": known.modification_number,
        "modificationReason": of.modification_reason,
    }
    return Step(method="PUT", path=f"/events/{known.event_id}", body=body, key=key)


def body_of(event: Event, route: Route) -> dict[str, Any]:
    """Return an event as the operator API takes it."""
    of, period = event.descriptor, event.active_period
    mark = f"[passed on: {of.event_id} {of.modification_number}]"
    return {
        "marketContext": route.below,
        "priority": of.priority,
        "dtstart": format_instant(period.dtstart),
        "duration": str(period.duration),
        "startafter": _text(period.startafter),
        "notification": str(period.notification),
        "rampUp": _text(period.ramp_up),
        "recovery": _text(period.recovery),
        "signals": [_signal(each) for each in event.signals],
        "targets": {"venID": list(route.ven_ids), "groupID": list(route.group_ids)},
        "responseRequired": event.response_required.value,
        "testEvent": of.test_event,
        "vtnComment": f"{of.vtn_comment} {mark}" if of.vtn_comment else mark,
    }


def _text(duration: Duration | None) -> str | None:
    return None if duration is None else str(duration)


def _signal(signal: Signal) -> dict[str, Any]:
    return {
        "signalName": signal.signal_name,
        "signalType": signal.signal_type.value,
        "intervals": [{"duration": str(each.duration), "value": each.value} for each in signal.intervals],
        "itemBase": None if signal.item_base is None else _unit(signal.item_base),
        "deviceClass": [] if signal.target is None else list(signal.target.end_device_assets),
    }


def _unit(unit: ItemBase) -> dict[str, Any]:
    return {
        "kind": unit.kind,
        "itemDescription": unit.item_description,
        "itemUnits": unit.item_units,
        "siScaleCode": unit.si_scale_code,
        "hertz": unit.hertz,
        "voltage": unit.voltage,
        "ac": unit.ac,
        "pulseFactor": unit.pulse_factor,
    }
