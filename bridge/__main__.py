"""The command ``oadr-bridge``: serve, check the settings, write their schema, run simulated chargers.

Rule: a shell: it reads the command line and the clock, and hands over to ``bridge.app``. A fault in the settings is
one line a key and exit code 2.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from pydantic import ValidationError

from bridge.app import build, check, version
from bridge.program import ProgrammeError
from bridge.settings import BridgeSettings, read_settings
from openadr.tls import TlsError
from runtime import logs
from runtime.clock import SystemClock, system_draw
from runtime.database import DatabaseError, create_engine
from runtime.lifecycle import run, run_process
from runtime.settings import SettingsError, schema

CONFIG_FAULT = 2  # exit code: the settings cannot be used, starting again does not help

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)

Config = Annotated[Path, typer.Option("--config", "-c", help="The settings file (TOML).")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oadr-bridge {version()}")
        raise typer.Exit


@app.callback()
def _root(
    show: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Turn OpenADR events into charger limits, prove them by meter, and report upstream."""


def _read(path: Path) -> BridgeSettings:
    try:
        settings = read_settings(path)
        check(settings, path.resolve().parent)
    except (SettingsError, ProgrammeError, TlsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(CONFIG_FAULT) from None
    return settings


async def _serve(settings: BridgeSettings, base: Path) -> int:
    engine = create_engine(settings.database.url)
    try:
        bridge = await build(settings, engine=engine, clock=SystemClock(), draw=system_draw, base=base)
        return await run(bridge.parts())
    except DatabaseError as error:
        typer.echo(str(error), err=True)
        return 1
    finally:
        await engine.dispose()


@app.command()
def serve(config: Config) -> None:
    """Run the bridge until SIGTERM or SIGINT."""
    settings = _read(config)
    logs.configure(settings.log.level, settings.log.json_lines)
    base = config.resolve().parent
    raise typer.Exit(run_process(lambda: _serve(settings, base)))


@app.command("check-config")
def check_config(config: Annotated[Path, typer.Argument(help="The settings file (TOML).")]) -> None:
    """Check a settings file and everything it names; start nothing."""
    settings = _read(config)
    typer.echo(f"{config}: fine; {len(settings.chargers)} chargers, {len(settings.programme.files)} programmes")


@app.command("schema")
def write_schema() -> None:
    """Write the JSON Schema of the settings file to standard output."""
    sys.stdout.write(schema(BridgeSettings))


@app.command()
def simulate(
    fleet: Annotated[Path, typer.Option("--fleet", help="A fleet of simulated chargers (TOML).")],
    level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = "info",
) -> None:
    """Run simulated chargers against a central system until interrupted."""
    from bridge.simulators.fleet import load, run_fleet  # only this command needs the simulator's libraries

    try:
        load(fleet)
        logs.configure(level, json=False)
    except ValidationError as error:  # without the values, for they may be passwords
        for each in error.errors(include_input=False, include_url=False):
            typer.echo(f"{fleet}: {'.'.join(map(str, each['loc']))}: {each['msg']}", err=True)
        raise typer.Exit(CONFIG_FAULT) from None
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        typer.echo(f"{fleet}: {reason}", err=True)
        raise typer.Exit(CONFIG_FAULT) from None
    try:
        uvloop.run(run_fleet(fleet))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(0) from None


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
