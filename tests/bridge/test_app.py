"""The bridge process: made from a settings file, started in order, well or not well, stopped; and its command line."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from bridge.__main__ import app
from bridge.app import Bridge, build
from bridge.settings import BridgeSettings, read_settings
from runtime.clock import SystemClock
from runtime.database import create_engine
from runtime.lifecycle import run
from runtime.settings import schema
from tests.bridge.test_settings import GOOD

TOKEN = "0123456789abcdef"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings on free ports, with a VTN address where nobody listens."""
    path = tmp_path / "bridge.toml"
    text = GOOD.replace(":8080", ":9").replace("[ocpp]", "[ocpp]\nport = 0").replace("[api]", "[api]\nport = 0")
    path.write_text(text + '\n[database]\nurl = "sqlite+aiosqlite:///data/bridge.sqlite3"\n'.replace("\n[", "\n["))
    return path


async def get(bridge: Bridge, path: str) -> tuple[int, object]:
    assert bridge.server is not None
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{bridge.server.port}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_bridge_starts_without_its_vtn_says_so_and_stops(config: Path) -> None:
    settings = read_settings(config)
    engine = create_engine(settings.database.url)
    bridge = await build(settings, engine=engine, clock=SystemClock(), draw=lambda: 0.5, base=config.parent)
    stop = asyncio.Event()
    running = asyncio.create_task(run(bridge.parts(), stop=stop))
    try:
        async with asyncio.timeout(20):
            while bridge.server is None or bridge.supervisor.reconciled_at is None or bridge.central.port == 0:
                await asyncio.sleep(0.01)
        status, body = await get(bridge, "/health")
        assert status == 503
        assert body == {"status": "failing", "checks": {"database": "ok", "supervisor": "ok", "ven": "failing"}}
        status, chargers = await get(bridge, "/api/v1/chargers")
        assert status == 200
        assert isinstance(chargers, list)
        assert [row["connected"] for row in chargers] == [False, False]
    finally:
        stop.set()
        assert await running == 0
        await engine.dispose()
    assert (config.parent / "data" / "bridge.sqlite3").exists()


def test_check_config_says_fine_or_names_the_key(config: Path) -> None:
    good = CliRunner().invoke(app, ["check-config", str(config)])
    assert (good.exit_code, "fine; 2 chargers" in good.output) == (0, True)
    config.write_text(config.read_text().replace("max_a = 16", "max_a = 1"))
    bad = CliRunner().invoke(app, ["check-config", str(config)])
    assert (bad.exit_code, "chargers.0.max_a:" in bad.output) == (2, True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[programme]\nfiles = ["nowhere.toml"]\n', "nowhere.toml: cannot be read"),
        ("[telemetry]\nfastest_s = 0\n", "telemetry.fastest_s"),
    ],
)
def test_serve_refuses_unusable_settings_before_it_starts(config: Path, more: str, message: str) -> None:
    config.write_text(config.read_text() + more)
    found = CliRunner().invoke(app, ["serve", "--config", str(config)])
    assert (found.exit_code, message in found.output) == (2, True)


def test_version_and_schema_are_printed() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.startswith("oadr-bridge ")
    assert CliRunner().invoke(app, ["schema"]).output == schema(BridgeSettings)


def test_simulate_names_what_is_wrong_with_the_fleet_file(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["simulate", "--fleet", str(tmp_path / "none.toml")])
    assert (found.exit_code, "none.toml" in found.output) == (2, True)


def test_a_fleet_file_at_fault_is_named_by_key_without_the_values(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text('url = "ws://x/ocpp"\n[[chargers]]\nidentity = "CP1"\npasswort = "s3cret"\n')
    found = CliRunner().invoke(app, ["simulate", "--fleet", str(path)])
    assert found.exit_code == 2
    assert "chargers.0.passwort: Extra inputs are not permitted" in found.output
    assert "s3cret" not in found.output
    path.write_text('url = "ws://x/ocpp"\n[[chargers]]\nidentity = "CP1"\n')
    found = CliRunner().invoke(app, ["simulate", "--fleet", str(path), "--log-level", "loud"])
    assert found.exit_code == 2
    assert "log level 'loud'" in found.output
    found = CliRunner().invoke(app, ["simulate", "--fleet", str(tmp_path / "none.toml")])
    assert found.output.strip().endswith("none.toml: No such file or directory")
