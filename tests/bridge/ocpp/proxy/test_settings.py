"""bridge.ocpp.proxy_settings and credentials: what is refused by name, which table counts, who the CSMS sees."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.ocpp import proxy
from bridge.ocpp.proxy_settings import ProxySection, conflicts, of
from bridge.ocpp.proxy_upstream import context, credentials
from bridge.settings import read_settings
from openadr.tls import TlsError
from runtime.settings import SettingsError

URL = "wss://csms.example/ocpp"


def section(**changes: Any) -> ProxySection:
    values: dict[str, Any] = {"chargers": ("CP-*",), "csms_url": URL, "ca": "ca.pem"}
    return ProxySection(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"csms_url": "https://csms.example"}, "no ws:// or wss:// address"),
        ({"csms_url": "wss://u:p@csms.example"}, "credentials belong into password_file"),
        ({"csms_url": "ws://csms.example", "ca": None}, "allow_insecure"),
        ({"csms_url": "ws://csms.example", "allow_insecure": True}, "are for wss:// addresses"),
        ({"ca": None}, "needs the CA"),
        ({"cert": "{identity}.pem"}, "cert and key go together"),
        ({"auth": "replace"}, "needs password_file or password"),
        ({"auth": "replace", "password_file": "{identity}", "password": "x"}, "one of them"),
        ({"password_file": "{identity}"}, "has no use for a password of ours"),
        ({"auth": "replace", "password": "x"}, "one for several chargers"),
        ({"auth": "replace", "password_file": "secret"}, "password_file: one for several chargers"),
        ({"cert": "all.pem", "key": "{identity}.key"}, "cert: one for several chargers"),
        ({"mode": "observe", "set_metering": True}, "sends nothing to the charger"),
        ({"profile_id_base": 2**31 - 500}, "less than or equal to"),
        ({"chargers": ()}, "at least 1 item"),
        ({"bogus": 1}, "not permitted"),
    ],
)
def test_impossible_combinations_are_refused_by_name(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says.replace("(", r"\(")):
        section(**changes)


def test_one_charger_may_have_its_credentials_named() -> None:
    alone = section(chargers=("CP-1",), auth="replace", password="s3cret", cert="c.pem", key="k.pem")
    assert alone.for_one
    assert not section().for_one


def test_the_first_table_that_fits_counts() -> None:
    one, rest = section(chargers=("CP-1", "X?")), section(chargers=("CP-*",))
    assert of((one, rest), "CP-1") is one
    assert of((one, rest), "X2") is one
    assert of((one, rest), "CP-2") is rest
    assert of((one, rest), "Y") is None


def test_ocp_10_conflicts_with_the_rest_of_the_settings_are_named() -> None:
    known = {"CP-1": "accepted", "Y": "pending"}
    found = conflicts((section(), section(chargers=("CP-1",))), known, 1, False)
    assert found is not None
    assert "no charger is left for table 2" in found
    found = conflicts((section(chargers=("Y",)),), known, 1, False)
    assert found is not None
    assert "decides on the boot of Y" in found
    found = conflicts((section(),), known, 3, False)
    assert found is not None
    assert "send no password" in found
    found = conflicts((section(),), known, 1, True)
    assert found is not None
    assert "hold_pending" in found
    named = section(chargers=("a/b",), auth="replace", password_file="{identity}")
    found = conflicts((named,), {"a/b": "accepted"}, 1, False)
    assert found is not None
    assert "identity with /" in found
    assert conflicts((section(),), known, 2, False) is None
    assert conflicts((), known, 3, True) is None


def test_the_bridges_settings_have_tables_of_csmss(tmp_path: Path) -> None:
    good = """
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
[[proxies]]
chargers = ["CP*"]
csms_url = "wss://csms.example"
ca = "cpo.pem"
[[chargers]]
identity = "CP1"
resource_id = "evse-1"
"""
    file = tmp_path / "bridge.toml"
    file.write_text(good)
    [found] = read_settings(file).proxies
    assert found.ca == tmp_path / "cpo.pem"
    file.write_text(good.replace('["CP*"]', '["X*"]'))
    with pytest.raises(SettingsError, match="no charger is left for table 1"):
        read_settings(file)
    file.write_text(good.replace("[[proxies]]", "[[proxies]]\nmode = 'watch'"))
    with pytest.raises(SettingsError, match=r"proxies\.0\.mode"):
        read_settings(file)


def test_the_csms_sees_the_password_agreed_for_the_charger(tmp_path: Path) -> None:
    (tmp_path / "CP-1").write_text("s3cret\n")
    replaced = section(auth="replace", password_file=tmp_path / "{identity}")
    assert credentials(replaced, "CP-1", "Basic x") == {"Authorization": "Basic Q1AtMTpzM2NyZXQ="}
    assert credentials(section(), "CP-1", "Basic x") == {"Authorization": "Basic x"}
    assert credentials(section(), "CP-1", None) == {}
    assert credentials(section(auth="none"), "CP-1", "Basic x") == {}
    assert "s3cret" not in repr(section(chargers=("CP-1",), auth="replace", password="s3cret"))


def test_what_the_settings_name_is_read_before_a_start(tmp_path: Path) -> None:
    plain = section(csms_url="ws://x", ca=None, allow_insecure=True)
    assert context(plain, "CP-1") is None
    proxy.check((plain,), ("CP-1", "Y"))
    with pytest.raises(TlsError, match=r"ca\.pem"):
        proxy.check((section(ca=tmp_path / "ca.pem"),), ("CP-1",))
    replaced = {"auth": "replace", "password_file": tmp_path / "{identity}"}
    missing = section(csms_url="ws://x", ca=None, allow_insecure=True, **replaced)
    with pytest.raises(SettingsError, match=r"proxies\.password_file: .*CP-1: No such file"):
        proxy.check((missing,), ("CP-1",))
