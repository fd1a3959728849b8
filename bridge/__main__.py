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
from bridge.ocpp.quirks import QuirkError
from bridge.program import ProgrammeError
from bridge.program import schema as programme_schema
from bridge.programmes import load as load_programmes
from bridge.settings import BridgeSettings, read_settings
from openadr.tls import TlsError, client_context
from runtime import collector, logs
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
    except (SettingsError, ProgrammeError, QuirkError, TlsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(CONFIG_FAULT) from None
    return settings


async def _serve(settings: BridgeSettings, base: Path) -> int:
    engine = create_engine(settings.database.url)
    try:
        bridge = await build(settings, engine=engine, clock=SystemClock(), draw=system_draw, base=base)
        collector.settle()
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
    devices = f", {len(settings.cta_devices)} CTA-2045 devices" if settings.cta_devices else ""
    programmes = len(settings.programme.files)
    typer.echo(f"{config}: fine; {len(settings.chargers)} chargers{devices}, {programmes} programmes")


@app.command("schema")
def write_schema() -> None:
    """Write the JSON Schema of the settings file to standard output."""
    sys.stdout.write(schema(BridgeSettings))


@app.command("programme-schema")
def write_programme_schema() -> None:
    """Write the JSON Schema of a programme file to standard output."""
    sys.stdout.write(programme_schema())


@app.command("check-programme")
def check_programme(
    files: Annotated[list[str], typer.Argument(help="Programme files, or names of shipped ones.")],
) -> None:
    """Check programme files as one bridge would load them, and say what they mean."""
    try:
        found = load_programmes(files)
    except ProgrammeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(CONFIG_FAULT) from None
    for programme in found.by_context.values():
        typer.echo(f"{programme.label}: {programme.event_class}, {len(programme.signals)} signals")
        for rule in programme.signals:
            typer.echo(f"  {rule.what}: {rule.rule}")


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


@app.command("simulate-cta")
def simulate_cta(
    link: Annotated[Path, typer.Option("--link", help="Where the pseudo terminal's name is linked.")],
    kind: Annotated[str, typer.Option("--type", help="evse or water-heater.")] = "evse",
    edition: Annotated[str, typer.Option("--edition", help="A or B: payload and capabilities.")] = "B",
    override_after: Annotated[float | None, typer.Option(help="Seconds until the customer's override.")] = None,
    deaf: Annotated[float, typer.Option(help="Seconds that it hears nothing after an ACK.")] = 0.0,
    drop: Annotated[float, typer.Option(min=0, max=1, help="Share of its writes that get lost.")] = 0.0,
    corrupt: Annotated[float, typer.Option(min=0, max=1, help="Share of its writes with a wrong bit.")] = 0.0,
) -> None:
    """Run a simulated CTA-2045 device on a pseudo terminal; SIGUSR1 presses its override button."""
    from bridge.simulators import cta_pty
    from bridge.simulators.cta_device import Faults

    try:
        faults = Faults(deaf_s=deaf, drop=drop, corrupt=corrupt)
        device = cta_pty.make(kind, system_draw, version=edition, faults=faults)
        typer.echo(f"{kind} on {link}")
        uvloop.run(cta_pty.run(device, link, override_after))
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(CONFIG_FAULT) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(0) from None


@app.command("cta-probe")
def cta_probe(
    port: Annotated[str, typer.Argument(help="/dev/..., tcp://127.0.0.1:port or tls://host:port.")],
    ca: Annotated[Path | None, typer.Option("--ca", help="CA of a serial server behind TLS (PEM).")] = None,
) -> None:
    """Say what the CTA-2045 device on a port is and supports; nothing on it is changed. Exit code 1: nobody there."""
    from bridge.cta2045.probe import probe

    try:
        tls = None if ca is None else client_context(ca=ca, cert_chain=None)
        logs.configure("error", json=False)
        found = uvloop.run(probe(port, typer.echo, clock=SystemClock(), draw=system_draw, tls=tls))
    except (ValueError, TlsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(CONFIG_FAULT) from None
    raise typer.Exit(0 if found else 1)


@app.command("self-test")
def self_test(
    charger: Annotated[str, typer.Argument(help="Charge point identity.")],
    config: Config,
    out: Annotated[Path, typer.Option("--out", help="Folder for the evidence.")] = Path(),
    url: Annotated[str | None, typer.Option("--url", help="The bridge's API, if not as in the settings.")] = None,
    ca: Annotated[Path | None, typer.Option("--ca", help="CA of the API's certificate (PEM).")] = None,
) -> None:
    """Have the running bridge test one charger: half its load, none, and back by meter; write the signed evidence."""
    from bridge.selftest_cli import NoAnswer
    from bridge.selftest_cli import self_test as run_self_test

    settings = _read(config)
    api = settings.api
    scheme = "http" if api.cert is None else "https"
    try:
        passed = asyncio.run(
            run_self_test(
                url=url or f"{scheme}://{api.host}:{api.port}",
                token=api.token.get_secret_value(),
                charger=charger,
                folder=out,
                tell=typer.echo,
                tls=None if ca is None else client_context(ca=ca, cert_chain=None),
            )
        )
    except (NoAnswer, TlsError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if passed else 1)


@app.command("check-quirks")
def check_quirks(files: Annotated[list[Path], typer.Argument(help="Quirk files (TOML).")]) -> None:
    """Check quirk files and say what they mean."""
    from bridge.ocpp.quirks import parse, said

    for path in files:
        try:
            rows = parse(path.read_text(encoding="utf-8"), str(path))
        except (QuirkError, OSError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(CONFIG_FAULT) from None
        for row in rows:
            typer.echo(f"{row.vendor} {row.model} {row.firmware} {row.protocol}: {said(row)}")


@app.command("quirks-schema")
def write_quirks_schema() -> None:
    """Write the JSON Schema of a quirk file to standard output."""
    from bridge.ocpp.quirks import schema as quirks_schema

    sys.stdout.write(quirks_schema())


@app.command("cta-measure")
def cta_measure(
    port: Annotated[str, typer.Argument(help="/dev/..., tcp://127.0.0.1:port or tls://host:port.")],
    settle: Annotated[float, typer.Option(help="Seconds between a command and its measurement.")] = 60.0,
    ca: Annotated[Path | None, typer.Option("--ca", help="CA of a serial server behind TLS (PEM).")] = None,
) -> None:
    """Shed the CTA-2045 device on a port, measure what is left, print its [cta.models] entry. Exit code 1: none."""
    from bridge.cta2045.measure import measure

    try:
        tls = None if ca is None else client_context(ca=ca, cert_chain=None)
        logs.configure("error", json=False)
        found = uvloop.run(measure(port, typer.echo, clock=SystemClock(), draw=system_draw, settle_s=settle, tls=tls))
    except (ValueError, TlsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(CONFIG_FAULT) from None
    raise typer.Exit(0 if found else 1)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
