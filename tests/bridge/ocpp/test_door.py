"""bridge.ocpp.door and the upgrade: identity, credential, subprotocol (OCP-10)."""

import base64
import hashlib
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError
from websockets.exceptions import InvalidStatus

from bridge.ocpp.door import admit, choose_version
from bridge.ocpp.frames import Version
from bridge.ocpp.settings import ChargerConfig, OcppSettings
from tests.bridge.ocpp.harness import bench, make_settings, raw

CHARGER = ChargerConfig(identity="CP-1", password="0123456789abcdef")
SUBJECT = {"subject": ((("organizationName", "CPO"),), (("commonName", "CP-1"),))}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def door(profile: int, config: ChargerConfig | None = CHARGER, **given: Any) -> str | None:
    settings = make_settings(
        security_profile=profile, cert="c.pem", key="k.pem", client_ca="a.pem", cpo_name=given.pop("cpo_name", None)
    )
    values: dict[str, Any] = {"authorization": None, "peer_certificate": None} | given
    refusal = admit("CP-1", config=config, settings=settings, **values)
    return None if refusal is None else refusal.word


def test_an_unknown_identity_is_not_found_whatever_it_shows() -> None:
    assert door(3, None, peer_certificate=SUBJECT) == "unknown_identity"


def test_profile_0_asks_for_nothing() -> None:
    assert door(0) is None


@pytest.mark.parametrize("profile", [1, 2])
@pytest.mark.parametrize(
    ("header", "word"),
    [
        (basic("CP-1", "0123456789abcdef"), None),
        (basic("CP-1", "wrong"), "wrong_password"),
        (basic("CP-2", "0123456789abcdef"), "wrong_password"),
        (None, "no_password"),
        ("Bearer x", "no_password"),
        ("Basic ???", "no_password"),
        ("Basic " + base64.b64encode(b"nocolon").decode(), "no_password"),
    ],
)
def test_profiles_1_and_2_ask_for_the_chargers_own_password(profile: int, header: str | None, word: str | None) -> None:
    assert door(profile, authorization=header) == word


def test_a_password_may_be_kept_as_its_digest() -> None:
    digest = hashlib.sha256(b"0123456789abcdef").hexdigest()
    config = ChargerConfig(identity="CP-1", password=f"sha256:{digest.upper()}")
    assert door(2, config, authorization=basic("CP-1", "0123456789abcdef")) is None
    assert door(2, config, authorization=basic("CP-1", digest)) == "wrong_password"


def test_a_charger_without_a_password_cannot_use_one() -> None:
    assert door(2, ChargerConfig(identity="CP-1"), authorization=basic("CP-1", "")) == "no_password_set"


@pytest.mark.parametrize(
    ("certificate", "word"),
    [
        (SUBJECT, None),
        ({"subject": ((("commonName", "CP-2"),),)}, "other_identity"),
        ({"subject": ()}, "other_identity"),
        (None, "no_certificate"),
        ({}, "no_certificate"),
    ],
)
def test_profile_3_asks_for_a_certificate_with_the_identity_as_cn(certificate: Any, word: str | None) -> None:
    assert door(3, peer_certificate=certificate) == word


def test_profile_3_may_ask_for_the_operator_too() -> None:
    assert door(3, peer_certificate=SUBJECT, cpo_name="CPO") is None
    assert door(3, peer_certificate=SUBJECT, cpo_name="Other") == "other_operator"


def test_the_chargers_first_known_subprotocol_is_taken() -> None:
    assert choose_version(["ocpp2.1", "ocpp1.6", "ocpp2.0.1"]) is Version.V16
    assert choose_version(["ocpp2.0.1", "ocpp1.6"]) is Version.V201
    assert choose_version(["ocpp1.5", ""]) is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "needs cert and key"),
        ({"cert": "c", "key": "k"}, "needs client_ca"),
        ({"security_profile": 2}, "needs cert and key"),
        ({"security_profile": 1}, "allow_insecure"),
        ({"security_profile": 0}, "allow_insecure"),
        ({"security_profile": 4}, "security_profile"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_ocp_10_settings_that_are_weak_or_incomplete_are_refused_by_name(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        OcppSettings(**values)


async def test_an_unknown_identity_gets_404_at_the_upgrade() -> None:
    async with bench(CHARGER) as at:
        with pytest.raises(InvalidStatus) as caught:
            async with raw(at, "CP-9"):
                raise AssertionError("let in")
        assert caught.value.response.status_code == 404
        assert at.value("ocpp_refused_total", reason="unknown_identity") == 1


async def test_a_wrong_password_gets_401_at_the_upgrade_and_the_right_one_gets_in() -> None:
    async with bench(CHARGER, security_profile=1) as at:
        with pytest.raises(InvalidStatus) as caught:
            async with raw(at, additional_headers={"Authorization": basic("CP-1", "wrong")}):
                raise AssertionError("let in")
        assert caught.value.response.status_code == 401
        assert caught.value.response.headers["WWW-Authenticate"].startswith("Basic")
        async with raw(at, additional_headers={"Authorization": basic("CP-1", "0123456789abcdef")}) as charger:
            await charger.boot()


async def test_a_plain_request_is_told_to_upgrade() -> None:
    async with bench(CHARGER) as at, aiohttp.ClientSession() as http:
        async with http.get(at.url.replace("ws:", "http:") + "/CP-1") as answer:
            assert answer.status == 426
        async with http.get(at.url.replace("ws:", "http:") + "/") as answer:
            assert answer.status == 404


@pytest.mark.parametrize("offered", [("ocpp2.1",), ("ocpp1.5", "soap")])
async def test_without_a_common_subprotocol_the_handshake_completes_and_the_connection_closes(
    offered: tuple[str, ...],
) -> None:
    async with bench(CHARGER) as at, raw(at, "CP-1", *offered) as charger:
        assert charger.socket.subprotocol is None
        await charger.socket.wait_closed()
        assert charger.socket.close_code == 1002
        assert at.value("ocpp_refused_total", reason="no_subprotocol") == 1


async def test_an_identity_with_odd_characters_is_found_by_its_decoded_path() -> None:
    async with bench(ChargerConfig(identity="CP 1/ü")) as at, raw(at, "CP%201%2F%C3%BC") as charger:
        await charger.boot()
        await at.fleet.heard("connected", "CP 1/ü")


async def test_the_server_offers_no_compression() -> None:
    async with (
        bench(CHARGER) as at,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{at.url}/CP-1", protocols=("ocpp1.6",), compress=15) as socket,
    ):
        assert socket.compress == 0
        assert socket.protocol == "ocpp1.6"
