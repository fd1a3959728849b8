"""One charger at a CSMS, OCPP 1.6 or 2.0.1: what it is answered, how it is set up, and the limits it is given.

Rule: what both versions share is said once, in ``Charger``; a version adds the messages and the shapes of its own.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar, cast

from ocpp import routing
from ocpp.charge_point import ChargePoint
from ocpp.v16 import ChargePoint as V16ChargePoint
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as V201ChargePoint
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.server import ServerConnection

from examples.demo.csms_ledger import Ledger, Session
from runtime.clock import Clock

HEARTBEAT_S = 300
CALL = 2  # the message type of a request
ALLOWED = {"status": "Accepted"}  # this CPO knows every token

Method = TypeVar("Method", bound=Callable[..., Any])


def on(action: str) -> Callable[[Method], Method]:
    """Mark what answers ``action``."""
    return cast("Callable[[Method], Method]", routing.on(action))


def after(action: str) -> Callable[[Method], Method]:
    """Mark what is done once ``action`` is answered."""
    return cast("Callable[[Method], Method]", routing.after(action))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpo:
    """What the chargers of a CPO share. ``limits_a``: the CPO's own limits, by identity."""

    clock: Clock
    ledger: Ledger
    meter_interval_s: int | None = None
    limits_a: Mapping[str, float] = field(default_factory=dict)

    def now(self) -> str:
        """Return the time as the standard writes it."""
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


class Charger(ChargePoint):  # type: ignore[misc]
    """What both versions share; ``results`` are the version's answers."""

    results: ModuleType

    def __init__(self, cpo: Cpo, identity: str, socket: ServerConnection) -> None:
        super().__init__(identity, socket)
        self.cpo, self.ledger = cpo, cpo.ledger
        self.fresh = True  # the message at hand has not been seen under its id

    async def route_message(self, raw: str) -> None:
        """Note a call's message id before the library routes it."""
        try:
            message = json.loads(raw)
            if message[0] == CALL:
                self.fresh = self.ledger.new(self.id, str(message[1]), str(message[2]), message[3])
        except (ValueError, IndexError, KeyError, TypeError):
            pass
        await super().route_message(raw)

    @on("BootNotification")
    def on_boot(self, **_: Any) -> Any:
        """Accept."""
        self.ledger.boots[self.id] = self.ledger.boots.get(self.id, 0) + 1
        return self.results.BootNotification(current_time=self.cpo.now(), interval=HEARTBEAT_S, status="Accepted")

    @after("BootNotification")
    async def after_boot(self, **_: Any) -> None:
        """Set the meter interval and the CPO's own limit."""
        if self.cpo.meter_interval_s is not None:
            await self.set_meter_interval(self.cpo.meter_interval_s)
        limit_a = self.cpo.limits_a.get(self.id)
        if limit_a is not None:
            await self.limit(limit_a)

    @on("Heartbeat")
    def on_heartbeat(self, **_: Any) -> Any:
        """Give the time."""
        return self.results.Heartbeat(current_time=self.cpo.now())

    @on("StatusNotification")
    def on_status(self, **_: Any) -> Any:
        """Take it."""
        return self.results.StatusNotification()

    @on("MeterValues")
    def on_meter(self, meter_value: Any, **_: Any) -> Any:
        """Note the samples once."""
        if self.fresh:
            self.ledger.metered(self.id, meter_value)
        return self.results.MeterValues()

    async def limit(
        self,
        limit_a: float,
        *,
        number: int = 1,
        level: int = 0,
        purpose: str = "TxDefaultProfile",
        transaction: str | None = None,
    ) -> str:
        """Give the charger a limit of this CPO's; returns the status."""
        schedule = {
            "charging_rate_unit": "A",
            "start_schedule": "2026-01-01T00:00:00Z",
            "charging_schedule_period": [{"start_period": 0, "limit": limit_a}],
        }
        profile = {
            "stack_level": level,
            "charging_profile_purpose": purpose,
            "charging_profile_kind": "Absolute",
        }
        answer = await self.call(self.profile_set(profile, schedule, number, transaction))
        return str(answer.status)

    async def clear(self, number: int | None = None) -> str:
        """Clear one profile, or all; returns the status."""
        answer = await self.call(self.profile_cleared(number))
        return str(answer.status)

    async def set_meter_interval(self, interval_s: int) -> None:
        """Have the meter read so often while a car charges."""
        raise NotImplementedError

    def profile_set(
        self, profile: Mapping[str, object], schedule: Mapping[str, object], number: int, transaction: str | None
    ) -> Any:
        """Return the version's SetChargingProfile."""
        raise NotImplementedError

    def profile_cleared(self, number: int | None) -> Any:
        """Return the version's ClearChargingProfile."""
        raise NotImplementedError


class Charger16(Charger, V16ChargePoint):  # type: ignore[misc]
    """One 1.6 charger at this CSMS."""

    results = result16

    @on("Authorize")
    def on_authorize(self, **_: Any) -> Any:
        """Allow."""
        return result16.Authorize(id_tag_info=ALLOWED)

    @on("StartTransaction")
    def on_start(self, connector_id: int, id_tag: str, meter_start: int, timestamp: str, **_: Any) -> Any:
        """Number the transaction."""
        number = self.ledger.start(self.id, id_tag, connector_id, timestamp, meter_start)
        return result16.StartTransaction(transaction_id=number, id_tag_info=ALLOWED)

    @on("StopTransaction")
    def on_stop(self, transaction_id: int, meter_stop: int, **_: Any) -> Any:
        """Close the transaction."""
        session = self.ledger.sessions.get(f"{self.id}/{transaction_id}")
        if session is not None:
            session.stop = meter_stop
        return result16.StopTransaction()

    async def set_meter_interval(self, interval_s: int) -> None:
        """Change the key that says so."""
        await self.call(call16.ChangeConfiguration(key="MeterValueSampleInterval", value=str(interval_s)))

    def profile_set(
        self, profile: Mapping[str, object], schedule: Mapping[str, object], number: int, transaction: str | None
    ) -> Any:
        """Return it with one schedule; a TxProfile is for connector 1."""
        given = {**profile, "charging_profile_id": number, "charging_schedule": schedule}
        if transaction is None:
            return call16.SetChargingProfile(connector_id=0, cs_charging_profiles=given)
        return call16.SetChargingProfile(
            connector_id=1, cs_charging_profiles={**given, "transaction_id": int(transaction)}
        )

    def profile_cleared(self, number: int | None) -> Any:
        """Return it."""
        return call16.ClearChargingProfile(id=number)


class Charger201(Charger, V201ChargePoint):  # type: ignore[misc]
    """One 2.0.1 charger at this CSMS."""

    results = result201

    @on("Authorize")
    def on_authorize(self, **_: Any) -> Any:
        """Allow."""
        return result201.Authorize(id_token_info=ALLOWED)

    @on("TransactionEvent")
    def on_transaction(self, event_type: str, transaction_info: Mapping[str, Any], **rest: Any) -> Any:
        """Follow the transaction."""
        token = rest.get("id_token")
        key = f"{self.id}/{transaction_info['transaction_id']}"
        name = str(token.get("id_token")) if isinstance(token, Mapping) else ""
        session = self.ledger.sessions.setdefault(key, Session(self.id, name, rest.get("seq_no")))
        if event_type == "Ended":
            session.stop = rest.get("seq_no")
        if self.fresh:
            self.ledger.metered(self.id, rest.get("meter_value"))
        return result201.TransactionEvent(id_token_info=ALLOWED if name else None)

    @on("NotifyChargingLimit")
    def on_limit(self, **_: Any) -> Any:
        """Note that somebody else limits the charger."""
        self.ledger.notices.append((self.id, "limited"))
        return result201.NotifyChargingLimit()

    @on("ClearedChargingLimit")
    def on_no_limit(self, **_: Any) -> Any:
        """Note that nobody else does any more."""
        self.ledger.notices.append((self.id, "cleared"))
        return result201.ClearedChargingLimit()

    async def set_meter_interval(self, interval_s: int) -> None:
        """Set the variable that says so."""
        data = {
            "component": {"name": "SampledDataCtrlr"},
            "variable": {"name": "TxUpdatedInterval"},
            "attribute_value": str(interval_s),
        }
        await self.call(call201.SetVariables(set_variable_data=[data]))

    def profile_set(
        self, profile: Mapping[str, object], schedule: Mapping[str, object], number: int, transaction: str | None
    ) -> Any:
        """Return it with a list of schedules; a TxProfile is for EVSE 1."""
        given = {**profile, "id": number, "charging_schedule": [{"id": number, **schedule}]}
        if transaction is None:
            return call201.SetChargingProfile(evse_id=0, charging_profile=given)
        return call201.SetChargingProfile(evse_id=1, charging_profile={**given, "transaction_id": transaction})

    def profile_cleared(self, number: int | None) -> Any:
        """Return it."""
        return call201.ClearChargingProfile(charging_profile_id=number)
