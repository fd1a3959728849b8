"""Where HTTP push may go: the policy as a table, by text and by what a name stands for."""

import pytest

from openadr.errors import ComplianceError, DeploymentError, OadrError
from vtn.services.addresses import AddressRule, address_rule

PUBLIC = address_rule(("public",))
PLANT = address_rule(("10.2.0.0/16", "fd00:1::/64", "*.ven.example", "gw.example"))


@pytest.mark.parametrize(
    "address",
    [
        "https://ven.example",
        "https://ven.example:8443/site1/",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1::1]:8443/",
        "https://10.example.com/",
    ],
)
def test_public_addresses_and_names_pass_by_default(address: str) -> None:
    assert PUBLIC.check(address) == address.rstrip("/")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.2.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "[::1]",
        "[fe80::1]",
        "[fd00:1::5]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::1]",
    ],
)
def test_the_own_network_is_refused_by_default_however_it_is_written(host: str) -> None:
    with pytest.raises(DeploymentError, match="not allowed") as refused:
        PUBLIC.check(f"https://{host}/")
    assert refused.value.field == "oadrTransportAddress"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (None, ComplianceError),
        ("", ComplianceError),
        ("ven.example", ComplianceError),
        ("ftp://ven.example/", ComplianceError),
        ("https://", ComplianceError),
        ("https://ven.example:0/", ComplianceError),
        ("https://ven.example:99999/", ComplianceError),
        ("https://[::1/", ComplianceError),
        ("https://user@ven.example/", ComplianceError),
        ("https://ven.example/?q=1", ComplianceError),
        ("https://ven.example/#a", ComplianceError),
        ("https://ven.example/ x", ComplianceError),
        ("https://v\u00e9n.example/", ComplianceError),
        ("https://ven.example/" + "x" * 1000, ComplianceError),
        ("https://127.1/", ComplianceError),
        ("https://2130706433/", ComplianceError),
        ("http://ven.example/", DeploymentError),
    ],
)
def test_rule_402_what_is_no_base_address_is_refused(address: str | None, kind: type[OadrError]) -> None:
    with pytest.raises(kind, match="oadrTransportAddress"):
        PUBLIC.check(address)


def test_plain_http_needs_to_be_asked_for() -> None:
    assert address_rule(("public",), insecure=True).check("http://ven.example/") == "http://ven.example"


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("x.example", "10.2.200.1", True),
        ("x.example", "10.3.0.1", False),
        ("x.example", "fd00:1::9", True),
        ("x.example", "93.184.216.34", False),
        ("seven.ven.example", "127.0.0.1", True),
        ("SEVEN.ven.example.", "127.0.0.1", True),
        ("ven.example", "127.0.0.1", False),
        ("gw.example", "192.168.0.1", True),
        ("evilgw.example", "192.168.0.1", False),
        ("x.example", "nonsense", False),
    ],
)
def test_what_a_name_stands_for_decides(host: str, address: str, allowed: bool) -> None:
    assert PLANT.permits(host, address) is allowed


def test_names_alone_leave_no_other_name_and_any_leaves_all() -> None:
    names = address_rule(("*.ven.example",))
    assert names.check("https://a.ven.example/")
    with pytest.raises(DeploymentError):
        names.check("https://elsewhere.example/")
    anything = address_rule(("any",))
    assert anything.check("https://127.0.0.1:1/")
    assert anything.permits("x", "nonsense")
    assert address_rule(()) == AddressRule(public=False)


@pytest.mark.parametrize("word", ["10.0.0.0/99", "a b", "*", "https://x", "10.0.0.1/8"])
def test_a_word_that_is_none_is_named(word: str) -> None:
    with pytest.raises(ValueError, match="neither public, any"):
        address_rule((word,))
