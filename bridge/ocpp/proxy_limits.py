"""The CPO's charging profiles on one charger, on disk, and what becomes of its calls that touch them.

Rule: the CPO's CSMS notices nothing but true answers: a profile that has to wait until ours is over counts as
accepted and is sent then; one that clears everything clears all that is its own. Ours is asserted again whenever the
CPO's profiles change while it is in force, and before a change that would let more through.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import msgspec

from bridge.ocpp.frames import Call, CallError, CallResult, Version
from bridge.ocpp.metrics import ProxyMetrics
from bridge.ocpp.proxy_ids import join, parts
from bridge.ocpp.proxy_profiles import (
    SESSION,
    STATION,
    OtherProfile,
    cleared_id,
    clears,
    is_ours,
    level_above,
    read,
    read_start,
    replaced_by,
)
from bridge.ocpp.settings import OcppSettings
from bridge.ocpp.station import Station
from bridge.store import BridgeStore, Changes, ProxyProfile
from bridge.target import LimitSchedule
from runtime.clock import Clock
from runtime.logs import get_logger

_log = get_logger(__name__)
_STARTS = frozenset({"RemoteStartTransaction", "RequestStartTransaction"})

Reply = CallResult | CallError
Forward = Callable[[Call], Awaitable[Reply]]


class Limiter(Protocol):
    """What the central system does for a charger behind a CSMS."""

    def in_force(self, identity: str) -> LimitSchedule | None:
        """Return our schedule that the charger holds and that is not over."""
        ...

    async def assert_again(self, identity: str) -> None:
        """Send it once more, as the CPO's profiles now make it."""
        ...


class OtherLimits:
    """The CPO's profiles of one charger."""

    def __init__(
        self,
        *,
        station: Station,
        settings: OcppSettings,
        base: int,
        store: BridgeStore,
        clock: Clock,
        limiter: Limiter,
        metrics: ProxyMetrics,
        rows: list[ProxyProfile],
    ) -> None:
        self._station, self._settings, self._base = station, settings, base
        self._store, self._clock, self._limiter, self._metrics = store, clock, limiter, metrics
        self._identity = station.config.identity
        self._rows: dict[int, ProxyProfile] = {}
        for row in rows:
            profile = _profile_of(row, station)
            if profile is not None:
                self._rows[row.number] = row
                self._put(profile)

    @property
    def owed(self) -> bool:
        """Whether the charger is owed a profile of the CPO's."""
        return any(row.held for row in self._rows.values())

    def ours_in_force(self) -> bool:
        """Whether a limit of ours is on the charger."""
        return self._limiter.in_force(self._identity) is not None

    async def set(self, call: Call, version: Version, forward: Forward) -> Reply:
        """Treat the CPO's SetChargingProfile."""
        _, raw = parts(call.tail)
        other = read(version, msgspec.json.decode(raw), self._station.rating)
        if other is None:
            return await forward(call)
        if is_ours(other.number, self._base):
            _log.warning("profile id of the CPO lies in our block", charger=self._identity, number=other.number)
            return self._done("refused", _answer(call, version, "Rejected", "ProfileIdOfGateway"))
        if not self.ours_in_force():
            reply = await forward(call)
            if _accepted(reply):
                await self._keep(other, call, version, held=False)
            return self._done("passed", reply)
        if other.purpose in STATION:  # beside ours of other purposes, which the charger keeps apart
            reply = await forward(call)
            if _accepted(reply):
                await self._keep(other, call, version, held=False)
                await self._limiter.assert_again(self._identity)
            return self._done("passed", reply)
        before, rows = self._station.others, dict(self._rows)
        room = self._level_with(other, version) > other.level
        await self._keep(other, call, version, held=not room)
        await self._limiter.assert_again(self._identity)
        if not room:
            return self._done("held", _answer(call, version, "Accepted"))
        reply = await forward(call)
        if not _accepted(reply):
            await self._put_back(other.number, before, rows)
            await self._limiter.assert_again(self._identity)
        return self._done("beside", reply)

    async def clear(self, call: Call, version: Version, forward: Forward) -> Reply:
        """Treat the CPO's ClearChargingProfile: ours is none of its business, and back at once if it went too."""
        _, raw = parts(call.tail)
        payload: Mapping[str, Any] = msgspec.json.decode(raw)
        number = cleared_id(version, payload)
        if number is not None and is_ours(number, self._base):
            return _answer(call, version, "Unknown")
        gone = [each for each in self._station.others if clears(each, version, payload)]
        kept_here = [each for each in gone if self._rows[each.number].held and each.purpose not in STATION]
        if kept_here and number is not None:  # the charger has it not
            reply: Reply = _answer(call, version, "Accepted")
        else:
            reply = await forward(call)
            if isinstance(reply, CallError):
                return reply
            if kept_here:
                reply = _answer(call, version, "Accepted")
        await self._drop([each.number for each in gone])
        if self.ours_in_force():
            await self._limiter.assert_again(self._identity)
        return self._done("cleared", reply)

    async def started(self, call: Call, version: Version, forward: Forward) -> Reply:
        """Treat a remote start: the profile that comes with it is one of the CPO's."""
        _, raw = parts(call.tail)
        payload: Mapping[str, Any] = msgspec.json.decode(raw)
        other = read_start(version, payload, self._station.rating)
        reply = await forward(call)
        if other is not None and not is_ours(other.number, self._base) and _accepted(reply):
            kept = {name: payload[name] for name in ("connectorId", "evseId", "chargingProfile") if name in payload}
            tail = join(call.action, msgspec.json.encode(kept))  # without the id tag: it names a person
            await self._keep(other, replace(call, tail=tail), version, held=False)
        return reply

    async def session_ended(self, connector: int) -> None:
        """Forget the profiles that ended with their session."""
        others = self._station.others
        await self._drop([e.number for e in others if e.purpose == SESSION and e.connector == connector])

    async def before_ours(self) -> None:
        """Ours is about to be sent: what it takes the place of is owed to the charger afterwards."""
        await self._drop(expired(self._station.others, self._clock.now()))
        level = self._station.options(self._settings).stack_level
        now_held = [
            replace(self._rows[each.number], held=True)
            for each in self._station.others
            if each.level >= level and not self._rows[each.number].held
        ]
        if now_held:
            await self._store.write(Changes(proxy_profiles=tuple(now_held)))
            self._rows |= {row.number: row for row in now_held}

    async def restore(self, forward: Forward) -> None:
        """Send what the charger is owed; ours is over."""
        for row in [row for row in self._rows.values() if row.held]:
            action, _ = parts(row.tail.encode())
            if action in _STARTS:
                await self._drop([row.number])
                continue
            if await self._send_again(row, forward) and self._rows.get(row.number) is row:
                free = replace(row, held=False)
                await self._store.write(Changes(proxy_profiles=(free,)))
                self._rows[row.number] = free

    async def _send_again(self, row: ProxyProfile, forward: Forward) -> bool:
        """Send a profile that the charger is owed; one that it refuses stays owed."""
        out = Call(unique_id="", action=parts(row.tail.encode())[0], payload={}, tail=row.tail.encode())
        reply = await forward(out)
        place = next((each for each in self._station.others if each.number == row.number), None)
        if not _accepted(reply) and row.version == Version.V201.value and place is not None:
            free = {"chargingProfilePurpose": place.purpose, "stackLevel": place.level}  # of ours, left from before
            tail = join("ClearChargingProfile", msgspec.json.encode({"chargingProfileCriteria": free}))
            await forward(Call(unique_id="", action="ClearChargingProfile", payload={}, tail=tail))
            reply = await forward(out)
        done = "restored" if _accepted(reply) else "not_restored"
        _log.info("profile of the CPO sent again", charger=self._identity, number=row.number, done=done)
        self._metrics.profiles.labels(done).inc()
        return _accepted(reply)

    def _level_with(self, other: OtherProfile, version: Version) -> int:
        """Our stack level if ``other`` were there."""
        options = self._station.options(self._settings)
        others = [each for each in self._station.others if not replaced_by(other, each, version)]
        said = self._station.capabilities
        own = self._station.config.stack_level
        highest = own if own is not None else said.max_stack_level if said is not None else None
        return level_above([*others, other], options.stack_level, highest)

    async def _keep(self, other: OtherProfile, call: Call, version: Version, *, held: bool) -> None:
        gone = [e.number for e in self._station.others if replaced_by(other, e, version) and e.number != other.number]
        row = ProxyProfile(
            charger=self._identity,
            number=other.number,
            version=version.value,
            tail=call.tail.decode(),
            held=held,
            at=self._clock.now(),
        )
        lost = tuple((self._identity, number) for number in gone)
        await self._store.write(Changes(proxy_profiles=(row,), proxy_profiles_gone=lost))
        for number in gone:
            self._rows.pop(number, None)
        self._rows[row.number] = row
        self._station.others = tuple(each for each in self._station.others if each.number not in gone)
        self._put(other)

    async def _drop(self, numbers: list[int]) -> None:
        if numbers:
            await self._store.write(Changes(proxy_profiles_gone=tuple((self._identity, each) for each in numbers)))
            for number in numbers:
                self._rows.pop(number, None)
            self._station.others = tuple(each for each in self._station.others if each.number not in numbers)

    async def _put_back(self, number: int, others: tuple[OtherProfile, ...], rows: dict[int, ProxyProfile]) -> None:
        """The charger would not have it: what was before is still so."""
        gone = () if number in rows else ((self._identity, number),)
        await self._store.write(Changes(proxy_profiles=tuple(rows.values()), proxy_profiles_gone=gone))
        self._station.others, self._rows = others, rows

    def _put(self, profile: OtherProfile) -> None:
        others = [each for each in self._station.others if each.number != profile.number]
        self._station.others = (*others, profile)

    def _done(self, what: str, reply: Reply) -> Reply:
        self._metrics.profiles.labels(what).inc()
        return reply


def _profile_of(row: ProxyProfile, station: Station) -> OtherProfile | None:
    version = Version(row.version)
    action, raw = parts(row.tail.encode())
    reader = read_start if action in _STARTS else read
    return reader(version, msgspec.json.decode(raw), station.rating)


def _accepted(reply: Reply) -> bool:
    return isinstance(reply, CallResult) and reply.payload.get("status") == "Accepted"


def _answer(call: Call, version: Version, status: str, reason: str = "") -> CallResult:
    payload: dict[str, Any] = {"status": status}
    if reason and version is Version.V201:
        payload["statusInfo"] = {"reasonCode": reason[:20]}
    return CallResult(unique_id=call.unique_id, payload=payload)


def expired(others: tuple[OtherProfile, ...], now: datetime) -> list[int]:
    """Return the profiles that will never be in force again."""
    return [each.number for each in others if each.valid_to is not None and each.valid_to <= now]
