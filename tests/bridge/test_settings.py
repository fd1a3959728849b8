"""The bridge's settings file: what it says, and how a mistake is told."""

from pathlib import Path

import pytest

from bridge.settings import ENV_PREFIX, BridgeSettings, charger_configs, read_settings, resources, sampling, supervision
from runtime.settings import SettingsError, load

GOOD = """
[ven]
vtn_url = "http://127.0.0.1:8080"
allow_insecure_http = true
ven_name = "bridge"
[ocpp]
security_profile = 1
allow_insecure = true
[api]
token = "0123456789abcdef"
allow_insecure_http = true
[verify]
settle_s = 5
[[chargers]]
identity = "CP1"
resource_id = "evse-1"
phases = 1
max_a = 16
groups = ["feeder-7"]
password = "secret-of-the-charger"
[[chargers]]
identity = "CP2"
resource_id = "evse-2"
"""


def read(tmp_path: Path, text: str) -> BridgeSettings:
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    return read_settings(path)


def test_a_settings_file_becomes_the_values_of_the_core(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    first, second = resources(settings)
    assert (first.charger, first.resource_id, first.phases, first.max_a, first.groups) == (
        "CP1",
        "evse-1",
        1,
        16.0,
        ("feeder-7",),
    )
    assert (second.phases, second.max_a, second.test_enrolled) == (3, 32.0, False)
    assert charger_configs(settings)[0].password == "secret-of-the-charger"
    assert charger_configs(settings)[1].password is None
    assert supervision(settings).policy.settle_s == 5
    assert sampling(settings).buffer_s == 7 * 86_400
    assert "secret" not in repr(settings)


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(GOOD)
    settings = load(BridgeSettings, path, ENV_PREFIX, {f"{ENV_PREFIX}VERIFY__ENABLED": "false"})
    assert not supervision(settings).policy.enabled


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('token = "0123456789abcdef"', 'token = "short"', "api.token: must have at least 16 characters"),
        ("[verify]", "[verify]\ncolour = 1", "verify.colour: unknown key"),
        ("max_a = 16", "max_a = 5", "chargers.0.max_a: input should be greater than or equal to 6"),
        ('resource_id = "evse-2"', 'resource_id = "evse-1"', "chargers: resource_id 'evse-1' is given twice"),
        ('identity = "CP2"', 'identity = "CP1"', "chargers: identity 'CP1' is given twice"),
        ("security_profile = 1\n", "", "ocpp: security_profile 3 needs cert and key"),
        ('token = "0123456789abcdef"', 'token = "0123456789abcdef"\ncert = "a.pem"', "api: cert and key go together"),
        ('abcdef"\nallow_insecure_http = true', 'abcdef"', "api: needs cert and key"),
    ],
)
def test_a_mistake_is_told_by_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, GOOD.replace(old, new))
    assert message in str(refusal.value)
