"""Settings of oadr-vtn and its command line: faults name the key, nothing insecure by default."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.settings import SettingsError, load
from tests.vtn.server import Pki
from vtn.__main__ import app
from vtn.settings import ENV_PREFIX, VtnSettings, desk_of, load_settings

RUN = CliRunner()


def config(pki: Pki, folder: Path, operator: str = "", extra: str = "") -> Path:
    """Write a settings file."""
    path = folder / "vtn.toml"
    path.write_text(
        f"""
[server]
certificates = [{{ cert = "{pki.vtn.chain_path}", key = "{pki.vtn.key_path}" }}]
client_ca = "{pki.trust}"
[operator]
{operator or 'token = "0123456789abcdef"'}
allow_insecure_http = true
[database]
url = "sqlite+aiosqlite:///vtn.sqlite3"
{extra}
"""
    )
    return path


def test_a_file_is_read_and_the_environment_lies_over_it(pki: Pki, tmp_path: Path) -> None:
    path = config(pki, tmp_path)
    settings = load(
        VtnSettings, path, ENV_PREFIX, {"OADR_VTN__VTN__POLL_FREQ_S": "30", "OADR_VTN__LOG__LEVEL": "debug"}
    )
    assert (settings.vtn.poll_freq_s, settings.log.level, settings.vtn.vtn_id) == (30, "debug", "VTN-1")
    assert settings.database.url == f"sqlite+aiosqlite:///{tmp_path / 'vtn.sqlite3'}"
    assert desk_of(settings).poll_freq.seconds == 30


@pytest.mark.parametrize(
    ("operator", "extra", "key"),
    [
        ('token = "short"', "", "operator.token"),
        ("port = 8081", "", "operator.token"),
        ('token = "0123456789abcdef"\nhost = "0.0.0.0"', "", "operator"),
        ('token = "0123456789abcdef"\ncert = "a.pem"', "", "operator"),
        ("", '[vtn]\nvtn_id = "vtn-1"', "vtn.vtn_id"),
        ("", '[vtn]\nvtn_id = "1VTN"', "vtn.vtn_id"),
        ("", "[vtn]\npoll_freq_s = 0", "vtn.poll_freq_s"),
        ("", "[vtn]\ncolour = 1", "vtn.colour"),
        ("", "[nonsense]\na = 1", "nonsense"),
        ("", '[log]\nlevel = "loud"', "log.level"),
    ],
)
def test_faults_name_the_key_and_never_the_secret(
    pki: Pki, tmp_path: Path, operator: str, extra: str, key: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(config(pki, tmp_path, operator, extra))
    assert str(caught.value).startswith(f"{key}:")
    assert "0123456789abcdef" not in str(caught.value)


def test_check_config_says_ok_or_what_is_wrong(pki: Pki, tmp_path: Path) -> None:
    good = RUN.invoke(app, ["check-config", str(config(pki, tmp_path))])
    assert (good.exit_code, good.stdout.strip().endswith("ok")) == (0, True)
    bad = RUN.invoke(app, ["check-config", str(config(pki, tmp_path, 'token = "short"'))])
    assert bad.exit_code == 2
    assert "operator.token" in bad.stderr
    path = config(pki, tmp_path)
    path.write_text(path.read_text().replace(str(pki.trust), "missing.pem"))
    missing = RUN.invoke(app, ["check-config", str(path)])
    assert (missing.exit_code, "missing.pem" in missing.stderr) == (2, True)


def test_the_schema_and_the_version_are_printed() -> None:
    printed = RUN.invoke(app, ["schema"])
    assert json.loads(printed.stdout)["title"] == "VtnSettings"
    version = RUN.invoke(app, ["--version"])
    assert (version.exit_code, version.stdout.startswith("oadr-vtn ")) == (0, True)


def test_vens_are_enrolled_and_listed_from_the_command_line(pki: Pki, tmp_path: Path) -> None:
    path = str(config(pki, tmp_path))
    given = ["ven", "add", "--config", path, "--ven-id", "ven-a", "--fingerprint", pki.ven_a.fingerprint]
    added = RUN.invoke(app, [*given, "--resource", "r1:g1,g2", "--resource", "r2"])
    assert added.exit_code == 0, added.output
    again = RUN.invoke(app, given)
    assert (again.exit_code, "enrolled already" in again.stderr) == (1, True)
    listed = RUN.invoke(app, ["ven", "list", "--config", path])
    assert listed.stdout.split() == ["ven-a", pki.ven_a.fingerprint, "enrolled", "never"]
