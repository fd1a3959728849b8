"""The command ``oadr-certs``: what it prints, its exit codes, one line for a fault."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from certs.__main__ import app
from certs.authority import Authority, Profile

runner = CliRunner()


def run(*argv: str) -> str:
    result = runner.invoke(app, list(argv), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def pki(tmp_path: Path) -> str:
    folder = str(tmp_path / "pki")
    run("init", folder, "--owner", "The Owner")
    return folder


def test_init_names_the_trust_files(tmp_path: Path) -> None:
    output = run("init", str(tmp_path / "pki"))
    assert [line.split(":")[0] for line in output.splitlines()] == ["openadr", "ocpp", "server"]


def test_rule_068_issue_vtn_makes_an_ec_and_an_rsa_certificate(pki: str) -> None:
    lines = run("issue-vtn", pki, "--host", "vtn.example", "--host", "127.0.0.1").splitlines()
    assert len(lines) == 2
    assert {record.key_type for record in Authority.open(Path(pki)).inventory()} == {"ec", "rsa"}


def test_issue_ven_shows_the_fingerprint_that_fingerprint_shows(pki: str) -> None:
    shown, chain, _key = run("issue-ven", pki, "--ven-id", "ven-1").split()
    assert run("fingerprint", chain).strip() == shown
    assert len(shown) == 29


def test_stations_and_servers_are_issued_by_profile(pki: str) -> None:
    run("issue-station", pki, "--identity", "CP1", "--cpo", "The CPO", "--key", "rsa")
    run("issue-server", pki, "--host", "localhost", "--days", "30")
    assert [record.profile for record in Authority.open(Path(pki)).inventory()] == [
        Profile.OCPP_STATION,
        Profile.SERVER,
    ]


def test_sec_20_inventory_as_json_and_as_a_table(pki: str) -> None:
    fingerprint = run("issue-ven", pki, "--ven-id", "ven-1").split()[0]
    (record,) = json.loads(run("inventory", pki, "--json"))
    assert record["fingerprint"] == fingerprint
    assert set(record) >= {"serial", "owner", "role", "not_after", "fingerprint"}
    assert "openadr-ven" in run("inventory", pki)


def test_demo_pki_lists_every_certificate(tmp_path: Path) -> None:
    assert len(run("demo-pki", str(tmp_path / "pki"), "--station", "CP1", "--station", "CP2").splitlines()) == 7


def test_version_is_shown() -> None:
    assert run("--version").startswith("oadr-certs ")


def test_a_fault_is_one_line_and_exit_code_1(pki: str) -> None:
    again = subprocess.run([sys.executable, "-m", "certs", "init", pki], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr.splitlines() == [f"oadr-certs: {pki}: there is an authority already; it is never overwritten"]
    assert again.stdout == ""
