"""Programme files that change while the bridge runs: taken over, or refused and the old ones kept."""

import asyncio
import json
import os
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from bridge.__main__ import app
from bridge.program import Programmes, schema
from bridge.programmes import SHIPPED, load, names
from bridge.reload import ProgrammeWatch
from runtime.clock import FakeClock
from tests.bridge.parts import T0, SimCharger, World, database, event, simple

TEXT = (SHIPPED / "dno-curtailment.toml").read_text()
NEXT = TEXT.replace('version = "1"', 'version = "2"').replace("2 = 0.5", "2 = 0.25")


class Files:
    """One programme file, its watcher, and what was taken over."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mine.toml"
        self.path.write_text(TEXT)
        self.taken: list[Programmes] = []
        self.clock = FakeClock(T0)
        self._stamp = 1_000_000_000
        self.watch = ProgrammeWatch(
            files=("mine.toml",),
            base=folder,
            current=load(("mine.toml",), folder),
            use=self.taken.append,
            clock=self.clock,
            every_s=5.0,
        )

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self._stamp += 1_000_000_000
        os.utime(self.path, ns=(self._stamp, self._stamp))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_ops_03_a_changed_file_with_a_new_version_is_taken_over(files: Files) -> None:
    assert not files.watch.check()
    files.write(NEXT)
    assert files.watch.check()
    assert not files.watch.check()
    [(programme,)] = [tuple(each.by_context.values()) for each in files.taken]
    assert programme.version == "2"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (NEXT.replace('version = "2"', 'version = "1"'), "has changed and is still version 1"),
        (NEXT.replace("2 = 0.25", "2 = 25"), "signals.1.levels.2"),
        ("half a file = ", "not TOML"),
    ],
)
def test_ops_03_a_file_that_cannot_be_used_keeps_the_old_one_and_is_logged_once(
    files: Files, text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write(text)
    assert not files.watch.check()
    assert not files.watch.check()
    out = capsys.readouterr().out
    assert out.count("programme file not taken over") == 1
    assert why in out
    assert files.taken == []
    files.write(NEXT)
    assert files.watch.check()


def test_a_file_that_is_gone_or_only_touched_changes_nothing(files: Files) -> None:
    files.write(TEXT + "\n# a remark\n")
    assert not files.watch.check()
    files.path.unlink()
    assert not files.watch.check()
    files.write(NEXT)
    assert files.watch.check()


async def test_the_files_are_looked_at_by_the_clock(files: Files) -> None:
    running = asyncio.create_task(files.watch.run())
    await asyncio.sleep(0)
    files.write(NEXT)
    files.clock.advance(5.0)
    await asyncio.sleep(0)
    assert len(files.taken) == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with database(tmp_path) as engine:
        world = World(engine, [SimCharger("CP1")])
        await world.start()
        yield world
        await world.supervisor.dispatcher.close()


async def test_ops_03_an_event_under_way_follows_the_new_rules_and_names_their_version(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.publish(event(simple((600, 2))))
    await world.step(10)
    assert world.supervisor.effective("evse-1", world.clock.now()).limit_a == 16.0
    (tmp_path / "next.toml").write_text(NEXT)
    world.supervisor.use(load(("next.toml",), tmp_path))
    await world.round()
    assert world.supervisor.effective("evse-1", world.clock.now()).limit_a == 8.0
    [[plan]] = world.supervisor.planner.plans.values()
    assert plan.programme.endswith("dno-curtailment 2")
    world.supervisor.use(load(("drm",)))
    await world.round()
    assert world.supervisor.effective("evse-1", world.clock.now()).limit_a is None
    assert "no programme understands this event any more" in capsys.readouterr().out


def test_the_schema_of_a_programme_takes_what_is_shipped_and_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema_rs.validator_for(json.loads(schema()))
    for name in names():
        validator.validate(tomllib.loads((SHIPPED / f"{name}.toml").read_text()))
    assert not validator.is_valid(tomllib.loads(NEXT.replace("2 = 0.25", "2 = 25")))
    assert not validator.is_valid(tomllib.loads(NEXT + "\ncolour = 1\n"))


def test_the_command_line_writes_the_schema_and_checks_files(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["programme-schema"]).stdout == schema()
    found = runner.invoke(app, ["check-programme", "drm"])
    assert found.exit_code == 0
    assert "x-DRM level: drm" in found.stdout
    (tmp_path / "bad.toml").write_text(TEXT.replace("0.75", "75"))
    refused = runner.invoke(app, ["check-programme", str(tmp_path / "bad.toml")])
    assert refused.exit_code == 2
    assert "bad.toml: signals.1.levels.1" in refused.stderr
