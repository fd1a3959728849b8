"""A thousand simulated chargers through the loss and the return of the VTN, of the bridge and of the chargers' network.

Every second of the fleet's power is looked at: the steepest step is held against the ramp that a fleet may make (1 % of
its rating a second, RND-07). ``python -m tests.bridge.test_outage_fleet`` prints the figures as a table.
"""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.program import CommsLoss, Programmes
from bridge.schedule import Horizon
from bridge.spread import RAMP_SHARE_S
from bridge.steps import Calm
from bridge.verify import VerifyPolicy
from runtime import logs
from tests.bridge.parts import QUICK, SimCharger, World, database, event, programme, simple

COUNT = 1000
RATED_MW = COUNT * 32 * 3 * 230 / 1e6
CAP_MW_S = RATED_MW * RAMP_SHARE_S
SETTINGS = replace(
    QUICK,
    policy=VerifyPolicy(enabled=False),
    horizon=Horizon(lead_s=3600, open_ended_s=600, expiry_jitter_s=300),
    calm=Calm(min_dwell_s=0.0, deadband_kw=0.0, writes_per_hour=10_000, rejoin_s=600.0),
)


@dataclass
class Fleet:
    """The world, and the power of all chargers second by second; ``bridge`` and ``heard`` say what is there."""

    world: World
    bridge: bool = True
    heard: bool = True
    power: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)

    def megawatts(self) -> float:
        now = self.world.clock.now()
        return sum(each.draw_a(now) * each.phases * 230.0 for each in self.world.park.by_identity.values()) / 1e6

    async def second(self, length: float = 1.0) -> None:
        self.world.clock.advance(length)
        if self.heard:
            self.world.upstream.last_contact = self.world.clock.now()
        if self.bridge:
            await self.world.supervisor.reconcile(self.world.clock.now())
            await self.world.supervisor.dispatcher.settle()

    async def quiet(self, seconds: int) -> float:
        """Let time pass in which nothing may move, in strides; return the power at its end."""
        before = self.megawatts()
        for _ in range(seconds // 10):
            await self.second(10.0)
            assert self.megawatts() == pytest.approx(before)
        return before

    async def run(self, seconds: int, name: str) -> float:
        """Let time pass and return the power at its end; the steepest step goes to ``steps``."""
        before = self.power = self.megawatts()
        steepest = 0.0
        for _ in range(seconds):
            await self.second()
            power = self.megawatts()
            steepest = max(steepest, abs(power - before))
            before = power
        self.steps[name] = max(steepest, self.steps.get(name, 0.0))
        return before

    def network(self, up: bool) -> None:
        for each in self.world.park.by_identity.values():
            each.connected = up

    async def restart(self) -> None:
        self.bridge = True
        await self.world.restart()


async def fleet(engine: AsyncEngine, **comms_loss: object) -> Fleet:
    """Return a thousand chargers under an event without an end that halves them; the start itself is not measured."""
    terms = programme(comms_loss=CommsLoss.model_validate(comms_loss))
    draw = random.Random(7)
    world = World(
        engine,
        [SimCharger(f"CP{number}") for number in range(COUNT)],
        programmes=Programmes.of([terms]),
        settings=SETTINGS,
        draws=iter(draw.random, None),
    )
    found = Fleet(world)
    await world.start()
    await found.second(650)  # that all chargers have come back together is long ago
    await world.publish(event(simple((0, 2)), start=world.clock.now(), startafter=60, open_ended=True))
    for _ in range(70):
        await found.second()
    assert round(found.megawatts(), 3) == round(RATED_MW / 2, 3)
    return found


async def vtn_lost(engine: AsyncEngine) -> Fleet:
    """The VTN falls silent for an hour; the programme's policy is to fall back."""
    found = await fleet(engine, policy="default_profile", after_s=300, spread_s=300, return_s=600)
    found.heard = False
    assert await found.quiet(290) == pytest.approx(RATED_MW / 2)
    assert await found.run(325, "loss") == pytest.approx(RATED_MW)
    await found.restart()
    assert await found.quiet(60) == pytest.approx(RATED_MW)
    found.heard = True
    assert await found.run(610, "return") == pytest.approx(RATED_MW / 2)
    return found


async def vtn_lost_for_ever(engine: AsyncEngine) -> Fleet:
    """The VTN is gone; the event without an end is given up after the hold."""
    found = await fleet(engine, hold_s=900, spread_s=300)
    found.heard = False
    assert await found.quiet(890) == pytest.approx(RATED_MW / 2)
    assert await found.run(325, "loss") == pytest.approx(RATED_MW)
    found.heard = True
    assert await found.run(610, "return") == pytest.approx(RATED_MW / 2)
    return found


async def safe_cap(engine: AsyncEngine) -> Fleet:
    """The VTN falls silent; a safe cap of 10 A stands in for the event."""
    found = await fleet(engine, policy="safe_cap", safe_cap_a=10)
    found.heard = False
    assert await found.quiet(290) == pytest.approx(RATED_MW / 2)
    assert await found.run(325, "loss") == pytest.approx(RATED_MW * 10 / 32)
    found.heard = True
    assert await found.run(610, "return") == pytest.approx(RATED_MW / 2)
    return found


async def bridge_dead(engine: AsyncEngine) -> Fleet:
    """The bridge is killed; chargers end what has no end on their own, and are brought back to it by the next one."""
    found = await fleet(engine)
    found.bridge = False
    assert await found.quiet(200) == pytest.approx(RATED_MW / 2)
    assert await found.run(700, "loss") == pytest.approx(RATED_MW)
    await found.restart()
    assert await found.run(610, "return") == pytest.approx(RATED_MW / 2)
    return found


async def chargers_lost(engine: AsyncEngine) -> Fleet:
    """The chargers' network fails; the event is cancelled meanwhile and a tighter one is sent; then all come back."""
    found = await fleet(engine)
    found.network(up=False)
    assert await found.run(60, "loss") == pytest.approx(RATED_MW / 2)
    found.world.upstream.cancel("event-1", found.world.clock.now())
    found.world.supervisor.events_changed()
    assert await found.run(60, "loss") == pytest.approx(RATED_MW / 2)
    found.network(up=True)
    assert await found.run(610, "return") == pytest.approx(RATED_MW)
    found.network(up=False)
    await found.run(5, "loss again")
    late = event(simple((3600, 2)), event_id="event-2", start=found.world.clock.now(), startafter=0)
    await found.world.publish(late)
    await found.run(60, "loss again")
    found.network(up=True)
    assert await found.run(610, "return again") == pytest.approx(RATED_MW / 2)
    return found


SCENES: dict[str, Callable[[AsyncEngine], Awaitable[Fleet]]] = {
    "the VTN, policy default_profile": vtn_lost,
    "the VTN for ever, an event without an end": vtn_lost_for_ever,
    "the VTN, policy safe_cap": safe_cap,
    "the bridge": bridge_dead,
    "the chargers' network": chargers_lost,
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(SCENES))
async def test_out_07_rnd_10_a_thousand_chargers_do_not_step_at_loss_or_return(
    bridge_db: AsyncEngine, name: str
) -> None:
    found = await SCENES[name](bridge_db)
    assert {what: step for what, step in found.steps.items() if step > CAP_MW_S} == {}


async def _print() -> None:
    logs.configure("error", json=False)
    print(f"| loss of | at loss | at return | allowed |  MW/s, fleet of {RATED_MW:.2f} MW\n|---|---|---|---|")
    for name, scene in SCENES.items():
        with tempfile.TemporaryDirectory() as folder:
            async with database(Path(folder)) as engine:
                steps = (await scene(engine)).steps
        loss = max(step for what, step in steps.items() if what.startswith("loss"))
        back = max(step for what, step in steps.items() if what.startswith("return"))
        print(f"| {name} | {loss:.3f} | {back:.3f} | {CAP_MW_S:.3f} |")


if __name__ == "__main__":
    asyncio.run(_print())
