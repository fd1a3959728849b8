"""Nothing that we change or send makes a whole fleet change or restart together (RND-12)."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

import bridge
from bridge.program import Programmes
from bridge.steps import Calm
from tests.bridge.parts import EMERGENCY, PROGRAMMES, QUICK, SimCharger, World, event, programme, simple

REBOOTING = {"Reset", "UpdateFirmware", "SignedUpdateFirmware", "PublishFirmware", "InstallCertificate"}
SENT = re.compile(r"""(?:call|_try|_ask|send)\(\s*(?:\w+(?:\.\w+)*,\s*)?["']([A-Z]\w+)["']""")


def test_rnd_12_no_command_that_restarts_a_charger_is_sent_by_us() -> None:
    folder = Path(bridge.__file__).parent / "ocpp"
    actions = {name for path in folder.glob("*.py") for name in SENT.findall(path.read_text())}
    assert {"GetConfiguration", "TriggerMessage"} <= actions, "the search finds what is sent"
    assert actions & REBOOTING == set()


def loosened(version: str) -> Programmes:
    """Return programmes under which level 2 is 75 % instead of 50 %."""
    base = programme()
    rules = tuple(
        rule.model_copy(update={"levels": {**rule.levels, "2": 0.75}}) if rule.rule == "levels" else rule
        for rule in base.signals
    )
    return Programmes.of([programme(signals=rules, version=version), PROGRAMMES.by_context[EMERGENCY]])


async def test_rnd_12_a_programme_that_is_read_anew_loosens_a_fleet_one_after_the_other(bridge_db: AsyncEngine) -> None:
    names = [f"CP{number}" for number in range(20)]
    settings = replace(QUICK, calm=Calm(min_dwell_s=0.0, deadband_kw=0.0, writes_per_hour=10_000, rejoin_s=300.0))
    world = World(bridge_db, [SimCharger(name) for name in names], settings=settings)
    await world.start()
    await world.publish(event(simple((3600, 2))))
    await world.step(330, every=30)
    assert {world.park[name].draw_a(world.clock.now()) for name in names} == {16.0}
    world.supervisor.use(loosened("2"))
    await world.round()
    seen = [0]
    for _ in range(32):
        await world.step(10, every=10)
        seen.append(sum(world.park[name].draw_a(world.clock.now()) == 24.0 for name in names))
    steps = [after - before for before, after in pairwise(seen)]
    assert (seen[-1], max(steps)) == (20, 1)


async def test_rnd_12_what_is_tighter_and_what_a_driver_wants_do_not_wait(bridge_db: AsyncEngine) -> None:
    settings = replace(QUICK, calm=Calm(min_dwell_s=0.0, deadband_kw=0.0, writes_per_hour=10_000, rejoin_s=3600.0))
    world = World(bridge_db, [SimCharger("CP1")], settings=settings)
    await world.start()
    await world.publish(event(simple((3600, 2))))
    world.supervisor.use(loosened("2"))
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 16.0
    await world.publish(event(simple((600, 3)), event_id="event-2"))
    assert world.park["CP1"].draw_a(world.clock.now()) == 0.0
    await world.supervisor.override("evse-1", event_id=None, reason="x", duration_s=None, source="user")
    await world.round()
    assert world.park["CP1"].draw_a(world.clock.now()) == 32.0
