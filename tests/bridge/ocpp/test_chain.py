"""The chain from a limit to the meter, simulated chargers of both versions against the central system on loopback."""

import pytest

from bridge.ocpp.settings import ChargerConfig
from bridge.target import CommandOutcome
from tests.bridge.ocpp.harness import bench, charging, metered, running, simulated

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
CHARGER = ChargerConfig(identity="CP-1")


@VERSIONS
async def test_ocp_06_a_limit_shows_in_the_metered_power_and_its_end_too(version: str) -> None:
    async with bench(CHARGER) as at, running(point := simulated(at, version=version)):
        await charging(at, point)
        assert await metered(at, point) == pytest.approx(32 * 3 * 230, rel=0.01)
        result = await at.central.set_limit("CP-1", at.schedule(10.0))
        assert result.outcome is CommandOutcome.ACCEPTED, result.detail
        assert await metered(at, point) == pytest.approx(10 * 3 * 230, rel=0.01)
        result = await at.central.clear_limit("CP-1", 7)
        assert result.outcome is CommandOutcome.ACCEPTED, result.detail
        assert point.hardware.charger.profiles == {}
        assert await metered(at, point) == pytest.approx(32 * 3 * 230, rel=0.01)
