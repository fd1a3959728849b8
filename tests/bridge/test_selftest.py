"""The commissioning self-test over real sockets and over the operator API, and its evidence verified with OpenSSL."""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.api import Api, build_api
from bridge.selftest import SelfTester, SelfTestRefused, SelfTestSection, signer
from bridge.selftest_cli import NoAnswer, self_test
from bridge.store import BridgeStore, SelfTest
from certs.authority import Authority, KeyType, Profile
from runtime.clock import SystemClock
from tests.bridge.test_real_chargers import STEP_S, Site, site

TOKEN = "t" * 16
SECTION = SelfTestSection(settle_s=35.0, readings=1, wait_s=200.0)


@asynccontextmanager
async def a_tester(found: Site, engine: AsyncEngine, key: Path | None = None) -> AsyncIterator[SelfTester]:
    tester = SelfTester(
        supervisor=found.supervisor,
        target=found.central,
        store=BridgeStore(engine),
        clock=found.clock,
        section=SECTION,
        sign=signer(key),
        software="test",
    )
    await tester.open()
    try:
        yield tester
    finally:
        await tester.close()


async def plugged_in(found: Site) -> None:
    await found.until(lambda: found.fleet.get("CP1").session)
    await found.until(lambda: (reading := found.fleet.get("CP1").reading) is not None and bool(reading.power_w))


async def evidence_of(found: Site, tester: SelfTester, engine: AsyncEngine) -> tuple[SelfTest, dict[str, Any]]:
    await tester.start("evse-CP1")
    await found.until(lambda: tester.running("evse-CP1") is None, steps=250)
    [kept] = await BridgeStore(engine).self_tests("CP1", 10)
    return kept, json.loads(kept.evidence)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_chg_03_an_installation_that_obeys_passes_and_is_released(bridge_db: AsyncEngine, version: str) -> None:
    async with site(bridge_db, CP1={"version": version}) as found, a_tester(found, bridge_db) as tester:
        await plugged_in(found)
        kept, evidence = await evidence_of(found, tester, bridge_db)
        assert evidence["faults"] == []
        assert kept.passed
        shares = {step["name"]: step["shareOfBefore"] for step in evidence["steps"]}
        assert 0.4 <= shares["half"] <= 0.6
        assert shares["stop"] == 0.0
        assert shares["after"] > 0.9
        assert [each["limitA"] for each in evidence["commands"] if each["command"] == "set"] == [16.0, 0.0]
        assert {each["outcome"] for each in evidence["commands"]} == {"accepted"}
        assert not found.supervisor.book.limits
        assert kept.signature == ""  # without a key nothing is signed


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [("ignores", "half: "), ("refuses", "half: "), ("zero_refused", "stop: ")],
)
async def test_chg_03_an_installation_that_does_not_obey_fails_with_the_figures(
    bridge_db: AsyncEngine, behaviour: str, fault: str
) -> None:
    async with site(bridge_db, CP1={"behaviour": behaviour}) as found, a_tester(found, bridge_db) as tester:
        await plugged_in(found)
        kept, evidence = await evidence_of(found, tester, bridge_db)
        assert not kept.passed
        assert any(each.startswith(fault) for each in evidence["faults"]), evidence["faults"]
        assert not found.supervisor.book.limits


async def test_a_self_test_is_refused_where_it_would_prove_nothing(bridge_db: AsyncEngine) -> None:
    async with site(bridge_db, CP1={"plug_in_after_s": 1e6}) as found, a_tester(found, bridge_db) as tester:
        with pytest.raises(SelfTestRefused, match="not connected"):
            await tester.start("evse-CP1")
        await found.until(lambda: found.fleet.get("CP1").connected)
        await tester.start("evse-CP1")
        with pytest.raises(SelfTestRefused, match="is running"):
            await tester.start("evse-CP1")
        found.clock.advance(SECTION.wait_s + STEP_S)
        await found.until(lambda: tester.running("evse-CP1") is None, steps=250)
        [kept] = await BridgeStore(bridge_db).self_tests("CP1", 10)
        assert json.loads(kept.evidence)["faults"] == ["no reading before the test: is the meter configured?"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
@pytest.mark.parametrize("kind", [KeyType.EC, KeyType.RSA])
def test_chg_03_the_documented_command_verifies_the_evidence(tmp_path: Path, kind: KeyType) -> None:
    now = SystemClock().now()
    authority = Authority.create(tmp_path / "pki", now=now)
    issued = authority.issue(Profile.OPENADR_VEN, "site", now=now, key_type=kind)
    (tmp_path / "evidence.json").write_text('{"passed": true}\n')
    signature = signer(issued.key_path)(b'{"passed": true}\n')
    (tmp_path / "evidence.json.sig").write_bytes(base64.b64decode(signature))
    public = subprocess.run(
        ["openssl", "x509", "-in", str(issued.cert_path), "-noout", "-pubkey"], check=True, capture_output=True
    )
    (tmp_path / "site.pub").write_bytes(public.stdout)
    verify = ["openssl", "dgst", "-sha256", "-verify", "site.pub", "-signature", "evidence.json.sig", "evidence.json"]
    assert b"Verified OK" in subprocess.run(verify, check=True, capture_output=True, cwd=tmp_path).stdout
    (tmp_path / "evidence.json").write_text('{"passed": false}\n')
    assert subprocess.run(verify, check=False, capture_output=True, cwd=tmp_path).returncode != 0


async def test_chg_03_ocp_08_the_operator_api_shows_kinds_sends_messages_and_runs_self_tests(
    bridge_db: AsyncEngine, tmp_path: Path
) -> None:
    authority = Authority.create(tmp_path / "pki", now=SystemClock().now())
    key = authority.issue(Profile.OPENADR_VEN, "site", now=SystemClock().now()).key_path
    async with site(bridge_db, CP1={}) as found, a_tester(found, bridge_db, key) as tester:
        api = Api(
            supervisor=found.supervisor,
            target=found.central,
            store=BridgeStore(bridge_db),
            clock=found.clock,
            version="test",
            vens={},
            central=found.central,
            tester=tester,
        )
        application = build_api(api, token=TOKEN, checks={}, registry=found.registry)
        async with TestClient(TestServer(application), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            await plugged_in(found)
            kind = await (await client.get("/api/v1/chargers/CP1/kind")).json()
            assert (kind["vendor"], kind["enrolled"], kind["probed"]) == ("Simulated", True, False)
            sent = await client.post("/api/v1/chargers/CP1/messages", json={"action": "GetConfiguration"})
            answer = (await sent.json())["answer"]
            assert {each["key"] for each in answer["configurationKey"]} >= {"NumberOfConnectors"}
            refused = await client.post("/api/v1/chargers/CP1/messages", json={"action": "SetChargingProfile"})
            assert (refused.status, (await refused.json())["title"]) == (409, "Not passed on")
            assert await (await client.get("/api/v1/chargers/CP1/notices")).json() == []
            for path in ("kind", "notices", "self-tests"):
                assert (await client.get(f"/api/v1/chargers/nobody/{path}")).status == 404
            told: list[str] = []
            asking = asyncio.create_task(
                self_test(
                    url=str(client.make_url("")),
                    token=TOKEN,
                    charger="CP1",
                    folder=tmp_path,
                    tell=told.append,
                    tls=None,
                )
            )
            await found.until(lambda: tester.running("evse-CP1") is not None)
            [running] = await (await client.get("/api/v1/chargers/CP1/self-tests")).json()
            assert running["state"] == "running"
            assert (await client.post("/api/v1/chargers/CP1/self-tests")).status == 409
            await found.until(lambda: tester.running("evse-CP1") is None, steps=250)
            assert await asking
            assert told[-1] == "CP1: passed"
            assert json.loads((tmp_path / f"{running['testID']}.json").read_text())["passed"]
            assert (tmp_path / f"{running['testID']}.json.sig").stat().st_size > 60
            with pytest.raises(NoAnswer, match="charger nobody is not known here"):
                await self_test(
                    url=str(client.make_url("")), token=TOKEN, charger="nobody", folder=tmp_path, tell=print, tls=None
                )
