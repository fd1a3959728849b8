"""The command ``oadr-certs``: make an authority, issue by profile, show fingerprints and the inventory.

Rule: a shell: it reads the clock and prints; what it does is in ``certs.authority``. A fault is one line and exit
code 1.
"""

import importlib.metadata
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console
from rich.table import Table

from certs.authority import Authority, AuthorityError, Issued, KeyType, Profile, ProfileError, Role
from certs.demo import demo_pki
from certs.files import Record, read_certificate
from certs.profiles import common_name_for
from openadr.identity import fingerprint
from runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)

PLAIN_WIDTH = 240  # characters: in a file or a pipe no column is cut

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the PKI.")]
Hosts = Annotated[list[str], typer.Option("--host", help="A host name or IP address; may be repeated.")]
Days = Annotated[int | None, typer.Option(min=1, max=3650, help="Days of validity; the profile's own if not given.")]
Key = Annotated[KeyType, typer.Option("--key", help="EC P-256 or RSA-2048.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"oadr-certs {importlib.metadata.version('openadr-gateway')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Make and keep the certificates of VTN, VENs, charging stations and servers."""


@app.command()
def init(
    directory: Folder,
    owner: Annotated[str, typer.Option(help="The organisation named in the CAs.")] = "OpenADR Gateway",
) -> None:
    """Make the roots, issuing CAs and trust files. Refuses to touch an existing authority."""
    authority = Authority.create(directory, now=SystemClock().now(), owner=owner, rsa=True)
    for role in Role:
        typer.echo(f"{role}: give {authority.trust(role)} to its peers as CA file")


@app.command("issue-vtn")
def issue_vtn(directory: Folder, host: Hosts, days: Days = None) -> None:
    """Issue a VTN's two certificates, EC and RSA (R68)."""
    authority, now = Authority.open(directory), SystemClock().now()
    for kind in KeyType:
        name = common_name_for(host)
        _show(authority.issue(Profile.OPENADR_VTN, name, host, now=now, key_type=kind, days=days))


@app.command("issue-ven")
def issue_ven(
    directory: Folder,
    ven_id: Annotated[str, typer.Option(help="The common name: venID, MAC address or serial number.")],
    host: Annotated[list[str] | None, typer.Option(help="Only for a VEN with a push listener.")] = None,
    key: Key = KeyType.EC,
    days: Days = None,
) -> None:
    """Issue a VEN's certificate and show the fingerprint to register at the VTN."""
    authority = Authority.open(directory)
    _show(authority.issue(Profile.OPENADR_VEN, ven_id, host or (), now=SystemClock().now(), key_type=key, days=days))


@app.command("issue-station")
def issue_station(
    directory: Folder,
    identity: Annotated[str, typer.Option(help="The charging station's OCPP identity.")],
    cpo: Annotated[str, typer.Option(help="The charge point operator's name.")],
    key: Key = KeyType.EC,
    days: Days = None,
) -> None:
    """Issue a charging station's client certificate (CN identity, O operator)."""
    authority, now = Authority.open(directory), SystemClock().now()
    _show(authority.issue(Profile.OCPP_STATION, identity, now=now, organisation=cpo, key_type=key, days=days))


@app.command("issue-server")
def issue_server(directory: Folder, host: Hosts, key: Key = KeyType.EC, days: Days = None) -> None:
    """Issue a server certificate for the OCPP central system or an operator API."""
    authority, now = Authority.open(directory), SystemClock().now()
    _show(authority.issue(Profile.SERVER, common_name_for(host), host, now=now, key_type=key, days=days))


@app.command("fingerprint")
def show_fingerprint(file: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate, PEM or DER.")]) -> None:
    """Show the OpenADR fingerprint of a certificate."""
    typer.echo(fingerprint(read_certificate(file).public_bytes(Encoding.DER)))


@app.command()
def inventory(directory: Folder, json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List what was issued: serial, owner, role, expiry, fingerprint."""
    records = Authority.open(directory).inventory()
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(records), indent=2).decode())
        return
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=PLAIN_WIDTH)).print(_table(records))


@app.command("demo-pki")
def make_demo_pki(
    directory: Folder,
    ven_id: Annotated[str, typer.Option(help="The bridge's common name.")] = "bridge",
    station: Annotated[list[str] | None, typer.Option(help="A station's identity; may be repeated.")] = None,
) -> None:
    """Make a development PKI for one machine: VTN, bridge, central system, operator API, stations."""
    pki = demo_pki(directory, now=SystemClock().now(), ven=ven_id, stations=station or ())
    for issued in (*pki.vtn, pki.ven, pki.central, pki.operator, *pki.stations.values()):
        _show(issued)


def _show(issued: Issued) -> None:
    typer.echo(f"{issued.fingerprint}  {issued.chain_path}  {issued.key_path}")


def _table(records: tuple[Record, ...]) -> Table:
    table = Table("profile", "common name", "owner", "role", "key", "expires", "fingerprint", "serial")
    for each in records:
        expires = f"{each.not_after:%Y-%m-%d %H:%MZ}"
        table.add_row(
            each.profile,
            each.common_name,
            each.owner,
            each.role,
            each.key_type,
            expires,
            each.fingerprint,
            each.serial,
        )
    return table


def main() -> None:
    """Run the command line; known faults are one line on standard error and exit code 1."""
    try:
        app()
    except (AuthorityError, ProfileError, OSError) as error:
        typer.echo(f"oadr-certs: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
