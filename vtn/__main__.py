"""``oadr-vtn``: serve, check-config, schema, ven add, ven list, --version.

Rule: a fault of the settings is one line a key on standard error and exit code 2; nothing is printed twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from openadr.errors import OadrError
from openadr.tls import TlsError
from runtime import lifecycle, logs
from runtime.clock import SystemClock
from runtime.database import DatabaseError, create_engine, upgrade
from runtime.settings import SettingsError, schema
from vtn.app import build, listener_tls, operator_tls, program_version
from vtn.listener import peers_of, signatures_of
from vtn.pushtls import offers_push, push_tls
from vtn.services.enrolment import Enrolment, enrol
from vtn.settings import VtnSettings, load_settings
from vtn.store import MIGRATIONS
from vtn.store.store import VERSION_TABLE, Store

app = typer.Typer(no_args_is_help=True, add_completion=False, help="OpenADR 2.0b VTN with an operator API.")
vens = typer.Typer(no_args_is_help=True, help="Enrol and list VENs, beside a running server or without one.")
app.add_typer(vens, name="ven")

Config = Annotated[Path, typer.Option("--config", "-c", help="Settings file (TOML)")]


def main() -> None:
    """Run the command line."""
    app()


def _fail(text: str, code: int = 2) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(code)


def _settings(path: Path) -> VtnSettings:
    try:
        return load_settings(path)
    except SettingsError as error:
        raise _fail(str(error)) from None


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oadr-vtn {program_version()}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT."""
    settings = _settings(config)
    logs.configure(settings.log.level, settings.log.json_lines)

    async def run() -> int:
        application = build(settings, SystemClock())
        try:
            return await lifecycle.run([lifecycle.held("vtn", application.start, application.stop)])
        finally:
            await application.stop()

    raise typer.Exit(lifecycle.run_process(run))


@app.command("check-config")
def check_config(config: Annotated[Path, typer.Argument(help="Settings file (TOML)")]) -> None:
    """Read a settings file and its certificates, and say what is wrong."""
    settings = _settings(config)
    try:
        listener_tls(settings)
        peers_of(settings.server)
        signatures_of(settings.server).close()
        operator_tls(settings)
        if offers_push(settings):
            push_tls(settings)
    except TlsError as error:
        raise _fail(str(error)) from None
    typer.echo(f"{config}: ok")


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of the settings file."""
    typer.echo(schema(VtnSettings), nl=False)


@vens.command("add")
def add_ven(
    config: Config,
    ven_id: Annotated[str, typer.Option(help="venID")],
    fingerprint: Annotated[str, typer.Option(help="Fingerprint of its certificate, as oadr-certs shows it")],
    name: Annotated[str | None, typer.Option(help="venName")] = None,
    resource: Annotated[list[str] | None, typer.Option(help="resourceID[:groupID,groupID], repeatable")] = None,
) -> None:
    """Enrol a VEN."""
    given = Enrolment(
        ven_id=ven_id,
        fingerprint=fingerprint,
        ven_name=name,
        resources=tuple(_resource(each) for each in resource or ()),
    )

    async def add(store: Store) -> None:
        async with store.write() as tx:
            await enrol(tx, given, SystemClock().now())

    _with_store(_settings(config), add)
    typer.echo(f"{ven_id}: enrolled")


def _resource(text: str) -> tuple[str, tuple[str, ...]]:
    name, _, groups = text.partition(":")
    return name, tuple(group for group in groups.split(",") if group)


@vens.command("list")
def list_vens(config: Config) -> None:
    """List the enrolled VENs: venID, fingerprint, registered or not, last seen."""

    async def show(store: Store) -> None:
        after = ""
        async with store.read() as tx:
            while page := await tx.vens.page(after=after):
                for ven in page:
                    state = "registered" if ven.registered else "enrolled"
                    seen = "never" if ven.last_seen is None else ven.last_seen.isoformat(timespec="seconds")
                    typer.echo(f"{ven.ven_id}  {ven.fingerprint}  {state}  {seen}")
                after = page[-1].ven_id

    _with_store(_settings(config), show)


def _with_store(settings: VtnSettings, act: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        engine: AsyncEngine = create_engine(settings.database.url)
        try:
            await upgrade(engine, MIGRATIONS, version_table=VERSION_TABLE)
            await act(Store(engine))
        finally:
            await engine.dispose()

    try:
        asyncio.run(run())
    except (OadrError, DatabaseError) as error:
        raise _fail(str(error), 1) from None


if __name__ == "__main__":
    main()
