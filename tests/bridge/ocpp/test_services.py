"""What chargers ask of the central system beside limits: who may charge, certificates, and that reports are kept."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.ocpp.authorise import AuthoriseSection
from bridge.ocpp.passing import NotPassed
from bridge.ocpp.settings import ChargerConfig
from bridge.store import BridgeStore
from bridge.target import CommandOutcome
from certs.authority import Authority
from runtime.settings import SettingsError
from tests.bridge.ocpp.harness import START, Raw, bench, make_settings, raw, settled

CHARGER = ChargerConfig(identity="CP-1")


async def token_words(charger: Raw, *tokens: str) -> list[str]:
    answers = [await charger.ask(token, "Authorize", {"idTag": token}) for token in tokens]
    return [answer[2]["idTagInfo"]["status"] for answer in answers]


async def test_everybody_may_charge_unless_the_settings_say_otherwise() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        assert await token_words(charger, "anybody") == ["Accepted"]


async def test_a_list_of_tokens_decides_in_both_versions_and_for_each_message(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# the depot's drivers\nABC123  # Anna\n\nxyz9\n")
    section = AuthoriseSection(mode="list", file=tokens)
    async with bench(CHARGER, ChargerConfig(identity="CP-2"), authorise=section) as at:
        async with raw(at) as charger:
            await charger.boot()
            assert await token_words(charger, "abc123", "XYZ9", "other") == ["Accepted", "Accepted", "Invalid"]
            start = {"connectorId": 1, "idTag": "other", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
            answer = (await charger.ask("start", "StartTransaction", start))[2]
            assert answer["idTagInfo"] == {"status": "Invalid"}
            assert answer["transactionId"] > 0  # 1.6 wants one all the same
        async with raw(at, "CP-2", "ocpp2.0.1") as charger:
            await charger.boot201()
            for token, word in (("ABC123", "Accepted"), ("other", "Invalid")):
                payload = {"idToken": {"idToken": token, "type": "ISO14443"}}
                answer = (await charger.ask(token, "Authorize", payload))[2]
                assert answer["idTokenInfo"] == {"status": word}


async def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ocpp.authorise.file: .*nowhere"):
        async with bench(CHARGER, authorise=AuthoriseSection(mode="list", file=tmp_path / "nowhere")):
            pass


@pytest.mark.parametrize(("mode", "needs"), [("list", "file"), ("upstream", "url")])
def test_a_mode_without_what_it_needs_is_refused(mode: Any, needs: str) -> None:
    with pytest.raises(ValueError, match=f"mode {mode} needs {needs}"):
        AuthoriseSection(mode=mode)


@pytest.mark.parametrize(("when_away", "stranger"), [("accept", "Accepted"), ("refuse", "Invalid")])
async def test_upstream_decides_and_its_last_word_holds_while_it_is_away(when_away: Any, stranger: str) -> None:
    asked: list[tuple[str, str | None]] = []

    async def decide(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append((body["idToken"], request.headers.get("Authorization")))
        words = {"good": "Accepted", "bad": "Blocked", "odd": "Perhaps"}
        return (
            web.json_response({"status": words[body["idToken"]]})
            if body["idToken"] in words
            else web.Response(status=500)
        )

    app = web.Application()
    app.router.add_post("/decide", decide)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        section = AuthoriseSection.model_validate(
            {
                "mode": "upstream",
                "url": f"http://127.0.0.1:{runner.addresses[0][1]}/decide",
                "token": "secret",
                "when_away": when_away,
            }
        )
        async with bench(CHARGER, authorise=section) as at, raw(at) as charger:
            await charger.boot()
            assert await token_words(charger, "good", "bad", "odd", "fault") == [
                "Accepted",
                "Blocked",
                "Invalid",
                stranger,
            ]
            assert asked[0] == ("good", "Bearer secret")
            await runner.cleanup()
            again = [await charger.ask(f"2-{token}", "Authorize", {"idTag": token}) for token in ("good", "bad", "new")]
            assert [each[2]["idTagInfo"]["status"] for each in again] == ["Accepted", "Blocked", stranger]
    finally:
        await runner.cleanup()


def request(identity: str = "CP-1", owner: str = "Depot", key: Any = None) -> str:
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, owner), x509.NameAttribute(NameOID.COMMON_NAME, identity)]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_sec_a02_a_charger_that_asks_gets_a_certificate_for_itself(version: str, tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "pki", now=START)
    async with (
        bench(CHARGER, authority=tmp_path / "pki", cpo_name="Depot") as at,
        raw(at, "CP-1", f"ocpp{version}") as charger,
    ):
        await (charger.boot() if version == "1.6" else charger.boot201())
        await at.fleet.heard("connected", "CP-1")
        kind = {} if version == "1.6" else {"certificateType": "ChargingStationCertificate"}
        answer = await charger.ask("sign", "SignCertificate", {"csr": request()} | kind)
        assert answer[2] == {"status": "Accepted"}
        frame = await charger.asked("CertificateSigned")
        await charger.send(3, frame[1], {"status": "Accepted"})
        leaf, issuer = x509.load_pem_x509_certificates(frame[3]["certificateChain"].encode())
        leaf.verify_directly_issued_by(issuer)
        assert leaf.subject.rfc4514_string() == "CN=CP-1,O=Depot"
        assert [each.common_name for each in authority.inventory()] == ["CP-1"]
        for wrong in (request("CP-2"), request(owner="Other"), "no request"):
            assert (await charger.ask(wrong[-9:], "SignCertificate", {"csr": wrong} | kind))[2] == {
                "status": "Accepted"
            }
        await charger.ask("beat", "Heartbeat", {})
        assert len(authority.inventory()) == 1
        if version == "2.0.1":
            v2g = {"csr": request(), "certificateType": "V2GCertificate"}
            assert (await charger.ask("v2g", "SignCertificate", v2g))[2] == {"status": "Rejected"}


async def test_without_an_authority_no_certificate_is_promised() -> None:
    async with bench(CHARGER) as at, raw(at) as charger:
        await charger.boot()
        assert (await charger.ask("sign", "SignCertificate", {"csr": request()}))[2] == {"status": "Rejected"}
    with pytest.raises(ValueError, match="authority needs cpo_name"):
        make_settings(authority=Path("pki"))


async def test_security_events_and_transfers_are_on_disk_before_they_are_answered(bridge_db: AsyncEngine) -> None:
    store = BridgeStore(bridge_db)
    async with bench(CHARGER, store=store) as at, raw(at) as charger:
        await charger.boot()
        event = {"type": "InvalidFirmwareSignature", "timestamp": "2026-03-01T11:00:00Z", "techInfo": "slot 2"}
        assert (await charger.ask("1", "SecurityEventNotification", event))[2] == {}
        assert (await charger.ask("2", "FirmwareStatusNotification", {"status": "Downloading"}))[2] == {}
        assert (await charger.ask("3", "LogStatusNotification", {"status": "Uploaded", "requestId": 7}))[2] == {}
        found = await store.charger_notices("CP-1", 10)
        assert {(each.kind, each.name, each.detail) for each in found} == {
            ("security", "InvalidFirmwareSignature", "slot 2"),
            ("transfer", "Downloading", ""),
            ("transfer", "Uploaded", "request 7"),
        }


async def test_ocp_12_ocp_14_an_operator_s_message_is_passed_on_and_never_a_profile() -> None:
    async with bench(CHARGER, call_timeout_s=5.0) as at:
        assert (await at.central.pass_on("CP-1", "Reset", {"type": "Soft"})).outcome is CommandOutcome.OFFLINE
        async with raw(at) as charger:
            await charger.boot()
            await at.fleet.heard("connected", "CP-1")
            payload = {"location": "https://example.net/fw.bin", "retrieveDate": "2026-03-01T13:00:00Z"}
            asking = asyncio.create_task(at.central.pass_on("CP-1", "UpdateFirmware", payload))
            frame = await charger.asked("UpdateFirmware")
            assert frame[3] == payload
            await charger.send(3, frame[1], {})
            assert (await asking).outcome is CommandOutcome.ACCEPTED
            asking = asyncio.create_task(at.central.pass_on("CP-1", "GetDiagnostics", {"location": "ftp://x"}))
            await charger.decline("GetDiagnostics")
            found = await asking
            assert (found.outcome, found.detail) == (CommandOutcome.ERROR, "NotSupported")
            for action, wrong, reason in (
                ("SetChargingProfile", {}, "is not passed on by ocpp1.6"),
                ("ClearChargingProfile", {}, "is not passed on by ocpp1.6"),
                ("RemoteStartTransaction", {"idTag": "T", "chargingProfile": {}}, "with a chargingProfile"),
                ("Reset", {"type": "Wrong"}, "Reset: type"),
            ):
                with pytest.raises(NotPassed, match=reason):
                    await at.central.pass_on("CP-1", action, wrong)
        await settled(lambda: at.central.status("CP-1") is not None)
