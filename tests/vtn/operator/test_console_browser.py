"""The console in a real browser against a real VTN over HTTPS: what an operator sees, does, and is told."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from openadr.messages import DistributeEvent, EiResponse, RegisteredReport, RegisterReport
from openadr.model import OptType
from openadr.tls import client_context
from runtime.clock import SystemClock
from tests.vtn.operator.browser import Browser, browser
from tests.vtn.server import TOKEN, Operator, Pki, VenSide, make_settings
from tests.vtn.services.test_reports import POWER, offer
from tests.vtn.test_chain import answers
from vtn.app import Application, build
from vtn.settings import OperatorSection

pytestmark = pytest.mark.process
MARKET = "https://dso.example/flex/evening"


@dataclass
class Desk:
    """An operator at a browser, and the VTN behind it."""

    screen: Browser
    url: str
    operator: Operator
    ven: VenSide
    app: Application

    async def sign_in(self) -> None:
        """Open the address that the demonstration prints."""
        await self.screen.open(f"{self.url}/#token={TOKEN}")
        await self.screen.shows(".bar", "live")

    async def fill(self, value: str) -> None:
        """Fill the form for x-loadControlCapacity of group g1."""
        await self.screen.click("#publish")
        await self.screen.type("#f-context", MARKET)
        await self.screen.click("[name=signal][value=capacity]")
        await self.screen.type("#f-capacity", value)
        if not await self.screen.js("return document.querySelector('[value=\"groupID:g1\"]')?.checked"):
            await self.screen.click("[value='groupID:g1']")
        await self.screen.type("#f-duration", "30")
        await self.screen.type("#f-comment", "evening <b>peak</b>")

    async def confirm(self) -> None:
        """Go through summary and confirmation."""
        await self.screen.click("#review")
        await self.screen.shows("dialog h2", "Check, then publish")
        await self.screen.click("#sure")
        await self.screen.click("#confirm")

    async def events(self) -> list[dict[str, Any]]:
        """Return what the VTN holds."""
        status, page = await self.operator.call("GET", "/api/v1/events")
        assert status == 200
        return list(page["events"])


@pytest.fixture
async def desk(pki: Pki, sqlite_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """Return a browser and a VTN whose operator listener speaks HTTPS, with one VEN enrolled."""
    clock = SystemClock()
    secure = OperatorSection(port=0, token=SecretStr(TOKEN), cert=pki.vtn.chain_path, key=pki.vtn.key_path)
    async with browser(tmp_path / "profile") as screen:
        app = build(make_settings(pki, sqlite_url).model_copy(update={"operator": secure}), clock)
        await app.start()
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
                url = f"https://127.0.0.1:{app.operator_port}"
                context = client_context(ca=pki.trust, cert_chain=pki.ven_a.chain)
                ven = VenSide(session, f"https://127.0.0.1:{app.port}", context, "ven-a")
                desk = Desk(screen, url, Operator(session, url), ven, app)
                enrolment = {
                    "venID": "ven-a",
                    "fingerprint": pki.ven_a.fingerprint,
                    "venName": "A VEN",
                    "resources": [{"resourceID": name, "groupIDs": ["g1"]} for name in ("r1", "r2")],
                }
                status, _ = await desk.operator.call("POST", "/api/v1/vens", enrolment)
                assert status == 201
                yield desk
        finally:
            await app.stop()


async def test_the_token_is_asked_for_and_a_wrong_one_is_told(desk: Desk) -> None:
    screen = desk.screen
    await screen.open(desk.url)
    await screen.type("#token", "wrong-token-wrong-token")
    await screen.click("#enter")
    await screen.shows("#refused", "The VTN refused the token (401)")
    assert await screen.js("return sessionStorage.length") == 0
    await screen.type("#token", TOKEN)
    await screen.click("#enter")
    await screen.shows(".bar", "live")
    assert await screen.js("return [localStorage.length, document.cookie]") == [0, ""]
    await screen.click("#leave")
    await screen.shows(".door", "Operator token")
    assert await screen.js("return sessionStorage.length") == 0


async def test_the_token_of_the_address_does_not_stay_there(desk: Desk) -> None:
    await desk.sign_in()
    assert TOKEN not in await desk.screen.js("return location.href")
    assert await desk.screen.js("return history.length") <= 2
    assert await desk.screen.console_errors() == []


async def test_an_enrolled_ven_is_seen_with_its_resources(desk: Desk) -> None:
    screen = desk.screen
    await desk.sign_in()
    await screen.click("nav a[href='#/vens']")
    await screen.shows("main tbody tr", "ven-a")
    assert "enrolled only" in await screen.text("main tbody tr")
    await screen.click("main summary")
    await screen.shows(".chips", "r2")
    before = await screen.js("return document.querySelector('.clock').textContent")
    await screen.until("the next round", "return document.querySelector('.clock').textContent !== arguments[0]", before)
    assert await screen.js("return document.querySelector('main details').open"), "a refresh closed what was open"
    for tab in ("opts", "telemetry", "programmes"):
        await screen.click(f"nav a[href='#/{tab}']")
        await screen.shows("main .empty", "No ")
    assert await screen.console_errors() == []


async def test_an_event_is_published_after_confirmation_and_cancelled(desk: Desk) -> None:
    screen = desk.screen
    await desk.sign_in()
    await screen.shows("main .empty", "No event has been published")
    await desk.fill("0.25")
    await screen.click("#review")
    await screen.shows("dialog", "2 resources of 1 VEN")
    assert await screen.js("return document.querySelector('#confirm').disabled"), "one click must not be enough"
    assert await desk.events() == []
    await screen.click("#sure")
    await screen.click("#confirm")

    await screen.shows(".events .event", "Capacity 25 %")
    await screen.shows(".detail", "evening <b>peak</b>")
    await screen.shows(".detail .ven", "queued")
    await screen.shows(".events .event .badge", "active")
    (event,) = await desk.events()
    assert (event["marketContext"], event["duration"], event["targets"]["groupID"]) == (MARKET, "PT30M", ["g1"])
    assert event["signals"][0]["intervals"][0]["value"] == 0.25
    assert event["testEvent"] == "false"

    await screen.click("#cancel")
    await screen.click("#cancel-confirm")
    await screen.shows("#fault-reason", "say why")
    await screen.type("#reason", "storm is over")
    await screen.click("#cancel-confirm")
    await screen.shows(".events .event .badge", "cancelled")
    await screen.shows(".detail .facts", "storm is over")
    (event,) = await desk.events()
    assert (event["eventStatus"], event["modificationReason"]) == ("cancelled", "storm is over")
    assert await screen.js("return document.querySelector('#cancel')") is None
    assert await screen.console_errors() == []


async def test_an_event_is_changed_from_now_on_and_its_versions_are_told(desk: Desk) -> None:
    screen = desk.screen
    await desk.sign_in()
    await desk.fill("0.25")
    await desk.confirm()
    await screen.shows(".detail", "evening <b>peak</b>")
    await screen.click("#change")
    await screen.shows("dialog h2", "Change this event")
    await screen.click("#change-confirm")
    await screen.shows("#fault-reason", "say why")
    await screen.type("dialog input.value", "0.75")
    await screen.type("#f-length", "45")
    await screen.type("#f-priority", "2")
    await screen.type("#f-reason", "the wind has freshened")
    await screen.click("#change-confirm")
    await screen.shows(".detail", "Capacity 25 % → 75 %")
    await screen.shows(".detail", "the wind has freshened")
    await screen.shows(".detail", "duration 30 min → 45 min")
    (event,) = await desk.events()
    assert (event["modificationNumber"], event["duration"], event["priority"]) == (1, "PT45M", 2)
    assert [each["value"] for each in event["signals"][0]["intervals"]] == [0.25, 0.75]
    assert event["vtnComment"] == "evening <b>peak</b>"
    assert await screen.console_errors() == []


async def test_a_market_context_is_set_up_and_forgotten(desk: Desk) -> None:
    screen = desk.screen
    await desk.sign_in()
    await screen.click("nav a[href='#/programmes']")
    await screen.shows("main .empty", "No market context is set up")
    await screen.click("#programme-new")
    await screen.type("#f-marketContext", MARKET)
    await screen.type("#f-signals", "NONSENSE")
    await screen.type("#f-name", "Evening")
    await screen.click("#programme-save")
    await screen.shows("#fault-signals", "NONSENSE")
    await screen.type("#f-signals", "SIMPLE level, LOAD_CONTROL")
    await screen.type("#f-maxDuration", "PT2H")
    await screen.click("#programme-save")
    await screen.shows("main tbody", "SIMPLE level, LOAD_CONTROL")
    await screen.shows("main tbody", "up to 2 h")
    await screen.click("main tbody button.edit")
    await screen.click("dialog button.danger")
    await screen.shows("main .empty", "No market context is set up")
    (refused,) = await screen.console_errors()
    assert "422" in refused


async def test_a_change_that_comes_too_late_is_refused_and_said(desk: Desk) -> None:
    screen = desk.screen
    await desk.sign_in()
    await desk.fill("0.25")
    await desk.confirm()
    await screen.shows(".detail", "evening <b>peak</b>")
    await screen.click("#change")
    (event,) = await desk.events()
    await desk.operator.call("POST", f"/api/v1/events/{event['eventID']}/cancel", {})
    await screen.type("#f-reason", "too late")
    await screen.click("#change-confirm")
    await screen.shows("dialog .faults", "it is at 1, not 0")
    (refused,) = await screen.console_errors()
    assert "409" in refused


async def test_a_refusal_is_shown_at_the_field_with_its_rule(desk: Desk) -> None:
    screen = desk.screen
    await desk.sign_in()
    await desk.fill("1.5")
    await desk.confirm()
    await screen.shows("#fault-value", "(R104)")
    await screen.shows("dialog .faults", "Reference ref-")
    assert await desk.events() == []
    await screen.type("#f-capacity", "0.5")
    await desk.confirm()
    await screen.shows(".events .event", "Capacity 50 %")
    assert len(await desk.events()) == 1
    (refused,) = await screen.console_errors()
    assert "422" in refused


async def test_a_ven_s_answer_comes_in_by_itself_and_nothing_jumps(desk: Desk) -> None:
    screen, ven = desk.screen, desk.ven
    await ven.register()
    offer = await ven.poll()
    assert isinstance(offer, RegisterReport)
    await ven.send(RegisteredReport(response=EiResponse(request_id=offer.request_id), ven_id="ven-a"))
    await desk.sign_in()
    await desk.fill("0.5")
    await desk.confirm()
    await screen.shows(".detail .ven h3 .badge", "queued")
    await screen.js(
        "const title = document.querySelector('.detail h2'); title.dataset.kept = 'yes';"
        "getSelection().selectAllChildren(title);"
        "document.querySelector('#publish').focus()"
    )
    payload = await ven.poll()
    assert isinstance(payload, DistributeEvent)
    await screen.shows(".detail .ven h3 .badge", "delivered")
    await ven.send(answers(payload, OptType.OPT_OUT))
    await screen.shows(".detail .ven h3 .badge", "acknowledged")
    await screen.shows(".detail .ven", "response 200")
    await screen.shows(".figures", "2 out")
    await screen.shows(".events .event", "1/1")
    assert "Capacity 50 %" in await screen.js("return getSelection().toString()"), "the selection went away"
    assert await screen.js("return document.activeElement.id") == "publish", "the focus went away"
    assert await screen.console_errors() == []


async def test_a_vtn_that_is_away_is_said_and_what_was_known_stays(desk: Desk) -> None:
    screen = desk.screen
    await desk.sign_in()
    await desk.fill("0.5")
    await desk.confirm()
    await screen.shows(".events .event", "Capacity 50 %")
    await desk.app.stop()
    await screen.shows(".banner", "The VTN does not answer. Shown is the state of")
    assert "Capacity 50 %" in await screen.text(".events")


async def test_a_report_request_is_shown_with_its_state(desk: Desk) -> None:
    await desk.ven.register()
    metadata = offer("TELEMETRY_USAGE", "spec-1", POWER)
    await desk.ven.send(RegisterReport(request_id="req-m", reports=(metadata,), ven_id="ven-a"))
    screen = desk.screen
    await desk.sign_in()
    await screen.click("nav a[href='#/reports']")
    await screen.shows("main tbody tr", "TELEMETRY_USAGE")
    row = await screen.text("main tbody tr")
    assert all(each in row for each in ("requested", "ven-a", "1 min", "asked by policy"))
    assert await screen.console_errors() == []
