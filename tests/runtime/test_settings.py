"""Settings: file, environment over it, unknown keys refused, every message names the key."""

import json
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from runtime.settings import DatabaseUrl, Section, Settings, SettingsError, SettingsPath, load, schema

PREFIX = "OADR_TEST__"


class Server(Section):
    host: str = "127.0.0.1"
    port: int = Field(8443, ge=0, le=65535)
    key: SettingsPath | None = None
    chains: tuple[SettingsPath, ...] = ()


class Database(Section):
    url: DatabaseUrl = "sqlite+aiosqlite:///var/test.sqlite3"


class Operator(Section):
    token: SecretStr


class Charger(Section):
    identity: str
    max_a: float = 32.0


class Example(Settings):
    operator: Operator
    server: Server = Server()
    database: Database = Database()
    chargers: tuple[Charger, ...] = ()


def write(folder: Path, text: str) -> Path:
    path = folder / "test.toml"
    path.write_text(text)
    return path


GOOD = """
[operator]
token = "from-file"
[server]
port = 9000
key = "tls/key.pem"
[[chargers]]
identity = "CP1"
"""


def test_the_file_is_read_and_defaults_fill_the_rest(tmp_path: Path) -> None:
    settings = load(Example, write(tmp_path, GOOD), PREFIX, {})
    assert settings.operator.token.get_secret_value() == "from-file"
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 9000)
    assert settings.chargers == (Charger(identity="CP1"),)


def test_the_environment_overrides_single_keys(tmp_path: Path) -> None:
    environ = {"OADR_TEST__SERVER__PORT": "9001", "OADR_TEST__OPERATOR__TOKEN": "from-env", "OTHER": "x"}
    settings = load(Example, write(tmp_path, GOOD), PREFIX, environ)
    assert settings.server.port == 9001
    assert settings.operator.token.get_secret_value() == "from-env"
    assert settings.server.key == tmp_path / "tls/key.pem"


def test_lists_in_the_environment_are_json_and_replace_the_file(tmp_path: Path) -> None:
    environ = {"OADR_TEST__CHARGERS": '[{"identity": "CP7", "max_a": 16}]'}
    settings = load(Example, write(tmp_path, GOOD), PREFIX, environ)
    assert settings.chargers == (Charger(identity="CP7", max_a=16),)


def test_a_process_can_run_from_the_environment_alone() -> None:
    settings = load(Example, None, PREFIX, {"OADR_TEST__OPERATOR__TOKEN": "t", "OADR_TEST__SERVER__KEY": "key.pem"})
    assert settings.server.key == Path("key.pem")


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OADR_TEST__SERVER__PORT", "9002")
    assert load(Example, write(tmp_path, GOOD), PREFIX).server.port == 9002


def test_settings_built_in_code_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER__PORT", "1")
    monkeypatch.setenv("SERVER", '{"port": 1}')
    assert Example(operator=Operator(token=SecretStr("t"))).server.port == 8443


def test_relative_paths_count_from_the_settings_file(tmp_path: Path) -> None:
    text = GOOD + '[database]\nurl = "sqlite+aiosqlite:///data/x.sqlite3"\n'
    settings = load(Example, write(tmp_path, text), PREFIX, {})
    assert settings.server.key == tmp_path / "tls/key.pem"
    assert settings.database.url == f"sqlite+aiosqlite:///{tmp_path}/data/x.sqlite3"


def test_default_database_path_counts_from_the_settings_file_too(tmp_path: Path) -> None:
    settings = load(Example, write(tmp_path, GOOD), PREFIX, {})
    assert settings.database.url == f"sqlite+aiosqlite:///{tmp_path}/var/test.sqlite3"


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite:////abs/x.sqlite3", "sqlite+aiosqlite:///:memory:", "postgresql+asyncpg://u:p@h:5433/d"]
)
def test_other_database_urls_stay_as_they_are(tmp_path: Path, url: str) -> None:
    settings = load(Example, write(tmp_path, GOOD), PREFIX, {"OADR_TEST__DATABASE__URL": url})
    assert settings.database.url == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[operator]\ntoken = "t"\n[server]\nprot = 1\n', "server.prot: unknown key"),
        ('[operator]\ntoken = "t"\n[sevrer]\nport = 1\n', "sevrer: unknown key"),
        ("[server]\nport = 1\n", "operator: required, but not given"),
        ("[operator]\n", "operator.token: required, but not given"),
        ('[operator]\ntoken = "t"\n[server]\nport = 70000\n', "server.port: input should be less than or equal to"),
        ('[operator]\ntoken = "t"\n[server]\nport = "x"\n', "server.port: input should be a valid integer"),
        ('[operator]\ntoken = "t"\n[[chargers]]\nmax_a = 1\n', "chargers.0.identity: required"),
        ('[operator]\ntoken = "t"\n[[chargers]]\nidentity = "a"\nmax_a = nan\n', "chargers.0.max_a: input should be"),
        ('[operator]\ntoken = "t"\n[database]\nurl = "mysql://x"\n', "database.url: unknown driver mysql"),
        ('[operator]\ntoken = "t"\n[database]\nurl = "rubbish"\n', "database.url: not a database URL"),
        ("[operator\n", "not TOML"),
    ],
)
def test_a_fault_in_the_file_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, write(tmp_path, text), PREFIX, {})
    assert message in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, write(tmp_path, "[server]\nport = -1\nprot = 1\n"), PREFIX, {})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["operator", "server.port", "server.prot"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OADR_TEST__SEVRER__PORT", "1", "OADR_TEST__SEVRER__PORT: no such section"),
        ("OADR_TEST__SERVER__PROT", "1", "server.prot: unknown key"),
        ("OADR_TEST__SERVER__PORT", "x", "server.port: input should be a valid integer"),
        ("OADR_TEST__CHARGERS", "[{", "chargers: the environment value is not JSON"),
        ("OADR_TEST__SERVER", "{", "server: the environment value is not JSON"),
        ("OADR_TEST__SERVER__CHAINS", "[", "server: the environment value is not JSON (OADR_TEST__SERVER__CHAINS)"),
    ],
)
def test_a_fault_in_the_environment_names_the_key(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, write(tmp_path, GOOD), PREFIX, {name: value})
    assert message in str(caught.value)


def test_secrets_are_never_in_a_message(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, write(tmp_path, '[operator]\ntoken = ["very-secret"]\n'), PREFIX, {})
    assert "operator.token" in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.toml: cannot be read"):
        load(Example, tmp_path / "gone.toml", PREFIX, {})
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(SettingsError, match=r"latin\.toml: not UTF-8"):
        load(Example, tmp_path / "latin.toml", PREFIX, {})


def test_the_schema_is_stable_json_with_every_key() -> None:
    text = schema(Example)
    parsed = json.loads(text)
    assert text == schema(Example)
    assert text.endswith("}\n")
    assert set(parsed["properties"]) == {"operator", "server", "database", "chargers"}
    assert parsed["additionalProperties"] is False
