"""The bridge with a push listener: made from its settings, started before the VEN, its files checked."""

from pathlib import Path

from typer.testing import CliRunner

from bridge.__main__ import app
from bridge.app import build
from bridge.settings import read_settings
from runtime.clock import SystemClock
from runtime.database import create_engine
from tests.bridge.test_settings import GOOD

PUSH = '[ven.push]\naddress = "https://bridge.example:8444/"\ncert = "v.pem"\nkey = "v.key"\nca = "ca.pem"\n'


async def test_the_push_listener_is_a_part_of_the_process_before_the_ven(tmp_path: Path) -> None:
    config = tmp_path / "bridge.toml"
    for text, expected in ((GOOD, False), (GOOD + "\n" + PUSH, True)):
        config.write_text(text)
        engine = create_engine("sqlite+aiosqlite:///:memory:")
        settings = read_settings(config)
        made = await build(settings, engine=engine, clock=SystemClock(), draw=lambda: 0.5, base=tmp_path)
        names = [part.name for part in made.parts()]
        assert ("push" in names) is expected
        assert names[-1] == "ven"
        await engine.dispose()


def test_check_config_reads_the_files_of_the_push_listener(tmp_path: Path) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text(GOOD + "\n" + PUSH)
    found = CliRunner().invoke(app, ["check-config", str(config)])
    assert (found.exit_code, "v.pem" in found.output) == (2, True), found.output
