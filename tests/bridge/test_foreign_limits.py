"""Somebody else limits or frees a charger in the middle of an event: found, attributed and reported (ARB-13)."""

import asyncio
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.simulators.composite import EXTERNAL
from tests.bridge.parts import event, simple
from tests.bridge.test_real_chargers import STEP_S, Site, site


async def in_event(found: Site) -> None:
    """Bring CP1 to a verified limit of half its maximum."""
    await found.until(lambda: found.fleet.get("CP1").session)
    await found.until(lambda: (reading := found.fleet.get("CP1").reading) is not None and bool(reading.power_w))
    found.clock.advance(STEP_S)
    found.upstream.send(event(simple((1800, 2)), start=found.clock.now().replace(microsecond=0)))
    found.supervisor.events_changed()
    await found.until(lambda: found.state("CP1") == "verified")


async def stepped(found: Site, steps: int) -> None:
    """Let some steps pass."""
    for _ in range(steps):
        await found.until(lambda: True)
        found.clock.advance(STEP_S)
        await asyncio.sleep(0.02)


async def test_arb_13_ocp_07_a_stricter_limit_of_somebody_else_is_found_by_read_back_and_no_failure(
    bridge_db: AsyncEngine,
) -> None:
    async with site(bridge_db, {"read_back_s": 15.0}, CP1={"version": "1.6"}) as found:
        await in_event(found)
        charger = found.points["CP1"].hardware.charger
        ours = max(charger.profiles.values(), key=lambda each: each.number)
        local = replace(ours, number=900, purpose=EXTERNAL, periods=(replace(ours.periods[0], limit=8.0),))
        charger.profiles[900] = local  # an installer's own load balancing, which the bridge did not send
        await stepped(found, 10)
        await found.central.read_back("CP1")
        status = found.central.status("CP1")
        assert status is not None
        [foreign] = status.foreign
        assert (foreign.source, foreign.by, foreign.limit_a) == ("unknown", "composite", 8.0)
        await stepped(found, 20)
        assert found.state("CP1") == "constrained_by"
        assert "limited by unknown" in found.supervisor.ledger.outcomes["event-1", "evse-CP1"].reason
        assert found.upstream.opts == []
        del charger.profiles[900]
        await found.central.read_back("CP1")
        status = found.central.status("CP1")
        assert status is not None
        assert status.foreign == ()


async def test_arb_13_a_local_programme_that_defeats_the_event_is_found_by_meter_and_opted_out(
    bridge_db: AsyncEngine,
) -> None:
    async with site(bridge_db, CP1={"version": "2.0.1"}) as found:
        await in_event(found)
        found.points["CP1"].hardware.charger.overridden = True  # at the charger's own menu: it tells nobody
        await found.until(lambda: found.state("CP1") == "failed")
        [opt] = found.upstream.opts
        assert opt.reason == "notParticipating"
        assert opt.resource_ids == ("evse-CP1",)
