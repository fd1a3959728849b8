"""Commissioning self-test of one installation: hold the load at half, stop it, let it go, and read the meter (CHG-03).

Rule: the limits go the way of every limit, as standing limits through arbiter, dispatcher and charger, so that what is
proven is what events will use. They end by themselves, also after a crash. Nothing is tested while anything else limits
the charger. The result is on disk before it is shown.
"""

import asyncio
import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field

from bridge.arbiter import Source
from bridge.evidence import RETURNED, Step, document, faults, half_of, stamp
from bridge.inflight import InFlight
from bridge.resources import Resource
from bridge.store import BridgeStore, Changes, SelfTest, StandingLimit
from bridge.supervisor import Supervisor
from bridge.target import LimitTarget, MeterReading
from runtime.clock import Clock, new_id
from runtime.logs import get_logger
from runtime.settings import Section

_log = get_logger(__name__)
_LOOK_S = 1.0  # between two looks at the meter
_SPARE_S = 600.0  # the test's limits end so long after the longest test, should nobody end them
_STEPS = 4
_COMMANDS = 50  # of the charger's latest commands that may belong to the test

Sign = Callable[[bytes], str]
"""Signs evidence, to base64."""


class SelfTestSection(Section):
    """The ``[self_test]`` section: how long a commissioning self-test looks at the meter."""

    settle_s: float = Field(default=45.0, ge=0, description="After a limit so long no reading counts, s")
    readings: int = Field(default=2, ge=1, le=20, description="Readings that each step needs")
    wait_s: float = Field(default=300.0, gt=0, description="A step without so many readings ends after this, s")
    idle_w: float = Field(default=100.0, ge=0, description="Below it the load has stopped, W")


class SelfTestRefused(Exception):
    """A self-test cannot begin; the text says why."""


def signer(key: Path | None) -> Sign:
    """Return what signs with the VEN's key (SHA-256; RSA PKCS #1 or ECDSA, as ``openssl dgst`` verifies)."""

    def sign(text: bytes) -> str:
        if key is None:
            return ""
        private = load_pem_private_key(key.read_bytes(), password=None)
        if isinstance(private, rsa.RSAPrivateKey):
            made = private.sign(text, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(private, ec.EllipticCurvePrivateKey):
            made = private.sign(text, ec.ECDSA(hashes.SHA256()))
        else:
            raise ValueError(f"{key}: neither RSA nor EC")
        return base64.b64encode(made).decode()

    return sign


class SelfTester:
    """Runs self-tests, one at a time a charger."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        target: LimitTarget,
        store: BridgeStore,
        clock: Clock,
        section: SelfTestSection,
        sign: Sign,
        software: str,
    ) -> None:
        self._supervisor, self._target, self._store, self._clock = supervisor, target, store, clock
        self._section, self._sign, self._software = section, sign, software
        self._running: InFlight[str] = InFlight()  # by resource: the test's id

    def running(self, resource_id: str) -> str | None:
        """Return the id of the test that runs on a resource."""
        return self._running.get(resource_id)

    async def start(self, resource_id: str) -> str:
        """Begin a test and return its id. Raises ``SelfTestRefused``."""
        resource = self._supervisor.resources[resource_id]
        status = self._target.status(resource.charger)
        if resource_id in self._running:
            raise SelfTestRefused("a self-test of this charger is running")
        if status is None or not status.connected:
            raise SelfTestRefused("the charger is not connected")
        if not status.enrolled:
            raise SelfTestRefused("the charger takes no limits (OCP-08)")
        held = self._supervisor.effective(resource_id, self._clock.now())
        if held.limit_a is not None and held.limit_a < resource.max_a:
            raise SelfTestRefused(f"the charger is limited to {held.limit_a:g} A by {held.source}: {held.reason}")
        test_id = new_id("selftest")
        work = self._run(resource, test_id)
        self._running.start(resource_id, test_id, work, label=f"self-test {resource.charger}")
        return test_id

    async def open(self) -> None:
        """Nothing runs yet; what a crash left behind ends by itself."""

    async def close(self) -> None:
        """Give up what runs; its limits are taken back."""
        await self._running.close()

    async def _run(self, resource: Resource, test_id: str) -> None:
        try:
            found = await self._test(resource, test_id)
            await self._store.write(Changes(self_tests=(found,)))
            _log.info("self-test ended", charger=resource.charger, test=test_id, passed=found.passed)
        except Exception as error:
            _log.error("self-test failed on our side", charger=resource.charger, test=test_id, exc_info=error)
        finally:
            self._running.land(resource.resource_id)

    async def _test(self, resource: Resource, test_id: str) -> SelfTest:
        began = self._clock.now()
        steps = [await self._step(resource, "before", None, since=began)]
        half = half_of(steps[0], resource.phases, resource.voltage)
        for name, limit_a in (("half", half), ("stop", 0.0)):
            if limit_a is not None and (steps[0].mean_w or 0.0) > self._section.idle_w:
                steps.append(await self._held(resource, test_id, name, limit_a))
        if len(steps) > 1:
            least_w = RETURNED * (steps[0].mean_w or 0.0)
            steps.append(await self._step(resource, "after", None, since=self._clock.now(), least_w=least_w))
        wrong, now = faults(steps, self._section.idle_w), self._clock.now()
        evidence = document(
            test_id=test_id,
            about=self._about(resource, began),
            steps=steps,
            commands=await self._commands(resource, began),
            idle_w=self._section.idle_w,
            wrong=wrong,
            ended_at=now,
        )
        return SelfTest(
            test_id=test_id,
            charger=resource.charger,
            at=now,
            passed=not wrong,
            evidence=evidence,
            signature=self._sign(evidence.encode()),
        )

    async def _held(self, resource: Resource, test_id: str, name: str, limit_a: float) -> Step:
        """Put a limit in force for one step and take it back."""
        now, section = self._clock.now(), self._section
        limit = StandingLimit(
            limit_id=new_id("limit"),
            source=Source.SITE,
            resource_id=resource.resource_id,
            group_id=None,
            limit_a=limit_a,
            limit_kw=None,
            reason=f"{test_id}: {name}",
            start=now,
            end=now + timedelta(seconds=_STEPS * (section.settle_s + section.wait_s) + _SPARE_S),
        )
        await self._supervisor.set_standing(limit)
        try:
            return await self._step(resource, name, limit_a, since=now)
        finally:
            await asyncio.shield(self._supervisor.end_standing(limit.limit_id))

    async def _step(
        self, resource: Resource, name: str, limit_a: float | None, *, since: datetime, least_w: float = 0.0
    ) -> Step:
        """Collect as many readings as are needed, or what came until the wait is over.

        After the release a car comes back when it likes: what it draws before is ``least_w`` again counts only if
        nothing else comes.
        """
        section = self._section
        first = since + timedelta(seconds=section.settle_s if name != "before" else 0.0)
        until = first + timedelta(seconds=section.wait_s)
        found: list[MeterReading] = []
        low: MeterReading | None = None
        while len(found) < section.readings and self._clock.now() < until:
            reading = self._supervisor.fleet.get(resource.charger).reading
            if reading is not None and reading.at >= first and (not found or reading.at > found[-1].at):
                if (reading.power_w or 0.0) >= least_w:
                    found.append(reading)
                else:
                    low, found = reading, []
            await self._clock.sleep(_LOOK_S)
        return Step(name=name, limit_a=limit_a, asked_at=since, readings=tuple(found or ([low] if low else [])))

    def _about(self, resource: Resource, began: datetime) -> dict[str, Any]:
        status = self._target.status(resource.charger)
        return {
            "charger": resource.charger,
            "resourceID": resource.resource_id,
            "vendor": status.vendor if status else "",
            "model": status.model if status else "",
            "firmware": status.firmware if status else "",
            "protocol": status.protocol if status else None,
            "installedMaxA": resource.max_a,
            "phases": resource.phases,
            "voltage": resource.voltage,
            "software": self._software,
            "startedAt": stamp(began),
        }

    async def _commands(self, resource: Resource, began: datetime) -> list[dict[str, Any]]:
        """Return what was sent to the charger meanwhile and what it answered."""
        found = await self._store.commands(resource.charger, _COMMANDS)
        return [
            {
                "command": each.kind,
                "limitA": each.schedule.periods[0].limit_a if each.schedule is not None else None,
                "sentAt": stamp(each.sent_at),
                "answeredAt": stamp(each.done_at),
                "outcome": each.outcome.value,
                "answer": each.detail,
            }
            for each in reversed(found)
            if each.sent_at >= began
        ]
